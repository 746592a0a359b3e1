//! Why: what an operator asks about one actor, answered from the store alone.
//!
//! Why is it awake or stalled, what rings next and for what, what does it owe and why is that not
//! paid, who waits for it, how far is its end, and what happened to it. Nothing is loaded into an
//! engine and nothing is changed. What cannot be read (a state of another version, a kind that
//! this program does not know) is said, and the rest is answered all the same: the actor that is
//! asked about is often the one that is broken.
//!
//! Keeps G14: every list holds at most as many items as were asked for, and says how many there
//! are.

mod display;

use serde::{Deserialize, Serialize};

use crate::actor::Kinds;
use crate::codec;
use crate::deadline::rings_at;
use crate::destroy::{ActorRecord, Destruction, Entry, Tombstone};
use crate::effect::{Debt, Failure};
use crate::engine::{each, find_slot, guard, read_debts, read_entry};
use crate::error::{Error, ErrorKind, Refusal};
use crate::event::Event;
use crate::inbox::Mail;
use crate::key::{self, ActorId, ActorRef, Parsed};
use crate::log;
use crate::row::DESTROYING;
use crate::store::Store;
use crate::time::Timestamp;

/// What one actor is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Which actor.
    pub id: ActorId,
    /// Whether it lives.
    pub standing: Standing,
    /// Mail that waits for it, oldest first.
    pub mail: Counted<Waiting>,
    /// What happened to it, oldest first: the last events of all lives of the name.
    pub story: Vec<Event>,
    /// How many events there are before those.
    pub earlier_events: u64,
}

/// Whether a name has a life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Standing {
    /// It never had one.
    Unknown,
    /// It had one: when it ended, why, and who asked.
    Buried(Tombstone),
    /// It has one.
    Living(Box<Living>),
}

/// A life, and why it is not at rest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Living {
    /// Which life.
    pub incarnation: u32,
    /// Whose child.
    pub parent: Option<ActorRef>,
    /// Its status; `destroying` once that is committed, `None` if its state cannot be read.
    pub status: Option<String>,
    /// When it was born.
    pub created_at: Timestamp,
    /// When it entered its status.
    pub status_since: Timestamp,
    /// When its row changed last.
    pub changed_at: Timestamp,
    /// Turns that it committed.
    pub turns: u64,
    /// Events that it recorded.
    pub events: u64,
    /// Why it is awake: what will give it a turn without a call from outside. Empty if nothing.
    pub awake: Vec<String>,
    /// Why it makes no progress, if it is stalled.
    pub stalled: Option<String>,
    /// When its alarm rings.
    pub alarm: Option<Timestamp>,
    /// Its deadlines, the next to ring first.
    pub rings: Counted<Ring>,
    /// What it owes, oldest first.
    pub debts: Counted<Owing>,
    /// Its children.
    pub children: Counted<ActorId>,
    /// How far its destruction is, if that is committed.
    pub going: Option<Going>,
    /// Its state, described.
    pub state: Option<serde_json::Value>,
    /// Why its state cannot be read, if it cannot.
    pub unreadable: Option<String>,
}

/// The first items of a list, and how many there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted<T> {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub first: Vec<T>,
}

impl<T> Default for Counted<T> {
    fn default() -> Self {
        Self { count: 0, first: Vec::new() }
    }
}

/// A deadline and when it rings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ring {
    /// When it rings: the later of its own moment and its back-off's.
    pub rings_at: Timestamp,
    /// Its own moment.
    pub due: Timestamp,
    /// What it means.
    pub what: String,
    /// Failures in a row.
    pub failures: u32,
    /// What the last failure said.
    pub why: Option<String>,
}

/// A debt, described.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Owing {
    /// Its number.
    pub number: u64,
    /// What to do, or why that cannot be read.
    pub effect: serde_json::Value,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Attempts that failed.
    pub failures: u32,
    /// Not tried before this.
    pub next_at: Timestamp,
    /// What the last failure said.
    pub why: Option<Failure>,
    /// Whether it releases what a destroyed actor holds.
    pub is_release: bool,
}

