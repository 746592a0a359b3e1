//! The coverage check: whether each status that holds something will also be left.
//!
//! ```text
//! model --> explore: every state that one actor can reach, by its real handlers
//!                \--> judge: in which of them can it stay for ever --> report, as a path from birth
//! ```
//!
//! What an actor holds in the outside world must come to its end by a deadline, by a debt that is
//! answered, or by a sweep; and no test finds the one state that all three pass over, because
//! nobody thought of it. So the states are not thought of but visited: a [`Model`] says with what
//! one actor of a kind begins, which messages it may get and how its effects may end, and every
//! handler is run on every state that comes of it. Then the outside world falls silent, and what
//! can stay for ever where it holds something is a [`Flaw::Gap`].
//!
//! What is proven, what is assumed, and what a check of one actor cannot see stands in
//! `docs/coverage.md`.
//!
//! # Example
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use sexton_core::coverage::Model;
//! use sexton_core::{Actor, Deadlines, Handlers, Refusal, Timestamp, Turn};
//!
//! sexton_core::lifecycle! {
//!     /// What a lease can be.
//!     pub enum Phase { /** It is held. */ Held = "held" [holds] => [] }
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Lease { since: Timestamp }
//!
//! impl Actor for Lease {
//!     const KIND: &'static str = "lease";
//!     type Init = ();
//!     type Status = Phase;
//!     type Deadline = ();
//!     type Effect = ();
//!     type Answer = ();
//!     fn create(_init: (), turn: &mut Turn<Self>) -> Result<Self, Refusal> {
//!         Ok(Self { since: turn.now() })
//!     }
//!     fn handlers(_on: &mut Handlers<Self>) {}
//!     fn status(&self) -> Phase {
//!         Phase::Held
//!     }
//!     fn deadlines(&self, due: &mut Deadlines<()>) {
//!         due.at(self.since + std::time::Duration::from_secs(60), ());
//!     }
//!     fn on_deadline(&mut self, _due: (), turn: &mut Turn<Self>) -> Result<(), Refusal> {
//!         turn.destroy("a minute is over", "deadline");
//!         Ok(())
//!     }
//!     fn on_destroy(&mut self, turn: &mut Turn<Self>) {
//!         turn.effect(&());
//!     }
//! }
//!
//! let coverage = Model::<Lease>::new().birth("", ()).check();
//! coverage.assert_covered();
//! let coverage = Model::<Lease>::new().birth("", ()).without_deadline(|_| true).check();
//! let gap = coverage.findings.first().expect("nothing else ends it");
//! assert_eq!(gap.why, "holds something outside; no deadline, no debt, no sweep selects it");
//! ```

mod canon;
mod model;
mod elsewhere;
mod explore;
mod moves;
mod judge;
mod report;
mod mermaid;

#[cfg(test)]
mod tests;

pub use model::{Check, Model, Seen};
pub use report::{Cause, Coverage, Edge, Finding, Flaw, Left, Mark, Net};
