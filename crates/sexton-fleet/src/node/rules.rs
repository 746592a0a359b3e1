//! When a node must do what by itself, and what it then does.

use serde::{Deserialize, Serialize};
use sexton_core::{Refusal, Timestamp, Turn};

use crate::caller::Tenure;

use super::{Course, Node, NodeClass, NodeOrigin, NodeRole, NodeStatus};

/// What a node's deadlines mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeDue {
    /// There is no machine yet.
    Provisioning,
    /// The agent is not ready yet.
    AgentReady,
    /// It was warm long enough.
    Warm,
    /// It was stopped long enough.
    Grace,
    /// It is old, and has no active workspace.
    Lifetime,
    /// It is very old, and none of its workspaces was active lately.
    LifetimeMax,
    /// It runs unused.
    Idle,
    /// It was in error long enough.
    Error,
    /// It was claimed, and not used.
    Claim,
    /// Its agent is late: in no row, because it moves with every heartbeat.
    Late,
}

impl NodeDue {
    /// Its name in rows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::AgentReady => "agent_ready",
            Self::Warm => "warm",
            Self::Grace => "grace",
            Self::Lifetime => "lifetime",
            Self::LifetimeMax => "lifetime_max",
            Self::Idle => "idle",
            Self::Error => "error",
            Self::Claim => "claim",
            Self::Late => "late",
        }
    }

    /// What the tombstone says.
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Provisioning => "no machine in time",
            Self::AgentReady => "no agent in time",
            Self::Warm | Self::Grace => "warm period over",
            Self::Lifetime | Self::LifetimeMax => "lifetime over",
            Self::Idle => "idle orphan",
            Self::Error => "error",
            Self::Claim => "claimed for too long",
            Self::Late => "late",
        }
    }
}

/// Why a node is not destroyed by a deadline or a sweep: somebody works on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("still in use: {active} active workspaces")]
pub struct StillInUse {
    /// How many active workspaces it has.
    pub active: u32,
}

impl From<StillInUse> for Refusal {
    fn from(still: StillInUse) -> Self {
        Self::new(still.to_string())
    }
}

impl Node {
    /// Whether the rules for what is short-lived hold for it.
    pub(super) fn is_ephemeral(&self) -> bool {
        let spec = &self.init.spec;
        spec.tenure == Tenure::Managed
            && spec.class == NodeClass::Managed
            && spec.role == NodeRole::Workspace
    }

    /// Whether its machine is the fleet's to delete.
    pub(crate) fn is_ours(&self) -> bool {
        self.init.spec.class == NodeClass::Managed
    }

    pub(super) fn dues(&self) -> Vec<(Timestamp, NodeDue)> {
        let (spec, terms) = (&self.init.spec, &self.init.terms);
        if spec.tenure == Tenure::External || spec.class == NodeClass::UserOwned {
            return Vec::new();
        }
        let lifetime = (self.created_at + terms.lifetime, NodeDue::Lifetime);
        match self.status {
            NodeStatus::Creating => vec![match self.machine_at {
                None => (self.created_at + terms.provisioning, NodeDue::Provisioning),
                Some(at) => (at + terms.agent_ready, NodeDue::AgentReady),
            }],
            // A deployment goes when its owner says so, also one that failed.
            NodeStatus::Running | NodeStatus::Error if !self.is_ephemeral() => Vec::new(),
            NodeStatus::Running => self.running_dues(),
            NodeStatus::Warm => {
                let warm = (self.since + terms.warm, NodeDue::Warm);
                if self.is_made() { vec![warm, lifetime] } else { vec![warm] }
            }
            NodeStatus::Stopped => vec![(self.since + terms.grace, NodeDue::Grace)],
            // It waits for whoever works on it, and goes in the moment in which he is gone.
            NodeStatus::Error if self.n_active() > 0 => self.in_use_dues(),
            NodeStatus::Error => vec![(self.since + terms.error, NodeDue::Error)],
        }
    }

