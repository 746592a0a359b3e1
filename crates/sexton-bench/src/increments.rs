//! Durable increments: a turn that changes its actor, answered when the disk has it.

use std::sync::Arc;

use sexton::clock::WallClock;
use sexton::{Call, Engine, Part, Request, Store, Timestamp};
use sexton_store::MemoryStore;

use crate::actors::{Add, Subject, handles, host, kinds, limits, name, populate};
use crate::bare;
use crate::case::{Case, Figure, Pair, Target};
use crate::load::{Load, block_on, closed_loop, index, real};
use crate::{BenchError, Place};

const BASELINE: &str = "bare log: as many bytes, groups as large as there are callers";

pub(crate) const CASES: &[Case] = &[
    Case::new("inc-1-1", "durable increment, one actor, one caller", BASELINE, |place| {
        increments(place, 1, 1)
    })
    .must_be(Target::Least(0.8)),
    Case::new("inc-1-64", "durable increment, one actor, 64 callers", BASELINE, |place| {
        increments(place, 1, 64)
    }),
    Case::new("inc-1-256", "durable increment, one actor, 256 callers", BASELINE, |place| {
        increments(place, 1, 256)
    })
    .must_be(Target::Least(0.7)),
    Case::new("inc-1k-64", "durable increment, 1,000 actors, 64 callers", BASELINE, |place| {
        increments(place, 1_000, 64)
    }),
    Case::new("inc-1k-256", "durable increment, 1,000 actors, 256 callers", BASELINE, |place| {
        increments(place, 1_000, 256)
    }),
    Case::new("inc-1k-1024", "durable increment, 1,000 actors, 1,024 callers", BASELINE, |place| {
        increments(place, 1_000, 1_024)
    }),
    Case::new("inc-100k-64", "durable increment, 100,000 actors, 64 callers", BASELINE, |place| {
        increments(place, 100_000, 64)
    }),
    Case::new(
        "inc-100k-256",
        "durable increment, 100,000 actors, 256 callers",
        BASELINE,
        |place| increments(place, 100_000, 256),
    ),
    Case::new(
        "inc-100k-1024",
        "durable increment, 100,000 actors, 1,024 callers",
        BASELINE,
        |place| increments(place, 100_000, 1_024),
    )
    .must_be(Target::Least(0.5)),
];

/// The bytes that an increment writes: keys and values of its batch.
pub(crate) fn bytes() -> Result<usize, BenchError> {
    let store = MemoryStore::new();
    let fences = store.claim()?;
    let mut engine = Engine::recover(kinds(), limits(1), &store, (Part::WHOLE, &fences))?;
    let id = sexton::ActorId::new("subject", &name(50_000)).expect("a good name");
    let now = Timestamp::ZERO;
    let birth = Request::create::<Subject>(&None, Box::new(|_| ()))?;
    for request in [birth, Request::Call(Call::new::<Subject, _>(Add(1), Box::new(|_| ())))] {
        let turned = engine.request(now, &store, &id, request)?;
        let Some(batch) = turned.batch else { continue };
        let bytes =
            batch.writes.iter().map(|it| it.key.len() + it.value.as_ref().map_or(0, Vec::len));
        let bytes: usize = bytes.sum();
        store.submit(batch)?;
        engine.flushed(turned.gate);
        if engine.order() == 2 {
            return Ok(bytes);
        }
    }
    Err(BenchError::Caller("an increment wrote nothing".to_owned()))
}

/// Increments a second, and commits in a flush.
pub(crate) async fn rate(host: &sexton::Host, load: Load) -> Result<(f64, f64), BenchError> {
    let subjects: Arc<[_]> = handles(host, load.actors)?.into();
    let before = host.figures().await?;
    let rate = closed_loop(load.callers, load.time, move |caller, nth| {
        let subject = subjects[index(caller << 32 | nth, subjects.len())].clone();
        async move {
            subject.call(Add(1)).await?;
            Ok(())
        }
    })
    .await?;
    let after = host.figures().await?;
    let group = real(after.commits - before.commits) / real(after.flushes - before.flushes);
    Ok((rate, group))
}

fn increments(place: &Place, actors: u64, callers: u64) -> Result<Pair, BenchError> {
    let actors = if actors > 1 { place.size(actors) } else { 1 };
    let store = place.store("store")?;
    let (ours, group) = block_on(async {
        let host = host(store, limits(actors), Arc::new(WallClock)).await?;
        populate(&host, actors, |_| None).await?;
        let rate = rate(&host, Load::new(actors, callers)).await?;
        host.close().await?;
        Ok(rate)
    })?;
    let bytes = bytes()?;
    let baseline = bare::log(place, (actors, callers), bytes)?;
    let database = bare::database(place, (actors, callers), bytes)?;
    let also = vec![
        Figure::new("increments in a flush", group),
        Figure::new("the index alone, such groups", database),
        Figure::new("bytes of an increment", real(u64::try_from(bytes).unwrap_or(0))),
    ];
    Ok(Pair::new(ours, baseline, also))
}

/// Durable increments a second of so many actors by so many callers: what a turn that changes its
/// actor is held against.
///
/// # Errors
///
/// [`BenchError`]: what kept it from being measured.
pub fn durable_increments(place: &Place, actors: u64, callers: u64) -> Result<f64, BenchError> {
    let store = place.store("increments")?;
    block_on(async {
        let host = host(store, limits(actors), Arc::new(WallClock)).await?;
        populate(&host, actors, |_| None).await?;
        let (rate, _) = rate(&host, Load::new(actors, callers)).await?;
        host.close().await?;
        Ok(rate)
    })
}
