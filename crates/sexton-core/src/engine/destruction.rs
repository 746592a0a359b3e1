//! The one path by which an actor goes: children in pages, release, debts, tombstone.

use crate::destroy::{Entry, Tombstone};
use crate::error::{Error, Refusal};
use crate::event::What;
use crate::inbox::{Body, Gone, Mail};
use crate::key::{self, ActorId, Parsed};
use crate::store::Store;
use crate::time::Timestamp;

use super::attempt::guard;
use super::draft::{Draft, End};
use super::mail::refuse_birth;
use super::slot::{Children, Found, Slot};
use super::turns::Unborn;
use super::{Engine, Release, Turned};

/// The most mail that a burial turns into dead letters itself; the rest becomes dead letters one
/// by one, when it is taken. Chosen: a batch stays small.
const DEAD_LETTERS_PER_BURIAL_MAX: usize = 1_000;

impl Engine {
    /// Goes as far as possible: asks children, releases what is held, or buries.
    ///
    /// `unlinked` is a child whose link this very turn takes away.
    pub(super) fn advance(
        &mut self,
        store: &dyn Store,
        slot: &mut Slot,
        draft: &mut Draft,
        unlinked: Option<&ActorId>,
    ) -> Result<(), Error> {
        let Some(destruction) = &slot.rare().destruction else { return Ok(()) };
        if !destruction.is_released {
            self.ask_children(store, slot, draft, unlinked)?;
            let waits = slot.rare().destruction.as_ref().is_some_and(|it| !it.in_flight.is_empty());
            if waits {
                return Ok(());
            }
            self.release(slot, draft)?;
        }
        self.bury_if_free(store, slot, draft)
    }

    /// Asks the next page of children to go. Keeps G7: none is passed over, none asked twice.
    fn ask_children(
        &self,
        store: &dyn Store,
        slot: &mut Slot,
        draft: &mut Draft,
        unlinked: Option<&ActorId>,
    ) -> Result<(), Error> {
        let (me, children) = (slot.me(), slot.children);
        let Some(destruction) = slot.destruction_mut() else { return Ok(()) };
        let max = self.limits.children_in_flight_max.max(1);
        let room = max.saturating_sub(destruction.in_flight.len());
        // A look costs about as much for many as for one: half a page is waited for.
        if children == Children::None || room < max.div_ceil(2) {
            return Ok(());
        }
        let prefix = key::children(&me.id);
        let start = match &destruction.asked_up_to {
            // The first key behind the link of the last child that was asked.
            Some(last) => [key::child(&me.id, last), vec![0]].concat(),
            None => prefix.clone(),
        };
        // One more than there is room for, because the unlinked child may be among them.
        for (link, _) in store.scan(&start, &key::end_of(&prefix), room + 1)? {
            let Some(Parsed::Child(_, child)) = key::parse(&link) else { continue };
            if Some(&child) == unlinked || destruction.in_flight.len() >= max {
                continue;
            }
            let body = Body::Destroy { why: destruction.why.clone(), by: destruction.by.clone() };
            draft.send(&child, &Mail { from: Some(me.clone()), incarnation: None, body })?;
            draft.end = End::Changed;
            destruction.in_flight.insert(child.clone());
            destruction.asked_up_to = Some(child);
        }
        Ok(())
    }

    /// Lets the actor record what releases its holdings, once.
    fn release(&mut self, slot: &mut Slot, draft: &mut Draft) -> Result<(), Error> {
        draft.end = End::Changed;
        if let Some(destruction) = slot.destruction_mut() {
            destruction.is_released = true;
        }
        let result = self.attempt(slot, draft, "destroy", |live, record| {
            guard(|| {
                live.on_destroy(record);
                Ok(())
            })
        })?;
        let Err(refusal) = result else { return Ok(()) };
        self.hold_up(slot, draft, &refusal)
    }

