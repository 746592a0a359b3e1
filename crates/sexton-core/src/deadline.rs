//! Read off the state: deadlines, their back-off, and the earliest of them.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codec::{self, CodecError};
use crate::time::Timestamp;

/// The deadlines that an actor's state says it has; filled anew after every turn.
#[derive(Debug)]
pub struct Deadlines<D> {
    due: Vec<(Timestamp, D)>,
}

impl<D> Default for Deadlines<D> {
    fn default() -> Self {
        Self { due: Vec::new() }
    }
}

impl<D> Deadlines<D> {
    /// No deadlines.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that `what` must happen at `due`, as long as the state says so.
    ///
    /// Rings in a turn of its own, never before `due`; a `due` in the past rings as soon as the
    /// turn that caused it commits. A deadline that the next turn's state no longer names is
    /// gone: nothing has to be cancelled.
    ///
    /// # Durability
    ///
    /// Deadlines are read off the committed state. A crash before the commit leaves the earlier
    /// state's; a crash after it rings the new ones, at least once, in this process or the next.
    ///
    /// # Example
    ///
    /// ```
    /// use sexton_core::{Deadlines, Timestamp};
    ///
    /// let mut due = Deadlines::new();
    /// due.at(Timestamp::from_millis(31_000), "warm expiry");
    /// due.at(Timestamp::from_millis(5_000), "delete workspace");
    /// assert_eq!(due.earliest(), Some(Timestamp::from_millis(5_000)));
    /// ```
    pub fn at(&mut self, due: Timestamp, what: D) {
        self.due.push((due, what));
    }

    /// The earliest moment among them.
    pub fn earliest(&self) -> Option<Timestamp> {
        self.due.iter().map(|(due, _)| *due).min()
    }

    /// The deadlines in the order in which they were named.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, &D)> {
        self.due.iter().map(|(due, what)| (*due, what))
    }
}

impl<D: Serialize + DeserializeOwned> Deadlines<D> {
    /// The same with every `what` as bytes, by which a back-off knows its deadline again.
    pub(crate) fn erase(&self) -> Result<Vec<Due>, CodecError> {
        self.due.iter().map(|(at, what)| Ok(Due { at: *at, what: codec::encode(what)? })).collect()
    }
}

/// One deadline with its meaning as bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    pub(crate) at: Timestamp,
    pub(crate) what: Vec<u8>,
}

/// What failed attempts left behind for one deadline; persisted with the actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackOff {
    /// When the deadline was due.
    pub at: Timestamp,
    /// What it means, as the actor's kind encodes it.
    #[serde(with = "serde_bytes")]
    pub what: Vec<u8>,
    /// Failures in a row.
    pub failures: u32,
    /// Not tried again before this.
    pub next_at: Timestamp,
    /// An attempt was begun and its end never committed: the process may have died of it.
    pub is_open: bool,
    /// What the last failure said.
    pub why: String,
}

impl BackOff {
    pub(crate) fn is_for(&self, due: &Due) -> bool {
        self.at == due.at && self.what == due.what
    }
}

/// When `due` rings, given the back-offs: the later of its own time and its back-off's.
pub(crate) fn rings_at(due: &Due, back_offs: &[BackOff]) -> Timestamp {
    let wait = back_offs.iter().find(|back_off| back_off.is_for(due));
    wait.map_or(due.at, |back_off| due.at.max(back_off.next_at))
}

/// Keeps G5: the alarm is the earliest of the deadlines and their back-offs, or none.
pub(crate) fn earliest(due: &[Due], back_offs: &[BackOff]) -> Option<Timestamp> {
    due.iter().map(|due| rings_at(due, back_offs)).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_back_off_delays_its_own_deadline_and_no_other() {
        let due = [Due { at: at(1), what: vec![1] }, Due { at: at(5), what: vec![2] }];
        let back_offs = [BackOff {
            at: at(1),
            what: vec![1],
            failures: 1,
            next_at: at(9),
            is_open: false,
            why: String::new(),
        }];
        assert_eq!(earliest(&due, &[]), Some(at(1)));
        assert_eq!(earliest(&due, &back_offs), Some(at(5)));
        assert_eq!(earliest(&[], &back_offs), None);
    }
}
