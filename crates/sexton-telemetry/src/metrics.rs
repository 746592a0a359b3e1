//! A host's figures as metrics, in no format yet.

use std::fmt;
use std::time::Duration;

use sexton::census::Counted;
use sexton::clock::{Clock, WallClock};
use sexton::tally::{self, EffectTally, Histogram, KindTally, OTHER, SweepTally, Tally};
use sexton::{Census, Figures, Host, Timestamp};
use tokio::sync::Mutex;

use crate::catalog::{self, Metric};

/// How many records one reading counts at most, unless another number is chosen.
///
/// Chosen: some tens of milliseconds on a thread that runs no actor. A store with fewer rows and
/// debts is counted at every reading; a larger one takes several, and
/// [`CENSUS_AGE`](catalog::CENSUS_AGE) says how old the count is.
pub const RECORDS_MAX: usize = 10_000;
/// What an age is called, in the order of [`AGES`](sexton::census::AGES).
const AGE_NAMES: [&str; 4] = ["1m", "10m", "1h", "1d"];

/// The metrics of a host; reads it when somebody asks.
///
/// Keeps its host open, as a clone of the host would.
pub struct Metrics {
    host: Host,
    /// By the wall clock: what a receiver compares.
    began_at: Timestamp,
    records_max: usize,
    census: Mutex<Census>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("host", &self.host).finish_non_exhaustive()
    }
}

/// All series of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Which metric.
    pub metric: Metric,
    /// Its series; none if there is nothing to say.
    pub points: Vec<Point>,
}

/// One series of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// A value for each of the metric's labels.
    pub labels: Vec<(&'static str, String)>,
    /// How it stands.
    pub value: Value,
}

/// How a series stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a counter.
    Count(u64),
    /// Of a gauge.
    Level(f64),
    /// Of a histogram.
    Histogram(Histogram),
}

impl Metrics {
    /// The metrics of a host from here on.
    pub fn new(host: &Host) -> Self {
        Self {
            host: host.clone(),
            began_at: WallClock.now(),
            records_max: RECORDS_MAX,
            census: Mutex::default(),
        }
    }

    /// The same with another bound for what one reading counts in the store.
    pub fn records_max(self, records_max: usize) -> Self {
        Self { records_max, ..self }
    }

    /// Since when.
    #[cfg_attr(not(feature = "opentelemetry"), expect(dead_code, reason = "for what is pushed"))]
    pub(crate) fn began_at(&self) -> Timestamp {
        self.began_at
    }

    /// Whether the host takes work.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn is_open(&self) -> bool {
        self.host.figures().await.is_ok()
    }

    /// Reads the host, in the order of [`METRICS`](catalog::METRICS).
    ///
    /// Always answers: of a host that is closed, or whose store failed, only what it counted is left, and
    /// [`OPEN`](catalog::OPEN) is 0. It waits for the threads that run actors, so a handler that holds one up
    /// holds this up too.
    ///
    /// What it costs: a message to each thread, and on the thread of questions a count of at most
    /// [`RECORDS_MAX`] records, with a look into each shard for debts where that comes to them.
    ///
    /// # Cancel safety
    ///
    /// What it had counted of the store is counted again.
    pub async fn read(&self) -> Vec<Family> {
        let (figures, tally) = (self.host.figures().await.ok(), self.host.tally());
        let mut census = self.census.lock().await;
        // A host that is busy or closed leaves what was counted before.
        if let Ok(counted) = self.host.count(census.clone(), self.records_max).await {
            *census = counted;
        }
        let counted = census.whole().filter(|_| figures.is_some());
        let mut families: Vec<Family> = Vec::with_capacity(catalog::METRICS.len());
        for metric in catalog::METRICS {
            let mut family = Family { metric: *metric, points: Vec::new() };
            family.count(&tally);
            if let Some(figures) = &figures {
                family.level(figures, &self.host);
            }
            if let Some(counted) = counted {
                let live = figures.map_or(0, |figures| figures.live);
                family.census(counted, (&tally, live), self.host.now());
            }
            families.push(family);
        }
        if let Some(open) = families.iter_mut().find(|it| it.metric == catalog::OPEN) {
            open.add(&[], Value::Level(if figures.is_some() { 1.0 } else { 0.0 }));
        }
        families
    }
}

impl Family {
    /// Adds a series; `values` are those of the metric's labels.
    fn add(&mut self, values: &[&str], value: Value) {
        assert_eq!(values.len(), self.metric.labels.len(), "labels of {}", self.metric.name);
        let labels = self.metric.labels.iter().zip(values);
        let labels = labels.map(|(label, value)| (*label, (*value).to_owned())).collect();
        self.points.push(Point { labels, value });
    }

    fn count_of(&mut self, values: &[&str], count: u64) {
        self.add(values, Value::Count(count));
    }

    fn level_of(&mut self, values: &[&str], level: u64) {
        self.add(values, Value::Level(float(level)));
    }

