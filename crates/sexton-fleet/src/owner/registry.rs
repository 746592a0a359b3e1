//! What an owner knows of his managed nodes, and which of them gets the next workspace.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sexton_core::ActorId;

use crate::caller::Tenure;
use crate::node::{NodeRole, NodeSpec};
use crate::placement::{Phase, Wish};

/// Whether a node's birth is certain to be in its inbox before anything that is sent to it now.
///
/// What a turn sends is put into inboxes before what it creates: so what is for a node of this
/// very turn goes through the owner's own inbox first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Birth {
    Recorded,
    Sent,
}

/// A managed node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Held {
    pub(super) size: String,
    pub(super) location: String,
    pub(super) phase: Phase,
    pub(super) birth: Birth,
    /// Workspaces that were promised a place, and the tasks that they are for.
    pub(super) seats: BTreeMap<String, Option<ActorId>>,
}

impl Held {
    pub(super) fn new(spec: &NodeSpec) -> Self {
        let phase = match spec.role {
            NodeRole::Workspace => Phase::Coming,
            NodeRole::Deployment => Phase::Closed,
        };
        let (size, location) = (spec.size.clone(), spec.location.clone());
        Self { size, location, phase, birth: Birth::Sent, seats: BTreeMap::new() }
    }

    /// How well it suits: lower is better, `None` is not at all.
    fn rank(&self, wish: &Wish) -> Option<u8> {
        let is_size = wish.size.as_ref().is_none_or(|size| *size == self.size);
        let is_there = wish.location.as_ref().is_none_or(|at| *at == self.location);
        match self.phase {
            Phase::Warm if is_size && is_there => Some(0),
            Phase::Warm if is_there => Some(1),
            Phase::Running if is_there => Some(2),
            // Waiting for a machine that comes anyway is never later than for one of one's own.
            Phase::Coming if is_size && is_there => Some(3),
            Phase::Warm | Phase::Running | Phase::Coming | Phase::Closed => None,
        }
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
}

/// The best node with room: warm and of the size, warm at the location, running, coming; among
/// equals the one with most room.
pub(super) fn choose(nodes: &BTreeMap<String, Held>, wish: &Wish, max: u32) -> Option<String> {
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    let with_room = nodes.iter().filter(|(_, held)| held.seats.len() < max);
    let ranked = with_room
        .filter_map(|(name, held)| held.rank(wish).map(|rank| ((rank, held.seats.len()), name)));
    ranked.min().map(|(_, name)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(size: &str, phase: Phase, seats: usize) -> Held {
        let seats = (0..seats).map(|n| (format!("w{n}"), None)).collect();
        let (size, location) = (size.to_owned(), "fsn1".to_owned());
        Held { size, location, phase, birth: Birth::Sent, seats }
    }

    #[test]
    fn warm_goes_before_running_and_running_before_coming() {
        let mut nodes: BTreeMap<String, Held> = [
            ("a", held("cx33", Phase::Coming, 0)),
            ("b", held("cx33", Phase::Running, 2)),
            ("c", held("cx33", Phase::Running, 1)),
            ("d", held("cx22", Phase::Warm, 0)),
            ("e", held("cx33", Phase::Warm, 0)),
            ("f", held("cx33", Phase::Closed, 0)),
        ]
        .into_iter()
        .map(|(name, held)| (name.to_owned(), held))
        .collect();
        let wish = Wish { size: Some("cx33".to_owned()), ..Wish::default() };
        for expected in ["e", "d", "c", "b", "a"] {
            assert_eq!(choose(&nodes, &wish, 3).as_deref(), Some(expected));
            nodes.remove(expected);
        }
        assert_eq!(choose(&nodes, &wish, 3), None);
    }

    #[test]
    fn a_full_node_and_one_elsewhere_are_not_chosen() {
        let nodes: BTreeMap<String, Held> =
            [("a".to_owned(), held("cx33", Phase::Running, 3))].into_iter().collect();
        assert_eq!(choose(&nodes, &Wish::default(), 3), None);
        let elsewhere = Wish { location: Some("hel1".to_owned()), ..Wish::default() };
        assert_eq!(choose(&nodes, &elsewhere, 9), None);
    }
}
