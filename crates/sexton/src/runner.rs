//! What the owner of an engine does next: mailbox in, batches to the store, outputs through the gate.
//!
//! One wake-up is one slice of work: some inputs, some steps that are due (mail, alarms), some
//! effects to begin. What is left goes into the next slice, after other tasks of the thread had
//! their turn; so ten thousand alarms due at once delay calls by a slice and never block them.
//!
//! ```text
//! mailbox --> Runner::work --> Next::Again           another slice, after others had their turn
//!                 |       \--> Next::Wait(Some(at))   at this moment, or when there is news
//!              Around      \-> Next::Over             the host was closed, or the store failed
//! ```
//!
//! No thread, no timer and no clock is in here: [`Around`] is all that a runner stands in. A host
//! surrounds it with an actix actor and the machine's clock, the simulator with virtual time and a
//! doubtful disk: what is simulated is what runs.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sexton_core::{
    ActorId, Engine, Error, ErrorKind, Event, Owed, Request, Store, Timestamp, Turned,
};
use tokio::sync::oneshot;

use crate::clock::Stopwatch;
use crate::gate::Outgoing;
use crate::mailbox::{Input, Mailbox, Verdict, closed};
use crate::tally::Cause;

/// How much one slice of work is at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Inputs that are taken from the mailbox.
    pub inputs: usize,
    /// Mail and alarms.
    pub steps: usize,
    /// Effects that are handed to their performers.
    pub effects: usize,
}

impl Slice {
    /// A host's. Chosen: inputs are some milliseconds at most, steps well below a millisecond on a
    /// fast store.
    pub const HOST: Self = Self { inputs: 512, steps: 64, effects: 64 };
}

/// The most turns behind the gate before mail and alarms wait for the flush. Chosen: bounds
/// memory while a flush hangs; calls have their own limit.
const TURNS_WAITING_MAX: usize = 8_192;
/// The most effects that one runner has begun at a time, over all kinds. Chosen: a task each.
const EFFECTS_BEGUN_MAX: usize = 4_096;
/// How long mail and alarms rest after the store itself could not be read; an actor that cannot be
/// read is set aside by its engine and holds up nobody. Chosen: nothing mends it soon, and it must
/// not fill the log.
const REST_AFTER_CORRUPT: Duration = Duration::from_secs(30);

/// All that a runner stands in.
pub trait Around {
    /// The moment.
    fn now(&self) -> Timestamp;

    /// The store.
    fn store(&self) -> &dyn Store;

    /// Submits a turn's batch, if it has one, and announces its mail to other engines.
    ///
    /// # Errors
    ///
    /// As [`Store::submit`]; the runner then ends.
    fn submit(&mut self, turned: &mut Turned) -> Result<(), Error>;

    /// Asks for a flush.
    fn want_flush(&mut self);

    /// Hands an effect to its performer, whose answer comes as [`Input::Answer`]. Whether anybody
    /// performs such effects.
    fn begin(&mut self, owed: Owed) -> bool;

    /// Gives an event to whoever subscribed. It is durable.
    fn tell(&mut self, event: Event);

    /// Hears that the store failed: none may go on.
    fn lost(&mut self, error: &Error);

    /// A watch for the turn that begins, if it is to be timed: for figures.
    fn watch(&self) -> Option<Stopwatch> {
        None
    }

    /// Hears how a turn ended that came of `cause`, or of an alarm: for figures.
    fn ran(&self, _turned: &Turned, _cause: Cause, _watch: Option<Stopwatch>) {}
}

/// When a runner has to work again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// As soon as others had their turn.
    Again,
    /// At this moment, or never; or as soon as there is news in its mailbox.
    Wait(Option<Timestamp>),
    /// Never: it was drained, or the store failed.
    Over,
}

/// Owns the engine of a part of the shards, and runs it.
pub struct Runner {
    /// `None` once the host drained it or the store failed.
    engine: Option<Engine>,
    mailbox: Arc<Mailbox>,
    idle_after: Duration,
    /// Whether batches were submitted that no flush was asked for.
    is_dirty: bool,
    effects_begun: usize,
    /// No mail and no alarms before this, because the store could not be read.
    rests_until: Timestamp,
    evicted_at: Timestamp,
    drain: Option<oneshot::Sender<Result<(), Error>>>,
    /// Empty between two slices: memory for the inputs of the next.
    inputs: VecDeque<Input>,
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("mailbox", &self.mailbox).finish_non_exhaustive()
    }
}

impl Runner {
    /// A runner of an engine that was recovered; actors that had no turn for `idle_after` leave
    /// its memory.
    pub fn new(engine: Engine, mailbox: Arc<Mailbox>, idle_after: Duration) -> Self {
        mailbox.begin(engine.order());
        Self {
            engine: Some(engine),
            mailbox,
            idle_after,
            is_dirty: false,
            effects_begun: 0,
            rests_until: Timestamp::MIN,
            evicted_at: Timestamp::MIN,
            drain: None,
            inputs: VecDeque::new(),
        }
    }

