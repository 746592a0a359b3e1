//! One atomic step: what a handler may record, and nothing else.
//!
//! A handler cannot wait, read a clock or touch the network; it changes its own state and says
//! what shall follow. Everything that it recorded commits with the new state as one batch, or
//! none of it does (keeps G1).

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::actor::{Actor, Handler, Message};
use crate::codec;
use crate::destroy::Intent;
use crate::key::{ActorId, ActorRef};
use crate::time::Timestamp;

/// One turn of an actor of kind `A`: what it may know, and what it records.
#[derive(Debug)]
pub struct Turn<A> {
    record: Recorder,
    actor: PhantomData<fn(&A)>,
}

/// A message on its way to an actor, encoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Whom it is for.
    pub to: ActorId,
    /// The life that it is for; `None` is whichever lives.
    pub incarnation: Option<u32>,
    /// The message's name.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl Letter {
    /// A letter to an actor of kind `A`.
    ///
    /// # Errors
    ///
    /// [`crate::Refusal`] if `to` is of another kind or the message cannot be encoded.
    pub fn new<A: Handler<M>, M: Message>(
        to: &ActorId,
        message: &M,
    ) -> Result<Self, crate::Refusal> {
        if to.kind() != A::KIND {
            let reason = format!("{} is not of kind {}, which takes {}", to, A::KIND, M::NAME);
            return Err(crate::Refusal::new(reason));
        }
        let bytes = codec::encode(message).map_err(|error| {
            crate::Refusal::new(format!("{} to {to} cannot be encoded: {error}", M::NAME))
        })?;
        Ok(Self { to: to.clone(), incarnation: None, name: M::NAME.to_owned(), bytes })
    }
}

/// What a turn recorded, without the kind of its actor.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) me: ActorRef,
    pub(crate) now: Timestamp,
    pub(crate) parent: Option<ActorRef>,
    pub(crate) from: Option<ActorRef>,
    pub(crate) next_effect: u64,
    pub(crate) effects: Vec<Vec<u8>>,
    pub(crate) letters: Vec<Letter>,
    pub(crate) births: Vec<(ActorId, Vec<u8>)>,
    pub(crate) facts: Vec<(String, String)>,
    pub(crate) intent: Option<Intent>,
    /// The first thing that was recorded wrongly: refuses the turn.
    pub(crate) fault: Option<String>,
}

impl Recorder {
    pub(crate) fn new(me: ActorRef, now: Timestamp) -> Self {
        Self {
            me,
            now,
            parent: None,
            from: None,
            next_effect: 1,
            effects: Vec::new(),
            letters: Vec::new(),
            births: Vec::new(),
            facts: Vec::new(),
            intent: None,
            fault: None,
        }
    }

    /// Whether nothing was recorded.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0 && self.intent.is_none()
    }

    /// How many things were recorded.
    pub(crate) fn len(&self) -> usize {
        self.effects.len() + self.letters.len() + self.births.len() + self.facts.len()
    }

    /// The bytes of the largest thing that was recorded.
    pub(crate) fn largest(&self) -> Option<usize> {
        let effects = self.effects.iter().map(Vec::len);
        let letters = self.letters.iter().map(|letter| letter.bytes.len());
        let births = self.births.iter().map(|(_, init)| init.len());
        let facts = self.facts.iter().map(|(name, text)| name.len() + text.len());
        effects.chain(letters).chain(births).chain(facts).max()
    }

    fn blame(&mut self, fault: String) {
        self.fault.get_or_insert(fault);
    }
}

/// Runs `step` with the recorder as a turn of kind `A`, and gives the recorder back.
pub(crate) fn lend<A, R>(record: &mut Recorder, step: impl FnOnce(&mut Turn<A>) -> R) -> R {
    let vacant = Recorder::new(record.me.clone(), record.now);
    let mut turn = Turn { record: std::mem::replace(record, vacant), actor: PhantomData };
    let result = step(&mut turn);
    *record = turn.record;
    result
}

impl<A: Actor> Turn<A> {
    /// When this turn runs: the same moment throughout the turn.
    pub fn now(&self) -> Timestamp {
        self.record.now
    }

