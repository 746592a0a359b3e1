//! The outside world of replays and simulations: machines, their agents, and what they cost.
//!
//! A function of its file, its seed and the calls with their time: no clock, no randomness. What
//! it answered stays true when the control plane is killed, because every change lies in a file
//! of its own before the answer is given; the same effect asked again gives the same answer at
//! the same time, and a machine is found again by the life that it was made for, never made
//! twice.
//!
//! A machine or workspace that a trace names is announced with [`ScriptStep::Expect`] before its
//! create is performed; it then does what the trace says when the trace says it, and nothing by
//! itself. Everything else has latencies and failures by the seed.

mod agents;
mod callback;
mod chance;
mod holdings;
mod containers;
mod journal;
mod machines;
mod orphans;
mod runs;
mod sandboxes;
mod script;
mod usage;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use sexton_core::codec::{self, CodecError};
use sexton_core::{Actor, ActorId, ActorRef, Answer, EffectId, Failure, Owed, Store, Timestamp};
use thiserror::Error;

use crate::container::Container;
use crate::identity::AgentIdentity;
use crate::node::Node;
use crate::reaper::Reaper;
use crate::sandbox::Sandbox;
use crate::session::Session;
use crate::worker::Worker;
use crate::workspace::Workspace;

pub use self::callback::{Callback, CallbackKind};
pub use self::containers::SimContainer;
pub use self::holdings::Releasing;
pub use self::sandboxes::{HostState, SimCheckpoint, SimCopy, SimInstance};
pub use self::script::ScriptStep;
pub use self::world::{Bill, Billed, SimMachine};

use self::chance::Chance;
use self::journal::Journal;
use self::world::{Asked, Record, World};

/// How long what is over is remembered. Chosen: far longer than any restart takes.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// Why the cloud could not do what it was asked.
#[derive(Debug, Error)]
pub enum CloudError {
    /// Its file cannot be read or written: nothing of the call took effect.
    #[error("failed to {what}")]
    Io {
        /// What was tried, and with which file.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Its file is damaged before its end: restore it, or begin with a new one.
    #[error("{path} is damaged at byte {at}")]
    Damaged {
        /// Which file.
        path: String,
        /// Where.
        at: usize,
        /// How.
        source: CodecError,
    },
    /// Its file was written with another seed.
    #[error("the file was written with seed {file}, not {asked}")]
    Seed {
        /// The seed of the file.
        file: u64,
        /// The seed that was asked for.
        asked: u64,
    },
    /// An effect cannot be read, or an answer not be written.
    #[error("an effect or a record cannot be encoded or decoded")]
    Codec(#[from] CodecError),
    /// The store cannot be read.
    #[error("the store cannot be read")]
    Store(#[from] sexton_core::Error),
}

/// What becomes of an effect that was handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Performed {
    /// This answer at this time; a time that has passed is now.
    At(Timestamp, Answer),
    /// The trace has not said yet: [`SimCloud::take_due`] will bring the answer.
    Later,
}

/// Whether the provider's listing works, for tests of what ignorance leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// It lists everything.
    Whole,
    /// It lists nothing, and says that it is not complete.
    Partial,
    /// The call fails.
    Failing,
}

/// The simulated cloud.
#[derive(Debug)]
pub struct SimCloud {
    seed: u64,
    world: World,
    journal: Option<Journal>,
    listing: Listing,
    releasing: Releasing,
    /// Scripted effects that wait for the trace, by actor, and the machine that they need.
    pending: BTreeMap<ActorId, (EffectId, Option<ActorRef>)>,
    /// What those of them want made: installation, size, location.
    orders: BTreeMap<ActorRef, (String, String, String)>,
    /// Answers that became due.
    due: BTreeMap<(Timestamp, EffectId), Answer>,
    /// Callbacks that this process has not handed out.
    unhanded: BTreeSet<(Timestamp, u64)>,
    /// Machines whose deletion was asked for, by when it is done.
    ending: BTreeSet<(Timestamp, ActorRef)>,
    /// What can be forgotten, and from when on.
    past: BTreeSet<(Timestamp, ActorId)>,
}

impl SimCloud {
    /// Opens the cloud's file, or begins one; without a path it lives in memory only.
    ///
    /// # Errors
    ///
    /// [`CloudError`] if the file cannot be used, or was written with another seed.
    pub fn open(path: Option<&Path>, seed: u64) -> Result<Self, CloudError> {
        let mut world = World::default();
        let journal = path.map(|path| Journal::open(path, &mut world, seed)).transpose()?;
        let mut cloud = Self {
            seed,
            world,
            journal,
            listing: Listing::Whole,
            releasing: Releasing::Working,
            pending: BTreeMap::new(),
            orders: BTreeMap::new(),
            due: BTreeMap::new(),
            unhanded: BTreeSet::new(),
            ending: BTreeSet::new(),
            past: BTreeSet::new(),
        };
        if cloud.world.seed.is_none() {
            cloud.commit(vec![Record::Seed(seed)])?;
        }
        cloud.index();
        Ok(cloud)
    }

