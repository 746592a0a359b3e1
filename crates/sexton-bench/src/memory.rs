//! Memory: what an actor costs that lives, that sleeps, that waits for its alarm.

use std::fs;
use std::sync::Arc;

use sexton::{Call, Engine, Part, Request, Store, Timestamp, codec, key, query};
use sexton_store::{EmbeddedStore, Options, Sizes};

use crate::actors::{Add, Subject, kinds, limits, subject};
use crate::case::{Case, Figure, Pair, Target, Unit};
use crate::load::real;
use crate::{BenchError, Place};

const BASELINE: &str = "the encoded state";

pub(crate) const CASES: &[Case] = &[
    Case::new("memory-live", "memory of a live actor", BASELINE, live)
        .of(Unit::Bytes)
        .must_be(Target::MostAbove(400.0)),
    Case::new("memory-dormant", "memory of a dormant actor", "nothing", |place| {
        asleep(place, None)
    })
    .of(Unit::Bytes)
    .must_be(Target::MostAbove(1.0)),
    Case::new(
        "memory-alarm",
        "memory of a dormant actor whose alarm is beyond the horizon",
        "nothing",
        |place| asleep(place, Some(FAR)),
    )
    .of(Unit::Bytes)
    .must_be(Target::MostAbove(1.0)),
];

/// What the process has in memory, in bytes.
pub(crate) fn resident() -> Result<f64, BenchError> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u32>().ok());
    Ok(f64::from(kib.ok_or(BenchError::Unknown("the memory of the process"))?) * 1_024.0)
}

/// A store of so many actors, filled with as little memory as can be: what was freed is used again
/// and would hide what is measured. All that the store itself keeps in memory is there.
fn stored(place: &Place, of: (u64, Option<Timestamp>)) -> Result<Arc<EmbeddedStore>, BenchError> {
    let ((n, rings_at), name) = (of, format!("store-{of:?}"));
    let sizes = Sizes { overlay_bytes: 1 << 20, journal_bytes: 8 << 20, ..Sizes::default() };
    let options = Options { sizes, ..Options::default() };
    let store = EmbeddedStore::open(place.path(&name), &options)?;
    let mut engine = recovered(&store, 1)?;
    for number in 0..n {
        let birth = Request::create::<Subject>(&rings_at, Box::new(drop))?;
        let turned = engine.request(Timestamp::ZERO, &store, &subject(number), birth)?;
        turned.batch.map(|batch| store.submit(batch)).transpose()?;
        if number % 256 == 255 {
            store.flush()?;
        }
    }
    drop(engine);
    store.close()?;
    drop(store);
    let store = place.store(&name)?;
    for number in 0..n {
        store.get(&key::actor(&subject(number)))?;
    }
    Ok(store)
}

/// An engine of a whole store, with room for so many live actors.
fn recovered(store: &EmbeddedStore, live: u64) -> Result<Engine, BenchError> {
    let fences = store.claim()?;
    Ok(Engine::recover(kinds(), limits(live), store, (Part::WHOLE, &fences))?)
}

fn live(place: &Place) -> Result<Pair, BenchError> {
    let n = place.size(300_000);
    let store = stored(place, (n, None))?;
    let mut engine = recovered(&store, n)?;
    let before = resident()?;
    for number in 0..n {
        let call = Call::new::<Subject, _>(Add(0), Box::new(drop));
        drop(engine.request(Timestamp::ZERO, &store, &subject(number), Request::Call(call))?);
    }
    let ours = (resident()? - before) / real(n);
    let live = real(u64::try_from(engine.figures().live).unwrap_or(0));
    let state = query::state::<Subject>(&store, &subject(0))?;
    let state = state.and_then(|state| codec::encode(&state).ok()).map_or(0, |it| it.len());
    let baseline = real(u64::try_from(state).unwrap_or(0));
    Ok(Pair::new(ours, baseline, vec![Figure::new("actors in memory", live)]))
}

/// Whether an alarm is kept in memory is decided by how far ahead it is: an hour, by default.
const FAR: Timestamp = Timestamp::from_millis(1 << 40);
const NEAR: Timestamp = Timestamp::from_millis(30 * 60 * 1_000);

/// What a dormant actor costs an engine that was recovered and looked ahead, in bytes.
fn asleep(place: &Place, rings_at: Option<Timestamp>) -> Result<Pair, BenchError> {
    let ours = of_dormant(place, rings_at)?;
    // Also shows that what is kept in memory is seen.
    let near = of_dormant(place, Some(NEAR))?;
    Ok(Pair::new(ours, 0.0, vec![Figure::new("whose alarm is near, bytes", near)]))
}

/// What an engine takes for many, more than one for fewer, by how many more they are.
fn of_dormant(place: &Place, rings_at: Option<Timestamp>) -> Result<f64, BenchError> {
    let taken = |n: u64| {
        let store = stored(place, (n, rings_at))?;
        let before = resident()?;
        let mut engine = recovered(&store, n)?;
        drop(engine.next(Timestamp::ZERO, &store)?);
        Ok::<_, BenchError>(resident()? - before)
    };
    // Enough in both cases for all that is taken once, as the pages of a recovery.
    let (few, many) = (place.size(100_000), place.size(400_000));
    let of_few = taken(few)?;
    Ok(((taken(many)? - of_few) / real(many - few)).max(0.0))
}
