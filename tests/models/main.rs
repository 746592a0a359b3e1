//! Models: every state that can be reached, and not only those that chance finds.
//!
//! Three stories are walked through from end to end by `stateright`: who may write a shard
//! (`fencing`), how a tree of actors goes (`destroy`), and the same with the real engine as the
//! one who decides (`engine`). Each promise has a control: with what guards it switched off the
//! walk must find the shortest way to break it, and the test says which way that is. How many
//! states there are is asserted, so that `docs/models.md` cannot say anything else.
#![expect(clippy::panic, reason = "tests: a panic is a failed one")]
#![expect(clippy::print_stdout, reason = "the shortest way to a breach is there to be read")]

mod checking;
mod destroy;
mod engine;
mod fencing;
