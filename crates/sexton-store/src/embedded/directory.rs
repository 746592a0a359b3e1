//! The directory of a store: what lies in it, whose it is, and how it is made.
//!
//! ```text
//! sexton-store       the marker: format, index and number of shards, as text
//! sexton-store.new   the marker while the store is being made
//! lock               held by the process that has the store open
//! journal/           journal-N and spare-N
//! index.redb         or index.sled/
//! ```
//!
//! Nothing is ever made in a directory that holds something else.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sexton_core::limits::SHARDS;
use sexton_core::{Error, ErrorKind};

use super::{Create, Options};
use crate::disk::{Disk, RealDisk, sync_directory};
use crate::fault;
use crate::index::{self, Index, IndexKind};
use crate::journal::Journal;

/// The version of the directory's layout; another one is refused by name. No earlier one was
/// ever released.
const FORMAT: u32 = 2;
const MARKER: &str = "sexton-store";
const MARKER_NEW: &str = "sexton-store.new";
const LOCK: &str = "lock";
const JOURNAL: &str = "journal";
/// What a file system puts into an empty directory by itself.
const HARMLESS: &str = "lost+found";

/// The parts of a store that was opened or made.
pub(super) struct Opened {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) index: Box<dyn Index>,
    /// Only if the store was just made.
    pub(super) journal: Option<Journal>,
    pub(super) lock: File,
}

/// What a directory holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Store,
    /// A store whose making was interrupted: nothing was ever acknowledged in it.
    Unfinished,
    Nothing,
}

/// Whether a store lies at `path`.
pub(super) fn has_marker(path: &Path) -> bool {
    path.join(MARKER).is_file()
}

/// Opens or makes the parts of a store; one that is made counts only after [`finish`].
pub(super) fn open(path: &Path, options: &Options) -> Result<Opened, Error> {
    if path.is_file() {
        return Err(refused(path, "is a file, not the directory of a store"));
    }
    if !path.exists() {
        check_create(path, options.create)?;
        make_directory(path)?;
    }
    if look(path)? != Content::Store {
        check_create(path, options.create)?;
    }
    let lock = take_lock(path)?;
    // Once more, now that nobody else can change it.
    let content = look(path)?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(path.join(JOURNAL)));
    if content == Content::Store {
        let kind = read_marker(path)?;
        if kind != options.index {
            let (has, asked) = (kind.name(), options.index.name());
            return Err(refused(path, &format!("is a store on {has}, and {asked} was asked for")));
        }
        let index = index::open(kind, path, options.check)?;
        return Ok(Opened { disk, index, journal: None, lock });
    }
    check_create(path, options.create)?;
    write_marker(path, options.index)?;
    remove_leftovers(path)?;
    make_directory(&path.join(JOURNAL))?;
    let journal = Journal::create(Arc::clone(&disk), options.sizes.segment_bytes)?;
    let index = index::create(options.index, path)?;
    Ok(Opened { disk, index, journal: Some(journal), lock })
}

/// Gives a store that was made the marker that makes it count; does nothing to another.
pub(super) fn finish(path: &Path) -> Result<(), Error> {
    if has_marker(path) {
        return Ok(());
    }
    let (from, to) = (path.join(MARKER_NEW), path.join(MARKER));
    sync_directory(path)
        .and_then(|()| fs::rename(from, &to))
        .and_then(|()| sync_directory(path))
        .map_err(|error| fault::of_io(ErrorKind::Closed, "make", &to, error))
}

