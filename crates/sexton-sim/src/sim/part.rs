//! One engine with its real runner and mailbox, and what surrounds it in a simulation.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use sexton::audit::Broken;
use sexton::mailbox::{Class, Input, Mailbox, Permit, Refused, Verdict};
use sexton::runner::{Around, Next, Runner, Slice};
use sexton::{
    ActorId, Answer, EffectId, Error, ErrorKind, Event, Owed, Request, Store, Timestamp, Turned,
    key,
};
use tokio::sync::oneshot;

use super::{Origin, Sim};
use crate::trouble::{Trouble, nobody};

/// The requests of one engine that wait for an answer at a time, for each class. Chosen: small, so
/// that it is met.
const REQUESTS_MAX: usize = 4;

/// An engine with its runner and its mailbox.
pub(super) struct Part {
    /// Absent only while it works.
    runner: Option<Runner>,
    mailbox: Arc<Mailbox>,
    next: Next,
    /// What lies in the mailbox, in the same order.
    lies: VecDeque<Lies>,
}

/// What lies in a mailbox.
pub(super) enum Lies {
    Asked {
        id: ActorId,
        text: String,
        gives_up: bool,
        judged: oneshot::Receiver<Verdict>,
        batch: Arc<AtomicU64>,
    },
    Answered(EffectId, Answer),
    Other,
}

impl Part {
    pub(super) fn new(engine: sexton::Engine) -> Self {
        let mailbox = Arc::new(Mailbox::new(REQUESTS_MAX));
        // It is asked whether it is awake.
        mailbox.belong(|| ());
        let runner = Runner::new(engine, Arc::clone(&mailbox), sexton::IDLE_AFTER);
        Self { runner: Some(runner), mailbox, next: Next::Again, lies: VecDeque::new() }
    }

    pub(super) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// Its runner, for whoever ends the process.
    pub(super) fn into_runner(self) -> Option<Runner> {
        self.runner
    }

    /// Every actor leaves its memory.
    pub(super) fn evict(&mut self) {
        if let Some(engine) = self.runner.as_mut().and_then(Runner::engine) {
            engine.evict_idle(Timestamp::MAX);
        }
    }

    /// Whether it works now: it was woken, it has more to do, or its timer has rung.
    pub(super) fn is_ready(&self, now: Timestamp) -> bool {
        match self.next {
            Next::Again => true,
            Next::Wait(at) => self.mailbox.is_awake() || at.is_some_and(|at| at <= now),
            Next::Over => false,
        }
    }

    /// When its timer rings.
    pub(super) fn timer(&self) -> Option<Timestamp> {
        match self.next {
            Next::Again | Next::Over => None,
            Next::Wait(at) => at,
        }
    }

    /// Whether it was drained.
    pub(super) fn is_over(&self) -> bool {
        self.next == Next::Over
    }

    /// Whether anything lies in its mailbox.
    pub(super) fn has_input(&self) -> bool {
        !self.lies.is_empty()
    }

    /// Puts something into its mailbox that is no request.
    pub(super) fn push(&mut self, input: Input) {
        self.lies.push_back(match &input {
            Input::Answer { to, answer } => Lies::Answered(to.clone(), answer.clone()),
            Input::Ask { .. }
            | Input::Read(_)
            | Input::Notice { .. }
            | Input::Alarms(..)
            | Input::Effects(..)
            | Input::Figures(_)
            | Input::Drain(_) => Lies::Other,
        });
        self.mailbox.push(input);
    }

    /// A place for a request, if there is one.
    pub(super) fn admit(&self, class: Class) -> Result<Permit, Refused> {
        self.mailbox.admit(class)
    }

    /// Puts a request into its mailbox; `batch` hears the number of its turn's batch.
    pub(super) fn ask(&mut self, of: (ActorId, String), request: Request, batch: Arc<AtomicU64>) {
        let (id, text) = of;
        let (verdict, judged) = oneshot::channel();
        let gives_up = matches!(request, Request::Abandon { .. });
        self.lies.push_back(Lies::Asked { id: id.clone(), text, gives_up, judged, batch });
        self.mailbox.push(Input::Ask { id, request, verdict });
    }
}

/// What surrounds a runner in a simulation.
struct Near<'s, 'a> {
    sim: &'s mut Sim<'a>,
    origin: Origin,
    trouble: Option<Trouble>,
}

impl Around for Near<'_, '_> {
    fn now(&self) -> Timestamp {
        self.sim.now
    }

    fn store(&self) -> &dyn Store {
        &*self.sim.store
    }

    fn submit(&mut self, turned: &mut Turned) -> Result<(), Error> {
        let origin = std::mem::take(&mut self.origin);
        self.sim.absorb(turned, &origin).map_err(|trouble| {
            let error = Error::new(ErrorKind::Closed, "the step does not end well");
            self.trouble = Some(trouble);
            error
        })
    }

