//! Sweeps: periodic passes that find what should be gone, and ask it to go.
//!
//! A sweep selects from rows and *asks*; the target decides in its own turn, where the condition
//! is checked again. Sweeps are kept by the host and not by alarms, so that they work when alarms
//! do not. What a sweep must remember (its cursor, whom it asked when) is the state of an actor
//! of the kind `sweep`, so a pass is a turn: whole or absent, at its time also after a crash.
//!
//! Keeps G12: a pass asks at most `limit` items, an item that was asked in vain leaves the front of
//! the queue for `back_off`, and a row that cannot be read, looked at or asked is passed over and
//! counted: it stops nobody else. Asked in vain is whoever shows the same row as when it was asked;
//! one whose row changed did something, and is looked at again like any other.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::actor::{Actor, Handler, Handlers, Kinds, Message};
use crate::destroy::Entry;
use crate::error::{Error, ErrorKind, Refusal};
use crate::index::{Cursor, Query};
use crate::key::{self, ActorId, IdError, Key};
use crate::query;
use crate::row::{Row, RowView};
use crate::store::Store;
use crate::time::Timestamp;
use crate::turn::{Letter, Turn};

/// The most rows that one pass examines. Chosen: a pass stays in the milliseconds, and the
/// cursor brings the next pass to the rest.
const ROWS_PER_PASS_MAX: usize = 10_000;

/// A periodic pass over rows. Write one for your own actors.
pub trait Sweep {
    /// Its name, unique among a host's sweeps.
    fn name(&self) -> &'static str;

    /// How often it passes.
    fn every(&self) -> Duration {
        Duration::from_secs(5 * 60)
    }

    /// The most items that one pass asks.
    fn limit(&self) -> usize;

    /// How long an item that was asked is left alone while its row stays as it was.
    fn back_off(&self) -> Duration {
        Duration::from_secs(60 * 60)
    }

    /// The kinds and statuses whose rows it looks at.
    fn scope(&self) -> &[(&'static str, &'static str)];

    /// Whether a row that says [`watched_from`](Row::watched_from) a later moment is passed over
    /// without being read. A sweep that judges by more than the row itself says no.
    fn heeds_watch(&self) -> bool {
        true
    }

    /// Why this row is selected; `None` if it is not.
    ///
    /// # Errors
    ///
    /// What the store says of something else that was looked at. This row is then passed over,
    /// and counted.
    fn select(&self, row: &RowView, look: &Look<'_>) -> Result<Option<String>, Error>;

    /// What to ask the row's actor; it decides in its own turn.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] passes over this item, which is counted, and over no other.
    fn ask(&self, row: &RowView, why: &str) -> Result<Letter, Refusal>;
}

/// What a sweep may look at beside the row: the moment of its pass, and other entries.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    now: Timestamp,
    store: &'a dyn Store,
}

impl<'a> Look<'a> {
    /// A look at `store` at `now`.
    pub fn new(now: Timestamp, store: &'a dyn Store) -> Self {
        Self { now, store }
    }

    /// When the pass is made.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What lies under a name: a life, a tombstone, or nothing.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn entry(&self, id: &ActorId) -> Result<Option<Entry>, Error> {
        query::entry(self.store, id)
    }

    /// Whether `child` is linked from `parent`.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn is_child(&self, parent: &ActorId, child: &ActorId) -> Result<bool, Error> {
        Ok(self.store.get(&key::child(parent, child))?.is_some())
    }

    /// The store, for the other questions of [`query`].
    pub fn store(&self) -> &'a dyn Store {
        self.store
    }
}

/// What one pass found: what it would ask, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What is asked of whom and why.
    pub asks: Vec<Ask>,
    /// Rows that were examined.
    pub examined: u64,
    /// Rows that could not be read, looked at or asked: passed over.
    pub failed: u64,
    /// Where the next pass begins: a scope's index and the key of a row there.
    pub cursor: Option<(u32, Key)>,
    /// How long the sweep leaves alone whom it asked, as it says now; `None` is as before.
    pub back_off: Option<Duration>,
    /// Until then a pass finds nothing, as long as no row of the scope is written: every row was
    /// looked at, and none asks to be looked at earlier. `None` if that cannot be told.
    pub quiet_until: Option<Timestamp>,
}

/// One item of a [`Plan`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Whom.
    pub id: ActorId,
    /// Why.
    pub why: String,
    /// What.
    pub letter: Letter,
}

/// The name of the actor that remembers for a sweep.
///
/// # Errors
///
/// [`IdError`] if the sweep's name is not a name.
pub fn sweeper(name: &str) -> Result<ActorId, IdError> {
    ActorId::new(Sweeper::KIND, name)
}

