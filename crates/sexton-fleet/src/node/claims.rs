//! Who has a node for himself, and what else decides whether others get a place there.
//!
//! A claim is a lease with a number. Whatever is done under it carries that number: a placement
//! without it waits, and one with the number of a lease that is over is refused.

use serde::{Deserialize, Serialize};
use sexton_core::{ActorId, Handler, Message, Refusal, Status, Timestamp, Turn};

use crate::asks::{Claimed, Under};
use crate::caller::{Caller, authorize};
use crate::owner::Owner;
use crate::placement::Phase;

use super::seats::{not_placed, only_from_owner};
use super::{Course, Node, NodeStatus, owner_of};

/// A node that somebody has for himself until he gives it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lease {
    pub(super) by: ActorId,
    pub(super) number: u64,
    pub(super) since: Timestamp,
}

/// Claims a node without active workspace; answers with the number of the lease.
///
/// Exactly one wins; the same claimant asking again gets the same answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claim {
    /// Who asks.
    pub caller: Caller,
    /// Who shall have it.
    pub by: ActorId,
}

impl Message for Claim {
    const NAME: &'static str = "claim";
    type Reply = u64;
}

/// Gives a claimed node back, which starts a new warm period.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Unclaim {
    /// Who asks.
    pub caller: Caller,
    /// The number of the lease.
    pub lease: u64,
}

/// Takes no further workspaces.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Drain {
    /// Who asks.
    pub caller: Caller,
}

/// Says that nobody uses it: warm from now on, also if it was warm before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MarkIdle {
    /// Who asks.
    pub caller: Caller,
}

impl Node {
    /// Whether everybody may be placed on it.
    pub(super) fn is_open(&self) -> bool {
        self.course == Course::Open && self.claim.is_none()
    }

    /// The owner places under the lease as long as anything is placed here at all.
    pub(super) fn tell_claim(&self, turn: &mut Turn<Self>) {
        let Some(owner) = owner_of(turn) else { return };
        let claim = self.claim.as_ref().filter(|_| self.course == Course::Open);
        let lease = claim.map(|lease| (lease.by.clone(), lease.number));
        let node = turn.id().name().to_owned();
        turn.send::<Owner, _>(&owner, &Claimed { node, lease });
    }

    /// Nobody has the node for himself any more: what was asked under the lease is for nobody.
    pub(super) fn release_claim(&mut self, turn: &mut Turn<Self>) {
        self.claim = None;
        self.dismiss_leased(turn);
        self.tell_claim(turn);
        self.tell_owner(self.phase(turn.now()), turn);
        self.settle(turn);
    }
}

impl Handler<Under> for Node {
    /// Only what has no lease yet: one that was asked for under another stays what it is.
    fn handle(&mut self, message: Under, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_from_owner(turn)?;
        let Under { workspace, lease } = message;
        let mut waiting = self.queue.iter_mut();
        if let Some(place) = waiting.find(|it| it.workspace == workspace && it.lease.is_none()) {
            place.lease = Some(lease);
        }
        self.dismiss_leased(turn);
        self.serve(turn);
        Ok(())
    }
}

impl Handler<Claim> for Node {
    fn handle(&mut self, message: Claim, turn: &mut Turn<Self>) -> Result<u64, Refusal> {
        authorize(&message.caller, (&self.init.owner, Claim::NAME), turn)?;
        if let Some(from) = turn.from().filter(|from| from.id != message.by) {
            return Err(Refusal::new(format!("{} claims for {}", from.id, message.by)));
        }
        if let Some(lease) = &self.claim {
            if lease.by == message.by {
                return Ok(lease.number);
            }
            return Err(Refusal::new("the node is claimed by another"));
        }
        self.refuse_in_use()?;
        if !self.has_room(turn.now()) {
            return Err(Refusal::new(format!("the node is {}", self.status.name())));
        }
        self.leases += 1;
        self.claim = Some(Lease { by: message.by, number: self.leases, since: turn.now() });
        if self.status == NodeStatus::Warm {
            self.enter(NodeStatus::Running, turn.now());
        }
        // Nobody else is placed on it while it is claimed.
        self.tell_owner(Phase::Closed, turn);
        self.tell_claim(turn);
        Ok(self.leases)
    }
}

impl Handler<Unclaim> for Node {
    fn handle(&mut self, message: Unclaim, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, (&self.init.owner, Unclaim::NAME), turn)?;
        let is_held = self.claim.as_ref().is_some_and(|lease| {
            let is_holder = turn.from().is_none_or(|from| from.id == lease.by);
            lease.number == message.lease && is_holder
        });
        if !is_held {
            return Err(Refusal::new(format!("lease {} is not held", message.lease)));
        }
        self.release_claim(turn);
        Ok(())
    }
}

impl Handler<Drain> for Node {
    fn handle(&mut self, message: Drain, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, (&self.init.owner, Drain::NAME), turn)?;
        if self.course == Course::Open {
            self.course = Course::Draining;
            self.tell_owner(Phase::Closed, turn);
            self.tell_claim(turn);
            for place in std::mem::take(&mut self.queue) {
                let why = ("the node drains", None);
                not_placed(&place.workspace, place.task.as_ref(), why, turn);
            }
        }
        Ok(())
    }
}

impl Handler<MarkIdle> for Node {
    fn handle(&mut self, message: MarkIdle, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, (&self.init.owner, MarkIdle::NAME), turn)?;
        self.refuse_in_use()?;
        if self.claim.is_some() {
            return Err(Refusal::new("the node is claimed"));
        }
        match self.status {
            NodeStatus::Warm => self.enter(NodeStatus::Warm, turn.now()),
            NodeStatus::Running => self.settle(turn),
            NodeStatus::Creating | NodeStatus::Stopped | NodeStatus::Error => {
                return Err(Refusal::new(format!("the node is {}", self.status.name())));
            }
        }
        Ok(())
    }
}
