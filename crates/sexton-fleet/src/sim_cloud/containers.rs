//! The containers of towns and the keys of their agents: what exists, started and ended.
//!
//! Every answer is read off what is there at that moment: a process that does not run is stopped,
//! a key that does not exist is revoked. Nothing is started for whoever is being destroyed. A
//! thing named by [`ScriptStep::Down`](super::ScriptStep::Down) cannot be reached until
//! [`Up`](super::ScriptStep::Up); a start or an issue named by
//! [`Failed`](super::ScriptStep::Failed) fails for good.

use serde::{Deserialize, Serialize};
use sexton_core::{ActorId, ActorRef, Answer, Entry, Owed, Store, Timestamp, codec, query};

use crate::container::{ContainerAnswer, ContainerEffect, ContainerHealth, ContainerSays};
use crate::identity::{IdentityAnswer, IdentityEffect};

use super::callback::CallbackKind;
use super::machines::TRANSIENT_PER_THOUSAND;
use super::world::Record;
use super::{CloudError, Performed, SimCloud, done, failure};

/// What the provider keeps of a container: its process, if that runs, and what is left of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimContainer {
    /// The life that it was made for.
    pub owner: ActorRef,
    /// Its newest start.
    pub run: u64,
    /// Since when its process runs; `None` if it does not.
    pub running_since: Option<Timestamp>,
    /// What its process was started with.
    pub config: String,
    /// Pings so far.
    pub pings: u64,
}

impl SimCloud {
    /// What the provider keeps of containers, in order of the lives that they were made for.
    pub fn containers(&self) -> impl Iterator<Item = &SimContainer> {
        self.world.containers.values()
    }

    /// The keys that are valid: whose, and their numbers.
    pub fn keys(&self) -> impl Iterator<Item = &(ActorRef, u64)> {
        self.world.keys.iter()
    }

    /// The process of a container ends by itself, and its end is called back.
    ///
    /// # Errors
    ///
    /// [`CloudError`] if the cloud's file fails.
    pub fn crash(&mut self, container: &ActorId, now: Timestamp) -> Result<(), CloudError> {
        let is_it = |it: &&SimContainer| it.owner.id == *container && it.running_since.is_some();
        let Some(it) = self.world.containers.values().find(is_it).cloned() else { return Ok(()) };
        let says = ContainerSays::Exited { why: "crashed".to_owned() };
        let what = CallbackKind::Container { run: it.run, says };
        let mut records = Vec::from(self.call_back(now, &it.owner, what));
        records.push(Record::Container(Box::new(SimContainer { running_since: None, ..it })));
        self.commit(records)
    }

    pub(super) fn perform_container(
        &mut self,
        now: Timestamp,
        owed: &Owed,
        store: &dyn Store,
    ) -> Result<Performed, CloudError> {
        let effect = codec::decode::<ContainerEffect>(&owed.effect)?;
        let (at, mut records, is_lost) = self.attempt(now, owed);
        let owner = &owed.id.actor;
        let held = self.world.containers.get(owner).cloned();
        let running = held.clone().filter(|it| it.running_since.is_some());
        if let ContainerEffect::Ping { run } = effect {
            let health = match running.filter(|it| it.run == run) {
                Some(_) if is_lost => ContainerHealth::Unreachable,
                Some(it) => {
                    let pings = it.pings + 1;
                    records.push(Record::Container(Box::new(SimContainer { pings, ..it })));
                    ContainerHealth::Healthy
                }
                None => ContainerHealth::Gone,
            };
            self.commit(records)?;
            return Ok(Performed::At(at, done(&ContainerAnswer::Pong(health))?));
        }
        let is_start = matches!(effect, ContainerEffect::Start { .. });
        if let Some(refused) = self.refuse((owner, is_start), is_lost, store)? {
            self.commit(records)?;
            return Ok(Performed::At(at, refused));
        }
        let answer = match effect {
            ContainerEffect::Start { run, config } => {
                if running.is_none_or(|it| it.run != run) {
                    let pings = held.map_or(0, |it| it.pings);
                    let (owner, running_since) = (owner.clone(), Some(now));
                    let fresh = SimContainer { owner, run, running_since, config, pings };
                    records.push(Record::Container(Box::new(fresh)));
                }
                ContainerAnswer::Started
            }
            ContainerEffect::Stop { run } => {
                if let Some(it) = running.filter(|it| it.run == run) {
                    let stopped = SimContainer { running_since: None, ..it };
                    records.push(Record::Container(Box::new(stopped)));
                }
                ContainerAnswer::Stopped
            }
            ContainerEffect::Delete | ContainerEffect::Ping { .. } => {
                records.push(Record::ContainerGone(owner.clone()));
                ContainerAnswer::Deleted
            }
        };
        self.commit(records)?;
        Ok(Performed::At(at, done(&answer)?))
    }

