//! Why a step does not end well: a promise that is broken, or a process that has to end.

use sexton::audit::Broken;
use sexton::{ActorId, Error, ErrorKind};

/// Why a step did not end well.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// A promise is broken.
    Broken(Broken),
    /// The process has to end: its store failed.
    Ended(Error),
}

impl From<Broken> for Trouble {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        if matches!(error.kind(), ErrorKind::Closed | ErrorKind::Unconfirmed) {
            Self::Ended(error)
        } else {
            Self::Broken(nobody("G2", error.to_string()))
        }
    }
}

/// A promise that is broken at no actor in particular.
pub(crate) fn nobody(promise: &'static str, why: String) -> Broken {
    let id = ActorId::new("store", "all").expect("a good name");
    Broken { promise, id, why }
}

/// A process that cannot begin again is a broken promise.
pub(crate) fn settled(trouble: Trouble) -> Broken {
    match trouble {
        Trouble::Broken(broken) => broken,
        Trouble::Ended(error) => nobody("G2", error.to_string()),
    }
}
