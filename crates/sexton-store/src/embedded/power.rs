//! The embedded store on redb over a disk that loses, tears and fails.
//!
//! Goal: after any power cut, kill or failure of the disk, what comes back is a prefix of what was
//! submitted, as long at least as what was acknowledged. Method: random histories over several
//! lives from a seed; the store's thread is played by the test, so that a seed repeats.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

use sexton_core::key::{self, Key};
use sexton_core::{Batch, Cursor, Error, ErrorKind, Fence, Sequence, Shard, Timestamp, Write};

use super::Sizes;
use super::shared::Shared;
use super::worker::{Job, perform};
use crate::disk::Disk;
use crate::index::redb::RedbIndex;
use crate::index::{Checkpoint, Index};
use crate::journal::Journal;
use crate::overlay::Overlay;
use crate::simdisk::{Chance, SimDisk};

const INDEX: &str = "index.redb";
const SHARDS: u16 = 3;

fn sizes() -> Sizes {
    Sizes { overlay_bytes: 6_000, journal_bytes: 12_000, segment_bytes: 4_096 }
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
    fences: BTreeMap<Shard, Fence>,
}

fn create(disk: &SimDisk) {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let journal = Journal::create(shared, sizes().segment_bytes).expect("an empty disk");
    let index = open_index(disk).expect("an empty disk");
    index.apply(&Overlay::default(), &Checkpoint::beginning()).expect("an empty disk");
    disk.sync().expect("an empty disk");
    drop((journal, index));
}

fn open_index(disk: &SimDisk) -> Result<Box<dyn Index>, Error> {
    let file = disk.file(INDEX).expect("the index's file");
    Ok(Box::new(RedbIndex::with_backend(&disk.path(INDEX), file)?))
}

impl Life {
    fn begin(disk: &SimDisk) -> Result<Self, Error> {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let shared =
            Arc::new(Shared::recover("sim".to_owned(), sizes(), shared, open_index(disk)?)?);
        let (sender, jobs) = mpsc::channel();
        shared.set_worker(sender);
        let fences = shared.claim()?.into_iter().collect();
        Ok(Self { shared, jobs, fences })
    }

    fn records(&self) -> BTreeMap<Key, Vec<u8>> {
        self.shared.scan(b"", b"", usize::MAX).expect("readable").into_iter().collect()
    }

    /// How many batches the store holds.
    fn n_batches(&self) -> usize {
        let sum: u64 = self.fences.values().map(|fence| fence.sequence.0).sum();
        usize::try_from(sum).expect("small")
    }

