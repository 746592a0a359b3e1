//! Requests: what somebody outside asks, and how each becomes a turn.

use std::borrow::Cow;

use crate::destroy::{ActorRecord, Destruction, Intent};
use crate::effect::Debt;
use crate::error::{Error, ErrorKind};
use crate::event::What;
use crate::inbox::{Body, Mail};
use crate::key::{self, ActorId, ActorRef};
use crate::plan::DestroyPlan;
use crate::store::Store;
use crate::time::Timestamp;
use crate::turn::Recorder;

use super::attempt::{absorb, guard};
use super::draft::{Draft, End};
use super::slot::{Children, Found, Slot, View};
use super::{Call, Engine, Label, Release, Reply, Request, Turned};

impl Engine {
    /// Does what somebody outside asks of an actor.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if the actor cannot be read: the reply is dropped then, and the
    /// actor is set aside. Else as [`next`](Self::next); whatever concerns the caller only is in
    /// the reply.
    pub fn request(
        &mut self,
        now: Timestamp,
        store: &dyn Store,
        id: &ActorId,
        request: Request,
    ) -> Result<Turned, Error> {
        let result = self.do_as_asked(now, store, id, request);
        if let Err(error) = &result
            && error.kind() == ErrorKind::Corrupt
            && !self.aside.has(id)
        {
            self.aside.put((now, &self.limits), id, error);
        }
        result
    }

    fn do_as_asked(
        &mut self,
        now: Timestamp,
        store: &dyn Store,
        id: &ActorId,
        request: Request,
    ) -> Result<Turned, Error> {
        match request {
            Request::Create { init, reply } => self.create(now, store, id, (&init, reply)),
            Request::Call(call) => self.call(now, store, id, call),
            Request::Destroy { intent, is_waiting, reply } => {
                let reply = DestroyReply::new(is_waiting, reply);
                self.request_destroy(now, store, id, (None, intent, reply))
            }
            Request::DestroyPlanned { plan, intent, is_waiting, reply } => {
                let reply = DestroyReply::new(is_waiting, reply);
                self.request_destroy(now, store, id, (Some(plan), intent, reply))
            }
            Request::Retry { reply } => self.retry(now, store, id, reply),
            Request::Abandon { number, intent, reply } => {
                self.abandon(now, store, id, (number, intent, reply))
            }
        }
    }

