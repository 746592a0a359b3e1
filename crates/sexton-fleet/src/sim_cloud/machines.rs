//! The provider: machines made, found again, deleted and billed.

use std::collections::BTreeSet;

use sexton_core::{ActorId, ActorRef, Answer, EffectId, Owed, Timestamp, codec};

use crate::node::{Machine, NodeAnswer, NodeEffect};

use super::callback::CallbackKind;
use super::chance::Chance;
use super::usage::busy_ms;
use super::world::{Bill, Billed, Record, SimMachine};
use super::{CloudError, Performed, SimCloud, done, failure};

/// Failures that a retry mends, of a thousand attempts. Chosen: seen daily, never in the way.
pub(super) const TRANSIENT_PER_THOUSAND: u64 = 10;
/// How soon a scripted create is answered when the trace was ahead of it. Chosen: one call.
pub(super) const SOON: std::time::Duration = std::time::Duration::from_secs(1);

/// What a machine is made of.
pub(super) struct Order<'a> {
    pub(super) owner: &'a ActorRef,
    pub(super) installation: &'a str,
    pub(super) size: &'a str,
    pub(super) location: &'a str,
}

impl SimCloud {
    /// The machines that exist at `now`, in order of the lives that they were made for.
    pub fn machines(&self, now: Timestamp) -> impl Iterator<Item = &SimMachine> {
        let exists = move |it: &&SimMachine| it.deleted_at.is_none_or(|at| at > now);
        self.world.machines.values().filter(exists)
    }

    /// What machines came to up to `now`, by size and location.
    pub fn billed(&self, now: Timestamp) -> Billed {
        let mut billed = self.world.totals.clone();
        for machine in self.world.machines.values() {
            let place = (machine.size.clone(), machine.location.clone());
            let until = machine.deleted_at.map_or(now, |at| at.min(now));
            add(billed.entry(place).or_default(), machine, until);
        }
        billed
    }

    /// Puts a machine there that nobody asked for, as a lost record or another tool would.
    ///
    /// # Errors
    ///
    /// [`CloudError`] if the cloud's file fails.
    pub fn plant(
        &mut self,
        now: Timestamp,
        owner: &ActorRef,
        installation: &str,
        place: (&str, &str),
    ) -> Result<(), CloudError> {
        let order = Order { owner, installation, size: place.0, location: place.1 };
        let record = self.machine(&order, now);
        self.commit(vec![record])
    }

    pub(super) fn machine(&self, order: &Order<'_>, created_at: Timestamp) -> Record {
        let number = Chance::new(self.seed, &order.owner.to_string(), 0).draw("machine");
        let [_, _, _, _, _, a, b, c] = number.to_be_bytes();
        let machine =
            Machine { id: format!("m-{number:016x}"), address: format!("10.{a}.{b}.{c}:8080") };
        Record::Machine(Box::new(SimMachine {
            machine,
            owner: order.owner.clone(),
            installation: order.installation.to_owned(),
            size: order.size.to_owned(),
            location: order.location.to_owned(),
            created_at,
            deleted_at: None,
            is_down: false,
            workspaces: BTreeSet::new(),
            busy_since: None,
            busy_ms: 0,
        }))
    }

    /// A machine is gone at `at`: what it cost is kept, and nothing calls back for it any more.
    pub(super) fn remove_machine(&mut self, owner: &ActorRef, at: Timestamp) -> Vec<Record> {
        let Some(machine) = self.world.machines.get(owner) else { return Vec::new() };
        let place = (machine.size.clone(), machine.location.clone());
        let mut total = self.world.totals.get(&place).copied().unwrap_or_default();
        add(&mut total, machine, at);
        let mut records =
            vec![Record::Total(place.0, place.1, total), Record::MachineGone(owner.clone())];
        let callbacks = self.unhanded.iter().copied().collect::<Vec<_>>();
        for (due, number) in callbacks {
            let is_its = self.world.callbacks.get(&number).is_some_and(|it| it.to == *owner);
            if is_its {
                self.unhanded.remove(&(due, number));
                records.push(Record::Acknowledged(number));
            }
        }
        records
    }

