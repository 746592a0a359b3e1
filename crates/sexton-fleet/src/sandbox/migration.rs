//! Moving to another worker: a copy is made, takes over, and is never left behind.
//!
//! Each migration has a number and an age of its own. Its copy stands in the state from before
//! it is asked for until it took over or its deletion is confirmed, whatever becomes of the
//! sandbox meanwhile.

use serde::{Deserialize, Serialize};
use sexton_core::{Handler, Message, Outcome, Refusal, Status, Timestamp, Turn};

use crate::caller::authorize;
use crate::owner::MigrateSandbox;

use super::{Course, Sandbox, SandboxEffect, SandboxStatus};

/// A migration, or what may be left of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Migration {
    pub(super) begun_at: Timestamp,
    pub(super) to: String,
    /// The deletion of its copy is owed.
    pub(super) is_given_up: bool,
}

/// A callback: the copy of a migration is complete.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Migrated {
    /// The sandbox's incarnation.
    pub epoch: u32,
    /// The migration's number.
    pub migration: u64,
}

impl Message for Migrated {
    const NAME: &'static str = "migrated";
    type Reply = ();
}

/// A callback: the copy of a migration could not be made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MigrationFailed {
    /// The sandbox's incarnation.
    pub epoch: u32,
    /// The migration's number.
    pub migration: u64,
    /// The class of the failure.
    pub class: String,
}

impl Message for MigrationFailed {
    const NAME: &'static str = "migration_failed";
    type Reply = ();
}

impl Sandbox {
    /// Whether it is this migration that is under way.
    fn is_migrating(&self, migration: u64) -> bool {
        self.status == SandboxStatus::Migrating && self.migrations == migration
    }

    /// A migration comes to nothing: its copy goes, and the sandbox stays where it is.
    pub(super) fn give_up_migration(&mut self, migration: u64, why: &str, turn: &mut Turn<Self>) {
        turn.event("migration_given_up", format!("{migration}: {why}"));
        if let Some(copy) = self.holdings.copies.get_mut(&migration) {
            copy.is_given_up = true;
            turn.effect(&SandboxEffect::DeleteCopy { migration });
        }
        if self.is_migrating(migration) {
            self.enter(SandboxStatus::Running, turn);
            self.obey(turn);
        }
    }

    /// The copy took over, or could not. That it did is a fact, whatever was wanted meanwhile.
    pub(super) fn cut_over(
        &mut self,
        migration: u64,
        to: &str,
        outcome: Outcome<()>,
        turn: &mut Turn<Self>,
    ) {
        if let Outcome::Failed(failure) = outcome {
            self.give_up_migration(migration, &failure.class, turn);
            return;
        }
        self.holdings.copies.remove(&migration);
        to.clone_into(&mut self.worker);
        if self.status.is_terminal() {
            turn.event("late", format!("migration {migration} took over"));
            self.holdings.instance = true;
            turn.effect(&SandboxEffect::Stop { worker: self.worker.clone() });
        } else if self.is_migrating(migration) {
            self.enter(SandboxStatus::Running, turn);
            self.obey(turn);
        } else {
            self.register(turn);
        }
    }
}

impl Handler<MigrateSandbox> for Sandbox {
    fn handle(&mut self, message: MigrateSandbox, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, (&self.init.owner, MigrateSandbox::NAME), turn)?;
        let is_free = self.status == SandboxStatus::Running && self.course == Course::Steady;
        if !is_free {
            let status = self.status.name();
            return Err(Refusal::new(format!("the sandbox is {status}, or about to hibernate")));
        }
        if message.to == self.worker {
            return Err(Refusal::new(format!("the sandbox is on {} already", self.worker)));
        }
        self.migrations += 1;
        let (migration, to) = (self.migrations, message.to);
        let copy = Migration { begun_at: turn.now(), to: to.clone(), is_given_up: false };
        self.holdings.copies.insert(migration, copy);
        self.enter(SandboxStatus::Migrating, turn);
        turn.effect(&SandboxEffect::Migrate { migration, to });
        Ok(())
    }
}

impl Handler<Migrated> for Sandbox {
    /// A completion that comes when nobody waits for it changes nothing, and its copy goes.
    fn handle(&mut self, message: Migrated, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let Migrated { epoch, migration } = message;
        if !Self::is_current(epoch, "migrated", turn) {
            return Ok(());
        }
        let is_wanted = self.is_migrating(migration);
        let Some(copy) = self.holdings.copies.get_mut(&migration) else {
            turn.event("late", format!("migration {migration} is over"));
            return Ok(());
        };
        if is_wanted {
            turn.effect(&SandboxEffect::CutOver { migration, to: copy.to.clone() });
            return Ok(());
        }
        copy.is_given_up = true;
        turn.event("late", format!("migration {migration}, and it is {}", self.status.name()));
        turn.effect(&SandboxEffect::DeleteCopy { migration });
        Ok(())
    }
}

impl Handler<MigrationFailed> for Sandbox {
    fn handle(&mut self, message: MigrationFailed, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let MigrationFailed { epoch, migration, class } = message;
        if Self::is_current(epoch, "migration failed", turn) {
            self.give_up_migration(migration, &class, turn);
        }
        Ok(())
    }
}
