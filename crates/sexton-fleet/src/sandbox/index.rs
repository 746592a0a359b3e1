//! A follower of sandboxes: what the edge knows of them, read off their events alone.
//!
//! Events may come out of order and more than once. Every field is the join of what was seen, so
//! the same events give the same index in whatever order they come: of two statuses the one with
//! the higher event number holds, but a terminal one is never left.

use std::collections::BTreeMap;

use sexton_core::{Actor, ActorId, Event, Status, What};

use super::{Interval, Sandbox, SandboxStatus, SandboxStopped};

/// What was seen of one sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The life that it is of.
    pub incarnation: u32,
    /// Its status, once an event said one, and the number of that event.
    pub status: Option<(u64, SandboxStatus)>,
    /// What it said at its end, and the number of that event.
    pub stopped: Option<(u64, SandboxStopped)>,
    /// Milliseconds of its closed intervals.
    pub billed_ms: u64,
}

impl Seen {
    /// Whether it may still be billed.
    pub fn is_billed(&self) -> bool {
        self.stopped.is_none() && self.status.is_some_and(|(_, status)| status.is_billable())
    }

    /// A terminal status is never left, and the first one is the one that counts.
    fn see_status(&mut self, number: u64, status: SandboxStatus) {
        let is_newer = match self.status {
            None => true,
            Some((seen, was)) => match (was.is_terminal(), status.is_terminal()) {
                (false, false) => number > seen,
                (true, true) => number < seen,
                (was, is) => is && !was,
            },
        };
        if is_newer {
            self.status = Some((number, status));
        }
    }

    fn see_stopped(&mut self, number: u64, stopped: SandboxStopped) {
        if self.stopped.as_ref().is_none_or(|(seen, _)| number < *seen) {
            self.stopped = Some((number, stopped));
        }
    }
}

/// Every sandbox of which an event was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxIndex {
    seen: BTreeMap<ActorId, Seen>,
}

impl SandboxIndex {
    /// Nothing was seen.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an event. One of another kind, of an earlier life, or that says nothing new changes
    /// nothing.
    ///
    /// # Example
    ///
    /// ```
    /// use sexton_core::{ActorId, Event, Timestamp, What};
    /// use sexton_fleet::{SandboxIndex, SandboxStatus};
    ///
    /// let sandbox = ActorId::new("sandbox", "s").expect("an id");
    /// let event = |number, from: &str, to: &str| Event {
    ///     actor: sandbox.clone(),
    ///     incarnation: 1,
    ///     number,
    ///     at: Timestamp::ZERO,
    ///     what: What::Transition { from: from.into(), to: to.into(), cause: "test".into() },
    /// };
    /// let mut index = SandboxIndex::new();
    /// index.apply(&event(7, "running", "stopped"));
    /// index.apply(&event(5, "pending", "running"));
    /// index.apply(&event(9, "stopped", "running"));
    /// let status = index.get(&sandbox).and_then(|seen| seen.status);
    /// assert_eq!(status, Some((7, SandboxStatus::Stopped)));
    /// ```
    pub fn apply(&mut self, event: &Event) {
        // A dead letter is of no life, and says nothing of one.
        if event.actor.kind() != Sandbox::KIND || event.incarnation == 0 {
            return;
        }
        let seen = self.seen.entry(event.actor.clone()).or_default();
        if event.incarnation < seen.incarnation {
            return;
        }
        if event.incarnation > seen.incarnation {
            *seen = Seen { incarnation: event.incarnation, ..Seen::default() };
        }
        match &event.what {
            What::Created { status, .. } | What::Transition { to: status, .. } => {
                if let Some(status) = named(status) {
                    seen.see_status(event.number, status);
                }
            }
            What::Fact { name, text } if name == "stopped" => {
                if let Ok(stopped) = serde_json::from_str(text) {
                    seen.see_stopped(event.number, stopped);
                }
            }
            What::Fact { name, text } if name == "interval" => {
                if let Ok(Interval { total_ms, .. }) = serde_json::from_str(text) {
                    seen.billed_ms = seen.billed_ms.max(total_ms);
                }
            }
            What::Destroying { .. }
            | What::Destroyed { .. }
            | What::Stalled { .. }
            | What::DeadLetter { .. }
            | What::Abandoned { .. }
            | What::Fact { .. } => {}
        }
    }

    /// What was seen of a sandbox.
    pub fn get(&self, sandbox: &ActorId) -> Option<&Seen> {
        self.seen.get(sandbox)
    }

    /// Every sandbox of which an event was seen, in order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&ActorId, &Seen)> {
        self.seen.iter()
    }
}

fn named(name: &str) -> Option<SandboxStatus> {
    SandboxStatus::ALL.iter().copied().find(|status| status.name() == name)
}
