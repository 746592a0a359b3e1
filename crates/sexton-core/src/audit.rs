//! The promises as functions over a snapshot: what a store says must agree with itself.
//!
//! Each check reads committed records only, so it runs on a store at rest, on a copy, and in a
//! test after any step. What it reports carries the number of the promise that is broken.

use std::collections::BTreeMap;
use std::fmt;

use crate::actor::Kinds;
use crate::codec;
use crate::deadline;
use crate::destroy::{ActorRecord, Entry};
use crate::engine::{each, each_shard, find_slot, read_debts, read_entry};
use crate::error::{Error, ErrorKind};
use crate::inbox::{Body, Mail};
use crate::key::{self, ActorId, Parsed, Shard, Table};
use crate::log::{self, Cursor};
use crate::query;
use crate::row::DESTROYING;
use crate::store::Store;

/// A promise that a store's records do not keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The promise, as numbered in `docs/guarantees.md`.
    pub promise: &'static str,
    /// The actor at which it shows.
    pub id: ActorId,
    /// What is there and what should be.
    pub why: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {}", self.promise, self.id, self.why)
    }
}

/// Checks every record of a store against every other that it must agree with.
///
/// Reports at most `limit` breakages; none means that the audit holds.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`] if a record cannot be read at all, and what the store says.
pub fn audit(store: &dyn Store, kinds: &Kinds, limit: usize) -> Result<Vec<Broken>, Error> {
    let (lives, begin) = (BTreeMap::new(), Cursor::BEGINNING);
    let mut audit = Audit { store, kinds, limit, broken: Vec::new(), lives, begin };
    audit.events()?;
    query::all_entries(store, |id, entry| match entry {
        Entry::Alive(record) => audit.living(&id, &record),
        Entry::Tombstone(_) => audit.buried(&id),
    })?;
    each_shard(store, |shard| {
        audit.alarms(shard)?;
        audit.links(shard)?;
        audit.debts(shard)
    })?;
    audit.rows()?;
    Ok(audit.broken)
}

struct Audit<'a> {
    store: &'a dyn Store,
    kinds: &'a Kinds,
    limit: usize,
    broken: Vec<Broken>,
    /// The number of the last event of each life that the log knows.
    lives: BTreeMap<(ActorId, u32), u64>,
    /// Where the log begins.
    begin: Cursor,
}

