//! What a host counts while it works: figures for people, read by nothing that decides.
//!
//! Each thread that runs actors counts in a place of its own: one more is a load, an addition and
//! a store, without a lock and without a cache line that another thread writes. What is rare
//! (refusals, answers of performers, flushes, passes of sweeps) is counted where it happens. No
//! clock is read for it but for one turn in [`TURNS_PER_WATCH`]: how late an alarm was and how
//! long a flush took is known already.
//!
//! Nothing in here has an actor's name: there are as many numbers as a program has kinds and
//! sweeps, however many actors it has. What lies in the store is counted by
//! [`census`](crate::census), and how the engines stand at a moment is in
//! [`Figures`](crate::Figures).

mod histogram;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use sexton_core::{ActorId, Answer, ErrorKind, Kinds, Turned, What};

use crate::clock::Stopwatch;

pub use self::histogram::Histogram;
pub(crate) use self::histogram::{Buckets, EFFECT, FLUSH, GROUP, LATENESS, TURN};

/// Of so many turns of a thread the first is timed. Chosen: reading a clock twice costs about as
/// much as a twentieth of the smallest turn, and a sixty-fourth of that cannot be measured.
pub const TURNS_PER_WATCH: u64 = 64;
/// Stands for every kind that a host does not know.
pub const OTHER: &str = "other";

/// What a turn came of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Somebody outside asked.
    Request,
    /// Mail: of another actor, of a sweep, or of the runtime.
    Mail,
    /// An alarm rang.
    Deadline,
    /// A performer answered.
    Outcome,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 4] = [Self::Request, Self::Mail, Self::Deadline, Self::Outcome];

    /// Its name in figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Mail => "mail",
            Self::Deadline => "deadline",
            Self::Outcome => "outcome",
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Request => 0,
            Self::Mail => 1,
            Self::Deadline => 2,
            Self::Outcome => 3,
        }
    }
}

/// What happened, as events are counted: the names of [`What`]'s variants.
pub const EVENTS: [&str; 8] = [
    "created",
    "transition",
    "destroying",
    "destroyed",
    "stalled",
    "dead_letter",
    "abandoned",
    "fact",
];

fn event_index(what: &What) -> usize {
    match what {
        What::Created { .. } => 0,
        What::Transition { .. } => 1,
        What::Destroying { .. } => 2,
        What::Destroyed { .. } => 3,
        What::Stalled { .. } => 4,
        What::DeadLetter { .. } => 5,
        What::Abandoned { .. } => 6,
        What::Fact { .. } => 7,
    }
}

/// Why a request was not answered with a reply, as refusals are counted: the names of
/// [`ErrorKind`]'s variants.
pub const REASONS: [&str; 8] =
    ["not_found", "exists", "destroyed", "refused", "busy", "closed", "unconfirmed", "corrupt"];

fn reason_index(kind: ErrorKind) -> usize {
    match kind {
        ErrorKind::NotFound => 0,
        ErrorKind::Exists => 1,
        ErrorKind::Destroyed => 2,
        ErrorKind::Busy => 4,
        ErrorKind::Closed => 5,
        ErrorKind::Unconfirmed => 6,
        ErrorKind::Corrupt => 7,
        // A kind that a later core may have says no as well.
        ErrorKind::Refused | _ => 3,
    }
}

/// What a host has counted since it was opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    /// By kind, in order of their names; the last is [`OTHER`].
    pub kinds: Vec<KindTally>,
    /// By sweep, in order of their names.
    pub sweeps: Vec<SweepTally>,
    /// Turns that were made durable.
    pub commits: u64,
    /// How long flushes took.
    pub flush_time: Histogram,
    /// How many turns one flush made durable.
    pub group_size: Histogram,
    /// How long turns took, without their flush: of one turn in [`TURNS_PER_WATCH`].
    pub turn_time: Histogram,
    /// How late alarms rang.
    pub lateness: Histogram,
}

