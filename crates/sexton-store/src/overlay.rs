//! What the index does not hold yet: the latest write to each key, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::ops::Bound;

use sexton_core::key::Key;
use sexton_core::{Error, Write};

/// What a key costs beside its bytes: two vectors, their allocations, its share of the tree's nodes.
/// Chosen: a little above what was measured.
const ENTRY_BYTES: usize = 128;

/// The latest write to each key.
///
/// What is written and what is taken away lie apart: most records that were taken away were never
/// in an index (mail that was read, rows under an earlier status), and whoever reads a range would
/// have to walk past all of them.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    /// By what keys begin with, which is their shard: trees of some dozen keys are walked faster
    /// than one of a million, whose every comparison waits for the memory.
    shards: BTreeMap<u16, Shard>,
    bytes: usize,
}

/// The writes of one shard; no key is in both.
#[derive(Debug, Default)]
struct Shard {
    written: BTreeMap<Key, Vec<u8>>,
    taken: BTreeSet<Key>,
}

/// The latest write to a key: its value, or that it was taken away.
pub(crate) type Latest<'a> = Option<&'a [u8]>;

/// What a key begins with; the order of these is that of the keys.
fn beginning(key: &[u8]) -> u16 {
    u16::from_be_bytes([key.first(), key.get(1)].map(|byte| byte.copied().unwrap_or(0)))
}

impl Overlay {
    /// Takes a write; it hides every earlier one to its key.
    pub(crate) fn put(&mut self, write: Write) {
        let Write { key, value } = write;
        let fixed = key.len() + ENTRY_BYTES;
        let shard = self.shards.entry(beginning(&key)).or_default();
        let is_new = match value {
            Some(value) => {
                self.bytes += value.len();
                // Looked for first, so that a key that is written again is found in one tree.
                if let Some(place) = shard.written.get_mut(&key) {
                    self.bytes -= std::mem::replace(place, value).len();
                    false
                } else {
                    let was_taken = shard.taken.remove(&key);
                    shard.written.insert(key, value);
                    !was_taken
                }
            }
            None => match shard.written.remove(&key) {
                Some(earlier) => {
                    self.bytes -= earlier.len();
                    shard.taken.insert(key);
                    false
                }
                None => shard.taken.insert(key),
            },
        };
        self.bytes += if is_new { fixed } else { 0 };
    }

    /// The latest write to a key, if it has one.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Latest<'_>> {
        let shard = self.shards.get(&beginning(key))?;
        let value = shard.written.get(key).map(Vec::as_slice);
        (value.is_some() || shard.taken.contains(key)).then_some(value)
    }

    fn has_taken(&self, key: &[u8]) -> bool {
        self.shards.get(&beginning(key)).is_some_and(|shard| shard.taken.contains(key))
    }

    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// All writes in order of keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, Latest<'_>)> {
        self.shards.values().flat_map(|shard| {
            let written = shard.written.iter().map(|(key, value)| (key, Some(value.as_slice())));
            let mut writes: Vec<_> =
                written.chain(shard.taken.iter().map(|key| (key, None))).collect();
            writes.sort_unstable_by_key(|(key, _)| *key);
            writes
        })
    }

    /// The writes from `start` (with it) to `end` (without it, empty for no bound).
    pub(crate) fn range<'a>(&'a self, start: &[u8], end: &[u8]) -> Layer<'a> {
        Layer { overlay: self, written: self.written(start, end).peekable() }
    }

    fn written<'a>(&'a self, start: &[u8], end: &[u8]) -> Values<'a> {
        if is_empty_range(start, end) {
            return Box::new(std::iter::empty());
        }
        let last = if end.is_empty() { u16::MAX } else { beginning(end) };
        let shards = self.shards.range(beginning(start)..=last);
        let (start, end) = (Key::from(start), Key::from(end));
        let range = shards.flat_map(move |(_, shard)| {
            shard.written.range::<[u8], _>((Bound::Included(start.as_slice()), end_bound(&end)))
        });
        Box::new(range.map(|(key, value)| (key.as_slice(), value.as_slice())))
    }
}

type Values<'a> = Box<dyn Iterator<Item = (&'a [u8], &'a [u8])> + 'a>;

/// The writes of one overlay within a range: what was written, in order, and what was taken away
/// to ask for.
pub(crate) struct Layer<'a> {
    overlay: &'a Overlay,
    written: Peekable<Values<'a>>,
}

impl<'a> Layer<'a> {
    fn key(&mut self) -> Option<&'a [u8]> {
        self.written.peek().map(|(key, _)| *key)
    }

    /// Its write to a key that no earlier one lies before; moves past it.
    fn pop(&mut self, key: &[u8]) -> Option<Latest<'a>> {
        match self.written.next_if(|(at, _)| *at == key) {
            Some((_, value)) => Some(Some(value)),
            None => self.overlay.has_taken(key).then_some(None),
        }
    }
}

