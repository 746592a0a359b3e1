//! What a workspace tells its task again, if it asks.

use sexton_core::{Handler, Refusal, Turn};

use crate::asks::Ask;
use crate::placement::WorkspaceReady;
use crate::task::{Step, TaskRunner};

use super::{Workspace, WorkspaceStatus};

impl Handler<Ask> for Workspace {
    fn handle(&mut self, message: Ask, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        // One that is being repaired would refuse a session: it is asked again when it is not.
        let runs = self.status == WorkspaceStatus::Running;
        let is_news = runs && message.step < Step::AgentSession;
        if is_news && self.init.task.as_ref() == Some(&message.task) {
            let workspace = turn.id().name().to_owned();
            turn.send::<TaskRunner, _>(&message.task, &WorkspaceReady { workspace });
        }
        Ok(())
    }
}
