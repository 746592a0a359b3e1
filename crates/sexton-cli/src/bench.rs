//! How fast, beside what it could be at best: cases of `sexton-bench` as a table, JSON and a page.

mod alone;
mod replay;
mod page;
mod plot;
mod curve;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sexton_bench::{BenchError, Case, Effort, LoadPoint, Measured, Place, Target, Unit, cases};

use self::alone::{Alone, once};
use crate::args::BenchArgs;
use crate::figures::{counted, decimal, duration, percent};
use crate::trace::{TraceError, Traces};

/// By how much a quick run is smaller. Chosen: the largest case takes some seconds.
const QUICK_PART: u64 = 20;

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A case could not be measured.
    #[error("the case {name}")]
    Case {
        /// Which.
        name: String,
        /// Why.
        source: BenchError,
    },
    /// A case could not be measured in a process of its own.
    #[error("the case {name}: {why}")]
    Failed {
        /// Which.
        name: String,
        /// What that process said.
        why: String,
    },
    /// There is no place to measure in.
    #[error("{}", path.display())]
    Place {
        /// Which.
        path: PathBuf,
        /// Why.
        source: BenchError,
    },
    /// No case is called so.
    #[error("no case has `{0}` in its name; `--list` names all")]
    NoCase(String),
    /// A large case was not asked for by its whole name.
    #[error("`{0}` is in the names of large cases only: say `--large`, or a whole name")]
    Large(String),
    /// A large case was asked for as a quick look.
    #[error("the case {0} is large, and never quick: leave `--quick` out")]
    Quick(&'static str),
    /// Event lists were given, and none is played.
    #[error("`--trace` is for the case `replay`, which is not among those that are measured")]
    NoReplay,
    /// An event list cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A file cannot be read or written.
    #[error("{}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not one of measured cases.
    #[error("{} is not what `--json` writes", path.display())]
    Json {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// An earlier run is of another kind.
    #[error("{} is of {was}, and this is {is}", path.display())]
    Merge {
        /// Where it was written.
        path: PathBuf,
        /// What it was.
        was: String,
        /// What this one is.
        is: String,
    },
    /// The picture cannot be drawn.
    #[error("the picture cannot be drawn: {0}")]
    Plot(String),
    /// Nothing can be printed.
    #[error("nothing can be printed")]
    Output(#[from] io::Error),
}

/// Everything that was measured in one go.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bench {
    /// Threads that the machine runs at once.
    pub cores: usize,
    /// The machine's kind.
    pub machine: String,
    /// How often each case was measured; its figures are medians.
    pub runs: u32,
    /// By how much sizes were smaller than a full run's.
    pub part: u64,
    /// The cases.
    pub cases: Vec<Measured>,
}

impl RunError {
    fn failed(case: &Case, why: &str) -> Self {
        Self::Failed { name: case.name.to_owned(), why: why.to_owned() }
    }
}

/// Measures what was asked for.
///
/// # Errors
///
/// [`RunError`]: what could not be measured, read or written.
pub fn run(args: &BenchArgs, clock: impl Fn() -> f64, out: &mut dyn Write) -> Result<(), RunError> {
    let named = named(args)?;
    if args.list {
        return Ok(list(&named, out)?);
    }
    let chosen = chosen(args, named)?;
    if !args.trace.is_empty() {
        let is_played = chosen.iter().any(|case| case.name == replay::CASE.name);
        is_played.then_some(()).ok_or(RunError::NoReplay)?;
        drop(Traces::open(&args.trace)?);
    }
    let earlier = args.compare.as_deref().map(read).transpose()?;
    let part = if args.quick { QUICK_PART } else { 1 };
    let root = args.dir.clone().unwrap_or_else(std::env::temp_dir);
    let place =
        Place::new(&root, part).map_err(|source| RunError::Place { path: root.clone(), source })?;
    if args.once {
        return once(&chosen, place.with_traces(args.trace.clone()), out);
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let machine = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    let mut bench = Bench { cores, machine, runs: args.runs.get(), part, cases: Vec::new() };
    let merged = args.merge.as_deref().map(|path| bench.fellow(path)).transpose()?;
    let is_told = args.json.as_deref() != Some(Path::new("-"));
    let mut alone = Alone::new(&root, args, chosen.len());
    let began = clock();
    let ended: Result<(), RunError> = chosen.iter().try_for_each(|case| {
        let measured = Measured::new(case, alone.pairs(case)?);
        alone.quiet(|| line(&measured, earlier.as_ref(), is_told, out))?;
        bench.cases.push(measured);
        Ok(())
    });
    alone.finish();
    let missed = bench.cases.iter().filter(|case| case.is_reached() == Some(false)).count();
    if let Some(merged) = merged {
        bench.merge(merged);
    }
    // What was measured until a case failed took its time; a page of a part would say that it is all.
    tell_json(args, &bench, out)?;
    ended?;
    args.docs.as_deref().map_or(Ok(()), |directory| write_page(directory, &bench))?;
    if is_told {
        let took = duration(clock() - began);
        let n = counted(u64::try_from(chosen.len()).unwrap_or(0), "case", "cases");
        writeln!(out, "\n{n} in {took}; {missed} below their target")?;
    }
    Ok(())
}

/// Writes the figures where they were asked for.
fn tell_json(args: &BenchArgs, bench: &Bench, out: &mut dyn Write) -> Result<(), RunError> {
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(bench).map_err(io::Error::from)?;
        if path.as_os_str() == "-" {
            writeln!(out, "{text}")?;
        } else {
            write(path, &text)?;
        }
    }
    Ok(())
}

impl Bench {
    /// An earlier run, if its figures may stand beside those of this one.
    fn fellow(&self, path: &Path) -> Result<Self, RunError> {
        let it = read(path)?;
        let kind = |it: &Self| {
            let Self { cores, machine, runs, part, .. } = it;
            let runs = counted(u64::from(*runs), "run", "runs");
            format!("{runs} on {machine} with {cores} cores, sizes divided by {part}")
        };
        let (was, is) = (kind(&it), kind(self));
        if was == is { Ok(it) } else { Err(RunError::Merge { path: path.to_owned(), was, is }) }
    }

    /// Takes the cases that it has not; all are in the order of their list then, and those that are
    /// on it no more are gone.
    fn merge(&mut self, other: Self) {
        let has = |it: &Measured| self.cases.iter().any(|own| own.name == it.name);
        let more: Vec<Measured> = other.cases.into_iter().filter(|it| !has(it)).collect();
        let all = std::mem::take(&mut self.cases);
        let mut all: Vec<Measured> = all.into_iter().chain(more).collect();
        for case in known() {
            let place = all.iter().position(|it| it.name == case.name);
            self.cases.extend(place.map(|place| all.swap_remove(place)));
        }
    }
}

/// All cases that there are.
fn known() -> Vec<Case> {
    let mut all = cases();
    all.push(replay::CASE);
    all
}

/// The cases with one of these in their names; all, if there are none.
fn named(args: &BenchArgs) -> Result<Vec<Case>, RunError> {
    let all = known();
    let only = &args.only;
    let has = |case: &Case, it: &String| {
        if args.exact { case.name == it } else { case.name.contains(it.as_str()) }
    };
    if let Some(pattern) = only.iter().find(|it| all.iter().all(|case| !has(case, it))) {
        return Err(RunError::NoCase(pattern.clone()));
    }
    let is_chosen = |case: &Case| only.is_empty() || only.iter().any(|it| has(case, it));
    Ok(all.into_iter().filter(is_chosen).collect())
}

/// Those of the named cases that are to be measured: large ones only if they were meant.
fn chosen(args: &BenchArgs, named: Vec<Case>) -> Result<Vec<Case>, RunError> {
    let is_meant = |case: &Case| args.large || args.only.iter().any(|it| it == case.name);
    let is_large = |case: &&Case| case.effort == Effort::Large;
    if let Some(case) = named.iter().filter(is_large).find(|case| args.quick && is_meant(case)) {
        return Err(RunError::Quick(case.name));
    }
    let chosen: Vec<Case> =
        named.into_iter().filter(|case| !is_large(&case) || is_meant(case)).collect();
    match args.only.first().filter(|_| chosen.is_empty()) {
        Some(pattern) => Err(RunError::Large(pattern.clone())),
        None => Ok(chosen),
    }
}

fn list(cases: &[Case], out: &mut dyn Write) -> io::Result<()> {
    for case in cases {
        let effort = match case.effort {
            Effort::Usual => "",
            Effort::Large => "; only if asked for",
        };
        writeln!(out, "{:<18} {}; beside: {}{effort}", case.name, case.what, case.baseline)?;
    }
    Ok(())
}

/// A figure with its unit.
fn figure(value: f64, unit: Unit) -> String {
    let digits = match unit {
        Unit::Milliseconds | Unit::Microseconds => 2,
        Unit::Percent => 1,
        Unit::PerSecond | Unit::Bytes => 0,
    };
    format!("{} {}", decimal(value, digits), unit.name())
}

/// What has to be, in a few signs.
fn wanted(target: Option<Target>, unit: Unit) -> String {
    match target {
        None => String::new(),
        Some(Target::Least(ratio)) => format!("at least {ratio}"),
        Some(Target::Most(ratio)) => format!("at most {ratio}"),
        Some(Target::MostAbove(more)) => format!("at most {more} more"),
        Some(Target::Within(most)) => format!("at most {}", figure(most, unit)),
    }
}

/// Whether it is so.
fn verdict(case: &Measured) -> &'static str {
    match case.is_reached() {
        None => "",
        Some(true) => "reached",
        Some(false) => "MISSED",
    }
}

