//! Chance from a seed: the one source of everything that a simulation decides.

/// Numbers from a seed; the same seed gives the same numbers on every machine.
///
/// # Algorithm
///
/// `SplitMix64` (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014): one
/// addition and one mixing a number, and every seed is as good as any other. Not for secrets.
///
/// # Example
///
/// ```
/// use sexton_sim::Chance;
///
/// let (mut one, mut other) = (Chance::new(7), Chance::new(7));
/// assert_eq!(one.below(100), other.below(100));
/// ```
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Chance from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number: any.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound.max(1)
    }

    /// True in so many of a thousand cases.
    pub fn is(&mut self, per_thousand: u64) -> bool {
        self.below(1_000) < per_thousand
    }

    /// One of these, all alike; `None` if there are none.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let n = u64::try_from(of.len()).unwrap_or(u64::MAX);
        of.get(usize::try_from(self.below(n)).unwrap_or(0))
    }

    /// An index into so many things.
    pub fn index(&mut self, n: usize) -> usize {
        usize::try_from(self.below(u64::try_from(n).unwrap_or(u64::MAX))).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_numbers_are_those_of_the_paper() {
        // From the reference implementation with seed 1234567.
        let mut chance = Chance::new(1_234_567);
        assert_eq!(chance.draw(), 6_457_827_717_110_365_317);
        assert_eq!(chance.draw(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn bounds_hold_and_rates_are_about_right() {
        let mut chance = Chance::new(1);
        assert!((0..1_000).all(|_| chance.below(7) < 7));
        let hits = (0..10_000).filter(|_| chance.is(100)).count();
        assert!((900..1_100).contains(&hits), "{hits}");
        assert_eq!((chance.below(0), chance.pick::<u8>(&[])), (0, None));
    }
}
