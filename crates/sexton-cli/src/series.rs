//! What the plots show: a run over virtual time, in bounded memory whatever its length.
//!
//! A [`Sampler`] is told of every change. It adds up machine-hours exactly, keeps at most
//! [`POINTS_MAX`] points and buckets of alarms, and whenever it has too many it halves its
//! resolution: neighbours become one, of which the fuller one stays, so a peak is never lost.

use std::collections::BTreeMap;

use crate::figures::{float, float_signed};

/// The most points, and the most buckets of alarms. Chosen: twice the pixels of a plot.
pub const POINTS_MAX: usize = 2_000;
/// Stretches of time that people have words for, in milliseconds, each a multiple of the one
/// before: 1 and 10 seconds; 1, 5, 15 and 30 minutes; 1, 2, 6 and 12 hours; a day.
const STRETCHES_MS: [i64; 11] = [
    1_000, 10_000, 60_000, 300_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000,
    43_200_000, 86_400_000,
];
/// Milliseconds in an hour.
const HOUR_MS: f64 = 3_600_000.0;

/// How things stand at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// Virtual milliseconds since the trace began.
    pub at_ms: i64,
    /// How many machines have each status; only statuses that are worth a colour.
    pub machines_by_status: &'a BTreeMap<String, u64>,
    /// Machines that somebody uses now.
    pub busy_machines: u64,
    /// Machines that somebody pays for at this moment.
    pub paid_machines: u64,
    /// What everything has cost so far.
    pub cost: f64,
}

/// How things stood at one moment, and what had added up until then.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Virtual milliseconds since the trace began.
    pub at_ms: i64,
    /// How many machines had each status.
    pub machines_by_status: BTreeMap<String, u64>,
    /// Machines in use.
    pub busy_machines: u64,
    /// Machines paid for.
    pub paid_machines: u64,
    /// Machine-hours in use until now.
    pub busy_hours: f64,
    /// Machine-hours paid for until now.
    pub paid_hours: f64,
    /// Cost until now.
    pub cost: f64,
}

impl Point {
    /// All machines, whatever their status.
    pub fn machines(&self) -> u64 {
        self.machines_by_status.values().sum()
    }
}

/// Alarms that rang within one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarms {
    /// When the stretch begins, in virtual milliseconds.
    pub from_ms: i64,
    /// How many rang in it.
    pub count: u64,
    /// How late the latest of them was, in milliseconds.
    pub lateness_ms_max: u64,
}

/// A whole run, ready to be plotted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// In order of time; the last is the end of the run.
    pub points: Vec<Point>,
    /// In order of time; stretches without an alarm are left out.
    pub alarms: Vec<Alarms>,
    /// The length of a stretch of [`Self::alarms`], in milliseconds.
    pub alarms_every_ms: i64,
}

/// Takes in a run and keeps what a plot can show of it.
#[derive(Clone, Debug)]
pub struct Sampler {
    points: Vec<Point>,
    points_every_ms: i64,
    alarms: Vec<Alarms>,
    alarms_every_ms: i64,
    /// What was true since the last sample: time, machines in use, machines paid for.
    since: Option<(i64, u64, u64)>,
    busy_hours: f64,
    paid_hours: f64,
}

impl Default for Sampler {
    fn default() -> Self {
        Self::new()
    }
}

impl Sampler {
    /// A sampler that knows nothing yet.
    pub const fn new() -> Self {
        Self {
            points: Vec::new(),
            points_every_ms: 1,
            alarms: Vec::new(),
            alarms_every_ms: STRETCHES_MS[0],
            since: None,
            busy_hours: 0.0,
            paid_hours: 0.0,
        }
    }

