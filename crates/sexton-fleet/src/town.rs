//! A town: rigs, beads and agents of one owner, and the container in which the agents work.
//!
//! ```text
//! town --+-- container        while there is active work the town ticks often and keeps its
//!        +-- agent            container awake; otherwise it ticks seldom, and a town without
//!        +-- agent_identity   rigs never
//! ```
//!
//! Whether there is active work is a function of the state and of the moment, never a flag. When
//! the town ticks next is a function of the last tick and of that: so new work brings the next
//! tick forward and never puts it back, and no handler has to remember to do so.
//!
//! The container is made when it is first needed. Agents and identities are children from their
//! birth to their tombstone, whether the town lists them or not.

mod commands;
mod crew;
mod spec;
pub(crate) mod sweeps;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sexton_core::{
    Actor, ActorId, Deadlines, Gone, Handler, Handlers, Refusal, Row, Timestamp, Turn,
};

use crate::agent::{Agent, AgentStatus};
use crate::container::{Care, Container, ContainerInit, Tend};
use crate::due::{self, Expire};
use crate::identity::AgentIdentity;
use crate::sweeps::Bereaved;

pub use self::commands::{
    AddAgent, AddRig, CloseBead, ConfigureTown, EndTown, Inspect, OpenBead, OpenStream,
    RemoveAgent, RemoveRig, StartBead,
};
pub use self::crew::AgentNews;
pub use self::spec::{BeadStatus, TownDue, TownInit, TownReport, TownTerms};
pub use self::sweeps::Unlisted;

use self::crew::Member;

sexton_core::lifecycle! {
    /// What a town can be.
    pub enum TownStatus {
        /// It has no rigs, and nothing happens in it by itself.
        Empty = "empty" [] => [Settled],
        /// It has rigs, and ticks.
        Settled = "settled" [] => [Empty],
    }
}

/// A bead that is not closed.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Bead {
    rig: String,
    /// The agent that runs it.
    agent: Option<String>,
    status: BeadStatus,
}

/// A town.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Town {
    init: TownInit,
    /// What its container is started with.
    config: String,
    /// When each rig was added.
    rigs: BTreeMap<String, Timestamp>,
    /// The agents on the list, by the name that the town calls them.
    agents: BTreeMap<String, Member>,
    /// The beads that are not closed.
    beads: BTreeMap<String, Bead>,
    /// How many were.
    closed: u64,
    /// The container, from its birth to its tombstone.
    container: Option<ActorId>,
    /// Children made so far: names are never used twice.
    made: u64,
    /// When it ticked last.
    ticked_at: Timestamp,
}

impl Town {
    /// Whether there is active work at `at`, as far as the state can tell now.
    fn has_work(&self, at: Timestamp) -> bool {
        self.active_until() > Some(at)
    }

    /// Until when there is active work if nothing changes; `MAX` is until somebody ends it.
    fn active_until(&self) -> Option<Timestamp> {
        if !self.beads.is_empty() {
            return Some(Timestamp::MAX);
        }
        let of_agent = |member: &Member| match member.status {
            AgentStatus::Working => Some(Timestamp::MAX),
            AgentStatus::Stalled => Some(member.since + self.init.terms.stalled),
            AgentStatus::Idle | AgentStatus::Done => None,
        };
        self.agents.values().filter_map(of_agent).max()
    }

    /// The next tick: soon if there will be active work then, else late; none without rigs.
    fn next_tick(&self) -> Option<Timestamp> {
        if self.rigs.is_empty() {
            return None;
        }
        let (soon, late) = (
            self.ticked_at + self.init.terms.tick_busy,
            self.ticked_at + self.init.terms.tick_idle,
        );
        Some(if self.has_work(soon) { soon.min(late) } else { late })
    }

    fn dues(&self) -> Vec<(Timestamp, TownDue)> {
        self.next_tick().map(|at| (at, TownDue::Tick)).into_iter().collect()
    }

