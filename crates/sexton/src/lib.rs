//! Runs: the host on actix and tokio; clock, mailboxes, timers, effects, sweeps.
//!
//! This is the front door: it re-exports [`sexton_core`], so that a program names one crate. A
//! [`Host`] runs inside any program and any runtime:
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use sexton::{Actor, ErrorKind, Handler, Handlers, Host, Kinds, Message, Refusal, Turn};
//!
//! sexton::lifecycle! {
//!     /// What a bell can be.
//!     pub enum Bell { /** It hangs. */ Hung = "hung" [] => [] }
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Tower { strokes: u32 }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Strike;
//!
//! impl Message for Strike {
//!     const NAME: &'static str = "strike";
//!     type Reply = u32;
//! }
//!
//! impl Actor for Tower {
//!     const KIND: &'static str = "tower";
//!     type Init = ();
//!     type Status = Bell;
//!     type Deadline = ();
//!     type Effect = ();
//!     type Answer = ();
//!     fn create(_init: (), _turn: &mut Turn<Self>) -> Result<Self, Refusal> {
//!         Ok(Self { strokes: 0 })
//!     }
//!     fn handlers(on: &mut Handlers<Self>) {
//!         on.message::<Strike>();
//!     }
//!     fn status(&self) -> Bell {
//!         Bell::Hung
//!     }
//! }
//!
//! impl Handler<Strike> for Tower {
//!     fn handle(&mut self, _message: Strike, _turn: &mut Turn<Self>) -> Result<u32, Refusal> {
//!         self.strokes += 1;
//!         Ok(self.strokes)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = std::sync::Arc::new(sexton_store::MemoryStore::new());
//! let host = Host::builder(|| Kinds::new().with::<Tower>()).store(store).open().await?;
//! let tower = host.actor::<Tower>("west")?;
//! tower.create(()).await?;
//! // The reply comes when the stroke is durable.
//! assert_eq!(tower.call(Strike).await?, 1);
//! tower.destroy("the church is closed").await?;
//! assert_eq!(tower.call(Strike).await.unwrap_err().kind(), ErrorKind::Destroyed);
//! host.close().await?;
//! # Ok(())
//! # }
//! ```

mod builder;
pub mod clock;
pub mod tally;
pub mod mailbox;
mod handle;
pub mod runner;
mod arbiter;
pub mod committer;
pub mod gate;
mod events;
pub mod log;
mod perform;
mod places;
mod sweeps;
mod desk;
mod questions;
pub mod census;
mod host;

pub use builder::{Builder, EVENTS_MAX, IDLE_AFTER, MAILBOX_MESSAGES_MAX};
pub use census::Census;
pub use events::{Events, EventsError};
pub use handle::{AnyKind, CallError, Handle};
pub use host::{Figures, Host};
pub use perform::{Performed, Performer};
pub use questions::Index;
pub use sexton_core::*;
pub use tally::Tally;
