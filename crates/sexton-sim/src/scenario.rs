//! What a simulation is about: actors, what is asked of them, the world outside, and what holds.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use sexton::audit::Broken;
use sexton::mailbox::Class;
use sexton::sweep::Sweep;
use sexton::{
    Actor, ActorId, Answer, Call, EffectId, Error, ErrorKind, Handler, Intent, Kinds, Limits,
    Message, Owed, Request, Store, Timestamp, Turned,
};

use crate::chance::Chance;

/// What stands still while a scenario looks at it.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The moment.
    pub now: Timestamp,
    /// All that was submitted, also what a crash would still take away.
    pub store: &'a dyn Store,
}

impl fmt::Debug for Scene<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scene").field("now", &self.now).finish_non_exhaustive()
    }
}

/// A turn that was just submitted.
#[derive(Debug)]
pub struct Seen<'a> {
    /// After the turn.
    pub scene: Scene<'a>,
    /// The turn.
    pub turned: &'a Turned,
    /// The effect whose answer it took, and the answer.
    pub answered: Option<(&'a EffectId, &'a Answer)>,
    /// What was asked, if somebody outside did.
    pub asked: Option<&'a str>,
}

/// What came back to whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Of whom it was asked.
    pub id: ActorId,
    /// What kind of thing was asked.
    pub asks: Asks,
    /// What came back: nothing more than that it was done, or the kind of the error.
    pub result: Result<(), ErrorKind>,
}

/// What kinds of things are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// To be there.
    Create,
    /// To take a message.
    Call,
    /// To go, and to say so when it has gone.
    Destroy,
    /// To go; said when that is certain.
    DestroyLater,
    /// Something of an operator's.
    Operate,
}

/// What was said to whoever asked, and the number of the batch of the turn that he asked for; 0 if
/// that wrote nothing.
pub(crate) type Spoken = Arc<Mutex<Vec<(Said, u64)>>>;

/// What a request carries with it until it is answered or dropped.
pub(crate) struct Slip {
    pub(crate) said: Spoken,
    /// The number of its turn's batch, once there was one.
    pub(crate) batch: Arc<AtomicU64>,
    /// Its place among those that wait, or whatever else it keeps.
    pub(crate) pass: Box<dyn Send>,
}

type Make = Box<dyn FnOnce(Slip) -> Result<Request, Error>>;

/// Something that is asked of an actor.
pub struct Asked {
    pub(crate) id: ActorId,
    pub(crate) text: String,
    pub(crate) class: Class,
    pub(crate) make: Make,
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.text)
    }
}

fn answer<T>(slip: Slip, id: ActorId, asks: Asks) -> sexton::Reply<T> {
    Box::new(move |result: Result<T, Error>| {
        let Slip { said, batch, pass } = slip;
        drop(pass);
        let result = result.map(drop).map_err(|error| error.kind());
        let said_of = (Said { id, asks, result }, batch.load(Ordering::Relaxed));
        said.lock().unwrap_or_else(PoisonError::into_inner).push(said_of);
    })
}

impl Asked {
    fn new(
        id: &ActorId,
        text: impl Into<String>,
        make: impl FnOnce(ActorId, Slip) -> Result<Request, Error> + 'static,
    ) -> Self {
        let of = id.clone();
        Self {
            id: id.clone(),
            text: text.into(),
            class: Class::Call,
            make: Box::new(move |slip| make(of, slip)),
        }
    }

    /// That an actor is born, without a parent.
    pub fn create<A: Actor>(id: &ActorId, init: A::Init) -> Self
    where
        A::Init: Serialize + 'static,
    {
        Self::new(id, "create", move |id, slip| {
            Request::create::<A>(&init, answer(slip, id, Asks::Create))
        })
    }

    /// That it takes a message; `text` is what traces say of it.
    pub fn call<A, M>(id: &ActorId, message: M, text: impl Into<String>) -> Self
    where
        A: Handler<M>,
        M: Message,
    {
        Self::new(id, text, move |id, slip| {
            Ok(Request::Call(Call::new::<A, M>(message, answer(slip, id, Asks::Call))))
        })
    }

    /// Anything else whose answer nobody needs to know more of than whether it came.
    pub fn other(
        id: &ActorId,
        text: impl Into<String>,
        request: impl FnOnce(sexton::Reply<()>) -> Request + 'static,
    ) -> Self {
        Self::new(id, text, move |id, slip| Ok(request(answer(slip, id, Asks::Call))))
    }

