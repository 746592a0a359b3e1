//! The suite that proves a store honest: the promises of `Store`, each as a case.
//!
//! ```
//! use std::sync::Arc;
//!
//! use sexton_core::Store;
//! use sexton_store::MemoryStore;
//! use sexton_store::conformance::{Subject, check_all};
//!
//! #[derive(Default)]
//! struct Memory(Arc<MemoryStore>);
//!
//! impl Subject for Memory {
//!     fn open(&self) -> Arc<dyn Store> {
//!         // Opened again, it holds what was flushed.
//!         self.0.crash(0);
//!         Arc::<MemoryStore>::clone(&self.0)
//!     }
//!
//!     fn open_failing(&self) -> Option<Arc<dyn Store>> {
//!         self.0.fail_next_flush();
//!         Some(Arc::<MemoryStore>::clone(&self.0))
//!     }
//! }
//!
//! check_all(&|| Box::new(Memory::default()));
//! ```

mod log;
mod model;

use std::collections::BTreeMap;
use std::sync::Arc;

use sexton_core::key::Key;
use sexton_core::{
    Batch, Cursor, Epoch, ErrorKind, Fence, Position, Sequence, Shard, Store, Timestamp, Write,
};

/// One place in which a store lies, empty at first.
pub trait Subject {
    /// Opens the store, for the first time or again; an earlier one is dropped by then, with or
    /// without `close`.
    fn open(&self) -> Arc<dyn Store>;

    /// Opens the store so that its next flush of something fails; `None` if that cannot be done.
    fn open_failing(&self) -> Option<Arc<dyn Store>> {
        None
    }
}

/// Makes a place of its own for a case.
pub type Make<'a> = &'a dyn Fn() -> Box<dyn Subject>;

