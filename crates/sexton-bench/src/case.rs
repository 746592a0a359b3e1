//! A case: what is measured, beside which baseline, and how good the ratio has to be.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::place::Place;
use crate::{
    BenchError, alarms, calls, ending, growth, increments, memory, offered, overload, sends,
    stored, turns,
};

/// What a figure is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// More is better.
    PerSecond,
    /// Fewer are better.
    Milliseconds,
    /// Fewer are better.
    Microseconds,
    /// More is better.
    Percent,
    /// Fewer are better.
    Bytes,
}

impl Unit {
    /// As a column says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::PerSecond => "/s",
            Self::Milliseconds => "ms",
            Self::Microseconds => "us",
            Self::Percent => "%",
            Self::Bytes => "bytes",
        }
    }
}

/// How good a case has to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Ours is at least so many times the baseline.
    Least(f64),
    /// Ours is at most so many times the baseline.
    Most(f64),
    /// Ours is at most so much more than the baseline.
    MostAbove(f64),
    /// Ours is at most so much, whatever the baseline is.
    Within(f64),
}

/// A further figure of a run: of what, and how much.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Of what.
    pub name: String,
    /// How much.
    pub value: f64,
}

impl Figure {
    pub(crate) fn new(name: &str, value: f64) -> Self {
        Self { name: name.to_owned(), value }
    }
}

/// What was seen at one offered load: rates are of calls a second, times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadPoint {
    /// What was offered, as so many times what can be served.
    pub load: f64,
    /// Calls that were offered.
    pub offered: f64,
    /// Calls that were answered after their turn.
    pub served: f64,
    /// Calls that were refused.
    pub refused: f64,
    /// Half of what was served was answered so soon.
    pub p50_ms: f64,
    /// 99 of 100 that were served were answered so soon.
    pub p99_ms: f64,
    /// 99 of 100 that were refused heard of it so soon; none was refused if there is none.
    pub refused_p99_ms: Option<f64>,
}

/// What one run of a case measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// Sexton.
    pub ours: f64,
    /// What it is held against.
    pub baseline: f64,
    /// What else was seen.
    pub also: Vec<Figure>,
    /// What was seen at each offered load, the smallest first; of most cases nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curve: Vec<LoadPoint>,
}

impl Pair {
    /// Ours, the baseline, and what else was seen.
    pub fn new(ours: f64, baseline: f64, also: Vec<Figure>) -> Self {
        Self { ours, baseline, also, curve: Vec::new() }
    }
}

/// What one run measured, by the names of its cases.
pub type Pairs = Vec<(&'static str, Pair)>;

/// How a case is measured, in a fresh place.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// By a run of its own.
    Own(fn(&Place) -> Result<Pair, BenchError>),
    /// By a run that measures other cases, too.
    Shared(fn(&Place) -> Result<Pairs, BenchError>),
}

/// Whether a case is run when nobody names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Some seconds, or a minute or two.
    Usual,
    /// Many minutes and much of the disk: only if it is asked for, and never as a quick look.
    Large,
}

/// Something that is measured.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// By which it is chosen.
    pub name: &'static str,
    /// What is done.
    pub what: &'static str,
    /// What it is held against.
    pub baseline: &'static str,
    /// What the figures are of.
    pub unit: Unit,
    /// How good it has to be, if that was decided.
    pub target: Option<Target>,
    /// What it takes.
    pub effort: Effort,
    /// How it is measured.
    pub run: Run,
}

/// A case with what its runs measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The case.
    pub name: String,
    /// What was done.
    pub what: String,
    /// What it was held against.
    pub baseline: String,
    /// What the figures are of.
    pub unit: Unit,
    /// How good it had to be.
    pub target: Option<Target>,
    /// The median of our figures.
    pub ours: f64,
    /// The median of the baseline's figures.
    pub held_against: f64,
    /// The median of the runs' own ratios: ours by the baseline's.
    pub ratio: f64,
    /// Every run.
    pub runs: Vec<Pair>,
}

impl Measured {
    /// Puts together what runs of a case measured.
    pub fn new(case: &Case, runs: Vec<Pair>) -> Self {
        let of = |get: fn(&Pair) -> f64| median(runs.iter().map(get).collect());
        Self {
            name: case.name.to_owned(),
            what: case.what.to_owned(),
            baseline: case.baseline.to_owned(),
            unit: case.unit,
            target: case.target,
            ours: of(|pair| pair.ours),
            held_against: of(|pair| pair.baseline),
            ratio: of(|pair| pair.ours / pair.baseline.max(f64::MIN_POSITIVE)),
            runs,
        }
    }

    /// Whether it is as good as it has to be; `None` if nobody said how good.
    pub fn is_reached(&self) -> Option<bool> {
        self.target.map(|target| match target {
            Target::Least(wanted) => self.ratio >= wanted,
            Target::Most(wanted) => self.ratio <= wanted,
            Target::MostAbove(more) => self.ours - self.held_against <= more,
            Target::Within(most) => self.ours <= most,
        })
    }

    /// The medians of what else was seen, in the order of the first run.
    pub fn also(&self) -> Vec<Figure> {
        let first = self.runs.first().map(|pair| pair.also.as_slice()).unwrap_or_default();
        let all = |name: &str| {
            let of = self.runs.iter().flat_map(|pair| &pair.also);
            of.filter(|it| it.name == name).map(|it| it.value).collect()
        };
        first.iter().map(|it| Figure::new(&it.name, median(all(&it.name)))).collect()
    }

