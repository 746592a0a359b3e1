//! A machine and all that is true of it: there is no second record that could drift.
//!
//! ```text
//! creating --> running <--> warm --> stopped      the only end is destroy: a tombstone
//!     \___________|__________|_____> error        `stopped` and `error` never run again
//! ```
//!
//! A placement is a turn of the node, so two cannot take the last place, and none can race the
//! node's end. What cannot be placed yet waits here, in order, and is placed by the turn that
//! makes room: nobody polls.

mod spec;
mod rules;
mod seats;
mod callbacks;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use sexton_core::{
    Actor, ActorId, Deadlines, Gone, Handler, Handlers, Message, Outcome, Refusal, Row, Status,
    Timestamp, Turn,
};

use crate::caller::Tenure;
use crate::due::{self, Expire};
use crate::owner::{EndNode, Owner};
use crate::placement::{Leave, NodeNews, Phase, Place};

pub use self::callbacks::{AgentDown, AgentUp, Heartbeat, Lost, Ready};
pub use self::rules::NodeDue;
pub use self::seats::{Claim, Drain, Unclaim, WorkspaceChanged};
pub use self::spec::{
    Machine, NodeAnswer, NodeClass, NodeEffect, NodeInit, NodeRole, NodeSpec, NodeTerms,
};

use self::seats::{Lease, Seat};

sexton_core::lifecycle! {
    /// What a node can be.
    pub enum NodeStatus {
        /// Its machine is being made, or its agent is not ready.
        Creating = "creating" [holds billable] => [Running, Error],
        /// It runs.
        Running = "running" [holds billable] => [Warm, Error],
        /// It runs, and waits for somebody to use it.
        Warm = "warm" [holds billable] => [Running, Stopped, Error],
        /// It is handed over to deletion.
        Stopped = "stopped" [holds billable] => [],
        /// Something failed.
        Error = "error" [holds billable] => [],
    }
}

/// Whether the node takes workspaces, as far as that is its own decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Course {
    Open,
    Draining,
    Going,
}

/// What is known of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Agent {
    Up,
    Down,
}

/// A node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Node {
    init: NodeInit,
    status: NodeStatus,
    course: Course,
    agent: Agent,
    /// What the provider said the machine is.
    machine: Option<Machine>,
    created_at: Timestamp,
    /// When the create call was answered.
    machine_at: Option<Timestamp>,
    /// When it entered its status.
    since: Timestamp,
    /// When the agent was last heard: liveness, and in no row.
    heartbeat_at: Option<Timestamp>,
    /// Since when no workspace is active; `None` while one is.
    unused_since: Option<Timestamp>,
    /// When a workspace became active last.
    active_at: Timestamp,
    /// Why it is in error.
    why: Option<String>,
    /// The workspaces that lie on it, by name.
    seats: BTreeMap<String, Seat>,
    /// What waits for a place, oldest first.
    queue: VecDeque<Place>,
    claim: Option<Lease>,
    /// Leases given so far.
    leases: u64,
}

impl Node {
    fn enter(&mut self, status: NodeStatus, now: Timestamp) {
        self.status = status;
        self.since = now;
    }

    /// The owner places workspaces, so he is told; of other nodes he keeps nothing.
    fn tell_owner(&self, phase: Phase, turn: &mut Turn<Self>) {
        if !self.is_ephemeral() {
            return;
        }
        let Some(owner) = owner_of(turn) else { return };
        let node = turn.id().name().to_owned();
        turn.send::<Owner, _>(&owner, &NodeNews { node, phase });
    }

    /// Begins its destruction; whoever has or wants a place here is told at once.
    fn go(&mut self, why: &str, by: &str, turn: &mut Turn<Self>) {
        self.close(why, turn);
        self.course = Course::Going;
        turn.destroy(why, by);
    }

    /// Takes nothing any more.
    fn close(&mut self, why: &str, turn: &mut Turn<Self>) {
        self.tell_owner(Phase::Closed, turn);
        self.dismiss(why, turn);
    }

    fn fail(&mut self, why: &str, turn: &mut Turn<Self>) {
        self.enter(NodeStatus::Error, turn.now());
        self.why = Some(why.to_owned());
        turn.event("failed", why);
        self.close(why, turn);
    }
}

/// The owner, if the node has one.
fn owner_of(turn: &Turn<Node>) -> Option<ActorId> {
    turn.parent().map(|parent| parent.id.clone()).filter(|id| id.kind() == Owner::KIND)
}

impl Actor for Node {
    const KIND: &'static str = "node";
    type Init = NodeInit;
    type Status = NodeStatus;
    type Deadline = NodeDue;
    type Effect = NodeEffect;
    type Answer = NodeAnswer;

