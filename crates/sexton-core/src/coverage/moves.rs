//! What can happen to an actor in one state: messages, and what moves it by itself.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::actor::{Actor, Live};
use crate::codec;
use crate::deadline::Due;
use crate::destroy::{ActorRecord, Entry};
use crate::effect::Outcome;
use crate::error::Refusal;
use crate::inbox::Gone;
use crate::key::{self, ActorId, ActorRef};
use crate::row::{RowView, Value};
use crate::sweep::{Look, Sweep, Sweeper};
use crate::time::Timestamp;
use crate::turn::Recorder;

use super::canon::variant_of;
use super::elsewhere::Elsewhere;
use super::explore::{BEGINNING, Explorer, Force, Move, Next, Spot, Trouble, Try, Upshot, seen};
use super::model::Model;
use super::report::{Cause, Flaw};

/// When a deadline that was refused is tried again, in seconds after it was due. Chosen: what
/// waits for time to pass waits for minutes, hours or days.
const AGAIN_S: [u64; 7] = [0, 2, 60, 5 * 60, 60 * 60, 24 * 60 * 60, 30 * 24 * 60 * 60];
/// How far ahead a sweep is looked for, as doublings of a second. Chosen: eight years.
const AHEAD_DOUBLINGS: u32 = 28;
/// How often a sweep asks again whoever refused, each wait twice the one before.
const ASKS: u32 = 10;

