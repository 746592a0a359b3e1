//! Remembers: the stores, their byte format, and the suite that proves a store honest.
//!
//! ```text
//! submit --> pending group --> journal (one write, one fdatasync a flush)
//!    |                            |
//!    +--> overlay in memory       | replayed from the checkpoint when opened
//!            |                    |
//!            +--> index (redb or sled), in large batches, with a checkpoint
//! ```
//!
//! The journal is where truth lives: what a flush acknowledged lies in it, in order. The index
//! behind it is brought up to date now and then, so that the journal stays short. Reads look at
//! the overlays first, which hold what is not yet in the index.
//!
//! Features: `sled` (the index on sled 0.34, on), `conformance` (the suite for any store).

pub use sexton_core::codec;

mod fault;
mod fences;
mod log;
pub mod memory;
mod disk;
mod journal;
mod overlay;
mod index;
mod embedded;
#[cfg(feature = "conformance")]
pub mod conformance;

#[cfg(test)]
mod simdisk;

pub use embedded::{
    Check, Create, EmbeddedStore, Inspection, InspectionFigures, Options, ReadOnlyStore, Sizes,
    inspect,
};
pub use fault::{Damage, Note};
pub use index::IndexKind;
pub use memory::MemoryStore;
