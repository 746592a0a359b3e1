//! Going to sleep and waking, because somebody wants it or because nobody pays.
//!
//! It is billed until its checkpoint is confirmed, and again from when it is confirmed to run. A
//! halt is a word of the account that it keeps until the account takes it back: whatever it
//! starts to do meanwhile ends in sleep.

use serde::{Deserialize, Serialize};
use sexton_core::{Handler, Message, Outcome, Refusal, Status, Timestamp, Turn};

use crate::caller::authorize;
use crate::credit::CreditAccount;
use crate::owner::{HibernateSandbox, WakeSandbox};

use crate::senders::{is_from, only_if};

use super::{Depth, Sandbox, SandboxEffect, SandboxStatus};

/// What it is about to do, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Course {
    Steady,
    Hibernating(Timestamp),
    Waking(Timestamp),
}

/// What the account said last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Halted {
    round: u64,
    pub(super) is_halted: bool,
}

/// From the account: nobody pays; hibernate, and do not wake.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Halt {
    /// Which halt of the account.
    pub round: u64,
}

impl Message for Halt {
    const NAME: &'static str = "halt";
    type Reply = ();
}

/// From the account: the halt is over. Nothing is woken: whoever wants it to run says so.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Resume {
    /// Which halt of the account.
    pub round: u64,
}

impl Message for Resume {
    const NAME: &'static str = "resume";
    type Reply = ();
}

impl Sandbox {
    fn hibernate(&mut self, depth: Depth, turn: &mut Turn<Self>) {
        self.checkpoints += 1;
        let checkpoint = self.checkpoints;
        self.depth = depth;
        self.course = Course::Hibernating(turn.now());
        self.holdings.checkpoints.insert(checkpoint);
        let worker = self.worker.clone();
        turn.effect(&SandboxEffect::Hibernate { worker, checkpoint, depth });
    }

    /// Does what a halt asks, as far as its status allows.
    pub(super) fn obey(&mut self, turn: &mut Turn<Self>) {
        if !self.halted.is_halted {
            return;
        }
        if self.status == SandboxStatus::Migrating {
            // Comes back here once it runs again.
            self.give_up_migration(self.migrations, "halted", turn);
        } else if self.status == SandboxStatus::Running && self.course == Course::Steady {
            self.hibernate(Depth::Deep, turn);
        }
    }

    pub(super) fn hibernated(
        &mut self,
        checkpoint: u64,
        outcome: Outcome<()>,
        turn: &mut Turn<Self>,
    ) {
        let is_wanted = self.status == SandboxStatus::Running && self.checkpoints == checkpoint;
        match outcome {
            Outcome::Done(()) => {
                self.holdings.instance = false;
                if is_wanted {
                    self.enter(SandboxStatus::Hibernated, turn);
                } else {
                    turn.event("late", format!("hibernated, and it is {}", self.status.name()));
                }
            }
            Outcome::Failed(failure) => {
                turn.event("hibernation_failed", failure.class);
                turn.effect(&SandboxEffect::DeleteCheckpoint { checkpoint });
                if is_wanted {
                    // A halt asks again.
                    self.course = Course::Steady;
                }
            }
        }
    }

    pub(super) fn woken(&mut self, checkpoint: u64, outcome: Outcome<()>, turn: &mut Turn<Self>) {
        let is_wanted = self.status == SandboxStatus::Hibernated && self.checkpoints == checkpoint;
        match outcome {
            Outcome::Done(()) if is_wanted => {
                self.enter(SandboxStatus::Running, turn);
                turn.effect(&SandboxEffect::DeleteCheckpoint { checkpoint });
                self.obey(turn);
            }
            Outcome::Done(()) => {
                turn.event("late", format!("woken, and it is {}", self.status.name()));
            }
            Outcome::Failed(failure) => {
                turn.event("wake_failed", failure.class);
                if is_wanted {
                    self.holdings.instance = false;
                    self.course = Course::Steady;
                }
            }
        }
    }
}

impl Handler<HibernateSandbox> for Sandbox {
    fn handle(&mut self, message: HibernateSandbox, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, (&self.init.owner, HibernateSandbox::NAME), turn)?;
        match (self.status, self.course) {
            (SandboxStatus::Running, Course::Steady) => {
                self.hibernate(message.depth, turn);
                Ok(())
            }
            (SandboxStatus::Running, Course::Hibernating(_)) => Ok(()),
            (status, _) => Err(Refusal::new(format!("the sandbox is {}", status.name()))),
        }
    }
}

impl Handler<WakeSandbox> for Sandbox {
    fn handle(&mut self, message: WakeSandbox, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, (&self.init.owner, WakeSandbox::NAME), turn)?;
        if self.status != SandboxStatus::Hibernated {
            return Err(Refusal::new(format!("the sandbox is {}", self.status.name())));
        }
        if self.halted.is_halted {
            return Err(Refusal::new("there is no credit"));
        }
        if matches!(self.course, Course::Waking(_)) {
            return Ok(());
        }
        if let Some(on) = message.on {
            if self.depth == Depth::Paused && on != self.worker {
                return Err(Refusal::new(format!("its checkpoint lies on {}", self.worker)));
            }
            self.worker = on;
        }
        self.course = Course::Waking(turn.now());
        self.holdings.instance = true;
        let (worker, checkpoint) = (self.worker.clone(), self.checkpoints);
        turn.effect(&SandboxEffect::Wake { worker, checkpoint });
        Ok(())
    }
}

impl Handler<Halt> for Sandbox {
    /// Said again it is done again, as far as it is not under way.
    fn handle(&mut self, message: Halt, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from::<CreditAccount, _>(&self.init.owner, turn))?;
        if message.round < self.halted.round {
            turn.event("late", format!("halt {}", message.round));
            return Ok(());
        }
        self.halted = Halted { round: message.round, is_halted: true };
        self.obey(turn);
        self.tell_account(turn);
        Ok(())
    }
}

impl Handler<Resume> for Sandbox {
    fn handle(&mut self, message: Resume, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from::<CreditAccount, _>(&self.init.owner, turn))?;
        if message.round < self.halted.round {
            turn.event("late", format!("resume {}", message.round));
            return Ok(());
        }
        // The next halt has another number.
        self.halted = Halted { round: message.round + 1, is_halted: false };
        Ok(())
    }
}
