//! A seed as a run: chance picks among all that can happen, then the trouble ends.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sexton::Timestamp;
use sexton::audit::Broken;

use crate::chance::Chance;
use crate::hash::Hasher;
use crate::scenario::Scenario;
use crate::sim::Sim;
use crate::step::{Fate, Lever, Step};
use crate::trouble::{nobody, settled};

/// How much can go wrong. All rates are in thousandths of the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// The process is killed.
    pub crash: u64,
    /// A flush fails.
    pub flush: u64,
    /// The store cannot be read.
    pub read: u64,
    /// The store is slow for a while.
    pub slow: u64,
    /// The clock jumps.
    pub clock: u64,
    /// A process that was taken for dead writes.
    pub ghost: u64,
    /// Operators turn switches, actors are evicted, the program is upgraded.
    pub operator: u64,
    /// Of the effects that are performed: the answer is lost, late or twice, or it is an error.
    pub outside: u64,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self =
        Self { crash: 0, flush: 0, read: 0, slow: 0, clock: 0, ghost: 0, operator: 0, outside: 0 };
    /// Everything goes wrong now and then. Chosen: so that most runs see every kind of fault and
    /// still get somewhere.
    pub const ALL: Self = Self {
        crash: 15,
        flush: 5,
        read: 8,
        slow: 3,
        clock: 8,
        ghost: 10,
        operator: 15,
        outside: 300,
    };

    /// Some of these faults and not the others, by chance: what hides behind a frequent fault is
    /// found where that is absent.
    fn some(self, chance: &mut Chance) -> Self {
        let mut keep = |rate: u64| if chance.is(700) { rate } else { 0 };
        Self {
            crash: keep(self.crash),
            flush: keep(self.flush),
            read: keep(self.read),
            slow: keep(self.slow),
            clock: keep(self.clock),
            ghost: keep(self.ghost),
            operator: keep(self.operator),
            outside: keep(self.outside),
        }
    }
}

/// What runs have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The steps until the trouble is over.
    pub steps: u32,
    /// What can go wrong.
    pub faults: Faults,
}

impl Default for Plan {
    fn default() -> Self {
        Self { steps: 400, faults: Faults::ALL }
    }
}

/// What a run was.
#[derive(Clone, Debug)]
pub struct Run {
    /// Of the trace: every step with all that followed from it.
    pub hash: String,
    /// The steps that did something.
    pub steps: Vec<Step>,
    /// How many engines worked on the store.
    pub parts: u16,
    /// Turns of actors.
    pub turns: u64,
    /// When it was over, in virtual time.
    pub ended_at: Timestamp,
    /// What was wrong, if anything was.
    pub failure: Option<Broken>,
    /// If it went wrong after the trouble was over: the last of what happened then, one line each.
    pub ending: Vec<String>,
}

impl Run {
    /// Whether every promise was kept.
    pub fn is_clean(&self) -> bool {
        self.failure.is_none()
    }
}

/// Takes a line of a trace.
pub type Listen<'a> = &'a mut dyn FnMut(&Line<'_>);

/// A step and what followed from it.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The step among those that did something, from 1.
    pub number: usize,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub step: &'a Step,
    /// What followed.
    pub story: &'a str,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, at, step, story } = self;
        write!(f, "{number:>4} {:>12} ms  {step:<18} {story}", at.as_millis())
    }
}

/// Steps between two looks at the whole store. Chosen: a look costs about as much as they do.
const STEPS_PER_LOOK: usize = 64;

/// Runs a seed: steps by chance, then the time of trouble ends and all must come to its end.
pub fn run(scenario: &mut dyn Scenario, seed: u64, plan: Plan, listen: Listen<'_>) -> Run {
    let mut chance = Chance::new(seed);
    let parts = u16::try_from(1 + chance.below(3)).unwrap_or(1);
    let faults = plan.faults.some(&mut chance);
    // What cannot be done is drawn again; a run in which nothing can be done ends.
    let mut draws = plan.steps.saturating_mul(20);
    let mut next = || {
        draws = draws.checked_sub(1)?;
        Some(draw(&mut chance, &faults))
    };
    play(scenario, parts, &mut next, (plan.steps, listen))
}

/// Runs a list of steps, then as [`run`]. Steps that cannot be done are passed over.
pub fn replay(scenario: &mut dyn Scenario, parts: u16, steps: &[Step], listen: Listen<'_>) -> Run {
    let mut steps = steps.iter().cloned();
    play(scenario, parts, &mut || steps.next(), (u32::MAX, listen))
}

