//! A workspace on a node: made, used, stopped and deleted by the agent of the node's machine.
//!
//! ```text
//! creating --> running <--> recovery       any of them --> stopping --> stopped
//!    ^            ^                                  any of them --> error
//!    |            +--> sleeping
//!    +---- stopped, error, sleeping        only with a place on the node, which it asks for
//! ```
//!
//! It is the status that counts and not the way that led there: whoever stops it, entering
//! `stopped` sets the deletion's deadline, and leaving it takes that away. A workspace whose task
//! has not ended is in use, unless the session there is silent; one whose session gives signs of
//! life is never idle.

mod spec;
mod commands;
mod reopen;
mod sessions;
mod asked;

use serde::{Deserialize, Serialize};
use sexton_core::{
    Actor, ActorId, Deadlines, Gone, Handler, Handlers, Message, Outcome, Refusal, Row, Status,
    Timestamp, Turn,
};

use crate::asks::Ask;
use crate::caller::Tenure;
use crate::due::{self, Expire};
use crate::node::{Node, WorkspaceChanged};
use crate::placement::{StartSession, WorkspaceReady};
use crate::senders::{is_from_parent, only_if};
use crate::sweeps::Bereaved;
use crate::task::TaskRunner;

pub use self::commands::{
    Broken, Made, NotSeated, Orphaned, Recover, Restart, Seated, Sleep, Touch, Wake,
};
pub use self::reopen::Reopen;
pub use self::sessions::{OpenSession, SessionNews};
pub use self::spec::{
    AgentAnswer, AgentEffect, WorkspaceDue, WorkspaceEnd, WorkspaceInit, WorkspaceSpec,
    WorkspaceTerms,
};

use self::commands::Returning;
use self::sessions::Open;

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

/// A workspace.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Workspace {
    init: WorkspaceInit,
    status: WorkspaceStatus,
    created_at: Timestamp,
    /// When it entered its status.
    since: Timestamp,
    /// When somebody used it last.
    active_at: Timestamp,
    /// When its user touched it last.
    touched_at: Option<Timestamp>,
    /// When its node was told of its use last.
    told_at: Timestamp,
    /// How often it was made: what an earlier making brings changes nothing.
    run: u32,
    /// What it asked its node for a place for, and when.
    returning: Option<(Returning, Timestamp)>,
    /// The session that is open, of which there is at most one.
    session: Option<Open>,
    /// Why it was stopped, if whoever ended it said so: its tombstone will.
    why: Option<String>,
    /// Somebody wants it back, and this is who will then decide when it ends.
    wanted: Option<Tenure>,
}

impl Workspace {
    fn enter(&mut self, status: WorkspaceStatus, now: Timestamp) {
        self.status = status;
        self.since = now;
        self.returning = None;
    }

    /// What is due, and when: none of it moves with a sign of life.
    pub(crate) fn dues(&self) -> Vec<(Timestamp, WorkspaceDue)> {
        if self.init.tenure == Tenure::External {
            return Vec::new();
        }
        let terms = self.init.terms;
        if let Some((_, asked_at)) = self.returning {
            // Asked in time is in time: the answer of the node is under way.
            return vec![(asked_at + terms.creating, WorkspaceDue::Returning)];
        }
        let due = match self.status {
            WorkspaceStatus::Creating => (self.since + terms.creating, WorkspaceDue::Creating),
            WorkspaceStatus::Running | WorkspaceStatus::Recovery => {
                return self.active_dues();
            }
            WorkspaceStatus::Sleeping => (self.since + terms.sleeping, WorkspaceDue::Sleeping),
            WorkspaceStatus::Stopping => (self.since + terms.stopping, WorkspaceDue::Stopping),
            WorkspaceStatus::Stopped => (self.since + terms.stopped, WorkspaceDue::Stopped),
            WorkspaceStatus::Error => (self.since + terms.error, WorkspaceDue::Error),
        };
        vec![due]
    }

    /// How often it was made.
    pub(crate) fn n_made(&self) -> u32 {
        self.run
    }

