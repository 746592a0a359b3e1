//! The agent as a program beside this library, for whoever makes machines with `LocalProcesses`
//! and has built nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    sexton_agent::cli::main()
}
