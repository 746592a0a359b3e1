//! Many operations from a seed, compared with a map after each step that could go wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sexton_core::key::Key;
use sexton_core::{Store, Write};

use super::{Owner, Subject};

/// How many histories are tried. Chosen: a second or two on the slowest store.
const HISTORIES: u32 = 8;

#[derive(Clone, Debug)]
enum Operation {
    Submit { shard: u16, writes: Vec<(u16, Option<u16>)> },
    Flush,
    Close,
    Reopen,
    Scan { start: u16, end: u16, limit: usize },
}

fn operation() -> impl Strategy<Value = Operation> {
    // Few keys, so that they are written again; some values are long, so that layers fill up.
    let write = (0_u16..300, prop::option::weighted(0.7, 0_u16..2_000));
    prop_oneof![
        60 => (0_u16..4, vec(write, 1..12))
            .prop_map(|(shard, writes)| Operation::Submit { shard, writes }),
        12 => Just(Operation::Flush),
        1 => Just(Operation::Close),
        1 => Just(Operation::Reopen),
        12 => (0_u16..320, 0_u16..320, 0_usize..40)
            .prop_map(|(start, end, limit)| Operation::Scan { start, end, limit }),
    ]
}

fn key(number: u16) -> Key {
    format!("key-{number:05}").into_bytes()
}

type Records = BTreeMap<Key, Vec<u8>>;

pub(super) fn many_operations(subject: &dyn Subject) {
    let config = Config { cases: HISTORIES, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut model = Records::new();
    let histories = vec(operation(), 200..600);
    let mut runner = TestRunner::new_with_rng(config, rng);
    for _ in 0..HISTORIES {
        // Not `run`: a history goes on where the last one ended, so none can be made smaller.
        let history = histories.new_tree(&mut runner).expect("a strategy without filters");
        run(subject, &mut model, &history.current());
    }
}

fn run(subject: &dyn Subject, model: &mut Records, history: &[Operation]) {
    let mut store = subject.open();
    let mut owner = Owner::claim(&store);
    for (step, operation) in history.iter().enumerate() {
        match operation {
            Operation::Submit { shard, writes } => {
                let writes: Vec<Write> = writes.iter().copied().map(write_of).collect();
                for write in writes.iter().cloned() {
                    match write.value {
                        Some(value) => model.insert(write.key, value),
                        None => model.remove(&write.key),
                    };
                }
                owner.submit(*shard, writes);
            }
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
                let (start, end) = (key(*start), key(*end));
                let found = store.scan(&start, &end, *limit).expect("readable");
                let inside = model.iter().filter(|(key, _)| **key >= start && **key < end);
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
    Write { key: key(number), value }
}

fn compare(store: &Arc<dyn Store>, model: &Records, step: usize) {
    let found = store.scan(b"", b"", usize::MAX).expect("readable");
    assert!(found.into_iter().eq(model.clone()), "step {step}: the store differs from the model");
    for (key, value) in model.iter().step_by(7) {
        let found = store.get(key).expect("readable");
        assert_eq!(found.as_ref(), Some(value), "step {step}");
    }
    assert_eq!(store.get(&key(301)).expect("readable"), None);
}
