//! Latency against offered load: from a tenth of what can be served to four times as much.

use std::sync::Arc;
use std::time::Duration;

use actix::System;

use crate::actors::{handles, limits, populate, users_host};
use crate::arrivals::{Aim, Callers, Offer, at_ms};
use crate::case::{Case, Figure, LOAD, LoadPoint, Pair, Unit};
use crate::load::pause;
use crate::{BenchError, Place};

pub(crate) const CASES: &[Case] = &[Case::new(
    "offered-load",
    "durable increments of 1,000 actors, offered at half the rate that can be served, whether or not \
     earlier ones were answered: the 99th percentile of how long they take",
    "the same of one caller who waits for each answer",
    curve,
)
.of(Unit::Milliseconds)];

/// Whom calls go to, and how many callers show what can be served.
pub(crate) const ACTORS: u64 = 1_000;
pub(crate) const CALLERS: u64 = 1_024;
/// For how long each load is offered.
const TIME: Duration = Duration::from_secs(5);
/// As so many times what can be served; the case's own figure is of [`HALF`].
const LOADS: [f64; 12] = [0.1, 0.25, HALF, 0.7, 0.85, 1.0, 1.15, 1.35, 1.7, 2.25, 3.0, 4.0];
const HALF: f64 = 0.5;

fn curve(place: &Place) -> Result<Pair, BenchError> {
    let store = place.store("store")?;
    System::new().block_on(async {
        let host = users_host(store, limits(ACTORS)).await?;
        populate(&host, ACTORS, |_| None).await?;
        let subjects: Arc<[_]> = handles(&host, ACTORS)?.into();
        let callers = Callers::start();
        let capacity = callers.capacity(&subjects, CALLERS, place.time(2 * LOAD)).await?;
        let time = place.time(TIME);
        let one = callers.one(&subjects, time).await?;
        let mut points: Vec<LoadPoint> = Vec::new();
        for load in LOADS {
            let subjects = Arc::clone(&subjects);
            let offer = Offer { subjects, aim: Aim::Even, rate: load * capacity, time };
            let seen = callers.offer(&offer).await?;
            let a_second = |calls: f64| calls / time.as_secs_f64();
            points.push(LoadPoint {
                load: a_second(seen.offered()) / capacity,
                offered: a_second(seen.offered()),
                served: a_second(seen.served()),
                refused: a_second(seen.refused()),
                p50_ms: at_ms(&seen.served_us, 500.0),
                p99_ms: at_ms(&seen.served_us, 990.0),
                refused_p99_ms: (seen.refused() > 0.0).then(|| at_ms(&seen.refused_us, 990.0)),
            });
            // What a load leaves behind, as a checkpoint of the index, is not the next one's.
            pause(time / 10).await;
        }
        callers.end();
        host.close().await?;
        let at_half = LOADS.iter().position(|load| *load >= HALF).unwrap_or(0);
        let ours = points.get(at_half).map_or(f64::NAN, |point| point.p99_ms);
        let also = vec![
            Figure::new("what can be served, a second", capacity),
            Figure::new("half of them took, ms", points.get(at_half).map_or(0.0, |it| it.p50_ms)),
            Figure::new("half of those of one caller took, ms", at_ms(&one, 500.0)),
        ];
        Ok(Pair { curve: points, ..Pair::new(ours, at_ms(&one, 990.0), also) })
    })
}