/// Records of an index within a range, in order. A value may be an error of its own, which
/// matters only if no layer hides it: what is hidden may be about to change.
pub(crate) type Records<'a> = Box<dyn Iterator<Item = Result<Record, Error>> + 'a>;

/// A key and, if it can be read, its value.
pub(crate) type Record = (Key, Result<Vec<u8>, Error>);

/// The end of a range as a bound.
pub(crate) fn end_bound(end: &[u8]) -> Bound<&[u8]> {
    if end.is_empty() { Bound::Unbounded } else { Bound::Excluded(end) }
}

/// Whether nothing lies between the two.
pub(crate) fn is_empty_range(start: &[u8], end: &[u8]) -> bool {
    !end.is_empty() && end <= start
}

/// Layers above an index as one sequence of records: an earlier layer hides later ones and the
/// index, and what was taken away is not there.
pub(crate) struct Merge<'a> {
    layers: Vec<Layer<'a>>,
    records: Peekable<Records<'a>>,
}

impl<'a> Merge<'a> {
    /// Merges layers, the newest first, with what lies below them.
    pub(crate) fn new(layers: Vec<Layer<'a>>, records: Records<'a>) -> Self {
        Self { layers, records: records.peekable() }
    }

    /// The smallest key that a layer has written.
    fn key(&mut self) -> Option<&'a [u8]> {
        self.layers.iter_mut().filter_map(Layer::key).min()
    }

    /// The newest write to a key, if any layer has one; moves all of them past it.
    fn pop(&mut self, key: &[u8]) -> Option<Latest<'a>> {
        let mut newest = None;
        for layer in &mut self.layers {
            let write = layer.pop(key);
            newest = newest.or(write);
        }
        newest
    }
}

impl Iterator for Merge<'_> {
    type Item = Result<(Key, Vec<u8>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let above = self.key();
            let is_below_first = self.records.peek().is_some_and(|record| match record {
                Ok((below, _)) => above.is_none_or(|above| below.as_slice() <= above),
                Err(_) => true,
            });
            if is_below_first {
                let (key, value) = match self.records.next()? {
                    Ok(record) => record,
                    Err(error) => return Some(Err(error)),
                };
                // What a layer hides may be damaged: it is about to change.
                match self.pop(&key) {
                    Some(Some(newer)) => return Some(Ok((key, newer.to_vec()))),
                    Some(None) => {}
                    None => return Some(value.map(|value| (key, value))),
                }
            } else {
                let key = above?;
                if let Some(Some(value)) = self.pop(key) {
                    return Some(Ok((key.to_vec(), value.to_vec())));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlay(writes: &[(&str, Option<&str>)]) -> Overlay {
        let mut overlay = Overlay::default();
        for (key, value) in writes {
            let value = value.map(|value| value.as_bytes().to_vec());
            overlay.put(Write { key: key.as_bytes().to_vec(), value });
        }
        overlay
    }

    #[test]
    fn newer_layers_hide_older_ones_and_deletions_hide_records() {
        let newest = overlay(&[("a", None), ("c", Some("new")), ("f", Some("f"))]);
        let frozen = overlay(&[("a", Some("old")), ("b", Some("b")), ("c", None), ("e", None)]);
        let below = [("b", "gone"), ("c", "gone"), ("d", "d"), ("e", "gone"), ("g", "g")];
        let below = below.map(|(k, v)| Ok((k.as_bytes().to_vec(), Ok(v.as_bytes().to_vec()))));
        let layers = vec![newest.range(b"", b""), frozen.range(b"", b"")];
        let merged = Merge::new(layers, Box::new(below.into_iter()));
        let texts: Vec<_> = merged
            .map(|it| it.unwrap())
            .map(|(k, v)| {
                format!("{}={}", String::from_utf8_lossy(&k), String::from_utf8_lossy(&v))
            })
            .collect();
        assert_eq!(texts, ["b=b", "c=new", "d=d", "f=f", "g=g"]);
    }

    #[test]
    fn the_size_is_that_of_what_is_kept() {
        let mut one = overlay(&[("a", Some("12345"))]);
        let bytes = one.bytes();
        one.put(Write { key: b"a".to_vec(), value: None });
        assert_eq!(one.bytes(), bytes - 5);
        one.put(Write { key: b"a".to_vec(), value: Some(b"12345".to_vec()) });
        one.put(Write { key: b"a".to_vec(), value: Some(b"54321".to_vec()) });
        assert_eq!(one.bytes(), bytes);
    }

    #[test]
    fn all_writes_come_in_order_with_what_was_taken_away() {
        let one = overlay(&[("aac", None), ("aab", Some("b")), ("b", Some("x")), ("aaa", None)]);
        let keys: Vec<_> =
            one.iter().map(|(key, value)| (key.as_slice(), value.is_some())).collect();
        let expected: [(&[u8], bool); 4] =
            [(b"aaa", false), (b"aab", true), (b"aac", false), (b"b", true)];
        assert_eq!(keys, expected);
        assert_eq!(one.get(b"aac"), Some(None));
        assert_eq!(one.get(b"aad"), None);
    }
}