    /// That it goes; answered when it has its tombstone, or when its end is certain.
    pub fn destroy(id: &ActorId, is_waiting: bool) -> Self {
        let class = if is_waiting { Class::Wait } else { Class::Call };
        let asked = Self::new(id, "destroy", move |id, slip| {
            let asks = if is_waiting { Asks::Destroy } else { Asks::DestroyLater };
            let intent = Intent { why: "asked".to_owned(), by: "simulation".to_owned() };
            Ok(Request::Destroy { intent, is_waiting, reply: answer(slip, id, asks) })
        });
        Self { class, ..asked }
    }

    /// That its first debt, or its stuck destruction, is tried now.
    pub fn retry(id: &ActorId) -> Self {
        Self::new(id, "retry", |id, slip| {
            Ok(Request::Retry { reply: answer(slip, id, Asks::Operate) })
        })
    }

    /// That a debt is given up.
    pub fn abandon(id: &ActorId, number: u64) -> Self {
        Self::new(id, format!("abandon {number}"), move |id, slip| {
            let intent = Intent { why: "given up".to_owned(), by: "simulation".to_owned() };
            Ok(Request::Abandon { number, intent, reply: answer(slip, id, Asks::Operate) })
        })
    }
}

/// How the world outside takes an effect.
#[derive(Clone, Debug)]
pub enum Took {
    /// It answers at this moment, or as soon as can be after it.
    At(Timestamp, Answer),
    /// It says so itself, see [`Scenario::due`].
    Later,
}

/// What is simulated.
///
/// Everything that it decides comes from the chance that it is given, and everything that it
/// keeps is made anew for each run: the same seed must give the same run.
pub trait Scenario {
    /// The kinds, as of a version of the program; it goes up by one at each upgrade.
    fn kinds(&self, version: u32) -> Kinds;

    /// Up to which version upgrades go.
    fn versions(&self) -> u32 {
        1
    }

    /// The sweeps.
    fn sweeps(&self) -> Vec<Box<dyn Sweep>> {
        Vec::new()
    }

    /// The limits of the engines. Small ones are met more often.
    fn limits(&self) -> Limits {
        Limits { live_actors_max: 8, ..Limits::default() }
    }

    /// What somebody asks next; `None` if nobody does.
    fn ask(&mut self, chance: &mut Chance, scene: Scene<'_>) -> Option<Asked>;

    /// Does an effect. May be asked for the same one again: it must not mind.
    fn perform(&mut self, owed: &Owed, scene: Scene<'_>) -> Took;

    /// Answers of effects that were taken for [`Took::Later`] and are due.
    fn due(&mut self, _now: Timestamp) -> Vec<(EffectId, Answer)> {
        Vec::new()
    }

    /// What the world outside asks by itself; asked again after a crash, unless it was
    /// [`kept`](Self::kept) since.
    fn calls(&mut self, _now: Timestamp) -> Vec<Asked> {
        Vec::new()
    }

    /// When the world outside has something to say next.
    fn next_due(&self) -> Option<Timestamp> {
        None
    }

    /// A turn was submitted: what must hold after it that only the scenario knows.
    ///
    /// # Errors
    ///
    /// The promise that does not hold.
    fn saw(&mut self, _seen: &Seen<'_>) -> Result<(), Broken> {
        Ok(())
    }

    /// Whether the turn that was just made takes the process down with it, as an overflow of the
    /// stack would: nothing of it is submitted.
    ///
    /// # Errors
    ///
    /// The promise that does not hold.
    fn takes_down(&mut self, _turned: &Turned, _now: Timestamp) -> Result<bool, Broken> {
        Ok(false)
    }

    /// Everything that was submitted is durable.
    fn kept(&mut self) {}

    /// The process ended; of the turns since [`kept`](Self::kept) that wrote anything, the first
    /// `n` survive.
    fn lost(&mut self, _n: u64) {}

    /// How much virtual time passes without trouble before all is asked to end: what is due by
    /// then must have happened.
    fn calm(&self) -> Duration {
        Duration::from_secs(10 * 60)
    }

    /// The time of trouble is over: what is asked so that all comes to its end.
    fn heal(&mut self, scene: Scene<'_>) -> Vec<Asked>;

    /// Whether an actor goes on for ever, and so is never at rest: one that looks around every
    /// hour, say. What it owes or has in its inbox at the end is no leak.
    fn is_perpetual(&self, _id: &ActorId) -> bool {
        false
    }

    /// How much virtual time all may take to come to its end.
    fn patience(&self) -> Duration {
        Duration::from_secs(24 * 60 * 60)
    }

    /// What must hold when all has come to its end.
    ///
    /// # Errors
    ///
    /// The promise that does not hold.
    fn end(&mut self, scene: Scene<'_>) -> Result<(), Broken>;
}
