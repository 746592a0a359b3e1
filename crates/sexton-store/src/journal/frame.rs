//! The bytes of a journal: the head of a segment, the frames in it, the items in a frame.
//!
//! All numbers are little-endian. `docs/format.md` has the same as tables.
//!
//! ```text
//! segment:  "SXTNJRNL"  format:4  crc32:4  generation:8  first position:8  bytes:8  zeros to 64
//! frame:    "SXF" format:1  length:4  generation:8  position:8  items:4  crc32:4  body  zeros to 8
//! batch:    1  shard:2  epoch:8  expected:8  at:8  order:8  writes:4  (key length:4 key value)*
//!           events:4  (length:4 event)*
//! value:    length:4 bytes, or FFFFFFFF for a record taken away
//! claim:    2  epoch:8
//! trim:     3  cursor:8
//! ```
//!
//! A segment is used again and again, so old frames lie behind new ones: a frame counts only if
//! it carries the generation of its segment's head.

use sexton_core::Write;
use sexton_core::limits::SHARDS;
use sexton_core::{Batch, Cursor, Epoch, Sequence, Shard, Timestamp};

/// The version of the journal's format; another one is refused by name.
pub(crate) const FORMAT: u8 = 2;
/// The bytes of a segment's head; the first frame lies behind it. Chosen: a cache line.
pub(crate) const SEGMENT_HEAD_BYTES: usize = 64;
/// The bytes of a frame's head.
pub(crate) const FRAME_HEAD_BYTES: usize = 32;
/// Frames begin at multiples of this, so that looking for one is cheap.
pub(crate) const ALIGNMENT: usize = 8;

const SEGMENT_MAGIC: &[u8; 8] = b"SXTNJRNL";
const FRAME_MAGIC: &[u8; 3] = b"SXF";
const TAG_BATCH: u8 = 1;
const TAG_CLAIM: u8 = 2;
const TAG_TRIM: u8 = 3;
/// Stands where a value's length would, for a record that is taken away.
const TAKEN_AWAY: u32 = u32::MAX;

/// What a segment's head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    /// Which use of a segment this is: 1 for the first of a store, one more for each.
    pub(crate) generation: u64,
    /// The position of the first item in it.
    pub(crate) first: u64,
    /// The bytes that its file was made with; 0 if whoever wrote the head did not say.
    pub(crate) bytes: u64,
}

/// Why a segment's head cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadHead {
    /// The bytes are not a head.
    Damaged,
    /// Another version wrote it.
    Other(u32),
}

impl SegmentHead {
    /// The bytes of this head.
    pub(crate) fn to_bytes(self) -> [u8; SEGMENT_HEAD_BYTES] {
        let mut head = [0; SEGMENT_HEAD_BYTES];
        put(&mut head, 0, SEGMENT_MAGIC);
        put(&mut head, 8, &u32::from(FORMAT).to_le_bytes());
        put(&mut head, 16, &self.generation.to_le_bytes());
        put(&mut head, 24, &self.first.to_le_bytes());
        put(&mut head, 32, &self.bytes.to_le_bytes());
        let sum = crc32fast::hash(&head);
        put(&mut head, 12, &sum.to_le_bytes());
        head
    }

    /// Reads a head back.
    pub(crate) fn from_bytes(bytes: &[u8; SEGMENT_HEAD_BYTES]) -> Result<Self, BadHead> {
        let mut reader = Reader { bytes };
        let magic = reader.array::<8>();
        let format = reader.u32().ok_or(BadHead::Damaged)?;
        let sum = reader.u32().ok_or(BadHead::Damaged)?;
        let generation = reader.u64().ok_or(BadHead::Damaged)?;
        let first = reader.u64().ok_or(BadHead::Damaged)?;
        let said = reader.u64().ok_or(BadHead::Damaged)?;
        let mut blank = *bytes;
        put(&mut blank, 12, &[0; 4]);
        if magic != Some(*SEGMENT_MAGIC) || sum != crc32fast::hash(&blank) {
            return Err(BadHead::Damaged);
        }
        if format != u32::from(FORMAT) {
            return Err(BadHead::Other(format));
        }
        Ok(Self { generation, first, bytes: said })
    }
}

/// What a frame's head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    /// The generation of its segment.
    pub(crate) generation: u64,
    /// The position of its first item.
    pub(crate) position: u64,
    /// How many items it holds.
    pub(crate) items: u32,
}

/// A frame that checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) format: u8,
    pub(crate) head: FrameHead,
    /// The items, to be read with [`read_item`].
    pub(crate) body: &'a [u8],
    /// How far the next frame is, in bytes from the beginning of this one.
    pub(crate) bytes: usize,
}

