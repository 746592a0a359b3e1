//! The end of many: a parent with all its children.

use std::ops::Range;
use std::sync::Arc;

use sexton::clock::{Stopwatch, WallClock};
use sexton::{Handle, Host};

use crate::actors::{Beget, Subject, host, limits, populate};
use crate::case::{Case, Pair, Target};
use crate::load::{Load, block_on, rate, until};
use crate::{BenchError, Place, increments};

pub(crate) const CASES: &[Case] = &[Case::new(
    "destroy",
    "destroy of a parent with 100,000 children, until its tombstone is durable: children",
    "durable increments of as many actors, 1,024 callers",
    destroy,
)
.must_be(Target::Least(0.3))];

fn destroy(place: &Place) -> Result<Pair, BenchError> {
    let n = place.size(100_000);
    let store = place.store("store")?;
    let (ours, baseline) = block_on(async {
        let host = host(store, limits(2 * n), Arc::new(WallClock)).await?;
        // Others than its children, for the increments.
        populate(&host, n, |_| None).await?;
        let parent = parent(&host, n..2 * n).await?;
        let (increments, _) = increments::rate(&host, Load::new(n, 1_024)).await?;
        let ours = end(&parent, n).await?;
        host.close().await?;
        Ok((ours, increments))
    })?;
    Ok(Pair::new(ours, baseline, Vec::new()))
}

/// A parent whose children have these numbers.
pub(crate) async fn parent(
    host: &Host,
    children: Range<u64>,
) -> Result<Handle<Subject>, BenchError> {
    const AT_ONCE: u64 = 1_000;
    let parent = host.actor::<Subject>("parent")?;
    parent.create(None).await?;
    for from in children.clone().step_by(usize::try_from(AT_ONCE).unwrap_or(1)) {
        parent.call(Beget { from, to: (from + AT_ONCE).min(children.end) }).await?;
    }
    until("births", 1, async || Ok(u64::from(host.figures().await?.mail == 0))).await?;
    Ok(parent)
}

/// Children a second that are destroyed with their parent, until its tombstone is durable.
pub(crate) async fn end(parent: &Handle<Subject>, children: u64) -> Result<f64, BenchError> {
    let watch = Stopwatch::start();
    parent.destroy("measured").await?;
    Ok(rate(children, watch.elapsed()))
}
