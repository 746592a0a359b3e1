//! The redo journal: where a batch becomes durable, with one write and one flush for all that wait.
//!
//! ```text
//! journal-0000000007  [head][frame][frame]..[frame][ old frames ]     full
//! journal-0000000008  [head][frame][frame]                 zeros      the last: written to
//! spare-0000000003    zeros or old frames                             waits for its use
//! ```
//!
//! An orderly end leaves a last segment of 1 KiB, because an opening reads the last one whole.
//!
//! Segments are zeroed before they are used, because flushing a file that need not grow is nearly
//! twice as fast, and are used again once a checkpoint of the index has passed them. The name tells
//! what counts: a file gets the name `journal-N` only when its head says generation N and is
//! durable, and loses it before its head is changed.
//!
//! Only one frame is ever on its way, so only the last frame of the last segment can be torn.
//! Whatever else does not check is damage, and is reported with file and offset.

mod frame;
mod replay;

#[cfg(test)]
mod damage;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use sexton_core::{Error, ErrorKind};

use crate::disk::{Disk, DiskFile};
use crate::fault;

pub(crate) use frame::{FRAME_HEAD_BYTES, Item, write_batch, write_claim, write_trim};
use frame::{FrameHead, SEGMENT_HEAD_BYTES, SegmentHead};
pub(crate) use replay::{Start, read, replay, survey};

/// The most unused segments that are kept for later. Chosen: as many as one checkpoint frees.
const SPARES_MAX: usize = 64;
/// The length of the segment that an orderly end leaves. Chosen: no file takes less on disk than
/// four times as much, and the claims of some owners have room in it.
const CLOSED_BYTES: u64 = 1_024;
/// How much is zeroed with one write. Chosen: large enough to be fast, small enough to hold.
const ZEROS: &[u8] = &[0; 256 * 1_024];

/// The writing end of the journal.
#[derive(Debug)]
pub(crate) struct Journal {
    disk: Arc<dyn Disk>,
    segment_bytes: u64,
    /// Segments that may hold what the index does not; oldest first, the last is written to.
    live: VecDeque<Segment>,
    /// Segments that are free; all of the usual length, on disk.
    spares: Vec<String>,
    next_spare: u64,
    /// The file of the last segment.
    file: Box<dyn DiskFile>,
    /// Where the next frame goes.
    offset: u64,
}

/// A segment that counts.
#[derive(Clone, Debug)]
struct Segment {
    head: SegmentHead,
    bytes: u64,
}

fn segment_name(generation: u64) -> String {
    format!("journal-{generation:010}")
}

fn spare_name(number: u64) -> String {
    format!("spare-{number:010}")
}

impl Journal {
    /// Makes the first segment of a new store.
    pub(crate) fn create(disk: Arc<dyn Disk>, segment_bytes: u64) -> Result<Self, Error> {
        let name = spare_name(0);
        let file = make_segment(disk.as_ref(), &name, segment_bytes)?;
        let head = SegmentHead { generation: 1, first: 1, bytes: segment_bytes };
        put_in_use(disk.as_ref(), file.as_ref(), &name, head)?;
        Ok(Self {
            disk,
            segment_bytes,
            live: VecDeque::from([Segment { head, bytes: segment_bytes }]),
            spares: Vec::new(),
            next_spare: 1,
            file,
            offset: bytes_of(SEGMENT_HEAD_BYTES),
        })
    }

    /// Writes a group of items as one frame and flushes it.
    ///
    /// `frame` holds the items behind [`FRAME_HEAD_BYTES`] of room; `position` is the first
    /// item's.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unconfirmed`], whatever went wrong: some of the group may be on disk.
    pub(crate) fn append(
        &mut self,
        frame: &mut Vec<u8>,
        position: u64,
        items: u32,
    ) -> Result<(), Error> {
        let frame_bytes = bytes_of(frame.len().next_multiple_of(frame::ALIGNMENT));
        if self.offset + frame_bytes > self.last().bytes {
            self.roll(position, frame_bytes).map_err(|error| {
                Error::new(ErrorKind::Unconfirmed, error.to_string()).with_source(error)
            })?;
        }
        let head = self.last().head;
        let path = self.disk.path(&segment_name(head.generation));
        frame::finish(frame, FrameHead { generation: head.generation, position, items })
            .ok_or_else(|| {
                let message = format!("a group of {frame_bytes} bytes does not fit in a frame");
                Error::new(ErrorKind::Unconfirmed, message)
            })?;
        self.file
            .write_at(self.offset, frame)
            .map_err(|error| fault::of_io(ErrorKind::Unconfirmed, "write to", &path, error))?;
        self.file
            .sync()
            .map_err(|error| fault::of_io(ErrorKind::Unconfirmed, "flush", &path, error))?;
        self.offset += frame_bytes;
        Ok(())
    }

    /// The generation that is written to.
    pub(crate) fn generation(&self) -> u64 {
        self.last().head.generation
    }

    /// The bytes that the journal takes on disk.
    pub(crate) fn bytes(&self) -> u64 {
        let spares = self.segment_bytes * bytes_of(self.spares.len());
        self.live.iter().map(|segment| segment.bytes).sum::<u64>() + spares
    }

    /// Whether the next segment, which is not far, would have to be made while a flush waits.
    pub(crate) fn wants_spare(&self) -> bool {
        self.spares.is_empty() && self.offset > self.last().bytes.min(self.segment_bytes) / 2
    }

    /// The bytes that an opening would have to read, about.
    pub(crate) fn replay_bytes(&self) -> u64 {
        self.live.iter().rev().skip(1).map(|segment| segment.bytes).sum::<u64>() + self.offset
    }

