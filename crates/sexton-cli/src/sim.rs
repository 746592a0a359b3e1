//! Seeds: actors under every fault, and every promise looked at after every step.

mod fleet;
mod list;
mod seeds;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use sexton::ActorId;
use sexton::audit::Broken;
use sexton_sim::{Faults, Line, Plan, Probes, Run, Scenario, Shrunk, Step, replay, run, shrink};

use crate::args::{FaultSet, ScenarioName, SimArgs};
use crate::figures::{counted, decimal, grouped};

use self::list::List;
pub use self::list::ListError;

/// How often a failing list is tried while it is made short. Chosen: a minute at most.
const TRIES_MAX: u32 = 3_000;
/// The first seeds are run twice, and must be the same twice: checks G13. Chosen: enough to notice
/// what is not deterministic, at little cost.
const SEEDS_TWICE: u64 = 20;

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
    /// A list of steps cannot be read or written.
    #[error("a list of steps")]
    List(#[from] ListError),
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
    /// If the promise broke after the trouble was over: the last of what happened then.
    pub ending: Vec<String>,
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
    let plan = Plan { steps: args.steps, faults: faults(args.faults) };
    let first = args.seed.unwrap_or(args.from);
    let seeds = if args.seed.is_some() { 1 } else { args.seeds };
    let began = clock();
    args.save.as_deref().map(List::check_place).transpose()?;
    let list = args.replay.as_deref().map(List::read).transpose()?;
    let mut verdict = Verdict::of((args, list.as_ref()), first);
    let progress = progress(seeds, !args.json && !args.trace);
    let mut hasher = sexton_sim::Hasher::default();
    let mut failed = None;
    let mut take = |seed, result: Run| {
        verdict.take(&result);
        hasher.add(result.hash.as_bytes());
        progress.inc(1);
        progress.set_message(format!("{} turns", grouped(verdict.turns)));
        if result.failure.is_some() {
            failed = Some((seed, result));
        }
        let is_over = match args.minutes {
            Some(minutes) => clock() - began >= minutes * 60.0,
            None => verdict.seeds >= seeds,
        };
        failed.is_none() && !is_over && seed < u64::MAX
    };
    if let Some(list) = &list {
        let (result, told) = play(list, args.trace.then_some(&mut *out));
        told?;
        take(list.seed, result);
    } else if args.trace {
        // Its lines come in the order of the seeds: one after the other.
        let mut seed = first;
        loop {
            let mut told = Ok(());
            let mut scenario = make(args.scenario, seed);
            let result = run(scenario.as_mut(), seed, plan, &mut |line: &Line<'_>| {
                told = std::mem::replace(&mut told, Ok(())).and_then(|()| writeln!(out, "{line}"));
            });
            told?;
            if !take(seed, result) {
                break;
            }
            seed += 1;
        }
    } else {
        let once = |seed| run(make(args.scenario, seed).as_mut(), seed, plan, &mut |_| ());
        let jobs = args.jobs.or_else(|| std::thread::available_parallelism().ok());
        let jobs = jobs.map_or(1, NonZeroUsize::get);
        seeds::each(first, jobs, |seed| checked(seed, seed - first < SEEDS_TWICE, &once), take);
    }
    let found = failed.and_then(|(seed, result)| {
        progress.set_message(format!("seed {seed} breaks a promise: making it short"));
        progress.enable_steady_tick(Duration::from_millis(100));
        failure((args, list.as_ref()), seed, &result)
    });
    let (found, left) = found.unzip();
    verdict.failure = found;
    progress.finish_and_clear();
    verdict.seconds = clock() - began;
    verdict.hash = hasher.text();
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &verdict).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        tell(&verdict, out)?;
    }
    if let (Some(path), Some(list), Some(it)) = (&args.save, left, &verdict.failure) {
        let Failure { seed, promise, actor, why, .. } = it;
        list.write(path, &format!("seed {seed} breaks {promise} at {actor}: {why}"))?;
    }
    Ok(verdict.failure.is_none())
}

