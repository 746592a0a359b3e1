//! Simulations of users' own actors, in a few lines.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

use serde::Serialize;
use sexton::audit::Broken;
use sexton::{Actor, ActorId, Answer, Entry, Kinds, Owed, codec, query};

use crate::chance::Chance;
use crate::run::{Line, Plan, replay, run};
use crate::scenario::{Asked, Scenario, Scene, Seen, Took};
use crate::shrink::shrink;
use crate::trouble::nobody;

/// How often a failing list is tried while it is made short. Chosen: some seconds at most.
const TRIES_MAX: u32 = 1_000;

type Ask = dyn Fn(&mut Chance, &ActorId) -> Asked;
type Perform = dyn Fn(&Owed) -> Answer;
type Holds<A> = dyn Fn(&A) -> bool;

/// What is simulated of actors of one kind; begin with [`check`].
pub struct Check<A> {
    names: Vec<&'static str>,
    kinds: fn() -> Kinds,
    born: Rc<Ask>,
    asks: Vec<Rc<Ask>>,
    perform: Rc<Perform>,
    holds: Vec<(&'static str, Rc<Holds<A>>)>,
    plan: Plan,
    /// Whether any of them was ever alive.
    lived: Rc<Cell<bool>>,
    actor: PhantomData<fn(A)>,
}

impl<A> fmt::Debug for Check<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("names", &self.names).finish_non_exhaustive()
    }
}

impl<A> Clone for Check<A> {
    fn clone(&self) -> Self {
        Self {
            names: self.names.clone(),
            kinds: self.kinds,
            born: Rc::clone(&self.born),
            asks: self.asks.clone(),
            perform: Rc::clone(&self.perform),
            holds: self.holds.clone(),
            plan: self.plan,
            lived: Rc::clone(&self.lived),
            actor: PhantomData,
        }
    }
}

/// Simulates actors of a kind: some are born, are asked things by chance, and go, under every
/// [fault](crate::Faults) there is; every promise is looked at after every step, and at the end nothing is left.
///
/// # Panics
///
/// Never here; the performer's default answer is encoded, which cannot fail.
///
/// # Example
///
/// ```
/// use sexton::{Actor, Handler, Handlers, Kinds, Message, Refusal, Turn};
/// use sexton_sim::{Asked, check};
///
/// sexton::lifecycle! {
///     /// What a tally can be.
///     pub enum Tallies { /// It counts.
///         Open = "open" [] => [] }
/// }
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Tally(u64);
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Add(u64);
///
/// impl Message for Add {
///     const NAME: &'static str = "add";
///     type Reply = ();
/// }
///
/// impl Actor for Tally {
///     const KIND: &'static str = "tally";
///     type Init = ();
///     type Status = Tallies;
///     type Deadline = ();
///     type Effect = ();
///     type Answer = ();
///     fn create(_init: (), _turn: &mut Turn<Self>) -> Result<Self, Refusal> {
///         Ok(Self(0))
///     }
///     fn handlers(on: &mut Handlers<Self>) {
///         on.message::<Add>();
///     }
///     fn status(&self) -> Tallies {
///         Tallies::Open
///     }
/// }
///
/// impl Handler<Add> for Tally {
///     fn handle(&mut self, message: Add, _turn: &mut Turn<Self>) -> Result<(), Refusal> {
///         self.0 = (self.0 + message.0).min(100);
///         Ok(())
///     }
/// }
///
/// check::<Tally>(|| Kinds::new().with::<Tally>(), || ())
///     .asks(|chance, id| Asked::call::<Tally, _>(id, Add(chance.below(50)), "add"))
///     .holds("a tally never goes over a hundred", |tally| tally.0 <= 100)
///     .assert(20);
/// ```
pub fn check<A: Actor>(kinds: fn() -> Kinds, init: fn() -> A::Init) -> Check<A>
where
    A::Init: Serialize + 'static,
{
    Check {
        names: vec!["a", "b", "c"],
        kinds,
        born: Rc::new(move |_, id| Asked::create::<A>(id, init())),
        asks: Vec::new(),
        perform: Rc::new(|_| Answer::Done(codec::encode(&()).expect("nothing is small"))),
        holds: Vec::new(),
        plan: Plan::default(),
        lived: Rc::default(),
        actor: PhantomData,
    }
}

