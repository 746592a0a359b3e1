//! Every state that one actor can reach: found by running its handlers on each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::actor::{Actor, KindTable, Kinds, Live};
use crate::codec;
use crate::deadline::Due;
use crate::error::Refusal;
use crate::key::{ActorId, ActorRef};
use crate::row::{Row, RowRecord, RowView};
use crate::status::Status;
use crate::time::Timestamp;
use crate::turn::Recorder;

use super::model::{Birth, LeftTo, Model, Seen};
use super::report::{BIRTH, Cause, DESTROYED, Edge, Flaw};

/// When every life begins: far from zero, so that a moment that nobody set is long past.
pub(super) const BEGINNING: Timestamp = Timestamp::from_millis(1_000_000_000_000);
/// The most debts, mails or children that an actor may come to have by itself. Chosen: what
/// passes it grows without end.
const GROWTH_MAX: usize = 64;

/// One state of the actor: its bytes, and what the engine keeps beside them.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub(super) me: ActorRef,
    pub(super) parent: Option<ActorRef>,
    pub(super) now: Timestamp,
    pub(super) state: Vec<u8>,
    pub(super) status: &'static str,
    pub(super) row: Row,
    pub(super) due: Vec<Due>,
    pub(super) created_at: Timestamp,
    pub(super) status_since: Timestamp,
    pub(super) changed_at: Timestamp,
    pub(super) debts: Vec<Vec<u8>>,
    pub(super) mail: VecDeque<(String, Vec<u8>)>,
    pub(super) children: BTreeSet<ActorId>,
    pub(super) effects: u64,
    pub(super) messages: u32,
    /// From where and by what it was reached first.
    pub(super) via: Option<(Option<usize>, Cause)>,
    /// Who moves it on purpose.
    pub(super) left: Option<String>,
    /// Of whom it asks again and again, on purpose.
    pub(super) asks: Option<String>,
    /// What was tried in vain.
    pub(super) vain: Vec<(Force, String)>,
}

impl Spot {
    pub(super) fn view(&self) -> RowView {
        RowView {
            id: self.me.id.clone(),
            status: self.status.to_owned(),
            record: RowRecord {
                row: self.row.clone(),
                incarnation: self.me.incarnation,
                parent: self.parent.clone(),
                created_at: self.created_at,
                status_since: self.status_since,
                changed_at: self.changed_at,
                stalled: None,
            },
        }
    }
}

/// What kind of thing makes a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Force {
    /// Somebody outside, who may as well never come.
    Outside,
    /// What is owed to it: an outcome, a child's end, its own mail.
    Owed,
    Deadline,
    Sweep,
}

/// A move from one state to another.
#[derive(Clone, Debug)]
pub(super) struct Move {
    /// Where to; `None` is destroyed.
    pub(super) to: Option<usize>,
    pub(super) force: Force,
    /// Who makes it: the same one in every state in which it could.
    pub(super) mover: String,
    /// How long after the state was entered, in milliseconds.
    pub(super) delay_ms: i64,
    /// Whether what made it is settled by it: a deadline that is still due is not.
    pub(super) is_settled: bool,
    pub(super) cause: Cause,
}

/// Something wrong that was met on the way.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) at: Option<usize>,
    pub(super) last: Option<Edge>,
    pub(super) why: String,
}

/// All that was visited.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) spots: Vec<Spot>,
    pub(super) moves: Vec<Vec<Move>>,
    pub(super) edges: BTreeSet<Edge>,
    pub(super) troubles: BTreeMap<(Flaw, String), Trouble>,
    pub(super) selected: BTreeSet<&'static str>,
    /// The messages that were taken in some state.
    pub(super) taken: BTreeSet<String>,
    /// Those that the kind takes.
    pub(super) messages: Vec<&'static str>,
    pub(super) is_cut: bool,
}

impl Graph {
    pub(super) fn trouble(&mut self, flaw: Flaw, about: &str, trouble: Trouble) {
        self.troubles.entry((flaw, about.to_owned())).or_insert(trouble);
    }

    /// The shortest way from birth to a state.
    pub(super) fn path(&self, to: usize) -> Vec<Edge> {
        let mut path = Vec::new();
        let mut at = Some(to);
        while let Some(spot) = at.and_then(|at| self.spots.get(at)) {
            let Some((from, cause)) = &spot.via else { break };
            let before = from.and_then(|from| self.spots.get(from));
            path.push(edge(before.map_or(BIRTH, |it| it.status), spot.status, cause));
            at = *from;
        }
        path.reverse();
        path
    }
}

