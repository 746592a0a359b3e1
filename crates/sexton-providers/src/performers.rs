//! Does what nodes, workspaces, sessions and the reaper owe, with a provider and its agents.
//!
//! The address of an agent is asked of the provider each time, by the life of the node: what a
//! state remembers may be old. Where nobody answers, the store says whether the machine is going
//! anyway: its disk goes with it, and waiting for its agent would keep it for ever.

use std::sync::Arc;
use std::time::Duration;

use sexton::clock::{Clock, WallClock};
use sexton::{ActorRef, Builder, EffectId, Entry, Failure, Performed, Performer, Store, query};
use sexton_agent::wire;
use sexton_fleet::{
    AgentAnswer, AgentEffect, Fault, Found, Machine, Node, NodeAnswer, NodeEffect, Orphan, Reaper,
    ReaperAnswer, ReaperEffect, Session, SessionAnswer, SessionEffect, Workspace,
};

use crate::agents::{AgentError, Agents, Target, workspace_id};
use crate::provider::{Order, Provider, ProviderError};

/// The most effects of one kind that are performed at a time. Chosen: no provider minds ten.
const AT_A_TIME: usize = 10;

/// What runs in workspaces: each a program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commands {
    /// In a workspace, from its making to its end.
    pub workspace: Vec<String>,
    /// In a session.
    pub session: Vec<String>,
}

/// The performers of the fleet over one provider.
#[derive(Debug)]
pub struct Performers<P> {
    shared: Arc<Shared<P>>,
}

#[derive(Debug)]
struct Shared<P> {
    provider: P,
    agents: Agents,
    /// The host's own, to read whether an actor lives.
    store: Arc<dyn Store>,
    commands: Commands,
}

impl<P> Clone for Performers<P> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// What stands between an effect and its agent.
enum Way {
    /// Its machine is there.
    To(Machine),
    /// There is no machine, or it goes: the disk goes with it.
    Gone,
}

fn failure(fault: Fault, message: impl Into<String>) -> Failure {
    Failure { class: fault.name().to_owned(), message: message.into() }
}

fn of_provider(error: &ProviderError) -> Failure {
    failure(error.fault, sexton::chain(error))
}

/// The class of what an agent answered.
fn fault_of(code: wire::Code) -> Fault {
    match code {
        wire::Code::Unauthorized | wire::Code::Forbidden => Fault::Auth,
        wire::Code::Invalid
        | wire::Code::TooLarge
        | wire::Code::Conflict
        | wire::Code::Gone
        | wire::Code::Superseded => Fault::Invalid,
        wire::Code::NotFound => Fault::NotFound,
        wire::Code::Full => Fault::Capacity,
        wire::Code::Unavailable => Fault::Unknown,
    }
}

/// What an agent that did not do it leaves to say, and whether it may do it later.
fn of_agent(error: &AgentError) -> (Fault, Failure) {
    let fault = match error {
        AgentError::Unreached(_) | AgentError::Unreadable => Fault::Network,
        AgentError::Refused(problem) => fault_of(problem.code),
        AgentError::Token(_) => Fault::Auth,
    };
    (fault, failure(fault, sexton::chain(error)))
}

impl<P: Provider> Performers<P> {
    /// Performers over a provider. The store is the one that the host is opened with.
    pub fn new(provider: P, agents: Agents, store: Arc<dyn Store>, commands: Commands) -> Self {
        Self { shared: Arc::new(Shared { provider, agents, store, commands }) }
    }

    /// Performs for a host what its nodes, workspaces, sessions and reaper owe.
    pub fn install(&self, builder: Builder) -> Builder {
        builder
            .performer::<Node>(self.clone(), AT_A_TIME)
            .performer::<Workspace>(self.clone(), AT_A_TIME)
            .performer::<Session>(self.clone(), AT_A_TIME)
            .performer::<Reaper>(self.clone(), 1)
    }

    /// Whether this life is there; also while it is being destroyed.
    fn lives(&self, owner: &ActorRef) -> Result<bool, sexton::Error> {
        Ok(match query::entry(&*self.shared.store, &owner.id)? {
            Some(Entry::Alive(record)) => record.incarnation == owner.incarnation,
            Some(Entry::Tombstone(_)) | None => false,
        })
    }

    /// Whether this life of a node has ended or is ending. What cannot be read is not going.
    fn is_going(&self, node: &ActorRef) -> bool {
        match query::entry(&*self.shared.store, &node.id) {
            Ok(Some(Entry::Alive(record))) => {
                record.incarnation != node.incarnation || record.destruction.is_some()
            }
            Ok(Some(Entry::Tombstone(_)) | None) => true,
            Err(_) => false,
        }
    }

