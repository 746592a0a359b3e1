//! What a task is told of its placement and its session, each of one attempt.

use sexton_core::{Actor, ActorId, Handler, Refusal, Turn};

use crate::asks::Waits;
use crate::fault::Fault;
use crate::node::Node;
use crate::placement::{
    Granted, NotPlaced, Placed, SessionEnd, SessionEnded, SessionStarted, StartSession, Vacated,
    WorkspaceReady,
};
use crate::senders::{is_from, is_from_kind, is_from_parent, only_if};
use crate::workspace::Workspace;

use super::{Step, TaskEnd, TaskRunner, TaskSession};

impl TaskRunner {
    /// It runs.
    fn run(&mut self, turn: &Turn<Self>) {
        let now = turn.now();
        self.enter(Step::Running, now);
        self.in_progress_at.get_or_insert(now);
        self.alive_at = now;
    }

    fn start_session(&self, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let name = self.workspace(turn);
        let to = ActorId::new(Workspace::KIND, &name)
            .map_err(|error| Refusal::new(error.to_string()))?;
        let start = StartSession { session: self.session(turn), task: turn.id().clone() };
        turn.send::<Workspace, _>(&to, &start);
        Ok(())
    }

    /// Whether news is of the session of the present attempt.
    fn is_its_session(&self, of: (&str, &str), turn: &mut Turn<Self>) -> bool {
        let (workspace, session) = of;
        if !self.is_current(workspace, turn) {
            return false;
        }
        let is_its = self.session(turn) == session;
        if !is_its {
            turn.event("late", format!("news of {session}, in attempt {}", self.attempt));
        }
        is_its
    }

    /// Its session says how it ends; of a task of somebody outside its owner does.
    fn decide(&mut self, end: &TaskEnd, turn: &mut Turn<Self>) {
        if self.is_external() {
            turn.event("session_ended", format!("{end:?}"));
        } else {
            self.end(end, "session", turn);
        }
    }
}

impl Handler<Waits> for TaskRunner {
    fn handle(&mut self, message: Waits, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from_parent(turn))?;
        if self.is_current(&message.workspace, turn) {
            self.enter(Step::WaitingForCapacity, turn.now());
        }
        Ok(())
    }
}

impl Handler<Granted> for TaskRunner {
    fn handle(&mut self, message: Granted, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from_parent(turn) || is_from::<Node, _>(&message.node, turn))?;
        if self.is_current(&message.workspace, turn) && self.at < Step::WorkspaceReady {
            self.enter(message.step, turn.now());
            self.node = Some(message.node);
        }
        Ok(())
    }
}

impl Handler<Placed> for TaskRunner {
    fn handle(&mut self, message: Placed, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from::<Node, _>(&message.node, turn))?;
        if self.is_current(&message.workspace, turn) {
            self.enter(Step::WorkspaceReady, turn.now());
            self.node = Some(message.node);
        }
        Ok(())
    }
}

impl Handler<WorkspaceReady> for TaskRunner {
    fn handle(&mut self, message: WorkspaceReady, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from::<Workspace, _>(&message.workspace, turn))?;
        if !self.is_current(&message.workspace, turn) {
            return Ok(());
        }
        if self.at >= Step::AgentSession {
            self.alive_at = turn.now();
            return Ok(());
        }
        match self.init.spec.session {
            TaskSession::Wanted => {
                self.enter(Step::AgentSession, turn.now());
                self.start_session(turn)
            }
            TaskSession::Unwanted => {
                self.run(turn);
                Ok(())
            }
        }
    }
}

impl Handler<SessionStarted> for TaskRunner {
    fn handle(&mut self, message: SessionStarted, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from::<Workspace, _>(&message.workspace, turn))?;
        if self.is_its_session((&message.workspace, &message.session), turn) {
            self.run(turn);
        }
        Ok(())
    }
}

impl Handler<SessionEnded> for TaskRunner {
    fn handle(&mut self, message: SessionEnded, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from::<Workspace, _>(&message.workspace, turn))?;
        let SessionEnded { workspace, session, end } = message;
        if !self.is_its_session((&workspace, &session), turn) {
            return Ok(());
        }
        match end {
            SessionEnd::Finished => self.decide(&TaskEnd::Completed, turn),
            SessionEnd::Failed { class } => self.decide(&TaskEnd::Failed { class }, turn),
            SessionEnd::Lost { why } => {
                // The workspace may live on, and nobody else knows that it is of no use.
                self.release(workspace, turn);
                self.lost(&why, None, turn);
            }
        }
        Ok(())
    }
}

impl Handler<NotPlaced> for TaskRunner {
    fn handle(&mut self, message: NotPlaced, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from_parent(turn) || is_from_kind::<Node, _>(turn))?;
        let NotPlaced { workspace, why, fault } = message;
        if !self.is_current(&workspace, turn) {
            return Ok(());
        }
        if self.init.spec.place.node.is_some() {
            turn.event("node_gone", why);
            self.strand(fault.map_or("node gone", Fault::name), turn);
        } else {
            self.lost(&why, fault, turn);
        }
        Ok(())
    }
}

impl Handler<Vacated> for TaskRunner {
    fn handle(&mut self, message: Vacated, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from_parent(turn) || is_from_kind::<Node, _>(turn))?;
        let Vacated { workspace, why, fault } = message;
        if self.is_current(&workspace, turn) {
            self.lost(&why, fault, turn);
        }
        Ok(())
    }
}