    pub(super) fn perform_node(
        &mut self,
        now: Timestamp,
        owed: &Owed,
    ) -> Result<Performed, CloudError> {
        match codec::decode::<NodeEffect>(&owed.effect)? {
            NodeEffect::Create { installation, size, location } => {
                let order = Order {
                    owner: &owed.id.actor,
                    installation: &installation,
                    size: &size,
                    location: &location,
                };
                self.create_machine(now, owed, &order)
            }
            NodeEffect::Delete { machine: _ } => self.delete_machine(now, owed),
            NodeEffect::Attach { holding } => self.attach(now, owed, holding),
            NodeEffect::Release { holding } => self.release(now, owed, holding),
        }
    }

    fn create_machine(
        &mut self,
        now: Timestamp,
        owed: &Owed,
        order: &Order<'_>,
    ) -> Result<Performed, CloudError> {
        // Found again by its token: never made twice.
        if let Some(machine) = self.world.machines.get(order.owner) {
            let answer = done(&NodeAnswer::Created(machine.machine.clone()))?;
            return Ok(Performed::At(machine.created_at, answer));
        }
        if self.world.scripts.contains_key(&order.owner.id) {
            return self.create_scripted(now, owed, order);
        }
        let (asked_at, asked) = self.asked_at(now, owed);
        let mut records: Vec<Record> = asked.into_iter().collect();
        let chance = self.chance(owed);
        let at = asked_at + chance.between("create", 10_000, 60_000);
        if chance.is_one_of("fail", TRANSIENT_PER_THOUSAND) {
            self.commit(records)?;
            let why = failure("network", "the create call timed out");
            return Ok(Performed::At(at, Answer::Transient(why)));
        }
        records.push(self.machine(order, at));
        let ready_at = at + chance.between("boot", 60_000, 300_000);
        records.extend(self.call_back(ready_at, order.owner, CallbackKind::Ready));
        self.commit(records)?;
        Ok(Performed::At(at, self.created(order.owner)?))
    }

    fn delete_machine(&mut self, now: Timestamp, owed: &Owed) -> Result<Performed, CloudError> {
        let (asked_at, asked) = self.asked_at(now, owed);
        let mut records: Vec<Record> = asked.into_iter().collect();
        let chance = self.chance(owed);
        let at = asked_at + chance.between("delete", 1_000, 10_000);
        if chance.is_one_of("fail", TRANSIENT_PER_THOUSAND) {
            self.commit(records)?;
            let why = failure("rate_limit", "too many calls");
            return Ok(Performed::At(at, Answer::Transient(why)));
        }
        records.extend(self.end_machine(&owed.id.actor, at));
        self.commit(records)?;
        Ok(Performed::At(at, done(&NodeAnswer::Deleted)?))
    }

    /// The deletion of a machine will be done at `at`; of one that does not exist it is.
    pub(super) fn end_machine(&mut self, owner: &ActorRef, at: Timestamp) -> Option<Record> {
        let machine = self.world.machines.get(owner).filter(|it| it.deleted_at.is_none())?;
        let at = at.max(machine.created_at);
        self.ending.insert((at, owner.clone()));
        let machine = SimMachine { deleted_at: Some(at), ..machine.clone() };
        Some(Record::Machine(Box::new(machine)))
    }

    /// The answer for a machine that exists, or for a life whose machine is gone already.
    pub(super) fn created(&self, owner: &ActorRef) -> Result<Answer, CloudError> {
        let machine = self.world.machines.get(owner).map(|it| it.machine.clone());
        let none = || Machine { id: "none".to_owned(), address: "none".to_owned() };
        done(&NodeAnswer::Created(machine.unwrap_or_else(none)))
    }

    pub(super) fn wait_for_trace(&mut self, id: &EffectId, machine: Option<&ActorRef>) {
        let actor: ActorId = id.actor.id.clone();
        self.pending.insert(actor, (id.clone(), machine.cloned()));
    }
}

/// Adds what a machine came to until then.
fn add(bill: &mut Bill, machine: &SimMachine, until: Timestamp) {
    bill.machines += 1;
    bill.paid_ms += life_ms(machine, until);
    bill.busy_ms += busy_ms(machine, until);
}

fn life_ms(machine: &SimMachine, until: Timestamp) -> u64 {
    u64::try_from(until.since(machine.created_at).as_millis()).unwrap_or(u64::MAX)
}
