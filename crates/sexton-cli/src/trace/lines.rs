//! The rows of one event list, in order, each with its line number.

use std::io::{self, BufRead, Read};
use std::num::IntErrorKind;
use std::path::Path;
use std::sync::Arc;

use super::row::{Info, Refusal, Refused, Row, TraceEvent, TraceKind};
use super::source::Source;
use super::{
    Entry, HEADER, ID_BYTES_MAX, LINE_BYTES_MAX, Place, Problem, TIME_MS_MAX, TraceError, excerpt,
};

/// The columns of an event list.
const FIELDS: usize = 6;

/// One event list, open and past its header.
#[derive(Debug)]
pub(super) struct Lines {
    file: Arc<str>,
    source: Source,
    /// The last line read; the header is line 1.
    line: u64,
    /// The time of the last row.
    at_ms: i64,
    /// The line being read; kept for its allocation.
    buffer: Vec<u8>,
}

impl Lines {
    pub(super) fn open(path: &Path) -> Result<Self, TraceError> {
        let file: Arc<str> = path.display().to_string().into();
        let source = Source::open(path).map_err(|source| TraceError {
            file: Arc::clone(&file),
            at: Place::File,
            problem: Problem::Open(source),
        })?;
        let mut lines = Self { file, source, line: 0, at_ms: 0, buffer: Vec::new() };
        if !lines.read_line()? {
            return Err(lines.error(Place::File, Problem::Empty));
        }
        let header = lines.text()?;
        if header.strip_prefix('\u{feff}').unwrap_or(header) != HEADER {
            return Err(lines.error_here(Problem::Header(excerpt(header))));
        }
        Ok(lines)
    }

    pub(super) const fn bytes_total(&self) -> u64 {
        self.source.bytes_total
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.source.bytes_read()
    }

    /// The next row, or `None` at the end of the list; blank lines are passed over.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, TraceError> {
        loop {
            if !self.read_line()? {
                return Ok(None);
            }
            if !self.text()?.is_empty() {
                break;
            }
        }
        let row = split(self.text()?)
            .and_then(|fields| Ok((time_after(self.at_ms, &fields[0])?, fields)));
        let (at_ms, fields) = row.map_err(|problem| self.error_here(problem))?;
        self.at_ms = at_ms;
        Ok(Some(self.entry(fields)))
    }

    /// A row of good shape, as what it means.
    fn entry(&self, fields: [String; FIELDS]) -> Entry {
        let (file, line, at_ms) = (Arc::clone(&self.file), self.line, self.at_ms);
        let [_, kind, id, parent, event, more] = fields;
        match meaning(&kind, &event).and_then(|it| check_names(&id, &parent).map(|()| it)) {
            Ok((kind, event)) => {
                let parent = (!parent.is_empty()).then_some(parent);
                let row = Row { file, line, at_ms, kind, id, parent, event, info: Info::new(more) };
                Entry::Row(row)
            }
            Err(reason) => Entry::Refused(Refused { file, line, at_ms, reason }),
        }
    }

    /// Reads the next line into the buffer; false at the end of the file.
    fn read_line(&mut self) -> Result<bool, TraceError> {
        self.buffer.clear();
        let mut bounded = (&mut self.source.reader).take(LINE_BYTES_MAX + 1);
        let bytes = match bounded.read_until(b'\n', &mut self.buffer) {
            Ok(bytes) => bytes,
            Err(source) => return Err(self.error(Place::After(self.line), self.damage(source))),
        };
        if bytes == 0 {
            return Ok(false);
        }
        self.line += 1;
        if u64::try_from(bytes).is_ok_and(|it| it > LINE_BYTES_MAX) {
            return Err(self.error_here(Problem::LongLine));
        }
        Ok(true)
    }

    /// What a failed read means: of packed bytes, that they are damaged.
    fn damage(&self, source: io::Error) -> Problem {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        if self.source.is_gzip && source.kind() == UnexpectedEof {
            Problem::Truncated
        } else if self.source.is_gzip && matches!(source.kind(), InvalidInput | InvalidData) {
            Problem::Corrupt(source)
        } else {
            Problem::Read(source)
        }
    }

    /// The line in the buffer without its end.
    fn text(&self) -> Result<&str, TraceError> {
        let bytes = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        std::str::from_utf8(bytes).map_err(|source| self.error_here(Problem::NotUtf8(source)))
    }

    fn error_here(&self, problem: Problem) -> TraceError {
        self.error(Place::Line(self.line), problem)
    }

    fn error(&self, at: Place, problem: Problem) -> TraceError {
        TraceError { file: Arc::clone(&self.file), at, problem }
    }
}

/// The fields of a line. Quotes are rare, so only a line that has one pays for them.
fn split(line: &str) -> Result<[String; FIELDS], Problem> {
    let fields: Vec<String> = if line.contains('"') {
        if line.matches('"').count() % 2 == 1 {
            return Err(Problem::OpenQuote);
        }
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            // A carriage return is no end of a line here: what stands behind it counts.
            .terminator(csv::Terminator::Any(b'\n'))
            .from_reader(line.as_bytes());
        let record = reader.records().next().and_then(Result::ok).unwrap_or_default();
        record.iter().map(str::to_owned).collect()
    } else {
        line.split(',').map(str::to_owned).collect()
    };
    fields.try_into().map_err(|fields: Vec<String>| Problem::Fields(fields.len()))
}

/// Reads a time that may not be before `from_ms`.
fn time_after(from_ms: i64, text: &str) -> Result<i64, Problem> {
    let to_ms = match text.parse::<i64>() {
        Ok(to_ms) => to_ms,
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => TIME_MS_MAX + 1,
        Err(error) if *error.kind() == IntErrorKind::NegOverflow => -1,
        Err(_) => return Err(Problem::TimeNotANumber(excerpt(text))),
    };
    if to_ms < 0 {
        Err(Problem::TimeNegative(excerpt(text)))
    } else if to_ms > TIME_MS_MAX {
        Err(Problem::TimeAbsurd(excerpt(text)))
    } else if to_ms < from_ms {
        Err(Problem::TimeBackwards { from_ms, to_ms })
    } else {
        Ok(to_ms)
    }
}

/// The kind and the event, if they are known and belong together.
fn meaning(kind: &str, event: &str) -> Result<(TraceKind, TraceEvent), Refusal> {
    let kind = TraceKind::parse(kind).ok_or_else(|| Refusal::UnknownKind(excerpt(kind)))?;
    let event = TraceEvent::parse(event).ok_or_else(|| Refusal::UnknownEvent(excerpt(event)))?;
    if !event.belongs_to(kind) {
        return Err(Refusal::ForeignEvent { kind, event });
    }
    Ok((kind, event))
}

/// Whether id and parent can be part of a name.
fn check_names(id: &str, parent: &str) -> Result<(), Refusal> {
    if id.is_empty() {
        return Err(Refusal::EmptyId);
    }
    for (field, text) in [("id", id), ("parent", parent)] {
        if text.len() > ID_BYTES_MAX {
            return Err(Refusal::Long { field, bytes: text.len() });
        }
        if text.chars().any(char::is_control) {
            return Err(Refusal::Control(field));
        }
    }
    Ok(())
}
