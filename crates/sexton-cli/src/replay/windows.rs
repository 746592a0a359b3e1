//! How long the trace itself says that its tasks were at work, counted while it is read.
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
}

impl Windows {
    /// Keeps up with a row.
    pub(super) fn take(&mut self, row: &Row, part: &Part) {
        match row.kind {
            TraceKind::Task => self.take_task(row, part),
            TraceKind::Workspace if row.event == TraceEvent::Reopened => self.reopened += 1,
            TraceKind::Workspace | TraceKind::Node => {}
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
        if row.kind == TraceKind::Task {
            self.open.remove(&row.id);
        }
    }

    /// The time of all tasks up to the trace's last row, and how many are open then.
    pub(super) fn tasks(&self, last_ms: i64) -> (u64, u64) {
        let open_ms: u64 = self.open.values().map(|began_ms| last_ms.abs_diff(*began_ms)).sum();
        (self.ended_ms + open_ms, u64::try_from(self.open.len()).unwrap_or(u64::MAX))
    }
}
