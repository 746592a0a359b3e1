//! What travels between owner, node and whoever needs a workspace.

use serde::{Deserialize, Serialize};
use sexton_core::{ActorId, Message};

use crate::caller::Tenure;
use crate::fault::Fault;
use crate::task::Step;
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
    /// For this project, whose own times then hold.
    pub project: Option<String>,
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
    /// The lease of whoever has claimed the node: without it nothing is placed there.
    pub lease: Option<u64>,
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

/// From the owner, or from the node itself, to a task: there will be room on this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// The workspace that it asked a place for.
    pub workspace: String,
    /// The node.
    pub node: String,
    /// How far the task is by this, as far as whoever sends it knows.
    pub step: Step,
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
    /// The class of what went wrong, if something did.
    pub fault: Option<Fault>,
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
    /// The class of what went wrong, if something did.
    pub fault: Option<Fault>,
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

/// How busy a machine is, as its agent measured it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Of its processors, in percent.
    pub cpu: u8,
    /// Of its memory, in percent.
    pub memory: u8,
}

impl Load {
    /// Whether a share of so many percent is in use.
    pub fn is_busy(self, percent: u32) -> bool {
        u32::from(self.cpu) >= percent || u32::from(self.memory) >= percent
    }
}

/// From a node to its owner: its phase changed, or its load did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeNews {
    /// The node.
    pub node: String,
    /// Its phase.
    pub phase: Phase,
    /// Its load, once the agent has said it.
    pub load: Option<Load>,
}

impl Message for NodeNews {
    const NAME: &'static str = "node_news";
    type Reply = ();
}

/// From a task to its workspace: begin a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartSession {
    /// Its name, never used before.
    pub session: String,
    /// The task, which is told how it goes.
    pub task: ActorId,
}

impl Message for StartSession {
    const NAME: &'static str = "start_session";
    type Reply = ();
}

/// From a workspace to a task: its session runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStarted {
    /// The workspace.
    pub workspace: String,
    /// The session.
    pub session: String,
}

impl Message for SessionStarted {
    const NAME: &'static str = "session_started";
    type Reply = ();
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionEnd {
    /// It did what it was for.
    Finished,
    /// It did not.
    Failed {
        /// The class of the failure.
        class: String,
    },
    /// Nothing is known of it any more.
    Lost {
        /// Why.
        why: String,
    },
}

/// From a workspace to a task: its session ended, or never began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnded {
    /// The workspace.
    pub workspace: String,
    /// The session.
    pub session: String,
    /// How.
    pub end: SessionEnd,
}

impl Message for SessionEnded {
    const NAME: &'static str = "session_ended";
    type Reply = ();
}
