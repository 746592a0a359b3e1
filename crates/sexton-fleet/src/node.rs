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
mod health;
mod claims;
mod returns;
mod holdings;
pub(crate) mod sweeps;
mod asked;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use sexton_core::{
    Actor, ActorId, Deadlines, Gone, Handler, Handlers, Message, Outcome, Refusal, Row, Status,
    Timestamp, Turn,
};

use crate::asks::{Ask, Disclaim, NotNeeded, Under};
use crate::caller::{Tenure, authorize};
use crate::due::{self, Expire};
use crate::fault::Fault;
use crate::owner::{EndNode, Owner};
use crate::placement::{Leave, Load, NodeNews, Phase, Place};
use crate::sweeps::Bereaved;

pub use self::callbacks::{AgentDown, AgentUp, Heartbeat, Lost, Ready};
pub use self::claims::{Claim, Drain, MarkIdle, Unclaim};
pub use self::health::{Health, health};
pub use self::holdings::{Attach, Holding};
pub use self::returns::{Return, WorkspaceUse};
pub use self::rules::{NodeDue, StillInUse};
pub use self::seats::WorkspaceChanged;
pub use self::spec::{
    Machine, NodeAnswer, NodeClass, NodeEffect, NodeInit, NodeOrigin, NodeRole, NodeSpec, NodeTerms,
};
pub use self::sweeps::Outdated;

use self::claims::Lease;
use self::seats::Seat;

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
    /// The class of what its provider could not do.
    fault: Option<Fault>,
    /// The workspaces that lie on it, by name.
    seats: BTreeMap<String, Seat>,
    /// What waits for a place, oldest first.
    queue: VecDeque<Place>,
    claim: Option<Lease>,
    /// Leases given so far.
    leases: u64,
    /// How busy the agent said the machine is: in no row.
    load: Option<Load>,
    /// The phase and the load that the owner was told last.
    told: Option<(Phase, Option<Load>)>,
    /// The agent's version, once it has said it.
    version: Option<String>,
    /// What was made beside the machine, or is being made: all of it is released in the end.
    holdings: BTreeSet<Holding>,
}

impl Node {
    fn enter(&mut self, status: NodeStatus, now: Timestamp) {
        self.status = status;
        self.since = now;
    }

    /// The owner places workspaces, so he is told; where nothing is placed by choice, he is not.
    fn tell_owner(&mut self, phase: Phase, turn: &mut Turn<Self>) {
        let spec = &self.init.spec;
        if spec.tenure == Tenure::External || spec.role == NodeRole::Deployment {
            return;
        }
        let Some(owner) = owner_of(turn) else { return };
        let node = turn.id().name().to_owned();
        turn.send::<Owner, _>(&owner, &NodeNews { node, phase, load: self.load });
        self.told = Some((phase, self.load));
    }

    /// Begins its destruction; whoever has or wants a place here is told at once.
    fn go(&mut self, why: &str, by: &str, turn: &mut Turn<Self>) {
        self.close(why, turn);
        self.dismiss_seated(why, turn);
        self.course = Course::Going;
        turn.destroy(why, by);
    }

    /// Takes nothing any more: whoever waits is told.
    fn close(&mut self, why: &str, turn: &mut Turn<Self>) {
        self.tell_owner(Phase::Closed, turn);
        if self.claim.take().is_some() {
            self.tell_claim(turn);
        }
        self.dismiss_waiting(why, turn);
    }

    /// Whoever works on it goes on: its end waits for him.
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
        // A user's own machine is there already: its agent will say that it is ready.
        if init.spec.class == NodeClass::Managed {
            turn.effect(&NodeEffect::Create {
                installation: init.installation.clone(),
                size: init.spec.size.clone(),
                location: init.spec.location.clone(),
            });
        }
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
            fault: None,
            seats: BTreeMap::new(),
            queue: VecDeque::new(),
            claim: None,
            leases: 0,
            load: None,
            told: None,
            version: None,
            holdings: BTreeSet::new(),
        })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Ready>().message::<AgentUp>().message::<AgentDown>().message::<Heartbeat>();
        on.message::<Lost>().message::<Place>().message::<Leave>().message::<WorkspaceChanged>();
        on.message::<Claim>().message::<Unclaim>().message::<Drain>().message::<MarkIdle>();
        on.message::<Return>().message::<WorkspaceUse>();
        on.message::<Attach>().message::<Outdated>();
        on.message::<EndNode>().message::<Expire>().message::<Bereaved>();
        on.message::<Ask>().message::<NotNeeded>().message::<Disclaim>().message::<Under>();
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
        let row = match &self.version {
            Some(version) => row.text("version", version),
            None => row,
        };
        let next = due::earliest(&self.dues());
        due::shown(row, next.map(|(at, due)| (at, due.name())))
    }

    fn deadlines(&self, due: &mut Deadlines<Self::Deadline>) {
        for (at, what) in self.dues() {
            due.at(at, what);
        }
        if let Some(at) = self.late_at() {
            due.at(at, NodeDue::Late);
        }
    }

    fn on_deadline(&mut self, due: Self::Deadline, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.act(due, "deadline", turn)
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
                self.tell_line(turn);
            }
            (NodeEffect::Create { .. }, Outcome::Failed(failure)) => {
                let why = format!("failed: {}", failure.class);
                self.fault = Some(Fault::of(&failure));
                if self.init.spec.tenure == Tenure::External {
                    self.go(&why, "provider", turn);
                } else if self.status.may_become(NodeStatus::Error) {
                    self.fail(&why, turn);
                }
            }
            (NodeEffect::Attach { holding }, Outcome::Failed(failure)) => {
                // Whether it is there is not known, so it stays recorded and is released.
                turn.event("not_attached", format!("{holding}: {}", failure.class));
            }
            (
                NodeEffect::Create { .. }
                | NodeEffect::Delete { .. }
                | NodeEffect::Attach { .. }
                | NodeEffect::Release { .. },
                _,
            ) => {}
        }
        Ok(())
    }

    fn on_destroy(&mut self, turn: &mut Turn<Self>) {
        let why = "the node was destroyed";
        self.close(why, turn);
        self.dismiss_seated(why, turn);
        self.course = Course::Going;
        // What we did not make is not ours to delete: a user's machine is only unregistered.
        if self.init.spec.class == NodeClass::Managed {
            let machine = self.machine.as_ref().map(|machine| machine.id.clone());
            turn.effect(&NodeEffect::Delete { machine });
        }
        self.release_holdings(turn);
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
        authorize(&message.caller, (&self.init.owner, EndNode::NAME), turn)?;
        self.go(&message.why, &message.caller.owner, turn);
        Ok(())
    }
}

impl Handler<Expire> for Node {
    fn handle(&mut self, message: Expire, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        match due::overdue(&self.dues(), turn.now()) {
            // A sweep asks for the end at once: there is no second hand-off to wait for.
            Some(NodeDue::Warm) => self.retire(NodeDue::Warm.why(), "sweep", turn),
            Some(due) => self.act(due, "sweep", turn),
            None => {
                self.refuse_in_use()?;
                Err(Refusal::new(format!("nothing is due: {}", message.why)))
            }
        }
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
node_message!(MarkIdle, "mark_idle");
node_message!(Return, "return");
node_message!(WorkspaceUse, "workspace_use");
node_message!(Attach, "attach");
node_message!(Outdated, "outdated");
