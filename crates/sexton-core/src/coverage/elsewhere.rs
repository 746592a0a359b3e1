//! What a sweep finds in the store: the one actor, and of all others nothing or a tombstone.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::batch::Batch;
use crate::codec;
use crate::destroy::{Entry, Tombstone};
use crate::error::{Error, ErrorKind};
use crate::key::{self, ActorId, Key, Parsed, Shard};
use crate::log::{Bounds, Cursor};
use crate::store::{Fence, Position, Store, StoreFigures};
use crate::time::Timestamp;

/// Whether an actor that is not the checked one has a tombstone.
pub(super) type IsBuried = dyn Fn(&ActorId) -> bool + Send + Sync;

/// A store of one actor, to be read and not written.
pub(super) struct Elsewhere<'a> {
    records: BTreeMap<Key, Vec<u8>>,
    buried: &'a IsBuried,
    /// When the tombstones were written.
    since: Timestamp,
}

impl fmt::Debug for Elsewhere<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Elsewhere").field("since", &self.since).finish_non_exhaustive()
    }
}

impl<'a> Elsewhere<'a> {
    pub(super) fn new(buried: &'a IsBuried, since: Timestamp) -> Self {
        Self { records: BTreeMap::new(), buried, since }
    }

    /// Adds a record; what cannot be written was refused by its turn already.
    pub(super) fn put<T: Serialize>(&mut self, key: Key, value: &T) {
        if let Ok(record) = codec::seal(value) {
            self.records.insert(key, record);
        }
    }

    fn tombstone(&self, key: &[u8]) -> Option<Vec<u8>> {
        let Some(Parsed::Actor(id)) = key::parse(key) else { return None };
        if !(self.buried)(&id) {
            return None;
        }
        let entry = Entry::Tombstone(Tombstone {
            incarnation: 1,
            created_at: self.since,
            at: self.since,
            why: "the model says so".to_owned(),
            by: "model".to_owned(),
            status: String::new(),
            turns: 1,
        });
        codec::seal(&entry).ok()
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the store of a coverage check is read only")
}

impl Store for Elsewhere<'_> {
    fn claim(&self) -> Result<Vec<(Shard, Fence)>, Error> {
        Err(closed())
    }

    fn submit(&self, _batch: Batch) -> Result<Position, Error> {
        Err(closed())
    }

    fn flush(&self) -> Result<Position, Error> {
        Err(closed())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.records.get(key).cloned().or_else(|| self.tombstone(key)))
    }

    fn scan(&self, start: &[u8], end: &[u8], limit: usize) -> Result<Vec<(Key, Vec<u8>)>, Error> {
        let is_inside = |key: &[u8]| end.is_empty() || key < end;
        let records = self.records.range(start.to_vec()..).take_while(|(key, _)| is_inside(key));
        Ok(records.take(limit).map(|(key, record)| (key.clone(), record.clone())).collect())
    }

    fn log(&self) -> Result<Bounds, Error> {
        Ok(Bounds::default())
    }

    fn trim_log(&self, _up_to: Cursor) -> Result<(), Error> {
        Err(closed())
    }

    fn figures(&self) -> StoreFigures {
        StoreFigures::default()
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}