    fn want_flush(&mut self) {
        self.sim.is_flush_wanted = true;
    }

    fn begin(&mut self, owed: Owed) -> bool {
        if let Err(broken) = self.sim.hand_out(owed) {
            self.trouble.get_or_insert(broken.into());
        }
        true
    }

    fn tell(&mut self, event: Event) {
        if let Err(broken) = self.sim.watch.heard(&event) {
            self.trouble.get_or_insert(broken.into());
        }
    }

    fn lost(&mut self, error: &Error) {
        let error = Error::new(error.kind(), error.to_string());
        self.trouble.get_or_insert(error.into());
    }
}

impl Sim<'_> {
    /// Lets a runner work for a slice that is one turn at most; `false` if it sleeps.
    pub(super) fn work(&mut self, index: usize, slice: Slice) -> Result<bool, Trouble> {
        let part = &mut self.parts[index];
        if !part.is_ready(self.now) || (slice.inputs > 0 && !part.has_input()) {
            return Ok(false);
        }
        let Some(mut runner) = part.runner.take() else { return Ok(false) };
        let mut judged = None;
        let mut origin = Origin::default();
        for _ in 0..slice.inputs {
            match part.lies.pop_front() {
                Some(Lies::Asked { id, text, gives_up, judged: judge, batch }) => {
                    judged = Some((id, judge));
                    origin =
                        Origin { asked: Some(text), gives_up, answered: None, batch: Some(batch) };
                }
                Some(Lies::Answered(id, answer)) => {
                    self.begun.remove(&id);
                    origin.answered = Some((id, answer));
                }
                Some(Lies::Other) | None => {}
            }
        }
        if let Some((id, _)) = &origin.answered {
            self.tell(&format!("an answer for {id}"));
        }
        let mut near = Near { sim: self, origin, trouble: None };
        let next = runner.work(slice, &mut near);
        let trouble = near.trouble;
        let part = &mut self.parts[index];
        part.runner = Some(runner);
        part.next = next;
        // The turn is made: whoever looks at it now can read.
        self.store.mend_reads();
        if let Some(trouble) = trouble {
            return Err(trouble);
        }
        self.listen()?;
        if let Some((id, mut judged)) = judged
            && judged.try_recv().is_err()
        {
            let why = "nobody says what became of a request".to_owned();
            return Err(Broken { promise: "G14", id, why }.into());
        }
        Ok(true)
    }

    /// Checks G2 and G3 of an effect that leaves, and keeps it for whoever performs it.
    fn hand_out(&mut self, owed: Owed) -> Result<(), Broken> {
        let Owed { id, .. } = &owed;
        if !self.watch.is_durable(&key::debt(&id.actor.id, id.number)) {
            let why = format!("effect {} leaves before it is durable", id.number);
            return Err(Broken { promise: "G2", id: id.actor.id.clone(), why });
        }
        // Checks G3: of one actor one effect at a time.
        if let Some(other) = self.begun.iter().find(|other| other.actor.id == id.actor.id) {
            let why = format!("effect {} begins before {other} is answered", id.number);
            return Err(Broken { promise: "G3", id: id.actor.id.clone(), why });
        }
        self.begun.insert(id.clone());
        self.tell(&format!("hands out {id}"));
        self.handed.push(owed);
        Ok(())
    }

    /// The process ends in order: all that was said is durable, and nothing is left to say.
    pub(super) fn drain(&mut self) -> Result<(), Trouble> {
        let mut waiting = Vec::new();
        for part in &mut self.parts {
            let (reply, is_drained) = oneshot::channel();
            part.push(Input::Drain(reply));
            waiting.push(is_drained);
        }
        let slice = Slice { inputs: 1, steps: 0, effects: 0 };
        for round in 0.. {
            let mut is_any = false;
            for index in 0..self.parts.len() {
                while self.work(index, slice)? {
                    is_any = true;
                }
                let rest = Slice { inputs: 0, ..slice };
                is_any |= self.parts[index].is_ready(self.now) && self.work(index, rest)?;
            }
            // When all have ended nobody flushes any more.
            let is_over = self.parts.iter().all(Part::is_over);
            is_any |= !is_over && self.flush()?;
            if !is_any || is_over || round > super::ROUNDS_MAX {
                break;
            }
        }
        if self.store.pending() > 0 {
            let why = "a process that ended in order left what no flush covers".to_owned();
            return Err(nobody("G2", why).into());
        }
        for (part, mut is_drained) in self.parts.iter().zip(waiting) {
            let is_told = matches!(is_drained.try_recv(), Ok(Ok(())));
            if !is_told || !part.is_over() {
                let why = "a process that is asked to end does not".to_owned();
                return Err(nobody("G2", why).into());
            }
        }
        Ok(())
    }
}
