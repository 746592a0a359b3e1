//! A small store of which one bit is turned over, in every kind of file.
//!
//! It is told with the file, or it does no harm. Two things cannot be told, and are held to what
//! `docs/format.md` says of them: the last frame of the journal may as well be torn, so the store
//! opens without it and who only reads is told; and without a check of the whole index a record
//! of it may be missing or be an earlier one, never one that was not written.
//!
//! Seen to fail: without the checksum of frames, and without that of records of the index.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

use sexton_core::{Cursor, ErrorKind};

use super::every::Story;
use super::{Records, SimDisk, model, options};
use crate::embedded::{Check, EmbeddedStore, Options, ReadOnlyStore};

/// Keeps quiet about panics of redb over damaged files, which the store makes errors of: to print
/// where each of thousands happened takes longer than they do.
fn be_quiet_about_redb() {
    let usual = take_hook();
    set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|it| it.file().contains("redb-")) {
            usual(panic);
        }
    }));
}

/// A store behind some checkpoints, killed: index and journal, and what the latter adds.
fn killed() -> Story {
    let mut story = Story::begin();
    let mut life = story.open();
    for _ in 0..6 {
        story.group(&mut life, 8);
        life.do_jobs();
    }
    story.group(&mut life, 4);
    story.group(&mut life, 2);
    story.disk = story.disk.after_kill();
    story
}

/// What was found when a bit was turned over.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum Found {
    /// An error that names the file.
    Told,
    /// Everything is there.
    Harmless,
    /// What the last frame held is not there.
    WithoutTheLast,
    /// A record is missing, or is an earlier one.
    Silent,
}

struct Subject {
    story: Story,
    /// The records of the whole store, and those without the last group.
    whole: Records,
    without_last: Records,
    /// Every value that each key ever had.
    ever: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
}

impl Subject {
    fn new() -> Self {
        be_quiet_about_redb();
        let story = killed();
        let whole = model(&story.history, Cursor::BEGINNING);
        let without_last = model(&story.history[..story.history.len() - 2], Cursor::BEGINNING);
        let mut ever: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        for end in 0..=story.history.len() {
            for (key, value) in model(&story.history[..end], Cursor::BEGINNING) {
                ever.entry(key).or_default().push(value);
            }
        }
        Self { story, whole, without_last, ever }
    }

    /// Turns over bits of a file, one at a time, and counts what comes of it.
    fn flip(&self, file: &str, stride: usize, check: Check) -> BTreeMap<Found, usize> {
        let bytes = self.story.disk.files()[file].clone();
        let used = (0..bytes.len()).filter(|at| bytes[*at] != 0 || at % 64 == 0);
        let mut counts = BTreeMap::new();
        for (number, at) in used.step_by(stride).enumerate() {
            let disk = self.story.disk.after_kill();
            disk.tamper(file, |bytes| bytes[at] ^= 1 << (number % 8));
            let case = format!("{file}, byte {at}, {check:?}");
            let options = Options { check, ..options() };
            let found = catch_unwind(AssertUnwindSafe(|| self.look(&disk, &options, &case)));
            let found = found.unwrap_or_else(|_| panic!("{case}: a panic"));
            *counts.entry(found).or_insert(0) += 1;
        }
        println!("{file}, {check:?}: {counts:?}");
        counts
    }

    fn look(&self, disk: &SimDisk, options: &Options, case: &str) -> Found {
        let read = ReadOnlyStore::open_in(&disk.after_kill());
        let read = read.map(|store| (store.notes().to_vec(), store.position()));
        let opened = EmbeddedStore::open_in(disk, options);
        let found = opened.and_then(|store| store.scan(b"", b"", usize::MAX));
        let found: Records = match found {
            Ok(found) => found.into_iter().collect(),
            Err(error) => {
                let is_told = error.to_string().contains("/simulated");
                let kinds = [ErrorKind::Corrupt, ErrorKind::Refused, ErrorKind::Closed];
                assert!(is_told && kinds.contains(&error.kind()), "{case}: {error}");
                return Found::Told;
            }
        };
        if found == self.whole {
            return Found::Harmless;
        }
        if found == self.without_last {
            let (notes, _) = read.unwrap_or_else(|error| panic!("{case}: {error}"));
            assert!(!notes.is_empty(), "{case}: who reads is not told");
            return Found::WithoutTheLast;
        }
        for (key, value) in &found {
            let ever = self.ever.get(key);
            assert!(ever.is_some_and(|it| it.contains(value)), "{case}: never written: {key:?}");
        }
        Found::Silent
    }
}

fn names(subject: &Subject, prefix: &str) -> Vec<String> {
    let files = subject.story.disk.files().into_keys();
    files.filter(|name| name.starts_with(prefix)).collect()
}

#[test]
fn a_bit_turned_over_in_the_journal_is_told_or_does_no_harm() {
    let subject = Subject::new();
    let journals = names(&subject, "journal/journal-");
    let mut all: BTreeMap<Found, usize> = BTreeMap::new();
    for file in &journals {
        let is_last = Some(file) == journals.last();
        for (found, count) in subject.flip(file, 2, Check::Quick) {
            assert!(found != Found::Silent, "{file}");
            assert!(found != Found::WithoutTheLast || is_last, "{file}");
            *all.entry(found).or_default() += count;
        }
    }
    assert!(all[&Found::Told] > 300 && all[&Found::WithoutTheLast] > 100, "{all:?}");
    for file in names(&subject, "journal/spare-") {
        let counts = subject.flip(&file, 97, Check::Quick);
        assert!(counts.keys().eq([&Found::Harmless]), "{counts:?}");
    }
}

#[test]
fn a_bit_turned_over_in_the_marker_is_told_or_does_no_harm() {
    let counts = Subject::new().flip("sexton-store", 1, Check::Quick);
    assert!(counts[&Found::Told] > 40, "{counts:?}");
    assert!(counts.keys().all(|it| [Found::Told, Found::Harmless].contains(it)), "{counts:?}");
}

#[test]
fn a_bit_turned_over_in_an_index_that_is_checked_whole_is_told_or_does_no_harm() {
    let counts = Subject::new().flip("index.redb", 59, Check::Whole);
    assert!(counts[&Found::Told] > 50, "{counts:?}");
    assert!(counts.keys().all(|it| [Found::Told, Found::Harmless].contains(it)), "{counts:?}");
}

#[test]
fn a_bit_turned_over_in_an_index_never_gives_a_value_that_was_not_written() {
    let counts = Subject::new().flip("index.redb", 59, Check::Quick);
    assert!(counts[&Found::Told] > 50, "{counts:?}");
    assert!(!counts.contains_key(&Found::WithoutTheLast), "{counts:?}");
}
