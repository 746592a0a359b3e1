//! A sandbox: billed by the millisecond while it runs, and ended exactly once.
//!
//! ```text
//! pooled <-> reserved --> pending --> running <--> hibernated      any of these
//!                                        ^                         --> stopped | error | failed
//!                                        +-------> migrating
//! ```
//!
//! Everything that must go with a status (the meter, what the account and the worker are told,
//! the word that it ended) is a consequence of *entering* it, in one function: no way to a status
//! can forget any of it. Stop wins from everywhere. What may exist of the sandbox in the world
//! stands in its state from before it is asked for until its deletion is confirmed.

mod spec;
mod meter;
mod rules;
mod commands;
mod hibernation;
mod migration;
mod index;
pub(crate) mod sweeps;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sexton_core::{
    Actor, ActorId, Deadlines, Handlers, Outcome, Refusal, Row, Status, Timestamp, Turn,
};

use crate::credit::{CreditAccount, Debit, Metered};
use crate::due::{self, Expire};
use crate::owner::{
    HibernateSandbox, MigrateSandbox, ReserveSandbox, ScaleSandbox, StartSandbox, StopSandbox,
    WakeSandbox,
};
use crate::sweeps::Bereaved;
use crate::worker::{Arrive, Depart, Worker};

pub use self::commands::{Exited, SandboxExit, Scaled, TurnedAway, WorkerLost};
pub use self::hibernation::{Halt, Resume};
pub use self::index::{SandboxIndex, Seen};
pub use self::meter::{Interval, UNITS_PER_CENT};
pub use self::migration::{Migrated, MigrationFailed};
pub use self::rules::SandboxDue;
pub use self::spec::{Depth, SandboxEffect, SandboxInit, SandboxSpec, SandboxStart, SandboxTerms};

use self::hibernation::{Course, Halted};
use self::meter::{Meter, Usage};
use self::migration::Migration;

sexton_core::lifecycle! {
    /// What a sandbox can be.
    pub enum SandboxStatus {
        /// It is kept ready for whoever may need one.
        Pooled = "pooled" [] => [Reserved, Stopped, Error, Failed],
        /// It is kept for one holder.
        Reserved = "reserved" [] => [Pooled, Pending, Stopped, Error, Failed],
        /// It is being started.
        Pending = "pending" [holds] => [Running, Stopped, Error, Failed],
        /// It runs.
        Running = "running" [holds billable] => [Hibernated, Migrating, Stopped, Error, Failed],
        /// Nothing of it runs, and it can be woken.
        Hibernated = "hibernated" [holds] => [Running, Stopped, Error, Failed],
        /// It runs, and is being copied to another worker.
        Migrating = "migrating" [holds billable] => [Running, Stopped, Error, Failed],
        /// It was ended.
        Stopped = "stopped" [terminal] => [],
        /// It was lost.
        Error = "error" [terminal] => [],
        /// It could not be started, or ended by a fault of its own.
        Failed = "failed" [terminal] => [],
    }
}

/// What a sandbox says at its end: the text of the event `stopped`, as JSON. There is exactly
/// one for each sandbox, whichever way it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxStopped {
    /// Whose it was.
    pub owner: String,
    /// `session_terminal:` and the status that it ended with.
    pub reason: String,
    /// Why, for people.
    pub why: String,
    /// Milliseconds for which it was billed in all.
    pub billed_ms: u64,
}

/// What may exist of a sandbox in the world.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Holdings {
    /// Something runs of it on its worker.
    instance: bool,
    checkpoints: BTreeSet<u64>,
    /// Copies that no deletion was asked for, and those of which it is not confirmed.
    copies: BTreeMap<u64, Migration>,
}

