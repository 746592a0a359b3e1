//! Durable sends: from actor to actor, exactly once.

use std::sync::Arc;

use sexton::clock::{Stopwatch, WallClock};

use crate::actors::{Fan, Pass, host, limits, name, populate};
use crate::case::{Case, Figure, Pair};
use crate::load::{all, block_on, real, until};
use crate::{BenchError, Place, increments};

const BASELINE: &str = "half of the durable increments of the same number of callers";

pub(crate) const CASES: &[Case] = &[
    Case::new(
        "send-chain",
        "durable send, 256 chains over 10,000 actors, each 200 long",
        BASELINE,
        chains,
    ),
    Case::new("send-fan", "durable send, fan-out to 1,000 actors at a time", BASELINE, fans),
];

const CHAINS: u64 = 256;

fn chains(place: &Place) -> Result<Pair, BenchError> {
    let times = place.size(200);
    measured(place, CHAINS * times, move |host| async move {
        all(CHAINS, CHAINS, move |chain| {
            let first = host.actor::<crate::actors::Subject>(&name(chain * 39));
            async move {
                first?.call(Pass { at: chain * 39, of: 10_000, times }).await?;
                Ok(())
            }
        })
        .await
        .map(|_took| ())
    })
}

fn fans(place: &Place) -> Result<Pair, BenchError> {
    const AT_ONCE: u64 = 1_000;
    let fans = place.size(60);
    measured(place, fans * AT_ONCE, move |host| async move {
        all(4, fans, move |fan| {
            let first = host.actor::<crate::actors::Subject>(&name(fan));
            let from = fan % 10 * AT_ONCE;
            async move {
                first?.call(Fan { from, to: from + AT_ONCE }).await?;
                Ok(())
            }
        })
        .await
        .map(|_took| ())
    })
}

/// Sends a second until all of so many have been taken, durably.
fn measured<F>(
    place: &Place,
    sends: u64,
    begin: impl FnOnce(sexton::Host) -> F,
) -> Result<Pair, BenchError>
where
    F: Future<Output = Result<(), BenchError>>,
{
    let store = place.store("store")?;
    block_on(async {
        let host = host(store, limits(10_000), Arc::new(WallClock)).await?;
        populate(&host, 10_000, |_| None).await?;
        let before = host.figures().await?.commits;
        let watch = Stopwatch::start();
        begin(host.clone()).await?;
        let came = async || {
            let figures = host.figures().await?;
            Ok(if figures.mail > 0 { 0 } else { figures.commits - before })
        };
        until("sends", sends, came).await?;
        let ours = real(sends) / watch.elapsed().as_secs_f64();
        let (increments, _) = increments::rate(&host, 10_000, CHAINS).await?;
        host.close().await?;
        let also = vec![Figure::new("durable increments, 256 callers", increments)];
        Ok(Pair::new(ours, increments / 2.0, also))
    })
}
