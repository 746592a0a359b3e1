//! Sweeps on nodes, workspaces and sessions that judge by more than a row's own deadline.
//!
//! Each looks at what the row alone does not say (another's tombstone, the state, a version) and
//! asks only who will say yes, so that nobody rests for a refusal. The asked one checks again.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton_core::sweep::{Look, Sweep};
use sexton_core::{
    Actor, ActorId, Entry, Error, Handler, Letter, Message, Refusal, RowView, query,
};
use sexton_core::{Status, Turn};

use crate::due::Expire;
use crate::policy::Policy;
use crate::senders::only_from_sweeps;
use crate::session::Session;
use crate::task::TaskRunner;
use crate::workspace::{Orphaned, Workspace};

use super::{Node, NodeStatus};

/// The setting by which every version of the agent will do.
const ANY_VERSION: &str = "any";

/// From a sweep: your agent has another version than the required one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outdated {
    /// The version that it must have.
    pub required: String,
}

impl Handler<Outdated> for Node {
    fn handle(&mut self, message: Outdated, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_from_sweeps(turn)?;
        let Some(version) = self.version.clone().filter(|it| *it != message.required) else {
            return Err(Refusal::new(format!("its agent is {} already", message.required)));
        };
        let is_idle = match self.status {
            NodeStatus::Running | NodeStatus::Warm => {
                self.is_open() && self.queue.is_empty() && self.is_ephemeral()
            }
            NodeStatus::Creating | NodeStatus::Stopped | NodeStatus::Error => false,
        };
        self.refuse_in_use()?;
        if !is_idle {
            return Err(Refusal::new(format!("the node is {} and not idle", self.status.name())));
        }
        let why = format!("agent {version}, and {} is required", message.required);
        self.retire(&why, "sweep", turn)
    }
}

/// A letter to the life that a row is of.
fn to_life<A: Handler<M>, M: Message>(row: &RowView, message: &M) -> Result<Letter, Refusal> {
    let letter = Letter::new::<A, M>(&row.id, message)?;
    Ok(Letter { incarnation: Some(row.record.incarnation), ..letter })
}

/// How often a sweep passes, and how much it asks.
#[derive(Clone, Copy)]
struct Pace {
    every: Duration,
    back_off: Duration,
    limit: u32,
}

macro_rules! paced {
    ($name:literal) => {
        fn name(&self) -> &'static str {
            $name
        }

        fn every(&self) -> Duration {
            self.pace.every
        }

        fn limit(&self) -> usize {
            usize::try_from(self.pace.limit).unwrap_or(usize::MAX)
        }

        fn back_off(&self) -> Duration {
            self.pace.back_off
        }
    };
}

/// Every sweep of this file, with the limits of `policy`.
pub(crate) fn all(policy: &Policy) -> Vec<Box<dyn Sweep>> {
    let pace = |limit| Pace { every: policy.sweep_every, back_off: policy.sweep_back_off, limit };
    let (nodes, workspaces) = (pace(policy.sweep_nodes_max), pace(policy.sweep_workspaces_max));
    vec![
        Box::new(OrphanedWorkspace { pace: workspaces, grace: policy.sweep_orphaned_workspace }),
        Box::new(StaleStopped { pace: workspaces }),
        Box::new(SilentSession { pace: workspaces }),
        Box::new(IncompatibleAgent { pace: nodes, required: policy.agent_version.clone() }),
    ]
}

/// Active workspaces whose task is gone, and that nobody is attached to.
struct OrphanedWorkspace {
    pace: Pace,
    grace: Duration,
}

impl Sweep for OrphanedWorkspace {
    paced!("orphaned_workspace");

    fn heeds_watch(&self) -> bool {
        false
    }

    fn scope(&self) -> &[(&'static str, &'static str)] {
        &[("workspace", "creating"), ("workspace", "running"), ("workspace", "recovery")]
    }

