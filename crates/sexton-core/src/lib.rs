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
mod time;
pub mod limits;
mod error;
pub mod codec;
mod actor;
mod status;
mod turn;
mod deadline;
pub mod recurring;
mod effect;
mod inbox;
mod row;
mod event;
mod destroy;
mod describe;
mod batch;
mod store;
mod engine;
pub mod query;
pub mod log;
pub mod index;
pub mod explain;
pub mod plan;
pub mod sweep;
pub mod coverage;
pub mod audit;

pub use actor::{Actor, Handler, Handlers, Kinds, Message};
pub use batch::{Batch, Epoch, Sequence, Write};
pub use deadline::{BackOff, Deadlines};
pub use destroy::{ActorRecord, Destruction, Entry, Intent, Tombstone};
pub use effect::{Answer, Debt, EffectId, Failure, Outcome, Owed};
pub use engine::{
    Call, Engine, EngineFigures, Label, Part, Release, Reply, Request, Returned, Switch, Turned,
    Unreadable,
};
pub use error::{Error, ErrorKind, Refusal, chain};
pub use event::{Event, What};
pub use explain::{Explanation, explain};
pub use inbox::{Body, Gone, Mail};
pub use index::Query;
pub use key::{ActorId, ActorRef, IdError, NotAShard, Shard};
pub use limits::Limits;
pub use log::Cursor;
pub use plan::{DestroyPlan, PlanId, plan_destroy};
pub use recurring::{Missed, Recurring, RecurringError, Rung};
pub use row::{DESTROYING, Row, RowRecord, RowView, Value};
pub use status::{Mark, Status};
pub use store::{Fence, Position, Store, StoreFigures};
pub use time::Timestamp;
pub use turn::{Letter, Turn};
