//! A workspace on a node: made, used, stopped and deleted by the agent of the node's machine.
//!
//! It is the status that counts and not the way that led there: whoever stops it, entering
//! `stopped` sets the deletion's deadline. A workspace whose task has not ended is in use, and
//! never idle.

mod asked;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton_core::{
    Actor, ActorId, ActorRef, Deadlines, Handler, Handlers, Message, Outcome, Refusal, Row, Status,
    Timestamp, Turn,
};

use crate::asks::Ask;
use crate::caller::Tenure;
use crate::due::{self, Expire};
use crate::node::{Node, WorkspaceChanged};
use crate::placement::{Wish, WorkspaceReady};
use crate::policy::Policy;
use crate::task::TaskRunner;

sexton_core::lifecycle! {
    /// What a workspace can be.
    pub enum WorkspaceStatus {
        /// The agent makes it.
        Creating = "creating" [holds] => [Running, Stopping, Error],
        /// It runs.
        Running = "running" [holds] => [Recovery, Sleeping, Stopping, Error],
        /// It runs, and something in it is being repaired.
        Recovery = "recovery" [holds] => [Running, Stopping, Error],
        /// It sleeps, and can be woken.
        Sleeping = "sleeping" [holds] => [Running, Creating, Stopping, Error],
        /// The agent stops it.
        Stopping = "stopping" [holds] => [Stopped, Error],
        /// Its files are there, and nothing runs.
        Stopped = "stopped" [holds] => [Creating, Error],
        /// Something failed.
        Error = "error" [holds] => [Creating],
    }
}

/// What somebody wants who asks for a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceSpec {
    /// Who decides when it ends.
    pub tenure: Tenure,
    /// Where.
    pub place: Wish,
}

/// How long a workspace may do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceTerms {
    /// Be made.
    pub creating: Duration,
    /// Be idle.
    pub idle: Duration,
    /// Take to stop.
    pub stopping: Duration,
    /// Be kept when it is stopped.
    pub stopped: Duration,
    /// Be kept when it failed.
    pub error: Duration,
    /// Sleep.
    pub sleeping: Duration,
}

impl WorkspaceTerms {
    /// The terms of a policy.
    pub fn of(policy: &Policy) -> Self {
        Self {
            creating: policy.workspace_creating_timeout,
            idle: policy.workspace_idle_timeout,
            stopping: policy.workspace_stopping_timeout,
            stopped: policy.workspace_stopped_ttl,
            error: policy.workspace_error_ttl,
            sleeping: policy.workspace_sleeping_ttl,
        }
    }
}

/// What a workspace begins with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkspaceInit {
    /// Whose it is.
    pub owner: String,
    /// The life of the node that it is on.
    pub node: ActorRef,
    /// The task that it is for.
    pub task: Option<ActorId>,
    /// Who decides when it ends.
    pub tenure: Tenure,
    /// How long it may do what.
    pub terms: WorkspaceTerms,
}

/// Work for the agent of the node's machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AgentEffect {
    /// Make the workspace; done when it runs.
    Create {
        /// The node.
        node: ActorRef,
    },
    /// Stop what runs in it.
    Stop {
        /// The node.
        node: ActorRef,
    },
    /// Delete its files. No such thing is done.
    Delete {
        /// The node.
        node: ActorRef,
    },
}

/// What the agent answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AgentAnswer {
    /// It runs.
    Created,
    /// It is stopped.
    Stopped,
    /// It is gone.
    Deleted,
}

/// How a workspace ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkspaceEnd {
    /// Stopped; deleted when its time has passed.
    Stop,
    /// Destroyed at once.
    Destroy {
        /// Why: `deleted`, `failed: <class>`, `cancelled`.
        why: String,
    },
}

/// From its node: the workspace is not needed any more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct End {
    /// What becomes of it.
    pub end: WorkspaceEnd,
}

impl Message for End {
    const NAME: &'static str = "end";
    type Reply = ();
}

/// Somebody used it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Touch;

