//! The same tree with the real engine: what it makes of every state in which a store can be.
//!
//! A state is what a store holds, and what is under way outside. Each step takes up the store with
//! a new `Engine`, as after a crash, has it do one thing, and keeps what it wrote: since each
//! stage of a destroy *is* the committed state, nothing else can matter. An engine here has the
//! shard of one actor, so that no actor's turn waits for another's: mail of different senders is
//! taken in any order, and that of one sender in its own.
//!
//! What was written is there for the next turn at once, and durable with the next flush; a crash
//! before that takes it back. Effects begin when their debt is durable. A transient or permanent
//! failure leaves the debt, a lost answer too, and time passes once: to the one deadline.
//! Requests come at any time, also when it is too late for them.
//!
//! Seen to fail with the engine broken on purpose: which breakages, stands in `runtime`. What is
//! always in the test is a store that breaks its word.

mod node;
mod records;
mod runtime;
mod steps;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use sexton::key::{self, Parsed};
use sexton::{ActorId, Entry, Timestamp, audit, codec};

use self::node::{Work, id, kinds};
use self::records::{EARLY, Records, is_note};
use crate::checking::Story;

const ROOT: usize = 0;
const CHILD: usize = 1;
const GRAND: usize = 2;
const LATE: usize = 3;
const NAMES: [&str; 4] = ["root", "child", "grand", "late"];

/// When `late` goes by itself.
const DEADLINE: Timestamp = Timestamp::from_millis(601_000);

