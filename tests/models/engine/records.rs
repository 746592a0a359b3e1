//! The records of a store, in a form in which equal states are equal bytes.
//!
//! A real store never comes back to the same bytes: turns, events and mail are numbered, and
//! everything carries its time. What only counts or dates is left out after each step, and this
//! is why nothing is lost by that:
//!
//! * `turns`, `events` and the log: the engine writes them and reads none of them to decide.
//! * The order of a batch, of a debt and of mail: they say which came first. Among the mail of
//!   one sender the order is kept. Of different senders any may be the first, because engines
//!   number their turns apart, and the story lets each be the first. Of debts the engine of the
//!   story sees one actor's only, in the order of their numbers, which stay.
//! * Times of birth, change and intent: shown and never compared with. The time of a deadline is
//!   part of the state and stays.
//! * A debt's failures, and with them when it may be tried again and why it failed: they put a
//!   try off. Here it may be tried at once, and may as well not be: more happens than in the
//!   runtime, not less. What is lost is the mark of an actor that is stalled.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Serialize;
use sexton::key::{self, Key, MailOrder, Parsed};
use sexton::log::Bounds;
use sexton::{
    ActorId, Batch, Body, Cursor, Debt, Entry, Error, ErrorKind, Fence, Mail, Position, RowRecord,
    Shard, Store, StoreFigures, Timestamp, codec,
};

/// When everything that is not a deadline happens.
pub(crate) const EARLY: Timestamp = Timestamp::from_millis(1_000);
/// The order of mail that waits.
const WAITS: u64 = 1;

/// A store that stands still: the engine reads it, and what it writes makes another one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Records {
    records: BTreeMap<Key, Vec<u8>>,
}

impl Hash for Records {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.records.hash(state);
    }
}

impl Records {
    /// The hash of all records.
    pub(crate) fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.records.get(key).map(Vec::as_slice)
    }

    /// What lies under each key that begins so.
    pub(crate) fn under(&self, prefix: &Key) -> impl Iterator<Item = (&Key, &Vec<u8>)> + use<'_> {
        self.records.range(prefix.clone()..key::end_of(prefix))
    }

    /// Every mail of an actor, oldest first, with its sender's shard.
    pub(crate) fn mail(&self, to: &ActorId) -> Vec<(Shard, Mail)> {
        let mail = self.under(&key::inbox(to)).map(|(at, bytes)| {
            let Some(Parsed::Inbox(_, place)) = key::parse(at) else { return None };
            Some((place.from, codec::open(bytes).expect("a mail")))
        });
        mail.flatten().collect()
    }

    /// The same store, with the mail of one sender before all other mail of this actor; with all
    /// its mail as if it came at `at`.
    pub(crate) fn with_first(&self, to: &ActorId, first: Option<Shard>, at: Timestamp) -> Self {
        let mut records = self.records.clone();
        let places: Vec<Key> = self.under(&key::inbox(to)).map(|(at, _)| at.clone()).collect();
        for place in places {
            let Some(Parsed::Inbox(_, order)) = key::parse(&place) else { continue };
            let rank = if Some(order.from) == first { 0 } else { WAITS };
            if let Some(bytes) = records.remove(&place) {
                records.insert(key::mail(to, MailOrder { at, order: rank, ..order }), bytes);
            }
        }
        Self { records }
    }

    /// What a batch of `own` makes of this store, in the one form.
    pub(crate) fn after(
        &self,
        batch: Batch,
        own: &ActorId,
        is_lost: impl Fn(&Parsed) -> bool,
    ) -> Self {
        let mut records = self.records.clone();
        let mut inboxes = BTreeSet::from([own.clone()]);
        for write in batch.writes {
            let parsed = key::parse(&write.key).expect("a key of ours");
            if is_lost(&parsed) {
                continue;
            }
            if let Parsed::Inbox(to, _) = &parsed {
                inboxes.insert(to.clone());
            }
            match write.value {
                Some(bytes) => records.insert(write.key, plain(&parsed, bytes)),
                None => records.remove(&write.key),
            };
        }
        let mut next = Self { records };
        for to in inboxes {
            next.number(&to);
        }
        next
    }

    /// Numbers the mail of an actor anew: the mail of each sender by itself.
    fn number(&mut self, to: &ActorId) {
        let places: Vec<Key> = self.under(&key::inbox(to)).map(|(at, _)| at.clone()).collect();
        let mut counts: BTreeMap<Shard, u32> = BTreeMap::new();
        let mut numbered = Vec::new();
        for place in places {
            let Some(Parsed::Inbox(_, MailOrder { from, .. })) = key::parse(&place) else {
                continue;
            };
            let index = counts.entry(from).or_default();
            let order = MailOrder { at: EARLY, order: WAITS, from, index: *index };
            *index += 1;
            numbered.extend(self.records.remove(&place).map(|it| (key::mail(to, order), it)));
        }
        self.records.extend(numbered);
    }
}

