//! The vocabulary of the scenarios: who asks what of whom and when, and what must be so at the end.
//!
//! A client asks step by step. It numbers what it asks, remembers what it was answered, and after
//! a crash repeats what it was not answered. What it was answered when it asked for the first time
//! must be what the scenario says.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard};

use sexton::plan::plan_destroy;
use sexton::sweep::Sweep;
use sexton::{
    ActorId, ActorRef, Answer, Batch, Call, Cursor, EffectId, Entry, Error, ErrorKind, Handler,
    Kinds, Limits, Message, Owed, Reply, Request, Switch, Timestamp, codec, query,
};
use sexton_sim::{Answering, Crashed, Play, Stop, World, WorldError, every_crash};
use sexton_tests::{Cloudwork, Do, Habit, Machine, News, Once, done, failure, intent, machine};

/// The world of a scenario.
pub(crate) type Yard = World<Answering<Outside>>;

type Make = dyn Fn(&mut Yard, Answered) -> Result<Request, Error>;

/// What is asked in a step.
enum Ask {
    /// Something of an actor.
    Of(ActorId, Box<Make>),
    /// Something of the engine, which forgets it when the process ends: done by every process.
    Engine(fn(&mut Yard) -> Result<(), WorldError>),
}

struct Step {
    at_s: u64,
    /// Without letting anything happen between this and the step before it.
    is_at_once: bool,
    ask: Ask,
    expected: Result<(), ErrorKind>,
}

/// A scenario: named steps, and what must be so when all is done.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    steps: Vec<Step>,
    until_s: u64,
    kinds: fn() -> Kinds,
    newer: Option<fn() -> Kinds>,
    limits: Limits,
    perform: fn(&mut Outside, &Owed) -> Answer,
    sweeps: fn() -> Vec<Box<dyn Sweep>>,
    spoil: Option<fn(&mut Batch)>,
    is_alike: bool,
    look: fn(&mut Yard),
}

/// What outlives a process: the machines that run, and what the client knows.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    /// The machines that run.
    pub(crate) machines: BTreeSet<ActorRef>,
    /// Every attempt at an effect, in order.
    pub(crate) asked: Vec<(EffectId, Cloudwork)>,
    client: Arc<Mutex<Client>>,
}

/// What a client knows of its steps.
#[derive(Clone, Debug, Default)]
struct Client {
    /// Steps that were asked for by a process that is over, without an answer.
    doubtful: BTreeSet<usize>,
    asked: BTreeSet<usize>,
    answers: BTreeMap<usize, Result<(), ErrorKind>>,
}

/// A copy knows what this one knows, and nothing of what it is told from then on.
impl Clone for Outside {
    fn clone(&self) -> Self {
        let client = Arc::new(Mutex::new(self.client().clone()));
        Self { machines: self.machines.clone(), asked: self.asked.clone(), client }
    }
}

impl Outside {
    fn client(&self) -> MutexGuard<'_, Client> {
        self.client.lock().expect("nobody panics with it")
    }
}

/// Where the answer to a step goes.
pub(crate) struct Answered {
    step: usize,
    client: Arc<Mutex<Client>>,
}

impl Answered {
    pub(crate) fn reply<T>(self) -> Reply<T> {
        Box::new(move |result: Result<T, Error>| {
            let result = result.map(drop).map_err(|error| error.kind());
            self.client.lock().expect("nobody panics with it").answers.insert(self.step, result);
        })
    }

    /// The number of the step for whoever counts: 1 for the first.
    fn number(&self) -> u64 {
        u64::try_from(self.step).expect("few") + 1
    }
}

/// Does what it is asked.
pub(crate) fn obeys(outside: &mut Outside, owed: &Owed) -> Answer {
    let work: Cloudwork = codec::decode(&owed.effect).expect("an effect of a machine");
    outside.asked.push((owed.id.clone(), work.clone()));
    match work {
        Cloudwork::Make => outside.machines.insert(owed.id.actor.clone()),
        Cloudwork::Unmake => outside.machines.remove(&owed.id.actor),
    };
    done()
}

/// Fails twice before it does anything.
pub(crate) fn fails_twice(outside: &mut Outside, owed: &Owed) -> Answer {
    if owed.failures < 2 { Answer::Transient(failure()) } else { obeys(outside, owed) }
}