/// Fills in the head of a frame whose body stands behind the room for it, and its padding.
///
/// `None` if the body is longer than a frame can say.
pub(crate) fn finish(frame: &mut Vec<u8>, head: FrameHead) -> Option<()> {
    let length = u32::try_from(frame.len().checked_sub(FRAME_HEAD_BYTES)?).ok()?;
    put(frame, 0, FRAME_MAGIC);
    put(frame, 3, &[FORMAT]);
    put(frame, 4, &length.to_le_bytes());
    put(frame, 8, &head.generation.to_le_bytes());
    put(frame, 16, &head.position.to_le_bytes());
    put(frame, 24, &head.items.to_le_bytes());
    let sum = checksum(frame.get(..28)?, frame.get(FRAME_HEAD_BYTES..)?);
    put(frame, 28, &sum.to_le_bytes());
    frame.resize(frame.len().next_multiple_of(ALIGNMENT), 0);
    Some(())
}

/// The frame at the beginning of `bytes`, if one is there and checks.
pub(crate) fn read(bytes: &[u8]) -> Option<Frame<'_>> {
    let mut reader = Reader { bytes };
    if reader.array::<3>()? != *FRAME_MAGIC {
        return None;
    }
    let [format] = reader.array::<1>()?;
    let length = usize::try_from(reader.u32()?).ok()?;
    let (generation, position) = (reader.u64()?, reader.u64()?);
    let (items, sum) = (reader.u32()?, reader.u32()?);
    let body = reader.bytes.get(..length)?;
    if checksum(bytes.get(..28)?, body) != sum {
        return None;
    }
    let head = FrameHead { generation, position, items };
    let bytes = (FRAME_HEAD_BYTES + length).next_multiple_of(ALIGNMENT);
    Some(Frame { format, head, body, bytes })
}

/// Whether the bytes begin like a frame of this generation that begins with this item, checked or
/// not: two of its three marks are there, so a bit of damage does not hide it.
pub(crate) fn is_like(bytes: &[u8], generation: u64, position: u64) -> bool {
    let mark = |offset: usize, mark: &[u8]| {
        u8::from(bytes.get(offset..).is_some_and(|rest| rest.starts_with(mark)))
    };
    let marks = [
        mark(0, FRAME_MAGIC),
        mark(8, &generation.to_le_bytes()),
        mark(16, &position.to_le_bytes()),
    ];
    marks.iter().sum::<u8>() >= 2
}

fn checksum(head: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(body);
    hasher.finalize()
}

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A batch that was submitted.
    Batch(Batch),
    /// Every shard got this epoch.
    Claim(Epoch),
    /// The log begins behind this cursor from here on.
    Trim(Cursor),
}

/// Appends a batch to the body of a frame.
///
/// `None` if a key or value is longer than an item can say; the body is then as it was.
pub(crate) fn write_batch(body: &mut Vec<u8>, batch: &Batch) -> Option<()> {
    let before = body.len();
    let done = try_write_batch(body, batch);
    if done.is_none() {
        body.truncate(before);
    }
    done
}

fn try_write_batch(body: &mut Vec<u8>, batch: &Batch) -> Option<()> {
    body.push(TAG_BATCH);
    body.extend_from_slice(&batch.shard.number().to_le_bytes());
    body.extend_from_slice(&batch.epoch.0.to_le_bytes());
    body.extend_from_slice(&batch.expected.0.to_le_bytes());
    body.extend_from_slice(&batch.at.as_millis().to_le_bytes());
    body.extend_from_slice(&batch.order.to_le_bytes());
    body.extend_from_slice(&u32::try_from(batch.writes.len()).ok()?.to_le_bytes());
    for write in &batch.writes {
        body.extend_from_slice(&u32::try_from(write.key.len()).ok()?.to_le_bytes());
        body.extend_from_slice(&write.key);
        match &write.value {
            Some(value) => {
                let length = u32::try_from(value.len()).ok().filter(|it| *it != TAKEN_AWAY)?;
                body.extend_from_slice(&length.to_le_bytes());
                body.extend_from_slice(value);
            }
            None => body.extend_from_slice(&TAKEN_AWAY.to_le_bytes()),
        }
    }
    body.extend_from_slice(&u32::try_from(batch.events.len()).ok()?.to_le_bytes());
    for event in &batch.events {
        body.extend_from_slice(&u32::try_from(event.len()).ok()?.to_le_bytes());
        body.extend_from_slice(event);
    }
    Some(())
}

/// Appends a claim to the body of a frame.
pub(crate) fn write_claim(body: &mut Vec<u8>, epoch: Epoch) {
    body.push(TAG_CLAIM);
    body.extend_from_slice(&epoch.0.to_le_bytes());
}

/// Appends a trim to the body of a frame.
pub(crate) fn write_trim(body: &mut Vec<u8>, up_to: Cursor) {
    body.push(TAG_TRIM);
    body.extend_from_slice(&up_to.0.to_le_bytes());
}

/// Takes the next item off a body; `None` if the bytes are not one.
pub(crate) fn read_item(body: &mut &[u8]) -> Option<Item> {
    let mut reader = Reader { bytes: body };
    let item = match reader.array::<1>()? {
        [TAG_BATCH] => Item::Batch(read_batch(&mut reader)?),
        [TAG_CLAIM] => Item::Claim(Epoch(reader.number()?)),
        [TAG_TRIM] => Item::Trim(Cursor(reader.u64()?)),
        _ => return None,
    };
    *body = reader.bytes;
    Some(item)
}

