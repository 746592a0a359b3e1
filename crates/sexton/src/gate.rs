//! The output gate: what a turn gives away leaves when a flush has covered the turn.
//!
//! Keeps G2: the next turn may run on the new state at once, but nothing that depends on it is
//! said before it is durable. What waits is kept in the order of its gates, and what has the same
//! gate in the order of its turns.

use std::collections::VecDeque;

use sexton_core::{Event, Release};

/// What waits for a flush.
#[derive(Default)]
pub(crate) struct Gate {
    waiting: VecDeque<Outgoing>,
    durable: u64,
}

/// What one turn gives away.
pub(crate) struct Outgoing {
    pub(crate) gate: u64,
    pub(crate) releases: Vec<Release>,
    pub(crate) events: Vec<Event>,
}

impl Gate {
    /// A gate that everything up to `durable` has passed.
    pub(crate) fn new(durable: u64) -> Self {
        Self { waiting: VecDeque::new(), durable }
    }

    /// Lets something wait; gives it back if it may leave at once.
    pub(crate) fn hold(&mut self, outgoing: Outgoing) -> Option<Outgoing> {
        if outgoing.releases.is_empty() && outgoing.events.is_empty() {
            return None;
        }
        if outgoing.gate <= self.durable {
            return Some(outgoing);
        }
        let is_last = self.waiting.back().is_none_or(|last| last.gate <= outgoing.gate);
        if is_last {
            self.waiting.push_back(outgoing);
        } else {
            let place = self.waiting.partition_point(|other| other.gate <= outgoing.gate);
            self.waiting.insert(place, outgoing);
        }
        None
    }

    /// Says that a flush covered all turns up to `order`.
    pub(crate) fn open(&mut self, order: u64) {
        self.durable = self.durable.max(order);
    }

    /// The next that may leave.
    pub(crate) fn next(&mut self) -> Option<Outgoing> {
        let is_open = self.waiting.front().is_some_and(|first| first.gate <= self.durable);
        if is_open { self.waiting.pop_front() } else { None }
    }

    /// The order of the last turn that a flush covered.
    pub(crate) fn durable(&self) -> u64 {
        self.durable
    }

    /// How many turns wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}
