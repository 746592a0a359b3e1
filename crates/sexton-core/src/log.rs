//! The log: every event of a store in one order, read from a place that its reader keeps.
//!
//! A store numbers events when it takes the batch that carries them: 1 for the first of the
//! store, no gaps, for its life. Whoever follows the log (an index elsewhere, a billing system)
//! keeps one [`Cursor`] in the same place and in the same commit as what it made of the events,
//! and goes on behind it: each event once or more, none left out, in order. What is read here is
//! durable, so that nobody outside ever knows more than a store that lost its power.
//!
//! ```text
//!   trimmed   |  there, durable                | visible, not durable
//! ............|####################|###########|++++++
//!           begin                cursor     durable  end
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::key::{self, ActorId, Parsed};
use crate::store::Store;

/// The most events that [`of`] looks at. Chosen: a tenth of a second of reading.
const LOOKED_AT_MAX: u64 = 100_000;
/// The events that [`of`] reads at a time. Chosen: some hundred kilobytes.
const PAGE: u64 = 1_024;

/// A place in the log of a store: behind the event with this number, before the next.
///
/// It stands between any two events, also between two of one turn. It means something only for
/// the store that it is from.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Cursor(pub u64);

impl Cursor {
    /// Before the first event that a store ever had.
    pub const BEGINNING: Self = Self(0);
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// From where to where the log of a store reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// What lies before it was trimmed; the earliest cursor from which can be read.
    pub begin: Cursor,
    /// Behind the last event that a flush has covered.
    pub durable: Cursor,
    /// Behind the last event that was submitted.
    pub end: Cursor,
}

impl Bounds {
    /// Whether the log can be read from a cursor.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`] if what lies behind the cursor was trimmed, with where the log
    /// begins now; or if the cursor lies behind the end, as it does when the store was restored
    /// from a backup that is older than its follower.
    pub fn check(&self, after: Cursor) -> Result<(), Error> {
        if after < self.begin {
            let (begin, wanted) = (self.begin, after.0.saturating_add(1));
            let message = format!(
                "the log begins behind cursor {begin} now, and event {wanted} was asked for: it \
                 was trimmed"
            );
            return Err(Error::new(ErrorKind::Refused, message));
        }
        if after > self.end {
            let message = format!(
                "the log ends with cursor {}, and what lies behind cursor {after} was asked for: \
                 it is not of this store, or the store lost what it had",
                self.end
            );
            return Err(Error::new(ErrorKind::Refused, message));
        }
        Ok(())
    }
}

/// Up to `limit` durable events behind a cursor, in order, each with the cursor behind it.
///
/// None means that the cursor is where the durable part of the log ends. It costs one scan of
/// one range, however many shards and actors there are.
///
/// # Errors
///
/// As [`Bounds::check`], [`ErrorKind::Corrupt`] if an event is missing or cannot be read, and
/// what the store says.
///
/// # Durability
///
/// Every event that is returned survives any crash, under its number.
pub fn read(store: &dyn Store, after: Cursor, limit: usize) -> Result<Vec<(Cursor, Event)>, Error> {
    let bounds = store.log()?;
    bounds.check(after)?;
    between(store, (after, bounds.durable), limit)
}

/// Up to `limit` events behind the first cursor and up to the second.
fn between(
    store: &dyn Store,
    (after, to): (Cursor, Cursor),
    limit: usize,
) -> Result<Vec<(Cursor, Event)>, Error> {
    if to <= after || limit == 0 {
        return Ok(Vec::new());
    }
    let count = usize::try_from(to.0 - after.0).unwrap_or(usize::MAX).min(limit);
    let (start, end) = (key::event(after.0 + 1), key::event(to.0.saturating_add(1)));
    let mut events = Vec::new();
    let mut reached = after;
    for (at, bytes) in store.scan(&start, &end, count)? {
        let cursor = Cursor(reached.0 + 1);
        if key::parse(&at) != Some(Parsed::Event(cursor.0)) {
            break;
        }
        events.push((cursor, open(cursor, &bytes)?));
        reached = cursor;
    }
    if events.len() < count {
        // It may have been trimmed since the bounds were read.
        store.log()?.check(after)?;
        let message = format!("event {} of the log is missing", reached.0 + 1);
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    Ok(events)
}

/// The event in a record of the log.
pub(crate) fn open(at: Cursor, bytes: &[u8]) -> Result<Event, Error> {
    codec::open(bytes).map_err(|error| {
        Error::new(ErrorKind::Corrupt, format!("event {at} of the log cannot be read"))
            .with_source(error)
    })
}

/// What the log says about one actor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Its latest events, the newest last.
    pub events: Vec<(Cursor, Event)>,
    /// Every event of the actor behind this cursor is among them.
    pub since: Cursor,
}

/// The latest events of an actor, at most `limit`, found by looking back from the end of the log.
///
/// It looks at a bounded number of events, and says how far back it came. As other queries it
/// tells what is visible, which may not be durable yet.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`] if an event is missing or cannot be read, and what the store says.
pub fn of(store: &dyn Store, id: &ActorId, limit: usize) -> Result<History, Error> {
    let bounds = store.log()?;
    let floor = bounds.begin.max(Cursor(bounds.end.0.saturating_sub(LOOKED_AT_MAX)));
    let mut since = bounds.end;
    let mut newest_first = Vec::new();
    while since > floor && newest_first.len() < limit {
        let start = floor.max(Cursor(since.0.saturating_sub(PAGE)));
        let page = between(store, (start, since), usize::MAX)?;
        let of_it = page.into_iter().rev().filter(|(_, event)| event.actor == *id);
        newest_first.extend(of_it.take(limit - newest_first.len()));
        since = start;
    }
    if newest_first.len() == limit {
        since = newest_first.last().map_or(since, |(cursor, _)| Cursor(cursor.0 - 1));
    }
    newest_first.reverse();
    Ok(History { events: newest_first, since })
}
