//! Growth: what work costs among many stored actors, beside the same among no others than those whom
//! it concerns.
//!
//! All of a size is measured on one store, because making it takes most of the time.

use std::sync::Arc;
use std::time::Duration;

use sexton::clock::{Clock, SetClock, WallClock};
use sexton::{Handler, Host, Message};

use crate::actors::{Add, RingAt, Subject, host, limits, name};
use crate::case::{Case, Figure, LOAD, Pair, Pairs, Target, Unit};
use crate::load::{Load, all, block_on, closed_loop, mixed, rate, spread};
use crate::stored::{make, opened};
use crate::{BenchError, Place, alarms, calls, ending, increments, sends};

/// A turn may cost 1.5 times as much.
const TURN: Target = Target::Least(0.67);

/// The cases of a size, in the order of [`work`].
macro_rules! growth {
    ($size:literal, $stored:literal, $run:expr) => {{
        const AMONG_FEW: &str = "the same among 10,000";
        [
            Case::shared(
                concat!("growth-activation-", $size),
                concat!("first calls to 10,000 dormant actors of ", $stored, ", 256 callers"),
                AMONG_FEW,
                $run,
            ),
            Case::shared(
                concat!("growth-call-", $size),
                concat!("calls without change of 10,000 actors among ", $stored, ", 64 callers"),
                AMONG_FEW,
                $run,
            )
            .must_be(TURN),
            Case::shared(
                concat!("growth-inc-", $size),
                concat!("durable increments of 10,000 actors among ", $stored, ", 256 callers"),
                AMONG_FEW,
                $run,
            )
            .must_be(TURN),
            Case::shared(
                concat!("growth-send-", $size),
                concat!("durable sends of 10,000 actors among ", $stored, ", 256 chains"),
                AMONG_FEW,
                $run,
            )
            .must_be(TURN),
            Case::shared(
                concat!("growth-alarms-", $size),
                concat!("10,000 alarms due at one instant among ", $stored, " actors"),
                AMONG_FEW,
                $run,
            )
            .must_be(TURN),
            Case::shared(
                concat!("growth-destroy-", $size),
                concat!("destroy of a parent with 10,000 children among ", $stored, " actors"),
                AMONG_FEW,
                $run,
            )
            .must_be(TURN),
            Case::shared(
                concat!("growth-any-", $size),
                concat!(
                    "durable increments of any of ",
                    $stored,
                    ", most of them dormant, 256 callers"
                ),
                "the same of 10,000, all of them live",
                $run,
            ),
        ]
    }};
}

/// How much grows with a store.
const WORKS: usize = 7;

const OF_ONE_MILLION: [Case; WORKS] = growth!("1m", "1,000,000", one_million);
const OF_TEN_MILLION: [Case; WORKS] = growth!("10m", "10,000,000", ten_million);
const OPENING: Case = Case::shared(
    "opening-10m",
    "opening a store of 10,000,000 actors that was closed in order",
    "opening the bare database",
    ten_million,
)
.of(Unit::Milliseconds)
.must_be(Target::Most(3.0));

/// All growth, and opening the largest store.
pub(crate) fn cases() -> Vec<Case> {
    let large = std::iter::once(OPENING).chain(OF_TEN_MILLION).map(Case::large);
    OF_ONE_MILLION.into_iter().chain(large).collect()
}

/// How many are called, and how long the chains of their sends are.
const CALLED: u64 = 10_000;
const TIMES: u64 = 500;
/// How often their alarms ring.
const ROUNDS: u32 = 5;
/// What a stored actor takes on the disk while the store is made. Measured: some 1,100 bytes with
/// the index's free pages; and the journal.
const BYTES_PER_ACTOR: u64 = 1_500;
const BYTES_BESIDE: u64 = 2 << 30;

fn one_million(place: &Place) -> Result<Pairs, BenchError> {
    let (_, grown) = grown(place, 1_000_000)?;
    Ok(OF_ONE_MILLION.iter().map(|case| case.name).zip(grown).collect())
}

