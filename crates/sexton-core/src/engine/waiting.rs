//! Mail that waits for its turn: in its order, and whether an actor has any.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::key::{ActorId, MailOrder};

/// Counters of waiting mail. Chosen: more than there are children in flight for most engines, and 16 KiB.
const COUNTERS: u64 = 4_096;

/// What lies in the inboxes of an engine's actors and was not taken yet.
#[derive(Debug)]
pub(super) struct Waiting {
    by_place: BTreeMap<MailOrder, ActorId>,
    /// How many mails wait for the actors whose names share a counter: where it is zero, no inbox has
    /// to be looked into. Hashed with fixed keys, so that it says the same on every machine.
    counts: Vec<u32>,
}

impl Waiting {
    pub(super) fn new() -> Self {
        Self { by_place: BTreeMap::new(), counts: vec![0; usize::try_from(COUNTERS).unwrap_or(1)] }
    }

    pub(super) fn len(&self) -> usize {
        self.by_place.len()
    }

    /// The oldest.
    pub(super) fn first(&self) -> Option<(MailOrder, &ActorId)> {
        self.by_place.first_key_value().map(|(place, to)| (*place, to))
    }

    /// Announced twice it waits once.
    pub(super) fn insert(&mut self, place: MailOrder, to: ActorId) {
        let counter = counter(&to);
        if self.by_place.insert(place, to).is_none() {
            self.counts[counter] += 1;
        }
    }

    pub(super) fn remove(&mut self, place: MailOrder) {
        if let Some(to) = self.by_place.remove(&place) {
            self.counts[counter(&to)] -= 1;
        }
    }

    /// Whether mail may wait for an actor; `false` is certain.
    pub(super) fn may_have(&self, to: &ActorId) -> bool {
        self.counts[counter(to)] > 0
    }
}

fn counter(to: &ActorId) -> usize {
    let mut hasher = DefaultHasher::new();
    to.hash(&mut hasher);
    usize::try_from(hasher.finish() % COUNTERS).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Shard;
    use crate::time::Timestamp;

    fn place(index: u32) -> MailOrder {
        MailOrder { at: Timestamp::ZERO, order: 1, from: Shard::try_from(0).unwrap(), index }
    }

    #[test]
    fn it_knows_for_whom_mail_waits() {
        let to = ActorId::new("node", "n").unwrap();
        let mut waiting = Waiting::new();
        assert!(!waiting.may_have(&to));
        waiting.insert(place(1), to.clone());
        waiting.insert(place(1), to.clone());
        waiting.insert(place(2), to.clone());
        waiting.remove(place(1));
        assert!(waiting.may_have(&to));
        waiting.remove(place(2));
        // Seen to fail when mail that is announced twice was counted twice.
        assert!(!waiting.may_have(&to));
        waiting.remove(place(2));
        assert_eq!((waiting.len(), waiting.first()), (0, None));
    }
}
