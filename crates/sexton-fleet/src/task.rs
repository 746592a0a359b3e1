//! A task: finds a node, gets a workspace there, runs its session, and leaves nothing behind.
//!
//! ```text
//! node_selection -> [waiting_for_capacity] -> node_provisioning -> node_agent_ready
//!     -> workspace_creation -> workspace_ready -> [agent_session] -> running
//! ```
//!
//! Its status and the step that it shows only go forward. Losing the placement begins a new
//! *attempt*, with a new workspace, at `node_selection`; that does not move back what is shown.
//! The clock of a step begins when the attempt enters it first, and nothing that finds the same
//! step again touches it. Polls are in no row: they change nothing that anybody judges by.

mod steps;
mod faults;
mod news;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sexton_core::{
    Actor, ActorId, Deadlines, Handler, Handlers, Message, Refusal, Row, Status, Timestamp, Turn,
};

use crate::asks::{Ask, Disclaim, Waits};
use crate::caller::{Caller, Tenure, authorize};
use crate::due::{self, Expire};
use crate::node::Node;
use crate::owner::{EndTask, Owner, Release, Seek};
use crate::placement::{
    Granted, NotPlaced, Placed, SessionEnded, SessionStarted, Vacated, Wish, WorkspaceReady,
};
use crate::sweeps::Bereaved;

pub use self::steps::{Pace, Step, TaskDue, TaskTerms};

use self::steps::Polls;

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

/// Whether the fleet starts something in a task's workspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskSession {
    /// A session, whose end is the task's.
    #[default]
    Wanted,
    /// Nothing: the task runs as soon as its workspace does.
    Unwanted,
}

/// What somebody wants who starts a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// Who decides when it ends.
    pub tenure: Tenure,
    /// Where.
    pub place: Wish,
    /// What is started in its workspace.
    pub session: TaskSession,
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
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Progress {
    /// Who says so.
    pub caller: Caller,
}

impl Message for Progress {
    const NAME: &'static str = "progress";
    type Reply = ();
}

/// Whether the present attempt goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Course {
    /// It does.
    Under,
    /// It begins at this moment.
    Resting(Timestamp),
    /// No further attempt is made: whoever owns the task ends it.
    Stranded,
}

/// A task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskRunner {
    init: TaskInit,
    status: TaskStatus,
    /// The farthest step, which is shown.
    step: Step,
    attempt: u32,
    /// Where the present attempt stands.
    at: Step,
    course: Course,
    /// When each step was entered first since the last placement; empty if no clock runs.
    entered: BTreeMap<Step, Timestamp>,
    polls: Polls,
    /// Retries since a step after the one that failed was entered.
    retries: u32,
    /// The step that failed last.
    failed_at: Step,
    /// How many sizes below the default one its present search asks for.
    smaller: u32,
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
        Self::workspace_of(self.attempt, turn)
    }

    fn workspace_of(attempt: u32, turn: &Turn<Self>) -> String {
        format!("{}~w{attempt}", turn.id().name())
    }

    /// Whether a workspace of this name is one of an attempt of this task.
    pub(crate) fn has_workspace(task: &ActorId, workspace: &str) -> bool {
        let attempt = workspace.strip_prefix(task.name()).and_then(|it| it.strip_prefix("~w"));
        task.kind() == Self::KIND && attempt.is_some_and(|it| it.parse::<u32>().is_ok())
    }

    /// The session in the workspace of the present attempt.
    fn session(&self, turn: &Turn<Self>) -> String {
        format!("{}~s", self.workspace(turn))
    }

    /// Goes on to a step; within an attempt this is forward only, and again is not at all.
    fn enter(&mut self, step: Step, now: Timestamp) {
        if step <= self.at {
            return;
        }
        self.at = step;
        if step > self.failed_at {
            self.retries = 0;
        }
        if !self.is_external() {
            self.entered.entry(step).or_insert(now);
        }
        self.polls = Polls { n: 0, last_at: now };
        // Forward only: a new attempt does not move a task back.
        self.step = self.step.max(step);
        self.status = self.status.max(step.status());
    }

    /// Begins the present attempt; the one before it left this workspace behind.
    fn seek(&mut self, left: Option<String>, turn: &mut Turn<Self>) {
        let now = turn.now();
        self.course = Course::Under;
        self.at = Step::NodeSelection;
        if !self.is_external() {
            // The first answer is waited for anew: it is to this search.
            self.entered.insert(Step::NodeSelection, now);
        }
        self.polls = Polls { n: 0, last_at: now };
        let place = self.init.spec.place.clone();
        let held = std::mem::replace(&mut self.node, place.node.clone());
        let Some(owner) = turn.parent().map(|owner| owner.id.clone()) else { return };
        let seek = Seek {
            task: turn.id().clone(),
            workspace: self.workspace(turn),
            place,
            tenure: self.init.spec.tenure,
            left,
            held,
            smaller: self.smaller,
        };
        turn.send::<Owner, _>(&owner, &seek);
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

    fn release(&self, workspace: String, turn: &mut Turn<Self>) {
        if let Some(owner) = turn.parent().map(|owner| owner.id.clone()) {
            let release = Release { workspace, node: self.node.clone() };
            turn.send::<Owner, _>(&owner, &release);
        }
    }

    /// What may move or end it, but for silence: read off what moves only when its step does.
    fn bounds(&self) -> Vec<(Timestamp, TaskDue)> {
        if self.status.is_terminal() {
            return Vec::new();
        }
        let mut bounds = Vec::new();
        if let Course::Resting(until) = self.course {
            bounds.push((until, TaskDue::Retry));
        }
        if self.is_external() {
            return bounds;
        }
        let terms = &self.init.terms;
        bounds.push((self.created_at + terms.absolute, TaskDue::Absolute));
        if let (Some(since), Some(bound)) = (self.entered.get(&self.at), terms.bound(self.at)) {
            bounds.push((*since + bound, TaskDue::Step(self.at)));
        }
        if let Some(at) = self.in_progress_at {
            bounds.push((at + terms.hard, TaskDue::Hard));
        }
        bounds
    }

    /// From when on silence is held against it, as the row says: without its signs of life.
    fn soft_at(&self) -> Option<Timestamp> {
        if self.is_external() || self.status.is_terminal() {
            return None;
        }
        self.in_progress_at.map(|at| at + self.init.terms.soft)
    }

    /// What may move or end it.
    fn dues(&self) -> Vec<(Timestamp, TaskDue)> {
        let mut dues = self.bounds();
        let silent_at = self.alive_at + self.init.terms.silence;
        dues.extend(self.soft_at().map(|at| (at.max(silent_at), TaskDue::Soft)));
        dues
    }

    /// When it asks next: no more than the second means to a message that went astray.
    fn poll_at(&self) -> Option<Timestamp> {
        if self.is_external() || self.status.is_terminal() || self.course != Course::Under {
            return None;
        }
        let pace = self.init.terms.pace(self.at)?;
        Some(self.polls.last_at + pace.wait(self.polls.n))
    }

    fn poll(&mut self, turn: &mut Turn<Self>) {
        let n = self.polls.n.saturating_add(1);
        self.polls = Polls { n, last_at: turn.now() };
        let ask = Ask { task: turn.id().clone(), workspace: self.workspace(turn), step: self.at };
        let node = self.node.as_ref().and_then(|node| node_id(node));
        match (node, turn.parent().map(|owner| owner.id.clone())) {
            (Some(node), _) => turn.send::<Node, _>(&node, &ask),
            (None, Some(owner)) => turn.send::<Owner, _>(&owner, &ask),
            (None, None) => {}
        }
    }

    fn act(&mut self, due: TaskDue, by: &str, turn: &mut Turn<Self>) {
        match due {
            TaskDue::Poll => self.poll(turn),
            TaskDue::Retry => {
                let left = Self::workspace_of(self.attempt - 1, turn);
                self.seek(Some(left), turn);
            }
            TaskDue::Step(_) | TaskDue::Soft | TaskDue::Hard | TaskDue::Absolute => {
                let class = format!("timeout {}", due.name());
                self.end(&TaskEnd::Failed { class }, by, turn);
            }
        }
    }
}

