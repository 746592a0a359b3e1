//! Wall clocks: the one that the machine has, and one that tests set.
//!
//! An alarm rings when the *wall clock* says so. Timers run on the monotonic clock, so a host
//! never trusts one: it looks at the wall clock again when a timer ends, and no timer is longer
//! than [`TIMER_MAX`], so that a clock that was put forward is noticed.
#![expect(clippy::disallowed_methods, reason = "this is where time enters")]
#![expect(clippy::disallowed_types, reason = "this is where time enters")]

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sexton_core::Timestamp;

/// The longest that a host sleeps without a look at the wall clock.
///
/// Specified (design, section 6): a clock that is put forward delays an alarm by no more.
pub const TIMER_MAX: Duration = Duration::from_secs(30);

/// What is called when a clock was put to another time.
pub type Waker = Box<dyn Fn() + Send + Sync>;

/// Tells the time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time now. May jump in both directions; nothing rings before its time by this clock.
    fn now(&self) -> Timestamp;

    /// Asks to be told when the clock is set; a clock that nobody sets forgets it.
    fn on_set(&self, waker: Waker) {
        drop(waker);
    }
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let millis = |wait: Duration| i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => Timestamp::from_millis(millis(after)),
            Err(before) => Timestamp::from_millis(-millis(before.duration())),
        }
    }
}

/// A clock that stands still until it is set: for tests and rehearsals.
///
/// # Example
///
/// ```
/// use sexton::clock::{Clock, SetClock};
/// use sexton::Timestamp;
/// use std::time::Duration;
///
/// let clock = SetClock::at(Timestamp::from_millis(1_000));
/// clock.advance(Duration::from_millis(500));
/// assert_eq!(clock.now(), Timestamp::from_millis(1_500));
/// ```
#[derive(Default)]
pub struct SetClock {
    now: Mutex<Timestamp>,
    wakers: Mutex<Vec<Waker>>,
}

impl fmt::Debug for SetClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SetClock").field(&self.now()).finish()
    }
}

impl SetClock {
    /// A clock that stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self { now: Mutex::new(now), wakers: Mutex::default() }
    }

    /// Sets it, forward or back, and wakes whoever sleeps by it.
    pub fn set(&self, to: Timestamp) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = to;
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|wake| wake());
    }

    /// Sets it forward.
    pub fn advance(&self, by: Duration) {
        self.set(self.now() + by);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on_set(&self, waker: Waker) {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner).push(waker);
    }
}

/// Measures a stretch of time by a clock that nobody sets: for figures, never for decisions.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Begins now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since it began.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Waits on the monotonic clock; whoever waits looks at the wall clock afterwards.
pub(crate) async fn rest(wait: Duration) {
    tokio::time::sleep(wait.min(TIMER_MAX)).await;
}

/// How long to set a timer at `now` for something that is due at `due`.
///
/// Not zero, so that whoever waits lets others go first.
pub(crate) fn wait_for(now: Timestamp, due: Timestamp) -> Duration {
    due.since(now).clamp(Duration::from_millis(1), TIMER_MAX)
}
