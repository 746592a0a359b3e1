//! A store without disk: a sorted map, with the same fences and the same idea of a flush.
//!
//! It remembers how to undo what was not flushed, so that a test can let the power go: see
//! [`MemoryStore::crash`].

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Mutex;

use sexton_core::StoreFigures;
use sexton_core::key::Key;
use sexton_core::log::Bounds;
use sexton_core::{Batch, Cursor, Epoch, Error, ErrorKind, Fence, Position, Shard, Store};

use crate::fault;
use crate::fences::Fences;
use crate::log;

/// Holds everything in memory and forgets it when dropped.
#[derive(Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

#[derive(Clone)]
struct Inner {
    records: BTreeMap<Key, Vec<u8>>,
    fences: Fences,
    log: Bounds,
    last: u64,
    flushed: u64,
    /// How to take back each batch since the last flush, oldest first.
    unflushed: Vec<Undo>,
    figures: StoreFigures,
    failure: Failure,
}

/// What one batch replaced.
#[derive(Clone)]
struct Undo {
    shard: Shard,
    fence: Fence,
    /// Where the log ended before it.
    log_end: Cursor,
    /// Key and earlier record, in the order in which they were replaced.
    replaced: Vec<(Key, Option<Vec<u8>>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Failure {
    None,
    AtNextFlush,
    Failed,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            records: BTreeMap::new(),
            fences: Fences::new(),
            log: Bounds::default(),
            last: 0,
            flushed: 0,
            unflushed: Vec::new(),
            figures: StoreFigures::default(),
            failure: Failure::None,
        }
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = fault::lock(&self.inner);
        f.debug_struct("MemoryStore")
            .field("records", &inner.records.len())
            .field("last", &inner.last)
            .field("flushed", &inner.flushed)
            .finish_non_exhaustive()
    }
}

