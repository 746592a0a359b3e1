//! Durable sends: from actor to actor, exactly once.

use std::sync::Arc;
use std::time::Duration;

use sexton::Host;
use sexton::clock::{Stopwatch, WallClock};

use crate::actors::{Fan, Pass, Subject, host, limits, name, populate};
use crate::case::{Case, Figure, Pair};
use crate::load::{Load, all, block_on, rate, settled, until};
use crate::{BenchError, Place, increments};

pub(crate) const CASES: &[Case] = &[
    Case::new(
        "send-chain",
        "durable send, 256 chains over 10,000 actors, each 200 long",
        "half of the durable increments of 256 callers",
        chains,
    ),
    Case::new(
        "send-fan",
        "durable send, fan-out to 1,000 actors at a time, four at once",
        "half of the durable increments of 1,024 callers",
        fans,
    ),
];

const CHAINS: u64 = 256;
/// How many actors send.
const ACTORS: u64 = 10_000;

fn chains(place: &Place) -> Result<Pair, BenchError> {
    let times = place.size(200);
    measured(place, CHAINS, async move |host| chained(host, times).await)
}

/// Sends a second in so long chains over the first ten thousand actors.
pub(crate) async fn chained(host: &Host, times: u64) -> Result<f64, BenchError> {
    let first = host.clone();
    let begun = all(CHAINS, CHAINS, move |chain| {
        let first = first.actor::<Subject>(&name(chain * 39));
        async move {
            first?.call(Pass { at: chain * 39, of: ACTORS, times }).await?;
            Ok(())
        }
    });
    taken(host, (CHAINS, CHAINS * times), begun).await
}

fn fans(place: &Place) -> Result<Pair, BenchError> {
    const AT_ONCE: u64 = 1_000;
    let fans = place.size(60);
    // A fan answers before its sends are taken, so that thousands wait for one flush.
    measured(place, 1_024, async move |host| {
        let first = host.clone();
        let begun = all(4, fans, move |fan| {
            let first = first.actor::<Subject>(&name(fan));
            let from = fan % 10 * AT_ONCE;
            async move {
                first?.call(Fan { from, to: from + AT_ONCE }).await?;
                Ok(())
            }
        });
        taken(host, (fans, fans * AT_ONCE), begun).await
    })
}

/// Sends a second until so many calls have been answered and all of so many sends been taken, durably.
async fn taken(
    host: &Host,
    (calls, sends): (u64, u64),
    begun: impl Future<Output = Result<Duration, BenchError>>,
) -> Result<f64, BenchError> {
    let before = settled(host).await?;
    let watch = Stopwatch::start();
    begun.await?;
    let came = async || {
        let figures = host.figures().await?;
        Ok(if figures.mail > 0 { 0 } else { figures.commits - before })
    };
    until("sends", calls + sends, came).await?;
    Ok(rate(sends, watch.elapsed()))
}

fn measured(
    place: &Place,
    callers: u64,
    sends: impl AsyncFnOnce(&Host) -> Result<f64, BenchError>,
) -> Result<Pair, BenchError> {
    let store = place.store("store")?;
    block_on(async {
        let host = host(store, limits(ACTORS), Arc::new(WallClock)).await?;
        populate(&host, ACTORS, |_| None).await?;
        let ours = sends(&host).await?;
        let (increments, _) = increments::rate(&host, Load::new(ACTORS, callers)).await?;
        host.close().await?;
        let also = vec![Figure::new("durable increments", increments)];
        Ok(Pair::new(ours, increments / 2.0, also))
    })
}
