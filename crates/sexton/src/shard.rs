//! The actix actor that owns an engine: mailbox in, batches to the store, outputs through the gate.
//!
//! One wake-up is one slice of work: some inputs, some steps that are due (mail, alarms), some
//! effects to begin. What is left goes into the next slice, after other tasks of the thread had
//! their turn; so ten thousand alarms due at once delay calls by a slice and never block them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, SpawnHandle, WrapFuture};
use sexton_core::{
    ActorId, Engine, Error, ErrorKind, Event, Request, Store, Switch, Timestamp, Turned, What,
};
use tokio::sync::{broadcast, oneshot};

use crate::clock::{Clock, TIMER_MAX, wait_for};
use crate::committer::Committer;
use crate::gate::{Gate, Outgoing};
use crate::log::Bell;
use crate::mailbox::{Input, Mailbox, Verdict, closed};
use crate::perform::Performers;
use crate::questions::Questions;

/// The most inputs of one slice. Chosen: some milliseconds at most.
const INPUTS_PER_SLICE: usize = 512;
/// The most mail and alarms of one slice. Chosen: well below a millisecond on a fast store.
const STEPS_PER_SLICE: usize = 64;
/// The most turns behind the gate before mail and alarms wait for the flush. Chosen: bounds
/// memory while a flush hangs; calls have their own limit.
const TURNS_WAITING_MAX: usize = 8_192;
/// The most effects that one shard has begun at a time, over all kinds. Chosen: a task each.
const EFFECTS_BEGUN_MAX: usize = 4_096;
/// How long mail and alarms rest after the store itself could not be read; an actor that cannot be
/// read is set aside by its engine and holds up nobody. Chosen: nothing mends it soon, and it must
/// not fill the log.
const REST_AFTER_CORRUPT: Duration = Duration::from_secs(30);

/// What all parts of a host have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) mailboxes: Vec<Arc<Mailbox>>,
    pub(crate) committer: Committer,
    pub(crate) events: broadcast::Sender<Arc<Event>>,
    pub(crate) bell: Bell,
    pub(crate) performers: Performers,
    pub(crate) questions: Questions,
    pub(crate) idle_after: Duration,
}

impl Shared {
    /// The mailbox of the shard that an actor lives in.
    pub(crate) fn mailbox(&self, id: &ActorId) -> &Arc<Mailbox> {
        let index = usize::from(id.shard().number()) % self.mailboxes.len();
        &self.mailboxes[index]
    }
}

/// "Look into your mailbox."
pub(crate) struct Wake;

impl actix::Message for Wake {
    type Result = ();
}

/// Owns the engine of a part of the shards.
pub(crate) struct ShardActor {
    /// `None` once the host drained it or the store failed.
    engine: Option<Engine>,
    shared: Arc<Shared>,
    mailbox: Arc<Mailbox>,
    gate: Gate,
    /// Whether batches were submitted that no flush was asked for.
    is_dirty: bool,
    effects_begun: usize,
    timer: Option<(Timestamp, SpawnHandle)>,
    /// The next slice, while it is scheduled.
    next_slice: Option<SpawnHandle>,
    /// No mail and no alarms before this, because the store could not be read.
    rests_until: Timestamp,
    evicted_at: Timestamp,
    drain: Option<oneshot::Sender<Result<(), Error>>>,
}

impl Actor for ShardActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.mailbox.belong(ctx.address());
    }
}

impl Handler<Wake> for ShardActor {
    type Result = ();

    fn handle(&mut self, _wake: Wake, ctx: &mut Self::Context) {
        self.work(ctx);
    }
}

impl Drop for ShardActor {
    fn drop(&mut self) {
        // Whoever waits for this shard must hear that it is gone, also when it panicked.
        self.mailbox.shut();
        if std::thread::panicking() {
            self.shared.mailboxes.iter().for_each(|mailbox| mailbox.fail());
        }
    }
}