pub(super) fn edge(from: &str, to: &str, cause: &Cause) -> Edge {
    Edge { from: from.to_owned(), to: to.to_owned(), cause: cause.clone() }
}

/// What a turn led to.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) spot: Spot,
    pub(super) upshot: Upshot,
}

/// How much of it is another than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upshot {
    /// Nothing, but for where now is.
    Same,
    Changed,
    /// Its destruction was committed.
    Destroyed,
}

impl Next {
    pub(super) fn is_destroyed(&self) -> bool {
        self.upshot == Upshot::Destroyed
    }

    pub(super) fn is_same(&self) -> bool {
        self.upshot == Upshot::Same
    }
}

/// A turn that was accepted, or why it was not.
pub(super) type Ran = Result<Next, String>;

/// When something is tried, and what for.
#[derive(Clone, Copy)]
pub(super) struct Try<'a> {
    pub(super) from: usize,
    pub(super) now: Timestamp,
    pub(super) cause: &'a Cause,
}

pub(super) struct Explorer<'a, A: Actor> {
    pub(super) model: &'a Model<A>,
    kinds: Kinds,
    pub(super) graph: Graph,
    known: BTreeMap<Vec<u8>, usize>,
}

enum Fall {
    Refused(String),
    Panicked(String),
}

/// What a state says of itself after a turn.
struct After {
    state: Vec<u8>,
    status: &'static str,
    row: Row,
    due: Vec<Due>,
}

impl After {
    fn of(live: &dyn Live) -> Result<Self, Refusal> {
        let unwritable = |what| move |error| Refusal::new(format!("{what}: {error}"));
        let mut state = Vec::new();
        live.encode_to(&mut state).map_err(unwritable("its state cannot be written"))?;
        Ok(Self {
            state,
            status: live.status(),
            row: live.row(),
            due: live.deadlines().map_err(unwritable("a deadline cannot be written"))?,
        })
    }
}

fn caught<R>(step: impl FnOnce() -> Result<R, Refusal>) -> Result<R, Fall> {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(refusal)) => Err(Fall::Refused(refusal.reason)),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(Fall::Panicked(text.unwrap_or_else(|| "without words".to_owned())))
        }
    }
}

/// Visits every state that a model leads to.
pub(super) fn explore<A: Actor>(model: &Model<A>) -> Graph {
    let kinds = Kinds::new().with::<A>();
    let mut explorer = Explorer { model, kinds, graph: Graph::default(), known: BTreeMap::new() };
    explorer.graph.messages = explorer.table().messages.clone();
    for birth in &model.births {
        explorer.bear(birth);
    }
    let mut next = 0;
    while next < explorer.graph.spots.len() {
        explorer.visit(next);
        next += 1;
    }
    explorer.graph
}