/// Where a shard of the story stands, always: behind all mail that waits.
pub(crate) fn fence() -> Fence {
    Fence { at: EARLY, order: WAITS, ..Fence::default() }
}

/// A record without what only counts or dates.
fn plain(parsed: &Parsed, bytes: Vec<u8>) -> Vec<u8> {
    match parsed {
        Parsed::Actor(_) => match codec::open(&bytes).expect("an entry") {
            Entry::Alive(mut record) => {
                record.created_at = EARLY;
                record.status_since = EARLY;
                record.changed_at = EARLY;
                record.armed_at = EARLY;
                record.turns = 0;
                record.events = 0;
                record.stalled = None;
                if let Some(destruction) = &mut record.destruction {
                    destruction.since = EARLY;
                }
                sealed(&Entry::Alive(record))
            }
            Entry::Tombstone(mut tombstone) => {
                tombstone.created_at = EARLY;
                tombstone.at = EARLY;
                tombstone.turns = 0;
                sealed(&Entry::Tombstone(tombstone))
            }
        },
        Parsed::Row(..) => {
            let row: RowRecord = codec::open(&bytes).expect("a row");
            sealed(&RowRecord {
                created_at: EARLY,
                status_since: EARLY,
                changed_at: EARLY,
                stalled: None,
                ..row
            })
        }
        Parsed::Debt(..) => {
            let debt: Debt = codec::open(&bytes).expect("a debt");
            sealed(&Debt {
                recorded_at: EARLY,
                next_at: EARLY,
                order: 0,
                failures: 0,
                why: None,
                ..debt
            })
        }
        Parsed::Child(..) | Parsed::Event(_) | Parsed::Inbox(..) | Parsed::Alarm(..) => bytes,
    }
}

fn sealed<T: Serialize>(value: &T) -> Vec<u8> {
    codec::seal(value).expect("it was a record before")
}

/// Whether a mail is the story's note.
pub(crate) fn is_note(mail: &Mail) -> bool {
    matches!(&mail.body, Body::Message { name, .. } if name == "note")
}

impl Store for Records {
    fn claim(&self) -> Result<Vec<(Shard, Fence)>, Error> {
        Err(read_only())
    }

    fn submit(&self, _batch: Batch) -> Result<Position, Error> {
        Err(read_only())
    }

    fn flush(&self) -> Result<Position, Error> {
        Err(read_only())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.records.get(key).cloned())
    }

    fn scan(&self, start: &[u8], end: &[u8], limit: usize) -> Result<Vec<(Key, Vec<u8>)>, Error> {
        let range = self.records.range(start.to_vec()..);
        let inside = range.take_while(|(key, _)| end.is_empty() || key.as_slice() < end);
        Ok(inside.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn log(&self) -> Result<Bounds, Error> {
        Ok(Bounds::default())
    }

    fn trim_log(&self, _up_to: Cursor) -> Result<(), Error> {
        Err(read_only())
    }

    fn figures(&self) -> StoreFigures {
        StoreFigures::default()
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn read_only() -> Error {
    Error::new(ErrorKind::Refused, "the story writes its stores itself")
}
