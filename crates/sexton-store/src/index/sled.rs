//! The index on sled 0.34, with what sled leaves out: it never flushes a file to the device.
//!
//! So a checkpoint here is: the writes in transactions of bounded size, sled's own flush, then an
//! fsync of every file that it has; only then the checkpoint's record, and all of that again.
//! Long records lie in parts, because sled puts what is longer than some 128 KiB in files of
//! their own, which it does not sync.
//!
//! ```text
//! tree "records":     key -> 0 crc32:4 value        a short record
//!                     key -> 1 parts:4              a long one
//! tree "parts":       key length:4 key number:4 -> part of (crc32:4 value)
//! tree "checkpoint":  "latest" -> parts:4, number:4 -> part
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use ::sled::transaction::{
    ConflictableTransactionError, TransactionError, Transactional, TransactionalTree,
};
use ::sled::{Config, Db, Mode, Tree};
use sexton_core::{Error, ErrorKind};
use tempfile::TempDir;

use super::{Checkpoint, Index, failed_io, guarded, seal, unseal};
use crate::disk::sync_directory;
use crate::embedded::Check;
use crate::fault;
use crate::overlay::{Overlay, Records, end_bound, is_empty_range};

/// Memory for sled's pages. Chosen as for redb.
const CACHE_BYTES: u64 = 64 * 1_024 * 1_024;
/// The longest value that sled sees: a leaf holds up to some 17 of them, and has to stay well
/// below 128 KiB.
const PART_BYTES: usize = 4 * 1_024;
/// The most writes of one transaction, and the most bytes. Chosen: a few milliseconds' worth.
const TRANSACTION_WRITES: usize = 256;
const TRANSACTION_BYTES: usize = 256 * 1_024;
/// How often and how long to wait for the lock on sled's file. sled's own threads hold it for a
/// while after a database was dropped; the directory's lock tells that nobody else does.
const LOCK_TRIES: u32 = 500;
const LOCK_WAIT: Duration = Duration::from_millis(10);
/// How the name of a snapshot ends while sled writes it.
const HALF: &str = "generating";
const LATEST: &[u8] = b"latest";
const WHOLE: u8 = 0;
const IN_PARTS: u8 = 1;

/// A sled directory.
#[derive(Debug)]
pub(crate) struct SledIndex {
    path: PathBuf,
    records: Tree,
    parts: Tree,
    checkpoints: Tree,
    database: Db,
    /// Where it lies, if it is a copy; last, so that it goes after the others.
    copy: Option<TempDir>,
}

/// How far a checkpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Something was given to sled, which may have written some of it.
    Written,
    /// Everything so far is on the device.
    Flushed,
}

type Aborted = ConflictableTransactionError<::sled::Error>;

