//! What a check is told: with what one actor begins, what may happen to it, and what is bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::actor::{Actor, Handler, Message};
use crate::codec;
use crate::effect::Outcome;
use crate::inbox::Gone;
use crate::key::{ActorId, ActorRef};
use crate::row::RowView;
use crate::sweep::Sweep;
use crate::time::Timestamp;

use super::canon::View;
use super::elsewhere::IsBuried;
use super::report::Coverage;

/// The most states, unless a model says otherwise. Chosen: a second in a test build.
const STATES_MAX: usize = 20_000;
/// How far back moments differ, unless a model says otherwise. Chosen: longer than what polls.
const MEMORY: Duration = Duration::from_secs(24 * 60 * 60);
/// How much a message may make an actor owe, unless a model says otherwise. Chosen: what one
/// lifecycle owes at a time is one or two.
const DEBTS_MAX: usize = 4;
/// How many children a message may make an actor have, unless a model says otherwise.
const CHILDREN_MAX: usize = 3;

/// One actor in one of its states, as the functions of a model see it.
#[derive(Debug)]
pub struct Seen<'a, A> {
    pub(super) state: &'a A,
    pub(super) me: &'a ActorRef,
    pub(super) now: Timestamp,
    pub(super) row: &'a RowView,
    pub(super) children: &'a BTreeSet<ActorId>,
    pub(super) n_owed: usize,
}

impl<A> Seen<'_, A> {
    /// Its state.
    pub fn state(&self) -> &A {
        self.state
    }

    /// Its name and its life.
    pub fn me(&self) -> &ActorRef {
        self.me
    }

    /// The epoch that a callback to this life carries.
    pub fn epoch(&self) -> u32 {
        self.me.incarnation
    }

    /// When it is looked at.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Its row, with its status.
    pub fn row(&self) -> &RowView {
        self.row
    }

    /// How many effects it owes: by this a model keeps short what it leaves unanswered.
    pub fn n_owed(&self) -> usize {
        self.n_owed
    }

    /// Its living children.
    pub fn children(&self) -> &BTreeSet<ActorId> {
        self.children
    }
}

/// With what a life begins.
#[derive(Clone, Debug)]
pub(super) struct Birth {
    pub(super) name: &'static str,
    pub(super) init: Vec<u8>,
    pub(super) parent: Option<ActorRef>,
}

/// A message on its way to the actor.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) from: Option<ActorRef>,
}

type Messages<A> = Box<dyn Fn(&Seen<'_, A>) -> Vec<Post>>;
type Outcomes<A> = Box<dyn Fn(&<A as Actor>::Effect) -> Vec<Outcome<<A as Actor>::Answer>>>;
type ChildEnds = Box<dyn Fn(&ActorId) -> Vec<Gone>>;
pub(super) type LeftTo<A> = Box<dyn Fn(&Seen<'_, A>) -> Option<String>>;
type NotOurs<A> = Box<dyn Fn(&Seen<'_, A>) -> bool>;
type Without<A> = Box<dyn Fn(&<A as Actor>::Deadline) -> bool>;

/// What is demanded beyond that nothing is held for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Demand {
    BothNets,
    EveryMessage,
    WholeTable,
}

/// The bounds of an exploration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) states: usize,
    pub(super) messages: Option<u32>,
    pub(super) debts: usize,
    pub(super) children: usize,
}

/// A bounded model of one actor of kind `A` and of the world around it.
///
/// # Example
///
/// See [the module](super), and `examples/coverage.rs`.
pub struct Model<A: Actor> {
    pub(super) id: ActorId,
    pub(super) births: Vec<Birth>,
    pub(super) messages: Vec<Messages<A>>,
    pub(super) outcomes: Outcomes<A>,
    pub(super) child_ends: ChildEnds,
    pub(super) sweeps: Vec<Box<dyn Sweep>>,
    pub(super) buried: Box<IsBuried>,
    pub(super) left_to: Vec<LeftTo<A>>,
    pub(super) asking: Vec<LeftTo<A>>,
    pub(super) passing: BTreeSet<&'static str>,
    pub(super) not_ours: Vec<NotOurs<A>>,
    pub(super) without: Vec<Without<A>>,
    pub(super) what: &'static str,
    pub(super) view: View,
    pub(super) demands: BTreeSet<Demand>,
    pub(super) bounds: Bounds,
    /// Statuses that the model leads to on no way, and why.
    pub(super) unreached: BTreeMap<&'static str, &'static str>,
}

impl<A: Actor> fmt::Debug for Model<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let births: Vec<&str> = self.births.iter().map(|birth| birth.name).collect();
        f.debug_struct("Model")
            .field("kind", &A::KIND)
            .field("births", &births)
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}