impl<A: Actor> Explorer<'_, A> {
    fn table(&self) -> &KindTable {
        self.kinds.table(A::KIND).expect("the kind was put there when the exploration began")
    }

    fn bear(&mut self, birth: &Birth) {
        let me = ActorRef { id: self.model.id.clone(), incarnation: 1 };
        let cause = Cause::Birth(birth.name.to_owned());
        let mut record = Recorder::new(me.clone(), BEGINNING);
        record.parent.clone_from(&birth.parent);
        let born = caught(|| {
            let live = (self.table().birth)(&birth.init, &mut record)?;
            After::of(live.as_ref())
        });
        let at = Try { from: usize::MAX, now: BEGINNING, cause: &cause };
        let after = match born.and_then(|after| sound(after, &record)) {
            Ok(after) => after,
            Err(fall) => {
                let why = self.fall(at, BIRTH, fall);
                // A life that never begins has nothing to be judged by.
                let trouble = Trouble { at: None, last: None, why: format!("refused: {why}") };
                self.graph.trouble(Flaw::Fails, birth.name, trouble);
                return;
            }
        };
        let base = Spot {
            me,
            parent: birth.parent.clone(),
            now: BEGINNING,
            state: Vec::new(),
            status: after.status,
            row: Row::default(),
            due: Vec::new(),
            created_at: BEGINNING,
            status_since: BEGINNING,
            changed_at: BEGINNING,
            debts: Vec::new(),
            mail: VecDeque::new(),
            children: BTreeSet::new(),
            effects: 0,
            messages: 0,
            via: None,
            left: None,
            asks: None,
            vain: Vec::new(),
        };
        let next = absorb(&base, BEGINNING, after, record);
        self.graph.edges.insert(edge(BIRTH, next.spot.status, &cause));
        if next.is_destroyed() {
            self.destroy(None, &next.spot, &cause);
        } else {
            self.arrive(next.spot, (None, cause));
        }
    }

    /// Runs a handler on a state at a moment; `base` is what the engine kept beside it.
    pub(super) fn turn(
        &mut self,
        base: &Spot,
        at: Try<'_>,
        run: impl FnOnce(&mut dyn Live, &mut Recorder) -> Result<(), Refusal>,
    ) -> Ran {
        let mut record = Recorder::new(base.me.clone(), at.now);
        record.parent.clone_from(&base.parent);
        record.next_effect = base.effects + 1;
        let from = base.status;
        let ran = caught(|| {
            let mut live = (self.table().load)(A::STATE_VERSION, &base.state)
                .map_err(|error| Refusal::new(format!("its state cannot be read: {error}")))?;
            run(live.as_mut(), &mut record)?;
            let after = After::of(live.as_ref())?;
            let is_allowed = live.allows(from, after.status);
            Ok((after, is_allowed))
        });
        let ran = ran.and_then(|(after, is_allowed)| Ok((sound(after, &record)?, is_allowed)));
        match ran {
            Ok((after, true)) => Ok(absorb(base, at.now, after, record)),
            Ok((after, false)) => {
                let lacking = edge(from, after.status, at.cause);
                let why = format!("-> `{}`: the table has no such transition", after.status);
                let trouble = Trouble { at: Some(at.from), last: Some(lacking), why: why.clone() };
                self.graph.trouble(Flaw::Lacks, from, trouble);
                Err(why)
            }
            Err(fall) => Err(self.fall(at, from, fall)),
        }
    }

    fn fall(&mut self, at: Try<'_>, status: &str, fall: Fall) -> String {
        match fall {
            Fall::Refused(why) => why,
            Fall::Panicked(why) => {
                let why = format!("panicked at {}: {why}", at.cause);
                let known = self.graph.spots.get(at.from).map(|_| at.from);
                let trouble = Trouble { at: known, last: None, why: why.clone() };
                self.graph.trouble(Flaw::Fails, status, trouble);
                why
            }
        }
    }

    /// Adds a move to what a turn led to.
    pub(super) fn link(&mut self, at: Try<'_>, next: Next, by: (Force, String)) {
        let (force, mover) = by;
        let Some(before) = self.graph.spots.get(at.from) else { return };
        let delay_ms = next.spot.now.as_millis() - before.now.as_millis();
        // What ends where it is has moved nowhere else before.
        if !next.is_destroyed() || before.status != next.spot.status {
            self.graph.edges.insert(edge(before.status, next.spot.status, at.cause));
        }
        let to = if next.is_destroyed() {
            self.destroy(Some(at.from), &next.spot, at.cause);
            None
        } else {
            let Some(to) = self.arrive(next.spot, (Some(at.from), at.cause.clone())) else {
                return;
            };
            Some(to)
        };
        let cause = at.cause.clone();
        let made = Move { to, force, mover, delay_ms, is_settled: true, cause };
        self.graph.moves[at.from].push(made);
    }

    /// The state's place among those that are known; new, if none is like it.
    fn arrive(&mut self, mut spot: Spot, via: (Option<usize>, Cause)) -> Option<usize> {
        let key = self.key(&spot);
        if let Some(known) = self.known.get(&key) {
            return Some(*known);
        }
        let largest = spot.debts.len().max(spot.mail.len()).max(spot.children.len());
        if self.graph.spots.len() >= self.model.bounds.states || largest > GROWTH_MAX {
            self.graph.is_cut = true;
            return None;
        }
        let place = self.graph.spots.len();
        spot.via = Some(via);
        spot.vain.clear();
        let of = |all: &[LeftTo<A>]| seen(&spot, |seen| all.iter().find_map(|who| who(seen)));
        (spot.left, spot.asks) = (of(&self.model.left_to), of(&self.model.asking));
        self.known.insert(key, place);
        self.graph.spots.push(spot);
        self.graph.moves.push(Vec::new());
        Some(place)
    }

    /// By what two states are the same.
    fn key(&self, spot: &Spot) -> Vec<u8> {
        let (view, now) = (&self.model.view, spot.now);
        let of = |at| view.moment(at, now);
        let state = codec::decode::<A>(&spot.state).expect("what a turn encoded can be decoded");
        let dues: Vec<(i64, &[u8])> =
            spot.due.iter().map(|due| (of(due.at), due.what.as_slice())).collect();
        let debts: Vec<Vec<u8>> = spot.debts.iter().map(|debt| self.debt_key(debt, now)).collect();
        // Only a sweep looks at these.
        let times = (!self.model.sweeps.is_empty())
            .then(|| [spot.created_at, spot.status_since, spot.changed_at].map(of));
        let messages = self.model.bounds.messages.map(|_| spot.messages);
        let beside = (&spot.parent, dues, debts, &spot.mail, &spot.children, times, messages);
        let mut key = codec::encode(&beside).expect("what was recorded can be encoded");
        key.extend(view.of(&state, now));
        key
    }

    pub(super) fn debt_key(&self, debt: &[u8], now: Timestamp) -> Vec<u8> {
        match codec::decode::<A::Effect>(debt) {
            Ok(effect) => self.model.view.of(&effect, now),
            Err(_) => debt.to_vec(),
        }
    }

    /// A life that comes to its end: what does it owe?
    fn destroy(&mut self, from: Option<usize>, spot: &Spot, cause: &Cause) {
        let last = edge(spot.status, DESTROYED, cause);
        self.graph.edges.insert(last.clone());
        let mut record = Recorder::new(spot.me.clone(), spot.now);
        record.parent.clone_from(&spot.parent);
        record.next_effect = spot.effects + 1;
        let gone = caught(|| {
            let mut live = (self.table().load)(A::STATE_VERSION, &spot.state)
                .map_err(|error| Refusal::new(error.to_string()))?;
            live.on_destroy(&mut record);
            After::of(live.as_ref())
        });
        let trouble = |why| Trouble { at: from, last: Some(last.clone()), why };
        match gone.and_then(|after| sound(after, &record)) {
            Err(Fall::Refused(why) | Fall::Panicked(why)) => {
                let why = format!("cannot be destroyed: {why}");
                self.graph.trouble(Flaw::Fails, spot.status, trouble(why));
            }
            Ok(_) => {
                let is_holding = A::Status::ALL
                    .iter()
                    .any(|it| it.name() == spot.status && it.holds_resources());
                let n_owed = spot.debts.len() + record.effects.len() + record.letters.len();
                let is_ours = seen(spot, |seen| !self.model.not_ours.iter().any(|is| is(seen)));
                if is_holding && is_ours && n_owed == 0 && spot.children.is_empty() {
                    let what = self.model.what;
                    let why = format!("holds {what}, and its destruction releases nothing");
                    self.graph.trouble(Flaw::ReleasesNothing, spot.status, trouble(why));
                }
            }
        }
    }
}

