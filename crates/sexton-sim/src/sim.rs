//! One simulated machine: the real engines, their gates and their sweeps on one doubtful store.
//!
//! It does one [`Step`] at a time, whichever it is told, and looks at the promises after each.
//! What is real: engines, recovery, the gate, sweeps, mail between engines. What is made up: the
//! clock, the disk, the world outside, and the order in which things happen.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use sexton::audit::{self, Broken};
use sexton::gate::{Gate, Outgoing};
use sexton::key::MailOrder;
use sexton::sweep::{self, Pass, Sweep, Sweeper};
use sexton::{
    ActorId, Answer, Call, EffectId, Engine, Error, ErrorKind, Failure, Owed, Part, Request, Store,
    Switch, Timestamp, Turned, key, query,
};

use crate::doubtful::Doubtful;
use crate::scenario::{Asked, Scenario, Scene, Seen, Sink, Took};
use crate::step::{Fate, Lever, Step};
use crate::trouble::{Trouble, nobody, settled};
use crate::watch::{Settles, Watch};

/// The broken promises that one look names.
const BROKEN_MAX: usize = 3;

/// An engine with what waits around it.
struct Shardful {
    engine: Engine,
    gate: Gate,
    notices: VecDeque<(MailOrder, ActorId)>,
    /// When it was last asked what is due.
    looked_at: Option<Timestamp>,
}

/// What a turn came from.
#[derive(Clone, Copy, Default)]
struct Origin<'a> {
    asked: Option<&'a str>,
    answered: Option<(&'a EffectId, &'a Answer)>,
    gives_up: bool,
}

pub(crate) struct Sim<'a> {
    scenario: &'a mut dyn Scenario,
    store: Arc<Doubtful>,
    parts: Vec<Shardful>,
    ghost: Option<Engine>,
    /// Effects that were begun and not answered yet.
    begun: BTreeSet<EffectId>,
    now: Timestamp,
    /// The latest that the clock ever was.
    latest: Timestamp,
    version: u32,
    answers: Vec<(Timestamp, EffectId, Answer)>,
    sweeps: Vec<Box<dyn Sweep>>,
    said: Sink,
    watch: Watch,
    /// What the last step did, in words.
    story: String,
    turns: u64,
}