    /// The name for a spare that somebody makes with [`make_spare`].
    pub(crate) fn spare_name(&mut self) -> (Arc<dyn Disk>, String, u64) {
        let name = spare_name(self.next_spare);
        self.next_spare += 1;
        (Arc::clone(&self.disk), name, self.segment_bytes)
    }

    /// Takes a spare that is ready.
    pub(crate) fn give_spare(&mut self, name: String) {
        self.spares.push(name);
    }

    /// Frees the segments whose items are all in a checkpoint up to `position`.
    ///
    /// # Durability
    ///
    /// Oldest first; a crash in between leaves some of them, which the next opening frees.
    pub(crate) fn free(&mut self, position: u64) -> Result<(), Error> {
        let mut freed = Vec::new();
        while self.live.get(1).is_some_and(|next| next.head.first <= position + 1) {
            freed.extend(self.live.pop_front());
        }
        self.retire(freed)
    }

    /// Takes the names off segments that nothing needs any more.
    fn retire(&mut self, segments: Vec<Segment>) -> Result<(), Error> {
        let mut spares = Vec::new();
        for segment in segments {
            let name = segment_name(segment.head.generation);
            let is_kept = segment.bytes == self.segment_bytes
                && self.spares.len() + spares.len() < SPARES_MAX;
            let done = if is_kept {
                let (_, spare, _) = self.spare_name();
                self.disk.rename(&name, &spare).map(|()| spares.push(spare))
            } else {
                self.disk.remove(&name)
            };
            done.map_err(|error| self.failed("free", &name, error))?;
        }
        if !spares.is_empty() {
            // Before a head is written anew its old name must be gone for good.
            self.disk.sync().map_err(|error| self.failed("flush", "", error))?;
            self.spares.append(&mut spares);
        }
        Ok(())
    }

    fn failed(&self, action: &str, name: &str, error: io::Error) -> Error {
        fault::of_io(ErrorKind::Closed, action, &self.disk.path(name), error)
    }

    /// Goes on in the next segment, which has room for `frame_bytes`.
    fn roll(&mut self, first: u64, frame_bytes: u64) -> Result<(), Error> {
        let generation = self.generation() + 1;
        let needed = bytes_of(SEGMENT_HEAD_BYTES) + frame_bytes;
        let spare = if needed <= self.segment_bytes { self.spares.pop() } else { None };
        let (name, file, bytes) = if let Some(name) = spare {
            let opened = self.disk.open(&name);
            let file = opened.map_err(|error| self.failed("open", &name, error))?;
            (name, file, self.segment_bytes)
        } else {
            let bytes = needed.max(self.segment_bytes);
            let (_, name, _) = self.spare_name();
            let file = make_segment(self.disk.as_ref(), &name, bytes)?;
            (name, file, bytes)
        };
        self.go_on_in(&name, file, SegmentHead { generation, first, bytes })
    }

    /// Makes a spare the segment that is written to.
    fn go_on_in(
        &mut self,
        spare: &str,
        file: Box<dyn DiskFile>,
        head: SegmentHead,
    ) -> Result<(), Error> {
        put_in_use(self.disk.as_ref(), file.as_ref(), spare, head)?;
        self.live.push_back(Segment { head, bytes: head.bytes });
        self.file = file;
        self.offset = bytes_of(SEGMENT_HEAD_BYTES);
        Ok(())
    }

    /// Leaves little to read to the next opening, when everything up to `position`, which is the
    /// last, is in a checkpoint. Writing can go on behind it.
    pub(crate) fn close(&mut self, position: u64) -> Result<(), Error> {
        if self.last().bytes <= CLOSED_BYTES {
            return Ok(());
        }
        let (_, name, _) = self.spare_name();
        let file = make_segment(self.disk.as_ref(), &name, CLOSED_BYTES)?;
        let (generation, first) = (self.generation() + 1, position + 1);
        self.go_on_in(&name, file, SegmentHead { generation, first, bytes: CLOSED_BYTES })?;
        self.free(position)
    }

    fn last(&self) -> &Segment {
        self.live.back().expect("a journal has a segment from its creation on")
    }
}

/// Makes a spare; slow, so nobody's flush should wait for it.
pub(crate) fn make_spare(disk: &dyn Disk, name: &str, bytes: u64) -> Result<(), Error> {
    drop(make_segment(disk, name, bytes)?);
    Ok(())
}

/// Makes a file of zeros, durable but for its name.
fn make_segment(disk: &dyn Disk, name: &str, bytes: u64) -> Result<Box<dyn DiskFile>, Error> {
    let failed = |error| fault::of_io(ErrorKind::Closed, "make", &disk.path(name), error);
    let file = disk.create(name).map_err(failed)?;
    let mut offset = 0;
    while offset < bytes {
        let count = usize::try_from(bytes - offset).unwrap_or(usize::MAX).min(ZEROS.len());
        file.write_at(offset, ZEROS.get(..count).unwrap_or(ZEROS)).map_err(failed)?;
        offset += bytes_of(count);
    }
    file.sync().map_err(failed)?;
    Ok(file)
}

/// Gives a spare its head, and then the name under which it counts.
fn put_in_use(
    disk: &dyn Disk,
    file: &dyn DiskFile,
    spare: &str,
    head: SegmentHead,
) -> Result<(), Error> {
    let name = segment_name(head.generation);
    let failed = |error| fault::of_io(ErrorKind::Closed, "begin", &disk.path(&name), error);
    file.write_at(0, &head.to_bytes()).map_err(failed)?;
    file.sync().map_err(failed)?;
    disk.rename(spare, &name).map_err(failed)?;
    disk.sync().map_err(failed)
}

fn bytes_of(count: usize) -> u64 {
    u64::try_from(count).expect("a size in memory fits in 64 bits")
}
