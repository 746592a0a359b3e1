//! One story, told in every way: alarms alone, sweeps alone, killed behind every write.
//!
//! What a story asserts at its end must hold however the process fared meanwhile. A story that is
//! killed is told again from its beginning by the next process, as a client would repeat what it
//! asked: what was done is refused or changes nothing.

use std::cell::{RefCell, RefMut};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use sexton::Actor as _;
use sexton::sweep::{Sweep, Sweeper};
use sexton::{
    ActorId, Answer, Batch, Call, EffectId, Kinds, Limits, Owed, Store, Switch, Timestamp,
};

use crate::crash::{Left, live, named};
use crate::doubtful::Way;
use crate::every_crash;
use crate::world::{Outside, World, WorldError};

/// What a story is played with, always on a new store in memory.
pub struct Play<W> {
    pub(crate) kinds: fn() -> Kinds,
    pub(crate) newer: Option<fn() -> Kinds>,
    pub(crate) perform: fn(&mut W, &Owed) -> Answer,
    pub(crate) sweeps: fn() -> Vec<Box<dyn Sweep>>,
    pub(crate) limits: Limits,
    pub(crate) spoil: Option<fn(&mut Batch)>,
}

impl<W> fmt::Debug for Play<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Play").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<W> Play<W> {
    /// With these kinds (that of sweeps is added), and a world outside that performs an effect on
    /// what there is and answers. It must not mind being asked for the same one twice.
    pub fn new(kinds: fn() -> Kinds, perform: fn(&mut W, &Owed) -> Answer) -> Self {
        Self {
            kinds,
            newer: None,
            perform,
            sweeps: Vec::new,
            limits: Limits::default(),
            spoil: None,
        }
    }

    /// With these nets under the alarms, made anew for each process. Without any, nothing is told
    /// with sweeps alone.
    #[must_use]
    pub fn sweeps(mut self, sweeps: fn() -> Vec<Box<dyn Sweep>>) -> Self {
        self.sweeps = sweeps;
        self
    }

    /// With these limits of the engine.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Every process but the first is of a newer program, with these kinds.
    #[must_use]
    pub fn newer(mut self, kinds: fn() -> Kinds) -> Self {
        self.newer = Some(kinds);
        self
    }

    /// Every batch is changed by this before the store takes it, as an engine would change it that
    /// is broken: for controls, which show that what a story looks at can fail.
    #[must_use]
    pub fn spoiled(mut self, spoil: fn(&mut Batch)) -> Self {
        self.spoil = Some(spoil);
        self
    }

    /// The kinds of the first process, or of those after it.
    pub(crate) fn kinds_of(&self, is_first: bool) -> Kinds {
        let kinds = self.newer.filter(|_| !is_first).unwrap_or(self.kinds)();
        let has_sweeper = kinds.names().any(|name| name == Sweeper::KIND);
        if has_sweeper { kinds } else { kinds.with::<Sweeper>() }
    }
}

/// A world outside that answers at once. What there is outlives a crash; answers do not.
#[derive(Debug)]
pub struct Answering<W> {
    things: Rc<RefCell<W>>,
    perform: fn(&mut W, &Owed) -> Answer,
    answers: VecDeque<(EffectId, Answer)>,
}

impl<W> Answering<W> {
    pub(crate) fn new(things: Rc<RefCell<W>>, perform: fn(&mut W, &Owed) -> Answer) -> Self {
        Self { things, perform, answers: VecDeque::new() }
    }

    /// What there is outside.
    ///
    /// # Panics
    ///
    /// If somebody still has what an earlier call lent.
    pub fn things(&mut self) -> RefMut<'_, W> {
        self.things.borrow_mut()
    }
}

impl<W> Outside for Answering<W> {
    fn perform(
        &mut self,
        _now: Timestamp,
        owed: &Owed,
        _store: &dyn Store,
    ) -> Result<(), WorldError> {
        let answer = (self.perform)(&mut self.things.borrow_mut(), owed);
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

/// Tells a story in every way: with everything, with alarms alone, with sweeps alone, killed
/// behind every write, and killed so again while it recovers; says how many commits it has. After
/// each kill and at the end of every telling its store is audited.
///
/// The story asks, lets time pass, flushes and asserts. It must stand being begun again after a
/// crash, so it goes to moments ([`World::advance_to`]) and not for durations, and it must pass
/// on every error of the world with `?`. Keep it short: it is told twice for each of its writes,
/// and every pass of a sweep is one. What can go wrong beside kills is [`every_crash`]'s.
///
/// # Errors
///
/// What a telling ended with, after the way in which it was told: what the world says, or the
/// promises that the audit found broken.
///
/// # Panics
///
/// If the story panics; the message says in which way it was told.
pub fn every_way<W: Default + Clone>(
    play: &Play<W>,
    story: impl Fn(&mut World<Answering<W>>) -> Result<(), WorldError>,
) -> Result<u64, WorldError> {
    let nothing = Left::nothing();
    let look = |_: &mut _| Ok(());
    named(&"with alarms alone", || live(play, &nothing, None, (&story, look)))?;
    if !(play.sweeps)().is_empty() {
        named(&"with sweeps alone", || {
            let story = |world: &mut World<Answering<W>>| {
                world.engine().switch_alarms(Switch::Paused);
                add_sweeps(play, world)?;
                story(world)
            };
            live(play, &nothing, None, (story, look))
        })?;
    }
    // As many pairs as there are kills: pass three costs what pass two does.
    let killed = every_crash(play, story).only_ways(&[Way::DiesBehind]).run()?;
    Ok(killed.commits)
}

/// Adds the sweeps of a play to a world.
pub(crate) fn add_sweeps<W>(
    play: &Play<W>,
    world: &mut World<Answering<W>>,
) -> Result<(), WorldError> {
    (play.sweeps)().into_iter().try_for_each(|sweep| world.add_sweep(sweep))
}