    /// An answer to a caller that needs no turn of its own.
    pub(super) fn answer_only<T: Send + 'static>(
        &self,
        id: &ActorId,
        reply: Reply<T>,
        result: Result<T, Error>,
    ) -> Turned {
        self.release_only((id.clone(), "answer".into()), Release::new(move || reply(result)))
    }

    fn call(
        &mut self,
        now: Timestamp,
        store: &dyn Store,
        id: &ActorId,
        call: Call,
    ) -> Result<Turned, Error> {
        let Call { name, is_news, run: mut call } = call;
        let mut slot = match self.checkout(now, store, id)? {
            Found::Alive(slot) if !slot.is_destroying() => slot,
            Found::Alive(slot) => {
                let (life, answer) = (slot.me(), call.answer(Err(destroyed(id))));
                self.checkin(slot);
                let late = is_news.then_some("it is being destroyed");
                return self.too_late(now, name, (life, late, answer));
            }
            Found::Buried(tombstone) => {
                let life = ActorRef { id: id.clone(), incarnation: tombstone.incarnation };
                let answer = call.answer(Err(destroyed(id)));
                return self.too_late(now, name, (life, is_news.then_some("destroyed"), answer));
            }
            Found::Nothing => {
                let label = (id.clone(), Cow::Borrowed(name));
                return Ok(self.release_only(label, call.answer(Err(not_found(id)))));
            }
        };
        // Not the caller's, whose counter of references lies in his thread's cache.
        let label = (slot.id.clone(), Cow::Borrowed(name));
        let mut draft = self.draft(id, now);
        let result =
            self.attempt(&mut slot, &mut draft, name, |live, record| call.run(live, record))?;
        let mut turned = if result.is_ok() {
            self.finish(&mut slot, draft, label)?
        } else {
            Turned { label: Some(label), ..Turned::default() }
        };
        // A turn that changed nothing waits for the turns that it read, not for later ones.
        turned.gate = slot.last_order;
        let result = result.map_err(|refusal| {
            Error::new(ErrorKind::Refused, format!("{id} refused {name}: {refusal}"))
        });
        turned.releases.push(call.answer(result));
        self.checkin(slot);
        Ok(turned)
    }

    /// A call for a life that is over: answered, and kept as a dead letter if that is to be.
    fn too_late(
        &mut self,
        now: Timestamp,
        name: &'static str,
        late: (ActorRef, Option<&str>, Release),
    ) -> Result<Turned, Error> {
        let (life, why, release) = late;
        let label = (life.id.clone(), Cow::Borrowed(name));
        let Some(why) = why else { return Ok(self.release_only(label, release)) };
        let mut draft = self.draft(&life.id, now);
        draft.unheard(&life, (None, name), why)?;
        let mut turned = self.commit(draft, label);
        turned.releases.push(release);
        Ok(turned)
    }

    fn release_only(&self, label: Label, release: Release) -> Turned {
        Turned {
            gate: self.order,
            label: Some(label),
            releases: vec![release],
            ..Turned::default()
        }
    }

    /// Ends a turn: writes the record if it changed, and keeps the agenda up to date.
    pub(super) fn finish(
        &mut self,
        slot: &mut Slot,
        mut draft: Draft,
        label: Label,
    ) -> Result<Turned, Error> {
        let alarm = slot.record.alarm;
        match draft.end {
            End::AsBefore => {}
            End::Changed => {
                slot.conclude(&mut draft)?;
                self.rearm(&slot.id, alarm, slot.record.alarm);
            }
            End::Buried => self.rearm(&slot.id, draft.disarmed, None),
        }
        self.line_up(slot);
        Ok(self.commit(draft, label))
    }

    /// Ends a turn that may have buried its actor: it leaves memory then, and whoever waited for
    /// its tombstone is answered.
    pub(super) fn end_turn(
        &mut self,
        mut slot: Box<Slot>,
        draft: Draft,
        label: Label,
    ) -> Result<Turned, Error> {
        let is_burial = draft.is_burial();
        let mut turned = self.finish(&mut slot, draft, label)?;
        if is_burial {
            self.release_waiters(&slot.id, &mut turned);
        } else {
            self.checkin(slot);
        }
        Ok(turned)
    }

    /// Keeps the alarms in memory in step with a record's.
    pub(super) fn rearm(&mut self, id: &ActorId, from: Option<Timestamp>, to: Option<Timestamp>) {
        if let Some(at) = from {
            self.alarms.remove(&(at, id.clone()));
        }
        if let Some(at) = to.filter(|at| *at < self.horizon) {
            self.alarms.insert((at, id.clone()));
        }
    }

    /// Puts the first debt of an actor in line, unless one of its debts is being performed.
    pub(super) fn line_up(&mut self, slot: &Slot) {
        if self.performing.contains_key(&slot.id) {
            return;
        }
        if let Some((number, debt)) = slot.rare().debts.first_key_value() {
            self.owed.insert((debt.next_at, debt.order, slot.id.clone()), *number);
        }
    }

    fn create(
        &mut self,
        now: Timestamp,
        store: &dyn Store,
        id: &ActorId,
        birth: (&[u8], Reply<u32>),
    ) -> Result<Turned, Error> {
        let (init, reply) = birth;
        let mut draft = self.draft(id, now);
        match self.be_born(store, id, (init, None), &mut draft)? {
            Ok(mut slot) => {
                let incarnation = slot.record.incarnation;
                let label = (id.clone(), "create".into());
                let mut turned = self.finish(&mut slot, draft, label)?;
                self.checkin(slot);
                turned.releases.push(Release::new(move || reply(Ok(incarnation))));
                Ok(turned)
            }
            Err(unborn) => Ok(self.answer_only(id, reply, Err(unborn.error(id)))),
        }
    }

    /// Makes a new actor of what it begins with, or says why there is none.
    pub(super) fn be_born(
        &mut self,
        store: &dyn Store,
        id: &ActorId,
        from: (&[u8], Option<&ActorRef>),
        draft: &mut Draft,
    ) -> Result<Result<Box<Slot>, Unborn>, Error> {
        let (init, parent) = from;
        let incarnation = match self.checkout(draft.now, store, id)? {
            Found::Nothing => 1,
            Found::Alive(slot) => {
                let is_yours = parent.is_some() && slot.rare().parent.as_ref() == parent;
                self.checkin(slot);
                return Ok(Err(Unborn::Exists { is_yours }));
            }
            Found::Buried(tombstone) => match self.limits.tombstone_retention {
                Some(rest) if tombstone.at + rest <= draft.now => tombstone.incarnation + 1,
                // Keeps G6: by default a name with a tombstone is never live again.
                Some(_) | None => return Ok(Err(Unborn::Destroyed)),
            },
        };
        let Some(table) = self.kinds.table(id.kind()) else {
            return Ok(Err(Unborn::Refused(format!("no kind {} is known here", id.kind()))));
        };
        let me = ActorRef { id: id.clone(), incarnation };
        let mut record = Recorder::new(me, draft.now);
        record.parent = parent.cloned();
        let live = match guard(|| (table.birth)(init, &mut record)) {
            Ok(live) => live,
            Err(refusal) => return Ok(Err(Unborn::Refused(refusal.reason))),
        };
        let view = match View::of(live.as_ref()) {
            Ok(view) => view,
            Err(refusal) => return Ok(Err(Unborn::Refused(refusal.reason))),
        };
        let born = new_record(incarnation, parent.cloned(), draft.now);
        let mut slot = Box::new(Slot::new(id, live, view, born));
        (slot.is_row_stale, slot.children, slot.used_at) = (true, Children::None, draft.now);
        // Nothing was before it.
        let after = match self.check(&slot, &record, (&[], &mut Vec::new())) {
            Ok(after) => after,
            Err(refusal) => return Ok(Err(Unborn::Refused(refusal.reason))),
        };
        let status = slot.view.status.to_owned();
        slot.publish(draft, What::Created { status, parent: parent.cloned() })?;
        slot.state_version = table.state_version;
        absorb(&mut slot, (record, after), "create", draft)?;
        Ok(Ok(slot))
    }

    /// Commits the intent to destroy, and answers at once or at the tombstone.
    fn request_destroy(
        &mut self,
        now: Timestamp,
        store: &dyn Store,
        id: &ActorId,
        wish: (Option<Box<DestroyPlan>>, Intent, DestroyReply),
    ) -> Result<Turned, Error> {
        let (plan, intent, reply) = wish;
        let mut slot = match self.checkout(now, store, id)? {
            Found::Alive(slot) => slot,
            // Destroyed twice is destroyed once.
            Found::Buried(_) => return Ok(self.answer_only(id, reply.into_inner(), Ok(()))),
            Found::Nothing => {
                return Ok(self.answer_only(id, reply.into_inner(), Err(not_found(id))));
            }
        };
        // What is being destroyed already is past the moment that a plan is about.
        if let Some(plan) = plan.filter(|_| !slot.is_destroying())
            && let Err(error) = plan.check(store, &slot.me())
        {
            self.checkin(slot);
            if error.kind() == ErrorKind::Closed {
                return Err(error);
            }
            return Ok(self.answer_only(id, reply.into_inner(), Err(error)));
        }
        let mut draft = self.draft(id, now);
        if !slot.is_destroying() {
            intend_and_go_on(&mut slot, &mut draft, intent)?;
        }
        let mut turned = self.finish(&mut slot, draft, (id.clone(), "destroy".into()))?;
        match reply {
            DestroyReply::AtTombstone(reply) => {
                self.waiters.entry(id.clone()).or_default().push(reply);
            }
            DestroyReply::AtIntent(reply) => {
                turned.gate = slot.last_order;
                turned.releases.push(Release::new(move || reply(Ok(()))));
            }
        }
        self.checkin(slot);
        Ok(turned)
    }
}

