//! Exactly once: mail that lies in its receiver's inbox until the turn that takes it commits.
//!
//! A mail is put into the inbox in the sender's commit and taken out in the receiver's, so it
//! needs no table of what was seen before. A send to a name without a life becomes a dead
//! letter, never a new actor.

use serde::{Deserialize, Serialize};

use crate::key::{ActorId, ActorRef};

/// What lies in an inbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// Who sent it; `None` for what came from outside.
    pub from: Option<ActorRef>,
    /// The life of the receiver that it is meant for; `None` is whichever lives.
    pub incarnation: Option<u32>,
    /// What it says.
    pub body: Body,
}

/// What a mail says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// A message of the receiver's kind.
    Message {
        /// Its name.
        name: String,
        /// Its content, encoded.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
    /// Be born as the sender's child.
    Create {
        /// What to begin with, encoded.
        #[serde(with = "serde_bytes")]
        init: Vec<u8>,
    },
    /// Be destroyed, because the sender, your parent, is.
    Destroy {
        /// Why.
        why: String,
        /// Who asked first.
        by: String,
    },
    /// From an actor to itself: go on with your destruction.
    Advance,
    /// From a child to its parent: it is gone, or was never born.
    Gone {
        /// The child.
        child: ActorId,
        /// How it ended.
        end: Gone,
    },
}

/// How a child left its parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gone {
    /// It has its tombstone.
    Destroyed {
        /// Why it was destroyed.
        why: String,
    },
    /// It was never born: its name was taken, or it refused its beginning.
    Unborn {
        /// Why.
        why: String,
        /// The name is that of a living child of the same parent: the link stays.
        is_yours: bool,
    },
}

impl Body {
    /// What a mail is called in events and traces.
    pub fn name(&self) -> &str {
        match self {
            Self::Message { name, .. } => name,
            Self::Create { .. } => "create",
            Self::Destroy { .. } => "destroy",
            Self::Advance => "advance",
            Self::Gone { .. } => "gone",
        }
    }
}