impl SledIndex {
    /// Makes a directory that was not there, and makes durable that it is.
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        let index = Self::over(path, path)?;
        index.sync(&mut |_| {})?;
        let parent = path.parent().unwrap_or(path);
        sync_directory(parent)
            .map_err(|error| fault::of_io(ErrorKind::Closed, "flush", parent, error))?;
        Ok(index)
    }

    /// Opens a directory that is there.
    pub(crate) fn open(path: &Path, check: Check) -> Result<Self, Error> {
        Self::open_as(path, path, check)
    }

    /// Opens a directory of which is told under another name.
    fn open_as(path: &Path, name: &Path, check: Check) -> Result<Self, Error> {
        if !path.join("db").is_file() {
            // sled would make an empty one in its place.
            let message = format!("the index {} holds no sled database", name.display());
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        remove_half_snapshots(path)
            .map_err(|error| fault::of_io(ErrorKind::Closed, "clean up", name, error))?;
        let index = Self::over(path, name)?;
        if check == Check::Whole {
            for record in index.range(b"", b"")? {
                drop(record?.1?);
            }
        }
        Ok(index)
    }

    /// Opens a copy of a directory that is there, which goes with the index.
    pub(crate) fn open_copy(path: &Path) -> Result<Self, Error> {
        let failed = |error| fault::of_io(ErrorKind::Closed, "copy", path, error);
        let copy = tempfile::Builder::new().prefix("sexton-sled-").tempdir().map_err(failed)?;
        copy_all(path, copy.path()).map_err(failed)?;
        let mut index = Self::open_as(copy.path(), path, Check::Quick)?;
        index.copy = Some(copy);
        Ok(index)
    }

    fn over(path: &Path, name: &Path) -> Result<Self, Error> {
        let mut opened = Self::try_over(path, name);
        for _ in 0..LOCK_TRIES {
            if !opened.as_ref().is_err_and(is_locked) {
                break;
            }
            thread::park_timeout(LOCK_WAIT);
            opened = Self::try_over(path, name);
        }
        opened.map_err(|error: ::sled::Error| {
            let path = name.display();
            if is_locked(&error) {
                let message = format!("the sled index {path} is in use by another process");
                return Error::new(ErrorKind::Busy, message).with_source(error);
            }
            let message = format!(
                "the sled index {path} does not open, which sled does not promise after a power \
                 cut: restore a backup of the store"
            );
            Error::new(ErrorKind::Corrupt, message).with_source(error)
        })
    }

    fn try_over(path: &Path, name: &Path) -> Result<Self, ::sled::Error> {
        // Flushes are ours to time: no thread of sled's does it.
        let database = Config::new()
            .path(path)
            .mode(Mode::HighThroughput)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None)
            .open()?;
        let records = database.open_tree("records")?;
        let parts = database.open_tree("parts")?;
        let checkpoints = database.open_tree("checkpoint")?;
        Ok(Self { path: name.to_owned(), records, parts, checkpoints, database, copy: None })
    }

    /// Applies writes in transactions of bounded size.
    fn write(&self, writes: &Overlay) -> Result<(), Error> {
        let mut chunk = Vec::new();
        let mut bytes = 0;
        for (key, value) in writes.iter() {
            let record = value.map(|value| seal(key, value));
            bytes += key.len() + record.as_ref().map_or(0, Vec::len);
            chunk.push((key, record));
            if chunk.len() >= TRANSACTION_WRITES || bytes >= TRANSACTION_BYTES {
                self.transact(&chunk)?;
                chunk.clear();
                bytes = 0;
            }
        }
        if chunk.is_empty() { Ok(()) } else { self.transact(&chunk) }
    }

    fn transact(&self, chunk: &[(&[u8], Option<Vec<u8>>)]) -> Result<(), Error> {
        (&self.records, &self.parts)
            .transaction(|(records, parts)| {
                for (key, record) in chunk {
                    put(records, parts, key, record.as_deref())?;
                }
                Ok(())
            })
            .map_err(|error| match error {
                TransactionError::Abort(error) | TransactionError::Storage(error) => {
                    self.failed("write to", error)
                }
            })
    }

    /// Writes the checkpoint's record, in one transaction.
    fn write_checkpoint(&self, record: &[u8]) -> Result<(), Error> {
        let chunks: Vec<&[u8]> = record.chunks(PART_BYTES).collect();
        let count = number_of(chunks.len());
        self.checkpoints
            .transaction(|tree| {
                for (number, chunk) in chunks.iter().enumerate() {
                    tree.insert(number_of(number).to_vec(), *chunk)?;
                }
                tree.insert(LATEST, count.to_vec())?;
                Ok(())
            })
            .map_err(|error: TransactionError<::sled::Error>| match error {
                TransactionError::Abort(error) | TransactionError::Storage(error) => {
                    self.failed("write the checkpoint of", error)
                }
            })
    }

    /// sled's flush, and then the one that reaches the device.
    fn sync(&self, seen: &mut dyn FnMut(Step)) -> Result<(), Error> {
        self.database.flush().map_err(|error| self.failed("flush", error))?;
        seen(Step::Written);
        sync_all(&self.path)
            .map_err(|error| fault::of_io(ErrorKind::Closed, "flush", &self.path, error))?;
        seen(Step::Flushed);
        Ok(())
    }

    /// Applies as [`Index::apply`], and says how far it is.
    pub(crate) fn apply_in_steps(
        &self,
        writes: &Overlay,
        checkpoint: &Checkpoint,
        seen: &mut dyn FnMut(Step),
    ) -> Result<(), Error> {
        let record = checkpoint.to_record()?;
        guarded(&self.path, || {
            self.write(writes)?;
            seen(Step::Written);
            self.sync(seen)?;
            self.write_checkpoint(&record)?;
            seen(Step::Written);
            self.sync(seen)
        })
    }

    fn latest(&self) -> Result<Option<Vec<u8>>, ::sled::Error> {
        let Some(count) = self.checkpoints.get(LATEST)? else { return Ok(None) };
        let mut record = Vec::new();
        for part in self.checkpoints.range(number_of(0).to_vec()..count.to_vec()) {
            record.extend_from_slice(&part?.1);
        }
        Ok(Some(record))
    }

    /// The value that a record of the first tree stands for.
    fn value(&self, key: &[u8], record: &[u8]) -> Result<Vec<u8>, Error> {
        match record.split_first() {
            Some((&WHOLE, sealed)) => unseal(key, sealed, &self.path),
            Some((&IN_PARTS, _)) => {
                let mut sealed = Vec::new();
                for part in self.parts.scan_prefix(part_prefix(key)) {
                    sealed.extend_from_slice(&part.map_err(|error| self.failed("read", error))?.1);
                }
                unseal(key, &sealed, &self.path)
            }
            _ => unseal(key, &[], &self.path),
        }
    }

    fn failed(&self, action: &str, error: ::sled::Error) -> Error {
        if let ::sled::Error::Io(error) = error {
            return failed_io(&self.path, action, error);
        }
        let message = format!("cannot {action} the index {}", self.path.display());
        Error::new(ErrorKind::Corrupt, message).with_source(error)
    }
}