/// Runs a seed, and once more if it is asked for: the same seed is the same trace (G13).
fn checked(seed: u64, is_twice: bool, once: &dyn Fn(u64) -> Run) -> Run {
    let mut result = once(seed);
    if is_twice && result.failure.is_none() {
        let again = once(seed);
        if again.hash != result.hash {
            let why = format!("its trace has the hash {}, and then {}", result.hash, again.hash);
            let id = ActorId::new("seed", &seed.to_string()).expect("a number is a good name");
            result.failure = Some(Broken { promise: "G13", id, why });
        }
    }
    result
}

/// Plays a list of steps; its lines go to `out`.
fn play(list: &List, out: Option<&mut dyn Write>) -> (Run, io::Result<()>) {
    let mut told = Ok(());
    let mut out = out;
    let mut scenario = make(list.scenario, list.seed);
    let result = replay(scenario.as_mut(), list.engines, &list.steps, &mut |line: &Line<'_>| {
        if let Some(out) = out.as_mut() {
            told = std::mem::replace(&mut told, Ok(())).and_then(|()| writeln!(out, "{line}"));
        }
    });
    (result, told)
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

/// Makes a failure short, and says all that is to be said of it.
fn failure(of: (&SimArgs, Option<&List>), seed: u64, result: &Run) -> Option<(Failure, List)> {
    let (args, played) = of;
    let broken = result.failure.as_ref()?;
    let scenario = played.map_or(args.scenario, |list| list.scenario);
    let shrunk = shrink(&|| make(scenario, seed), result, TRIES_MAX).unwrap_or_else(|| Shrunk {
        steps: result.steps.clone(),
        failure: broken.clone(),
        tries: 0,
    });
    let list = List { scenario, seed, engines: result.parts, steps: shrunk.steps };
    let mut trace = Vec::new();
    let again =
        replay(make(scenario, seed).as_mut(), list.engines, &list.steps, &mut |line: &Line<'_>| {
            trace.push(line.to_string());
        });
    let Broken { promise, id, why } = shrunk.failure;
    let failure = Failure {
        seed,
        promise: promise.to_owned(),
        actor: id.to_string(),
        why,
        tries: shrunk.tries,
        engines: result.parts,
        trace,
        ending: again.ending,
        repeat: repeat(args, seed),
    };
    Some((failure, list))
}

/// The command that does it again.
fn repeat(args: &SimArgs, seed: u64) -> String {
    if let Some(path) = &args.replay {
        return format!("sexton sim --replay {}", Path::display(path));
    }
    let mut repeat = format!("sexton sim --scenario {} --seed {seed}", args.scenario.name());
    if args.steps != Plan::default().steps {
        repeat = format!("{repeat} --steps {}", args.steps);
    }
    if args.faults == FaultSet::None {
        repeat.push_str(" --faults none");
    }
    repeat
}

impl Verdict {
    /// Before anything was run.
    fn of(args: (&SimArgs, Option<&List>), first_seed: u64) -> Self {
        let (args, played) = args;
        let (scenario, first_seed, steps_per_run) = match played {
            Some(list) => (list.scenario, list.seed, list.len()),
            None => (args.scenario, first_seed, args.steps),
        };
        Self {
            scenario: scenario.name().to_owned(),
            first_seed,
            seeds: 0,
            steps_per_run,
            steps: 0,
            turns: 0,
            virtual_hours: 0.0,
            seconds: 0.0,
            done: BTreeMap::new(),
            hash: String::new(),
            failure: None,
        }
    }

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
            if !it.ending.is_empty() {
                writeln!(out, "\nThe last that happened after the trouble was over:")?;
            }
            for line in &it.ending {
                writeln!(out, "{line}")?;
            }
            writeln!(out, "\nAgain: {}", it.repeat)
        }
    }
}
