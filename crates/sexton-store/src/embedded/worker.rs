//! The one thread of a store: brings the index up to date while turns go on.

use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use sexton_core::{Error, ErrorKind};

use super::shared::{Frozen, Shared};
use crate::fault;
use crate::journal;

/// What a store asks of its thread.
#[derive(Debug)]
pub(super) enum Job {
    /// Bring what is frozen into the index, and free the journal up to there.
    Apply(Arc<Frozen>),
    /// Make the segment that the journal will want next.
    Spare,
}

/// Starts the thread of a store; it ends when the store stops.
pub(super) fn start(shared: &Arc<Shared>) -> Result<JoinHandle<()>, Error> {
    let (sender, receiver) = mpsc::channel();
    shared.set_worker(sender);
    let shared = Arc::clone(shared);
    thread::Builder::new()
        .name("sexton-store".to_owned())
        .spawn(move || {
            let shared = Watched(shared);
            let shared = &shared.0;
            for job in receiver {
                if shared.check().is_ok()
                    && let Err(error) = perform(shared, job)
                {
                    shared.fail(&error);
                }
            }
        })
        .map_err(|error| {
            Error::new(ErrorKind::Closed, "cannot start the store's thread").with_source(error)
        })
}

/// Lets nobody wait for a thread that panicked.
struct Watched(Arc<Shared>);

impl Drop for Watched {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail(&Error::new(ErrorKind::Closed, "the store's thread panicked"));
        }
    }
}

/// Does one thing that was asked.
pub(super) fn perform(shared: &Shared, job: Job) -> Result<(), Error> {
    match job {
        Job::Apply(frozen) => shared.apply(&frozen),
        Job::Spare => {
            let mut journal = fault::lock(shared.journal());
            if !journal.wants_spare() {
                return Ok(());
            }
            let (disk, name, bytes) = journal.spare_name();
            drop(journal);
            journal::make_spare(disk.as_ref(), &name, bytes)?;
            fault::lock(shared.journal()).give_spare(name);
            Ok(())
        }
    }
}
