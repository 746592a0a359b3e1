//! What a sandbox used: exact intervals for the books, and ticks against its owner's credit.
//!
//! The *meter* opens an interval when a billable status is entered and closes it in the commit
//! that leaves it; nobody else opens or closes one. It is exact however late a turn comes.
//!
//! *Ticks* count use against credit while it goes on. A tick that comes late bills at most two
//! intervals, the first at most one: a pause of ours is not charged to anybody.
//!
//! Money is counted in [units](UNITS_PER_CENT) so small that nothing is ever rounded.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton_core::Timestamp;

/// How many units are a cent: a millisecond at one cent an hour is one unit, so use times price
/// is a whole number, and no remainder is ever lost.
pub const UNITS_PER_CENT: u64 = 3_600_000;

/// What a sandbox says when an interval is closed: the text of the event `interval`, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Which of the sandbox's intervals: 1 for the first, no gaps.
    pub number: u64,
    /// When it was opened, in milliseconds since the epoch.
    pub from_ms: i64,
    /// How long it was, in milliseconds.
    pub ms: u64,
    /// The scale throughout.
    pub scale: u32,
    /// All intervals of the sandbox up to this one, in milliseconds.
    pub total_ms: u64,
}

/// The intervals of a sandbox; at most one is open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Meter {
    open: Option<(Timestamp, u32)>,
    closed: u64,
    total_ms: u64,
}

impl Meter {
    /// Opens an interval, unless one is open.
    pub(super) fn open(&mut self, now: Timestamp, scale: u32) {
        self.open.get_or_insert((now, scale));
    }

    /// Closes the open interval, if one is; on a clock that went backwards it was empty.
    pub(super) fn close(&mut self, now: Timestamp) -> Option<Interval> {
        let (from, scale) = self.open.take()?;
        let ms = millis(now.since(from));
        self.closed += 1;
        self.total_ms = self.total_ms.saturating_add(ms);
        let (number, total_ms) = (self.closed, self.total_ms);
        Some(Interval { number, from_ms: from.as_millis(), ms, scale, total_ms })
    }

    /// Milliseconds of all closed intervals.
    pub(super) fn total_ms(&self) -> u64 {
        self.total_ms
    }

    /// Since when an interval is open.
    pub(super) fn open_since(&self) -> Option<Timestamp> {
        self.open.map(|(since, _)| since)
    }
}

/// How the next tick is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Beat {
    First,
    Later,
}

/// What was counted against credit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Usage {
    /// The last tick, or the start; `None` while nothing is billed.
    last: Option<(Timestamp, Beat)>,
    /// Units that no debit has carried yet.
    unsent: u64,
    /// Debits sent.
    debits: u64,
}

impl Usage {
    /// Counts from now on.
    pub(super) fn start(&mut self, now: Timestamp) {
        self.last.get_or_insert((now, Beat::First));
    }

    /// Counts no further.
    pub(super) fn stop(&mut self) {
        self.last = None;
    }

    /// When the next tick is due.
    pub(super) fn due(&self, every: Duration) -> Option<Timestamp> {
        self.last.map(|(at, _)| at + every)
    }

    /// Counts what was used since the last tick, at a price in cents an hour.
    ///
    /// A clock that went backwards bills zero, and what was billed is not billed again when it
    /// passes there once more.
    pub(super) fn tick(&mut self, now: Timestamp, every: Duration, cents_per_hour: u64) {
        let Some((at, beat)) = self.last else { return };
        let most = match beat {
            Beat::First => every,
            Beat::Later => every.saturating_mul(2),
        };
        let ms = millis(now.since(at).min(most));
        self.unsent = self.unsent.saturating_add(ms.saturating_mul(cents_per_hour));
        self.last = Some((at.max(now), Beat::Later));
    }

    /// What a debit has to carry now, with its number: whole cents while it runs, all at its end.
    pub(super) fn debit(&mut self) -> Option<(u64, u64)> {
        let is_over = self.last.is_none();
        let is_worth = self.unsent >= UNITS_PER_CENT || (is_over && self.unsent > 0);
        if !is_worth {
            return None;
        }
        self.debits += 1;
        Some((self.debits, std::mem::take(&mut self.unsent)))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(20);

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn billed(ticks: &[i64]) -> u64 {
        let mut usage = Usage::default();
        usage.start(at(100_000));
        for tick in ticks {
            usage.tick(at(*tick), EVERY, 1);
        }
        usage.unsent
    }

    #[test]
    fn the_first_tick_bills_at_most_one_interval_and_a_later_one_at_most_two() {
        assert_eq!(billed(&[120_000]), 20_000);
        assert_eq!(billed(&[500_000]), 20_000);
        assert_eq!(billed(&[110_000]), 10_000);
        assert_eq!(billed(&[120_000, 140_000]), 40_000);
        assert_eq!(billed(&[120_000, 150_000]), 50_000);
        assert_eq!(billed(&[120_000, 900_000]), 60_000);
    }

    #[test]
    fn a_backward_clock_bills_zero_and_nothing_twice() {
        assert_eq!(billed(&[90_000]), 0);
        assert_eq!(billed(&[120_000, 60_000]), 20_000);
        assert_eq!(billed(&[120_000, 60_000, 120_000, 130_000]), 30_000);
        let mut meter = Meter::default();
        meter.open(at(9), 1);
        assert_eq!(meter.close(at(5)).map(|it| it.ms), Some(0));
    }

    #[test]
    fn the_next_tick_is_due_from_the_last_ones_time() {
        let mut usage = Usage::default();
        assert_eq!(usage.due(EVERY), None);
        usage.start(at(100_000));
        assert_eq!(usage.due(EVERY), Some(at(120_000)));
        usage.tick(at(125_000), EVERY, 1);
        assert_eq!(usage.due(EVERY), Some(at(145_000)));
    }

    #[test]
    fn ticks_of_any_length_add_up_to_the_exact_price() {
        let mut usage = Usage::default();
        usage.start(at(0));
        let (mut now, mut sent) = (0, 0);
        for n in 0..100_000_i64 {
            now += 1 + (n * 7_919) % 19_999;
            usage.tick(at(now), EVERY, 7);
            sent += usage.debit().map_or(0, |(_, units)| units);
        }
        usage.stop();
        sent += usage.debit().map_or(0, |(_, units)| units);
        assert_eq!(sent, u64::try_from(now).unwrap() * 7);
    }

    #[test]
    fn an_interval_is_opened_once_and_closed_once() {
        let mut meter = Meter::default();
        meter.open(at(10), 1);
        meter.open(at(20), 2);
        let interval = Interval { number: 1, from_ms: 10, ms: 30, scale: 1, total_ms: 30 };
        assert_eq!(meter.close(at(40)), Some(interval));
        assert_eq!(meter.close(at(50)), None);
        assert_eq!(meter.total_ms(), 30);
    }
}
