//! The store on this machine's disk: a journal, an index behind it, and one directory for both.

mod directory;
mod read_only;
mod shared;
mod worker;

#[cfg(test)]
mod power;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use sexton_core::StoreFigures;
use sexton_core::key::Key;
use sexton_core::log::Bounds;
use sexton_core::{Batch, Cursor, Error, Fence, Position, Shard, Store};

use crate::disk::{Disk, ReadOnlyDisk, RealDisk};
use crate::index::IndexKind;
pub use read_only::{Inspection, InspectionFigures, ReadOnlyStore, inspect};
use shared::Shared;

/// How to open a store.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The index behind the journal; a store that exists is opened only with its own.
    pub index: IndexKind,
    /// What to do where no store is.
    pub create: Create,
    /// How much of the index is looked at before it is trusted.
    pub check: Check,
    /// How much is held where.
    pub sizes: Sizes,
}

/// What to do where no store is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Create {
    /// Make one, if the directory is empty or missing.
    #[default]
    IfMissing,
    /// Refuse.
    Never,
}

/// How much of the index is looked at before it is trusted.
///
/// The journal is always checked as far as it is read, and a record when it is read. What only
/// looking at everything can find is a bit that was turned over where the index keeps the way to a
/// record: the record is then missing, or an earlier one, without an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// Only what is read anyway.
    #[default]
    Quick,
    /// Everything, which reads the whole index: every page of redb against its checksum, every
    /// record of sled against its own.
    Whole,
}

/// How much a store holds in memory and in its journal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "a bare number has its unit as suffix")]
pub struct Sizes {
    /// The bytes of writes in memory above which they go to the index. Up to three times as many
    /// are held while the index catches up.
    pub overlay_bytes: usize,
    /// The bytes of journal above which everything goes to the index; bounds how long opening
    /// after a crash takes.
    pub journal_bytes: u64,
    /// The bytes of a segment of the journal. It may differ from opening to opening.
    pub segment_bytes: u64,
}

impl Default for Sizes {
    /// Chosen: 128 MiB hold some 200,000 actors, which then reach the index once in a checkpoint,
    /// however often they changed; 512 MiB of journal are replayed in two seconds at most,
    /// measured; a new store takes one segment of 8 MiB.
    fn default() -> Self {
        Self {
            overlay_bytes: 128 * 1_024 * 1_024,
            journal_bytes: 512 * 1_024 * 1_024,
            segment_bytes: 8 * 1_024 * 1_024,
        }
    }
}

/// A durable store in a directory of its own.
///
/// # Durability
///
/// What a flush covered survives a killed process and a power cut. Dropping the store without
/// [`close`](Store::close) is a crash that it recovers from: what was not flushed is lost.
///
/// # Example
///
/// ```
/// use sexton_core::{Batch, Sequence, Store, Timestamp, Write};
/// use sexton_store::{EmbeddedStore, Options};
///
/// let directory = tempfile::tempdir().expect("a place");
/// let store = EmbeddedStore::open(directory.path(), &Options::default()).expect("empty");
/// let (shard, fence) = store.claim().expect("a disk")[0];
/// let writes = vec![Write { key: b"k".to_vec(), value: Some(b"v".to_vec()) }];
/// let (at, expected, epoch) = (Timestamp::ZERO, Sequence(0), fence.epoch);
/// let events = Vec::new();
/// store.submit(Batch { shard, epoch, expected, at, order: 1, writes, events }).expect("ours");
/// store.flush().expect("a disk");
/// drop(store);
///
/// let store = EmbeddedStore::open(directory.path(), &Options::default()).expect("a store");
/// assert_eq!(store.get(b"k").expect("readable"), Some(b"v".to_vec()));
/// ```
#[derive(Debug)]
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    worker: Option<JoinHandle<()>>,
    /// Held for as long as the store is open; last, so that it outlives the others.
    _lock: Option<File>,
}

impl EmbeddedStore {
    /// Opens the store at `path`, or makes it.
    ///
    /// # Errors
    ///
    /// Of these kinds, with a message that names the path:
    /// [`NotFound`](sexton_core::ErrorKind::NotFound) if there is none and none shall be made;
    /// [`Refused`](sexton_core::ErrorKind::Refused) if the path is a file, or a directory with
    /// something else in it, or a store with another index;
    /// [`Busy`](sexton_core::ErrorKind::Busy) if a process has it open;
    /// [`Corrupt`](sexton_core::ErrorKind::Corrupt) if it is damaged or of a later version;
    /// [`Closed`](sexton_core::ErrorKind::Closed) if the disk refuses.
    ///
    /// # Durability
    ///
    /// A crash while a store is made leaves a directory in which it is made anew.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Self, Error> {
        let lock = directory::take(path.as_ref(), options.create)?;
        let top = RealDisk::new(path.as_ref().to_owned());
        let shared = Self::open_in(&top, options)?;
        Self::start(shared, Some(lock))
    }

    /// Opens the store in a directory that nobody else can change, or makes it; no thread yet.
    fn open_in(top: &dyn Disk, options: &Options) -> Result<Shared, Error> {
        let opened = directory::open(top, options)?;
        let label = top.path("").display().to_string();
        let shared = match opened.journal {
            Some(journal) => Shared::new(label, options.sizes.clone(), journal, opened.index),
            None => Shared::recover(label, options.sizes.clone(), opened.disk, opened.index)?,
        };
        directory::finish(top)?;
        Ok(shared)
    }

    /// Whether a store lies at `path`, whole or not.
    pub fn exists(path: impl AsRef<Path>) -> bool {
        directory::has_marker(path.as_ref())
    }

    /// The index of the store at `path`, or `None` if there is no store.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), if the store's marker cannot be read.
    pub fn kind(path: impl AsRef<Path>) -> Result<Option<IndexKind>, Error> {
        if !Self::exists(path.as_ref()) {
            return Ok(None);
        }
        directory::read_marker(&ReadOnlyDisk::new(path.as_ref().to_owned())).map(Some)
    }

    fn start(shared: Shared, lock: Option<File>) -> Result<Self, Error> {
        let shared = Arc::new(shared);
        let worker = worker::start(&shared)?;
        Ok(Self { shared, worker: Some(worker), _lock: lock })
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(worker) = self.worker.take() {
            // It has no result, and what made it panic is told where it happened.
            drop(worker.join());
        }
    }
}

impl Store for EmbeddedStore {
    fn claim(&self) -> Result<Vec<(Shard, Fence)>, Error> {
        self.shared.claim()
    }

    fn submit(&self, batch: Batch) -> Result<Position, Error> {
        self.shared.submit(batch)
    }

    fn flush(&self) -> Result<Position, Error> {
        self.shared.flush()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.shared.get(key)
    }

    fn scan(&self, start: &[u8], end: &[u8], limit: usize) -> Result<Vec<(Key, Vec<u8>)>, Error> {
        self.shared.scan(start, end, limit)
    }

    fn log(&self) -> Result<Bounds, Error> {
        self.shared.log()
    }

    fn trim_log(&self, up_to: Cursor) -> Result<(), Error> {
        self.shared.trim_log(up_to)
    }

    fn figures(&self) -> StoreFigures {
        self.shared.figures()
    }

    fn close(&self) -> Result<(), Error> {
        self.shared.close()
    }
}
