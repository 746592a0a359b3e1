//! Reads event lists, `t_ms,kind,id,parent,event,info`, one row at a time and never a whole file.
//!
//! ```text
//! .csv, .csv.gz --> source (bytes) --> lines (one file's rows) --> Traces (all, by time)
//! ```
//!
//! Damage and nonsense are told apart. Damage means that the file is not the list that somebody
//! wrote (cut short, corrupt, a field missing, time that runs backwards): reading ends with a
//! [`TraceError`] that names file and line. Nonsense is a whole row that means nothing (an
//! unknown kind, an event of another kind): it is yielded as [`Refused`], and reading goes on.
//!
//! Nothing here knows what may follow what in a life: that is for whoever plays the rows.

mod lines;
mod row;
mod source;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use self::lines::Lines;
pub use self::row::{Info, Refusal, Refused, Row, TraceEvent, TraceKind};

/// The first line of every event list.
pub const HEADER: &str = "t_ms,kind,id,parent,event,info";
/// The longest line, in bytes. Chosen: a hundred times the longest that we have seen, and what
/// keeps memory constant when a file has no line ends at all.
pub const LINE_BYTES_MAX: u64 = 65_536;
/// The longest id and parent, in bytes. Chosen: below the longest name of an actor (512), so
/// that what a replay derives from an id still is a name.
pub const ID_BYTES_MAX: usize = 400;
/// The latest time, in milliseconds: a hundred years. Chosen: a time after that is a calendar
/// date that was not made relative, or a mistake, and would be waited for.
pub const TIME_MS_MAX: i64 = 36_525 * 24 * 60 * 60 * 1_000;

/// What reading yields: a row to play, or one that cannot be played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A row that means something.
    Row(Row),
    /// A whole row that means nothing, and why.
    Refused(Refused),
}

impl Entry {
    /// When the row says that it happened.
    pub const fn at_ms(&self) -> i64 {
        match self {
            Self::Row(row) => row.at_ms,
            Self::Refused(refused) => refused.at_ms,
        }
    }
}

/// Several event lists read as one, by time and, at the same time, in the order of the files.
///
/// Iterating ends after the first error.
#[derive(Debug)]
pub struct Traces {
    lists: Vec<Lines>,
    /// The next entry of each list, read when it is first needed.
    heads: Vec<Head>,
    has_failed: bool,
}

/// What is known of a list's next entry.
#[derive(Debug)]
enum Head {
    Unread,
    Ready(Entry),
    Ended,
}

impl Traces {
    /// Opens the lists and reads their headers.
    ///
    /// # Errors
    ///
    /// [`TraceError`] if one cannot be opened or does not begin with [`HEADER`].
    pub fn open<P: AsRef<Path>>(paths: &[P]) -> Result<Self, TraceError> {
        let lists =
            paths.iter().map(|path| Lines::open(path.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let heads = lists.iter().map(|_| Head::Unread).collect();
        Ok(Self { lists, heads, has_failed: false })
    }

    /// The size of all files, in bytes as they lie on the disk (compressed).
    pub fn bytes_total(&self) -> u64 {
        self.lists.iter().map(Lines::bytes_total).sum()
    }

    /// How many of [`Self::bytes_total`] have been read.
    pub fn bytes_read(&self) -> u64 {
        self.lists.iter().map(Lines::bytes_read).sum()
    }

    /// Reads a head for every list that has none, and names the list with the earliest.
    fn earliest(&mut self) -> Result<Option<usize>, TraceError> {
        let mut earliest: Option<(i64, usize)> = None;
        for (index, (list, head)) in self.lists.iter_mut().zip(&mut self.heads).enumerate() {
            if matches!(head, Head::Unread) {
                *head = list.next_entry()?.map_or(Head::Ended, Head::Ready);
            }
            if let Head::Ready(entry) = head
                && earliest.is_none_or(|(at_ms, _)| entry.at_ms() < at_ms)
            {
                earliest = Some((entry.at_ms(), index));
            }
        }
        Ok(earliest.map(|(_, index)| index))
    }
}

impl Iterator for Traces {
    type Item = Result<Entry, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        match self.earliest() {
            Ok(index) => match std::mem::replace(&mut self.heads[index?], Head::Unread) {
                Head::Ready(entry) => Some(Ok(entry)),
                Head::Unread | Head::Ended => None,
            },
            Err(error) => {
                self.has_failed = true;
                Some(Err(error))
            }
        }
    }
}

/// Why an event list cannot be read any further, and where.
///
/// Nothing was taken from the line that it names. The caller ends; repeating does not help.
#[derive(Debug)]
pub struct TraceError {
    /// The file, as it was given.
    pub file: Arc<str>,
    /// The place in the file.
    pub at: Place,
    /// What is wrong there.
    pub problem: Problem,
}

/// Where in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole.
    File,
    /// This line; the header is line 1.
    Line(u64),
    /// Somewhere after this line, the last that could be read.
    After(u64),
}

/// What is wrong with an event list.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file cannot be opened.
    #[error("cannot be opened")]
    Open(#[source] io::Error),
    /// Reading failed.
    #[error("cannot be read")]
    Read(#[source] io::Error),
    /// The compressed data ends too early.
    #[error("the gzip data is cut short")]
    Truncated,
    /// The compressed data is damaged.
    #[error("the gzip data is damaged")]
    Corrupt(#[source] io::Error),
    /// The bytes are not text.
    #[error("not UTF-8")]
    NotUtf8(#[source] std::str::Utf8Error),
    /// The file does not begin as an event list does.
    #[error("the header is not `{HEADER}` but `{0}`")]
    Header(String),
    /// The file is empty.
    #[error("the file is empty, not even a header `{HEADER}`")]
    Empty,
    /// The line never ends.
    #[error("longer than {LINE_BYTES_MAX} bytes")]
    LongLine,
    /// A quoted field is not closed.
    #[error("a quote is not closed on its line")]
    OpenQuote,
    /// Fields are missing or too many.
    #[error("{0} fields instead of 6")]
    Fields(usize),
    /// The time is not a whole number.
    #[error("the time `{0}` is not a whole number of milliseconds")]
    TimeNotANumber(String),
    /// The time is before the trace began.
    #[error("the time {0} is negative")]
    TimeNegative(String),
    /// The time is absurdly late.
    #[error("the time {0} is absurd: more than 100 years")]
    TimeAbsurd(String),
    /// The time is before that of the row before.
    #[error("the time runs backwards, from {from_ms} to {to_ms}")]
    TimeBackwards {
        /// The time of the row before.
        from_ms: i64,
        /// The time of this row.
        to_ms: i64,
    },
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Place::File => write!(f, "{}: {}", self.file, self.problem),
            Place::Line(line) => write!(f, "{}, line {line}: {}", self.file, self.problem),
            Place::After(line) => write!(f, "{}, after line {line}: {}", self.file, self.problem),
        }
    }
}

impl Error for TraceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.problem.source()
    }
}

/// A short, printable beginning of a text from a trace, fit for a one-line message.
fn excerpt(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    let dots = if text.chars().nth(CHARS_MAX).is_some() { ".." } else { "" };
    text.chars().take(CHARS_MAX).flat_map(char::escape_debug).chain(dots.chars()).collect()
}
