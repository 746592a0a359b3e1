//! Many operations from a seed, compared with a map after each step that could go wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sexton_core::key::{self, Key};
use sexton_core::{Cursor, Store, Write};

use super::{Owner, Subject, log};

/// How many histories are tried. Chosen: a second or two on the slowest store.
const HISTORIES: u32 = 8;

#[derive(Clone, Debug)]
enum Operation {
    Submit {
        shard: u16,
        writes: Vec<(u16, Option<u16>)>,
        n_events: u64,
    },
    Flush,
    Close,
    Reopen,
    /// So many of the events that are there.
    Trim(u64),
    Scan {
        start: u16,
        end: u16,
        limit: usize,
    },
}

fn operation() -> impl Strategy<Value = Operation> {
    // Few keys, so that they are written again; some values are long, so that layers fill up.
    let write = (0_u16..300, prop::option::weighted(0.7, 0_u16..2_000));
    prop_oneof![
        60 => (0_u16..4, vec(write, 1..12), 0_u64..4)
            .prop_map(|(shard, writes, n_events)| Operation::Submit { shard, writes, n_events }),
        12 => Just(Operation::Flush),
        1 => Just(Operation::Close),
        1 => Just(Operation::Reopen),
        2 => (0_u64..200).prop_map(Operation::Trim),
        12 => (0_u16..320, 0_u16..320, 0_usize..40)
            .prop_map(|(start, end, limit)| Operation::Scan { start, end, limit }),
    ]
}

fn key_of(number: u16) -> Key {
    format!("key-{number:05}").into_bytes()
}

/// What the store should hold, the log among it.
#[derive(Default)]
struct Model {
    records: BTreeMap<Key, Vec<u8>>,
    begin: u64,
    end: u64,
}

impl Model {
    fn submit(&mut self, writes: &[Write], events: &[Vec<u8>]) {
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

    fn trim(&mut self, count: u64) -> Cursor {
        for _ in 0..count.min(self.end - self.begin) {
            self.begin += 1;
            self.records.remove(&key::event(self.begin));
        }
        Cursor(self.begin)
    }
}

pub(super) fn many_operations(subject: &dyn Subject) {
    let config = Config { cases: HISTORIES, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut model = Model::default();
    let histories = vec(operation(), 200..600);
    let mut runner = TestRunner::new_with_rng(config, rng);
    for _ in 0..HISTORIES {
        // Not `run`: a history goes on where the last one ended, so none can be made smaller.
        let history = histories.new_tree(&mut runner).expect("a strategy without filters");
        run(subject, &mut model, &history.current());
    }
}

fn run(subject: &dyn Subject, model: &mut Model, history: &[Operation]) {
    let mut store = subject.open();
    let mut owner = Owner::claim(&store);
    for (step, operation) in history.iter().enumerate() {
        match operation {
            Operation::Submit { shard, writes, n_events } => {
                let writes: Vec<Write> = writes.iter().copied().map(write_of).collect();
                let event = |number| log::event(*shard, model.end + number);
                let events: Vec<Vec<u8>> = (0..*n_events).map(event).collect();
                model.submit(&writes, &events);
                owner.publish(*shard, writes, events);
            }
            Operation::Trim(count) => store.trim_log(model.trim(*count)).expect("trims"),
            Operation::Flush => drop(store.flush().expect("flushes")),
            Operation::Close => store.close().expect("closes"),
            Operation::Reopen => {
                store.flush().expect("flushes");
                drop(owner);
                drop(store);
                store = subject.open();
                owner = Owner::claim(&store);
                compare(&store, model, step);
            }
            Operation::Scan { start, end, limit } => {
                let (start, end) = (key_of(*start), key_of(*end));
                let found = store.scan(&start, &end, *limit).expect("readable");
                let inside = model.records.iter().filter(|(key, _)| **key >= start && **key < end);
                let expected = inside.take(*limit).map(|(key, value)| (key.clone(), value.clone()));
                assert!(found.into_iter().eq(expected), "step {step}: a scan differs");
            }
        }
    }
    compare(&store, model, history.len());
    store.flush().expect("flushes");
}

fn write_of((number, value): (u16, Option<u16>)) -> Write {
    let value = value.map(|seed| {
        let length = if seed % 50 == 0 { 9_000 } else { usize::from(seed % 200) };
        format!("{seed:04}").into_bytes().into_iter().cycle().take(length).collect()
    });
    Write { key: key_of(number), value }
}

fn compare(store: &Arc<dyn Store>, model: &Model, step: usize) {
    let found = store.scan(b"", b"", usize::MAX).expect("readable");
    assert!(
        found.into_iter().eq(model.records.clone()),
        "step {step}: the store differs from the model"
    );
    for (key, value) in model.records.iter().step_by(7) {
        let found = store.get(key).expect("readable");
        assert_eq!(found.as_ref(), Some(value), "step {step}");
    }
    assert_eq!(store.get(&key_of(301)).expect("readable"), None);
    let bounds = store.log().expect("readable");
    assert_eq!((bounds.begin.0, bounds.end.0), (model.begin, model.end), "step {step}");
}
