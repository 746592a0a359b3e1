//! Alarms: many at one instant, and many pending.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sexton::clock::{Clock, SetClock, Stopwatch, WallClock};
use sexton::{Host, Timestamp};

use crate::actors::{handles, host, limits, populate};
use crate::case::{Case, Figure, Pair, Target, Unit};
use crate::load::{Load, block_on, rate, real, settled, until};
use crate::ringing::{Ringing, alarms_in};
use crate::{BenchError, Place, bare, increments};

pub(crate) const CASES: &[Case] = &[
    Case::new(
        "alarms-at-once",
        "100,000 alarms due at one instant, each with a durable change",
        "durable increments of as many actors, 1,024 callers",
        at_once,
    )
    .must_be(Target::Least(0.5)),
    Case::new(
        "alarms-pending",
        "1,000,000 alarms pending, 1,000 a second due: the 99th percentile of how late they ring",
        "one append and `fdatasync` of the bare log",
        pending,
    )
    .of(Unit::Milliseconds),
];

fn at_once(place: &Place) -> Result<Pair, BenchError> {
    let n = place.size(100_000);
    let store = place.store("store")?;
    let (began, due) = (Timestamp::from_millis(1_000), Timestamp::from_millis(600_000));
    let clock = Arc::new(SetClock::at(began));
    let (ours, increments) = block_on(async {
        let host = host(store, limits(n), Arc::<SetClock>::clone(&clock)).await?;
        populate(&host, n, move |_| Some(due)).await?;
        let ours = ring(&host, n, || clock.set(due)).await?;
        let (increments, _) = increments::rate(&host, Load::new(n, 1_024)).await?;
        host.close().await?;
        Ok((ours, increments))
    })?;
    let mut tree: BTreeSet<(u64, u64)> = (0..n).map(|number| (7, number)).collect();
    let watch = Stopwatch::start();
    while tree.pop_first().is_some() {}
    let also = vec![Figure::new("popping a BTreeSet", rate(n, watch.elapsed()))];
    Ok(Pair::new(ours, increments, also))
}

/// Alarms a second that ring durably from the moment on when so many are due.
pub(crate) async fn ring(host: &Host, n: u64, due: impl FnOnce()) -> Result<f64, BenchError> {
    let before = settled(host).await?;
    let watch = Stopwatch::start();
    due();
    until("alarms", n, async || Ok(host.figures().await?.commits - before)).await?;
    Ok(rate(n, watch.elapsed()))
}

/// For how long alarms ring.
const RINGING: Duration = Duration::from_secs(10);

fn pending(place: &Place) -> Result<Pair, BenchError> {
    let n = place.size(1_000_000);
    let store = place.store("store")?;
    let late = block_on(async {
        let host = host(store, limits(n), Arc::new(WallClock)).await?;
        let n_due = usize::try_from(alarms_in(RINGING)).unwrap_or(usize::MAX);
        let far = WallClock.now() + Duration::from_secs(30 * 86_400);
        populate(&host, n, move |number| Some(far + Duration::from_millis(number))).await?;
        let subjects = handles(&host, n)?;
        let due = subjects.iter().step_by(subjects.len().div_ceil(n_due)).take(n_due);
        let ringing = Ringing::set(due.cloned().collect()).await?;
        ringing.begins().await;
        let late = ringing.late().await?;
        host.close().await?;
        Ok(late)
    })?;
    let also = vec![
        Figure::new("the median", late.at(500)),
        Figure::new("the latest", late.at(1_000)),
        Figure::new("alarms that rang", real(late.rang)),
    ];
    let flush = 1_000.0 / bare::log(place, (1, 1), increments::bytes()?)?;
    Ok(Pair::new(late.at(990), flush, also))
}
