//! One thread, virtual time: the engine, its store, its sweeps, and the world outside.
//!
//! At one instant the order of steps is always the same: what the engine has to do; answers that
//! are due; calls from outside; a flush; effects that are due; then one sweep that is due. When
//! nothing of that is left, whoever drives the world feeds it or lets time pass. All of it can be
//! told from what is durable, so a recovered world does the same steps in the same order.

use std::fmt;
use std::sync::Arc;

use sexton::key::Key;
use sexton::sweep::{self, Pass, Plan, Sweep, Sweeper};
use sexton::{
    ActorId, Answer, Batch, Call, EffectId, Engine, Error, ErrorKind, Kinds, Limits, Owed, Part,
    Request, Store, Timestamp, Turned, key, query,
};

use crate::hash::Hasher;
use crate::tally::Tally;

/// What ends a run that is not an ordinary error.
#[derive(Debug)]
pub enum WorldError {
    /// The engine or its store failed.
    Runtime(Error),
    /// The world outside failed: its file, its script.
    Outside(Box<dyn std::error::Error + Send + Sync>),
    /// The number of commits after which the run was to stop is reached; they are durable.
    Stopped,
}

impl fmt::Display for WorldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runtime(error) => write!(f, "{error}"),
            Self::Outside(error) => write!(f, "{error}"),
            Self::Stopped => f.write_str("stopped after the commits that were asked for"),
        }
    }
}

impl std::error::Error for WorldError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Runtime(error) => error.source(),
            Self::Outside(error) => error.source(),
            Self::Stopped => None,
        }
    }
}

impl From<Error> for WorldError {
    fn from(error: Error) -> Self {
        Self::Runtime(error)
    }
}

/// The world outside in virtual time: it performs effects, answers them, and calls.
pub trait Outside {
    /// Begins an effect. Its answer comes from [`take_due`](Self::take_due), at once or later.
    ///
    /// # Errors
    ///
    /// [`WorldError`] ends the run.
    fn perform(&mut self, now: Timestamp, owed: &Owed, store: &dyn Store)
    -> Result<(), WorldError>;

    /// The next answer that is due, oldest first.
    ///
    /// # Errors
    ///
    /// [`WorldError`] ends the run.
    fn take_due(&mut self, now: Timestamp) -> Result<Option<(EffectId, Answer)>, WorldError>;

    /// The next call that the world makes on an actor.
    ///
    /// # Errors
    ///
    /// [`WorldError`] ends the run.
    fn take_call(&mut self, now: Timestamp) -> Result<Option<(ActorId, Call)>, WorldError>;

    /// Everything that was handed in so far is durable: calls need not be repeated.
    ///
    /// # Errors
    ///
    /// [`WorldError`] ends the run.
    fn flushed(&mut self) -> Result<(), WorldError>;

    /// When it has something to say next.
    fn next_due(&self) -> Option<Timestamp>;
}

/// After how many commits a flush is due although nothing waits for it: bounds what a crash
/// takes back. Chosen.
const COMMITS_PER_FLUSH_MAX: u64 = 4_096;

/// A sweep and when it passes next.
struct Scheduled {
    sweep: Box<dyn Sweep>,
    id: ActorId,
    next_at: Timestamp,
    /// What the keys of the rows in its scope begin with.
    scope: Vec<Key>,
    /// Until then nothing is found if nothing of its scope is written; looking at hundreds of
    /// rows every five minutes of months would be most of a replay.
    quiet_until: Option<Timestamp>,
}

/// An engine in virtual time.
pub struct World<O> {
    outside: O,
    tally: Tally,
    engine: Engine,
    store: Arc<dyn Store>,
    now: Timestamp,
    sweeps: Vec<Scheduled>,
    trace: Hasher,
    unflushed: u64,
    held: Vec<Turned>,
    stop_after: Option<u64>,
    /// Alarms since the last look: how many, and the greatest lateness in milliseconds.
    rung: (u64, u64),
}

impl<O: fmt::Debug> fmt::Debug for World<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now)
            .field("engine", &self.engine)
            .field("outside", &self.outside)
            .finish_non_exhaustive()
    }
}

