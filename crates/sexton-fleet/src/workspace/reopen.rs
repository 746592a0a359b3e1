//! Whoever ended a workspace opens it again: as long as it is there, it is the same one.
//!
//! Its end made it stop, and who decides when it ends was given up with that. A reopening says
//! who decides from now on. One that comes while the workspace still stops waits for that, so
//! that it is granted in whichever order the two arrive; one that comes after the deletion finds
//! nobody. Its owner lists it from the reopening on, so that the next end reaches it wherever the
//! way back stands.

use serde::{Deserialize, Serialize};
use sexton_core::{Actor, ActorId, ActorRef, Handler, Message, Refusal, Turn};

use crate::caller::{Caller, Tenure, authorize};
use crate::owner::{Owner, Returned};

use super::commands::Returning;
use super::{Workspace, WorkspaceStatus};

/// Makes a workspace run again that had been ended; granted if its node has a place.
///
/// An end that its owner is told before he has heard of the reopening is of the time before, and
/// changes nothing: whoever reopens waits until that has arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reopen {
    /// Who asks.
    pub caller: Caller,
    /// Who decides from then on when it ends.
    pub tenure: Tenure,
}

impl Message for Reopen {
    const NAME: &'static str = "reopen";
    type Reply = ();
}

impl Workspace {
    fn want(&mut self, tenure: Tenure, turn: &mut Turn<Self>) {
        self.wanted = Some(tenure);
        if tenure == Tenure::Managed {
            // Whoever kept its end for himself gives it up with this, granted or not: waiting for
            // an answer that may not come, it is bounded.
            self.init.tenure = tenure;
        }
        if let Ok(owner) = ActorId::new(Owner::KIND, &self.init.owner) {
            let (node, workspace) = (self.init.node.id.name(), turn.id().name());
            let (node, workspace) = (node.to_owned(), workspace.to_owned());
            turn.send::<Owner, _>(&owner, &Returned { node, workspace, tenure });
        }
    }

    /// It does not run any more: asks for a place, if somebody wanted it back meanwhile.
    pub(super) fn come_back(&mut self, turn: &mut Turn<Self>) {
        if self.wanted.is_some() {
            self.ask_back(Returning::Restart, turn);
        }
    }
}

impl Handler<Reopen> for Workspace {
    fn handle(&mut self, message: Reopen, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, (&self.init.owner, Reopen::NAME), turn)?;
        match self.status {
            WorkspaceStatus::Stopping => self.want(message.tenure, turn),
            WorkspaceStatus::Stopped | WorkspaceStatus::Error | WorkspaceStatus::Sleeping => {
                self.want(message.tenure, turn);
                self.ask_back(Returning::Restart, turn);
            }
            WorkspaceStatus::Creating | WorkspaceStatus::Running | WorkspaceStatus::Recovery => {
                return Err(self.is("be reopened"));
            }
        }
        Ok(())
    }
}

impl Workspace {
    /// Whose it is.
    pub fn owner(&self) -> &str {
        &self.init.owner
    }

    /// The life of the node that it is on.
    pub fn node(&self) -> &ActorRef {
        &self.init.node
    }

    /// Who decides when it ends, or will when it is back.
    pub fn tenure(&self) -> Tenure {
        self.wanted.unwrap_or(self.init.tenure)
    }

    /// Whether a session can begin in it now.
    pub fn can_open_session(&self) -> bool {
        self.status == WorkspaceStatus::Running && self.session.is_none()
    }

    /// Whether whoever ended it can still have it back.
    pub fn can_reopen(&self) -> bool {
        match self.status {
            WorkspaceStatus::Stopping
            | WorkspaceStatus::Stopped
            | WorkspaceStatus::Error
            | WorkspaceStatus::Sleeping => self.tenure() == Tenure::Managed,
            WorkspaceStatus::Creating | WorkspaceStatus::Running | WorkspaceStatus::Recovery => {
                false
            }
        }
    }
}
