//! Alarms: one deadline, one turn; a failed one backs off and is never dropped.

use crate::deadline::{BackOff, Due, rings_at};
use crate::error::{Error, Refusal};
use crate::key::{self, ActorId, Parsed};
use crate::limits::FAILURES_BEFORE_STALLED;
use crate::store::Store;
use crate::time::Timestamp;

use super::draft::End;
use super::recover::{each_between, each_shard};
use super::slot::{Found, Slot};
use super::{Engine, Turned};

/// How often a process may end during one attempt before that attempt is put off. Chosen: a
/// process that is killed for other reasons, again and again, finds every deadline at its own
/// time; one that dies of a handler stops dying of it after some restarts.
const DEATHS_BEFORE_BACK_OFF: u32 = 5;

impl Engine {
    /// Brings into memory the alarms of the next stretch of time, when the present one runs out.
    pub(super) fn look_ahead(&mut self, now: Timestamp, store: &dyn Store) -> Result<(), Error> {
        if now + self.limits.alarm_horizon / 2 < self.horizon {
            return Ok(());
        }
        let horizon = now + self.limits.alarm_horizon;
        each_shard(store, |shard| {
            if !self.part.has(shard) {
                return Ok(());
            }
            let (from, to) =
                (key::alarms_from(shard, self.horizon), key::alarms_from(shard, horizon));
            each_between(store, (from, &to), |at, _| {
                if let Some(Parsed::Alarm(id, due)) = key::parse(at) {
                    self.alarms.insert((due, id));
                }
                Ok(())
            })
        })?;
        self.horizon = horizon;
        Ok(())
    }

    /// Rings the alarm that has been due the longest.
    pub(super) fn ring_first(
        &mut self,
        now: Timestamp,
        store: &dyn Store,
    ) -> Result<Turned, Error> {
        let Some((armed, id)) = self.alarms.pop_first() else { return Ok(Turned::default()) };
        if self.aside.has(&id) {
            // It is armed again when its actor can be read.
            return Ok(Turned::default());
        }
        let result = self.ring_one(now, store, (armed, &id));
        self.spare(now, &id, result).map(Option::unwrap_or_default)
    }

    fn ring_one(
        &mut self,
        now: Timestamp,
        store: &dyn Store,
        alarm: (Timestamp, &ActorId),
    ) -> Result<Turned, Error> {
        let (armed, id) = alarm;
        let Found::Alive(mut slot) = self.checkout(now, store, id)? else {
            return Ok(Turned::default());
        };
        let first = slot
            .due()
            .iter()
            .map(|due| (rings_at(due, &slot.rare().back_offs), due))
            .filter(|(at, _)| *at <= now)
            .min()
            .map(|(_, due)| due.clone());
        let Some(due) = first else {
            // Nothing of the committed state is due: the alarm in memory was an old one.
            self.rearm(id, None, slot.record.alarm);
            self.checkin(slot);
            return Ok(Turned::default());
        };
        let turned = match self.mark_attempt(now, (&mut slot, &due))? {
            Some(marked) => {
                let order = marked.gate;
                self.alarms.remove(&(slot.record.alarm.unwrap_or(armed), id.clone()));
                self.marked.push((order, slot.record.alarm.unwrap_or(armed), id.clone()));
                marked
            }
            None => self.ring(now, (&mut slot, &due))?,
        };
        self.checkin(slot);
        Ok(turned)
    }

    /// Persists an attempt before it is made, where an earlier one may have killed the process.
    ///
    /// Only deadlines that were due before this engine began to work are suspected: so a handler
    /// that takes the process down backs off over restarts, and an ordinary deadline costs one
    /// commit. When the last process wrote last says nothing: it may have ended before it wrote
    /// anything of the attempt. Returns the commit of the mark, or `None` when the attempt may be made.
    fn mark_attempt(
        &mut self,
        now: Timestamp,
        at: (&mut Slot, &Due),
    ) -> Result<Option<Turned>, Error> {
        let (slot, due) = at;
        let began_at = self.began_at.unwrap_or(now).max(self.recovered_at);
        if due.at > began_at || self.marks.contains(&(slot.id.clone(), due.clone())) {
            return Ok(None);
        }
        self.marks.insert((slot.id.clone(), due.clone()));
        let entry = back_off_of(&mut slot.rare_mut().back_offs, due);
        if entry.is_open {
            entry.failures = entry.failures.saturating_add(1);
            "the process ended during the attempt".clone_into(&mut entry.why);
            if entry.failures > DEATHS_BEFORE_BACK_OFF {
                entry.next_at = now + self.limits.back_off(entry.failures - DEATHS_BEFORE_BACK_OFF);
            }
        } else {
            entry.is_open = true;
        }
        let mut draft = self.draft(&slot.id, now);
        draft.end = End::Changed;
        let label = (slot.id.clone(), "mark".into());
        self.finish(slot, draft, label).map(Some)
    }

    /// Keeps G4: a deadline that is due has a turn, and one that failed is tried again.
    fn ring(&mut self, now: Timestamp, at: (&mut Slot, &Due)) -> Result<Turned, Error> {
        let (slot, due) = at;
        self.marks.remove(&(slot.id.clone(), due.clone()));
        let rung_at = rings_at(due, &slot.rare().back_offs).max(slot.record.armed_at);
        let mut draft = self.draft(&slot.id, now);
        let result = self.attempt(slot, &mut draft, "deadline", |live, record| {
            live.on_deadline(&due.what, record)
        })?;
        let still_due = slot.due().contains(due);
        match result {
            // Its back-off goes with it, as that of everything that is not due any more.
            Ok(()) if !still_due => {}
            Ok(()) => {
                // Motion is not progress: what it changed stays, and it counts as a failure.
                let refusal = Refusal::new("it is still due after its turn");
                self.fail_deadline((slot, due), &mut draft, &refusal)?;
            }
            Err(refusal) => {
                draft = self.draft(&slot.id, now);
                self.fail_deadline((slot, due), &mut draft, &refusal)?;
            }
        }
        draft.end = End::Changed;
        let label = (slot.id.clone(), "deadline".into());
        let mut turned = self.finish(slot, draft, label)?;
        let lateness_ms = now.since(rung_at).as_millis();
        turned.lateness_ms = Some(u64::try_from(lateness_ms).unwrap_or(u64::MAX));
        Ok(turned)
    }

    fn fail_deadline(
        &self,
        at: (&mut Slot, &Due),
        draft: &mut super::Draft,
        refusal: &Refusal,
    ) -> Result<(), Error> {
        let (slot, due) = at;
        let entry = back_off_of(&mut slot.rare_mut().back_offs, due);
        entry.failures = entry.failures.saturating_add(1);
        entry.next_at = draft.now + self.limits.back_off(entry.failures);
        entry.is_open = false;
        entry.why.clone_from(&refusal.reason);
        if entry.failures >= FAILURES_BEFORE_STALLED {
            let why = format!("a deadline fails: {refusal}");
            slot.stall(draft, why)?;
        }
        Ok(())
    }
}

/// The back-off of a deadline, made if there is none.
fn back_off_of<'a>(back_offs: &'a mut Vec<BackOff>, due: &Due) -> &'a mut BackOff {
    let place = back_offs.iter().position(|back_off| back_off.is_for(due));
    let place = place.unwrap_or_else(|| {
        back_offs.push(BackOff {
            at: due.at,
            what: due.what.clone(),
            failures: 0,
            next_at: due.at,
            is_open: false,
            why: String::new(),
        });
        back_offs.len() - 1
    });
    &mut back_offs[place]
}
