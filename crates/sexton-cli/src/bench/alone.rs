//! A run in a process of its own: what was measured before leaves no traces in memory.
//!
//! ```text
//! bench --> bench --once --exact CASE   standard output: what was measured, as JSON
//!                                       standard error:  `progress` lines, and why it failed
//! ```
//!
//! A run that measures several cases is made once for all of them.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sexton_bench::{Case, Pair, Place, Progress};

use super::RunError;
use crate::args::BenchArgs;
use crate::figures::grouped;

/// What a line begins with that says how far a run came.
const MARK: &str = "progress ";

/// Runs of cases, each in a process of its own.
pub(super) struct Alone<'a> {
    root: &'a Path,
    args: &'a BenchArgs,
    shown: ProgressBar,
    /// What was measured and not asked for yet, by case and run.
    measured: BTreeMap<(String, u32), Pair>,
}

impl<'a> Alone<'a> {
    /// Runs with these options in this place, so many in all.
    pub(super) fn new(root: &'a Path, args: &'a BenchArgs, n_cases: usize) -> Self {
        let n = u64::try_from(n_cases).unwrap_or(0) * u64::from(args.runs.get());
        let shown = ProgressBar::with_draw_target(Some(n), ProgressDrawTarget::stderr_with_hz(4));
        let style = ProgressStyle::with_template("{bar:30} {pos} of {len} runs  {msg}  {elapsed}");
        let shown = shown.with_style(style.expect("the template is well formed"));
        Self { root, args, shown, measured: BTreeMap::new() }
    }

    /// All runs of a case.
    pub(super) fn pairs(&mut self, case: &Case) -> Result<Vec<Pair>, RunError> {
        self.shown.set_message(case.name);
        let mut pairs = Vec::new();
        for nth in 0..self.args.runs.get() {
            let own = (case.name.to_owned(), nth);
            if !self.measured.contains_key(&own) {
                self.run(case, nth)?;
            }
            let nothing = || RunError::failed(case, "it measured nothing");
            pairs.push(self.measured.remove(&own).ok_or_else(nothing)?);
            self.shown.inc(1);
        }
        Ok(pairs)
    }

    /// Prints without the progress in between.
    pub(super) fn quiet<T>(&self, print: impl FnOnce() -> T) -> T {
        self.shown.suspend(print)
    }

    /// Takes the progress away.
    pub(super) fn finish(self) {
        self.shown.finish_and_clear();
    }

    fn run(&mut self, case: &Case, nth: u32) -> Result<(), RunError> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench", "--once", "--exact", case.name, "--dir"]).arg(self.root);
        command.args(self.args.quick.then_some("--quick"));
        if case.name == super::replay::CASE.name {
            self.args.trace.iter().for_each(|file| {
                command.arg("--trace").arg(file);
            });
        }
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn()?;
        let said = self.listen(case, &mut child)?;
        // What it measured is a few thousand bytes: the pipe holds that until it is read.
        let output = child.wait_with_output()?;
        if !output.status.success() {
            return Err(RunError::failed(case, said.trim()));
        }
        let pairs: Vec<(String, Pair)> = serde_json::from_slice(&output.stdout)
            .map_err(|error| RunError::failed(case, &error.to_string()))?;
        self.measured.extend(pairs.into_iter().map(|(name, pair)| ((name, nth), pair)));
        self.shown.set_message(case.name);
        Ok(())
    }

    /// Shows how far a run came until it ends; what else it said.
    fn listen(&self, case: &Case, child: &mut Child) -> io::Result<String> {
        let mut said = String::new();
        for line in child.stderr.take().into_iter().flat_map(|it| BufReader::new(it).lines()) {
            let line = line?;
            if let Some(progress) = line.strip_prefix(MARK) {
                self.shown.set_message(format!("{}: {progress}", case.name));
            } else {
                said = said + &line + "\n";
            }
        }
        Ok(said)
    }
}

/// Measures in this process, and prints what was measured as JSON.
pub(super) fn once(chosen: &[Case], place: Place, out: &mut dyn Write) -> Result<(), RunError> {
    let shown = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(4));
    let place = place.with_listener({
        let shown = shown.clone();
        move |progress| tell(&shown, progress)
    });
    let mut measured: Vec<&str> = Vec::new();
    for case in chosen {
        if measured.contains(&case.name) {
            continue;
        }
        let pairs = case
            .measure(&place)
            .map_err(|source| RunError::Case { name: case.name.to_owned(), source })?;
        measured.extend(pairs.iter().map(|(name, _)| *name));
        shown.finish_and_clear();
        writeln!(out, "{}", serde_json::to_string(&pairs).map_err(io::Error::from)?)?;
    }
    Ok(())
}

/// To a person as a bar, to whoever started this as lines.
fn tell(shown: &ProgressBar, progress: Progress) {
    let Progress { what, done, total } = progress;
    let said = format!("{} of {} {what}", grouped(done), grouped(total));
    let mut error = io::stderr();
    if error.is_terminal() {
        shown.set_length(total);
        shown.set_position(done);
        shown.set_message(what);
    } else {
        // Nobody may be listening any more; the run goes on.
        drop(writeln!(error, "{MARK}{said}"));
    }
}