    fn index(&mut self) {
        let callbacks = self.world.callbacks.values();
        self.unhanded = callbacks.map(|it| (it.due, it.number)).collect();
        let machines = self.world.machines.values();
        self.ending = machines.filter_map(|it| Some((it.deleted_at?, it.owner.clone()))).collect();
        let asked = self.world.asked.iter().map(|(of, asked)| (asked.at + REMEMBERED, of.clone()));
        self.past = asked.collect();
        let over = self.world.scripts.iter();
        self.past.extend(over.filter_map(|(of, it)| Some((it.over_at? + REMEMBERED, of.clone()))));
    }

    /// Writes a change down, then makes it.
    fn commit(&mut self, records: Vec<Record>) -> Result<(), CloudError> {
        if records.is_empty() {
            return Ok(());
        }
        if let Some(journal) = &mut self.journal {
            journal.append(&records)?;
        }
        for record in records {
            self.world.apply(record);
        }
        match &mut self.journal {
            Some(journal) => journal.compact(&self.world),
            None => Ok(()),
        }
    }

    /// Performs an effect.
    ///
    /// # Errors
    ///
    /// [`CloudError`] if the cloud's file or the store fails, or the effect cannot be read.
    ///
    /// # Durability
    ///
    /// What is answered lies in the cloud's file before this returns: performed again with the
    /// same id, also after a restart, it gives the same answer at the same time.
    pub fn perform(
        &mut self,
        now: Timestamp,
        owed: &Owed,
        store: &dyn Store,
    ) -> Result<Performed, CloudError> {
        self.advance(now)?;
        match owed.id.actor.id.kind() {
            Node::KIND => self.perform_node(now, owed),
            Workspace::KIND => self.perform_workspace(now, owed, store),
            Session::KIND => self.perform_session(now, owed, store),
            Reaper::KIND => self.perform_reaper(now, owed, store),
            Container::KIND => self.perform_container(now, owed, store),
            AgentIdentity::KIND => self.perform_identity(now, owed, store),
            Sandbox::KIND => self.perform_sandbox(now, owed),
            Worker::KIND => self.perform_worker(now, owed),
            kind => {
                let message = format!("no performer for effects of {kind}");
                Ok(Performed::At(now, Answer::Permanent(failure("invalid", &message))))
            }
        }
    }

    /// The answers of scripted effects that are due, in order of time and effect.
    pub fn take_due(&mut self, now: Timestamp) -> Vec<(EffectId, Answer)> {
        let mut taken = Vec::new();
        while let Some(first) = self.due.first_entry() {
            if first.key().0 > now {
                break;
            }
            let ((_, id), answer) = first.remove_entry();
            taken.push((id, answer));
        }
        taken
    }