impl ShardActor {
    pub(crate) fn new(engine: Engine, shared: Arc<Shared>, mailbox: Arc<Mailbox>) -> Self {
        Self {
            gate: Gate::new(engine.order()),
            engine: Some(engine),
            shared,
            mailbox,
            is_dirty: false,
            effects_begun: 0,
            timer: None,
            next_slice: None,
            rests_until: Timestamp::MIN,
            evicted_at: Timestamp::MIN,
            drain: None,
        }
    }

    /// One slice of work, then the next slice, or the timer.
    fn work(&mut self, ctx: &mut Context<Self>) {
        let taken = self.mailbox.take(INPUTS_PER_SLICE);
        if taken.is_failed {
            self.fail();
            return;
        }
        self.flushed(taken.durable);
        let is_more = match self.slice(taken.inputs) {
            Ok(is_more) => is_more,
            Err(error) => {
                tracing::error!(target: "sexton", %error, "a shard lost its store");
                self.shared.mailboxes.iter().for_each(|mailbox| mailbox.fail());
                self.fail();
                return;
            }
        };
        if std::mem::take(&mut self.is_dirty) {
            self.shared.committer.want();
        }
        if self.engine.is_none() || self.end_drain() {
            return;
        }
        let now = self.shared.clock.now();
        self.evict_idle(now);
        if is_more || !self.mailbox.sleep(taken.news) {
            self.schedule_slice(ctx);
        } else {
            self.set_timer(now, ctx);
        }
    }

    fn slice(&mut self, inputs: impl IntoIterator<Item = Input>) -> Result<bool, Error> {
        for input in inputs {
            self.take(input)?;
        }
        if self.drain.is_some() {
            return Ok(false);
        }
        let is_more = self.steps()?;
        let is_more = self.begin_effects()? || is_more;
        self.tell_unreadable();
        Ok(is_more)
    }

    /// Tells operators what was set aside: once each time that it was looked at in vain.
    fn tell_unreadable(&mut self) {
        for it in self.engine.iter_mut().flat_map(Engine::take_unreadable) {
            let (actor, why) = (&it.id, &it.why);
            tracing::error!(target: "sexton", %actor, why, "unreadable, and set aside");
        }
    }

    fn schedule_slice(&mut self, ctx: &mut Context<Self>) {
        if self.next_slice.is_some() {
            return;
        }
        let others_first = tokio::task::yield_now().into_actor(self);
        self.next_slice = Some(ctx.spawn(others_first.map(|(), shard, ctx| {
            shard.next_slice = None;
            shard.work(ctx);
        })));
    }

    fn take(&mut self, input: Input) -> Result<(), Error> {
        let Some(engine) = &mut self.engine else { return Ok(()) };
        match input {
            Input::Ask { id, request, verdict } => self.ask(&id, request, verdict),
            Input::Read(read) => {
                let gate = engine.order();
                let releases = vec![read(&*self.shared.store)];
                self.hold(Outgoing { gate, releases, events: Vec::new() });
                Ok(())
            }
            Input::Notice { place, to } => {
                engine.notice(place, to);
                Ok(())
            }
            Input::Answer { to, answer } => {
                self.effects_begun = self.effects_begun.saturating_sub(1);
                let result = self.turn(|engine, now, store| engine.answer(now, store, &to, answer));
                self.survive(result).map(drop)
            }
            Input::Alarms(to, done) => {
                engine.switch_alarms(to);
                let _nobody_waits = done.send(());
                Ok(())
            }
            Input::Effects(to, done) => {
                engine.switch_effects(to);
                let _nobody_waits = done.send(());
                Ok(())
            }
            Input::Figures(reply) => {
                // Nobody may be waiting any more.
                let _nobody_waits = reply.send(engine.figures());
                Ok(())
            }
            Input::Drain(reply) => {
                self.drain = Some(reply);
                Ok(())
            }
        }
    }

