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
use std::io;
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
/// More than any marker has.
const MARKER_BYTES_MAX: usize = 4_096;
/// What a file system puts into an empty directory by itself.
const HARMLESS: &str = "lost+found";

/// The parts of a store that was opened or made.
pub(super) struct Opened {
    /// Where the journal lies.
    pub(super) disk: Arc<dyn Disk>,
    pub(super) index: Box<dyn Index>,
    /// Only if the store was just made.
    pub(super) journal: Option<Journal>,
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

/// Takes the directory of a store for this process, and makes it where it is missing and may be
/// made.
pub(super) fn take(path: &Path, create: Create) -> Result<File, Error> {
    if path.is_file() {
        return Err(refused(path, "is a file, not the directory of a store"));
    }
    if !path.exists() {
        check_create(path, create)?;
        make_directory(path)?;
    }
    if look(&RealDisk::new(path.to_owned()))? != Content::Store {
        check_create(path, create)?;
        sync_names(path)?;
    }
    take_lock(path)
}

/// Opens or makes the parts of a store in a directory that nobody else can change; one that is
/// made counts only after [`finish`].
pub(super) fn open(top: &dyn Disk, options: &Options) -> Result<Opened, Error> {
    let content = look(top)?;
    let disk = top.below(JOURNAL);
    if content == Content::Store {
        let kind = read_marker(top)?;
        if kind != options.index {
            let (has, asked) = (kind.name(), options.index.name());
            let what = format!("is a store on {has}, and {asked} was asked for");
            return Err(refused(&top.path(""), &what));
        }
        let index = index::open(kind, top, options.check)?;
        return Ok(Opened { disk, index, journal: None });
    }
    check_create(&top.path(""), options.create)?;
    if content == Content::Unfinished {
        remove_leftovers(top)?;
    }
    write_marker(top, options.index)?;
    let failed = |error| fault::of_io(ErrorKind::Closed, "make", &top.path(JOURNAL), error);
    top.make_directory(JOURNAL).map_err(failed)?;
    let journal = Journal::create(Arc::clone(&disk), options.sizes.segment_bytes)?;
    let index = index::create(options.index, top)?;
    Ok(Opened { disk, index, journal: Some(journal) })
}

/// Gives a store that was made the marker that makes it count, durably.
///
/// Of one that has it already the name is flushed again: whoever gave it may have been killed
/// before that, and without the name the store would be made anew.
pub(super) fn finish(top: &dyn Disk) -> Result<(), Error> {
    let failed = |error| fault::of_io(ErrorKind::Closed, "make", &top.path(MARKER), error);
    if !top.has(MARKER) {
        top.sync().map_err(failed)?;
        top.rename(MARKER_NEW, MARKER).map_err(failed)?;
    }
    top.sync().map_err(failed)
}

/// Reads which index a store has.
pub(super) fn read_marker(top: &dyn Disk) -> Result<IndexKind, Error> {
    let file = top.path(MARKER);
    let text =
        read_text(top).map_err(|error| fault::of_io(ErrorKind::Closed, "read", &file, error))?;
    let mut lines = text.lines();
    let mut field = |name: &str| {
        let value = lines.next().and_then(|line| line.strip_prefix(name));
        value.map(|value| value.trim_start_matches(':').trim().to_owned())
    };
    let corrupt = |what: &str| {
        let message = format!("{} is not a store's marker: {what}", file.display());
        Error::new(ErrorKind::Corrupt, message)
    };
    let first = field("sexton store").filter(String::is_empty);
    first.ok_or_else(|| corrupt("it does not begin with `sexton store`"))?;
    let format = field("format").and_then(|it| it.parse::<u32>().ok());
    let format = format.ok_or_else(|| corrupt("it names no format"))?;
    if format != FORMAT {
        let path = top.path("");
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

/// What the marker says; what is no text becomes some that no marker has.
fn read_text(top: &dyn Disk) -> io::Result<String> {
    let file = top.open(MARKER)?;
    let bytes = usize::try_from(file.bytes()?).unwrap_or(usize::MAX).min(MARKER_BYTES_MAX);
    let mut text = vec![0; bytes];
    file.read_at(0, &mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
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

/// Where the journal of the store in a directory lies.
pub(super) fn journal(top: &dyn Disk) -> Arc<dyn Disk> {
    top.below(JOURNAL)
}

fn write_marker(top: &dyn Disk, kind: IndexKind) -> Result<(), Error> {
    let index = kind.name();
    let text = format!("sexton store\nformat: {FORMAT}\nindex: {index}\nshards: {SHARDS}\n");
    let write = || {
        if top.has(MARKER_NEW) {
            // Of an earlier making, and perhaps cut short; nothing else is left of that.
            top.remove(MARKER_NEW)?;
        }
        let marker = top.create(MARKER_NEW)?;
        marker.write_at(0, text.as_bytes())?;
        marker.sync()?;
        top.sync()
    };
    write().map_err(|error| fault::of_io(ErrorKind::Closed, "write", &top.path(MARKER_NEW), error))
}

fn look(top: &dyn Disk) -> Result<Content, Error> {
    let mut others = Vec::new();
    let mut content = Content::Nothing;
    let path = top.path("");
    for name in
        top.names().map_err(|error| fault::of_io(ErrorKind::Closed, "list", &path, error))?
    {
        match name.as_str() {
            MARKER => return Ok(Content::Store),
            MARKER_NEW => content = Content::Unfinished,
            LOCK | HARMLESS => {}
            _ => others.push(name),
        }
    }
    if content == Content::Nothing && !others.is_empty() {
        return Err(refused(&path, "is not empty and holds no store; nothing in it was touched"));
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
fn remove_leftovers(top: &dyn Disk) -> Result<(), Error> {
    let kinds = [IndexKind::Redb, IndexKind::Sled];
    for name in kinds.map(IndexKind::file_name).into_iter().chain([JOURNAL]) {
        if top.has(name) {
            let failed = |error| fault::of_io(ErrorKind::Closed, "remove", &top.path(name), error);
            top.remove_all(name).map_err(failed)?;
        }
    }
    // While anything is left its marker has to be there, or it is somebody else's.
    top.sync().map_err(|error| fault::of_io(ErrorKind::Closed, "flush", &top.path(""), error))
}

/// Makes a directory and those above it, if they are missing.
fn make_directory(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|error| fault::of_io(ErrorKind::Closed, "make", path, error))
}

/// Makes durable that a directory is there, and those above it.
///
/// Not only of those that this process made: whoever made them may have been killed before this.
/// Above its own it stops where it may not: what cannot be opened was made by somebody else.
fn sync_names(path: &Path) -> Result<(), Error> {
    let above = path.ancestors().skip(1);
    for (number, above) in above.enumerate() {
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        match sync_directory(above) {
            Ok(()) => {}
            Err(_) if number > 0 => break,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break,
            Err(error) => return Err(fault::of_io(ErrorKind::Closed, "flush", above, error)),
        }
    }
    Ok(())
}

fn refused(path: &Path, what: &str) -> Error {
    Error::new(ErrorKind::Refused, format!("{} {what}", path.display()))
}
