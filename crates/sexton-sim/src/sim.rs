//! One simulated machine: the real engines with their real runners, mailboxes and sweeps, on one
//! doubtful store.
//!
//! It does one [`Step`] at a time, whichever it is told, and looks at the promises after each.
//! What is real: engines, recovery, the runners that a host surrounds them with (mailbox, slices,
//! timers, gate, drain), group commit, sweeps, mail between engines. What is made up: the clock,
//! the disk, the world outside, and the order in which things happen.

mod end;
mod part;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use sexton::audit::Broken;
use sexton::committer;
use sexton::mailbox::{Input, Refused};
use sexton::runner::{Runner, Slice};
use sexton::sweep::{self, Pass, Sweep, Sweeper};
use sexton::{
    ActorId, ActorRef, Answer, EffectId, Engine, Error, ErrorKind, Failure, Owed, Store, Switch,
    Timestamp, Turned, What, query,
};
use tokio::sync::oneshot;

use self::end::Ending;
use self::part::Part;
use crate::doubtful::Doubtful;
use crate::scenario::{Asked, Scenario, Scene, Seen, Slip, Spoken, Took};
use crate::step::{Fate, Lever, Step};
use crate::trouble::{Trouble, nobody, settled};
use crate::watch::{Settles, Watch};

/// The broken promises that one look names.
const BROKEN_MAX: usize = 3;
/// How often everything may have its turn at one moment. Chosen: far more than any scenario needs.
const ROUNDS_MAX: u32 = 10_000;

/// How far the clock goes, in milliseconds: some thousand years.
const CLOCK_MAX: i64 = 1 << 47;

/// What a turn came from.
#[derive(Default)]
struct Origin {
    asked: Option<String>,
    answered: Option<(EffectId, Answer)>,
    gives_up: bool,
    /// Hears the number of the turn's batch.
    batch: Option<Arc<AtomicU64>>,
}

pub(crate) struct Sim<'a> {
    scenario: &'a mut dyn Scenario,
    store: Arc<Doubtful>,
    parts: Vec<Part>,
    ghosts: Vec<Runner>,
    is_flush_wanted: bool,
    /// The steps that pass before a flush can end.
    slow_for: u64,
    /// Effects that were handed out and not answered yet.
    begun: BTreeSet<EffectId>,
    /// Effects that nobody has begun to perform.
    handed: Vec<Owed>,
    now: Timestamp,
    version: u32,
    answers: Vec<(Timestamp, EffectId, Answer)>,
    sweeps: Vec<Box<dyn Sweep>>,
    /// For each sweep: shared with the pass that is under way.
    passing: Vec<Arc<()>>,
    said: Spoken,
    watch: Watch,
    /// What the last step did, in words.
    story: String,
    turns: u64,
    ending: Ending,
}