    /// When an answer or a callback is due next.
    pub fn next_due(&self) -> Option<Timestamp> {
        let answer = self.due.first_key_value().map(|((at, _), _)| *at);
        let callback = self.unhanded.first().map(|(at, _)| *at);
        [answer, callback].into_iter().flatten().min()
    }

    /// The callbacks that are due and that this process has not handed out yet.
    pub fn callbacks_due(&mut self, now: Timestamp) -> Vec<Callback> {
        let mut due = Vec::new();
        while let Some((at, number)) = self.unhanded.first().copied() {
            if at > now {
                break;
            }
            self.unhanded.pop_first();
            due.extend(self.world.callbacks.get(&number).cloned());
        }
        due
    }

    /// Says that the turn that took a callback is durable: it is not repeated any more.
    ///
    /// # Errors
    ///
    /// [`CloudError`] if the cloud's file fails.
    pub fn acknowledge(&mut self, number: u64) -> Result<(), CloudError> {
        if !self.world.callbacks.contains_key(&number) {
            return Ok(());
        }
        self.commit(vec![Record::Acknowledged(number)])
    }

    /// Lets the provider's listing work or fail.
    pub fn set_listing(&mut self, listing: Listing) {
        self.listing = listing;
    }

    fn call_back(&mut self, due: Timestamp, to: &ActorRef, what: CallbackKind) -> [Record; 2] {
        let number = self.world.next_callback;
        // Counted at once: one change may call back twice.
        self.world.next_callback += 1;
        self.unhanded.insert((due, number));
        let callback = Callback { number, due, to: to.clone(), what };
        [Record::NextCallback(number + 1), Record::Callback(Box::new(callback))]
    }

    /// When this attempt at an effect was asked for first, also before a restart.
    fn asked_at(&mut self, now: Timestamp, owed: &Owed) -> (Timestamp, Option<Record>) {
        let actor = &owed.id.actor.id;
        if let Some(asked) = self.world.asked.get(actor)
            && asked.id == owed.id
            && asked.failures == owed.failures
        {
            return (asked.at, None);
        }
        self.past.insert((now + REMEMBERED, actor.clone()));
        let asked = Asked { id: owed.id.clone(), failures: owed.failures, at: now };
        (now, Some(Record::Asked(actor.clone(), asked)))
    }

    fn chance(&self, owed: &Owed) -> Chance {
        let salt = (owed.id.number << 32) | u64::from(owed.failures);
        Chance::new(self.seed, &owed.id.actor.to_string(), salt)
    }

    /// Does what time alone does: deletions end, what is over is forgotten.
    fn advance(&mut self, now: Timestamp) -> Result<(), CloudError> {
        while let Some((at, owner)) = self.ending.first().cloned() {
            if at > now {
                break;
            }
            self.ending.pop_first();
            let records = self.remove_machine(&owner, at);
            self.commit(records)?;
        }
        while let Some((at, actor)) = self.past.first().cloned() {
            if at > now {
                break;
            }
            self.past.pop_first();
            self.forget(&actor, now);
        }
        Ok(())
    }

    /// Forgets what is over; not written down, because after opening it is forgotten again.
    fn forget(&mut self, actor: &ActorId, now: Timestamp) {
        let asked = self.world.asked.get(actor);
        if asked.is_some_and(|asked| asked.at + REMEMBERED <= now) {
            self.world.asked.remove(actor);
        }
        let over_at = self.world.scripts.get(actor).and_then(|script| script.over_at);
        if over_at.is_some_and(|at| at + REMEMBERED <= now) && !self.pending.contains_key(actor) {
            self.world.scripts.remove(actor);
        }
    }
}

fn failure(class: &str, message: &str) -> Failure {
    Failure { class: class.to_owned(), message: message.to_owned() }
}

fn done<T: Serialize>(answer: &T) -> Result<Answer, CloudError> {
    Ok(Answer::Done(codec::encode(answer)?))
}

#[cfg(test)]
mod tests;
