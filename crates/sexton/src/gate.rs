//! The output gate: what a turn gives away leaves when a flush has covered the turn.
//!
//! Keeps G2: the next turn may run on the new state at once, but nothing that depends on it is
//! said before it is durable. What waits is kept in the order of its gates, and what has the same
//! gate in the order of its turns.
//!
//! Public for those who drive engines themselves, as the simulator does.

use std::collections::VecDeque;
use std::fmt;

use sexton_core::{Event, Release};

/// What waits for a flush.
#[derive(Default)]
pub struct Gate {
    waiting: VecDeque<Outgoing>,
    durable: u64,
}

/// What one turn gives away.
pub struct Outgoing {
    /// It may leave once the turns up to this order are durable.
    pub gate: u64,
    /// Answers.
    pub releases: Vec<Release>,
    /// Events, in this order.
    pub events: Vec<Event>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (waiting, durable) = (self.waiting.len(), self.durable);
        write!(f, "Gate {{ waiting: {waiting}, durable: {durable} }}")
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("gate", &self.gate).finish_non_exhaustive()
    }
}

impl Gate {
    /// A gate that everything up to `durable` has passed.
    pub fn new(durable: u64) -> Self {
        Self { waiting: VecDeque::new(), durable }
    }

    /// Lets something wait; gives it back if it may leave at once.
    pub fn hold(&mut self, outgoing: Outgoing) -> Option<Outgoing> {
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
    pub fn open(&mut self, order: u64) {
        self.durable = self.durable.max(order);
    }

    /// The next that may leave.
    pub fn take(&mut self) -> Option<Outgoing> {
        let is_open = self.waiting.front().is_some_and(|first| first.gate <= self.durable);
        if is_open { self.waiting.pop_front() } else { None }
    }

    /// The order of the last turn that a flush covered.
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// How many turns wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
