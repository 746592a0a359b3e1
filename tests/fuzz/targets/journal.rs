//! The journal of a store: segments of any bytes, read by three readers and by a fourth of our own.
//!
//! The fourth follows `docs/format.md` and shares no code with the store. Where it reads a journal
//! to its end, the store must open with just these records; where it finds damage, no reader of the
//! store may be content.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sexton::key;
use sexton::{ErrorKind, Store};
use sexton_cli::args::{InspectArgs, Question};
use sexton_store::{EmbeddedStore, Options, ReadOnlyStore, Sizes, inspect};
use tempfile::TempDir;

use crate::input::{Input, says_why};

/// The bytes of a segment's head.
pub const HEAD_BYTES: usize = 64;
/// The bytes of a frame's head.
pub const FRAME_BYTES: usize = 32;
/// The most segments of an input.
const SEGMENTS_MAX: usize = 4;
const SHARDS: u16 = 4_096;

/// Reads the bytes as the segments of a journal whose index has not begun.
///
/// The first byte says whether lengths and checksums are put right before, so that what they
/// guard is looked at as well.
pub fn journal(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let mode = input.byte();
    let mut segments = Vec::new();
    while !input.is_empty() && segments.len() < SEGMENTS_MAX {
        let mut segment = input.piece().to_vec();
        if mode % 2 == 1 {
            repair(&mut segment);
        }
        segments.push(segment);
    }
    let place = tempfile::tempdir().expect("a place");
    let store = store_of(&place, &segments);
    let expected = read(&segments);
    let is_read = readers(&store, expected.as_ref());
    if mode % 8 < 2 || is_read {
        writer(&store, expected.as_ref());
    }
    is_read
}

/// A directory of a store with these segments in its journal, and an index at the beginning.
fn store_of(place: &TempDir, segments: &[Vec<u8>]) -> std::path::PathBuf {
    let path = place.path().join("store");
    drop(EmbeddedStore::open(&path, &options()).expect("an empty place"));
    let journal = path.join("journal");
    for entry in fs::read_dir(&journal).expect("there") {
        fs::remove_file(entry.expect("an entry").path()).expect("ours");
    }
    for (generation, segment) in (1..).zip(segments) {
        fs::write(journal.join(format!("journal-{generation:010}")), segment).expect("ours");
    }
    path
}

/// So small that a journal goes on to further segments, and nothing goes to the index.
pub fn sizes() -> Sizes {
    Sizes { overlay_bytes: 1 << 20, journal_bytes: 1 << 20, segment_bytes: 4_096 }
}

fn options() -> Options {
    Options { sizes: sizes(), ..Options::default() }
}

/// The readers that change nothing.
fn readers(path: &Path, expected: Option<&Content>) -> bool {
    let opened = ReadOnlyStore::open(path);
    let inspected = inspect(path).expect("there is a store");
    let is_read = opened.is_ok();
    match &opened {
        Ok(store) => {
            let found = content(store);
            let expected = expected.expect("read to its end, and damaged");
            assert_eq!(&found, expected, "the reader has read something else");
            assert!(inspected.damage.is_empty(), "{:?}", inspected.damage);
        }
        Err(error) => {
            says_why(error);
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(error.to_string().contains("journal"), "{error} does not name a file");
            assert!(expected.is_none(), "{error}, and a journal that is whole");
            assert!(!inspected.damage.is_empty(), "{error}, and nothing is damaged");
        }
    }
    let (store, json, question) = (path.to_owned(), true, Some(Question::Verify));
    let args = InspectArgs { store, json, question };
    let mut out = Vec::new();
    // Whatever keys and records are in it: it is told, and nothing else happens.
    let told = sexton_cli::inspect::run(&args, &mut out, false);
    assert!(told.is_ok() && !out.is_empty(), "{told:?}");
    is_read
}

