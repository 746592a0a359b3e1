//! Stores that are full already: opening them, and waking who sleeps there.

use std::sync::Arc;

use sexton::clock::{Stopwatch, WallClock};
use sexton::{Store, key};

use crate::actors::{Add, handles, host, limits, populate};
use crate::case::{Case, Figure, Pair, Target, Unit};
use crate::load::{all, block_on, milliseconds, mixed, rate};
use crate::{BenchError, Place, bare};

pub(crate) const CASES: &[Case] = &[
    Case::new(
        "activation",
        "activation: first call to dormant actors after opening, 1,000,000 stored, 256 callers",
        "point reads of the same records of the store",
        activation,
    )
    .must_be(Target::Least(0.3)),
    Case::new(
        "opening-1m",
        "opening a store of 1,000,000 actors",
        "opening the bare database",
        |place| opening(place, 1_000_000),
    )
    .of(Unit::Milliseconds)
    .must_be(Target::Most(3.0)),
];

/// Makes a store of so many actors, and closes it.
fn make(place: &Place, n: u64) -> Result<(), BenchError> {
    let store = place.store("store")?;
    block_on(async {
        let host = host(store, limits(1), Arc::new(WallClock)).await?;
        populate(&host, n, |_| None).await?;
        Ok(host.close().await?)
    })
}

fn activation(place: &Place) -> Result<Pair, BenchError> {
    let n = place.size(1_000_000);
    make(place, n)?;
    let reads = place.size(200_000);
    let store = place.store("store")?;
    // Drawn apart from those that are called.
    let watch = Stopwatch::start();
    for number in 0..reads {
        let id = crate::actors::subject(mixed(number + n) % n);
        store.get(&key::actor(&id))?;
    }
    let baseline = rate(reads, watch.elapsed());
    drop(store);
    let store = place.store("store")?;
    let ours = block_on(async {
        let host = host(store, limits(n), Arc::new(WallClock)).await?;
        let subjects: Arc<[_]> = handles(&host, n)?.into();
        let took = all(256, reads, move |number| {
            let place = usize::try_from(mixed(number) % n).unwrap_or(0);
            let subject = subjects[place].clone();
            async move {
                subject.call(Add(0)).await?;
                Ok(())
            }
        })
        .await?;
        host.close().await?;
        Ok(rate(reads, took))
    })?;
    Ok(Pair::new(ours, baseline, Vec::new()))
}

fn opening(place: &Place, full: u64) -> Result<Pair, BenchError> {
    make(place, place.size(full))?;
    opened(place, "store")
}

/// Opens the store of this name, which was closed in order, and what it is held against.
pub(crate) fn opened(place: &Place, name: &str) -> Result<Pair, BenchError> {
    let baseline = bare::open_database(&place.path(name).join("index.redb"))?;
    let watch = Stopwatch::start();
    let store = place.store(name)?;
    let of_store = milliseconds(watch.elapsed());
    let until_answers = block_on(async {
        let host = host(store, limits(1), Arc::new(WallClock)).await?;
        host.figures().await?;
        let took = milliseconds(watch.elapsed());
        host.close().await?;
        Ok(took)
    })?;
    let also = vec![Figure::new("until a host on it answers, ms", until_answers)];
    Ok(Pair::new(of_store, baseline, also))
}
