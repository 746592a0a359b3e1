//! A task: finds a node, gets a workspace there, runs, and leaves nothing behind.
//!
//! Its status and its step only go forward. Losing the placement begins a new *attempt*, with a
//! new workspace; that does not move the status back. The clocks of an attempt start when its
//! phase is first entered and are never touched by anything that finds the same phase again.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton_core::{
    Actor, Deadlines, Handler, Handlers, Message, Refusal, Row, Status, Timestamp, Turn,
};

use crate::caller::Tenure;
use crate::due::{self, Expire};
use crate::owner::{EndTask, Owner, Release, Seek};
use crate::placement::{Granted, NotPlaced, Placed, Vacated, Wish, WorkspaceReady};
use crate::policy::Policy;
use crate::sweeps::Bereaved;

sexton_core::lifecycle! {
    /// What a task can be.
    pub enum TaskStatus {
        /// It looks for a node.
        Queued = "queued" [] => [Delegated, InProgress, Completed, Failed, Cancelled],
        /// It has a node, and waits for its workspace.
        Delegated = "delegated" [holds] => [InProgress, Completed, Failed, Cancelled],
        /// It ran, or runs.
        InProgress = "in_progress" [holds] => [Completed, Failed, Cancelled],
        /// It did what it was for.
        Completed = "completed" [terminal] => [],
        /// It did not.
        Failed = "failed" [terminal] => [],
        /// Nobody wanted it any more.
        Cancelled = "cancelled" [terminal] => [],
    }
}

/// How far a task has come; never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Step {
    /// It asked for a node.
    NodeSelection,
    /// Its node's machine is being made.
    NodeProvisioning,
    /// Its workspace is being made.
    WorkspaceCreation,
    /// It runs.
    Running,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::NodeSelection => "node_selection",
            Self::NodeProvisioning => "node_provisioning",
            Self::WorkspaceCreation => "workspace_creation",
            Self::Running => "running",
        }
    }
}

/// What somebody wants who starts a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// Who decides when it ends.
    pub tenure: Tenure,
    /// Where.
    pub place: Wish,
}

/// How long a task may do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskTerms {
    /// Wait for capacity.
    pub capacity: Duration,
    /// Wait for its node: its machine and its agent.
    pub node: Duration,
    /// Wait until its node takes it.
    pub dispatch: Duration,
    /// Wait for its workspace.
    pub workspace: Duration,
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
}

impl TaskTerms {
    /// The terms of a policy.
    pub fn of(policy: &Policy) -> Self {
        Self {
            capacity: policy.task_waiting_for_capacity,
            node: policy.task_node_provisioning + policy.task_node_agent_ready,
            dispatch: policy.task_workspace_dispatch,
            workspace: policy.task_workspace_ready,
            soft: policy.task_soft,
            hard: policy.task_hard,
            absolute: policy.task_absolute,
            silence: policy.task_silence,
            attempts_max: policy.task_attempts_max,
        }
    }
}

/// What a task begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskInit {
    /// Whose it is.
    pub owner: String,
    /// What it shall be.
    pub spec: TaskSpec,
    /// How long it may do what.
    pub terms: TaskTerms,
}

/// How a task ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskEnd {
    /// It did what it was for.
    Completed,
    /// It did not.
    Failed {
        /// The class of the failure.
        class: String,
    },
    /// Nobody wants it any more.
    Cancelled,
}

/// A sign of life of what the task runs.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Progress;

impl Message for Progress {
    const NAME: &'static str = "progress";
    type Reply = ();
}

/// What a task's deadlines mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskDue {
    /// No node had room in time.
    Capacity,
    /// Its node was not ready in time.
    Node,
    /// Its workspace was not ready in time.
    Workspace,
    /// It gave no sign of life.
    Soft,
    /// It was in progress too long.
    Hard,
    /// It is too old.
    Absolute,
}

impl TaskDue {
    fn name(self) -> &'static str {
        match self {
            Self::Capacity => "waiting_for_capacity",
            Self::Node => "node_agent_ready",
            Self::Workspace => "workspace_ready",
            Self::Soft => "silent",
            Self::Hard => "in_progress",
            Self::Absolute => "absolute",
        }
    }
}

/// Where the present attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Seeking,
    Granted,
    Placed,
    Running,
    /// No further attempt is made: whoever owns the task ends it.
    Stranded,
}

