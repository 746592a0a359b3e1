//! The second net: passes over rows that ask what a deadline should have done long ago.
//!
//! An actor shows its next deadline in its row, and what that deadline is for. A sweep selects
//! by exactly that, so it can neither contradict the actor's own terms nor select what has no
//! deadline: what somebody outside decides about. The asked one checks again in its own turn.

mod lost;

use std::time::Duration;

use sexton_core::sweep::{Look, Sweep, Sweeper};
use sexton_core::{Actor, Error, Handler, Kinds, Letter, Refusal, RowView, Status};

use crate::agent::Agent;
use crate::container::Container;
use crate::credit::CreditAccount;
use crate::due::Expire;
use crate::identity::AgentIdentity;
use crate::node::{Node, NodeDue};
use crate::owner::Owner;
use crate::policy::Policy;
use crate::reaper::{Reaper, Scan};
use crate::sandbox::{self, Sandbox};
use crate::session::Session;
use crate::task::TaskRunner;
use crate::town::{self, Town};
use crate::worker::Worker;
use crate::workspace::Workspace;

pub use self::lost::Bereaved;

/// Every kind of the fleet, and the kind that remembers for sweeps.
pub fn kinds() -> Kinds {
    Kinds::new()
        .with::<Owner>()
        .with::<Node>()
        .with::<Workspace>()
        .with::<Session>()
        .with::<TaskRunner>()
        .with::<Reaper>()
        .with::<Town>()
        .with::<Container>()
        .with::<Agent>()
        .with::<AgentIdentity>()
        .with::<Sandbox>()
        .with::<CreditAccount>()
        .with::<Worker>()
        .with::<Sweeper>()
}

/// Every sweep of the fleet, with the limits of `policy`.
pub fn all(policy: &Policy) -> Vec<Box<dyn Sweep>> {
    let nodes = |name, scope, for_what, slack| Overdue {
        name,
        scope,
        for_what,
        slack,
        ask: ask::<Node>,
        limit: policy.sweep_nodes_max,
        every: policy.sweep_every,
        back_off: policy.sweep_back_off,
    };
    let workspaces = |name, scope, slack| Overdue {
        name,
        scope,
        for_what: &[],
        slack,
        ask: ask::<Workspace>,
        limit: policy.sweep_workspaces_max,
        every: policy.sweep_every,
        back_off: policy.sweep_back_off,
    };
    let none = Duration::ZERO;
    let stale_warm = nodes("stale_warm", WARM, &[NodeDue::Warm], policy.sweep_warm_slack);
    let stopped = nodes("stopped_hand_off", STOPPED, &[NodeDue::Grace], none);
    let old = &[NodeDue::Lifetime, NodeDue::LifetimeMax];
    let lifetime = nodes("max_lifetime", OLD, old, none);
    let idle = nodes("idle_orphan", RUNNING, &[NodeDue::Idle, NodeDue::Claim], none);
    let stuck = &[NodeDue::Error, NodeDue::Provisioning, NodeDue::AgentReady];
    let error = nodes("error_nodes", FAILED, stuck, none);
    let overdue = workspaces("overdue_workspace", WORKSPACES, none);
    let tasks = Overdue {
        name: "stuck_task",
        scope: TASKS,
        for_what: &[],
        slack: none,
        ask: ask::<TaskRunner>,
        limit: policy.sweep_tasks_max,
        every: policy.sweep_every,
        back_off: policy.sweep_back_off,
    };
    let mut sweeps: Vec<Box<dyn Sweep>> = vec![
        Box::new(stale_warm),
        Box::new(stopped),
        Box::new(lifetime),
        Box::new(idle),
        Box::new(error),
        Box::new(overdue),
        Box::new(tasks),
        Box::new(ProviderOrphans { every: policy.provider_scan_every }),
        Box::new(lost::LostActors::of(policy)),
    ];
    sweeps.extend(crate::node::sweeps::all(policy));
    sweeps.extend(town::sweeps::all(policy));
    sweeps.extend(sandbox::sweeps::all(policy));
    sweeps
}

