//! Overload: four times as many calls as can be served, for a minute.
//!
//! What is refused is told so at once, alarms ring all the same, nobody starves, and the memory
//! does not grow. One run measures it all, because it is one minute of one host that shows it.

use std::sync::Arc;
use std::time::Duration;

use actix::System;
use sexton::{Handle, Host};

use crate::actors::{Subject, limits, name, populate, users_host};
use crate::arrivals::{Aim, Callers, Offer, Seen, at_ms};
use crate::case::{Case, Figure, LOAD, Pair, Pairs, Target, Unit};
use crate::load::{pause, real};
use crate::memory::resident;
use crate::offered::{ACTORS, CALLERS};
use crate::ringing::{Late, Ringing, alarms_in};
use crate::{BenchError, Place};

pub(crate) const CASES: &[Case] = &[
    Case::shared(
        SERVED,
        "four times the calls that can be served, for a minute: durable increments that are served",
        "durable increments of 1,024 callers who wait for their answers",
        even,
    ),
    Case::shared(
        REFUSAL,
        "at four times the load: the 99th percentile of how long a refused call takes",
        "an answered call of one caller without the load, the median",
        even,
    )
    .of(Unit::Microseconds)
    .must_be(Target::Most(1.0)),
    Case::shared(
        ALARMS,
        "at four times the load: the latest of 60,000 alarms, 1,000 a second",
        "the latest of such alarms without the load",
        even,
    )
    .of(Unit::Milliseconds)
    .must_be(Target::Within(1_000.0)),
    Case::shared(
        STARVING,
        "at four times the load: calls that the least served of 1,000 actors serves",
        "the mean of all",
        even,
    )
    .must_be(Target::Least(0.5)),
    Case::shared(
        MEMORY,
        "at four times the load: the most memory of the process in the last quarter",
        "the most in the first quarter",
        even,
    )
    .of(Unit::Bytes)
    .must_be(Target::Most(1.25)),
    Case::shared(
        HOT,
        "four times the load, every second call to one actor: the least share of its calls that one \
         of the others serves",
        "the share of all calls that is served",
        hot,
    )
    .of(Unit::Percent)
    .must_be(Target::Least(0.2)),
];

const SERVED: &str = "overload-served";
const REFUSAL: &str = "overload-refusal";
const ALARMS: &str = "overload-alarms";
const STARVING: &str = "overload-starving";
const MEMORY: &str = "overload-memory";
const HOT: &str = "overload-hot";

/// How many times what can be served is offered, and for how long.
const TIMES: f64 = 4.0;
const TIME: Duration = Duration::from_secs(60);
/// For how long it is seen how it goes without.
const QUIET: Duration = Duration::from_secs(10);
/// For how long one actor gets half of all.
const HOT_TIME: Duration = Duration::from_secs(20);
/// How often the memory is looked at, in all.
const LOOKS: u32 = 240;

/// What a host was seen to do under such an offer.
struct Watched {
    capacity: f64,
    quiet: hdrhistogram::Histogram<u64>,
    quiet_late: Late,
    seen: Seen,
    late: Late,
    resident: Vec<f64>,
    resident_before: f64,
    seconds: f64,
}

fn even(place: &Place) -> Result<Pairs, BenchError> {
    let watched = watch(place, Aim::Even, place.time(TIME))?;
    Ok(vec![
        (SERVED, of_served(&watched)),
        (REFUSAL, of_refusal(&watched)),
        (ALARMS, of_alarms(&watched)),
        (STARVING, of_starving(&watched)),
        (MEMORY, of_memory(&watched)),
    ])
}

fn hot(place: &Place) -> Result<Pairs, BenchError> {
    let watched = watch(place, Aim::HalfToOne, place.time(HOT_TIME))?;
    let seen = &watched.seen;
    let shares = seen.of_each.iter().filter(|(offered, _)| *offered > 0);
    let shares: Vec<f64> =
        shares.map(|(offered, served)| 100.0 * real(*served) / real(*offered)).collect();
    let least = shares.iter().skip(1).copied().fold(f64::INFINITY, f64::min);
    let of_one = shares.first().copied().unwrap_or(f64::NAN);
    let also = vec![
        Figure::new("the share of the one that is served, percent", of_one),
        Figure::new("the latest alarm, ms", watched.late.at(1_000)),
    ];
    Ok(vec![(HOT, Pair::new(least, 100.0 * seen.served() / seen.offered(), also))])
}

