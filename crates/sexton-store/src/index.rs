//! The ordered index behind the journal: everything up to its checkpoint, and how far that is.
//!
//! An index is brought up to date in large batches. It may be killed in between: the checkpoint is
//! written last, and what the journal holds behind it is applied again, which changes nothing.
//!
//! ```text
//! record of an index:  crc32:4  value        the checksum covers the key and the value
//! ```

mod copy_on_write;
pub(crate) mod redb;
pub(crate) mod whole;
#[cfg(feature = "sled")]
pub(crate) mod sled;

use std::fmt::Debug;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sexton_core::log::Bounds;
use sexton_core::{Cursor, Epoch, Error, ErrorKind};

use crate::codec;
use crate::disk::Disk;
use crate::embedded::Check;
use crate::fault::{self, Damage};
use crate::fences::Fences;
use crate::overlay::{Overlay, Records};

/// Which index stands behind the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IndexKind {
    /// redb: compact, opens at once, passed every power cut.
    #[default]
    Redb,
    /// sled 0.34: for those who have it already; may have to be restored after a power cut.
    Sled,
}

impl IndexKind {
    /// Its name in the marker file and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Redb => "redb",
            Self::Sled => "sled",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Redb, Self::Sled].into_iter().find(|kind| kind.name() == name)
    }

    /// What its files in the store's directory are called.
    pub(crate) const fn file_name(self) -> &'static str {
        match self {
            Self::Redb => "index.redb",
            Self::Sled => "index.sled",
        }
    }
}

/// Up to where an index reaches, and where each shard stood there.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoint {
    /// Every item up to this position is in the index.
    pub(crate) position: u64,
    /// The segment of the journal that was written to.
    pub(crate) generation: u64,
    /// The fences after that item.
    pub(crate) fences: Fences,
    /// From where to where the log reached after that item.
    pub(crate) log: Bounds,
}

#[derive(Serialize, Deserialize)]
struct CheckpointRecord {
    position: u64,
    generation: u64,
    epoch: Epoch,
    log_begin: Cursor,
    log_end: Cursor,
    shards: Vec<(u16, u64, i64, u64)>,
}

impl Checkpoint {
    /// The checkpoint of a store in which nothing has happened.
    pub(crate) fn beginning() -> Self {
        Self { position: 0, generation: 1, fences: Fences::new(), log: Bounds::default() }
    }

    /// The record of this checkpoint, in core's envelope.
    pub(crate) fn to_record(&self) -> Result<Vec<u8>, Error> {
        let record = CheckpointRecord {
            position: self.position,
            generation: self.generation,
            epoch: self.fences.epoch(),
            log_begin: self.log.begin,
            log_end: self.log.end,
            shards: self.fences.used(),
        };
        codec::seal(&record).map_err(|error| {
            Error::new(ErrorKind::Closed, "cannot encode the checkpoint").with_source(error)
        })
    }

