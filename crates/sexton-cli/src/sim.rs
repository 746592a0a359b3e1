//! Seeds: actors under every fault, and every promise looked at after every step.

mod fleet;

use std::collections::BTreeMap;
use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use sexton_sim::{Faults, Line, Plan, Probes, Run, Scenario, Shrunk, Step, replay, run, shrink};

use crate::args::{FaultSet, ScenarioName, SimArgs};
use crate::figures::{counted, decimal, grouped};

/// How often a failing list is tried while it is made short. Chosen: a minute at most.
const TRIES_MAX: u32 = 3_000;

/// The fleet's scenario, by itself: the fuzzers take what it writes for their first inputs.
#[doc(hidden)]
pub fn fleet(seed: u64) -> Box<dyn Scenario> {
    Box::new(fleet::Fleet::new(seed).expect("a cloud in memory"))
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The verdict cannot be written.
    #[error("the verdict cannot be written")]
    Output(#[from] io::Error),
}

/// What seeds led to.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// What was simulated.
    pub scenario: String,
    /// The first seed.
    pub first_seed: u64,
    /// Seeds that were run.
    pub seeds: u64,
    /// The steps of a run before its trouble ends, at most.
    pub steps_per_run: u32,
    /// Steps that did something.
    pub steps: u64,
    /// Turns of actors.
    pub turns: u64,
    /// Hours of virtual time.
    pub virtual_hours: f64,
    /// Seconds that it took.
    pub seconds: f64,
    /// How often each kind of step was done.
    pub done: BTreeMap<String, u64>,
    /// Over the traces of all runs in order: the same for the same seeds, everywhere.
    pub hash: String,
    /// The first seed that broke a promise.
    pub failure: Option<Failure>,
}

/// A seed that broke a promise.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// Which seed.
    pub seed: u64,
    /// The promise, as numbered in the guarantees.
    pub promise: String,
    /// The actor at which it shows.
    pub actor: String,
    /// What is there and what should be.
    pub why: String,
    /// How often lists of steps were tried to make it short.
    pub tries: u32,
    /// The engines that worked on the store.
    pub engines: u16,
    /// What is left of the run: one line a step.
    pub trace: Vec<String>,
    /// The command that does it again.
    pub repeat: String,
}

/// Runs seeds until one breaks a promise, or all are done.
///
/// # Errors
///
/// [`SimError`] if the verdict cannot be written.
pub fn simulate(
    args: &SimArgs,
    clock: impl Fn() -> f64,
    out: &mut dyn Write,
) -> Result<bool, SimError> {
    let made = |seed| move || make(args.scenario, seed);
    let plan = Plan { steps: args.steps, faults: faults(args.faults) };
    let first = args.seed.unwrap_or(args.from);
    let seeds = if args.seed.is_some() { 1 } else { args.seeds };
    let began = clock();
    let is_over = || args.minutes.is_some_and(|minutes| clock() - began >= minutes * 60.0);
    let mut verdict = Verdict {
        scenario: args.scenario.name().to_owned(),
        first_seed: first,
        seeds: 0,
        steps_per_run: args.steps,
        steps: 0,
        turns: 0,
        virtual_hours: 0.0,
        seconds: 0.0,
        done: BTreeMap::new(),
        hash: String::new(),
        failure: None,
    };
    let progress = progress(seeds, !args.json && !args.trace);
    let mut hasher = sexton_sim::Hasher::default();
    let mut seed = first;
    while verdict.failure.is_none()
        && if args.minutes.is_some() { !is_over() } else { verdict.seeds < seeds }
    {
        let mut told = Ok(());
        let result = run(made(seed)().as_mut(), seed, plan, &mut |line: &Line<'_>| {
            if args.trace && told.is_ok() {
                told = writeln!(out, "{line}");
            }
        });
        told?;
        verdict.take(&result);
        hasher.add(result.hash.as_bytes());
        progress.inc(1);
        progress.set_message(format!("{} turns", grouped(verdict.turns)));
        if result.failure.is_some() {
            verdict.failure = failure(args, seed, (&result, &made(seed)));
        }
        seed += 1;
    }
    progress.finish_and_clear();
    verdict.seconds = clock() - began;
    verdict.hash = hasher.text();
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &verdict).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        tell(&verdict, out)?;
    }
    Ok(verdict.failure.is_none())
}

fn make(scenario: ScenarioName, seed: u64) -> Box<dyn Scenario> {
    match scenario {
        ScenarioName::Probes => Box::new(Probes::new()),
        ScenarioName::Fleet => {
            Box::new(fleet::Fleet::new(seed).expect("a cloud in memory cannot fail"))
        }
    }
}

