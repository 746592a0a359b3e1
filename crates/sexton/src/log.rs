//! The log of events, followed from a cursor: the way out for indexes and bills kept elsewhere.
//!
//! A [subscription](crate::Host::subscribe) tells what happens while it listens. A [`Follower`]
//! misses nothing, over restarts of either side: it reads from the store behind a cursor that its
//! owner keeps with what it made of the events, and is woken when a flush made more durable.
//!
//! ```
//! # use serde::{Deserialize, Serialize};
//! # use sexton::{Actor, Handlers, Host, Kinds, Refusal, Turn};
//! # sexton::lifecycle! { pub enum Bell { Hung = "hung" [] => [] } }
//! # #[derive(Serialize, Deserialize)]
//! # struct Tower;
//! # impl Actor for Tower {
//! #     const KIND: &'static str = "tower";
//! #     type Init = ();
//! #     type Status = Bell;
//! #     type Deadline = ();
//! #     type Effect = ();
//! #     type Answer = ();
//! #     fn create(_init: (), _turn: &mut Turn<Self>) -> Result<Self, Refusal> { Ok(Self) }
//! #     fn handlers(_on: &mut Handlers<Self>) {}
//! #     fn status(&self) -> Bell { Bell::Hung }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use sexton::{Cursor, What};
//!
//! let store = std::sync::Arc::new(sexton_store::MemoryStore::new());
//! let host = Host::builder(|| Kinds::new().with::<Tower>()).store(store).open().await?;
//! host.actor::<Tower>("west")?.create(()).await?;
//! // From the beginning, or from the cursor that was kept.
//! let mut follower = host.log().follow(Cursor::BEGINNING);
//! let events = follower.next().await?;
//! assert!(matches!(events[0].1.what, What::Created { .. }));
//! let kept: Cursor = follower.cursor();
//! assert!(host.log().read(kept, 100)?.is_empty());
//! # host.close().await?;
//! # Ok(())
//! # }
//! ```

use std::sync::Arc;

use tokio::sync::watch;

pub use sexton_core::log::{Bounds, Cursor, History, of, read};
use sexton_core::{Error, Event};

use crate::arbiter::Shared;
use crate::mailbox::closed;

/// The most events that [`Follower::next`] returns. Chosen: some hundred kilobytes, and one
/// commit of an ordinary database.
pub const EVENTS_PER_PAGE: usize = 1_024;

/// Whether a flush may come that makes more events durable; every change wakes the followers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    durable: Cursor,
    is_over: bool,
}

/// Wakes the followers of a host.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    news: watch::Sender<News>,
}

impl Bell {
    /// Says up to where events are durable.
    pub(crate) fn ring(&self, durable: Cursor) {
        self.news.send_if_modified(|news| {
            let is_more = durable > news.durable;
            news.durable = news.durable.max(durable);
            is_more
        });
    }

    /// Says that there will be no further flush.
    pub(crate) fn end(&self) {
        self.news.send_modify(|news| news.is_over = true);
    }
}

/// The log of events of a host's store; see [`Host::log`](crate::Host::log).
///
/// It keeps the store open, as handles of actors do.
#[derive(Clone, Debug)]
pub struct Log {
    shared: Arc<Shared>,
}

impl Log {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Up to `limit` durable events behind a cursor, in order, each with the cursor behind it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`](crate::ErrorKind::Refused) if what lies behind the cursor was
    /// trimmed, with where the log begins now, or if the cursor lies behind the log's end;
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if an event cannot be read, and what the
    /// store says.
    ///
    /// # Durability
    ///
    /// Every event that is returned survives any crash.
    pub fn read(&self, after: Cursor, limit: usize) -> Result<Vec<(Cursor, Event)>, Error> {
        read(&*self.shared.store, after, limit)
    }

    /// From where to where the log reaches.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) after a failure of the store.
    pub fn bounds(&self) -> Result<Bounds, Error> {
        self.shared.store.log()
    }

    /// Follows the log from a cursor: [`Cursor::BEGINNING`], or the one that was kept.
    pub fn follow(&self, after: Cursor) -> Follower {
        let news = self.shared.bell.news.subscribe();
        Follower { log: self.clone(), after, news }
    }

    /// Takes the events up to a cursor out of the log, for good.
    ///
    /// Nothing else ever does: somebody who knows every follower decides. It blocks its thread
    /// until that is durable.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`](crate::ErrorKind::Refused) if the cursor lies behind the log's end,
    /// and what the store says.
    ///
    /// # Durability
    ///
    /// Durable when it returns; a crash meanwhile leaves a log that is trimmed up to somewhere
    /// before the cursor.
    pub fn trim(&self, up_to: Cursor) -> Result<(), Error> {
        self.shared.store.trim_log(up_to)
    }
}

/// Follows a log; see [`Log::follow`].
///
/// It holds no events: what was not asked for lies in the store.
#[derive(Debug)]
pub struct Follower {
    log: Log,
    after: Cursor,
    news: watch::Receiver<News>,
}

impl Follower {
    /// Behind the last event that was returned: what its owner keeps.
    pub fn cursor(&self) -> Cursor {
        self.after
    }

    /// The next durable events, at least one and at most [`EVENTS_PER_PAGE`], in order, each with
    /// the cursor behind it; waits for a flush if there are none.
    ///
    /// # Errors
    ///
    /// As [`Log::read`]; and [`ErrorKind::Closed`](crate::ErrorKind::Closed) when the host is
    /// closed and everything was returned.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, it has returned nothing and stands where it stood.
    ///
    /// # Durability
    ///
    /// Every event that is returned survives any crash.
    pub async fn next(&mut self) -> Result<Vec<(Cursor, Event)>, Error> {
        loop {
            // Looked at before reading, so that a flush meanwhile is not slept over.
            let is_over = self.news.borrow_and_update().is_over;
            let events = self.log.read(self.after, EVENTS_PER_PAGE)?;
            if let Some((last, _)) = events.last() {
                self.after = *last;
                return Ok(events);
            }
            if is_over {
                return Err(closed());
            }
            self.news.changed().await.map_err(|_gone| closed())?;
        }
    }
}
