//! All that a turn writes: one batch, committed whole or not at all.

use serde::{Deserialize, Serialize};

use crate::key::{Key, Shard};
use crate::time::Timestamp;

/// One change of a store: a record put under a key, or what lies there taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// Where.
    pub key: Key,
    /// The record, or `None` to take it away.
    pub value: Option<Vec<u8>>,
}

/// The place of a commit among the commits of its shard: 1 for the first, no gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(pub u64);

/// Which owner of a shard writes: a number that grows by one with each new owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// Everything that one turn changes, with what fences it.
///
/// Beside records of its own shard a batch may hold two kinds of records of another: mail put
/// into an inbox, and the link of a child taken out when the child is buried. Neither can
/// conflict with what the other shard's owner writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The shard whose actor had the turn.
    pub shard: Shard,
    /// The owner's epoch; a store refuses an older one.
    pub epoch: Epoch,
    /// The sequence that the shard has before this batch; a store refuses any other.
    ///
    /// The epoch alone does not fence: a statement that its client gave up on still carries
    /// the right epoch.
    pub expected: Sequence,
    /// When the turn ran. The latest of a store tells a recovering engine what time it was.
    pub at: Timestamp,
    /// The turn among the turns of its engine; grows, also over restarts.
    pub order: u64,
    /// The changes, in order; a later write to a key wins.
    pub writes: Vec<Write>,
    /// What happened, in order: sealed events, which the store numbers and puts into its log in
    /// the same commit.
    pub events: Vec<Vec<u8>>,
}