/// A mail that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// When it was sent.
    pub sent_at: Timestamp,
    /// Who sent it.
    pub from: Option<ActorRef>,
    /// The message's name.
    pub name: String,
}

/// How far a destruction is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Going {
    /// When it was committed.
    pub since: Timestamp,
    /// Why.
    pub why: String,
    /// Who asked.
    pub by: String,
    /// Where it stands.
    pub stage: Stage,
    /// Children that were asked and are not gone.
    pub in_flight: Counted<ActorId>,
    /// What holds it up, in words; empty if it is only under way.
    pub blocks: Vec<String>,
}

/// The stages of a destruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Its children go.
    Children,
    /// It says what releases what it holds.
    Release,
    /// What it owes is being paid.
    Debts,
}

/// Answers what an operator asks about an actor, with at most `limit` items in each list.
///
/// What it answers is what was submitted to the store, which may not be durable yet.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`] if its record, a debt, a mail or an event is damaged, and what the store
/// says. A state that cannot be read is no error: [`Living::unreadable`] says so.
///
/// # Example
///
/// ```
/// use sexton_core::explain::Standing;
/// use sexton_core::{ActorId, Error, Kinds, Store, explain};
///
/// fn is_known(store: &dyn Store, kinds: &Kinds, id: &ActorId) -> Result<bool, Error> {
///     let explanation = explain(store, kinds, id, 20)?;
///     assert!(explanation.to_string().starts_with(id.as_str()));
///     Ok(explanation.standing != Standing::Unknown)
/// }
/// ```
pub fn explain(
    store: &dyn Store,
    kinds: &Kinds,
    id: &ActorId,
    limit: usize,
) -> Result<Explanation, Error> {
    let mail = waiting(store, id, limit)?;
    let standing = match read_entry(store, id)? {
        None => Standing::Unknown,
        Some(Entry::Tombstone(tombstone)) => Standing::Buried(tombstone),
        Some(Entry::Alive(record)) => {
            let asked = Asked { store, kinds, id, limit };
            Standing::Living(Box::new(asked.living(&record, &mail)?))
        }
    };
    let (story, earlier_events) = story(store, id, (&standing, limit))?;
    Ok(Explanation { id: id.clone(), standing, mail, story, earlier_events })
}

/// The last `limit` events of a name, oldest first, and how many of its last life there are
/// before them.
///
/// The one place that knows how the log is searched by name.
fn story(
    store: &dyn Store,
    id: &ActorId,
    of: (&Standing, usize),
) -> Result<(Vec<Event>, u64), Error> {
    let (standing, limit) = of;
    let found = log::of(store, id, limit)?.events;
    let story: Vec<Event> = found.into_iter().map(|(_, event)| event).collect();
    // The events of a life are numbered without gaps.
    let last_life = story.iter().map(|event| event.incarnation).max();
    let mut of_last = story.iter().filter(|event| Some(event.incarnation) == last_life);
    let earlier = match (of_last.find(|event| event.number > 0), standing) {
        (Some(first), _) => first.number - 1,
        (None, Standing::Living(living)) => living.events,
        (None, Standing::Unknown | Standing::Buried(_)) => 0,
    };
    Ok((story, earlier))
}

fn damaged(what: &str, id: &ActorId, error: codec::CodecError) -> Error {
    let message = format!("{what} in the shard of {id} cannot be read");
    Error::new(ErrorKind::Corrupt, message).with_source(error)
}

fn waiting(store: &dyn Store, id: &ActorId, limit: usize) -> Result<Counted<Waiting>, Error> {
    let mut mail = Counted::default();
    each(store, &key::inbox(id), |at, bytes| {
        let Some(Parsed::Inbox(_, place)) = key::parse(at) else { return Ok(()) };
        mail.count += 1;
        if mail.first.len() < limit {
            let it: Mail = codec::open(bytes).map_err(|error| damaged("a mail", id, error))?;
            let name = it.body.name().to_owned();
            mail.first.push(Waiting { sent_at: place.at, from: it.from, name });
        }
        Ok(())
    })?;
    Ok(mail)
}

