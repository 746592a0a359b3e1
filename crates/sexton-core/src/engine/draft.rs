//! A batch in the making: what the turn so far writes, sends and publishes.

use serde::Serialize;

use crate::batch::Write;
use crate::codec;
use crate::error::{Error, ErrorKind};
use crate::event::{Event, What};
use crate::inbox::Mail;
use crate::key::{self, ActorId, ActorRef, Key, MailOrder, Shard};
use crate::time::Timestamp;

/// The writes of one turn, before they are a batch.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) shard: Shard,
    pub(crate) now: Timestamp,
    /// When its mail counts as sent: not before any mail that was sent earlier.
    pub(crate) sent_at: Timestamp,
    pub(crate) order: u64,
    pub(crate) writes: Vec<Write>,
    pub(crate) events: Vec<Event>,
    /// The same events as the store keeps them.
    pub(crate) sealed: Vec<Vec<u8>>,
    /// Mail that this turn sends, with its place.
    pub(crate) sent: Vec<(MailOrder, ActorId)>,
    /// Mail that this turn takes.
    pub(crate) taken: Vec<MailOrder>,
    /// The alarm that a burial took away.
    pub(crate) disarmed: Option<Timestamp>,
    /// The state's encoding, if this turn looked at it.
    pub(crate) state: Option<Vec<u8>>,
    /// What becomes of the actor's record.
    pub(crate) end: End,
}

/// What a turn does to the record of its actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing: it is not written.
    AsBefore,
    /// Written.
    Changed,
    /// A tombstone takes its place.
    Buried,
}

impl Draft {
    pub(crate) fn new(shard: Shard, at: (Timestamp, Timestamp), order: u64) -> Self {
        let (now, sent_at) = at;
        Self {
            shard,
            now,
            sent_at,
            order,
            writes: Vec::new(),
            events: Vec::new(),
            sealed: Vec::new(),
            sent: Vec::new(),
            taken: Vec::new(),
            disarmed: None,
            state: None,
            end: End::AsBefore,
        }
    }

    /// The same turn, with nothing written yet.
    pub(crate) fn anew(&self) -> Self {
        Self::new(self.shard, (self.now, self.sent_at), self.order)
    }

    pub(crate) fn is_burial(&self) -> bool {
        self.end == End::Buried
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.sealed.is_empty()
    }

    pub(crate) fn put<T: Serialize>(&mut self, key: Key, value: &T) -> Result<(), Error> {
        self.writes.push(Write { key, value: Some(sealed(value)?) });
        Ok(())
    }

    pub(crate) fn take(&mut self, key: Key) {
        self.writes.push(Write { key, value: None });
    }

    /// Takes a mail out of the inbox in which it lies. Keeps G10: in the receiver's own commit.
    pub(crate) fn take_mail(&mut self, to: &ActorId, place: MailOrder) {
        self.take(key::mail(to, place));
        self.taken.push(place);
    }

    pub(crate) fn send(&mut self, to: &ActorId, mail: &Mail) -> Result<(), Error> {
        let index = u32::try_from(self.sent.len()).expect("a turn's mail is limited");
        let place = MailOrder { at: self.sent_at, order: self.order, from: self.shard, index };
        self.put(key::mail(to, place), mail)?;
        self.sent.push((place, to.clone()));
        Ok(())
    }

    pub(crate) fn publish(&mut self, of: &ActorRef, number: u64, what: What) -> Result<(), Error> {
        let event =
            Event { actor: of.id.clone(), incarnation: of.incarnation, number, at: self.now, what };
        self.sealed.push(sealed(&event)?);
        self.events.push(event);
        Ok(())
    }

    /// Says that a mail found nobody; not numbered, since it is nobody's event.
    pub(crate) fn dead_letter(
        &mut self,
        to: &ActorId,
        mail: &Mail,
        why: &str,
    ) -> Result<(), Error> {
        let nobody = ActorRef { id: to.clone(), incarnation: mail.incarnation.unwrap_or(0) };
        self.unheard(&nobody, (mail.from.clone(), mail.body.name()), why)
    }

    /// Says of a message, by whoever sent it if that was an actor, that nobody took it.
    pub(crate) fn unheard(
        &mut self,
        to: &ActorRef,
        what: (Option<ActorRef>, &str),
        why: &str,
    ) -> Result<(), Error> {
        let (from, message) = (what.0, what.1.to_owned());
        self.publish(to, 0, What::DeadLetter { from, message, why: why.to_owned() })
    }
}

fn sealed<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    codec::seal(value).map_err(|error| {
        Error::new(ErrorKind::Refused, "a record cannot be written").with_source(error)
    })
}