impl Index for SledIndex {
    fn checkpoint(&self) -> Result<Checkpoint, Error> {
        let latest = guarded(&self.path, || {
            self.latest().map_err(|error| self.failed("read the checkpoint of", error))
        })?;
        let record = latest.ok_or_else(|| {
            let path = self.path.display();
            let message = format!(
                "the sled index {path} opened without its checkpoint, as it can after a power \
                 cut: restore a backup of the store"
            );
            Error::new(ErrorKind::Corrupt, message)
        })?;
        Checkpoint::from_record(&record, &self.path)
    }

    fn apply(&self, writes: &Overlay, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.apply_in_steps(writes, checkpoint, &mut |_| {})
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        guarded(&self.path, || {
            let record = self.records.get(key).map_err(|error| self.failed("read", error))?;
            record.map(|record| self.value(key, &record)).transpose()
        })
    }

    fn range(&self, start: &[u8], end: &[u8]) -> Result<Records<'_>, Error> {
        if is_empty_range(start, end) {
            return Ok(Box::new(std::iter::empty()));
        }
        let bounds = (std::ops::Bound::Included(start), end_bound(end));
        let mut range = guarded(&self.path, || Ok(self.records.range::<&[u8], _>(bounds)))?;
        Ok(Box::new(std::iter::from_fn(move || {
            guarded(&self.path, || match range.next() {
                None => Ok(None),
                Some(Err(error)) => Err(self.failed("read", error)),
                Some(Ok((key, record))) => Ok(Some((key.to_vec(), self.value(&key, &record)))),
            })
            .transpose()
        })))
    }

    fn bytes(&self) -> u64 {
        self.database.size_on_disk().unwrap_or(0)
    }
}

/// Whether sled's file is locked; it tells so in words only.
fn is_locked(error: &::sled::Error) -> bool {
    matches!(error, ::sled::Error::Io(error) if error.to_string().contains("acquire lock"))
}

/// Puts a record or takes it away, and its parts with it.
fn put(
    records: &TransactionalTree,
    parts: &TransactionalTree,
    key: &[u8],
    record: Option<&[u8]>,
) -> Result<(), Aborted> {
    let chunks: Vec<&[u8]> = match record {
        Some(record) if record.len() > PART_BYTES => record.chunks(PART_BYTES).collect(),
        Some(_) | None => Vec::new(),
    };
    let entry = match record {
        Some(_) if !chunks.is_empty() => Some([&[IN_PARTS][..], &number_of(chunks.len())].concat()),
        Some(record) => Some([&[WHOLE], record].concat()),
        None => None,
    };
    let earlier = match entry {
        Some(entry) => records.insert(key, entry)?,
        None => records.remove(key)?,
    };
    for (number, chunk) in chunks.iter().enumerate() {
        parts.insert(part_key(key, number_of(number)), *chunk)?;
    }
    let n_earlier = earlier.as_deref().map_or(0, n_parts);
    for number in chunks.len()..n_earlier {
        parts.remove(part_key(key, number_of(number)))?;
    }
    Ok(())
}

/// How many parts a record of the first tree has.
fn n_parts(record: &[u8]) -> usize {
    let count = match record.split_first() {
        Some((&IN_PARTS, count)) => count.try_into().map_or(0, u32::from_be_bytes),
        _ => 0,
    };
    usize::try_from(count).unwrap_or(0)
}

fn number_of(number: usize) -> [u8; 4] {
    u32::try_from(number).expect("a record of gigabytes was refused before").to_be_bytes()
}

fn part_prefix(key: &[u8]) -> Vec<u8> {
    let length = u32::try_from(key.len()).expect("a key of gigabytes was refused before");
    [&length.to_be_bytes()[..], key].concat()
}

fn part_key(key: &[u8], number: [u8; 4]) -> Vec<u8> {
    let mut part = part_prefix(key);
    part.extend_from_slice(&number);
    part
}

/// Removes snapshots that a process was writing when it ended.
///
/// sled 0.34.7 gives a snapshot its name when it is whole, but reads what it finds under the name
/// that it has until then, too, and then refuses to open: after a mere kill, nothing is damaged.
/// The snapshot before it is still there, and its log.
fn remove_half_snapshots(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == HALF) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Copies every file below a directory.
fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let place = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_all(&path, &place)?;
        } else {
            fs::copy(&path, &place)?;
        }
    }
    Ok(())
}

/// Flushes every file below a directory, and the directories.
fn sync_all(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_all(&path)?;
            continue;
        }
        match File::open(&path) {
            Ok(file) => file.sync_all()?,
            // sled removes old snapshots and blobs meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    sync_directory(directory)
}
