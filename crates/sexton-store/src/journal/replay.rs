//! A journal read back: in order, up to the first frame that does not check, which must be the last.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sexton_core::{Error, ErrorKind};

use super::frame::{
    self, ALIGNMENT, BadHead, FORMAT, Frame, Item, SEGMENT_HEAD_BYTES, SegmentHead,
};
use super::{Journal, SPARES_MAX, Segment, bytes_of, segment_name};
use crate::disk::Disk;
use crate::fault;

/// From where a journal is replayed: what the checkpoint of the index says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    /// Every item up to here is in the index.
    pub(crate) position: u64,
    /// The segment that was written to at the checkpoint; the journal reaches at least to it.
    pub(crate) generation: u64,
}

/// Takes an item with its position.
pub(crate) type Take<'a> = &'a mut dyn FnMut(u64, Item) -> Result<(), Error>;

/// Reads a journal, hands every item behind the start to `take` with its position, and returns
/// the journal ready to be written, with the position of its last item.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`] with file and offset if anything but the very end does not check, if
/// the journal begins behind the start, or ends before it.
pub(crate) fn replay(
    disk: Arc<dyn Disk>,
    segment_bytes: u64,
    start: Start,
    take: Take<'_>,
) -> Result<(Journal, u64), Error> {
    let (spares, next_spare) = list_spares(disk.as_ref(), segment_bytes)?;
    let (live, begin) = list_segments(disk.as_ref(), start)?;
    let mut reached = live.get(begin).map_or(0, |segment| segment.head.first - 1);
    let mut offset = SEGMENT_HEAD_BYTES;
    for (index, segment) in live.iter().enumerate().skip(begin) {
        let head = segment.head;
        if head.first != reached + 1 {
            let path = disk.path(&segment_name(head.generation - 1));
            let next = head.first;
            let what =
                format!("its frames end with {reached}, the next segment begins with {next}");
            return Err(fault::damage(&path, bytes_of(offset), &what));
        }
        let reading = Reading::begin(disk.as_ref(), head)?;
        if index + 1 == live.len() {
            reading.check_nothing_follows()?;
            if reading.reached < start.position {
                let (has, needs) = (reading.reached, start.position);
                let what = format!("its frames end with commit {has}, and the index has {needs}");
                return Err(fault::damage(&reading.path, bytes_of(reading.end), &what));
            }
            reading.make_durable(disk.as_ref())?;
        }
        reading.hand_out(start.position, take)?;
        (reached, offset) = (reading.reached, reading.end);
    }
    let name = segment_name(live.back().map_or(0, |segment| segment.head.generation));
    let file = disk
        .open(&name)
        .map_err(|error| fault::of_io(ErrorKind::Closed, "open", &disk.path(&name), error))?;
    let offset = bytes_of(offset);
    Ok((Journal { disk, segment_bytes, live, spares, next_spare, file, offset }, reached))
}

/// A segment that is being read.
struct Reading {
    path: PathBuf,
    head: SegmentHead,
    content: Vec<u8>,
    /// Where the frames that check stand, in order.
    frames: Vec<usize>,
    /// The position of the last item.
    reached: u64,
    /// The offset behind the last frame.
    end: usize,
}

impl Reading {
    /// Finds the frames that check.
    fn begin(disk: &dyn Disk, head: SegmentHead) -> Result<Self, Error> {
        let name = segment_name(head.generation);
        let mut reading = Self {
            path: disk.path(&name),
            head,
            content: read_file(disk, &name)?,
            frames: Vec::new(),
            reached: head.first - 1,
            end: SEGMENT_HEAD_BYTES,
        };
        while let Some(frame) = reading.content.get(reading.end..).and_then(frame::read) {
            if frame.head.generation != head.generation {
                break;
            }
            check_frame(&frame, reading.reached, &reading.path, reading.end)?;
            reading.frames.push(reading.end);
            reading.reached += u64::from(frame.head.items);
            reading.end += frame.bytes;
        }
        Ok(reading)
    }

    /// A frame behind the end would mean that the end is not where writing stopped.
    fn check_nothing_follows(&self) -> Result<(), Error> {
        for offset in (self.end + ALIGNMENT..self.content.len()).step_by(ALIGNMENT) {
            let later = self.content.get(offset..).and_then(frame::read);
            if later.is_some_and(|frame| frame.head.generation == self.head.generation) {
                let what = format!("no frame checks there, and one stands later at byte {offset}");
                return Err(fault::damage(&self.path, bytes_of(self.end), &what));
            }
        }
        Ok(())
    }

    /// Makes sure of what was read before anything is built on it.
    ///
    /// The last frame may lie in a cache only: its flush was cut short, or it failed, which
    /// some systems tell once and then forget. Written again, it is flushed for sure.
    fn make_durable(&self, disk: &dyn Disk) -> Result<(), Error> {
        let failed = |error| fault::of_io(ErrorKind::Closed, "flush", &self.path, error);
        let file = disk.open(&segment_name(self.head.generation)).map_err(failed)?;
        if let Some(last) = self.frames.last() {
            let frame = self.content.get(*last..self.end.min(self.content.len()));
            file.write_at(bytes_of(*last), frame.unwrap_or_default()).map_err(failed)?;
        }
        file.sync().map_err(failed)?;
        disk.sync().map_err(failed)
    }

