//! What travels between owner, node and whoever needs a workspace.

use serde::{Deserialize, Serialize};
use sexton_core::{ActorId, Message};

use crate::caller::Tenure;
use crate::workspace::{WorkspaceEnd, WorkspaceTerms};

/// Where somebody wants a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// On this node and on no other.
    pub node: Option<String>,
    /// On a machine of this size, if one has to be made.
    pub size: Option<String>,
    /// At this location.
    pub location: Option<String>,
}

impl Wish {
    /// On this node and on no other.
    pub fn on(node: impl Into<String>) -> Self {
        Self { node: Some(node.into()), ..Self::default() }
    }
}

/// From the owner to a node: take a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The workspace's name; placing one twice is placing it once.
    pub workspace: String,
    /// The task that it is for; `None` is for the owner himself.
    pub task: Option<ActorId>,
    /// Who decides when the task, or the workspace of no task, ends.
    pub tenure: Tenure,
    /// How long it may do what.
    pub terms: WorkspaceTerms,
}

impl Message for Place {
    const NAME: &'static str = "place";
    type Reply = ();
}

/// From the owner to a node: a workspace that was placed there is not needed any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leave {
    /// The workspace's name.
    pub workspace: String,
    /// What becomes of it.
    pub end: WorkspaceEnd,
}

impl Message for Leave {
    const NAME: &'static str = "leave";
    type Reply = ();
}

/// From the owner to a task: there will be room on a node that is being made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// The workspace that it asked a place for.
    pub workspace: String,
    /// The node.
    pub node: String,
}

impl Message for Granted {
    const NAME: &'static str = "granted";
    type Reply = ();
}

/// From a node to a task: the workspace is being made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// The workspace.
    pub workspace: String,
    /// The node.
    pub node: String,
}

impl Message for Placed {
    const NAME: &'static str = "placed";
    type Reply = ();
}

/// From a node to whoever asked: no workspace was made, and none will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotPlaced {
    /// The workspace.
    pub workspace: String,
    /// Why.
    pub why: String,
}

impl Message for NotPlaced {
    const NAME: &'static str = "not_placed";
    type Reply = ();
}

/// From a node to whoever asked: the workspace is gone, or of no use any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vacated {
    /// The workspace.
    pub workspace: String,
    /// Why.
    pub why: String,
}

impl Message for Vacated {
    const NAME: &'static str = "vacated";
    type Reply = ();
}

/// From a workspace to its task: it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceReady {
    /// The workspace.
    pub workspace: String,
}

impl Message for WorkspaceReady {
    const NAME: &'static str = "workspace_ready";
    type Reply = ();
}

/// What the owner has to know of a node to place workspaces on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Its machine is being made: places can be promised.
    Coming,
    /// It runs.
    Running,
    /// It runs, and nobody uses it.
    Warm,
    /// It takes nothing any more.
    Closed,
}

/// From a managed node to its owner: its phase changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeNews {
    /// The node.
    pub node: String,
    /// Its phase.
    pub phase: Phase,
}

impl Message for NodeNews {
    const NAME: &'static str = "node_news";
    type Reply = ();
}
