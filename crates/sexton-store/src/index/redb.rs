//! The index on redb: one durable transaction a checkpoint, one open read transaction in between.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use ::redb::{
    Builder, Database, Error as RedbError, ReadOnlyTable, ReadableDatabase, TableDefinition,
};
use sexton_core::{Error, ErrorKind};

use super::copy_on_write::CopyOnWrite;
use super::{Checkpoint, Index, IndexKind, failed_io, guarded, seal, unseal};
use crate::disk::{Disk, Making};
use crate::embedded::Check;
use crate::fault::{self, Damage};
use crate::overlay::{Overlay, Records, end_bound, is_empty_range};

/// The file of the index.
const FILE: &str = IndexKind::Redb.file_name();
/// Memory for redb's pages. Chosen: two checkpoints' worth, well below what a small host has.
const CACHE_BYTES: usize = 64 * 1_024 * 1_024;
const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
const CHECKPOINTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("checkpoint");
const LATEST: &str = "latest";
/// Why there is a database.
const OPEN: &str = "an index has its database until it is dropped";

type Reader = Arc<ReadOnlyTable<&'static [u8], &'static [u8]>>;

/// A redb file.
#[derive(Debug)]
pub(crate) struct RedbIndex {
    path: PathBuf,
    /// The records as of the latest checkpoint; opening a transaction for each read would cost
    /// more than the read. Dropped before the database.
    reader: RwLock<Option<Reader>>,
    /// There until the index is dropped.
    database: Option<Database>,
}

impl RedbIndex {
    /// Makes a file that was not there.
    pub(crate) fn create(disk: &dyn Disk) -> Result<Self, Error> {
        Self::over(&disk.path(FILE), disk.database(FILE, Making::New, &builder()))
    }

    /// Opens a file that is there.
    pub(crate) fn open(disk: &dyn Disk, check: Check) -> Result<Self, Error> {
        let path = disk.path(FILE);
        let mut index = Self::over(&path, disk.database(FILE, Making::Never, &builder()))?;
        if check == Check::Whole {
            // One that goes back to its earlier checkpoint is whole: the journal tells whether
            // that is enough.
            let checked = index.database_mut().check_integrity();
            let is_whole = checked.map_err(|error| failed(&path, "check", error))?;
            tracing::info!(path = %path.display(), is_whole, "the index was checked");
        }
        Ok(index)
    }

    /// Opens a file that is there, and changes nothing of it: what redb would mend is mended in
    /// memory.
    pub(crate) fn open_read_only(disk: &dyn Disk) -> Result<Self, Error> {
        let path = disk.path(FILE);
        let failed = |error| fault::of_io(ErrorKind::Closed, "open", &path, error);
        let file = disk.open(FILE).map_err(failed)?;
        if file.bytes().map_err(failed)? == 0 {
            // redb would make a new one, in memory.
            return Err(Damage::of(&path, "is empty").into());
        }
        let above = CopyOnWrite::over(file).map_err(failed)?;
        Self::over(&path, builder().create_with_backend(above))
    }

    /// Looks at every page of a file that is there, and changes nothing of it. Whether all check.
    pub(crate) fn check_read_only(disk: &dyn Disk) -> Result<bool, Error> {
        let mut index = Self::open_read_only(disk)?;
        let checked = index.database_mut().check_integrity();
        checked.map_err(|error| failed(&disk.path(FILE), "check", error))
    }

    fn over(path: &Path, database: Result<Database, ::redb::DatabaseError>) -> Result<Self, Error> {
        let database = database.map_err(|error| failed(path, "open", error))?;
        Ok(Self { path: path.to_owned(), reader: RwLock::new(None), database: Some(database) })
    }

    fn database(&self) -> &Database {
        self.database.as_ref().expect(OPEN)
    }

    fn database_mut(&mut self) -> &mut Database {
        self.database.as_mut().expect(OPEN)
    }

    /// The table of records as of the latest checkpoint.
    fn reader(&self) -> Result<Reader, Error> {
        if let Some(reader) = fault::read(&self.reader).as_ref() {
            return Ok(Arc::clone(reader));
        }
        let reader = Arc::new(self.open_reader().map_err(|error| self.failed("read", error))?);
        *fault::write(&self.reader) = Some(Arc::clone(&reader));
        Ok(reader)
    }