    fn active_dues(&self) -> Vec<(Timestamp, WorkspaceDue)> {
        let terms = self.init.terms;
        let idle = self.idle_since().map(|since| (since + terms.idle, WorkspaceDue::Idle));
        let mut dues: Vec<_> = match (&self.init.task, self.init.task_tenure) {
            (Some(_), Tenure::External) => Vec::new(),
            (Some(_), Tenure::Managed) => {
                // No task that the fleet may end is older than that: nobody has stopped this one.
                let orphaned = (self.created_at + terms.task + terms.idle, WorkspaceDue::Orphaned);
                // Its task uses it, unless the session there says nothing any more.
                idle.filter(|_| self.session.is_some()).into_iter().chain([orphaned]).collect()
            }
            (None, _) => idle.into_iter().collect(),
        };
        dues.extend(self.untold().map(|at| (at, WorkspaceDue::Use)));
        dues
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

    fn stop(&mut self, why: &str, turn: &mut Turn<Self>) {
        self.lose_session(why, turn);
        self.enter(WorkspaceStatus::Stopping, turn.now());
        turn.effect(&AgentEffect::Stop { node: self.init.node.clone() });
    }

    fn fail(&mut self, why: &str, turn: &mut Turn<Self>) {
        self.lose_session(why, turn);
        self.enter(WorkspaceStatus::Error, turn.now());
        turn.event("failed", why);
        self.tell_node(why, turn);
    }

    fn act(&mut self, due: WorkspaceDue, by: &str, turn: &mut Turn<Self>) {
        match due {
            WorkspaceDue::Creating => self.fail("failed: timeout creating", turn),
            WorkspaceDue::Idle | WorkspaceDue::Orphaned => {
                self.tell_node(due.name(), turn);
                self.init.task = None;
                self.stop(due.name(), turn);
            }
            WorkspaceDue::Use => self.tell_last_use(turn),
            WorkspaceDue::Returning => {
                self.returning = None;
                self.wanted = None;
                turn.event("not_returned", "the node did not answer");
            }
            WorkspaceDue::Stopping
            | WorkspaceDue::Stopped
            | WorkspaceDue::Error
            | WorkspaceDue::Sleeping => {
                let why = self.why.clone().unwrap_or_else(|| due.name().to_owned());
                turn.destroy(why, by);
            }
        }
    }

    /// The making with this number ended well.
    fn created(&mut self, run: u32, turn: &mut Turn<Self>) {
        let is_known = self.status == WorkspaceStatus::Running && run == self.run;
        if is_known {
            return;
        }
        if self.status != WorkspaceStatus::Creating || run != self.run {
            turn.event("late", format!("made as {run}, and is {}", self.status.name()));
            return;
        }
        self.enter(WorkspaceStatus::Running, turn.now());
        self.active_at = turn.now();
        if let Some(task) = &self.init.task {
            let workspace = turn.id().name().to_owned();
            turn.send::<TaskRunner, _>(task, &WorkspaceReady { workspace });
        }
    }

    fn not_created(&mut self, run: u32, class: &str, turn: &mut Turn<Self>) {
        let why = format!("failed: {class}");
        if self.status != WorkspaceStatus::Creating || run != self.run {
            turn.event("late", why);
        } else if self.init.tenure == Tenure::External {
            turn.destroy(why, "agent");
        } else {
            self.fail(&why, turn);
        }
    }

    /// The agent could not do what the status says: it is not what it seems to be.
    fn not_done(&mut self, of: WorkspaceStatus, class: &str, turn: &mut Turn<Self>) {
        if self.status == of {
            self.fail(&format!("failed: {class}"), turn);
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
        turn.effect(&AgentEffect::Create { node: init.node.clone(), run: 1 });
        let now = turn.now();
        Ok(Self {
            init,
            status: WorkspaceStatus::Creating,
            created_at: now,
            since: now,
            active_at: now,
            touched_at: None,
            told_at: now,
            run: 1,
            returning: None,
            session: None,
            why: None,
            wanted: None,
        })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<End>().message::<Touch>().message::<Expire>().message::<Orphaned>();
        on.message::<Made>().message::<Broken>().message::<Seated>().message::<NotSeated>();
        on.message::<Restart>().message::<Sleep>().message::<Wake>().message::<Recover>();
        on.message::<StartSession>().message::<OpenSession>().message::<SessionNews>();
        on.message::<Bereaved>().message::<Reopen>();
        on.message::<Ask>();
    }

    fn status(&self) -> Self::Status {
        self.status
    }

    fn row(&self) -> Row {
        let row = Row::owned_by(&self.init.owner)
            .text("node", self.init.node.id.name())
            .text("tenure", self.wanted.unwrap_or(self.init.tenure).name());
        let row = match &self.init.task {
            Some(task) => row.text("task", task.name()),
            None => row,
        };
        let row = match &self.session {
            Some(open) => row.text("session", open.name.as_str()),
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

    fn on_outcome(
        &mut self,
        effect: &Self::Effect,
        outcome: Outcome<Self::Answer>,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        match (effect, outcome) {
            (AgentEffect::Create { run, .. }, Outcome::Done(_)) => self.created(*run, turn),
            (AgentEffect::Create { run, .. }, Outcome::Failed(failure)) => {
                self.not_created(*run, &failure.class, turn);
            }
            (AgentEffect::Stop { .. }, Outcome::Done(_)) => {
                if self.status == WorkspaceStatus::Stopping {
                    self.enter(WorkspaceStatus::Stopped, turn.now());
                    self.come_back(turn);
                }
            }
            (AgentEffect::Recover { .. }, Outcome::Done(_)) => {
                if self.status == WorkspaceStatus::Recovery {
                    self.enter(WorkspaceStatus::Running, turn.now());
                }
            }
            (AgentEffect::Stop { .. }, Outcome::Failed(failure)) => {
                self.not_done(WorkspaceStatus::Stopping, &failure.class, turn);
                self.come_back(turn);
            }
            (AgentEffect::Sleep { .. }, Outcome::Failed(failure)) => {
                self.not_done(WorkspaceStatus::Sleeping, &failure.class, turn);
            }
            (AgentEffect::Wake { .. }, Outcome::Failed(failure)) => {
                self.not_done(WorkspaceStatus::Running, &failure.class, turn);
            }
            (AgentEffect::Recover { .. }, Outcome::Failed(failure)) => {
                self.not_done(WorkspaceStatus::Recovery, &failure.class, turn);
            }
            (AgentEffect::Sleep { .. } | AgentEffect::Wake { .. }, Outcome::Done(_))
            | (AgentEffect::Delete { .. }, Outcome::Done(_) | Outcome::Failed(_)) => {}
        }
        Ok(())
    }

    fn on_destroy(&mut self, turn: &mut Turn<Self>) {
        self.forget_session("its workspace was destroyed", turn);
        turn.effect(&AgentEffect::Delete { node: self.init.node.clone() });
    }

    fn on_child_gone(
        &mut self,
        child: &ActorId,
        end: &Gone,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        self.session_gone(child, end, turn);
        Ok(())
    }
}

impl Handler<End> for Workspace {
    fn handle(&mut self, message: End, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        // Another owner's node may have been asked for a workspace of the same name.
        only_if(is_from_parent(turn))?;
        // Whoever kept its end for himself has now decided: from here on it is bounded.
        self.init.tenure = Tenure::Managed;
        self.init.task = None;
        self.wanted = None;
        if let WorkspaceEnd::StopFor { why } = &message.end {
            self.why = Some(why.clone());
        }
        match message.end {
            WorkspaceEnd::Destroy { why } => turn.destroy(why, "owner"),
            WorkspaceEnd::Stop | WorkspaceEnd::StopFor { .. }
                if self.is_active() || self.status == WorkspaceStatus::Sleeping =>
            {
                self.stop("stopped", turn);
            }
            // Whoever stops it after he asked for its return does not want it back.
            WorkspaceEnd::Stop | WorkspaceEnd::StopFor { .. } => self.returning = None,
        }
        Ok(())
    }
}

impl Handler<Expire> for Workspace {
    fn handle(&mut self, message: Expire, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let Some(due) = due::overdue(&self.dues(), turn.now()) else {
            return Err(Refusal::new(format!("nothing is due: {}", message.why)));
        };
        self.act(due, "sweep", turn);
        Ok(())
    }
}