/// Fails so often that whoever owes is marked stalled.
pub(crate) fn fails_for_long(outside: &mut Outside, owed: &Owed) -> Answer {
    if owed.failures < 7 { Answer::Transient(failure()) } else { obeys(outside, owed) }
}

/// Does it, and its answer gets lost: the first try counts as failed.
pub(crate) fn loses_its_answer(outside: &mut Outside, owed: &Owed) -> Answer {
    let answer = obeys(outside, owed);
    if owed.failures == 0 { Answer::Transient(failure()) } else { answer }
}

/// Makes nothing, for good; unmaking what is not there is done.
pub(crate) fn makes_nothing(outside: &mut Outside, owed: &Owed) -> Answer {
    match codec::decode(&owed.effect).expect("an effect of a machine") {
        Cloudwork::Make => Answer::Permanent(failure()),
        Cloudwork::Unmake => obeys(outside, owed),
    }
}

/// Refuses three times for good to unmake anything, as with a credential that was revoked.
pub(crate) fn is_locked_for_a_while(outside: &mut Outside, owed: &Owed) -> Answer {
    match codec::decode(&owed.effect).expect("an effect of a machine") {
        Cloudwork::Unmake if owed.failures < 3 => Answer::Permanent(failure()),
        Cloudwork::Make | Cloudwork::Unmake => obeys(outside, owed),
    }
}

/// Never unmakes anything.
pub(crate) fn never_unmakes(outside: &mut Outside, owed: &Owed) -> Answer {
    match codec::decode(&owed.effect).expect("an effect of a machine") {
        Cloudwork::Unmake => Answer::Permanent(failure()),
        Cloudwork::Make => obeys(outside, owed),
    }
}

/// Begins a scenario. Until said otherwise it goes on for ten minutes, everything outside obeys,
/// and it ends in the same state whatever went wrong.
pub(crate) fn scenario(name: &'static str) -> Scenario {
    Scenario {
        name,
        steps: Vec::new(),
        until_s: 600,
        kinds: || Kinds::new().with::<Machine>(),
        newer: None,
        limits: Limits::default(),
        perform: obeys,
        sweeps: Vec::new,
        spoil: None,
        is_alike: true,
        look: |_| (),
    }
}

impl Scenario {
    fn step(mut self, at_s: u64, ask: Ask) -> Self {
        self.steps.push(Step { at_s, is_at_once: false, ask, expected: Ok(()) });
        self
    }

    pub(crate) fn of(
        self,
        at_s: u64,
        id: ActorId,
        make: impl Fn(&mut Yard, Answered) -> Result<Request, Error> + 'static,
    ) -> Self {
        self.step(at_s, Ask::Of(id, Box::new(make)))
    }

    /// A machine is made.
    pub(crate) fn create(self, at_s: u64, name: &str) -> Self {
        self.create_with(at_s, name, Habit::Good)
    }

    /// A machine is made that meets its deadline so.
    pub(crate) fn create_with(self, at_s: u64, name: &str, habit: Habit) -> Self {
        self.of(at_s, machine(name), move |_, to| Request::create::<Machine>(&habit, to.reply()))
    }

    /// A machine is told something.
    pub(crate) fn tell(self, at_s: u64, name: &str, what: Do) -> Self {
        self.of(at_s, machine(name), move |_, to| {
            let message = Once(to.number(), what.clone());
            Ok(Request::Call(Call::new::<Machine, Once>(message, to.reply())))
        })
    }

    /// Any actor is asked for something that does no harm when it is asked twice.
    pub(crate) fn call<A, M>(self, at_s: u64, id: ActorId, message: M) -> Self
    where
        A: Handler<M>,
        M: Message + Clone,
    {
        self.of(at_s, id, move |_, to| {
            Ok(Request::Call(Call::new::<A, M>(message.clone(), to.reply())))
        })
    }

    /// News for a machine.
    pub(crate) fn news(self, at_s: u64, name: &str) -> Self {
        self.call::<Machine, News>(at_s, machine(name), News)
    }

    /// Anything is created.
    pub(crate) fn birth(self, at_s: u64, id: ActorId, make: fn(Reply<u32>) -> Request) -> Self {
        self.of(at_s, id, move |_, to| Ok(make(to.reply())))
    }

    /// A machine is asked to go.
    pub(crate) fn destroy(self, at_s: u64, name: &str) -> Self {
        self.of(at_s, machine(name), |_, to| {
            Ok(Request::Destroy { intent: intent(), is_waiting: false, reply: to.reply() })
        })
    }