/// Shows a state to a function of the model.
pub(super) fn seen<A: Actor, R>(spot: &Spot, look: impl FnOnce(&Seen<'_, A>) -> R) -> R {
    let state = codec::decode::<A>(&spot.state).expect("what a turn encoded can be decoded");
    let row = spot.view();
    let (me, now, children) = (&spot.me, spot.now, &spot.children);
    let n_owed = spot.debts.len();
    look(&Seen { state: &state, me, now, row: &row, children, n_owed })
}

/// What was recorded wrongly refuses the turn.
fn sound(after: After, record: &Recorder) -> Result<After, Fall> {
    match &record.fault {
        Some(fault) => Err(Fall::Refused(fault.clone())),
        None => Ok(after),
    }
}

/// Does with what was recorded as the engine does.
fn absorb(base: &Spot, now: Timestamp, after: After, record: Recorder) -> Next {
    let to_itself = |letter: &&crate::turn::Letter| letter.to == base.me.id;
    let n_mail = record.letters.iter().filter(to_itself).count();
    let n_recorded = record.effects.len() + record.births.len() + n_mail;
    let is_same = after.state == base.state && n_recorded == 0;
    let upshot = match record.intent {
        Some(_) => Upshot::Destroyed,
        None if is_same => Upshot::Same,
        None => Upshot::Changed,
    };
    let mut spot = base.clone();
    spot.now = now;
    if after.status != base.status {
        spot.status_since = now;
    }
    if after.status != base.status || after.row != base.row {
        spot.changed_at = now;
    }
    spot.state = after.state;
    spot.status = after.status;
    spot.row = after.row;
    spot.due = after.due;
    spot.effects = record.next_effect - 1;
    spot.debts.extend(record.effects);
    spot.children.extend(record.births.into_iter().map(|(child, _)| child));
    let mail = record.letters.into_iter().filter(|letter| letter.to == base.me.id);
    spot.mail.extend(mail.map(|letter| (letter.name, letter.bytes)));
    Next { spot, upshot }
}
