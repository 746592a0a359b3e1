//! How long the trace itself says that its tasks were at work and its sandboxes ready, counted
//! while it is read.
//!
//! Only what is open is kept, so a long trace costs no more than a short one. Rows that an
//! earlier run took are counted again: the sums are of the whole trace.

use std::collections::BTreeMap;

use crate::trace::{Row, TraceEvent, TraceKind};

use super::lives::Part;

/// The trace's own times.
#[derive(Debug, Default)]
pub(super) struct Windows {
    /// Since when each open task is at work.
    open: BTreeMap<String, i64>,
    /// All times of tasks that ended, in milliseconds.
    ended_ms: u64,
    /// Workspaces that the trace opened again.
    reopened: u64,
    /// Since when each open sandbox is ready.
    ready: BTreeMap<String, i64>,
    /// All times of sandboxes that ended, in milliseconds.
    ready_ms: u64,
}

impl Windows {
    /// Keeps up with a row.
    pub(super) fn take(&mut self, row: &Row, part: &Part) {
        match row.kind {
            TraceKind::Task => self.take_task(row, part),
            TraceKind::Workspace => {
                self.reopened += u64::from(row.event == TraceEvent::Reopened);
                self.take_sandbox(row, part);
            }
            TraceKind::Node => {}
        }
    }

    fn take_sandbox(&mut self, row: &Row, part: &Part) {
        match part {
            Part::Begin(life) | Part::BeginBefore(life) | Part::Middle(life)
                if life.is_sandbox && row.event == TraceEvent::Ready =>
            {
                self.ready.entry(row.id.clone()).or_insert(row.at_ms);
            }
            Part::End(_) => {
                let ready_ms = self.ready.remove(&row.id).unwrap_or(row.at_ms);
                self.ready_ms += row.at_ms.abs_diff(ready_ms);
            }
            Part::Begin(_) | Part::BeginBefore(_) | Part::Middle(_) => {}
        }
    }

    fn take_task(&mut self, row: &Row, part: &Part) {
        match part {
            // One that begins and ends in one row was at work for no time.
            Part::BeginBefore(_) if row.event.is_end() => {}
            Part::Begin(_) | Part::BeginBefore(_) => {
                self.open.insert(row.id.clone(), row.at_ms);
            }
            Part::Middle(_) => {}
            Part::End(_) => {
                let began_ms = self.open.remove(&row.id).unwrap_or(row.at_ms);
                self.ended_ms += row.at_ms.abs_diff(began_ms);
            }
        }
    }

    /// Rows that opened a workspace again.
    pub(super) fn reopened(&self) -> u64 {
        self.reopened
    }

    /// Forgets what could not be begun.
    pub(super) fn forget(&mut self, row: &Row) {
        match row.kind {
            TraceKind::Task => drop(self.open.remove(&row.id)),
            TraceKind::Workspace => drop(self.ready.remove(&row.id)),
            TraceKind::Node => {}
        }
    }

    /// The time of all tasks up to the trace's last row, and how many are open then.
    pub(super) fn tasks(&self, last_ms: i64) -> (u64, u64) {
        total(self.ended_ms, &self.open, last_ms)
    }

    /// The same of all sandboxes.
    pub(super) fn sandboxes(&self, last_ms: i64) -> (u64, u64) {
        total(self.ready_ms, &self.ready, last_ms)
    }
}

fn total(ended_ms: u64, open: &BTreeMap<String, i64>, last_ms: i64) -> (u64, u64) {
    let open_ms: u64 = open.values().map(|began_ms| last_ms.abs_diff(*began_ms)).sum();
    (ended_ms + open_ms, u64::try_from(open.len()).unwrap_or(u64::MAX))
}