impl Audit<'_> {
    fn blame(&mut self, promise: &'static str, id: &ActorId, why: impl Into<String>) {
        if self.broken.len() < self.limit {
            self.broken.push(Broken { promise, id: id.clone(), why: why.into() });
        }
    }

    fn has(&self, key: &[u8]) -> Result<bool, Error> {
        Ok(self.store.get(key)?.is_some())
    }

    fn living(&mut self, id: &ActorId, record: &ActorRecord) -> Result<(), Error> {
        self.events_are_counted(id, record);
        self.alarm_is_earliest(id, record)?;
        self.debts_are_counted(id, record)?;
        self.row_is_honest(id)?;
        self.parent_is_there(id, record)
    }

    /// Checks G5: the armed alarm is the earliest of the state's deadlines and back-offs.
    fn alarm_is_earliest(&mut self, id: &ActorId, record: &ActorRecord) -> Result<(), Error> {
        let Some(slot) = find_slot(self.store, self.kinds, id)? else { return Ok(()) };
        let earliest = deadline::earliest(slot.due(), &record.back_offs);
        if earliest != record.alarm {
            self.blame("G5", id, format!("its alarm is {:?}, not {earliest:?}", record.alarm));
        }
        if let Some(at) = record.alarm {
            // Checks G4: an alarm that no index knows would never ring.
            if !self.has(&key::alarm(id, at))? {
                self.blame("G4", id, format!("its alarm at {at} is not armed"));
            }
        }
        Ok(())
    }

    /// Checks G8: the debts that are there are those that the record counts.
    fn debts_are_counted(&mut self, id: &ActorId, record: &ActorRecord) -> Result<(), Error> {
        let n_debts = read_debts(self.store, id)?.len();
        if u32::try_from(n_debts) != Ok(record.debts_open) {
            let why = format!("it counts {} debts, and {n_debts} are there", record.debts_open);
            self.blame("G8", id, why);
        }
        Ok(())
    }

    /// Checks G11: the row is the committed state's.
    fn row_is_honest(&mut self, id: &ActorId) -> Result<(), Error> {
        let Some(slot) = find_slot(self.store, self.kinds, id)? else { return Ok(()) };
        let (status, row) = slot.current_row();
        let stored = match self.store.get(&key::row(id, status))? {
            Some(bytes) => Some(codec::open(&bytes).map_err(|error| {
                Error::new(ErrorKind::Corrupt, format!("the row of {id} cannot be read"))
                    .with_source(error)
            })?),
            None => None,
        };
        if stored.as_ref() != Some(&row) {
            self.blame("G11", id, format!("its row is {stored:?}, not {row:?}"));
        }
        Ok(())
    }

    /// Checks G7: a child has a parent that lives and links to it.
    fn parent_is_there(&mut self, id: &ActorId, record: &ActorRecord) -> Result<(), Error> {
        let Some(parent) = &record.parent else { return Ok(()) };
        let is_living = match read_entry(self.store, &parent.id)? {
            Some(Entry::Alive(record)) => record.incarnation == parent.incarnation,
            Some(Entry::Tombstone(_)) | None => false,
        };
        if !is_living {
            self.blame("G7", id, format!("its parent {parent} is gone"));
        } else if !self.has(&key::child(&parent.id, id))? {
            self.blame("G7", id, format!("its parent {parent} has no link to it"));
        }
        Ok(())
    }

    /// Checks G6: beside a tombstone lies nothing that could run.
    fn buried(&mut self, id: &ActorId) -> Result<(), Error> {
        if !read_debts(self.store, id)?.is_empty() {
            self.blame("G8", id, "it has a tombstone and owes effects");
        }
        if !query::children(self.store, id)?.is_empty() {
            self.blame("G7", id, "it has a tombstone and children");
        }
        Ok(())
    }

    /// Checks G6 from the alarm's side: what is armed belongs to a life, for its own time.
    fn alarms(&mut self, shard: Shard) -> Result<(), Error> {
        let mut armed = Vec::new();
        each(self.store, &key::prefix(shard, Table::Alarm), |at, _| {
            if let Some(Parsed::Alarm(id, due)) = key::parse(at) {
                armed.push((id, due));
            }
            Ok(())
        })?;
        for (id, due) in armed {
            match read_entry(self.store, &id)? {
                Some(Entry::Alive(record)) if record.alarm == Some(due) => {}
                Some(Entry::Alive(record)) => {
                    let why = format!("an alarm at {due} is armed, not {:?}", record.alarm);
                    self.blame("G5", &id, why);
                }
                Some(Entry::Tombstone(_)) | None => {
                    self.blame("G6", &id, format!("an alarm at {due} is armed for no life"));
                }
            }
        }
        Ok(())
    }

    /// Checks G7 from the parent's side: a link leads to a child, or to mail that will make or
    /// end it.
    fn links(&mut self, shard: Shard) -> Result<(), Error> {
        let mut links = Vec::new();
        each(self.store, &key::prefix(shard, Table::Child), |at, _| {
            if let Some(Parsed::Child(parent, child)) = key::parse(at) {
                links.push((parent, child));
            }
            Ok(())
        })?;
        for (parent, child) in links {
            let is_buried = matches!(read_entry(self.store, &child)?, Some(Entry::Tombstone(_)));
            let is_absent = read_entry(self.store, &child)?.is_none();
            let is_told = self.has_mail(&child, &parent)? || self.has_mail(&parent, &child)?;
            if (is_buried || is_absent) && !is_told {
                self.blame("G7", &parent, format!("its child {child} is not there"));
            }
            // That one with a tombstone has children is told with it.
            if read_entry(self.store, &parent)?.is_none() {
                self.blame("G7", &parent, format!("it has a child {child} and was never born"));
            }
        }
        Ok(())
    }

    /// Whether mail lies with `to` that concerns the bond between it and `other`.
    fn has_mail(&self, to: &ActorId, other: &ActorId) -> Result<bool, Error> {
        let mut is_there = false;
        each(self.store, &key::inbox(to), |_, bytes| {
            let mail: Mail = codec::open(bytes).map_err(|error| {
                Error::new(ErrorKind::Corrupt, format!("a mail of {to} cannot be read"))
                    .with_source(error)
            })?;
            is_there |= match &mail.body {
                Body::Create { .. } => mail.from.as_ref().is_some_and(|from| from.id == *other),
                Body::Gone { child, .. } => child == other,
                Body::Message { .. } | Body::Destroy { .. } | Body::Advance => false,
            };
            Ok(())
        })?;
        Ok(is_there)
    }

    /// Checks G8 from the debt's side: what is owed is owed by somebody who lives.
    fn debts(&mut self, shard: Shard) -> Result<(), Error> {
        let mut owing = std::collections::BTreeSet::new();
        each(self.store, &key::prefix(shard, Table::Debt), |at, _| {
            if let Some(Parsed::Debt(id, _)) = key::parse(at) {
                owing.insert(id);
            }
            Ok(())
        })?;
        for id in owing {
            if !matches!(read_entry(self.store, &id)?, Some(Entry::Alive(_))) {
                self.blame("G8", &id, "it owes effects and does not live");
            }
        }
        Ok(())
    }

    /// Checks G9: the log has no gap, and neither have the events of a life in it.
    fn events(&mut self) -> Result<(), Error> {
        let bounds = self.store.log()?;
        self.begin = bounds.begin;
        let (mut reached, mut broken) = (bounds.begin, Vec::new());
        let lives = &mut self.lives;
        each(self.store, &key::all_events(), |at, bytes| {
            let Some(Parsed::Event(number)) = key::parse(at) else { return Ok(()) };
            let event = log::open(Cursor(number), bytes)?;
            if number != reached.0 + 1 {
                let why = format!("event {} of the log is missing before it", reached.0 + 1);
                broken.push((event.actor.clone(), why));
            }
            reached = Cursor(number);
            if event.number == 0 {
                return Ok(());
            }
            let life = (event.actor.clone(), event.incarnation);
            let before = lives.insert(life, event.number);
            let is_next = match before {
                Some(before) => event.number == before + 1,
                None => event.number == 1 || bounds.begin > Cursor::BEGINNING,
            };
            if !is_next {
                let (number, before) = (event.number, before.unwrap_or(0));
                broken.push((event.actor, format!("its event {number} follows on {before}")));
            }
            Ok(())
        })?;
        for (id, why) in broken {
            self.blame("G9", &id, why);
        }
        if reached != bounds.end {
            let message = format!("the log ends with event {reached}, and not with {}", bounds.end);
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Ok(())
    }

    /// Checks G9 from the actor's side: the log has the events that a life counts.
    fn events_are_counted(&mut self, id: &ActorId, record: &ActorRecord) {
        let last = self.lives.get(&(id.clone(), record.incarnation)).copied();
        let is_trimmed = last.is_none() && self.begin > Cursor::BEGINNING;
        if last.unwrap_or(0) != record.events && !is_trimmed {
            let (counts, last) = (record.events, last.unwrap_or(0));
            self.blame("G9", id, format!("it counts {counts} events, and the last is {last}"));
        }
    }

    /// Checks G11 from the row's side: a row belongs to a life that has this status.
    fn rows(&mut self) -> Result<(), Error> {
        let mut rows = Vec::new();
        query::all_rows(self.store, |row| {
            rows.push((row.id, row.status));
            Ok(())
        })?;
        for (id, status) in rows {
            let shown = find_slot(self.store, self.kinds, &id)?.map(|slot| slot.current_row());
            let is_shown = shown.is_some_and(|(shown, _)| shown == status);
            if !is_shown {
                let promise = if status == DESTROYING { "G6" } else { "G11" };
                self.blame(promise, &id, format!("a row says {status}, and it does not"));
            }
        }
        Ok(())
    }
}
