//! Every target as a property: bytes by chance, and inputs that get far with a few bytes changed.
//!
//! The same bytes in every run. What a change of these finds nothing in, libFuzzer looks for
//! (`tests/fuzz.sh`); what either found lies in `corpus/` and is given to its target here.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sexton_fuzz::{TARGETS, target};

/// One change of an input.
#[derive(Clone, Debug)]
enum Change {
    /// A byte becomes another.
    Put(prop::sample::Index, u8),
    /// A bit is turned over.
    Flip(prop::sample::Index, u8),
    /// The rest is cut off.
    Cut(prop::sample::Index),
    /// A few bytes are taken out.
    Remove(prop::sample::Index, usize),
    /// A few bytes are put between.
    Insert(prop::sample::Index, Vec<u8>),
    /// What stands there stands there twice.
    Repeat(prop::sample::Index, usize),
    /// A number becomes one at which things end.
    Number(prop::sample::Index, u64, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let at = || any::<prop::sample::Index>();
    let ends = prop::sample::select(vec![0, 1, 127, 255, 1 << 16, 1 << 31, 1 << 60, u64::MAX]);
    prop_oneof![
        4 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Put(at, byte)),
        4 => (at(), 0_u8..8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        1 => at().prop_map(Change::Cut),
        2 => (at(), 1_usize..12).prop_map(|(at, count)| Change::Remove(at, count)),
        2 => (at(), vec(any::<u8>(), 1..12)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        1 => (at(), 1_usize..40).prop_map(|(at, count)| Change::Repeat(at, count)),
        2 => (at(), ends, prop::sample::select(vec![2_usize, 4, 8]))
            .prop_map(|(at, number, bytes)| Change::Number(at, number, bytes)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let length = bytes.len();
        if length == 0 {
            return bytes;
        }
        match change {
            Change::Put(at, byte) => bytes[at.index(length)] = *byte,
            Change::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
            Change::Cut(at) => bytes.truncate(at.index(length)),
            Change::Remove(at, count) => {
                let at = at.index(length);
                bytes.drain(at..(at + count).min(length));
            }
            Change::Insert(at, more) => {
                let at = at.index(length);
                bytes.splice(at..at, more.iter().copied());
            }
            Change::Repeat(at, count) => {
                let at = at.index(length);
                let piece = bytes[at..(at + count).min(length)].to_vec();
                bytes.splice(at..at, piece);
            }
            Change::Number(at, number, count) => {
                let at = at.index(length);
                let end = (at + count).min(length);
                bytes[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
            }
        }
    }
    bytes
}

/// Every committed input of a target, in order of their names.
fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let place = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let entries = fs::read_dir(&place).expect("every target has a corpus");
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("it can be read").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).expect("it can be read"))).collect()
}

/// Gives a target its corpus, so many changes of it, and half as many inputs by chance.
fn holds(name: &str, cases: u32) {
    let target = target(name).expect("a target");
    let corpus = corpus(name);
    let (mut n_seeds, mut n_read) = (0, 0);
    for (path, input) in &corpus {
        let is_read = target(input);
        // The others are what once went wrong, and most of those are refused.
        let is_seed = path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"seed-"));
        n_seeds += usize::from(is_seed);
        n_read += usize::from(is_seed && is_read);
    }
    // A corpus that no longer gets anywhere is written anew: see `seeds`.
    assert!(n_seeds > 0 && n_read * 2 >= n_seeds, "{n_read} of {n_seeds} seeds are read");
    let inputs: Vec<Vec<u8>> = corpus.into_iter().map(|(_, input)| input).collect();
    let changes = vec(change(), 1..6);
    let mutated = (prop::sample::select(inputs), changes)
        .prop_map(|(input, changes)| changed(input, &changes));
    let by_chance = vec(any::<u8>(), 0..120);
    let bytes = prop_oneof![2 => mutated, 1 => by_chance];
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let held = TestRunner::new_with_rng(config, rng).run(&bytes, |bytes| {
        target(&bytes);
        Ok(())
    });
    let failure = held.err().map(|failure| failure.to_string()).unwrap_or_default();
    assert!(failure.is_empty(), "{name}: {failure}");
}

macro_rules! properties {
    ( $( $test:ident: $target:literal, $cases:literal; )* ) => {
        $(
            #[test]
            fn $test() {
                holds($target, $cases);
            }
        )*

        #[test]
        fn every_target_is_a_property() {
            let properties = [$($target),*];
            let targets: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(targets, properties);
        }
    };
}

properties! {
    any_bytes_are_a_key_or_a_name_or_are_refused: "keys", 4_000;
    any_bytes_are_a_record_or_are_refused: "records", 4_000;
    any_bytes_are_a_state_of_the_fleet_or_are_refused: "states", 3_000;
    an_engine_goes_on_with_a_store_of_any_records: "world", 300;
    every_reader_of_a_journal_says_the_same: "journal", 120;
    a_changed_index_gives_what_was_put_or_an_error: "index", 120;
    any_bytes_are_an_event_list_or_are_refused: "trace", 600;
    any_text_is_a_price_list_or_is_refused: "catalog", 2_000;
    any_recurring_deadline_rings_for_what_was_due: "recurring", 300;
    any_bytes_are_the_file_of_a_cloud_or_are_refused: "cloud", 300;
    any_words_are_options_or_are_refused: "options", 1_000;
    any_order_of_steps_keeps_every_promise: "simulation", 40;
    any_order_of_operations_leaves_what_a_map_would_hold: "stores", 120;
}