    /// Takes in how things stand from now on; to be called after every change.
    ///
    /// A time before the last one counts as the last one.
    pub fn record(&mut self, sample: Sample<'_>) {
        let at_ms = self.advance(&sample);
        let every_ms = self.points_every_ms;
        let machines: u64 = sample.machines_by_status.values().sum();
        match self.points.last() {
            Some(last) if last.at_ms / every_ms != at_ms / every_ms => {
                self.points.push(self.point(at_ms, &sample));
            }
            // In one stretch the fuller moment stays; at one instant the last word counts.
            Some(last) if last.at_ms != at_ms && machines < last.machines() => return,
            Some(_) => {
                self.points.pop();
                self.points.push(self.point(at_ms, &sample));
            }
            None => self.points.push(self.point(at_ms, &sample)),
        }
        while self.points.len() > POINTS_MAX {
            self.points_every_ms = self.points_every_ms.saturating_mul(2);
            halve(&mut self.points, self.points_every_ms);
        }
    }

    /// Takes in an alarm that rang `lateness_ms` after its moment.
    pub fn alarm(&mut self, at_ms: i64, lateness_ms: u64) {
        let from_ms = at_ms - at_ms.rem_euclid(self.alarms_every_ms);
        match self.alarms.last_mut() {
            Some(last) if last.from_ms >= from_ms => {
                last.count += 1;
                last.lateness_ms_max = last.lateness_ms_max.max(lateness_ms);
            }
            Some(_) | None => {
                self.alarms.push(Alarms { from_ms, count: 1, lateness_ms_max: lateness_ms });
            }
        }
        while self.alarms.len() > POINTS_MAX {
            self.alarms_every_ms = coarser(self.alarms_every_ms);
            self.alarms = regroup(&self.alarms, self.alarms_every_ms);
        }
    }

    /// Machine-hours in use until the last sample.
    pub const fn busy_hours(&self) -> f64 {
        self.busy_hours
    }

    /// Machine-hours paid for until the last sample.
    pub const fn paid_hours(&self) -> f64 {
        self.paid_hours
    }

    /// Takes in how things stand at the end, and gives the series; the end is always in it.
    pub fn finish(mut self, last: Sample<'_>) -> Series {
        let at_ms = self.advance(&last);
        let end = self.point(at_ms, &last);
        self.points.retain(|point| point.at_ms < at_ms);
        self.points.push(end);
        Series { points: self.points, alarms: self.alarms, alarms_every_ms: self.alarms_every_ms }
    }

    /// Adds up the hours since the last sample, and gives the time of this one.
    fn advance(&mut self, sample: &Sample<'_>) -> i64 {
        let at_ms = match self.since {
            Some((since_ms, busy, paid)) => {
                let at_ms = sample.at_ms.max(since_ms);
                let hours = float_signed(at_ms - since_ms) / HOUR_MS;
                self.busy_hours += hours * float(busy);
                self.paid_hours += hours * float(paid);
                at_ms
            }
            None => sample.at_ms.max(0),
        };
        self.since = Some((at_ms, sample.busy_machines, sample.paid_machines));
        at_ms
    }

    fn point(&self, at_ms: i64, sample: &Sample<'_>) -> Point {
        Point {
            at_ms,
            machines_by_status: sample.machines_by_status.clone(),
            busy_machines: sample.busy_machines,
            paid_machines: sample.paid_machines,
            busy_hours: self.busy_hours,
            paid_hours: self.paid_hours,
            cost: sample.cost,
        }
    }
}

/// Keeps the fullest point of each stretch, of equally full ones the last.
fn halve(points: &mut Vec<Point>, every_ms: i64) {
    points.dedup_by(|later, kept| {
        let is_one_stretch = later.at_ms / every_ms == kept.at_ms / every_ms;
        if is_one_stretch && later.machines() >= kept.machines() {
            std::mem::swap(later, kept);
        }
        is_one_stretch
    });
}

/// The next longer stretch; it holds a whole number of the shorter ones.
pub(crate) fn coarser(every_ms: i64) -> i64 {
    let longer = STRETCHES_MS.iter().copied().find(|&it| it > every_ms);
    longer.unwrap_or_else(|| every_ms.saturating_mul(2))
}

