//! The bounded mailbox of a shard: many senders, one actor that is woken once for all of it.
//!
//! What outsiders ask for is admitted against a limit that covers the whole way of a call, from
//! the mailbox to the output gate: a store that is slow fills it, and the next call is refused
//! at once. What the runtime tells itself (mail, answers, flushes) is never refused; it is
//! bounded by what caused it.
//!
//! Public for those who drive engines themselves, as the simulator does.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use sexton_core::key::MailOrder;
use sexton_core::{
    ActorId, Answer, EffectId, EngineFigures, Error, ErrorKind, Release, Request, Store, Switch,
};
use tokio::sync::oneshot;

use crate::gate::Gate;
use crate::places::{Apart, Places};

/// Reads the store in the thread of its shard; what it returns leaves through the output gate.
pub type Read = Box<dyn FnOnce(&dyn Store) -> Release + Send>;

/// How far a request came, for the caller whose reply was lost.
///
/// Sent after the turn; a request that never had one drops it, and did nothing.
#[derive(Debug)]
pub enum Verdict {
    /// The turn ran, and whether the store keeps it is not known.
    Begun,
    /// There was no turn.
    Failed(Error),
}

/// What a shard is told.
pub enum Input {
    /// Somebody outside asks something of an actor.
    Ask {
        /// Of whom.
        id: ActorId,
        /// What.
        request: Request,
        /// Hears how far it came.
        verdict: oneshot::Sender<Verdict>,
    },
    /// Somebody reads.
    Read(Read),
    /// Mail from a shard of another engine.
    Notice {
        /// Where it lies.
        place: MailOrder,
        /// In whose inbox.
        to: ActorId,
    },
    /// A performer's answer.
    Answer {
        /// To which effect.
        to: EffectId,
        /// The answer.
        answer: Answer,
    },
    /// Alarms are paused or resumed.
    Alarms(Switch, oneshot::Sender<()>),
    /// Effects are paused or resumed.
    Effects(Switch, oneshot::Sender<()>),
    /// How the engine stands.
    Figures(oneshot::Sender<EngineFigures>),
    /// The host closes: no request comes after this.
    Drain(oneshot::Sender<Result<(), Error>>),
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask { id, .. } => write!(f, "Ask({id})"),
            Self::Read(_) => f.write_str("Read"),
            Self::Notice { to, .. } => write!(f, "Notice({to})"),
            Self::Answer { to, .. } => write!(f, "Answer({to})"),
            Self::Alarms(switch, _) => write!(f, "Alarms({switch:?})"),
            Self::Effects(switch, _) => write!(f, "Effects({switch:?})"),
            Self::Figures(_) => f.write_str("Figures"),
            Self::Drain(_) => f.write_str("Drain"),
        }
    }
}

pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the host is closed")
}

/// Which limit a request counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Answered when a flush has covered it.
    Call,
    /// Answered at a tombstone, which may take days: must not keep calls out.
    Wait,
}

/// A place in the mailbox, free again when this is dropped.
#[derive(Debug)]
pub struct Permit {
    mailbox: Arc<Mailbox>,
    class: Class,
    is_used_up: bool,
}

impl Permit {
    /// Gives the place back already now.
    pub fn give_back(&mut self) {
        if !std::mem::replace(&mut self.is_used_up, true) {
            self.mailbox.places(self.class).give_back();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// As many wait as may.
    Busy,
    /// Nothing is taken any more.
    Closed,
}

/// What lies in a mailbox.
#[derive(Default)]
struct Content {
    inputs: VecDeque<Input>,
    /// The last order that a flush covered.
    durable: u64,
    /// Whether the store failed.
    is_failed: bool,
    stage: Stage,
    /// Grows with every change, so that the actor does not go to sleep over one.
    news: u64,
}

/// Whether the actor has to be woken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Asleep,
    /// Asleep, and a flush is something to wake for.
    AwaitsFlush,
    Awake,
    Gone,
}

/// What the actor is told beside its inputs.
pub(crate) struct Told {
    pub(crate) durable: u64,
    pub(crate) is_failed: bool,
    pub(crate) news: u64,
}

/// How far the batches of an engine came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) submitted: u64,
    pub(crate) flushed: u64,
}

/// The mailbox of one shard.
pub struct Mailbox {
    content: Apart<Mutex<Content>>,
    /// What its turns give away. Locked by the shard's thread and by the one that flushes.
    gate: Apart<Mutex<Gate>>,
    /// Wakes the actor.
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// The order of the last batch that the engine submitted.
    submitted: Apart<AtomicU64>,
    /// The order of the last batch that a flush covered.
    flushed: Apart<AtomicU64>,
    is_closed: AtomicBool,
    calls: Places,
    waits: Places,
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("calls", &self.calls)
            .field("waits", &self.waits)
            .finish_non_exhaustive()
    }
}