    /// A machine is asked to go, and somebody waits for its tombstone.
    pub(crate) fn destroy_and_wait(self, at_s: u64, name: &str) -> Self {
        self.of(at_s, machine(name), |_, to| {
            Ok(Request::Destroy { intent: intent(), is_waiting: true, reply: to.reply() })
        })
    }

    /// What destroying a machine takes along is reviewed, and then it is destroyed so.
    pub(crate) fn destroy_as_planned(self, at_s: u64, name: &str) -> Self {
        let id = machine(name);
        self.of(at_s, id.clone(), move |world, to| {
            let (intent, is_waiting) = (intent(), false);
            let is_there = match query::entry(world.store(), &id)? {
                Some(Entry::Alive(record)) => record.destruction.is_none(),
                Some(Entry::Tombstone(_)) | None => false,
            };
            // Whoever asks again after a crash finds it going, or gone, and reviews nothing.
            if !is_there {
                return Ok(Request::Destroy { intent, is_waiting, reply: to.reply() });
            }
            let kinds = Kinds::new().with::<Machine>().with::<sexton::sweep::Sweeper>();
            let plan = Box::new(plan_destroy(world.store(), &kinds, &id)?);
            Ok(Request::DestroyPlanned { plan, intent, is_waiting, reply: to.reply() })
        })
    }

    /// An operator has the first debt of a machine, or its stuck destruction, tried now.
    pub(crate) fn retry(self, at_s: u64, name: &str) -> Self {
        self.of(at_s, machine(name), |_, to| Ok(Request::Retry { reply: to.reply() }))
    }

    /// An operator gives up a debt of a machine.
    pub(crate) fn abandon(self, at_s: u64, name: &str, number: u64) -> Self {
        self.of(at_s, machine(name), move |_, to| {
            Ok(Request::Abandon { number, intent: intent(), reply: to.reply() })
        })
    }

    /// Alarms are paused, in every process that comes here.
    pub(crate) fn pause_alarms(self, at_s: u64) -> Self {
        self.step(
            at_s,
            Ask::Engine(|world| {
                world.engine().switch_alarms(Switch::Paused);
                Ok(())
            }),
        )
    }

    /// Alarms go on.
    pub(crate) fn resume_alarms(self, at_s: u64) -> Self {
        self.step(
            at_s,
            Ask::Engine(|world| {
                world.engine().switch_alarms(Switch::On);
                Ok(())
            }),
        )
    }

    /// Effects are paused, in every process that comes here.
    pub(crate) fn pause_effects(self, at_s: u64) -> Self {
        self.step(
            at_s,
            Ask::Engine(|world| {
                world.engine().switch_effects(Switch::Paused);
                Ok(())
            }),
        )
    }

    /// Effects go on.
    pub(crate) fn resume_effects(self, at_s: u64) -> Self {
        self.step(
            at_s,
            Ask::Engine(|world| {
                world.engine().switch_effects(Switch::On);
                Ok(())
            }),
        )
    }

    /// Nobody is kept in memory.
    pub(crate) fn evict(self, at_s: u64) -> Self {
        self.step(
            at_s,
            Ask::Engine(|world| {
                world.engine().evict_idle(Timestamp::MAX);
                Ok(())
            }),
        )
    }

    /// The log loses its first two events.
    pub(crate) fn trim(self, at_s: u64) -> Self {
        self.step(at_s, Ask::Engine(|world| Ok(world.store().trim_log(Cursor(2))?)))
    }

    /// Nothing happens between the step before and this one.
    pub(crate) fn at_once(mut self) -> Self {
        self.steps.last_mut().expect("a step").is_at_once = true;
        self
    }

    /// The step before is answered with an error of this kind.
    pub(crate) fn fails(mut self, kind: ErrorKind) -> Self {
        self.steps.last_mut().expect("a step").expected = Err(kind);
        self
    }

    /// It goes on until then.
    pub(crate) fn until(self, until_s: u64) -> Self {
        Self { until_s, ..self }
    }

    pub(crate) fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// How effects are performed.
    pub(crate) fn performed(self, perform: fn(&mut Outside, &Owed) -> Answer) -> Self {
        Self { perform, ..self }
    }

