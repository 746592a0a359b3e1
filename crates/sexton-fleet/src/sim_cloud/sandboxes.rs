//! The hosts of sandboxes, and what lies on them: what runs, checkpoints, and copies on the way.
//!
//! Answers are from what really exists. A host that does not answer keeps everything and can do
//! nothing; with one that is gone all that was on it is gone too, but for deep checkpoints, which
//! lie in the provider's store.

use serde::{Deserialize, Serialize};
use sexton_core::{ActorRef, Answer, Owed, Timestamp, codec};

use crate::sandbox::{Depth, SandboxEffect};
use crate::worker::{RegistryScan, WorkerAnswer, WorkerEffect};

use super::callback::CallbackKind;
use super::machines::TRANSIENT_PER_THOUSAND;
use super::world::Record;
use super::{CloudError, Listing, Performed, SimCloud, done, failure};

/// How a host stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostState {
    /// It works.
    Up,
    /// It runs, and cannot be reached: nor do its sandboxes reach the registry.
    Silent,
    /// It does not exist any more.
    Gone,
}

/// What runs of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimInstance {
    /// On which worker.
    pub worker: String,
}

/// A checkpoint of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimCheckpoint {
    /// On which worker it lies, if it does on one.
    pub worker: Option<String>,
}

/// A copy of a sandbox on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimCopy {
    /// To which worker.
    pub to: String,
    /// When it is complete; it cannot be deleted before.
    pub done_at: Timestamp,
}

type Records = Vec<Record>;

impl SimCloud {
    /// Says how the host of a worker stands; one that was never spoken of does not exist.
    ///
    /// # Errors
    ///
    /// [`CloudError`] if the cloud's file fails.
    pub fn set_host(&mut self, worker: &str, state: HostState) -> Result<(), CloudError> {
        let mut records = vec![Record::Host(worker.to_owned(), state)];
        if state == HostState::Gone {
            let world = &self.world;
            let instances = world.instances.iter().filter(|(_, it)| it.worker == worker);
            records.extend(instances.map(|(of, _)| Record::Instance(of.clone(), None)));
            let checkpoints = world.checkpoints.iter();
            let checkpoints = checkpoints.filter(|(_, it)| it.worker.as_deref() == Some(worker));
            records.extend(checkpoints.map(|(of, _)| Record::Checkpoint(of.clone(), None)));
            let copies = world.copies.iter().filter(|(_, it)| it.to == worker);
            records.extend(copies.map(|(of, _)| Record::Copy(of.clone(), None)));
        }
        self.commit(records)
    }

    /// What runs of which sandbox, in order of their lives.
    pub fn sandboxes(&self) -> impl Iterator<Item = (&ActorRef, &SimInstance)> {
        self.world.instances.iter()
    }

    /// The checkpoints that exist, by sandbox and number.
    pub fn checkpoints(&self) -> impl Iterator<Item = (&(ActorRef, u64), &SimCheckpoint)> {
        self.world.checkpoints.iter()
    }

    /// The copies that exist or are on their way, by sandbox and migration.
    pub fn copies(&self) -> impl Iterator<Item = (&(ActorRef, u64), &SimCopy)> {
        self.world.copies.iter()
    }

    pub(super) fn perform_sandbox(
        &mut self,
        now: Timestamp,
        owed: &Owed,
    ) -> Result<Performed, CloudError> {
        let effect = codec::decode::<SandboxEffect>(&owed.effect)?;
        let (asked_at, asked) = self.asked_at(now, owed);
        let mut records: Records = asked.into_iter().collect();
        let chance = self.chance(owed);
        let at = asked_at + chance.between("sandbox", 1_000, 5_000);
        let answer = if chance.is_one_of("fail", TRANSIENT_PER_THOUSAND) {
            Answer::Transient(failure("network", "the host's answer was lost"))
        } else {
            match self.sandbox(&owed.id.actor, &effect, (now, at)) {
                Ok(more) => {
                    records.extend(more);
                    done(&())?
                }
                Err(answer) => answer,
            }
        };
        self.commit(records)?;
        Ok(Performed::At(at, answer))
    }

    fn sandbox(
        &mut self,
        me: &ActorRef,
        effect: &SandboxEffect,
        times: (Timestamp, Timestamp),
    ) -> Result<Records, Answer> {
        match effect {
            SandboxEffect::Start { worker } => {
                self.reach(worker)?;
                Ok(self.run(me, worker))
            }
            SandboxEffect::Stop { worker } => self.stop(me, worker),
            SandboxEffect::Hibernate { worker, checkpoint, depth } => {
                self.hibernate(me, worker, (*checkpoint, *depth))
            }
            SandboxEffect::Wake { worker, checkpoint } => {
                self.reach(worker)?;
                if !self.world.checkpoints.contains_key(&(me.clone(), *checkpoint)) {
                    return Err(permanent("there is no such checkpoint"));
                }
                Ok(self.run(me, worker))
            }
            SandboxEffect::DeleteCheckpoint { checkpoint } => {
                let of = (me.clone(), *checkpoint);
                if let Some(checkpoint) = self.world.checkpoints.get(&of)
                    && let Some(worker) = &checkpoint.worker
                {
                    self.reach(worker)?;
                }
                Ok(vec![Record::Checkpoint(of, None)])
            }
            SandboxEffect::Migrate { migration, to } => self.migrate(me, (*migration, to), times),
            SandboxEffect::CutOver { migration, to } => {
                let of = (me.clone(), *migration);
                if !self.world.copies.contains_key(&of) {
                    // Done before, and asked again: then it runs there already.
                    let is_there = self.world.instances.get(me).is_some_and(|it| it.worker == *to);
                    return if is_there { Ok(Vec::new()) } else { Err(permanent("no such copy")) };
                }
                self.reach_at_once(to)?;
                let instance = SimInstance { worker: to.clone() };
                Ok(vec![Record::Copy(of, None), Record::Instance(me.clone(), Some(instance))])
            }
            SandboxEffect::DeleteCopy { migration } => {
                let of = (me.clone(), *migration);
                if self.world.copies.get(&of).is_some_and(|copy| copy.done_at > times.0) {
                    let why = failure("busy", "the copy is still being written");
                    return Err(Answer::Transient(why));
                }
                Ok(vec![Record::Copy(of, None)])
            }
        }
    }