    /// Which actor has this turn.
    pub fn id(&self) -> &ActorId {
        &self.record.me.id
    }

    /// The life that has this turn, for credentials and callbacks that it hands out.
    pub fn me(&self) -> &ActorRef {
        &self.record.me
    }

    /// Whose child this actor is.
    pub fn parent(&self) -> Option<&ActorRef> {
        self.record.parent.as_ref()
    }

    /// Who sent the message that this turn takes, if an actor did.
    pub fn from(&self) -> Option<&ActorRef> {
        self.record.from.as_ref()
    }

    /// Records work in the outside world and returns its number among this life's effects.
    ///
    /// Effects of one actor are performed in order, one at a time: the next is begun when the
    /// one before it is settled.
    ///
    /// # Durability
    ///
    /// Owed from the commit of this turn until a performer has answered, through any crash; it
    /// is performed at least once, with the same [`EffectId`](crate::EffectId) each time.
    pub fn effect(&mut self, effect: &A::Effect) -> u64 {
        let number = self.record.next_effect;
        match codec::encode(effect) {
            Ok(bytes) => {
                self.record.effects.push(bytes);
                self.record.next_effect += 1;
            }
            Err(error) => self.record.blame(format!("an effect cannot be encoded: {error}")),
        }
        number
    }

    /// Sends a message to another actor, or to this one, to be taken in a later turn.
    ///
    /// # Durability
    ///
    /// Committed with this turn straight into the receiver's inbox, taken out with the
    /// receiver's change: exactly once (G10). If the name has no life or a tombstone it becomes
    /// a dead letter. What the handler there returns goes nowhere; a refusal becomes a dead
    /// letter too.
    pub fn send<B: Handler<M>, M: Message>(&mut self, to: &ActorId, message: &M) {
        match Letter::new::<B, M>(to, message) {
            Ok(letter) => self.record.letters.push(letter),
            Err(refusal) => self.record.blame(refusal.reason),
        }
    }

    /// As [`send`](Self::send), to one life of the receiver and to no other.
    pub fn send_to_life<B: Handler<M>, M: Message>(&mut self, to: &ActorRef, message: &M) {
        match Letter::new::<B, M>(&to.id, message) {
            Ok(letter) => {
                let incarnation = Some(to.incarnation);
                self.record.letters.push(Letter { incarnation, ..letter });
            }
            Err(refusal) => self.record.blame(refusal.reason),
        }
    }

    /// Sends a letter that was written elsewhere.
    pub fn post(&mut self, letter: Letter) {
        self.record.letters.push(letter);
    }

    /// Creates a child: it is destroyed with this actor.
    ///
    /// The link commits with this turn, before the child exists, so that an unowned child cannot
    /// exist. If its name is taken, [`Actor::on_child_gone`] says so. Returns the child's id.
    pub fn create<C: Actor>(&mut self, name: &str, init: &C::Init) -> Option<ActorId> {
        let born = ActorId::new(C::KIND, name).map_err(|error| error.to_string()).and_then(|id| {
            let init = codec::encode(init).map_err(|error| error.to_string())?;
            Ok((id, init))
        });
        match born {
            Ok((id, init)) => {
                self.record.births.push((id.clone(), init));
                Some(id)
            }
            Err(why) => {
                self.record.blame(format!("a child cannot be created: {why}"));
                None
            }
        }
    }

    /// Records a fact that subscribers are told after the commit.
    pub fn event(&mut self, name: &str, text: impl Into<String>) {
        self.record.facts.push((name.to_owned(), text.into()));
    }

    /// Begins this actor's own destruction: the intent commits with this turn.
    ///
    /// *Expected flow:* children go first, then [`Actor::on_destroy`] records what releases the
    /// actor's holdings, and when that is settled the tombstone is written. *Guarantees:* G6,
    /// G7, G8. *Assumptions:* performers answer sooner or later. *Caveats:* what this turn
    /// recorded besides still happens; a second destroy changes nothing.
    pub fn destroy(&mut self, why: impl Into<String>, by: impl Into<String>) {
        let intent = Intent { why: why.into(), by: by.into() };
        self.record.intent.get_or_insert(intent);
    }
}