    /// Hands out the items behind the start.
    fn hand_out(&self, start: u64, take: Take<'_>) -> Result<(), Error> {
        for offset in &self.frames {
            let Some(frame) = self.content.get(*offset..).and_then(frame::read) else { break };
            let items = u64::from(frame.head.items);
            if frame.head.position + items <= start + 1 {
                continue;
            }
            let mut body = frame.body;
            for position in frame.head.position..frame.head.position + items {
                let item = frame::read_item(&mut body).ok_or_else(|| {
                    let what = "a frame that checks holds no item where one should be";
                    fault::damage(&self.path, bytes_of(*offset), what)
                })?;
                if position > start {
                    take(position, item)?;
                }
            }
        }
        Ok(())
    }
}

fn check_frame(frame: &Frame<'_>, reached: u64, path: &Path, offset: usize) -> Result<(), Error> {
    if frame.format != FORMAT {
        let (path, found) = (path.display(), frame.format);
        let message = format!(
            "{path} has a frame of format {found} at byte {offset}, and this version reads \
             {FORMAT}"
        );
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    if frame.head.position != reached + 1 {
        let (has, expected) = (frame.head.position, reached + 1);
        let what = format!("a frame begins with commit {has} where {expected} should stand");
        return Err(fault::damage(path, bytes_of(offset), &what));
    }
    Ok(())
}

/// All segments, oldest first, and the first of them that has something behind the start.
///
/// Those before it are freed with the next checkpoint and not now: if the flush of the last
/// checkpoint failed, what was read of it may not be on disk.
fn list_segments(disk: &dyn Disk, start: Start) -> Result<(VecDeque<Segment>, usize), Error> {
    let directory = disk.path("");
    let directory = directory.display();
    let mut segments = Vec::new();
    for generation in numbers(disk, "journal-")? {
        segments.push(read_head(disk, generation)?);
    }
    let corrupt = |message: String| Error::new(ErrorKind::Corrupt, message);
    let needed = start.position + 1;
    let Some(begin) = segments.iter().rposition(|segment| segment.head.first <= needed) else {
        let first = segments.first().map_or_else(
            || "holds no segment".to_owned(),
            |segment| format!("begins with commit {}", segment.head.first),
        );
        return Err(corrupt(format!(
            "the journal in {directory} {first}, and the index ends with {}: what lies between \
             is missing",
            start.position
        )));
    };
    let live = segments.iter().skip(begin);
    for (segment, next) in live.clone().zip(live.skip(1)) {
        if segment.head.generation + 1 != next.head.generation {
            let missing = segment_name(segment.head.generation + 1);
            return Err(corrupt(format!("{missing} is missing in {directory}")));
        }
    }
    let last = segments.last().map_or(0, |segment| segment.head.generation);
    if last < start.generation {
        let missing = segment_name(start.generation);
        return Err(corrupt(format!("{missing} is missing in {directory}")));
    }
    Ok((segments.into(), begin))
}

fn read_head(disk: &dyn Disk, generation: u64) -> Result<Segment, Error> {
    let name = segment_name(generation);
    let path = disk.path(&name);
    let failed = |error| fault::of_io(ErrorKind::Closed, "read", &path, error);
    let file = disk.open(&name).map_err(failed)?;
    let bytes = file.bytes().map_err(failed)?;
    let mut head = [0; SEGMENT_HEAD_BYTES];
    if bytes < bytes_of(SEGMENT_HEAD_BYTES) {
        return Err(fault::damage(&path, bytes, "it ends within its head"));
    }
    file.read_at(0, &mut head).map_err(failed)?;
    let head = SegmentHead::from_bytes(&head).map_err(|bad| match bad {
        BadHead::Damaged => fault::damage(&path, 0, "its head does not check"),
        BadHead::Other(found) => {
            let path = path.display();
            let message = format!("{path} has format {found}, and this version reads {FORMAT}");
            Error::new(ErrorKind::Corrupt, message)
        }
    })?;
    if head.generation != generation || head.first == 0 {
        let what = format!("its head says generation {}", head.generation);
        return Err(fault::damage(&path, 16, &what));
    }
    Ok(Segment { head, bytes })
}

/// The spares that can be used, and the first number that none of them has.
fn list_spares(disk: &dyn Disk, segment_bytes: u64) -> Result<(Vec<String>, u64), Error> {
    let mut spares = Vec::new();
    let numbers = numbers(disk, "spare-")?;
    for number in &numbers {
        let name = super::spare_name(*number);
        let failed = |error| fault::of_io(ErrorKind::Closed, "look at", &disk.path(&name), error);
        let bytes = disk.open(&name).and_then(|file| file.bytes()).map_err(failed)?;
        if bytes == segment_bytes && spares.len() < SPARES_MAX {
            spares.push(name);
        } else {
            // One that was being made when the process stopped, or of another length.
            disk.remove(&name).map_err(failed)?;
        }
    }
    Ok((spares, numbers.last().map_or(0, |last| last + 1)))
}

fn numbers(disk: &dyn Disk, prefix: &str) -> Result<Vec<u64>, Error> {
    let failed = |error| fault::of_io(ErrorKind::Closed, "list", &disk.path(""), error);
    let names = disk.names().map_err(failed)?;
    let mut numbers: Vec<u64> = names
        .iter()
        .filter_map(|name| name.strip_prefix(prefix)?.parse().ok())
        .filter(|number| names.contains(&format!("{prefix}{number:010}")))
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn read_file(disk: &dyn Disk, name: &str) -> Result<Vec<u8>, Error> {
    let failed = |error| fault::of_io(ErrorKind::Closed, "read", &disk.path(name), error);
    let file = disk.open(name).map_err(failed)?;
    let bytes = usize::try_from(file.bytes().map_err(failed)?).unwrap_or(usize::MAX);
    let mut content = vec![0; bytes];
    file.read_at(0, &mut content).map_err(failed)?;
    Ok(content)
}
