//! The promises, looked at after every step: by what each turn writes, and by nothing else.
//!
//! What the store should hold is kept here a second time, put together from the batches; so a
//! store, an engine and a restart are each held against all that was submitted before.

use std::collections::{BTreeMap, BTreeSet};

use sexton::audit::Broken;
use sexton::key::{self, Key, Parsed, Table};
use sexton::{
    ActorId, ActorRef, DESTROYING, Debt, EffectId, Entry, Error, ErrorKind, Event, Limits,
    RowRecord, Store, Timestamp, Turned, What, codec,
};

use crate::scenario::{Asks, Said};

/// What was written, and how to take it back.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    records: BTreeMap<Key, Vec<u8>>,
    /// The status under which each row lies.
    shown: BTreeMap<ActorId, String>,
    /// Mail that was taken out of its inbox: it never lies there again.
    taken: BTreeSet<Key>,
    /// The batches since the last flush.
    undo: Vec<Undo>,
    /// All batches that no crash took away.
    submitted: usize,
    /// The last event of each life that was told to subscribers.
    heard: BTreeMap<(ActorId, u32), u64>,
    /// Of whom somebody was told that he is there.
    told_there: BTreeSet<ActorId>,
    /// Of whom somebody was told that he has his tombstone.
    told_gone: BTreeSet<ActorId>,
}

/// A batch that no flush has covered.
#[derive(Debug, Default)]
struct Undo {
    /// What it replaced.
    replaced: Vec<(Key, Option<Vec<u8>>)>,
    /// The mail that it took.
    took: Vec<Key>,
    /// Whose events it carries: actor, incarnation, number.
    events: Vec<(ActorId, u32, u64)>,
}