/// A task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskRunner {
    init: TaskInit,
    status: TaskStatus,
    step: Step,
    attempt: u32,
    phase: Phase,
    /// When this attempt entered its phase first.
    phase_since: Timestamp,
    created_at: Timestamp,
    in_progress_at: Option<Timestamp>,
    /// The last sign of life: in no row.
    alive_at: Timestamp,
    node: Option<String>,
}

impl TaskRunner {
    fn is_external(&self) -> bool {
        self.init.spec.tenure == Tenure::External
    }

    fn workspace(&self, turn: &Turn<Self>) -> String {
        format!("{}~w{}", turn.id().name(), self.attempt)
    }

    fn enter(&mut self, phase: Phase, now: Timestamp) {
        if self.phase != phase {
            self.phase = phase;
            self.phase_since = now;
        }
        let (status, step) = match phase {
            Phase::Seeking | Phase::Stranded => (TaskStatus::Queued, Step::NodeSelection),
            Phase::Granted => (TaskStatus::Delegated, Step::NodeProvisioning),
            Phase::Placed => (TaskStatus::Delegated, Step::WorkspaceCreation),
            Phase::Running => (TaskStatus::InProgress, Step::Running),
        };
        // Forward only: a new attempt does not move a task back.
        self.step = self.step.max(step);
        self.status = self.status.max(status);
    }

    fn seek(&mut self, left: Option<String>, turn: &mut Turn<Self>) {
        self.phase_since = turn.now();
        self.enter(Phase::Seeking, turn.now());
        self.node.clone_from(&self.init.spec.place.node);
        let Some(owner) = turn.parent().map(|owner| owner.id.clone()) else { return };
        let seek = Seek {
            task: turn.id().clone(),
            workspace: self.workspace(turn),
            place: self.init.spec.place.clone(),
            tenure: self.init.spec.tenure,
            left,
        };
        turn.send::<Owner, _>(&owner, &seek);
    }

    /// The placement is lost: another attempt, or the end.
    fn lose(&mut self, why: &str, turn: &mut Turn<Self>) {
        let left = self.workspace(turn);
        turn.event("placement_lost", format!("attempt {}: {why}", self.attempt));
        if self.attempt < self.init.terms.attempts_max {
            self.attempt += 1;
            self.seek(Some(left), turn);
        } else {
            self.strand("placement", turn);
        }
    }

    /// No attempt is left: a managed task fails, of another its owner decides.
    fn strand(&mut self, class: &str, turn: &mut Turn<Self>) {
        if self.is_external() {
            self.enter(Phase::Stranded, turn.now());
        } else {
            self.end(&TaskEnd::Failed { class: class.to_owned() }, "placement", turn);
        }
    }

    /// Its last status, and its destruction in the same turn.
    fn end(&mut self, end: &TaskEnd, by: &str, turn: &mut Turn<Self>) {
        let (status, why) = match end {
            TaskEnd::Completed => (TaskStatus::Completed, "completed".to_owned()),
            TaskEnd::Failed { class } => (TaskStatus::Failed, format!("failed: {class}")),
            TaskEnd::Cancelled => (TaskStatus::Cancelled, "cancelled".to_owned()),
        };
        self.status = status;
        turn.destroy(why, by);
    }

    fn dues(&self) -> Vec<(Timestamp, TaskDue)> {
        if self.is_external() || self.status.is_terminal() {
            return Vec::new();
        }
        let (terms, since) = (&self.init.terms, self.phase_since);
        let mut dues = vec![(self.created_at + terms.absolute, TaskDue::Absolute)];
        match self.phase {
            // Who waits for one certain node waits for that node and not for capacity.
            Phase::Seeking if self.init.spec.place.node.is_some() => {
                dues.push((since + terms.node + terms.dispatch, TaskDue::Node));
            }
            Phase::Seeking => dues.push((since + terms.capacity, TaskDue::Capacity)),
            Phase::Granted => dues.push((since + terms.node + terms.dispatch, TaskDue::Node)),
            Phase::Placed => dues.push((since + terms.workspace, TaskDue::Workspace)),
            Phase::Running | Phase::Stranded => {}
        }
        if let Some(at) = self.in_progress_at {
            dues.push((at + terms.hard, TaskDue::Hard));
            let soft = (at + terms.soft).max(self.alive_at + terms.silence);
            dues.push((soft, TaskDue::Soft));
        }
        dues
    }

    fn act(&mut self, due: TaskDue, by: &str, turn: &mut Turn<Self>) {
        let class = format!("timeout {}", due.name());
        self.end(&TaskEnd::Failed { class }, by, turn);
    }

