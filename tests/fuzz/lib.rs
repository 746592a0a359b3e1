//! What reads bytes, and what may be done in any order: one function each, given any bytes.
//!
//! A target panics if something does not hold that must hold for *every* input: no decoder
//! panics, hangs or takes memory without bound; what was read can be written and reads back as the
//! same; two readers of the same bytes agree; an error names the thing and the place. It returns
//! whether anything was read at all, so that a test can tell when inputs no longer get anywhere.
//!
//! The same functions run three times: as properties on every change (`properties.rs`), under
//! libFuzzer (`tests/fuzz.sh`), and on single files (`cargo run -p sexton-fuzz -- TARGET FILE`).
#![expect(clippy::missing_panics_doc, reason = "a panic is what a target is there for")]

pub mod input;
pub mod seeds;
#[path = "targets/keys.rs"]
pub mod keys;
#[path = "targets/records.rs"]
pub mod records;
#[path = "targets/states.rs"]
pub mod states;
#[path = "targets/world.rs"]
pub mod world;
#[path = "targets/journal.rs"]
pub mod journal;
#[path = "targets/index.rs"]
pub mod index;
#[path = "targets/trace.rs"]
pub mod trace;
#[path = "targets/catalog.rs"]
pub mod catalog;
#[path = "targets/recurring.rs"]
pub mod recurring;
#[path = "targets/cloud.rs"]
pub mod cloud;
#[path = "targets/options.rs"]
pub mod options;
#[path = "targets/simulation.rs"]
pub mod simulation;
#[path = "targets/stores.rs"]
pub mod stores;

/// A target: takes any bytes, and says whether anything was read from them.
pub type Target = fn(&[u8]) -> bool;

/// Every target by its name.
pub const TARGETS: &[(&str, Target)] = &[
    ("keys", keys::keys),
    ("records", records::records),
    ("states", states::states),
    ("world", world::world),
    ("journal", journal::journal),
    ("index", index::index),
    ("trace", trace::trace),
    ("catalog", catalog::catalog),
    ("recurring", recurring::recurring),
    ("cloud", cloud::cloud),
    ("options", options::options),
    ("simulation", simulation::simulation),
    ("stores", stores::stores),
];

/// The target of that name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}
