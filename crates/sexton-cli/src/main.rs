//! The command `sexton`: reads its arguments, does what they ask, and says what went wrong.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::Parser;
use sexton_cli::args::{Args, Command, GenerateArgs};

/// The exit status for bad input and bad usage; clap uses the same.
const BAD_INPUT: u8 = 2;

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.command {
        Command::Generate(args) => generate(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If even this cannot be said, the exit status still can.
            drop(writeln!(io::stderr(), "sexton: {}", chain(error.as_ref())));
            ExitCode::from(BAD_INPUT)
        }
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

/// An error and its causes on one line.
fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line = format!("{line}: {cause}");
        source = cause.source();
    }
    line
}
