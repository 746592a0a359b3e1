//! The agent as it runs: a process of its own, real HTTP on loopback, real processes below it.
//!
//! Method: each test has a directory, a platform with keys, and agents that it starts itself.
//! Whatever a test leaves, however it ends, its guards end by process and start time.

mod support;
mod tokens;
mod workspaces;
mod late;
mod restarts;
mod callbacks;
mod commands;
