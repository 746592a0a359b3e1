//! What the cloud knows, as tables; every change is a record that is put or taken away.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sexton_core::{ActorId, ActorRef, EffectId, Timestamp};

use crate::node::{Holding, Machine};

use super::callback::Callback;
use super::containers::SimContainer;
use super::sandboxes::{HostState, SimCheckpoint, SimCopy, SimInstance};

/// A machine as the cloud lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimMachine {
    /// Its id and address.
    pub machine: Machine,
    /// The life that it was made for: token and label.
    pub owner: ActorRef,
    /// The installation's label.
    pub installation: String,
    /// Its size.
    pub size: String,
    /// Its location.
    pub location: String,
    /// When the create call was answered: billed from here.
    pub created_at: Timestamp,
    /// When its deletion is done, once somebody asked for it: billed to here.
    pub deleted_at: Option<Timestamp>,
    /// Whether its agent cannot be reached.
    pub is_down: bool,
    /// The workspaces that its agent runs.
    pub workspaces: BTreeSet<ActorId>,
    /// Since when it has one.
    pub busy_since: Option<Timestamp>,
    /// Milliseconds for which it had one before that.
    pub busy_ms: u64,
}

/// What a trace has said so far of a machine or a workspace that it names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Script {
    /// There is a machine.
    pub(super) booted: Option<Timestamp>,
    /// It can be used.
    pub(super) ready: Option<Timestamp>,
    /// It was never made.
    pub(super) failed: Option<String>,
    /// It was taken away.
    pub(super) lost: Option<String>,
    /// Whoever had it gave it up.
    pub(super) ended: Option<Timestamp>,
    /// Its agent cannot be reached.
    pub(super) is_down: bool,
    /// When the trace had nothing more to say.
    pub(super) over_at: Option<Timestamp>,
}

/// An effect that was asked for, so that asking again gives the same answer at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) id: EffectId,
    pub(super) failures: u32,
    pub(super) at: Timestamp,
}

/// What machines of one size at one location came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    /// How many there were.
    pub machines: u64,
    /// Milliseconds for which they were billed.
    pub paid_ms: u64,
    /// Milliseconds for which they had a workspace.
    pub busy_ms: u64,
}

/// What machines came to, by size and location.
pub type Billed = BTreeMap<(String, String), Bill>;

/// One change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Record {
    Seed(u64),
    Row(u64),
    Machine(Box<SimMachine>),
    MachineGone(ActorRef),
    /// Size, location, all that are gone.
    Total(String, String, Bill),
    Script(ActorId, Box<Script>),
    Asked(ActorId, Asked),
    Callback(Box<Callback>),
    Acknowledged(u64),
    NextCallback(u64),
    Holding(ActorRef, Holding),
    HoldingGone(ActorRef, Holding),
    Container(Box<SimContainer>),
    ContainerGone(ActorRef),
    Key(ActorRef, u64),
    KeyGone(ActorRef, u64),
    Host(String, HostState),
    Instance(ActorRef, Option<SimInstance>),
    Checkpoint((ActorRef, u64), Option<SimCheckpoint>),
    Copy((ActorRef, u64), Option<SimCopy>),
}

/// The tables.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) seed: Option<u64>,
    /// The highest row of a trace that was applied.
    pub(super) row: Option<u64>,
    pub(super) machines: BTreeMap<ActorRef, SimMachine>,
    pub(super) scripts: BTreeMap<ActorId, Script>,
    pub(super) asked: BTreeMap<ActorId, Asked>,
    pub(super) callbacks: BTreeMap<u64, Callback>,
    pub(super) next_callback: u64,
    /// Machines that are gone.
    pub(super) totals: Billed,
    /// Names and volumes, by the lives that they were made for.
    pub(super) holdings: BTreeSet<(ActorRef, Holding)>,
    pub(super) containers: BTreeMap<ActorRef, SimContainer>,
    /// Keys of agents that are valid.
    pub(super) keys: BTreeSet<(ActorRef, u64)>,
    /// The hosts of sandboxes, by the names of their workers.
    pub(super) hosts: BTreeMap<String, HostState>,
    /// What runs of which sandbox.
    pub(super) instances: BTreeMap<ActorRef, SimInstance>,
    pub(super) checkpoints: BTreeMap<(ActorRef, u64), SimCheckpoint>,
    pub(super) copies: BTreeMap<(ActorRef, u64), SimCopy>,
}

