//! Which ones: one way to ask for rows, for sweeps, consoles and users.
//!
//! A [`Query`] says which rows are wanted; it reads the index of rows and nothing else, so no
//! actor is loaded for it. Kind and status narrow down what is read; everything else is looked at
//! row by row.
//!
//! Keeps G14: a page holds at most [`limit`](Query::limit) rows and looks at at most
//! [`examine_max`](Query::examine_max), and says where to go on. Rows that cannot be read are
//! counted and passed over: they stop nobody else (G12).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::key::{self, Key};
use crate::query::read_row;
use crate::row::{RowView, Value, quiet_until};
use crate::store::Store;
use crate::time::Timestamp;

/// Rows of a page, unless another number is chosen. Chosen: a screen or two.
pub const LIMIT: usize = 100;
/// Rows that one page looks at, unless another number is chosen. Chosen: some milliseconds.
pub const EXAMINE_MAX: usize = 10_000;
/// Rows that are read from the store at once. Chosen.
const CHUNK: usize = 1_000;

/// Which rows are wanted: all that every given condition holds for.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use sexton_core::{Query, Store, Timestamp};
///
/// # fn f(store: &dyn Store, now: Timestamp) -> Result<(), sexton_core::Error> {
/// let forgotten = Query::of("workspace")
///     .status("stopped")
///     .status("error")
///     .owner("ada")
///     .in_status_for(Duration::from_secs(86_400), now)
///     .limit(20);
/// let mut page = forgotten.page(store)?;
/// while let Some(cursor) = page.next.take() {
///     page = forgotten.clone().after(cursor).page(store)?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    kind: Option<String>,
    statuses: BTreeSet<String>,
    owner: Option<String>,
    times: Vec<(Which, Side, Timestamp)>,
    fields: Vec<(String, Test)>,
    is_stalled: Option<bool>,
    watched_by: Option<Timestamp>,
    limit: usize,
    examine_max: usize,
    after: Option<Cursor>,
}

/// Which moment of a row is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Which {
    Created,
    Status,
    Changed,
}

/// On which side of a given moment it must lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Side {
    Before,
    From,
}

impl Side {
    fn holds(self, moment: Timestamp, given: Timestamp) -> bool {
        match self {
            Self::Before => moment < given,
            Self::From => moment >= given,
        }
    }
}

/// What must hold for a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Test {
    Is(Value),
    Lies(Side, Timestamp),
}

/// Where a page ended: hand it to [`Query::after`] of the same query to go on.
///
/// As text it may travel through an address or a command line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor(pub(crate) Key);

/// A text that is not a cursor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a cursor of rows")]
pub struct NotACursor(String);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let key: Option<Key> = text.as_bytes().chunks(2).map(byte).collect();
        // Whatever it is, only a key of a row leads to rows.
        let key = key.filter(|key| matches!(key::parse(key), Some(key::Parsed::Row(..))));
        key.map(Self).ok_or_else(|| NotACursor(text.to_owned()))
    }
}

impl TryFrom<String> for Cursor {
    type Error = NotACursor;

    fn try_from(text: String) -> Result<Self, NotACursor> {
        text.parse()
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.to_string()
    }
}

/// Some of the rows of a query, in order of kind, status, shard and id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The rows, each with where it lies.
    pub rows: Vec<(Cursor, RowView)>,
    /// How many were looked at.
    pub examined: usize,
    /// How many of them cannot be read.
    pub unread: usize,
    /// Where to go on; `None` if nothing is left. A page may be empty and have more behind it.
    pub next: Option<Cursor>,
    /// The earliest moment at which one of the rows that [`Query::watched_by`] passed over asks
    /// to be looked at; [`Timestamp::MAX`] if none does.
    pub quiet_until: Timestamp,
}

/// How many rows of a kind have a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// The kind.
    pub kind: String,
    /// The status.
    pub status: String,
    /// How many.
    pub rows: u64,
}

/// The rows of a query, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// By kind and status, in that order; none with zero.
    pub counts: Vec<Count>,
    /// Rows that cannot be read, and are not in the counts.
    pub unread: u64,
}

impl Counts {
    /// How many there are in all.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|count| count.rows).sum()
    }
}