    fn select(&self, row: &RowView, look: &Look<'_>) -> Result<Option<String>, Error> {
        let task = row.record.text("task").and_then(|it| ActorId::new(TaskRunner::KIND, it).ok());
        let Some(task) = task else { return Ok(None) };
        // Keeps G12: a task of which nothing is known has not ended.
        let Some(Entry::Tombstone(tombstone)) = look.entry(&task)? else { return Ok(None) };
        if tombstone.at + self.grace > look.now() {
            return Ok(None);
        }
        let workspace = query::state::<Workspace>(look.store(), &row.id)?;
        let is_orphan = workspace.is_some_and(|it| it.is_orphan(look.now()));
        Ok(is_orphan.then(|| format!("{task} ended at {}", tombstone.at)))
    }

    fn ask(&self, row: &RowView, why: &str) -> Result<Letter, Refusal> {
        let task = row.record.text("task").and_then(|it| ActorId::new(TaskRunner::KIND, it).ok());
        let task = task.ok_or_else(|| Refusal::new("it is for no task"))?;
        to_life::<Workspace, _>(row, &Orphaned { task, why: why.to_owned() })
    }
}

/// Workspaces that are stopped for twice as long as their own terms say.
struct StaleStopped {
    pace: Pace,
}

impl Sweep for StaleStopped {
    paced!("stale_stopped");

    fn scope(&self) -> &[(&'static str, &'static str)] {
        &[("workspace", "stopped")]
    }

    fn select(&self, row: &RowView, look: &Look<'_>) -> Result<Option<String>, Error> {
        let Some(due) = row.record.time("due") else { return Ok(None) };
        let ttl = due.since(row.record.status_since);
        Ok((due + ttl <= look.now()).then(|| format!("it was to be destroyed at {due}")))
    }

    fn ask(&self, row: &RowView, why: &str) -> Result<Letter, Refusal> {
        to_life::<Workspace, _>(row, &Expire { why: why.to_owned() })
    }
}

/// Sessions that are silent: their last sign of life is in no row, so the state is read.
struct SilentSession {
    pace: Pace,
}

impl Sweep for SilentSession {
    paced!("silent_session");

    fn heeds_watch(&self) -> bool {
        false
    }

    fn scope(&self) -> &[(&'static str, &'static str)] {
        &[("session", "started")]
    }

    fn select(&self, row: &RowView, look: &Look<'_>) -> Result<Option<String>, Error> {
        let session = query::state::<Session>(look.store(), &row.id)?;
        let is_silent = session.is_some_and(|it| it.is_newly_silent(look.now()));
        Ok(is_silent.then(|| "it is silent".to_owned()))
    }

    fn ask(&self, row: &RowView, why: &str) -> Result<Letter, Refusal> {
        to_life::<Session, _>(row, &Expire { why: why.to_owned() })
    }
}

/// Idle nodes whose agent has another version than the required one.
struct IncompatibleAgent {
    pace: Pace,
    required: String,
}

impl Sweep for IncompatibleAgent {
    paced!("incompatible_agent");

    fn heeds_watch(&self) -> bool {
        false
    }

    fn scope(&self) -> &[(&'static str, &'static str)] {
        if self.required == ANY_VERSION { &[] } else { &[("node", "running"), ("node", "warm")] }
    }

    fn select(&self, row: &RowView, look: &Look<'_>) -> Result<Option<String>, Error> {
        let Some(version) = row.record.text("version") else { return Ok(None) };
        if version == self.required || row.record.number("active") != Some(0) {
            return Ok(None);
        }
        let node = query::state::<Node>(look.store(), &row.id)?;
        let is_ours = node.is_some_and(|it| it.is_ephemeral() && it.is_open());
        Ok(is_ours.then(|| format!("its agent is {version}")))
    }

    fn ask(&self, row: &RowView, _why: &str) -> Result<Letter, Refusal> {
        to_life::<Node, _>(row, &Outdated { required: self.required.clone() })
    }
}
