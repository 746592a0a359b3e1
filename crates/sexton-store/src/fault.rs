//! What goes wrong with files, as errors that name the file.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use sexton_core::{Error, ErrorKind};

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
    /// What is the matter, for people.
    pub what: String,
}

impl Damage {
    /// Bytes in a file that are not what was written there.
    pub(crate) fn at(file: &Path, place: u64, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), place: Some(place), what: what.into() }
    }

    /// A file that as a whole is not what it should be; `what` goes on where its name ends.
    pub(crate) fn of(file: &Path, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), place: None, what: what.into() }
    }

    /// A file that cannot be used for the reason that an error names, with all its causes.
    pub(crate) fn because(file: &Path, error: &Error) -> Self {
        let mut what = format!("cannot be used: {error}");
        let mut source = error.source();
        while let Some(cause) = source {
            what.push_str(": ");
            what.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::of(file, what)
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
