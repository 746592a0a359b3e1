//! The provider's list of machines, held against who lives: for the reaper.

use std::time::Duration;

use sexton_core::{ActorRef, Answer, Entry, Owed, Store, Timestamp, codec, query};

use crate::reaper::{Found, Orphan, ReaperAnswer, ReaperEffect};

use super::world::{Record, SimMachine};
use super::{CloudError, Listing, Performed, SimCloud, done, failure};

impl SimCloud {
    pub(super) fn perform_reaper(
        &mut self,
        now: Timestamp,
        owed: &Owed,
        store: &dyn Store,
    ) -> Result<Performed, CloudError> {
        let (asked_at, asked) = self.asked_at(now, owed);
        let mut records: Vec<Record> = asked.into_iter().collect();
        let at = asked_at + self.chance(owed).between("agent", 1_000, 5_000);
        let answer = match codec::decode::<ReaperEffect>(&owed.effect)? {
            ReaperEffect::FindOrphans { installation, age } => {
                self.find_orphans((&installation, age), asked_at, store)?
            }
            ReaperEffect::DeleteOrphan { orphan, installation } => {
                let machine = self.world.machines.get(&orphan.owner);
                let machine = machine.filter(|it| it.machine.id == orphan.machine);
                let is_spared = match machine {
                    // Read again just before: a listing is old when it arrives.
                    Some(it) => it.installation != installation || lives(&it.owner, store)?,
                    None => false,
                };
                if is_spared {
                    done(&ReaperAnswer::Spared)?
                } else {
                    records.extend(self.end_machine(&orphan.owner, at));
                    done(&ReaperAnswer::Deleted)?
                }
            }
        };
        self.commit(records)?;
        Ok(Performed::At(at, answer))
    }

    /// Keeps G12: what the listing does not say is not concluded.
    fn find_orphans(
        &self,
        of: (&str, Duration),
        now: Timestamp,
        store: &dyn Store,
    ) -> Result<Answer, CloudError> {
        let (installation, age) = of;
        let complete = match self.listing {
            Listing::Whole => true,
            Listing::Partial => false,
            Listing::Failing => {
                return Ok(Answer::Permanent(failure("network", "the list call failed")));
            }
        };
        let mut old: Vec<&SimMachine> = self.world.machines.values().collect();
        old.retain(|it| it.installation == installation && it.created_at + age <= now);
        old.retain(|it| it.deleted_at.is_none());
        old.sort_by_key(|it| it.created_at);
        let mut orphans = Vec::new();
        for machine in old {
            if !lives(&machine.owner, store)? {
                let id = machine.machine.id.clone();
                orphans.push(Orphan { machine: id, owner: machine.owner.clone() });
            }
        }
        done(&ReaperAnswer::Found(Found { complete, orphans }))
    }
}

/// Whether the life that a machine was made for is there; also while it is being destroyed,
/// because then it owes the deletion itself.
fn lives(owner: &ActorRef, store: &dyn Store) -> Result<bool, CloudError> {
    Ok(match query::entry(store, &owner.id)? {
        Some(Entry::Alive(record)) => record.incarnation == owner.incarnation,
        Some(Entry::Tombstone(_)) | None => false,
    })
}
