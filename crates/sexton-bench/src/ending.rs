//! The end of many: a parent with all its children.

use std::sync::Arc;

use sexton::clock::{Stopwatch, WallClock};

use crate::actors::{Beget, Subject, host, limits, populate};
use crate::case::{Case, Pair, Target};
use crate::load::{block_on, rate, until};
use crate::{BenchError, Place, increments};

pub(crate) const CASES: &[Case] = &[Case::new(
    "destroy",
    "destroy of a parent with 100,000 children, until its tombstone is durable: children",
    "durable increments of as many actors, 1,024 callers",
    destroy,
)
.must_be(Target::Least(0.3))];

fn destroy(place: &Place) -> Result<Pair, BenchError> {
    const AT_ONCE: u64 = 1_000;
    let n = place.size(100_000);
    let store = place.store("store")?;
    let (ours, baseline) = block_on(async {
        let host = host(store, limits(2 * n), Arc::new(WallClock)).await?;
        // Others than its children, for the increments.
        populate(&host, n, |_| None).await?;
        let parent = host.actor::<Subject>("parent")?;
        parent.create(None).await?;
        for from in (n..2 * n).step_by(usize::try_from(AT_ONCE).unwrap_or(1)) {
            parent.call(Beget { from, to: (from + AT_ONCE).min(2 * n) }).await?;
        }
        until("births", 1, async || Ok(u64::from(host.figures().await?.mail == 0))).await?;
        let (increments, _) = increments::rate(&host, n, 1_024).await?;
        let watch = Stopwatch::start();
        parent.destroy("measured").await?;
        let ours = rate(n, watch.elapsed());
        host.close().await?;
        Ok((ours, increments))
    })?;
    Ok(Pair::new(ours, baseline, Vec::new()))
}