impl<'a> Sim<'a> {
    pub(crate) fn new(scenario: &'a mut dyn Scenario, n_parts: u16) -> Result<Self, Trouble> {
        let sweeps = scenario.sweeps();
        let mut sim = Self {
            scenario,
            store: Arc::new(Doubtful::new()),
            parts: Vec::new(),
            ghost: None,
            begun: BTreeSet::new(),
            now: Timestamp::ZERO,
            latest: Timestamp::ZERO,
            version: 1,
            answers: Vec::new(),
            sweeps,
            said: Sink::default(),
            watch: Watch::default(),
            story: String::new(),
            turns: 0,
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
        for index in 0..n_parts {
            let part = Part { index, count: n_parts };
            let kinds = self.scenario.kinds(self.version);
            let store: &dyn Store = &*self.store;
            let engine = Engine::recover(kinds, self.scenario.limits(), store, (part, &fences))?;
            let gate = Gate::new(engine.order());
            let notices = VecDeque::new();
            self.parts.push(Shardful { engine, gate, notices, looked_at: None });
        }
        Ok(())
    }

    fn count(&self) -> u16 {
        u16::try_from(self.parts.len()).unwrap_or(1)
    }

    /// Which engine has an actor.
    fn part_of(&self, id: &ActorId) -> usize {
        usize::from(id.shard().number() % self.count())
    }

    /// Does a step; `false` if there was nothing to do.
    pub(crate) fn step(&mut self, step: &Step) -> Result<bool, Broken> {
        match self.try_step(step) {
            Ok(is_done) => Ok(is_done),
            Err(Trouble::Broken(broken)) => Err(broken),
            Err(Trouble::Ended(error)) => {
                self.tell(&format!("the process ends: {error}"));
                let kept = match step {
                    Step::FailFlush(kept) | Step::FailRead(_, kept) => *kept,
                    // Nothing was lost but the process.
                    Step::Ask(_)
                    | Step::Turn(_)
                    | Step::Notice(_)
                    | Step::Begin(..)
                    | Step::Answer(_)
                    | Step::Flush
                    | Step::Crash(_)
                    | Step::Ghost
                    | Step::Pass(_)
                    | Step::FailPass(_)
                    | Step::Wait
                    | Step::Jump(_)
                    | Step::Evict
                    | Step::Switch(_)
                    | Step::Upgrade => u64::MAX,
                };
                self.crash(kept).map_err(settled)?;
                Ok(true)
            }
        }
    }

    fn try_step(&mut self, step: &Step) -> Result<bool, Trouble> {
        match step {
            Step::Ask(seed) => self.ask(*seed),
            Step::Turn(part) => self.turn(*part),
            Step::Notice(part) => Ok(self.notice(*part)),
            Step::Begin(part, fate) => self.begin(*part, *fate),
            Step::Answer(n) => self.answer(*n),
            Step::Flush => self.flush(),
            Step::FailFlush(_) => {
                if self.store.pending() == 0 {
                    return Ok(false);
                }
                self.store.fail_next_flush();
                self.flush()
            }
            Step::Crash(kept) => self.crash(*kept).map(|()| true),
            Step::FailRead(part, after) => {
                self.store.fail_reads_after(*after % 8);
                let result = self.turn(*part);
                self.store.mend_reads();
                result
            }
            Step::Ghost => self.haunt(),
            Step::Pass(n) => self.pass(*n),
            Step::FailPass(n) => self.fail_pass(*n),
            Step::Wait => Ok(self.wait(None)),
            Step::Jump(ms) => {
                self.latest = self.latest.max(self.now);
                let at = self.now.as_millis().saturating_add(*ms).max(0);
                self.now = Timestamp::from_millis(at);
                Ok(true)
            }
            Step::Evict => {
                self.parts.iter_mut().for_each(|part| part.engine.evict_idle(Timestamp::MAX));
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
        self.request(asked)?;
        Ok(true)
    }

    fn request(&mut self, asked: Asked) -> Result<(), Trouble> {
        let Asked { id, text, make } = asked;
        self.tell(&format!("asks {id} to {text}"));
        let Ok(request) = make(Arc::clone(&self.said)) else { return Ok(()) };
        let gives_up = matches!(request, Request::Abandon { .. });
        let part = self.part_of(&id);
        let turned = self.parts[part].engine.request(self.now, &*self.store, &id, request)?;
        self.absorb(part, turned, Origin { asked: Some(&text), gives_up, ..Origin::default() })
    }

    fn turn(&mut self, part: u16) -> Result<bool, Trouble> {
        let index = usize::from(part % self.count());
        let Shardful { engine, looked_at, .. } = &mut self.parts[index];
        // It looks ahead when time has gone on: something is done if only that.
        let is_first_look = *looked_at != Some(self.now);
        *looked_at = Some(self.now);
        match engine.next(self.now, &*self.store)? {
            Some(turned) => self.absorb(index, turned, Origin::default()).map(|()| true),
            None => Ok(is_first_look),
        }
    }

    fn notice(&mut self, part: u16) -> bool {
        let index = usize::from(part % self.count());
        let part = &mut self.parts[index];
        match part.notices.pop_front() {
            Some((place, to)) => {
                part.engine.notice(place, to);
                true
            }
            None => false,
        }
    }

    fn begin(&mut self, part: u16, fate: Fate) -> Result<bool, Trouble> {
        let index = usize::from(part % self.count());
        let debt = self.parts[index].engine.next_debt();
        let Some(owed) = self.parts[index].engine.next_effect(self.now, &*self.store)? else {
            return Ok(self.parts[index].engine.next_debt() != debt);
        };
        // Checks G2: an effect leaves only when the turn that recorded it is durable.
        let Owed { id, .. } = &owed;
        if !self.watch.is_durable(&key::debt(&id.actor.id, id.number)) {
            let why = format!("effect {} leaves before it is durable", id.number);
            return Err(Broken { promise: "G2", id: id.actor.id.clone(), why }.into());
        }
        // Checks G3: of one actor one effect at a time.
        if let Some(other) = self.begun.iter().find(|other| other.actor.id == id.actor.id) {
            let why = format!("effect {} begins before {other} is answered", id.number);
            return Err(Broken { promise: "G3", id: id.actor.id.clone(), why }.into());
        }
        self.begun.insert(id.clone());
        self.tell(&format!("begins {id}"));
        let failure = |class: &str| Failure { class: class.to_owned(), message: "it rains".into() };
        let id = id.clone();
        let now = self.now;
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
        Ok(true)
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

    fn answer(&mut self, n: u64) -> Result<bool, Trouble> {
        let now = self.now;
        let more = self.scenario.due(now).into_iter().map(|(id, answer)| (now, id, answer));
        self.answers.extend(more);
        for asked in self.scenario.calls(now) {
            self.request(asked)?;
        }
        let due = self.answers.iter().enumerate().filter(|(_, (at, ..))| *at <= now);
        let due: Vec<usize> = due.map(|(index, _)| index).collect();
        let Some(chosen) = usize::try_from(n).unwrap_or(0).checked_rem(due.len()) else {
            return Ok(false);
        };
        let (_, id, answer) = self.answers.remove(due[chosen]);
        self.begun.remove(&id);
        let part = self.part_of(&id.actor.id);
        let engine = &mut self.parts[part].engine;
        let turned = engine.answer(now, &*self.store, &id, answer.clone())?;
        match turned {
            Some(turned) => {
                let answered = Some((&id, &answer));
                self.absorb(part, turned, Origin { answered, ..Origin::default() })?;
            }
            None => self.tell(&format!("an answer for {id} is of no use")),
        }
        Ok(true)
    }

    /// Takes what a turn made: to the store, to other engines, and behind the gate.
    fn absorb(&mut self, part: usize, turned: Turned, origin: Origin<'_>) -> Result<(), Trouble> {
        self.turns += 1;
        // The turn is made: whoever looks at it now can read.
        self.store.mend_reads();
        if let Some((id, cause)) = &turned.label {
            self.tell(&format!("{id} {cause}"));
        }
        for event in &turned.events {
            self.tell(&format!("{:?}", event.what));
        }
        let settles = match origin.answered {
            Some((id, Answer::Done(_) | Answer::Permanent(_))) => Settles::Effect(id),
            Some(_) | None if origin.gives_up => Settles::Any,
            Some(_) | None => Settles::Nothing,
        };
        self.watch.take(&turned, self.now, settles)?;
        let mut turned = turned;
        if let Some(batch) = turned.batch.clone() {
            self.store.submit(batch)?;
        }
        let scene = Scene { now: self.now, store: &*self.store };
        let (asked, answered) = (origin.asked, origin.answered);
        self.scenario.saw(&Seen { scene, turned: &turned, asked, answered })?;
        for (place, to) in std::mem::take(&mut turned.notices) {
            let other = self.part_of(&to);
            self.parts[other].notices.push_back((place, to));
        }
        let Turned { gate, releases, events, .. } = turned;
        let outgoing = self.parts[part].gate.hold(Outgoing { gate, releases, events });
        self.let_out(outgoing)
    }

    fn let_out(&mut self, outgoing: Option<Outgoing>) -> Result<(), Trouble> {
        for release in outgoing.into_iter().flat_map(|it| it.releases) {
            release();
        }
        let said = std::mem::take(&mut *self.said.lock().unwrap_or_else(PoisonError::into_inner));
        for said in said {
            self.watch.told(&said)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<bool, Trouble> {
        if self.store.pending() == 0 && self.parts.iter().all(|part| part.gate.is_empty()) {
            return Ok(false);
        }
        self.store.flush()?;
        self.watch.flushed();
        self.scenario.kept();
        for index in 0..self.parts.len() {
            let part = &mut self.parts[index];
            let order = part.engine.order();
            part.engine.flushed(order);
            part.gate.open(order);
            while let Some(outgoing) = self.parts[index].gate.take() {
                self.let_out(Some(outgoing))?;
            }
        }
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
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let n_parts = self.count();
        self.ghost = (!self.parts.is_empty()).then(|| self.parts.remove(0).engine);
        self.open(n_parts)?;
        self.look().map_err(Trouble::Broken)
    }

    /// A process that was taken for dead writes: checks G3.
    fn haunt(&mut self) -> Result<bool, Trouble> {
        let Some(mut ghost) = self.ghost.take() else { return Ok(false) };
        // It had its chance: there is no second.
        let Ok(Some(turned)) = ghost.next(self.now, &*self.store) else { return Ok(true) };
        let (Some(batch), Some((id, _))) = (turned.batch, turned.label) else { return Ok(true) };
        match self.store.submit(batch) {
            Err(error) if error.kind() == ErrorKind::Closed => Ok(true),
            Err(error) => Err(error.into()),
            Ok(_) => {
                let why = "a process that lost the store has written to it".to_owned();
                Err(Broken { promise: "G3", id, why }.into())
            }
        }
    }

    fn pass(&mut self, n: u64) -> Result<bool, Trouble> {
        let Some(index) = usize::try_from(n).unwrap_or(0).checked_rem(self.sweeps.len()) else {
            return Ok(false);
        };
        let name = self.sweeps[index].name();
        let id = sweep::sweeper(name).map_err(|error| nobody("G12", error.to_string()))?;
        let Some(state) = query::state::<Sweeper>(&*self.store, &id)? else {
            let sweep = &self.sweeps[index];
            let init = (self.now + sweep.every(), sweep.back_off());
            self.request(Asked::create::<Sweeper>(&id, init))?;
            return Ok(true);
        };
        if state.next_at > self.now {
            return Ok(false);
        }
        let sweep = self.sweeps[index].as_ref();
        let plan = sweep::plan(sweep, &state, self.now, &*self.store)?;
        // Checks G12: no more than its limit.
        if plan.asks.len() > sweep.limit() {
            let why = format!("a pass asks {}, over its limit", plan.asks.len());
            return Err(Broken { promise: "G12", id, why }.into());
        }
        let pass = Pass::of(plan, self.now + sweep.every());
        let call = Call::new::<Sweeper, Pass>(pass, Box::new(drop));
        let part = self.part_of(&id);
        let request = Request::Call(call);
        let turned = self.parts[part].engine.request(self.now, &*self.store, &id, request)?;
        self.absorb(part, turned, Origin::default())?;
        Ok(true)
    }

    /// A sweep that cannot read asks nobody: checks G12.
    fn fail_pass(&mut self, n: u64) -> Result<bool, Trouble> {
        let turns = self.turns;
        self.store.fail_reads_after(n % 6);
        let result = self.pass(n);
        self.store.mend_reads();
        match result {
            Err(Trouble::Ended(_)) if self.turns == turns => Ok(true),
            other => other,
        }
    }

    /// Lets time pass to the next moment at which something is due, but not beyond `until`.
    fn wait(&mut self, until: Option<Timestamp>) -> bool {
        let now = self.now;
        let wakes = self.parts.iter().filter_map(|part| part.engine.next_wake());
        let answers = self.answers.iter().map(|(at, ..)| *at);
        let sweeps = self.sweeps.iter().filter_map(|sweep| {
            let id = sweep::sweeper(sweep.name()).ok()?;
            query::state::<Sweeper>(&*self.store, &id).ok()?.map(|state| state.next_at)
        });
        let others = self.scenario.next_due();
        let moments = wakes.chain(answers).chain(sweeps).chain(others);
        let next = moments.filter(|at| *at > now).min();
        match next.filter(|at| until.is_none_or(|until| *at <= until)) {
            Some(at) => {
                self.now = at;
                true
            }
            None => false,
        }
    }

    fn turn_lever(&mut self, lever: Lever) {
        for part in &mut self.parts {
            match lever {
                Lever::AlarmsOff => part.engine.switch_alarms(Switch::Paused),
                Lever::AlarmsOn => part.engine.switch_alarms(Switch::On),
                Lever::EffectsOff => part.engine.switch_effects(Switch::Paused),
                Lever::EffectsOn => part.engine.switch_effects(Switch::On),
            }
        }
    }

    /// The process ends in order; the next version goes on.
    fn upgrade(&mut self) -> Result<bool, Trouble> {
        if self.version >= self.scenario.versions() {
            return Ok(false);
        }
        self.flush()?;
        self.version += 1;
        self.crash(u64::MAX)?;
        Ok(true)
    }

    /// Everything at this moment, in the order of the house; `false` if there was nothing.
    fn settle(&mut self) -> Result<bool, Broken> {
        let mut is_any = false;
        for part in 0..self.count() {
            while self.step(&Step::Notice(part))? || self.step(&Step::Turn(part))? {
                is_any = true;
            }
        }
        while self.step(&Step::Answer(0))? {
            is_any = true;
        }
        if self.store.pending() > 0 || self.parts.iter().any(|it| it.engine.needs_flush(self.now)) {
            is_any |= self.step(&Step::Flush)?;
        }
        for part in 0..self.count() {
            while self.step(&Step::Begin(part, Fate::Done))? {
                is_any = true;
            }
        }
        for n in 0..u64::try_from(self.sweeps.len()).unwrap_or(0) {
            is_any |= self.step(&Step::Pass(n))?;
        }
        Ok(is_any)
    }

    /// Lets so much time pass without trouble, everything at its own moment.
    fn pass_time(&mut self, time: Duration) -> Result<(), Broken> {
        let over = self.now + time;
        loop {
            while self.settle()? {}
            self.story.clear();
            if !self.wait(Some(over)) {
                self.now = self.now.max(over);
                while self.settle()? {}
                return Ok(());
            }
        }
    }

    /// The time of trouble is over: all comes to its end, or a promise is broken.
    pub(crate) fn heal(&mut self) -> Result<(), Broken> {
        for lever in [Lever::AlarmsOn, Lever::EffectsOn] {
            self.turn_lever(lever);
        }
        // A clock that was put back is right again: what was written down as due by the wrong one
        // is not waited for.
        self.now = self.now.max(self.latest);
        self.pass_time(self.scenario.calm())?;
        self.watch.nothing_is_late(self.now)?;
        let scene = Scene { now: self.now, store: &*self.store };
        for asked in self.scenario.heal(scene) {
            self.request(asked).map_err(settled)?;
        }
        self.pass_time(self.scenario.patience())?;
        self.look()?;
        let scenario = &*self.scenario;
        self.watch.at_rest(self.now, |id| scenario.is_perpetual(id))?;
        let scene = Scene { now: self.now, store: &*self.store };
        self.scenario.end(scene)
    }

    /// Everything that can be told from the records: checks G1 to G11 on the store as it is.
    pub(crate) fn look(&self) -> Result<(), Broken> {
        let unreadable = |error: Error| nobody("G2", error.to_string());
        self.watch.agrees(&*self.store).map_err(unreadable)??;
        let kinds = self.scenario.kinds(self.version);
        let broken = audit::audit(&*self.store, &kinds, BROKEN_MAX).map_err(unreadable)?;
        match broken.into_iter().next() {
            Some(broken) => Err(broken),
            None => Ok(()),
        }
    }
}