    /// `on_destroy` failed: the destruction stays, shows, and is tried again.
    fn hold_up(
        &mut self,
        slot: &mut Slot,
        draft: &mut Draft,
        refusal: &Refusal,
    ) -> Result<(), Error> {
        let Some(destruction) = slot.destruction_mut() else { return Ok(()) };
        destruction.is_released = false;
        destruction.failures = destruction.failures.saturating_add(1);
        let wait = self.limits.back_off(destruction.failures);
        self.stuck.insert((draft.now + wait, slot.id.clone()));
        slot.stall(draft, format!("its destruction fails: {refusal}"))
    }

    /// Tries a stuck destruction again.
    pub(super) fn resume_destruction(
        &mut self,
        now: Timestamp,
        store: &dyn Store,
        id: &ActorId,
    ) -> Result<Turned, Error> {
        let Found::Alive(mut slot) = self.checkout(now, store, id)? else {
            return Ok(Turned::default());
        };
        if !slot.is_destroying() {
            self.checkin(slot);
            return Ok(Turned::default());
        }
        let mut draft = self.draft(id, now);
        self.advance(store, &mut slot, &mut draft, None)?;
        self.end_turn(slot, draft, (id.clone(), "advance".into()))
    }

    /// Whoever waits for a tombstone is answered when it is durable.
    pub(super) fn release_waiters(&mut self, id: &ActorId, turned: &mut Turned) {
        for reply in self.waiters.remove(id).unwrap_or_default() {
            turned.releases.push(Release::new(move || reply(Ok(()))));
        }
    }

    /// Writes the tombstone when no child and no debt is left. Keeps G7 and G8.
    pub(super) fn bury_if_free(
        &self,
        store: &dyn Store,
        slot: &mut Slot,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let Some(destruction) = slot.rare().destruction.clone() else { return Ok(()) };
        let is_free = destruction.is_released
            && destruction.in_flight.is_empty()
            && slot.record.debts_open == 0
            && slot.rare().debts.is_empty();
        if !is_free {
            return Ok(());
        }
        let me = slot.me();
        let status = slot.view.status.to_owned();
        let what = What::Destroyed {
            why: destruction.why.clone(),
            by: destruction.by.clone(),
            status: status.clone(),
        };
        slot.publish(draft, what)?;
        if self.mail.may_have(&me.id) {
            clear_inbox(store, &me.id, draft)?;
        }
        slot.disarm(draft);
        if let Some(status) = slot.shown {
            draft.take(key::row(&me.id, status));
        }
        if let Some(parent) = &slot.rare().parent {
            draft.take(key::child(&parent.id, &me.id));
            let end = Gone::Destroyed { why: destruction.why.clone() };
            let body = Body::Gone { child: me.id.clone(), end };
            let mail = Mail { from: None, incarnation: Some(parent.incarnation), body };
            draft.send(&parent.id, &mail)?;
        }
        let tombstone = Tombstone {
            incarnation: me.incarnation,
            created_at: slot.record.created_at,
            at: draft.now,
            why: destruction.why,
            by: destruction.by,
            status,
            turns: slot.record.turns + 1,
        };
        // The tombstone takes the place of the record: one key, one or the other (G6).
        draft.put(key::actor(&me.id), &Entry::Tombstone(tombstone))?;
        draft.end = End::Buried;
        Ok(())
    }
}

/// Turns what lies in the inbox of a buried actor into dead letters.
fn clear_inbox(store: &dyn Store, id: &ActorId, draft: &mut Draft) -> Result<(), Error> {
    let prefix = key::inbox(id);
    let end = key::end_of(&prefix);
    for (at, bytes) in store.scan(&prefix, &end, DEAD_LETTERS_PER_BURIAL_MAX)? {
        let Some(Parsed::Inbox(_, place)) = key::parse(&at) else { continue };
        if draft.taken.contains(&place) {
            continue;
        }
        // What cannot be read stays where it is: it keeps nobody from going, and is not lost.
        let Ok(mail) = crate::codec::open::<Mail>(&bytes) else { continue };
        draft.take_mail(id, place);
        if let Body::Create { .. } = &mail.body {
            // Another parent waits to hear of it.
            refuse_birth((id, draft), &mail, &Unborn::Destroyed)?;
        } else {
            draft.dead_letter(id, &mail, "it was destroyed")?;
        }
    }
    Ok(())
}
