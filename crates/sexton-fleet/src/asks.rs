//! What a task asks of whoever should have told it something, and what it is told meanwhile.
//!
//! Progress is made by durable messages. A poll is for the one that went astray: it says how far
//! the task believes to be, and is answered with the very message that was missed. Whoever knows
//! nothing further, or nothing at all, says nothing; then the clock of the task's step decides.

use serde::{Deserialize, Serialize};
use sexton_core::{ActorId, Message};

use crate::task::Step;

/// From a task to its owner, its node or its workspace: how far am I?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The task.
    pub task: ActorId,
    /// The workspace of its present attempt.
    pub workspace: String,
    /// How far it believes to be.
    pub step: Step,
}

impl Message for Ask {
    const NAME: &'static str = "ask";
    type Reply = ();
}

/// From the owner to a task: it waits for capacity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// The workspace that it asked a place for.
    pub workspace: String,
}

impl Message for Waits {
    const NAME: &'static str = "waits";
    type Reply = ();
}

/// From the owner to a node that the fleet made: whoever it was made for needs it no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotNeeded;

impl Message for NotNeeded {
    const NAME: &'static str = "not_needed";
    type Reply = ();
}

/// From a task that ends to the node it was on, or from its owner to the node that it claimed:
/// what it claimed is free.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disclaim {
    /// The task.
    pub task: ActorId,
}

impl Message for Disclaim {
    const NAME: &'static str = "disclaim";
    type Reply = ();
}

/// From a managed node to its owner: who has claimed it, and under which number.
///
/// What is placed for that claimant carries the number from then on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    /// The node.
    pub node: String,
    /// Who has it for himself, and the number of the lease; `None` is nobody.
    pub lease: Option<(ActorId, u64)>,
}

impl Message for Claimed {
    const NAME: &'static str = "claimed";
    type Reply = ();
}

/// From the owner to a node: a placement that he asked for before he knew of the claim is under
/// this lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Under {
    /// The workspace.
    pub workspace: String,
    /// The number of the lease.
    pub lease: u64,
}

impl Message for Under {
    const NAME: &'static str = "under";
    type Reply = ();
}