/// The store itself, which goes on from what it read.
fn writer(path: &Path, expected: Option<&Content>) {
    let opened = EmbeddedStore::open(path, &options());
    let store = match opened {
        Ok(store) => store,
        Err(error) => {
            says_why(&error);
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(expected.is_none(), "{error}, and a journal that is whole");
            return;
        }
    };
    let expected = expected.expect("it opens on a journal that is damaged");
    assert_eq!(&content(&store), expected, "the store has read something else");
    store.flush().expect("a disk");
    if store.close().is_ok() {
        drop(store);
        let again = EmbeddedStore::open(path, &options()).expect("it was closed");
        assert_eq!(&content(&again), expected, "closed and opened it is another");
    }
}

/// The records, and from where to where the log reaches.
type Content = (BTreeMap<Vec<u8>, Vec<u8>>, u64, u64);

fn content(store: &dyn Store) -> Content {
    let records = store.scan(b"", b"", usize::MAX).expect("readable");
    let bounds = store.log().expect("readable");
    (records.into_iter().collect(), bounds.begin.0, bounds.end.0)
}

/// Writes lengths and checksums into a segment that make its head and its frames check.
pub fn repair(segment: &mut [u8]) {
    let bytes = u64::try_from(segment.len()).unwrap_or(0);
    let Some(head) = segment.get_mut(..HEAD_BYTES) else { return };
    head[32..40].copy_from_slice(&bytes.to_le_bytes());
    head[12..16].fill(0);
    let sum = crc32fast::hash(head);
    head[12..16].copy_from_slice(&sum.to_le_bytes());
    let mut at = HEAD_BYTES;
    while let Some(frame) = segment.get_mut(at..).filter(|it| it.len() >= FRAME_BYTES) {
        let length = usize::try_from(number(frame, 4, 4)).unwrap_or(usize::MAX);
        let Some(end) = FRAME_BYTES.checked_add(length).filter(|end| *end <= frame.len()) else {
            return;
        };
        if length == 0 && frame[..FRAME_BYTES].iter().all(|byte| *byte == 0) {
            return;
        }
        let sum = frame_sum(&frame[..end]);
        frame[28..32].copy_from_slice(&sum.to_le_bytes());
        at += end.next_multiple_of(8);
    }
}

fn frame_sum(frame: &[u8]) -> u32 {
    crc32fast::hash(&[&frame[..28], &frame[FRAME_BYTES..]].concat())
}

/// A number of so many bytes; zero where there are none.
fn number(bytes: &[u8], at: usize, count: usize) -> u64 {
    let mut number = [0; 8];
    if let Some(found) = bytes.get(at..at + count) {
        number[..count].copy_from_slice(found);
    }
    u64::from_le_bytes(number)
}

/// The journal by the rules of the page; `None` if it is damaged.
fn read(segments: &[Vec<u8>]) -> Option<Content> {
    let mut content = Content::default();
    let heads: Option<Vec<u64>> = (1..).zip(segments).map(|(n, it)| first_of(n, it)).collect();
    let heads = heads?;
    // Reading begins in the last segment whose first position is at most one.
    let begin = heads.iter().rposition(|first| *first <= 1)?;
    let mut reached = 0;
    for index in begin..segments.len() {
        if heads[index] != reached + 1 {
            return None;
        }
        let generation = u64::try_from(index).ok()? + 1;
        let (items, end) = frames(&segments[index], generation, reached)?;
        if number(&segments[index], 32, 8) > u64::try_from(segments[index].len()).ok()? {
            return None;
        }
        let is_last = index + 1 == segments.len();
        if is_last && later(&segments[index], generation, end) {
            return None;
        }
        for (count, body) in items {
            let mut body = Input::new(body);
            for _ in 0..count {
                item(&mut body, &mut content)?;
            }
            reached += u64::from(count);
        }
    }
    Some(content)
}

/// The first position of a segment, if its head checks.
fn first_of(generation: u64, segment: &[u8]) -> Option<u64> {
    let mut head = segment.get(..HEAD_BYTES)?.to_vec();
    let sum = number(&head, 12, 4);
    head[12..16].fill(0);
    let is_head = head.starts_with(b"SXTNJRNL") && sum == u64::from(crc32fast::hash(&head));
    let first = number(&head, 24, 8);
    let is_ours = number(&head, 8, 4) == 2 && number(&head, 16, 8) == generation && first > 0;
    (is_head && is_ours).then_some(first)
}

