//! Memory: what an actor costs that lives, that sleeps, that waits for its alarm.

use std::fs;
use std::sync::Arc;

use sexton::clock::SetClock;
use sexton::{Call, Engine, Part, Request, Store, Timestamp, codec, key, query};
use sexton_store::EmbeddedStore;

use crate::actors::{Add, Subject, host, kinds, limits, populate, subject};
use crate::case::{Case, Figure, Pair, Target, Unit};
use crate::load::{block_on, real};
use crate::{BenchError, Place};

const BASELINE: &str = "the encoded state";

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "memory-live",
        what: "memory of a live actor",
        baseline: BASELINE,
        unit: Unit::Bytes,
        target: Some(Target::MostAbove(400.0)),
        run: live,
    },
    Case {
        name: "memory-dormant",
        what: "memory of a dormant actor",
        baseline: "nothing",
        unit: Unit::Bytes,
        target: Some(Target::MostAbove(1.0)),
        run: |place| asleep(place, None),
    },
    Case {
        name: "memory-alarm",
        what: "memory of a dormant actor whose alarm is beyond the horizon",
        baseline: "nothing",
        unit: Unit::Bytes,
        target: Some(Target::MostAbove(1.0)),
        run: |place| asleep(place, Some(Timestamp::from_millis(1 << 40))),
    },
];

/// What the process has in memory, in bytes.
fn resident() -> Result<f64, BenchError> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u32>().ok());
    Ok(f64::from(kib.ok_or(BenchError::Unknown("the memory of the process"))?) * 1_024.0)
}

/// A store with so many actors in it, and an engine of all of it.
fn recovered(
    place: &Place,
    of: (u64, Option<Timestamp>),
) -> Result<(Engine, Arc<EmbeddedStore>), BenchError> {
    let (n, rings_at) = of;
    let name = format!("store-{n}");
    let store = place.store(&name)?;
    block_on(async {
        let clock = Arc::new(SetClock::at(Timestamp::ZERO));
        let host = host(store, limits(1), clock).await?;
        populate(&host, n, move |_| rings_at).await?;
        Ok(host.close().await?)
    })?;
    let store = place.store(&name)?;
    let fences = store.claim()?;
    // What the store itself keeps in memory is there before anything is measured.
    for number in 0..n {
        store.get(&key::actor(&subject(number)))?;
    }
    let engine = Engine::recover(kinds(), limits(n), &store, (Part::WHOLE, &fences))?;
    Ok((engine, store))
}

fn live(place: &Place) -> Result<Pair, BenchError> {
    let n = place.size(300_000);
    let (mut engine, store) = recovered(place, (n, None))?;
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
    Ok(Pair { ours, baseline, also: vec![Figure::new("actors in memory", live)] })
}

/// What an engine takes that knows of `n` who sleep, more than one that knows of a few.
fn asleep(place: &Place, rings_at: Option<Timestamp>) -> Result<Pair, BenchError> {
    let n = place.size(300_000);
    let of = |n: u64| {
        let (engine, store) = recovered(place, (n, rings_at))?;
        let before = resident()?;
        drop(engine);
        let fences = store.claim()?;
        let engine = Engine::recover(kinds(), limits(n), &store, (Part::WHOLE, &fences))?;
        let after = resident()?;
        let figures = engine.figures();
        Ok::<_, BenchError>((after - before, figures))
    };
    let (few, _) = of(1_000.min(n))?;
    let (many, figures) = of(n)?;
    let ours = ((many - few) / real(n)).max(0.0);
    let also = vec![
        Figure::new("actors in memory", real(u64::try_from(figures.live).unwrap_or(0))),
        Figure::new("alarms in memory", real(u64::try_from(figures.alarms).unwrap_or(0))),
    ];
    Ok(Pair { ours, baseline: 0.0, also })
}