/// A sandbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sandbox {
    init: SandboxInit,
    status: SandboxStatus,
    created_at: Timestamp,
    /// When it entered its status.
    since: Timestamp,
    /// When it began to be billed without a break.
    up_since: Timestamp,
    /// The worker on which it runs, or ran last.
    worker: String,
    /// The worker that counts it among its own.
    resident_of: Option<String>,
    scale: u32,
    /// Who reserved it.
    holder: Option<String>,
    course: Course,
    halted: Halted,
    /// How deep it sleeps, or is to sleep.
    depth: Depth,
    /// Checkpoints made so far.
    checkpoints: u64,
    /// Migrations begun so far; while it is migrating, the last one is under way.
    migrations: u64,
    holdings: Holdings,
    meter: Meter,
    usage: Usage,
    why: Option<String>,
}

impl Sandbox {
    /// How many checkpoints and migrations of it were begun.
    pub(crate) fn n_begun(&self) -> (u64, u64) {
        (self.checkpoints, self.migrations)
    }

    /// Enters a status, with all that follows from that.
    fn enter(&mut self, status: SandboxStatus, turn: &mut Turn<Self>) {
        let now = turn.now();
        let (was_billed, is_billed) = (self.status.is_billable(), status.is_billable());
        self.read_meter(turn);
        self.status = status;
        self.since = now;
        self.course = Course::Steady;
        if is_billed {
            self.meter.open(now, self.scale);
        }
        if is_billed && !was_billed {
            self.up_since = now;
            self.usage.start(now);
        }
        if was_billed && !is_billed {
            self.usage.stop();
            self.send_debit(turn);
        }
        if was_billed != is_billed {
            self.tell_account(turn);
        }
        self.register(turn);
        if status.is_terminal() {
            self.publish(turn);
        }
    }

    /// Closes the open interval and counts what was used up to now.
    fn read_meter(&mut self, turn: &mut Turn<Self>) {
        if let Some(interval) = self.meter.close(turn.now()) {
            turn.event("interval", fact(&interval));
        }
        self.tick(turn);
    }

    fn tick(&mut self, turn: &mut Turn<Self>) {
        let price = u64::from(self.init.terms.cents_per_hour) * u64::from(self.scale);
        self.usage.tick(turn.now(), self.init.terms.tick, price);
        self.send_debit(turn);
    }

    fn send_debit(&mut self, turn: &mut Turn<Self>) {
        let Some(account) = self.account() else { return };
        if let Some((number, units)) = self.usage.debit() {
            let sandbox = turn.id().name().to_owned();
            turn.send::<CreditAccount, _>(&account, &Debit { sandbox, number, units });
        }
    }

    fn account(&self) -> Option<ActorId> {
        ActorId::new(CreditAccount::KIND, &self.init.owner).ok()
    }

    /// The account knows who runs, because whoever halts must know who is left.
    fn tell_account(&self, turn: &mut Turn<Self>) {
        let Some(account) = self.account() else { return };
        let sandbox = turn.id().name().to_owned();
        let is_running = self.status.is_billable();
        turn.send::<CreditAccount, _>(&account, &Metered { sandbox, is_running });
    }

    /// The worker on which something of it lies that goes with the worker.
    fn residence(&self) -> Option<&str> {
        match self.status {
            SandboxStatus::Pending | SandboxStatus::Running | SandboxStatus::Migrating => {
                Some(&self.worker)
            }
            SandboxStatus::Hibernated if self.depth == Depth::Paused => Some(&self.worker),
            SandboxStatus::Hibernated
            | SandboxStatus::Pooled
            | SandboxStatus::Reserved
            | SandboxStatus::Stopped
            | SandboxStatus::Error
            | SandboxStatus::Failed => None,
        }
    }

    /// Tells the workers that it left and came, if it did.
    fn register(&mut self, turn: &mut Turn<Self>) {
        let residence = self.residence().map(str::to_owned);
        if residence == self.resident_of {
            return;
        }
        let worker = |name: &String| ActorId::new(Worker::KIND, name).ok();
        let me = turn.me().clone();
        if let Some(left) = self.resident_of.as_ref().and_then(worker) {
            turn.send::<Worker, _>(&left, &Depart { sandbox: me.clone() });
        }
        if let Some(reached) = residence.as_ref().and_then(worker) {
            turn.send::<Worker, _>(&reached, &Arrive { sandbox: me });
        }
        self.resident_of = residence;
    }

