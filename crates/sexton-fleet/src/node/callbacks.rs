//! What a machine's agent and its provider say, each with the epoch that it was given.
//!
//! A late one (of another epoch, or to a node that has stopped or failed) changes nothing and is
//! recorded.

use serde::{Deserialize, Serialize};
use sexton_core::{Handler, Refusal, Status, Turn};

use crate::due;
use crate::placement::Phase;

use super::{Agent, Node, NodeStatus};

/// The agent is ready; may arrive before the create call returns.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Ready {
    /// The node's incarnation.
    pub epoch: u32,
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
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The node's incarnation.
    pub epoch: u32,
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

impl Handler<Ready> for Node {
    fn handle(&mut self, message: Ready, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if self.listens(message.epoch, "ready", turn) && self.status == NodeStatus::Creating {
            self.enter(NodeStatus::Running, turn.now());
            self.unused_since = Some(turn.now());
            self.tell_owner(Phase::Running, turn);
            self.serve(turn);
        }
        Ok(())
    }
}

impl Handler<AgentUp> for Node {
    fn handle(&mut self, message: AgentUp, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if self.listens(message.epoch, "agent up", turn) {
            self.agent = Agent::Up;
            self.serve(turn);
        }
        Ok(())
    }
}

impl Handler<AgentDown> for Node {
    fn handle(&mut self, message: AgentDown, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if self.listens(message.epoch, "agent down", turn) {
            self.agent = Agent::Down;
        }
        Ok(())
    }
}

impl Handler<Heartbeat> for Node {
    fn handle(&mut self, message: Heartbeat, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if self.listens(message.epoch, "heartbeat", turn) {
            self.heartbeat_at = Some(turn.now());
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
        self.go(&format!("lost: {}", message.class), "provider", turn);
        Ok(())
    }
}
