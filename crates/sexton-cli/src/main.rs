//! The command `sexton`: reads its arguments, does what they ask, and says what went wrong.

use std::env::VarError;
use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::panic;
use std::process::ExitCode;

use clap::Parser;
use sexton::chain;
use sexton::clock::{Clock, WallClock};
use sexton_cli::args::{
    Args, BenchArgs, CheckArgs, Command, GenerateArgs, InspectArgs, ReplayArgs, SimArgs,
};
use sexton_cli::replay::{self, Outcome};
use sexton_cli::report::Report;
use sexton_cli::summary::{wants_colour, write_summary};
use sexton_cli::{bench, check, inspect, sim};

/// The exit status for a leak, a resurrection or a broken promise.
const NOT_CLEAN: u8 = 1;
/// The exit status for bad input and bad usage; clap uses the same.
const BAD_INPUT: u8 = 2;

fn main() -> ExitCode {
    quiet_panics();
    let args = Args::parse();
    let done = match args.command {
        Command::Replay(args) => replay(&args),
        Command::Check(args) => check(&args),
        Command::Inspect(args) => inspect(&args),
        Command::Sim(args) => simulate(&args),
        Command::Bench(args) => bench(&args),
        Command::Generate(args) => generate(&args).map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            // If even this cannot be said, the exit status still can.
            drop(writeln!(io::stderr(), "sexton: {}", chain(error.as_ref())));
            ExitCode::from(BAD_INPUT)
        }
    }
}

/// Panics of the indexes over a damaged file come back as errors that name the file: what they
/// would print besides is left out. All others print as ever.
fn quiet_panics() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |it| {
        let is_of_index = it
            .location()
            .is_some_and(|at| at.file().contains("/redb-") || at.file().contains("/sled-"));
        if !is_of_index {
            print(it);
        }
    }));
}

/// Replays event lists and says how it went.
fn replay(args: &ReplayArgs) -> Result<ExitCode, Box<dyn Error>> {
    let clock = WallClock;
    let began = clock.now();
    let seconds = || clock.now().since(began).as_secs_f64();
    #[expect(clippy::disallowed_methods, reason = "this is where configuration enters")]
    let outcome = replay::run(args, |name| setting(std::env::var(name)), seconds)?;
    let report = match outcome {
        Outcome::Ended(report) => report,
        // As a crash would: nothing is closed, nothing is said.
        Outcome::Stopped => std::process::abort(),
    };
    match tell(args, &report) {
        // Whoever reads it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        told => told?,
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(NOT_CLEAN) })
}

/// A variable's value; what is not UTF-8 shows as such, and is refused where it is read.
fn setting(value: Result<String, VarError>) -> Option<String> {
    match value {
        Ok(text) => Some(text),
        Err(VarError::NotPresent) => None,
        Err(VarError::NotUnicode(bytes)) => Some(bytes.to_string_lossy().into_owned()),
    }
}

/// Prints the report, for people or for programs.
fn tell(args: &ReplayArgs, report: &Report) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, report)?;
        writeln!(out)?;
    } else {
        write_summary(report, &mut out, wants_colour())?;
    }
    out.flush()
}

/// Checks the lifecycles of the fleet.
fn check(args: &CheckArgs) -> Result<ExitCode, Box<dyn Error>> {
    let mut out = io::stdout().lock();
    #[expect(clippy::disallowed_methods, reason = "this is where configuration enters")]
    let policy_of = |name: &str| setting(std::env::var(name));
    match check::run(args, policy_of, &mut out, wants_colour()) {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => Ok(ExitCode::from(NOT_CLEAN)),
        // Whoever reads it has seen enough.
        Err(check::CheckError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(error.into()),
    }
}

/// Answers a question about a store.
fn inspect(args: &InspectArgs) -> Result<ExitCode, Box<dyn Error>> {
    let mut out = io::stdout().lock();
    match inspect::run(args, &mut out, wants_colour()).and_then(|is_clean| {
        out.flush()?;
        Ok(is_clean)
    }) {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => Ok(ExitCode::from(NOT_CLEAN)),
        // Whoever reads it has seen enough.
        Err(inspect::InspectError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(error.into()),
    }
}

/// Runs seeds.
fn simulate(args: &SimArgs) -> Result<ExitCode, Box<dyn Error>> {
    let (clock, mut out) = (WallClock, io::stdout().lock());
    let began = clock.now();
    let seconds = || clock.now().since(began).as_secs_f64();
    match sim::simulate(args, seconds, &mut out) {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => Ok(ExitCode::from(NOT_CLEAN)),
        // Whoever reads it has seen enough.
        Err(sim::SimError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(error.into()),
    }
}

/// Measures, and tells case by case.
fn bench(args: &BenchArgs) -> Result<ExitCode, Box<dyn Error>> {
    let (clock, mut out) = (WallClock, io::stdout().lock());
    let began = clock.now();
    let seconds = || clock.now().since(began).as_secs_f64();
    match bench::run(args, seconds, &mut out) {
        // Whoever reads it has seen enough.
        Err(bench::RunError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(ExitCode::SUCCESS)
        }
        done => Ok(done.map(|()| ExitCode::SUCCESS)?),
    }
}

/// Writes a generated event list to a file or to the standard output.
fn generate(args: &GenerateArgs) -> Result<(), Box<dyn Error>> {
    let written = match &args.out {
        Some(path) => {
            let file =
                File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
            write_list(args.seed, BufWriter::new(file))
        }
        None => write_list(args.seed, io::stdout().lock()),
    };
    match written {
        // Whoever reads the list has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn write_list(seed: u64, mut out: impl Write) -> io::Result<()> {
    sexton_cli::generate::write(seed, &mut out)?;
    out.flush()
}