/// When a destroy is answered.
enum DestroyReply {
    AtIntent(Reply<()>),
    AtTombstone(Reply<()>),
}

impl DestroyReply {
    fn new(is_waiting: bool, reply: Reply<()>) -> Self {
        if is_waiting { Self::AtTombstone(reply) } else { Self::AtIntent(reply) }
    }

    fn into_inner(self) -> Reply<()> {
        match self {
            Self::AtIntent(reply) | Self::AtTombstone(reply) => reply,
        }
    }
}

/// Why an actor was not born.
pub(super) enum Unborn {
    Exists { is_yours: bool },
    Destroyed,
    Refused(String),
}

impl Unborn {
    pub(super) fn error(&self, id: &ActorId) -> Error {
        match self {
            Self::Exists { .. } => Error::new(ErrorKind::Exists, format!("{id} exists already")),
            Self::Destroyed => destroyed(id),
            Self::Refused(why) => {
                Error::new(ErrorKind::Refused, format!("{id} refused to be created: {why}"))
            }
        }
    }
}

pub(super) fn destroyed(id: &ActorId) -> Error {
    Error::new(ErrorKind::Destroyed, format!("{id} is destroyed or being destroyed"))
}

pub(super) fn not_found(id: &ActorId) -> Error {
    Error::new(ErrorKind::NotFound, format!("{id} was never created"))
}