    /// Does what somebody outside asks, and tells the verdict in case the reply gets lost.
    fn ask(
        &mut self,
        id: &ActorId,
        request: Request,
        verdict: oneshot::Sender<Verdict>,
    ) -> Result<(), Error> {
        let result =
            self.turn(|engine, now, store| engine.request(now, store, id, request).map(Some));
        let (said, result) = match result {
            Ok(_) => (Verdict::Begun, Ok(())),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                tracing::error!(target: "sexton", %error, actor = %id, "unreadable");
                (Verdict::Failed(error), Ok(()))
            }
            Err(error) => (Verdict::Failed(closed()), Err(error)),
        };
        // Nobody waits for it whose reply came or who has gone.
        drop(verdict.send(said));
        result
    }

    /// Runs one turn in its span and passes on what it made. Whether there was one.
    fn turn(
        &mut self,
        step: impl FnOnce(&mut Engine, Timestamp, &dyn Store) -> Result<Option<Turned>, Error>,
    ) -> Result<bool, Error> {
        let Some(engine) = &mut self.engine else { return Ok(false) };
        let span = tracing::debug_span!(
            target: "sexton",
            "turn",
            actor = tracing::field::Empty,
            cause = tracing::field::Empty,
            order = tracing::field::Empty,
            lateness_ms = tracing::field::Empty
        );
        let _entered = span.enter();
        let now = self.shared.clock.now();
        let Some(turned) = step(engine, now, &*self.shared.store)? else { return Ok(false) };
        if !span.is_disabled() {
            if let Some((actor, cause)) = &turned.label {
                span.record("actor", tracing::field::display(actor));
                span.record("cause", cause.as_str());
            }
            span.record("order", turned.gate);
            turned.lateness_ms.inspect(|late| {
                span.record("lateness_ms", *late);
            });
        }
        self.pass_on(turned)?;
        Ok(true)
    }

    /// Submits the batch, announces mail elsewhere, and holds the rest until the flush.
    fn pass_on(&mut self, turned: Turned) -> Result<(), Error> {
        if let Some(batch) = turned.batch {
            let order = batch.order;
            self.shared.store.submit(batch)?;
            self.mailbox.submitted.store(order, Ordering::Release);
            self.is_dirty = true;
        }
        for (place, to) in turned.notices {
            self.shared.mailbox(&to).push(Input::Notice { place, to });
        }
        let Turned { gate, releases, events, .. } = turned;
        self.hold(Outgoing { gate, releases, events });
        Ok(())
    }

    fn hold(&mut self, outgoing: Outgoing) {
        if let Some(outgoing) = self.gate.hold(outgoing) {
            self.let_out(outgoing);
        }
    }

    fn let_out(&self, outgoing: Outgoing) {
        for event in outgoing.events {
            trace(&event);
            // An error says that nobody listens.
            drop(self.shared.events.send(Arc::new(event)));
        }
        for release in outgoing.releases {
            release();
        }
    }

    fn flushed(&mut self, order: u64) {
        if order <= self.gate.durable() {
            return;
        }
        if let Some(engine) = &mut self.engine {
            engine.flushed(order);
        }
        self.gate.open(order);
        while let Some(outgoing) = self.gate.take() {
            self.let_out(outgoing);
        }
    }

    /// Mail and alarms that are due, a bounded number. Whether there may be more.
    fn steps(&mut self) -> Result<bool, Error> {
        for _ in 0..STEPS_PER_SLICE {
            let now = self.shared.clock.now();
            let is_due = self.next_step().is_some_and(|at| at <= now);
            if !is_due || self.gate.len() >= TURNS_WAITING_MAX || self.rests(now).is_some() {
                return Ok(false);
            }
            let result = self.turn(|engine, now, store| engine.next(now, store));
            if !self.survive(result)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Goes on after a store that cannot be read; mail and alarms rest meanwhile.
    fn survive(&mut self, result: Result<bool, Error>) -> Result<bool, Error> {
        match result {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                tracing::error!(target: "sexton", %error, "the store cannot be read");
                self.rests_until = self.shared.clock.now() + REST_AFTER_CORRUPT;
                Ok(false)
            }
            other => other,
        }
    }

    /// Until when mail and alarms rest; a clock that was put back ends a rest.
    fn rests(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.rests_until;
        (until > now && until.since(now) <= REST_AFTER_CORRUPT).then_some(until)
    }

    /// When the next mail or alarm is due.
    fn next_step(&mut self) -> Option<Timestamp> {
        let engine = self.engine.as_mut()?;
        let debt = engine.next_debt();
        let Some(debt) = debt else { return engine.next_wake() };
        let wake = engine.next_wake();
        if wake != Some(debt) {
            return wake;
        }
        // The earliest is a debt, which may have to wait for a flush or a performer: what else?
        engine.switch_effects(Switch::Paused);
        let wake = engine.next_wake();
        engine.switch_effects(Switch::On);
        wake
    }

    /// Hands due effects to their performers, a bounded number. Whether there may be more.
    fn begin_effects(&mut self) -> Result<bool, Error> {
        let now = self.shared.clock.now();
        for _ in 0..STEPS_PER_SLICE {
            let Some(engine) = &mut self.engine else { return Ok(false) };
            let debt = engine.next_debt();
            if self.effects_begun >= EFFECTS_BEGUN_MAX || debt.is_none_or(|at| at > now) {
                return Ok(false);
            }
            match engine.next_effect(now, &*self.shared.store) {
                Ok(Some(owed)) => {
                    if self.shared.performers.begin(owed, &self.mailbox) {
                        self.effects_begun += 1;
                    }
                }
                Ok(None) if engine.next_debt() == debt => return Ok(false),
                Ok(None) => {}
                Err(error) => return self.survive(Err(error)),
            }
        }
        Ok(true)
    }

    fn evict_idle(&mut self, now: Timestamp) {
        let is_time = now.since(self.evicted_at) >= self.shared.idle_after / 4;
        if is_time || now < self.evicted_at {
            self.evicted_at = now;
            if let Some(engine) = &mut self.engine {
                engine.evict_idle(now - self.shared.idle_after);
            }
        }
    }

    /// Sets the timer to the next thing that is due, if none ends earlier.
    fn set_timer(&mut self, now: Timestamp, ctx: &mut Context<Self>) {
        let debt = self.engine.as_ref().and_then(Engine::next_debt).filter(|at| *at > now);
        let is_full = self.gate.len() >= TURNS_WAITING_MAX;
        let step = if is_full { None } else { self.next_step() };
        let step = step.map(|at| self.rests(now).map_or(at, |until| until.max(at)));
        let at = [step, debt, Some(now + TIMER_MAX)].into_iter().flatten().min().unwrap_or(now);
        if let Some((armed, handle)) = self.timer {
            if armed > now && armed <= at {
                return;
            }
            ctx.cancel_future(handle);
        }
        let handle = ctx.run_later(wait_for(now, at), |shard, ctx| {
            shard.timer = None;
            shard.work(ctx);
        });
        self.timer = Some((at, handle));
    }

    /// Answers the host that closes, once everything is durable and said.
    fn end_drain(&mut self) -> bool {
        let order = self.engine.as_ref().map_or(0, Engine::order);
        if self.drain.is_none() || self.gate.durable() < order || !self.gate.is_empty() {
            return false;
        }
        self.engine = None;
        self.mailbox.shut();
        if let Some(reply) = self.drain.take() {
            // The host may have been dropped while it closed.
            drop(reply.send(Ok(())));
        }
        true
    }

    /// The store failed: whoever waits is told by silence, see [`Verdict`].
    fn fail(&mut self) {
        self.engine = None;
        self.gate = Gate::default();
        self.mailbox.shut();
        if let Some(reply) = self.drain.take() {
            drop(reply.send(Err(closed())));
        }
    }
}

/// What operators look for first; never what an actor holds.
fn trace(event: &Event) {
    let actor = &event.actor;
    match &event.what {
        What::Destroying { .. } => {
            tracing::info!(target: "sexton", %actor, "destroy: the intent is durable");
        }
        What::Destroyed { .. } => {
            tracing::info!(target: "sexton", %actor, "destroy: the tombstone is durable");
        }
        What::Stalled { .. } => tracing::warn!(target: "sexton", %actor, "stalled"),
        What::Abandoned { number, .. } => {
            tracing::warn!(target: "sexton", %actor, number, "an effect was abandoned");
        }
        What::Created { .. }
        | What::Transition { .. }
        | What::DeadLetter { .. }
        | What::Fact { .. } => {}
    }
}
