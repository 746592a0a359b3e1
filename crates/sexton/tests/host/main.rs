//! The host through its front door: calls, the output gate, alarms, effects, sweeps, the end.
//!
//! Method: a store in memory whose flushes can be held or made to fail, a clock that is set by
//! the test, and waits on a condition with a bound. Nothing sleeps.

mod alarms;
mod calls;
mod effects;
mod ends;
mod gate;
mod log;
mod mail;
mod questions;
mod runner;
mod support;
mod sweeps;
mod tally;
