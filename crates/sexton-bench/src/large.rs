//! Ten million stored actors: opening such a store, and whether a turn costs more in it.
//!
//! Both are measured on one store, because making it takes most of the time.

use std::sync::Arc;

use sexton::Host;
use sexton::clock::WallClock;
use sexton_store::EmbeddedStore;

use crate::actors::{Add, Subject, host, limits, name, populate_from};
use crate::case::{Case, Figure, LOAD, Pair, Pairs, Target, Unit};
use crate::load::{block_on, closed_loop, mixed};
use crate::place::Progress;
use crate::stored::opened;
use crate::{BenchError, Place, increments};

pub(crate) const CASES: &[Case] = &[
    Case::shared(
        OPENING,
        "opening a store of 10,000,000 actors",
        "opening the bare database",
        many_stored,
    )
    .of(Unit::Milliseconds)
    .must_be(Target::Most(3.0))
    .large(),
    Case::shared(
        GROWTH,
        "durable increments of 10,000 actors among 10,000,000 stored, 256 callers",
        "the same among 10,000",
        many_stored,
    )
    // A turn may cost 1.5 times as much.
    .must_be(Target::Least(0.67))
    .large(),
];

const OPENING: &str = "opening-10m";
const GROWTH: &str = "growth-10m";

/// How many are stored, and how many of them are called.
const STORED: u64 = 10_000_000;
const CALLED: u64 = 10_000;
/// What a stored actor takes on the disk while the store is made. Measured: some 1,100 bytes with
/// the index's free pages; and the journal.
const BYTES_PER_ACTOR: u64 = 1_500;
const BYTES_BESIDE: u64 = 2 << 30;
/// After how many it is told how far it came. Chosen: a second or so.
const TOLD_EACH: u64 = 50_000;

fn many_stored(place: &Place) -> Result<Pairs, BenchError> {
    let n = place.size(STORED).max(CALLED);
    place.has_room(n * BYTES_PER_ACTOR + BYTES_BESIDE)?;
    make(place, ("small", CALLED))?;
    make(place, ("large", n))?;
    let opening = opened(place, "large")?;
    let (baseline, _) = turns(place.store("small")?, CALLED)?;
    let (ours, everywhere) = turns(place.store("large")?, n)?;
    let also =
        vec![Figure::new("when any of all stored is called, most of them dormant", everywhere)];
    Ok(vec![(OPENING, opening), (GROWTH, Pair::new(ours, baseline, also))])
}

/// Makes a store of so many actors, closes it, and tells how far it came.
fn make(place: &Place, of: (&str, u64)) -> Result<(), BenchError> {
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
        Ok(host.close().await?)
    })
}

/// Increments a second of the first [`CALLED`] of so many stored, and of any of them.
fn turns(store: Arc<EmbeddedStore>, n: u64) -> Result<(f64, f64), BenchError> {
    block_on(async {
        let host = host(store, limits(CALLED), Arc::new(WallClock)).await?;
        let (rate, _) = increments::rate(&host, CALLED, 256).await?;
        let everywhere = everywhere(&host, n).await?;
        host.close().await?;
        Ok((rate, everywhere))
    })
}

/// Increments a second of any of so many; each is named anew, because ten million names would fill
/// the memory.
async fn everywhere(host: &Host, n: u64) -> Result<f64, BenchError> {
    let host = host.clone();
    closed_loop(256, LOAD, move |caller, nth| {
        let subject = host.actor::<Subject>(&name(mixed(caller << 32 | nth) % n));
        async move {
            subject?.call(Add(1)).await?;
            Ok(())
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_measured_on_one_store_and_it_is_told_how_far_that_came() {
        let folder = tempfile::tempdir().unwrap();
        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let place = Place::new(folder.path(), 1_000).unwrap();
        let place = place.with_listener(move |it| heard.lock().unwrap().push(it));
        let pairs = CASES[0].measure(&place).unwrap();
        let names: Vec<&str> = pairs.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, [OPENING, GROWTH]);
        assert!(pairs.iter().all(|(_, pair)| pair.ours > 0.0 && pair.baseline > 0.0), "{pairs:?}");
        let last = Progress { what: "actors stored", done: 10_000, total: 10_000 };
        assert_eq!(told.lock().unwrap().last(), Some(&last));
    }

    #[test]
    fn a_disk_without_room_is_told_before_anything_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path(), 1).unwrap();
        let error = place.has_room(u64::MAX).unwrap_err().to_string();
        assert!(
            error.contains("GiB free, and the store will take some 17179869184 GiB"),
            "{error}"
        );
    }
}
