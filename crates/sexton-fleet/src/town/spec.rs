//! What a town begins with, and what it says of itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::agent::AgentTerms;
use crate::container::ContainerTerms;
use crate::identity::IdentityTerms;
use crate::policy::Policy;

/// How long a town waits for what, and how much it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TownTerms {
    /// Between two ticks with active work.
    pub tick_busy: Duration,
    /// Between two ticks without.
    pub tick_idle: Duration,
    /// From its newest rig until the container is not pinged for it any more.
    pub rig_grace: Duration,
    /// Until a stalled agent is no active work any more.
    pub stalled: Duration,
    /// The most rigs.
    pub rigs_max: u32,
    /// The most agents on the list.
    pub agents_max: u32,
    /// The most beads that are not closed.
    pub beads_max: u32,
    /// The terms of its containers.
    pub container: ContainerTerms,
    /// The terms of its agents.
    pub agent: AgentTerms,
    /// The terms of their credentials.
    pub identity: IdentityTerms,
}

impl TownTerms {
    /// The terms of a policy.
    pub fn of(policy: &Policy) -> Self {
        Self {
            tick_busy: policy.town_tick_busy,
            tick_idle: policy.town_tick_idle,
            rig_grace: policy.town_rig_grace,
            stalled: policy.agent_stalled_timeout,
            rigs_max: policy.town_rigs_max,
            agents_max: policy.town_agents_max,
            beads_max: policy.town_beads_max,
            container: ContainerTerms::of(policy),
            agent: AgentTerms::of(policy),
            identity: IdentityTerms::of(policy),
        }
    }
}

/// What a town begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TownInit {
    /// Whose it is.
    pub owner: String,
    /// How long it waits for what, and how much it may have.
    pub terms: TownTerms,
}

/// What a bead that is not closed can be: either is active work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BeadStatus {
    /// Nobody works on it.
    Open,
    /// Somebody does.
    Running,
}

/// What a town says of itself to whoever may know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TownReport {
    /// Whether there is active work.
    pub has_work: bool,
    /// The rigs.
    pub rigs: Vec<String>,
    /// The agents on the list.
    pub agents: Vec<String>,
    /// The beads that are not closed.
    pub beads: Vec<(String, BeadStatus)>,
    /// How many beads were closed.
    pub closed: u64,
}

/// What a town's deadline means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TownDue {
    /// It looks after itself and its container.
    Tick,
}

impl TownDue {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tick => "tick",
        }
    }
}
