//! What its owner commands, and what hosts and workers say of it.

use serde::{Deserialize, Serialize};
use sexton_core::{Handler, Message, Refusal, Status, Turn};

use crate::caller::authorize;
use crate::owner::{ReserveSandbox, ScaleSandbox, StartSandbox, StopSandbox};

use crate::senders::{is_from, only_if};
use crate::worker::Worker;

use super::{Course, Sandbox, SandboxStatus};

macro_rules! said {
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

said! {
    /// A callback: what ran in it has ended by itself.
    Exited = "exited" {
        /// The sandbox's incarnation.
        epoch: u32,
        /// How.
        end: SandboxExit,
    }
}

/// How something ended by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SandboxExit {
    /// It did what it was for. While it hibernates its host ends it: that is no end.
    Done,
    /// It failed, or what is kept of it is of no use.
    Failed {
        /// The class of the failure.
        class: String,
    },
    /// Its host has lost it: nothing of it is there.
    Lost {
        /// Why.
        why: String,
    },
}
said! {
    /// A callback: its host gave it another scale.
    Scaled = "scaled" {
        /// The sandbox's incarnation.
        epoch: u32,
        /// The scale that it has now.
        scale: u32,
    }
}
said! {
    /// From a worker: it takes no more sandboxes.
    TurnedAway = "turned_away" {
        /// The worker.
        worker: String,
        /// Why.
        why: String,
    }
}
said! {
    /// From a worker: the sandbox is lost, which two sources say.
    WorkerLost = "worker_lost" {
        /// The worker.
        worker: String,
        /// What they say.
        why: String,
    }
}

impl Sandbox {
    fn refused<T>(&self) -> Result<T, Refusal> {
        Err(Refusal::new(format!("the sandbox is {}", self.status.name())))
    }

    /// Gives it another scale: what was used so far is billed at the one before.
    fn scale(&mut self, scale: u32, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if self.status.is_terminal() {
            return self.refused();
        }
        let max = self.init.terms.scale_max;
        if scale == 0 || scale > max {
            return Err(Refusal::new(format!("a scale is 1 to {max}, and not {scale}")));
        }
        if scale != self.scale {
            self.read_meter(turn);
            self.scale = scale;
            if self.status.is_billable() {
                self.meter.open(turn.now(), scale);
            }
        }
        Ok(())
    }
}

impl Handler<StopSandbox> for Sandbox {
    /// Wins from everywhere; of one that has ended it is done.
    fn handle(&mut self, message: StopSandbox, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, (&self.init.owner, StopSandbox::NAME), turn)?;
        self.end(SandboxStatus::Stopped, &message.why, turn);
        Ok(())
    }
}

impl Handler<ReserveSandbox> for Sandbox {
    /// Exactly one holder wins; asked again by him it says the same.
    fn handle(&mut self, message: ReserveSandbox, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, (&self.init.owner, ReserveSandbox::NAME), turn)?;
        if self.status == SandboxStatus::Reserved && self.holder.as_ref() == Some(&message.holder) {
            return Ok(());
        }
        if self.status != SandboxStatus::Pooled {
            return self.refused();
        }
        self.holder = Some(message.holder);
        self.enter(SandboxStatus::Reserved, turn);
        Ok(())
    }
}

impl Handler<StartSandbox> for Sandbox {
    fn handle(&mut self, message: StartSandbox, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, (&self.init.owner, StartSandbox::NAME), turn)?;
        if self.status != SandboxStatus::Reserved {
            return self.refused();
        }
        if self.holder.as_ref() != Some(&message.holder) {
            return Err(Refusal::new("somebody else has reserved it"));
        }
        if self.halted.is_halted {
            return Err(Refusal::new("there is no credit"));
        }
        self.start(turn);
        Ok(())
    }
}

impl Handler<ScaleSandbox> for Sandbox {
    fn handle(&mut self, message: ScaleSandbox, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, (&self.init.owner, ScaleSandbox::NAME), turn)?;
        self.scale(message.scale, turn)
    }
}

impl Handler<Scaled> for Sandbox {
    fn handle(&mut self, message: Scaled, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if !Self::is_current(message.epoch, "scaled", turn) {
            return Ok(());
        }
        if self.status.is_terminal() {
            turn.event("late", format!("scaled, and it is {}", self.status.name()));
            return Ok(());
        }
        self.scale(message.scale, turn)
    }
}

impl Handler<Exited> for Sandbox {
    /// The first end is the end.
    fn handle(&mut self, message: Exited, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if !Self::is_current(message.epoch, "exited", turn) {
            return Ok(());
        }
        let is_open = !self.status.is_terminal();
        let is_steady = self.status.is_billable() && self.course == Course::Steady;
        match message.end {
            SandboxExit::Done if is_steady => self.end(SandboxStatus::Stopped, "exited", turn),
            SandboxExit::Failed { class } if is_open => {
                self.end(SandboxStatus::Failed, &format!("failed: {class}"), turn);
            }
            SandboxExit::Lost { why } if is_open => {
                self.end(SandboxStatus::Error, &format!("lost: {why}"), turn);
            }
            SandboxExit::Done | SandboxExit::Failed { .. } | SandboxExit::Lost { .. } => {
                turn.event("late", format!("exited, and it is {}", self.status.name()));
            }
        }
        Ok(())
    }
}

impl Handler<TurnedAway> for Sandbox {
    fn handle(&mut self, message: TurnedAway, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from::<Worker, _>(&message.worker, turn))?;
        if self.resident_of.as_ref() != Some(&message.worker) {
            return Ok(());
        }
        if self.status == SandboxStatus::Pending {
            self.end(SandboxStatus::Failed, &message.why, turn);
        } else {
            // It runs there all the same: only whoever looks after the worker does not know it.
            turn.event("not_registered", message.why);
        }
        Ok(())
    }
}

impl Handler<WorkerLost> for Sandbox {
    /// What has moved away, or sleeps where no worker matters, is not lost with the worker.
    fn handle(&mut self, message: WorkerLost, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from::<Worker, _>(&message.worker, turn))?;
        if self.resident_of.as_ref() == Some(&message.worker) {
            // The worker has struck it off itself.
            self.resident_of = None;
            self.end(SandboxStatus::Error, &message.why, turn);
        }
        Ok(())
    }
}