    /// Whether a host can do anything.
    fn reach(&self, worker: &str) -> Result<(), Answer> {
        match self.world.hosts.get(worker) {
            Some(HostState::Up) => Ok(()),
            Some(HostState::Silent) => {
                Err(Answer::Transient(failure("network", "the host cannot be reached")))
            }
            Some(HostState::Gone) | None => Err(permanent("there is no such host")),
        }
    }

    /// The same, of what nobody is to wait for: a host that is silent is an answer.
    fn reach_at_once(&self, worker: &str) -> Result<(), Answer> {
        self.reach(worker).map_err(|answer| match answer {
            Answer::Transient(failure) | Answer::Permanent(failure) => Answer::Permanent(failure),
            Answer::Done(_) => answer,
        })
    }

    /// It runs there; if it runs already, it is that.
    fn run(&self, me: &ActorRef, worker: &str) -> Records {
        if self.world.instances.contains_key(me) {
            return Vec::new();
        }
        vec![Record::Instance(me.clone(), Some(SimInstance { worker: worker.to_owned() }))]
    }

    fn stop(&self, me: &ActorRef, worker: &str) -> Result<Records, Answer> {
        let is_there = self.world.instances.get(me).is_some_and(|it| it.worker == worker);
        if !is_there {
            return Ok(Vec::new());
        }
        self.reach(worker)?;
        Ok(vec![Record::Instance(me.clone(), None)])
    }

    fn hibernate(
        &self,
        me: &ActorRef,
        worker: &str,
        checkpoint: (u64, Depth),
    ) -> Result<Records, Answer> {
        let (number, depth) = checkpoint;
        let of = (me.clone(), number);
        self.reach(worker)?;
        if self.world.checkpoints.contains_key(&of) {
            return Ok(Vec::new());
        }
        if self.world.instances.get(me).is_none_or(|it| it.worker != worker) {
            return Err(permanent("nothing runs there"));
        }
        let worker = (depth == Depth::Paused).then(|| worker.to_owned());
        let checkpoint = SimCheckpoint { worker };
        Ok(vec![Record::Checkpoint(of, Some(checkpoint)), Record::Instance(me.clone(), None)])
    }

    fn migrate(
        &mut self,
        me: &ActorRef,
        migration: (u64, &str),
        times: (Timestamp, Timestamp),
    ) -> Result<Records, Answer> {
        let (number, to) = migration;
        let of = (me.clone(), number);
        if self.world.copies.contains_key(&of) {
            return Ok(Vec::new());
        }
        self.reach_at_once(to)?;
        if !self.world.instances.contains_key(me) {
            return Err(permanent("nothing runs that could be copied"));
        }
        let chance = super::Chance::new(self.seed, &me.to_string(), number);
        let done_at = times.1 + chance.between("copy", 30_000, 90_000);
        let copy = SimCopy { to: to.to_owned(), done_at };
        let mut records = vec![Record::Copy(of, Some(copy))];
        records.extend(self.call_back(done_at, me, CallbackKind::Migrated(number)));
        Ok(records)
    }

    pub(super) fn perform_worker(
        &mut self,
        now: Timestamp,
        owed: &Owed,
    ) -> Result<Performed, CloudError> {
        let (asked_at, asked) = self.asked_at(now, owed);
        let at = asked_at + self.chance(owed).between("look", 1_000, 5_000);
        let worker = owed.id.actor.id.name();
        let answer = match (self.listing, codec::decode::<WorkerEffect>(&owed.effect)?) {
            (Listing::Failing, _) => Answer::Permanent(failure("network", "the call failed")),
            (_, WorkerEffect::Probe) => match self.world.hosts.get(worker) {
                Some(HostState::Up | HostState::Silent) => done(&WorkerAnswer::Exists)?,
                Some(HostState::Gone) => done(&WorkerAnswer::Gone)?,
                // Never heard of: no proof that it is gone.
                None => permanent("there never was such a host"),
            },
            (listing, WorkerEffect::Scan) => {
                done(&WorkerAnswer::Scanned(self.scan(worker, listing)))?
            }
        };
        self.commit(asked.into_iter().collect())?;
        Ok(Performed::At(at, answer))
    }

    /// What the registry lists: whatever runs on a host that can be reached.
    fn scan(&self, worker: &str, listing: Listing) -> RegistryScan {
        let is_up = |it: &SimInstance| self.world.hosts.get(&it.worker) == Some(&HostState::Up);
        let listed = self.world.instances.iter().filter(|(_, it)| is_up(it));
        let listed: Vec<(&ActorRef, &SimInstance)> = match listing {
            Listing::Whole => listed.collect(),
            Listing::Partial | Listing::Failing => Vec::new(),
        };
        let present = listed.iter().filter(|(_, it)| it.worker == worker);
        RegistryScan {
            complete: listing == Listing::Whole,
            listed: u64::try_from(listed.len()).unwrap_or(u64::MAX),
            present: present.map(|(of, _)| (*of).clone()).collect(),
        }
    }
}

fn permanent(message: &str) -> Answer {
    Answer::Permanent(failure("not_found", message))
}