fn faults(of: FaultSet) -> Faults {
    match of {
        FaultSet::All => Faults::ALL,
        FaultSet::None => Faults::NONE,
    }
}

fn failure(
    args: &SimArgs,
    seed: u64,
    of: (&Run, &dyn Fn() -> Box<dyn Scenario>),
) -> Option<Failure> {
    let (result, made) = of;
    let broken = result.failure.as_ref()?;
    let shrunk = shrink(made, result, TRIES_MAX).unwrap_or_else(|| Shrunk {
        steps: result.steps.clone(),
        failure: broken.clone(),
        tries: 0,
    });
    let mut trace = Vec::new();
    replay(made().as_mut(), result.parts, &shrunk.steps, &mut |line: &Line<'_>| {
        trace.push(line.to_string());
    });
    let mut repeat = format!("sexton sim --scenario {} --seed {seed}", args.scenario.name());
    if args.steps != Plan::default().steps {
        repeat = format!("{repeat} --steps {}", args.steps);
    }
    if args.faults == FaultSet::None {
        repeat.push_str(" --faults none");
    }
    Some(Failure {
        seed,
        promise: shrunk.failure.promise.to_owned(),
        actor: shrunk.failure.id.to_string(),
        why: shrunk.failure.why,
        tries: shrunk.tries,
        engines: result.parts,
        trace,
        repeat,
    })
}

impl Verdict {
    fn take(&mut self, run: &Run) {
        self.seeds += 1;
        self.turns += run.turns;
        self.steps += u64::try_from(run.steps.len()).unwrap_or(0);
        let ms = i32::try_from(run.ended_at.as_millis() / 1_000).unwrap_or(i32::MAX);
        self.virtual_hours += f64::from(ms) / 3_600.0;
        for step in &run.steps {
            *self.done.entry(kind(step)).or_default() += 1;
        }
    }
}

/// What kind of step it is: its first word, and what becomes of an effect.
fn kind(step: &Step) -> String {
    let line = step.to_string();
    let mut words = line.split(' ');
    let first = words.next().unwrap_or_default();
    match first {
        "begin" => format!("begin {}", words.nth(1).unwrap_or_default()),
        _ => first.to_owned(),
    }
}

fn progress(seeds: u64, is_shown: bool) -> ProgressBar {
    let target = if is_shown {
        ProgressDrawTarget::stderr_with_hz(10)
    } else {
        ProgressDrawTarget::hidden()
    };
    let shown = ProgressBar::with_draw_target(Some(seeds), target);
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} seeds  {msg}  {elapsed}");
    shown.with_style(style.expect("the template is well formed"))
}

fn tell(verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
    let Verdict { scenario, first_seed: first, seeds, steps_per_run: steps, .. } = verdict;
    let which = match seeds {
        1 => format!("seed {first}"),
        _ => format!("seeds {first} to {}", first + seeds.saturating_sub(1)),
    };
    writeln!(out, "scenario       {scenario}, {which}, {steps} steps each")?;
    let per_second = |n: f64| decimal(n / verdict.seconds.max(0.001), 0);
    let (steps, turns) = (grouped(verdict.steps), grouped(verdict.turns));
    let hours = decimal(verdict.virtual_hours, 0);
    writeln!(out, "ran            {steps} steps, {turns} turns, {hours} h of virtual time")?;
    let rate = per_second(u32::try_from(verdict.steps).map_or(f64::MAX, f64::from));
    let pace = per_second(verdict.virtual_hours);
    let seconds = decimal(verdict.seconds, 1);
    writeln!(out, "took           {seconds} s: {rate} steps/s, {pace} virtual hours/s")?;
    let done: Vec<String> =
        verdict.done.iter().map(|(kind, n)| format!("{} {kind}", grouped(*n))).collect();
    for (index, line) in done.chunks(6).enumerate() {
        let name = if index == 0 { "steps" } else { "" };
        writeln!(out, "{name:<15}{}", line.join(", "))?;
    }
    writeln!(out, "hash           {}", verdict.hash)?;
    match &verdict.failure {
        None => {
            writeln!(out, "\nEvery promise was kept, with {}.", counted(*seeds, "seed", "seeds"))
        }
        Some(it) => {
            let Failure { seed, promise, actor, why, tries, engines, .. } = it;
            writeln!(out, "\nSeed {seed} breaks {promise} at {actor}: {why}")?;
            writeln!(out, "\nWhat is left of it after {tries} tries, on {engines} engines:")?;
            for line in &it.trace {
                writeln!(out, "{line}")?;
            }
            writeln!(out, "\nAgain: {}", it.repeat)
        }
    }
}
