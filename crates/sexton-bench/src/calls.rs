//! Calls that change nothing: what a runtime costs when there is nothing to keep.

use std::sync::Arc;

use sexton::Host;
use sexton::clock::WallClock;

use crate::actors::{Add, handles, host, limits, populate};
use crate::bare::{self, Threads};
use crate::case::{Case, Figure, Pair, Target};
use crate::load::{Load, block_on, closed_loop, index};
use crate::{BenchError, Place};

const BASELINE: &str = "`Addr::send` to bare actix actors in threads of their own";

pub(crate) const CASES: &[Case] = &[
    Case::new("call-1-1", "call without change, one actor, one caller", BASELINE, |place| {
        calls(place, 1, 1)
    }),
    Case::new("call-1-256", "call without change, one actor, 256 callers", BASELINE, |place| {
        calls(place, 1, 256)
    })
    .must_be(Target::Least(1.0)),
    Case::new("call-10k-64", "call without change, 10,000 actors, 64 callers", BASELINE, |place| {
        calls(place, 10_000, 64)
    })
    .must_be(Target::Least(1.5)),
];

/// Calls without change a second.
pub(crate) async fn rate(host: &Host, load: Load) -> Result<f64, BenchError> {
    let subjects: Arc<[_]> = handles(host, load.actors)?.into();
    closed_loop(load.callers, load.time, move |caller, nth| {
        let subject = subjects[index(caller << 32 | nth, subjects.len())].clone();
        async move {
            subject.call(Add(0)).await?;
            Ok(())
        }
    })
    .await
}

fn calls(place: &Place, actors: u64, callers: u64) -> Result<Pair, BenchError> {
    let actors = if actors > 1 { place.size(actors) } else { 1 };
    let store = place.store("store")?;
    let ours = block_on(async {
        let host = host(store, limits(actors), Arc::new(WallClock)).await?;
        populate(&host, actors, |_| None).await?;
        let rate = rate(&host, Load::new(actors, callers)).await?;
        host.close().await?;
        Ok(rate)
    })?;
    let baseline = bare::actix(actors, callers, Threads::Own)?;
    let near = bare::actix(actors, callers, Threads::Callers)?;
    let also = vec![Figure::new("bare actors in the callers' own thread", near)];
    Ok(Pair::new(ours, baseline, also))
}