fn play(
    scenario: &mut dyn Scenario,
    parts: u16,
    next: &mut dyn FnMut() -> Option<Step>,
    with: (u32, Listen<'_>),
) -> Run {
    let (steps_max, listen) = with;
    let mut run = Run {
        hash: String::new(),
        steps: Vec::new(),
        parts,
        turns: 0,
        ended_at: Timestamp::ZERO,
        failure: None,
        ending: Vec::new(),
    };
    let mut hasher = Hasher::default();
    let mut sim = match Sim::new(scenario, parts.max(1)) {
        Ok(sim) => sim,
        Err(trouble) => {
            run.failure = Some(settled(trouble));
            return run;
        }
    };
    let notes = (&mut run.steps, &mut hasher);
    // What panics is found like anything else that is wrong: with its seed, and made short.
    let went = catch_unwind(AssertUnwindSafe(|| go(&mut sim, notes, next, (steps_max, listen))));
    run.failure = match went {
        Ok(result) => result.err(),
        Err(payload) => Some(nobody("panic", words(&*payload))),
    };
    if run.failure.is_some() {
        run.ending = sim.ending().lines().collect();
    }
    run.turns = sim.turns();
    run.ended_at = sim.now();
    run.hash = hasher.text();
    run
}

/// What a panic said.
fn words(payload: &dyn Any) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "something panicked".to_owned())
}

fn go(
    sim: &mut Sim<'_>,
    notes: (&mut Vec<Step>, &mut Hasher),
    next: &mut dyn FnMut() -> Option<Step>,
    with: (u32, Listen<'_>),
) -> Result<(), Broken> {
    let ((steps, hasher), (steps_max, listen)) = (notes, with);
    let steps_max = usize::try_from(steps_max).unwrap_or(usize::MAX);
    while steps.len() < steps_max {
        let Some(step) = next() else { break };
        let result = sim.step(&step);
        let story = sim.take_story();
        if matches!(result, Ok(false)) {
            continue;
        }
        steps.push(step.clone());
        let line = Line { number: steps.len(), at: sim.now(), step: &step, story: &story };
        hasher.add(line.to_string().as_bytes());
        listen(&line);
        result?;
        if steps.len().is_multiple_of(STEPS_PER_LOOK) {
            sim.look()?;
        }
    }
    let healed = sim.heal();
    hasher.add(sim.now().as_millis().to_string().as_bytes());
    hasher.add(sim.turns().to_string().as_bytes());
    healed
}

/// A step by chance.
fn draw(chance: &mut Chance, faults: &Faults) -> Step {
    let part = u16::try_from(chance.below(3)).unwrap_or(0);
    let number = chance.below(1_000);
    let mut at = 0;
    let mut is_next = |rate: u64| {
        at += rate;
        number < at
    };
    if is_next(faults.crash) {
        return Step::Crash(chance.below(12));
    }
    if is_next(faults.flush) {
        return Step::FailFlush(chance.below(12));
    }
    if is_next(faults.read) {
        let after = chance.below(12);
        let is_turn = chance.is(500);
        return if is_turn {
            Step::FailRead(part, after)
        } else {
            Step::FailPass(chance.below(64), after)
        };
    }
    if is_next(faults.slow) {
        return Step::Slow(chance.below(60));
    }
    if is_next(faults.clock) {
        return Step::Jump(jump(chance));
    }
    if is_next(faults.ghost) {
        return Step::Ghost;
    }
    if is_next(faults.operator) {
        return operate(chance);
    }
    let fate =
        |chance: &mut Chance| if chance.is(faults.outside) { fate(chance) } else { Fate::Done };
    match chance.below(100) {
        0..15 => Step::Ask(chance.draw()),
        15..35 => Step::Take(part),
        35..52 => Step::Turn(part),
        52..55 => Step::Slice(part),
        55..62 => Step::Hand(part),
        62..70 => Step::Begin(chance.below(64), fate(chance)),
        70..78 => Step::Answer(chance.below(64)),
        78..88 => Step::Flush,
        88..93 => Step::Pass(chance.below(64)),
        _ => Step::Wait,
    }
}

fn fate(chance: &mut Chance) -> Fate {
    match chance.below(5) {
        0 => Fate::Lost,
        1 => Fate::Transient,
        2 => Fate::Permanent,
        3 => Fate::Twice,
        _ => Fate::Late(chance.below(600_000)),
    }
}

fn jump(chance: &mut Chance) -> i64 {
    let ms = i64::try_from(chance.below(7_200_000)).unwrap_or(0);
    if chance.is(500) { ms } else { -ms }
}

fn operate(chance: &mut Chance) -> Step {
    match chance.below(6) {
        0 => Step::Switch(Lever::AlarmsOff),
        1 => Step::Switch(Lever::AlarmsOn),
        2 => Step::Switch(Lever::EffectsOff),
        3 => Step::Switch(Lever::EffectsOn),
        4 => Step::Evict,
        _ => Step::Upgrade,
    }
}