/// Refuses a sweep whose scope names what no row can be: it would find nothing, for ever.
///
/// # Errors
///
/// [`ErrorKind::Refused`] with the sweep, the kind or status, and those that are known.
pub fn check_scope(sweep: &dyn Sweep, kinds: &Kinds) -> Result<(), Error> {
    let name = sweep.name();
    for (kind, status) in sweep.scope() {
        let Some(statuses) = kinds.statuses(kind) else {
            let known = kinds.names().collect::<Vec<_>>().join(", ");
            let message = format!("the sweep {name} looks at the kind {kind}; known are {known}");
            return Err(Error::new(ErrorKind::Refused, message));
        };
        if !statuses.contains(status) {
            let known = statuses.join(", ");
            let message = format!(
                "the sweep {name} looks at the status {status} of {kind}; known are {known}"
            );
            return Err(Error::new(ErrorKind::Refused, message));
        }
    }
    Ok(())
}

/// Looks for what a sweep would ask now; asks nothing.
///
/// # Errors
///
/// What the store says; the pass is then not made, and nothing is asked.
pub fn plan(
    sweep: &dyn Sweep,
    state: &Sweeper,
    now: Timestamp,
    store: &dyn Store,
) -> Result<Plan, Error> {
    let mut plan = Plan { back_off: Some(sweep.back_off()), ..Plan::default() };
    let mut left = ROWS_PER_PASS_MAX;
    let scope = sweep.scope();
    let (first, mut after) = match &state.cursor {
        Some((index, key)) => (usize::try_from(*index).unwrap_or(0), Some(key.clone())),
        None => (0, None),
    };
    let mut quiet_until = state.cursor.is_none().then_some(Timestamp::MAX);
    let watched_by = if sweep.heeds_watch() { now } else { Timestamp::MAX };
    let look = Look::new(now, store);
    for (index, of) in scope.iter().enumerate().skip(first) {
        loop {
            let limit = left.min(1_000);
            let (kind, status) = of;
            let rows = Query::of(kind).status(status).watched_by(watched_by);
            let mut rows = rows.limit(limit).examine_max(limit);
            if let Some(after) = &after {
                rows = rows.after(Cursor(after.clone()));
            }
            let page = rows.page(store)?;
            plan.examined += u64::try_from(page.examined).unwrap_or(0);
            plan.failed += u64::try_from(page.unread).unwrap_or(0);
            left -= page.examined;
            let is_quiet = page.rows.is_empty() && page.unread == 0;
            quiet_until = quiet_until.filter(|_| is_quiet).map(|at| at.min(page.quiet_until));
            for (Cursor(key), row) in page.rows {
                select(sweep, state, (&row, &look), &mut plan);
                if plan.asks.len() >= sweep.limit() {
                    let index = u32::try_from(index).unwrap_or(0);
                    plan.cursor = Some((index, key));
                    return Ok(plan);
                }
            }
            let is_last = page.next.is_none();
            after = page.next.map(|Cursor(key)| key).or(after);
            if left == 0 {
                let index = u32::try_from(index).unwrap_or(0);
                plan.cursor = after.map(|key| (index, key));
                return Ok(plan);
            }
            if is_last {
                break;
            }
        }
        after = None;
    }
    plan.quiet_until = quiet_until;
    Ok(plan)
}

fn select(sweep: &dyn Sweep, state: &Sweeper, at: (&RowView, &Look<'_>), plan: &mut Plan) {
    let (row, look) = at;
    let is_resting = state.asked.get(&row.id).is_some_and(|asked_at| {
        // At the same instant the change may have come after the ask: it is asked once more.
        let did_nothing = row.record.changed_at < *asked_at;
        // Who was asked before the clock was put back has no moment to wait for.
        let is_past = *asked_at <= look.now;
        did_nothing && is_past && *asked_at + sweep.back_off() > look.now
    });
    if is_resting {
        return;
    }
    let why = match sweep.select(row, look) {
        Ok(Some(why)) => why,
        Ok(None) => return,
        Err(_) => {
            plan.failed += 1;
            return;
        }
    };
    match sweep.ask(row, &why) {
        Ok(letter) => plan.asks.push(Ask { id: row.id.clone(), why, letter }),
        Err(_) => plan.failed += 1,
    }
}

/// What a sweep remembers between passes; an actor, so that it is never half remembered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sweeper {
    /// When the next pass is due.
    pub next_at: Timestamp,
    /// How long an item that was asked is left alone.
    pub back_off: Duration,
    /// Where the next pass begins.
    pub cursor: Option<(u32, Key)>,
    /// Whom it asked when, as long as that matters.
    pub asked: BTreeMap<ActorId, Timestamp>,
    /// Passes so far.
    pub passes: u64,
    /// Items asked so far.
    pub asks: u64,
}

/// One pass, found by [`plan`]: applied exactly as it was planned.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pass {
    /// When the pass after this one is due.
    pub next_at: Timestamp,
    /// What to ask of whom.
    pub asks: Vec<Letter>,
    /// Rows that were examined.
    pub examined: u64,
    /// Rows that were passed over because they could not be read, looked at or asked.
    pub failed: u64,
    /// Where the next pass begins.
    pub cursor: Option<(u32, Key)>,
    /// How long who was asked is left alone from now on; `None` is as before.
    pub back_off: Option<Duration>,
}