/// Status, deadlines, and why the state cannot be read.
type Told = (Option<String>, Counted<Ring>, Option<String>);

/// A question about a life.
struct Asked<'a> {
    store: &'a dyn Store,
    kinds: &'a Kinds,
    id: &'a ActorId,
    limit: usize,
}

impl Asked<'_> {
    fn living(&self, record: &ActorRecord, mail: &Counted<Waiting>) -> Result<Living, Error> {
        let debts = read_debts(self.store, self.id)?;
        let (status, rings, unreadable) = self.rings(record)?;
        let (state, undescribed) = match self.state(record) {
            Ok(state) => (Some(state), None),
            Err(refusal) => (None, Some(refusal.reason)),
        };
        let going = match &record.destruction {
            Some(destruction) => Some(self.going(record, destruction, debts.iter())?),
            None => None,
        };
        Ok(Living {
            incarnation: record.incarnation,
            parent: record.parent.clone(),
            status,
            created_at: record.created_at,
            status_since: record.status_since,
            changed_at: record.changed_at,
            turns: record.turns,
            events: record.events,
            awake: awake(record, (rings.first.first(), debts.iter().next()), mail),
            stalled: record.stalled.clone(),
            alarm: record.alarm,
            rings,
            debts: self.counted(debts.into_iter().map(|it| self.owing(it))),
            children: self.children()?,
            going,
            state,
            unreadable: unreadable.or(undescribed),
        })
    }

    /// Its status and its deadlines, as its state says; of a state that cannot be read, the
    /// back-offs are left.
    fn rings(&self, record: &ActorRecord) -> Result<Told, Error> {
        let ring = |at, what: &[u8], rings_at| {
            let back_off = record.back_offs.iter().find(|it| it.at == at && it.what == what);
            Ring {
                rings_at,
                due: at,
                what: self.deadline(what),
                failures: back_off.map_or(0, |it| it.failures),
                why: back_off.filter(|it| it.failures > 0).map(|it| it.why.clone()),
            }
        };
        let found = find_slot(self.store, self.kinds, self.id);
        let (status, mut rings, unreadable) = match found {
            Ok(Some(slot)) => {
                let due = slot.due().iter();
                let rings = due.map(|it| ring(it.at, &it.what, rings_at(it, &record.back_offs)));
                let is_going = record.destruction.is_some();
                let status = if is_going { DESTROYING } else { slot.view.status };
                (Some(status.to_owned()), rings.collect::<Vec<Ring>>(), None)
            }
            Ok(None) => (None, Vec::new(), None),
            Err(error) if error.kind() == ErrorKind::Closed => return Err(error),
            Err(error) => {
                let rings = record.back_offs.iter();
                let rings = rings.map(|it| ring(it.at, &it.what, it.next_at)).collect();
                let source = std::error::Error::source(&error);
                let why = source.map_or_else(|| error.to_string(), |it| format!("{error}: {it}"));
                let status = record.destruction.as_ref().map(|_| DESTROYING.to_owned());
                (status, rings, Some(why))
            }
        };
        rings.sort();
        Ok((status, self.counted(rings), unreadable))
    }

    fn counted<T>(&self, items: impl IntoIterator<Item = T>) -> Counted<T> {
        let (mut items, mut count) = (items.into_iter(), 0);
        let first = items.by_ref().take(self.limit).inspect(|_| count += 1).collect();
        Counted { first, count: count + u64::try_from(items.count()).unwrap_or(u64::MAX) }
    }

    fn deadline(&self, what: &[u8]) -> String {
        let named = guard(|| {
            let name = self.kinds.name_deadline(self.id.kind(), what);
            name.map_err(|error| Refusal::new(error.to_string()))
        });
        named.unwrap_or_else(|_| format!("a deadline of {} bytes", what.len()))
    }

    fn state(&self, record: &ActorRecord) -> Result<serde_json::Value, Refusal> {
        guard(|| {
            let (version, bytes) = (record.state_version, record.state.as_slice());
            let state = self.kinds.describe(self.id.kind(), version, bytes);
            state.map_err(|error| Refusal::new(error.to_string()))
        })
    }

    fn owing(&self, debt: (u64, Debt)) -> Owing {
        let (number, debt) = debt;
        let effect = guard(|| {
            let effect = self.kinds.describe_effect(self.id.kind(), &debt.effect);
            effect.map_err(|error| Refusal::new(error.to_string()))
        });
        Owing {
            number,
            effect: effect.unwrap_or_else(|refusal| serde_json::Value::String(refusal.reason)),
            recorded_at: debt.recorded_at,
            failures: debt.failures,
            next_at: debt.next_at,
            why: debt.why,
            is_release: debt.is_release,
        }
    }

    fn children(&self) -> Result<Counted<ActorId>, Error> {
        let mut children = Counted::default();
        each(self.store, &key::children(self.id), |at, _| {
            let Some(Parsed::Child(_, child)) = key::parse(at) else { return Ok(()) };
            children.count += 1;
            if children.first.len() < self.limit {
                children.first.push(child);
            }
            Ok(())
        })?;
        Ok(children)
    }

    fn going<'d>(
        &self,
        record: &ActorRecord,
        destruction: &Destruction,
        debts: impl Iterator<Item = (&'d u64, &'d Debt)>,
    ) -> Result<Going, Error> {
        let mut blocks = blocks(record, debts);
        for child in destruction.in_flight.iter().take(self.limit) {
            if let Some(Entry::Alive(record)) = read_entry(self.store, child)?
                && let Some(why) = &record.stalled
            {
                blocks.push(format!("{child} is stalled: {why}"));
            }
        }
        blocks.truncate(self.limit);
        let stage = match (destruction.is_released, destruction.failures) {
            (true, _) => Stage::Debts,
            (false, 0) => Stage::Children,
            (false, _) => Stage::Release,
        };
        Ok(Going {
            since: destruction.since,
            why: destruction.why.clone(),
            by: destruction.by.clone(),
            stage,
            in_flight: self.counted(destruction.in_flight.iter().cloned()),
            blocks,
        })
    }
}