impl<A: Actor> Default for Model<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Actor> Model<A> {
    /// An actor that is never born, gets no message, and whose effects are never answered.
    ///
    /// # Panics
    ///
    /// If the kind's name is not a kind: only a bug can cause it.
    pub fn new() -> Self {
        Self {
            id: ActorId::new(A::KIND, "it").expect("a kind's name keeps the rules of ids"),
            births: Vec::new(),
            messages: Vec::new(),
            outcomes: Box::new(|_| Vec::new()),
            child_ends: Box::new(|_| vec![Gone::Destroyed { why: "it came to its end".into() }]),
            sweeps: Vec::new(),
            buried: Box::new(|_| false),
            left_to: Vec::new(),
            asking: Vec::new(),
            passing: BTreeSet::new(),
            not_ours: Vec::new(),
            without: Vec::new(),
            what: "something outside",
            view: View { ignored: BTreeSet::new(), memory: MEMORY },
            demands: BTreeSet::new(),
            bounds: Bounds {
                states: STATES_MAX,
                messages: None,
                debts: DEBTS_MAX,
                children: CHILDREN_MAX,
            },
            unreached: BTreeMap::new(),
        }
    }

    /// One way to begin; `name` tells it from others in paths, and may be empty.
    ///
    /// # Panics
    ///
    /// If the beginning cannot be encoded: only a bug can cause it.
    #[expect(clippy::needless_pass_by_value, reason = "a model is a list of its parts")]
    pub fn birth(self, name: &'static str, init: A::Init) -> Self {
        self.begin(name, &init, None)
    }

    /// One way to begin, as the child of `parent`.
    ///
    /// # Panics
    ///
    /// If the beginning cannot be encoded: only a bug can cause it.
    #[expect(clippy::needless_pass_by_value, reason = "a model is a list of its parts")]
    pub fn birth_of(self, name: &'static str, parent: ActorId, init: A::Init) -> Self {
        self.begin(name, &init, Some(ActorRef { id: parent, incarnation: 1 }))
    }

    fn begin(mut self, name: &'static str, init: &A::Init, parent: Option<ActorRef>) -> Self {
        let init = codec::encode(init).expect("what an actor begins with can be encoded");
        self.births.push(Birth { name, init, parent });
        self
    }

