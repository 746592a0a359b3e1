//! What a workspace is asked to be, and what it asks of the agent of its node's machine.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton_core::{ActorId, ActorRef};

use crate::caller::Tenure;
use crate::placement::Wish;
use crate::policy::Policy;

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
    /// Have a session that gives no sign of life, and not be idle.
    pub silence: Duration,
    /// Be used, and not tell its node again.
    pub use_every: Duration,
    /// Be the workspace of a task that the fleet may end: none lives longer.
    pub task: Duration,
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
            silence: policy.session_silence,
            use_every: policy.workspace_use_every,
            task: policy.task_absolute,
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
    /// Who decides when its task ends.
    pub task_tenure: Tenure,
    /// How long it may do what.
    pub terms: WorkspaceTerms,
}

/// Work for the agent of the node's machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AgentEffect {
    /// Make the workspace, or make it run again; done when it runs.
    Create {
        /// The node.
        node: ActorRef,
        /// Which making it is, 1 for the first: the agent's callback says it again.
        run: u32,
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
    /// Let it sleep.
    Sleep {
        /// The node.
        node: ActorRef,
    },
    /// Wake it.
    Wake {
        /// The node.
        node: ActorRef,
    },
    /// Repair what runs in it; done when it runs again.
    Recover {
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
    /// It sleeps.
    Asleep,
    /// It is awake.
    Awake,
    /// It is repaired.
    Recovered,
}

/// How a workspace ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkspaceEnd {
    /// Stopped; deleted when its time has passed.
    Stop,
    /// The same, for a reason that its tombstone will say.
    StopFor {
        /// Why: `deleted`, `failed: <class>`, `cancelled`.
        why: String,
    },
    /// Destroyed at once.
    Destroy {
        /// Why: `deleted`, `failed: <class>`, `cancelled`.
        why: String,
    },
}

/// What a workspace's deadlines mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkspaceDue {
    /// It took too long to be made.
    Creating,
    /// Nobody used it.
    Idle,
    /// Its task must have ended long ago.
    Orphaned,
    /// It took too long to stop.
    Stopping,
    /// It was stopped long enough.
    Stopped,
    /// It was in error long enough.
    Error,
    /// It slept long enough.
    Sleeping,
    /// Its node did not say whether it has a place for it.
    Returning,
    /// Its node is to be told of the last touch.
    Use,
}

impl WorkspaceDue {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Idle => "idle",
            Self::Orphaned => "orphaned",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Error => "error",
            Self::Sleeping => "sleeping",
            Self::Returning => "returning",
            Self::Use => "use",
        }
    }
}
