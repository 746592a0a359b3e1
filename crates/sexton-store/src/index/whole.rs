//! What can be read of an index that may be damaged: every whole record, and what stands between.
//!
//! An index that meets damage says so and goes no further. Here reading goes on behind it: where
//! a key begins behind which something can be read again is searched for by halving.
//!
//! ```text
//! start [ whole whole (record) whole | damaged page | whole whole ] end
//!                      told, passed over    told, searched around
//! ```

use std::iter::Peekable;

use sexton_core::Error;
use sexton_core::key::Key;

use super::Index;
use crate::overlay::Records;

/// How often reading begins again behind damage. Chosen: more pages than are damaged where
/// anything is worth reading.
const DETOURS_MAX: usize = 100;
/// The bytes of a key that tell places apart. Chosen: table, kind, status and shard of a row, and
/// some of its id.
const POINT_BYTES: usize = 32;

/// The first bytes of a key.
type Point = [u8; POINT_BYTES];

/// What reading comes upon.
pub(crate) enum Found {
    /// A record that is what was written.
    Whole(Key, Vec<u8>),
    /// One that is not, under this key.
    Damaged(Key, Error),
    /// The way to some records is lost.
    Lost(Error),
}

/// Everything in a range of an index.
pub(crate) struct Whole<'a> {
    index: &'a dyn Index,
    /// The ranges that are to be read, the next one last.
    waiting: Vec<(Key, Key)>,
    range: Option<Peekable<Records<'a>>>,
    /// What is still to be read of the range.
    start: Key,
    end: Key,
    n_detours: usize,
}

impl<'a> Whole<'a> {
    /// The records from `start` (with it) to `end` (without it, empty for no bound).
    pub(crate) fn new(index: &'a dyn Index, start: &[u8], end: &[u8]) -> Self {
        let waiting = vec![(start.to_vec(), end.to_vec())];
        Self { index, waiting, range: None, start: Key::new(), end: Key::new(), n_detours: 0 }
    }

    /// Only what is whole, in order.
    pub(crate) fn records(self) -> Records<'a> {
        Box::new(self.filter_map(|found| match found {
            Found::Whole(key, value) => Some(Ok((key, Ok(value)))),
            Found::Damaged(..) | Found::Lost(_) => None,
        }))
    }

    /// Goes on with the next range; `None` if that was the last.
    fn begin(&mut self) -> Option<Result<(), Error>> {
        (self.start, self.end) = self.waiting.pop()?;
        let begun = begin(self.index, &self.start, &self.end);
        Some(begun.map(|range| self.range = Some(range)))
    }

    /// Finds what can be read before and behind a place in what is left of the range.
    fn go_around(&mut self) {
        self.range = None;
        self.n_detours += 1;
        if self.n_detours > DETOURS_MAX {
            self.waiting.clear();
            return;
        }
        let (start, end) = (self.start.clone(), self.end.clone());
        let low = point(&start);
        let high = if end.is_empty() { [u8::MAX; POINT_BYTES] } else { point(&end) };
        let is_lost_from = |at: &Point| begin(self.index, at, &end).is_err();
        let behind = (!is_lost_from(&high)).then(|| halve(low, high, is_lost_from).1);
        let is_read_to = |at: &Point| begin(self.index, &start, at).is_ok();
        let before = is_read_to(&low).then(|| halve(low, high, is_read_to).0);
        if let Some(behind) = behind.filter(|behind| behind.as_slice() > start.as_slice()) {
            self.waiting.push((behind.to_vec(), end));
        }
        let before = before.filter(|before| behind.is_none_or(|behind| *before < behind));
        if let Some(before) = before.filter(|before| before.as_slice() > start.as_slice()) {
            self.waiting.push((start, before.to_vec()));
        }
    }
}

impl Iterator for Whole<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let Some(range) = &mut self.range else {
                if let Err(error) = self.begin()? {
                    self.go_around();
                    return Some(Found::Lost(error));
                }
                continue;
            };
            match range.next() {
                None => self.range = None,
                Some(Ok((key, Err(error)))) => return Some(Found::Damaged(key, error)),
                // A way that is damaged may lead anywhere.
                Some(Ok((key, Ok(_)))) if key < self.start => {}
                Some(Ok((key, Ok(_)))) if !self.end.is_empty() && key >= self.end => {}
                Some(Ok((key, Ok(value)))) => {
                    self.start = [key.as_slice(), &[0]].concat();
                    return Some(Found::Whole(key, value));
                }
                Some(Err(error)) => {
                    self.go_around();
                    return Some(Found::Lost(error));
                }
            }
        }
    }
}

/// A range of which at least the first record can be reached.
fn begin<'a>(
    index: &'a dyn Index,
    start: &[u8],
    end: &[u8],
) -> Result<Peekable<Records<'a>>, Error> {
    let mut range = index.range(start, end)?.peekable();
    match range.next_if(Result::is_err) {
        Some(Err(error)) => Err(error),
        Some(Ok(_)) | None => Ok(range),
    }
}

