//! Any order of what can be done to a store, held against a map: in memory, and on disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use sexton::key::{self, Key};
use sexton::{Batch, Cursor, ErrorKind, Fence, Sequence, Shard, Store, Timestamp, Write};
use sexton_store::{Check, EmbeddedStore, MemoryStore, Options, ReadOnlyStore, Sizes, inspect};
use tempfile::TempDir;

use crate::input::Input;

/// The most operations of an input. Chosen: a flush of the disk costs more than all else.
const OPERATIONS_MAX: usize = 48;
/// Keys that are written; few, so that they are written again.
const KEYS: u8 = 24;
/// Shards that are written.
const SHARDS: u16 = 3;

/// Does what the bytes say to a store, and to a map.
pub fn stores(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let place = tempfile::tempdir().expect("a place");
    let medium = match input.byte() % 4 {
        0 | 1 => Medium::Memory(Arc::default()),
        2 => Medium::Disk(&place, Check::Quick),
        _ => Medium::Disk(&place, Check::Whole),
    };
    let mut run = Run::begin(medium);
    let mut n_operations = 0;
    while !input.is_empty() && n_operations < OPERATIONS_MAX {
        run.operate(&mut input);
        n_operations += 1;
    }
    run.compare();
    run.durable.end > 0
}

#[derive(Clone)]
enum Medium<'a> {
    Memory(Arc<MemoryStore>),
    Disk(&'a TempDir, Check),
}

impl Medium<'_> {
    fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => {
                let store: Arc<MemoryStore> = Arc::clone(store);
                store
            }
            Self::Disk(place, check) => {
                // So small that the journal goes on to new segments, and all goes to the index.
                let sizes =
                    Sizes { overlay_bytes: 600, journal_bytes: 8_192, segment_bytes: 4_096 };
                let options = Options { check: *check, sizes, ..Options::default() };
                let path = place.path().join("store");
                Arc::new(EmbeddedStore::open(path, &options).expect("it was closed or killed"))
            }
        }
    }
}

/// What a store should hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    records: BTreeMap<Key, Vec<u8>>,
    begin: u64,
    end: u64,
}

impl Model {
    fn take(&mut self, writes: &[Write], events: &[Vec<u8>]) {
        for write in writes.iter().cloned() {
            match write.value {
                Some(value) => self.records.insert(write.key, value),
                None => self.records.remove(&write.key),
            };
        }
        for event in events {
            self.end += 1;
            self.records.insert(key::event(self.end), event.clone());
        }
    }

    fn trim(&mut self, up_to: u64) {
        while self.begin < up_to {
            self.begin += 1;
            self.records.remove(&key::event(self.begin));
        }
    }
}

struct Run<'a> {
    medium: Medium<'a>,
    store: Arc<dyn Store>,
    fences: Vec<(Shard, Fence)>,
    order: u64,
    /// What was submitted.
    model: Model,
    /// What a flush has covered.
    durable: Model,
    /// The models after each batch since then.
    since: Vec<Model>,
}

impl<'a> Run<'a> {
    fn begin(medium: Medium<'a>) -> Self {
        let store = medium.open();
        let (model, durable) = (Model::default(), Model::default());
        let fences = Vec::new();
        let mut run = Self { medium, store, fences, order: 0, model, durable, since: Vec::new() };
        run.claim();
        run
    }

    fn claim(&mut self) {
        let fences = self.store.claim().expect("claims");
        let is_later = |(new, old): (&(Shard, Fence), &(Shard, Fence))| new.1.epoch > old.1.epoch;
        assert!(fences.iter().zip(&self.fences).all(is_later), "a claim raises every epoch");
        self.order = fences.iter().map(|(_, fence)| fence.order).max().unwrap_or(0);
        self.fences = fences;
        // A claim is flushed, and all that was submitted before it.
        self.kept();
    }

    fn kept(&mut self) {
        self.durable = self.model.clone();
        self.since.clear();
    }

    fn operate(&mut self, input: &mut Input<'_>) {
        match input.byte() % 16 {
            0..=6 => self.submit(input),
            7 | 8 => {
                self.store.flush().expect("flushes");
                self.kept();
            }
            9 => {
                self.store.close().expect("closes");
                self.kept();
            }
            10 => self.claim(),
            11 => self.trim(input.byte()),
            12 => self.scan(input),
            13 => self.refused(input.byte()),
            14 => self.kill(input.byte()),
            _ => {
                self.store.flush().expect("flushes");
                self.kept();
                self.kill(0);
            }
        }
    }

