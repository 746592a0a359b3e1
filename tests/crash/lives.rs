//! Lives of one name, and programs that are newer than what they find.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton::codec::{self, CodecError};
use sexton::{
    Actor, ActorId, Answer, Call, Deadlines, ErrorKind, Handler, Handlers, Kinds, Limits, Message,
    Refusal, Request, Timestamp, Turn, query,
};
use sexton_tests::{Do, Habit, Machine, is_buried, n_dead_letters, state, status};

use crate::script::{Scenario, Yard, scenario};

pub(crate) fn all() -> Vec<Scenario> {
    [again(), upgraded()].into_iter().flatten().collect()
}

/// A tombstone keeps its name for a hundred seconds.
fn retention(name: &'static str) -> Scenario {
    let tombstone_retention = Some(Duration::from_secs(100));
    scenario(name).limits(Limits { tombstone_retention, ..Limits::default() })
}

fn again() -> Vec<Scenario> {
    vec![
        retention("a name lives again when its tombstone is old")
            .create(0, "a")
            .destroy(1, "a")
            .create(50, "a")
            .fails(ErrorKind::Destroyed)
            .create(200, "a")
            .ends(|world| {
                assert_eq!(status(world, "a"), "running");
                let things = world.outside().things();
                assert!(things.machines.iter().map(|it| it.incarnation).eq([2]));
            }),
        retention("a mail for an earlier life")
            .create(0, "a")
            .create(0, "b")
            .destroy(1, "a")
            .create(200, "a")
            .tell(201, "b", Do::TellLife("a".to_owned(), 1))
            .tell(202, "b", Do::TellLife("a".to_owned(), 2))
            .ends(|world| {
                assert_eq!((state(world, "a").count, n_dead_letters(world, "a")), (1, 1));
            }),
        retention("a child of an earlier life is had again")
            .create(0, "r")
            .tell(1, "r", Do::Beget("c".to_owned()))
            .destroy(2, "c")
            .tell(200, "r", Do::Beget("c".to_owned()))
            .destroy(300, "r")
            .ends(|world| {
                assert!(is_buried(world, "r") && is_buried(world, "c"));
                assert!(world.outside().things().machines.is_empty());
            }),
        scenario("a turn records no more than allowed")
            .limits(Limits { records_per_turn_max: 3, ..Limits::default() })
            .create(0, "a")
            .tell(1, "a", Do::Owe(4))
            .fails(ErrorKind::Refused)
            .tell(2, "a", Do::Owe(3))
            .ends(|world| {
                let last = world.outside().things().asked.iter().map(|it| it.0.number).max();
                assert_eq!(last, Some(4));
            }),
    ]
}

sexton::lifecycle! {
    /// What a purse can be.
    pub enum Purses {
        /// It has what it has.
        Open = "open" [] => [],
    }
}

/// A purse. Its first program counted in tens: what that left is ten times as much now.
#[derive(Debug, Serialize, Deserialize)]
struct Purse<const VERSION: u16> {
    coins: u64,
    last: u64,
    interest_at: Timestamp,
}

/// So much more; numbered by who asks, so that it is not done twice.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Put(u64, u64);

impl Message for Put {
    const NAME: &'static str = "put";
    type Reply = ();
}

impl<const VERSION: u16> Purse<VERSION> {
    /// What one coin is worth.
    const WORTH: u64 = if VERSION == 1 { 10 } else { 1 };
}

impl<const VERSION: u16> Actor for Purse<VERSION> {
    const KIND: &'static str = "purse";
    const STATE_VERSION: u16 = VERSION;
    type Init = ();
    type Status = Purses;
    type Deadline = ();
    type Effect = u64;
    type Answer = ();

    fn create(_init: (), turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        Ok(Self { coins: 0, last: 0, interest_at: turn.now() + Duration::from_secs(60) })
    }

    fn migrate(version: u16, bytes: &[u8]) -> Result<Self, CodecError> {
        let old: Self = codec::decode(bytes)?;
        let coins = if version == 1 { old.coins * 10 } else { old.coins };
        Ok(Self { coins, ..old })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Put>();
    }

    fn status(&self) -> Purses {
        Purses::Open
    }

    fn deadlines(&self, due: &mut Deadlines<()>) {
        due.at(self.interest_at, ());
    }

    fn on_deadline(&mut self, _due: (), turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.interest_at = self.interest_at + Duration::from_secs(60);
        self.coins += 50 / Self::WORTH;
        turn.effect(&self.coins);
        Ok(())
    }
}

impl<const VERSION: u16> Handler<Put> for Purse<VERSION> {
    fn handle(&mut self, Put(number, more): Put, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if number > self.last {
            self.last = number;
            self.coins += more / Self::WORTH;
            // A letter to itself lies in the inbox when the program changes.
            if more == 100 {
                let me = purse();
                turn.send::<Self, _>(&me, &Put(number + 1, 30));
            }
        }
        Ok(())
    }
}

fn purse() -> ActorId {
    ActorId::new("purse", "p").expect("a good name")
}

/// A program's own mark: calls are typed, so that whoever calls has to know which one runs.
fn is_newer(world: &mut Yard) -> bool {
    world.engine().kinds().names().any(|it| it == Machine::KIND)
}

fn purses(name: &'static str) -> Scenario {
    scenario(name)
        .kinds(|| Kinds::new().with::<Purse<1>>())
        .upgraded(|| Kinds::new().with::<Purse<2>>().with::<Machine>())
        .performed(|_, _| Answer::Done(codec::encode(&()).expect("nothing is small")))
        .birth(0, purse(), |reply| Request::create::<Purse<1>>(&(), reply).expect("small"))
        .until(130)
}

fn put(scenario: Scenario, at_s: u64, number: u64, more: u64) -> Scenario {
    scenario.of(at_s, purse(), move |world, to| {
        let (put, reply) = (Put(number, more), to.reply());
        Ok(Request::Call(if is_newer(world) {
            Call::new::<Purse<2>, Put>(put, reply)
        } else {
            Call::new::<Purse<1>, Put>(put, reply)
        }))
    })
}

/// What is in the purse, whichever program wrote it last.
fn worth(world: &Yard) -> u64 {
    let state: Option<Purse<2>> = query::state(world.store(), &purse()).expect("readable");
    state.expect("it lives").coins
}

fn upgraded() -> Vec<Scenario> {
    let idle = purses("the program is newer after a crash");
    let busy = purses("the program is newer after a crash, and mail lies there");
    let going = scenario("the program has more kinds after a crash, and a machine goes")
        .upgraded(|| Kinds::new().with::<Purse<2>>().with::<Machine>())
        .create_with(0, "a", Habit::Refuses)
        .tell(1, "a", Do::Beget("c".to_owned()))
        .destroy(2, "a");
    vec![
        put(put(idle, 1, 1, 70), 70, 2, 20).ends(|world| {
            // Interest twice.
            assert_eq!(worth(world), 70 + 20 + 2 * 50);
        }),
        put(put(busy, 1, 1, 100), 90, 5, 40).ends(|world| {
            assert_eq!(worth(world), 100 + 30 + 40 + 2 * 50);
        }),
        going.ends(|world| assert!(is_buried(world, "a") && is_buried(world, "c"))),
    ]
}
