//! Numbers that follow from a seed.

/// Splitmix64 (Steele, Lea and Flood, 2014): tiny, and the same on every machine for ever.
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub(super) const fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub(super) const fn between(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "a range has its lower end first");
        low + self.any() % (high - low + 1)
    }

    /// Whether something happens that does so in `percent` of all cases.
    pub(super) const fn chance(&mut self, percent: u64) -> bool {
        self.between(1, 100) <= percent
    }

    /// One of several words.
    pub(super) fn pick(&mut self, words: &[&'static str]) -> &'static str {
        let last = u64::try_from(words.len() - 1).expect("a list of words is short");
        words[usize::try_from(self.between(0, last)).expect("an index of a short list")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_generator() {
        let mut random = Random::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973];
        assert_eq!([random.any(), random.any()], expected);
    }

    #[test]
    fn both_ends_of_a_range_come_up() {
        let mut random = Random::new(1);
        let seen: std::collections::BTreeSet<u64> =
            (0..200).map(|_| random.between(3, 6)).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [3, 4, 5, 6]);
    }
}
