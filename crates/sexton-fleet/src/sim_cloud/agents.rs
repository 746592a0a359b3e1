//! The agents of the machines: they make, stop and delete workspaces.

use sexton_core::{ActorRef, Answer, Entry, Owed, Store, Timestamp, codec, query};

use crate::workspace::{AgentAnswer, AgentEffect};

use super::machines::TRANSIENT_PER_THOUSAND;
use super::world::Record;
use super::{CloudError, Performed, SimCloud, done, failure};

/// How an agent's machine stands.
pub(super) enum Host {
    Up,
    Down,
    /// There is no such machine, or it goes: the disk goes with it.
    Gone,
}

impl SimCloud {
    pub(super) fn perform_workspace(
        &mut self,
        now: Timestamp,
        owed: &Owed,
        store: &dyn Store,
    ) -> Result<Performed, CloudError> {
        let effect = codec::decode::<AgentEffect>(&owed.effect)?;
        let (node, answer) = match &effect {
            AgentEffect::Create { node, .. } => (node, AgentAnswer::Created),
            AgentEffect::Stop { node } => (node, AgentAnswer::Stopped),
            AgentEffect::Delete { node } => (node, AgentAnswer::Deleted),
            AgentEffect::Sleep { node } => (node, AgentAnswer::Asleep),
            AgentEffect::Wake { node } => (node, AgentAnswer::Awake),
            AgentEffect::Recover { node } => (node, AgentAnswer::Recovered),
        };
        let host = self.host(node, store)?;
        let is_create = matches!(effect, AgentEffect::Create { .. });
        let is_for_use = match effect {
            AgentEffect::Create { .. } | AgentEffect::Wake { .. } | AgentEffect::Recover { .. } => {
                true
            }
            AgentEffect::Stop { .. } | AgentEffect::Delete { .. } | AgentEffect::Sleep { .. } => {
                false
            }
        };
        if is_create
            && matches!(host, Host::Up | Host::Down)
            && let Some(performed) = self.create_scripted_workspace(now, owed, node)?
        {
            return Ok(performed);
        }
        let (asked_at, asked) = self.asked_at(now, owed);
        let mut records: Vec<Record> = asked.into_iter().collect();
        let chance = self.chance(owed);
        let at = asked_at + chance.between("agent", 1_000, 5_000);
        let answer = match host {
            Host::Gone if is_for_use => {
                Answer::Permanent(failure("not_found", "there is no such machine"))
            }
            Host::Down => Answer::Transient(failure("network", "the agent cannot be reached")),
            Host::Up if chance.is_one_of("fail", TRANSIENT_PER_THOUSAND) => {
                Answer::Transient(failure("network", "the agent's answer was lost"))
            }
            Host::Gone | Host::Up => {
                let workspace = &owed.id.actor.id;
                records.extend(if is_for_use {
                    self.move_in(node, workspace, at)
                } else {
                    self.move_out(node, workspace, at)
                });
                done(&answer)?
            }
        };
        self.commit(records)?;
        Ok(Performed::At(at, answer))
    }

    pub(super) fn host(&self, node: &ActorRef, store: &dyn Store) -> Result<Host, CloudError> {
        let Some(machine) = self.world.machines.get(node) else { return Ok(Host::Gone) };
        if !machine.is_down {
            return Ok(Host::Up);
        }
        // Whoever cannot be reached cannot confirm; but a machine whose deletion is committed
        // takes its disk along, and waiting for its agent would keep it for ever.
        let is_going = match query::entry(store, &node.id)? {
            Some(Entry::Alive(record)) => {
                record.incarnation != node.incarnation || record.destruction.is_some()
            }
            Some(Entry::Tombstone(_)) | None => true,
        };
        Ok(if is_going { Host::Gone } else { Host::Down })
    }
}
