//! What the embedded store does in a turn and for it, each alone: `cargo bench -p sexton-store`.
//!
//! `TMPDIR` says on which disk; where that is memory a flush costs nothing.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sexton_core::{Batch, Fence, Sequence, Shard, Store, Timestamp, Write};
use sexton_store::{EmbeddedStore, Options};
use tempfile::TempDir;

/// The bytes of a value. Chosen: about what a durable increment of `sexton bench` writes.
const VALUE_BYTES: usize = 250;
/// Keys that are written again and again.
const KEYS: u64 = 10_000;

struct Scene {
    store: EmbeddedStore,
    shard: Shard,
    fence: Fence,
    n: u64,
    /// Dropped last.
    _place: TempDir,
}

impl Scene {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a place");
        let store = EmbeddedStore::open(place.path().join("store"), &Options::default());
        let store = store.expect("a new store opens");
        let (shard, fence) = store.claim().expect("nobody else has it")[0];
        let mut scene = Self { store, shard, fence, n: 0, _place: place };
        (0..KEYS).for_each(|_| scene.submit());
        scene.store.flush().expect("the disk works");
        scene
    }

    fn submit(&mut self) {
        let writes = vec![Write { key: key(self.n), value: Some(vec![7; VALUE_BYTES]) }];
        let (shard, epoch) = (self.shard, self.fence.epoch);
        let expected = Sequence(self.fence.sequence.0 + self.n);
        let (at, order) = (Timestamp::ZERO, self.n);
        let batch = Batch { shard, epoch, expected, at, order, writes, events: Vec::new() };
        self.store.submit(batch).expect("the shard is ours");
        self.n += 1;
    }
}

fn key(n: u64) -> Vec<u8> {
    format!("key-{:05}", n % KEYS).into_bytes()
}

fn store(criterion: &mut Criterion) {
    let mut scene = Scene::new();
    let mut group = criterion.benchmark_group("store");
    group.bench_function("submit", |bencher| bencher.iter(|| scene.submit()));
    for batches in [1, 16, 256, 1_024] {
        group.throughput(Throughput::Elements(batches));
        group.bench_function(BenchmarkId::new("submit and flush", batches), |bencher| {
            bencher.iter(|| {
                (0..batches).for_each(|_| scene.submit());
                scene.store.flush().expect("the disk works")
            });
        });
    }
    group.throughput(Throughput::Elements(1));
    let mut n = 0;
    group.bench_function("get", |bencher| {
        bencher.iter(|| {
            n += 7;
            scene.store.get(black_box(&key(n)))
        });
    });
    group.throughput(Throughput::Elements(100));
    group.bench_function("scan of 100", |bencher| {
        bencher.iter(|| scene.store.scan(black_box(b"key-05"), b"key-06", 100));
    });
    group.finish();
}

criterion_group!(benches, store);
criterion_main!(benches);
