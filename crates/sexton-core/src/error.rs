//! What to do: one error type, whose kind says who acts and whether anything took effect.

use std::error::Error as StdError;
use std::fmt;

/// What to do about an [`Error`]; match on this, never on the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such actor, and there never was one of that name.
    ///
    /// Create it first. Nothing took effect.
    NotFound,
    /// An actor of that name lives already.
    ///
    /// Call it instead. Nothing took effect.
    Exists,
    /// The actor has a tombstone, or is being destroyed, and never comes back.
    ///
    /// Drop the request. Made again, it fails again. Nothing took effect.
    Destroyed,
    /// The actor refused, its handler panicked, or its turn broke a rule: a transition that the
    /// lifecycle lacks, or more than a turn may record, owe or write.
    ///
    /// The caller decides by the message. The turn changed nothing.
    Refused,
    /// So many wait already that this one was not taken: calls of a thread, waits for
    /// tombstones, questions, commands of a sweep.
    ///
    /// Call again later. Nothing took effect.
    Busy,
    /// The runtime is closing, or its store failed earlier and refuses everything.
    ///
    /// Open it again, then call again. Nothing took effect.
    Closed,
    /// The store did not say whether it kept the turn.
    ///
    /// Read before calling again. **It may or may not have taken effect.**
    Unconfirmed,
    /// Something stored cannot be read: damaged, or of a later version.
    ///
    /// An operator restores or upgrades. Nothing took effect.
    Corrupt,
}

/// What went wrong, with the thing, the value and the limit in its message.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of a kind with a message in lower case, without full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// The same error with what caused it.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

/// A handler's no: the turn changes nothing, and the caller is told why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// Why, in lower case, for people.
    pub reason: String,
}

impl Refusal {
    /// A refusal for this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// An error and what led to it, on one line, each behind `: `.
///
/// # Example
///
/// ```
/// use sexton_core::{Error, ErrorKind, Refusal, chain};
///
/// let error = Error::new(ErrorKind::Refused, "not placed").with_source(Refusal::new("full"));
/// assert_eq!(chain(&error), "not placed: full");
/// ```
pub fn chain(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line = format!("{line}: {cause}");
        source = cause.source();
    }
    line
}
