//! Chance without randomness: a number is a function of the seed and of what it is for.

use std::time::Duration;

/// Draws for one thing: the same seed, token and purpose always give the same number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chance {
    state: u64,
}

impl Chance {
    pub(super) fn new(seed: u64, token: &str, salt: u64) -> Self {
        let mut state = mix(seed ^ 0x9e37_79b9_7f4a_7c15);
        for byte in token.bytes() {
            state = mix(state ^ u64::from(byte));
        }
        Self { state: mix(state ^ salt) }
    }

    /// A number for this purpose.
    pub(super) fn draw(self, purpose: &str) -> u64 {
        purpose.bytes().fold(self.state, |state, byte| mix(state ^ u64::from(byte)))
    }

    /// A duration of at least `min_ms` and less than `max_ms`.
    pub(super) fn between(self, purpose: &str, min_ms: u64, max_ms: u64) -> Duration {
        Duration::from_millis(min_ms + self.draw(purpose) % (max_ms - min_ms))
    }

    /// Whether it is one of so many per thousand.
    pub(super) fn is_one_of(self, purpose: &str, per_thousand: u64) -> bool {
        self.draw(purpose) % 1_000 < per_thousand
    }
}

/// The finalizer of splitmix64.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_one_in_a_hundred_is_one_in_a_hundred() {
        let hits = (0..10_000).filter(|n| Chance::new(7, "node/n#1", *n).is_one_of("fail", 10));
        assert!((60..140).contains(&hits.count()));
    }

    #[test]
    fn the_same_question_has_the_same_answer() {
        let ask = |seed| Chance::new(seed, "node/n#1", 3).between("create", 10, 60);
        assert_eq!(ask(1), ask(1));
        assert!((0..100).any(|seed| ask(seed) != ask(seed + 1)));
    }
}
