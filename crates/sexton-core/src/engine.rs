//! The loop: event in, batch and outputs out.
//!
//! An engine owns a set of shards and every live actor in them. Whoever drives it hands in one
//! request or asks for the next step, gets back what the turn wrote, submits that to the store
//! *before the next call*, and lets replies, effects and events out once a flush has covered
//! them (the output gate). The engine only reads from the store, and only what was submitted.
//!
//! Which step is next is a function of what is committed: the oldest mail, or the alarm that has
//! been due the longest. So a recovered engine goes on exactly where the crashed one stopped,
//! and the same inputs give the same turns (keeps G13).

mod aside;
mod call;
mod draft;
mod slot;
mod attempt;
mod live;
mod turns;
mod mail;
mod ring;
mod wake;
mod waiting;
mod settle;
mod destruction;
mod recover;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::actor::{Actor, Kinds};
use crate::batch::{Batch, Sequence};
use crate::deadline::Due;
use crate::destroy::{Intent, Tombstone};
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::key::{ActorId, MailOrder, Shard};
use crate::limits::Limits;
use crate::plan::DestroyPlan;
use crate::store::{Fence, Store};
use crate::time::Timestamp;

use self::aside::Aside;
use self::attempt::Buffers;
use self::draft::Draft;
use self::live::LiveActors;
use self::slot::{Found, Slot};
use self::waiting::Waiting;
use self::wake::first_due;

pub use self::aside::Unreadable;
pub(crate) use self::attempt::guard;
pub use self::call::{Call, Returned};
pub(crate) use self::recover::{each, each_shard};
pub(crate) use self::slot::living as find_slot;
pub(crate) use self::slot::{debts as read_debts, entry as read_entry};

/// An answer that leaves when a turn is durable.
pub struct Release(Box<dyn Leave>);

impl Release {
    /// What hands somebody an answer.
    pub fn new(answer: impl FnOnce() + Send + 'static) -> Self {
        Self(Box::new(answer))
    }

    /// Hands it over. What panics meanwhile is the caller's own, his waker or what drops his
    /// answer, and concerns nobody else: the thread goes on, which others wait for.
    pub fn leave(self) {
        // The panic hook has told it.
        drop(catch_unwind(AssertUnwindSafe(|| self.0.leave())));
    }
}

impl fmt::Debug for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Release")
    }
}

/// What hands an answer over: a closure, or a call that has its answer with it.
trait Leave: Send {
    fn leave(self: Box<Self>);
}

impl<F: FnOnce() + Send> Leave for F {
    fn leave(self: Box<Self>) {
        self();
    }
}

/// Hands an answer to whoever asked.
pub type Reply<T> = Box<dyn FnOnce(Result<T, Error>) + Send>;

/// Whose turn it was, and what for.
pub type Label = (ActorId, Cow<'static, str>);

/// What one step wrote and what shall leave once it is durable.
#[derive(Default)]
pub struct Turned {
    /// What to submit; `None` if nothing changed.
    pub batch: Option<Batch>,
    /// Everything below may leave once the turns up to this order are durable.
    pub gate: u64,
    /// Answers.
    pub releases: Vec<Release>,
    /// Events, to be published in this order.
    pub events: Vec<Event>,
    /// Mail for shards of other engines, to be announced there at once.
    pub notices: Vec<(MailOrder, ActorId)>,
    /// Whose turn it was and what for, for traces and logs.
    pub label: Option<Label>,
    /// How late the alarm was that this turn rang, in milliseconds, counted from its moment or
    /// from when it was armed; `None` for other turns.
    pub lateness_ms: Option<u64>,
}

impl fmt::Debug for Turned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turned")
            .field("label", &self.label)
            .field("gate", &self.gate)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

/// What somebody outside asks of an actor.
pub enum Request {
    /// Be born, without a parent.
    Create {
        /// What to begin with, encoded.
        init: Vec<u8>,
        /// Told the incarnation.
        reply: Reply<u32>,
    },
    /// Take a message and answer.
    Call(Call),
    /// Go.
    Destroy {
        /// Why and by whose wish.
        intent: Intent,
        /// Whether to answer at the tombstone; else at the intent.
        is_waiting: bool,
        /// Told when it is durable.
        reply: Reply<()>,
    },
    /// Go, if that takes along exactly what was reviewed; see [`plan`](crate::plan) for what that
    /// guarantees.
    DestroyPlanned {
        /// What was reviewed.
        plan: Box<DestroyPlan>,
        /// Why and by whose wish.
        intent: Intent,
        /// Whether to answer at the tombstone; else at the intent.
        is_waiting: bool,
        /// Told when it is durable, or what changed since the review.
        reply: Reply<()>,
    },
    /// Try a debt, or a stuck destruction, now.
    Retry {
        /// Told when it is under way.
        reply: Reply<()>,
    },
    /// Give up a debt, by name and for good.
    Abandon {
        /// The debt.
        number: u64,
        /// Why and by whose wish.
        intent: Intent,
        /// Told when it is durable.
        reply: Reply<()>,
    },
}

impl Request {
    /// A request for the birth of an actor of kind `A`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`] if `init` cannot be encoded.
    pub fn create<A: Actor>(init: &A::Init, reply: Reply<u32>) -> Result<Self, Error> {
        let init = crate::codec::encode(init).map_err(|error| {
            let message = format!("what {} begins with cannot be encoded", A::KIND);
            Error::new(ErrorKind::Refused, message).with_source(error)
        })?;
        Ok(Self::Create { init, reply })
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create { .. } => "Create",
            Self::Call(call) => call.name,
            Self::Destroy { .. } => "Destroy",
            Self::DestroyPlanned { .. } => "DestroyPlanned",
            Self::Retry { .. } => "Retry",
            Self::Abandon { .. } => "Abandon",
        })
    }
}

