//! What happened: facts recorded in a turn, published after its commit, in order per actor.

use serde::{Deserialize, Serialize};

use crate::key::{ActorId, ActorRef};
use crate::time::Timestamp;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Whom it is about.
    pub actor: ActorId,
    /// Which life of that actor; 0 for a name that has no life.
    pub incarnation: u32,
    /// The event among those of this life: 1 for the first, no gaps; 0 for a dead letter.
    pub number: u64,
    /// When the turn ran.
    pub at: Timestamp,
    /// What happened.
    pub what: What,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// The actor was born, with this status.
    Created {
        /// Its first status.
        status: String,
        /// Whose child it is.
        parent: Option<ActorRef>,
    },
    /// Its status changed: published exactly once, in the commit of the change.
    Transition {
        /// The status before.
        from: String,
        /// The status after.
        to: String,
        /// What the turn was: a message's name, a deadline, an outcome.
        cause: String,
    },
    /// Its destruction was committed.
    Destroying {
        /// Why.
        why: String,
        /// Who asked.
        by: String,
    },
    /// It has its tombstone.
    Destroyed {
        /// Why.
        why: String,
        /// Who asked.
        by: String,
        /// Its last status.
        status: String,
    },
    /// It failed so often in a row that somebody should look.
    Stalled {
        /// What failed, and how.
        why: String,
    },
    /// A mail found nobody who would take it.
    DeadLetter {
        /// The sender.
        from: Option<ActorRef>,
        /// The message's name.
        message: String,
        /// Why nobody took it.
        why: String,
    },
    /// An operator gave up a debt by name.
    Abandoned {
        /// The debt's number.
        number: u64,
        /// Who gave it up.
        by: String,
        /// Why.
        why: String,
    },
    /// A fact of the actor's own.
    Fact {
        /// Its name.
        name: String,
        /// What it says, in the actor's own words.
        text: String,
    },
}