    /// Messages that may come at any time, in any number and any order.
    ///
    /// # Panics
    ///
    /// When it runs, if a message cannot be encoded: only a bug can cause it.
    pub fn message<M: Message>(self, of: impl Fn(&Seen<'_, A>) -> Vec<M> + 'static) -> Self
    where
        A: Handler<M>,
    {
        self.posts(None, of)
    }

    /// The same, sent by another actor.
    ///
    /// # Panics
    ///
    /// As [`message`](Self::message).
    pub fn message_from<M: Message>(
        self,
        from: ActorId,
        of: impl Fn(&Seen<'_, A>) -> Vec<M> + 'static,
    ) -> Self
    where
        A: Handler<M>,
    {
        self.posts(Some(ActorRef { id: from, incarnation: 1 }), of)
    }

    fn posts<M: Message>(
        mut self,
        from: Option<ActorRef>,
        of: impl Fn(&Seen<'_, A>) -> Vec<M> + 'static,
    ) -> Self {
        let encode = |message: &M| codec::encode(message).expect("a message can be encoded");
        self.messages.push(Box::new(move |seen| {
            let posts = of(seen).into_iter();
            posts.map(|it| Post { name: M::NAME, bytes: encode(&it), from: from.clone() }).collect()
        }));
        self
    }

    /// How an effect may end; one that has no end here is never answered. Without this none is.
    pub fn outcomes(
        mut self,
        of: impl Fn(&A::Effect) -> Vec<Outcome<A::Answer>> + 'static,
    ) -> Self {
        self.outcomes = Box::new(of);
        self
    }

    /// How a child may end; one that has no end here stays. Without this each is destroyed some
    /// day.
    pub fn child_ends(mut self, of: impl Fn(&ActorId) -> Vec<Gone> + 'static) -> Self {
        self.child_ends = Box::new(of);
        self
    }

    /// Adds sweeps; those that never look at this kind are passed over.
    pub fn sweeps(mut self, sweeps: impl IntoIterator<Item = Box<dyn Sweep>>) -> Self {
        let sweeps = sweeps.into_iter();
        let ours = sweeps.filter(|sweep| sweep.scope().iter().any(|(kind, _)| *kind == A::KIND));
        self.sweeps.extend(ours);
        self
    }

    /// Which other actors have a tombstone when a sweep looks; without this none has, and none
    /// lives. Whoever is the child of such a one is left alone: no message comes to it.
    pub fn buried(mut self, is: impl Fn(&ActorId) -> bool + Send + Sync + 'static) -> Self {
        self.buried = Box::new(is);
        self
    }

    /// States that somebody else moves on purpose, and who: no gaps, and listed in the report.
    pub fn left_to(mut self, who: impl Fn(&Seen<'_, A>) -> Option<String> + 'static) -> Self {
        self.left_to.push(Box::new(who));
        self
    }

    /// States that last until somebody else does something, of whom, and in which it must keep
    /// asking: going round by a deadline or a sweep is then no gap and no poll, and is listed in
    /// the report with his name; standing still is a gap, whether or not anything is held.
    pub fn asking(mut self, whom: impl Fn(&Seen<'_, A>) -> Option<String> + 'static) -> Self {
        self.asking.push(Box::new(whom));
        self
    }

    /// Statuses that hold nothing, or are terminal, and must not last for ever all the same: they
    /// are judged like those that hold something.
    pub fn passing(mut self, statuses: &[&'static str]) -> Self {
        self.passing.extend(statuses);
        self
    }

    /// States that hold what belongs to somebody else: its end releases nothing, on purpose.
    pub fn not_ours(mut self, is: impl Fn(&Seen<'_, A>) -> bool + 'static) -> Self {
        self.not_ours.push(Box::new(is));
        self
    }

    /// What would be if these deadlines did not ring.
    pub fn without_deadline(mut self, is: impl Fn(&A::Deadline) -> bool + 'static) -> Self {
        self.without.push(Box::new(is));
        self
    }

    /// What would be if this sweep did not pass.
    pub fn without_sweep(mut self, name: &str) -> Self {
        self.sweeps.retain(|sweep| sweep.name() != name);
        self
    }

    /// What it holds, for the report: `a machine`.
    pub fn holding(mut self, what: &'static str) -> Self {
        self.what = what;
        self
    }

    /// Fields of structs, by name, that do not tell two states apart: counters that only grow.
    pub fn ignoring(mut self, fields: &[&'static str]) -> Self {
        self.view.ignored.extend(fields);
        self
    }

    /// How far back moments tell two states apart; a day without this. What is longer ago is
    /// long ago: choose it longer than every time that a handler itself looks back.
    pub fn remembering(mut self, memory: Duration) -> Self {
        self.view.memory = memory;
        self
    }

    /// A status that this model does not lead to on purpose, and why: not reported as unreached.
    pub fn unreached(mut self, status: &'static str, why: &'static str) -> Self {
        self.unreached.insert(status, why);
        self
    }

    /// Each net alone must be enough: what has only one is an error and no note.
    pub fn both_nets(mut self) -> Self {
        self.demands.insert(Demand::BothNets);
        self
    }

    /// Every status must be reached and every transition taken: else it is an error and no note.
    pub fn whole_table(mut self) -> Self {
        self.demands.insert(Demand::WholeTable);
        self
    }

    /// Every message that the kind takes must be taken in some state: one that the model does not
    /// send, or that is always refused, is an error.
    pub fn every_message(mut self) -> Self {
        self.demands.insert(Demand::EveryMessage);
        self
    }

    /// The most states; 20,000 without this.
    pub fn states_max(mut self, states: usize) -> Self {
        self.bounds.states = states;
        self
    }

    /// The most messages of one life; without this there is no limit. For what grows with every
    /// message.
    pub fn messages_max(mut self, messages: u32) -> Self {
        self.bounds.messages = Some(messages);
        self
    }

    /// How much messages may make it owe at a time; 4 effects without this.
    pub fn debts_max(mut self, debts: usize) -> Self {
        self.bounds.debts = debts;
        self
    }

    /// How many children messages may make it have at a time; 3 without this.
    pub fn children_max(mut self, children: usize) -> Self {
        self.bounds.children = children;
        self
    }

    /// Visits every state and judges them.
    pub fn check(&self) -> Coverage {
        super::judge::judge(self)
    }
}

/// A model whose kind does not matter any more: for lists of checks.
pub trait Check: fmt::Debug {
    /// The kind that it checks.
    fn kind(&self) -> &'static str;

    /// Visits every state and judges them.
    fn run(&self) -> Coverage;
}

impl<A: Actor> Check for Model<A> {
    fn kind(&self) -> &'static str {
        A::KIND
    }

    fn run(&self) -> Coverage {
        self.check()
    }
}
