//! A store at a glance.

use std::io;

use serde::Serialize;
use sexton::key::Table;
use sexton::{Debt, Entry, Error, Query, Timestamp};

use crate::figures::{bytes, counted, grouped};

use super::source::Source;
use super::table::Page;
use super::{Answer, Damaged, alarms, scan};

/// How many actors of a kind have a status.
#[derive(Debug, Serialize)]
struct Line {
    kind: String,
    status: String,
    actors: u64,
}

/// What a store holds, counted.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    store: String,
    last_turn_at: Timestamp,
    commits: u64,
    bytes: u64,
    actors: Vec<Line>,
    stalled: u64,
    tombstones: u64,
    debts: u64,
    alarms: u64,
    next_alarm: Option<Timestamp>,
    events: u64,
    #[serde(skip)]
    damaged: Vec<Damaged>,
}

impl Answer for Summary {
    fn show(&self, page: &mut Page<'_>) -> io::Result<()> {
        page.line(&self.store)?;
        let commits = counted(self.commits, "commit", "commits");
        page.line(&format!(
            "{commits}, {}, last turn at {}",
            bytes(self.bytes),
            self.last_turn_at
        ))?;
        page.line("")?;
        let rows = self.actors.iter();
        let rows = rows.map(|it| vec![it.kind.clone(), it.status.clone(), grouped(it.actors)]);
        page.table(&["kind", "status", "actors"], rows.collect(), "no actor lives")?;
        page.line("")?;
        let next = self.next_alarm.map(|at| format!(", the next {}", page.moment(at)));
        page.line(&format!("alarms      {}{}", grouped(self.alarms), next.unwrap_or_default()))?;
        page.line(&format!("debts       {}", grouped(self.debts)))?;
        page.line(&format!("tombstones  {}", grouped(self.tombstones)))?;
        page.line(&format!("events      {}", grouped(self.events)))?;
        if self.stalled > 0 {
            page.verdict(false, &format!("stalled     {}", grouped(self.stalled)))?;
        }
        Ok(())
    }

    fn damaged(&self) -> &[Damaged] {
        &self.damaged
    }
}

/// Counts what the store holds.
pub(super) fn summary(source: &Source) -> Result<Summary, Error> {
    let store = source.store();
    let mut damaged = Vec::new();
    let counts = Query::all().count(store)?;
    let stalled = Query::all().stalled(true).count(store)?.total();
    let (mut tombstones, mut debts) = (0, 0);
    scan::table(store, Table::Actor, &mut damaged, |_, entry: Entry| match entry {
        Entry::Tombstone(_) => tombstones += 1,
        Entry::Alive(_) => {}
    })?;
    scan::table(store, Table::Debt, &mut damaged, |_, _: Debt| debts += 1)?;
    let (alarms, next_alarm) = alarms::ahead(source)?;
    let log = store.log()?;
    let actors = counts.counts.into_iter();
    let actors = actors.map(|it| Line { kind: it.kind, status: it.status, actors: it.rows });
    Ok(Summary {
        store: source.name().to_owned(),
        last_turn_at: source.now(),
        commits: source.commits(),
        bytes: source.bytes(),
        actors: actors.collect(),
        stalled,
        tombstones,
        debts,
        alarms,
        next_alarm,
        events: log.end.0 - log.begin.0,
        damaged,
    })
}
