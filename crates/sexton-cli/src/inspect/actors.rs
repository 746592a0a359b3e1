//! Which actors there are: those that live, those that are stalled, those that are buried.

use std::io;

use serde::Serialize;
use sexton::key::{Parsed, Table};
use sexton::{ActorId, Entry, Error, Query, RowRecord, Timestamp, Tombstone, Value};

use crate::args::ActorsArgs;

use super::source::Source;
use super::table::Page;
use super::{Answer, Damaged, scan};

/// Rows that are read at a time.
const PAGE: usize = 1_000;

/// A living actor as its row shows it.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    id: ActorId,
    status: String,
    owner: Option<String>,
    incarnation: u32,
    created_at: Timestamp,
    status_since: Timestamp,
    changed_at: Timestamp,
    stalled: Option<String>,
    fields: Vec<(String, String)>,
}

impl Shown {
    fn new(id: ActorId, status: String, record: RowRecord) -> Self {
        let fields = record.row.fields.into_iter().map(|(name, value)| (name, text(&value)));
        Self {
            id,
            status,
            owner: record.row.owner,
            incarnation: record.incarnation,
            created_at: record.created_at,
            status_since: record.status_since,
            changed_at: record.changed_at,
            stalled: record.stalled,
            fields: fields.collect(),
        }
    }
}

/// A value of a row as people read it.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::Time(at) => at.to_string(),
    }
}

/// Living actors.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "its fields are named as the JSON says them")]
pub(super) struct Actors {
    count: u64,
    actors: Vec<Shown>,
    /// Rows that cannot be read.
    unread: u64,
}

impl Answer for Actors {
    fn show(&self, page: &mut Page<'_>) -> io::Result<()> {
        let rows = self.actors.iter().map(|it| {
            let fields = it.fields.iter().map(|(name, value)| format!("{name}={value}"));
            let stalled = it.stalled.iter().map(|why| format!("STALLED: {why}"));
            vec![
                it.id.to_string(),
                it.status.clone(),
                it.owner.clone().unwrap_or_default(),
                page.distance(it.status_since),
                page.distance(it.created_at),
                stalled.chain(fields).collect::<Vec<String>>().join(" "),
            ]
        });
        let rows = rows.collect();
        let head = ["actor", "status", "owner", "status since", "created", "says"];
        page.some_of(&head, rows, (self.count, "no actor is like that"))?;
        page.counted(self.actors.len(), self.count, ("actor", "actors"))?;
        if self.unread > 0 {
            page.verdict(false, &format!("{} rows cannot be read: see `verify`", self.unread))?;
        }
        Ok(())
    }

    fn is_clean(&self) -> bool {
        self.unread == 0
    }
}

/// The living actors that are as was asked.
pub(super) fn actors(source: &Source, of: &ActorsArgs) -> Result<Actors, Error> {
    let mut query = match &of.kind {
        Some(kind) => Query::of(kind),
        None => Query::all(),
    };
    if let Some(status) = &of.status {
        query = query.status(status);
    }
    if let Some(owner) = &of.owner {
        query = query.owner(owner);
    }
    if let Some(least) = of.older_than {
        query = query.created_before(source.now() - least);
    }
    if let Some(most) = of.younger_than {
        query = query.created_from(source.now() - most);
    }
    // A word does not say whether the field is a text or a number: both are meant.
    let has = |row: &RowRecord| {
        let is = |(name, value): &(String, String)| {
            row.row.fields.iter().any(|(field, is)| field == name && text(is) == *value)
        };
        of.has.iter().all(is)
    };
    select(source, query, of.limit, has)
}

/// The actors that make no progress.
pub(super) fn stalled(source: &Source) -> Result<Actors, Error> {
    select(source, Query::all().stalled(true), usize::MAX, |_| true)
}

fn select(
    source: &Source,
    query: Query,
    limit: usize,
    is_asked: impl Fn(&RowRecord) -> bool,
) -> Result<Actors, Error> {
    let mut found = Actors { count: 0, actors: Vec::new(), unread: 0 };
    let mut query = query.limit(PAGE);
    loop {
        let page = query.page(source.store())?;
        found.unread += crate::inspect::as_count(page.unread);
        for (_, row) in page.rows {
            if !is_asked(&row.record) {
                continue;
            }
            found.count += 1;
            if found.actors.len() < limit {
                found.actors.push(Shown::new(row.id, row.status, row.record));
            }
        }
        match page.next {
            Some(next) => query = query.after(next),
            None => return Ok(found),
        }
    }
}

/// A name that has ended.
#[derive(Debug, Serialize)]
struct Buried {
    id: ActorId,
    #[serde(flatten)]
    tombstone: Tombstone,
}

/// Tombstones.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "its fields are named as the JSON says them")]
pub(super) struct Tombstones {
    count: u64,
    tombstones: Vec<Buried>,
    #[serde(skip)]
    damaged: Vec<Damaged>,
}

impl Answer for Tombstones {
    fn show(&self, page: &mut Page<'_>) -> io::Result<()> {
        let rows = self.tombstones.iter().map(|it| {
            vec![
                it.id.to_string(),
                page.moment(it.tombstone.at),
                it.tombstone.why.clone(),
                it.tombstone.by.clone(),
                it.tombstone.turns.to_string(),
            ]
        });
        let rows = rows.collect();
        let head = ["name", "buried", "why", "by", "turns"];
        page.some_of(&head, rows, (self.count, "no tombstones"))?;
        page.counted(self.tombstones.len(), self.count, ("tombstone", "tombstones"))
    }

    fn damaged(&self) -> &[Damaged] {
        &self.damaged
    }
}

/// The names that have ended, latest first.
pub(super) fn tombstones(source: &Source, limit: usize) -> Result<Tombstones, Error> {
    let mut damaged = Vec::new();
    let mut all = Vec::new();
    scan::table(source.store(), Table::Actor, &mut damaged, |at, entry: Entry| {
        if let (Parsed::Actor(id), Entry::Tombstone(tombstone)) = (at, entry) {
            all.push(Buried { id, tombstone });
        }
    })?;
    all.sort_by(|a, b| (b.tombstone.at, &b.id).cmp(&(a.tombstone.at, &a.id)));
    let count = u64::try_from(all.len()).unwrap_or(u64::MAX);
    all.truncate(limit);
    Ok(Tombstones { count, tombstones: all, damaged })
}
