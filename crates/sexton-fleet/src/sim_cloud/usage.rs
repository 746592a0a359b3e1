//! How long machines are in use: from their first workspace until none is left.

use sexton_core::{ActorId, ActorRef, Timestamp};

use super::SimCloud;
use super::world::{Record, SimMachine};

impl SimCloud {
    /// How many machines exist, those included whose deletion is under way.
    pub fn n_machines(&self) -> usize {
        self.world.machines.len()
    }

    /// How many machines have a workspace.
    pub fn n_busy(&self) -> usize {
        self.world.machines.values().filter(|it| it.busy_since.is_some()).count()
    }

    /// A workspace lies on a machine from `at` on; said twice it is said once.
    pub(super) fn move_in(
        &self,
        machine: &ActorRef,
        workspace: &ActorId,
        at: Timestamp,
    ) -> Option<Record> {
        let mut machine = self.world.machines.get(machine)?.clone();
        if !machine.workspaces.insert(workspace.clone()) {
            return None;
        }
        machine.busy_since.get_or_insert(at);
        Some(Record::Machine(Box::new(machine)))
    }

    /// A workspace on a machine was stopped or deleted at `at`.
    pub(super) fn move_out(
        &self,
        machine: &ActorRef,
        workspace: &ActorId,
        at: Timestamp,
    ) -> Option<Record> {
        let mut machine = self.world.machines.get(machine)?.clone();
        if !machine.workspaces.remove(workspace) {
            return None;
        }
        if machine.workspaces.is_empty() {
            machine.busy_ms = busy_ms(&machine, at);
            machine.busy_since = None;
        }
        Some(Record::Machine(Box::new(machine)))
    }
}

/// Milliseconds for which a machine was in use up to `at`.
pub(super) fn busy_ms(machine: &SimMachine, at: Timestamp) -> u64 {
    let open = machine.busy_since.map_or(0, |since| at.since(since).as_millis());
    machine.busy_ms + u64::try_from(open).unwrap_or(u64::MAX)
}
