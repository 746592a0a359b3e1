//! Workspaces that had given up their place and want it again, and what they say of their use.
//!
//! A restart is a placement: a turn of the node, so it can neither take the last place twice nor
//! race the node's end. It is granted at once or not at all, because a stopped workspace has no
//! time to wait in a line.

use serde::{Deserialize, Serialize};
use sexton_core::{Actor, ActorId, Handler, Refusal, Status, Timestamp, Turn};

use crate::caller::Tenure;
use crate::owner::{Owner, Returned};
use crate::senders::{is_from, only_if};
use crate::workspace::{NotSeated, Seated, Workspace};

use super::seats::SeatState;
use super::{Node, owner_of};

/// From a workspace: it wants to be active again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Return {
    /// The workspace.
    pub workspace: String,
    /// Who decides when it ends.
    pub tenure: Tenure,
}

/// From a workspace: somebody uses it, or it begins or ceases to be busy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkspaceUse {
    /// The workspace.
    pub workspace: String,
    /// Whether somebody is at work in it from now on.
    pub is_busy: bool,
    /// When it was used last.
    pub at: Timestamp,
}

impl Node {
    fn why_no_return(&self, workspace: &str, turn: &Turn<Self>) -> Option<String> {
        if !self.seats.contains_key(workspace) {
            return Some("it is not on this node".to_owned());
        }
        if self.claim.is_some() {
            return Some("the node is claimed".to_owned());
        }
        let is_waited_for = !self.queue.is_empty();
        if is_waited_for || !self.has_room(turn.now()) {
            return Some(format!("the node has no room, and is {}", self.status.name()));
        }
        None
    }
}

impl Handler<Return> for Node {
    fn handle(&mut self, message: Return, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let Return { workspace, tenure } = message;
        only_if(is_from::<Workspace, _>(&workspace, turn))?;
        let id = match ActorId::new(Workspace::KIND, &workspace) {
            Ok(id) => id,
            Err(error) => return Err(Refusal::new(error.to_string())),
        };
        if let Some(why) = self.why_no_return(&workspace, turn) {
            turn.send::<Workspace, _>(&id, &NotSeated { why });
            self.tell_unseated(workspace, turn);
            return Ok(());
        }
        self.use_now(turn);
        if let Some(seat) = self.seats.get_mut(&workspace) {
            // Whoever had it before has been told that it is gone for him.
            (seat.task, seat.tenure, seat.state) = (None, tenure, SeatState::Active);
            seat.is_busy = false;
        }
        turn.send::<Workspace, _>(&id, &Seated);
        if let Some(owner) = owner_of(turn) {
            let node = turn.id().name().to_owned();
            turn.send::<Owner, _>(&owner, &Returned { node, workspace, tenure });
        }
        Ok(())
    }
}

impl Handler<WorkspaceUse> for Node {
    fn handle(&mut self, message: WorkspaceUse, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from::<Workspace, _>(&message.workspace, turn))?;
        let Some(seat) = self.seats.get_mut(&message.workspace) else { return Ok(()) };
        if seat.state == SeatState::Active {
            seat.is_busy = message.is_busy;
            self.active_at = self.active_at.max(message.at);
        }
        Ok(())
    }
}