/// A frame that checks: its generation, its position, the count of its items, its body.
fn frame(bytes: &[u8]) -> Option<(u64, u64, u32, &[u8])> {
    let length = usize::try_from(number(bytes, 4, 4)).ok()?;
    let whole = bytes.get(..FRAME_BYTES + length)?;
    if !whole.starts_with(b"SXF") || u64::from(frame_sum(whole)) != number(whole, 28, 4) {
        return None;
    }
    let items = u32::try_from(number(whole, 24, 4)).ok()?;
    Some((number(whole, 8, 8), number(whole, 16, 8), items, &whole[FRAME_BYTES..]))
}

/// The bodies of a segment's frames with the counts of their items, and where they end.
type Bodies<'a> = (Vec<(u32, &'a [u8])>, usize);

fn frames(segment: &[u8], generation: u64, before: u64) -> Option<Bodies<'_>> {
    let (mut reached, mut at, mut bodies) = (before, HEAD_BYTES, Vec::new());
    while let Some((of, position, items, body)) = segment.get(at..).and_then(frame) {
        if of != generation {
            break;
        }
        if segment[at + 3] != 2 || position != reached + 1 {
            return None;
        }
        bodies.push((items, body));
        reached = reached.checked_add(u64::from(items))?;
        at += (FRAME_BYTES + body.len()).next_multiple_of(8);
    }
    Some((bodies, at))
}

/// Whether a frame of this generation stands behind the end.
fn later(segment: &[u8], generation: u64, end: usize) -> bool {
    let mut places = (end + 8..segment.len()).step_by(8);
    places.any(|at| frame(&segment[at..]).is_some_and(|(of, ..)| of == generation))
}

/// Takes bytes, all of them or none.
fn exactly<'a>(input: &mut Input<'a>, count: u64) -> Option<&'a [u8]> {
    let count = usize::try_from(count).ok()?;
    (input.rest().len() >= count).then(|| input.take(count))
}

fn field(input: &mut Input<'_>, count: usize) -> Option<u64> {
    let bytes = exactly(input, u64::try_from(count).ok()?)?;
    Some(number(bytes, 0, count))
}

/// An epoch or a sequence is never the last of all numbers.
fn followed(number: u64) -> Option<()> {
    number.checked_add(1).map(drop)
}

/// Applies the next item.
fn item(input: &mut Input<'_>, content: &mut Content) -> Option<()> {
    match field(input, 1)? {
        1 => batch(input, content),
        2 => followed(field(input, 8)?),
        3 => {
            let up_to = field(input, 8)?;
            let (records, begin, end) = content;
            while *begin < up_to.min(*end) {
                *begin += 1;
                records.remove(&key::event(*begin));
            }
            Some(())
        }
        _ => None,
    }
}

fn batch(input: &mut Input<'_>, content: &mut Content) -> Option<()> {
    if field(input, 2)? >= u64::from(SHARDS) {
        return None;
    }
    followed(field(input, 8)?)?;
    followed(field(input, 8)?)?;
    let (_at, _order) = (field(input, 8)?, field(input, 8)?);
    let (mut writes, mut events) = (Vec::new(), Vec::new());
    for _ in 0..field(input, 4)? {
        let length = field(input, 4)?;
        let key = exactly(input, length)?.to_vec();
        let value = match field(input, 4)? {
            0xffff_ffff => None,
            length => Some(exactly(input, length)?.to_vec()),
        };
        writes.push((key, value));
    }
    for _ in 0..field(input, 4)? {
        let length = field(input, 4)?;
        events.push(exactly(input, length)?.to_vec());
    }
    let (records, _, end) = content;
    for (key, value) in writes {
        match value {
            Some(value) => records.insert(key, value),
            None => records.remove(&key),
        };
    }
    for event in events {
        *end += 1;
        records.insert(key::event(*end), event);
    }
    Some(())
}
