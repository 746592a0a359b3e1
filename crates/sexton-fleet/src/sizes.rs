//! Sizes by word: what `small`, `medium` and `large` are at the provider, and what is smaller.

use crate::policy::Policy;

/// The words, largest first.
const WORDS: [&str; 3] = ["large", "medium", "small"];

impl Policy {
    /// The provider's name of a size; what is no word of ours is such a name already.
    ///
    /// # Example
    ///
    /// ```
    /// use sexton_fleet::policy::Policy;
    ///
    /// let policy = Policy::default();
    /// assert_eq!(policy.server_type("small"), policy.size_small);
    /// assert_eq!(policy.server_type("cpx31"), "cpx31");
    /// ```
    pub fn server_type<'a>(&'a self, size: &'a str) -> &'a str {
        match size {
            "large" => &self.size_large,
            "medium" => &self.size_medium,
            "small" => &self.size_small,
            named => named,
        }
    }

    /// How many sizes there are below the one that is taken where nobody named one.
    pub fn sizes_below_default(&self) -> u32 {
        let at = WORDS.iter().rposition(|word| *word == self.default_size);
        let below = at.map_or(0, |at| WORDS.len() - 1 - at);
        u32::try_from(below).unwrap_or(0)
    }

    /// The size that is taken where nobody named one, so many sizes smaller; never below the
    /// smallest.
    pub fn default_type(&self, smaller: u32) -> &str {
        let smaller = usize::try_from(smaller.min(self.sizes_below_default())).unwrap_or(0);
        let at = WORDS.iter().position(|word| *word == self.default_size);
        self.server_type(at.map_or(self.default_size.as_str(), |at| WORDS[at + smaller]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_that_is_a_word_has_smaller_ones_and_a_name_has_none() {
        let with = |size: &str| Policy { default_size: size.to_owned(), ..Policy::default() };
        let types = |size: &str| [0, 1, 2, 3].map(|n| with(size).default_type(n).to_owned());
        assert_eq!(types("large"), ["cx42", "cx32", "cx22", "cx22"]);
        assert_eq!(types("medium"), ["cx32", "cx22", "cx22", "cx22"]);
        assert_eq!(types("cpx31"), ["cpx31", "cpx31", "cpx31", "cpx31"]);
        assert_eq!(["large", "small", "cpx31"].map(|it| with(it).sizes_below_default()), [2, 0, 0]);
    }
}