/// What was seen at one offered load.
fn at_load(point: &LoadPoint) -> String {
    let share = |part: f64| percent(part, point.offered);
    let ms = |time: f64| decimal(time, 2);
    let refused = point
        .refused_p99_ms
        .map_or(String::new(), |time| format!(" ({} ms for 99 of 100)", ms(time)));
    let (load, offered) = (decimal(point.load, 2), decimal(point.offered, 0));
    let (served, p50, p99) = (share(point.served), ms(point.p50_ms), ms(point.p99_ms));
    let share_refused = share(point.refused);
    format!(
        "offered {load} times ({offered} /s): served {served}, half in {p50} ms, 99 of 100 in \
         {p99} ms; refused {share_refused}{refused}"
    )
}

/// One case as lines of text.
fn line(
    case: &Measured,
    earlier: Option<&Bench>,
    is_told: bool,
    out: &mut dyn Write,
) -> Result<(), RunError> {
    if !is_told {
        return Ok(());
    }
    writeln!(out, "{}: {}", case.name, case.what)?;
    let (ours, baseline) = (figure(case.ours, case.unit), figure(case.held_against, case.unit));
    let target = match verdict(case) {
        "" => String::new(),
        verdict => format!("   {}: {verdict}", wanted(case.target, case.unit)),
    };
    writeln!(out, "  {ours}   beside {baseline}   ratio {}{target}", decimal(case.ratio, 2))?;
    writeln!(out, "  beside: {}", case.baseline)?;
    for also in case.also() {
        writeln!(out, "  {}: {}", also.name, decimal(also.value, 1))?;
    }
    for point in case.curve() {
        writeln!(out, "  {}", at_load(&point))?;
    }
    let before = earlier.and_then(|it| it.cases.iter().find(|before| before.name == case.name));
    if let Some(before) = before {
        let by = case.ours / before.ours.max(f64::MIN_POSITIVE);
        let ratio = decimal(before.ratio, 2);
        writeln!(
            out,
            "  before: {}, ratio {ratio}: now {} times that",
            figure(before.ours, case.unit),
            decimal(by, 2)
        )?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Bench, RunError> {
    let text = fs::read_to_string(path)
        .map_err(|source| RunError::File { path: path.to_owned(), source })?;
    serde_json::from_str(&text).map_err(|source| RunError::Json { path: path.to_owned(), source })
}

fn write(path: &Path, text: &str) -> Result<(), RunError> {
    fs::write(path, text).map_err(|source| RunError::File { path: path.to_owned(), source })
}

/// Writes the tables into the page, and the pictures of usual cases beside it.
fn write_page(directory: &Path, bench: &Bench) -> Result<(), RunError> {
    let path = directory.join("performance.md");
    let before = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(RunError::File { path, source }),
    };
    write(&path, &page::with_tables(&before, bench))?;
    let (_, bench) = page::halves(bench);
    if bench.cases.is_empty() {
        return Ok(());
    }
    let picture = plot::ratios(&bench).map_err(|error| RunError::Plot(error.to_string()))?;
    write(&directory.join("performance.svg"), &picture)?;
    let curve = curve::picture(&bench.cases).map_err(|error| RunError::Plot(error.to_string()))?;
    curve.map_or(Ok(()), |picture| write(&directory.join("overload.svg"), &picture))
}
