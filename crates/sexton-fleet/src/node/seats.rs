//! Who has a place on a node, who waits for one, and who has claimed the node for himself.

use serde::{Deserialize, Serialize};
use sexton_core::{ActorId, Gone, Handler, Message, Refusal, Status, Timestamp, Turn};

use crate::caller::Tenure;
use crate::owner::Owner;
use crate::placement::{Leave, NotPlaced, Phase, Place, Placed, Vacated};
use crate::task::TaskRunner;
use crate::workspace::{End, Workspace, WorkspaceInit};

use super::{Agent, Course, Node, NodeStatus, owner_of};

/// A workspace on the node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Seat {
    /// The task that it is for; `None` is for the owner himself.
    pub(super) task: Option<ActorId>,
    /// Who decides when that ends.
    pub(super) tenure: Tenure,
    pub(super) state: SeatState,
}

/// Whether a workspace counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SeatState {
    Active,
    Leaving,
}

/// A node that somebody has for himself until he gives it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lease {
    pub(super) by: ActorId,
    pub(super) number: u64,
}

/// Claims a node without active workspace; answers with the number of the lease.
///
/// Exactly one wins; the same claimant asking again gets the same answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claim {
    /// Who claims it.
    pub by: ActorId,
}

impl Message for Claim {
    const NAME: &'static str = "claim";
    type Reply = u64;
}

/// Gives a claimed node back, which starts a new warm period.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Unclaim {
    /// The number of the lease.
    pub lease: u64,
}

/// Takes no further workspaces.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Drain;

/// From a workspace: it is of no use any more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkspaceChanged {
    /// The workspace.
    pub workspace: String,
    /// Why.
    pub why: String,
}

impl Node {
    pub(super) fn n_active(&self) -> u32 {
        let active = self.seats.values().filter(|seat| seat.state == SeatState::Active);
        u32::try_from(active.count()).unwrap_or(u32::MAX)
    }

    /// Whether an active workspace serves what somebody outside decides about.
    pub(super) fn is_kept(&self) -> bool {
        let is_kept =
            |seat: &Seat| seat.state == SeatState::Active && seat.tenure == Tenure::External;
        self.seats.values().any(is_kept)
    }

    fn has_room(&self, now: Timestamp) -> bool {
        let is_up = match self.status {
            NodeStatus::Running | NodeStatus::Warm => true,
            NodeStatus::Creating | NodeStatus::Stopped | NodeStatus::Error => false,
        };
        let is_heard = self.heartbeat_at.is_none_or(|at| now <= at + self.init.terms.healthy);
        is_up
            && is_heard
            && self.agent == Agent::Up
            && self.course == Course::Open
            && self.n_active() < self.init.terms.workspaces_max
    }

    /// Places what waits, oldest first, as long as there is room.
    pub(super) fn serve(&mut self, turn: &mut Turn<Self>) {
        while self.has_room(turn.now()) {
            let Some(place) = self.queue.pop_front() else { return };
            self.take(place, turn);
        }
    }

    fn take(&mut self, place: Place, turn: &mut Turn<Self>) {
        let now = turn.now();
        if self.status == NodeStatus::Warm {
            self.enter(NodeStatus::Running, now);
            self.tell_owner(Phase::Running, turn);
        }
        self.unused_since = None;
        self.active_at = now;
        let tenure = match place.task {
            Some(_) => Tenure::Managed,
            None => place.tenure,
        };
        let init = WorkspaceInit {
            owner: self.init.owner.clone(),
            node: turn.me().clone(),
            task: place.task.clone(),
            tenure,
            terms: place.terms,
        };
        turn.create::<Workspace>(&place.workspace, &init);
        let seat =
            Seat { task: place.task.clone(), tenure: place.tenure, state: SeatState::Active };
        self.seats.insert(place.workspace.clone(), seat);
        if let Some(task) = &place.task {
            let node = turn.id().name().to_owned();
            turn.send::<TaskRunner, _>(task, &Placed { workspace: place.workspace, node });
        }
    }

    /// Nobody gets a place here any more: tells all who wait and all who sit.
    pub(super) fn dismiss(&mut self, why: &str, turn: &mut Turn<Self>) {
        for place in std::mem::take(&mut self.queue) {
            not_placed(&place.workspace, (place.task.as_ref(), why), turn);
        }
        for (workspace, seat) in &mut self.seats {
            if seat.state == SeatState::Active {
                seat.state = SeatState::Leaving;
                if seat.task.is_some() {
                    not_placed(workspace, (seat.task.as_ref(), why), turn);
                }
            }
        }
    }