fn read_batch(reader: &mut Reader<'_>) -> Option<Batch> {
    let shard = u16::from_le_bytes(reader.array()?);
    let shard = (shard < SHARDS).then(|| Shard::new(shard))?;
    let (epoch, expected) = (Epoch(reader.number()?), Sequence(reader.number()?));
    let at = Timestamp::from_millis(i64::from_le_bytes(reader.array()?));
    let order = reader.u64()?;
    let n_writes = reader.u32()?;
    let mut writes = Vec::new();
    for _ in 0..n_writes {
        let key_bytes = usize::try_from(reader.u32()?).ok()?;
        let key = reader.take(key_bytes)?.to_vec();
        let value = match reader.u32()? {
            TAKEN_AWAY => None,
            length => Some(reader.take(usize::try_from(length).ok()?)?.to_vec()),
        };
        writes.push(Write { key, value });
    }
    let n_events = reader.u32()?;
    let mut events = Vec::new();
    for _ in 0..n_events {
        let bytes = usize::try_from(reader.u32()?).ok()?;
        events.push(reader.take(bytes)?.to_vec());
    }
    Some(Batch { shard, epoch, expected, at, order, writes, events })
}

fn put(bytes: &mut [u8], at: usize, part: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + part.len()) {
        place.copy_from_slice(part);
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.array()?))
    }

    /// A number that another follows: the last one was never written.
    fn number(&mut self) -> Option<u64> {
        self.u64().filter(|number| *number < u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Batch {
        Batch {
            shard: Shard::new(374),
            epoch: Epoch(2),
            expected: Sequence(41),
            at: Timestamp::from_millis(-3),
            order: 7,
            writes: vec![
                Write { key: b"key".to_vec(), value: Some(b"value".to_vec()) },
                Write { key: b"gone".to_vec(), value: None },
                Write { key: Vec::new(), value: Some(Vec::new()) },
            ],
            events: vec![b"it happened".to_vec(), Vec::new()],
        }
    }

    fn frame() -> Vec<u8> {
        let mut frame = vec![0; FRAME_HEAD_BYTES];
        write_batch(&mut frame, &batch()).unwrap();
        write_claim(&mut frame, Epoch(3));
        write_trim(&mut frame, Cursor(9));
        finish(&mut frame, FrameHead { generation: 5, position: 100, items: 3 }).unwrap();
        frame
    }

    #[test]
    fn items_read_back_as_they_were_written() {
        let bytes = frame();
        let frame = read(&bytes).unwrap();
        assert_eq!(frame.head, FrameHead { generation: 5, position: 100, items: 3 });
        assert_eq!(frame.bytes, bytes.len());
        let mut body = frame.body;
        assert_eq!(read_item(&mut body), Some(Item::Batch(batch())));
        assert_eq!(read_item(&mut body), Some(Item::Claim(Epoch(3))));
        assert_eq!(read_item(&mut body), Some(Item::Trim(Cursor(9))));
        assert!(body.is_empty());
    }

    #[test]
    fn every_flipped_bit_of_a_frame_is_noticed() {
        let bytes = frame();
        let padding = bytes.len() - (FRAME_HEAD_BYTES + read(&bytes).unwrap().body.len());
        for bit in 0..(bytes.len() - padding) * 8 {
            let mut bent = bytes.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&bent).is_none(), "bit {bit} was not noticed");
        }
    }

    #[test]
    fn every_flipped_bit_of_a_segment_head_is_noticed() {
        let head = SegmentHead { generation: 9, first: 1_000, bytes: 8_192 };
        let bytes = head.to_bytes();
        assert_eq!(SegmentHead::from_bytes(&bytes), Ok(head));
        for bit in 0..bytes.len() * 8 {
            let mut bent = bytes;
            bent[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHead::from_bytes(&bent), Err(BadHead::Damaged));
        }
    }

    #[test]
    fn a_segment_of_another_format_is_refused_by_name() {
        for other in [FORMAT - 1, FORMAT + 1] {
            let mut bytes = SegmentHead { generation: 1, first: 1, bytes: 0 }.to_bytes();
            bytes[8] = other;
            bytes[12..16].fill(0);
            let sum = crc32fast::hash(&bytes);
            bytes[12..16].copy_from_slice(&sum.to_le_bytes());
            assert_eq!(SegmentHead::from_bytes(&bytes), Err(BadHead::Other(u32::from(other))));
        }
    }

    #[test]
    fn an_item_that_is_cut_anywhere_is_none() {
        let mut body = Vec::new();
        write_batch(&mut body, &batch()).unwrap();
        for length in 0..body.len() {
            assert_eq!(read_item(&mut &body[..length]), None);
        }
    }
}