/// A case: its name is a sentence, and it panics if a store breaks it.
pub type Case = (&'static str, fn(&dyn Subject));

/// Every case.
pub const CASES: &[Case] = &[
    ("an empty store has nothing in it", empty),
    ("a batch is applied whole and in order", whole),
    ("reads see what was submitted before any flush", read_your_submits),
    ("a scan is in order, without gaps, within its limits", scans),
    ("a batch of another epoch or sequence changes nothing", fenced),
    ("a claim raises every epoch and tells where each shard stands", claims),
    ("a flush tells up to where all is durable", positions),
    ("what was flushed is there when opened again", reopens),
    ("what was closed is there when opened again", closes),
    ("records of any length are kept", large_records),
    ("events are numbered in the order of their batches, and read when durable", log::numbered),
    ("the log goes on when opened again, and what was lost has no number", log::goes_on),
    ("a trimmed log says where it begins, and never begins again", log::trimmed),
    ("a long log is trimmed whole", log::trimmed_whole),
    ("many operations leave what a map would hold", model::many_operations),
    ("several threads share a store", threads),
    ("after a failed flush everything is refused", refuses_after_failure),
];

/// Runs every case in a place of its own.
///
/// # Panics
///
/// If the store breaks a promise; the case's name was printed before, where tests may print.
pub fn check_all(make: Make<'_>) {
    for (name, case) in CASES {
        tracing::info!(name, "conformance");
        case(make().as_ref());
    }
}

/// Writes to a store as the owner of its shards would.
#[derive(Debug)]
pub struct Owner {
    store: Arc<dyn Store>,
    fences: BTreeMap<Shard, Fence>,
    order: u64,
}

impl Owner {
    /// Claims the store.
    ///
    /// # Panics
    ///
    /// If the store refuses.
    pub fn claim(store: &Arc<dyn Store>) -> Self {
        let fences: BTreeMap<_, _> =
            store.claim().expect("a store can be claimed").into_iter().collect();
        let order = fences.values().map(|fence| fence.order).max().unwrap_or(0);
        Self { store: Arc::clone(store), fences, order }
    }

    /// The next batch of a shard.
    ///
    /// # Panics
    ///
    /// If the claim did not name the shard.
    pub fn batch(&mut self, shard: Shard, writes: Vec<Write>) -> Batch {
        self.order += 1;
        let fence = self.fences.get_mut(&shard).expect("a claim names every shard");
        let expected = fence.sequence;
        fence.sequence = Sequence(expected.0 + 1);
        let at = Timestamp::from_millis(i64::try_from(self.order).unwrap_or(i64::MAX));
        let (epoch, order, events) = (fence.epoch, self.order, Vec::new());
        Batch { shard, epoch, expected, at, order, writes, events }
    }

    /// Submits the next batch of a shard, with events.
    ///
    /// # Panics
    ///
    /// If the store refuses it.
    pub fn publish(&mut self, shard: u16, writes: Vec<Write>, events: Vec<Vec<u8>>) -> Position {
        let batch = Batch { events, ..self.batch(Shard::new(shard), writes) };
        self.store.submit(batch).expect("the owner's next batch is taken")
    }

    /// Submits the next batch of a shard.
    ///
    /// # Panics
    ///
    /// If the store refuses it.
    pub fn submit(&mut self, shard: u16, writes: Vec<Write>) -> Position {
        self.publish(shard, writes, Vec::new())
    }
}

/// A record put.
pub fn put(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Write {
    Write { key: key.as_ref().to_vec(), value: Some(value.as_ref().to_vec()) }
}

/// A record taken away.
pub fn take_away(key: impl AsRef<[u8]>) -> Write {
    Write { key: key.as_ref().to_vec(), value: None }
}

fn get(store: &Arc<dyn Store>, key: &str) -> Option<String> {
    let value = store.get(key.as_bytes()).expect("a store can be read");
    value.map(|value| String::from_utf8(value).expect("text was put"))
}

fn scan(store: &Arc<dyn Store>, start: &str, end: &str, limit: usize) -> Vec<String> {
    let records = store.scan(start.as_bytes(), end.as_bytes(), limit).expect("readable");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text was put");
    records.into_iter().map(|(key, value)| format!("{}={}", text(key), text(value))).collect()
}

fn all_of(store: &Arc<dyn Store>) -> Vec<(Key, Vec<u8>)> {
    store.scan(b"", b"", usize::MAX).expect("a store can be scanned")
}

fn empty(subject: &dyn Subject) {
    let store = subject.open();
    assert_eq!(get(&store, "a"), None);
    assert!(all_of(&store).is_empty());
    assert_eq!(store.figures().commits, 0);
    store.flush().expect("nothing to flush is no failure");
    store.close().expect("an empty store can be closed");
}

fn whole(subject: &dyn Subject) {
    let store = subject.open();
    let mut owner = Owner::claim(&store);
    owner.submit(1, vec![put("a", "1"), put("b", "1"), take_away("a"), put("b", "2")]);
    assert_eq!((get(&store, "a"), get(&store, "b")), (None, Some("2".to_owned())));
    owner.submit(2, vec![take_away("b"), put("a", "3"), put("", "empty"), put("e", "")]);
    store.flush().expect("flushes");
    assert_eq!(scan(&store, "", "", 9), ["=empty", "a=3", "e="]);
    assert_eq!(store.figures().commits, 2);
}

fn read_your_submits(subject: &dyn Subject) {
    let store = subject.open();
    let mut owner = Owner::claim(&store);
    let flushes = store.figures().flushes;
    for round in 0..50 {
        owner.submit(round % 3, vec![put("k", round.to_string())]);
        assert_eq!(get(&store, "k"), Some(round.to_string()));
        assert_eq!(scan(&store, "k", "", 1), [format!("k={round}")]);
    }
    assert_eq!(store.figures().flushes, flushes, "reading does not flush");
    store.flush().expect("flushes");
    assert_eq!(store.figures().flushes, flushes + 1, "one flush covers all that waited");
    assert_eq!(get(&store, "k"), Some("49".to_owned()));
}

fn scans(subject: &dyn Subject) {
    let store = subject.open();
    let mut owner = Owner::claim(&store);
    owner.submit(1, ["a", "ab", "b", "c", "d"].map(|key| put(key, "old")).to_vec());
    store.close().expect("what lies in the index is scanned as well");
    owner.submit(1, vec![take_away("b"), put("c", "new"), put("bb", "new"), take_away("zz")]);
    let all = ["a=old", "ab=old", "bb=new", "c=new", "d=old"];
    assert_eq!(scan(&store, "", "", 100), all);
    for limit in 0..=all.len() {
        assert_eq!(scan(&store, "", "", limit), all[..limit]);
    }
    assert_eq!(scan(&store, "ab", "c", 100), all[1..3], "with the start, without the end");
    assert_eq!(scan(&store, "aa", "cc", 100), all[1..4]);
    assert_eq!(scan(&store, "b", "", 2), all[2..4]);
    assert!(scan(&store, "c", "c", 100).is_empty());
    assert!(scan(&store, "d", "a", 100).is_empty(), "backwards is empty, not an error");
    assert!(scan(&store, "e", "", 100).is_empty());
}

fn fenced(subject: &dyn Subject) {
    let store = subject.open();
    let mut old = Owner::claim(&store);
    old.submit(7, vec![put("k", "old")]);
    let late = old.batch(Shard::new(7), vec![put("k", "late"), put("x", "late")]);
    let mut owner = Owner::claim(&store);
    let refused = |batch: Batch, why: &str| {
        let before = (all_of(&store), store.figures().commits);
        let error = store.submit(batch).expect_err(why);
        assert_eq!(error.kind(), ErrorKind::Closed, "{why}");
        assert_eq!((all_of(&store), store.figures().commits), before, "{why}");
    };
    refused(late.clone(), "of an earlier epoch");
    refused(Batch { epoch: Epoch(late.epoch.0 + 2), ..late }, "of a later epoch");
    let next = owner.batch(Shard::new(7), vec![put("k", "new")]);
    let expected = |sequence| Batch { expected: Sequence(sequence), ..next.clone() };
    refused(expected(0), "of an earlier sequence");
    refused(expected(2), "of a later sequence");
    refused(Batch { shard: Shard::new(8), ..next.clone() }, "of another shard's sequence");
    store.submit(next.clone()).expect("the right one is taken");
    refused(next, "the same once more");
    assert_eq!(get(&store, "k"), Some("new".to_owned()));
}

fn claims(subject: &dyn Subject) {
    let store = subject.open();
    let first = store.claim().expect("claims");
    assert!(first.iter().map(|(shard, _)| *shard).eq(Shard::all()), "every shard, in order");
    let fresh = Fence { epoch: Epoch(1), ..Fence::default() };
    assert!(first.iter().all(|(_, fence)| *fence == fresh));
    let mut owner = Owner::claim(&store);
    owner.submit(0, vec![put("a", "1")]);
    owner.submit(4_095, vec![put("b", "1")]);
    owner.submit(4_095, vec![put("b", "2")]);
    drop(owner);
    drop(store);
    let store = subject.open();
    let after: BTreeMap<_, _> = store.claim().expect("claims").into_iter().collect();
    assert!(after.values().all(|fence| fence.epoch == Epoch(3)), "one more each");
    drop(store);
    let store = subject.open();
    let mut owner = Owner::claim(&store);
    owner.submit(4_095, vec![put("b", "3")]);
    store.close().expect("closes");
    drop(owner);
    drop(store);
    let again: BTreeMap<_, _> = subject.open().claim().expect("claims").into_iter().collect();
    let (before, now) = (after[&Shard::new(4_095)], again[&Shard::new(4_095)]);
    assert_eq!((now.epoch, now.sequence), (Epoch(5), Sequence(before.sequence.0 + 1)));
    assert_eq!(
        (now.at, now.order),
        (Timestamp::from_millis(before.at.as_millis() + 1), before.order + 1)
    );
    assert_eq!(again[&Shard::new(1)].sequence, Sequence(0));
}

fn positions(subject: &dyn Subject) {
    let store = subject.open();
    let mut owner = Owner::claim(&store);
    let before = store.flush().expect("flushes");
    let first = owner.submit(1, vec![put("a", "1")]);
    let second = owner.submit(2, vec![put("b", "1")]);
    assert!(before < first && first < second, "positions grow");
    assert_eq!(store.flush().expect("flushes"), second, "a flush covers all");
    let figures = store.figures();
    assert_eq!(store.flush().expect("flushes"), second, "and again the same");
    assert_eq!(store.figures().flushes, figures.flushes, "without touching the disk");
    drop(owner);
    drop(store);
    let store = subject.open();
    let third = Owner::claim(&store).submit(1, vec![put("a", "2")]);
    assert!(third > second, "positions go on when opened again");
}

fn reopens(subject: &dyn Subject) {
    for round in 0..5 {
        let store = subject.open();
        let mut owner = Owner::claim(&store);
        for number in 0..round * 10 {
            let found = get(&store, &format!("k{number}"));
            assert_eq!(found, Some((round - 1).to_string()), "round {round}");
        }
        for number in 0..(round + 1) * 10 {
            owner.submit(number, vec![put(format!("k{number}"), round.to_string())]);
        }
        store.flush().expect("flushes");
        owner.submit(1, vec![put("never flushed", "x")]);
    }
    let store = subject.open();
    assert_eq!(store.scan(b"k", b"l", 100).expect("readable").len(), 50);
}

fn closes(subject: &dyn Subject) {
    let store = subject.open();
    let mut owner = Owner::claim(&store);
    owner.submit(1, vec![put("a", "1"), put("gone", "1")]);
    store.close().expect("closes, and flushes before");
    owner.submit(1, vec![take_away("gone"), put("b", "1")]);
    store.close().expect("closes twice");
    store.close().expect("closes with nothing to do");
    drop(owner);
    drop(store);
    let store = subject.open();
    assert_eq!(scan(&store, "", "", 9), ["a=1", "b=1"]);
}

fn large_records(subject: &dyn Subject) {
    let lengths = [0, 1, 4_091, 4_092, 4_093, 65_536, 130_000, 300_000, 5_000_000];
    let value = |length: usize, seed: usize| -> Vec<u8> {
        (0..length).map(|at| u8::try_from((at * 31 + at / 253 + seed) % 251).unwrap_or(0)).collect()
    };
    for seed in 0..3 {
        let store = subject.open();
        let mut owner = Owner::claim(&store);
        for (number, length) in (0..).zip(lengths) {
            // Each key has another length in each round.
            let key = format!("k{}", (number + seed) % lengths.len());
            owner.submit(3, vec![put(key, value(length, seed))]);
        }
        if seed == 1 {
            store.close().expect("closes");
        }
        store.flush().expect("flushes");
        drop(owner);
        drop(store);
        let store = subject.open();
        for (number, length) in (0..).zip(lengths) {
            let key = format!("k{}", (number + seed) % lengths.len());
            let found = store.get(key.as_bytes()).expect("readable").expect("there");
            assert!(found == value(length, seed), "{key} of {length} bytes is not what was put");
        }
        assert_eq!(all_of(&store).len(), lengths.len());
    }
    let store = subject.open();
    let mut owner = Owner::claim(&store);
    owner.submit(3, (0..lengths.len()).map(|number| take_away(format!("k{number}"))).collect());
    store.close().expect("closes");
    assert!(all_of(&store).is_empty());
}

fn threads(subject: &dyn Subject) {
    let store = subject.open();
    let fences: BTreeMap<_, _> = store.claim().expect("claims").into_iter().collect();
    let write = |shard: u16| {
        let fence = fences[&Shard::new(shard)];
        for sequence in 0..200 {
            let writes = vec![put(format!("{shard}"), format!("{sequence}"))];
            let (at, order) = (Timestamp::ZERO, sequence);
            let (shard, expected) = (Shard::new(shard), Sequence(sequence));
            let (epoch, events) = (fence.epoch, vec![log::event(shard.number(), sequence)]);
            let batch = Batch { shard, epoch, expected, at, order, writes, events };
            let position = store.submit(batch).expect("each thread owns a shard");
            if sequence % 10 == 0 {
                let flushed = store.flush().expect("flushes");
                assert!(flushed >= position, "a flush covers what its caller submitted");
            }
        }
    };
    std::thread::scope(|scope| {
        for shard in 0..4 {
            scope.spawn(move || write(shard));
        }
    });
    store.flush().expect("flushes");
    assert_eq!(scan(&store, "", "4", 9), ["0=199", "1=199", "2=199", "3=199"]);
    log::check_orders(&store, 4, 200);
}

fn refuses_after_failure(subject: &dyn Subject) {
    let store = subject.open();
    let mut owner = Owner::claim(&store);
    owner.submit(1, vec![put("kept", "1")]);
    store.flush().expect("flushes");
    drop(owner);
    drop(store);
    let Some(store) = subject.open_failing() else { return };
    let error = store.claim().err();
    let error = error.or_else(|| store.flush().err()).expect("the next flush fails");
    assert_eq!(error.kind(), ErrorKind::Unconfirmed);
    let refusals = [
        ("get", store.get(b"kept").err()),
        ("scan", store.scan(b"", b"", 1).err()),
        ("flush", store.flush().err()),
        ("claim", store.claim().err()),
        ("log", store.log().err()),
        ("trim_log", store.trim_log(Cursor(0)).err()),
        ("close", store.close().err()),
    ];
    for (call, error) in refusals {
        let error = error.expect("after a failure every call is refused");
        assert_eq!(error.kind(), ErrorKind::Closed, "{call}");
    }
    drop(store);
    let store = subject.open();
    assert_eq!(get(&store, "kept"), Some("1".to_owned()), "what was flushed is kept");
    Owner::claim(&store).submit(1, vec![put("again", "1")]);
    store.flush().expect("and the store works again");
}
