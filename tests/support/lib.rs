//! Actors and a world outside for the tests of behaviour.
//!
//! `Machine` has everything: a lifecycle, deadlines, effects and children of its own kind. The
//! `Cloud` answers what a test tells it to answer. What only a bug in a test can cause panics.
#![expect(clippy::missing_panics_doc, reason = "test support: a panic is a failed test")]
#![expect(clippy::missing_errors_doc, reason = "test support: errors are what tests look at")]

mod machine;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sexton::{
    Actor, ActorId, ActorRef, Answer, Call, EffectId, Engine, Entry, Error, Failure, Intent, Kinds,
    Limits, Owed, Reply, Request, Store, Timestamp, What, codec, key, log, query,
};
use sexton_sim::{Outside, World, WorldError};
use sexton_store::MemoryStore;

pub use self::machine::{
    Cloudwork, Do, FAULTY, FAULTY_FOR_A_WHILE, Habit, MENDED_AT, Machine, News, Once, Power,
    STOPPED_TTL, WITHOUT_DEADLINES, WITHOUT_ROW,
};

/// The id of a machine.
pub fn machine(name: &str) -> ActorId {
    ActorId::new(Machine::KIND, name).expect("a good name")
}

/// The kinds under test.
pub fn kinds() -> Kinds {
    Kinds::new().with::<Machine>().with::<sexton::sweep::Sweeper>()
}

/// A cloud that does what it is told and remembers what it was asked.
#[derive(Debug, Default)]
pub struct Cloud {
    /// What it was asked, in order.
    pub asked: Vec<(EffectId, Cloudwork)>,
    /// Machines that exist.
    pub machines: BTreeMap<ActorId, u32>,
    /// What it answers first to the effects of a name, before it does them.
    pub moods: BTreeMap<String, VecDeque<Answer>>,
    /// Names whose effects it begins and never answers.
    pub silent: BTreeSet<String>,
    /// Answers on their way.
    pub due: VecDeque<(EffectId, Answer)>,
}

impl Outside for Cloud {
    fn perform(
        &mut self,
        _now: Timestamp,
        owed: &Owed,
        _store: &dyn Store,
    ) -> Result<(), WorldError> {
        let work: Cloudwork =
            codec::decode(&owed.effect).map_err(|error| WorldError::Outside(Box::new(error)))?;
        self.asked.push((owed.id.clone(), work.clone()));
        let name = owed.id.actor.id.name();
        if self.silent.contains(name) {
            return Ok(());
        }
        let mood = self.moods.get_mut(name).and_then(VecDeque::pop_front);
        let answer = mood.unwrap_or_else(|| {
            match work {
                Cloudwork::Make => {
                    self.machines.insert(owed.id.actor.id.clone(), owed.id.actor.incarnation);
                }
                Cloudwork::Unmake => {
                    self.machines.remove(&owed.id.actor.id);
                }
            }
            done()
        });
        self.due.push_back((owed.id.clone(), answer));
        Ok(())
    }

    fn take_due(&mut self, _now: Timestamp) -> Result<Option<(EffectId, Answer)>, WorldError> {
        Ok(self.due.pop_front())
    }

    fn take_call(&mut self, _now: Timestamp) -> Result<Option<(ActorId, Call)>, WorldError> {
        Ok(None)
    }

    fn flushed(&mut self) -> Result<(), WorldError> {
        Ok(())
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.due.front().map(|_| Timestamp::MIN)
    }
}

/// What a performer answers that has done what it was asked.
pub fn done() -> Answer {
    Answer::Done(codec::encode(&7_u64).expect("small"))
}

/// A transient failure, for moods.
pub fn transient() -> Answer {
    Answer::Transient(failure())
}

/// A failure, for moods.
pub fn failure() -> Failure {
    Failure { class: "network".to_owned(), message: "it rains".to_owned() }
}

/// The world of the tests.
pub type TestWorld = World<Cloud>;

/// A world on a store in memory, and the store.
pub fn world() -> (TestWorld, Arc<MemoryStore>) {
    world_with(Limits::default())
}

/// The same with limits.
pub fn world_with(limits: Limits) -> (TestWorld, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::new());
    (open_with(&store, limits, Cloud::default()), store)
}

/// Opens a world on a store.
pub fn open(store: &Arc<MemoryStore>) -> TestWorld {
    open_with(store, Limits::default(), Cloud::default())
}

/// Opens a world on a store, with limits and a cloud that went on meanwhile.
pub fn open_with(store: &Arc<MemoryStore>, limits: Limits, cloud: Cloud) -> TestWorld {
    let store: Arc<dyn Store> = Arc::<MemoryStore>::clone(store);
    World::open(store, kinds(), limits, cloud).expect("the store opens")
}

