//! What you write: an actor, its messages and its handlers; and what the engine sees of them.
//!
//! The engine knows actors without their types, through [`Live`]; a [`Kinds`] is the table that
//! leads from the name of a kind to the code that reads its bytes.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{self, CodecError};
use crate::deadline::{Deadlines, Due};
use crate::describe::Describer;
use crate::effect::Outcome;
use crate::error::Refusal;
use crate::inbox::Gone;
use crate::key::ActorId;
use crate::row::{DESTROYING, Row};
use crate::status::Status;
use crate::turn::{Recorder, Turn, lend};

/// A named piece of state with behaviour.
///
/// The value is the state: it is encoded after every turn and read back when the actor is next
/// needed. Everything here is a plain function; see the [crate] for why.
pub trait Actor: Sized + Serialize + DeserializeOwned + 'static {
    /// The kind: the first part of the id of every actor of this type.
    const KIND: &'static str;
    /// The version of the state's encoding; raise it when a field changes, and teach
    /// [`migrate`](Self::migrate) the old one.
    const STATE_VERSION: u16 = 1;

    /// What one begins with. Like a [`Message`] it has no version, and may lie in an inbox.
    type Init: Serialize + DeserializeOwned + 'static;
    /// The lifecycle.
    type Status: Status;
    /// What a deadline means; `()` if there are none.
    type Deadline: Serialize + DeserializeOwned + fmt::Debug + 'static;
    /// Work in the outside world; `()` if there is none. Like a [`Message`] it has no version,
    /// and may be owed for long: what this type no longer reads stays owed, and shows.
    type Effect: Serialize + DeserializeOwned + 'static;
    /// What a performer answers when it is done.
    type Answer: Serialize + DeserializeOwned + 'static;

    /// Birth.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] leaves nothing behind.
    fn create(init: Self::Init, turn: &mut Turn<Self>) -> Result<Self, Refusal>;

    /// Names the messages that may be sent to this kind.
    fn handlers(on: &mut Handlers<Self>);

    /// The status, read off the state.
    fn status(&self) -> Self::Status;

    /// What queries see, read off the state.
    fn row(&self) -> Row {
        Row::default()
    }

    /// Every deadline, read off the state. None is ever set, cancelled or recalculated by hand.
    fn deadlines(&self, due: &mut Deadlines<Self::Deadline>) {
        let _ = due;
    }

    /// A deadline is due.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] changes nothing, and the deadline is tried again with back-off. So is one
    /// that is still due after this turn: motion is not progress.
    fn on_deadline(&mut self, due: Self::Deadline, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let _ = turn;
        Err(Refusal::new(format!("{} does nothing at {due:?}", Self::KIND)))
    }

    /// An effect is settled.
    ///
    /// Written by nobody it takes every outcome; one that failed for good it tells as the event
    /// `failed`, with the failure's class and message. An actor that waits for what it asked for
    /// must look at the outcome itself.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] keeps the debt: the effect is performed again with the same id.
    fn on_outcome(
        &mut self,
        effect: &Self::Effect,
        outcome: Outcome<Self::Answer>,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        let _ = effect;
        if let Outcome::Failed(failure) = outcome {
            turn.event("failed", format!("{}: {}", failure.class, failure.message));
        }
        Ok(())
    }

    /// The actor goes, its children have gone: records the effects that release what it holds.
    fn on_destroy(&mut self, turn: &mut Turn<Self>) {
        let _ = turn;
    }

    /// A child is gone, or was never born.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] changes nothing; the child is gone all the same.
    fn on_child_gone(
        &mut self,
        child: &ActorId,
        end: &Gone,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        let _ = (child, end, turn);
        Ok(())
    }

    /// Reads a state that an earlier version of this type wrote.
    ///
    /// # Errors
    ///
    /// [`CodecError`] if `version` is unknown: the actor then cannot be loaded, and stays as it
    /// is until a version that can read it is deployed.
    fn migrate(version: u16, bytes: &[u8]) -> Result<Self, CodecError> {
        let _ = bytes;
        Err(CodecError::Mismatch {
            what: Self::KIND,
            why: format!("its state has version {version}, and nothing here migrates that"),
        })
    }
}

/// A message that actors take.
///
/// What lies in an inbox is read by the type that is deployed, and has no version. Variants may
/// be added at the end of an enum; nothing else of it may change while a mail may lie somewhere.
/// For another layout declare a second message with a name of its own, and take both until the
/// inboxes are empty of the first. What cannot be read, or is of a name that nobody takes,
/// becomes a dead letter: an event with the name and the reason.
pub trait Message: Serialize + DeserializeOwned + Send + 'static {
    /// Its name in inboxes and events; never changes while a mail may lie somewhere.
    const NAME: &'static str;
    /// Whether a call of it that comes too late leaves a dead letter, as a mail does: the actor is
    /// being destroyed, or has a tombstone. For news from outside, such as "your machine is
    /// ready", of which somebody will ask where it went; a caller is told in any case.
    const IS_NEWS: bool = false;
    /// What a caller gets back.
    type Reply: Send + 'static;
}

