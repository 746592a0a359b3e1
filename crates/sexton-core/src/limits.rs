//! How much: every bound of the core, with its unit, its reason and where the number is from.

use std::time::Duration;

use crate::time::Timestamp;

/// The number of shards of a store, fixed when it is created.
///
/// Chosen (design, section 9): enough to spread over hundreds of hosts, few enough that one
/// seek a shard at opening takes milliseconds.
pub const SHARDS: u16 = 4_096;
/// The longest kind, in bytes. Chosen: kinds are words.
pub const KIND_BYTES_MAX: usize = 32;
/// The longest name of an actor, in bytes. Chosen: a path of a few ids fits.
pub const NAME_BYTES_MAX: usize = 512;
/// The largest encoded value, in bytes. Chosen: an actor is a machine's record, not a file.
pub const RECORD_BYTES_MAX: u64 = 16 * 1_024 * 1_024;
/// The largest state, effect, message or fact, in bytes: half a record, so that what is written
/// with it always fits.
pub const PART_BYTES_MAX: usize = 8 * 1_024 * 1_024;
/// The most failed attempts in a row before an actor counts as stalled (design, section 3).
pub const FAILURES_BEFORE_STALLED: u32 = 6;

/// The bounds that a host may choose for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The first wait after a failed attempt; doubled by each further failure.
    pub back_off_first: Duration,
    /// The longest wait between two attempts.
    pub back_off_max: Duration,
    /// The most effects that one actor may owe at a time.
    pub debts_per_actor_max: usize,
    /// The most sends, creates, effects and events of one turn, together.
    pub records_per_turn_max: usize,
    /// The most children that a destroy asks to go at a time. Each that is gone writes the set of those
    /// who are not yet.
    pub children_in_flight_max: usize,
    /// The most live actors in memory; the least recently used are evicted above it.
    pub live_actors_max: usize,
    /// How far ahead alarms are kept in memory; later ones lie in the store only.
    pub alarm_horizon: Duration,
    /// How long a tombstone keeps its name from a new life; `None` is for ever.
    pub tombstone_retention: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            back_off_first: Duration::from_secs(2),
            back_off_max: Duration::from_secs(5 * 60),
            debts_per_actor_max: 1_000,
            records_per_turn_max: 10_000,
            children_in_flight_max: 24,
            live_actors_max: 100_000,
            alarm_horizon: Duration::from_secs(60 * 60),
            tombstone_retention: None,
        }
    }
}

impl Limits {
    /// How long to wait after the `failures`th failure in a row: `first * 2^(failures - 1)`,
    /// at most the longest wait.
    pub fn back_off(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        self.back_off_first.saturating_mul(1 << doublings).min(self.back_off_max)
    }

    /// Whether a moment lies further ahead than any back-off reaches: who waits for it began to
    /// before the clock was put back, and has waited long enough.
    pub(crate) fn is_beyond(&self, at: Timestamp, now: Timestamp) -> bool {
        at > now + self.back_off_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_back_off_doubles_from_two_seconds_to_five_minutes() {
        let waits = [1, 2, 3, 7, 8, 9, 1_000].map(|n| Limits::default().back_off(n).as_secs());
        assert_eq!(waits, [2, 4, 8, 128, 256, 300, 300]);
    }
}
