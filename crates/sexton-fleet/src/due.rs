//! What is due: read off a state once, for its alarm, for its row and for the sweeps.

use serde::{Deserialize, Serialize};
use sexton_core::{ActorRef, Message, Row, Timestamp};

/// From a sweep: your row says that your deadline has passed; act on it if that is true.
///
/// The condition is read off the state again in the receiver's own turn. If nothing is due, the
/// message is refused, and changes nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Expire {
    /// Why the sweep asks.
    pub why: String,
}

impl Message for Expire {
    const NAME: &'static str = "expire";
    type Reply = ();
}

/// The earliest of what a state says is due.
pub(crate) fn earliest<D: Copy>(dues: &[(Timestamp, D)]) -> Option<(Timestamp, D)> {
    dues.iter().copied().min_by_key(|(at, _)| *at)
}

/// The earliest of what a state says is due at `now`.
pub(crate) fn overdue<D: Copy>(dues: &[(Timestamp, D)], now: Timestamp) -> Option<D> {
    earliest(dues).filter(|(at, _)| *at <= now).map(|(_, due)| due)
}

/// The row with the actor's next deadline and its name, by which sweeps judge.
pub(crate) fn shown(row: Row, next: Option<(Timestamp, &str)>) -> Row {
    match next {
        Some((at, name)) => row.time("due", Some(at)).text("due_for", name).watched_from(at),
        None => row.watched_from(Timestamp::MAX),
    }
}

/// Whether a callback carries the epoch of the life that it reached.
pub(crate) fn is_current(epoch: u32, me: &ActorRef) -> bool {
    epoch == me.incarnation
}