    fn batch(&mut self, input: &mut Input<'_>) -> Batch {
        let which = usize::from(input.byte() % 4) % usize::from(SHARDS);
        let n_writes = input.byte() % 6;
        let mut writes = Vec::new();
        for _ in 0..n_writes {
            let key = name(input.byte());
            let length = input.byte();
            // Some are long, so that an item fills a segment of its own.
            let length = usize::from(length) * if length > 250 { 40 } else { 1 };
            let value = (length % 5 != 0).then(|| vec![input.byte(); length]);
            writes.push(Write { key, value });
        }
        let events = (0..input.byte() % 3).map(|n| vec![n; usize::from(n) * 30]).collect();
        self.order += 1;
        let (shard, fence) = self.fences[which];
        let at = Timestamp::from_millis(i64::try_from(self.order).unwrap_or(0));
        let (epoch, expected, order) = (fence.epoch, fence.sequence, self.order);
        Batch { shard, epoch, expected, at, order, writes, events }
    }

    fn submit(&mut self, input: &mut Input<'_>) {
        let batch = self.batch(input);
        let shard = usize::from(batch.shard.number());
        self.fences[shard].1.sequence = Sequence(batch.expected.0 + 1);
        self.model.take(&batch.writes, &batch.events);
        self.since.push(self.model.clone());
        self.store.submit(batch).expect("the owner's next batch is taken");
    }

    /// A batch of another epoch or sequence changes nothing.
    fn refused(&mut self, how: u8) {
        let mut batch = self.batch(&mut Input::new(&[how, 1, how, 9, 1]));
        if how.is_multiple_of(2) {
            batch.expected.0 += 1;
        } else {
            batch.epoch.0 -= 1;
        }
        let error = self.store.submit(batch).expect_err("it is fenced off");
        assert_eq!(error.kind(), ErrorKind::Closed);
    }

    fn trim(&mut self, count: u8) {
        let up_to = (self.model.begin + u64::from(count % 8)).min(self.model.end);
        self.store.trim_log(Cursor(up_to)).expect("trims");
        self.model.trim(up_to);
        self.kept();
        let error = self.store.trim_log(Cursor(self.model.end + 1)).expect_err("behind the end");
        assert_eq!(error.kind(), ErrorKind::Refused);
    }

    fn scan(&self, input: &mut Input<'_>) {
        let (start, end) = (name(input.byte()), name(input.byte()));
        let limit = usize::from(input.byte() % 12);
        let found = self.store.scan(&start, &end, limit).expect("readable");
        let inside = self.model.records.iter().filter(|(key, _)| **key >= start && **key < end);
        let expected: Vec<_> =
            inside.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect();
        assert_eq!(found, expected, "a scan from {start:?} to {end:?}");
    }

    /// The process is killed: what a flush covered is there, and of the rest a beginning.
    fn kill(&mut self, kept: u8) {
        if let Medium::Memory(store) = &self.medium {
            let kept = usize::from(kept).min(self.since.len());
            store.crash(kept);
            self.model =
                kept.checked_sub(1).map_or_else(|| self.durable.clone(), |n| self.since[n].clone());
        } else {
            // No two processes have it open.
            self.store = Arc::new(MemoryStore::new());
            self.look();
            self.store = self.medium.open();
            let found = self.found();
            let mut lives = std::iter::once(&self.durable).chain(&self.since);
            let life = lives.find(|model| **model == found);
            self.model = life.cloned().expect("what is left is no state that it ever had");
        }
        self.since.clear();
        self.compare();
        self.fences.iter_mut().for_each(|(_, fence)| fence.epoch.0 = 0);
        self.claim();
    }

    /// Whoever reads only, sees what whoever opens it for writing will see.
    fn look(&self) {
        let Medium::Disk(place, _) = &self.medium else { return };
        let store = ReadOnlyStore::open(place.path().join("store")).expect("a store");
        let found = of(&store);
        let mut lives = std::iter::once(&self.durable).chain(&self.since);
        assert!(lives.any(|model| *model == found), "a reader sees what never was");
        let inspected = inspect(place.path().join("store")).expect("a store");
        assert!(inspected.damage.is_empty(), "a kill left damage: {:?}", inspected.damage);
    }

    fn found(&self) -> Model {
        of(self.store.as_ref())
    }

    fn compare(&self) {
        assert_eq!(self.found(), self.model, "the store is not what it should be");
        for key in (0..KEYS).map(name) {
            assert_eq!(
                self.store.get(&key).expect("readable").as_ref(),
                self.model.records.get(&key)
            );
        }
    }
}

fn name(number: u8) -> Key {
    format!("key-{:03}", number % KEYS).into_bytes()
}

/// All that a store holds.
fn of(store: &dyn Store) -> Model {
    let records = store.scan(b"", b"", usize::MAX).expect("readable").into_iter().collect();
    let bounds = store.log().expect("readable");
    Model { records, begin: bounds.begin.0, end: bounds.end.0 }
}
