//! Which of his nodes somebody has for himself: whatever is placed there carries the lease.
//!
//! The number is known to the node, which gives it, and to the owner, through whom every placement
//! goes. What the owner asked for before he heard of the claim he puts under it afterwards.

use sexton_core::{Actor, ActorId, Handler, Refusal, Turn};

use crate::asks::{Claimed, Disclaim, Under};
use crate::node::Node;
use crate::senders::{is_from, only_if};

use super::Owner;

impl Owner {
    /// A task is gone: what it claimed and perhaps never used is free.
    pub(super) fn disclaim(&self, task: &ActorId, turn: &mut Turn<Self>) {
        for (name, held) in &self.nodes {
            if held.lease_of(Some(task)).is_some()
                && let Ok(node) = ActorId::new(Node::KIND, name)
            {
                turn.send::<Node, _>(&node, &Disclaim { task: task.clone() });
            }
        }
    }
}

impl Handler<Claimed> for Owner {
    fn handle(&mut self, message: Claimed, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from::<Node, _>(&message.node, turn))?;
        let Claimed { node, lease } = message;
        let (Some(held), Ok(id)) = (self.nodes.get_mut(&node), ActorId::new(Node::KIND, &node))
        else {
            return Ok(());
        };
        if let Some((by, lease)) = &lease {
            let seats = held.seats.iter().filter(|(_, task)| task.as_ref() == Some(by));
            for (workspace, _) in seats {
                let (workspace, lease) = (workspace.clone(), *lease);
                turn.send::<Node, _>(&id, &Under { workspace, lease });
            }
        }
        held.claim = lease;
        self.serve(turn);
        Ok(())
    }
}
