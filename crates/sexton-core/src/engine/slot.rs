//! An actor in memory: its state, its record, its debts and the row that was last committed.

use std::collections::BTreeMap;

use crate::actor::{Kinds, Live};
use crate::codec::{self, CodecError};
use crate::deadline::{self, BackOff, Due};
use crate::destroy::{ActorRecord, Destruction, Entry, Tombstone};
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
    pub(crate) record: Life,
    /// Lies apart, because most actors have nothing of it most of the time.
    rare: Option<Box<Rare>>,
    /// What the state says, as of the last turn that was not refused.
    pub(crate) view: View,
    /// The status under which its row lies; `None` before the first commit.
    pub(crate) shown: Option<&'static str>,
    /// Whether what its row says is another thing than what lies in the store.
    pub(crate) is_row_stale: bool,
    pub(crate) children: Children,
    /// The version in which the state is written. Not in [`Life`], where it would take four times its
    /// size.
    pub(crate) state_version: u16,
    /// The order of the last turn that wrote it: replies of later reads wait for that.
    pub(crate) last_order: u64,
    pub(crate) used_at: Timestamp,
}

/// Whether it is worth looking for an actor's children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Children {
    /// It was born in this memory, and bore none.
    None,
    /// The store knows.
    Unknown,
}

/// What every actor's record has, without the state: that is there once.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) incarnation: u32,
    pub(crate) created_at: Timestamp,
    pub(crate) status_since: Timestamp,
    pub(crate) changed_at: Timestamp,
    pub(crate) turns: u64,
    pub(crate) effects: u64,
    pub(crate) events: u64,
    pub(crate) debts_open: u32,
    pub(crate) alarm: Option<Timestamp>,
    pub(crate) armed_at: Timestamp,
}

/// What most actors have nothing of.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Rare {
    pub(crate) parent: Option<ActorRef>,
    pub(crate) back_offs: Vec<BackOff>,
    pub(crate) stalled: Option<String>,
    pub(crate) destruction: Option<Box<Destruction>>,
    /// Effects that are not settled.
    pub(crate) debts: BTreeMap<u64, Debt>,
}

static NOTHING_RARE: Rare = Rare {
    parent: None,
    back_offs: Vec::new(),
    stalled: None,
    destruction: None,
    debts: BTreeMap::new(),
};

/// What a state says of itself: read off once after every turn, and guarded, because it is the
/// actor's own code that says it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) status: &'static str,
    /// What else it says, if it says anything.
    more: Option<Box<(Row, Vec<Due>)>>,
}

static EMPTY_ROW: Row = Row { watch_from: None, owner: None, fields: Vec::new() };

impl View {
    /// Reads a state; a panic or what cannot be encoded is a refusal.
    pub(crate) fn of(live: &dyn Live) -> Result<Self, Refusal> {
        guard(|| {
            let due = live
                .deadlines()
                .map_err(|error| Refusal::new(format!("a deadline cannot be encoded: {error}")))?;
            let (status, row) = (live.status(), live.row());
            let says_more = row != EMPTY_ROW || !due.is_empty();
            Ok(Self { status, more: says_more.then(|| Box::new((row, due))) })
        })
    }

    pub(crate) fn row(&self) -> &Row {
        self.more.as_ref().map_or(&EMPTY_ROW, |more| &more.0)
    }