    /// Whether the fleet made it: whoever asks for a node himself keeps it as long as he uses it.
    fn is_made(&self) -> bool {
        self.init.origin == NodeOrigin::Made
    }

    /// Whether it was asked for, and workspaces are active on it.
    pub(crate) fn is_asked_and_used(&self) -> bool {
        !self.is_made() && self.n_active() > 0
    }

    fn running_dues(&self) -> Vec<(Timestamp, NodeDue)> {
        let terms = &self.init.terms;
        let Some(since) = self.unused_since else { return self.in_use_dues() };
        let lifetime = (self.created_at + terms.lifetime, NodeDue::Lifetime);
        match (&self.claim, self.is_made()) {
            (None, true) => vec![lifetime, (since + terms.idle, NodeDue::Idle)],
            (None, false) => vec![(since + terms.idle, NodeDue::Idle)],
            (Some(_), true) => vec![lifetime],
            // Whoever claims a node and never uses it does not keep it for ever.
            (Some(lease), false) => {
                vec![(since.max(lease.since) + terms.lifetime, NodeDue::Claim)]
            }
        }
    }

    /// While workspaces are active on it.
    fn in_use_dues(&self) -> Vec<(Timestamp, NodeDue)> {
        // What somebody outside decides about is in use until he says otherwise, and where a
        // session gives signs of life somebody is at work.
        if self.is_kept() || self.is_busy() || !self.is_made() {
            return Vec::new();
        }
        let terms = &self.init.terms;
        let old = self.created_at + terms.lifetime_max;
        vec![(old.max(self.active_at + terms.idle), NodeDue::LifetimeMax)]
    }

    /// # Errors
    ///
    /// [`StillInUse`] where an end has to wait until nobody works on the node.
    pub(super) fn act(
        &mut self,
        due: NodeDue,
        by: &str,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        match due {
            NodeDue::Provisioning => {
                let minutes = self.init.terms.provisioning.as_secs() / 60;
                self.fail(&format!("no machine after {minutes} minutes"), turn);
            }
            NodeDue::AgentReady => {
                let minutes = self.init.terms.agent_ready.as_secs() / 60;
                self.fail(&format!("no agent after {minutes} minutes"), turn);
            }
            NodeDue::Warm => {
                self.refuse_in_use()?;
                self.enter(NodeStatus::Stopped, turn.now());
                self.close(due.why(), turn);
            }
            NodeDue::Error => {
                let why = self.why.clone().unwrap_or_else(|| due.why().to_owned());
                self.retire(&why, by, turn)?;
            }
            NodeDue::Grace | NodeDue::Lifetime | NodeDue::Idle => {
                self.retire(due.why(), by, turn)?;
            }
            // Nobody was active for long: the workspaces that still count go with it.
            NodeDue::LifetimeMax => self.go(due.why(), by, turn),
            NodeDue::Claim => {
                turn.event("claim_over", due.why());
                self.release_claim(turn);
            }
            NodeDue::Late => self.tell_news(turn),
        }
        Ok(())
    }

    /// Destroys it by a rule, which never takes a workspace from under somebody; asked again at
    /// the next pass.
    pub(super) fn retire(
        &mut self,
        why: &str,
        by: &str,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        self.refuse_in_use()?;
        self.go(why, by, turn);
        Ok(())
    }

    pub(super) fn refuse_in_use(&self) -> Result<(), StillInUse> {
        match self.n_active() {
            0 => Ok(()),
            active => Err(StillInUse { active }),
        }
    }

    /// The last active workspace is gone: the next one in line, or warm.
    pub(super) fn settle(&mut self, turn: &mut Turn<Self>) {
        self.serve(turn);
        if self.n_active() > 0 {
            return;
        }
        let now = turn.now();
        self.unused_since.get_or_insert(now);
        let is_idle = self.status == NodeStatus::Running
            && self.course != Course::Going
            && self.queue.is_empty()
            && self.claim.is_none();
        if is_idle && self.is_ephemeral() {
            self.enter(NodeStatus::Warm, now);
            self.tell_owner(self.phase(now), turn);
        }
    }
}
