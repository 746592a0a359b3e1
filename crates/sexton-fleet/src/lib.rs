//! Means: node, workspace, task runner and owner; their policies, sweeps and providers.
//!
//! ```text
//! owner --- node --- workspace        commands travel down, in the order in which they were given
//!   |         \___________ |
//!   +------ task  placed,  ready      news travels up and across, as durable messages
//! ```
//!
//! What must happen to a thing by itself is a deadline of its own state, and that same deadline
//! stands in its row: so the sweeps judge by what the actor itself says, and never by a grace
//! that contradicts it. Progress is made by messages; deadlines and sweeps catch what was missed,
//! and either alone is enough.
//!
//! [`sim_cloud`] is the outside world for replays and simulations.

pub mod policy;
mod caller;
pub mod placement;
mod due;
mod owner;
mod node;
mod workspace;
mod task;
mod reaper;
pub mod sweeps;
pub mod catalog;
pub mod sim_cloud;

#[cfg(test)]
mod tests;

pub use caller::{Caller, Role, Tenure};
pub use due::Expire;
pub use node::{
    AgentDown, AgentUp, Claim, Drain, Heartbeat, Lost, Machine, Node, NodeAnswer, NodeClass,
    NodeDue, NodeEffect, NodeInit, NodeRole, NodeSpec, NodeStatus, NodeTerms, Ready, Unclaim,
    WorkspaceChanged,
};
pub use owner::{
    CreateWorkspace, EndNode, EndTask, EndWorkspace, Forward, Owner, OwnerInit, OwnerStatus,
    Release, RequestNode, Seek, StartTask,
};
pub use reaper::{
    Found, Orphan, Reaper, ReaperAnswer, ReaperEffect, ReaperInit, ReaperStatus, Scan,
};
pub use task::{
    Progress, Step, TaskDue, TaskEnd, TaskInit, TaskRunner, TaskSpec, TaskStatus, TaskTerms,
};
pub use workspace::{
    AgentAnswer, AgentEffect, End, Touch, Workspace, WorkspaceDue, WorkspaceEnd, WorkspaceInit,
    WorkspaceSpec, WorkspaceStatus, WorkspaceTerms,
};
