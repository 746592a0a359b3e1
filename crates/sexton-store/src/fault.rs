//! What goes wrong with files, as errors that name the file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use sexton_core::key::Key;
use sexton_core::{Error, ErrorKind, chain};

/// An error of the file system while doing `action` (an infinitive) to `path`.
pub(crate) fn of_io(kind: ErrorKind, action: &str, path: &Path, error: io::Error) -> Error {
    let path = path.display();
    let message = if error.kind() == io::ErrorKind::StorageFull {
        format!("the disk is full: cannot {action} {path}")
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        format!("no permission to {action} {path}")
    } else {
        format!("cannot {action} {path}")
    };
    Error::new(kind, message).with_source(error)
}

/// What is not as a store left it: where, and what is the matter with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file or directory.
    pub file: PathBuf,
    /// The byte in it from which on it is not what was written, where that can be told.
    pub place: Option<u64>,
    /// The key of the record in an index that is damaged, if it is one.
    pub record: Option<Key>,
    /// What is the matter, for people.
    pub what: String,
}

/// What may be damage, and may be what a crash leaves behind: where, and what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The file.
    pub file: PathBuf,
    /// The byte in it behind which everything is as it should be.
    pub place: u64,
    /// What stands there, for people.
    pub what: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "behind byte {} of {} stands {}", self.place, self.file.display(), self.what)
    }
}

impl Damage {
    /// Bytes in a file that are not what was written there.
    pub(crate) fn at(file: &Path, place: u64, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), place: Some(place), record: None, what: what.into() }
    }

    /// A file that as a whole is not what it should be; `what` goes on where its name ends.
    pub(crate) fn of(file: &Path, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), place: None, record: None, what: what.into() }
    }

    /// A record of an index that is not what was written under its key.
    pub(crate) fn in_record(file: &Path, key: Key, error: &Error) -> Self {
        Self { record: Some(key), ..Self::because(file, error) }
    }

    /// A file that cannot be used for the reason that an error names, with all its causes.
    pub(crate) fn because(file: &Path, error: &Error) -> Self {
        Self::of(file, format!("cannot be used: {}", chain(error)))
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, what) = (self.file.display(), &self.what);
        match self.place {
            Some(place) => write!(f, "{file} is damaged at byte {place}: {what}"),
            None => write!(f, "{file} {what}"),
        }
    }
}

impl From<Damage> for Error {
    fn from(damage: Damage) -> Self {
        Self::new(ErrorKind::Corrupt, damage.to_string())
    }
}

/// Locks, also behind a panic: whoever panicked has marked the store as failed or changed nothing.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks for reading, as [`lock`].
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Locks for writing, as [`lock`].
pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