/// Puts alarms into longer stretches.
pub(crate) fn regroup(alarms: &[Alarms], every_ms: i64) -> Vec<Alarms> {
    let mut groups: Vec<Alarms> = Vec::new();
    for alarm in alarms {
        let from_ms = alarm.from_ms - alarm.from_ms.rem_euclid(every_ms);
        match groups.last_mut() {
            Some(group) if group.from_ms == from_ms => {
                group.count += alarm.count;
                group.lateness_ms_max = group.lateness_ms_max.max(alarm.lateness_ms_max);
            }
            Some(_) | None => groups.push(Alarms { from_ms, ..*alarm }),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machines(count: u64) -> BTreeMap<String, u64> {
        BTreeMap::from([("ready".to_owned(), count)])
    }

    fn sample(at_ms: i64, by_status: &BTreeMap<String, u64>) -> Sample<'_> {
        let count = by_status.values().sum();
        Sample {
            at_ms,
            machines_by_status: by_status,
            busy_machines: count / 2,
            paid_machines: count,
            cost: float_signed(at_ms),
        }
    }

    #[test]
    fn a_long_run_keeps_few_points_its_peak_its_end_and_exact_hours() {
        let mut sampler = Sampler::new();
        let (usual, peak) = (machines(4), machines(9_000));
        for hour in 0..100_000_i64 {
            let by_status = if hour == 77_777 { &peak } else { &usual };
            sampler.record(sample(hour * 3_600_000, by_status));
            assert!(sampler.points.len() <= POINTS_MAX);
        }
        let series = sampler.finish(sample(100_000 * 3_600_000, &machines(0)));
        assert!((500..=POINTS_MAX + 1).contains(&series.points.len()));
        assert_eq!(series.points.iter().map(Point::machines).max(), Some(9_000));
        let last = series.points.last().unwrap();
        assert_eq!((last.at_ms, last.machines()), (360_000_000_000, 0));
        assert!((last.paid_hours - (99_999.0 * 4.0 + 9_000.0)).abs() < 1e-3);
        assert!((last.busy_hours - (99_999.0 * 2.0 + 4_500.0)).abs() < 1e-3);
        assert!(series.points.windows(2).all(|it| it[0].at_ms < it[1].at_ms));
        assert!(series.points.windows(2).all(|it| it[0].paid_hours <= it[1].paid_hours));
    }

    #[test]
    fn few_changes_are_all_kept_and_an_instant_has_one_point() {
        let mut sampler = Sampler::new();
        for (at_ms, count) in [(0, 1), (0, 5), (0, 3), (10, 2), (86_400_000, 0)] {
            sampler.record(sample(at_ms, &machines(count)));
        }
        let series = sampler.finish(sample(86_400_000, &machines(0)));
        let kept: Vec<_> = series.points.iter().map(|it| (it.at_ms, it.machines())).collect();
        assert_eq!(kept, [(0, 3), (10, 2), (86_400_000, 0)]);
    }

    #[test]
    fn alarms_are_counted_whatever_the_resolution() {
        let mut sampler = Sampler::new();
        for second in 0..50_000_u32 {
            sampler.alarm(i64::from(second) * 1_000, u64::from(second == 33_333) * 250);
        }
        let series = sampler.finish(sample(60_000_000, &machines(0)));
        assert!(series.alarms.len() <= POINTS_MAX && series.alarms.len() > 100);
        assert_eq!(series.alarms.iter().map(|it| it.count).sum::<u64>(), 50_000);
        assert_eq!(series.alarms.iter().map(|it| it.lateness_ms_max).max(), Some(250));
        let every_ms = series.alarms_every_ms;
        assert!(series.alarms.iter().all(|it| it.from_ms % every_ms == 0));
    }

    #[test]
    fn a_run_without_anything_has_its_end_only() {
        let series = Sampler::new().finish(sample(7, &BTreeMap::new()));
        assert_eq!((series.points.len(), series.alarms.len()), (1, 0));
    }
}
