//! One story, told in every way: alarms alone, sweeps alone, killed behind every commit.
//!
//! What a story asserts at its end must hold however the process fared meanwhile. A story that is
//! killed is told again from its beginning by the next process, as a client would repeat what it
//! asked: what was done is refused or changes nothing.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use sexton::sweep::{Sweep, Sweeper};
use sexton::{
    Actor, ActorId, Answer, Call, EffectId, Error, ErrorKind, Kinds, Limits, Owed, Store, Switch,
    Timestamp, audit,
};

use crate::world::{Outside, World, WorldError};

/// The broken promises that one error names. Chosen: the first few say what is wrong.
const BROKEN_MAX: usize = 10;

/// What a story is played with. All of it is made anew for each telling.
#[derive(Clone, Copy)]
pub struct Play<W> {
    /// The kinds; that of sweeps is added.
    pub kinds: fn() -> Kinds,
    /// An empty store, such as `MemoryStore` of `sexton-store`.
    pub store: fn() -> Arc<dyn Store>,
    /// The nets under the alarms; without any, nothing is told with sweeps alone.
    pub sweeps: fn() -> Vec<Box<dyn Sweep>>,
    /// Performs an effect on what there is outside, and answers. Must not mind being asked twice.
    pub perform: fn(&mut W, &Owed) -> Answer,
}

impl<W> fmt::Debug for Play<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Play").finish_non_exhaustive()
    }
}

/// A world outside that answers at once. What there is outlives a crash; answers do not.
#[derive(Debug)]
pub struct Answering<W> {
    things: W,
    perform: fn(&mut W, &Owed) -> Answer,
    answers: VecDeque<(EffectId, Answer)>,
}

impl<W> Answering<W> {
    /// What there is outside.
    pub fn things(&mut self) -> &mut W {
        &mut self.things
    }
}

impl<W> Outside for Answering<W> {
    fn perform(
        &mut self,
        _now: Timestamp,
        owed: &Owed,
        _store: &dyn Store,
    ) -> Result<(), WorldError> {
        let answer = (self.perform)(&mut self.things, owed);
        self.answers.push_back((owed.id.clone(), answer));
        Ok(())
    }

    fn take_due(&mut self, _now: Timestamp) -> Result<Option<(EffectId, Answer)>, WorldError> {
        Ok(self.answers.pop_front())
    }

    fn take_call(&mut self, _now: Timestamp) -> Result<Option<(ActorId, Call)>, WorldError> {
        Ok(None)
    }

    fn flushed(&mut self) -> Result<(), WorldError> {
        Ok(())
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.answers.front().map(|_| Timestamp::MIN)
    }
}

/// How a story is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Whole,
    WithoutAlarms,
    WithoutSweeps,
    KilledBehind(u64),
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("with everything"),
            Self::WithoutAlarms => f.write_str("with sweeps alone"),
            Self::WithoutSweeps => f.write_str("with alarms alone"),
            Self::KilledBehind(commit) => write!(f, "killed behind commit {commit}"),
        }
    }
}

/// Tells a story in every way; says how many commits it has, each of which was the last of a
/// process once. Every telling ends with an audit of the store.
///
/// The story asks, lets time pass, flushes and asserts. It must stand being begun again after a
/// crash, so it goes to moments ([`World::advance_to`]) and not for durations, and it must pass
/// on every error of the world with `?`. Keep it short: it is told once for each of its commits,
/// and every pass of a sweep is one.
///
/// # Errors
///
/// What a telling ended with, after the way in which it was told: what the world says, or the
/// promises that the audit found broken.
///
/// # Panics
///
/// If the story panics; the message says in which way it was told.
pub fn every_way<W: Default>(
    play: &Play<W>,
    story: impl Fn(&mut World<Answering<W>>) -> Result<(), WorldError>,
) -> Result<u64, WorldError> {
    let commits = told(play, &story, Way::Whole)?;
    told(play, &story, Way::WithoutSweeps)?;
    if !(play.sweeps)().is_empty() {
        told(play, &story, Way::WithoutAlarms)?;
    }
    for commit in 1..=commits {
        told(play, &story, Way::KilledBehind(commit))?;
    }
    Ok(commits)
}

/// Tells it in one way, with that way in whatever goes wrong.
fn told<W: Default>(
    play: &Play<W>,
    story: &impl Fn(&mut World<Answering<W>>) -> Result<(), WorldError>,
    way: Way,
) -> Result<u64, WorldError> {
    let telling = catch_unwind(AssertUnwindSafe(|| tell(play, story, way)));
    let result = telling.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        match text {
            Some(text) => resume_unwind(Box::new(format!("{way}: {text}"))),
            None => resume_unwind(panic),
        }
    });
    result.map_err(|error| WorldError::Outside(format!("{way}: {error}").into()))
}

fn tell<W: Default>(
    play: &Play<W>,
    story: &impl Fn(&mut World<Answering<W>>) -> Result<(), WorldError>,
    way: Way,
) -> Result<u64, WorldError> {
    let store = (play.store)();
    let mut things = W::default();
    if let Way::KilledBehind(commit) = way {
        let mut world = open(play, &store, things)?;
        world.stop_after(commit);
        match live(play, story, (&mut world, way)) {
            Err(WorldError::Stopped) => things = std::mem::take(&mut world.outside().things),
            Err(error) => return Err(error),
            Ok(()) => {
                let message = "the story has fewer commits than when it was told before";
                return Err(Error::new(ErrorKind::Refused, message).into());
            }
        }
    }
    let mut world = open(play, &store, things)?;
    live(play, story, (&mut world, way))?;
    world.flush()?;
    let broken = audit::audit(world.store(), &kinds(play), BROKEN_MAX)?;
    if broken.is_empty() {
        return Ok(world.tally().commits);
    }
    let texts: Vec<String> = broken.iter().map(ToString::to_string).collect();
    Err(WorldError::Outside(texts.join("; ").into()))
}

fn open<W>(
    play: &Play<W>,
    store: &Arc<dyn Store>,
    things: W,
) -> Result<World<Answering<W>>, WorldError> {
    let outside = Answering { things, perform: play.perform, answers: VecDeque::new() };
    World::open(Arc::clone(store), kinds(play), Limits::default(), outside)
}

fn live<W>(
    play: &Play<W>,
    story: &impl Fn(&mut World<Answering<W>>) -> Result<(), WorldError>,
    at: (&mut World<Answering<W>>, Way),
) -> Result<(), WorldError> {
    let (world, way) = at;
    if way == Way::WithoutAlarms {
        world.engine().switch_alarms(Switch::Paused);
    }
    if way != Way::WithoutSweeps {
        for sweep in (play.sweeps)() {
            world.add_sweep(sweep)?;
        }
    }
    story(world)
}

fn kinds<W>(play: &Play<W>) -> Kinds {
    let kinds = (play.kinds)();
    let has_sweeper = kinds.names().any(|name| name == Sweeper::KIND);
    if has_sweeper { kinds } else { kinds.with::<Sweeper>() }
}
