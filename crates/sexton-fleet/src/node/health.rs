//! How an agent does, by the age of its last heartbeat: read off the state, never stored.

use sexton_core::{ActorId, Error, Store, Timestamp, query};

use super::{Agent, Node, NodeTerms};

/// How an agent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It was heard of lately: workspaces are placed there.
    Healthy,
    /// It is late: what shall be placed there waits.
    Stale,
    /// It is silent, or said to be unreachable: what shall be placed there waits.
    Unhealthy,
}

impl Health {
    /// By the moment of its last heartbeat; one that never sent any is judged by whether it can
    /// be reached, and not by its silence.
    pub fn of(heartbeat_at: Option<Timestamp>, now: Timestamp, terms: &NodeTerms) -> Self {
        match heartbeat_at {
            Some(at) if now > at + terms.stale => Self::Unhealthy,
            Some(at) if now > at + terms.healthy => Self::Stale,
            Some(_) | None => Self::Healthy,
        }
    }
}

impl Node {
    /// How its agent does at `now`.
    pub fn health(&self, now: Timestamp) -> Health {
        match self.agent {
            Agent::Down => Health::Unhealthy,
            Agent::Up => Health::of(self.heartbeat_at, now, &self.init.terms),
        }
    }
}

/// How the agent of a living node does at `now`; `None` if there is no such node.
///
/// # Errors
///
/// What the store says.
pub fn health(store: &dyn Store, node: &ActorId, now: Timestamp) -> Result<Option<Health>, Error> {
    Ok(query::state::<Node>(store, node)?.map(|node| node.health(now)))
}
