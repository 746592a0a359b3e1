//! What a container begins with, asks its provider for, and is told.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::policy::Policy;

/// How long a container may do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerTerms {
    /// Run without activity.
    pub sleep_after: Duration,
    /// Take to start.
    pub starting: Duration,
    /// Take to stop.
    pub stopping: Duration,
    /// Leave a ping without answer.
    pub unanswered: Duration,
    /// Be in error, until it is started again for whoever needs it.
    pub error_wait: Duration,
    /// Be in error and needed by nobody.
    pub error: Duration,
    /// Sleep.
    pub sleeping: Duration,
}

impl ContainerTerms {
    /// The terms of a policy.
    pub fn of(policy: &Policy) -> Self {
        Self {
            sleep_after: policy.container_sleep_after,
            starting: policy.container_starting_timeout,
            stopping: policy.container_stopping_timeout,
            unanswered: policy.container_unanswered,
            error_wait: policy.container_error_wait,
            error: policy.container_error_ttl,
            sleeping: policy.container_sleeping_ttl,
        }
    }
}

/// What a container begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerInit {
    /// Whose it is.
    pub owner: String,
    /// What its process is started with.
    pub config: String,
    /// How long it may do what.
    pub terms: ContainerTerms,
}

/// Work for the provider. Each names the start that it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerEffect {
    /// Start the process; one that runs for this start is done. A container that is being
    /// destroyed is not started: that is a permanent failure.
    Start {
        /// Which start.
        run: u64,
        /// What to start it with.
        config: String,
    },
    /// Stop the process. No such process is done.
    Stop {
        /// Which start.
        run: u64,
    },
    /// Ask the process whether it is well. Answered whatever is found, and never as transient:
    /// a process that gives no answer must not keep back the deletion behind it.
    Ping {
        /// Which start.
        run: u64,
    },
    /// Delete all that there is of this container, running or not. No such thing is done.
    Delete,
}

/// What a ping found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerHealth {
    /// The process answered.
    Healthy,
    /// It did not.
    Unreachable,
    /// There is no such process.
    Gone,
}

/// What the provider answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerAnswer {
    /// The process runs.
    Started,
    /// It does not.
    Stopped,
    /// What a ping found.
    Pong(ContainerHealth),
    /// There is nothing left.
    Deleted,
}

/// Why a town tends its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Care {
    /// There is active work: it is kept awake, and pinged.
    Work,
    /// A rig is new: it is pinged.
    Rig,
    /// Somebody uses it: it is kept awake.
    User,
}

/// From the town: look after yourself.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Tend {
    /// Why.
    pub care: Care,
}

/// From the town: what to start the process with from now on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reconfigure {
    /// What.
    pub config: String,
}

/// What a container's process says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerSays {
    /// It is up; may arrive before the start call returns.
    Started,
    /// It is well: liveness, never activity.
    Healthy,
    /// It has ended.
    Exited {
        /// Why.
        why: String,
    },
}

impl ContainerSays {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Healthy => "healthy",
            Self::Exited { .. } => "exited",
        }
    }
}

/// From the process or its provider, with the epoch that it was started with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ContainerCallback {
    /// The container's incarnation.
    pub epoch: u32,
    /// Which of its starts.
    pub run: u64,
    /// What it says.
    pub says: ContainerSays,
}

/// What a container's deadlines mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerDue {
    /// It took too long to start.
    Starting,
    /// It left a ping without answer.
    Unanswered,
    /// There was no activity.
    Sleep,
    /// It took too long to stop.
    Stopping,
    /// It slept long enough.
    Sleeping,
    /// It failed a while ago, and somebody needs it.
    Again,
    /// It was in error long enough.
    Error,
}

impl ContainerDue {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Unanswered => "unanswered",
            Self::Sleep => "sleep",
            Self::Stopping => "stopping",
            Self::Sleeping => "sleeping",
            Self::Again => "again",
            Self::Error => "error",
        }
    }

    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Starting => "it took too long to start",
            Self::Unanswered => "it left a ping without answer",
            Self::Sleep => "there was no activity",
            Self::Stopping => "it took too long to stop",
            Self::Sleeping => "it slept long enough",
            Self::Again => "it is needed",
            Self::Error => "it was in error long enough",
        }
    }
}