impl Mailbox {
    /// A mailbox with so many places for each class of requests.
    pub fn new(messages_max: usize) -> Self {
        Self {
            content: Apart::default(),
            gate: Apart::default(),
            wake: OnceLock::new(),
            submitted: Apart::default(),
            flushed: Apart::default(),
            is_closed: AtomicBool::new(false),
            calls: Places::new(messages_max),
            waits: Places::new(messages_max),
        }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The output gate of its turns.
    pub(crate) fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn places(&self, class: Class) -> &Places {
        match class {
            Class::Call => &self.calls,
            Class::Wait => &self.waits,
        }
    }

    /// Requests that were admitted and are not answered.
    pub fn waiting(&self) -> usize {
        self.calls.taken() + self.waits.taken()
    }

    /// How full it is, in thousandths of the limit of whichever class is nearer to its own.
    pub(crate) fn permille(&self) -> usize {
        self.calls.taken().max(self.waits.taken()).saturating_mul(1_000) / self.messages_max()
    }

    /// The most requests of a class at a time.
    pub(crate) fn messages_max(&self) -> usize {
        self.calls.max()
    }

    /// Gives a place to a request from outside. Keeps G14: the limit is an error of its own.
    ///
    /// # Errors
    ///
    /// Why there is no place.
    pub fn admit(self: &Arc<Self>, class: Class) -> Result<Permit, Refused> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(Refused::Closed);
        }
        if self.places(class).take() {
            Ok(Permit { mailbox: Arc::clone(self), class, is_used_up: false })
        } else {
            Err(Refused::Busy)
        }
    }

    /// Puts something in and wakes the actor if it sleeps. What comes too late is dropped.
    pub fn push(&self, input: Input) {
        self.change(|content| content.inputs.push_back(input));
    }

    /// Says where the engine begins: everything up to there is durable.
    pub(crate) fn begin(&self, order: u64) {
        self.flushed.0.store(order, Ordering::Release);
        self.submitted.0.store(order, Ordering::Release);
        *self.gate() = Gate::new(order);
    }

    /// Says that a batch was submitted.
    pub(crate) fn submitted(&self, order: u64) {
        self.submitted.0.store(order, Ordering::Release);
    }

    /// How far batches were submitted, and how far flushes have covered them.
    pub(crate) fn progress(&self) -> Progress {
        let submitted = self.submitted.0.load(Ordering::Acquire);
        Progress { submitted, flushed: self.flushed.0.load(Ordering::Acquire) }
    }

    /// Says that a flush covered all turns up to `order`, and opens the gate. The actor is woken if
    /// anything waits for that which only he can do.
    pub(crate) fn confirm(&self, order: u64) {
        self.flushed.0.store(order, Ordering::Release);
        let answers = self.gate().open(order);
        answers.into_iter().for_each(Release::leave);
        let is_more = self.gate().rest();
        let mut content = self.content();
        content.durable = content.durable.max(order);
        let is_awaited = is_more || content.stage == Stage::AwaitsFlush;
        drop(content);
        if is_awaited {
            self.nudge();
        }
    }

    /// Says that the store failed: nobody knows what it holds.
    pub(crate) fn fail(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.change(|content| content.is_failed = true);
    }

    /// Wakes the actor without telling it anything: the clock was set.
    pub fn nudge(&self) {
        self.change(|_| ());
    }

    fn change(&self, change: impl FnOnce(&mut Content)) {
        let mut content = self.content();
        content.news += 1;
        match content.stage {
            Stage::Gone => return,
            Stage::Awake => return change(&mut content),
            Stage::Asleep | Stage::AwaitsFlush => {
                change(&mut content);
                content.stage = Stage::Awake;
            }
        }
        drop(content);
        if let Some(wake) = self.wake.get() {
            wake();
        }
    }

    /// Says who works for this mailbox, and how he is woken. He is awake, and looks into it before
    /// he sleeps.
    pub fn belong(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.content().stage = Stage::Awake;
        self.wake.get_or_init(|| Box::new(wake));
    }

    /// Whether whoever works for it is awake, or has been woken.
    pub fn is_awake(&self) -> bool {
        self.content().stage == Stage::Awake
    }

    /// Moves at most `limit` inputs into `inputs`, which is empty, and tells the news. The memory of
    /// both is used again and again.
    pub(crate) fn take(&self, limit: usize, inputs: &mut VecDeque<Input>) -> Told {
        let mut content = self.content();
        if content.inputs.len() <= limit {
            std::mem::swap(&mut content.inputs, inputs);
        } else {
            inputs.extend(content.inputs.drain(..limit));
        }
        let Content { durable, is_failed, news, .. } = *content;
        Told { durable, is_failed, news }
    }

    /// Lets the actor sleep if nothing changed since it was `told`; else it must go on. A flush is
    /// such a change only if it is awaited.
    pub(crate) fn sleep(&self, told: &Told, is_flush_awaited: bool) -> bool {
        let mut content = self.content();
        let is_flushed = is_flush_awaited && content.durable != told.durable;
        let is_done = content.inputs.is_empty() && content.news == told.news && !is_flushed;
        // Also if he was asleep all the time, because his timer rang and nobody woke him.
        if is_done && content.stage != Stage::Gone {
            content.stage = if is_flush_awaited { Stage::AwaitsFlush } else { Stage::Asleep };
        }
        is_done
    }

    /// Refuses requests from outside from here on.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    /// The actor is gone: drops what lies here, so that nobody waits for it.
    pub(crate) fn shut(&self) {
        self.close();
        let mut content = self.content();
        content.stage = Stage::Gone;
        let inputs = std::mem::take(&mut content.inputs);
        drop(content);
        drop(inputs);
        // What waits is told by silence.
        let gate = std::mem::take(&mut *self.gate());
        drop(gate);
    }
}
