//! Every store against the conformance suite.
//!
//! The embedded ones are opened with sizes so small that each case passes several checkpoints and
//! segments, and once with the sizes that they come with.

use std::sync::Arc;

use sexton_core::Store;
use sexton_store::conformance::{CASES, Subject, check_all};
use sexton_store::{EmbeddedStore, IndexKind, MemoryStore, Options, Sizes};
use tempfile::TempDir;

#[derive(Default)]
struct Memory(Arc<MemoryStore>);

impl Subject for Memory {
    fn open(&self) -> Arc<dyn Store> {
        self.0.crash(0);
        Arc::<MemoryStore>::clone(&self.0)
    }

    fn open_failing(&self) -> Option<Arc<dyn Store>> {
        self.0.fail_next_flush();
        Some(Arc::<MemoryStore>::clone(&self.0))
    }
}

struct Embedded {
    directory: TempDir,
    options: Options,
}

impl Subject for Embedded {
    fn open(&self) -> Arc<dyn Store> {
        let store = EmbeddedStore::open(self.directory.path(), &self.options);
        Arc::new(store.expect("a store of its own"))
    }
}

fn check_embedded(index: IndexKind, sizes: &Sizes) {
    check_all(&|| {
        let directory = tempfile::tempdir().expect("a place");
        let options = Options { index, sizes: sizes.clone(), ..Options::default() };
        Box::new(Embedded { directory, options })
    });
}

fn small() -> Sizes {
    Sizes { overlay_bytes: 40_000, journal_bytes: 60_000, segment_bytes: 20_000 }
}

#[test]
fn the_memory_store_is_honest() {
    check_all(&|| Box::new(Memory::default()));
}

#[test]
fn the_store_on_redb_is_honest() {
    check_embedded(IndexKind::Redb, &Sizes::default());
}

#[test]
fn the_store_on_redb_is_honest_over_many_checkpoints() {
    check_embedded(IndexKind::Redb, &small());
}

#[cfg(feature = "sled")]
#[test]
fn the_store_on_sled_is_honest() {
    check_embedded(IndexKind::Sled, &Sizes::default());
}

#[cfg(feature = "sled")]
#[test]
fn the_store_on_sled_is_honest_over_many_checkpoints() {
    check_embedded(IndexKind::Sled, &small());
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let mut names: Vec<_> = CASES.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CASES.len());
}
