//! Doubts: virtual time, seeds, crashes, verdicts.
//!
//! A [`World`] drives the real engine, the real store and the real sweeps on one thread in
//! virtual time. What it does next is a function of what is committed and of the [`Outside`],
//! so the same inputs give the same turns, and a run that was killed goes on where it stopped.
//! [`every_crash`] tells a story of your own actors with every operation of its store going wrong,
//! and with two; [`every_way`] tells it with either of the two nets off, too.
//!
//! [`run()`] is the other half: chance from a seed picks among everything that can happen next, with
//! faults, and every promise is looked at after every step. What it finds is a list of [`Step`]s
//! that [`shrink()`] makes short.

mod chance;
mod check;
mod crash;
mod doubtful;
mod model;
mod probe;
mod hash;
mod play;
mod run;
mod scenario;
mod shrink;
mod sim;
mod step;
mod tally;
mod trouble;
mod watch;
mod world;

pub use chance::Chance;
pub use check::{Check, Found, check};
pub use crash::{Crashed, Crashes, every_crash};
pub use doubtful::{Doubtful, Stop, Way};
pub use hash::{Hasher, state_hash};
pub use play::{Answering, Play, every_way};
pub use probe::Probes;
pub use run::{Faults, Line, Listen, Plan, Run, replay, run};
pub use scenario::{Asked, Asks, Said, Scenario, Scene, Seen, Took};
pub use shrink::{Shrunk, shrink};
pub use step::{Fate, Lever, NoStep, Step};
pub use tally::Tally;
pub use world::{Outside, World, WorldError};