/// What a host has counted of a kind.
#[derive(Clone, Debug, PartialEq)]
pub struct KindTally {
    /// Its name.
    pub kind: &'static str,
    /// Turns by what they came of.
    pub turns: BTreeMap<Cause, Turns>,
    /// Events that were published, in the order of [`EVENTS`].
    pub events: [u64; 8],
    /// Requests without a reply, in the order of [`REASONS`].
    pub refusals: [u64; 8],
    /// Attempts at its effects, if it has a performer.
    pub effects: Option<EffectTally>,
}

/// How many turns there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// Those that committed something; an alarm that failed commits its back-off.
    pub committed: u64,
    /// Those that wrote nothing: a question, a refusal, a name without a life.
    pub unchanged: u64,
}

/// What a host has counted of the effects of a kind.
#[derive(Clone, Debug, PartialEq)]
pub struct EffectTally {
    /// Attempts that ended with done.
    pub done: u64,
    /// Attempts that may work later.
    pub transient: u64,
    /// Attempts that will not work.
    pub permanent: u64,
    /// Attempts that have begun, or wait for their performer, now.
    pub begun: u64,
    /// How long attempts took, without their wait for the performer.
    pub time: Histogram,
}

/// What a host has counted of a sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepTally {
    /// Its name.
    pub sweep: &'static str,
    /// Passes that were made.
    pub passes: u64,
    /// Passes that were due and not made.
    pub failures: u64,
    /// Rows that were looked at.
    pub examined: u64,
    /// Rows that could not be read, looked at or asked.
    pub passed_over: u64,
    /// Letters that were sent.
    pub asked: u64,
}

/// The kinds of a host, each with a number; the highest stands for every other.
#[derive(Debug)]
pub(crate) struct Names {
    kinds: Vec<&'static str>,
    /// What the ids of each begin with, in the same order.
    begins: Vec<String>,
}

impl Names {
    pub(crate) fn new(kinds: &Kinds) -> Self {
        Self::of(kinds.names().collect())
    }

    fn of(mut kinds: Vec<&'static str>) -> Self {
        kinds.sort_unstable();
        Self { begins: kinds.iter().map(|kind| format!("{kind}/")).collect(), kinds }
    }

    fn index(&self, kind: &str) -> usize {
        self.kinds.binary_search(&kind).unwrap_or(self.kinds.len())
    }

    fn all(&self) -> impl Iterator<Item = &'static str> {
        self.kinds.iter().copied().chain([OTHER])
    }
}

/// What one thread counts; nobody else writes it.
#[derive(Debug)]
pub(crate) struct ThreadTally {
    names: Arc<Names>,
    kinds: Box<[ThreadKind]>,
    /// The number of the kind that had the last turn: often that of the next.
    last: AtomicUsize,
    turns: AtomicU64,
    turn_time: Buckets,
    lateness: Buckets,
}

/// Begins at a cache line of its own, so that no other thread writes there.
#[derive(Debug, Default)]
#[repr(align(64))]
struct ThreadKind {
    /// By [`Cause`]; those that committed something, then those that did not.
    turns: [[AtomicU64; 2]; 4],
    events: [AtomicU64; 8],
}

