//! An actor in memory: its state, its record, its debts and the row that was last committed.

use std::collections::BTreeMap;

use crate::actor::{Kinds, Live};
use crate::codec::{self, CodecError};
use crate::deadline::{self, Due};
use crate::destroy::{ActorRecord, Entry, Tombstone};
use crate::effect::Debt;
use crate::error::{Error, ErrorKind, Refusal};
use crate::event::What;
use crate::key::{self, ActorId, ActorRef, Parsed};
use crate::limits::FAILURES_BEFORE_STALLED;
use crate::row::{DESTROYING, Row, RowRecord};
use crate::store::Store;
use crate::time::Timestamp;

use super::attempt::guard;
use super::draft::{Draft, End};

pub(crate) struct Slot {
    pub(crate) id: ActorId,
    pub(crate) live: Box<dyn Live>,
    pub(crate) record: ActorRecord,
    pub(crate) debts: BTreeMap<u64, Debt>,
    /// What the state says, as of the last turn that was not refused.
    pub(crate) view: View,
    /// The status under which its row lies; `None` before the first commit.
    pub(crate) shown: Option<&'static str>,
    /// Whether what its row says is another thing than what lies in the store.
    pub(crate) is_row_stale: bool,
    /// Whether it is known to have no children: it was born in this memory and bore none.
    pub(crate) is_childless: bool,
    /// The state's encoding between a turn and its commit; otherwise the state is there once.
    pub(crate) encoded: Option<Vec<u8>>,
    /// The order of the last turn that wrote it: replies of later reads wait for that.
    pub(crate) last_order: u64,
    pub(crate) used_at: Timestamp,
}

/// What a state says of itself: read off once after every turn, and guarded, because it is the
/// actor's own code that says it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) status: &'static str,
    pub(crate) row: Row,
    pub(crate) due: Vec<Due>,
}

impl View {
    /// Reads a state; a panic or what cannot be encoded is a refusal.
    pub(crate) fn of(live: &dyn Live) -> Result<Self, Refusal> {
        guard(|| {
            let due = live
                .deadlines()
                .map_err(|error| Refusal::new(format!("a deadline cannot be encoded: {error}")))?;
            Ok(Self { status: live.status(), row: live.row(), due })
        })
    }
}

/// What lies under a name.
pub(crate) enum Found {
    Alive(Box<Slot>),
    Buried(Tombstone),
    Nothing,
}

pub(crate) fn corrupt(id: &ActorId, error: CodecError) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the record of {id} cannot be read")).with_source(error)
}

