//! The embedded store on redb over a disk that loses, tears and fails.
//!
//! Goal: after any power cut, kill or failure of the disk, what comes back is a prefix of what was
//! submitted, as long at least as what was acknowledged; and what was seen once stays. Method: the
//! whole store, from the making of its directory on, over a simulated disk; the store's thread is
//! played by the test, so that a seed or a history repeats.
//!
//! * [`cuts`]: histories by chance over several lives, thousands of cuts.
//! * [`every`]: short histories, and every cut at each change of the disk.
//! * [`failing`]: a disk that fails at each call in turn, and flushes that fail.
//! * [`flips`]: every bit that counts turned over.
//! * `on_sled`: what a cut leaves of a sled index, on real files.

mod cuts;
mod every;
mod failing;
mod flips;
#[cfg(feature = "sled")]
mod on_sled;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use sexton_core::key::{self, Key};
use sexton_core::{Batch, Cursor, Error, Fence, Sequence, Shard, Store, Timestamp, Write};

use super::shared::Shared;
use super::worker::{Job, perform};
use super::{EmbeddedStore, Options, ReadOnlyStore, Sizes};
use crate::disk::Disk;
use crate::simdisk::{Chance, SimDisk};

const SHARDS: u16 = 3;
const MARKER: &str = "sexton-store";

fn options() -> Options {
    let sizes = Sizes { overlay_bytes: 6_000, journal_bytes: 12_000, segment_bytes: 4_096 };
    Options { sizes, ..Options::default() }
}

/// What one batch holds: its writes and its events.
type Turn = (Vec<Write>, Vec<Vec<u8>>);

/// What a test notes when it was acknowledged: batches, and up to where the log was trimmed.
fn note(disk: &SimDisk, n_batches: usize, trimmed: Cursor) {
    disk.note((u64::try_from(n_batches).expect("small") << 32) | trimmed.0);
}

/// A note read back.
fn noted(note: u64) -> (usize, Cursor) {
    (usize::try_from(note >> 32).expect("small"), Cursor(note & u64::from(u32::MAX)))
}

/// A store over a simulated disk, its jobs not yet done, and the history behind it.
struct Life {
    shared: Arc<Shared>,
    jobs: Receiver<Job>,
    /// Of all shards, in order.
    fences: Vec<(Shard, Fence)>,
}

impl Life {
    /// Opens the store, or makes it.
    fn begin(disk: &dyn Disk, options: &Options) -> Result<Self, Error> {
        Self::over(EmbeddedStore::open_in(disk, options)?)
    }

    fn over(shared: Shared) -> Result<Self, Error> {
        let shared = Arc::new(shared);
        let (sender, jobs) = mpsc::channel();
        shared.set_worker(sender);
        let fences = shared.claim()?;
        Ok(Self { shared, jobs, fences })
    }

    fn records(&self) -> Result<Records, Error> {
        Ok(self.shared.scan(b"", b"", usize::MAX)?.into_iter().collect())
    }

    /// How many batches the store holds.
    fn n_batches(&self) -> usize {
        let sum: u64 = self.fences.iter().map(|(_, fence)| fence.sequence.0).sum();
        usize::try_from(sum).expect("small")
    }

    fn submit(&mut self, chance: &mut Chance, history: &mut Vec<Turn>) -> Result<(), Error> {
        let turn = (some_writes(chance), some_events(chance));
        let shard = Shard::new(u16::try_from(chance.below(u64::from(SHARDS))).expect("small"));
        self.submit_turn(shard, &turn)?;
        history.push(turn);
        Ok(())
    }

    fn submit_turn(&mut self, shard: Shard, turn: &Turn) -> Result<(), Error> {
        let fence = &mut self.fences[usize::from(shard.number())].1;
        let (expected, epoch) = (fence.sequence, fence.epoch);
        let (writes, events) = turn.clone();
        let (at, order) = (Timestamp::ZERO, 0);
        self.shared.submit(Batch { shard, epoch, expected, at, order, writes, events })?;
        fence.sequence = Sequence(expected.0 + 1);
        Ok(())
    }

    /// Flushes, and notes that everything so far was acknowledged.
    fn flush(&self, disk: &SimDisk, history: &[Turn]) -> Result<(), Error> {
        self.shared.flush()?;
        note(disk, history.len(), self.shared.log()?.begin);
        Ok(())
    }

