//! Stores that are full already: opening them, and waking who sleeps there.

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread::{self, ScopedJoinHandle};

use sexton::clock::{Stopwatch, WallClock};
use sexton::{Store, key};
use sexton_store::EmbeddedStore;

use crate::actors::{Add, handles, host, limits, populate_from};
use crate::case::{Case, Figure, Pair, Target, Unit};
use crate::load::{all, block_on, milliseconds, rate, spread};
use crate::place::Progress;
use crate::{BenchError, Place, bare};

pub(crate) const CASES: &[Case] = &[
    Case::new(
        "activation",
        "activation: first call to dormant actors after opening, 1,000,000 stored, 256 callers",
        "point reads of such records of the store, by as many threads as there are cores",
        activation,
    )
    .must_be(Target::Least(0.3)),
    Case::new(
        "opening-1m",
        "opening a store of 1,000,000 actors that was closed in order",
        "opening the bare database",
        |place| opening(place, 1_000_000),
    )
    .of(Unit::Milliseconds)
    .must_be(Target::Most(3.0)),
];

/// After how many it is told how far it came. Chosen: a second or so.
const TOLD_EACH: u64 = 50_000;

/// Makes a store of so many actors, closes it, and tells how far it came.
pub(crate) fn make(place: &Place, of: (&str, u64)) -> Result<(), BenchError> {
    let (store_name, total) = of;
    let store = place.store(store_name)?;
    block_on(async {
        let host = host(store, limits(1), Arc::new(WallClock)).await?;
        let mut done = 0;
        while done < total {
            let next = (done + TOLD_EACH).min(total);
            populate_from(&host, done..next, |_| None).await?;
            done = next;
            place.tell(Progress { what: "actors stored", done, total });
        }
        // What was written to fill the store goes to its index now, and not while it is measured.
        Ok(host.close().await?)
    })
}

fn activation(place: &Place) -> Result<Pair, BenchError> {
    let n = place.size(1_000_000);
    make(place, ("store", n))?;
    let reads = place.size(200_000);
    let store = place.store("store")?;
    let baseline = point_reads(&store, (reads, n))?;
    drop(store);
    let store = place.store("store")?;
    let ours = block_on(async {
        let host = host(store, limits(n), Arc::new(WallClock)).await?;
        let subjects: Arc<[_]> = handles(&host, n)?.into();
        let took = all(256, reads, move |number| {
            let place = usize::try_from(spread(number, n)).unwrap_or(0);
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

/// Point reads a second of so many of so many records, of others than those that are called.
fn point_reads(store: &EmbeddedStore, (reads, n): (u64, u64)) -> Result<f64, BenchError> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let read = |first: usize| {
        let own = (0..reads).skip(first).step_by(threads);
        own.map(|nth| crate::actors::subject(spread(reads + nth, n)))
            .try_for_each(|id| store.get(&key::actor(&id)).map(drop))
    };
    let watch = Stopwatch::start();
    thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|first| scope.spawn(move || read(first))).collect();
        let ended =
            |it: ScopedJoinHandle<'_, _>| it.join().unwrap_or_else(|why| resume_unwind(why));
        all.into_iter().try_for_each(ended)
    })?;
    Ok(rate(reads, watch.elapsed()))
}

fn opening(place: &Place, full: u64) -> Result<Pair, BenchError> {
    make(place, ("store", place.size(full)))?;
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