/// What a turn may settle.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Settles<'a> {
    Nothing,
    /// This effect was answered for good.
    Effect(&'a EffectId),
    /// An operator gave up a debt of the turn's actor, which these events must tell.
    Told(&'a [Event]),
}

fn broken(promise: &'static str, id: &ActorId, why: impl Into<String>) -> Broken {
    Broken { promise, id: id.clone(), why: why.into() }
}

impl Watch {
    /// Takes a turn's batch.
    pub(crate) fn take(
        &mut self,
        turned: &Turned,
        now: Timestamp,
        settles: Settles<'_>,
    ) -> Result<(), Broken> {
        let (Some(batch), Some((who, _))) = (&turned.batch, &turned.label) else { return Ok(()) };
        if turned.lateness_ms.is_some() {
            self.rings_in_time(who, now)?;
        }
        let before = self.shown.get(who).cloned();
        for write in &batch.writes {
            if let Some(parsed) = key::parse(&write.key) {
                self.may_write(who, (&parsed, write.value.as_deref()), (&write.key, settles))?;
            }
        }
        let place = |event: &Event| (event.actor.clone(), event.incarnation, event.number);
        let events = turned.events.iter().map(place).collect();
        let mut undo = Undo { events, ..Undo::default() };
        for write in &batch.writes {
            let earlier = self.put(write.key.clone(), write.value.clone());
            let is_mail = matches!(key::parse(&write.key), Some(Parsed::Inbox(..)));
            if is_mail && write.value.is_none() && self.taken.insert(write.key.clone()) {
                undo.took.push(write.key.clone());
            }
            undo.replaced.push((write.key.clone(), earlier));
        }
        self.undo.push(undo);
        self.submitted += 1;
        match self.entry(who) {
            Some(Entry::Tombstone(_)) if before.is_some() => self.nothing_is_left_of(who)?,
            Some(Entry::Alive(record))
                if record.destruction.as_ref().is_some_and(|it| it.is_released) =>
            {
                self.has_no_child(who, "releases what it holds")?;
            }
            Some(_) | None => {}
        }
        let after = self.shown.get(who);
        tells_its_status(who, &turned.events, (before.as_deref(), after.map(String::as_str)))
    }

    /// Puts or takes a record, and keeps up with what the rows show; what was there before.
    fn put(&mut self, key: Key, value: Option<Vec<u8>>) -> Option<Vec<u8>> {
        if let Some(Parsed::Row(id, status)) = key::parse(&key) {
            if value.is_some() {
                self.shown.insert(id, status);
            } else if self.shown.get(&id) == Some(&status) {
                self.shown.remove(&id);
            }
        }
        match value {
            Some(value) => self.records.insert(key, value),
            None => self.records.remove(&key),
        }
    }

    /// Checks G4: nothing rings before its time.
    fn rings_in_time(&self, who: &ActorId, now: Timestamp) -> Result<(), Broken> {
        let alarms = key::prefix(who.shard(), Table::Alarm);
        let alarms = self.records.range(alarms.clone()..key::end_of(&alarms));
        let is_due = alarms
            .filter_map(|(key, _)| key::parse(key))
            .any(|parsed| matches!(parsed, Parsed::Alarm(id, at) if id == *who && at <= now));
        if is_due {
            return Ok(());
        }
        Err(broken("G4", who, format!("rings at {now}, before its time")))
    }

    /// What a turn may write: its own records, and mail.
    fn may_write(
        &self,
        who: &ActorId,
        write: (&Parsed, Option<&[u8]>),
        at: (&Key, Settles<'_>),
    ) -> Result<(), Broken> {
        let ((parsed, value), (key, settles)) = (write, at);
        match parsed {
            Parsed::Actor(id) if id != who => Err(broken("G3", who, format!("writes {id}"))),
            Parsed::Alarm(id, _) | Parsed::Debt(id, _) | Parsed::Row(id, _) if id != who => {
                Err(broken("G3", who, format!("writes what is {id}'s")))
            }
            Parsed::Actor(id) => self.no_one_comes_back(id, value),
            Parsed::Debt(id, number) if value.is_none() => {
                let is_settled = match settles {
                    Settles::Told(events) => events.iter().any(|event| {
                        matches!(&event.what, What::Abandoned { number: it, .. } if it == number)
                    }),
                    Settles::Nothing => false,
                    Settles::Effect(effect) => effect.actor.id == *id && effect.number == *number,
                };
                let why = || format!("its debt {number} is gone, and nobody settled it");
                if is_settled { Ok(()) } else { Err(broken("G8", id, why())) }
            }
            Parsed::Inbox(to, _) => self.mail_is_taken_once(who, to, (key, value.is_some())),
            Parsed::Row(id, _) => self.change_is_dated(id, key, value),
            Parsed::Debt(..) | Parsed::Alarm(..) | Parsed::Child(..) | Parsed::Event(_) => Ok(()),
        }
    }

    /// Checks G6: a tombstone stays one.
    fn no_one_comes_back(&self, id: &ActorId, value: Option<&[u8]>) -> Result<(), Broken> {
        let before = self.entry(id);
        let after = value.and_then(|bytes| codec::open::<Entry>(bytes).ok());
        match (before, after) {
            (Some(Entry::Tombstone(_)), Some(Entry::Alive(_)) | None) => {
                Err(broken("G6", id, "had a tombstone and lives"))
            }
            (Some(Entry::Alive(old)), Some(Entry::Alive(new)))
                if old.incarnation != new.incarnation =>
            {
                Err(broken("G3", id, "is another life without a tombstone between"))
            }
            (Some(_), None) => Err(broken("G6", id, "is gone without a tombstone")),
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// Checks G10: a mail lies in its inbox once, and only its receiver takes it.
    fn mail_is_taken_once(
        &self,
        who: &ActorId,
        to: &ActorId,
        mail: (&Key, bool),
    ) -> Result<(), Broken> {
        let (key, is_put) = mail;
        let is_there = self.records.contains_key(key);
        if is_put && (is_there || self.taken.contains(key)) {
            return Err(broken("G10", to, "has a mail twice"));
        }
        if !is_put && (!is_there || who != to) {
            return Err(broken("G10", to, format!("{who} takes mail that is not there or his")));
        }
        Ok(())
    }

    /// Checks G11: what says that a row changed is that it changed.
    fn change_is_dated(&self, id: &ActorId, key: &Key, value: Option<&[u8]>) -> Result<(), Broken> {
        let open = |bytes: &[u8]| codec::open::<RowRecord>(bytes).ok();
        let before = self.records.get(key).and_then(|bytes| open(bytes));
        let (Some(before), Some(after)) = (before, value.and_then(open)) else { return Ok(()) };
        let is_same = RowRecord { changed_at: before.changed_at, ..after.clone() } == before;
        if is_same && after.changed_at != before.changed_at {
            return Err(broken("G11", id, "its row says that it changed, and it is the same"));
        }
        Ok(())
    }

    /// Checks G7: children go before what their parent holds.
    fn has_no_child(&self, who: &ActorId, while_it: &str) -> Result<(), Broken> {
        let links = key::children(who);
        let mut links = self.records.range(links.clone()..key::end_of(&links));
        match links.find_map(|(key, _)| key::parse(key)) {
            Some(Parsed::Child(_, child)) => {
                Err(broken("G7", who, format!("{while_it}, and {child} is its child")))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Checks G6 to G8 at a burial.
    fn nothing_is_left_of(&self, id: &ActorId) -> Result<(), Broken> {
        for parsed in self.keys() {
            match parsed {
                Parsed::Debt(of, number) if of == *id => {
                    return Err(broken("G8", id, format!("is buried and owes effect {number}")));
                }
                Parsed::Alarm(of, _) | Parsed::Row(of, _) if of == *id => {
                    return Err(broken("G6", id, "is buried, and not all of it is gone"));
                }
                Parsed::Actor(_)
                | Parsed::Child(..)
                | Parsed::Debt(..)
                | Parsed::Event(_)
                | Parsed::Inbox(..)
                | Parsed::Alarm(..)
                | Parsed::Row(..) => {}
            }
        }
        self.has_no_child(id, "is buried")?;
        for (child, record) in self.living() {
            let parent: Option<&ActorRef> = record.parent.as_ref();
            if parent.is_some_and(|parent| parent.id == *id) {
                return Err(broken("G7", &child, format!("lives, and its parent {id} is buried")));
            }
        }
        Ok(())
    }

    /// The number of the last batch: 1 for the first.
    pub(crate) fn submitted(&self) -> u64 {
        u64::try_from(self.submitted).unwrap_or(u64::MAX)
    }

    /// Checks G2 of what somebody was told, whose turn wrote this batch.
    pub(crate) fn told(&mut self, said: &Said, batch: u64) -> Result<(), Broken> {
        let durable = u64::try_from(self.submitted - self.undo.len()).unwrap_or(u64::MAX);
        if batch > durable {
            return Err(broken("G2", &said.id, "answers before its turn is durable"));
        }
        let at = key::actor(&said.id);
        let entry = self.durable(&at).and_then(|bytes| codec::open::<Entry>(bytes).ok());
        match (said.asks, &said.result) {
            (Asks::Create | Asks::Call | Asks::DestroyLater, Ok(())) => {
                if entry.is_none() {
                    return Err(broken("G2", &said.id, "was told of, and is not durable"));
                }
                self.told_there.insert(said.id.clone());
            }
            (Asks::Destroy, Ok(())) | (_, Err(ErrorKind::Destroyed)) => {
                let is_gone = match &entry {
                    Some(Entry::Tombstone(_)) => true,
                    Some(Entry::Alive(record)) => {
                        said.asks != Asks::Destroy && record.destruction.is_some()
                    }
                    None => false,
                };
                if !is_gone {
                    return Err(broken("G2", &said.id, "is said to be gone, and is not for sure"));
                }
                if matches!(entry, Some(Entry::Tombstone(_))) {
                    self.told_gone.insert(said.id.clone());
                }
            }
            (Asks::Create | Asks::Call | Asks::DestroyLater | Asks::Destroy | Asks::Operate, _) => {
            }
        }
        Ok(())
    }

    /// Everything that was submitted is durable.
    pub(crate) fn flushed(&mut self) {
        self.undo.clear();
    }

    /// The process ended; of the batches since the last flush the first `kept` survive.
    pub(crate) fn crashed(&mut self, kept: usize) {
        let undone = self.undo.split_off(kept.min(self.undo.len()));
        self.submitted -= undone.len();
        for undo in undone.into_iter().rev() {
            for (key, earlier) in undo.replaced.into_iter().rev() {
                drop(self.put(key, earlier));
            }
            for key in undo.took {
                self.taken.remove(&key);
            }
        }
        self.undo.clear();
    }

    /// Checks G1 and G2: the store holds all that was submitted and not taken back, and no more.
    pub(crate) fn agrees(&self, store: &dyn Store) -> Result<Result<(), Broken>, Error> {
        let mut expected = self.records.iter();
        for (key, value) in store.scan(&[], &[], usize::MAX)? {
            if matches!(key::parse(&key), Some(Parsed::Event(_))) {
                continue;
            }
            let found = expected.next();
            if found != Some((&key, &value)) {
                let other = found.map_or(&key, |(other, _)| other.min(&key));
                return Ok(Err(broken("G1", &whose(other), "the store and its batches differ")));
            }
        }
        if let Some((key, _)) = expected.next() {
            return Ok(Err(broken("G2", &whose(key), "was submitted and is not in the store")));
        }
        for id in &self.told_there {
            if self.entry(id).is_none() {
                return Ok(Err(broken("G2", id, "was told of, and is not there")));
            }
        }
        for id in &self.told_gone {
            if !matches!(self.entry(id), Some(Entry::Tombstone(_))) {
                return Ok(Err(broken("G6", id, "was told to be gone, and is there")));
            }
        }
        Ok(Ok(()))
    }

    /// Checks G4 when everything that is due had its time: no alarm is left that should have rung.
    pub(crate) fn nothing_is_late(&self, now: Timestamp) -> Result<(), Broken> {
        let late = self.keys().find_map(|parsed| match parsed {
            Parsed::Alarm(id, at) if at <= now => Some((id, at)),
            Parsed::Alarm(..)
            | Parsed::Actor(_)
            | Parsed::Child(..)
            | Parsed::Debt(..)
            | Parsed::Event(_)
            | Parsed::Inbox(..)
            | Parsed::Row(..) => None,
        });
        match late {
            Some((id, at)) => Err(broken("G4", &id, format!("its alarm of {at} has not rung"))),
            None => Ok(()),
        }
    }

    /// Checks G8 and G10 when a moment is over and nothing is wrong: mail was taken, and of each
    /// actor that owes anything one effect was handed out, unless it waits for a back-off. A clock
    /// that was put back holds nothing up for longer than the longest of those.
    pub(crate) fn nothing_waits(
        &self,
        now: Timestamp,
        begun: &BTreeSet<EffectId>,
    ) -> Result<(), Broken> {
        let longest = now + Limits::default().back_off_max;
        let mut owing = None;
        for (key, value) in &self.records {
            match key::parse(key) {
                Some(Parsed::Inbox(to, _)) => {
                    return Err(broken(
                        "G10",
                        &to,
                        "mail waits in its inbox, and nothing is wrong",
                    ));
                }
                Some(Parsed::Debt(id, number)) if owing.as_ref() != Some(&id) => {
                    let is_due = codec::open::<Debt>(value)
                        .is_ok_and(|it| it.next_at <= now || it.next_at > longest);
                    if is_due && begun.iter().all(|it| it.actor.id != id) {
                        let why = format!("effect {number} waits, and nothing is wrong");
                        return Err(broken("G8", &id, why));
                    }
                    owing = Some(id);
                }
                Some(
                    Parsed::Debt(..)
                    | Parsed::Alarm(..)
                    | Parsed::Actor(_)
                    | Parsed::Child(..)
                    | Parsed::Event(_)
                    | Parsed::Row(..),
                )
                | None => {}
            }
        }
        Ok(())
    }

    /// Checks G4, G8 and G10 when all should be at rest: nothing is due, owed or under way.
    pub(crate) fn at_rest(
        &self,
        now: Timestamp,
        is_perpetual: impl Fn(&ActorId) -> bool,
    ) -> Result<(), Broken> {
        self.nothing_is_late(now)?;
        for parsed in self.keys() {
            match parsed {
                Parsed::Inbox(id, _) | Parsed::Debt(id, _) if is_perpetual(&id) => {}
                Parsed::Inbox(id, _) => return Err(broken("G10", &id, "has mail that lies there")),
                Parsed::Debt(id, number) => {
                    return Err(broken("G8", &id, format!("still owes effect {number}")));
                }
                Parsed::Actor(_)
                | Parsed::Child(..)
                | Parsed::Event(_)
                | Parsed::Alarm(..)
                | Parsed::Row(..) => {}
            }
        }
        for (id, record) in self.living() {
            if record.destruction.is_some() {
                return Err(broken("G7", &id, "is still being destroyed"));
            }
        }
        Ok(())
    }

    /// Checks G2 and G9: an event leaves when its turn is durable, and in the order of its actor.
    pub(crate) fn heard(&mut self, event: &Event) -> Result<(), Broken> {
        if event.number == 0 {
            // A dead letter is nobody's.
            return Ok(());
        }
        let place = (event.actor.clone(), event.incarnation, event.number);
        if self.undo.iter().any(|undo| undo.events.contains(&place)) {
            let why = format!("event {} leaves before it is durable", event.number);
            return Err(broken("G2", &event.actor, why));
        }
        let last = self.heard.insert((place.0, place.1), place.2);
        if last.is_some_and(|last| last >= event.number) {
            let why = format!("event {} leaves after event {last:?}", event.number);
            return Err(broken("G9", &event.actor, why));
        }
        Ok(())
    }

    /// Whether a record is there and no crash can take it away.
    pub(crate) fn is_durable(&self, key: &[u8]) -> bool {
        self.durable(key).is_some()
    }

    fn durable(&self, key: &[u8]) -> Option<&Vec<u8>> {
        let mut writes = self.undo.iter().flat_map(|undo| &undo.replaced);
        match writes.find(|(other, _)| other == key) {
            Some((_, earlier)) => earlier.as_ref(),
            None => self.records.get(key),
        }
    }

    fn keys(&self) -> impl Iterator<Item = Parsed> {
        self.records.keys().filter_map(|key| key::parse(key))
    }

    fn entry(&self, id: &ActorId) -> Option<Entry> {
        self.records.get(&key::actor(id)).and_then(|bytes| codec::open(bytes).ok())
    }

    fn living(&self) -> impl Iterator<Item = (ActorId, sexton::ActorRecord)> {
        self.records.iter().filter_map(|(key, bytes)| match key::parse(key) {
            Some(Parsed::Actor(id)) => match codec::open::<Entry>(bytes) {
                Ok(Entry::Alive(record)) => Some((id, *record)),
                Ok(Entry::Tombstone(_)) | Err(_) => None,
            },
            Some(_) | None => None,
        })
    }
}

/// Checks G9: a change of status is told once, with where from and where to, and nothing else is.
fn tells_its_status(
    who: &ActorId,
    events: &[Event],
    shown: (Option<&str>, Option<&str>),
) -> Result<(), Broken> {
    let of_it = events.iter().filter(|event| event.actor == *who);
    let told: Vec<&What> = of_it
        .map(|event| &event.what)
        .filter(|what| {
            matches!(
                what,
                What::Transition { .. }
                    | What::Created { .. }
                    | What::Destroying { .. }
                    | What::Destroyed { .. }
            )
        })
        .collect();
    let is_move = |what: &&&What| matches!(what, What::Transition { .. });
    let others = told.iter().filter(|what| !is_move(what)).copied().collect::<Vec<_>>();
    let is_told = match shown {
        (None, Some(new)) => matches!(told[..], [What::Created { status, .. }] if status == new),
        (Some(_), None) => matches!(told[..], [.., What::Destroyed { .. }]),
        // Its row says so from the intent on; what it becomes meanwhile only its events tell.
        (Some(old), Some(DESTROYING)) if old != DESTROYING => {
            matches!(others[..], [What::Destroying { .. }])
        }
        (Some(DESTROYING), Some(DESTROYING)) => others.is_empty(),
        (Some(old), Some(new)) if old != new => {
            matches!(told[..], [What::Transition { from, to, .. }] if from == old && to == new)
        }
        (Some(_), Some(_)) | (None, None) => told.is_empty(),
    };
    if is_told {
        return Ok(());
    }
    let (from, to) = (shown.0.unwrap_or("nothing"), shown.1.unwrap_or("nothing"));
    Err(broken("G9", who, format!("went from {from} to {to}, and told {told:?}")))
}

fn whose(key: &Key) -> ActorId {
    let nobody = || ActorId::new("store", "key").expect("a good name");
    match key::parse(key) {
        Some(
            Parsed::Actor(id)
            | Parsed::Child(id, _)
            | Parsed::Debt(id, _)
            | Parsed::Inbox(id, _)
            | Parsed::Alarm(id, _)
            | Parsed::Row(id, _),
        ) => id,
        Some(Parsed::Event(_)) | None => nobody(),
    }
}