    fn open_reader(&self) -> Result<ReadOnlyTable<&'static [u8], &'static [u8]>, RedbError> {
        Ok(self.database().begin_read()?.open_table(RECORDS)?)
    }

    fn write(&self, writes: &Overlay, record: &[u8]) -> Result<(), RedbError> {
        let mut transaction = self.database().begin_write()?;
        // Opening after a kill then reads the allocator's state instead of the whole file.
        transaction.set_quick_repair(true);
        {
            let mut records = transaction.open_table(RECORDS)?;
            for (key, value) in writes.iter() {
                match value {
                    Some(value) => {
                        records.insert(key, seal(key, value).as_slice())?;
                    }
                    None => {
                        records.remove(key)?;
                    }
                }
            }
            transaction.open_table(CHECKPOINTS)?.insert(LATEST, record)?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn latest(&self) -> Result<Option<Vec<u8>>, RedbError> {
        let table = self.database().begin_read()?.open_table(CHECKPOINTS)?;
        Ok(table.get(LATEST)?.map(|record| record.value().to_vec()))
    }

    fn failed(&self, action: &str, error: impl Into<RedbError>) -> Error {
        failed(&self.path, action, error)
    }
}

impl Drop for RedbIndex {
    /// redb writes when it is closed, and may panic over a damaged file then as well.
    fn drop(&mut self) {
        let (reader, database) = (fault::write(&self.reader).take(), self.database.take());
        let closed = guarded(&self.path, || {
            drop(reader);
            drop(database);
            Ok(())
        });
        if let Err(error) = closed {
            tracing::warn!(path = %self.path.display(), %error, "the index was not closed");
        }
    }
}

impl Index for RedbIndex {
    fn checkpoint(&self) -> Result<Checkpoint, Error> {
        let latest = guarded(&self.path, || {
            self.latest().map_err(|error| self.failed("read the checkpoint of", error))
        })?;
        let record = latest.ok_or_else(|| {
            let message = format!("the index {} has no checkpoint", self.path.display());
            Error::new(ErrorKind::Corrupt, message)
        })?;
        Checkpoint::from_record(&record, &self.path)
    }

    fn apply(&self, writes: &Overlay, checkpoint: &Checkpoint) -> Result<(), Error> {
        let record = checkpoint.to_record()?;
        guarded(&self.path, || {
            self.write(writes, &record).map_err(|error| self.failed("write to", error))?;
            let reader = self.open_reader().map_err(|error| self.failed("read", error))?;
            *fault::write(&self.reader) = Some(Arc::new(reader));
            Ok(())
        })
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        guarded(&self.path, || {
            let record = self.reader()?.get(key).map_err(|error| self.failed("read", error))?;
            record.map(|record| unseal(key, record.value(), &self.path)).transpose()
        })
    }

    fn range(&self, start: &[u8], end: &[u8]) -> Result<Records<'_>, Error> {
        if is_empty_range(start, end) {
            return Ok(Box::new(std::iter::empty()));
        }
        let bounds = (std::ops::Bound::Included(start), end_bound(end));
        let mut range = guarded(&self.path, || {
            self.reader()?.range::<&[u8]>(bounds).map_err(|error| self.failed("read", error))
        })?;
        Ok(Box::new(std::iter::from_fn(move || {
            guarded(&self.path, || match range.next() {
                None => Ok(None),
                Some(Err(error)) => Err(self.failed("read", error)),
                Some(Ok((key, record))) => {
                    let key = key.value().to_vec();
                    let value = unseal(&key, record.value(), &self.path);
                    Ok(Some((key, value)))
                }
            })
            .transpose()
        })))
    }

    fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |it| it.len())
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn failed(path: &Path, action: &str, error: impl Into<RedbError>) -> Error {
    let error = error.into();
    if let RedbError::Io(error) = error {
        return failed_io(path, action, error);
    }
    let message = format!("cannot {action} the index {}", path.display());
    Error::new(ErrorKind::Corrupt, message).with_source(error)
}