pub(crate) type Scope = &'static [(&'static str, &'static str)];

/// The rows of a kind, whatever its status; not of what is being destroyed.
pub(crate) fn statuses<A: Actor>() -> Vec<(&'static str, &'static str)> {
    A::Status::ALL.iter().map(|status| (A::KIND, status.name())).collect()
}

const WARM: Scope = &[("node", "warm")];
const STOPPED: Scope = &[("node", "stopped")];
const RUNNING: Scope = &[("node", "running")];
/// A node in error is there as long as somebody works on it.
const OLD: Scope = &[("node", "running"), ("node", "warm"), ("node", "error")];
const FAILED: Scope = &[("node", "error"), ("node", "creating")];
/// All but the stopped ones, which have a sweep of their own.
const WORKSPACES: Scope = &[
    ("workspace", "creating"),
    ("workspace", "running"),
    ("workspace", "recovery"),
    ("workspace", "stopping"),
    ("workspace", "error"),
    ("workspace", "sleeping"),
];
const TASKS: Scope = &[("task", "queued"), ("task", "delegated"), ("task", "in_progress")];

/// Asks a row's actor to act on what is due, in the life that the row is of.
pub(crate) fn ask<A: Handler<Expire>>(row: &RowView, why: &str) -> Result<Letter, Refusal> {
    let letter = Letter::new::<A, _>(&row.id, &Expire { why: why.to_owned() })?;
    Ok(Letter { incarnation: Some(row.record.incarnation), ..letter })
}

/// Selects rows whose own deadline has passed.
pub(crate) struct Overdue {
    pub(crate) name: &'static str,
    pub(crate) scope: Scope,
    /// What the deadline must be for; nothing is anything.
    pub(crate) for_what: &'static [NodeDue],
    /// How much longer than the deadline the row is left alone.
    pub(crate) slack: Duration,
    pub(crate) ask: fn(&RowView, &str) -> Result<Letter, Refusal>,
    pub(crate) limit: u32,
    pub(crate) every: Duration,
    pub(crate) back_off: Duration,
}

impl Sweep for Overdue {
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
        self.back_off
    }

    fn scope(&self) -> &[(&'static str, &'static str)] {
        self.scope
    }

    fn select(&self, row: &RowView, look: &Look<'_>) -> Result<Option<String>, Error> {
        // A row without deadline is decided about elsewhere.
        let (Some(due), Some(for_what)) = (row.record.time("due"), row.record.text("due_for"))
        else {
            return Ok(None);
        };
        let is_ours =
            self.for_what.is_empty() || self.for_what.iter().any(|what| what.name() == for_what);
        let is_past = due + self.slack <= look.now();
        Ok((is_ours && is_past).then(|| format!("{for_what} was due at {due}")))
    }

    fn ask(&self, row: &RowView, why: &str) -> Result<Letter, Refusal> {
        (self.ask)(row, why)
    }
}

/// Has the installation's reaper look for machines that nobody owns.
struct ProviderOrphans {
    every: Duration,
}

impl Sweep for ProviderOrphans {
    fn name(&self) -> &'static str {
        "provider_orphans"
    }

    fn every(&self) -> Duration {
        self.every
    }

    fn limit(&self) -> usize {
        16
    }

    fn back_off(&self) -> Duration {
        Duration::ZERO
    }

    fn scope(&self) -> &[(&'static str, &'static str)] {
        &[("reaper", "idle")]
    }

    fn select(&self, row: &RowView, _look: &Look<'_>) -> Result<Option<String>, Error> {
        Ok((row.id.kind() == Reaper::KIND).then(|| "it is time".to_owned()))
    }

    fn ask(&self, row: &RowView, _why: &str) -> Result<Letter, Refusal> {
        Letter::new::<Reaper, _>(&row.id, &Scan)
    }
}