    /// Its mailbox.
    pub fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// Its engine, as long as it works.
    pub fn engine(&mut self) -> Option<&mut Engine> {
        self.engine.as_mut()
    }

    /// One slice of work.
    pub fn work(&mut self, slice: Slice, around: &mut dyn Around) -> Next {
        if let Some(engine) = &mut self.engine {
            engine.begin(around.now());
        }
        let mut inputs = std::mem::take(&mut self.inputs);
        let told = self.mailbox.take(slice.inputs, &mut inputs);
        if told.is_failed {
            self.fail();
            return Next::Over;
        }
        self.flushed(told.durable, around);
        let result = self.slice(&mut inputs, slice, around);
        inputs.clear();
        self.inputs = inputs;
        let is_more = match result {
            Ok(is_more) => is_more,
            Err(error) => {
                tracing::error!(target: "sexton", %error, "a runner lost its store");
                around.lost(&error);
                self.fail();
                return Next::Over;
            }
        };
        if std::mem::take(&mut self.is_dirty) {
            around.want_flush();
        }
        if self.engine.is_none() || self.end_drain() {
            return Next::Over;
        }
        let now = around.now();
        self.evict_idle(now);
        if is_more || !self.mailbox.sleep(&told, self.awaits_flush(now)) {
            Next::Again
        } else {
            Next::Wait(self.next_due(now))
        }
    }

