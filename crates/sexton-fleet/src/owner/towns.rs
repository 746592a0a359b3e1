//! An owner's towns: he lists each from its birth to its tombstone, and has it destroyed.

use serde::{Deserialize, Serialize};
use sexton_core::{Handler, Message, Refusal, Turn};

use crate::caller::Caller;
use crate::town::{EndTown, Town, TownInit, TownTerms};

use super::Owner;
use super::commands::{authorize, check};

/// Makes a town.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreateTown {
    /// Who asks.
    pub caller: Caller,
    /// Its name, never used before.
    pub name: String,
}

impl Message for CreateTown {
    const NAME: &'static str = "create_town";
    type Reply = ();
}

impl Handler<CreateTown> for Owner {
    fn handle(&mut self, message: CreateTown, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let CreateTown { caller, name } = message;
        authorize(&caller, CreateTown::NAME, turn)?;
        check::<Town>(&name)?;
        if self.towns.contains(&name) {
            return Err(Refusal::new(format!("town {name} exists already")));
        }
        let max = self.init.policy.towns_per_owner_max;
        if self.towns.len() >= usize::try_from(max).unwrap_or(usize::MAX) {
            return Err(Refusal::new(format!("{max} towns are allowed, and exist")));
        }
        let owner = turn.id().name().to_owned();
        let init = TownInit { owner, terms: TownTerms::of(&self.init.policy) };
        turn.create::<Town>(&name, &init);
        self.towns.insert(name);
        Ok(())
    }
}

impl Handler<EndTown> for Owner {
    /// Passed on to the town, which looks at the caller again: it may be somebody else's. The
    /// entry here goes when the town has its tombstone, so whoever asks again can.
    fn handle(&mut self, message: EndTown, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, EndTown::NAME, turn)?;
        let town = check::<Town>(&message.name)?;
        turn.send::<Town, _>(&town, &message);
        Ok(())
    }
}
