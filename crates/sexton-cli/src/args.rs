//! What can be asked of the command `sexton`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Durable actors whose alarms ring and whose tombstones hold.
#[derive(Debug, Parser)]
#[command(name = "sexton", version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a small event list with every kind of event in it.
    Generate(GenerateArgs),
}

/// The options of `sexton generate`.
#[derive(Debug, clap::Args)]
pub struct GenerateArgs {
    /// Where the randomness begins: the same seed gives the same list.
    #[arg(long, default_value_t = crate::generate::SHIPPED_SEED)]
    pub seed: u64,
    /// The file to write; without it the list goes to the standard output.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}