/// What can be paused and resumed while an engine runs. Paused means late, never lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// Goes on.
    On,
    /// Waits.
    Paused,
}

/// Which shards are an engine's: those whose number leaves this remainder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The remainder.
    pub index: u16,
    /// The number of engines.
    pub count: u16,
}

impl Part {
    /// All shards in one engine.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Whether `shard` is in this part.
    pub fn has(self, shard: Shard) -> bool {
        shard.number() % self.count == self.index
    }
}

/// How an engine stands, for gauges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineFigures {
    /// Actors in memory.
    pub live: usize,
    /// Mail that was not taken yet.
    pub mail: usize,
    /// Alarms within the horizon.
    pub alarms: usize,
    /// Actors that owe an effect.
    pub debtors: usize,
    /// Actors and mails that could not be read and are set aside.
    pub unreadable: usize,
}

/// The deterministic engine of a part of a store's shards.
pub struct Engine {
    kinds: Kinds,
    limits: Limits,
    part: Part,
    fences: BTreeMap<Shard, Fence>,
    /// The order of the last turn.
    order: u64,
    /// Turns up to this order are durable.
    durable: u64,
    /// The time of the last commit before this engine was recovered.
    recovered_at: Timestamp,
    /// When this engine began to work.
    began_at: Option<Timestamp>,
    /// The latest time of any turn: mail is never older than mail before it, also when the
    /// clock is put back.
    latest: Timestamp,
    live: LiveActors,
    mail: Waiting,
    alarms: BTreeSet<(Timestamp, ActorId)>,
    /// Alarms whose attempt is marked, waiting for the mark to be durable.
    marked: Vec<(u64, Timestamp, ActorId)>,
    /// Attempts that this engine has marked and not yet made.
    marks: BTreeSet<(ActorId, Due)>,
    /// Alarms before this are in `alarms`; later ones lie in the store.
    horizon: Timestamp,
    /// The first debt of each actor that owes, by when it may be tried and when it was recorded.
    ///
    /// The actor is in the key because engines number their turns apart.
    owed: BTreeMap<(Timestamp, u64, ActorId), u64>,
    performing: BTreeMap<ActorId, u64>,
    /// Destructions whose `on_destroy` panicked, and when to try again.
    stuck: BTreeSet<(Timestamp, ActorId)>,
    waiters: BTreeMap<ActorId, Vec<Reply<()>>>,
    /// What cannot be read.
    aside: Aside,
    buffers: Buffers,
    alarm_switch: Switch,
    effect_switch: Switch,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("part", &self.part)
            .field("order", &self.order)
            .field("figures", &self.figures())
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Does the next thing that is due at `now`, if there is any: a mail, an alarm.
    ///
    /// Oldest first, mail before alarms at one instant. An actor that cannot be read is set
    /// aside and costs nobody else a turn; see [`unreadable`](Self::unreadable).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] or [`ErrorKind::Closed`] if the store as a whole cannot be read:
    /// the engine must be recovered anew.
    pub fn next(&mut self, now: Timestamp, store: &dyn Store) -> Result<Option<Turned>, Error> {
        self.begin(now);
        self.look_ahead(now, store)?;
        if self.aside.next_at(now, &self.limits).is_some_and(|at| at <= now) {
            return self.look_again(now, store).map(Some);
        }
        let mail = self.mail.first().map(|(place, _)| place.at);
        let alarm = match self.alarm_switch {
            Switch::On => self.alarms.first().map(|(at, _)| *at).filter(|at| *at <= now),
            Switch::Paused => None,
        };
        let stuck = first_due(&self.stuck, now, &self.limits).filter(|(at, _)| *at <= now);
        if let Some(place) = stuck.map(|(_, place)| place.clone()) {
            self.stuck.remove(&place);
            let id = place.1;
            let result = self.resume_destruction(now, store, &id);
            return self.spare(now, &id, result).map(Option::unwrap_or_default).map(Some);
        }
        match (mail, alarm) {
            (Some(at), Some(due)) if due < at => self.ring_first(now, store).map(Some),
            (Some(_), _) => self.take_first(now, store).map(Some),
            (None, Some(_)) => self.ring_first(now, store).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Says that the engine begins to work now; the first call counts, and [`next`](Self::next)
    /// makes it at the latest.
    ///
    /// A deadline that was due before may be the one that took the last process down: its attempt
    /// is made durable before it is made.
    pub fn begin(&mut self, now: Timestamp) {
        self.began_at.get_or_insert(now);
    }

    /// Says that all turns up to `order` are durable.
    pub fn flushed(&mut self, order: u64) {
        self.durable = self.durable.max(order);
        let durable = self.durable;
        let (ready, waiting) =
            std::mem::take(&mut self.marked).into_iter().partition(|(order, ..)| *order <= durable);
        self.marked = waiting;
        self.alarms.extend(Vec::into_iter(ready).map(|(_, at, id)| (at, id)));
    }

    /// The order of the last turn that wrote anything.
    pub fn order(&self) -> u64 {
        self.order
    }

    /// The latest moment at which a turn had committed when this engine was recovered.
    pub fn recovered_at(&self) -> Timestamp {
        self.recovered_at
    }

    /// Pauses or resumes alarms. Destruction and the retries of debts are not alarms.
    pub fn switch_alarms(&mut self, to: Switch) {
        self.alarm_switch = to;
    }

    /// Pauses or resumes effects.
    pub fn switch_effects(&mut self, to: Switch) {
        self.effect_switch = to;
    }

    /// Announces mail that another engine put into an inbox of this one's shards.
    pub fn notice(&mut self, place: MailOrder, to: ActorId) {
        self.mail.insert(place, to);
    }

    /// The kinds that it knows.
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// How it stands.
    pub fn figures(&self) -> EngineFigures {
        let (unreadable, waiting) = self.aside.len();
        EngineFigures {
            unreadable,
            live: self.live.len(),
            mail: self.mail.len() + waiting,
            alarms: self.alarms.len() + self.marked.len(),
            debtors: self.owed.len() + self.performing.len(),
        }
    }

    /// Evicts actors that had no turn since `before`: they lie in the store, and cost nothing.
    pub fn evict_idle(&mut self, before: Timestamp) {
        self.live.evict_idle(before);
    }

    /// The tombstone under a name, if there is one.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn tombstone(store: &dyn Store, id: &ActorId) -> Result<Option<Tombstone>, Error> {
        match slot::entry(store, id)? {
            Some(crate::destroy::Entry::Tombstone(tombstone)) => Ok(Some(tombstone)),
            Some(crate::destroy::Entry::Alive(_)) | None => Ok(None),
        }
    }

    /// Takes an actor out of memory for a turn, reading it from the store if it is not there.
    fn checkout(
        &mut self,
        now: Timestamp,
        store: &dyn Store,
        id: &ActorId,
    ) -> Result<Found, Error> {
        if let Some(mut slot) = self.live.take(id) {
            slot.used_at = now;
            return Ok(Found::Alive(slot));
        }
        let mut found = slot::find(store, &self.kinds, id)?;
        if let Found::Alive(slot) = &mut found {
            slot.used_at = now;
            // What was read may not be flushed yet: replies wait for all turns so far.
            slot.last_order = self.order;
        }
        Ok(found)
    }

    /// Puts an actor back; above the limit the least recently used one is evicted.
    fn checkin(&mut self, slot: Box<Slot>) {
        self.live.put(slot, self.limits.live_actors_max);
    }

    fn draft(&mut self, id: &ActorId, now: Timestamp) -> Draft {
        self.latest = self.latest.max(now);
        Draft::new(id.shard(), (now, self.latest), self.order + 1)
    }

    /// Makes a batch of a draft and brings what is in memory up to date with it.
    fn commit(&mut self, draft: Draft, label: Label) -> Turned {
        let mut turned = Turned { gate: self.order, label: Some(label), ..Turned::default() };
        for place in &draft.taken {
            self.mail.remove(*place);
        }
        if draft.is_empty() {
            return turned;
        }
        let fence = self.fences.entry(draft.shard).or_default();
        self.order = draft.order;
        turned.gate = draft.order;
        turned.batch = Some(Batch {
            shard: draft.shard,
            epoch: fence.epoch,
            expected: fence.sequence,
            at: draft.now,
            order: draft.order,
            writes: draft.writes,
            events: draft.sealed,
        });
        fence.sequence = Sequence(fence.sequence.0 + 1);
        for (place, to) in draft.sent {
            if self.part.has(to.shard()) {
                self.mail.insert(place, to);
            } else {
                turned.notices.push((place, to));
            }
        }
        turned.events = draft.events;
        turned
    }
}