    pub(super) fn perform_identity(
        &mut self,
        now: Timestamp,
        owed: &Owed,
        store: &dyn Store,
    ) -> Result<Performed, CloudError> {
        let effect = codec::decode::<IdentityEffect>(&owed.effect)?;
        let (at, mut records, is_lost) = self.attempt(now, owed);
        let owner = &owed.id.actor;
        let is_issue = matches!(effect, IdentityEffect::Issue { .. });
        if let Some(refused) = self.refuse((owner, is_issue), is_lost, store)? {
            self.commit(records)?;
            return Ok(Performed::At(at, refused));
        }
        let answer = match effect {
            IdentityEffect::Issue { key } => {
                records.push(Record::Key(owner.clone(), key));
                IdentityAnswer::Issued
            }
            IdentityEffect::Revoke { up_to } => {
                let old = self.world.keys.iter().filter(|(of, key)| of == owner && *key <= up_to);
                records.extend(old.map(|(of, key)| Record::KeyGone(of.clone(), *key)));
                IdentityAnswer::Revoked
            }
        };
        self.commit(records)?;
        Ok(Performed::At(at, done(&answer)?))
    }

    /// When this attempt is answered, what to write down for that, and whether its answer is
    /// lost on the way.
    fn attempt(&mut self, now: Timestamp, owed: &Owed) -> (Timestamp, Vec<Record>, bool) {
        let (asked_at, asked) = self.asked_at(now, owed);
        let chance = self.chance(owed);
        let at = asked_at + chance.between("call", 500, 3_000);
        let is_down = self.world.scripts.get(&owed.id.actor.id).is_some_and(|it| it.is_down);
        let is_lost = is_down || chance.is_one_of("fail", TRANSIENT_PER_THOUSAND);
        (at, asked.into_iter().collect(), is_lost)
    }

    /// Why nothing is done: it cannot be reached, it was said to fail, or it makes something
    /// for whoever is about to go.
    fn refuse(
        &self,
        what: (&ActorRef, bool),
        is_lost: bool,
        store: &dyn Store,
    ) -> Result<Option<Answer>, CloudError> {
        let (owner, is_making) = what;
        if is_making && is_going(owner, store)? {
            return Ok(Some(Answer::Permanent(failure("destroyed", "it is being destroyed"))));
        }
        if is_lost {
            return Ok(Some(Answer::Transient(failure("network", "no answer came"))));
        }
        let script = self.world.scripts.get(&owner.id);
        let failed = script.and_then(|it| it.failed.as_ref()).filter(|_| is_making);
        Ok(failed.map(|class| Answer::Permanent(failure(class, "so the script says"))))
    }
}

/// Whether a life is over, or its end is committed.
fn is_going(owner: &ActorRef, store: &dyn Store) -> Result<bool, CloudError> {
    Ok(match query::entry(store, &owner.id)? {
        Some(Entry::Alive(record)) => {
            record.incarnation != owner.incarnation || record.destruction.is_some()
        }
        Some(Entry::Tombstone(_)) | None => true,
    })
}
