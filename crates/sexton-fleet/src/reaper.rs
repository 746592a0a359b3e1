//! Looks for machines that carry our label and that no actor owns, and has them deleted.
//!
//! One for an installation. Whether a machine is an orphan is for the performer to find out (it
//! can list the provider's machines and read the store), and again just before each delete.
//! Keeps G12: a listing that failed or is not complete leads to no delete.

use serde::{Deserialize, Serialize};
use sexton_core::{
    Actor, ActorRef, Handler, Handlers, Message, Outcome, Refusal, Row, Timestamp, Turn,
};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::policy::Policy;

sexton_core::lifecycle! {
    /// What a reaper can be.
    pub enum ReaperStatus {
        /// It waits to be asked.
        Idle = "idle" [] => [Scanning],
        /// It waits for the provider's answer.
        Scanning = "scanning" [] => [Idle],
    }
}

/// What a reaper begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaperInit {
    /// The installation whose machines it looks after; no other's are touched.
    pub installation: uuid::Uuid,
    /// The age from which on a machine without owner is an orphan.
    pub age: Duration,
    /// The most machines that one scan deletes.
    pub orphans_max: u32,
    /// How long a machine is passed over whose deletion failed.
    pub back_off: Duration,
}

impl ReaperInit {
    /// What a policy says.
    pub fn of(installation: uuid::Uuid, policy: &Policy) -> Self {
        let (age, orphans_max) = (policy.provider_orphan_age, policy.sweep_orphans_max);
        Self { installation, age, orphans_max, back_off: policy.sweep_back_off }
    }
}

/// From the hourly sweep: look.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Scan;

impl Message for Scan {
    const NAME: &'static str = "scan";
    type Reply = ();
}

/// A machine that no live actor owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    /// The provider's id of the machine.
    pub machine: String,
    /// The life that it was made for, by its label.
    pub owner: ActorRef,
}

/// What a listing found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Whether the provider listed everything.
    pub complete: bool,
    /// The orphans, oldest first.
    pub orphans: Vec<Orphan>,
}

/// Work for the provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReaperEffect {
    /// List the machines with our label that are old enough and that no live actor owns.
    FindOrphans {
        /// The label.
        installation: String,
        /// How old a machine must be.
        age: Duration,
    },
    /// Delete this machine, if it is still an orphan. A failure is answered for good, and never
    /// as transient: a later scan finds it again, and nothing is scanned behind one that waits.
    DeleteOrphan {
        /// Which.
        orphan: Orphan,
        /// The label that it must carry.
        installation: String,
    },
}

/// What the provider answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReaperAnswer {
    /// What the listing found.
    Found(Found),
    /// The machine is gone.
    Deleted,
    /// The machine has an owner after all.
    Spared,
}

/// A reaper.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reaper {
    init: ReaperInit,
    status: ReaperStatus,
    scans: u64,
    deleted: u64,
    /// Whose deletion failed, and when: they stand behind the others for a while.
    failed: BTreeMap<String, Timestamp>,
}

/// The most failed deletions that are remembered. Chosen: far more than there are, and a state of
/// a few kilobytes. Of more, those that failed longest ago are forgotten.
const FAILED_MAX: usize = 200;

impl Reaper {
    fn found(&mut self, found: Found, turn: &mut Turn<Self>) {
        self.status = ReaperStatus::Idle;
        if !found.complete {
            turn.event("listing_incomplete", "nothing is concluded from it");
            return;
        }
        let max = usize::try_from(self.init.orphans_max).unwrap_or(usize::MAX);
        let n_found = found.orphans.len();
        let (now, back_off) = (turn.now(), self.init.back_off);
        self.failed.retain(|_, at| *at + back_off > now);
        let orphans = found.orphans.into_iter();
        let orphans = orphans.filter(|orphan| !self.failed.contains_key(&orphan.machine));
        let orphans: Vec<Orphan> = orphans.take(max).collect();
        let n_asked = orphans.len();
        for orphan in orphans {
            let installation = self.init.installation.to_string();
            turn.effect(&ReaperEffect::DeleteOrphan { orphan, installation });
        }
        turn.event("scan", format!("found {n_found}, asked {n_asked}"));
    }
}

impl Reaper {
    fn remember(&mut self, machine: &str, now: Timestamp) {
        self.failed.insert(machine.to_owned(), now);
        if self.failed.len() > FAILED_MAX {
            let oldest = self.failed.iter().min_by_key(|(_, at)| **at);
            if let Some(oldest) = oldest.map(|(machine, _)| machine.clone()) {
                self.failed.remove(&oldest);
            }
        }
    }
}

impl Actor for Reaper {
    const KIND: &'static str = "reaper";
    type Init = ReaperInit;
    type Status = ReaperStatus;
    type Deadline = ();
    type Effect = ReaperEffect;
    type Answer = ReaperAnswer;

    fn create(init: Self::Init, _turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        Ok(Self { init, status: ReaperStatus::Idle, scans: 0, deleted: 0, failed: BTreeMap::new() })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Scan>();
    }

    fn status(&self) -> Self::Status {
        self.status
    }

    fn row(&self) -> Row {
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        Row::default().number("scans", count(self.scans)).number("deleted", count(self.deleted))
    }

    fn on_outcome(
        &mut self,
        effect: &Self::Effect,
        outcome: Outcome<Self::Answer>,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        match (effect, outcome) {
            (ReaperEffect::FindOrphans { .. }, Outcome::Done(ReaperAnswer::Found(found))) => {
                self.found(found, turn);
            }
            (ReaperEffect::FindOrphans { .. }, Outcome::Failed(failure)) => {
                self.status = ReaperStatus::Idle;
                turn.event("listing_failed", format!("{}: {}", failure.class, failure.message));
            }
            (ReaperEffect::DeleteOrphan { orphan, .. }, Outcome::Done(ReaperAnswer::Deleted)) => {
                self.deleted += 1;
                turn.event("orphan_deleted", format!("{} of {}", orphan.machine, orphan.owner));
            }
            (ReaperEffect::DeleteOrphan { orphan, .. }, Outcome::Failed(failure)) => {
                turn.event("orphan_kept", format!("{}: {}", orphan.machine, failure.class));
                self.remember(&orphan.machine, turn.now());
            }
            (_, Outcome::Done(_)) => {}
        }
        Ok(())
    }
}

impl Handler<Scan> for Reaper {
    fn handle(&mut self, _message: Scan, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if self.status == ReaperStatus::Scanning {
            return Err(Refusal::new("a scan is under way"));
        }
        self.status = ReaperStatus::Scanning;
        self.scans += 1;
        let (installation, age) = (self.init.installation.to_string(), self.init.age);
        turn.effect(&ReaperEffect::FindOrphans { installation, age });
        Ok(())
    }
}