    /// A workspace has its tombstone, or was never born.
    pub(super) fn unseat(&mut self, workspace: &str, end: &Gone, turn: &mut Turn<Self>) {
        let Some(seat) = self.seats.remove(workspace) else { return };
        let why = match end {
            Gone::Destroyed { why } | Gone::Unborn { why, .. } => why,
        };
        vacated(workspace, (&seat, why), turn);
        if self.course != Course::Going {
            self.settle(turn);
        }
    }
}

fn not_placed(workspace: &str, to: (Option<&ActorId>, &str), turn: &mut Turn<Node>) {
    let (task, why) = to;
    let message = NotPlaced { workspace: workspace.to_owned(), why: why.to_owned() };
    match (task, owner_of(turn)) {
        (Some(task), _) => turn.send::<TaskRunner, _>(task, &message),
        (None, Some(owner)) => turn.send::<Owner, _>(&owner, &message),
        (None, None) => {}
    }
}

/// The owner hears of each of his workspaces that is gone, a task of one that it still wanted.
fn vacated(workspace: &str, of: (&Seat, &str), turn: &mut Turn<Node>) {
    let (seat, why) = of;
    let message = Vacated { workspace: workspace.to_owned(), why: why.to_owned() };
    match (&seat.task, owner_of(turn)) {
        (Some(task), _) if seat.state == SeatState::Active => {
            turn.send::<TaskRunner, _>(task, &message);
        }
        (None, Some(owner)) => turn.send::<Owner, _>(&owner, &message),
        (Some(_), _) | (None, None) => {}
    }
}

impl Handler<Place> for Node {
    fn handle(&mut self, message: Place, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let is_known = self.seats.contains_key(&message.workspace)
            || self.queue.iter().any(|place| place.workspace == message.workspace);
        if is_known {
            return Ok(());
        }
        let is_closed = match self.status {
            NodeStatus::Creating | NodeStatus::Running | NodeStatus::Warm => {
                self.course != Course::Open
            }
            NodeStatus::Stopped | NodeStatus::Error => true,
        };
        if is_closed {
            let why = format!("the node is {}", self.status.name());
            not_placed(&message.workspace, (message.task.as_ref(), &why), turn);
            return Ok(());
        }
        self.queue.push_back(message);
        self.serve(turn);
        Ok(())
    }
}

impl Handler<Leave> for Node {
    fn handle(&mut self, message: Leave, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.queue.retain(|place| place.workspace != message.workspace);
        let Some(seat) = self.seats.get_mut(&message.workspace) else { return Ok(()) };
        seat.state = SeatState::Leaving;
        if let Ok(workspace) = ActorId::new("workspace", &message.workspace) {
            turn.send::<Workspace, _>(&workspace, &End { end: message.end });
        }
        self.settle(turn);
        Ok(())
    }
}

impl Handler<WorkspaceChanged> for Node {
    fn handle(&mut self, message: WorkspaceChanged, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let Some(seat) = self.seats.get_mut(&message.workspace) else { return Ok(()) };
        if seat.state == SeatState::Active {
            if seat.task.is_some() {
                vacated(&message.workspace, (seat, &message.why), turn);
            }
            seat.state = SeatState::Leaving;
        }
        self.settle(turn);
        Ok(())
    }
}

impl Handler<Claim> for Node {
    fn handle(&mut self, message: Claim, turn: &mut Turn<Self>) -> Result<u64, Refusal> {
        if let Some(lease) = &self.claim {
            if lease.by == message.by {
                return Ok(lease.number);
            }
            return Err(Refusal::new("the node is claimed by another"));
        }
        if !self.has_room(turn.now()) || self.n_active() > 0 {
            return Err(Refusal::new(format!("the node is {} and in use", self.status.name())));
        }
        self.leases += 1;
        self.claim = Some(Lease { by: message.by, number: self.leases });
        if self.status == NodeStatus::Warm {
            self.enter(NodeStatus::Running, turn.now());
        }
        // Nobody else is placed on it while it is claimed.
        self.tell_owner(Phase::Closed, turn);
        Ok(self.leases)
    }
}

impl Handler<Unclaim> for Node {
    fn handle(&mut self, message: Unclaim, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if self.claim.as_ref().is_none_or(|lease| lease.number != message.lease) {
            return Err(Refusal::new(format!("lease {} is not held", message.lease)));
        }
        self.claim = None;
        self.tell_owner(Phase::Running, turn);
        self.settle(turn);
        Ok(())
    }
}

impl Handler<Drain> for Node {
    fn handle(&mut self, _message: Drain, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if self.course == Course::Open {
            self.course = Course::Draining;
            self.tell_owner(Phase::Closed, turn);
            for place in std::mem::take(&mut self.queue) {
                not_placed(&place.workspace, (place.task.as_ref(), "the node drains"), turn);
            }
        }
        Ok(())
    }
}
