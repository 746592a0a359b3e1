//! A worker: the host on which sandboxes run, and what is concluded when it falls silent.
//!
//! ```text
//! active <--> suspect --> gone         silence makes suspect, and nothing else
//! ```
//!
//! Keeps G12. A silent worker may be cut off and run on: its sandboxes are given up only when a
//! second source says so, the provider (the host does not exist) or the registry (whole scans
//! that list others and miss the sandbox, several in a row), and never more than a few in a pass.

mod silence;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton_core::{
    Actor, ActorRef, Deadlines, Handler, Handlers, Message, Outcome, Refusal, Row, Timestamp, Turn,
};

use crate::caller::{Caller, authorize};
use crate::due::{self, Expire};
use crate::policy::Policy;
use crate::sandbox::{Sandbox, TurnedAway, WorkerLost};
use crate::senders::only_if;

pub use self::silence::WorkerDue;

sexton_core::lifecycle! {
    /// What a worker can be.
    pub enum WorkerStatus {
        /// It is heard.
        Active = "active" [] => [Suspect],
        /// It was not heard for a while: nothing is known.
        Suspect = "suspect" [] => [Active, Gone],
        /// Its provider says that it does not exist.
        Gone = "gone" [terminal] => [],
    }
}

/// How long a worker may do what, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerTerms {
    /// Be silent.
    pub silence: Duration,
    /// Between two looks at a suspect worker, and two passes over those that are given up.
    pub scan: Duration,
    /// Be kept when it is gone.
    pub retention: Duration,
    /// The most sandboxes.
    pub sandboxes_max: u32,
    /// How many scans in a row must miss a sandbox.
    pub missed_max: u32,
    /// The most sandboxes that one pass gives up.
    pub losses_max: u32,
}

impl WorkerTerms {
    /// The terms of a policy.
    pub fn of(policy: &Policy) -> Self {
        Self {
            silence: policy.worker_heartbeat_timeout,
            scan: policy.worker_scan_every,
            retention: policy.worker_retention,
            sandboxes_max: policy.sandboxes_per_worker_max,
            missed_max: policy.worker_scans_missed_max,
            losses_max: policy.worker_losses_max,
        }
    }
}

/// What a worker begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerInit {
    /// Whose host it is: an owner's own, or whoever runs the fleet.
    pub owner: String,
    /// How long it may do what, and how many.
    pub terms: WorkerTerms,
}

/// Looks at a worker from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkerEffect {
    /// Ask the provider whether the host exists.
    Probe,
    /// Ask the registry which sandboxes run on it.
    Scan,
}

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkerAnswer {
    /// The provider has the host; whether it works it cannot say.
    Exists,
    /// The provider has no such host any more.
    Gone,
    /// What the registry lists.
    Scanned(RegistryScan),
}

/// What the registry lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryScan {
    /// Whether it listed everything.
    pub complete: bool,
    /// How many sandboxes it lists, on whichever worker.
    pub listed: u64,
    /// Those on this worker.
    pub present: Vec<ActorRef>,
}

macro_rules! worker_message {
    ($(#[$doc:meta])* $name:ident = $text:literal { $( $(#[$field_doc:meta])* $field:ident: $type:ty, )* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        pub struct $name {
            $( $(#[$field_doc])* pub $field: $type, )*
        }

        impl Message for $name {
            const NAME: &'static str = $text;
            type Reply = ();
        }
    };
}

worker_message! {
    /// A callback: the worker lives. Liveness, never activity.
    WorkerBeat = "worker_beat" {
        /// The worker's incarnation.
        epoch: u32,
    }
}
worker_message! {
    /// Ends a worker; refused while a sandbox is on it.
    EndWorker = "end_worker" {
        /// Who asks.
        caller: Caller,
        /// Why.
        why: String,
    }
}
worker_message! {
    /// From a sandbox: it is on this worker from now on.
    Arrive = "arrive" {
        /// The sandbox.
        sandbox: ActorRef,
    }
}
worker_message! {
    /// From a sandbox: it is not on this worker any more.
    Depart = "depart" {
        /// The sandbox.
        sandbox: ActorRef,
    }
}

/// A sandbox on this worker: how many scans in a row missed it while the worker was suspect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Resident {
    missed: u32,
}

/// A worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Worker {
    init: WorkerInit,
    status: WorkerStatus,
    since: Timestamp,
    /// When it was heard last: liveness, and in no row.
    heard_at: Timestamp,
    /// When it was looked at last while it was suspect.
    looked_at: Timestamp,
    /// A look is under way: the next one waits for its answers.
    is_looking: bool,
    /// When sandboxes were given up last.
    given_up_at: Option<Timestamp>,
    residents: BTreeMap<ActorRef, Resident>,
}