/// The runtime, what is wrong with its store, what may be wanted of it, and what is to be seen.
#[derive(Clone, Copy, Debug)]
struct Runtime(Fault, &'static [Wish], &'static [&'static str]);

/// What is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// The store loses every link from a parent to a child.
    LosesLinks,
    /// The store keeps of a batch only what is of the batch's own shard.
    TornBatch,
    /// A crash takes back what the last flush made durable, too.
    DropsFlushed,
    /// Effects begin before their debt is durable.
    NoGate,
}

/// What a store holds, and what of its log is asked for.
#[derive(Clone, Debug)]
struct Content {
    records: Records,
    digest: u64,
    /// Notes that were taken, and that became dead letters.
    noted: u8,
    dead: u8,
    /// Wishes that were granted, a bit each.
    granted: u16,
    seen: Seen,
}

/// What can be read off the records, so that it is read once.
#[derive(Clone, Debug, Default)]
struct Seen {
    lives: [Life; 4],
    /// The first debt of each.
    debts: [Option<u64>; 4],
    /// Whose mail lies with each, the sender's number; each sender once.
    senders: [Vec<usize>; 4],
    notes: u8,
    is_linked: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Life {
    #[default]
    Nothing,
    Alive {
        parent: Option<usize>,
        going: Going,
        alarm: Option<Timestamp>,
    },
    Tombstone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Going {
    No,
    Yes,
}

#[derive(Clone, Debug, PartialEq, Hash)]
struct State {
    /// What a crash leaves.
    durable: Arc<Content>,
    /// What was written since the last flush.
    written: Option<Arc<Content>>,
    /// What was durable before the last flush, for a store that forgets it.
    before: Option<Arc<Content>>,
    /// What is there outside.
    outside: [bool; 4],
    /// What performers are about to say of which effect.
    answers: [Option<(u64, Said)>; 4],
    now: i64,
    /// Whether somebody was told that the root goes.
    is_told: bool,
    /// Who ever had a durable tombstone.
    buried: [bool; 4],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Said {
    Done,
    Transient,
    Permanent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    BegetChild,
    BegetChildAgain,
    BegetGrand,
    BegetLate,
    CreateRoot,
    CreateLate,
    Note,
    DestroyRoot,
    DestroyChild,
    DestroyLate,
}

const WISHES: [Wish; 10] = [
    Wish::BegetChild,
    Wish::BegetChildAgain,
    Wish::BegetGrand,
    Wish::BegetLate,
    Wish::CreateRoot,
    Wish::CreateLate,
    Wish::Note,
    Wish::DestroyRoot,
    Wish::DestroyChild,
    Wish::DestroyLate,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Wish(Wish),
    /// Whose turn, and whose mail.
    Take(&'static str, &'static str),
    Ring(&'static str),
    Begin(&'static str, Said),
    /// It is done, and nobody hears of it.
    BeginUnheard(&'static str),
    Answer(&'static str),
    Flush,
    /// With what was written, or without.
    Crash {
        is_kept: bool,
    },
    Wait,
}

const AUDIT: &str = "the audit finds nothing";
const NO_RESURRECTION: &str = "nothing lives after its tombstone";
const NO_ORPHAN: &str = "no child outlives its parent's tombstone";
const NO_DEBT: &str = "a tombstone owes nothing and leaves nothing outside";
const LETTERS: &str = "a message is taken once or is a dead letter";
const KEPT: &str = "what was told is kept";
const ENDS: &str = "where nothing more happens, all that is to go is gone";

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts() && self.records == other.records
    }
}

impl Hash for Content {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl Content {
    fn parts(&self) -> (u64, u8, u8, u16) {
        (self.digest, self.noted, self.dead, self.granted)
    }

    fn new(records: Records, before: Option<&Self>) -> Self {
        let (digest, seen) = (records.digest(), Seen::of(&records));
        let (noted, dead, granted) = before.map_or((0, 0, 0), |it| (it.noted, it.dead, it.granted));
        Self { records, digest, noted, dead, granted, seen }
    }

    /// Whether the root is to go, and whether nothing of its tree is left.
    fn end(&self) -> (bool, bool) {
        let root = self.seen.lives[ROOT];
        let is_buried = root == Life::Tombstone;
        let is_child = |life: &Life| matches!(life, Life::Alive { parent: Some(_), .. });
        let is_left = self.seen.lives.iter().any(is_child)
            || self.seen.senders.iter().any(|it| !it.is_empty())
            || self.seen.is_linked;
        (is_buried || root.is_going(), is_buried && !is_left)
    }
}

impl Life {
    fn is_going(self) -> bool {
        matches!(self, Self::Alive { going: Going::Yes, .. })
    }

    fn alarm(self) -> Option<Timestamp> {
        match self {
            Self::Alive { alarm, .. } => alarm,
            Self::Nothing | Self::Tombstone => None,
        }
    }
}

impl Seen {
    fn of(records: &Records) -> Self {
        let mut seen = Self::default();
        for (at, name) in NAMES.iter().enumerate() {
            let id = id(name);
            seen.lives[at] = match records.get(&key::actor(&id)) {
                None => Life::Nothing,
                Some(bytes) => match codec::open(bytes).expect("an entry") {
                    Entry::Tombstone(_) => Life::Tombstone,
                    Entry::Alive(record) => Life::Alive {
                        parent: record.parent.map(|parent| number(&parent.id)),
                        going: if record.destruction.is_some() { Going::Yes } else { Going::No },
                        alarm: record.alarm,
                    },
                },
            };
            let first = records.under(&key::debts(&id)).next();
            seen.debts[at] = first.and_then(|(key, _)| match key::parse(key) {
                Some(Parsed::Debt(_, number)) => Some(number),
                _ => None,
            });
            for (shard, mail) in records.mail(&id) {
                let sender = NAMES.iter().position(|name| node::id(name).shard() == shard);
                let sender = sender.expect("a sender of the story");
                if seen.senders[at].last() != Some(&sender) {
                    seen.senders[at].push(sender);
                }
                seen.notes += u8::from(is_note(&mail));
            }
            seen.is_linked |= records.under(&key::children(&id)).next().is_some();
        }
        seen
    }
}

fn number(id: &ActorId) -> usize {
    NAMES.iter().position(|name| *name == id.name()).expect("an actor of the story")
}

fn at(name: &str) -> usize {
    NAMES.iter().position(|it| *it == name).expect("an actor of the story")
}

impl State {
    fn latest(&self) -> &Content {
        self.written.as_ref().unwrap_or(&self.durable)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    /// The same, with one more batch written.
    fn with(&self, content: Option<Content>) -> Option<Self> {
        content.map(|it| Self { written: Some(Arc::new(it)), ..self.clone() })
    }
}

impl Story for Runtime {
    type State = State;
    type Action = Action;
    const PROMISES: &'static [&'static str] =
        &[AUDIT, NO_RESURRECTION, NO_ORPHAN, NO_DEBT, LETTERS, KEPT, ENDS];

    fn sights(&self) -> &'static [&'static str] {
        self.2
    }

    fn start(&self) -> State {
        State {
            durable: Arc::new(self.first()),
            written: None,
            before: None,
            outside: [false; 4],
            answers: [None; 4],
            now: EARLY.as_millis(),
            is_told: false,
            buried: [false; 4],
        }
    }

    fn actions(&self, state: &State) -> Vec<Action> {
        let mut actions = self.own_actions(state);
        if state.written.is_none() {
            actions.extend(state.wishes(self.1));
        }
        for (actor, name) in NAMES.into_iter().enumerate() {
            if self.may_begin(state, actor) {
                let fail = [Said::Transient, Said::Permanent].map(|said| Action::Begin(name, said));
                actions.extend(fail);
                actions.push(Action::BeginUnheard(name));
            }
        }
        let is_underway = state.answers.iter().any(Option::is_some);
        if state.written.is_some() {
            actions.push(Action::Crash { is_kept: true });
        }
        if state.written.is_some() || is_underway || state.before.is_some() {
            actions.push(Action::Crash { is_kept: false });
        }
        actions
    }

    fn next(&self, state: &State, action: &Action) -> Option<State> {
        match *action {
            Action::Wish(wish) => state.with(self.wish(state, wish)),
            Action::Take(name, from) => state.with(self.take(state, at(name), at(from))),
            Action::Ring(name) => state.with(self.ring(state, at(name))),
            Action::Begin(name, said) => Self::begin(state, at(name), Some(said)),
            Action::BeginUnheard(name) => Self::begin(state, at(name), None),
            Action::Answer(name) => {
                let actor = at(name);
                let content = self.answer(state, actor, state.answers[actor]?);
                let mut next = state.with(content).unwrap_or_else(|| state.clone());
                next.answers[actor] = None;
                Some(next)
            }
            Action::Flush => Some(self.flush(state)),
            Action::Crash { is_kept } => {
                let mut next = if is_kept { self.flush(state) } else { state.clone() };
                next.is_told &= state.is_told;
                next.durable = next.before.take().filter(|_| !is_kept).unwrap_or(next.durable);
                next.written = None;
                next.answers = [None; 4];
                Some(next)
            }
            Action::Wait => Some(State { now: DEADLINE.as_millis(), ..state.clone() }),
        }
    }

    fn say(&self, _state: &State, action: &Action) -> String {
        match action {
            Action::Wish(wish) => format!("{wish:?}"),
            Action::Take(name, from) if name == from => format!("{name} takes its mail"),
            Action::Take(name, from) => format!("{name} takes mail of {from}"),
            Action::Ring(name) => format!("{name} rings"),
            Action::Begin(name, said) => format!("{name} is served: {said:?}"),
            Action::BeginUnheard(name) => format!("{name} is served and not answered"),
            Action::Answer(name) => format!("{name} is answered"),
            Action::Flush => "flush".to_owned(),
            Action::Crash { is_kept: true } => "crash, and what was written is kept".to_owned(),
            Action::Crash { is_kept: false } => "crash".to_owned(),
            Action::Wait => "time passes".to_owned(),
        }
    }

    fn why(&self, promise: &str, state: &State) -> String {
        let found = audit::audit(&state.latest().records, &kinds(), 20).expect("it can be read");
        let found = found.iter().filter(|_| promise == AUDIT).map(ToString::to_string);
        found.collect::<Vec<_>>().join("\n")
    }

    fn keeps(&self, promise: &str, state: &State) -> bool {
        let (latest, durable) = (state.latest(), &state.durable.seen.lives);
        let lives = &latest.seen.lives;
        let mut all = 0..NAMES.len();
        let (is_to_end, is_over) = latest.end();
        match promise {
            AUDIT => {
                let broken = audit::audit(&latest.records, &kinds(), 20).expect("it can be read");
                broken.is_empty()
            }
            NO_RESURRECTION => all.all(|it| !state.buried[it] || lives[it] == Life::Tombstone),
            NO_ORPHAN => lives.iter().all(|life| match life {
                Life::Alive { parent: Some(parent), .. } => lives[*parent] != Life::Tombstone,
                Life::Alive { parent: None, .. } | Life::Nothing | Life::Tombstone => true,
            }),
            NO_DEBT => all.all(|it| {
                let is_alive = |life: Life| matches!(life, Life::Alive { .. });
                let is_held = is_alive(durable[it]) && is_alive(lives[it]);
                (!state.outside[it] || is_held)
                    && (latest.seen.debts[it].is_none() || is_alive(lives[it]))
            }),
            LETTERS => {
                let sent = u8::from(latest.granted & Wish::Note.bit() != 0);
                latest.seen.notes + latest.noted + latest.dead == sent
            }
            KEPT => !state.is_told || is_to_end,
            ENDS => {
                let is_quiet = self.own_actions(state).is_empty();
                let is_going = lives.iter().any(|life| life.is_going());
                !is_quiet || (!is_going && (is_over || !is_to_end))
            }
            _ => panic!("no promise is called {promise}"),
        }
    }

    fn shows(&self, sight: &str, state: &State) -> bool {
        let seen = &state.latest().seen;
        let lives = &seen.lives;
        match sight {
            "the whole tree is gone" => {
                let is_buried = |life: &&Life| **life == Life::Tombstone;
                lives.iter().filter(is_buried).count() == 3
            }
            "the name is somebody else's" => {
                seen.senders[LATE].contains(&ROOT)
                    && matches!(lives[LATE], Life::Alive { parent: None, .. })
            }
            "a child is born while its parent is being destroyed" => {
                lives[ROOT].is_going()
                    && matches!(lives[CHILD], Life::Alive { going: Going::No, .. })
            }
            "a child is destroyed by itself and born again in vain" => {
                lives[CHILD] == Life::Tombstone && seen.senders[CHILD].contains(&ROOT)
            }
            "the message was taken" => state.latest().noted == 1,
            "the message is a dead letter" => state.latest().dead == 1,
            "a deadline is due while the parent is being destroyed" => {
                lives[ROOT].is_going()
                    && lives[LATE].alarm() == Some(DEADLINE)
                    && state.now() == DEADLINE
            }
            "an effect is done and its answer lost" => {
                seen.debts[GRAND] == Some(2)
                    && !state.outside[GRAND]
                    && state.answers[GRAND].is_none()
            }
            _ => panic!("nothing is called {sight}"),
        }
    }

    fn end(&self, state: &State) -> (bool, bool) {
        let (is_to_end, is_over) = state.latest().end();
        (is_to_end, is_over && state.written.is_none())
    }

    fn is_own(&self, action: &Action) -> bool {
        match action {
            Action::Take(..)
            | Action::Ring(_)
            | Action::Begin(_, Said::Done)
            | Action::Answer(_)
            | Action::Flush
            | Action::Wait => true,
            Action::Wish(_)
            | Action::Begin(_, Said::Transient | Said::Permanent)
            | Action::BeginUnheard(_)
            | Action::Crash { .. } => false,
        }
    }
}

impl Runtime {
    /// What goes on by itself.
    fn own_actions(&self, state: &State) -> Vec<Action> {
        let mut actions = Vec::new();
        let seen = &state.latest().seen;
        for (actor, name) in NAMES.into_iter().enumerate() {
            if self.may_begin(state, actor) {
                actions.push(Action::Begin(name, Said::Done));
            }
            if state.written.is_some() {
                continue;
            }
            let mail = seen.senders[actor].iter().map(|from| Action::Take(name, NAMES[*from]));
            actions.extend(mail);
            let is_due = seen.lives[actor].alarm().is_some_and(|at| at <= state.now());
            actions.extend(is_due.then_some(Action::Ring(name)));
            actions.extend(state.answers[actor].map(|_| Action::Answer(name)));
        }
        actions.extend(state.written.is_some().then_some(Action::Flush));
        actions.extend((state.now() < DEADLINE).then_some(Action::Wait));
        actions
    }

    /// Whether an effect of an actor may begin: its debt is durable, and nobody performs it.
    fn may_begin(&self, state: &State, actor: usize) -> bool {
        let owed = state.latest().seen.debts[actor];
        let is_durable = state.durable.seen.debts[actor] == owed || self.0 == Fault::NoGate;
        owed.is_some() && is_durable && state.answers[actor].is_none()
    }

    fn begin(state: &State, actor: usize, said: Option<Said>) -> Option<State> {
        let (number, work) = Self::effect(state, actor)?;
        let mut next = state.clone();
        if said.is_none_or(|said| said == Said::Done) {
            next.outside[actor] = work == Work::Make;
        }
        next.answers[actor] = said.map(|said| (number, said));
        Some(next)
    }

    fn flush(&self, state: &State) -> State {
        let mut next = state.clone();
        if let Some(written) = next.written.take() {
            let before = std::mem::replace(&mut next.durable, written);
            next.before = (self.0 == Fault::DropsFlushed).then_some(before);
        }
        next.is_told |= next.durable.end().0;
        for (is_buried, life) in next.buried.iter_mut().zip(&next.durable.seen.lives) {
            *is_buried |= *life == Life::Tombstone;
        }
        next
    }
}
