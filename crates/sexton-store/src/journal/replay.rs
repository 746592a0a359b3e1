//! A journal read back: in order, up to the first frame that does not check, which must be the last.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use sexton_core::{Error, ErrorKind};

use super::frame::{
    self, ALIGNMENT, BadHead, FORMAT, Frame, Item, SEGMENT_HEAD_BYTES, SegmentHead,
};
use super::{Journal, SPARES_MAX, Segment, bytes_of, segment_name};
use crate::disk::Disk;
use crate::fault::{self, Damage, Note};

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
    let (live, end) = walk(disk.as_ref(), start, Ending::MadeDurable, take)?;
    let name = segment_name(live.back().map_or(0, |segment| segment.head.generation));
    let file = disk
        .open(&name)
        .map_err(|error| fault::of_io(ErrorKind::Closed, "open", &disk.path(&name), error))?;
    let offset = bytes_of(end.offset);
    Ok((Journal { disk, segment_bytes, live, spares, next_spare, file, offset }, end.reached))
}

/// Reads a journal as [`replay`] does, and changes nothing. Returns what stands behind its end.
///
/// # Errors
///
/// As [`replay`].
pub(crate) fn read(disk: &dyn Disk, start: Start, take: Take<'_>) -> Result<Option<Note>, Error> {
    walk(disk, start, Ending::AsItIs, take).map(|(_, end)| end.remains)
}

/// What becomes of the last frame, which may lie in a cache only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    MadeDurable,
    AsItIs,
}

/// Where a journal ends.
struct End {
    /// The position of the last item.
    reached: u64,
    /// The offset behind the last frame.
    offset: usize,
    /// What stands there, if it may be a frame.
    remains: Option<Note>,
}

/// Hands out every item behind the start, unless anything is damaged.
fn walk(
    disk: &dyn Disk,
    start: Start,
    ending: Ending,
    take: Take<'_>,
) -> Result<(VecDeque<Segment>, End), Error> {
    let (live, begin) = list_segments(disk, start)?;
    let mut reached = live.get(begin).map_or(0, |segment| segment.head.first - 1);
    let (mut offset, mut remains) = (SEGMENT_HEAD_BYTES, None);
    for (index, segment) in live.iter().enumerate().skip(begin) {
        let head = segment.head;
        if head.first != reached + 1 {
            return Err(gap(disk, head, (reached, offset)).into());
        }
        let reading = Reading::begin(disk, head)?;
        if let Some(damage) = reading.stopped_by.clone() {
            return Err(damage.into());
        }
        if index + 1 == live.len() {
            reading.check_end(start)?;
            match ending {
                Ending::MadeDurable => reading.make_durable(disk)?,
                Ending::AsItIs => remains = reading.remains(),
            }
        }
        reading.hand_out(start.position, take)?;
        (reached, offset) = (reading.reached, reading.end);
    }
    Ok((live, End { reached, offset, remains }))
}

/// A segment ends, with an item and at an offset, before the one with this head begins.
fn gap(disk: &dyn Disk, next: SegmentHead, (reached, offset): (u64, usize)) -> Damage {
    let path = disk.path(&segment_name(next.generation - 1));
    let first = next.first;
    let what = format!("its frames end with {reached}, the next segment begins with {first}");
    Damage::at(&path, bytes_of(offset), what)
}

/// What a survey found.
#[derive(Debug, Default)]
pub(crate) struct Surveyed {
    /// What is damaged.
    pub(crate) damage: Vec<Damage>,
    /// What stands behind the end of a journal that is not damaged there.
    pub(crate) remains: Option<Note>,
}

