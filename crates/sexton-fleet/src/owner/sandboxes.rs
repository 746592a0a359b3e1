//! Sandboxes of an owner, and his credit: who asks is checked before anything else.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sexton_core::{ActorId, Handler, Message, Refusal, Turn};

use crate::caller::{Caller, authorize_operator};
use crate::credit::{Admit, CreditAccount, CreditInit, Discharge, Plan};
use crate::sandbox::{Depth, Sandbox, SandboxInit, SandboxSpec, SandboxTerms};
use crate::worker::Worker;

use super::Owner;
use super::commands::{authorize, check, command};

command! {
    /// Makes a sandbox.
    CreateSandbox = "create_sandbox" {
        /// Who asks.
        caller: Caller,
        /// Its name, never used before.
        name: String,
        /// What it shall be.
        spec: SandboxSpec,
    }
}
command! {
    /// Keeps a sandbox of the pool for one holder.
    ReserveSandbox = "reserve_sandbox" {
        /// Who asks.
        caller: Caller,
        /// Which.
        name: String,
        /// For whom: only he can start it.
        holder: String,
    }
}
command! {
    /// Starts a sandbox that was reserved.
    StartSandbox = "start_sandbox" {
        /// Who asks.
        caller: Caller,
        /// Which.
        name: String,
        /// Who reserved it.
        holder: String,
    }
}
command! {
    /// Ends a sandbox, whatever its status.
    StopSandbox = "stop_sandbox" {
        /// Who asks.
        caller: Caller,
        /// Which.
        name: String,
        /// Why.
        why: String,
    }
}
command! {
    /// Lets a sandbox hibernate.
    HibernateSandbox = "hibernate_sandbox" {
        /// Who asks.
        caller: Caller,
        /// Which.
        name: String,
        /// How deep.
        depth: Depth,
    }
}
command! {
    /// Wakes a sandbox.
    WakeSandbox = "wake_sandbox" {
        /// Who asks.
        caller: Caller,
        /// Which.
        name: String,
        /// Where; `None` is where it ran last.
        on: Option<String>,
    }
}
command! {
    /// Moves a sandbox to another worker while it runs.
    MigrateSandbox = "migrate_sandbox" {
        /// Who asks.
        caller: Caller,
        /// Which.
        name: String,
        /// Where to.
        to: String,
    }
}
command! {
    /// Gives a sandbox another scale.
    ScaleSandbox = "scale_sandbox" {
        /// Who asks.
        caller: Caller,
        /// Which.
        name: String,
        /// How many units of what a sandbox has.
        scale: u32,
    }
}
command! {
    /// Adds to the owner's credit; only an operator may.
    AddCredit = "add_credit" {
        /// Who asks.
        caller: Caller,
        /// What tells it from others, at most 64 bytes: one that comes again adds nothing. The
        /// account knows its last 100, and takes an older one for a new one.
        gift: String,
        /// How much.
        cents: u32,
    }
}
command! {
    /// Changes what the owner pays; only an operator may.
    SetPlan = "set_plan" {
        /// Who asks.
        caller: Caller,
        /// What he pays.
        plan: Plan,
    }
}

/// What an owner knows of his sandboxes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sandboxes {
    /// There is a credit account; it is made with the first sandbox.
    has_account: bool,
    /// By name, from their request to their tombstone.
    names: BTreeSet<String>,
}

fn account(owner: &str) -> Result<ActorId, Refusal> {
    check::<CreditAccount>(owner)
}

impl Owner {
    fn create_sandbox(
        &mut self,
        name: &str,
        spec: SandboxSpec,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        check::<Sandbox>(name)?;
        check::<Worker>(&spec.worker)?;
        let policy = &self.init.policy;
        let scale_max = policy.sandbox_scale_max;
        if spec.scale == 0 || spec.scale > scale_max {
            return Err(Refusal::new(format!("a scale is 1 to {scale_max}, not {}", spec.scale)));
        }
        let max = policy.sandboxes_per_owner_max;
        if self.sandboxes.names.len() >= usize::try_from(max).unwrap_or(usize::MAX) {
            return Err(Refusal::new(format!("{max} sandboxes are allowed, and exist")));
        }
        if self.sandboxes.names.contains(name) {
            return Err(Refusal::new(format!("sandbox {name} exists already")));
        }
        let owner = turn.id().name().to_owned();
        let account = account(&owner)?;
        if self.sandboxes.has_account {
            turn.send::<CreditAccount, _>(&account, &Admit { sandbox: name.to_owned() });
        } else {
            // What a turn sends arrives before what it creates: so the first is in its birth.
            turn.create::<CreditAccount>(&owner, &CreditInit::of(&owner, name, policy));
            self.sandboxes.has_account = true;
        }
        let terms = SandboxTerms::of(policy);
        turn.create::<Sandbox>(name, &SandboxInit { owner, spec, terms });
        self.sandboxes.names.insert(name.to_owned());
        Ok(())
    }

    /// A sandbox has its tombstone, or was never born.
    pub(super) fn sandbox_gone(&mut self, name: &str, turn: &mut Turn<Self>) {
        self.sandboxes.names.remove(name);
        if let Ok(account) = account(turn.id().name()) {
            turn.send::<CreditAccount, _>(&account, &Discharge { sandbox: name.to_owned() });
        }
    }
}

impl Handler<CreateSandbox> for Owner {
    fn handle(&mut self, message: CreateSandbox, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, "create_sandbox", turn)?;
        self.create_sandbox(&message.name, message.spec, turn)
    }
}

/// A command that goes on to the sandbox, where it is judged by what the sandbox is.
macro_rules! handed_down {
    ($($name:ident),+ $(,)?) => {
        $(
            impl Handler<$name> for Owner {
                fn handle(&mut self, message: $name, turn: &mut Turn<Self>) -> Result<(), Refusal> {
                    authorize(&message.caller, $name::NAME, turn)?;
                    let sandbox = check::<Sandbox>(&message.name)?;
                    turn.send::<Sandbox, _>(&sandbox, &message);
                    Ok(())
                }
            }
        )+
    };
}
handed_down!(
    ReserveSandbox,
    StartSandbox,
    StopSandbox,
    HibernateSandbox,
    WakeSandbox,
    MigrateSandbox,
    ScaleSandbox,
);

/// A command that goes on to the credit account.
macro_rules! for_the_account {
    ($($name:ident),+ $(,)?) => {
        $(
            impl Handler<$name> for Owner {
                fn handle(&mut self, message: $name, turn: &mut Turn<Self>) -> Result<(), Refusal> {
                    let owner = turn.id().name().to_owned();
                    authorize_operator(&message.caller, (&owner, $name::NAME), turn)?;
                    if !self.sandboxes.has_account {
                        return Err(Refusal::new("the account is made with the first sandbox"));
                    }
                    let account = account(turn.id().name())?;
                    turn.send::<CreditAccount, _>(&account, &message);
                    Ok(())
                }
            }
        )+
    };
}
for_the_account!(AddCredit, SetPlan);