impl<A: Actor> Explorer<'_, A> {
    /// Tries all that can happen in a state.
    pub(super) fn visit(&mut self, from: usize) {
        let spot = self.graph.spots[from].clone();
        self.messages(from, &spot);
        self.mail(from, &spot);
        self.deadlines(from, &spot);
        self.debt(from, &spot);
        self.children(from, &spot);
        self.sweeps(from, &spot);
    }

    fn messages(&mut self, from: usize, spot: &Spot) {
        let bounds = self.model.bounds;
        if bounds.messages.is_some_and(|max| spot.messages >= max) {
            return;
        }
        let model = self.model;
        if spot.parent.as_ref().is_some_and(|parent| (model.buried)(&parent.id)) {
            return;
        }
        let posts: Vec<_> =
            seen(spot, |seen| model.messages.iter().flat_map(|messages| messages(seen)).collect());
        for post in posts {
            let cause = Cause::Message(post.name.to_owned());
            let at = Try { from, now: spot.now, cause: &cause };
            let ran = self.turn(spot, at, |live, record| {
                record.from.clone_from(&post.from);
                live.on_message((post.name, &post.bytes), record)
            });
            let Ok(mut next) = ran else { continue };
            self.graph.taken.insert(post.name.to_owned());
            let is_more = |now: usize, before: usize, max: usize| now > before && now > max;
            let is_beyond = is_more(next.spot.debts.len(), spot.debts.len(), bounds.debts)
                || is_more(next.spot.children.len(), spot.children.len(), bounds.children);
            if next.is_same() || is_beyond {
                continue;
            }
            next.spot.messages += 1;
            self.link(at, next, (Force::Outside, String::new()));
        }
    }

    /// What it sent to itself, in order; what it refuses is taken all the same.
    fn mail(&mut self, from: usize, spot: &Spot) {
        let mut base = spot.clone();
        let Some((name, bytes)) = base.mail.pop_front() else { return };
        let cause = Cause::Mail(name.clone());
        let at = Try { from, now: spot.now, cause: &cause };
        let ran = self.turn(&base, at, |live, record| {
            record.from = Some(record.me.clone());
            live.on_message((&name, &bytes), record)
        });
        if ran.is_ok() {
            self.graph.taken.insert(name);
        }
        self.link(at, taken(ran, &base), (Force::Owed, "mail".to_owned()));
    }

    /// The earliest deadline; the next one too if that one gets it nowhere.
    fn deadlines(&mut self, from: usize, spot: &Spot) {
        let mut dues: Vec<(Due, String)> = Vec::new();
        for due in &spot.due {
            let Ok(what) = codec::decode::<A::Deadline>(&due.what) else { continue };
            if !self.model.without.iter().any(|without| without(&what)) {
                dues.push((due.clone(), format!("{what:?}")));
            }
        }
        dues.sort();
        for (due, name) in dues {
            if self.ring(from, spot, (&due, &name)) {
                return;
            }
        }
    }

    /// Whether it was settled.
    fn ring(&mut self, from: usize, spot: &Spot, of: (&Due, &str)) -> bool {
        let (due, name) = of;
        let cause = Cause::Deadline(name.to_owned());
        let due_at = due.at.max(spot.now);
        let mut refused = None;
        let mut unsettled: Option<(Timestamp, Next)> = None;
        for wait_s in AGAIN_S {
            let now = due_at + Duration::from_secs(wait_s);
            let at = Try { from, now, cause: &cause };
            match self.turn(spot, at, |live, record| live.on_deadline(&due.what, record)) {
                Ok(next) if next.is_destroyed() || !next.spot.due.contains(due) => {
                    self.link(at, next, (Force::Deadline, name.to_owned()));
                    return true;
                }
                Ok(next) => {
                    unsettled.get_or_insert((now, next));
                }
                Err(why) => refused = refused.or(Some(why)),
            }
        }
        let Some((now, next)) = unsettled else {
            let why = refused.unwrap_or_default();
            self.vain(from, Force::Deadline, format!("its deadline {name} is refused ({why})"));
            return false;
        };
        let why = format!("has the deadline {name} still due after its own turn, for ever");
        self.graph.trouble(
            Flaw::NoProgress,
            spot.status,
            Trouble { at: Some(from), last: None, why },
        );
        if next.is_same() {
            self.vain(from, Force::Deadline, format!("its deadline {name} changes nothing"));
        } else {
            let at = Try { from, now, cause: &cause };
            self.link(at, next, (Force::Deadline, name.to_owned()));
            if let Some(made) = self.graph.moves[from].last_mut() {
                made.is_settled = false;
            }
        }
        false
    }

    /// The first debt: effects of one actor are performed in order, one at a time.
    fn debt(&mut self, from: usize, spot: &Spot) {
        let mut base = spot.clone();
        if base.debts.is_empty() {
            return;
        }
        let bytes = base.debts.remove(0);
        let Ok(effect) = codec::decode::<A::Effect>(&bytes) else { return };
        let what = variant_of(&effect);
        let outcomes = (self.model.outcomes)(&effect);
        if outcomes.is_empty() {
            self.vain(from, Force::Owed, format!("its debt {what} is never answered"));
        }
        let mover = format!("{what} {:02x?}", self.debt_key(&bytes, spot.now));
        for outcome in outcomes {
            let (name, outcome) = match outcome {
                Outcome::Done(answer) => {
                    let name = format!("{what} done: {}", variant_of(&answer));
                    let answer = codec::encode(&answer).expect("an answer can be encoded");
                    (name.trim_end_matches(": ").trim_start().to_owned(), Outcome::Done(answer))
                }
                Outcome::Failed(failure) => {
                    let name = format!("{what} failed: {}", failure.class);
                    (name.trim_start().to_owned(), Outcome::Failed(failure))
                }
            };
            let cause = Cause::Outcome(name);
            let at = Try { from, now: spot.now, cause: &cause };
            match self.turn(&base, at, |live, record| live.on_outcome(&bytes, outcome, record)) {
                Ok(next) => self.link(at, next, (Force::Owed, mover.clone())),
                Err(why) => {
                    // The debt stays, and may end like this again and again.
                    self.vain(from, Force::Owed, format!("`{cause}` is refused ({why})"));
                    self.graph.moves[from].push(Move {
                        to: Some(from),
                        force: Force::Owed,
                        mover: mover.clone(),
                        delay_ms: 0,
                        is_settled: false,
                        cause,
                    });
                }
            }
        }
    }

    fn children(&mut self, from: usize, spot: &Spot) {
        for child in &spot.children {
            let cause = Cause::Child(child.kind().to_owned());
            for end in (self.model.child_ends)(child) {
                if let Gone::Unborn { is_yours: true, .. } = end {
                    continue;
                }
                let mut base = spot.clone();
                base.children.remove(child);
                let at = Try { from, now: spot.now, cause: &cause };
                let ran =
                    self.turn(&base, at, |live, record| live.on_child_gone(child, &end, record));
                self.link(at, taken(ran, &base), (Force::Owed, child.to_string()));
            }
        }
    }

    fn sweeps(&mut self, from: usize, spot: &Spot) {
        let model = self.model;
        let mut store = None;
        let place = (A::KIND, spot.status);
        for sweep in model.sweeps.iter().filter(|sweep| sweep.scope().contains(&place)) {
            let row = spot.view();
            let store = &*store.get_or_insert_with(|| store_of(model, spot));
            let Some(first) = first_selected(sweep.as_ref(), (&row, spot.now), store) else {
                continue;
            };
            self.graph.selected.insert(sweep.name());
            self.ask(from, spot, (sweep.as_ref(), first, store));
        }
    }

    /// The sweep asks the first time that it would, and again until that changes something.
    fn ask(&mut self, from: usize, spot: &Spot, by: (&dyn Sweep, Timestamp, &Elsewhere<'_>)) {
        let (sweep, first, store) = by;
        let name = sweep.name();
        let cause = Cause::Sweep(name.to_owned());
        let row = spot.view();
        let wait = sweep.back_off().max(sweep.every());
        let mut refused = "nothing comes of it".to_owned();
        for attempt in 0..ASKS {
            let waits = (1_u32 << attempt) - 1;
            let at = Try { from, now: first + wait.saturating_mul(waits), cause: &cause };
            let Some(why) = selects(sweep, (&row, store), at.now) else { continue };
            let letter = match sweep.ask(&row, &why) {
                Ok(letter) => letter,
                Err(refusal) => {
                    refused = refusal.reason;
                    continue;
                }
            };
            if letter.to != spot.me.id {
                self.vain(from, Force::Sweep, format!("sweep {name} asks {}", letter.to));
                return;
            }
            let run = |live: &mut dyn Live, record: &mut Recorder| -> Result<(), Refusal> {
                record.from = sweeper(name);
                live.on_message((&letter.name, &letter.bytes), record)
            };
            let ran = self.turn(spot, at, run);
            if ran.is_ok() {
                self.graph.taken.insert(letter.name.clone());
            }
            match ran {
                Ok(next) if !next.is_same() => {
                    self.link(at, next, (Force::Sweep, name.to_owned()));
                    return;
                }
                Ok(_) => {}
                Err(why) => refused = why,
            }
        }
        self.vain(from, Force::Sweep, format!("sweep {name} asks in vain ({refused})"));
    }

    fn vain(&mut self, from: usize, force: Force, what: String) {
        self.graph.spots[from].vain.push((force, what));
    }
}

