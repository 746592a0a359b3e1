//! Providers against the real thing: real agents, real processes, a real host with a store on
//! disk, and its own clock.
//!
//! Method: each test has a directory in which machines, store and keys lie, and a control plane
//! that can be dropped and opened again. Whatever a test leaves, however it ends, its guards end;
//! only what is marked with that directory is ever touched.

mod support;
mod local;
mod fleet;
mod ends;
mod callbacks;
mod faults;
mod hetzner;
mod sessions;
