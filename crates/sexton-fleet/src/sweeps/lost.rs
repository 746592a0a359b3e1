//! Actors that outlived their parent: the runtime makes none, and this pass would find them.
//!
//! A parent's tombstone is written when its last child is gone, in one commit with the last
//! link; so a child of a buried parent can only come from outside: a store that was mended by
//! hand, or restored in parts. It holds what a living one holds, so it is asked to go.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton_core::sweep::{Look, Sweep};
use sexton_core::{
    Actor, ActorRef, Entry, Error, Handler, Letter, Message, Refusal, RowView, Turn,
};

use crate::agent::Agent;
use crate::container::Container;
use crate::credit::CreditAccount;
use crate::identity::AgentIdentity;
use crate::node::{Node, NodeClass};
use crate::policy::Policy;
use crate::sandbox::Sandbox;
use crate::senders::{only_from_sweeps, only_if};
use crate::session::Session;
use crate::task::TaskRunner;
use crate::town::Town;
use crate::workspace::Workspace;

use super::statuses;

/// From a sweep: your parent has its tombstone; follow it.
///
/// What the receiver can check in its own turn is that this is its parent. That the parent is
/// buried cannot have become untrue: a life that has ended is over for ever.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bereaved {
    /// The life of the parent that is over.
    pub parent: ActorRef,
}

impl Message for Bereaved {
    const NAME: &'static str = "bereaved";
    type Reply = ();
}

type Ask = fn(&RowView, &Bereaved) -> Result<Letter, Refusal>;

fn ask<A: Handler<Bereaved>>(row: &RowView, message: &Bereaved) -> Result<Letter, Refusal> {
    let letter = Letter::new::<A, _>(&row.id, message)?;
    Ok(Letter { incarnation: Some(row.record.incarnation), ..letter })
}

/// Whether it goes with its parent.
trait Follower {
    fn may_follow(&self) -> bool {
        true
    }
}

impl Follower for Node {
    /// A user's own machine is given up by him alone.
    fn may_follow(&self) -> bool {
        self.is_ours()
    }
}

macro_rules! followers {
    ($($kind:ty),* $(,)?) => {
        $(
            impl Handler<Bereaved> for $kind {
                fn handle(
                    &mut self,
                    message: Bereaved,
                    turn: &mut Turn<Self>,
                ) -> Result<(), Refusal> {
                    only_from_sweeps(turn)?;
                    only_if(self.may_follow())?;
                    if turn.parent() != Some(&message.parent) {
                        return Err(Refusal::new(format!("{} is not its parent", message.parent)));
                    }
                    turn.destroy(format!("{} is gone", message.parent), "sweep");
                    Ok(())
                }
            }
        )*

        /// The kinds that have parents: their rows, and how to ask them.
        fn kinds() -> (Vec<(&'static str, &'static str)>, Vec<(&'static str, Ask)>) {
            let scope = [$( statuses::<$kind>() ),*].concat();
            let asks: Vec<(&'static str, Ask)> = vec![$( (<$kind>::KIND, ask::<$kind>) ),*];
            (scope, asks)
        }
    };
}

followers!(
    Node,
    Workspace,
    Session,
    TaskRunner,
    Town,
    Container,
    Agent,
    AgentIdentity,
    Sandbox,
    CreditAccount,
);

impl Follower for Workspace {}
impl Follower for Session {}
impl Follower for TaskRunner {}
impl Follower for Town {}
impl Follower for Container {}
impl Follower for Agent {}
impl Follower for AgentIdentity {}
impl Follower for Sandbox {}
impl Follower for CreditAccount {}

/// Selects living actors whose parent's life is over.
pub(super) struct LostActors {
    scope: Vec<(&'static str, &'static str)>,
    asks: Vec<(&'static str, Ask)>,
    limit: u32,
    every: Duration,
    back_off: Duration,
}

impl LostActors {
    pub(super) fn of(policy: &Policy) -> Self {
        let (scope, asks) = kinds();
        Self {
            scope,
            asks,
            limit: policy.sweep_lost_max,
            every: policy.sweep_lost_every,
            back_off: policy.sweep_back_off,
        }
    }
}

impl Sweep for LostActors {
    fn name(&self) -> &'static str {
        "lost_actor"
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
        let Some(parent) = &row.record.parent else { return Ok(None) };
        if row.record.text("class") == Some(NodeClass::UserOwned.name()) {
            return Ok(None);
        }
        // Keeps G12: that nothing is known of a parent is not taken for its end.
        let is_over = match look.entry(&parent.id)? {
            Some(Entry::Tombstone(tombstone)) => tombstone.incarnation >= parent.incarnation,
            Some(Entry::Alive(record)) => record.incarnation > parent.incarnation,
            None => false,
        };
        Ok(is_over.then(|| format!("{parent} is gone")))
    }

    fn ask(&self, row: &RowView, _why: &str) -> Result<Letter, Refusal> {
        let parent = row.record.parent.clone().ok_or_else(|| Refusal::new("it has no parent"))?;
        let ask = self.asks.iter().find(|(kind, _)| *kind == row.id.kind()).map(|(_, ask)| ask);
        let Some(ask) = ask else {
            return Err(Refusal::new(format!("nobody knows how to ask {}", row.id)));
        };
        ask(row, &Bereaved { parent })
    }
}