    /// Whether news is of the present attempt; what is not changes nothing.
    fn is_current(&self, workspace: &str, turn: &mut Turn<Self>) -> bool {
        let is_current = self.workspace(turn) == workspace && self.phase != Phase::Stranded;
        if !is_current {
            turn.event("late", format!("news of {workspace}, in attempt {}", self.attempt));
        }
        is_current
    }
}

impl Actor for TaskRunner {
    const KIND: &'static str = "task";
    type Init = TaskInit;
    type Status = TaskStatus;
    type Deadline = TaskDue;
    type Effect = ();
    type Answer = ();

    fn create(init: Self::Init, turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        let now = turn.now();
        let mut task = Self {
            init,
            status: TaskStatus::Queued,
            step: Step::NodeSelection,
            attempt: 1,
            phase: Phase::Seeking,
            phase_since: now,
            created_at: now,
            in_progress_at: None,
            alive_at: now,
            node: None,
        };
        task.seek(None, turn);
        Ok(task)
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Granted>().message::<Placed>().message::<WorkspaceReady>();
        on.message::<NotPlaced>().message::<Vacated>();
        on.message::<Progress>().message::<EndTask>().message::<Expire>();
        on.message::<Bereaved>();
    }

    fn status(&self) -> Self::Status {
        self.status
    }

    fn row(&self) -> Row {
        let row = Row::owned_by(&self.init.owner)
            .text("tenure", self.init.spec.tenure.name())
            .text("step", self.step.name())
            .number("attempt", i64::from(self.attempt));
        let row = match &self.node {
            Some(node) => row.text("node", node),
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
        self.act(due, "deadline", turn);
        Ok(())
    }

    fn on_destroy(&mut self, turn: &mut Turn<Self>) {
        if let Some(owner) = turn.parent().map(|owner| owner.id.clone()) {
            let release = Release { workspace: self.workspace(turn), node: self.node.clone() };
            turn.send::<Owner, _>(&owner, &release);
        }
    }
}

impl Handler<Granted> for TaskRunner {
    fn handle(&mut self, message: Granted, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if self.is_current(&message.workspace, turn) && self.phase == Phase::Seeking {
            self.enter(Phase::Granted, turn.now());
            self.node = Some(message.node);
        }
        Ok(())
    }
}

impl Handler<Placed> for TaskRunner {
    fn handle(&mut self, message: Placed, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if self.is_current(&message.workspace, turn) {
            if matches!(self.phase, Phase::Seeking | Phase::Granted) {
                self.enter(Phase::Placed, turn.now());
            }
            self.node = Some(message.node);
        }
        Ok(())
    }
}

impl Handler<WorkspaceReady> for TaskRunner {
    fn handle(&mut self, message: WorkspaceReady, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if self.is_current(&message.workspace, turn) {
            let now = turn.now();
            self.enter(Phase::Running, now);
            self.in_progress_at.get_or_insert(now);
            self.alive_at = now;
        }
        Ok(())
    }
}

impl Handler<NotPlaced> for TaskRunner {
    fn handle(&mut self, message: NotPlaced, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if !self.is_current(&message.workspace, turn) {
            return Ok(());
        }
        if self.init.spec.place.node.is_some() {
            turn.event("node_gone", message.why);
            self.strand("node gone", turn);
        } else {
            self.lose(&message.why, turn);
        }
        Ok(())
    }
}

impl Handler<Vacated> for TaskRunner {
    fn handle(&mut self, message: Vacated, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if self.is_current(&message.workspace, turn) {
            self.lose(&message.why, turn);
        }
        Ok(())
    }
}

impl Handler<Progress> for TaskRunner {
    fn handle(&mut self, _message: Progress, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.alive_at = turn.now();
        Ok(())
    }
}

impl Handler<EndTask> for TaskRunner {
    /// Whoever owns it decides, whatever its status.
    fn handle(&mut self, message: EndTask, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        message.caller.may_command(&self.init.owner)?;
        self.end(&message.end, &message.caller.owner, turn);
        Ok(())
    }
}

impl Handler<Expire> for TaskRunner {
    fn handle(&mut self, message: Expire, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let Some(due) = due::overdue(&self.dues(), turn.now()) else {
            return Err(Refusal::new(format!("nothing is due: {}", message.why)));
        };
        self.act(due, "sweep", turn);
        Ok(())
    }
}
