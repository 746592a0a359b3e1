//! The live actors: found by name, and forgotten in the order in which they were used.

use std::hash::{BuildHasherDefault, DefaultHasher};

use lru::LruCache;

use super::slot::Slot;
use crate::key::ActorId;
use crate::time::Timestamp;

/// Finds actors by a hash with fixed keys: the same on every machine. Nothing is ever walked in the
/// order of hashes.
type Hashed = BuildHasherDefault<DefaultHasher>;

/// What an engine has in memory of its actors.
///
/// A turn takes its actor out and puts it back. Its place stays meanwhile, so that this costs two
/// looks and no memory is asked for or given back.
pub(super) struct LiveActors {
    /// The least recently used leaves first; `None` is the place of the one that is out.
    actors: LruCache<ActorId, Option<Box<Slot>>, Hashed>,
    /// Whose turn it is. One that does not come back was buried, or could not be read.
    out: Option<ActorId>,
}

impl LiveActors {
    pub(super) fn new() -> Self {
        Self { actors: LruCache::unbounded_with_hasher(Hashed::default()), out: None }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.actors.len() - usize::from(self.out.is_some())
    }

    /// Takes an actor out for a turn.
    pub(super) fn take(&mut self, id: &ActorId) -> Option<Box<Slot>> {
        self.forget_missing();
        let slot = self.actors.get_mut(id)?.take()?;
        self.out = Some(slot.id.clone());
        Some(slot)
    }

    /// Puts an actor in, or back; above `max` the least recently used leave.
    pub(super) fn put(&mut self, slot: Box<Slot>, max: usize) {
        if self.out.as_ref() == Some(&slot.id)
            && let Some(place) = self.actors.peek_mut(&slot.id)
        {
            *place = Some(slot);
            self.out = None;
            return;
        }
        self.forget_missing();
        self.actors.put(slot.id.clone(), Some(slot));
        while self.actors.len() > max.max(1) {
            self.actors.pop_lru();
        }
    }

    /// Lets those go that had no turn since `before`.
    pub(super) fn evict_idle(&mut self, before: Timestamp) {
        self.forget_missing();
        let is_idle = |slot: &Option<Box<Slot>>| slot.as_ref().is_none_or(|it| it.used_at < before);
        while self.actors.peek_lru().is_some_and(|(_, slot)| is_idle(slot)) {
            self.actors.pop_lru();
        }
    }

    /// Gives up the place of one that did not come back.
    fn forget_missing(&mut self) {
        if let Some(id) = self.out.take() {
            self.actors.pop(&id);
        }
    }
}
