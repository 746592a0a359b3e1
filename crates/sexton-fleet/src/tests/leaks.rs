//! Forty leaks that other systems had, each told and tried on the real actors: none can happen.
//!
//! One test for each row of `docs/leaks.md`. What depended on a race is tried in every order, what
//! depended on a crash with a kill behind every commit; and beside the example stands its class.

mod hand_offs;
mod clocks;
mod deletes;
mod coming_back;
mod motion;
mod ends;
mod knowing;
