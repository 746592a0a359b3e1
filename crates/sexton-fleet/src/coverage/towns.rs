//! A town and what is in it: its container, an agent, and the agent's credential.

use sexton_core::coverage::Model;
use sexton_core::{Actor, ActorId, Gone, Outcome};

use crate::agent::{Agent, AgentInit, AgentReport, AgentStatus, AgentTerms, Dismiss};
use crate::container::{
    Care, Container, ContainerAnswer, ContainerCallback, ContainerEffect, ContainerHealth,
    ContainerInit, ContainerSays, ContainerTerms, Reconfigure, Tend,
};
use crate::fault::Fault;
use crate::identity::{AgentIdentity, IdentityAnswer, IdentityEffect, IdentityInit, IdentityTerms};
use crate::owner::Owner;
use crate::policy::Policy;
use crate::sweeps;
use crate::town::{
    AddAgent, AddRig, AgentNews, CloseBead, ConfigureTown, EndTown, Inspect, OpenBead, OpenStream,
    RemoveAgent, RemoveRig, StartBead, Town, TownInit, TownTerms,
};

use super::{LOST, OWNER, caller, failure, id, is_lost};

const RIG: &str = "r";
const AGENT: &str = "a";
const BEAD: &str = "b";
/// What is told to children of this town comes from it.
const TOWN: &str = "town";

/// A town of one rig, one agent and one bead; what it makes a fourth time stays.
pub fn town(policy: &Policy) -> Model<Town> {
    let terms = TownTerms {
        // It ticks often: that it does is enough, and how often leads nowhere else.
        tick_busy: policy.town_tick_idle / 2,
        stalled: policy.town_tick_idle,
        rig_grace: policy.town_tick_idle,
        rigs_max: 1,
        agents_max: 1,
        beads_max: 1,
        ..TownTerms::of(policy)
    };
    let init = || TownInit { owner: OWNER.to_owned(), terms };
    let model = Model::<Town>::new()
        .birth_of("", id::<Owner>(OWNER), init())
        .birth_of("left behind", id::<Owner>(LOST), init())
        .buried(is_lost)
        .child_ends(|child| {
            let is_early = ["/1", "/2", "/3"].iter().any(|it| child.name().ends_with(it));
            let end = Gone::Destroyed { why: "gone".to_owned() };
            if is_early { vec![end] } else { Vec::new() }
        })
        .asking(|seen| {
            (seen.row().status == "settled")
                .then(|| "its owner takes its rigs away or ends it, until then it ticks".to_owned())
        })
        .ignoring(&["closed"])
        .messages_max(4)
        .remembering(2 * policy.town_tick_idle)
        .sweeps(sweeps::all(policy))
        .both_nets()
        .every_message()
        .whole_table();
    town_commands(model)
}

fn town_commands(model: Model<Town>) -> Model<Town> {
    let (rig, agent, bead) = (|| RIG.to_owned(), || AGENT.to_owned(), || BEAD.to_owned());
    model
        .message::<EndTown>(|seen| {
            let (name, why) = (seen.me().id.name().to_owned(), "over".to_owned());
            vec![EndTown { caller: caller(), name, why }]
        })
        .message::<ConfigureTown>(|_| {
            vec![ConfigureTown { caller: caller(), config: String::new() }]
        })
        .message::<OpenStream>(|_| vec![OpenStream { caller: caller() }])
        .message::<Inspect>(|_| vec![Inspect { caller: caller() }])
        .message::<AddRig>(move |_| vec![AddRig { caller: caller(), rig: rig() }])
        .message::<RemoveRig>(move |_| vec![RemoveRig { caller: caller(), rig: rig() }])
        .message::<AddAgent>(move |_| vec![AddAgent { caller: caller(), agent: agent() }])
        .message::<RemoveAgent>(move |_| vec![RemoveAgent { caller: caller(), agent: agent() }])
        .message::<OpenBead>(move |_| {
            vec![OpenBead { caller: caller(), bead: bead(), rig: rig() }]
        })
        .message::<StartBead>(move |_| {
            vec![StartBead { caller: caller(), bead: bead(), agent: agent() }]
        })
        .message::<CloseBead>(move |_| vec![CloseBead { caller: caller(), bead: bead() }])
        // The first child that it can be: an agent whose name says so.
        .message_from::<AgentNews>(id::<Agent>("it/1"), |seen| {
            let since = seen.now();
            [AgentStatus::Working, AgentStatus::Stalled, AgentStatus::Idle, AgentStatus::Done]
                .map(|status| AgentNews { status, since })
                .into()
        })
}

