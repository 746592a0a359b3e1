//! The second net for towns: those that nobody lists, and those whose deadline has passed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton_core::sweep::{Look, Sweep};
use sexton_core::{Actor, ActorId, Error, Handler, Letter, Message, Refusal, RowView, Turn};

use crate::agent::Agent;
use crate::container::Container;
use crate::identity::AgentIdentity;
use crate::owner::Owner;
use crate::policy::Policy;
use crate::senders::only_from_sweeps;
use crate::sweeps::{Overdue, Scope, ask, statuses};

use super::Town;

/// The sweeps of towns, with the limits of `policy`.
pub(crate) fn all(policy: &Policy) -> Vec<Box<dyn Sweep>> {
    let overdue = Overdue {
        name: "overdue_town",
        scope: TIMED,
        for_what: &[],
        slack: Duration::ZERO,
        ask: ask_any,
        limit: policy.sweep_towns_max,
        every: policy.sweep_every,
        // A town that was asked has ticked, and is due again at the next pass.
        back_off: Duration::ZERO,
    };
    let orphaned = OrphanedTowns {
        scope: statuses::<Town>(),
        limit: policy.sweep_towns_max,
        every: policy.sweep_every,
        back_off: policy.sweep_back_off,
    };
    vec![Box::new(overdue), Box::new(orphaned)]
}

/// Every status that has a deadline.
const TIMED: Scope = &[
    ("town", "settled"),
    ("container", "starting"),
    ("container", "running"),
    ("container", "stopping"),
    ("container", "sleeping"),
    ("container", "error"),
    ("agent", "working"),
    ("agent", "stalled"),
    ("agent", "done"),
    ("agent_identity", "valid"),
    ("agent_identity", "refused"),
];

fn ask_any(row: &RowView, why: &str) -> Result<Letter, Refusal> {
    match row.id.kind() {
        Town::KIND => ask::<Town>(row, why),
        Container::KIND => ask::<Container>(row, why),
        Agent::KIND => ask::<Agent>(row, why),
        AgentIdentity::KIND => ask::<AgentIdentity>(row, why),
        kind => Err(Refusal::new(format!("{kind} is not of a town"))),
    }
}

/// From a sweep: no owner lists you; go, unless you have active work.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Unlisted {
    /// Why the sweep asks.
    pub why: String,
}

impl Message for Unlisted {
    const NAME: &'static str = "unlisted";
    type Reply = ();
}

impl Handler<Unlisted> for Town {
    /// The one half of the condition that the town knows is looked at again; the other does
    /// not change, because a link is made with a town's birth.
    fn handle(&mut self, message: Unlisted, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_from_sweeps(turn)?;
        if self.has_work(turn.now()) {
            return Err(Refusal::new(format!("it has active work: {}", message.why)));
        }
        turn.destroy(message.why, "sweep");
        Ok(())
    }
}

/// Selects towns that no owner lists and that have no active work.
struct OrphanedTowns {
    scope: Vec<(&'static str, &'static str)>,
    limit: u32,
    every: Duration,
    back_off: Duration,
}

impl Sweep for OrphanedTowns {
    fn name(&self) -> &'static str {
        "orphaned_town"
    }

    fn every(&self) -> Duration {
        self.every
    }

    fn limit(&self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }

    fn back_off(&self) -> Duration {
        self.back_off
    }

    fn scope(&self) -> &[(&'static str, &'static str)] {
        &self.scope
    }

    fn heeds_watch(&self) -> bool {
        false
    }

    fn select(&self, row: &RowView, look: &Look<'_>) -> Result<Option<String>, Error> {
        if row.record.time("active_until") > Some(look.now()) {
            return Ok(None);
        }
        let owner = row.record.row.owner.as_deref().unwrap_or_default();
        let is_listed = match ActorId::new(Owner::KIND, owner) {
            Ok(owner) => look.is_child(&owner, &row.id)?,
            Err(_) => false,
        };
        Ok((!is_listed).then(|| format!("owner {owner} does not list it")))
    }

    fn ask(&self, row: &RowView, why: &str) -> Result<Letter, Refusal> {
        let letter = Letter::new::<Town, _>(&row.id, &Unlisted { why: why.to_owned() })?;
        Ok(Letter { incarnation: Some(row.record.incarnation), ..letter })
    }
}
