//! What a node is asked to be, and what it asks of the provider.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::caller::Tenure;
use crate::policy::Policy;

use super::holdings::Holding;

/// Whose machine it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeClass {
    /// The fleet's.
    Managed,
    /// The owner's own: never warm, destroyed by no deadline and no sweep.
    UserOwned,
}

impl NodeClass {
    /// Its name in rows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Managed => "managed",
            Self::UserOwned => "user_owned",
        }
    }
}

/// What it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeRole {
    /// Workspaces.
    Workspace,
    /// A deployment: exempt from every rule for what is short-lived.
    Deployment,
}

impl NodeRole {
    /// Its name in rows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Deployment => "deployment",
        }
    }
}

/// Who wanted it to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeOrigin {
    /// Its owner: it lives as long as somebody uses it now and then.
    Asked,
    /// The fleet, for somebody who needed a place: its lifetime is bounded.
    Made,
}

/// What somebody wants who asks for a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSpec {
    /// Who decides when it ends.
    pub tenure: Tenure,
    /// Whose machine it is.
    pub class: NodeClass,
    /// What it is for.
    pub role: NodeRole,
    /// The provider's name of its size.
    pub size: String,
    /// The provider's name of its location.
    pub location: String,
}

/// How long a node may do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeTerms {
    /// Wait for its machine.
    pub provisioning: Duration,
    /// Wait for its agent.
    pub agent_ready: Duration,
    /// Be warm.
    pub warm: Duration,
    /// Be stopped.
    pub grace: Duration,
    /// Live without active workspace.
    pub lifetime: Duration,
    /// Live with workspaces of which none is active.
    pub lifetime_max: Duration,
    /// Run unused.
    pub idle: Duration,
    /// Be in error.
    pub error: Duration,
    /// Be silent and still healthy.
    pub healthy: Duration,
    /// Be silent and not yet unhealthy.
    pub stale: Duration,
    /// The most active workspaces.
    pub workspaces_max: u32,
    /// The share of processor or memory in use, in percent, from which on it is busy.
    pub busy: u32,
}

impl NodeTerms {
    /// The terms of a policy.
    pub fn of(policy: &Policy) -> Self {
        Self {
            provisioning: policy.node_provisioning_timeout,
            agent_ready: policy.node_agent_ready_timeout,
            warm: policy.warm_timeout,
            grace: policy.node_stopped_grace,
            lifetime: policy.node_lifetime,
            lifetime_max: policy.node_lifetime_max,
            idle: policy.node_idle_orphan,
            error: policy.node_error_grace,
            healthy: policy.heartbeat_healthy,
            stale: policy.heartbeat_stale,
            workspaces_max: policy.workspaces_per_node_max,
            busy: policy.node_busy_percent,
        }
    }
}

/// What a node begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInit {
    /// Whose it is.
    pub owner: String,
    /// The installation, by which its machine is labelled.
    pub installation: String,
    /// What it shall be.
    pub spec: NodeSpec,
    /// Who wanted it.
    pub origin: NodeOrigin,
    /// How long it may do what.
    pub terms: NodeTerms,
}

/// Work for the provider. The node's life (`EffectId::actor`) is token and label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeEffect {
    /// Make the machine, or find the one that this life has already.
    ///
    /// A failure that the provider names is answered for good, with the name of its
    /// [`Fault`](crate::Fault) as class, also one that may work later: whoever needs the machine
    /// tries again himself, elsewhere or smaller. Transient is only what nobody answered at all.
    Create {
        /// The installation's label.
        installation: String,
        /// The size.
        size: String,
        /// The location.
        location: String,
    },
    /// Delete the machine of this life. No such thing is done.
    Delete {
        /// The machine, if it is known.
        machine: Option<String>,
    },
    /// Make something beside the machine, or find the one that this life has already.
    Attach {
        /// What.
        holding: Holding,
    },
    /// Delete what was made beside the machine, also when that is gone. No such thing is done.
    Release {
        /// What.
        holding: Holding,
    },
}

/// What the provider answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeAnswer {
    /// There is a machine.
    Created(Machine),
    /// There is none.
    Deleted,
    /// What lies beside the machine is there.
    Attached,
    /// What lay beside the machine is gone.
    Released,
}

/// A machine as the provider names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Its id.
    pub id: String,
    /// Where its agent is reached.
    pub address: String,
}