    fn tick(&mut self, turn: &mut Turn<Self>) {
        let now = turn.now();
        self.ticked_at = now;
        let newest = self.rigs.values().max();
        if self.has_work(now) {
            self.tend(Care::Work, turn);
        } else if newest.is_some_and(|at| *at + self.init.terms.rig_grace >= now) {
            self.tend(Care::Rig, turn);
        }
    }

    /// Looks after the container. Only a ping makes none where there is none.
    fn tend(&mut self, care: Care, turn: &mut Turn<Self>) {
        match (&self.container, care) {
            (Some(container), Care::Work | Care::User | Care::Rig) => {
                turn.send::<Container, _>(container, &Tend { care });
            }
            (None, Care::Work | Care::User) => {
                let init = ContainerInit {
                    owner: self.init.owner.clone(),
                    config: self.config.clone(),
                    terms: self.init.terms.container,
                };
                let name = self.next_name(turn);
                self.container = turn.create::<Container>(&name, &init);
            }
            (None, Care::Rig) => {}
        }
    }

    /// A name for a child that no other child has or had.
    fn next_name(&mut self, turn: &Turn<Self>) -> String {
        self.made += 1;
        format!("{}/{}", turn.id().name(), self.made)
    }
}

impl Actor for Town {
    const KIND: &'static str = "town";
    type Init = TownInit;
    type Status = TownStatus;
    type Deadline = TownDue;
    type Effect = ();
    type Answer = ();

    fn create(init: Self::Init, turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        commands::check_name(turn.id().name())?;
        Ok(Self {
            init,
            config: String::new(),
            rigs: BTreeMap::new(),
            agents: BTreeMap::new(),
            beads: BTreeMap::new(),
            closed: 0,
            container: None,
            made: 0,
            ticked_at: turn.now(),
        })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<EndTown>().message::<ConfigureTown>();
        on.message::<OpenStream>().message::<Inspect>();
        on.message::<AddRig>().message::<RemoveRig>();
        on.message::<AddAgent>().message::<RemoveAgent>().message::<AgentNews>();
        on.message::<OpenBead>().message::<StartBead>().message::<CloseBead>();
        on.message::<Expire>().message::<Unlisted>().message::<Bereaved>();
    }

    fn status(&self) -> Self::Status {
        if self.rigs.is_empty() { TownStatus::Empty } else { TownStatus::Settled }
    }

    fn row(&self) -> Row {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let row = Row::owned_by(&self.init.owner)
            .number("rigs", count(self.rigs.len()))
            .number("agents", count(self.agents.len()))
            .number("beads", count(self.beads.len()))
            .time("active_until", self.active_until());
        let next = due::earliest(&self.dues());
        due::shown(row, next.map(|(at, due)| (at, due.name())))
    }

    fn deadlines(&self, due: &mut Deadlines<Self::Deadline>) {
        for (at, what) in self.dues() {
            due.at(at, what);
        }
    }

    fn on_deadline(&mut self, due: Self::Deadline, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        match due {
            TownDue::Tick => self.tick(turn),
        }
        Ok(())
    }

    fn on_child_gone(
        &mut self,
        child: &ActorId,
        end: &Gone,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        let why = match end {
            Gone::Destroyed { why } | Gone::Unborn { why, is_yours: false } => why,
            // It lives, and was asked for twice.
            Gone::Unborn { is_yours: true, .. } => return Ok(()),
        };
        match child.kind() {
            // The next one is made when it is needed.
            Container::KIND if self.container.as_ref() == Some(child) => self.container = None,
            Agent::KIND | AgentIdentity::KIND => self.member_gone(child, why, turn),
            _ => {}
        }
        Ok(())
    }
}

impl Handler<Expire> for Town {
    fn handle(&mut self, message: Expire, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        match due::overdue(&self.dues(), turn.now()) {
            Some(TownDue::Tick) => self.tick(turn),
            None => return Err(Refusal::new(format!("nothing is due: {}", message.why))),
        }
        Ok(())
    }
}
