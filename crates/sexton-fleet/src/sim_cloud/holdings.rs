//! DNS names and volumes: they lie beside the machines, and do not go with them.

use sexton_core::{ActorRef, Answer, Owed, Timestamp};

use crate::node::{Holding, NodeAnswer};

use super::world::Record;
use super::{CloudError, Performed, SimCloud, done, failure};

/// Whether the calls that release names and volumes work, for tests of what is owed meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Releasing {
    /// They work.
    Working,
    /// They fail, and may work later.
    Failing,
}

impl SimCloud {
    /// What lies beside the machines, with the lives that it was made for.
    pub fn holdings(&self) -> impl Iterator<Item = &(ActorRef, Holding)> {
        self.world.holdings.iter()
    }

    /// Lets the release of names and volumes work or fail.
    pub fn set_releasing(&mut self, releasing: Releasing) {
        self.releasing = releasing;
    }

    /// Makes a name or a volume, or finds it again by its life.
    pub(super) fn attach(
        &mut self,
        now: Timestamp,
        owed: &Owed,
        holding: Holding,
    ) -> Result<Performed, CloudError> {
        let (at, mut records) = self.beside(now, owed);
        records.push(Record::Holding(owed.id.actor.clone(), holding));
        self.commit(records)?;
        Ok(Performed::At(at, done(&NodeAnswer::Attached)?))
    }

    /// Deletes a name or a volume, whether its machine is there or not.
    pub(super) fn release(
        &mut self,
        now: Timestamp,
        owed: &Owed,
        holding: Holding,
    ) -> Result<Performed, CloudError> {
        let (at, mut records) = self.beside(now, owed);
        if self.releasing == Releasing::Failing {
            self.commit(records)?;
            let why = failure("network", "the call timed out");
            return Ok(Performed::At(at, Answer::Transient(why)));
        }
        records.push(Record::HoldingGone(owed.id.actor.clone(), holding));
        self.commit(records)?;
        Ok(Performed::At(at, done(&NodeAnswer::Released)?))
    }

    fn beside(&mut self, now: Timestamp, owed: &Owed) -> (Timestamp, Vec<Record>) {
        let (asked_at, asked) = self.asked_at(now, owed);
        let at = asked_at + self.chance(owed).between("beside", 1_000, 5_000);
        (at, asked.into_iter().collect())
    }
}
