//! What a run counts, and what its verdict needs: resurrections, peaks, stalled actors.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sexton::{ActorId, Event, What};

/// Counters of one run, from its turns and its published events.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Turns, also those that changed nothing.
    pub turns: u64,
    /// Batches submitted.
    pub commits: u64,
    /// Alarms rung.
    pub alarms_rung: u64,
    /// Lateness of every alarm in milliseconds, with how often it occurred.
    pub lateness_ms: BTreeMap<u64, u64>,
    /// Attempts at effects.
    pub performed: u64,
    /// Attempts at effects after a failed one.
    pub retried: u64,
    /// Events published.
    pub published: u64,
    /// Actors created, by kind.
    pub created: BTreeMap<String, u64>,
    /// Tombstones written, by kind.
    pub buried: BTreeMap<String, u64>,
    /// Actors that live now, by kind.
    pub live: BTreeMap<String, u64>,
    /// The most that lived at a time, by kind.
    pub peak: BTreeMap<String, u64>,
    /// Actors that live now, by kind and status.
    pub statuses: BTreeMap<(String, String), u64>,
    /// Turns of actors that had a tombstone: must stay zero (G6).
    pub resurrections: u64,
    /// Events that said that an actor is stalled.
    pub stalled_events: u64,
    /// Mail that found nobody.
    pub dead_letters: u64,
    /// The last names that were buried, among which a resurrection would show.
    pub buried_lately: BTreeSet<ActorId>,
    /// The same names, oldest first.
    pub buried_in_order: VecDeque<ActorId>,
}

/// How many tombstones the check for resurrections remembers; older ones are checked in the
/// audit at the end. Chosen: some megabytes.
const BURIED_LATELY_MAX: usize = 100_000;

impl Tally {
    /// Counts an alarm.
    pub fn ring(&mut self, lateness_ms: u64) {
        self.alarms_rung += 1;
        *self.lateness_ms.entry(lateness_ms).or_default() += 1;
    }

    /// The lateness that this share of the alarms (in thousandths) did not exceed.
    pub fn lateness(&self, thousandths: u64) -> u64 {
        let wanted = (self.alarms_rung * thousandths).div_ceil(1_000);
        let mut seen = 0;
        for (lateness_ms, count) in &self.lateness_ms {
            seen += count;
            if seen >= wanted {
                return *lateness_ms;
            }
        }
        0
    }

    /// Counts a turn of an actor, which must not have a tombstone.
    pub fn turn(&mut self, id: &ActorId, is_burial_or_letter: bool) {
        self.turns += 1;
        if !is_burial_or_letter && self.buried_lately.contains(id) {
            self.resurrections += 1;
        }
    }

    /// Counts a published event.
    pub fn publish(&mut self, event: &Event) {
        self.published += 1;
        let kind = event.actor.kind().to_owned();
        match &event.what {
            What::Created { status, .. } => {
                *self.created.entry(kind.clone()).or_default() += 1;
                self.enter(&kind, status);
                let live = self.live.entry(kind.clone()).or_default();
                *live += 1;
                let peak = self.peak.entry(kind).or_default();
                *peak = (*peak).max(*live);
            }
            What::Transition { from, to, .. } => {
                self.leave(&kind, from);
                self.enter(&kind, to);
            }
            What::Destroyed { status, .. } => {
                self.leave(&kind, status);
                *self.buried.entry(kind.clone()).or_default() += 1;
                let live = self.live.entry(kind).or_default();
                *live = live.saturating_sub(1);
                self.remember(event.actor.clone());
            }
            What::Stalled { .. } => self.stalled_events += 1,
            What::DeadLetter { .. } => self.dead_letters += 1,
            What::Destroying { .. } | What::Abandoned { .. } | What::Fact { .. } => {}
        }
    }

    /// Takes an actor that lived before this run into the counts.
    pub fn found(&mut self, kind: &str, status: &str) {
        self.enter(kind, status);
        let live = self.live.entry(kind.to_owned()).or_default();
        *live += 1;
        let peak = self.peak.entry(kind.to_owned()).or_default();
        *peak = (*peak).max(*live);
    }

    fn enter(&mut self, kind: &str, status: &str) {
        *self.statuses.entry((kind.to_owned(), status.to_owned())).or_default() += 1;
    }

    fn leave(&mut self, kind: &str, status: &str) {
        let count = self.statuses.entry((kind.to_owned(), status.to_owned())).or_default();
        *count = count.saturating_sub(1);
    }

    fn remember(&mut self, id: ActorId) {
        if self.buried_lately.len() >= BURIED_LATELY_MAX {
            let oldest = self.buried_in_order.pop_front();
            oldest.map(|oldest| self.buried_lately.remove(&oldest));
        }
        self.buried_in_order.push_back(id.clone());
        self.buried_lately.insert(id);
    }
}