    fn slice(
        &mut self,
        inputs: &mut VecDeque<Input>,
        slice: Slice,
        around: &mut dyn Around,
    ) -> Result<bool, Error> {
        while let Some(input) = inputs.pop_front() {
            self.take(input, around)?;
        }
        if self.drain.is_some() {
            return Ok(false);
        }
        let is_more = self.steps(slice.steps, around)?;
        let is_more = self.begin_effects(slice.effects, around)? || is_more;
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

    fn take(&mut self, input: Input, around: &mut dyn Around) -> Result<(), Error> {
        let Some(engine) = &mut self.engine else { return Ok(()) };
        match input {
            Input::Ask { id, request, verdict } => self.ask(&id, request, verdict, around),
            Input::Read(read) => {
                let gate = engine.order();
                let releases = vec![read(around.store())];
                self.hold(Outgoing { gate, releases, events: Vec::new() }, around);
                Ok(())
            }
            Input::Notice { place, to } => {
                engine.notice(place, to);
                Ok(())
            }
            Input::Answer { to, answer } => {
                self.effects_begun = self.effects_begun.saturating_sub(1);
                let step = |engine: &mut Engine, now, store: &dyn Store| {
                    engine.answer(now, store, &to, answer)
                };
                let result = self.turn(Cause::Outcome, step, around);
                self.survive(result, around).map(drop)
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
        around: &mut dyn Around,
    ) -> Result<(), Error> {
        let step = |engine: &mut Engine, now, store: &dyn Store| {
            engine.request(now, store, id, request).map(Some)
        };
        let (said, result) = match self.turn(Cause::Request, step, around) {
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
        cause: Cause,
        step: impl FnOnce(&mut Engine, Timestamp, &dyn Store) -> Result<Option<Turned>, Error>,
        around: &mut dyn Around,
    ) -> Result<bool, Error> {
        let Some(engine) = &mut self.engine else { return Ok(false) };
        let span = tracing::debug_span!(
            target: "sexton",
            "turn",
            kind = tracing::field::Empty,
            actor = tracing::field::Empty,
            cause = tracing::field::Empty,
            order = tracing::field::Empty,
            lateness_ms = tracing::field::Empty
        );
        let _entered = span.enter();
        let (now, watch) = (around.now(), around.watch());
        let Some(turned) = step(engine, now, around.store())? else { return Ok(false) };
        around.ran(&turned, cause, watch);
        if !span.is_disabled() {
            if let Some((actor, cause)) = &turned.label {
                span.record("kind", actor.kind());
                span.record("actor", tracing::field::display(actor));
                span.record("cause", cause.as_ref());
            }
            span.record("order", turned.gate);
            turned.lateness_ms.inspect(|late| {
                span.record("lateness_ms", *late);
            });
        }
        self.pass_on(turned, around)?;
        Ok(true)
    }

    /// Submits the batch, announces mail elsewhere, and holds the rest until the flush.
    fn pass_on(&mut self, mut turned: Turned, around: &mut dyn Around) -> Result<(), Error> {
        let order = turned.batch.as_ref().map(|batch| batch.order);
        around.submit(&mut turned)?;
        if let Some(order) = order {
            self.mailbox.submitted(order);
            self.is_dirty = true;
        }
        let Turned { gate, releases, events, .. } = turned;
        self.hold(Outgoing { gate, releases, events }, around);
        Ok(())
    }

    fn hold(&mut self, outgoing: Outgoing, around: &mut dyn Around) {
        let leaving = self.mailbox.gate().hold(outgoing);
        if let Some(outgoing) = leaving {
            let_out(outgoing, around);
        }
    }

    /// What a flush leaves to the shard's thread.
    fn flushed(&mut self, order: u64, around: &mut dyn Around) {
        if let Some(engine) = &mut self.engine {
            engine.flushed(order);
        }
        loop {
            let next = self.mailbox.gate().take();
            let Some(outgoing) = next else { return };
            let_out(outgoing, around);
        }
    }

    /// Whether there is something to do after the next flush that is nobody else's.
    fn awaits_flush(&self, now: Timestamp) -> bool {
        self.drain.is_some()
            || self.is_gate_full()
            || self.engine.as_ref().is_some_and(|engine| engine.needs_flush(now))
    }

    /// Whether mail and alarms have to wait for the flush.
    fn is_gate_full(&self) -> bool {
        self.mailbox.gate().len() >= TURNS_WAITING_MAX
    }

    /// Mail and alarms that are due, a bounded number. Whether there may be more.
    fn steps(&mut self, limit: usize, around: &mut dyn Around) -> Result<bool, Error> {
        for _ in 0..limit {
            if !self.is_step_due(around.now()) {
                return Ok(false);
            }
            let next = |engine: &mut Engine, now, store: &dyn Store| engine.next(now, store);
            let result = self.turn(Cause::Mail, next, around);
            if !self.survive(result, around)? {
                return Ok(false);
            }
        }
        Ok(self.is_step_due(around.now()))
    }

    /// Whether a mail or an alarm is due and may have its turn.
    fn is_step_due(&self, now: Timestamp) -> bool {
        let next = self.engine.as_ref().and_then(|engine| engine.next_turn(now));
        next.is_some_and(|at| at <= now) && !self.is_gate_full() && self.rests(now).is_none()
    }

    /// Goes on after a store that cannot be read; mail and alarms rest meanwhile.
    fn survive(
        &mut self,
        result: Result<bool, Error>,
        around: &mut dyn Around,
    ) -> Result<bool, Error> {
        match result {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                tracing::error!(target: "sexton", %error, "the store cannot be read");
                self.rests_until = around.now() + REST_AFTER_CORRUPT;
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

    /// Hands due effects to their performers, a bounded number. Whether there may be more.
    fn begin_effects(&mut self, limit: usize, around: &mut dyn Around) -> Result<bool, Error> {
        let now = around.now();
        for _ in 0..limit {
            if self.effects_begun >= EFFECTS_BEGUN_MAX {
                return Ok(false);
            }
            let Some(engine) = &mut self.engine else { return Ok(false) };
            match engine.next_effect(now, around.store()) {
                Ok(Some(owed)) => self.effects_begun += usize::from(around.begin(owed)),
                Ok(None) => return Ok(false),
                Err(error) => return self.survive(Err(error), around),
            }
        }
        Ok(self.is_effect_due(now))
    }

    /// Whether an effect is due, durable, and may begin.
    fn is_effect_due(&self, now: Timestamp) -> bool {
        self.effects_begun < EFFECTS_BEGUN_MAX
            && self.engine.as_ref().is_some_and(|engine| engine.is_effect_due(now))
    }

    fn evict_idle(&mut self, now: Timestamp) {
        let is_time = now.since(self.evicted_at) >= self.idle_after / 4;
        if is_time || now < self.evicted_at {
            self.evicted_at = now;
            if let Some(engine) = &mut self.engine {
                engine.evict_idle(now - self.idle_after);
            }
        }
    }

    /// When something is due next that no news will announce: a debt that is due now waits for a
    /// flush or for a performer, unless the clock has only just come to it.
    fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let engine = self.engine.as_ref()?;
        let debt = engine.next_debt(now).filter(|at| *at > now || self.is_effect_due(now));
        let step = if self.is_gate_full() { None } else { engine.next_turn(now) };
        let step = step.map(|at| self.rests(now).map_or(at, |until| until.max(at)));
        [step, debt].into_iter().flatten().min()
    }

    /// Answers the host that closes, once everything is durable and said.
    fn end_drain(&mut self) -> bool {
        let order = self.engine.as_ref().map_or(0, Engine::order);
        if self.drain.is_none() || !self.mailbox.gate().has_passed(order) {
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
        self.mailbox.shut();
        if let Some(reply) = self.drain.take() {
            drop(reply.send(Err(closed())));
        }
    }
}

impl Drop for Runner {
    /// Whoever waits for its turns must hear that there are none any more, also when one of them
    /// panicked.
    fn drop(&mut self) {
        self.mailbox.shut();
    }
}

fn let_out(outgoing: Outgoing, around: &mut dyn Around) {
    for event in outgoing.events {
        around.tell(event);
    }
    for release in outgoing.releases {
        release.leave();
    }
}