    fn submit(&mut self, chance: &mut Chance, history: &mut Vec<Turn>) -> Result<(), Error> {
        let shard = Shard::new(u16::try_from(chance.below(u64::from(SHARDS))).expect("small"));
        let fence = self.fences.get_mut(&shard).expect("a claim names every shard");
        let turn @ (writes, events) = &(some_writes(chance), some_events(chance));
        let (expected, order) = (fence.sequence, 0);
        let at = Timestamp::ZERO;
        let batch = Batch {
            shard,
            epoch: fence.epoch,
            expected,
            at,
            order,
            writes: writes.clone(),
            events: events.clone(),
        };
        self.shared.submit(batch)?;
        fence.sequence = Sequence(expected.0 + 1);
        history.push(turn.clone());
        Ok(())
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

    /// Random work until something fails or it is enough; every acknowledgement is noted.
    fn work(
        &mut self,
        disk: &SimDisk,
        chance: &mut Chance,
        history: &mut Vec<Turn>,
    ) -> Result<(), Error> {
        for _ in 0..chance.below(120) {
            if chance.is(70) {
                self.submit(chance, history)?;
            } else if chance.is(15) {
                self.do_jobs();
                let bounds = self.shared.log()?;
                let up_to = bounds.begin.0 + chance.below(bounds.end.0 - bounds.begin.0 + 1);
                self.shared.trim_log(Cursor(up_to))?;
                note(disk, history.len(), Cursor(up_to));
            } else {
                self.do_jobs();
                self.shared.flush()?;
                note(disk, history.len(), self.shared.log()?.begin);
                if chance.is(60) {
                    self.do_jobs();
                }
            }
        }
        Ok(())
    }
}

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

fn model(history: &[Turn], begin: Cursor) -> BTreeMap<Key, Vec<u8>> {
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

/// Holds a store that was opened again to the promises.
fn check(life: &Life, history: &mut Vec<Turn>, acknowledged: u64, case: &str) {
    let kept = life.n_batches();
    let (acknowledged, trimmed) = noted(acknowledged);
    assert!(kept >= acknowledged, "{case}: {kept} kept, {acknowledged} acknowledged");
    assert!(kept <= history.len(), "{case}: more kept than there was");
    history.truncate(kept);
    let log = life.shared.log().expect("readable");
    let n_events: usize = history.iter().map(|(_, events)| events.len()).sum();
    assert_eq!(Ok(log.end.0), u64::try_from(n_events), "{case}: numbers were given twice");
    assert_eq!(log.durable, log.end, "{case}: what came back is durable");
    assert!(log.begin >= trimmed && log.begin <= log.end, "{case}: {log:?}, {trimmed} trimmed");
    let expected = model(history, log.begin);
    assert!(life.records() == expected, "{case}: not what the first {kept} batches make");
}

#[test]
fn what_was_acknowledged_survives_every_power_cut() {
    for seed in 1..150 {
        let mut chance = Chance::new(seed);
        let mut disk = SimDisk::new(seed);
        create(&disk);
        let (mut history, mut acknowledged) = (Vec::new(), 0);
        for life_number in 0..4 {
            let case = format!("seed {seed}, life {life_number}");
            disk.note(acknowledged);
            disk.cut(1 + chance.below(250));
            // The power may go while it opens as well.
            let mut life = Life::begin(&disk).unwrap_or_else(|error| panic!("{case}: {error}"));
            check(&life, &mut history, acknowledged, &case);
            // What came back is on disk now, whatever happens next.
            note(&disk, history.len(), life.shared.log().unwrap().begin);
            life.work(&disk, &mut chance, &mut history).expect("a disk that does not fail");
            (disk, acknowledged) = disk.after_power_cut();
        }
    }
}

#[test]
fn a_disk_that_fails_silences_the_store_and_loses_nothing() {
    let mut n_failed = 0;
    for seed in 1..150 {
        let case = format!("seed {seed}");
        let mut chance = Chance::new(seed);
        let disk = SimDisk::new(seed);
        create(&disk);
        let mut history = Vec::new();
        let mut life = Life::begin(&disk).unwrap();
        let full = chance.is(50);
        let kind = if full { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
        disk.fail(1 + chance.below(150), kind);
        let ended = life.work(&disk, &mut chance, &mut history);
        life.do_jobs();
        if disk.has_failed() {
            n_failed += 1;
            if let Err(error) = ended {
                assert!(!full || error.to_string().contains("disk is full"), "{case}: {error}");
            }
            let refused = life.shared.get(b"key-1").expect_err("silent after failure");
            assert_eq!(refused.kind(), ErrorKind::Closed, "{case}");
            assert!(refused.to_string().contains("/simulated/"), "{case}: {refused}");
        }
        let (cut, acknowledged) = disk.after_power_cut();
        let mut copy = history.clone();
        let killed = Life::begin(&disk.after_kill()).unwrap_or_else(|it| panic!("{case}: {it}"));
        check(&killed, &mut copy, acknowledged, &case);
        let after = Life::begin(&cut).unwrap_or_else(|error| panic!("{case}: {error}"));
        check(&after, &mut history, acknowledged, &case);
    }
    assert!(n_failed > 40, "only {n_failed} disks failed");
}

#[test]
fn what_was_seen_after_a_failed_flush_stays() {
    for seed in 1..150 {
        let case = format!("seed {seed}");
        let mut chance = Chance::new(seed);
        let disk = SimDisk::new(seed);
        create(&disk);
        let mut history = Vec::new();
        let mut life = Life::begin(&disk).unwrap();
        disk.fail(1 + chance.below(60), io::ErrorKind::Other);
        drop(life.work(&disk, &mut chance, &mut history));
        life.do_jobs();
        // The process ends, the machine does not: what the failed flush left in the cache is seen.
        let disk = disk.after_kill();
        let life = Life::begin(&disk).unwrap_or_else(|error| panic!("{case}: {error}"));
        check(&life, &mut history, 0, &case);
        note(&disk, history.len(), life.shared.log().unwrap().begin);
        let (disk, seen) = disk.after_power_cut();
        let life = Life::begin(&disk).unwrap_or_else(|error| panic!("{case}: {error}"));
        check(&life, &mut history, seen, &case);
    }
}