    fn due(&self) -> &[Due] {
        self.more.as_ref().map_or(&[], |more| &more.1)
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
    record.state_version = kinds.table(id.kind()).map_or(1, |table| table.state_version);
    let view = View::of(live.as_ref()).map_err(|refusal| {
        Error::new(ErrorKind::Corrupt, format!("the state of {id} cannot be looked at"))
            .with_source(refusal)
    })?;
    let debts = if record.debts_open > 0 { debts(store, id)? } else { BTreeMap::new() };
    let mut slot = Slot::new(id, live, view, record);
    if !debts.is_empty() {
        slot.rare_mut().debts = debts;
    }
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
    /// An actor with its record, whose state is in `live`.
    pub(crate) fn new(id: &ActorId, live: Box<dyn Live>, view: View, record: ActorRecord) -> Self {
        let state_version = record.state_version;
        let (life, rare) = apart(record);
        Self {
            id: id.apart(),
            live,
            record: life,
            rare: (rare != NOTHING_RARE).then(|| Box::new(rare)),
            view,
            shown: None,
            is_row_stale: false,
            children: Children::Unknown,
            state_version,
            last_order: 0,
            used_at: Timestamp::ZERO,
        }
    }

    pub(crate) fn rare(&self) -> &Rare {
        self.rare.as_deref().unwrap_or(&NOTHING_RARE)
    }

    pub(crate) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    pub(crate) fn destruction_mut(&mut self) -> Option<&mut Destruction> {
        self.rare.as_deref_mut()?.destruction.as_deref_mut()
    }

    pub(crate) fn me(&self) -> ActorRef {
        ActorRef { id: self.id.clone(), incarnation: self.record.incarnation }
    }

    pub(crate) fn is_destroying(&self) -> bool {
        self.rare().destruction.is_some()
    }

    /// Back to the state before a turn that was refused. Keeps G1.
    pub(crate) fn restore(&mut self, kinds: &Kinds, before: &[u8]) -> Result<(), Error> {
        self.live = load(kinds, &self.id, (self.state_version, before))?;
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
        if self.is_destroying() { &[] } else { self.view.due() }
    }

    /// The row that the state and the record make now, with the changes' times as recorded.
    pub(crate) fn current_row(&self) -> (&'static str, RowRecord) {
        let row = RowRecord {
            incarnation: self.record.incarnation,
            parent: self.rare().parent.clone(),
            created_at: self.record.created_at,
            status_since: self.record.status_since,
            changed_at: self.record.changed_at,
            stalled: self.rare().stalled.clone(),
            row: self.view.row().clone(),
        };
        (self.status(), row)
    }

    /// The mark of a stalled actor goes when nothing fails as often any more.
    fn refresh_stalled(&mut self) {
        let is_stuck = |failures: u32| failures >= FAILURES_BEFORE_STALLED;
        let Some(rare) = &mut self.rare else { return };
        let deadline = rare.back_offs.iter().any(|back_off| is_stuck(back_off.failures));
        let debt = rare.debts.values().any(|debt| is_stuck(debt.failures));
        let destruction = rare.destruction.as_ref();
        let is_unreleased = destruction.is_some_and(|it| it.failures > 0 && !it.is_released);
        if !deadline && !debt && !is_unreleased {
            self.is_row_stale |= rare.stalled.take().is_some();
        }
    }

    /// Marks it stalled, with an event, unless it is so already.
    pub(crate) fn stall(&mut self, draft: &mut Draft, why: String) -> Result<(), Error> {
        if self.rare().stalled.is_none() {
            self.rare_mut().stalled = Some(why.clone());
            self.is_row_stale = true;
            self.publish(draft, What::Stalled { why })?;
        }
        Ok(())
    }

    /// Writes what every committed turn writes: alarm, row where it changed, and the record.
    pub(crate) fn conclude(&mut self, draft: &mut Draft) -> Result<(), Error> {
        if !self.rare().back_offs.is_empty() {
            let mut back_offs = std::mem::take(&mut self.rare_mut().back_offs);
            back_offs.retain(|back_off| self.due().iter().any(|due| back_off.is_for(due)));
            self.rare_mut().back_offs = back_offs;
        }
        self.refresh_stalled();
        let alarm = deadline::earliest(self.due(), &self.rare().back_offs);
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
        let state = match draft.state.take() {
            Some(state) => state,
            None => self.encode()?,
        };
        let rare = self.rare.take().map(|rare| *rare).unwrap_or_default();
        let (record, debts) = together(&self.record, rare, (self.state_version, state));
        // Written by hand and not as an `Entry`, whose box would have to own the record.
        let put = draft.put(key::actor(&self.id), &EntryRef::Alive(&record));
        let rare = Rare { debts, ..apart(record).1 };
        self.rare = (rare != NOTHING_RARE).then(|| Box::new(rare));
        put
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

/// A record as it lies in memory; its state is thrown away.
fn apart(record: ActorRecord) -> (Life, Rare) {
    let life = Life {
        incarnation: record.incarnation,
        created_at: record.created_at,
        status_since: record.status_since,
        changed_at: record.changed_at,
        turns: record.turns,
        effects: record.effects,
        events: record.events,
        debts_open: record.debts_open,
        alarm: record.alarm,
        armed_at: record.armed_at,
    };
    let ActorRecord { parent, back_offs, stalled, destruction, .. } = record;
    (life, Rare { parent, back_offs, stalled, destruction, debts: BTreeMap::new() })
}

/// A record as it lies in the store, and the debts, which lie there by themselves.
fn together(life: &Life, rare: Rare, state: (u16, Vec<u8>)) -> (ActorRecord, BTreeMap<u64, Debt>) {
    let record = ActorRecord {
        incarnation: life.incarnation,
        parent: rare.parent,
        created_at: life.created_at,
        status_since: life.status_since,
        changed_at: life.changed_at,
        turns: life.turns,
        effects: life.effects,
        events: life.events,
        debts_open: life.debts_open,
        back_offs: rare.back_offs,
        alarm: life.alarm,
        armed_at: life.armed_at,
        stalled: rare.stalled,
        destruction: rare.destruction,
        state_version: state.0,
        state: state.1,
    };
    (record, rare.debts)
}

/// An [`Entry`] that borrows its record; encodes to the same bytes.
#[derive(serde::Serialize)]
enum EntryRef<'a> {
    Alive(&'a ActorRecord),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a live actor costs beyond its state is mostly this; eight bytes more take sixteen.
    #[test]
    fn an_actor_in_memory_is_small() {
        assert!(size_of::<Slot>() <= 184, "{} bytes", size_of::<Slot>());
    }

    /// Seen to fail with `turns` and `effects` taken for each other.
    #[test]
    fn a_record_that_was_taken_apart_is_put_together_as_it_was() {
        let parent = ActorRef { id: ActorId::new("node", "n").unwrap(), incarnation: 2 };
        let at = Timestamp::from_millis;
        let back_off = BackOff {
            at: at(1),
            what: vec![1],
            failures: 2,
            next_at: at(3),
            is_open: true,
            why: "full".to_owned(),
        };
        let destruction = Destruction {
            since: at(4),
            why: "gone".to_owned(),
            by: "ada".to_owned(),
            asked_up_to: Some(parent.id.clone()),
            in_flight: [parent.id.clone()].into(),
            is_released: true,
            failures: 5,
        };
        let record = ActorRecord {
            incarnation: 6,
            parent: Some(parent),
            created_at: at(7),
            status_since: at(8),
            changed_at: at(9),
            turns: 10,
            effects: 11,
            events: 12,
            debts_open: 13,
            back_offs: vec![back_off],
            alarm: Some(at(14)),
            armed_at: at(15),
            stalled: Some("tired".to_owned()),
            destruction: Some(Box::new(destruction)),
            state_version: 16,
            state: vec![17],
        };
        let (life, rare) = apart(record.clone());
        assert_eq!(together(&life, rare, (16, vec![17])), (record, BTreeMap::new()));
    }

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