/// Reads which index a store has.
pub(super) fn read_marker(path: &Path) -> Result<IndexKind, Error> {
    let file = path.join(MARKER);
    let text = fs::read_to_string(&file)
        .map_err(|error| fault::of_io(ErrorKind::Closed, "read", &file, error))?;
    let mut lines = text.lines();
    let mut field = |name: &str| {
        let value = lines.next().and_then(|line| line.strip_prefix(name));
        value.map(|value| value.trim_start_matches(':').trim().to_owned())
    };
    let corrupt = |what: &str| {
        let message = format!("{} is not a store's marker: {what}", file.display());
        Error::new(ErrorKind::Corrupt, message)
    };
    field("sexton store").ok_or_else(|| corrupt("it does not begin with `sexton store`"))?;
    let format = field("format").and_then(|it| it.parse::<u32>().ok());
    let format = format.ok_or_else(|| corrupt("it names no format"))?;
    if format != FORMAT {
        let path = path.display();
        let message =
            format!("the store {path} has format {format}, and this version reads {FORMAT}");
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    let index = field("index").ok_or_else(|| corrupt("it names no index"))?;
    let shards = field("shards").and_then(|it| it.parse::<u16>().ok());
    if shards != Some(SHARDS) {
        return Err(corrupt(&format!("it does not have {SHARDS} shards")));
    }
    IndexKind::from_name(&index).ok_or_else(|| corrupt(&format!("no index is called `{index}`")))
}

/// Takes a lock that keeps writers out and other readers in, without changing a byte.
///
/// `None` where there is no file to lock, as in a copy.
pub(super) fn take_shared_lock(path: &Path) -> Result<Option<File>, Error> {
    let file = path.join(LOCK);
    let failed = |error| fault::of_io(ErrorKind::Closed, "lock", &file, error);
    let lock = match File::open(&file) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Err(in_use(path)),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn in_use(path: &Path) -> Error {
    let message = format!("the store {} is in use by another process", path.display());
    Error::new(ErrorKind::Busy, message)
}

/// That everything of the store at `path` may be read.
///
/// What may not is no damage, and is not told as such.
pub(super) fn check_permission(path: &Path) -> Result<(), Error> {
    let of_index = [IndexKind::Redb, IndexKind::Sled].map(IndexKind::file_name);
    for name in [MARKER, JOURNAL, LOCK].into_iter().chain(of_index) {
        try_to_read(&path.join(name))?;
    }
    Ok(())
}

/// Refuses what may not be read: a file, or anything below a directory. What is not there or
/// cannot be read for another reason is left to others.
fn try_to_read(path: &Path) -> Result<(), Error> {
    let denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    let refused = |error| Err(fault::of_io(ErrorKind::Closed, "read", path, error));
    match fs::read_dir(path) {
        Ok(entries) => entries.flatten().try_for_each(|entry| try_to_read(&entry.path())),
        Err(error) if denied(&error) => refused(error),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => match File::open(path) {
            Err(error) if denied(&error) => refused(error),
            Ok(_) | Err(_) => Ok(()),
        },
        Err(_) => Ok(()),
    }
}

/// Whether anything at `path` is of a store, whole or not; refuses what is none.
pub(super) fn is_store(path: &Path) -> Result<bool, Error> {
    // What cannot be looked into would look empty.
    if let Err(error) = fs::read_dir(path).map(drop)
        && error.kind() == io::ErrorKind::PermissionDenied
    {
        return Err(fault::of_io(ErrorKind::Closed, "read", path, error));
    }
    if has_marker(path) {
        return Ok(true);
    }
    if path.join(MARKER_NEW).is_file() {
        return Err(refused(path, "is a store whose making was cut short: nothing is in it yet"));
    }
    let names = [IndexKind::Redb, IndexKind::Sled].map(IndexKind::file_name);
    if names.into_iter().chain([JOURNAL]).any(|name| path.join(name).exists()) {
        return Ok(false);
    }
    let why = match fs::read_dir(path).map(|mut entries| entries.next().is_some()) {
        Ok(true) => "the directory holds something else",
        Ok(false) => "the directory is empty",
        Err(_) if path.is_file() => "that is a file, and not the directory of a store",
        Err(_) => "nothing is there",
    };
    let message = format!("there is no store at {}: {why}", path.display());
    Err(Error::new(ErrorKind::NotFound, message))
}

/// Where the marker of the store at `path` lies.
pub(super) fn marker(path: &Path) -> PathBuf {
    path.join(MARKER)
}

/// Where the journal of the store at `path` lies.
pub(super) fn journal(path: &Path) -> PathBuf {
    path.join(JOURNAL)
}

fn write_marker(path: &Path, kind: IndexKind) -> Result<(), Error> {
    let file = path.join(MARKER_NEW);
    let index = kind.name();
    let text = format!("sexton store\nformat: {FORMAT}\nindex: {index}\nshards: {SHARDS}\n");
    let write = || {
        let mut marker = File::create(&file)?;
        marker.write_all(text.as_bytes())?;
        marker.sync_all()?;
        sync_directory(path)
    };
    write().map_err(|error| fault::of_io(ErrorKind::Closed, "write", &file, error))
}

fn look(path: &Path) -> Result<Content, Error> {
    let mut others = Vec::new();
    let mut content = Content::Nothing;
    for name in RealDisk::new(path.to_owned())
        .names()
        .map_err(|error| fault::of_io(ErrorKind::Closed, "list", path, error))?
    {
        match name.as_str() {
            MARKER => return Ok(Content::Store),
            MARKER_NEW => content = Content::Unfinished,
            LOCK | HARMLESS => {}
            _ => others.push(name),
        }
    }
    if content == Content::Nothing && !others.is_empty() {
        return Err(refused(path, "is not empty and holds no store; nothing in it was touched"));
    }
    Ok(content)
}

fn check_create(path: &Path, create: Create) -> Result<(), Error> {
    match create {
        Create::IfMissing => Ok(()),
        Create::Never => {
            let message = format!("there is no store at {}", path.display());
            Err(Error::new(ErrorKind::NotFound, message))
        }
    }
}

fn take_lock(path: &Path) -> Result<File, Error> {
    let file = path.join(LOCK);
    let failed = |error| fault::of_io(ErrorKind::Closed, "lock", &file, error);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let lock = options.open(&file).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(in_use(path)),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Removes what an interrupted making of a store left; the marker says that it was no more.
fn remove_leftovers(path: &Path) -> Result<(), Error> {
    let kinds = [IndexKind::Redb, IndexKind::Sled];
    let names = kinds.map(IndexKind::file_name).into_iter().chain([JOURNAL]);
    for leftover in names.map(|name| path.join(name)) {
        let removed = if leftover.is_dir() {
            fs::remove_dir_all(&leftover)
        } else {
            fs::remove_file(&leftover)
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(fault::of_io(ErrorKind::Closed, "remove", &leftover, error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Makes a directory and those above it, durably.
fn make_directory(path: &Path) -> Result<(), Error> {
    let missing: Vec<PathBuf> = path
        .ancestors()
        .take_while(|it| !it.as_os_str().is_empty() && !it.exists())
        .map(Path::to_owned)
        .collect();
    fs::create_dir_all(path)
        .map_err(|error| fault::of_io(ErrorKind::Closed, "make", path, error))?;
    for made in missing {
        let parent = made.parent().filter(|it| !it.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        sync_directory(parent)
            .map_err(|error| fault::of_io(ErrorKind::Closed, "flush", parent, error))?;
    }
    Ok(())
}

fn refused(path: &Path, what: &str) -> Error {
    Error::new(ErrorKind::Refused, format!("{} {what}", path.display()))
}
