//! When an engine has something to do: what it says to whoever sets a timer, and the effects that
//! are due.
//!
//! A clock may be put back. What the state names as a moment waits for it; what waits for a back-off
//! does not wait longer than the longest of them, whatever the clock did meanwhile.

use std::collections::BTreeSet;

use crate::effect::{EffectId, Owed};
use crate::error::Error;
use crate::key::ActorId;
use crate::limits::Limits;
use crate::store::Store;
use crate::time::Timestamp;

use super::slot::Found;
use super::{Engine, Switch};

/// The first of those that wait for a back-off: when it may go on, and where it lies. One that
/// waits for longer than any back-off was put there before the clock was put back.
pub(super) fn first_due<'a>(
    waiting: &'a BTreeSet<(Timestamp, ActorId)>,
    now: Timestamp,
    limits: &Limits,
) -> Option<(Timestamp, &'a (Timestamp, ActorId))> {
    let first = waiting.first()?;
    let last = waiting.last().filter(|(at, _)| first.0 > now && limits.is_beyond(*at, now));
    Some(last.map_or((first.0, first), |last| (now, last)))
}

impl Engine {
    /// When there is something to do without further input, as the clock stands; `None` if never.
    pub fn next_wake(&self, now: Timestamp) -> Option<Timestamp> {
        [self.next_turn(now), self.next_debt(now)].into_iter().flatten().min()
    }

    /// When [`next`](Self::next) has something to do; `None` if never.
    ///
    /// The end of the horizon counts: later alarms may lie in the store.
    pub fn next_turn(&self, now: Timestamp) -> Option<Timestamp> {
        // Mail is due at once: the moment that it carries may be ahead of a clock that was put back.
        let mail = self.mail.first().map(|(place, _)| place.at.min(now));
        let alarm = match self.alarm_switch {
            Switch::On => self.alarms.first().map(|(at, _)| *at).or(Some(self.horizon)),
            Switch::Paused => None,
        };
        let stuck = first_due(&self.stuck, now, &self.limits).map(|(at, _)| at);
        [mail, alarm, stuck, self.aside.next_at(now, &self.limits)].into_iter().flatten().min()
    }

    /// When the next debt may be tried; `None` if nothing is owed that is not being performed.
    ///
    /// A debt that lies further ahead than the longest back-off was recorded before the clock was
    /// put back: it may be tried now.
    pub fn next_debt(&self, now: Timestamp) -> Option<Timestamp> {
        let due = self.due_debts(now).next().map(|((at, ..), _)| (*at).min(now));
        due.or_else(|| self.owed().next().map(|((at, ..), _)| *at))
    }

    /// Whether an effect is due whose turn is durable.
    pub fn is_effect_due(&self, now: Timestamp) -> bool {
        self.due_debts(now).any(|((_, order, _), _)| *order <= self.durable)
    }

    /// The next effect to perform: due, and recorded by a turn that is durable.
    ///
    /// The oldest debt first, then those from before the clock was put back; of one actor, one at a
    /// time. The caller performs it and brings back the answer with [`answer`](Self::answer).
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn next_effect(
        &mut self,
        now: Timestamp,
        store: &dyn Store,
    ) -> Result<Option<Owed>, Error> {
        loop {
            let durable = self.durable;
            let mut due = self.due_debts(now);
            let first = due.find(|((_, order, _), _)| *order <= durable);
            let Some((place, number)) = first.map(|(place, number)| (place.clone(), *number))
            else {
                return Ok(None);
            };
            drop(due);
            self.owed.remove(&place);
            let id = place.2;
            let found = self.checkout(now, store, &id);
            let Some(Found::Alive(slot)) = self.spare(now, &id, found)? else { continue };
            let owed = slot.rare().debts.get(&number).map(|debt| Owed {
                id: EffectId { actor: slot.me(), number },
                effect: debt.effect.clone(),
                failures: debt.failures,
                recorded_at: debt.recorded_at,
            });
            self.checkin(slot);
            if owed.is_some() {
                self.performing.insert(id, number);
                return Ok(owed);
            }
        }
    }

    /// Whether anything may wait for a flush before it can go on: an effect that is due, or an
    /// attempt that was marked.
    pub fn needs_flush(&self, now: Timestamp) -> bool {
        let is_waiting = !self.marked.is_empty() || self.due_debts(now).next().is_some();
        is_waiting && self.durable < self.order
    }

    /// Debts that may be tried, the oldest first; then those from before the clock was put back.
    fn due_debts(
        &self,
        now: Timestamp,
    ) -> impl Iterator<Item = (&(Timestamp, u64, ActorId), &u64)> {
        let limits = &self.limits;
        let due = self.owed().take_while(move |((at, ..), _)| *at <= now);
        due.chain(self.owed().rev().take_while(move |((at, ..), _)| limits.is_beyond(*at, now)))
    }

    /// The first debt of each actor that owes, the earliest first; none while effects are paused.
    fn owed(&self) -> impl DoubleEndedIterator<Item = (&(Timestamp, u64, ActorId), &u64)> {
        let owed = (self.effect_switch == Switch::On).then_some(&self.owed);
        owed.into_iter().flatten()
    }
}