fn new_record(incarnation: u32, parent: Option<ActorRef>, now: Timestamp) -> ActorRecord {
    ActorRecord {
        incarnation,
        parent,
        created_at: now,
        status_since: now,
        changed_at: now,
        turns: 0,
        effects: 0,
        events: 0,
        debts_open: 0,
        back_offs: Vec::new(),
        alarm: None,
        armed_at: now,
        stalled: None,
        destruction: None,
        state_version: 1,
        state: Vec::new(),
    }
}

/// Records an effect as a debt.
pub(super) fn owe(slot: &mut Slot, draft: &mut Draft, effect: Vec<u8>) -> Result<(), Error> {
    slot.record.effects += 1;
    slot.record.debts_open += 1;
    let number = slot.record.effects;
    let is_release = slot.rare().destruction.as_ref().is_some_and(|it| it.is_released);
    let debt = Debt {
        effect,
        recorded_at: draft.now,
        order: draft.order,
        failures: 0,
        next_at: draft.now,
        why: None,
        is_release,
    };
    draft.put(key::debt(&slot.id, number), &debt)?;
    slot.rare_mut().debts.insert(number, debt);
    Ok(())
}

/// Writes the intent to destroy, unless it is there already; from here only the destruction runs.
/// Whether there was none.
pub(super) fn intend(slot: &mut Slot, draft: &mut Draft, intent: Intent) -> Result<bool, Error> {
    if slot.is_destroying() {
        return Ok(false);
    }
    slot.rare_mut().destruction = Some(Box::new(Destruction {
        since: draft.now,
        why: intent.why.clone(),
        by: intent.by.clone(),
        asked_up_to: None,
        in_flight: std::collections::BTreeSet::new(),
        is_released: false,
        failures: 0,
    }));
    slot.publish(draft, What::Destroying { why: intent.why, by: intent.by })?;
    Ok(true)
}

/// Writes the intent to destroy in a turn that was about something else: a mail to itself goes on.
pub(super) fn intend_and_go_on(
    slot: &mut Slot,
    draft: &mut Draft,
    intent: Intent,
) -> Result<(), Error> {
    if intend(slot, draft, intent)? {
        let mail = Mail { from: Some(slot.me()), incarnation: None, body: Body::Advance };
        draft.send(&slot.id, &mail)?;
    }
    Ok(())
}
