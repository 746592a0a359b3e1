//! Leaks that control planes are known to have had: one test for each, which tells what happened
//! elsewhere and tries it here with each net alone, with crashes, and in every order.

mod hand_offs;
mod clocks;
mod deletes;