    fn create(init: Self::Init, turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        turn.effect(&NodeEffect::Create {
            installation: init.installation.clone(),
            size: init.spec.size.clone(),
            location: init.spec.location.clone(),
        });
        let now = turn.now();
        Ok(Self {
            init,
            status: NodeStatus::Creating,
            course: Course::Open,
            agent: Agent::Up,
            machine: None,
            created_at: now,
            machine_at: None,
            since: now,
            heartbeat_at: None,
            unused_since: Some(now),
            active_at: now,
            why: None,
            seats: BTreeMap::new(),
            queue: VecDeque::new(),
            claim: None,
            leases: 0,
        })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Ready>().message::<AgentUp>().message::<AgentDown>().message::<Heartbeat>();
        on.message::<Lost>().message::<Place>().message::<Leave>().message::<WorkspaceChanged>();
        on.message::<Claim>().message::<Unclaim>().message::<Drain>();
        on.message::<EndNode>().message::<Expire>();
    }

    fn status(&self) -> Self::Status {
        self.status
    }

    fn row(&self) -> Row {
        let spec = &self.init.spec;
        let row = Row::owned_by(&self.init.owner)
            .text("class", spec.class.name())
            .text("role", spec.role.name())
            .text("tenure", spec.tenure.name())
            .text("size", spec.size.as_str())
            .text("location", spec.location.as_str())
            .number("active", i64::from(self.n_active()))
            .time("unused_since", self.unused_since);
        let row = match &self.why {
            Some(why) => row.text("why", why),
            None => row,
        };
        let next = due::earliest(&self.dues());
        due::shown(row, next.map(|(at, due)| (at, due.name())))
    }

    fn deadlines(&self, due: &mut Deadlines<Self::Deadline>) {
        for (at, what) in self.dues() {
            due.at(at, what);
        }
    }

    fn on_deadline(&mut self, due: Self::Deadline, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.act(due, turn);
        Ok(())
    }

    fn on_outcome(
        &mut self,
        effect: &Self::Effect,
        outcome: Outcome<Self::Answer>,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        match (effect, outcome) {
            (NodeEffect::Create { .. }, Outcome::Done(NodeAnswer::Created(machine))) => {
                self.machine = Some(machine);
                self.machine_at = Some(turn.now());
            }
            (NodeEffect::Create { .. }, Outcome::Failed(failure)) => {
                let why = format!("failed: {}", failure.class);
                if self.init.spec.tenure == Tenure::External {
                    self.go(&why, "provider", turn);
                } else if self.status.may_become(NodeStatus::Error) {
                    self.fail(&why, turn);
                }
            }
            (NodeEffect::Create { .. } | NodeEffect::Delete { .. }, _) => {}
        }
        Ok(())
    }

    fn on_destroy(&mut self, turn: &mut Turn<Self>) {
        self.close("the node was destroyed", turn);
        self.course = Course::Going;
        let machine = self.machine.as_ref().map(|machine| machine.id.clone());
        turn.effect(&NodeEffect::Delete { machine });
    }

    fn on_child_gone(
        &mut self,
        child: &ActorId,
        end: &Gone,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        self.unseat(child.name(), end, turn);
        Ok(())
    }
}

impl Handler<EndNode> for Node {
    /// An explicit end destroys the node also while it is in use.
    fn handle(&mut self, message: EndNode, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        message.caller.may_command(&self.init.owner)?;
        self.go(&message.why, &message.caller.owner, turn);
        Ok(())
    }
}

impl Handler<Expire> for Node {
    fn handle(&mut self, message: Expire, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        match due::overdue(&self.dues(), turn.now()) {
            // A sweep asks for the end at once: there is no second hand-off to wait for.
            Some(NodeDue::Warm) => self.go(NodeDue::Warm.why(), "sweep", turn),
            Some(due) => self.act(due, turn),
            None => return Err(Refusal::new(format!("nothing is due: {}", message.why))),
        }
        Ok(())
    }
}

/// A message to a node that answers nothing.
macro_rules! node_message {
    ($name:ty, $text:literal) => {
        impl Message for $name {
            const NAME: &'static str = $text;
            type Reply = ();
        }
    };
}
node_message!(Ready, "ready");
node_message!(AgentUp, "agent_up");
node_message!(AgentDown, "agent_down");
node_message!(Heartbeat, "heartbeat");
node_message!(Lost, "lost");
node_message!(WorkspaceChanged, "workspace_changed");
node_message!(Unclaim, "unclaim");
node_message!(Drain, "drain");