    fn publish(&self, turn: &mut Turn<Self>) {
        let stopped = SandboxStopped {
            owner: self.init.owner.clone(),
            reason: format!("session_terminal:{}", self.status.name()),
            why: self.why.clone().unwrap_or_default(),
            billed_ms: self.meter.total_ms(),
        };
        turn.event("stopped", fact(&stopped));
    }

    /// Ends it, if it has not ended: what is known to be left of it is owed from here on.
    fn end(&mut self, status: SandboxStatus, why: &str, turn: &mut Turn<Self>) {
        if self.status.is_terminal() {
            return;
        }
        self.why = Some(why.to_owned());
        self.enter(status, turn);
        // A copy that is on its way is spoken for by its completion, by its own age, or by the
        // end of this sandbox.
        self.release(turn);
    }

    /// Owes the end of what runs, and the deletion of checkpoints.
    fn release(&self, turn: &mut Turn<Self>) {
        if self.holdings.instance {
            turn.effect(&SandboxEffect::Stop { worker: self.worker.clone() });
        }
        for checkpoint in &self.holdings.checkpoints {
            turn.effect(&SandboxEffect::DeleteCheckpoint { checkpoint: *checkpoint });
        }
    }

    fn start(&mut self, turn: &mut Turn<Self>) {
        self.enter(SandboxStatus::Pending, turn);
        self.holdings.instance = true;
        turn.effect(&SandboxEffect::Start { worker: self.worker.clone() });
    }

    fn started(&mut self, outcome: Outcome<()>, turn: &mut Turn<Self>) {
        let is_wanted = self.status == SandboxStatus::Pending;
        match outcome {
            Outcome::Done(()) if is_wanted => {
                self.enter(SandboxStatus::Running, turn);
                self.obey(turn);
            }
            Outcome::Done(()) => turn.event("late", "it was started when nobody wanted it"),
            Outcome::Failed(failure) if is_wanted => {
                self.end(SandboxStatus::Failed, &format!("failed: {}", failure.class), turn);
            }
            Outcome::Failed(failure) => turn.event("late", format!("failed: {}", failure.class)),
        }
    }

    /// Whether a deletion was done. One that failed for good stays among what may exist, and is
    /// owed again by the end of the sandbox, until it is done.
    fn is_done(what: &str, outcome: &Outcome<()>, turn: &mut Turn<Self>) -> bool {
        match outcome {
            Outcome::Done(()) => true,
            Outcome::Failed(failure) => {
                turn.event("kept", format!("{what}: {}: {}", failure.class, failure.message));
                false
            }
        }
    }

    /// Whether a callback is for this life.
    fn is_current(epoch: u32, what: &str, turn: &mut Turn<Self>) -> bool {
        let is_current = due::is_current(epoch, turn.me());
        if !is_current {
            turn.event("late", format!("{what} of epoch {epoch}"));
        }
        is_current
    }
}

/// The text of an event that others read.
fn fact<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("texts and numbers can be written")
}

impl Actor for Sandbox {
    const KIND: &'static str = "sandbox";
    type Init = SandboxInit;
    type Status = SandboxStatus;
    type Deadline = SandboxDue;
    type Effect = SandboxEffect;
    type Answer = ();