impl<O: Outside> World<O> {
    /// Claims a store and takes it up where it stopped.
    ///
    /// # Errors
    ///
    /// What the store says, and what cannot be read in it.
    pub fn open(
        store: Arc<dyn Store>,
        kinds: Kinds,
        limits: Limits,
        outside: O,
    ) -> Result<Self, WorldError> {
        let fences = store.claim()?;
        let engine = Engine::recover(kinds, limits, store.as_ref(), (Part::WHOLE, &fences))?;
        let mut tally = Tally::default();
        query::all_rows(store.as_ref(), |row| {
            tally.found(row.id.kind(), &row.status);
            Ok(())
        })?;
        let mut world = Self {
            outside,
            tally,
            now: engine.recovered_at(),
            engine,
            store,
            sweeps: Vec::new(),
            trace: Hasher::default(),
            unflushed: 0,
            held: Vec::new(),
            stop_after: None,
            rung: (0, 0),
        };
        // What an earlier process had begun is asked for again before anything else happens, so
        // that its answers come when they would have come.
        world.perform_all()?;
        Ok(world)
    }

    /// Ends the run with [`WorldError::Stopped`] when so many commits are durable.
    pub fn stop_after(&mut self, commits: u64) {
        self.stop_after = Some(commits);
    }

    /// Adds a sweep; the actor that remembers for it is created if it is not there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`] if its scope names a kind or a status that is not known, and what
    /// the engine says.
    pub fn add_sweep(&mut self, sweep: Box<dyn Sweep>) -> Result<(), WorldError> {
        sweep::check_scope(sweep.as_ref(), self.engine.kinds())?;
        let id =
            sweep::sweeper(sweep.name()).map_err(|error| WorldError::Outside(Box::new(error)))?;
        let known = query::state::<Sweeper>(self.store.as_ref(), &id)?;
        let next_at = if let Some(state) = known {
            state.next_at
        } else {
            let next_at = self.now + sweep.every();
            let init = (next_at, sweep.back_off());
            let request = Request::create::<Sweeper>(&init, Box::new(drop))?;
            self.request(&id, request)?;
            next_at
        };
        let scope = sweep.scope().iter().map(|of| key::rows(of.0, of.1)).collect();
        self.sweeps.push(Scheduled { sweep, id, next_at, scope, quiet_until: None });
        Ok(())
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The world outside.
    pub fn outside(&mut self) -> &mut O {
        &mut self.outside
    }

    /// What the run counted so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How many alarms rang since this was last asked, and how late the latest of them was.
    pub fn take_alarms(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.rung)
    }

    /// The store, for reading.
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// The engine, for its switches and figures.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// The hash over every turn so far, in order.
    pub fn trace_hash(&self) -> String {
        self.trace.text()
    }

    /// Does what somebody asks of an actor.
    ///
    /// # Errors
    ///
    /// What the engine says; what concerns the caller only is in the reply.
    pub fn request(&mut self, id: &ActorId, request: Request) -> Result<(), WorldError> {
        let turned = self.engine.request(self.now, self.store.as_ref(), id, request)?;
        self.absorb(turned)
    }

    /// Does all that can be done at this moment.
    ///
    /// # Errors
    ///
    /// What the engine, the store and the world outside say.
    pub fn settle(&mut self) -> Result<(), WorldError> {
        loop {
            self.run()?;
            if self.pass_next()? {
                continue;
            }
            return Ok(());
        }
    }

    /// Lets time pass to `to`, doing everything on the way at its own moment.
    ///
    /// # Errors
    ///
    /// As [`settle`](Self::settle).
    pub fn advance_to(&mut self, to: Timestamp) -> Result<(), WorldError> {
        loop {
            self.settle()?;
            match self.next_moment() {
                Some(next) if next <= to => self.now = next.max(self.now),
                Some(_) | None => break,
            }
        }
        self.now = to.max(self.now);
        Ok(())
    }

    /// When something happens next without further input.
    pub fn next_moment(&self) -> Option<Timestamp> {
        let sweep = self.sweeps.iter().map(|it| it.next_at).min();
        [self.engine.next_wake(self.now), self.outside.next_due(), sweep]
            .into_iter()
            .flatten()
            .min()
    }

