//! The credential of an agent: issued at its birth, replaced when it is old, revoked with it.
//!
//! A tombstone says that no key of this identity is valid any more: revoking is owed until
//! whoever issued the keys confirms it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton_core::{
    Actor, ActorId, Deadlines, Handler, Handlers, Outcome, Refusal, Row, Timestamp, Turn,
};

use crate::agent::Dismiss;
use crate::due::{self, Expire};
use crate::policy::Policy;
use crate::sweeps::Bereaved;

sexton_core::lifecycle! {
    /// What a credential can be.
    pub enum IdentityStatus {
        /// A key is being issued; one before it may still be valid.
        Issuing = "issuing" [holds] => [Valid, Refused],
        /// Its newest key is valid, and no other is.
        Valid = "valid" [holds] => [Issuing],
        /// No key was issued; it is asked for again.
        Refused = "refused" [holds] => [Issuing],
    }
}

/// How long a credential may be what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityTerms {
    /// Valid, until it is replaced.
    pub valid: Duration,
    /// Refused, until it is asked for again.
    pub retry: Duration,
}

impl IdentityTerms {
    /// The terms of a policy.
    pub fn of(policy: &Policy) -> Self {
        Self { valid: policy.credential_ttl, retry: policy.credential_retry }
    }
}

/// What an identity begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityInit {
    /// Whose it is.
    pub owner: String,
    /// The agent that it is for.
    pub agent: ActorId,
    /// How long it may be what.
    pub terms: IdentityTerms,
}

/// Work for whoever issues keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdentityEffect {
    /// Issue this key of this identity; one that exists is done.
    Issue {
        /// Its number.
        key: u64,
    },
    /// Revoke every key of this identity up to this one. No such key is done.
    Revoke {
        /// The number of the last.
        up_to: u64,
    },
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdentityAnswer {
    /// The key is valid.
    Issued,
    /// None of the keys is.
    Revoked,
}

/// What an identity's deadlines mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdentityDue {
    /// Its key is old.
    Replace,
    /// It was refused a while ago.
    Retry,
}

impl IdentityDue {
    fn name(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Retry => "retry",
        }
    }
}

/// The credential of an agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentIdentity {
    init: IdentityInit,
    status: IdentityStatus,
    /// When it entered its status.
    since: Timestamp,
    /// The newest key that was asked for.
    key: u64,
}

impl AgentIdentity {
    fn enter(&mut self, status: IdentityStatus, now: Timestamp) {
        (self.status, self.since) = (status, now);
    }

    fn dues(&self) -> Vec<(Timestamp, IdentityDue)> {
        let terms = self.init.terms;
        match self.status {
            IdentityStatus::Issuing => Vec::new(),
            IdentityStatus::Valid => vec![(self.since + terms.valid, IdentityDue::Replace)],
            IdentityStatus::Refused => vec![(self.since + terms.retry, IdentityDue::Retry)],
        }
    }

    fn act(&mut self, due: IdentityDue, turn: &mut Turn<Self>) {
        match due {
            IdentityDue::Replace | IdentityDue::Retry => {
                self.key += 1;
                self.enter(IdentityStatus::Issuing, turn.now());
                turn.effect(&IdentityEffect::Issue { key: self.key });
            }
        }
    }
}

impl Actor for AgentIdentity {
    const KIND: &'static str = "agent_identity";
    type Init = IdentityInit;
    type Status = IdentityStatus;
    type Deadline = IdentityDue;
    type Effect = IdentityEffect;
    type Answer = IdentityAnswer;

    fn create(init: Self::Init, turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        turn.effect(&IdentityEffect::Issue { key: 1 });
        Ok(Self { init, status: IdentityStatus::Issuing, since: turn.now(), key: 1 })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Dismiss>().message::<Expire>().message::<Bereaved>();
    }

    fn status(&self) -> Self::Status {
        self.status
    }

    fn row(&self) -> Row {
        let row = Row::owned_by(&self.init.owner).text("agent", self.init.agent.name());
        let next = due::earliest(&self.dues());
        due::shown(row, next.map(|(at, due)| (at, due.name())))
    }

    fn deadlines(&self, due: &mut Deadlines<Self::Deadline>) {
        for (at, what) in self.dues() {
            due.at(at, what);
        }
    }

    fn on_deadline(&mut self, due: Self::Deadline, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.act(due, turn);
        Ok(())
    }

    fn on_outcome(
        &mut self,
        effect: &Self::Effect,
        outcome: Outcome<Self::Answer>,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        match (effect, outcome) {
            (IdentityEffect::Issue { key }, Outcome::Done(_)) => {
                self.enter(IdentityStatus::Valid, turn.now());
                if *key > 1 {
                    turn.effect(&IdentityEffect::Revoke { up_to: key - 1 });
                }
            }
            (IdentityEffect::Issue { .. }, Outcome::Failed(failure)) => {
                self.enter(IdentityStatus::Refused, turn.now());
                turn.event("failed", format!("failed: {}", failure.class));
            }
            (IdentityEffect::Revoke { .. }, Outcome::Done(_)) => {}
            (IdentityEffect::Revoke { up_to }, Outcome::Failed(failure)) => {
                turn.event("failed", format!("keys up to {up_to} stay: {}", failure.class));
            }
        }
        Ok(())
    }

    fn on_destroy(&mut self, turn: &mut Turn<Self>) {
        turn.effect(&IdentityEffect::Revoke { up_to: self.key });
    }
}

impl Handler<Dismiss> for AgentIdentity {
    /// A credential goes at once: whoever is off the list may do nothing more.
    fn handle(&mut self, message: Dismiss, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if turn.from() != turn.parent() {
            return Err(Refusal::new("only its town dismisses an agent"));
        }
        turn.destroy(message.why, "town");
        Ok(())
    }
}

impl Handler<Expire> for AgentIdentity {
    fn handle(&mut self, message: Expire, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let Some(due) = due::overdue(&self.dues(), turn.now()) else {
            return Err(Refusal::new(format!("nothing is due: {}", message.why)));
        };
        self.act(due, turn);
        Ok(())
    }
}
