//! Subscriptions: what happened, told after it is durable, in order per actor.

use std::sync::Arc;

use sexton_core::Event;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// A subscription to the events of a host.
///
/// It holds a bounded number of events. A subscriber that falls further behind is told how many
/// it missed; they lie in the store's log. Who must miss nothing follows that:
/// [`Host::log`](crate::Host::log).
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Arc<Event>>,
}

/// Why there is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventsError {
    /// The subscriber was too slow, and this many events were passed over.
    #[error("{0} events were missed")]
    Missed(u64),
    /// The host is closed, and there will be no further events.
    #[error("the host is closed")]
    Closed,
}

impl Events {
    pub(crate) fn new(receiver: broadcast::Receiver<Arc<Event>>) -> Self {
        Self { receiver }
    }

    /// Waits for the next event.
    ///
    /// # Errors
    ///
    /// [`EventsError::Missed`] once after events were missed, then it goes on with the oldest
    /// that is still there; [`EventsError::Closed`] at the end.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, it has taken no event.
    ///
    /// # Durability
    ///
    /// An event that was returned is durable.
    pub async fn next(&mut self) -> Result<Arc<Event>, EventsError> {
        self.receiver.recv().await.map_err(|error| match error {
            RecvError::Lagged(missed) => EventsError::Missed(missed),
            RecvError::Closed => EventsError::Closed,
        })
    }

    /// The next event, if one is there.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn take(&mut self) -> Result<Option<Arc<Event>>, EventsError> {
        match self.receiver.try_recv() {
            Ok(event) => Ok(Some(event)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Lagged(missed)) => Err(EventsError::Missed(missed)),
            Err(TryRecvError::Closed) => Err(EventsError::Closed),
        }
    }
}
