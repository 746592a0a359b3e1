//! Index files with bits turned over at random.
//!
//! Goal: reading them ends, in the value that was put or in an error, and never in another value
//! or a dead process; and if the whole index is checked before, in no silence either. Method:
//! seeds choose the bits; every key is read after each.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use sexton_core::{Batch, Sequence, Store, Timestamp, Write};
use sexton_store::{Check, EmbeddedStore, IndexKind, Options, Sizes};

const KEYS: u32 = 300;
const ROUNDS: u32 = 60;

fn value(number: u32) -> Vec<u8> {
    format!("value-{number}-").repeat(9).into_bytes()
}

fn fill(path: &Path, options: &Options) {
    let store = EmbeddedStore::open(path, options).expect("opens");
    let (shard, fence) = store.claim().expect("claims")[0];
    let put = |number: u32| Write {
        key: format!("key-{number:03}").into_bytes(),
        value: Some(value(number)),
    };
    // In many groups, so that the journal has let go of most of them.
    for batch in 0..KEYS / 10 {
        let writes = (batch * 10..batch * 10 + 10).map(put).collect();
        let expected = Sequence(fence.sequence.0 + u64::from(batch));
        let (at, epoch, order) = (Timestamp::ZERO, fence.epoch, u64::from(batch));
        store
            .submit(Batch { shard, epoch, expected, at, order, writes, events: Vec::new() })
            .expect("taken");
        store.flush().expect("flushes");
    }
    store.close().expect("closes");
}

/// Reads everything; the number of records that are told or not found.
fn read(path: &Path, options: &Options) -> u32 {
    let Ok(store) = EmbeddedStore::open(path, options) else { return KEYS };
    let mut n_lost = 0;
    for number in 0..KEYS {
        match store.get(format!("key-{number:03}").as_bytes()) {
            Ok(Some(found)) => assert_eq!(found, value(number)),
            Ok(None) => {
                assert!(options.check == Check::Quick, "key-{number:03} is missing, in silence");
                n_lost += 1;
            }
            Err(_) => n_lost += 1,
        }
    }
    for (key, found) in store.scan(b"", b"", 10_000).unwrap_or_default() {
        let number = String::from_utf8(key).expect("a key that was put");
        let number = number.trim_start_matches("key-").parse().expect("a key that was put");
        assert_eq!(found, value(number));
    }
    n_lost
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let place = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &place);
        } else {
            fs::copy(&path, place).expect("copied");
        }
    }
}

fn bend(index: IndexKind, check: Check, file: &str) {
    let place = tempfile::tempdir().expect("a place");
    let sizes = Sizes { overlay_bytes: 4_000, journal_bytes: 6_000, segment_bytes: 4_096 };
    let options = Options { index, check, sizes, ..Options::default() };
    let whole = place.path().join("whole");
    fill(&whole, &options);
    let mut seed = 1_u64;
    let mut n_noticed = 0;
    for round in 0..ROUNDS {
        let bent: PathBuf = place.path().join(format!("bent-{round}"));
        copy(&whole, &bent);
        let path = bent.join(file);
        let mut bytes = fs::read(&path).expect("read");
        let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        for _ in 0..=round % 4 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = used[usize::try_from(seed >> 33).expect("fits") % used.len()];
            bytes[at] ^= 1 << (round % 8);
        }
        fs::write(&path, bytes).expect("written");
        let read = catch_unwind(AssertUnwindSafe(|| read(&bent, &options)));
        n_noticed += u32::from(read.expect("no panic reaches the caller") > 0);
        fs::remove_dir_all(&bent).expect("removed");
    }
    assert!(n_noticed > 5, "only {n_noticed} of {ROUNDS} were noticed");
}

#[test]
fn a_bent_redb_file_never_gives_another_value() {
    bend(IndexKind::Redb, Check::Quick, "index.redb");
}

#[test]
fn a_bent_redb_file_that_is_checked_whole_never_hides_a_record() {
    bend(IndexKind::Redb, Check::Whole, "index.redb");
}

#[cfg(feature = "sled")]
#[test]
fn a_bent_sled_file_never_gives_another_value() {
    bend(IndexKind::Sled, Check::Quick, "index.sled/db");
}

#[cfg(feature = "sled")]
#[test]
fn a_bent_sled_file_that_is_checked_whole_never_hides_a_record() {
    bend(IndexKind::Sled, Check::Whole, "index.sled/db");
}
