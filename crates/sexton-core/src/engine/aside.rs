//! Actors that cannot be read: each costs itself, and nobody else.
//!
//! An actor whose record, state or debt cannot be read is set aside: its mail waits, its alarm
//! and its debts wait, and after a back-off it is looked at again. Nothing of it is written or
//! thrown away, so a program that can read it finds everything where it was. What is set aside
//! lies in memory only; an engine that is recovered tries everything anew.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, ErrorKind};
use crate::key::{ActorId, MailOrder};
use crate::limits::Limits;
use crate::store::Store;
use crate::time::Timestamp;

use super::slot::Found;
use super::{Engine, Turned, first_due};

/// An actor, or a mail of one, that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Whose.
    pub id: ActorId,
    /// Why, with what caused it.
    pub why: String,
    /// When it is looked at again; `None` for a mail, which waits for the store to be opened.
    pub next_at: Option<Timestamp>,
}

/// What waits for an actor that can be read.
#[derive(Debug)]
struct Waiting {
    why: String,
    failures: u32,
    next_at: Timestamp,
    mail: BTreeSet<MailOrder>,
}

/// Everything that is set aside.
#[derive(Debug, Default)]
pub(super) struct Aside {
    actors: BTreeMap<ActorId, Waiting>,
    by_time: BTreeSet<(Timestamp, ActorId)>,
    mail: BTreeMap<MailOrder, (ActorId, String)>,
    /// Not yet told to whoever drives the engine.
    untold: BTreeMap<ActorId, Unreadable>,
}

impl Aside {
    /// When the next is looked at again.
    pub(super) fn next_at(&self, now: Timestamp, limits: &Limits) -> Option<Timestamp> {
        first_due(&self.by_time, now, limits).map(|(at, _)| at)
    }

    pub(super) fn has(&self, id: &ActorId) -> bool {
        self.actors.contains_key(id)
    }

    /// How many actors and mails are set aside, and how many mails wait with their actors.
    pub(super) fn len(&self) -> (usize, usize) {
        let waiting: usize = self.actors.values().map(|it| it.mail.len()).sum();
        (self.actors.len() + self.mail.len(), waiting)
    }

    /// Keeps a mail for the time when its actor can be read. Whether it has to wait.
    pub(super) fn keep(&mut self, place: MailOrder, to: &ActorId) -> bool {
        let Some(waiting) = self.actors.get_mut(to) else { return false };
        waiting.mail.insert(place);
        true
    }

    /// A mail that cannot be read waits alone: what comes after it is taken.
    pub(super) fn put_mail(&mut self, place: MailOrder, to: &ActorId, error: &Error) {
        let why = with_source(error);
        let it = Unreadable { id: to.clone(), why: why.clone(), next_at: None };
        self.untold.insert(to.clone(), it);
        self.mail.insert(place, (to.clone(), why));
    }

    /// Sets an actor aside, for longer each time.
    pub(super) fn put(&mut self, at: (Timestamp, &Limits), id: &ActorId, error: &Error) {
        let (now, limits) = at;
        let (failures, mail) = match self.take(id) {
            Some(before) => (before.failures.saturating_add(1), before.mail),
            None => (1, BTreeSet::new()),
        };
        let (why, next_at) = (with_source(error), now + limits.back_off(failures));
        let it = Unreadable { id: id.clone(), why: why.clone(), next_at: Some(next_at) };
        self.untold.insert(id.clone(), it);
        self.by_time.insert((next_at, id.clone()));
        self.actors.insert(id.clone(), Waiting { why, failures, next_at, mail });
    }

    fn take(&mut self, id: &ActorId) -> Option<Waiting> {
        let waiting = self.actors.remove(id)?;
        self.by_time.remove(&(waiting.next_at, id.clone()));
        Some(waiting)
    }

    fn all(&self) -> impl Iterator<Item = Unreadable> + '_ {
        let actors = self.actors.iter().map(|(id, it)| Unreadable {
            id: id.clone(),
            why: it.why.clone(),
            next_at: Some(it.next_at),
        });
        let mail = self.mail.values().map(|(id, why)| Unreadable {
            id: id.clone(),
            why: why.clone(),
            next_at: None,
        });
        actors.chain(mail)
    }
}

fn with_source(error: &Error) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |it| format!("{error}: {it}"))
}

impl Engine {
    /// What could not be read and is set aside: nothing of it is lost, and it holds up nobody.
    pub fn unreadable(&self) -> impl Iterator<Item = Unreadable> + '_ {
        self.aside.all()
    }

    /// What was set aside since this was last asked, the latest of each actor.
    pub fn take_unreadable(&mut self) -> Vec<Unreadable> {
        std::mem::take(&mut self.aside.untold).into_values().collect()
    }

    /// Passes on a result; of an actor that cannot be read the actor is set aside instead.
    pub(super) fn spare<T>(
        &mut self,
        now: Timestamp,
        id: &ActorId,
        result: Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                self.aside.put((now, &self.limits), id, &error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Looks again at the actor that was set aside the longest; if it can be read, everything of
    /// it goes on.
    pub(super) fn look_again(
        &mut self,
        now: Timestamp,
        store: &dyn Store,
    ) -> Result<Turned, Error> {
        let first = first_due(&self.aside.by_time, now, &self.limits);
        let Some(id) = first.map(|(_, place)| place.1.clone()) else {
            return Ok(Turned::default());
        };
        let found = self.checkout(now, store, &id);
        let Some(found) = self.spare(now, &id, found)? else { return Ok(Turned::default()) };
        let mail = self.aside.take(&id).map(|it| it.mail).unwrap_or_default();
        for place in mail {
            self.mail.insert(place, id.clone());
        }
        if let Found::Alive(slot) = found {
            // Keeps G4: its alarm left the line when it was met. One whose attempt is marked
            // comes back with the flush of its mark.
            if self.marked.iter().all(|(.., it)| *it != id) {
                self.rearm(&id, None, slot.record.alarm);
            }
            self.line_up(&slot);
            if slot.is_destroying() {
                self.stuck.insert((now, id));
            }
            self.checkin(slot);
        }
        Ok(Turned::default())
    }
}
