//! The example control plane as its users have it: the program itself, over HTTP, on the real
//! clock, with real processes that are really killed.
//!
//! Method: each test has a directory of its own and starts the program in it, as often as it
//! wants. Whatever a test leaves, however it ends, its guard ends; only what is marked with that
//! directory, and the program that the test started, is ever touched.

mod support;
mod api;
mod ends;
mod restarts;
mod tokens;
