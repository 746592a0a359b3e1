//! A limit on what waits: callers take places, and whoever answers them gives the places back.
//!
//! Each side counts up on its own cache line. One counter for both would go from core to core twice
//! for every call.

use std::sync::atomic::{AtomicU64, Ordering};

/// Keeps what one thread writes off the cache line of what others do. 128 bytes: lines have 64, and
/// are fetched in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Apart<T>(pub(crate) T);

/// So many places.
#[derive(Debug)]
pub(crate) struct Places {
    max: usize,
    callers: Apart<Callers>,
    /// Places that were ever given back.
    given_back: Apart<AtomicU64>,
}

/// What callers count.
#[derive(Debug, Default)]
struct Callers {
    /// Places that were ever taken.
    taken: AtomicU64,
    /// At least so many were given back, when somebody looked.
    given_back: AtomicU64,
}

impl Places {
    /// None of them is taken.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, callers: Apart::default(), given_back: Apart::default() }
    }

    /// How many there are.
    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// Takes a place if one is free.
    pub(crate) fn take(&self) -> bool {
        let max = u64::try_from(self.max).unwrap_or(u64::MAX);
        let Callers { taken, given_back } = &self.callers.0;
        // Both only grow: what was seen given back is no more than what is. If it is more than `n`,
        // then others took places since `n` was read, and it is read again.
        let one_more = |n: u64| {
            if n.saturating_sub(given_back.load(Ordering::Relaxed)) < max {
                return Some(n + 1);
            }
            let now = self.given_back.0.load(Ordering::Acquire);
            given_back.store(now, Ordering::Relaxed);
            (n.saturating_sub(now) < max).then_some(n + 1)
        };
        taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).is_ok()
    }

    /// Gives a place back.
    pub(crate) fn give_back(&self) {
        self.given_back.0.fetch_add(1, Ordering::AcqRel);
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        // In this order: what is given back was taken before.
        let given_back = self.given_back.0.load(Ordering::Acquire);
        let taken = self.callers.0.taken.load(Ordering::Acquire) - given_back;
        usize::try_from(taken).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Seen to fail where `take` trusts what was given back when nobody looked again.
    #[test]
    fn a_place_is_taken_again_once_it_was_given_back() {
        let places = Places::new(2);
        assert_eq!([1, 2, 3].map(|_| places.take()), [true, true, false]);
        places.give_back();
        assert_eq!(places.taken(), 1);
        assert_eq!([1, 2].map(|_| places.take()), [true, false]);
    }

    /// Seen to fail where `take` adds one without comparing.
    #[test]
    fn however_many_threads_take_there_are_never_more_than_the_limit() {
        const MAX: usize = 3;
        let (places, inside) = (Places::new(MAX), AtomicUsize::new(0));
        let go_in_and_out = || {
            for _ in 0..20_000 {
                if places.take() {
                    assert!(inside.fetch_add(1, Ordering::AcqRel) < MAX);
                    inside.fetch_sub(1, Ordering::AcqRel);
                    places.give_back();
                }
            }
        };
        // A panic in one of them is this test's.
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(go_in_and_out);
            }
        });
        assert_eq!(places.taken(), 0);
    }
}
