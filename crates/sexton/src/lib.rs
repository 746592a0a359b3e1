//! Runs: the host on actix and tokio; clock, mailboxes, timers, effects, sweeps.
//!
//! This is the front door: it re-exports [`sexton_core`], so that a program names one crate.

pub mod sweep;

pub use sexton_core::*;
