//! Which actors there are: those that live, those that are stalled, those that are buried.

use std::io;

use serde::Serialize;
use sexton::key::{self, Parsed, Table};
use sexton::{ActorId, Entry, Error, RowRecord, Timestamp, Tombstone, Value};

use crate::args::ActorsArgs;

use super::source::Source;
use super::table::Page;
use super::{Answer, Damaged, scan};

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
pub(super) struct Actors {
    count: u64,
    actors: Vec<Shown>,
    damaged: Vec<Damaged>,
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
        page.table(&head, rows, "no actor is like that")?;
        page.counted(self.actors.len(), self.count, "actors")?;
        page.damaged(&self.damaged)
    }

    fn is_clean(&self) -> bool {
        self.damaged.is_empty()
    }
}

/// The living actors that are as was asked.
pub(super) fn actors(source: &Source, of: &ActorsArgs) -> Result<Actors, Error> {
    let is_asked = |id: &ActorId, status: &str, record: &RowRecord| {
        let is = |asked: &Option<String>, is: &str| asked.as_ref().is_none_or(|asked| asked == is);
        let age = source.now().since(record.created_at);
        is(&of.kind, id.kind())
            && is(&of.status, status)
            && of.owner.as_ref().is_none_or(|owner| record.row.owner.as_ref() == Some(owner))
            && of.older_than.is_none_or(|least| age >= *least)
            && of.younger_than.is_none_or(|most| age < *most)
            && of.has.iter().all(|(name, value)| {
                record.row.fields.iter().any(|(field, is)| field == name && text(is) == *value)
            })
    };
    select(source, &prefix(of), of.limit, is_asked)
}

/// The actors that make no progress.
pub(super) fn stalled(source: &Source) -> Result<Actors, Error> {
    select(source, &key::all_rows(), usize::MAX, |_, _, record| record.stalled.is_some())
}

/// What the rows that were asked for begin with.
fn prefix(of: &ActorsArgs) -> key::Key {
    match (&of.kind, &of.status) {
        (Some(kind), Some(status)) => key::rows(kind, status),
        (Some(kind), None) => key::rows_of_kind(kind),
        (None, _) => key::all_rows(),
    }
}

fn select(
    source: &Source,
    prefix: &[u8],
    limit: usize,
    is_asked: impl Fn(&ActorId, &str, &RowRecord) -> bool,
) -> Result<Actors, Error> {
    let mut found = Actors { count: 0, actors: Vec::new(), damaged: Vec::new() };
    scan::records(source.store(), prefix, |at, bytes| {
        let Some((Parsed::Row(id, status), record)) = scan::read(at, bytes, &mut found.damaged)
        else {
            return true;
        };
        if is_asked(&id, &status, &record) {
            found.count += 1;
            if found.actors.len() < limit {
                found.actors.push(Shown::new(id, status, record));
            }
        }
        true
    })?;
    Ok(found)
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
pub(super) struct Tombstones {
    count: u64,
    tombstones: Vec<Buried>,
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
        page.table(&["name", "buried", "why", "by", "turns"], rows, "no tombstones")?;
        page.counted(self.tombstones.len(), self.count, "tombstones")?;
        page.damaged(&self.damaged)
    }

    fn is_clean(&self) -> bool {
        self.damaged.is_empty()
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
