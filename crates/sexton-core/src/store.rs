//! The contract with whatever makes turns durable.
//!
//! Submitting and flushing are two calls, because group commit needs them apart: an engine goes
//! on with its next turn while the batches of the earlier ones wait for a flush that they share.
//! What was submitted is visible to reads of the same process at once; nothing that depends on
//! it may leave the process before a flush has covered it.

use std::fmt;
use std::sync::Arc;

use crate::batch::{Batch, Epoch, Sequence};
use crate::error::Error;
use crate::key::{Key, Shard};
use crate::log::{Bounds, Cursor};
use crate::time::Timestamp;

/// A place in a store's one order of commits; a flush covers all up to a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub u64);

/// How far a shard has come: who may write it, and what it wrote last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fence {
    /// The epoch of its owner.
    pub epoch: Epoch,
    /// The sequence of its last commit.
    pub sequence: Sequence,
    /// When that commit's turn ran.
    pub at: Timestamp,
    /// The order of that commit's turn.
    pub order: u64,
}

/// What a store says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreFigures {
    /// Batches submitted since it was opened.
    pub commits: u64,
    /// Flushes that reached the disk since it was opened.
    pub flushes: u64,
    /// Bytes that it takes on disk (in memory, for a store without disk).
    pub bytes: u64,
}

/// A place where turns become durable.
///
/// Every store keeps these promises, and `sexton_store::conformance` holds it to them:
///
/// 1. **Whole or absent.** After a crash a batch is there in full or not at all.
/// 2. **No gaps.** If a batch survives, so does every batch that was submitted before it.
/// 3. **Said is kept.** A batch at or before a position that `flush` returned survives any
///    crash, power cuts included.
/// 4. **Fenced.** A batch with another epoch than its shard's, or with another expected
///    sequence, changes nothing and is refused with [`ErrorKind::Closed`]: whoever sent it has
///    lost the shard.
/// 5. **Silent after failure.** After a failed write or flush every call fails with
///    [`ErrorKind::Closed`] until the store is opened again.
/// 6. **Numbered.** The events of batches are numbered in the order of the batches and within a
///    batch in its order: 1 for the first of the store, no gaps, for its life. The number of an
///    event that a flush covered never changes and is never another's. Whoever reads event n has
///    every event before it that was not trimmed.
///
/// [`ErrorKind::Closed`]: crate::ErrorKind::Closed
pub trait Store: Send + Sync + fmt::Debug {
    /// Takes over every shard: raises its epoch by one and returns where it stands.
    ///
    /// Durable when it returns. Batches of an earlier claim are refused from here on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) after a failure, or if the disk refuses.
    fn claim(&self) -> Result<Vec<(Shard, Fence)>, Error>;

    /// Takes a batch; visible to reads at once, durable with the next flush.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) if the batch is fenced off or the store
    /// failed before. Nothing of the batch is kept.
    fn submit(&self, batch: Batch) -> Result<Position, Error>;

    /// Makes durable all that was submitted, and returns up to where that is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unconfirmed`](crate::ErrorKind::Unconfirmed) if the medium failed: nobody
    /// knows what it holds of the batches since the last flush. The store then refuses all
    /// calls until it is opened again.
    fn flush(&self) -> Result<Position, Error>;

    /// The record under a key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if it cannot be read,
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) after a failure.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// Up to `limit` records from `start` (with it) to `end` (without it), in order of keys.
    /// An empty `end` is no bound.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    fn scan(&self, start: &[u8], end: &[u8], limit: usize) -> Result<Vec<(Key, Vec<u8>)>, Error>;

    /// From where to where its log of events reaches; what lies between is under
    /// [`key::event`](crate::key::event). It is read with [`log::read`](crate::log::read).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) after a failure.
    fn log(&self) -> Result<Bounds, Error>;

    /// Takes the events up to a cursor out of the log, for good; never done by itself.
    ///
    /// A cursor that is trimmed already changes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`](crate::ErrorKind::Refused) if the cursor lies behind the end of
    /// the log, otherwise as [`flush`](Self::flush).
    ///
    /// # Durability
    ///
    /// Durable when it returns, and all that was submitted before with it. A crash meanwhile
    /// leaves a log that begins somewhere between where it began and the cursor.
    fn trim_log(&self, up_to: Cursor) -> Result<(), Error>;

    /// What it did and how large it is.
    fn figures(&self) -> StoreFigures;

    /// Flushes and brings everything into the form that opens fastest.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    fn close(&self) -> Result<(), Error>;
}

impl<S: Store + ?Sized> Store for Arc<S> {
    fn claim(&self) -> Result<Vec<(Shard, Fence)>, Error> {
        (**self).claim()
    }

    fn submit(&self, batch: Batch) -> Result<Position, Error> {
        (**self).submit(batch)
    }

    fn flush(&self) -> Result<Position, Error> {
        (**self).flush()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        (**self).get(key)
    }

    fn scan(&self, start: &[u8], end: &[u8], limit: usize) -> Result<Vec<(Key, Vec<u8>)>, Error> {
        (**self).scan(start, end, limit)
    }

    fn log(&self) -> Result<Bounds, Error> {
        (**self).log()
    }

    fn trim_log(&self, up_to: Cursor) -> Result<(), Error> {
        (**self).trim_log(up_to)
    }

    fn figures(&self) -> StoreFigures {
        (**self).figures()
    }

    fn close(&self) -> Result<(), Error> {
        (**self).close()
    }
}
