//! Callers: tasks of one thread, each of which asks again when it was answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sexton::Host;
use sexton::clock::Stopwatch;
use sexton_sim::Chance;
use tokio::runtime;
use tokio::task::JoinSet;

use crate::BenchError;
use crate::case::LOAD;

/// Runs a future on a runtime of its own, on this thread.
pub(crate) fn block_on<T>(
    future: impl Future<Output = Result<T, BenchError>>,
) -> Result<T, BenchError> {
    runtime::Builder::new_current_thread().enable_time().build()?.block_on(future)
}

/// A number as a figure; above 2^53 the last digits are lost, which no rate shows.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "see its documentation")]
pub(crate) const fn real(n: u64) -> f64 {
    n as f64
}

/// So many in that time, as so many a second.
pub(crate) fn rate(n: u64, took: Duration) -> f64 {
    real(n) / took.as_secs_f64().max(1e-9)
}

/// Who asks whom, and for how long.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// How many are asked.
    pub(crate) actors: u64,
    /// How many ask.
    pub(crate) callers: u64,
    /// For how long.
    pub(crate) time: Duration,
}

impl Load {
    /// So many callers of so many actors, as long as most cases run.
    pub(crate) const fn new(actors: u64, callers: u64) -> Self {
        Self { actors, callers, time: LOAD }
    }
}

/// Lets so many callers ask again and again for some time; calls a second. `call` is told who asks
/// and how often he did before.
pub(crate) async fn closed_loop<F>(
    callers: u64,
    time: Duration,
    call: impl Fn(u64, u64) -> F + Clone + Send + 'static,
) -> Result<f64, BenchError>
where
    F: Future<Output = Result<(), BenchError>> + Send,
{
    let is_over = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let (is_over, answered) = (Arc::clone(&is_over), Arc::clone(&answered));
        let call = call.clone();
        tasks.spawn(async move {
            for n in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                call(caller, n).await?;
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
    }
    // What the first calls pay for (threads that wake, memory that grows) is not counted.
    pause(time / 5).await;
    let (before, watch) = (answered.load(Ordering::Relaxed), Stopwatch::start());
    pause(time).await;
    let n = answered.load(Ordering::Relaxed) - before;
    let rate = rate(n, watch.elapsed());
    is_over.store(true, Ordering::Relaxed);
    ends(tasks).await?;
    Ok(rate)
}

/// Does each of `n` things once, so many at a time; how long it took.
pub(crate) async fn all<F>(
    at_a_time: u64,
    n: u64,
    each: impl Fn(u64) -> F + Clone + Send + 'static,
) -> Result<Duration, BenchError>
where
    F: Future<Output = Result<(), BenchError>> + Send,
{
    let watch = Stopwatch::start();
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..at_a_time.min(n) {
        let (next, each) = (Arc::clone(&next), each.clone());
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= n {
                    return Ok(());
                }
                each(number).await?;
            }
        });
    }
    ends(tasks).await?;
    Ok(watch.elapsed())
}

async fn ends(mut tasks: JoinSet<Result<(), BenchError>>) -> Result<(), BenchError> {
    while let Some(done) = tasks.join_next().await {
        done.map_err(|error| BenchError::Caller(error.to_string()))??;
    }
    Ok(())
}

/// Lets time pass on the machine's clock: what is measured takes real time.
pub(crate) async fn pause(time: Duration) {
    drop(tokio::time::timeout(time, std::future::pending::<()>()).await);
}

/// Waits, at most two minutes, until a count has come to so many; how long it took.
pub(crate) async fn until<F>(
    what: &'static str,
    wanted: u64,
    mut count: impl FnMut() -> F,
) -> Result<Duration, BenchError>
where
    F: Future<Output = Result<u64, BenchError>>,
{
    const SECONDS: u64 = 120;
    let watch = Stopwatch::start();
    while count().await? < wanted {
        if watch.elapsed() > Duration::from_secs(SECONDS) {
            return Err(BenchError::Late { what, wanted, seconds: SECONDS });
        }
        pause(Duration::from_millis(1)).await;
    }
    Ok(watch.elapsed())
}

/// How many commits there are, once nobody makes any.
pub(crate) async fn settled(host: &Host) -> Result<u64, BenchError> {
    loop {
        let before = host.figures().await?.commits;
        pause(Duration::from_millis(10)).await;
        if host.figures().await?.commits == before {
            return Ok(before);
        }
    }
}

/// A number that follows from `n` and looks like chance: who is asked next.
pub(crate) fn mixed(n: u64) -> u64 {
    Chance::new(n).draw()
}

/// The `nth` of `n` things in no order, each once in `n`: the factor, near the golden ratio, is prime
/// to all sizes of cases, which have no other factors than two and five.
pub(crate) fn spread(nth: u64, n: u64) -> u64 {
    nth * 618_033_989 % n
}

/// An index into so many things.
pub(crate) fn index(n: u64, of: usize) -> usize {
    usize::try_from(mixed(n) % u64::try_from(of.max(1)).unwrap_or(1)).unwrap_or(0)
}

/// A time as a figure.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Seen to fail with a factor that ends in five.
    #[test]
    fn whoever_is_spread_over_is_met_once() {
        for n in [1, 1_000, 10_000, 50_000, 1_000_000] {
            let met: BTreeSet<u64> = (0..n).map(|nth| spread(nth, n)).collect();
            assert_eq!(u64::try_from(met.len()).unwrap(), n);
        }
    }
}
