//! What goes wrong with files, as errors that name the file.

use std::io;
use std::path::Path;
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

/// Bytes in a file that are not what was written there.
pub(crate) fn damage(path: &Path, offset: u64, what: &str) -> Error {
    let path = path.display();
    Error::new(ErrorKind::Corrupt, format!("{path} is damaged at byte {offset}: {what}"))
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