impl Default for Query {
    fn default() -> Self {
        Self {
            kind: None,
            statuses: BTreeSet::new(),
            owner: None,
            times: Vec::new(),
            fields: Vec::new(),
            is_stalled: None,
            watched_by: None,
            limit: LIMIT,
            examine_max: EXAMINE_MAX,
            after: None,
        }
    }
}

impl Query {
    /// Rows of every kind.
    pub fn all() -> Self {
        Self::default()
    }

    /// Rows of a kind.
    pub fn of(kind: &str) -> Self {
        Self { kind: Some(kind.to_owned()), ..Self::default() }
    }

    /// With this status; asked for several times, with any of them.
    pub fn status(mut self, status: &str) -> Self {
        self.statuses.insert(status.to_owned());
        self
    }

    /// That belong to somebody.
    pub fn owner(self, owner: &str) -> Self {
        Self { owner: Some(owner.to_owned()), ..self }
    }

    /// Created before a moment.
    pub fn created_before(self, at: Timestamp) -> Self {
        self.lies(Which::Created, Side::Before, at)
    }

    /// Created at a moment or after it.
    pub fn created_from(self, at: Timestamp) -> Self {
        self.lies(Which::Created, Side::From, at)
    }

    /// In their status for at least `wait`, counted at `now`.
    pub fn in_status_for(self, wait: Duration, now: Timestamp) -> Self {
        self.lies(Which::Status, Side::Before, just_after(now - wait))
    }

    /// Unchanged for at least `wait`, counted at `now`.
    pub fn unchanged_for(self, wait: Duration, now: Timestamp) -> Self {
        self.lies(Which::Changed, Side::Before, just_after(now - wait))
    }

    fn lies(mut self, which: Which, side: Side, at: Timestamp) -> Self {
        self.times.push((which, side, at));
        self
    }

    /// Whose field is this text.
    pub fn text(self, field: &str, value: &str) -> Self {
        self.field(field, Test::Is(Value::Text(value.to_owned())))
    }

    /// Whose field is this number.
    pub fn number(self, field: &str, value: i64) -> Self {
        self.field(field, Test::Is(Value::Number(value)))
    }

    /// Whose field says yes or no; a row without it says neither.
    pub fn flag(self, field: &str, value: bool) -> Self {
        self.field(field, Test::Is(Value::Flag(value)))
    }

    /// Whose field is a moment before this one.
    pub fn time_before(self, field: &str, at: Timestamp) -> Self {
        self.field(field, Test::Lies(Side::Before, at))
    }

    /// Whose field is this moment or a later one.
    pub fn time_from(self, field: &str, at: Timestamp) -> Self {
        self.field(field, Test::Lies(Side::From, at))
    }

    fn field(mut self, field: &str, test: Test) -> Self {
        self.fields.push((field.to_owned(), test));
        self
    }

    /// That make no progress (or, asked for `false`, that do).
    pub fn stalled(self, is_stalled: bool) -> Self {
        Self { is_stalled: Some(is_stalled), ..self }
    }

    /// That ask to be looked at by `now`: a row that is
    /// [`watched_from`](crate::Row::watched_from) a later moment is passed over unread.
    pub fn watched_by(self, now: Timestamp) -> Self {
        Self { watched_by: Some(now), ..self }
    }

