//! How far a task comes, how long each step may take, and how often it asks meanwhile.
//!
//! A clock begins when its step is entered first and is persisted. What finds the same step
//! again, a poll or a retry of what failed, does not touch it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton_core::Timestamp;

use crate::policy::Policy;

use super::TaskStatus;

/// How far a task has come; never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Step {
    /// It asked for a node.
    NodeSelection,
    /// No node has room, and no further one is allowed.
    WaitingForCapacity,
    /// Its node's machine is being made.
    NodeProvisioning,
    /// Its node's machine is there, and the agent is not ready.
    NodeAgentReady,
    /// Its node is ready, and has not taken it yet.
    WorkspaceCreation,
    /// Its workspace is being made.
    WorkspaceReady,
    /// Its workspace is asked to begin the session.
    AgentSession,
    /// It runs.
    Running,
}

impl Step {
    /// Its name in rows.
    pub fn name(self) -> &'static str {
        match self {
            Self::NodeSelection => "node_selection",
            Self::WaitingForCapacity => "waiting_for_capacity",
            Self::NodeProvisioning => "node_provisioning",
            Self::NodeAgentReady => "node_agent_ready",
            Self::WorkspaceCreation => "workspace_creation",
            Self::WorkspaceReady => "workspace_ready",
            Self::AgentSession => "agent_session",
            Self::Running => "running",
        }
    }

    /// The least status of a task that came so far.
    pub(super) fn status(self) -> TaskStatus {
        match self {
            Self::NodeSelection | Self::WaitingForCapacity => TaskStatus::Queued,
            Self::NodeProvisioning
            | Self::NodeAgentReady
            | Self::WorkspaceCreation
            | Self::WorkspaceReady
            | Self::AgentSession => TaskStatus::Delegated,
            Self::Running => TaskStatus::InProgress,
        }
    }
}

/// Waits that double, up to a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// The wait number zero.
    pub first: Duration,
    /// The longest.
    pub max: Duration,
}

impl Pace {
    /// Always the same wait.
    pub fn steady(wait: Duration) -> Self {
        Self { first: wait, max: wait }
    }

    /// The wait number `n`, counted from zero: `first * 2^n`, at most `max`.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// use sexton_fleet::Pace;
    ///
    /// let pace = Pace { first: Duration::from_secs(5), max: Duration::from_secs(60) };
    /// assert_eq!([1, 2, 3, 4].map(|n| pace.wait(n).as_secs()), [10, 20, 40, 60]);
    /// ```
    pub fn wait(self, n: u32) -> Duration {
        let wait = 2_u32.checked_pow(n).and_then(|times| self.first.checked_mul(times));
        wait.map_or(self.max, |wait| wait.min(self.max))
    }
}

/// How long a task may do what, and how often it asks and tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskTerms {
    /// Wait for the first answer to its search.
    pub selection: Duration,
    /// Wait for capacity.
    pub capacity: Duration,
    /// Wait for its node's machine.
    pub provisioning: Duration,
    /// Wait for the agent of its node.
    pub agent_ready: Duration,
    /// Wait until its node takes it.
    pub dispatch: Duration,
    /// Wait for its workspace.
    pub workspace: Duration,
    /// Wait for its session.
    pub session: Duration,
    /// Be in progress without a sign of life.
    pub soft: Duration,
    /// Be in progress.
    pub hard: Duration,
    /// Exist.
    pub absolute: Duration,
    /// Be silent and still count as alive.
    pub silence: Duration,
    /// The most placements that it tries.
    pub attempts_max: u32,
    /// The most retries of what failed and may work later.
    pub retries_max: u32,
    /// How long it waits before the retry number `n`, counted from one.
    pub retry: Pace,
    /// How often it asks for capacity.
    pub capacity_poll: Pace,
    /// How often it asks for the machine.
    pub provisioning_poll: Pace,
    /// How often it asks for the agent.
    pub agent_ready_poll: Pace,
    /// How often it asks whether its node took it.
    pub dispatch_poll: Pace,
    /// How often it asks for its workspace.
    pub workspace_poll: Pace,
    /// How many sizes there are below the one that is taken where nobody named one.
    pub smaller_max: u32,
}