fn node_id(name: &str) -> Option<ActorId> {
    ActorId::new(Node::KIND, name).ok()
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
            at: Step::NodeSelection,
            course: Course::Under,
            entered: BTreeMap::new(),
            polls: Polls { n: 0, last_at: now },
            retries: 0,
            failed_at: Step::NodeSelection,
            smaller: 0,
            created_at: now,
            in_progress_at: None,
            alive_at: now,
            node: None,
        };
        task.seek(None, turn);
        Ok(task)
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Waits>().message::<Granted>().message::<Placed>();
        on.message::<WorkspaceReady>().message::<SessionStarted>().message::<SessionEnded>();
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
        let mut bounds = self.bounds();
        bounds.extend(self.soft_at().map(|at| (at, TaskDue::Soft)));
        due::shown(row, due::earliest(&bounds).map(|(at, due)| (at, due.name())))
    }

    fn deadlines(&self, due: &mut Deadlines<Self::Deadline>) {
        for (at, what) in self.dues() {
            due.at(at, what);
        }
        if let Some(at) = self.poll_at() {
            due.at(at, TaskDue::Poll);
        }
    }

    fn on_deadline(&mut self, due: Self::Deadline, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.act(due, "deadline", turn);
        Ok(())
    }

    /// However it ends: its place and what it claimed are free, and its workspace stops.
    fn on_destroy(&mut self, turn: &mut Turn<Self>) {
        self.release(self.workspace(turn), turn);
        let node = self.node.as_ref().filter(|_| !self.is_external());
        if let Some(node) = node.and_then(|node| node_id(node)) {
            let task = turn.id().clone();
            turn.send::<Node, _>(&node, &Disclaim { task });
        }
    }
}

impl Handler<Progress> for TaskRunner {
    fn handle(&mut self, message: Progress, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, (&self.init.owner, Progress::NAME), turn)?;
        self.alive_at = turn.now();
        Ok(())
    }
}

impl Handler<EndTask> for TaskRunner {
    /// Whoever owns it decides, whatever its status.
    fn handle(&mut self, message: EndTask, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let EndTask { caller, end, .. } = message;
        authorize(&caller, (&self.init.owner, EndTask::NAME), turn)?;
        self.end(&end, &caller.owner, turn);
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