    /// What was counted while the host worked.
    fn count(&mut self, tally: &Tally) {
        let histogram = match self.metric {
            catalog::TURN_TIME => Some(&tally.turn_time),
            catalog::FLUSH_TIME => Some(&tally.flush_time),
            catalog::GROUP_SIZE => Some(&tally.group_size),
            catalog::LATENESS => Some(&tally.lateness),
            _ => None,
        };
        if let Some(histogram) = histogram {
            self.add(&[], Value::Histogram(histogram.clone()));
        }
        if self.metric == catalog::COMMITS {
            self.count_of(&[], tally.commits);
        }
        for kind in &tally.kinds {
            self.kind(kind);
            if let Some(effects) = &kind.effects {
                self.effects(kind.kind, effects);
            }
        }
        for sweep in &tally.sweeps {
            self.sweep(sweep);
        }
    }

    /// What a kind did: series of what never happened are left out.
    fn kind(&mut self, tally: &KindTally) {
        let kind = tally.kind;
        match self.metric {
            catalog::TURNS => {
                for (cause, turns) in &tally.turns {
                    self.count_if_any(&[kind, cause.name(), "committed"], turns.committed);
                    self.count_if_any(&[kind, cause.name(), "unchanged"], turns.unchanged);
                }
            }
            catalog::EVENTS => {
                for (event, count) in tally::EVENTS.into_iter().zip(tally.events) {
                    self.count_if_any(&[kind, event], count);
                }
            }
            catalog::REFUSALS => {
                for (reason, count) in tally::REASONS.into_iter().zip(tally.refusals) {
                    self.count_if_any(&[kind, reason], count);
                }
            }
            _ => {}
        }
    }

    fn count_if_any(&mut self, values: &[&str], count: u64) {
        if count > 0 {
            self.count_of(values, count);
        }
    }

    fn effects(&mut self, kind: &str, tally: &EffectTally) {
        match self.metric {
            catalog::EFFECTS => {
                self.count_of(&[kind, "done"], tally.done);
                self.count_of(&[kind, "transient"], tally.transient);
                self.count_of(&[kind, "permanent"], tally.permanent);
            }
            catalog::EFFECTS_BEGUN => self.level_of(&[kind], tally.begun),
            catalog::EFFECT_TIME => self.add(&[kind], Value::Histogram(tally.time.clone())),
            _ => {}
        }
    }

    fn sweep(&mut self, tally: &SweepTally) {
        let sweep = tally.sweep;
        match self.metric {
            catalog::SWEEP_PASSES => {
                self.count_of(&[sweep, "made"], tally.passes);
                self.count_of(&[sweep, "failed"], tally.failures);
            }
            catalog::SWEEP_EXAMINED => self.count_of(&[sweep], tally.examined),
            catalog::SWEEP_PASSED_OVER => self.count_of(&[sweep], tally.passed_over),
            catalog::SWEEP_ASKED => self.count_of(&[sweep], tally.asked),
            _ => {}
        }
    }

    /// How the engines and the store stand.
    fn level(&mut self, figures: &Figures, host: &Host) {
        let level = match self.metric {
            catalog::WAITING => figures.waiting,
            catalog::MAIL => figures.mail,
            catalog::ALARMS => figures.alarms,
            catalog::DEBTORS => figures.debtors,
            catalog::LIVE => figures.live,
            catalog::UNREADABLE => figures.unreadable,
            catalog::FULLNESS => {
                let permille = u64::try_from(figures.fullest_permille).unwrap_or(u64::MAX);
                return self.add(&[], Value::Level(float(permille) / 1_000.0));
            }
            catalog::BYTES => return self.level_of(&[], host.store().figures().bytes),
            catalog::LOG => {
                if let Ok(bounds) = host.store().log() {
                    self.level_of(&[], bounds.end.0.saturating_sub(bounds.begin.0));
                }
                return;
            }
            _ => return,
        };
        self.level_of(&[], u64::try_from(level).unwrap_or(u64::MAX));
    }

    /// What lies in the store.
    fn census(&mut self, counted: &Counted, host: (&Tally, usize), now: Timestamp) {
        let (tally, live) = host;
        let kinds = tally.kinds.iter().map(|it| it.kind).filter(|kind| *kind != OTHER);
        match self.metric {
            catalog::ACTORS => {
                for ((kind, status), actors) in &counted.actors {
                    self.level_of(&[kind, status], *actors);
                }
            }
            catalog::DORMANT => {
                let live = u64::try_from(live).unwrap_or(u64::MAX);
                self.level_of(&[], counted.actors.values().sum::<u64>().saturating_sub(live));
            }
            catalog::STALLED => kinds.for_each(|kind| {
                self.level_of(&[kind], counted.stalled.get(kind).copied().unwrap_or(0));
            }),
            catalog::DEBTS => kinds.for_each(|kind| {
                self.level_of(&[kind], counted.debts.get(kind).map_or(0, |debts| debts.total));
            }),
            catalog::DEBTS_OLDER => kinds.for_each(|kind| {
                let older = counted.debts.get(kind).map_or([0; 4], |debts| debts.older);
                for (age, debts) in AGE_NAMES.into_iter().zip(older) {
                    self.level_of(&[kind, age], debts);
                }
            }),
            catalog::CENSUS_AGE => {
                let age = now.since(counted.began_at).as_secs_f64();
                self.add(&[], Value::Level(age));
            }
            _ => {}
        }
    }
}

/// A count as a float: exact as far as that is.
fn float(count: u64) -> f64 {
    Duration::from_secs(count).as_secs_f64()
}
