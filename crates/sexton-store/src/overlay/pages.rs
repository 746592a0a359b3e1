//! Where the bytes of an overlay lie: memory that is taken piece by piece and given back as a whole.
//!
//! An allocation for each key and each value costs more than writing them: they are given back by
//! another thread than took them, in another order, and leave holes that the allocator has to
//! search when it is asked for the next.

use super::Latest;

/// How much memory is taken at a time. Chosen: a thousand records. What is larger gets its own; what
/// is left of a page is always less than what did not fit.
const PAGE_BYTES: usize = 256 << 10;

/// Keys and their values, each value behind its key.
#[derive(Debug, Default)]
pub(super) struct Pages {
    pages: Vec<Vec<u8>>,
    /// How much of them is in use, or was: what a value that grew leaves stays taken.
    pub(super) bytes: usize,
}

/// Where a key and its latest value lie: half a cache line, for tables are looked into at random.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// Of its key. A table that grows asks all of its slots for it, and their keys lie anywhere.
    pub(super) hash: u64,
    page: u32,
    at: u32,
    key: u32,
    /// The length of the value, or [`NONE`] if the key was taken away.
    value: u32,
    /// How long a value may be to take the place of this one.
    room: u32,
}

/// Longer than any value.
const NONE: u32 = u32::MAX;

/// A length as it stands in a slot: a record has at most a few times eight mebibytes (G14), and an
/// overlay a few gigabytes.
fn short(length: usize) -> u32 {
    u32::try_from(length).expect("a record is short, and so is an overlay")
}

fn long(length: u32) -> usize {
    usize::try_from(length).expect("there is memory for it")
}

impl Slot {
    /// Whether the latest write to its key was a value.
    pub(super) fn has_value(&self) -> bool {
        self.value != NONE
    }

    fn value_at(&self) -> usize {
        long(self.at) + long(self.key)
    }
}

impl Pages {
    /// A place for a key of this hash and its latest write, with room for a value that is longer by
    /// `spare`.
    pub(super) fn add(&mut self, of: (u64, &[u8]), value: Latest<'_>, spare: usize) -> Slot {
        let (hash, key) = of;
        let room = value.map_or(0, <[u8]>::len) + spare;
        let needed = key.len() + room;
        let is_room = self.pages.last().is_some_and(|it| it.capacity() - it.len() >= needed);
        if !is_room {
            self.pages.push(Vec::with_capacity(needed.max(PAGE_BYTES)));
        }
        let page = self.pages.len() - 1;
        let bytes = &mut self.pages[page];
        let at = bytes.len();
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value.unwrap_or_default());
        bytes.resize(at + needed, 0);
        self.bytes += needed;
        let (page, at, key, room) = (short(page), short(at), short(key.len()), short(room));
        Slot { hash, page, at, key, value: value.map_or(NONE, |it| short(it.len())), room }
    }

    /// Puts the latest write to a key where the earlier one was, or where there is room for it.
    pub(super) fn renew(&mut self, slot: &mut Slot, key: &[u8], value: Latest<'_>) {
        let length = value.map_or(0, <[u8]>::len);
        if length > long(slot.room) {
            // A state that grows with each turn must not leave a copy of itself with each.
            *slot = self.add((slot.hash, key), value, length / 4);
            return;
        }
        let start = slot.value_at();
        let page = &mut self.pages[long(slot.page)];
        page[start..start + length].copy_from_slice(value.unwrap_or_default());
        slot.value = value.map_or(NONE, |_| short(length));
    }

    /// The key of a slot.
    pub(super) fn key(&self, slot: &Slot) -> &[u8] {
        &self.pages[long(slot.page)][long(slot.at)..slot.value_at()]
    }

    /// The latest write to the key of a slot.
    pub(super) fn latest(&self, slot: &Slot) -> Latest<'_> {
        let start = slot.value_at();
        let value = || &self.pages[long(slot.page)][start..start + long(slot.value)];
        slot.has_value().then(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen to fail where a value is looked for at the place of its key.
    #[test]
    fn values_lie_behind_their_keys_however_long_they_are() {
        let mut pages = Pages::default();
        let lengths = [0, 1, 100, PAGE_BYTES - 10, PAGE_BYTES, 3 * PAGE_BYTES, 7];
        let slots: Vec<_> = lengths
            .iter()
            .map(|n| (n, pages.add((0, n.to_string().as_bytes()), Some(&vec![1; *n]), 0)))
            .collect();
        for (n, slot) in slots {
            assert_eq!(pages.key(&slot), n.to_string().as_bytes());
            assert_eq!(pages.latest(&slot), Some(vec![1; *n].as_slice()));
        }
    }

    /// Seen to fail without spare room.
    #[test]
    fn a_value_that_grows_leaves_few_copies() {
        let mut pages = Pages::default();
        let mut slot = pages.add((0, b"key"), None, 0);
        for n in 0..10_000 {
            pages.renew(&mut slot, b"key", Some(&vec![2; n]));
            assert_eq!(pages.latest(&slot), Some(vec![2; n].as_slice()));
            assert_eq!(pages.key(&slot), b"key");
        }
        assert!(pages.bytes < 10 * 10_000, "{} bytes", pages.bytes);
    }

    /// Seen to fail where what was taken away gives up its room.
    #[test]
    fn what_was_taken_away_leaves_its_room() {
        let mut pages = Pages::default();
        let mut slot = pages.add((0, b"key"), Some(b"12345"), 0);
        let bytes = pages.bytes;
        for value in [None, Some(&b"123"[..]), None, Some(b"54321"), Some(b"")] {
            pages.renew(&mut slot, b"key", value);
            assert_eq!(pages.latest(&slot), value);
        }
        assert_eq!(pages.bytes, bytes);
    }
}
