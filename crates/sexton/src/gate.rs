//! The output gate: what a turn gives away leaves when a flush has covered the turn.
//!
//! Keeps G2: the next turn may run on the new state at once, but nothing that depends on it is
//! said before it is durable. What waits is kept in the order of its gates, and what has the same
//! gate in the order of its turns.
//!
//! A gate is opened by whoever flushed: a few answers leave in his thread, so that a caller who is
//! nearly alone does not wait for the shard's thread as well. Events, and answers beyond a few,
//! leave in the shard's. One of the two lets out at a time, and neither has the gate locked
//! meanwhile: whoever is told may do what he likes.
//!
//! Public for those who drive engines themselves, as the simulator does.

use std::collections::VecDeque;
use std::fmt;

use sexton_core::{Event, Release};

/// The most turns whose answers leave in the thread that flushed. Chosen: some microseconds, which
/// the next flush waits for.
const FEW: usize = 8;

/// What waits for a flush.
#[derive(Default)]
pub struct Gate {
    waiting: VecDeque<Outgoing>,
    durable: u64,
    porter: Porter,
}

/// Who has taken something out that may not have left yet: nothing later leaves meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Porter {
    #[default]
    Nobody,
    Shard,
    Flusher,
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
        Self { durable, ..Self::default() }
    }

    /// Lets something wait; gives it back if it may leave at once.
    pub fn hold(&mut self, outgoing: Outgoing) -> Option<Outgoing> {
        if outgoing.releases.is_empty() && outgoing.events.is_empty() {
            return None;
        }
        // Not before what may leave and has not yet.
        let is_free = self.porter == Porter::Nobody && self.next().is_none();
        if outgoing.gate <= self.durable && is_free {
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

    /// Says that a flush covered all turns up to `order`, and gives the answers that leave in the
    /// thread that flushed, if they are few. When they have left it must [`rest`](Self::rest).
    pub fn open(&mut self, order: u64) -> Vec<Release> {
        self.durable = self.durable.max(order);
        let mut answers = Vec::new();
        let is_few = self.waiting.get(FEW).is_none_or(|next| next.gate > self.durable);
        if !is_few || self.porter != Porter::Nobody {
            return answers;
        }
        while self.next().is_some_and(|first| first.events.is_empty()) {
            answers.extend(self.waiting.pop_front().into_iter().flat_map(|first| first.releases));
            self.porter = Porter::Flusher;
        }
        answers
    }

    /// Says that what the flush let out has left. Whether the shard's thread has to let out more.
    pub fn rest(&mut self) -> bool {
        if self.porter == Porter::Flusher {
            self.porter = Porter::Nobody;
        }
        self.next().is_some()
    }

    /// The next that may leave in the shard's thread, which asks until there is none.
    pub fn take(&mut self) -> Option<Outgoing> {
        if self.porter == Porter::Flusher {
            return None;
        }
        let is_any = self.next().is_some();
        self.porter = if is_any { Porter::Shard } else { Porter::Nobody };
        if is_any { self.waiting.pop_front() } else { None }
    }

    fn next(&self) -> Option<&Outgoing> {
        self.waiting.front().filter(|first| first.gate <= self.durable)
    }

    /// Whether all that turns up to `order` gave away has left.
    pub fn has_passed(&self, order: u64) -> bool {
        order <= self.durable && self.waiting.is_empty() && self.porter == Porter::Nobody
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use sexton_core::{ActorId, Timestamp, What};

    use super::*;

    /// The orders of the turns whose answers have left.
    type Left = Arc<Mutex<Vec<u64>>>;

    fn outgoing(gate: u64, left: &Left) -> Outgoing {
        let left = Arc::clone(left);
        let answer = Release::new(move || left.lock().expect("no panic").push(gate));
        Outgoing { gate, releases: vec![answer], events: Vec::new() }
    }

    fn with_event(gate: u64, left: &Left) -> Outgoing {
        let actor = ActorId::new("node", "n").expect("an id");
        let what = What::Fact { name: "up".to_owned(), text: String::new() };
        let event = Event { actor, incarnation: 1, number: 1, at: Timestamp::ZERO, what };
        Outgoing { events: vec![event], ..outgoing(gate, left) }
    }

    fn left(left: &Left) -> Vec<u64> {
        left.lock().expect("no panic").clone()
    }

    fn open(gate: &mut Gate, order: u64) -> bool {
        gate.open(order).into_iter().for_each(Release::leave);
        gate.rest()
    }

    fn take_all(gate: &mut Gate) -> Vec<u64> {
        std::iter::from_fn(|| gate.take()).map(|it| it.gate).collect()
    }

    #[test]
    fn a_few_answers_leave_when_it_opens_and_later_ones_wait() {
        let (mut gate, seen) = (Gate::new(0), Left::default());
        for order in [1, 2, 3] {
            assert!(gate.hold(outgoing(order, &seen)).is_none());
        }
        assert!(!open(&mut gate, 2));
        assert_eq!(left(&seen), [1, 2]);
        assert!(!gate.has_passed(2) && gate.len() == 1);
        assert!(!open(&mut gate, 3) && gate.has_passed(3));
    }

    /// Seen to fail where answers leave however many there are.
    #[test]
    fn many_answers_are_left_to_the_thread_of_the_shard() {
        let (mut gate, seen) = (Gate::new(0), Left::default());
        let many = u64::try_from(FEW).expect("few") + 1;
        (1..=many).for_each(|order| drop(gate.hold(outgoing(order, &seen))));
        assert!(open(&mut gate, many));
        assert_eq!(left(&seen), [0; 0]);
        assert_eq!(take_all(&mut gate), (1..=many).collect::<Vec<_>>());
    }

    /// Seen to fail where an event does not stop what is behind it, and where what comes later and
    /// is durable overtakes what is there.
    #[test]
    fn nothing_overtakes_an_event_that_waits() {
        let (mut gate, seen) = (Gate::new(0), Left::default());
        assert!(gate.hold(with_event(1, &seen)).is_none());
        assert!(gate.hold(outgoing(2, &seen)).is_none());
        assert!(open(&mut gate, 3));
        assert_eq!(left(&seen), [0; 0]);
        assert!(gate.hold(outgoing(3, &seen)).is_none());
        assert_eq!(take_all(&mut gate), [1, 2, 3]);
        assert!(gate.hold(outgoing(3, &seen)).is_some());
    }

    /// Seen to fail where `open` does not ask whether the shard's thread is letting out.
    #[test]
    fn nothing_overtakes_an_event_that_the_thread_of_the_shard_has_taken() {
        let (mut gate, seen) = (Gate::new(0), Left::default());
        assert!(gate.hold(with_event(1, &seen)).is_none());
        assert!(gate.hold(outgoing(2, &seen)).is_none());
        assert!(open(&mut gate, 1));
        let taken = gate.take().expect("the event may leave");
        assert!(open(&mut gate, 2) && left(&seen).is_empty());
        assert!(gate.hold(outgoing(2, &seen)).is_none());
        assert!(!gate.has_passed(2) && taken.gate == 1);
        assert_eq!(take_all(&mut gate), [2, 2]);
        assert!(gate.has_passed(2));
    }

    /// Seen to fail where `take` or `hold` does not ask whether the flush is letting out.
    #[test]
    fn nothing_overtakes_an_answer_that_the_flush_lets_out() {
        let (mut gate, seen) = (Gate::new(0), Left::default());
        assert!(gate.hold(outgoing(1, &seen)).is_none());
        let leaving = gate.open(1);
        assert!(gate.hold(with_event(1, &seen)).is_none());
        assert!(gate.take().is_none() && !gate.has_passed(1));
        leaving.into_iter().for_each(Release::leave);
        assert!(gate.rest() && left(&seen) == [1]);
        assert_eq!(take_all(&mut gate), [1]);
        assert!(gate.has_passed(1));
    }
}
