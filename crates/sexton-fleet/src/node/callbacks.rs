//! What a machine's agent and its provider say, each with the epoch that it was given.
//!
//! A late one (of another epoch, or to a node that has stopped or failed) changes nothing and is
//! recorded.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton_core::{Handler, Refusal, Status, Timestamp, Turn};

use crate::due;
use crate::placement::{Load, Phase};

use super::{Agent, Health, Node, NodeClass, NodeStatus};

/// The agent is ready; may arrive before the create call returns.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ready {
    /// The node's incarnation.
    pub epoch: u32,
    /// The agent's version, if it says it.
    pub version: Option<String>,
}

/// The agent is reached again.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct AgentUp {
    /// The node's incarnation.
    pub epoch: u32,
}

/// The agent is not reached.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct AgentDown {
    /// The node's incarnation.
    pub epoch: u32,
}

/// The agent lives: liveness, never activity.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The node's incarnation.
    pub epoch: u32,
    /// How busy the machine is, if the agent measured it.
    pub load: Option<Load>,
    /// The agent's version, if it says it.
    pub version: Option<String>,
}

/// The provider says that the machine is gone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lost {
    /// The node's incarnation.
    pub epoch: u32,
    /// The class of the loss.
    pub class: String,
}

impl Node {
    /// Whether a callback is for this life and for a node that still listens.
    fn listens(&self, epoch: u32, what: &str, turn: &mut Turn<Self>) -> bool {
        let is_open = match self.status {
            NodeStatus::Creating | NodeStatus::Running | NodeStatus::Warm => true,
            NodeStatus::Stopped | NodeStatus::Error => false,
        };
        let is_current = due::is_current(epoch, turn.me());
        if !is_open || !is_current {
            turn.event("late", format!("{what} of epoch {epoch}, now {}", self.status.name()));
        }
        is_open && is_current
    }
}

/// By how many points a load must differ from what the owner was told. Specified: less than that
/// changes no choice but at the threshold, and a busy machine's load never stands still.
const LOAD_POINTS: u8 = 5;

/// The shortest time: at the bound itself an agent is healthy still.
const INSTANT: Duration = Duration::from_millis(1);

impl Node {
    /// Tells the owner what changes his choice: that it takes workspaces or does not any more, or
    /// another load. A heartbeat that says neither is told to nobody.
    pub(super) fn tell_news(&mut self, turn: &mut Turn<Self>) {
        let phase = self.phase(turn.now());
        let (told_phase, told) = self.told.unwrap_or((Phase::Coming, None));
        let is_other_load = match (told, self.load) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(told), Some(load)) => {
                let busy = self.init.terms.busy;
                told.cpu.abs_diff(load.cpu) >= LOAD_POINTS
                    || told.memory.abs_diff(load.memory) >= LOAD_POINTS
                    || told.is_busy(busy) != load.is_busy(busy)
            }
        };
        if phase != told_phase || is_other_load {
            self.tell_owner(phase, turn);
        }
    }

    /// When the agent will be late of which the owner believes that it is healthy.
    pub(super) fn late_at(&self) -> Option<Timestamp> {
        let (phase, _) = self.told?;
        match phase {
            Phase::Running | Phase::Warm => {
                self.heartbeat_at.map(|at| at + self.init.terms.healthy + INSTANT)
            }
            Phase::Coming | Phase::Closed => None,
        }
    }

    /// What the owner has to know of it to place workspaces.
    pub(super) fn phase(&self, now: Timestamp) -> Phase {
        let is_up = self.is_open() && self.health(now) == Health::Healthy;
        match self.status {
            NodeStatus::Creating if self.is_open() => Phase::Coming,
            NodeStatus::Running if is_up => Phase::Running,
            NodeStatus::Warm if is_up => Phase::Warm,
            NodeStatus::Creating
            | NodeStatus::Running
            | NodeStatus::Warm
            | NodeStatus::Stopped
            | NodeStatus::Error => Phase::Closed,
        }
    }
}

impl Handler<Ready> for Node {
    fn handle(&mut self, message: Ready, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if !self.listens(message.epoch, "ready", turn) {
            return Ok(());
        }
        self.version = message.version.or(self.version.take());
        if self.status == NodeStatus::Creating {
            self.enter(NodeStatus::Running, turn.now());
            self.unused_since = Some(turn.now());
            self.tell_owner(self.phase(turn.now()), turn);
            self.serve(turn);
        }
        Ok(())
    }
}

impl Handler<AgentUp> for Node {
    fn handle(&mut self, message: AgentUp, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if self.listens(message.epoch, "agent up", turn) {
            self.agent = Agent::Up;
            self.tell_news(turn);
            self.serve(turn);
        }
        Ok(())
    }
}

impl Handler<AgentDown> for Node {
    fn handle(&mut self, message: AgentDown, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if self.listens(message.epoch, "agent down", turn) {
            self.agent = Agent::Down;
            self.tell_news(turn);
        }
        Ok(())
    }
}

impl Handler<Heartbeat> for Node {
    fn handle(&mut self, message: Heartbeat, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if self.listens(message.epoch, "heartbeat", turn) {
            self.heartbeat_at = Some(turn.now());
            self.version = message.version.or(self.version.take());
            self.load = message.load.or(self.load);
            self.tell_news(turn);
            self.serve(turn);
        }
        Ok(())
    }
}

impl Handler<Lost> for Node {
    /// The machine is gone whatever the status: only another life's loss is not ours.
    fn handle(&mut self, message: Lost, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if !due::is_current(message.epoch, turn.me()) {
            turn.event("late", format!("lost of epoch {}", message.epoch));
            return Ok(());
        }
        if self.init.spec.class == NodeClass::UserOwned {
            // It is not ours to give up: whoever registered it unregisters it.
            self.agent = Agent::Down;
            turn.event("lost", message.class);
            self.tell_news(turn);
            return Ok(());
        }
        self.go(&format!("lost: {}", message.class), "provider", turn);
        Ok(())
    }
}
