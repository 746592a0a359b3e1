//! One attempt: a handler runs on a state, and what it recorded becomes writes, or nothing does.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::actor::Live;
use crate::codec::CodecError;
use crate::error::{Error, Refusal};
use crate::event::What;
use crate::inbox::{Body, Mail};
use crate::key;
use crate::limits::PART_BYTES_MAX;
use crate::time::Timestamp;
use crate::turn::Recorder;

use super::Engine;
use super::draft::{Draft, End};
use super::slot::{Children, Slot, View};
use super::turns::{intend_and_go_on, owe};

/// What a turn leaves behind: the state as bytes, and what it says of itself; `None` if it is what
/// it was before.
pub(super) type After = Option<(Vec<u8>, View)>;

/// A state as bytes, before and after a turn: kept from turn to turn, so that one that changes
/// nothing asks for no memory.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    before: Vec<u8>,
    after: Vec<u8>,
}

/// The largest buffers that are kept for the next turn. Chosen: nearly all states, and little memory.
const KEPT_BYTES_MAX: usize = 64 * 1_024;

/// How a turn ended that did not fail as a whole: refused, or with what it writes.
pub(super) type Attempt = Result<Result<(), Refusal>, Error>;

/// Runs a handler; a panic costs its turn and nothing else.
pub(crate) fn guard<R>(step: impl FnOnce() -> Result<R, Refusal>) -> Result<R, Refusal> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "without words".to_owned());
        Err(Refusal::new(format!("the handler panicked: {text}")))
    })
}

impl Engine {
    /// Runs a handler on an actor. On a refusal everything is as before (keeps G1).
    pub(super) fn attempt(
        &mut self,
        slot: &mut Slot,
        draft: &mut Draft,
        cause: &str,
        step: impl FnOnce(&mut dyn Live, &mut Recorder) -> Result<(), Refusal>,
    ) -> Attempt {
        let Buffers { mut before, mut after } = std::mem::take(&mut self.buffers);
        before.clear();
        after.clear();
        if let Err(error) = slot.live.encode_to(&mut before) {
            return Ok(Err(unwritable(&error)));
        }
        let mut record = recorder(slot, draft.now);
        let live = slot.live.as_mut();
        let result = guard(|| step(live, &mut record));
        let result = result.and_then(|()| self.check(slot, &record, (&before, &mut after)));
        let attempt = match result {
            Ok(after) => absorb(slot, (record, after), cause, draft).map(Ok),
            Err(refusal) => slot.restore(&self.kinds, &before).map(|()| Err(refusal)),
        };
        if before.capacity() + after.capacity() <= KEPT_BYTES_MAX {
            self.buffers = Buffers { before, after };
        }
        attempt
    }

    /// What the turn leaves behind; or what refuses it although its handler did not.
    pub(super) fn check(
        &self,
        slot: &Slot,
        record: &Recorder,
        states: (&[u8], &mut Vec<u8>),
    ) -> Result<After, Refusal> {
        let (before, state) = states;
        if let Some(fault) = &record.fault {
            return Err(Refusal::new(fault.clone()));
        }
        if record.len() > self.limits.records_per_turn_max {
            let (n, max) = (record.len(), self.limits.records_per_turn_max);
            return Err(Refusal::new(format!(
                "the turn records {n} things, and {max} are allowed"
            )));
        }
        let n_debts = slot.rare().debts.len() + record.effects.len();
        if n_debts > self.limits.debts_per_actor_max {
            let max = self.limits.debts_per_actor_max;
            return Err(Refusal::new(format!(
                "it would owe {n_debts} effects, and {max} are allowed"
            )));
        }
        if slot.is_destroying() && !record.births.is_empty() {
            return Err(Refusal::new("what is being destroyed creates nothing"));
        }
        if let Some(bytes) = record.largest().filter(|bytes| *bytes > PART_BYTES_MAX) {
            let why = format!("it records {bytes} bytes at once, and {PART_BYTES_MAX} are allowed");
            return Err(Refusal::new(why));
        }
        slot.live.encode_to(state).map_err(|error| unwritable(&error))?;
        if *state == before {
            return Ok(None);
        }
        if state.len() > PART_BYTES_MAX {
            let bytes = state.len();
            let why = format!("its state has {bytes} bytes, and {PART_BYTES_MAX} are allowed");
            return Err(Refusal::new(why));
        }
        let view = View::of(slot.live.as_ref())?;
        // Keeps G9: a transition that the table lacks changes nothing.
        let (from, to) = (slot.view.status, view.status);
        if !slot.live.allows(from, to) {
            return Err(Refusal::new(format!("its lifecycle has no transition {from} -> {to}")));
        }
        Ok(Some((state.clone(), view)))
    }
}

/// Turns what was recorded into writes. Nothing here can refuse any more.
pub(super) fn absorb(
    slot: &mut Slot,
    turn: (Recorder, After),
    cause: &str,
    draft: &mut Draft,
) -> Result<(), Error> {
    let (record, after) = turn;
    if after.is_none() && record.is_empty() {
        return Ok(());
    }
    if let Some((state, view)) = after {
        draft.state = Some(state);
        let (from, to) = (slot.view.status, view.status);
        slot.is_row_stale |= slot.view.row() != view.row();
        slot.view = view;
        if from != to {
            let what = What::Transition {
                from: from.to_owned(),
                to: to.to_owned(),
                cause: cause.to_owned(),
            };
            slot.publish(draft, what)?;
        }
    }
    for (name, text) in record.facts {
        slot.publish(draft, What::Fact { name, text })?;
    }
    for effect in record.effects {
        owe(slot, draft, effect)?;
    }
    let me = slot.me();
    // Children first, so that a letter to one finds it born.
    for (child, init) in record.births {
        slot.children = Children::Unknown;
        draft.put(key::child(&me.id, &child), &())?;
        let mail = Mail { from: Some(me.clone()), incarnation: None, body: Body::Create { init } };
        draft.send(&child, &mail)?;
    }
    for letter in record.letters {
        let body = Body::Message { name: letter.name, bytes: letter.bytes };
        let mail = Mail { from: Some(me.clone()), incarnation: letter.incarnation, body };
        draft.send(&letter.to, &mail)?;
    }
    if let Some(intent) = record.intent {
        intend_and_go_on(slot, draft, intent)?;
    }
    draft.end = End::Changed;
    Ok(())
}

fn unwritable(error: &CodecError) -> Refusal {
    Refusal::new(format!("its state cannot be written: {error}"))
}

fn recorder(slot: &Slot, now: Timestamp) -> Recorder {
    let mut record = Recorder::new(slot.me(), now);
    record.parent.clone_from(&slot.rare().parent);
    record.next_effect = slot.record.effects + 1;
    record
}
