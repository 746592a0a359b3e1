//! Children, debts, tombstone: the one path by which an actor goes, whoever asks.
//!
//! ```text
//! intent --> children (in pages) --> debts (released, owed until done) --> tombstone
//! ```
//!
//! Each stage *is* the committed state, so a crash anywhere resumes at the same place. The entry
//! of an actor and its tombstone lie under the same key: a name has one or the other, and what
//! is buried cannot be loaded (keeps G6 by shape).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::deadline::BackOff;
use crate::key::{ActorId, ActorRef};
use crate::time::Timestamp;

/// What lies under an actor's key: its life or its tombstone, never both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// It lives, or is being destroyed.
    Alive(Box<ActorRecord>),
    /// It was destroyed.
    Tombstone(Tombstone),
}

/// The most that anything of a life is counted to. Chosen: far more than any gets to, and far enough
/// from where numbers end that counting on never gets there.
const COUNT_MAX: u64 = u64::MAX >> 1;
/// The same of what is counted in 32 bits.
const LIVES_MAX: u32 = u32::MAX >> 1;

impl Entry {
    /// Whether a life can have come to this: a record with other numbers is damaged, whatever its
    /// checksum says, and counting on from them would come to where numbers end.
    pub(crate) fn is_possible(&self) -> bool {
        match self {
            Self::Alive(record) => {
                let counts = [record.turns, record.effects, record.events];
                counts.into_iter().all(|count| count < COUNT_MAX)
                    && record.incarnation.max(record.debts_open) < LIVES_MAX
            }
            Self::Tombstone(tombstone) => {
                tombstone.turns <= COUNT_MAX && tombstone.incarnation < LIVES_MAX
            }
        }
    }
}

/// What stays after destroy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Which life it ended.
    pub incarnation: u32,
    /// When it was born.
    pub created_at: Timestamp,
    /// When the tombstone was written.
    pub at: Timestamp,
    /// Why.
    pub why: String,
    /// Who asked.
    pub by: String,
    /// Its last status.
    pub status: String,
    /// How many turns it committed.
    pub turns: u64,
}

/// An actor as it lies in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorRecord {
    /// Which life.
    pub incarnation: u32,
    /// Whose child.
    pub parent: Option<ActorRef>,
    /// When it was born.
    pub created_at: Timestamp,
    /// When it entered its status.
    pub status_since: Timestamp,
    /// When its row changed last.
    pub changed_at: Timestamp,
    /// Turns that it committed.
    pub turns: u64,
    /// Effects that it recorded.
    pub effects: u64,
    /// Events that it recorded.
    pub events: u64,
    /// Effects that are not settled.
    pub debts_open: u32,
    /// Failed deadlines and when to try them again.
    pub back_offs: Vec<BackOff>,
    /// When its alarm rings.
    pub alarm: Option<Timestamp>,
    /// When that alarm was armed: a deadline may be in the past when the state first names it.
    pub armed_at: Timestamp,
    /// Why it makes no progress, if it is stalled.
    pub stalled: Option<String>,
    /// Its destruction, once that is committed.
    pub destruction: Option<Box<Destruction>>,
    /// The version of the state's encoding.
    pub state_version: u16,
    /// The state, as its kind encodes it.
    #[serde(with = "serde_bytes")]
    pub state: Vec<u8>,
}

/// How far a destroy has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destruction {
    /// When the intent was committed.
    pub since: Timestamp,
    /// Why.
    pub why: String,
    /// Who asked.
    pub by: String,
    /// The last child that was asked to go, in the order of keys.
    pub asked_up_to: Option<ActorId>,
    /// Children that were asked and are not gone yet; at most a page.
    pub in_flight: BTreeSet<ActorId>,
    /// Whether `on_destroy` ran, which it does once.
    pub is_released: bool,
    /// How often `on_destroy` panicked.
    pub failures: u32,
}

/// Why and by whose wish an actor goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Why.
    pub why: String,
    /// Who asked.
    pub by: String,
}
