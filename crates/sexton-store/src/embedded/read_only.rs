//! A store that is read and not changed by a byte: for operators, copies and what is damaged.
//!
//! The journal's tail is replayed into memory over the index, as opening does, and stays there.
//! A lock that readers share keeps writers out meanwhile: what is read under a writer would be
//! of no one moment.

use std::fs::File;
use std::path::Path;

use sexton_core::key::Key;
use sexton_core::log::Bounds;
use sexton_core::{
    Batch, Cursor, Epoch, Error, ErrorKind, Fence, Position, Shard, Store, StoreFigures,
};

use super::directory;
use super::shared::Recovered;
use crate::disk::{Disk, ReadOnlyDisk};
use crate::fault::{Damage, Note};
use crate::index::whole::{Found, Whole};
use crate::index::{self, Index, IndexKind};
use crate::journal::{self, Start};
use crate::overlay::Merge;

/// The most damages that are described one by one. Chosen: more than anybody reads.
const DAMAGES_MAX: usize = 1_000;

/// A store in a directory, opened for reading only.
///
/// Not a byte of the directory is changed, so it works on a store that was killed, on a copy and
/// on a file system without write access. A store on sled is copied to the system's temporary
/// directory first, because sled writes to what it opens; that costs as much time and space as
/// the index is large. What the journal holds behind the index's checkpoint is held in memory.
///
/// # Example
///
/// ```
/// use sexton_core::{ErrorKind, Store};
/// use sexton_store::{EmbeddedStore, Options, ReadOnlyStore};
///
/// let directory = tempfile::tempdir().expect("a place");
/// let store = EmbeddedStore::open(directory.path(), &Options::default()).expect("empty");
/// let in_use = ReadOnlyStore::open(directory.path()).expect_err("a process has it open");
/// assert_eq!(in_use.kind(), ErrorKind::Busy);
/// drop(store);
///
/// let store = ReadOnlyStore::open(directory.path()).expect("a store");
/// assert_eq!(store.get(b"k").expect("readable"), None);
/// assert_eq!(store.claim().expect_err("read only").kind(), ErrorKind::Refused);
/// ```
#[derive(Debug)]
pub struct ReadOnlyStore {
    label: String,
    index: Box<dyn Index>,
    recovered: Recovered,
    /// What stands behind the end of the journal.
    remains: Option<Note>,
    /// Whether records that are damaged are passed over, because they were told already.
    passes_over: bool,
    /// Held for as long as the store is open; last, so that it outlives the others.
    _lock: Option<File>,
}

impl ReadOnlyStore {
    /// Opens the store at `path` for reading.
    ///
    /// # Errors
    ///
    /// Of these kinds, with a message that names the path:
    /// [`NotFound`](ErrorKind::NotFound) if there is none;
    /// [`Busy`](ErrorKind::Busy) if a process has it open for writing;
    /// [`Corrupt`](ErrorKind::Corrupt) if it is damaged or of another version, see [`inspect`];
    /// [`Refused`](ErrorKind::Refused) if its making was cut short;
    /// [`Closed`](ErrorKind::Closed) if the disk refuses.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        if !directory::is_store(path)? {
            return Err(Damage::of(&directory::marker(path), "is missing").into());
        }
        directory::check_permission(path)?;
        let lock = directory::take_shared_lock(path)?;
        let store = Self::open_in(&ReadOnlyDisk::new(path.to_owned()))?;
        Ok(Self { _lock: lock, ..store })
    }

    /// Opens the store in a directory that nobody changes meanwhile.
    pub(super) fn open_in(top: &dyn Disk) -> Result<Self, Error> {
        let index = index::open_read_only(directory::read_marker(top)?, top)?;
        let checkpoint = index.checkpoint()?;
        let start = Start { position: checkpoint.position, generation: checkpoint.generation };
        let mut recovered = Recovered::new(checkpoint);
        let journal = directory::journal(top);
        let remains = journal::read(journal.as_ref(), start, &mut |position, item| {
            recovered.take(position, item);
            Ok(())
        })?;
        let label = top.path("").display().to_string();
        Ok(Self { label, index, recovered, remains, passes_over: false, _lock: None })
    }

    /// Up to which commit it was read.
    pub fn position(&self) -> Position {
        Position(self.recovered.last)
    }

    /// What may be damage, and may be what a crash leaves behind as well.
    pub fn notes(&self) -> &[Note] {
        self.remains.as_slice()
    }

    /// Where every shard stands, as its last owner left it.
    pub fn fences(&self) -> Vec<(Shard, Fence)> {
        self.recovered.fences.all()
    }

    fn refused(&self) -> Error {
        let message = format!("the store {} is open for reading only", self.label);
        Error::new(ErrorKind::Refused, message)
    }
}

impl Store for ReadOnlyStore {
    fn claim(&self) -> Result<Vec<(Shard, Fence)>, Error> {
        Err(self.refused())
    }

    fn submit(&self, _batch: Batch) -> Result<Position, Error> {
        Err(self.refused())
    }

    fn flush(&self) -> Result<Position, Error> {
        Ok(self.position())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match self.recovered.overlay.get(key) {
            Some(value) => Ok(value.map(<[u8]>::to_vec)),
            None if self.passes_over => Ok(self.index.get(key).unwrap_or_default()),
            None => self.index.get(key),
        }
    }

    fn scan(&self, start: &[u8], end: &[u8], limit: usize) -> Result<Vec<(Key, Vec<u8>)>, Error> {
        let layers = vec![self.recovered.overlay.range(start, end)];
        let records = if self.passes_over {
            Whole::new(self.index.as_ref(), start, end).records()
        } else {
            self.index.range(start, end)?
        };
        Merge::new(layers, records).take(limit).collect()
    }