impl Message for Touch {
    const NAME: &'static str = "touch";
    type Reply = ();
}

/// What a workspace's deadlines mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkspaceDue {
    /// It took too long to be made.
    Creating,
    /// Nobody used it.
    Idle,
    /// It took too long to stop.
    Stopping,
    /// It was stopped long enough.
    Stopped,
    /// It was in error long enough.
    Error,
    /// It slept long enough.
    Sleeping,
}

impl WorkspaceDue {
    fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Idle => "idle",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Error => "error",
            Self::Sleeping => "sleeping",
        }
    }
}

/// A workspace.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Workspace {
    init: WorkspaceInit,
    status: WorkspaceStatus,
    /// When it entered its status.
    since: Timestamp,
    /// When somebody used it last.
    active_at: Timestamp,
}

impl Workspace {
    fn enter(&mut self, status: WorkspaceStatus, now: Timestamp) {
        self.status = status;
        self.since = now;
    }

    fn dues(&self) -> Vec<(Timestamp, WorkspaceDue)> {
        if self.init.tenure == Tenure::External {
            return Vec::new();
        }
        let terms = self.init.terms;
        let due = match self.status {
            WorkspaceStatus::Creating => (self.since + terms.creating, WorkspaceDue::Creating),
            WorkspaceStatus::Running | WorkspaceStatus::Recovery => {
                if self.init.task.is_some() {
                    return Vec::new();
                }
                (self.active_at + terms.idle, WorkspaceDue::Idle)
            }
            WorkspaceStatus::Sleeping => (self.since + terms.sleeping, WorkspaceDue::Sleeping),
            WorkspaceStatus::Stopping => (self.since + terms.stopping, WorkspaceDue::Stopping),
            WorkspaceStatus::Stopped => (self.since + terms.stopped, WorkspaceDue::Stopped),
            WorkspaceStatus::Error => (self.since + terms.error, WorkspaceDue::Error),
        };
        vec![due]
    }

    fn is_active(&self) -> bool {
        match self.status {
            WorkspaceStatus::Creating | WorkspaceStatus::Running | WorkspaceStatus::Recovery => {
                true
            }
            WorkspaceStatus::Sleeping
            | WorkspaceStatus::Stopping
            | WorkspaceStatus::Stopped
            | WorkspaceStatus::Error => false,
        }
    }

    /// The node frees the place, and tells whoever it was for.
    fn tell_node(&self, why: &str, turn: &mut Turn<Self>) {
        let (workspace, why) = (turn.id().name().to_owned(), why.to_owned());
        let node = self.init.node.id.clone();
        turn.send::<Node, _>(&node, &WorkspaceChanged { workspace, why });
    }

    fn stop(&mut self, turn: &mut Turn<Self>) {
        self.enter(WorkspaceStatus::Stopping, turn.now());
        turn.effect(&AgentEffect::Stop { node: self.init.node.clone() });
    }

    fn fail(&mut self, why: &str, turn: &mut Turn<Self>) {
        self.enter(WorkspaceStatus::Error, turn.now());
        turn.event("failed", why);
        self.tell_node(why, turn);
    }

    fn act(&mut self, due: WorkspaceDue, turn: &mut Turn<Self>) {
        match due {
            WorkspaceDue::Creating => self.fail("failed: timeout creating", turn),
            WorkspaceDue::Idle => {
                self.tell_node("idle", turn);
                self.stop(turn);
            }
            WorkspaceDue::Stopping
            | WorkspaceDue::Stopped
            | WorkspaceDue::Error
            | WorkspaceDue::Sleeping => turn.destroy(due.name(), "deadline"),
        }
    }

    fn created(&mut self, turn: &mut Turn<Self>) {
        if self.status != WorkspaceStatus::Creating {
            turn.event("late", "it was made when nobody wanted it any more");
            return;
        }
        self.enter(WorkspaceStatus::Running, turn.now());
        self.active_at = turn.now();
        if let Some(task) = &self.init.task {
            let workspace = turn.id().name().to_owned();
            turn.send::<TaskRunner, _>(task, &WorkspaceReady { workspace });
        }
    }
}