impl<'a> Sim<'a> {
    pub(crate) fn new(scenario: &'a mut dyn Scenario, n_parts: u16) -> Result<Self, Trouble> {
        let sweeps = scenario.sweeps();
        let mut sim = Self {
            scenario,
            store: Arc::new(Doubtful::new()),
            parts: Vec::new(),
            ghosts: Vec::new(),
            is_flush_wanted: false,
            slow_for: 0,
            begun: BTreeSet::new(),
            handed: Vec::new(),
            now: Timestamp::ZERO,
            version: 1,
            answers: Vec::new(),
            sweeps,
            passing: Vec::new(),
            said: Spoken::default(),
            watch: Watch::default(),
            story: String::new(),
            turns: 0,
            ending: Ending::default(),
        };
        sim.open(n_parts)?;
        Ok(sim)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    pub(crate) fn turns(&self) -> u64 {
        self.turns
    }

    /// What the last step did.
    pub(crate) fn take_story(&mut self) -> String {
        std::mem::take(&mut self.story)
    }

    fn tell(&mut self, what: &str) {
        if !self.story.is_empty() {
            self.story.push_str("; ");
        }
        self.story.push_str(what);
    }

    fn open(&mut self, n_parts: u16) -> Result<(), Trouble> {
        let fences = self.store.claim()?;
        self.parts.clear();
        self.passing = self.sweeps.iter().map(|_| Arc::new(())).collect();
        for index in 0..n_parts {
            let part = sexton::Part { index, count: n_parts };
            let kinds = self.scenario.kinds(self.version);
            let store: &dyn Store = &*self.store;
            let engine = Engine::recover(kinds, self.scenario.limits(), store, (part, &fences))?;
            self.parts.push(Part::new(engine));
        }
        Ok(())
    }

    fn count(&self) -> u16 {
        u16::try_from(self.parts.len()).unwrap_or(1)
    }

    fn index(&self, part: u16) -> usize {
        usize::from(part % self.count())
    }

    /// Which engine has an actor.
    fn part_of(&self, id: &ActorId) -> usize {
        self.index(id.shard().number())
    }

    /// Does a step; `false` if there was nothing to do.
    pub(crate) fn step(&mut self, step: &Step) -> Result<bool, Broken> {
        match self.try_step(step) {
            Ok(is_done) => {
                let is_slow = is_done && !matches!(step, Step::Slow(_));
                self.slow_for = self.slow_for.saturating_sub(u64::from(is_slow));
                Ok(is_done)
            }
            Err(Trouble::Broken(broken)) => Err(broken),
            Err(Trouble::Ended(error)) => {
                self.tell(&format!("the process ends: {error}"));
                // Otherwise nothing is lost but the process.
                let kept = step.survivors().unwrap_or(u64::MAX);
                self.crash(kept).map_err(settled)?;
                Ok(true)
            }
        }
    }

    fn try_step(&mut self, step: &Step) -> Result<bool, Trouble> {
        match step {
            Step::Ask(seed) => self.ask(*seed),
            Step::Take(part) => {
                self.work(self.index(*part), Slice { inputs: 1, steps: 0, effects: 0 })
            }
            Step::Turn(part) => {
                self.work(self.index(*part), Slice { inputs: 0, steps: 1, effects: 0 })
            }
            Step::Hand(part) => {
                self.work(self.index(*part), Slice { inputs: 0, steps: 0, effects: 8 })
            }
            Step::Begin(n, fate) => Ok(self.begin(*n, *fate)),
            Step::Answer(n) => self.answer(*n),
            Step::Slice(part) => {
                self.work(self.index(*part), Slice { inputs: 0, steps: 8, effects: 8 })
            }
            Step::Flush if self.slow_for > 0 => Ok(false),
            Step::Flush => self.flush(),
            Step::Slow(steps) => {
                self.slow_for = *steps;
                Ok(true)
            }
            Step::FailFlush(_) => {
                if self.store.pending() == 0 {
                    return Ok(false);
                }
                self.is_flush_wanted = true;
                self.store.fail_next_flush();
                self.flush()
            }
            Step::Crash(kept) => self.crash(*kept).map(|()| true),
            Step::FailRead(part, after) => {
                self.store.fail_reads_after(*after % 8);
                let result =
                    self.work(self.index(*part), Slice { inputs: 0, steps: 1, effects: 8 });
                self.store.mend_reads();
                result
            }
            Step::Ghost => self.haunt(),
            Step::Pass(n) => self.pass(*n),
            Step::FailPass(n, after) => self.fail_pass(*n, *after),
            Step::Wait => Ok(self.wait(None)),
            Step::Jump(ms) => {
                let at = self.now.as_millis().saturating_add(*ms).clamp(0, CLOCK_MAX);
                let set_by = at - self.now.as_millis();
                self.now = Timestamp::from_millis(at);
                // What is under way outside takes as long as it takes, whatever the clock says.
                for (due, ..) in &mut self.answers {
                    *due = Timestamp::from_millis(due.as_millis().saturating_add(set_by));
                }
                // Timers notice within 30 s that the clock was set: at once, as far as it goes.
                self.parts.iter().for_each(|part| part.mailbox().nudge());
                Ok(true)
            }
            Step::Evict => {
                self.parts.iter_mut().for_each(Part::evict);
                Ok(true)
            }
            Step::Switch(lever) => {
                self.turn_lever(*lever);
                Ok(true)
            }
            Step::Upgrade => self.upgrade(),
        }
    }

    fn ask(&mut self, seed: u64) -> Result<bool, Trouble> {
        let mut chance = crate::Chance::new(seed);
        let scene = Scene { now: self.now, store: &*self.store };
        let Some(asked) = self.scenario.ask(&mut chance, scene) else { return Ok(false) };
        self.tell(&format!("asks {} to {}", asked.id, asked.text));
        let index = self.part_of(&asked.id);
        match self.parts[index].admit(asked.class) {
            Ok(permit) => {
                self.put(asked, Box::new(permit));
            }
            Err(Refused::Busy) => self.tell("there is no place for it"),
            Err(Refused::Closed) => return Err(nobody("G2", "refused for ever".to_owned()).into()),
        }
        Ok(true)
    }

    /// Puts a request into its mailbox; `pass` is kept until it is answered or dropped.
    fn put(&mut self, asked: Asked, pass: Box<dyn Send>) {
        let Asked { id, text, make, .. } = asked;
        let batch = Arc::default();
        let slip = Slip { said: Arc::clone(&self.said), batch: Arc::clone(&batch), pass };
        if let Ok(request) = make(slip) {
            let index = self.part_of(&id);
            self.parts[index].ask((id, text), request, batch);
        }
    }

    /// A request whose caller asks again until it is taken: it is taken at once.
    fn ask_at_once(&mut self, asked: Asked) -> Result<(), Trouble> {
        let index = self.part_of(&asked.id);
        self.tell(&format!("asks {} to {}", asked.id, asked.text));
        self.put(asked, Box::new(()));
        while self.work(index, Slice { inputs: 1, steps: 0, effects: 0 })? {}
        Ok(())
    }

    /// Performs one of the effects that were handed out.
    fn begin(&mut self, n: u64, fate: Fate) -> bool {
        let Some(chosen) = usize::try_from(n).unwrap_or(0).checked_rem(self.handed.len()) else {
            return false;
        };
        let owed = self.handed.remove(chosen);
        let (id, now) = (owed.id.clone(), self.now);
        self.tell(&format!("performs {id}"));
        let failure = |class: &str| Failure { class: class.to_owned(), message: "it rains".into() };
        match fate {
            Fate::Transient => self.answers.push((now, id, Answer::Transient(failure("network")))),
            Fate::Permanent => self.answers.push((now, id, Answer::Permanent(failure("invalid")))),
            Fate::Done | Fate::Lost | Fate::Twice | Fate::Late(_) => {
                let scene = Scene { now, store: &*self.store };
                if let Took::At(at, answer) = self.scenario.perform(&owed, scene) {
                    self.carry((at.max(now), id, answer), fate);
                }
            }
        }
        true
    }

    /// Puts the answer of an effect that was done on its way, as fate will have it.
    fn carry(&mut self, answer: (Timestamp, EffectId, Answer), fate: Fate) {
        let (at, id, answer) = answer;
        match fate {
            Fate::Lost => {
                let failure =
                    Failure { class: "timeout".to_owned(), message: "no answer".to_owned() };
                self.answers.push((at, id, Answer::Transient(failure)));
            }
            Fate::Twice => {
                self.answers.push((at, id.clone(), answer.clone()));
                self.answers.push((at, id, answer));
            }
            Fate::Late(ms) => self.answers.push((at + Duration::from_millis(ms), id, answer)),
            Fate::Done | Fate::Transient | Fate::Permanent => self.answers.push((at, id, answer)),
        }
    }

    /// One of the answers that are under way arrives in its mailbox.
    fn answer(&mut self, n: u64) -> Result<bool, Trouble> {
        let now = self.now;
        let more = self.scenario.due(now).into_iter().map(|(id, answer)| (now, id, answer));
        self.answers.extend(more);
        for asked in self.scenario.calls(now) {
            self.ask_at_once(asked)?;
        }
        let due = self.answers.iter().enumerate().filter(|(_, (at, ..))| *at <= now);
        let due: Vec<usize> = due.map(|(index, _)| index).collect();
        let Some(chosen) = usize::try_from(n).unwrap_or(0).checked_rem(due.len()) else {
            return Ok(false);
        };
        let (_, to, answer) = self.answers.remove(due[chosen]);
        self.tell(&format!("{to} is answered"));
        let index = self.part_of(&to.actor.id);
        self.parts[index].push(Input::Answer { to, answer });
        Ok(true)
    }

    /// Takes what a turn made to the watch, to the store, and to other engines.
    fn absorb(&mut self, turned: &mut Turned, origin: &Origin) -> Result<(), Trouble> {
        self.turns += 1;
        if self.scenario.takes_down(turned, self.now)? {
            return Err(Error::new(ErrorKind::Closed, "a handler took the process down").into());
        }
        // The turn is made: whoever looks at it now can read.
        self.store.mend_reads();
        if let Some((id, cause)) = &turned.label {
            self.tell(&format!("{id} {cause}"));
        }
        for event in &turned.events {
            self.tell(&format!("{:?}", event.what));
            if let What::Abandoned { number, .. } = event.what {
                let actor = ActorRef { id: event.actor.clone(), incarnation: event.incarnation };
                // Nobody waits for it any more: the next may begin.
                self.begun.remove(&EffectId { actor, number });
            }
        }
        let settles = match &origin.answered {
            Some((id, Answer::Done(_) | Answer::Permanent(_))) => Settles::Effect(id),
            Some(_) | None if origin.gives_up => Settles::Told(&turned.events),
            Some(_) | None => Settles::Nothing,
        };
        self.watch.take(turned, self.now, settles)?;
        if let (Some(batch), Some(_)) = (&origin.batch, &turned.batch) {
            batch.store(self.watch.submitted(), Ordering::Relaxed);
        }
        if let Some(batch) = turned.batch.clone() {
            self.store.submit(batch)?;
        }
        let scene = Scene { now: self.now, store: &*self.store };
        let answered = origin.answered.as_ref().map(|(id, answer)| (id, answer));
        self.scenario.saw(&Seen { scene, turned, asked: origin.asked.as_deref(), answered })?;
        for (place, to) in turned.notices.drain(..) {
            let other = self.part_of(&to);
            self.parts[other].push(Input::Notice { place, to });
        }
        Ok(())
    }

    /// Hears what was said to whoever asked.
    fn listen(&mut self) -> Result<(), Trouble> {
        let said = std::mem::take(&mut *self.said.lock().unwrap_or_else(PoisonError::into_inner));
        for (said, batch) in said {
            self.watch.told(&said, batch)?;
        }
        Ok(())
    }

    /// Makes durable what was submitted; a few answers leave at once, and runners hear of what is
    /// theirs to do.
    fn flush(&mut self) -> Result<bool, Trouble> {
        if !std::mem::take(&mut self.is_flush_wanted) {
            return Ok(false);
        }
        let mailboxes: Vec<_> = self.parts.iter().map(|it| Arc::clone(it.mailbox())).collect();
        committer::flush(&*self.store, &mailboxes)?;
        self.watch.flushed();
        self.scenario.kept();
        self.listen()?;
        Ok(true)
    }

    /// Ends the process and begins the next.
    pub(crate) fn crash(&mut self, kept: u64) -> Result<(), Trouble> {
        let kept = kept.min(self.store.pending());
        self.tell(&format!("{kept} of {} batches survive", self.store.pending()));
        self.store.crash(kept);
        self.watch.crashed(usize::try_from(kept).unwrap_or(usize::MAX));
        self.scenario.lost(kept);
        self.answers.clear();
        self.begun.clear();
        self.handed.clear();
        self.is_flush_wanted = false;
        let n_parts = self.count();
        let parts = std::mem::take(&mut self.parts);
        // Its mailboxes end here, and with them whoever waited for an answer.
        self.ghosts = parts.into_iter().filter_map(Part::into_runner).collect();
        self.slow_for = 0;
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.open(n_parts)?;
        self.look().map_err(Trouble::Broken)
    }

    /// A process that was taken for dead writes: checks G3.
    fn haunt(&mut self) -> Result<bool, Trouble> {
        while let Some(ghost) = self.ghosts.last_mut() {
            let next = ghost.engine().and_then(|it| it.next(self.now, &*self.store).ok().flatten());
            let Some(Turned { batch: Some(batch), label: Some((id, _)), .. }) = next else {
                self.ghosts.pop();
                continue;
            };
            // It had its chance: there is no second.
            self.ghosts.pop();
            return match self.store.submit(batch) {
                Err(error) if error.kind() == ErrorKind::Closed => Ok(true),
                Err(error) => Err(error.into()),
                Ok(_) => {
                    let why = "a process that lost the store has written to it".to_owned();
                    Err(Broken { promise: "G3", id, why }.into())
                }
            };
        }
        Ok(false)
    }

    fn pass(&mut self, n: u64) -> Result<bool, Trouble> {
        let Some(index) = usize::try_from(n).unwrap_or(0).checked_rem(self.sweeps.len()) else {
            return Ok(false);
        };
        if Arc::strong_count(&self.passing[index]) > 1 {
            return Ok(false);
        }
        let sweep = self.sweeps[index].as_ref();
        let id = sweep::sweeper(sweep.name()).map_err(|error| nobody("G12", error.to_string()))?;
        let asked = match query::state::<Sweeper>(&*self.store, &id)? {
            None => Asked::create::<Sweeper>(&id, (self.now + sweep.every(), sweep.back_off())),
            Some(state) if state.due_at(self.now, sweep.every()) > self.now => return Ok(false),
            Some(state) => {
                let plan = sweep::plan(sweep, &state, self.now, &*self.store)?;
                // Checks G12: no more than its limit.
                if plan.asks.len() > sweep.limit() {
                    let why = format!("a pass asks {}, over its limit", plan.asks.len());
                    return Err(Broken { promise: "G12", id, why }.into());
                }
                let pass = Pass::of(plan, self.now + sweep.every());
                Asked::call::<Sweeper, _>(&id, pass, "pass")
            }
        };
        self.tell(&format!("{id} passes"));
        let pass = Box::new(Arc::clone(&self.passing[index]));
        self.put(asked, pass);
        Ok(true)
    }

    /// A sweep that cannot read asks nobody: checks G12.
    fn fail_pass(&mut self, n: u64, after: u64) -> Result<bool, Trouble> {
        self.store.fail_reads_after(after % 6);
        let result = self.pass(n);
        let has_failed = self.store.has_failed();
        self.store.mend_reads();
        match result {
            // It is not made.
            Err(Trouble::Ended(_)) => Ok(true),
            Ok(true) if has_failed => {
                let why = "a pass asks after a look that failed".to_owned();
                Err(nobody("G12", why).into())
            }
            other => other,
        }
    }

    fn turn_lever(&mut self, lever: Lever) {
        for part in &mut self.parts {
            // Nobody waits to hear that it is done.
            let done = oneshot::channel().0;
            part.push(match lever {
                Lever::AlarmsOff => Input::Alarms(Switch::Paused, done),
                Lever::AlarmsOn => Input::Alarms(Switch::On, done),
                Lever::EffectsOff => Input::Effects(Switch::Paused, done),
                Lever::EffectsOn => Input::Effects(Switch::On, done),
            });
        }
    }

    /// The process ends in order; the next version goes on, or the last again.
    fn upgrade(&mut self) -> Result<bool, Trouble> {
        self.drain()?;
        self.version = self.scenario.versions().min(self.version + 1);
        // Checks G2: after it ended in order nothing can be lost.
        self.crash(0)?;
        Ok(true)
    }
}