    fn create(init: Self::Init, turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        let now = turn.now();
        let (worker, scale, start) = (init.spec.worker.clone(), init.spec.scale, init.spec.start);
        let mut sandbox = Self {
            init,
            status: SandboxStatus::Pooled,
            created_at: now,
            since: now,
            up_since: now,
            worker,
            resident_of: None,
            scale,
            holder: None,
            course: Course::Steady,
            halted: Halted::default(),
            depth: Depth::Paused,
            checkpoints: 0,
            migrations: 0,
            holdings: Holdings::default(),
            meter: Meter::default(),
            usage: Usage::default(),
            why: None,
        };
        if start == SandboxStart::Now {
            sandbox.start(turn);
        }
        Ok(sandbox)
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<ReserveSandbox>().message::<StartSandbox>().message::<StopSandbox>();
        on.message::<HibernateSandbox>().message::<WakeSandbox>();
        on.message::<MigrateSandbox>().message::<ScaleSandbox>();
        on.message::<Exited>().message::<Scaled>().message::<Migrated>();
        on.message::<MigrationFailed>().message::<TurnedAway>().message::<WorkerLost>();
        on.message::<Halt>().message::<Resume>().message::<Expire>().message::<Bereaved>();
    }

    fn status(&self) -> Self::Status {
        self.status
    }

    fn row(&self) -> Row {
        let row = Row::owned_by(&self.init.owner)
            .text("worker", self.worker.as_str())
            .number("scale", i64::from(self.scale))
            .number("billed_ms", i64::try_from(self.meter.total_ms()).unwrap_or(i64::MAX))
            .time("metered_since", self.meter.open_since());
        let row = match &self.why {
            Some(why) => row.text("why", why.as_str()),
            None => row,
        };
        let row = match self.status {
            SandboxStatus::Hibernated => row.text("depth", self.depth.name()),
            SandboxStatus::Pooled
            | SandboxStatus::Reserved
            | SandboxStatus::Pending
            | SandboxStatus::Running
            | SandboxStatus::Migrating
            | SandboxStatus::Stopped
            | SandboxStatus::Error
            | SandboxStatus::Failed => row,
        };
        let next = due::earliest(&self.bounds());
        due::shown(row, next.map(|(at, due)| (at, due.name())))
    }

    fn deadlines(&self, due: &mut Deadlines<Self::Deadline>) {
        for (at, what) in self.dues() {
            due.at(at, what);
        }
    }

    fn on_deadline(&mut self, due: Self::Deadline, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.act(due, turn);
        Ok(())
    }

    fn on_outcome(
        &mut self,
        effect: &Self::Effect,
        outcome: Outcome<Self::Answer>,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        match effect {
            SandboxEffect::Start { .. } => self.started(outcome, turn),
            SandboxEffect::Stop { worker } => {
                // It may have moved since: what runs elsewhere has a stop of its own.
                if Self::is_done("stop", &outcome, turn) && *worker == self.worker {
                    self.holdings.instance = false;
                }
            }
            SandboxEffect::Hibernate { checkpoint, .. } => {
                self.hibernated(*checkpoint, outcome, turn);
            }
            SandboxEffect::Wake { checkpoint, .. } => self.woken(*checkpoint, outcome, turn),
            SandboxEffect::DeleteCheckpoint { checkpoint } => {
                if Self::is_done("checkpoint", &outcome, turn) {
                    self.holdings.checkpoints.remove(checkpoint);
                }
            }
            SandboxEffect::Migrate { migration, .. } => {
                if let Outcome::Failed(failure) = outcome {
                    self.give_up_migration(*migration, &failure.class, turn);
                }
            }
            SandboxEffect::CutOver { migration, to } => {
                self.cut_over(*migration, to, outcome, turn);
            }
            SandboxEffect::DeleteCopy { migration } => {
                if Self::is_done("copy", &outcome, turn) {
                    self.holdings.copies.remove(migration);
                }
            }
        }
        Ok(())
    }

    fn on_destroy(&mut self, turn: &mut Turn<Self>) {
        if !self.status.is_terminal() {
            self.why = Some("destroyed".to_owned());
            self.enter(SandboxStatus::Stopped, turn);
        }
        self.release(turn);
        for migration in self.holdings.copies.keys() {
            turn.effect(&SandboxEffect::DeleteCopy { migration: *migration });
        }
    }
}