    fn log(&self) -> Result<Bounds, Error> {
        Ok(Bounds { durable: self.recovered.log.end, ..self.recovered.log })
    }

    fn trim_log(&self, _up_to: Cursor) -> Result<(), Error> {
        Err(self.refused())
    }

    fn figures(&self) -> StoreFigures {
        StoreFigures { commits: 0, flushes: 0, bytes: self.index.bytes() }
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// What was found in a store's directory.
#[derive(Debug)]
pub struct Inspection {
    /// How far what can be read reaches; `None` if nothing can be.
    pub figures: Option<InspectionFigures>,
    /// What is not as the store left it; none means that it opens. At most 1,000 are named.
    pub damage: Vec<Damage>,
    /// What can still be read: the whole records of the index, and over it the journal up to its
    /// first damage. With damage it is not the store, but an earlier state of it, perhaps with
    /// records missing: one that is damaged is passed over, as if it were not there.
    pub store: Option<ReadOnlyStore>,
}

/// How far a store that was inspected can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectionFigures {
    /// What stands behind its journal.
    pub index: IndexKind,
    /// Up to which commit the index reaches.
    pub checkpoint: Position,
    /// Up to which commit the journal leads on from there without damage.
    pub reached: Position,
    /// The epoch of its last owner.
    pub epoch: Epoch,
    /// From where to where its log of events reaches.
    pub log: Bounds,
    /// The records of the index that can be read.
    pub records: u64,
    /// The bytes of the index.
    pub bytes: u64,
}

/// Looks at everything in the directory of a store, changes nothing, and describes what is
/// damaged together with what can still be read. It reads the whole index.
///
/// # Errors
///
/// Only where there is nothing to inspect: [`NotFound`](ErrorKind::NotFound) if there is no store,
/// [`Busy`](ErrorKind::Busy) if a process has it open for writing,
/// [`Refused`](ErrorKind::Refused) if its making was cut short, and
/// [`Closed`](ErrorKind::Closed) if it cannot be locked. Whatever else is the matter is
/// described.
pub fn inspect(path: impl AsRef<Path>) -> Result<Inspection, Error> {
    let path = path.as_ref();
    let is_whole = directory::is_store(path)?;
    directory::check_permission(path)?;
    let lock = directory::take_shared_lock(path)?;
    let mut inspection = Inspection { figures: None, damage: Vec::new(), store: None };
    let marker = directory::marker(path);
    if !is_whole {
        inspection.damage.push(Damage::of(&marker, "is missing"));
    }
    let disk = ReadOnlyDisk::new(path.to_owned());
    let kind = match directory::read_marker(&disk) {
        Ok(kind) => Some(kind),
        Err(error) => {
            inspection.damage.extend(is_whole.then(|| Damage::because(&marker, &error)));
            None
        }
    };
    if let Some(kind) = kind {
        inspection.damage.extend(index::check_read_only(kind, &disk));
        inspection.look(&disk, kind, lock);
    }
    inspection.damage.truncate(DAMAGES_MAX);
    Ok(inspection)
}

impl Inspection {
    /// Reads index and journal, as far as that goes.
    fn look(&mut self, top: &dyn Disk, kind: IndexKind, lock: Option<File>) {
        let file = top.path(kind.file_name());
        let opened = index::open_read_only(kind, top).and_then(|index| {
            let checkpoint = index.checkpoint()?;
            Ok((index, checkpoint))
        });
        let journal = directory::journal(top);
        let disk = journal.as_ref();
        let (index, checkpoint) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                // Why it does not open says more than that its pages do not check.
                self.damage.retain(|it| it.file != file);
                self.damage.push(Damage::because(&file, &error));
                // Without an index nobody knows where the journal has to begin.
                self.damage.extend(journal::survey(disk, None, &mut |_, _| Ok(())).damage);
                return;
            }
        };
        let records = self.count(&file, index.as_ref());
        let (position, epoch) = (checkpoint.position, checkpoint.fences.epoch());
        let start = Start { position, generation: checkpoint.generation };
        let mut recovered = Recovered::new(checkpoint);
        let found = journal::survey(disk, Some(start), &mut |position, item| {
            recovered.take(position, item);
            Ok(())
        });
        self.damage.extend(found.damage);
        let (label, remains) = (top.path("").display().to_string(), found.remains);
        let store =
            ReadOnlyStore { label, index, recovered, remains, passes_over: true, _lock: lock };
        self.figures = Some(InspectionFigures {
            index: kind,
            checkpoint: Position(position),
            reached: store.position(),
            epoch: store.recovered.fences.epoch().max(epoch),
            log: Bounds { durable: store.recovered.log.end, ..store.recovered.log },
            records,
            bytes: store.index.bytes(),
        });
        self.store = Some(store);
    }

    /// Reads every record of an index; how many can be read.
    fn count(&mut self, file: &Path, index: &dyn Index) -> u64 {
        let mut records = 0;
        for found in Whole::new(index, b"", b"") {
            let damage = match found {
                Found::Whole(..) => {
                    records += 1;
                    continue;
                }
                Found::Damaged(key, error) => Damage::in_record(file, key, &error),
                Found::Lost(error) => Damage::because(file, &error),
            };
            if self.damage.len() < DAMAGES_MAX && !self.damage.contains(&damage) {
                self.damage.push(damage);
            }
        }
        records
    }
}