/// Asks, lets everything happen that follows at this moment, and returns the answer.
pub fn ask<T: Send + 'static>(
    world: &mut TestWorld,
    id: &ActorId,
    request: impl FnOnce(Reply<T>) -> Request,
) -> Result<T, Error> {
    let slot: Arc<Mutex<Option<Result<T, Error>>>> = Arc::default();
    let answer = Arc::clone(&slot);
    let reply: Reply<T> = Box::new(move |result| {
        *answer.lock().expect("nobody panics with this lock") = Some(result);
    });
    world.request(id, request(reply)).expect("the engine goes on");
    world.settle().expect("the engine goes on");
    world.flush().expect("the store goes on");
    let mut slot = slot.lock().expect("nobody panics with this lock");
    slot.take().unwrap_or_else(|| Err(Error::new(sexton::ErrorKind::Busy, "no answer yet")))
}

/// Creates a machine.
pub fn create(world: &mut TestWorld, name: &str) -> Result<u32, Error> {
    ask(world, &machine(name), |reply| {
        Request::create::<Machine>(&Habit::Good, reply).expect("small")
    })
}

/// Calls a machine.
pub fn call(world: &mut TestWorld, name: &str, message: Do) -> Result<u64, Error> {
    ask(world, &machine(name), |reply| Request::Call(Call::new::<Machine, Do>(message, reply)))
}

/// Destroys a machine and waits for its tombstone.
pub fn destroy(world: &mut TestWorld, name: &str) -> Result<(), Error> {
    ask(world, &machine(name), |reply| Request::Destroy {
        intent: intent(),
        is_waiting: true,
        reply,
    })
}

/// Asks for the end of a machine, and waits for nothing.
pub fn end() -> Request {
    Request::Destroy { intent: intent(), is_waiting: false, reply: Box::new(drop) }
}

/// A message to a machine whose answer nobody waits for.
pub fn told(message: Do) -> Request {
    Request::Call(Call::new::<Machine, Do>(message, Box::new(drop)))
}

/// Why tests destroy.
pub fn intent() -> Intent {
    Intent { why: "asked".to_owned(), by: "test".to_owned() }
}

/// Lets virtual time pass.
pub fn pass(world: &mut TestWorld, seconds: u64) {
    let to = world.now() + Duration::from_secs(seconds);
    world.advance_to(to).expect("the engine goes on");
    world.flush().expect("the store goes on");
}

/// Whether a name has a tombstone.
pub fn is_buried(world: &World<impl Outside>, name: &str) -> bool {
    Engine::tombstone(world.store(), &machine(name)).expect("it can be read").is_some()
}

/// Fails with every promise that the store's records break.
pub fn assert_audit(store: &dyn Store) {
    let broken = sexton::audit::audit(store, &kinds(), 20).expect("it can be read");
    assert!(broken.is_empty(), "the audit found {broken:#?}");
}

/// Every record of a store.
pub fn snapshot(store: &dyn Store) -> Vec<(key::Key, Vec<u8>)> {
    store.scan(&[], &[], usize::MAX).expect("it can be read")
}

/// What the row of a machine says of it; "none" if there is none.
pub fn status(world: &World<impl Outside>, name: &str) -> String {
    let mut status = "none".to_owned();
    query::all_rows(world.store(), |row| {
        if row.id == machine(name) {
            status = row.status;
        }
        Ok(())
    })
    .expect("it can be read");
    status
}

/// The state of a machine that lives.
pub fn state(world: &World<impl Outside>, name: &str) -> Machine {
    let state = query::state(world.store(), &machine(name)).expect("it can be read");
    state.expect("it lives")
}

/// The armed alarm of a machine, in milliseconds.
pub fn alarm(world: &World<impl Outside>, name: &str) -> Option<i64> {
    match query::entry(world.store(), &machine(name)).expect("it can be read") {
        Some(Entry::Alive(record)) => record.alarm.map(Timestamp::as_millis),
        Some(Entry::Tombstone(_)) | None => None,
    }
}

/// The events of a machine, in order.
pub fn events(world: &World<impl Outside>, name: &str) -> Vec<What> {
    events_of(world, &machine(name))
}

/// The events of an actor, in order.
pub fn events_of(world: &World<impl Outside>, id: &ActorId) -> Vec<What> {
    let history = log::of(world.store(), id, usize::MAX).expect("it can be read");
    history.events.into_iter().map(|(_, event)| event.what).collect()
}

/// Whether a name was marked stalled, ever.
pub fn was_stalled(world: &World<impl Outside>, name: &str) -> bool {
    events(world, name).iter().any(|what| matches!(what, What::Stalled { .. }))
}

/// How many letters to a name found nobody who took them.
pub fn n_dead_letters(world: &World<impl Outside>, name: &str) -> usize {
    let is_dead = |what: &&What| matches!(what, What::DeadLetter { .. });
    events(world, name).iter().filter(is_dead).count()
}

/// Brings a performer's answer, and submits what follows from it; whether it was of any use.
pub fn answer(world: &mut TestWorld, store: &dyn Store, id: &EffectId, answer: Answer) -> bool {
    let now = world.now();
    let turned = world.engine().answer(now, store, id, answer).expect("the engine goes on");
    let Some(turned) = turned else { return false };
    store.submit(turned.batch.expect("an answer that is taken is written")).expect("it is next");
    true
}

/// An effect of a life of a machine.
pub fn effect_of(name: &str, incarnation: u32, number: u64) -> EffectId {
    EffectId { actor: ActorRef { id: machine(name), incarnation }, number }
}