impl TaskTerms {
    /// The terms of a policy.
    pub fn of(policy: &Policy) -> Self {
        let pace = |first, max| Pace { first, max };
        Self {
            selection: policy.task_stuck_queued,
            capacity: policy.task_waiting_for_capacity,
            provisioning: policy.task_node_provisioning,
            agent_ready: policy.task_node_agent_ready,
            dispatch: policy.task_workspace_dispatch,
            workspace: policy.task_workspace_ready,
            session: policy.task_agent_session,
            soft: policy.task_soft,
            hard: policy.task_hard,
            absolute: policy.task_absolute,
            silence: policy.task_silence,
            attempts_max: policy.task_attempts_max,
            retries_max: policy.task_retries_max,
            retry: pace(policy.task_retry_base, policy.task_retry_cap),
            capacity_poll: pace(policy.task_poll_capacity, policy.task_poll_capacity_max),
            provisioning_poll: Pace::steady(policy.task_poll_node_provisioning),
            agent_ready_poll: Pace::steady(policy.task_poll_node_agent_ready),
            dispatch_poll: pace(
                policy.task_poll_workspace_dispatch,
                policy.task_poll_workspace_dispatch_max,
            ),
            workspace_poll: Pace::steady(policy.task_poll_workspace_ready),
            smaller_max: policy.sizes_below_default(),
        }
    }

    /// How long a step may take; `None` if other bounds hold for it.
    pub(super) fn bound(&self, step: Step) -> Option<Duration> {
        match step {
            Step::NodeSelection => Some(self.selection),
            Step::WaitingForCapacity => Some(self.capacity),
            Step::NodeProvisioning => Some(self.provisioning),
            Step::NodeAgentReady => Some(self.agent_ready),
            Step::WorkspaceCreation => Some(self.dispatch),
            Step::WorkspaceReady => Some(self.workspace),
            Step::AgentSession => Some(self.session),
            Step::Running => None,
        }
    }

    /// How often whoever should say that the step is over is asked; `None` is never.
    pub(super) fn pace(&self, step: Step) -> Option<Pace> {
        match step {
            Step::NodeSelection | Step::NodeProvisioning => Some(self.provisioning_poll),
            Step::WaitingForCapacity => Some(self.capacity_poll),
            Step::NodeAgentReady => Some(self.agent_ready_poll),
            Step::WorkspaceCreation => Some(self.dispatch_poll),
            Step::WorkspaceReady => Some(self.workspace_poll),
            Step::AgentSession | Step::Running => None,
        }
    }
}

/// What a task's deadlines mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskDue {
    /// Its present step took too long.
    Step(Step),
    /// It gave no sign of life.
    Soft,
    /// It was in progress too long.
    Hard,
    /// It is too old.
    Absolute,
    /// What failed is tried again.
    Retry,
    /// Whoever should have told it something is asked.
    Poll,
}

impl TaskDue {
    /// Its name in rows.
    pub fn name(self) -> &'static str {
        match self {
            // What the node does not do in this step is called by its own name.
            Self::Step(Step::WorkspaceCreation) => "workspace_dispatch",
            Self::Step(step) => step.name(),
            Self::Soft => "silent",
            Self::Hard => "in_progress",
            Self::Absolute => "absolute",
            Self::Retry => "retry",
            Self::Poll => "poll",
        }
    }
}

/// When a task asked last, and how often since it entered its step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Polls {
    pub(super) n: u32,
    pub(super) last_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_before_a_retry_doubles_up_to_its_cap() {
        let terms = TaskTerms::of(&Policy::default());
        let waits = [1, 2, 3, 4, 5, 40].map(|n| terms.retry.wait(n).as_secs());
        assert_eq!(waits, [10, 20, 40, 60, 60, 60]);
    }
}