    /// The medians of what was seen at each offered load.
    pub fn curve(&self) -> Vec<LoadPoint> {
        let loads = self.runs.iter().map(|pair| pair.curve.len()).min().unwrap_or(0);
        let point = |nth: usize| {
            let of: Vec<LoadPoint> =
                self.runs.iter().filter_map(|pair| pair.curve.get(nth)).copied().collect();
            let middle = |get: fn(&LoadPoint) -> f64| median(of.iter().map(get).collect());
            let refused: Vec<f64> = of.iter().filter_map(|it| it.refused_p99_ms).collect();
            LoadPoint {
                load: middle(|it| it.load),
                offered: middle(|it| it.offered),
                served: middle(|it| it.served),
                refused: middle(|it| it.refused),
                p50_ms: middle(|it| it.p50_ms),
                p99_ms: middle(|it| it.p99_ms),
                refused_p99_ms: (!refused.is_empty()).then(|| median(refused)),
            }
        };
        (0..loads).map(point).collect()
    }
}

/// The middle one; of an even number the mean of the two.
fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    let middle = of.len() / 2;
    match (of.get(middle.wrapping_sub(1)), of.get(middle)) {
        (Some(low), Some(high)) if of.len().is_multiple_of(2) => low.midpoint(*high),
        (_, Some(middle)) => *middle,
        (_, None) => f64::NAN,
    }
}

impl Case {
    /// A case whose figures are of "per second", with no target.
    pub(crate) const fn new(
        name: &'static str,
        what: &'static str,
        baseline: &'static str,
        run: fn(&Place) -> Result<Pair, BenchError>,
    ) -> Self {
        let (unit, effort) = (Unit::PerSecond, Effort::Usual);
        Self { name, what, baseline, unit, target: None, effort, run: Run::Own(run) }
    }

    /// A case of a run that measures others, too.
    pub(crate) const fn shared(
        name: &'static str,
        what: &'static str,
        baseline: &'static str,
        run: fn(&Place) -> Result<Pairs, BenchError>,
    ) -> Self {
        let (unit, effort) = (Unit::PerSecond, Effort::Usual);
        Self { name, what, baseline, unit, target: None, effort, run: Run::Shared(run) }
    }

    /// The same, only if it is asked for.
    pub(crate) const fn large(self) -> Self {
        Self { effort: Effort::Large, ..self }
    }

    /// The same with figures of this unit.
    pub(crate) const fn of(self, unit: Unit) -> Self {
        Self { unit, ..self }
    }

    /// The same with a target.
    pub(crate) const fn must_be(self, target: Target) -> Self {
        Self { target: Some(target), ..self }
    }

    /// Measures it once, and what its run measures besides.
    ///
    /// In a process of its own, if figures shall not depend on what was measured before: memory that
    /// was freed is used again.
    ///
    /// # Errors
    ///
    /// [`BenchError`]: what kept it from being measured.
    pub fn measure(&self, place: &Place) -> Result<Pairs, BenchError> {
        let place = place.fresh()?;
        match self.run {
            Run::Own(run) => Ok(vec![(self.name, run(&place)?)]),
            Run::Shared(run) => run(&place),
        }
    }
}

/// How long a closed loop of callers runs. Chosen: some hundred flushes at least.
pub(crate) const LOAD: Duration = Duration::from_millis(1_500);

/// All cases, in the order of the page about performance.
pub fn cases() -> Vec<Case> {
    let mut cases = [
        calls::CASES,
        turns::CASES,
        increments::CASES,
        sends::CASES,
        alarms::CASES,
        stored::CASES,
        ending::CASES,
        memory::CASES,
        offered::CASES,
        overload::CASES,
    ]
    .concat();
    cases.extend(growth::cases());
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn a_target_says_whether_it_is_reached() {
        let is_reached = |target, ours, baseline| {
            let case = Case::new("", "", "", |_| Err(BenchError::Unknown("nothing")));
            let pair = Pair::new(ours, baseline, Vec::new());
            Measured::new(&case.must_be(target), vec![pair]).is_reached()
        };
        assert_eq!(is_reached(Target::Least(0.5), 5.0, 10.0), Some(true));
        assert_eq!(is_reached(Target::Least(0.5), 4.9, 10.0), Some(false));
        assert_eq!(is_reached(Target::Most(3.0), 29.0, 10.0), Some(true));
        assert_eq!(is_reached(Target::Most(3.0), 31.0, 10.0), Some(false));
        assert_eq!(is_reached(Target::MostAbove(400.0), 600.0, 200.0), Some(true));
        assert_eq!(is_reached(Target::MostAbove(400.0), 700.0, 200.0), Some(false));
        assert_eq!(is_reached(Target::Within(1_000.0), 999.0, 1.0), Some(true));
        assert_eq!(is_reached(Target::Within(1_000.0), 1_001.0, 2_000.0), Some(false));
    }

    #[test]
    fn names_are_of_one_case_each() {
        let mut names: Vec<&str> = cases().iter().map(|case| case.name).collect();
        names.sort_unstable();
        let n = names.len();
        names.dedup();
        assert_eq!(names.len(), n);
        assert!(n >= 15, "{n}");
    }
}