/// Whoever asks for a sweep.
fn sweeper(sweep: &str) -> Option<ActorRef> {
    let id = ActorId::new(Sweeper::KIND, sweep).ok()?;
    Some(ActorRef { id, incarnation: 1 })
}

/// What was taken is gone, also if the turn was refused.
fn taken(ran: Result<Next, String>, base: &Spot) -> Next {
    ran.unwrap_or_else(|_| Next { spot: base.clone(), upshot: Upshot::Changed })
}

/// Why a sweep selects a row at a moment.
fn selects(sweep: &dyn Sweep, of: (&RowView, &Elsewhere<'_>), now: Timestamp) -> Option<String> {
    let (row, store) = of;
    if sweep.heeds_watch() && row.record.row.watch_from.is_some_and(|from| from > now) {
        return None;
    }
    sweep.select(row, &Look::new(now, store)).ok().flatten()
}

/// The first moment at which a sweep selects a row; once it does, it is taken to go on to.
fn first_selected(
    sweep: &dyn Sweep,
    of: (&RowView, Timestamp),
    store: &Elsewhere<'_>,
) -> Option<Timestamp> {
    let (row, now) = of;
    let is_selected = |at| selects(sweep, (row, store), at).is_some();
    let ahead = (0..=AHEAD_DOUBLINGS).map(|doublings| Duration::from_secs(1 << doublings));
    let mut moments: BTreeSet<Timestamp> = ahead.map(|wait| now + wait).collect();
    let last = moments.last().copied().unwrap_or(now);
    let fields = row.record.row.fields.iter();
    let times = fields.filter_map(|(_, value)| match value {
        Value::Time(at) => Some(*at),
        Value::Text(_) | Value::Number(_) | Value::Flag(_) => None,
    });
    for at in times.chain(row.record.row.watch_from).filter(|at| now < *at && *at <= last) {
        moments.extend([at, at + Duration::from_millis(1)]);
    }
    moments.insert(now);
    let mut before = now;
    for at in moments {
        if is_selected(at) {
            return Some(between(before, at, is_selected));
        }
        before = at;
    }
    None
}

/// The first moment after `no`, up to `yes`, at which it is so.
fn between(no: Timestamp, yes: Timestamp, is_so: impl Fn(Timestamp) -> bool) -> Timestamp {
    let (mut no, mut yes) = (no, yes);
    while yes.as_millis() - no.as_millis() > 1 {
        let middle = no + yes.since(no) / 2;
        if is_so(middle) {
            yes = middle;
        } else {
            no = middle;
        }
    }
    yes
}

/// What a sweep would find in the store.
fn store_of<'a, A: Actor>(model: &'a Model<A>, spot: &Spot) -> Elsewhere<'a> {
    let mut store = Elsewhere::new(model.buried.as_ref(), BEGINNING);
    let id = &spot.me.id;
    let n_debts = u32::try_from(spot.debts.len()).unwrap_or(u32::MAX);
    let record = ActorRecord {
        incarnation: spot.me.incarnation,
        parent: spot.parent.clone(),
        created_at: spot.created_at,
        status_since: spot.status_since,
        changed_at: spot.changed_at,
        turns: 1,
        effects: spot.effects,
        events: 1,
        debts_open: n_debts,
        back_offs: Vec::new(),
        alarm: None,
        armed_at: spot.now,
        stalled: None,
        destruction: None,
        state_version: A::STATE_VERSION,
        state: spot.state.clone(),
    };
    store.put(key::actor(id), &Entry::Alive(Box::new(record)));
    store.put(key::row(id, spot.status), &spot.view().record);
    if let Some(parent) = &spot.parent
        && !(model.buried)(&parent.id)
    {
        store.put(key::child(&parent.id, id), &());
    }
    for child in &spot.children {
        store.put(key::child(id, child), &());
    }
    store
}
