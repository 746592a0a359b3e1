//! A workspace of his that had stopped, failed or slept has a place on its node again.

use serde::{Deserialize, Serialize};
use sexton_core::{Handler, Message, Refusal, Turn};

use crate::caller::Tenure;
use crate::node::Node;
use crate::placement::Wish;
use crate::senders::{is_from, only_if};
use crate::workspace::Workspace;

use super::Owner;
use super::registry::Lying;

/// From a node to its owner: a workspace that had no place any more has one again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// The node.
    pub node: String,
    /// The workspace.
    pub workspace: String,
    /// Who decides when it ends.
    pub tenure: Tenure,
}

impl Message for Returned {
    const NAME: &'static str = "returned";
    type Reply = ();
}

impl Handler<Returned> for Owner {
    /// It counts again, and can be ended again by its name.
    fn handle(&mut self, message: Returned, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(
            is_from::<Node, _>(&message.node, turn)
                || is_from::<Workspace, _>(&message.workspace, turn),
        )?;
        let Returned { node, workspace, tenure } = message;
        if let Some(held) = self.nodes.get_mut(&node) {
            held.seats.insert(workspace.clone(), None);
        }
        // It can go back to the machine that its files are on, and to no other.
        self.workspaces.insert(workspace, Lying { place: Wish::on(node.as_str()), node, tenure });
        Ok(())
    }
}

/// From a node to its owner: a workspace of no task gave up its place, and lies there still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unseated {
    /// The node.
    pub node: String,
    /// The workspace.
    pub workspace: String,
}

impl Message for Unseated {
    const NAME: &'static str = "unseated";
    type Reply = ();
}

impl Handler<Unseated> for Owner {
    /// It counts no more, and can still be ended by its name.
    fn handle(&mut self, message: Unseated, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from::<Node, _>(&message.node, turn))?;
        if let Some(held) = self.nodes.get_mut(&message.node) {
            held.seats.remove(&message.workspace);
            self.serve(turn);
        }
        Ok(())
    }
}