    /// At most so many rows a page; at least one.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit: limit.max(1), ..self }
    }

    /// Looks at at most so many rows a page; at least one.
    pub fn examine_max(self, examine_max: usize) -> Self {
        Self { examine_max: examine_max.max(1), ..self }
    }

    /// Goes on behind where a page of this query ended.
    pub fn after(self, cursor: Cursor) -> Self {
        Self { after: Some(cursor), ..self }
    }

    /// The next rows.
    ///
    /// What it reads is what was submitted to the store, which may not be durable yet. Rows move
    /// while one pages through them: one that changes its status may be seen twice or not at all.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn page(&self, store: &dyn Store) -> Result<Page, Error> {
        let mut page = Page { quiet_until: Timestamp::MAX, ..Page::default() };
        for prefix in self.prefixes() {
            let end = key::end_of(&prefix);
            let mut start = match &self.after {
                Some(Cursor(after)) if *after >= end => continue,
                Some(Cursor(after)) if *after >= prefix => behind(after),
                Some(_) | None => prefix,
            };
            loop {
                let wanted = CHUNK.min(self.examine_max - page.examined);
                let chunk = store.scan(&start, &end, wanted)?;
                let is_last = chunk.len() < wanted;
                for (at, bytes) in chunk {
                    start = behind(&at);
                    self.examine(at, &bytes, &mut page);
                    if page.next.is_some() {
                        return Ok(page);
                    }
                }
                if is_last {
                    break;
                }
            }
        }
        Ok(page)
    }

    /// Counts all rows that are wanted, by kind and status; a limit and a cursor do not matter.
    ///
    /// Looks at every row of the kind and statuses asked for, a bounded number at a time.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn count(&self, store: &dyn Store) -> Result<Counts, Error> {
        let mut query = Self { after: None, ..self.clone() }.limit(CHUNK).examine_max(CHUNK);
        let (mut counts, mut unread) = (BTreeMap::<(String, String), u64>::new(), 0);
        loop {
            let page = query.page(store)?;
            unread += u64::try_from(page.unread).unwrap_or(0);
            for (_, row) in page.rows {
                *counts.entry((row.id.kind().to_owned(), row.status)).or_default() += 1;
            }
            let Some(next) = page.next else { break };
            query = query.after(next);
        }
        let counts = counts.into_iter();
        let counts = counts.map(|((kind, status), rows)| Count { kind, status, rows }).collect();
        Ok(Counts { counts, unread })
    }

    /// What the keys of wanted rows begin with, in order.
    fn prefixes(&self) -> Vec<Key> {
        match &self.kind {
            None => vec![key::all_rows()],
            Some(kind) if self.statuses.is_empty() => vec![key::rows_of_kind(kind)],
            Some(kind) => {
                let mut prefixes: Vec<Key> =
                    self.statuses.iter().map(|status| key::rows(kind, status)).collect();
                prefixes.sort();
                prefixes
            }
        }
    }

    /// Looks at one row, and ends the page with it if that is full.
    fn examine(&self, at: Key, bytes: &[u8], page: &mut Page) {
        page.examined += 1;
        let quiet = self.watched_by.and_then(|now| quiet_until(bytes).filter(|until| *until > now));
        let row = match quiet {
            Some(until) => {
                page.quiet_until = page.quiet_until.min(until);
                None
            }
            None => read_row(&at, bytes).unwrap_or_else(|_| {
                page.unread += 1;
                None
            }),
        };
        if let Some(row) = row.filter(|row| self.wants(row)) {
            page.rows.push((Cursor(at.clone()), row));
        }
        if page.rows.len() >= self.limit || page.examined >= self.examine_max {
            page.next = Some(Cursor(at));
        }
    }

    fn wants(&self, row: &RowView) -> bool {
        let record = &row.record;
        let is_in_time = |(which, side, at): &(Which, Side, Timestamp)| {
            let moment = match which {
                Which::Created => record.created_at,
                Which::Status => record.status_since,
                Which::Changed => record.changed_at,
            };
            side.holds(moment, *at)
        };
        let has = |(name, test): &(String, Test)| {
            let mut values = record.row.fields.iter().filter(|(field, _)| field == name);
            let value = values.next().map(|(_, value)| value);
            match test {
                Test::Is(wanted) => value == Some(wanted),
                Test::Lies(side, at) => {
                    matches!(value, Some(Value::Time(moment)) if side.holds(*moment, *at))
                }
            }
        };
        (self.statuses.is_empty() || self.statuses.contains(&row.status))
            && self.owner.as_ref().is_none_or(|owner| record.row.owner.as_ref() == Some(owner))
            && self.is_stalled.is_none_or(|wanted| record.stalled.is_some() == wanted)
            && self.times.iter().all(is_in_time)
            && self.fields.iter().all(has)
    }
}

/// The first key behind one.
fn behind(key: &[u8]) -> Key {
    [key, &[0]].concat()
}

/// The first moment behind one: before it lies what is at least as early.
fn just_after(at: Timestamp) -> Timestamp {
    at + Duration::from_millis(1)
}