    pub(crate) fn swept(self, sweeps: fn() -> Vec<Box<dyn Sweep>>) -> Self {
        Self { sweeps, ..self }
    }

    pub(crate) fn kinds(self, kinds: fn() -> Kinds) -> Self {
        Self { kinds, ..self }
    }

    /// Whoever goes on after a crash is of a newer program.
    pub(crate) fn upgraded(self, newer: fn() -> Kinds) -> Self {
        Self { newer: Some(newer), is_alike: false, ..self }
    }

    /// What the moment of a crash changes for good: when an operator's step was taken, say.
    pub(crate) fn ends_otherwise(self) -> Self {
        Self { is_alike: false, ..self }
    }

    /// The engine is broken in this way: for controls.
    pub(crate) fn spoiled(self, spoil: fn(&mut Batch)) -> Self {
        Self { spoil: Some(spoil), ..self }
    }

    /// What must be so at the end.
    pub(crate) fn ends(self, look: fn(&mut Yard)) -> Self {
        Self { look, ..self }
    }

    /// Tells it once: asks what was not answered yet, at its moment.
    fn tell_all(&self, world: &mut Yard) -> Result<(), WorldError> {
        let client = Arc::clone(&world.outside().things().client);
        {
            let client = &mut *client.lock().expect("nobody panics with it");
            let unanswered = client.asked.iter().filter(|it| !client.answers.contains_key(it));
            client.doubtful.extend(unanswered.copied().collect::<Vec<_>>());
        }
        for (step, it) in self.steps.iter().enumerate() {
            let is_of_engine = matches!(it.ask, Ask::Engine(_));
            let is_answered =
                client.lock().expect("nobody panics with it").answers.contains_key(&step);
            if is_answered && !is_of_engine {
                continue;
            }
            if !it.is_at_once {
                world.advance_to(after(it.at_s))?;
                world.flush()?;
            }
            match &it.ask {
                Ask::Engine(run) => run(world)?,
                Ask::Of(id, make) => {
                    client.lock().expect("nobody panics with it").asked.insert(step);
                    let request = make(world, Answered { step, client: Arc::clone(&client) })?;
                    world.request(id, request)?;
                }
            }
        }
        world.advance_to(after(self.until_s))
    }

    fn look_at(&self, world: &mut Yard) {
        self.look_at_answers(&world.outside().things().client());
        (self.look)(world);
    }

    /// Every step was answered, and as it should be: if it was never in doubt.
    fn look_at_answers(&self, client: &Client) {
        for (step, it) in self.steps.iter().enumerate() {
            let Ask::Of(id, _) = &it.ask else { continue };
            let answer = client.answers.get(&step);
            let is_as_expected =
                answer == Some(&it.expected) || answer.is_some() && client.doubtful.contains(&step);
            assert!(is_as_expected, "step {} of {id} was answered {answer:?}", step + 1);
        }
    }

    fn play(&self) -> Play<Outside> {
        let play = Play::new(self.kinds, self.perform).sweeps(self.sweeps);
        let play = play.limits(self.limits.clone()).newer(self.newer.unwrap_or(self.kinds));
        play.spoiled(self.spoil.unwrap_or(|_| ()))
    }

    /// Crashes it everywhere, or only there.
    fn run(&self, pairs_max: u64, only: &[Stop]) -> Result<Crashed, String> {
        let play = self.play();
        let crashes = every_crash(&play, |world| self.tell_all(world)).pairs_max(pairs_max);
        let crashes = crashes.ends(|world| {
            self.look_at(world);
            Ok(())
        });
        let crashes = if self.is_alike { crashes.ends_alike() } else { crashes };
        let crashes = if only.is_empty() { crashes } else { crashes.only(only) };
        let result = catch_unwind(AssertUnwindSafe(|| crashes.run()));
        result.map_or_else(
            |panic| Err(panic.downcast_ref::<String>().cloned().unwrap_or_default()),
            |result| result.map_err(|error| error.to_string()),
        )
    }

    /// Crashes it everywhere.
    pub(crate) fn crash(&self, pairs_max: u64) -> Result<Crashed, String> {
        self.run(pairs_max, &[])
    }

    /// Crashes it only there, one after the other: to repeat what a failure names.
    pub(crate) fn crash_at(&self, stops: &[Stop]) -> Result<Crashed, String> {
        self.run(0, stops)
    }
}

fn after(seconds: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from(seconds * 1_000).expect("small"))
}