/// A copy of its own: what is done to one does not show in the other.
impl Clone for MemoryStore {
    fn clone(&self) -> Self {
        Self { inner: Mutex::new(fault::lock(&self.inner).clone()) }
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the next flush fail, as a disk that is full would.
    pub fn fail_next_flush(&self) {
        fault::lock(&self.inner).failure = Failure::AtNextFlush;
    }

    /// Does to the content what a power cut and opening again do: of the batches that no flush
    /// covered the first `kept` survive, and the others are gone as if they had never been.
    ///
    /// # Durability
    ///
    /// What was flushed is never touched, whatever `kept` says.
    ///
    /// # Example
    ///
    /// ```
    /// use sexton_core::{Batch, Sequence, Shard, Store, Timestamp, Write};
    /// use sexton_store::MemoryStore;
    ///
    /// let store = MemoryStore::new();
    /// let (shard, fence) = store.claim().expect("memory")[0];
    /// let writes = vec![Write { key: b"k".to_vec(), value: Some(b"v".to_vec()) }];
    /// let (at, expected, events) = (Timestamp::ZERO, Sequence(0), Vec::new());
    /// let epoch = fence.epoch;
    /// store.submit(Batch { shard, epoch, expected, at, order: 1, writes, events }).expect("ours");
    /// assert_eq!(store.get(b"k").expect("readable"), Some(b"v".to_vec()));
    /// store.crash(0);
    /// assert_eq!(store.get(b"k").expect("readable"), None);
    /// ```
    pub fn crash(&self, kept: usize) {
        let inner = &mut *fault::lock(&self.inner);
        let kept = kept.min(inner.unflushed.len());
        for undo in inner.unflushed.drain(kept..).rev() {
            for (key, earlier) in undo.replaced.into_iter().rev() {
                replace(&mut inner.records, &mut inner.figures.bytes, key, earlier);
            }
            inner.fences.set(undo.shard, undo.fence);
            inner.log.end = undo.log_end;
            inner.last -= 1;
        }
        inner.unflushed.clear();
        inner.log.durable = inner.log.end;
        inner.flushed = inner.last;
        inner.failure = Failure::None;
    }
}

impl Inner {
    fn check(&self) -> Result<(), Error> {
        if self.failure == Failure::Failed {
            let message = "the memory store refuses everything since its flush failed";
            return Err(Error::new(ErrorKind::Closed, message));
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<Position, Error> {
        self.check()?;
        if self.failure == Failure::AtNextFlush {
            self.failure = Failure::Failed;
            let message = "the flush of the memory store failed, as it was told to";
            return Err(Error::new(ErrorKind::Unconfirmed, message));
        }
        if self.flushed < self.last {
            self.figures.flushes += 1;
        }
        self.unflushed.clear();
        self.flushed = self.last;
        self.log.durable = self.log.end;
        Ok(Position(self.flushed))
    }
}

/// Puts or takes away a record, keeps count of the bytes, and tells what was there.
fn replace(
    records: &mut BTreeMap<Key, Vec<u8>>,
    bytes: &mut u64,
    key: Key,
    value: Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let size = |key_bytes: usize, value: &Vec<u8>| {
        u64::try_from(key_bytes + value.len()).unwrap_or(u64::MAX)
    };
    let key_bytes = key.len();
    *bytes += value.as_ref().map_or(0, |value| size(key_bytes, value));
    let earlier = match value {
        Some(value) => records.insert(key, value),
        None => records.remove(&key),
    };
    *bytes -= earlier.as_ref().map_or(0, |value| size(key_bytes, value));
    earlier
}

impl Store for MemoryStore {
    fn claim(&self) -> Result<Vec<(Shard, Fence)>, Error> {
        let inner = &mut *fault::lock(&self.inner);
        inner.flush()?;
        inner.fences.claim(Epoch(inner.fences.epoch().0 + 1));
        inner.last += 1;
        inner.flush()?;
        Ok(inner.fences.all())
    }

    fn submit(&self, batch: Batch) -> Result<Position, Error> {
        let inner = &mut *fault::lock(&self.inner);
        inner.check()?;
        inner.fences.check(&batch)?;
        let (shard, fence) = (batch.shard, inner.fences.fence(batch.shard));
        inner.fences.advance(&batch);
        let log_end = inner.log.end;
        let mut replaced = Vec::with_capacity(batch.writes.len() + batch.events.len());
        let events = log::number(&mut inner.log, batch.events);
        for write in batch.writes.into_iter().chain(events) {
            let key = write.key.clone();
            let bytes = &mut inner.figures.bytes;
            replaced.push((key, replace(&mut inner.records, bytes, write.key, write.value)));
        }
        inner.unflushed.push(Undo { shard, fence, log_end, replaced });
        inner.last += 1;
        inner.figures.commits += 1;
        Ok(Position(inner.last))
    }

    fn flush(&self) -> Result<Position, Error> {
        fault::lock(&self.inner).flush()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let inner = fault::lock(&self.inner);
        inner.check()?;
        Ok(inner.records.get(key).cloned())
    }

    fn scan(&self, start: &[u8], end: &[u8], limit: usize) -> Result<Vec<(Key, Vec<u8>)>, Error> {
        let inner = fault::lock(&self.inner);
        inner.check()?;
        if !end.is_empty() && end <= start {
            return Ok(Vec::new());
        }
        let end = if end.is_empty() { Bound::Unbounded } else { Bound::Excluded(end) };
        let range = inner.records.range::<[u8], _>((Bound::Included(start), end));
        Ok(range.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn log(&self) -> Result<Bounds, Error> {
        let inner = fault::lock(&self.inner);
        inner.check()?;
        Ok(inner.log)
    }

    fn trim_log(&self, up_to: Cursor) -> Result<(), Error> {
        let inner = &mut *fault::lock(&self.inner);
        inner.flush()?;
        while let Some(next) = log::next_trim(&inner.log, up_to)? {
            for write in log::trim(&mut inner.log, next) {
                replace(&mut inner.records, &mut inner.figures.bytes, write.key, write.value);
            }
            inner.last += 1;
        }
        inner.flush().map(drop)
    }

    fn figures(&self) -> StoreFigures {
        fault::lock(&self.inner).figures.clone()
    }

    fn close(&self) -> Result<(), Error> {
        self.flush().map(|_| ())
    }
}