    async fn way(&self, node: &ActorRef) -> Result<Way, Failure> {
        match self.shared.provider.get(node).await {
            Ok(Some(made)) => Ok(Way::To(made.machine)),
            Ok(None) => Ok(Way::Gone),
            Err(_) if self.is_going(node) => Ok(Way::Gone),
            Err(error) => Err(of_provider(&error)),
        }
    }

    /// How an attempt at something that uses a machine ended.
    fn used<T>(done: T, ended: Result<(), AgentError>) -> Performed<T> {
        match ended.map_err(|error| of_agent(&error)) {
            Ok(()) => Performed::Done(done),
            Err((Fault::Network | Fault::Unknown, failure)) => Performed::Transient(failure),
            Err((_, failure)) => Performed::Permanent(failure),
        }
    }

    /// How an attempt at something that gives back ended: it is owed until it is done.
    fn given_back<T>(&self, node: &ActorRef, of: (T, Result<(), AgentError>)) -> Performed<T> {
        match of.1.map_err(|error| of_agent(&error)) {
            Ok(()) | Err((Fault::NotFound, _)) => Performed::Done(of.0),
            Err((Fault::Network, _)) if self.is_going(node) => Performed::Done(of.0),
            Err((_, failure)) => Performed::Transient(failure),
        }
    }

    async fn create(
        &self,
        id: EffectId,
        installation: &str,
        order: Order,
    ) -> Performed<NodeAnswer> {
        let provider = &self.shared.provider;
        if installation != provider.installation() {
            let why = format!("{id} is of installation {installation}, and not of this one");
            return Performed::Permanent(failure(Fault::Invalid, why));
        }
        match provider.create(&order).await {
            Ok(made) => Performed::Done(NodeAnswer::Created(made.machine)),
            // Nobody answered: it is asked again, and finds what the first call made.
            Err(error) if error.fault == Fault::Network => {
                Performed::Transient(of_provider(&error))
            }
            Err(error) => Performed::Permanent(of_provider(&error)),
        }
    }

    /// Keeps G12: what cannot be listed or read leads to no delete.
    async fn orphans(&self, installation: &str, age: Duration) -> Result<Found, Failure> {
        let provider = &self.shared.provider;
        if installation != provider.installation() {
            let why = format!("{installation} is not the installation of this provider");
            return Err(failure(Fault::Invalid, why));
        }
        let listing = provider.list().await.map_err(|error| of_provider(&error))?;
        let now = WallClock.now();
        let mut old = listing.machines;
        old.retain(|made| made.created_at + age <= now);
        old.sort_by_key(|made| made.created_at);
        let mut orphans = Vec::new();
        for made in old {
            let lives = self.lives(&made.owner);
            if !lives.map_err(|error| failure(Fault::Unknown, sexton::chain(&error)))? {
                orphans.push(Orphan { machine: made.machine.id, owner: made.owner });
            }
        }
        Ok(Found { complete: listing.complete, orphans })
    }

    /// Looks again just before: a listing is old when it arrives.
    async fn delete_orphan(&self, orphan: &Orphan) -> Result<ReaperAnswer, Failure> {
        let lives = self.lives(&orphan.owner);
        if lives.map_err(|error| failure(Fault::Unknown, sexton::chain(&error)))? {
            return Ok(ReaperAnswer::Spared);
        }
        let deleted = self.shared.provider.delete(&orphan.owner).await;
        deleted.map_err(|error| of_provider(&error))?;
        Ok(ReaperAnswer::Deleted)
    }
}

impl<P: Provider> Performer<Node> for Performers<P> {
    async fn perform(
        &self,
        id: EffectId,
        effect: NodeEffect,
        _failures: u32,
    ) -> Performed<NodeAnswer> {
        match effect {
            NodeEffect::Create { installation, size, location } => {
                let order = Order { owner: id.actor.clone(), size, location };
                self.create(id, &installation, order).await
            }
            NodeEffect::Delete { machine: _ } => match self.shared.provider.delete(&id.actor).await
            {
                Ok(()) => Performed::Done(NodeAnswer::Deleted),
                Err(error) => Performed::Transient(of_provider(&error)),
            },
            NodeEffect::Attach { holding } => {
                let why = format!("this provider has no {holding}");
                Performed::Permanent(failure(Fault::Invalid, why))
            }
            // Never made: there is no such thing.
            NodeEffect::Release { holding: _ } => Performed::Done(NodeAnswer::Released),
        }
    }
}

