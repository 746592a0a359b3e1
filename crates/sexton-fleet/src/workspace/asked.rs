//! What a workspace tells its task again, if it asks.

use sexton_core::{Handler, Refusal, Turn};

use crate::asks::Ask;
use crate::placement::WorkspaceReady;
use crate::task::{Step, TaskRunner};

use super::{Workspace, WorkspaceStatus};

impl Handler<Ask> for Workspace {
    fn handle(&mut self, message: Ask, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let runs = match self.status {
            WorkspaceStatus::Running | WorkspaceStatus::Recovery => true,
            WorkspaceStatus::Creating
            | WorkspaceStatus::Sleeping
            | WorkspaceStatus::Stopping
            | WorkspaceStatus::Stopped
            | WorkspaceStatus::Error => false,
        };
        let is_news = runs && message.step < Step::AgentSession;
        if is_news && self.init.task.as_ref() == Some(&message.task) {
            let workspace = turn.id().name().to_owned();
            turn.send::<TaskRunner, _>(&message.task, &WorkspaceReady { workspace });
        }
        Ok(())
    }
}