    /// Reads the record back; `path` is the index's, for the message.
    pub(crate) fn from_record(record: &[u8], path: &Path) -> Result<Self, Error> {
        let message = format!("the checkpoint in {} cannot be read", path.display());
        let record: CheckpointRecord = match codec::open(record) {
            Ok(record) => record,
            Err(error) => return Err(Error::new(ErrorKind::Corrupt, message).with_source(error)),
        };
        let fences = Fences::from_used(record.epoch, &record.shards)
            .ok_or_else(|| Error::new(ErrorKind::Corrupt, message))?;
        let (begin, end) = (record.log_begin, record.log_end);
        let numbers = [record.position, record.epoch.0, end.0];
        if begin > end || numbers.contains(&u64::MAX) {
            let message = format!("the checkpoint in {} contradicts itself", path.display());
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        let log = Bounds { begin, durable: end, end };
        Ok(Self { position: record.position, generation: record.generation, fences, log })
    }
}

/// An ordered map on disk.
pub(crate) trait Index: Send + Sync + Debug {
    /// The latest checkpoint.
    fn checkpoint(&self) -> Result<Checkpoint, Error>;
    /// Applies all writes and then the checkpoint; durable when it returns.
    fn apply(&self, writes: &Overlay, checkpoint: &Checkpoint) -> Result<(), Error>;
    /// The record under a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;
    /// The records from `start` (with it) to `end` (without it, empty for no bound).
    fn range(&self, start: &[u8], end: &[u8]) -> Result<Records<'_>, Error>;
    /// The bytes that it takes on disk.
    fn bytes(&self) -> u64;
}

/// Makes the index of a new store, with a checkpoint at the beginning.
pub(crate) fn create(kind: IndexKind, disk: &dyn Disk) -> Result<Box<dyn Index>, Error> {
    let path = disk.path(kind.file_name());
    let index: Box<dyn Index> = match kind {
        IndexKind::Redb => guarded(&path, || redb::RedbIndex::create(disk).map(boxed))?,
        #[cfg(feature = "sled")]
        IndexKind::Sled => guarded(&path, || sled::SledIndex::create(&path).map(boxed))?,
        #[cfg(not(feature = "sled"))]
        IndexKind::Sled => return Err(without_sled(&path)),
    };
    index.apply(&Overlay::default(), &Checkpoint::beginning())?;
    Ok(index)
}

/// Opens the index of a store that exists; never makes one.
pub(crate) fn open(
    kind: IndexKind,
    disk: &dyn Disk,
    check: Check,
) -> Result<Box<dyn Index>, Error> {
    let path = disk.path(kind.file_name());
    if !disk.has(kind.file_name()) {
        let message = format!("the index {} is missing", path.display());
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    match kind {
        IndexKind::Redb => guarded(&path, || redb::RedbIndex::open(disk, check).map(boxed)),
        #[cfg(feature = "sled")]
        IndexKind::Sled => guarded(&path, || sled::SledIndex::open(&path, check).map(boxed)),
        #[cfg(not(feature = "sled"))]
        IndexKind::Sled => Err(without_sled(&path)),
    }
}

/// Opens the index of a store that exists, and changes nothing of it.
///
/// redb's file is read under a layer in memory; sled, which cannot be opened without being
/// written to, is copied to a temporary directory, which goes when the index is dropped.
pub(crate) fn open_read_only(kind: IndexKind, disk: &dyn Disk) -> Result<Box<dyn Index>, Error> {
    let path = disk.path(kind.file_name());
    if !disk.has(kind.file_name()) {
        let message = format!("the index {} is missing", path.display());
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    match kind {
        IndexKind::Redb => guarded(&path, || redb::RedbIndex::open_read_only(disk).map(boxed)),
        #[cfg(feature = "sled")]
        IndexKind::Sled => guarded(&path, || sled::SledIndex::open_copy(&path).map(boxed)),
        #[cfg(not(feature = "sled"))]
        IndexKind::Sled => Err(without_sled(&path)),
    }
}

/// What is told of a file with damage in its pages.
const BAD_PAGES: &str =
    "has pages that do not check: records of them may be damaged, missing or out of date";

/// What is the matter with the structure of an index, as far as its library can tell; changes
/// nothing.
pub(crate) fn check_read_only(kind: IndexKind, disk: &dyn Disk) -> Option<Damage> {
    let path = disk.path(kind.file_name());
    match kind {
        IndexKind::Redb if disk.has(kind.file_name()) => {
            match guarded(&path, || redb::RedbIndex::check_read_only(disk)) {
                Ok(true) => None,
                // What redb says of it is about its own insides.
                Ok(false) => Some(Damage::of(&path, BAD_PAGES)),
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    Some(Damage::of(&path, BAD_PAGES))
                }
                Err(error) => Some(Damage::because(&path, &error)),
            }
        }
        // What is missing, and what sled finds, is told when it is opened.
        IndexKind::Redb | IndexKind::Sled => None,
    }
}

#[cfg(not(feature = "sled"))]
fn without_sled(path: &Path) -> Error {
    let message = format!("{} needs sled, and this program was built without it", path.display());
    Error::new(ErrorKind::Refused, message)
}

fn boxed<I: Index + 'static>(index: I) -> Box<dyn Index> {
    Box::new(index)
}

/// Runs code of a library that may panic over damaged files, and makes an error of the panic.
fn guarded<T>(path: &Path, run: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|cause| {
        let why = cause
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| cause.downcast_ref::<&str>().copied())
            .unwrap_or("no reason given");
        let message = format!("the index {} is damaged: its library gave up", path.display());
        Err(Error::new(ErrorKind::Corrupt, message).with_source(why.to_owned()))
    })
}

/// The error when a file of an index could not be read or written.
fn failed_io(path: &Path, action: &str, error: io::Error) -> Error {
    let kind = error.kind();
    let what = if kind == io::ErrorKind::InvalidData {
        "does not begin as one"
    } else if matches!(kind, io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput) {
        // No disk fails so: a damaged page names one behind the end, or where no file has any.
        "names pages that it lacks"
    } else {
        return fault::of_io(ErrorKind::Closed, action, path, error);
    };
    let message = format!("the index {} {what}", path.display());
    Error::new(ErrorKind::Corrupt, message).with_source(error)
}

/// A record as an index keeps it.
fn seal(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(4 + value.len());
    record.extend_from_slice(&checksum(key, value).to_le_bytes());
    record.extend_from_slice(value);
    record
}

/// The value in a record, if it and the key are what was written.
fn unseal(key: &[u8], record: &[u8], path: &Path) -> Result<Vec<u8>, Error> {
    let parts = record.split_first_chunk::<4>();
    if let Some((sum, value)) = parts
        && u32::from_le_bytes(*sum) == checksum(key, value)
    {
        return Ok(value.to_vec());
    }
    let (path, key) = (path.display(), key.escape_ascii());
    let message = format!("the record {key} in {path} is damaged: its checksum is wrong");
    Err(Error::new(ErrorKind::Corrupt, message))
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(value);
    hasher.finalize()
}
