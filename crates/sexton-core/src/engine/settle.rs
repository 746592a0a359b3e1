//! Debts: an answer settles one, or puts it off; only an operator gives one up.

use crate::destroy::Intent;
use crate::effect::{Answer, EffectId, Failure, Outcome};
use crate::error::{Error, ErrorKind};
use crate::event::What;
use crate::key;
use crate::key::ActorId;
use crate::limits::FAILURES_BEFORE_STALLED;
use crate::store::Store;
use crate::time::Timestamp;

use super::draft::{Draft, End};
use super::slot::{Found, Slot};
use super::turns::{destroyed, not_found};
use super::{Engine, Release, Reply, Turned};

impl Engine {
    /// Takes a performer's answer. `None` if the effect is settled already: an answer that comes
    /// twice or late changes nothing.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn answer(
        &mut self,
        now: Timestamp,
        store: &dyn Store,
        to: &EffectId,
        answer: Answer,
    ) -> Result<Option<Turned>, Error> {
        let id = &to.actor.id;
        let result = self.take_answer(now, store, to, answer);
        let turned = self.spare(now, id, result)?;
        if turned.is_none() && self.performing.get(id) == Some(&to.number) {
            // Nobody could be told: when it can be read, it is performed again with its id.
            self.performing.remove(id);
        }
        Ok(turned.flatten())
    }

    fn take_answer(
        &mut self,
        now: Timestamp,
        store: &dyn Store,
        to: &EffectId,
        answer: Answer,
    ) -> Result<Option<Turned>, Error> {
        let Found::Alive(mut slot) = self.checkout(now, store, &to.actor.id)? else {
            return Ok(None);
        };
        let debt = slot.rare().debts.get(&to.number);
        let debt = debt.filter(|_| slot.record.incarnation == to.actor.incarnation);
        let Some(debt) = debt else {
            self.checkin(slot);
            return Ok(None);
        };
        if self.performing.get(&slot.id) == Some(&to.number) {
            self.performing.remove(&slot.id);
        }
        // An answer may come to a debt that this process never performed: an earlier one did.
        self.owed.remove(&(debt.next_at, debt.order, slot.id.clone()));
        let draft = match answer {
            Answer::Done(bytes) => {
                self.settle(now, (&mut slot, to.number), Outcome::Done(bytes))?
            }
            Answer::Transient(failure) => self.put_off(now, (&mut slot, to.number), failure)?,
            Answer::Permanent(failure) => {
                let is_release =
                    slot.rare().debts.get(&to.number).is_some_and(|debt| debt.is_release);
                if is_release {
                    // Keeps G8: a missing credential never turns into "deleted".
                    self.put_off(now, (&mut slot, to.number), failure)?
                } else {
                    self.settle(now, (&mut slot, to.number), Outcome::Failed(failure))?
                }
            }
        };
        self.end_debt_turn(store, slot, draft, "outcome").map(Some)
    }

    fn end_debt_turn(
        &mut self,
        store: &dyn Store,
        mut slot: Box<Slot>,
        mut draft: Draft,
        cause: &str,
    ) -> Result<Turned, Error> {
        if slot.is_destroying() {
            self.bury_if_free(store, &mut slot, &mut draft)?;
        }
        let label = (slot.id.clone(), cause.to_owned().into());
        self.end_turn(slot, draft, label)
    }

    /// The debt is paid or failed for good: the actor is told, in the commit that ends the debt.
    fn settle(
        &mut self,
        now: Timestamp,
        at: (&mut Slot, u64),
        outcome: Outcome<Vec<u8>>,
    ) -> Result<Draft, Error> {
        let (slot, number) = at;
        let Some(debt) = slot.rare_mut().debts.remove(&number) else {
            return Ok(self.draft(&slot.id, now));
        };
        let mut draft = self.draft(&slot.id, now);
        draft.take(key::debt(&slot.id, number));
        let result = self.attempt(slot, &mut draft, "outcome", |live, record| {
            live.on_outcome(&debt.effect, outcome, record)
        })?;
        match result {
            Ok(()) => {
                slot.record.debts_open = slot.record.debts_open.saturating_sub(1);
                draft.end = End::Changed;
                Ok(draft)
            }
            Err(refusal) => {
                slot.rare_mut().debts.insert(number, debt);
                let failure = Failure { class: "refused".to_owned(), message: refusal.reason };
                self.put_off(now, (slot, number), failure)
            }
        }
    }

    /// The debt stays and is tried again after its back-off.
    fn put_off(
        &mut self,
        now: Timestamp,
        at: (&mut Slot, u64),
        failure: Failure,
    ) -> Result<Draft, Error> {
        let (slot, number) = at;
        let mut draft = self.draft(&slot.id, now);
        let key = key::debt(&slot.id, number);
        let Some(debt) = slot.rare_mut().debts.get_mut(&number) else { return Ok(draft) };
        debt.failures = debt.failures.saturating_add(1);
        debt.next_at = now + self.limits.back_off(debt.failures);
        let is_stuck = debt.failures >= FAILURES_BEFORE_STALLED;
        let why = format!("effect {number} fails: {}: {}", failure.class, failure.message);
        debt.why = Some(failure);
        draft.put(key, debt)?;
        if is_stuck {
            slot.stall(&mut draft, why)?;
        }
        Ok(draft)
    }

    /// An operator gives up a debt, by its number and with a reason: an event of its own.
    pub(super) fn abandon(
        &mut self,
        now: Timestamp,
        store: &dyn Store,
        id: &ActorId,
        wish: (u64, Intent, Reply<()>),
    ) -> Result<Turned, Error> {
        let (number, Intent { why, by }, reply) = wish;
        let mut slot = match self.checkout(now, store, id)? {
            Found::Alive(slot) => slot,
            Found::Buried(_) => return Ok(self.answer_only(id, reply, Err(destroyed(id)))),
            Found::Nothing => return Ok(self.answer_only(id, reply, Err(not_found(id)))),
        };
        let Some(debt) = slot.rare_mut().debts.remove(&number) else {
            self.checkin(slot);
            let error = Error::new(ErrorKind::NotFound, format!("{id} owes no effect {number}"));
            return Ok(self.answer_only(id, reply, Err(error)));
        };
        self.owed.remove(&(debt.next_at, debt.order, id.clone()));
        if self.performing.get(id) == Some(&number) {
            self.performing.remove(id);
        }
        let mut draft = self.draft(id, now);
        draft.take(key::debt(id, number));
        slot.record.debts_open = slot.record.debts_open.saturating_sub(1);
        slot.publish(&mut draft, What::Abandoned { number, by, why })?;
        let mut turned = self.end_debt_turn(store, slot, draft, "abandon")?;
        turned.releases.push(Release::new(move || reply(Ok(()))));
        Ok(turned)
    }

    /// Tries the first debt of an actor, or its stuck destruction, without waiting any longer.
    pub(super) fn retry(
        &mut self,
        now: Timestamp,
        store: &dyn Store,
        id: &ActorId,
        reply: Reply<()>,
    ) -> Result<Turned, Error> {
        let mut slot = match self.checkout(now, store, id)? {
            Found::Alive(slot) => slot,
            Found::Buried(_) => return Ok(self.answer_only(id, reply, Err(destroyed(id)))),
            Found::Nothing => return Ok(self.answer_only(id, reply, Err(not_found(id)))),
        };
        let mut draft = self.draft(id, now);
        if let Some((number, debt)) = slot.rare_mut().debts.iter_mut().next() {
            self.owed.remove(&(debt.next_at, debt.order, id.clone()));
            debt.next_at = now;
            draft.put(key::debt(id, *number), debt)?;
        }
        if slot.is_destroying() {
            self.stuck.insert((now, id.clone()));
        }
        let mut turned = self.finish(&mut slot, draft, (id.clone(), "retry".into()))?;
        self.checkin(slot);
        turned.releases.push(Release::new(move || reply(Ok(()))));
        Ok(turned)
    }
}
