//! What it costs to write a record and to read it back: `cargo bench -p sexton-core`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sexton_core::{ActorRecord, Entry, Timestamp, codec};

/// The bytes of the state. Chosen: as many as the actors of `sexton bench` have.
const STATE_BYTES: usize = 200;

fn entry() -> Entry {
    Entry::Alive(Box::new(ActorRecord {
        incarnation: 1,
        parent: None,
        created_at: Timestamp::ZERO,
        status_since: Timestamp::ZERO,
        changed_at: Timestamp::ZERO,
        turns: 1_000,
        effects: 0,
        events: 1,
        debts_open: 0,
        back_offs: Vec::new(),
        alarm: None,
        armed_at: Timestamp::ZERO,
        stalled: None,
        destruction: None,
        state_version: 1,
        state: vec![7; STATE_BYTES],
    }))
}

fn records(criterion: &mut Criterion) {
    let entry = entry();
    let sealed = codec::seal(&entry).expect("a record is written");
    let mut group = criterion.benchmark_group("record");
    let bytes = u64::try_from(sealed.len()).expect("a record is small");
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function("seal", |bencher| bencher.iter(|| codec::seal(black_box(&entry))));
    group.bench_function("open", |bencher| {
        bencher.iter(|| codec::open::<Entry>(black_box(&sealed)));
    });
    group.finish();
}

criterion_group!(benches, records);
criterion_main!(benches);