fn watch(place: &Place, aim: Aim, time: Duration) -> Result<Watched, BenchError> {
    let store = place.store("store")?;
    let quiet_time = place.time(QUIET);
    System::new().block_on(async {
        let (n_quiet, n_loud) = (alarms_in(quiet_time), alarms_in(time));
        let n = ACTORS + n_quiet + n_loud;
        let host = users_host(store, limits(n)).await?;
        populate(&host, n, |_| None).await?;
        let subjects: Arc<[_]> = named(&host, 0, ACTORS)?;
        let callers = Callers::start();
        let capacity = callers.capacity(&subjects, CALLERS, place.time(2 * LOAD)).await?;

        let ringing = Ringing::set(named(&host, ACTORS, n_quiet)?).await?;
        ringing.begins().await;
        let quiet = callers.one(&subjects, quiet_time).await?;
        let quiet_late = ringing.late().await?;

        let ringing = Ringing::set(named(&host, ACTORS + n_quiet, n_loud)?).await?;
        let resident_before = resident()?;
        ringing.begins().await;
        let offer = Offer { subjects, aim, rate: TIMES * capacity, time };
        let (seen, resident) = tokio::join!(callers.offer(&offer), look(time));
        let late = ringing.late().await?;
        callers.end();
        host.close().await?;
        let (seen, resident, seconds) = (seen?, resident?, time.as_secs_f64());
        Ok(Watched { capacity, quiet, quiet_late, seen, late, resident, resident_before, seconds })
    })
}

fn of_served(watched: &Watched) -> Pair {
    let Watched { seen, seconds, capacity, .. } = watched;
    let also = vec![
        Figure::new("offered, a second", seen.offered() / seconds),
        Figure::new("so many times what can be served", seen.offered() / seconds / capacity),
        Figure::new("left out because their callers had no time, a second", {
            real(seen.left_out) / seconds
        }),
        Figure::new("refused, a second", seen.refused() / seconds),
        Figure::new("half of what was served took, ms", at_ms(&seen.served_us, 500.0)),
        Figure::new("99 of 100 that were served took, ms", at_ms(&seen.served_us, 990.0)),
        Figure::new("the longest, ms", at_ms(&seen.served_us, 1_000.0)),
    ];
    Pair::new(seen.served() / seconds, *capacity, also)
}

fn of_refusal(watched: &Watched) -> Pair {
    let Seen { refusals_ns, refused_us, .. } = &watched.seen;
    // Nanoseconds as microseconds, as elsewhere microseconds as milliseconds.
    let took_us = |of_thousand| at_ms(refusals_ns, of_thousand);
    let also = vec![
        Figure::new("the median, us", took_us(500.0)),
        Figure::new("999 of 1,000, us", took_us(999.0)),
        Figure::new("the longest, us", took_us(1_000.0)),
        Figure::new("since the call was meant, with its caller's own delay: median, ms", {
            at_ms(refused_us, 500.0)
        }),
        Figure::new("so, 99 of 100, ms", at_ms(refused_us, 990.0)),
        Figure::new("so, the longest, ms", at_ms(refused_us, 1_000.0)),
        Figure::new("calls that were refused", watched.seen.refused()),
    ];
    Pair::new(took_us(990.0), 1_000.0 * at_ms(&watched.quiet, 500.0), also)
}

fn of_alarms(watched: &Watched) -> Pair {
    let Watched { late, quiet_late, .. } = watched;
    let also = vec![
        Figure::new("the median", late.at(500)),
        Figure::new("99 of 100", late.at(990)),
        Figure::new("99 of 100 without the load", quiet_late.at(990)),
        Figure::new("alarms that rang", real(late.rang)),
        Figure::new("alarms that were due", real(u64::try_from(late.ms.len()).unwrap_or(0))),
    ];
    Pair::new(late.at(1_000), quiet_late.at(1_000), also)
}

fn of_starving(watched: &Watched) -> Pair {
    let of_each = &watched.seen.of_each;
    let served = || of_each.iter().map(|(_, served)| *served);
    let n = real(u64::try_from(of_each.len()).unwrap_or(1));
    let a_second = |calls: f64| calls / watched.seconds;
    let least = served().min().unwrap_or(0);
    let also = vec![
        Figure::new("the most served", a_second(real(served().max().unwrap_or(0)))),
        Figure::new("calls that the least served had in all", real(least)),
    ];
    Pair::new(a_second(real(least)), a_second(watched.seen.served() / n), also)
}

fn of_memory(watched: &Watched) -> Pair {
    let looks = &watched.resident;
    let most = |of: &[f64]| of.iter().copied().fold(0.0, f64::max);
    let quarter = looks.len().div_ceil(4);
    let (first, last) = (most(&looks[..quarter]), most(&looks[looks.len() - quarter..]));
    let also = vec![
        Figure::new("before the load, bytes", watched.resident_before),
        Figure::new("the most at any time, bytes", most(looks)),
    ];
    Pair::new(last, first, also)
}

/// Looks at the memory of the process again and again.
async fn look(time: Duration) -> Result<Vec<f64>, BenchError> {
    let mut looks = Vec::new();
    for _ in 0..LOOKS {
        pause(time / LOOKS).await;
        looks.push(resident()?);
    }
    Ok(looks)
}

/// The subjects with so many numbers from `first` on.
fn named(host: &Host, first: u64, n: u64) -> Result<Arc<[Handle<Subject>]>, BenchError> {
    let handles = (first..first + n).map(|number| host.actor::<Subject>(&name(number)));
    Ok(handles.collect::<Result<Vec<_>, _>>()?.into())
}
