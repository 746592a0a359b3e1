//! How fast, beside what it could be at best: cases of `sexton-bench` as a table, JSON and a page.

mod page;
mod plot;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::{Deserialize, Serialize};
use sexton_bench::{BenchError, Case, Measured, Pair, Place, Target, Unit, cases};

use crate::args::BenchArgs;
use crate::figures::{counted, decimal, duration};

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

/// Measures what was asked for.
///
/// # Errors
///
/// [`RunError`]: what could not be measured, read or written.
pub fn run(args: &BenchArgs, clock: impl Fn() -> f64, out: &mut dyn Write) -> Result<(), RunError> {
    let chosen = chosen(args)?;
    if args.list {
        return Ok(list(&chosen, out)?);
    }
    let earlier = args.compare.as_deref().map(read).transpose()?;
    let part = if args.quick { QUICK_PART } else { 1 };
    let root = args.dir.clone().unwrap_or_else(std::env::temp_dir);
    let place =
        Place::new(&root, part).map_err(|source| RunError::Place { path: root.clone(), source })?;
    if args.once {
        return once(&chosen, &place, out);
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let machine = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    let mut bench = Bench { cores, machine, runs: args.runs.get(), part, cases: Vec::new() };
    let is_told = args.json.as_deref() != Some(Path::new("-"));
    let progress = progress(chosen.len(), args.runs.get());
    let began = clock();
    for case in &chosen {
        progress.set_message(case.name);
        let mut pairs = Vec::new();
        for _ in 0..args.runs.get() {
            pairs.push(alone(case, &root, args.quick)?);
            progress.inc(1);
        }
        let measured = Measured::new(case, pairs);
        progress.suspend(|| line(&measured, earlier.as_ref(), is_told, out))?;
        bench.cases.push(measured);
    }
    progress.finish_and_clear();
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&bench).map_err(io::Error::from)?;
        if path.as_os_str() == "-" {
            writeln!(out, "{text}")?;
        } else {
            write(path, &text)?;
        }
    }
    if let Some(directory) = &args.docs {
        write_page(directory, &bench)?;
    }
    if is_told {
        let missed = bench.cases.iter().filter(|case| case.is_reached() == Some(false)).count();
        let took = duration(clock() - began);
        let n = u64::try_from(bench.cases.len()).unwrap_or(0);
        let n = counted(n, "case", "cases");
        writeln!(out, "\n{n} in {took}; {missed} below their target")?;
    }
    Ok(())
}

/// Measures one case in this process, and prints what it measured as JSON.
fn once(chosen: &[Case], place: &Place, out: &mut dyn Write) -> Result<(), RunError> {
    for case in chosen {
        let pair = case
            .measure(place)
            .map_err(|source| RunError::Case { name: case.name.to_owned(), source })?;
        writeln!(out, "{}", serde_json::to_string(&pair).map_err(io::Error::from)?)?;
    }
    Ok(())
}

/// Measures a case in a process of its own: what was measured before leaves no traces in memory.
fn alone(case: &Case, root: &Path, is_quick: bool) -> Result<Pair, RunError> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bench", "--once", "--exact", case.name, "--dir"]).arg(root);
    command.args(is_quick.then_some("--quick"));
    let output = command.stdin(Stdio::null()).output()?;
    let failed = |why: String| RunError::Failed { name: case.name.to_owned(), why };
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))
}

/// The cases with one of these in their names; all, if there are none.
fn chosen(args: &BenchArgs) -> Result<Vec<Case>, RunError> {
    let (only, all) = (&args.only, cases());
    let has = |case: &Case, it: &String| {
        if args.exact { case.name == it } else { case.name.contains(it.as_str()) }
    };
    if let Some(pattern) = only.iter().find(|it| all.iter().all(|case| !has(case, it))) {
        return Err(RunError::NoCase(pattern.clone()));
    }
    let is_chosen = |case: &Case| only.is_empty() || only.iter().any(|it| has(case, it));
    Ok(all.into_iter().filter(is_chosen).collect())
}

fn list(cases: &[Case], out: &mut dyn Write) -> io::Result<()> {
    for case in cases {
        writeln!(out, "{:<16} {}; beside: {}", case.name, case.what, case.baseline)?;
    }
    Ok(())
}

fn progress(n_cases: usize, runs: u32) -> ProgressBar {
    let n = u64::try_from(n_cases).unwrap_or(0) * u64::from(runs);
    let shown = ProgressBar::with_draw_target(Some(n), ProgressDrawTarget::stderr_with_hz(4));
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} runs  {msg}  {elapsed}");
    shown.with_style(style.expect("the template is well formed"))
}

/// A figure with its unit.
fn figure(value: f64, unit: Unit) -> String {
    let digits = match unit {
        Unit::Milliseconds => 2,
        Unit::PerSecond | Unit::Bytes => 0,
    };
    format!("{} {}", decimal(value, digits), unit.name())
}

/// What has to be, in a few signs.
fn wanted(target: Option<Target>) -> String {
    match target {
        None => String::new(),
        Some(Target::Least(ratio)) => format!("at least {ratio}"),
        Some(Target::Most(ratio)) => format!("at most {ratio}"),
        Some(Target::MostAbove(more)) => format!("at most {more} more"),
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
        verdict => format!("   {}: {verdict}", wanted(case.target)),
    };
    writeln!(out, "  {ours}   beside {baseline}   ratio {}{target}", decimal(case.ratio, 2))?;
    writeln!(out, "  beside: {}", case.baseline)?;
    for also in case.also() {
        writeln!(out, "  {}: {}", also.name, decimal(also.value, 1))?;
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

/// Writes the table into the page, and the picture beside it.
fn write_page(directory: &Path, bench: &Bench) -> Result<(), RunError> {
    let path = directory.join("performance.md");
    let before = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(RunError::File { path, source }),
    };
    write(&path, &page::with_table(&before, bench))?;
    let picture = plot::ratios(bench).map_err(|error| RunError::Plot(error.to_string()))?;
    write(&directory.join("performance.svg"), &picture)
}