    /// Trims a part of the log that chance chooses, which flushes everything.
    fn trim(&self, disk: &SimDisk, chance: &mut Chance, history: &[Turn]) -> Result<(), Error> {
        let bounds = self.shared.log()?;
        let up_to = bounds.begin.0 + chance.below(bounds.end.0 - bounds.begin.0 + 1);
        self.shared.trim_log(Cursor(up_to))?;
        note(disk, history.len(), Cursor(up_to));
        Ok(())
    }

    /// Closes the store, and plays its thread meanwhile.
    fn close(&self) -> Result<(), Error> {
        let shared = &self.shared;
        thread::scope(|scope| {
            let closing = scope.spawn(|| shared.close());
            while !closing.is_finished() {
                self.do_jobs();
                thread::yield_now();
            }
            closing.join().expect("it does not panic")
        })
    }

    /// Does what the store's thread would.
    fn do_jobs(&self) {
        for job in self.jobs.try_iter() {
            if self.shared.check().is_ok()
                && let Err(error) = perform(&self.shared, job)
            {
                self.shared.fail(&error);
            }
        }
    }
}

type Records = BTreeMap<Key, Vec<u8>>;

fn some_writes(chance: &mut Chance) -> Vec<Write> {
    let mut writes = Vec::new();
    for _ in 0..=chance.below(5) {
        let key = format!("key-{}", chance.below(60)).into_bytes();
        let length = if chance.is(2) { 6_000 } else { chance.below(200) };
        let byte = u8::try_from(chance.below(256)).expect("a byte");
        let length = usize::try_from(length).expect("small");
        writes.push(Write { key, value: chance.is(75).then(|| vec![byte; length]) });
    }
    writes
}

fn some_events(chance: &mut Chance) -> Vec<Vec<u8>> {
    let length = |chance: &mut Chance| usize::try_from(chance.below(90)).expect("small");
    (0..chance.below(3)).map(|number| vec![u8::from(number == 0); length(chance)]).collect()
}

/// What a history leads to.
fn model(history: &[Turn], begin: Cursor) -> Records {
    let mut records = BTreeMap::new();
    for write in history.iter().flat_map(|(writes, _)| writes).cloned() {
        match write.value {
            Some(value) => records.insert(write.key, value),
            None => records.remove(&write.key),
        };
    }
    for (number, event) in (1..).zip(history.iter().flat_map(|(_, events)| events)) {
        if number > begin.0 {
            records.insert(key::event(number), event.clone());
        }
    }
    records
}

/// Holds a store that was opened again to the promises; how many batches it kept.
fn check(life: &Life, history: &[Turn], acknowledged: u64, case: &str) -> usize {
    let kept = life.n_batches();
    let (acknowledged, trimmed) = noted(acknowledged);
    assert!(kept >= acknowledged, "{case}: {kept} kept, {acknowledged} acknowledged");
    assert!(kept <= history.len(), "{case}: more kept than there was");
    let log = life.shared.log().expect("readable");
    let n_events: usize = history[..kept].iter().map(|(_, events)| events.len()).sum();
    assert_eq!(Ok(log.end.0), u64::try_from(n_events), "{case}: numbers were given twice");
    assert_eq!(log.durable, log.end, "{case}: what came back is durable");
    assert!(log.begin >= trimmed && log.begin <= log.end, "{case}: {log:?}, {trimmed} trimmed");
    let expected = model(&history[..kept], log.begin);
    let found = life.records().unwrap_or_else(|error| panic!("{case}: {error}"));
    assert!(found == expected, "{case}: not what the first {kept} batches make");
    kept
}

/// Opens what a cut left and checks it; one time in four, which the length of its name chooses,
/// first without changing it, which must show the same.
fn check_cut(disk: &SimDisk, history: &[Turn], acknowledged: u64, case: &str) -> (Life, usize) {
    let read = (disk.has(MARKER) && case.len().is_multiple_of(4)).then(|| {
        let copy = disk.after_kill();
        let store = ReadOnlyStore::open_in(&copy);
        let store = store.unwrap_or_else(|error| panic!("{case}: read only: {error}"));
        let records: Records =
            store.scan(b"", b"", usize::MAX).expect("readable").into_iter().collect();
        drop(store);
        assert_eq!(copy.changes(), 0, "{case}: reading changed something");
        records
    });
    let options = options();
    let life = Life::begin(disk, &options).unwrap_or_else(|error| panic!("{case}: {error}"));
    let kept = check(&life, history, acknowledged, case);
    if let Some(read) = read {
        let found = life.records().expect("readable");
        assert!(read == found, "{case}: reading sees something else");
    }
    (life, kept)
}