/// A container that is tended for each reason, and one that was left behind.
pub fn container(policy: &Policy) -> Model<Container> {
    let terms = ContainerTerms::of(policy);
    let init = || ContainerInit { owner: OWNER.to_owned(), config: "c".to_owned(), terms };
    let town = id::<Town>(TOWN);
    Model::<Container>::new()
        .holding("a process at the provider")
        .birth_of("", town.clone(), init())
        .birth_of("left behind", id::<Town>(LOST), init())
        .buried(is_lost)
        .message_from::<Tend>(town.clone(), |seen| {
            // Who needs it again and again while nothing is ever answered makes it owe more.
            let cares: &[Care] = match seen.n_owed() {
                0..=2 => &[Care::Work, Care::Rig, Care::User],
                _ => &[Care::Rig],
            };
            cares.iter().map(|care| Tend { care: *care }).collect()
        })
        .message_from::<Reconfigure>(town, |_| vec![Reconfigure { config: "d".to_owned() }])
        .message::<ContainerCallback>(|seen| {
            let (epoch, last) = (seen.epoch(), seen.state().last_run());
            let says = || {
                let exited = ContainerSays::Exited { why: "x".to_owned() };
                [ContainerSays::Started, ContainerSays::Healthy, exited]
            };
            let of = |run| says().map(|says| ContainerCallback { epoch, run, says });
            [last, last - 1].into_iter().flat_map(of).collect()
        })
        .outcomes(|effect| {
            let failed = Outcome::Failed(failure(Fault::Network));
            let done = |answer| vec![Outcome::Done(answer), failed];
            match effect {
                ContainerEffect::Start { .. } => done(ContainerAnswer::Started),
                ContainerEffect::Stop { .. } => done(ContainerAnswer::Stopped),
                ContainerEffect::Delete => done(ContainerAnswer::Deleted),
                ContainerEffect::Ping { .. } => {
                    [ContainerHealth::Healthy, ContainerHealth::Unreachable, ContainerHealth::Gone]
                        .map(|health| Outcome::Done(ContainerAnswer::Pong(health)))
                        .into()
                }
            }
        })
        // A start's number only tells it from others; when the process was heard is for people.
        .ignoring(&["run", "heard_at", "why"])
        .debts_max(2)
        .remembering(policy.container_sleep_after + policy.container_error_wait)
        .sweeps(sweeps::all(policy))
        .both_nets()
        .every_message()
        .whole_table()
}

/// An agent that says each thing at any time, and one that was left behind.
pub fn agent(policy: &Policy) -> Model<Agent> {
    let terms = AgentTerms::of(policy);
    let init = || AgentInit { owner: OWNER.to_owned(), name: AGENT.to_owned(), terms };
    let town = id::<Town>(TOWN);
    Model::<Agent>::new()
        .birth_of("", town.clone(), init())
        .birth_of("left behind", id::<Town>(LOST), init())
        .buried(is_lost)
        .message::<AgentReport>(|seen| {
            let epoch = seen.epoch();
            [AgentStatus::Idle, AgentStatus::Working, AgentStatus::Stalled, AgentStatus::Done]
                .map(|status| AgentReport { epoch, status })
                .into()
        })
        .message_from::<Dismiss>(town, |_| vec![Dismiss { why: "off the list".to_owned() }])
        .passing(&["working", "stalled", "done"])
        .sweeps(sweeps::all(policy))
        .both_nets()
        .every_message()
        .whole_table()
}

/// A credential, and one that was left behind.
pub fn agent_identity(policy: &Policy) -> Model<AgentIdentity> {
    let terms = IdentityTerms::of(policy);
    let init = |town: &ActorId| IdentityInit {
        owner: OWNER.to_owned(),
        agent: id::<Agent>(town.name()),
        terms,
    };
    let (town, lost) = (id::<Town>(TOWN), id::<Town>(LOST));
    Model::<AgentIdentity>::new()
        .holding("a key")
        .birth_of("", town.clone(), init(&town))
        .birth_of("left behind", lost.clone(), init(&lost))
        .buried(|id| is_lost(id) && id.kind() == Town::KIND)
        .message_from::<Dismiss>(town, |_| vec![Dismiss { why: "off the list".to_owned() }])
        .outcomes(|effect| {
            let done = match effect {
                IdentityEffect::Issue { .. } => IdentityAnswer::Issued,
                IdentityEffect::Revoke { .. } => IdentityAnswer::Revoked,
            };
            vec![Outcome::Done(done), Outcome::Failed(failure(Fault::Network))]
        })
        .asking(|_| {
            Some("its town dismisses it with its agent, until then its key is replaced".to_owned())
        })
        // Keys are only counted.
        .ignoring(&["key", "up_to"])
        .sweeps(sweeps::all(policy))
        .both_nets()
        .every_message()
        .whole_table()
}