/// Reads a journal that may be damaged, and changes nothing: hands out every item behind the
/// start up to the first damage, and looks at all the rest as well.
///
/// Without a start it is not known where the journal has to begin: everything is looked at.
pub(crate) fn survey(disk: &dyn Disk, start: Option<Start>, take: Take<'_>) -> Surveyed {
    let (segments, mut damage) = survey_heads(disk);
    let is_before = |first: u64| start.is_none_or(|start| first <= start.position + 1);
    let begin = match start {
        Some(_) => segments.iter().rposition(|it| it.1.is_some_and(|it| is_before(it.first))),
        None => (!segments.is_empty()).then_some(0),
    };
    let start = start.unwrap_or(Start { position: 0, generation: 0 });
    let Some(begin) = begin else {
        let first = segments.iter().find_map(|(_, head)| *head);
        damage.push(missing_beginning(disk, first, start));
        return Surveyed { damage, remains: None };
    };
    let last = segments.last().map_or(0, |(generation, _)| *generation);
    let (mut is_whole, mut before, mut remains) = (true, 0, None);
    let mut end: Option<(u64, usize)> = None;
    for (generation, head) in segments.into_iter().skip(begin) {
        if before > 0 && before + 1 != generation {
            damage.extend(missing(disk, before, generation - 1));
            (end, is_whole) = (None, false);
        }
        before = generation;
        let Some(head) = head else {
            (end, is_whole) = (None, false);
            continue;
        };
        if let Some(end) = end.take_if(|end| head.first != end.0 + 1) {
            damage.push(gap(disk, head, end));
            is_whole = false;
        }
        let reading = match Reading::begin(disk, head) {
            Ok(reading) => reading,
            Err(error) => {
                damage.push(Damage::because(&disk.path(&segment_name(generation)), &error));
                (end, is_whole) = (None, false);
                continue;
            }
        };
        // Only what everything before it leads to is handed out.
        if is_whole {
            let handed_out = reading.hand_out(start.position, take);
            damage.extend(handed_out.err().map(|it| Damage::because(&reading.path, &it)));
        }
        is_whole &= reading.stopped_by.is_none();
        damage.extend(reading.stopped_by.clone());
        if generation == last {
            let checked = reading.check_end(start);
            let is_sound = reading.stopped_by.is_none() && checked.is_ok();
            remains = is_sound.then(|| reading.remains()).flatten();
            damage.extend(checked.err());
        }
        end = Some((reading.reached, reading.end));
    }
    damage.extend(missing(disk, last, start.generation));
    Surveyed { damage, remains }
}

/// All segments with their heads, as far as these can be read; what cannot is damage.
fn survey_heads(disk: &dyn Disk) -> (Vec<(u64, Option<SegmentHead>)>, Vec<Damage>) {
    let (mut segments, mut damage) = (Vec::new(), Vec::new());
    let generations = numbers(disk, "journal-").unwrap_or_else(|error| {
        damage.push(Damage::because(&disk.path(""), &error));
        Vec::new()
    });
    for generation in generations {
        let file = disk.path(&segment_name(generation));
        let head = match read_head(disk, generation) {
            Ok(Ok(segment)) => Ok(segment.head),
            Ok(Err(bad)) => Err(bad),
            Err(error) => Err(Damage::because(&file, &error)),
        };
        segments.push((generation, head.as_ref().ok().copied()));
        damage.extend(head.err());
    }
    (segments, damage)
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
    /// Why it cannot be what was written: a frame there that checks and cannot be the next, or a
    /// file that was cut short.
    stopped_by: Option<Damage>,
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
            stopped_by: None,
        };
        while let Some(frame) = reading.content.get(reading.end..).and_then(frame::read) {
            if frame.head.generation != head.generation {
                break;
            }
            reading.stopped_by = check_frame(&frame, &reading).err();
            if reading.stopped_by.is_some() {
                break;
            }
            reading.frames.push(reading.end);
            reading.reached += u64::from(frame.head.items);
            reading.end += frame.bytes;
        }
        let is = bytes_of(reading.content.len());
        if is < head.bytes && reading.stopped_by.is_none() {
            // No crash does this: it had its length, durably, before it got its name.
            let what = format!("it ends there, and was made {} bytes long", head.bytes);
            reading.stopped_by = Some(Damage::at(&reading.path, is, what));
        }
        Ok(reading)
    }

    /// What stands behind the last frame, if it may be one: a power cut leaves such things, and
    /// damage of what was acknowledged looks the same.
    fn remains(&self) -> Option<Note> {
        let rest = self.content.get(self.end..)?;
        if rest.iter().all(|byte| *byte == 0) {
            return None;
        }
        let what = if frame::is_like(rest, self.head.generation, self.reached + 1)
            && frame::read(rest).is_none()
        {
            "a write that was never acknowledged, or damage"
        } else if self.was_used_before() {
            return None;
        } else {
            "a write that was never acknowledged, what an earlier use of the file left, or damage"
        };
        let what = format!("something that is no whole frame: {what}");
        Some(Note { file: self.path.clone(), place: bytes_of(self.end), what })
    }

    /// Whether a frame of an earlier use stands behind the end.
    fn was_used_before(&self) -> bool {
        (self.end..self.content.len()).step_by(ALIGNMENT).any(|offset| {
            let found = self.content.get(offset..).and_then(frame::read);
            found.is_some_and(|frame| frame.head.generation < self.head.generation)
        })
    }

    /// Whether the journal may end with this segment.
    fn check_end(&self, start: Start) -> Result<(), Damage> {
        self.check_nothing_follows()?;
        if self.reached < start.position {
            let (has, needs) = (self.reached, start.position);
            let what = format!("its frames end with commit {has}, and the index has {needs}");
            return Err(Damage::at(&self.path, bytes_of(self.end), what));
        }
        Ok(())
    }

    /// A frame behind the end would mean that the end is not where writing stopped.
    fn check_nothing_follows(&self) -> Result<(), Damage> {
        for offset in (self.end + ALIGNMENT..self.content.len()).step_by(ALIGNMENT) {
            let later = self.content.get(offset..).and_then(frame::read);
            if later.is_some_and(|frame| frame.head.generation == self.head.generation) {
                let what = format!("no frame checks there, and one stands later at byte {offset}");
                return Err(Damage::at(&self.path, bytes_of(self.end), what));
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
                    Damage::at(&self.path, bytes_of(*offset), what)
                })?;
                if position > start {
                    take(position, item)?;
                }
            }
        }
        Ok(())
    }
}

