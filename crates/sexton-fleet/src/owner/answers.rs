//! What an owner tells a task of its place, when he gives it and when he is asked again.

use sexton_core::{ActorId, Handler, Refusal, Turn};

use crate::asks::{Ask, Waits};
use crate::placement::{Granted, Phase};
use crate::task::{Step, TaskRunner};

use super::Owner;

/// How far a task is by a place on a node of this phase.
fn step_of(phase: Phase) -> Step {
    match phase {
        Phase::Coming => Step::NodeProvisioning,
        Phase::Running | Phase::Warm | Phase::Closed => Step::WorkspaceCreation,
    }
}

pub(super) fn grant(to: (&ActorId, &str), of: (&str, Phase), turn: &mut Turn<Owner>) {
    let ((task, workspace), (node, phase)) = (to, of);
    let (workspace, node) = (workspace.to_owned(), node.to_owned());
    turn.send::<TaskRunner, _>(task, &Granted { workspace, node, step: step_of(phase) });
}

impl Handler<Ask> for Owner {
    /// Says again what he said before, to whom it is for, if it went astray.
    fn handle(&mut self, message: Ask, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let Ask { task, workspace, step } = message;
        let place = self.nodes.iter().find_map(|(name, held)| {
            let of = held.seats.get(&workspace)?;
            let phase = held.known_phase()?;
            (of.as_ref() == Some(&task)).then_some((name, phase))
        });
        if let Some((node, phase)) = place {
            if step < step_of(phase) {
                grant((&task, &workspace), (node, phase), turn);
            }
        } else if step < Step::WaitingForCapacity && self.is_waiting(&workspace) {
            turn.send::<TaskRunner, _>(&task, &Waits { workspace });
        }
        Ok(())
    }
}