/// Reads the entry under a name.
pub(crate) fn entry(store: &dyn Store, id: &ActorId) -> Result<Option<Entry>, Error> {
    let Some(bytes) = store.get(&key::actor(id))? else { return Ok(None) };
    let entry: Entry = codec::open(&bytes).map_err(|error| corrupt(id, error))?;
    if !entry.is_possible() {
        let message = format!("the record of {id} counts more than any life comes to");
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    Ok(Some(entry))
}

/// Reads the debts of an actor, in order.
pub(crate) fn debts(store: &dyn Store, id: &ActorId) -> Result<BTreeMap<u64, Debt>, Error> {
    let prefix = key::debts(id);
    let mut debts = BTreeMap::new();
    for (at, bytes) in store.scan(&prefix, &key::end_of(&prefix), usize::MAX)? {
        if let Some(Parsed::Debt(_, number)) = key::parse(&at) {
            let debt = codec::open(&bytes).map_err(|error| corrupt(id, error))?;
            debts.insert(number, debt);
        }
    }
    Ok(debts)
}

/// Reads what lies under a name; a tombstone is seen before any state is decoded (G6).
pub(crate) fn find(store: &dyn Store, kinds: &Kinds, id: &ActorId) -> Result<Found, Error> {
    let record = match entry(store, id)? {
        Some(Entry::Alive(record)) => *record,
        Some(Entry::Tombstone(tombstone)) => return Ok(Found::Buried(tombstone)),
        None => return Ok(Found::Nothing),
    };
    let live = load(kinds, id, (record.state_version, &record.state))?;
    let mut record = record;
    record.state = Vec::new();
    record.state_version = kinds.table(id.kind()).map_or(1, |table| table.state_version);
    let view = View::of(live.as_ref()).map_err(|refusal| {
        Error::new(ErrorKind::Corrupt, format!("the state of {id} cannot be looked at"))
            .with_source(refusal)
    })?;
    let debts = if record.debts_open > 0 { debts(store, id)? } else { BTreeMap::new() };
    let mut slot = Slot {
        id: id.clone(),
        view,
        live,
        record,
        debts,
        shown: None,
        is_row_stale: false,
        is_childless: false,
        encoded: None,
        last_order: 0,
        used_at: Timestamp::ZERO,
    };
    slot.shown = Some(slot.status());
    Ok(Found::Alive(Box::new(slot)))
}

/// The actor under a name, if it lives.
pub(crate) fn living(
    store: &dyn Store,
    kinds: &Kinds,
    id: &ActorId,
) -> Result<Option<Box<Slot>>, Error> {
    match find(store, kinds, id)? {
        Found::Alive(slot) => Ok(Some(slot)),
        Found::Buried(_) | Found::Nothing => Ok(None),
    }
}

fn load(kinds: &Kinds, id: &ActorId, state: (u16, &[u8])) -> Result<Box<dyn Live>, Error> {
    let (version, bytes) = state;
    let table = kinds.table(id.kind()).ok_or_else(|| {
        Error::new(ErrorKind::Corrupt, format!("{id} is of a kind that this program does not know"))
    })?;
    (table.load)(version, bytes).map_err(|error| corrupt(id, error))
}

impl Slot {
    pub(crate) fn me(&self) -> ActorRef {
        ActorRef { id: self.id.clone(), incarnation: self.record.incarnation }
    }

    pub(crate) fn is_destroying(&self) -> bool {
        self.record.destruction.is_some()
    }

    /// Back to the state before a turn that was refused. Keeps G1.
    pub(crate) fn restore(&mut self, kinds: &Kinds, before: &[u8]) -> Result<(), Error> {
        self.live = load(kinds, &self.id, (self.record.state_version, before))?;
        Ok(())
    }

    /// The status that its row has: its own, unless it is being destroyed.
    fn status(&self) -> &'static str {
        if self.is_destroying() { DESTROYING } else { self.view.status }
    }

    pub(crate) fn publish(&mut self, draft: &mut Draft, what: What) -> Result<(), Error> {
        self.record.events += 1;
        draft.end = End::Changed;
        draft.publish(&self.me(), self.record.events, what)
    }

    pub(crate) fn due(&self) -> &[Due] {
        if self.is_destroying() { &[] } else { &self.view.due }
    }

    /// The row that the state and the record make now, with the changes' times as recorded.
    pub(crate) fn current_row(&self) -> (&'static str, RowRecord) {
        let row = RowRecord {
            incarnation: self.record.incarnation,
            parent: self.record.parent.clone(),
            created_at: self.record.created_at,
            status_since: self.record.status_since,
            changed_at: self.record.changed_at,
            stalled: self.record.stalled.clone(),
            row: self.view.row.clone(),
        };
        (self.status(), row)
    }

    /// The mark of a stalled actor goes when nothing fails as often any more.
    fn refresh_stalled(&mut self) {
        let is_stuck = |failures: u32| failures >= FAILURES_BEFORE_STALLED;
        let deadline = self.record.back_offs.iter().any(|back_off| is_stuck(back_off.failures));
        let debt = self.debts.values().any(|debt| is_stuck(debt.failures));
        let destruction = self.record.destruction.as_ref();
        let is_unreleased = destruction.is_some_and(|it| it.failures > 0 && !it.is_released);
        if !deadline && !debt && !is_unreleased {
            self.is_row_stale |= self.record.stalled.take().is_some();
        }
    }

    /// Marks it stalled, with an event, unless it is so already.
    pub(crate) fn stall(&mut self, draft: &mut Draft, why: String) -> Result<(), Error> {
        if self.record.stalled.is_none() {
            self.record.stalled = Some(why.clone());
            self.is_row_stale = true;
            self.publish(draft, What::Stalled { why })?;
        }
        Ok(())
    }

    /// Writes what every committed turn writes: alarm, row where it changed, and the record.
    pub(crate) fn conclude(&mut self, draft: &mut Draft) -> Result<(), Error> {
        let mut back_offs = std::mem::take(&mut self.record.back_offs);
        back_offs.retain(|back_off| self.due().iter().any(|due| back_off.is_for(due)));
        self.record.back_offs = back_offs;
        self.refresh_stalled();
        let alarm = deadline::earliest(self.due(), &self.record.back_offs);
        if alarm != self.record.alarm {
            self.disarm(draft);
            if let Some(at) = alarm {
                draft.put(key::alarm(&self.id, at), &())?;
            }
            self.record.alarm = alarm;
            self.record.armed_at = draft.now;
        }
        self.conclude_row(draft)?;
        self.record.turns += 1;
        self.last_order = draft.order;
        self.record.state = match self.encoded.take() {
            Some(state) => state,
            None => self.encode()?,
        };
        // Written by hand and not as an `Entry`, whose box would have to own the record.
        draft.put(key::actor(&self.id), &EntryRef::Alive(&self.record))?;
        self.record.state = Vec::new();
        Ok(())
    }

    /// The state as bytes, of a turn that did not look at it.
    fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut state = Vec::new();
        self.live.encode_to(&mut state).map_err(|error| {
            let message = format!("the state of {} cannot be written", self.id);
            Error::new(ErrorKind::Corrupt, message).with_source(error)
        })?;
        Ok(state)
    }

    pub(crate) fn disarm(&mut self, draft: &mut Draft) {
        if let Some(at) = self.record.alarm.take() {
            draft.disarmed = Some(at);
            draft.take(key::alarm(&self.id, at));
        }
    }

    /// Keeps G11: the row is the committed state's, and `changed_at` moves with its content.
    fn conclude_row(&mut self, draft: &mut Draft) -> Result<(), Error> {
        let status = self.status();
        let is_other_status = self.shown != Some(status);
        if !is_other_status && !self.is_row_stale {
            return Ok(());
        }
        self.record.changed_at = draft.now;
        if is_other_status {
            self.record.status_since = draft.now;
            if let Some(old) = self.shown {
                draft.take(key::row(&self.id, old));
            }
        }
        let (status, row) = self.current_row();
        draft.put(key::row(&self.id, status), &row)?;
        (self.shown, self.is_row_stale) = (Some(status), false);
        Ok(())
    }
}

/// An [`Entry`] that borrows its record; encodes to the same bytes.
#[derive(serde::Serialize)]
enum EntryRef<'a> {
    Alive(&'a ActorRecord),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_borrowed_entry_has_the_bytes_of_an_owned_one() {
        let record = ActorRecord {
            incarnation: 1,
            parent: None,
            created_at: Timestamp::ZERO,
            status_since: Timestamp::ZERO,
            changed_at: Timestamp::ZERO,
            turns: 3,
            effects: 0,
            events: 1,
            debts_open: 0,
            back_offs: Vec::new(),
            alarm: None,
            armed_at: Timestamp::ZERO,
            stalled: None,
            destruction: None,
            state_version: 1,
            state: vec![1, 2, 3],
        };
        let borrowed = codec::encode(&EntryRef::Alive(&record)).unwrap();
        assert_eq!(borrowed, codec::encode(&Entry::Alive(Box::new(record))).unwrap());
    }
}