    /// Makes everything durable and publishes it.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn flush(&mut self) -> Result<(), WorldError> {
        if self.unflushed == 0 && self.held.is_empty() {
            return Ok(());
        }
        if self.unflushed > 0 {
            self.store.flush()?;
            self.unflushed = 0;
        }
        self.engine.flushed(self.engine.order());
        for turned in std::mem::take(&mut self.held) {
            for event in &turned.events {
                self.tally.publish(event);
            }
            for release in turned.releases {
                release.leave();
            }
        }
        self.outside.flushed()
    }

    fn run(&mut self) -> Result<(), WorldError> {
        loop {
            while let Some(turned) = self.engine.next(self.now, self.store.as_ref())? {
                self.absorb(turned)?;
            }
            if let Some((id, answer)) = self.outside.take_due(self.now)? {
                let turned = self.engine.answer(self.now, self.store.as_ref(), &id, answer)?;
                self.absorb(turned.unwrap_or_default())?;
                continue;
            }
            if let Some((id, call)) = self.outside.take_call(self.now)? {
                self.request(&id, Request::Call(call))?;
                continue;
            }
            let is_held_up = self.engine.needs_flush(self.now);
            if is_held_up {
                self.flush()?;
            }
            if !self.perform_all()? && !is_held_up {
                return Ok(());
            }
        }
    }

    fn perform_all(&mut self) -> Result<bool, WorldError> {
        let mut is_any = false;
        while let Some(owed) = self.engine.next_effect(self.now, self.store.as_ref())? {
            self.tally.performed += 1;
            self.tally.retried += u64::from(owed.failures > 0);
            self.outside.perform(self.now, &owed, self.store.as_ref())?;
            is_any = true;
        }
        Ok(is_any)
    }

    /// Lets the first sweep pass that is due.
    fn pass_next(&mut self) -> Result<bool, WorldError> {
        let now = self.now;
        let Some(it) = self.sweeps.iter_mut().find(|it| it.next_at <= now) else {
            return Ok(false);
        };
        let id = it.id.clone();
        let plan = if it.quiet_until.is_some_and(|until| until > now) {
            Plan { quiet_until: it.quiet_until, ..Plan::default() }
        } else {
            let state = query::state::<Sweeper>(self.store.as_ref(), &id)?.ok_or_else(|| {
                let message = format!("{id}, which remembers for a sweep, is gone");
                Error::new(ErrorKind::NotFound, message)
            })?;
            sweep::plan(it.sweep.as_ref(), &state, now, self.store.as_ref())?
        };
        it.quiet_until = plan.quiet_until;
        // On the grid of the first pass, also after a stretch in which none could be made.
        while it.next_at <= now {
            it.next_at = it.next_at + it.sweep.every();
        }
        let pass = Pass::of(plan, it.next_at);
        self.request(&id, Request::Call(Call::new::<Sweeper, Pass>(pass, Box::new(drop))))?;
        Ok(true)
    }

    /// A row that is put may be one that a sweep looks for.
    fn note_rows(&mut self, batch: &Batch) {
        for it in self.sweeps.iter_mut().filter(|it| it.quiet_until.is_some()) {
            let is_in = |key: &Key| it.scope.iter().any(|rows| key.starts_with(rows));
            if batch.writes.iter().any(|write| is_in(&write.key)) {
                it.quiet_until = None;
            }
        }
    }

    fn absorb(&mut self, mut turned: Turned) -> Result<(), WorldError> {
        let Some((id, cause)) = &turned.label else { return Ok(()) };
        let is_end = turned.batch.is_none() || turned.events.iter().any(is_end_of_life);
        self.tally.turn(id, is_end || cause == "answer");
        self.trace.add_turn(self.now, &turned);
        if let Some(lateness_ms) = turned.lateness_ms {
            self.tally.ring(lateness_ms);
            self.rung = (self.rung.0 + 1, self.rung.1.max(lateness_ms));
        }
        let batch = turned.batch.take();
        if !turned.events.is_empty() || !turned.releases.is_empty() {
            self.held.push(turned);
        }
        let Some(batch) = batch else { return Ok(()) };
        self.note_rows(&batch);
        self.store.submit(batch)?;
        self.unflushed += 1;
        self.tally.commits += 1;
        if self.stop_after.is_some_and(|stop| self.tally.commits >= stop) {
            self.store.flush()?;
            return Err(WorldError::Stopped);
        }
        if self.unflushed >= COMMITS_PER_FLUSH_MAX {
            self.flush()?;
        }
        Ok(())
    }
}

/// Events that may be published about a name after or by its tombstone.
fn is_end_of_life(event: &sexton::Event) -> bool {
    match event.what {
        sexton::What::Destroyed { .. } | sexton::What::DeadLetter { .. } => true,
        sexton::What::Created { .. }
        | sexton::What::Transition { .. }
        | sexton::What::Destroying { .. }
        | sexton::What::Stalled { .. }
        | sexton::What::Abandoned { .. }
        | sexton::What::Fact { .. } => false,
    }
}