impl<P: Provider> Performer<Workspace> for Performers<P> {
    async fn perform(
        &self,
        id: EffectId,
        effect: AgentEffect,
        _failures: u32,
    ) -> Performed<AgentAnswer> {
        let (node, verb, answer) = match &effect {
            AgentEffect::Create { node, .. } => (node, "", AgentAnswer::Created),
            AgentEffect::Stop { node } => (node, "stop", AgentAnswer::Stopped),
            AgentEffect::Delete { node } => (node, "", AgentAnswer::Deleted),
            AgentEffect::Sleep { node } => (node, "sleep", AgentAnswer::Asleep),
            AgentEffect::Wake { node } => (node, "wake", AgentAnswer::Awake),
            AgentEffect::Recover { node } => (node, "recover", AgentAnswer::Recovered),
        };
        let is_for_use = match effect {
            AgentEffect::Create { .. } | AgentEffect::Wake { .. } | AgentEffect::Recover { .. } => {
                true
            }
            AgentEffect::Stop { .. } | AgentEffect::Delete { .. } | AgentEffect::Sleep { .. } => {
                false
            }
        };
        let machine = match self.way(node).await {
            Ok(Way::To(machine)) => machine,
            Ok(Way::Gone) if is_for_use => return Performed::Permanent(no_machine()),
            Ok(Way::Gone) => return Performed::Done(answer),
            Err(failure) => return Performed::Transient(failure),
        };
        let (agents, workspace) = (&self.shared.agents, workspace_id(&id.actor));
        let to = Target { machine: &machine, node, workspace: &workspace, effect: id.number };
        let ended = match &effect {
            AgentEffect::Create { run, .. } => {
                let command = self.shared.commands.workspace.clone();
                let order = wire::Order { run: *run, command };
                agents.put(to, &order).await.map(drop)
            }
            AgentEffect::Delete { .. } => agents.delete(to).await,
            AgentEffect::Stop { .. }
            | AgentEffect::Sleep { .. }
            | AgentEffect::Wake { .. }
            | AgentEffect::Recover { .. } => agents.change(to, verb).await.map(drop),
        };
        if is_for_use || verb == "sleep" {
            Self::used(answer, ended)
        } else {
            self.given_back(node, (answer, ended))
        }
    }
}

fn no_machine() -> Failure {
    failure(Fault::NotFound, "there is no such machine")
}

impl<P: Provider> Performer<Session> for Performers<P> {
    async fn perform(
        &self,
        id: EffectId,
        effect: SessionEffect,
        _failures: u32,
    ) -> Performed<SessionAnswer> {
        let (node, workspace, answer) = match &effect {
            SessionEffect::Start { node, workspace } => (node, workspace, SessionAnswer::Started),
            SessionEffect::Stop { node, workspace } => (node, workspace, SessionAnswer::Stopped),
        };
        let machine = match self.way(node).await {
            Ok(Way::To(machine)) => machine,
            Ok(Way::Gone) if answer == SessionAnswer::Started => {
                return Performed::Permanent(no_machine());
            }
            Ok(Way::Gone) => return Performed::Done(answer),
            Err(failure) => return Performed::Transient(failure),
        };
        let (workspace, session) = (workspace_id(workspace), workspace_id(&id.actor));
        let to = Target { machine: &machine, node, workspace: &workspace, effect: id.number };
        let agents = &self.shared.agents;
        match effect {
            SessionEffect::Start { .. } => {
                let life = &id.actor;
                let about =
                    wire::About { name: life.id.name().to_owned(), epoch: life.incarnation };
                let command = self.shared.commands.session.clone();
                let run = wire::Run { command, about: Some(about) };
                let ended = agents.begin(to, &session, &run).await.map(drop);
                Self::used(answer, ended)
            }
            SessionEffect::Stop { .. } => {
                let ended = agents.cease(to, &session).await;
                self.given_back(node, (answer, ended))
            }
        }
    }
}

impl<P: Provider> Performer<Reaper> for Performers<P> {
    async fn perform(
        &self,
        _id: EffectId,
        effect: ReaperEffect,
        _failures: u32,
    ) -> Performed<ReaperAnswer> {
        let ended = match effect {
            ReaperEffect::FindOrphans { installation, age } => {
                self.orphans(&installation, age).await.map(ReaperAnswer::Found)
            }
            ReaperEffect::DeleteOrphan { orphan, installation } => {
                if installation == self.shared.provider.installation() {
                    self.delete_orphan(&orphan).await
                } else {
                    Ok(ReaperAnswer::Spared)
                }
            }
        };
        // A later scan finds it again: nothing is scanned behind one that waits.
        match ended {
            Ok(answer) => Performed::Done(answer),
            Err(failure) => Performed::Permanent(failure),
        }
    }
}
