//! Actors and a world outside for the tests of behaviour.
//!
//! `Machine` has everything: a lifecycle, a deadline, an effect and children of its own kind. The
//! `Cloud` answers what a test tells it to answer. What only a bug in a test can cause panics.
#![expect(clippy::missing_panics_doc, reason = "test support: a panic is a failed test")]
#![expect(clippy::missing_errors_doc, reason = "test support: errors are what tests look at")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton::{
    Actor, ActorId, Answer, Call, Deadlines, EffectId, Engine, Error, Failure, Gone, Handler,
    Handlers, Intent, Kinds, Limits, Message, Outcome, Owed, Refusal, Reply, Request, Row, Store,
    Timestamp, Turn, codec,
};
use sexton_sim::{Outside, World, WorldError};

sexton::lifecycle! {
    /// What a machine can be.
    pub enum Power {
        /// It is being made.
        Creating = "creating" [holds billable] => [Running],
        /// It runs.
        Running = "running" [holds billable] => [Stopped],
        /// It is off, and lies about until its deadline.
        Stopped = "stopped" [holds] => [Running, Broken],
        /// It is beyond repair.
        Broken = "broken" [holds] => [],
    }
}

/// A machine with a deletion deadline.
#[derive(Debug, Serialize, Deserialize)]
pub struct Machine {
    /// Its status.
    pub power: Power,
    /// When it was stopped.
    pub stopped_at: Option<Timestamp>,
    /// What it counted.
    pub count: u64,
    /// What its deadline does.
    pub habit: Habit,
    /// Children that it heard are gone.
    pub buried: Vec<String>,
}

/// How a machine meets its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Habit {
    /// Destroys itself, as it should.
    Good,
    /// Refuses.
    Refuses,
    /// Panics.
    Panics,
    /// Changes something, but not what is due.
    Moves,
}

/// How long a stopped machine stays.
pub const STOPPED_TTL: Duration = Duration::from_secs(300);

/// Work outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cloudwork {
    /// Make the machine.
    Make,
    /// Unmake it.
    Unmake,
}

impl Actor for Machine {
    const KIND: &'static str = "machine";
    type Init = Habit;
    type Status = Power;
    type Deadline = String;
    type Effect = Cloudwork;
    type Answer = u64;

    fn create(init: Habit, turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        turn.effect(&Cloudwork::Make);
        Ok(Self {
            power: Power::Creating,
            stopped_at: None,
            count: 0,
            habit: init,
            buried: Vec::new(),
        })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Do>();
    }

    fn status(&self) -> Power {
        self.power
    }

    fn row(&self) -> Row {
        Row::owned_by("somebody").time("stopped_at", self.stopped_at)
    }

    fn deadlines(&self, due: &mut Deadlines<String>) {
        if let Some(stopped_at) = self.stopped_at {
            due.at(stopped_at + STOPPED_TTL, "delete".to_owned());
        }
    }

    fn on_deadline(&mut self, _due: String, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        match self.habit {
            Habit::Good => turn.destroy("stopped for too long", "deadline"),
            Habit::Refuses => {
                self.count += 1_000;
                return Err(Refusal::new("not today"));
            }
            Habit::Panics => {
                self.count += 1_000;
                assert!(self.count == 0, "this deadline always panics");
            }
            Habit::Moves => self.count += 1,
        }
        Ok(())
    }

    fn on_outcome(
        &mut self,
        effect: &Cloudwork,
        outcome: Outcome<u64>,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        match (effect, outcome) {
            (Cloudwork::Make, Outcome::Done(_)) if self.power == Power::Creating => {
                self.power = Power::Running;
            }
            (Cloudwork::Make | Cloudwork::Unmake, Outcome::Done(_)) => {}
            (_, Outcome::Failed(failure)) => turn.destroy(failure.message, "cloud"),
        }
        Ok(())
    }

    fn on_destroy(&mut self, turn: &mut Turn<Self>) {
        assert!(self.count != 666, "this destruction panics");
        turn.effect(&Cloudwork::Unmake);
    }

    fn on_child_gone(
        &mut self,
        child: &ActorId,
        end: &Gone,
        _turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        let how = match end {
            Gone::Destroyed { .. } => "destroyed",
            Gone::Unborn { .. } => "unborn",
        };
        self.buried.push(format!("{} {how}", child.name()));
        Ok(())
    }
}

/// What a test asks of a machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Do {
    /// Nothing: a read.
    Nothing,
    /// Count one.
    Count,
    /// Stop.
    Stop,
    /// Start again.
    Start,
    /// Go where the table has no line.
    Leap,
    /// Change everything, then refuse.
    Refuse,
    /// Change everything, then panic.
    Panic,
    /// Have a child.
    Beget(String),
    /// Send a count to another machine.
    Tell(String),
    /// Set what the deadline does.
    Habit(Habit),
    /// Count to a number at which the destruction panics, or away from it.
    SetCount(u64),
}

impl Message for Do {
    const NAME: &'static str = "do";
    type Reply = u64;
}

impl Handler<Do> for Machine {
    fn handle(&mut self, message: Do, turn: &mut Turn<Self>) -> Result<u64, Refusal> {
        match message {
            Do::Nothing => {}
            Do::Count => self.count += 1,
            Do::Stop => {
                self.power = Power::Stopped;
                self.stopped_at = Some(turn.now());
            }
            Do::Start => {
                self.power = Power::Running;
                self.stopped_at = None;
            }
            Do::Leap => self.power = Power::Broken,
            Do::Refuse | Do::Panic => {
                self.count += 1_000;
                turn.event("never", "said");
                turn.effect(&Cloudwork::Unmake);
                turn.create::<Self>("never", &Habit::Good);
                assert!(matches!(message, Do::Refuse), "this message panics");
                return Err(Refusal::new("no"));
            }
            Do::Beget(name) => {
                turn.create::<Self>(&name, &Habit::Good);
            }
            Do::Tell(name) => turn.send::<Self, _>(&machine(&name), &Do::Count),
            Do::Habit(habit) => self.habit = habit,
            Do::SetCount(count) => self.count = count,
        }
        Ok(self.count)
    }
}

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
            Answer::Done(codec::encode(&7_u64).expect("small"))
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

/// Opens a world on a store.
pub fn open(store: Arc<dyn Store>) -> TestWorld {
    open_with(store, Limits::default(), Cloud::default())
}

/// Opens a world on a store, with limits and a cloud that went on meanwhile.
pub fn open_with(store: Arc<dyn Store>, limits: Limits, cloud: Cloud) -> TestWorld {
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
pub fn is_buried(world: &TestWorld, name: &str) -> bool {
    Engine::tombstone(world.store(), &machine(name)).expect("it can be read").is_some()
}

/// Fails with every promise that the store's records break.
pub fn assert_audit(store: &dyn Store) {
    let broken = sexton::audit::audit(store, &kinds(), 20).expect("it can be read");
    assert!(broken.is_empty(), "the audit found {broken:#?}");
}

/// Every record of a store.
pub fn snapshot(store: &dyn Store) -> Vec<(sexton::key::Key, Vec<u8>)> {
    store.scan(&[], &[], usize::MAX).expect("it can be read")
}