impl Worker {
    fn enter(&mut self, status: WorkerStatus, now: Timestamp) {
        self.status = status;
        self.since = now;
    }

    /// Tells a sandbox that it is lost, and strikes it off.
    fn give_up(&mut self, sandbox: &ActorRef, why: &str, turn: &mut Turn<Self>) {
        self.residents.remove(sandbox);
        let (worker, why) = (turn.id().name().to_owned(), why.to_owned());
        turn.send_to_life::<Sandbox, _>(sandbox, &WorkerLost { worker, why });
    }
}

impl Actor for Worker {
    const KIND: &'static str = "worker";
    type Init = WorkerInit;
    type Status = WorkerStatus;
    type Deadline = WorkerDue;
    type Effect = WorkerEffect;
    type Answer = WorkerAnswer;

    fn create(init: Self::Init, turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        let now = turn.now();
        Ok(Self {
            init,
            status: WorkerStatus::Active,
            since: now,
            heard_at: now,
            looked_at: now,
            is_looking: false,
            given_up_at: None,
            residents: BTreeMap::new(),
        })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<WorkerBeat>().message::<Arrive>().message::<Depart>();
        on.message::<EndWorker>().message::<Expire>();
    }

    fn status(&self) -> Self::Status {
        self.status
    }

    /// Without its deadline: that moves with every heartbeat, and rows do not. Its sweep reads
    /// the state.
    fn row(&self) -> Row {
        let residents = i64::try_from(self.residents.len()).unwrap_or(i64::MAX);
        Row::owned_by(&self.init.owner).number("sandboxes", residents).watched_from(Timestamp::MAX)
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
        if *effect == WorkerEffect::Scan {
            self.is_looking = false;
        }
        match outcome {
            Outcome::Done(answer) => self.learn(answer, turn),
            // Keeps G12: nothing is concluded from a look that failed.
            Outcome::Failed(failure) => turn.event("look_failed", failure.class),
        }
        Ok(())
    }

    /// Keeps G12: that nobody looks after the host any more says nothing of what runs on it. Those
    /// that a second source calls lost are given up, no more than in any pass; the others run on
    /// until they end by themselves or by their own bounds.
    fn on_destroy(&mut self, turn: &mut Turn<Self>) {
        if self.lost().next().is_some() {
            self.give_up_some(turn);
        }
    }
}

impl Handler<WorkerBeat> for Worker {
    fn handle(&mut self, message: WorkerBeat, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let is_current = due::is_current(message.epoch, turn.me());
        if !is_current || self.status == WorkerStatus::Gone {
            turn.event("late", format!("heartbeat of epoch {}", message.epoch));
            return Ok(());
        }
        self.heard_at = self.heard_at.max(turn.now());
        if self.status == WorkerStatus::Suspect {
            self.recover(turn.now());
        }
        Ok(())
    }
}

impl Handler<Arrive> for Worker {
    fn handle(&mut self, message: Arrive, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(turn.from() == Some(&message.sandbox))?;
        let max = usize::try_from(self.init.terms.sandboxes_max).unwrap_or(usize::MAX);
        let why = if self.status == WorkerStatus::Gone {
            "the worker is gone"
        } else if self.residents.len() >= max {
            "the worker is full"
        } else {
            self.residents.insert(message.sandbox, Resident::default());
            return Ok(());
        };
        let (worker, why) = (turn.id().name().to_owned(), why.to_owned());
        turn.send_to_life::<Sandbox, _>(&message.sandbox, &TurnedAway { worker, why });
        Ok(())
    }
}

impl Handler<Depart> for Worker {
    fn handle(&mut self, message: Depart, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(turn.from() == Some(&message.sandbox))?;
        self.residents.remove(&message.sandbox);
        Ok(())
    }
}

impl Handler<EndWorker> for Worker {
    fn handle(&mut self, message: EndWorker, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, (&self.init.owner, EndWorker::NAME), turn)?;
        if !self.residents.is_empty() {
            let n = self.residents.len();
            return Err(Refusal::new(format!("still in use: {n} sandboxes are on it")));
        }
        turn.destroy(message.why, message.caller.owner);
        Ok(())
    }
}
