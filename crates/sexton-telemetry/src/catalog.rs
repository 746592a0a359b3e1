//! Every metric: its name, what it is, and whose it is by its labels. `docs/observability.md` has the same
//! list with what to alert on.
//!
//! Labels are kinds, statuses, sweeps and words of this crate, and never an actor's name: a program
//! has as many series with ten million actors as with ten.

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Grows for as long as the host is open.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How often something was how large.
    Histogram,
}

impl Shape {
    /// Its name, as Prometheus has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, as Prometheus stores it; a histogram's without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// What it is.
    pub shape: Shape,
    /// What one of it is: seconds, bytes, or 1 for what is counted.
    pub unit: &'static str,
    /// What tells its series apart.
    pub labels: &'static [&'static str],
    /// What it says, in a sentence.
    pub help: &'static str,
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, shape: Shape::Counter, unit: "1", labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, shape: Shape::Gauge, unit: "1", labels, help }
}

const fn histogram(
    name: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, shape: Shape::Histogram, unit, labels, help }
}

/// Whether the host takes work.
pub const OPEN: Metric = gauge("sexton_open", &[], "1 while the host takes work, else 0");
/// Turns.
pub const TURNS: Metric =
    counter("sexton_turns_total", &["kind", "cause", "outcome"], "Turns that ended");
/// How long turns took.
pub const TURN_TIME: Metric = histogram(
    "sexton_turn_seconds",
    "seconds",
    &[],
    "How long a turn took without its flush, of one turn in 64",
);
/// Turns that were made durable.
pub const COMMITS: Metric = counter("sexton_commits_total", &[], "Turns that were made durable");
/// How long flushes took.
pub const FLUSH_TIME: Metric =
    histogram("sexton_flush_seconds", "seconds", &[], "How long a flush took");
/// How large groups were.
pub const GROUP_SIZE: Metric =
    histogram("sexton_flush_commits", "1", &[], "How many turns one flush made durable");
/// Requests without a reply.
pub const REFUSALS: Metric =
    counter("sexton_refusals_total", &["kind", "reason"], "Requests that have no reply");
/// Requests that wait.
pub const WAITING: Metric =
    gauge("sexton_mailbox_requests", &[], "Requests that were accepted and are not answered");
/// How full the fullest mailbox is.
pub const FULLNESS: Metric = gauge(
    "sexton_mailbox_fullness",
    &[],
    "How full the fullest mailbox is, from 0 to 1, where the next request is refused",
);
/// Mail.
pub const MAIL: Metric = gauge("sexton_mail_waiting", &[], "Mail that was sent and is not taken");
/// Alarms.
pub const ALARMS: Metric =
    gauge("sexton_alarms_armed", &[], "Alarms that are due within the hour, or overdue");
/// How late alarms rang.
pub const LATENESS: Metric =
    histogram("sexton_alarm_lateness_seconds", "seconds", &[], "How late an alarm rang");
/// Events.
pub const EVENTS: Metric =
    counter("sexton_events_total", &["kind", "event"], "Events that were published");
/// Attempts at effects.
pub const EFFECTS: Metric =
    counter("sexton_effects_total", &["kind", "outcome"], "Attempts at effects that ended");
/// Attempts that are under way.
pub const EFFECTS_BEGUN: Metric = gauge(
    "sexton_effects_begun",
    &["kind"],
    "Attempts at effects that are under way, or wait for their performer",
);
/// How long attempts took.
pub const EFFECT_TIME: Metric = histogram(
    "sexton_effect_seconds",
    "seconds",
    &["kind"],
    "How long an attempt at an effect took",
);
/// Actors that owe.
pub const DEBTORS: Metric = gauge("sexton_debtors", &[], "Actors that owe an effect");
/// Debts.
pub const DEBTS: Metric = gauge("sexton_debts", &["kind"], "Effects that are owed");
/// Old debts.
pub const DEBTS_OLDER: Metric = gauge(
    "sexton_debts_older",
    &["kind", "age"],
    "Effects that have been owed for longer than the age",
);
/// Actors in memory.
pub const LIVE: Metric = gauge("sexton_actors_live", &[], "Actors that are in memory");
/// Actors in the store only.
pub const DORMANT: Metric =
    gauge("sexton_actors_dormant", &[], "Living actors that lie in the store only");
/// Actors.
pub const ACTORS: Metric = gauge("sexton_actors", &["kind", "status"], "Living actors");
/// Stalled actors.
pub const STALLED: Metric =
    gauge("sexton_actors_stalled", &["kind"], "Living actors that make no progress");
/// What cannot be read.
pub const UNREADABLE: Metric =
    gauge("sexton_unreadable", &[], "Actors and mails that cannot be read and are set aside");
/// How old the count is.
pub const CENSUS_AGE: Metric = Metric {
    unit: "seconds",
    ..gauge("sexton_census_age_seconds", &[], "How long ago the count of the store began")
};
/// Passes of sweeps.
pub const SWEEP_PASSES: Metric =
    counter("sexton_sweep_passes_total", &["sweep", "outcome"], "Passes of a sweep");
/// Rows that sweeps looked at.
pub const SWEEP_EXAMINED: Metric =
    counter("sexton_sweep_examined_total", &["sweep"], "Rows that a sweep looked at");
/// Rows that sweeps passed over.
pub const SWEEP_PASSED_OVER: Metric = counter(
    "sexton_sweep_passed_over_total",
    &["sweep"],
    "Rows that a sweep could not read, judge or ask",
);
/// What sweeps found and asked.
pub const SWEEP_ASKED: Metric =
    counter("sexton_sweep_asked_total", &["sweep"], "Actors that a sweep found and asked to go");
/// The log of events.
pub const LOG: Metric = gauge("sexton_log_events", &[], "Events in the store's log");
/// The store.
pub const BYTES: Metric =
    Metric { unit: "bytes", ..gauge("sexton_store_bytes", &[], "Bytes that the store takes") };

/// Every metric, in the order in which they are read and listed.
pub const METRICS: &[Metric] = &[
    OPEN,
    TURNS,
    TURN_TIME,
    COMMITS,
    FLUSH_TIME,
    GROUP_SIZE,
    REFUSALS,
    WAITING,
    FULLNESS,
    MAIL,
    ALARMS,
    LATENESS,
    EVENTS,
    EFFECTS,
    EFFECTS_BEGUN,
    EFFECT_TIME,
    DEBTORS,
    DEBTS,
    DEBTS_OLDER,
    LIVE,
    DORMANT,
    ACTORS,
    STALLED,
    UNREADABLE,
    CENSUS_AGE,
    SWEEP_PASSES,
    SWEEP_EXAMINED,
    SWEEP_PASSED_OVER,
    SWEEP_ASKED,
    LOG,
    BYTES,
];