/// Puts a value there, or takes away what is there.
fn put<K: Ord, V>(table: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => table.insert(key, value),
        None => table.remove(&key),
    };
}

impl World {
    pub(super) fn apply(&mut self, record: Record) {
        match record {
            Record::Seed(seed) => self.seed = Some(seed),
            Record::Row(row) => self.row = Some(row),
            Record::Machine(machine) => {
                self.machines.insert(machine.owner.clone(), *machine);
            }
            Record::MachineGone(owner) => {
                self.machines.remove(&owner);
            }
            Record::Total(size, location, bill) => {
                self.totals.insert((size, location), bill);
            }
            Record::Script(actor, script) => {
                self.scripts.insert(actor, *script);
            }
            Record::Asked(actor, asked) => {
                self.asked.insert(actor, asked);
            }
            Record::Callback(callback) => {
                self.callbacks.insert(callback.number, *callback);
            }
            Record::Acknowledged(number) => {
                self.callbacks.remove(&number);
            }
            Record::NextCallback(number) => self.next_callback = number,
            Record::Holding(owner, holding) => {
                self.holdings.insert((owner, holding));
            }
            Record::HoldingGone(owner, holding) => {
                self.holdings.remove(&(owner, holding));
            }
            Record::Container(container) => {
                self.containers.insert(container.owner.clone(), *container);
            }
            Record::ContainerGone(owner) => {
                self.containers.remove(&owner);
            }
            Record::Key(owner, key) => {
                self.keys.insert((owner, key));
            }
            Record::KeyGone(owner, key) => {
                self.keys.remove(&(owner, key));
            }
            Record::Host(host, state) => {
                self.hosts.insert(host, state);
            }
            Record::Instance(of, instance) => put(&mut self.instances, of, instance),
            Record::Checkpoint(of, checkpoint) => put(&mut self.checkpoints, of, checkpoint),
            Record::Copy(of, copy) => put(&mut self.copies, of, copy),
        }
    }

    /// The records that make this world, for a journal that begins anew.
    pub(super) fn records(&self) -> Vec<Record> {
        let mut records = vec![Record::NextCallback(self.next_callback)];
        records.extend(self.seed.map(Record::Seed));
        records.extend(self.row.map(Record::Row));
        let machines = self.machines.values().cloned();
        records.extend(machines.map(|machine| Record::Machine(Box::new(machine))));
        let totals = self.totals.iter();
        records.extend(
            totals.map(|((size, at), bill)| Record::Total(size.clone(), at.clone(), *bill)),
        );
        let scripts = self.scripts.iter();
        records.extend(scripts.map(|(of, it)| Record::Script(of.clone(), Box::new(it.clone()))));
        let asked = self.asked.iter();
        records.extend(asked.map(|(of, asked)| Record::Asked(of.clone(), asked.clone())));
        let callbacks = self.callbacks.values().cloned();
        records.extend(callbacks.map(|callback| Record::Callback(Box::new(callback))));
        let holdings = self.holdings.iter().cloned();
        records.extend(holdings.map(|(of, holding)| Record::Holding(of, holding)));
        let containers = self.containers.values().cloned();
        records.extend(containers.map(|container| Record::Container(Box::new(container))));
        records.extend(self.keys.iter().map(|(of, key)| Record::Key(of.clone(), *key)));
        records.extend(self.sandboxes());
        records
    }

    fn sandboxes(&self) -> Vec<Record> {
        let hosts = self.hosts.iter().map(|(host, state)| Record::Host(host.clone(), *state));
        let mut records: Vec<Record> = hosts.collect();
        let instances = self.instances.iter();
        records.extend(instances.map(|(of, it)| Record::Instance(of.clone(), Some(it.clone()))));
        let checkpoints = self.checkpoints.iter();
        records
            .extend(checkpoints.map(|(of, it)| Record::Checkpoint(of.clone(), Some(it.clone()))));
        let copies = self.copies.iter();
        records.extend(copies.map(|(of, it)| Record::Copy(of.clone(), Some(it.clone()))));
        records
    }
}