/// An actor that takes the message `M`.
pub trait Handler<M: Message>: Actor {
    /// Takes the message: changes the state and records what shall follow.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] changes nothing and goes back to the caller.
    fn handle(&mut self, message: M, turn: &mut Turn<Self>) -> Result<M::Reply, Refusal>;
}

type Handle<A> = fn(&mut A, &[u8], &mut Turn<A>) -> Result<(), Refusal>;

/// The messages that a kind takes from its inbox, by name.
pub struct Handlers<A> {
    by_name: BTreeMap<&'static str, Handle<A>>,
}

impl<A> fmt::Debug for Handlers<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

impl<A: Actor> Handlers<A> {
    /// Adds a message.
    ///
    /// # Panics
    ///
    /// If another message of that name is there already: only a bug can cause it.
    pub fn message<M: Message>(&mut self) -> &mut Self
    where
        A: Handler<M>,
    {
        let handle: Handle<A> = |actor, bytes, turn| {
            let message = codec::decode::<M>(bytes)
                .map_err(|error| Refusal::new(format!("{} cannot be read: {error}", M::NAME)))?;
            actor.handle(message, turn).map(drop)
        };
        let known = self.by_name.insert(M::NAME, handle);
        assert!(known.is_none(), "{} takes two messages named {}", A::KIND, M::NAME);
        self
    }
}

/// An actor in memory, without its type.
pub(crate) trait Live {
    /// Appends the state's encoding.
    fn encode_to(&self, to: &mut Vec<u8>) -> Result<(), CodecError>;
    fn status(&self) -> &'static str;
    fn allows(&self, from: &str, to: &str) -> bool;
    fn row(&self) -> Row;
    fn deadlines(&self) -> Result<Vec<Due>, CodecError>;
    fn on_deadline(&mut self, what: &[u8], record: &mut Recorder) -> Result<(), Refusal>;
    fn on_message(&mut self, at: (&str, &[u8]), record: &mut Recorder) -> Result<(), Refusal>;
    fn on_outcome(
        &mut self,
        effect: &[u8],
        outcome: Outcome<Vec<u8>>,
        record: &mut Recorder,
    ) -> Result<(), Refusal>;
    fn on_destroy(&mut self, record: &mut Recorder);
    fn on_child_gone(
        &mut self,
        child: &ActorId,
        end: &Gone,
        record: &mut Recorder,
    ) -> Result<(), Refusal>;
    fn as_any(&mut self) -> &mut dyn Any;
}

struct Cell<A: Actor> {
    actor: A,
    handlers: std::rc::Rc<Handlers<A>>,
}

impl<A: Actor> Live for Cell<A> {
    fn encode_to(&self, to: &mut Vec<u8>) -> Result<(), CodecError> {
        codec::append(&self.actor, to)
    }

    fn status(&self) -> &'static str {
        self.actor.status().name()
    }

    fn allows(&self, from: &str, to: &str) -> bool {
        let named = |name| A::Status::ALL.iter().find(|status| status.name() == name);
        match (named(from), named(to)) {
            (Some(from), Some(to)) => from.may_become(*to),
            (None, _) | (_, None) => false,
        }
    }

    fn row(&self) -> Row {
        self.actor.row()
    }

    fn deadlines(&self) -> Result<Vec<Due>, CodecError> {
        let mut due = Deadlines::new();
        self.actor.deadlines(&mut due);
        due.erase()
    }

    fn on_deadline(&mut self, what: &[u8], record: &mut Recorder) -> Result<(), Refusal> {
        let what = codec::decode(what)
            .map_err(|error| Refusal::new(format!("a deadline cannot be read: {error}")))?;
        lend(record, |turn| self.actor.on_deadline(what, turn))
    }

    fn on_message(&mut self, at: (&str, &[u8]), record: &mut Recorder) -> Result<(), Refusal> {
        let (name, bytes) = at;
        let Some(handle) = self.handlers.by_name.get(name) else {
            return Err(Refusal::new(format!("{} does not take {name}", A::KIND)));
        };
        lend(record, |turn| handle(&mut self.actor, bytes, turn))
    }

    fn on_outcome(
        &mut self,
        effect: &[u8],
        outcome: Outcome<Vec<u8>>,
        record: &mut Recorder,
    ) -> Result<(), Refusal> {
        let unread =
            |error: CodecError| Refusal::new(format!("an outcome cannot be read: {error}"));
        let effect = codec::decode(effect).map_err(unread)?;
        let outcome = match outcome {
            Outcome::Done(bytes) => Outcome::Done(codec::decode(&bytes).map_err(unread)?),
            Outcome::Failed(failure) => Outcome::Failed(failure),
        };
        lend(record, |turn| self.actor.on_outcome(&effect, outcome, turn))
    }

    fn on_destroy(&mut self, record: &mut Recorder) {
        lend(record, |turn| self.actor.on_destroy(turn));
    }

    fn on_child_gone(
        &mut self,
        child: &ActorId,
        end: &Gone,
        record: &mut Recorder,
    ) -> Result<(), Refusal> {
        lend(record, |turn| self.actor.on_child_gone(child, end, turn))
    }

    fn as_any(&mut self) -> &mut dyn Any {
        &mut self.actor
    }
}