impl Pass {
    /// A pass that asks what was planned, and nothing else.
    pub fn of(plan: Plan, next_at: Timestamp) -> Self {
        let asks = plan.asks.into_iter();
        Self {
            next_at,
            // Keeps G6: a letter to one life reaches no other.
            asks: asks.map(|ask| Letter { to: ask.id, ..ask.letter }).collect(),
            examined: plan.examined,
            failed: plan.failed,
            cursor: plan.cursor,
            back_off: plan.back_off,
        }
    }
}

impl Message for Pass {
    const NAME: &'static str = "pass";
    type Reply = ();
}

/// A reviewed plan, applied exactly as it stands, before the pass that is due or instead of it.
///
/// Who is asked decides in its own turn, as in every pass: what changed since the review is seen
/// there. The passes that follow go on from where they were.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Apply {
    /// What to ask of whom.
    pub asks: Vec<Letter>,
}

impl Apply {
    /// What was planned.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`] if it is more than the sweep asks in a pass: keeps G12.
    pub fn of(plan: Plan, sweep: &dyn Sweep) -> Result<Self, Error> {
        let (n, limit) = (plan.asks.len(), sweep.limit());
        if n > limit {
            let name = sweep.name();
            let message = format!("the plan asks {n}, and a pass of {name} asks at most {limit}");
            return Err(Error::new(ErrorKind::Refused, message));
        }
        Ok(Self { asks: Pass::of(plan, Timestamp::ZERO).asks })
    }
}

impl Message for Apply {
    const NAME: &'static str = "apply";
    type Reply = ();
}

crate::lifecycle! {
    /// What a sweep can be.
    pub enum SweeperStatus {
        /// It waits for its next pass.
        Waiting = "waiting" [] => [],
    }
}

impl Actor for Sweeper {
    const KIND: &'static str = "sweep";
    type Init = (Timestamp, Duration);
    type Status = SweeperStatus;
    type Deadline = ();
    type Effect = ();
    type Answer = ();

    fn create(init: Self::Init, _turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        let (next_at, back_off) = init;
        Ok(Self { next_at, back_off, cursor: None, asked: BTreeMap::new(), passes: 0, asks: 0 })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Pass>().message::<Apply>();
    }

    fn status(&self) -> Self::Status {
        SweeperStatus::Waiting
    }

    fn row(&self) -> Row {
        Row::default().time("next_at", Some(self.next_at))
    }
}

impl Sweeper {
    /// When its next pass is due, as the clock stands: a moment more than a period ahead is from
    /// before the clock was put back, and so is now.
    pub fn due_at(&self, now: Timestamp, every: Duration) -> Timestamp {
        if self.next_at > now + every { now } else { self.next_at }
    }

    fn ask(&mut self, asks: Vec<Letter>, turn: &mut Turn<Self>) {
        let (now, back_off) = (turn.now(), self.back_off);
        self.asked.retain(|_, asked_at| *asked_at <= now && *asked_at + back_off > now);
        self.asks += u64::try_from(asks.len()).unwrap_or(u64::MAX);
        for letter in asks {
            self.asked.insert(letter.to.clone(), now);
            turn.post(letter);
        }
    }
}

impl Handler<Pass> for Sweeper {
    fn handle(&mut self, message: Pass, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let pass = message;
        // The pass after this one is due one period from now: a later moment is from before the
        // clock was put back.
        if turn.now() < self.next_at && self.next_at <= pass.next_at {
            return Err(Refusal::new(format!("the next pass is due at {}", self.next_at)));
        }
        self.back_off = pass.back_off.unwrap_or(self.back_off);
        let (Pass { examined, failed, .. }, n_asks) = (&pass, pass.asks.len());
        turn.event("pass", format!("examined {examined}, asked {n_asks}, failed {failed}"));
        self.ask(pass.asks, turn);
        self.next_at = pass.next_at;
        self.cursor = pass.cursor;
        self.passes += 1;
        Ok(())
    }
}

impl Handler<Apply> for Sweeper {
    fn handle(&mut self, message: Apply, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        turn.event("applied", format!("asked {}", message.asks.len()));
        self.ask(message.asks, turn);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_does_not_wait_for_a_clock_that_was_put_back() {
        let at = Timestamp::from_millis;
        let every = Duration::from_secs(60);
        let sweeper = Sweeper {
            next_at: at(100_000),
            back_off: Duration::ZERO,
            cursor: None,
            asked: BTreeMap::new(),
            passes: 0,
            asks: 0,
        };
        // Within a period it waits; further back the clock was wrong.
        assert_eq!(sweeper.due_at(at(40_000), every), at(100_000));
        assert_eq!(sweeper.due_at(at(39_999), every), at(39_999));
    }
}
