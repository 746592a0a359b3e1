//! What an owner knows of his nodes, and which of them gets the next workspace.
//!
//! In this order: the node that the task already holds; warm nodes, of the exact size first, then
//! at the place; running nodes that are not busy, the least loaded first; nodes that come. A
//! running node of which nobody has said yet how busy it is counts as not busy, after all of
//! which it is known: else the first minutes of every node would be lost.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sexton_core::ActorId;

use crate::caller::Tenure;
use crate::node::{NodeClass, NodeOrigin, NodeRole, NodeSpec};
use crate::placement::{Load, Phase, Wish};

/// Whether a node's birth is certain to be in its inbox before anything that is sent to it now.
///
/// What a turn sends is put into inboxes before what it creates: so what is for a node of this
/// very turn goes through the owner's own inbox first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Birth {
    Recorded,
    Sent,
}

/// A node of his.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Held {
    pub(super) class: NodeClass,
    pub(super) tenure: Tenure,
    pub(super) size: String,
    pub(super) location: String,
    pub(super) phase: Phase,
    pub(super) birth: Birth,
    pub(super) origin: NodeOrigin,
    /// How busy it is; `None` until its agent has said so.
    pub(super) load: Option<Load>,
    /// Who has claimed it, and the number that placements for him carry.
    pub(super) claim: Option<(ActorId, u64)>,
    /// Workspaces that were promised a place, and the tasks that they are for.
    pub(super) seats: BTreeMap<String, Option<ActorId>>,
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want<'a> {
    /// The provider's name of the size.
    pub(super) size: &'a str,
    /// The provider's name of the location.
    pub(super) location: &'a str,
    /// What somebody named of these.
    pub(super) wish: &'a Wish,
    /// The node that it already holds.
    pub(super) held: Option<&'a str>,
    /// The task that it is for.
    pub(super) task: Option<&'a ActorId>,
    /// The most workspaces of a node.
    pub(super) seats_max: u32,
    /// The share in use, in percent, from which on a running node is busy.
    pub(super) busy: u32,
}

impl Held {
    pub(super) fn new(spec: &NodeSpec) -> Self {
        let phase = match (spec.role, spec.tenure) {
            (NodeRole::Workspace, Tenure::Managed) => Phase::Coming,
            // Such a node says nothing of itself, and nothing is placed there by choice.
            (NodeRole::Deployment, _) | (NodeRole::Workspace, Tenure::External) => Phase::Closed,
        };
        Self {
            class: spec.class,
            tenure: spec.tenure,
            size: spec.size.clone(),
            location: spec.location.clone(),
            phase,
            birth: Birth::Sent,
            origin: NodeOrigin::Asked,
            load: None,
            claim: None,
            seats: BTreeMap::new(),
        }
    }

    /// Whether the fleet pays for its machine: only so many of them are allowed.
    pub(super) fn is_managed(&self) -> bool {
        self.class == NodeClass::Managed
    }

    /// How far it is, where it says so itself.
    pub(super) fn known_phase(&self) -> Option<Phase> {
        (self.tenure == Tenure::Managed).then_some(self.phase)
    }

    /// The lease that a task has on it.
    pub(super) fn lease_of(&self, task: Option<&ActorId>) -> Option<u64> {
        let (by, lease) = self.claim.as_ref()?;
        (Some(by) == task).then_some(*lease)
    }

    /// How well it suits: lower is better, `None` is not at all.
    fn rank(&self, name: &str, want: &Want<'_>) -> Option<(u8, u32)> {
        let (is_size, is_there) = (self.size == want.size, self.location == want.location);
        let is_claimed = self.lease_of(want.task).is_some();
        let is_closed = self.phase == Phase::Closed && !is_claimed;
        if is_closed || (want.wish.location.is_some() && !is_there) {
            return None;
        }
        if is_claimed || want.held == Some(name) {
            return Some((0, 0));
        }
        match self.phase {
            Phase::Warm => Some((1 + 2 * u8::from(!is_size) + u8::from(!is_there), 0)),
            Phase::Running => Some((5, self.score(want.busy)?)),
            // Waiting for a machine that comes anyway is never later than for one of one's own.
            // Of a user's own nobody knows whether it ever comes.
            Phase::Coming if self.is_managed() && (is_size || want.wish.size.is_none()) => {
                Some((6, 0))
            }
            Phase::Coming | Phase::Closed => None,
        }
    }

    /// How busy it is, in thousandths: `0.4 cpu + 0.6 memory`; `None` is too busy.
    fn score(&self, busy: u32) -> Option<u32> {
        let Some(load) = self.load else { return Some(1_000) };
        let score = 4 * u32::from(load.cpu) + 6 * u32::from(load.memory);
        (!load.is_busy(busy)).then_some(score)
    }
}

/// Where a workspace without a task lies, and what was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Lying {
    pub(super) node: String,
    pub(super) place: Wish,
    pub(super) tenure: Tenure,
}

/// Somebody who needs a workspace.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) workspace: String,
    /// The task that it is for; `None` is for the owner himself.
    pub(super) task: Option<ActorId>,
    pub(super) place: Wish,
    pub(super) tenure: Tenure,
    /// The node that the task already holds.
    pub(super) held: Option<String>,
    /// How many sizes below the default one it looks for, where nobody named the size.
    pub(super) smaller: u32,
}

