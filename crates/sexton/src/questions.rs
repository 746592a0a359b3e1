//! Questions about a store: answered one at a time, on a thread that runs no actor.
//!
//! A question may read much (the log of a shard, all rows of a kind), so it must delay neither
//! turns nor sweeps. It reads what was submitted, which may not be durable yet.

use std::fmt;
use std::sync::Arc;

use sexton_core::index::{Counts, Page};
use sexton_core::{Error, Kinds, Query, Store};
use tokio::sync::mpsc;
use tokio::task;

use crate::arbiter::Shared;
use crate::desk::{self, Reply};

/// Questions that may wait for an answer. Chosen: people and consoles ask, not programs.
const QUESTIONS_MAX: usize = 64;

/// Reads, and tells whoever asked.
pub(crate) type Question = Box<dyn FnOnce(&dyn Store, &Kinds) + Send>;

/// Where questions wait.
pub(crate) struct Questions {
    waiting: mpsc::Sender<Question>,
}

impl fmt::Debug for Questions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_waiting = QUESTIONS_MAX - self.waiting.capacity();
        f.debug_struct("Questions").field("n_waiting", &n_waiting).finish_non_exhaustive()
    }
}

impl Questions {
    /// And the end of the desk that [`run`] serves.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Question>) {
        let (waiting, asked) = mpsc::channel(QUESTIONS_MAX);
        (Self { waiting }, asked)
    }

    /// Asks. Keeps G14: the limit is an error of its own.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Store, &Kinds) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let question = |reply: Reply<T>| -> Question {
            Box::new(move |store, kinds| {
                // Whoever asked may have gone.
                drop(reply.send(read(store, kinds)));
            })
        };
        desk::ask(&self.waiting, "questions", question).await
    }
}

/// Answers until the host ends.
pub(crate) async fn run(
    shared: Arc<Shared>,
    kinds: impl Fn() -> Kinds + Clone + Send + 'static,
    mut asked: mpsc::Receiver<Question>,
) {
    while let Some(question) = asked.recv().await {
        let (store, kinds) = (Arc::clone(&shared.store), kinds.clone());
        let answered = task::spawn_blocking(move || question(&*store, &kinds())).await;
        if let Err(error) = answered {
            tracing::error!(target: "sexton", %error, "a question ended without an answer");
        }
    }
}

/// The index of rows of a host: which actors there are, without loading one.
///
/// Cheap to clone, and does not keep the host open.
///
/// # Example
///
/// ```
/// use sexton::{Error, Host, Query};
///
/// async fn n_stalled(host: &Host) -> Result<u64, Error> {
///     Ok(host.index().count(Query::all().stalled(true)).await?.total())
/// }
/// ```
#[derive(Clone)]
pub struct Index {
    shared: Arc<Shared>,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Index")
    }
}

impl Index {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The next rows of a query.
    ///
    /// Read off the store on a thread of its own; what it says may not be durable yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`](sexton_core::ErrorKind::Busy) if many ask,
    /// [`ErrorKind::Closed`](sexton_core::ErrorKind::Closed), and what the store says.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn page(&self, query: Query) -> Result<Page, Error> {
        self.shared.questions.ask(move |store, _| query.page(store)).await
    }

    /// Counts the rows of a query, by kind and status.
    ///
    /// # Errors
    ///
    /// As [`page`](Self::page).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn count(&self, query: Query) -> Result<Counts, Error> {
        self.shared.questions.ask(move |store, _| query.count(store)).await
    }
}