fn point(key: &[u8]) -> Point {
    let mut point = [0; POINT_BYTES];
    for (to, from) in point.iter_mut().zip(key) {
        *to = *from;
    }
    point
}

/// The last point that is low and the first that is not, where all low ones lie below the others.
fn halve(mut low: Point, mut high: Point, is_low: impl Fn(&Point) -> bool) -> (Point, Point) {
    loop {
        let middle = middle(&low, &high);
        if middle == low || middle == high {
            return (low, high);
        }
        if is_low(&middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// The number in the middle of two, rounded down.
fn middle(low: &Point, high: &Point) -> Point {
    let mut sum = [0_u16; POINT_BYTES];
    let mut carry = 0;
    for (at, (low, high)) in sum.iter_mut().zip(low.iter().zip(high)).rev() {
        let digit = u16::from(*low) + u16::from(*high) + carry;
        (*at, carry) = (digit % 256, digit / 256);
    }
    let mut half = [0; POINT_BYTES];
    for (at, digit) in half.iter_mut().zip(sum) {
        let rest = carry * 256 + digit;
        *at = u8::try_from(rest / 2).unwrap_or(u8::MAX);
        carry = rest % 2;
    }
    half
}

#[cfg(test)]
mod tests {
    use sexton_core::ErrorKind;

    use super::super::Checkpoint;
    use super::*;
    use crate::overlay::Overlay;

    /// Numbers below a hundred; those between the bounds lie in a page that cannot be read, and
    /// neither can a range that ends in it. Number 7 is damaged.
    #[derive(Debug)]
    struct Torn(u8, u8);

    impl Torn {
        fn is_lost(&self, at: u8) -> bool {
            (self.0..self.1).contains(&at)
        }
    }

    fn lost() -> Error {
        Error::new(ErrorKind::Corrupt, "lost")
    }

    impl Index for Torn {
        fn checkpoint(&self) -> Result<Checkpoint, Error> {
            Ok(Checkpoint::beginning())
        }

        fn apply(&self, _writes: &Overlay, _checkpoint: &Checkpoint) -> Result<(), Error> {
            Ok(())
        }

        fn get(&self, _key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
            Ok(None)
        }

        fn range(&self, start: &[u8], end: &[u8]) -> Result<Records<'_>, Error> {
            let number = |key: &[u8]| key.first().copied().unwrap_or(0);
            let is_behind = start.iter().skip(1).any(|byte| *byte > 0);
            let first = number(start).saturating_add(u8::from(is_behind));
            let last = if end.is_empty() { 99 } else { number(end).min(99) };
            if self.is_lost(last) {
                return Err(lost());
            }
            let ends = end.to_vec();
            let keys = (first..=99).filter(move |at| ends.is_empty() || [*at][..] < ends[..]);
            Ok(Box::new(keys.map(|at| match at {
                at if self.is_lost(at) => Err(lost()),
                7 => Ok((vec![at], Err(lost()))),
                at => Ok((vec![at], Ok(vec![at]))),
            })))
        }

        fn bytes(&self) -> u64 {
            0
        }
    }

    #[test]
    fn everything_around_damage_is_read_in_order_and_the_damage_is_told() {
        for (from, to) in [(20, 30), (0, 10), (5, 6), (90, 100), (0, 100), (50, 50)] {
            let torn = Torn(from, to);
            let (mut whole, mut damaged, mut n_lost) = (Vec::new(), Vec::new(), 0);
            for found in Whole::new(&torn, b"", b"") {
                match found {
                    Found::Whole(key, _) => whole.extend(key),
                    Found::Damaged(key, _) => damaged.extend(key),
                    Found::Lost(_) => n_lost += 1,
                }
            }
            let expected: Vec<u8> = (0..100).filter(|at| !torn.is_lost(*at) && *at != 7).collect();
            assert_eq!(whole, expected, "{from} to {to}");
            assert_eq!(n_lost > 0, from < to, "{from} to {to}: {n_lost}");
            damaged.dedup();
            assert_eq!(damaged.is_empty(), torn.is_lost(7), "{from} to {to}");
        }
        let part = Whole::new(&Torn(20, 30), &[10], &[40]).records().map(|it| it.unwrap().0[0]);
        let part: Vec<u8> = part.collect();
        assert_eq!(part, (10..20).chain(30..40).collect::<Vec<u8>>());
    }

    #[test]
    fn the_middle_is_between() {
        let of = |last: u8| point(&[vec![1; 31], vec![last]].concat());
        assert_eq!(middle(&of(4), &of(9)), of(6));
        assert_eq!(middle(&[0; POINT_BYTES], &[255; POINT_BYTES])[..2], [127, 255]);
    }
}
