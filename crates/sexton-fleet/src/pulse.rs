//! When something was heard last, without telling everybody at every beat.
//!
//! The deadline is shown as of the last look, so a row does not change with every heartbeat; the
//! look itself, when that deadline comes, uses the last beat, so nothing is judged too early.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton_core::Timestamp;

/// The last beat, and the beat by which the next look was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pulse {
    last: Timestamp,
    shown: Timestamp,
}

impl Pulse {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { last: now, shown: now }
    }

    /// It was heard.
    pub(crate) fn beat(&mut self, now: Timestamp) {
        self.last = self.last.max(now);
    }

    /// When to look whether it has been silent for `bound`: never later than it could be.
    pub(crate) fn due(self, bound: Duration) -> Timestamp {
        self.shown + bound
    }

    /// Looks: whether it has been silent for `bound`. If not, the next look is set.
    pub(crate) fn is_silent(&mut self, now: Timestamp, bound: Duration) -> bool {
        self.shown = self.last;
        self.last + bound <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_moves_no_deadline_and_saves_from_silence_until_its_own_bound() {
        let at = Timestamp::from_millis;
        let bound = Duration::from_millis(100);
        let mut pulse = Pulse::new(at(0));
        pulse.beat(at(60));
        assert_eq!(pulse.due(bound), at(100));
        assert!(!pulse.is_silent(at(100), bound));
        assert_eq!(pulse.due(bound), at(160));
        assert!(pulse.is_silent(at(160), bound));
    }
}