impl Actor for Workspace {
    const KIND: &'static str = "workspace";
    type Init = WorkspaceInit;
    type Status = WorkspaceStatus;
    type Deadline = WorkspaceDue;
    type Effect = AgentEffect;
    type Answer = AgentAnswer;

    fn create(init: Self::Init, turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        turn.effect(&AgentEffect::Create { node: init.node.clone() });
        let now = turn.now();
        Ok(Self { init, status: WorkspaceStatus::Creating, since: now, active_at: now })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<End>().message::<Touch>().message::<Expire>();
        on.message::<Ask>();
    }

    fn status(&self) -> Self::Status {
        self.status
    }

    fn row(&self) -> Row {
        let row = Row::owned_by(&self.init.owner)
            .text("node", self.init.node.id.name())
            .text("tenure", self.init.tenure.name());
        let row = match &self.init.task {
            Some(task) => row.text("task", task.name()),
            None => row,
        };
        let next = due::earliest(&self.dues());
        due::shown(row, next.map(|(at, due)| (at, due.name())))
    }

    fn deadlines(&self, due: &mut Deadlines<Self::Deadline>) {
        for (at, what) in self.dues() {
            due.at(at, what);
        }
    }

    fn on_deadline(&mut self, due: Self::Deadline, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.act(due, turn);
        Ok(())
    }

    fn on_outcome(
        &mut self,
        effect: &Self::Effect,
        outcome: Outcome<Self::Answer>,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        match (effect, outcome) {
            (AgentEffect::Create { .. }, Outcome::Done(_)) => self.created(turn),
            (AgentEffect::Create { .. }, Outcome::Failed(failure)) => {
                let why = format!("failed: {}", failure.class);
                if self.status != WorkspaceStatus::Creating {
                    turn.event("late", why);
                } else if self.init.tenure == Tenure::External {
                    turn.destroy(why, "agent");
                } else {
                    self.fail(&why, turn);
                }
            }
            (AgentEffect::Stop { .. }, Outcome::Done(_)) => {
                if self.status == WorkspaceStatus::Stopping {
                    self.enter(WorkspaceStatus::Stopped, turn.now());
                }
            }
            (AgentEffect::Stop { .. }, Outcome::Failed(failure)) => {
                if self.status == WorkspaceStatus::Stopping {
                    self.enter(WorkspaceStatus::Error, turn.now());
                    turn.event("failed", format!("failed: {}", failure.class));
                }
            }
            (AgentEffect::Delete { .. }, Outcome::Done(_) | Outcome::Failed(_)) => {}
        }
        Ok(())
    }

    fn on_destroy(&mut self, turn: &mut Turn<Self>) {
        turn.effect(&AgentEffect::Delete { node: self.init.node.clone() });
    }
}

impl Handler<End> for Workspace {
    fn handle(&mut self, message: End, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        // Whoever kept its end for himself has now decided: from here on it is bounded.
        self.init.tenure = Tenure::Managed;
        self.init.task = None;
        match message.end {
            WorkspaceEnd::Destroy { why } => turn.destroy(why, "owner"),
            WorkspaceEnd::Stop if self.is_active() || self.status == WorkspaceStatus::Sleeping => {
                self.stop(turn);
            }
            WorkspaceEnd::Stop => {}
        }
        Ok(())
    }
}

impl Handler<Touch> for Workspace {
    fn handle(&mut self, _message: Touch, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if !self.is_active() {
            return Err(Refusal::new(format!("the workspace is {}", self.status.name())));
        }
        self.active_at = turn.now();
        Ok(())
    }
}

impl Handler<Expire> for Workspace {
    fn handle(&mut self, message: Expire, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let Some(due) = due::overdue(&self.dues(), turn.now()) else {
            return Err(Refusal::new(format!("nothing is due: {}", message.why)));
        };
        self.act(due, turn);
        Ok(())
    }
}