/// What holds up the end of an actor, now or if it were asked to go: in words.
pub(crate) fn blocks<'d>(
    record: &ActorRecord,
    debts: impl Iterator<Item = (&'d u64, &'d Debt)>,
) -> Vec<String> {
    let mut blocks: Vec<String> = debts
        .filter_map(|(number, debt)| {
            let Failure { class, message } = debt.why.as_ref()?;
            let (n, next_at) = (debt.failures, debt.next_at);
            Some(format!("effect {number} failed {n} times: {class}: {message}; next at {next_at}"))
        })
        .collect();
    if let Some(why) = &record.stalled {
        blocks.push(format!("it is stalled: {why}"));
    }
    blocks
}

/// What will give it a turn without a call from outside.
fn awake(
    record: &ActorRecord,
    next: (Option<&Ring>, Option<(&u64, &Debt)>),
    mail: &Counted<Waiting>,
) -> Vec<String> {
    let (ring, debt) = next;
    let mut awake = Vec::new();
    if record.destruction.as_ref().is_some_and(|it| it.failures > 0 && !it.is_released) {
        awake.push("its destruction failed, and is tried again".to_owned());
    }
    if let Some(first) = mail.first.first() {
        awake.push(format!("{} mails wait, first {}", mail.count, first.name));
    }
    if let Some((number, debt)) = debt {
        awake.push(format!("effect {number} is owed, next at {}", debt.next_at));
    }
    if let Some(ring) = ring {
        awake.push(format!("{} rings at {}", ring.what, ring.rings_at));
    }
    awake
}