impl<A: Actor> Check<A> {
    /// The names of the actors; three letters unless said otherwise.
    pub fn names(self, names: &[&'static str]) -> Self {
        Self { names: names.to_vec(), ..self }
    }

    /// Something that is asked of one of them, made by chance. As likely as each of the others.
    pub fn asks(mut self, ask: impl Fn(&mut Chance, &ActorId) -> Asked + 'static) -> Self {
        self.asks.push(Rc::new(ask));
        self
    }

    /// How the world outside answers an effect; done, with nothing, unless said otherwise: an actor
    /// whose [`Answer`](Actor::Answer) is not `()` has to say. Faults come on top. It is asked for the same effect again after a lost answer.
    pub fn performs(self, perform: impl Fn(&Owed) -> Answer + 'static) -> Self {
        Self { perform: Rc::new(perform), ..self }
    }

    /// What holds of every state of these actors, after every turn.
    pub fn holds(mut self, what: &'static str, holds: impl Fn(&A) -> bool + 'static) -> Self {
        self.holds.push((what, Rc::new(holds)));
        self
    }

    /// How long runs are, and what can go wrong.
    pub fn plan(self, plan: Plan) -> Self {
        Self { plan, ..self }
    }

    /// Runs so many seeds; the first that breaks a promise ends it.
    ///
    /// # Errors
    ///
    /// [`Found`]: the seed, the promise, and the shortest list of steps that was found. Also if in
    /// all seeds no actor of this kind was ever alive: then nothing was tried; and if one of the
    /// names is none.
    pub fn run(&self, seeds: u64) -> Result<(), Found> {
        if let Some(error) = self.names.iter().find_map(|it| ActorId::new(A::KIND, it).err()) {
            return Err(nothing_tried(0, error.to_string()));
        }
        for seed in 1..=seeds {
            self.seed(seed)?;
        }
        if self.lived.get() {
            return Ok(());
        }
        Err(nothing_tried(seeds, format!("no `{}` was ever alive: nothing was tried", A::KIND)))
    }

    /// Runs one seed.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn seed(&self, seed: u64) -> Result<(), Found> {
        let result = run(&mut self.scenario(), seed, self.plan, &mut |_| ());
        let Some(broken) = &result.failure else { return Ok(()) };
        let made = || -> Box<dyn Scenario> { Box::new(self.scenario()) };
        let shrunk = shrink(&made, &result, TRIES_MAX);
        let (steps, broken) = match shrunk {
            Some(shrunk) => (shrunk.steps, shrunk.failure),
            None => (result.steps.clone(), broken.clone()),
        };
        let mut trace = Vec::new();
        let again = replay(&mut self.scenario(), result.parts, &steps, &mut |line: &Line<'_>| {
            trace.push(line.to_string());
        });
        Err(Found { seed, broken, trace, ending: again.ending })
    }

    /// As [`run`](Self::run), for tests.
    ///
    /// # Panics
    ///
    /// With what was [`Found`].
    pub fn assert(&self, seeds: u64) {
        let result = self.run(seeds);
        assert!(
            result.is_ok(),
            "{}",
            result.err().map(|found| found.to_string()).unwrap_or_default()
        );
    }

    fn scenario(&self) -> Own<A> {
        Own(self.clone())
    }
}

fn nothing_tried(seed: u64, why: String) -> Found {
    Found { seed, broken: nobody("check", why), trace: Vec::new(), ending: Vec::new() }
}

/// A seed that broke a promise.
#[derive(Clone, Debug)]
pub struct Found {
    /// Which seed.
    pub seed: u64,
    /// Which promise, at whom, and how.
    pub broken: Broken,
    /// What is left of the run when all that can be left out is left out: one line a step.
    pub trace: Vec<String>,
    /// If it broke after the trouble was over: the last of what happened then, one line each.
    pub ending: Vec<String>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, broken, trace, ending } = self;
        write!(f, "seed {seed} breaks {broken}; what is left of it:")?;
        for line in trace {
            write!(f, "\n{line}")?;
        }
        if !ending.is_empty() {
            write!(f, "\nthe last that happened after the trouble was over:")?;
        }
        for line in ending {
            write!(f, "\n{line}")?;
        }
        write!(f, "\nagain: `.seed({seed})` in place of `.assert(..)`")
    }
}

impl std::error::Error for Found {}

/// The scenario of a user's own actors.
struct Own<A>(Check<A>);

impl<A: Actor> Scenario for Own<A> {
    fn kinds(&self, _version: u32) -> Kinds {
        (self.0.kinds)()
    }

    fn ask(&mut self, chance: &mut Chance, _scene: Scene<'_>) -> Option<Asked> {
        let name = chance.pick(&self.0.names)?;
        let id = ActorId::new(A::KIND, name).ok()?;
        let own = chance.pick(&self.0.asks).cloned();
        Some(match (chance.below(8), own) {
            (0, _) => Asked::destroy(&id, false),
            (1 | 2, _) | (_, None) => (self.0.born)(chance, &id),
            (_, Some(ask)) => ask(chance, &id),
        })
    }

    fn perform(&mut self, owed: &Owed, scene: Scene<'_>) -> Took {
        Took::At(scene.now, (self.0.perform)(owed))
    }

    fn saw(&mut self, seen: &Seen<'_>) -> Result<(), Broken> {
        let Some((id, _)) = &seen.turned.label else { return Ok(()) };
        if id.kind() != A::KIND {
            return Ok(());
        }
        let state = query::state::<A>(seen.scene.store, id);
        let broken = |why: String| Broken { promise: "invariant", id: id.clone(), why };
        let Some(state) = state.map_err(|error| broken(error.to_string()))? else { return Ok(()) };
        self.0.lived.set(true);
        match self.0.holds.iter().find(|(_, holds)| !holds(&state)) {
            Some((what, _)) => Err(broken((*what).to_owned())),
            None => Ok(()),
        }
    }

    fn heal(&mut self, scene: Scene<'_>) -> Vec<Asked> {
        let mut roots = Vec::new();
        let listed = query::all_entries(scene.store, |id, entry| {
            if let Entry::Alive(record) = entry
                && record.parent.is_none()
            {
                roots.push(id);
            }
            Ok(())
        });
        debug_assert!(listed.is_ok(), "the store is in memory");
        roots.iter().map(|id| Asked::destroy(id, false)).collect()
    }

    fn end(&mut self, scene: Scene<'_>) -> Result<(), Broken> {
        let mut left = None;
        let listed = query::all_entries(scene.store, |id, entry| {
            if matches!(entry, Entry::Alive(_)) {
                left.get_or_insert(id);
            }
            Ok(())
        });
        debug_assert!(listed.is_ok(), "the store is in memory");
        match left {
            Some(id) => Err(Broken { promise: "G7", id, why: "is left at the end".to_owned() }),
            None => Ok(()),
        }
    }
}
