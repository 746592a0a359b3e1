//! Turns without a host: one engine on one store and one thread, where a turn's own cost shows.

use sexton::clock::Stopwatch;
use sexton::{ActorId, Call, Engine, Part, Release, Request, Store, Timestamp};

use crate::actors::{Add, Subject, kinds, limits, subject};
use crate::bare;
use crate::case::{Case, LOAD, Pair};
use crate::load::{index, rate};
use crate::{BenchError, Place, increments};

pub(crate) const CASES: &[Case] = &[
    Case::new(
        "turn-100k-256",
        "an engine alone, one thread, 100,000 actors: turns that change, a flush for each 256",
        "bare log: as many bytes, groups of 256",
        |place| turns(place, 100_000, 256),
    ),
    Case::new(
        "turn-1-256",
        "an engine alone, one thread, one actor: turns that change, a flush for each 256",
        "bare log: as many bytes, groups of 256",
        |place| turns(place, 1, 256),
    ),
];

fn turns(place: &Place, actors: u64, group: u64) -> Result<Pair, BenchError> {
    let actors = if actors > 1 { place.size(actors) } else { 1 };
    let store = place.store("store")?;
    let fences = store.claim()?;
    let now = Timestamp::from_millis(1);
    let mut engine = Engine::recover(kinds(), limits(actors), &store, (Part::WHOLE, &fences))?;
    let ids: Vec<ActorId> = (0..actors).map(subject).collect();
    let mut ask = |id: &ActorId, request: Request| {
        let turned = engine.request(now, &store, id, request)?;
        if let Some(batch) = turned.batch {
            store.submit(batch)?;
        }
        turned.releases.into_iter().for_each(Release::leave);
        Ok::<_, BenchError>(turned.gate)
    };
    for id in &ids {
        ask(id, Request::create::<Subject>(&None, Box::new(drop))?)?;
    }
    store.flush()?;
    let (mut n, watch) = (0, Stopwatch::start());
    while watch.elapsed() < LOAD {
        for _ in 0..group {
            let call = Call::new::<Subject, _>(Add(1), Box::new(drop));
            n += 1;
            ask(&ids[index(n, ids.len())], Request::Call(call))?;
        }
        store.flush()?;
    }
    let ours = rate(n, watch.elapsed());
    store.close()?;
    let baseline = bare::log(place, (actors, group), increments::bytes()?)?;
    Ok(Pair::new(ours, baseline, Vec::new()))
}