/// One more, where nobody else writes: no other thread waits for the line.
fn bump(count: &AtomicU64) {
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

impl ThreadTally {
    fn new(names: &Arc<Names>) -> Self {
        Self {
            kinds: names.all().map(|_| ThreadKind::default()).collect(),
            names: Arc::clone(names),
            last: AtomicUsize::new(0),
            turns: AtomicU64::new(0),
            turn_time: Buckets::new(&TURN),
            lateness: Buckets::new(&LATENESS),
        }
    }

    fn kind(&self, actor: &ActorId) -> &ThreadKind {
        let last = self.last.load(Ordering::Relaxed);
        let is_of = |begin: &String| actor.as_str().as_bytes().starts_with(begin.as_bytes());
        if self.names.begins.get(last).is_some_and(is_of) {
            return &self.kinds[last];
        }
        let index = self.names.index(actor.kind());
        self.last.store(index, Ordering::Relaxed);
        &self.kinds[index]
    }

    /// A watch for the turn that begins, if it is to be timed.
    pub(crate) fn watch(&self) -> Option<Stopwatch> {
        let is_timed = self.turns.load(Ordering::Relaxed).is_multiple_of(TURNS_PER_WATCH);
        is_timed.then(Stopwatch::start)
    }

    /// Counts a turn.
    pub(crate) fn turn(&self, turned: &Turned, cause: Cause, watch: Option<Stopwatch>) {
        let Some((actor, _)) = &turned.label else { return };
        bump(&self.turns);
        let cause = match turned.lateness_ms {
            Some(lateness_ms) => {
                self.lateness.count(lateness_ms);
                Cause::Deadline
            }
            None => cause,
        };
        let turns = &self.kind(actor).turns[cause.index()];
        bump(&turns[usize::from(turned.batch.is_none())]);
        if let Some(watch) = watch {
            self.turn_time.count_time(watch.elapsed());
        }
    }

    /// Counts an event that is durable.
    pub(crate) fn event(&self, actor: &ActorId, what: &What) {
        bump(&self.kind(actor).events[event_index(what)]);
    }
}

/// What performers of a kind have answered.
#[derive(Debug)]
pub(crate) struct EffectCounts {
    begun: AtomicU64,
    answers: [AtomicU64; 3],
    time: Buckets,
}

impl Default for EffectCounts {
    fn default() -> Self {
        Self {
            begun: AtomicU64::new(0),
            answers: std::array::from_fn(|_| AtomicU64::new(0)),
            time: Buckets::new(&EFFECT),
        }
    }
}

impl EffectCounts {
    /// Counts an attempt that begins.
    pub(crate) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts how it ended.
    pub(crate) fn end(&self, answer: &Answer, watch: Stopwatch) {
        let index = match answer {
            Answer::Done(_) => 0,
            Answer::Transient(_) => 1,
            Answer::Permanent(_) => 2,
        };
        self.answers[index].fetch_add(1, Ordering::Relaxed);
        self.time.count_time(watch.elapsed());
    }

    pub(crate) fn read(&self) -> EffectTally {
        let [done, transient, permanent] =
            [0, 1, 2].map(|index: usize| self.answers[index].load(Ordering::Relaxed));
        let ended = done + transient + permanent;
        let begun = self.begun.load(Ordering::Relaxed).saturating_sub(ended);
        EffectTally { done, transient, permanent, begun, time: self.time.read() }
    }
}

/// What a sweep has done.
#[derive(Debug, Default)]
pub(crate) struct SweepCounts {
    passes: AtomicU64,
    failures: AtomicU64,
    examined: AtomicU64,
    passed_over: AtomicU64,
    asked: AtomicU64,
}

impl SweepCounts {
    /// Counts a pass: rows that it examined, rows that it passed over, letters.
    pub(crate) fn pass(&self, examined: u64, passed_over: u64, asked: usize) {
        self.passes.fetch_add(1, Ordering::Relaxed);
        self.examined.fetch_add(examined, Ordering::Relaxed);
        self.passed_over.fetch_add(passed_over, Ordering::Relaxed);
        self.ask(asked);
    }

    /// Counts letters.
    pub(crate) fn ask(&self, letters: usize) {
        let letters = u64::try_from(letters).unwrap_or(u64::MAX);
        self.asked.fetch_add(letters, Ordering::Relaxed);
    }

    /// Counts a pass that was due and not made.
    pub(crate) fn fail(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self, sweep: &'static str) -> SweepTally {
        let [passes, failures, examined, passed_over, asked] =
            [&self.passes, &self.failures, &self.examined, &self.passed_over, &self.asked]
                .map(|count| count.load(Ordering::Relaxed));
        SweepTally { sweep, passes, failures, examined, passed_over, asked }
    }
}

/// All that a host counts, but for what its performers and its committer know.
#[derive(Debug)]
pub(crate) struct Tallies {
    names: Arc<Names>,
    /// One a thread, in the order of their mailboxes.
    threads: Vec<ThreadTally>,
    /// By kind, in the order of [`REASONS`].
    refusals: Box<[[AtomicU64; 8]]>,
    sweeps: BTreeMap<&'static str, SweepCounts>,
}

impl Tallies {
    pub(crate) fn new(
        kinds: &Kinds,
        n_threads: usize,
        sweeps: impl Iterator<Item = &'static str>,
    ) -> Self {
        let names = Arc::new(Names::new(kinds));
        Self {
            threads: (0..n_threads).map(|_| ThreadTally::new(&names)).collect(),
            refusals: names.all().map(|_| std::array::from_fn(|_| AtomicU64::new(0))).collect(),
            sweeps: sweeps.map(|name| (name, SweepCounts::default())).collect(),
            names,
        }
    }

    /// Where a thread counts.
    pub(crate) fn thread(&self, index: usize) -> &ThreadTally {
        &self.threads[index]
    }

    /// Where a sweep is counted.
    pub(crate) fn sweep(&self, name: &str) -> Option<&SweepCounts> {
        self.sweeps.get(name)
    }

    /// Counts a request that has no reply.
    pub(crate) fn refuse(&self, kind: &str, why: ErrorKind) {
        let counts = &self.refusals[self.names.index(kind)];
        counts[reason_index(why)].fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted, with what performers and committer add.
    pub(crate) fn read(
        &self,
        commits: u64,
        flushes: (&Buckets, &Buckets),
        effects: impl Fn(&str) -> Option<EffectTally>,
    ) -> Tally {
        let (mut turn_time, mut lateness) = (Histogram::new(&TURN), Histogram::new(&LATENESS));
        for thread in &self.threads {
            turn_time.add(&thread.turn_time);
            lateness.add(&thread.lateness);
        }
        let kinds = self.names.all().enumerate();
        Tally {
            kinds: kinds.map(|(index, kind)| self.kind(index, kind, effects(kind))).collect(),
            sweeps: self.sweeps.iter().map(|(name, counts)| counts.read(name)).collect(),
            commits,
            flush_time: flushes.0.read(),
            group_size: flushes.1.read(),
            turn_time,
            lateness,
        }
    }

    fn kind(&self, index: usize, kind: &'static str, effects: Option<EffectTally>) -> KindTally {
        let of_threads = || self.threads.iter().map(|thread| &thread.kinds[index]);
        let total = |count: &dyn Fn(&ThreadKind) -> u64| of_threads().map(count).sum::<u64>();
        let turns = Cause::ALL.map(|cause| {
            let [committed, unchanged] = [0, 1].map(|which: usize| {
                total(&|it| it.turns[cause.index()][which].load(Ordering::Relaxed))
            });
            (cause, Turns { committed, unchanged })
        });
        let events = std::array::from_fn(|at| total(&|it| it.events[at].load(Ordering::Relaxed)));
        let refusals = std::array::from_fn(|at| self.refusals[index][at].load(Ordering::Relaxed));
        KindTally { kind, turns: turns.into(), events, refusals, effects }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen to fail: with kinds that were told by their own letters, without the slash behind them.
    #[test]
    fn a_kind_that_another_begins_with_is_counted_apart() {
        let names = Arc::new(Names::of(vec!["tasks", "task"]));
        let tally = ThreadTally::new(&names);
        let what = What::Fact { name: "seen".to_owned(), text: String::new() };
        for id in ["task/a", "tasks/a", "tasks/b", "ta/a"] {
            tally.event(&ActorId::parse(id).unwrap(), &what);
        }
        let facts = [0, 1, 2].map(|at: usize| tally.kinds[at].events[7].load(Ordering::Relaxed));
        assert_eq!(
            names.all().zip(facts).collect::<Vec<_>>(),
            [("task", 1), ("tasks", 2), (OTHER, 1)]
        );
    }
}
