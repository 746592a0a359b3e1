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
mod senders;
mod fault;
pub mod placement;
mod due;
mod asks;
mod sizes;
mod owner;
mod node;
mod workspace;
mod session;
mod task;
mod town;
mod container;
mod agent;
mod identity;
mod pulse;
mod reaper;
mod sandbox;
mod credit;
mod worker;
pub mod sweeps;
pub mod coverage;
pub mod catalog;
pub mod sim_cloud;

#[cfg(test)]
mod tests;

pub use agent::{Agent, AgentDue, AgentInit, AgentReport, AgentStatus, AgentTerms, Dismiss};
pub use asks::{Ask, Claimed, Disclaim, NotNeeded, Under, Waits};
pub use caller::{Caller, Role, Tenure};
pub use container::{
    Care, Container, ContainerAnswer, ContainerCallback, ContainerDue, ContainerEffect,
    ContainerHealth, ContainerInit, ContainerSays, ContainerStatus, ContainerTerms, Reconfigure,
    Tend,
};
pub use credit::{Admit, CreditAccount, CreditInit, CreditStatus, Debit, Discharge, Metered, Plan};
pub use due::Expire;
pub use fault::Fault;
pub use identity::{
    AgentIdentity, IdentityAnswer, IdentityDue, IdentityEffect, IdentityInit, IdentityStatus,
    IdentityTerms,
};
pub use node::{
    AgentDown, AgentUp, Attach, Claim, Drain, Health, Heartbeat, Holding, Lost, Machine, MarkIdle,
    Node, NodeAnswer, NodeClass, NodeDue, NodeEffect, NodeInit, NodeOrigin, NodeRole, NodeSpec,
    NodeStatus, NodeTerms, Outdated, Ready, Return, StillInUse, Unclaim, WorkspaceChanged,
    WorkspaceUse, health,
};
pub use owner::{
    AddCredit, CreateSandbox, CreateTown, CreateWorkspace, EndNode, EndTask, EndWorkspace, Forward,
    HibernateSandbox, MigrateSandbox, Owner, OwnerInit, OwnerStatus, Release, RequestNode,
    ReserveSandbox, Returned, ScaleSandbox, Seek, SetPlan, SetTime, StartSandbox, StartTask,
    StopSandbox, Unseated, WakeSandbox,
};
pub use reaper::{
    Found, Orphan, Reaper, ReaperAnswer, ReaperEffect, ReaperInit, ReaperStatus, Scan,
};
pub use sandbox::{
    Depth, Exited, Halt, Interval, Migrated, MigrationFailed, Resume, Sandbox, SandboxDue,
    SandboxEffect, SandboxExit, SandboxIndex, SandboxInit, SandboxSpec, SandboxStart,
    SandboxStatus, SandboxStopped, SandboxTerms, Scaled, Seen, TurnedAway, UNITS_PER_CENT,
    WorkerLost,
};
pub use session::{
    Lose, Session, SessionAnswer, SessionDue, SessionEffect, SessionInit, SessionProgress,
    SessionResult, SessionStatus, SessionTold,
};
pub use task::{
    Pace, Progress, Step, TaskDue, TaskEnd, TaskInit, TaskRunner, TaskSession, TaskSpec,
    TaskStatus, TaskTerms,
};
pub use town::{
    AddAgent, AddRig, AgentNews, BeadStatus, CloseBead, ConfigureTown, EndTown, Inspect, OpenBead,
    OpenStream, RemoveAgent, RemoveRig, StartBead, Town, TownDue, TownInit, TownReport, TownStatus,
    TownTerms, Unlisted,
};
pub use worker::{
    Arrive, Depart, EndWorker, RegistryScan, Worker, WorkerAnswer, WorkerBeat, WorkerDue,
    WorkerEffect, WorkerInit, WorkerStatus, WorkerTerms,
};
pub use workspace::{
    AgentAnswer, AgentEffect, Broken, End, Made, NotSeated, OpenSession, Orphaned, Recover, Reopen,
    Restart, Seated, SessionNews, Sleep, Touch, Wake, Workspace, WorkspaceDue, WorkspaceEnd,
    WorkspaceInit, WorkspaceSpec, WorkspaceStatus, WorkspaceTerms,
};