/// The best node with room; among equals the one with most room.
pub(super) fn choose(nodes: &BTreeMap<String, Held>, want: &Want<'_>) -> Option<String> {
    let max = usize::try_from(want.seats_max).unwrap_or(usize::MAX);
    let with_room = nodes.iter().filter(|(_, held)| held.seats.len() < max);
    let ranked = with_room.filter_map(|(name, held)| {
        held.rank(name, want).map(|rank| ((rank, held.seats.len()), name))
    });
    ranked.min().map(|(_, name)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(size: &str, phase: Phase, seats: usize) -> Held {
        let seats = (0..seats).map(|n| (format!("w{n}"), None)).collect();
        let (size, location) = (size.to_owned(), "fsn1".to_owned());
        let spec = NodeSpec {
            tenure: Tenure::Managed,
            class: NodeClass::Managed,
            role: NodeRole::Workspace,
            size,
            location,
        };
        Held { phase, seats, ..Held::new(&spec) }
    }

    fn loaded(cpu: u8, memory: u8) -> Held {
        Held { load: Some(Load { cpu, memory }), ..held("cx33", Phase::Running, 1) }
    }

    fn want(wish: &Wish) -> Want<'_> {
        let size = wish.size.as_deref().unwrap_or("cx33");
        let location = wish.location.as_deref().unwrap_or("fsn1");
        Want { size, location, wish, held: None, task: None, seats_max: 3, busy: 50 }
    }

    fn nodes<const N: usize>(nodes: [(&str, Held); N]) -> BTreeMap<String, Held> {
        nodes.into_iter().map(|(name, held)| (name.to_owned(), held)).collect()
    }

    /// Takes the best away until none is left.
    fn order(mut nodes: BTreeMap<String, Held>, want: &Want<'_>) -> String {
        let mut order = String::new();
        while let Some(best) = choose(&nodes, want) {
            nodes.remove(&best);
            order.push_str(&best);
        }
        order
    }

    #[test]
    fn warm_goes_before_running_and_running_before_coming() {
        let there = nodes([
            ("a", held("cx33", Phase::Coming, 0)),
            ("b", held("cx33", Phase::Running, 2)),
            ("c", held("cx33", Phase::Running, 1)),
            ("d", held("cx22", Phase::Warm, 0)),
            ("e", held("cx33", Phase::Warm, 0)),
            ("f", held("cx33", Phase::Closed, 0)),
            ("g", Held { location: "hel1".to_owned(), ..held("cx33", Phase::Warm, 0) }),
            ("h", Held { location: "hel1".to_owned(), ..held("cx22", Phase::Warm, 0) }),
        ]);
        let wish = Wish { size: Some("cx33".to_owned()), ..Wish::default() };
        assert_eq!(order(there.clone(), &want(&wish)), "egdhcba");
        let held = Want { held: Some("b"), ..want(&wish) };
        assert_eq!(order(there, &held), "begdhca", "what the task holds goes before all");
    }

    #[test]
    fn the_least_loaded_goes_first_a_busy_one_never_and_an_unknown_one_last() {
        let there = nodes([
            ("a", loaded(49, 49)),
            ("b", loaded(10, 40)),
            ("c", loaded(40, 10)),
            ("d", loaded(50, 0)),
            ("e", loaded(0, 50)),
            ("f", held("cx33", Phase::Running, 0)),
        ]);
        assert_eq!(order(there, &want(&Wish::default())), "cbaf");
    }

    #[test]
    fn a_claimed_node_is_the_first_for_its_holder_and_nothing_for_others() {
        let holder = ActorId::new("task", "t").expect("an id");
        let claimed = Held { claim: Some((holder.clone(), 7)), ..held("cx22", Phase::Closed, 0) };
        let there = nodes([("a", claimed), ("b", held("cx33", Phase::Warm, 0))]);
        let wish = Wish::default();
        let other = ActorId::new("task", "u").expect("an id");
        assert_eq!(order(there.clone(), &Want { task: Some(&holder), ..want(&wish) }), "ab");
        assert_eq!(order(there, &Want { task: Some(&other), ..want(&wish) }), "b");
    }

    #[test]
    fn a_full_node_and_one_elsewhere_are_not_chosen() {
        let there = nodes([("a", held("cx33", Phase::Running, 3))]);
        assert_eq!(choose(&there, &want(&Wish::default())), None);
        let elsewhere = Wish { location: Some("hel1".to_owned()), ..Wish::default() };
        assert_eq!(choose(&there, &Want { seats_max: 9, ..want(&elsewhere) }), None);
    }

    #[test]
    fn what_comes_is_waited_for_unless_it_has_another_size_than_the_one_named() {
        let there = nodes([("a", held("cx22", Phase::Coming, 0))]);
        assert_eq!(choose(&there, &want(&Wish::default())).as_deref(), Some("a"));
        let named = Wish { size: Some("cx33".to_owned()), ..Wish::default() };
        assert_eq!(choose(&there, &want(&named)), None);
    }
}
