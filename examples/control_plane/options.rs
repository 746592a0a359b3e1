//! The command line, and the policies that it names.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use sexton_fleet::policy::{Policy, PolicyError};

/// Started with this word first, the program is an agent.
pub(crate) const AGENT: &str = "agent";

/// A control plane over machines that are processes of this machine.
#[derive(Clone, Debug, Parser)]
#[command(name = "control_plane")]
pub(crate) struct Options {
    /// Where to listen; the address of the last start, or 127.0.0.1:7070.
    #[arg(long)]
    pub(crate) listen: Option<SocketAddr>,
    /// Where everything lies: keys, store, machines.
    #[arg(long, default_value = "target/control-plane")]
    pub(crate) dir: PathBuf,
    /// How long things may last.
    #[arg(long, value_enum, default_value_t = Terms::Short)]
    pub(crate) policy: Terms,
    /// What runs in a workspace, for `sh -c`.
    #[arg(long, default_value = "exec sleep 1000000")]
    pub(crate) workspace: String,
    /// What runs in a task's session, for `sh -c`; how it ends is how the task does.
    #[arg(long, default_value = "date > began; sleep 10; date > ended")]
    pub(crate) session: String,
    /// What runs in a town's container, for `sh -c`.
    #[arg(long, default_value = "exec sleep 1000000")]
    pub(crate) container: String,
    /// Where agents call back, if not straight to this program.
    #[arg(long)]
    pub(crate) callbacks: Option<String>,
    /// A proxy for HTTP through which agents are called.
    #[arg(long)]
    pub(crate) agents_through: Option<String>,
}

/// How long things may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Terms {
    /// Seconds and minutes, to watch them pass.
    Short,
    /// The defaults of the fleet, and `SEXTON_*` of the environment.
    Normal,
}

impl Terms {
    /// Every duration and limit. An owner keeps those that he began with.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] names the variable of the environment that is wrong.
    pub(crate) fn policy(self) -> Result<Policy, PolicyError> {
        let policy = match self {
            Self::Short => short(),
            Self::Normal => Policy::from_env(|name| {
                std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
            })?,
        };
        policy.check()?;
        Ok(policy)
    }

    /// How often agents say that they live.
    pub(crate) fn heartbeat(self) -> Duration {
        match self {
            Self::Short => Duration::from_secs(1),
            Self::Normal => Duration::from_secs(30),
        }
    }
}

fn short() -> Policy {
    let s = Duration::from_secs;
    Policy {
        node_provisioning_timeout: s(60),
        node_agent_ready_timeout: s(60),
        warm_timeout: s(30),
        node_stopped_grace: s(5),
        node_error_grace: s(5),
        heartbeat_healthy: s(15),
        heartbeat_stale: s(30),
        workspace_stopped_ttl: s(5),
        workspace_creating_timeout: s(60),
        workspace_stopping_timeout: s(60),
        workspace_error_ttl: s(10),
        sweep_orphaned_workspace: s(10),
        task_waiting_for_capacity: s(600),
        task_node_provisioning: s(120),
        task_node_agent_ready: s(120),
        task_workspace_dispatch: s(120),
        task_workspace_ready: s(120),
        task_agent_session: s(120),
        task_poll_capacity: s(1),
        task_poll_capacity_max: s(4),
        task_poll_node_provisioning: s(2),
        task_poll_node_agent_ready: s(2),
        task_poll_workspace_dispatch: s(2),
        task_poll_workspace_dispatch_max: s(8),
        task_poll_workspace_ready: s(2),
        task_retry_base: s(1),
        task_retry_cap: s(4),
        task_soft: s(600),
        task_hard: s(1_200),
        container_sleep_after: s(60),
        container_starting_timeout: s(30),
        container_stopping_timeout: s(30),
        container_error_wait: s(5),
        container_error_ttl: s(30),
        sweep_every: s(5),
        sweep_lost_every: s(5),
        sweep_warm_slack: s(5),
        sweep_back_off: s(10),
        provider_scan_every: s(60),
        provider_orphan_age: s(60),
        default_location: "here".to_owned(),
        ..Policy::default()
    }
}
