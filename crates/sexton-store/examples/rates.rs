//! How many commits a second a store takes, and how fast it is read and opened.
//!
//! `cargo run --release -p sexton-store --example rates -- redb 256 400000` commits 400,000 times
//! in groups of 256 to a store on redb: the state of one of 100,000 actors (200 bytes), its old
//! alarm taken away, its new one put (24 bytes).

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "it measures time")]
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::time::Instant;

use sexton_core::key;
use sexton_core::{ActorId, Batch, Error, Fence, Sequence, Store, Timestamp, Write};
use sexton_store::{EmbeddedStore, IndexKind, MemoryStore, Options};

const ACTORS: u64 = 100_000;

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().collect();
    let argument = |index: usize, default: &str| {
        arguments.get(index).cloned().unwrap_or_else(|| default.to_owned())
    };
    let number = |index, default| argument(index, default).parse::<u64>().expect("a number");
    let (kind, group, commits) = (argument(1, "redb"), number(2, "256"), number(3, "200000"));
    let place = tempfile::tempdir().expect("a place");
    let options =
        Options { index: IndexKind::from_name(&kind).unwrap_or_default(), ..Options::default() };
    let open = || -> Result<Box<dyn Store>, Error> {
        if kind == "memory" {
            return Ok(Box::new(MemoryStore::new()));
        }
        Ok(Box::new(EmbeddedStore::open(place.path(), &options)?))
    };
    let store = open()?;
    let began = Instant::now();
    write(store.as_ref(), group, commits)?;
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{kind} groups of {group}: {:.0} commits/s",
        f64::from(u32::try_from(commits).expect("fits")) / seconds
    );
    println!("  {:?}", store.figures());
    if kind == "memory" {
        return Ok(());
    }
    read(store.as_ref(), "with what is in memory")?;
    drop(store);
    let began = Instant::now();
    let store = open()?;
    println!("  opened after a crash in {:?}", began.elapsed());
    let began = Instant::now();
    store.close()?;
    println!("  closed in {:?}", began.elapsed());
    read(store.as_ref(), "from the index")?;
    drop(store);
    let began = Instant::now();
    let store = open()?;
    println!("  opened after a close in {:?}", began.elapsed());
    println!("  {} bytes", store.figures().bytes);
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let lines = status.lines().filter(|line| line.starts_with("VmHWM"));
        lines.for_each(|line| println!("  {line}"));
    }
    Ok(())
}

fn write(store: &dyn Store, group: u64, commits: u64) -> Result<(), Error> {
    let mut fences: Vec<Fence> = store.claim()?.into_iter().map(|(_, fence)| fence).collect();
    let mut alarms = vec![Timestamp::ZERO; usize::try_from(ACTORS).expect("fits")];
    let mut seed = 1_u64;
    for commit in 0..commits {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = (seed >> 33) % ACTORS;
        let id = ActorId::new("node", &format!("n{number}")).expect("an id");
        let alarm = alarms.get_mut(usize::try_from(number).expect("fits")).expect("in range");
        let before = std::mem::replace(
            alarm,
            Timestamp::from_millis(i64::try_from(seed >> 34).expect("fits")),
        );
        let state = seed.to_le_bytes().repeat(25);
        let writes = vec![
            Write { key: key::actor(&id), value: Some(state) },
            Write { key: key::alarm(&id, before), value: None },
            Write { key: key::alarm(&id, *alarm), value: Some(vec![7; 24]) },
        ];
        let fence = fences.get_mut(usize::from(id.shard().number())).expect("every shard");
        let (shard, expected, order) = (id.shard(), fence.sequence, commit);
        let at = Timestamp::from_millis(0);
        store.submit(Batch {
            shard,
            epoch: fence.epoch,
            expected,
            at,
            order,
            writes,
            events: Vec::new(),
        })?;
        fence.sequence = Sequence(expected.0 + 1);
        if commit % group == group - 1 {
            store.flush()?;
        }
    }
    store.flush()?;
    Ok(())
}

fn read(store: &dyn Store, what: &str) -> Result<(), Error> {
    const READS: u32 = 100_000;
    let began = Instant::now();
    for number in 0..READS {
        let number = u64::from(number) * 7_919 % ACTORS;
        let id = ActorId::new("node", &format!("n{number}")).expect("an id");
        store.get(&key::actor(&id))?;
    }
    let each = began.elapsed() / READS;
    let began = Instant::now();
    let all = store.scan(b"", b"", usize::MAX)?.len();
    println!("  {what}: a get {each:?}, a scan of all {all} {:?}", began.elapsed());
    Ok(())
}
