//! Reaches out: the providers of real machines, and the performers that the fleet's effects go to.
//!
//! ```text
//! node ------- effect --> performer --> Provider --- create, get, delete, list ---> machines
//! workspace -- effect --> performer --> agent of the machine, with a token of the platform
//! node <-- ready, heartbeat --- receiver <--------------------------------------- agent
//! ```
//!
//! The actors are those of `sexton-fleet` and do not know which provider works for them. A provider
//! of one's own is the trait [`Provider`], its duties, and [`conformance`].

mod provider;
pub mod conformance;
mod platform;
mod agents;
mod performers;
mod receiver;
mod local;
pub mod hetzner;

pub use agents::{AgentError, Agents, Target, workspace_id};
pub use hetzner::Hetzner;
pub use local::{Local, LocalProcesses};
pub use performers::{Commands, Performers};
pub use platform::{Platform, PlatformError};
pub use provider::{Listing, Made, Order, Provider, ProviderError};
pub use receiver::receiver;

/// The page about this crate: what it shows is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/providers.md")]
struct Page;
