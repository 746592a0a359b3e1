//! The agents of a town: on the list, off the list, and what they say.

use serde::{Deserialize, Serialize};
use sexton_core::{Actor, ActorId, Handler, Message, Refusal, Timestamp, Turn};

use crate::agent::{Agent, AgentInit, AgentStatus, Dismiss};
use crate::identity::{AgentIdentity, IdentityInit};

use super::{BeadStatus, Town};

/// An agent on the list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Member {
    /// The name of the agent and of its identity among their kinds.
    pub(super) child: String,
    pub(super) status: AgentStatus,
    /// When it entered that.
    pub(super) since: Timestamp,
}

/// From an agent to its town: what it is now.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct AgentNews {
    /// The agent's status.
    pub status: AgentStatus,
    /// When it entered that.
    pub since: Timestamp,
}

impl Message for AgentNews {
    const NAME: &'static str = "agent_news";
    type Reply = ();
}

impl Town {
    /// Makes an agent and its identity, and puts it on the list.
    pub(super) fn enlist(&mut self, name: &str, turn: &mut Turn<Self>) -> Option<ActorId> {
        let child = self.next_name(turn);
        let init = AgentInit {
            owner: self.init.owner.clone(),
            name: name.to_owned(),
            terms: self.init.terms.agent,
        };
        let agent = turn.create::<Agent>(&child, &init)?;
        let init = IdentityInit {
            owner: self.init.owner.clone(),
            agent: agent.clone(),
            terms: self.init.terms.identity,
        };
        turn.create::<AgentIdentity>(&child, &init)?;
        let member = Member { child, status: AgentStatus::Idle, since: turn.now() };
        self.agents.insert(name.to_owned(), member);
        Some(agent)
    }

    /// Takes an agent off the list. It and its identity stay children until they are buried.
    pub(super) fn delist(&mut self, name: &str, why: &str, turn: &mut Turn<Self>) {
        let Some(member) = self.agents.remove(name) else { return };
        let held = self.beads.values_mut().filter(|bead| bead.agent.as_deref() == Some(name));
        for bead in held {
            (bead.agent, bead.status) = (None, BeadStatus::Open);
        }
        let dismiss = Dismiss { why: why.to_owned() };
        if let Ok(agent) = ActorId::new(Agent::KIND, &member.child) {
            turn.send::<Agent, _>(&agent, &dismiss);
        }
        if let Ok(identity) = ActorId::new(AgentIdentity::KIND, &member.child) {
            turn.send::<AgentIdentity, _>(&identity, &dismiss);
        }
    }

    /// An agent or its identity is gone: neither is of use without the other.
    pub(super) fn member_gone(&mut self, child: &ActorId, why: &str, turn: &mut Turn<Self>) {
        if let Some(name) = self.name_of(child) {
            turn.event("agent_gone", format!("{name}: {why}"));
            self.delist(&name, why, turn);
        }
    }

    fn name_of(&self, child: &ActorId) -> Option<String> {
        let (name, _) = self.agents.iter().find(|(_, member)| member.child == child.name())?;
        Some(name.clone())
    }
}

impl Handler<AgentNews> for Town {
    fn handle(&mut self, message: AgentNews, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let from = turn.from().filter(|from| from.id.kind() == Agent::KIND);
        let Some(from) = from else {
            return Err(Refusal::new("only agents have such news"));
        };
        // Of one that is off the list nothing needs to be known.
        let Some(name) = self.name_of(&from.id) else { return Ok(()) };
        let AgentNews { status, since } = message;
        if status == AgentStatus::Done {
            self.delist(&name, "done", turn);
        } else if let Some(member) = self.agents.get_mut(&name) {
            (member.status, member.since) = (status, since);
        }
        Ok(())
    }
}
