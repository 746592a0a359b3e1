//! Who has a place on a node, and who waits for one.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use sexton_core::{ActorId, Gone, Handler, Refusal, Status, Timestamp, Turn};

use crate::caller::Tenure;
use crate::fault::Fault;
use crate::owner::{Owner, Unseated};
use crate::placement::{Leave, NotPlaced, Phase, Place, Placed, Vacated};
use crate::senders::{is_from, is_from_kind, is_from_parent, only_if};
use crate::task::TaskRunner;
use crate::workspace::{End, Workspace, WorkspaceInit};

use super::{Course, Health, Node, NodeStatus, owner_of};

/// The most placements that wait on one node. Chosen: a state of a few megabytes at most.
const WAITING_MAX: usize = 10_000;

/// A workspace on the node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Seat {
    /// The task that it is for; `None` is for the owner himself.
    pub(super) task: Option<ActorId>,
    /// Who decides when that ends.
    pub(super) tenure: Tenure,
    pub(super) state: SeatState,
    /// Whether somebody works in it now: a session that gives signs of life.
    pub(super) is_busy: bool,
}

/// Whether a workspace counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SeatState {
    Active,
    Leaving,
}

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
    pub(crate) fn is_kept(&self) -> bool {
        let is_kept =
            |seat: &Seat| seat.state == SeatState::Active && seat.tenure == Tenure::External;
        self.seats.values().any(is_kept)
    }

    /// Whether somebody works in an active workspace now.
    pub(crate) fn is_busy(&self) -> bool {
        self.seats.values().any(|seat| seat.state == SeatState::Active && seat.is_busy)
    }

    pub(super) fn has_room(&self, now: Timestamp) -> bool {
        let is_up = match self.status {
            NodeStatus::Running | NodeStatus::Warm => true,
            NodeStatus::Creating | NodeStatus::Stopped | NodeStatus::Error => false,
        };
        is_up
            && self.health(now) == Health::Healthy
            && self.course == Course::Open
            && self.n_active() < self.init.terms.workspaces_max
    }

    /// Places what waits, oldest first, as long as there is room: on a claimed node only what
    /// carries its lease.
    pub(super) fn serve(&mut self, turn: &mut Turn<Self>) {
        while self.has_room(turn.now()) {
            let lease = self.claim.as_ref().map(|lease| lease.number);
            let Some(next) = self.queue.iter().position(|place| place.lease == lease) else {
                return;
            };
            let Some(place) = self.queue.remove(next) else { return };
            self.take(place, turn);
        }
    }

    /// Places that carry a lease which is over are for nobody.
    pub(super) fn dismiss_leased(&mut self, turn: &mut Turn<Self>) {
        let lease = self.claim.as_ref().map(|lease| lease.number);
        let is_over = |place: &Place| place.lease.is_some() && place.lease != lease;
        let (over, kept) = std::mem::take(&mut self.queue).into_iter().partition(is_over);
        self.queue = kept;
        let over: VecDeque<Place> = over;
        for place in over {
            let why = ("its lease is over", None);
            not_placed(&place.workspace, place.task.as_ref(), why, turn);
        }
    }

    /// A workspace becomes active: ends warm in the same turn.
    pub(super) fn use_now(&mut self, turn: &mut Turn<Self>) {
        let now = turn.now();
        if self.status == NodeStatus::Warm {
            self.enter(NodeStatus::Running, now);
            self.tell_owner(Phase::Running, turn);
        }
        self.unused_since = None;
        self.active_at = now;
    }

    fn take(&mut self, place: Place, turn: &mut Turn<Self>) {
        self.use_now(turn);
        let tenure = match place.task {
            Some(_) => Tenure::Managed,
            None => place.tenure,
        };
        let init = WorkspaceInit {
            owner: self.init.owner.clone(),
            node: turn.me().clone(),
            task: place.task.clone(),
            tenure,
            task_tenure: place.tenure,
            terms: place.terms,
        };
        turn.create::<Workspace>(&place.workspace, &init);
        let seat = Seat {
            task: place.task.clone(),
            tenure: place.tenure,
            state: SeatState::Active,
            is_busy: false,
        };
        self.seats.insert(place.workspace.clone(), seat);
        if let Some(task) = &place.task {
            let node = turn.id().name().to_owned();
            turn.send::<TaskRunner, _>(task, &Placed { workspace: place.workspace, node });
        }
    }

    /// Nobody gets a place here any more: tells all who wait.
    pub(super) fn dismiss_waiting(&mut self, why: &str, turn: &mut Turn<Self>) {
        for place in std::mem::take(&mut self.queue) {
            not_placed(&place.workspace, place.task.as_ref(), (why, self.fault), turn);
        }
    }

    /// It goes, and they go with it: tells all who sit.
    pub(super) fn dismiss_seated(&mut self, why: &str, turn: &mut Turn<Self>) {
        let fault = self.fault;
        for (workspace, seat) in &mut self.seats {
            if seat.state == SeatState::Active {
                seat.state = SeatState::Leaving;
                if seat.task.is_some() {
                    not_placed(workspace, seat.task.as_ref(), (why, fault), turn);
                }
            }
        }
    }

    /// A workspace of no task counts no more, and lies here still: its owner chooses by that.
    pub(super) fn tell_unseated(&self, workspace: String, turn: &mut Turn<Self>) {
        let is_his = self.seats.get(&workspace).is_some_and(|seat| seat.task.is_none());
        if let Some(owner) = owner_of(turn).filter(|_| is_his) {
            let node = turn.id().name().to_owned();
            turn.send::<Owner, _>(&owner, &Unseated { node, workspace });
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

pub(super) fn not_placed(
    workspace: &str,
    task: Option<&ActorId>,
    of: (&str, Option<Fault>),
    turn: &mut Turn<Node>,
) {
    let (why, fault) = of;
    let message = NotPlaced { workspace: workspace.to_owned(), why: why.to_owned(), fault };
    match (task, owner_of(turn)) {
        (Some(task), _) => turn.send::<TaskRunner, _>(task, &message),
        (None, Some(owner)) => turn.send::<Owner, _>(&owner, &message),
        (None, None) => {}
    }
}

/// The owner hears of each of his workspaces that is gone, a task of one that it still wanted.
fn vacated(workspace: &str, of: (&Seat, &str), turn: &mut Turn<Node>) {
    let (seat, why) = of;
    let message = Vacated { workspace: workspace.to_owned(), why: why.to_owned(), fault: None };
    match (&seat.task, owner_of(turn)) {
        (Some(task), _) if seat.state == SeatState::Active => {
            turn.send::<TaskRunner, _>(task, &message);
        }
        (None, Some(owner)) => turn.send::<Owner, _>(&owner, &message),
        (Some(_), _) | (None, None) => {}
    }
}

/// Other owners name nodes too: whoever does not own this one may not even learn that there is
/// such a node, and ends nothing on it.
pub(super) fn only_from_owner(turn: &Turn<Node>) -> Result<(), Refusal> {
    only_if(is_from_kind::<Owner, _>(turn) && is_from_parent(turn))
}

impl Handler<Place> for Node {
    fn handle(&mut self, message: Place, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_from_owner(turn)?;
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
            not_placed(&message.workspace, message.task.as_ref(), (&why, self.fault), turn);
            return Ok(());
        }
        if self.queue.len() >= WAITING_MAX {
            let why = ("too many wait for the node", None);
            not_placed(&message.workspace, message.task.as_ref(), why, turn);
            return Ok(());
        }
        self.queue.push_back(message);
        self.dismiss_leased(turn);
        self.serve(turn);
        Ok(())
    }
}

impl Handler<Leave> for Node {
    fn handle(&mut self, message: Leave, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_from_owner(turn)?;
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
        only_if(is_from::<Workspace, _>(&message.workspace, turn))?;
        let Some(seat) = self.seats.get_mut(&message.workspace) else { return Ok(()) };
        if seat.state == SeatState::Active {
            if seat.task.is_some() {
                vacated(&message.workspace, (seat, &message.why), turn);
            }
            seat.state = SeatState::Leaving;
            self.tell_unseated(message.workspace, turn);
        }
        self.settle(turn);
        Ok(())
    }
}