fn ten_million(place: &Place) -> Result<Pairs, BenchError> {
    let (opening, grown) = grown(place, 10_000_000)?;
    let grown = OF_TEN_MILLION.iter().map(|case| case.name).zip(grown);
    Ok(std::iter::once((OPENING.name, opening)).chain(grown).collect())
}

/// How long a store of so many takes to open, and all work on it beside the same on a small one.
fn grown(place: &Place, full: u64) -> Result<(Pair, Vec<Pair>), BenchError> {
    let n = place.size(full).max(CALLED);
    place.has_room(n * BYTES_PER_ACTOR + place.size(BYTES_BESIDE))?;
    make(place, ("small", CALLED))?;
    make(place, ("large", n))?;
    let among_few = opened(place, "small")?.ours;
    let mut opening = opened(place, "large")?;
    opening.also.push(Figure::new("opening one of 10,000, ms", among_few));
    let baseline = work(place, ("small", CALLED))?;
    let pairs = work(place, ("large", n))?.into_iter().zip(baseline);
    Ok((opening, pairs.map(|(ours, of)| Pair::new(ours, of, Vec::new())).collect()))
}

/// What is done in a second on a store of so many, in the order of [`growth`].
fn work(place: &Place, of: (&str, u64)) -> Result<[f64; WORKS], BenchError> {
    let (store_name, n) = of;
    let store = place.store(store_name)?;
    // No shorter than some flushes.
    let time = place.time(LOAD).max(Duration::from_millis(100));
    let clock = Arc::new(SetClock::at(WallClock.now()));
    block_on(async {
        let host = host(store, limits(CALLED), Arc::<SetClock>::clone(&clock)).await?;
        let everywhere = move |nth: u64| spread(nth, CALLED) * (n / CALLED);
        let activation = rate(CALLED, each(&host, everywhere, Add(0)).await?);
        each(&host, |nth| nth, Add(0)).await?;
        let load = |callers| Load { time, ..Load::new(CALLED, callers) };
        let call = calls::rate(&host, load(64)).await?;
        let (increment, _) = increments::rate(&host, load(256)).await?;
        let send = sends::chained(&host, place.size(TIMES)).await?;
        let mut alarm = 0.0;
        for _ in 0..ROUNDS {
            let due = clock.now() + Duration::from_secs(600);
            each(&host, |nth| nth, RingAt(due)).await?;
            alarm += alarms::ring(&host, CALLED, || clock.set(due)).await? / f64::from(ROUNDS);
        }
        let parent = ending::parent(&host, n..n + CALLED).await?;
        let end = ending::end(&parent, CALLED).await?;
        let any = any(&host, n, time).await?;
        host.close().await?;
        Ok([activation, call, increment, send, alarm, end, any])
    })
}

/// Calls each of [`CALLED`] actors once.
async fn each<M>(
    host: &Host,
    number: impl Fn(u64) -> u64 + Clone + Send + 'static,
    message: M,
) -> Result<Duration, BenchError>
where
    M: Message + Copy,
    Subject: Handler<M>,
{
    let host = host.clone();
    all(256, CALLED, move |nth| {
        let subject = host.actor::<Subject>(&name(number(nth)));
        async move {
            subject?.call(message).await?;
            Ok(())
        }
    })
    .await
}

/// Increments a second of any of so many; each is named anew, because ten million names would fill
/// the memory.
async fn any(host: &Host, n: u64, time: Duration) -> Result<f64, BenchError> {
    let host = host.clone();
    closed_loop(256, time, move |caller, nth| {
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
    use crate::case::Effort;
    use crate::place::Progress;

    use super::*;

    #[test]
    fn all_of_a_size_is_measured_on_one_store_and_it_is_told_how_far_that_came() {
        let folder = tempfile::tempdir().unwrap();
        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let place = Place::new(folder.path(), 1_000).unwrap();
        let place = place.with_listener(move |it| heard.lock().unwrap().push(it));
        let pairs = OPENING.measure(&place).unwrap();
        let names: Vec<&str> = pairs.iter().map(|(name, _)| *name).collect();
        let large: Vec<&str> =
            cases().iter().filter(|it| it.effort == Effort::Large).map(|it| it.name).collect();
        assert_eq!(names, large);
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
