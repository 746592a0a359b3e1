//! What may still be there, what leaked, and what the store says at the end.
//!
//! What the trace began and did not end may stay, and so may what serves it: the workspace of an
//! open task, the machine under that workspace. Everything else must go.

use std::collections::{BTreeMap, BTreeSet};

use sexton::{Entry, Error, RowView, Store, Timestamp, query};
use sexton_fleet::sim_cloud::SimCloud;

use crate::report::{Counts, Leak, Report};
use crate::trace::TraceKind;

use super::lives::{Lives, id_of};
use super::sandboxes;

/// The actors that may stay, by name, and those that must go.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Nodes that have a reason.
    pub nodes: BTreeSet<String>,
    /// Everything of the fleet that has none, by id, with its status.
    pub overdue: BTreeMap<String, String>,
    /// Workspaces that should be gone, on machines that the trace keeps and left unreachable:
    /// their debts are owed until somebody answers, and that is no leak.
    pub n_waiting: u64,
}

fn is_kept(row: &RowView, kind: TraceKind, lives: &Lives) -> bool {
    row.status != sexton::DESTROYING
        && row.record.text("tenure") == Some("external")
        && lives.is_open(kind, &id_of(row.id.name()))
}

/// Says who may stay at this moment.
///
/// # Errors
///
/// What the store says.
pub(super) fn standing(
    store: &dyn Store,
    lives: &Lives,
    down: &BTreeSet<String>,
) -> Result<Standing, Error> {
    let mut standing = Standing::default();
    let mut tasks = BTreeSet::new();
    query::rows_of_kind(store, "task", |row| {
        if is_kept(&row, TraceKind::Task, lives) {
            tasks.insert(row.id.name().to_owned());
        } else {
            standing.overdue.insert(row.id.to_string(), row.status);
        }
        Ok(())
    })?;
    query::rows_of_kind(store, "session", |row| {
        let is_open = lives.is_open(TraceKind::Task, &id_of(row.id.name()));
        if row.status == sexton::DESTROYING || !is_open {
            standing.overdue.insert(row.id.to_string(), row.status);
        }
        Ok(())
    })?;
    let mut kept = BTreeSet::new();
    query::rows_of_kind(store, "node", |row| {
        if is_kept(&row, TraceKind::Node, lives) {
            kept.insert(row.id.name().to_owned());
        }
        Ok(())
    })?;
    let mut hosts = BTreeSet::new();
    query::rows_of_kind(store, "workspace", |row| {
        let node = row.record.text("node").unwrap_or_default().to_owned();
        let task = row.record.text("task");
        let serves = row.status != sexton::DESTROYING
            && match task {
                Some(task) => tasks.contains(task),
                None => is_kept(&row, TraceKind::Workspace, lives),
            };
        if serves {
            hosts.insert(node);
        } else if kept.contains(&node) && down.contains(&node) {
            standing.n_waiting += 1;
        } else {
            standing.overdue.insert(row.id.to_string(), row.status);
        }
        Ok(())
    })?;
    query::rows_of_kind(store, "node", |row| {
        if hosts.contains(row.id.name()) || kept.contains(row.id.name()) {
            standing.nodes.insert(row.id.to_string());
        } else {
            standing.overdue.insert(row.id.to_string(), row.status);
        }
        Ok(())
    })?;
    sandboxes::overdue(store, lives, &mut standing.overdue)?;
    Ok(standing)
}

/// Machines at the cloud that no live actor owns, and all that outlived its reason.
///
/// # Errors
///
/// What the store says.
pub(super) fn leaks(
    store: &dyn Store,
    at: (&SimCloud, Timestamp),
    standing: &Standing,
) -> Result<Vec<Leak>, Error> {
    let mut leaks = Vec::new();
    let (cloud, now) = at;
    for machine in cloud.machines(now) {
        let is_owned = match query::entry(store, &machine.owner.id)? {
            Some(Entry::Alive(record)) => record.incarnation == machine.owner.incarnation,
            Some(Entry::Tombstone(_)) | None => false,
        };
        let reason = if !is_owned {
            format!("no live actor owns it: it was made for {}", machine.owner)
        } else if !standing.nodes.contains(machine.owner.id.as_str()) {
            format!("it outlived its reason: {} serves nobody", machine.owner)
        } else {
            continue;
        };
        leaks.push(Leak { id: machine.machine.id.clone(), reason });
    }
    sandboxes::leaks(store, cloud, &mut leaks)?;
    for (id, status) in &standing.overdue {
        leaks.push(Leak { id: id.clone(), reason: format!("it is {status} and should be gone") });
    }
    Ok(leaks)
}

/// Fills in what the store alone tells: who lives, who is buried, how tasks and machines ended.
///
/// # Errors
///
/// What the store says.
pub(super) fn census(store: &dyn Store, report: &mut Report) -> Result<(), Error> {
    query::all_entries(store, |id, entry| {
        let kind = id.kind().to_owned();
        count(&mut report.created, &kind);
        match entry {
            Entry::Alive(record) => {
                count(&mut report.live_at_end, &kind);
                report.stalled += u64::from(record.stalled.is_some());
                report.effects.open_at_end += u64::from(record.debts_open);
            }
            Entry::Tombstone(tombstone) => {
                count(&mut report.tombstones, &kind);
                let class = tombstone.why.strip_prefix("failed: ");
                if kind == "task" {
                    count(&mut report.tasks, &tombstone.status);
                    if let Some(class) = class {
                        count(&mut report.task_failures, class);
                    }
                }
                if kind == "session" {
                    count(&mut report.sessions, &tombstone.status);
                }
                if kind == "node" {
                    count(&mut report.machine_ends, &tombstone.why);
                }
            }
        }
        Ok(())
    })
}

fn count(counts: &mut Counts, what: &str) {
    *counts.entry(what.to_owned()).or_default() += 1;
}