/// The names of a lifecycle's statuses: each must lead to rows of its own.
fn status_names<A: Actor>() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for status in A::Status::ALL {
        let name = status.name();
        assert!(!name.is_empty(), "{status:?} of {} has no name", A::KIND);
        assert!(
            name != DESTROYING,
            "{status:?} of {} is named {DESTROYING}, as rows call every actor that goes",
            A::KIND
        );
        assert!(!names.contains(&name), "two statuses of {} are named {name}", A::KIND);
        names.push(name);
    }
    names
}

type Birth = Box<dyn Fn(&[u8], &mut Recorder) -> Result<Box<dyn Live>, Refusal>>;
type Load = Box<dyn Fn(u16, &[u8]) -> Result<Box<dyn Live>, CodecError>>;

pub(crate) struct KindTable {
    pub(crate) state_version: u16,
    /// In the order of the table.
    pub(crate) statuses: Vec<&'static str>,
    /// The names of the messages that it takes, in order.
    pub(crate) messages: Vec<&'static str>,
    pub(crate) birth: Birth,
    pub(crate) load: Load,
    pub(crate) describer: Describer,
}

/// The kinds that an engine knows.
#[derive(Default)]
pub struct Kinds {
    tables: BTreeMap<&'static str, KindTable>,
}

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.tables.keys()).finish()
    }
}

impl Kinds {
    /// No kinds.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with the kind `A`.
    ///
    /// # Panics
    ///
    /// If the kind is there already, its name is not a kind, or the table of its lifecycle is
    /// wrong: a terminal status that others follow, a status without a name, two of one name, or
    /// one named `destroying`, which is what rows say of every actor that goes. Only a bug can
    /// cause any of these.
    pub fn with<A: Actor>(mut self) -> Self {
        ActorId::new(A::KIND, "x").expect("a kind's name keeps the rules of ids");
        let is_left = |status: &&A::Status| status.is_terminal() && !status.next().is_empty();
        let left = A::Status::ALL.iter().find(is_left);
        assert!(left.is_none(), "{left:?} of {} is terminal, and others follow it", A::KIND);
        let statuses = status_names::<A>();
        let mut handlers = Handlers { by_name: BTreeMap::new() };
        A::handlers(&mut handlers);
        let handlers = std::rc::Rc::new(handlers);
        let for_birth = std::rc::Rc::clone(&handlers);
        let table = KindTable {
            state_version: A::STATE_VERSION,
            statuses,
            messages: handlers.by_name.keys().copied().collect(),
            describer: Describer::of::<A>(),
            birth: Box::new(move |init, record| {
                let init = codec::decode::<A::Init>(init).map_err(|error| {
                    Refusal::new(format!("what {} begins with cannot be read: {error}", A::KIND))
                })?;
                let actor = lend(record, |turn| A::create(init, turn))?;
                Ok(Box::new(Cell { actor, handlers: std::rc::Rc::clone(&for_birth) }))
            }),
            load: Box::new(move |version, bytes| {
                let actor = if version == A::STATE_VERSION {
                    codec::decode(bytes)?
                } else {
                    A::migrate(version, bytes)?
                };
                Ok(Box::new(Cell { actor, handlers: std::rc::Rc::clone(&handlers) }))
            }),
        };
        let known = self.tables.insert(A::KIND, table);
        assert!(known.is_none(), "the kind {} is there already", A::KIND);
        self
    }

    pub(crate) fn table(&self, kind: &str) -> Option<&KindTable> {
        self.tables.get(kind)
    }

    /// What rows may say of an actor of this kind, `destroying` included; `None` if it is not
    /// known.
    pub fn statuses(&self, kind: &str) -> Option<Vec<&'static str>> {
        let table = self.table(kind)?;
        Some(table.statuses.iter().copied().chain([DESTROYING]).collect())
    }

    /// The names of the messages that a kind takes from its inbox, in order; none of a kind that
    /// is not known here.
    pub fn messages(&self, kind: &str) -> impl Iterator<Item = &'static str> {
        self.table(kind).into_iter().flat_map(|table| table.messages.iter().copied())
    }

    /// The names of the kinds, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.tables.keys().copied()
    }
}