fn check_frame(frame: &Frame<'_>, reading: &Reading) -> Result<(), Damage> {
    let at = |what| Damage::at(&reading.path, bytes_of(reading.end), what);
    if frame.format != FORMAT {
        let found = frame.format;
        return Err(at(format!("a frame has format {found}, and this version reads {FORMAT}")));
    }
    if frame.head.position != reading.reached + 1 {
        let (has, expected) = (frame.head.position, reading.reached + 1);
        let what = format!("a frame begins with commit {has} where {expected} should stand");
        return Err(at(what));
    }
    let (position, items) = (frame.head.position, frame.head.items);
    if position.checked_add(u64::from(items)).is_none() {
        return Err(at(format!("a frame has {items} commits from {position} on, behind the last")));
    }
    Ok(())
}

/// All segments, oldest first, and the first of them that has something behind the start.
///
/// Those before it are freed with the next checkpoint and not now: if the flush of the last
/// checkpoint failed, what was read of it may not be on disk.
fn list_segments(disk: &dyn Disk, start: Start) -> Result<(VecDeque<Segment>, usize), Error> {
    let mut segments = Vec::new();
    for generation in numbers(disk, "journal-")? {
        segments.push(read_head(disk, generation)??);
    }
    let needed = start.position + 1;
    let Some(begin) = segments.iter().rposition(|segment| segment.head.first <= needed) else {
        let first = segments.first().map(|segment| segment.head);
        return Err(missing_beginning(disk, first, start).into());
    };
    let live = segments.iter().skip(begin);
    for (segment, next) in live.clone().zip(live.skip(1)) {
        if let Some(damage) = missing(disk, segment.head.generation, next.head.generation - 1) {
            return Err(damage.into());
        }
    }
    let last = segments.last().map_or(0, |segment| segment.head.generation);
    if let Some(damage) = missing(disk, last, start.generation) {
        return Err(damage.into());
    }
    Ok((segments.into(), begin))
}

/// The segments behind one generation, up to another, as one damage: a number that is damaged
/// itself may leave any number of them out.
fn missing(disk: &dyn Disk, behind: u64, to: u64) -> Option<Damage> {
    let first = behind.checked_add(1).filter(|first| *first <= to)?;
    let what = match to - first {
        0 => "is missing".to_owned(),
        more => format!("is missing, and {more} more up to {}", segment_name(to)),
    };
    Some(Damage::of(&disk.path(&segment_name(first)), what))
}

/// No segment begins where the index ends.
fn missing_beginning(disk: &dyn Disk, first: Option<SegmentHead>, start: Start) -> Damage {
    let ends = start.position;
    let what = match first.map(|head| head.first) {
        None => format!("holds no segment: everything behind commit {ends} is missing"),
        Some(first) => format!(
            "begins with commit {first}, and the index ends with {ends}: what lies between is \
             missing"
        ),
    };
    Damage::of(&disk.path(""), what)
}

/// The head of a segment, or what is the matter with it.
fn read_head(disk: &dyn Disk, generation: u64) -> Result<Result<Segment, Damage>, Error> {
    let name = segment_name(generation);
    let path = disk.path(&name);
    let failed = |error| fault::of_io(ErrorKind::Closed, "read", &path, error);
    let file = disk.open(&name).map_err(failed)?;
    let bytes = file.bytes().map_err(failed)?;
    let mut head = [0; SEGMENT_HEAD_BYTES];
    if bytes < bytes_of(SEGMENT_HEAD_BYTES) {
        return Ok(Err(Damage::at(&path, bytes, "it ends within its head")));
    }
    file.read_at(0, &mut head).map_err(failed)?;
    let head = match SegmentHead::from_bytes(&head) {
        Ok(head) => head,
        Err(BadHead::Damaged) => {
            return Ok(Err(Damage::at(&path, 0, "its head does not check")));
        }
        Err(BadHead::Other(found)) => {
            let what = format!("has format {found}, and this version reads {FORMAT}");
            return Ok(Err(Damage::of(&path, what)));
        }
    };
    if head.generation != generation || head.first == 0 {
        let what = format!("its head says generation {}", head.generation);
        return Ok(Err(Damage::at(&path, 16, what)));
    }
    Ok(Ok(Segment { head, bytes }))
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
