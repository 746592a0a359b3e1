//! The second net for sandboxes, their owners' halts and the workers that they run on.

use std::time::Duration;

use sexton_core::sweep::{Look, Sweep};
use sexton_core::{Error, Handler, Letter, Refusal, RowView, Timestamp, query};

use crate::credit::CreditAccount;
use crate::due::Expire;
use crate::policy::Policy;
use crate::worker::Worker;

use super::{Sandbox, SandboxDue};

type Scope = &'static [(&'static str, &'static str)];

const SANDBOXES: Scope = &[
    ("sandbox", "pooled"),
    ("sandbox", "reserved"),
    ("sandbox", "pending"),
    ("sandbox", "running"),
    ("sandbox", "hibernated"),
    ("sandbox", "migrating"),
    ("sandbox", "stopped"),
    ("sandbox", "error"),
    ("sandbox", "failed"),
];
const BILLED: Scope = &[("sandbox", "running"), ("sandbox", "migrating")];
const HALTING: Scope = &[("credit", "halting")];
const WORKERS: Scope = &[("worker", "active"), ("worker", "suspect"), ("worker", "gone")];

/// What is due of a row's actor, and when.
type DueOf = fn(&RowView, &Look<'_>) -> Result<Option<(Timestamp, String)>, Error>;

/// Selects what its own state says is overdue. Nobody rests after he was asked: whoever acts is
/// due no more.
struct Late {
    name: &'static str,
    scope: Scope,
    /// Reads it off the state; `None` where the row itself shows it.
    due: Option<DueOf>,
    ask: fn(&RowView, &str) -> Result<Letter, Refusal>,
    limit: u32,
    every: Duration,
}

/// The sweeps, with the limits of `policy`.
pub(crate) fn all(policy: &Policy) -> Vec<Box<dyn Sweep>> {
    let (limit, every) = (policy.sweep_sandboxes_max, policy.sweep_every);
    let overdue = Late {
        name: "overdue_sandboxes",
        scope: SANDBOXES,
        due: None,
        ask: ask::<Sandbox>,
        limit,
        every,
    };
    let usage = Late {
        name: "late_usage",
        scope: BILLED,
        due: Some(usage),
        ask: ask::<Sandbox>,
        limit,
        every,
    };
    let halts = Late {
        name: "unfinished_halts",
        scope: HALTING,
        due: None,
        ask: ask::<CreditAccount>,
        limit,
        every,
    };
    let workers = Late {
        name: "lost_workers",
        scope: WORKERS,
        due: Some(silence),
        ask: ask::<Worker>,
        limit,
        every,
    };
    vec![Box::new(overdue), Box::new(usage), Box::new(halts), Box::new(workers)]
}

/// Asks a row's actor to act on what is due, in the life that the row is of.
fn ask<A: Handler<Expire>>(row: &RowView, why: &str) -> Result<Letter, Refusal> {
    let letter = Letter::new::<A, _>(&row.id, &Expire { why: why.to_owned() })?;
    Ok(Letter { incarnation: Some(row.record.incarnation), ..letter })
}

/// What the row shows.
fn shown(row: &RowView) -> Option<(Timestamp, String)> {
    let due = row.record.time("due").zip(row.record.text("due_for"));
    due.map(|(at, what)| (at, what.to_owned()))
}

/// The usage that is to be counted, which moves too often for a row.
fn usage(row: &RowView, look: &Look<'_>) -> Result<Option<(Timestamp, String)>, Error> {
    let sandbox = query::state::<Sandbox>(look.store(), &row.id)?;
    let at = sandbox.and_then(|sandbox| sandbox.tick_due());
    Ok(at.map(|at| (at, SandboxDue::Tick.name().to_owned())))
}

/// What a worker's state says, which moves with every heartbeat.
fn silence(row: &RowView, look: &Look<'_>) -> Result<Option<(Timestamp, String)>, Error> {
    let worker = query::state::<Worker>(look.store(), &row.id)?;
    let due = worker.and_then(|worker| worker.next_due());
    Ok(due.map(|(at, due)| (at, due.name().to_owned())))
}

impl Sweep for Late {
    fn name(&self) -> &'static str {
        self.name
    }

    fn every(&self) -> Duration {
        self.every
    }

    fn limit(&self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }

    fn back_off(&self) -> Duration {
        Duration::ZERO
    }

    fn scope(&self) -> &[(&'static str, &'static str)] {
        self.scope
    }

    fn heeds_watch(&self) -> bool {
        self.due.is_none()
    }

    fn select(&self, row: &RowView, look: &Look<'_>) -> Result<Option<String>, Error> {
        let due = match self.due {
            Some(due) => due(row, look)?,
            None => shown(row),
        };
        let past = due.filter(|(at, _)| *at <= look.now());
        Ok(past.map(|(at, what)| format!("{what} was due at {at}")))
    }

    fn ask(&self, row: &RowView, why: &str) -> Result<Letter, Refusal> {
        (self.ask)(row, why)
    }
}
