//! Decides: the deterministic engine and its nouns.
//!
//! ```text
//! message --> mailbox --> turn --> batch --> store --> reply, effects, events
//!                          ^                   |
//!               alarm -----+-------------------+          destroy: children, debts, tombstone
//! ```
//!
//! No async, no clock, no randomness and no file in this crate: any state can be built in a test
//! in five lines, and the code that is simulated is the code that runs. The modules are listed in
//! the order in which a message travels.

pub mod key;
pub mod time;
pub mod limits;
mod error;
pub mod codec;
pub mod batch;
pub mod store;

pub use batch::{Batch, Epoch, Sequence, Write};
pub use error::{Error, ErrorKind, Refusal};
pub use key::{ActorId, ActorRef, Shard};
pub use limits::Limits;
pub use store::{Fence, Position, Store, StoreFigures};
pub use time::Timestamp;
