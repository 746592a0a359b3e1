//! What follows from silence: suspicion, looks from outside, and losses a few at a time.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sexton_core::{ActorRef, Handler, Refusal, Timestamp, Turn};

use crate::due::{self, Expire};

use super::{RegistryScan, Worker, WorkerAnswer, WorkerEffect, WorkerStatus};

/// What a worker's deadlines mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkerDue {
    /// It was not heard for too long.
    Silent,
    /// It is suspect, and is to be looked at from outside.
    Look,
    /// Sandboxes that two sources call lost are to be given up.
    GiveUp,
    /// It is gone, and its row was kept long enough.
    Retention,
}

impl WorkerDue {
    /// Its name in what sweeps say.
    pub fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Look => "look",
            Self::GiveUp => "give_up",
            Self::Retention => "retention",
        }
    }
}

impl Worker {
    pub(super) fn dues(&self) -> Vec<(Timestamp, WorkerDue)> {
        let terms = &self.init.terms;
        let mut dues = match self.status {
            WorkerStatus::Active => vec![(self.heard_at + terms.silence, WorkerDue::Silent)],
            WorkerStatus::Suspect => vec![(self.looked_at + terms.scan, WorkerDue::Look)],
            WorkerStatus::Gone if self.residents.is_empty() => {
                vec![(self.since + terms.retention, WorkerDue::Retention)]
            }
            WorkerStatus::Gone => Vec::new(),
        };
        if self.lost().next().is_some() {
            let at = self.given_up_at.map_or(self.since, |at| at + terms.scan);
            dues.push((at, WorkerDue::GiveUp));
        }
        dues
    }

    /// What is due next, for its sweep.
    pub(crate) fn next_due(&self) -> Option<(Timestamp, WorkerDue)> {
        due::earliest(&self.dues())
    }

    /// Those that a second source calls lost.
    pub(super) fn lost(&self) -> impl Iterator<Item = &ActorRef> {
        let missed_max = self.init.terms.missed_max;
        let status = self.status;
        let residents = self.residents.iter().filter(move |(_, resident)| match status {
            WorkerStatus::Active => false,
            WorkerStatus::Suspect => resident.missed >= missed_max,
            WorkerStatus::Gone => true,
        });
        residents.map(|(sandbox, _)| sandbox)
    }

    pub(super) fn act(&mut self, due: WorkerDue, turn: &mut Turn<Self>) {
        match due {
            WorkerDue::Silent => {
                self.enter(WorkerStatus::Suspect, turn.now());
                self.look(turn);
            }
            WorkerDue::Look => self.look(turn),
            WorkerDue::GiveUp => self.give_up_some(turn),
            WorkerDue::Retention => turn.destroy("gone", "deadline"),
        }
    }

    /// It is heard again: what was suspected of it was wrong.
    pub(super) fn recover(&mut self, now: Timestamp) {
        self.enter(WorkerStatus::Active, now);
        for resident in self.residents.values_mut() {
            resident.missed = 0;
        }
    }

    fn look(&mut self, turn: &mut Turn<Self>) {
        self.looked_at = turn.now();
        if !self.is_looking {
            self.is_looking = true;
            turn.effect(&WorkerEffect::Probe);
            turn.effect(&WorkerEffect::Scan);
        }
    }

    pub(super) fn give_up_some(&mut self, turn: &mut Turn<Self>) {
        let why = match self.status {
            WorkerStatus::Gone => "its worker is gone",
            WorkerStatus::Active | WorkerStatus::Suspect => {
                "its worker is silent, and the registry misses it"
            }
        };
        self.given_up_at = Some(turn.now());
        let max = usize::try_from(self.init.terms.losses_max).unwrap_or(usize::MAX);
        let lost: Vec<ActorRef> = self.lost().take(max).cloned().collect();
        turn.event("given_up", format!("{} sandboxes: {why}", lost.len()));
        for sandbox in lost {
            self.give_up(&sandbox, why, turn);
        }
    }

    /// What a look found; of one that is heard again, nothing is concluded.
    pub(super) fn learn(&mut self, answer: WorkerAnswer, turn: &mut Turn<Self>) {
        if self.status != WorkerStatus::Suspect {
            turn.event("late", "a look at what is not suspect any more");
            return;
        }
        match answer {
            WorkerAnswer::Exists => {}
            WorkerAnswer::Gone => self.enter(WorkerStatus::Gone, turn.now()),
            WorkerAnswer::Scanned(scan) => self.count(scan, turn),
        }
    }

    /// Keeps G12: a scan that is not whole, or that lists nobody at all, misses nobody.
    fn count(&mut self, scan: RegistryScan, turn: &mut Turn<Self>) {
        if !scan.complete || scan.listed == 0 {
            turn.event("scan_says_nothing", format!("{} are listed", scan.listed));
            return;
        }
        let present: BTreeSet<ActorRef> = scan.present.into_iter().collect();
        for (sandbox, resident) in &mut self.residents {
            resident.missed =
                if present.contains(sandbox) { 0 } else { resident.missed.saturating_add(1) };
        }
    }
}

impl Handler<Expire> for Worker {
    /// Acts on what is due, each at most once: losses keep to their cap also for sweeps.
    fn handle(&mut self, message: Expire, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let now = turn.now();
        let due = self.dues().into_iter().filter(|(at, _)| *at <= now);
        let due: Vec<WorkerDue> = due.map(|(_, due)| due).collect();
        if due.is_empty() {
            return Err(Refusal::new(format!("nothing is due: {}", message.why)));
        }
        for due in due {
            self.act(due, turn);
        }
        Ok(())
    }
}
