//! What the index does not hold yet: the latest write to each key, in order.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Bound;

use sexton_core::key::Key;
use sexton_core::{Error, Write};

/// What a key costs beside its bytes: two vectors, their allocations, its share of the tree's nodes.
/// Chosen: a little above what was measured.
const ENTRY_BYTES: usize = 128;

/// The latest write to each key; `None` is a record taken away.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    /// By what keys begin with, which is their shard: trees of some dozen keys are walked faster
    /// than one of a million, whose every comparison waits for the memory.
    shards: BTreeMap<u16, BTreeMap<Key, Option<Vec<u8>>>>,
    bytes: usize,
}

/// What a key begins with; the order of these is that of the keys.
fn beginning(key: &[u8]) -> u16 {
    u16::from_be_bytes([key.first(), key.get(1)].map(|byte| byte.copied().unwrap_or(0)))
}

impl Overlay {
    /// Takes a write; it hides every earlier one to its key.
    pub(crate) fn put(&mut self, write: Write) {
        let size = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
        let fixed = write.key.len() + ENTRY_BYTES;
        self.bytes += size(&write.value);
        let shard = self.shards.entry(beginning(&write.key)).or_default();
        match shard.insert(write.key, write.value) {
            Some(earlier) => self.bytes -= size(&earlier),
            None => self.bytes += fixed,
        }
    }

    /// The latest write to a key, if it has one.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Option<Vec<u8>>> {
        self.shards.get(&beginning(key))?.get(key)
    }

    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// All writes in order of keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Option<Vec<u8>>)> {
        self.shards.values().flatten()
    }

    /// The writes from `start` (with it) to `end` (without it, empty for no bound).
    pub(crate) fn range<'a>(&'a self, start: &[u8], end: &[u8]) -> Layer<'a> {
        if is_empty_range(start, end) {
            return Box::new(std::iter::empty());
        }
        let last = if end.is_empty() { u16::MAX } else { beginning(end) };
        let shards = self.shards.range(beginning(start)..=last);
        let (start, end) = (Key::from(start), Key::from(end));
        let range = shards.flat_map(move |(_, shard)| {
            shard.range::<[u8], _>((Bound::Included(start.as_slice()), end_bound(&end)))
        });
        Box::new(range.map(|(key, value)| (key.as_slice(), value.as_deref())))
    }
}

/// The writes of one overlay within a range.
pub(crate) type Layer<'a> = Box<dyn Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + 'a>;

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
    layers: Vec<Peekable<Layer<'a>>>,
    records: Peekable<Records<'a>>,
}

impl<'a> Merge<'a> {
    /// Merges layers, the newest first, with what lies below them.
    pub(crate) fn new(layers: Vec<Layer<'a>>, records: Records<'a>) -> Self {
        let layers = layers.into_iter().map(Iterator::peekable).collect();
        Self { layers, records: records.peekable() }
    }

    /// The smallest key at the front of a layer, with its newest write; moves all layers past it.
    fn pop_layers(&mut self) -> Option<(&'a [u8], Option<&'a [u8]>)> {
        let key = self.layers.iter_mut().filter_map(|it| it.peek().map(|(key, _)| *key)).min()?;
        let mut newest = None;
        for layer in &mut self.layers {
            if let Some((_, value)) = layer.next_if(|(at, _)| *at == key) {
                newest = newest.or(Some(value));
            }
        }
        Some((key, newest.flatten()))
    }

    fn pop_record(&mut self) -> Option<Result<(Key, Vec<u8>), Error>> {
        self.records.next().map(|it| it.and_then(|(key, value)| Ok((key, value?))))
    }

    fn layers_key(&mut self) -> Option<&'a [u8]> {
        self.layers.iter_mut().filter_map(|it| it.peek().map(|(key, _)| *key)).min()
    }
}

impl Iterator for Merge<'_> {
    type Item = Result<(Key, Vec<u8>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let above = self.layers_key();
            let below = match self.records.peek() {
                Some(Ok((key, _))) => Some(key.as_slice()),
                Some(Err(_)) => return self.pop_record(),
                None => None,
            };
            match (above, below) {
                (None, _) => return self.pop_record(),
                (Some(above), Some(below)) if below < above => return self.pop_record(),
                (Some(above), below) => {
                    if below == Some(above) {
                        drop(self.records.next());
                    }
                    if let Some((key, Some(value))) = self.pop_layers() {
                        return Some(Ok((key.to_vec(), value.to_vec())));
                    }
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
    }
}
