//! Debts: work in the outside world, recorded in a turn, owed until it answers.

use serde::{Deserialize, Serialize};

use crate::key::ActorRef;
use crate::time::Timestamp;

/// The name of an effect, the same over all retries: performers hand it to the provider as the
/// idempotency token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EffectId {
    /// Who owes it.
    pub actor: ActorRef,
    /// The effect among those of this life of the actor: 1 for the first.
    pub number: u64,
}

impl std::fmt::Display for EffectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.actor, self.number)
    }
}

/// How an effect ended, as its actor is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It is done, or there was nothing left to do.
    Done(T),
    /// It can never be done; the reason is for good.
    Failed(Failure),
}

/// A failure that no retry mends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its class, typed by whoever raised it and never guessed from text.
    pub class: String,
    /// What happened, for people.
    pub message: String,
}

/// What a performer says of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done; the bytes are the encoded answer.
    Done(Vec<u8>),
    /// It may work later: tried again with back-off, for ever, also after a restart.
    Transient(Failure),
    /// It will not work: goes back to the actor, unless the effect releases what a destroyed
    /// actor holds. Such a debt stays, and shows.
    Permanent(Failure),
}

/// An effect that is due, handed to a performer after the turn that recorded it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// Its name.
    pub id: EffectId,
    /// What to do, as the actor's kind encodes it.
    pub effect: Vec<u8>,
    /// Attempts that failed before this one.
    pub failures: u32,
    /// When the turn ran that recorded it.
    pub recorded_at: Timestamp,
}

/// An effect that is not settled, as it lies in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debt {
    /// What to do, as the actor's kind encodes it.
    #[serde(with = "serde_bytes")]
    pub effect: Vec<u8>,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The order of the turn that recorded it.
    pub order: u64,
    /// Attempts that failed.
    pub failures: u32,
    /// Not tried before this.
    pub next_at: Timestamp,
    /// What the last failure said.
    pub why: Option<Failure>,
    /// Whether it releases what a destroyed actor holds: then nothing but done settles it.
    pub is_release: bool,
}
