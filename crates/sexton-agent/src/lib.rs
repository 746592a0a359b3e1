//! Works on a machine: the HTTP server that makes, lists and ends its workspaces.
//!
//! ```text
//! control plane --- token ---> agent --- workspace: a directory and a group of processes
//!       ^                        |
//!       +---- ready, heartbeat, ended       each with the epoch of the node's life
//! ```
//!
//! The agent holds nothing in memory that counts: what it made lies in files beside the
//! directories, and whether a process still runs is read off the system each time. So an agent
//! that was killed goes on where it was, and whoever holds the machine's directory can end
//! everything on it without an agent.
//!
//! It is no sandbox: a workspace runs as the agent's own user, and one that hides on purpose
//! (another session *and* an empty environment) is not found. Where that matters, the machine
//! is the border.

pub mod clock;
pub mod process;
pub mod files;
pub mod keys;
pub mod token;
pub mod wire;
pub mod workspaces;
pub mod authorize;
pub mod server;
pub mod callbacks;
pub mod load;
mod watch;
pub mod cli;

/// The agent's version, as it says it to the control plane.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
