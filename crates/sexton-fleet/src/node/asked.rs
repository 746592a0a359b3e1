//! What a node tells the tasks that have or want a place on it: how far its machine is, and
//! again what they did not hear; and what it does when it is not needed any more.

use sexton_core::{Handler, Refusal, Turn};

use crate::asks::{Ask, Disclaim, NotNeeded};
use crate::caller::Tenure;
use crate::placement::{Granted, Placed};
use crate::senders::{is_from_parent, only_if};
use crate::task::{Step, TaskRunner};
use crate::workspace::Workspace;

use super::seats::{SeatState, only_from_owner};
use super::{Node, NodeStatus};

impl Node {
    /// How far a task is that waits in line here.
    fn step(&self) -> Step {
        match (self.status, self.machine_at) {
            (NodeStatus::Creating, None) => Step::NodeProvisioning,
            (NodeStatus::Creating, Some(_)) => Step::NodeAgentReady,
            (
                NodeStatus::Running | NodeStatus::Warm | NodeStatus::Stopped | NodeStatus::Error,
                _,
            ) => Step::WorkspaceCreation,
        }
    }

    /// Its machine is there: whoever waits in line now waits for the agent.
    pub(super) fn tell_line(&self, turn: &mut Turn<Self>) {
        let step = self.step();
        for place in &self.queue {
            // A task of somebody outside has no clock that this would start.
            let task = place.task.as_ref().filter(|_| place.tenure == Tenure::Managed);
            if let Some(task) = task {
                let (workspace, node) = (place.workspace.clone(), turn.id().name().to_owned());
                turn.send::<TaskRunner, _>(task, &Granted { workspace, node, step });
            }
        }
    }
}

impl Handler<Ask> for Node {
    /// Says nothing to whom nothing was promised here, and nothing that is known.
    fn handle(&mut self, message: Ask, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let node = turn.id().name().to_owned();
        let Ask { task, workspace, step } = &message;
        if let Some(seat) = self.seats.get(workspace) {
            if seat.state != SeatState::Active || seat.task.as_ref() != Some(task) {
                return Ok(());
            }
            if *step < Step::WorkspaceReady {
                turn.send::<TaskRunner, _>(task, &Placed { workspace: workspace.clone(), node });
            }
            // Only the workspace itself knows how far it is.
            if let Ok(id) = sexton_core::ActorId::new("workspace", workspace) {
                turn.send::<Workspace, _>(&id, &message);
            }
            return Ok(());
        }
        let is_in_line = |place: &crate::placement::Place| {
            place.workspace == *workspace && place.task.as_ref() == Some(task)
        };
        let now_at = self.step();
        if *step < now_at && self.queue.iter().any(is_in_line) {
            let workspace = workspace.clone();
            turn.send::<TaskRunner, _>(task, &Granted { workspace, node, step: now_at });
        }
        Ok(())
    }
}

impl Handler<NotNeeded> for Node {
    /// What nobody uses goes warm at once, as after its last workspace.
    fn handle(&mut self, _message: NotNeeded, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_from_owner(turn)?;
        self.settle(turn);
        Ok(())
    }
}

impl Handler<Disclaim> for Node {
    /// A claim does not outlive its holder.
    fn handle(&mut self, message: Disclaim, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let is_task = turn.from().is_some_and(|from| from.id == message.task);
        only_if(is_task || is_from_parent(turn))?;
        if self.claim.as_ref().is_some_and(|lease| lease.by == message.task) {
            self.release_claim(turn);
        }
        Ok(())
    }
}
