//! Doubts: virtual time, seeds, crashes, verdicts.
//!
//! A [`World`] drives the real engine, the real store and the real sweeps on one thread in
//! virtual time. What it does next is a function of what is committed and of the [`Outside`],
//! so the same inputs give the same turns, and a run that was killed goes on where it stopped.
//! [`every_way`] tells a story of your own actors with the process killed behind every commit.

mod hash;
mod play;
mod tally;
mod world;

pub use hash::{Hasher, state_hash};
pub use play::{Answering, Play, every_way};
pub use tally::Tally;
pub use world::{Outside, World, WorldError};
