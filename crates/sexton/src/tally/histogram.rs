//! How often a number was how large: buckets that only grow.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the numbers of a histogram are, and the upper ends of its buckets.
#[derive(Debug)]
pub(crate) struct Scale {
    unit: Unit,
    /// Each with what is at most so large and above the one before; what is larger has a bucket of
    /// its own.
    ends: &'static [u64],
}

/// What one is.
#[derive(Clone, Copy, Debug)]
enum Unit {
    Nanosecond,
    /// For what may take days: a sum of nanoseconds would not last.
    Millisecond,
    Piece,
}

/// A turn: from what a small handler takes to what holds up a thread. Chosen.
pub(crate) static TURN: Scale = Scale {
    unit: Unit::Nanosecond,
    ends: &[
        500,
        1_000,
        2_000,
        5_000,
        10_000,
        20_000,
        50_000,
        100_000,
        1_000_000,
        10_000_000,
        100_000_000,
        1_000_000_000,
    ],
};
/// A flush: from memory to a disk that is ill. Chosen.
pub(crate) static FLUSH: Scale = Scale {
    unit: Unit::Nanosecond,
    ends: &[
        50_000,
        100_000,
        200_000,
        500_000,
        1_000_000,
        2_000_000,
        5_000_000,
        10_000_000,
        20_000_000,
        50_000_000,
        100_000_000,
        1_000_000_000,
    ],
};
/// The batches of a flush. Chosen.
pub(crate) static GROUP: Scale =
    Scale { unit: Unit::Piece, ends: &[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000, 10_000] };
/// How late an alarm was: to the millisecond, and up to a day that a process was down. Chosen.
pub(crate) static LATENESS: Scale = Scale {
    unit: Unit::Millisecond,
    ends: &[1, 10, 50, 100, 500, 1_000, 5_000, 30_000, 60_000, 300_000, 3_600_000, 86_400_000],
};
/// An attempt at an effect: a call of somebody's machine. Chosen.
pub(crate) static EFFECT: Scale = Scale {
    unit: Unit::Millisecond,
    ends: &[1, 10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 60_000, 300_000],
};

/// Counts how often a number was how large.
#[derive(Debug)]
pub(crate) struct Buckets {
    scale: &'static Scale,
    /// One a bucket, and one for what is larger.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Buckets {
    pub(crate) fn new(scale: &'static Scale) -> Self {
        let counts = (0..=scale.ends.len()).map(|_| AtomicU64::new(0)).collect();
        Self { scale, counts, sum: AtomicU64::new(0) }
    }

    /// Counts a number of the scale's unit.
    pub(crate) fn count(&self, number: u64) {
        let bucket = self.scale.ends.partition_point(|end| *end < number);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(number, Ordering::Relaxed);
    }

    /// Counts a stretch of time.
    pub(crate) fn count_time(&self, time: Duration) {
        let number = match self.scale.unit {
            Unit::Nanosecond => time.as_nanos(),
            Unit::Millisecond | Unit::Piece => time.as_millis(),
        };
        self.count(u64::try_from(number).unwrap_or(u64::MAX));
    }

    /// How it stands.
    pub(crate) fn read(&self) -> Histogram {
        let mut histogram = Histogram::new(self.scale);
        histogram.add(self);
        histogram
    }
}

/// How often a number was how large.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// The upper end of each bucket, in seconds where it is a time; a number that is as large as the
    /// end of a bucket lies in it.
    pub ends: Vec<f64>,
    /// How many lie in each bucket, and last how many are above them all.
    pub counts: Vec<u64>,
    /// All numbers together, in the unit of the ends.
    pub sum: f64,
}

impl Histogram {
    /// Nothing yet.
    pub(crate) fn new(scale: &Scale) -> Self {
        let ends: Vec<f64> = scale.ends.iter().map(|end| plain(scale.unit, *end)).collect();
        Self { counts: vec![0; ends.len() + 1], ends, sum: 0.0 }
    }

    /// Takes in what somebody counted on the same scale.
    pub(crate) fn add(&mut self, buckets: &Buckets) {
        for (sum, count) in self.counts.iter_mut().zip(&buckets.counts) {
            *sum += count.load(Ordering::Relaxed);
        }
        self.sum += plain(buckets.scale.unit, buckets.sum.load(Ordering::Relaxed));
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// A number of a unit in seconds, or as it is.
fn plain(unit: Unit, number: u64) -> f64 {
    match unit {
        Unit::Nanosecond => Duration::from_nanos(number).as_secs_f64(),
        Unit::Millisecond => Duration::from_millis(number).as_secs_f64(),
        // A second as a piece: exact as far as a float is.
        Unit::Piece => Duration::from_secs(number).as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_lies_in_the_first_bucket_that_it_does_not_exceed() {
        let buckets = Buckets::new(&LATENESS);
        for lateness_ms in [0, 1, 2, 86_400_000, 86_400_001] {
            buckets.count(lateness_ms);
        }
        let histogram = buckets.read();
        assert_eq!((histogram.ends[0], histogram.ends[11]), (0.001, 86_400.0));
        assert_eq!((histogram.counts[0], histogram.counts[1]), (2, 1));
        assert_eq!((histogram.counts[11], histogram.counts[12]), (1, 1));
        assert_eq!(histogram.total(), 5);
        assert!((histogram.sum - 172_800.004).abs() < 1e-6, "{}", histogram.sum);
    }

    #[test]
    fn the_ends_of_buckets_rise() {
        for scale in [&TURN, &FLUSH, &GROUP, &LATENESS, &EFFECT] {
            assert!(scale.ends.is_sorted_by(|a, b| a < b), "{scale:?}");
        }
    }
}
