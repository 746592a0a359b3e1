//! The agent as a program.

use std::process::ExitCode;

fn main() -> ExitCode {
    sexton_agent::cli::main()
}
