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
    /// Drive recorded event lists of machines, workspaces and tasks through real actors on a
    /// real store, in virtual time, until all that must go has gone.
    ///
    /// Exit status: 0 if nothing leaked and the audit holds, 1 if not, 2 for bad input or usage.
    Replay(ReplayArgs),
    /// Write a small event list with every kind of event in it.
    Generate(GenerateArgs),
}

/// The options of `sexton replay`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct ReplayArgs {
    /// Event lists, `.csv` or `.csv.gz`; several are merged by time.
    #[arg(required = true, value_name = "TRACE")]
    pub traces: Vec<PathBuf>,
    /// Where turns become durable: a directory, `sled:DIR`, or `memory`. Without it a fresh
    /// temporary directory, named in the output. What the simulated cloud did lies in a file
    /// beside it, `DIR.cloud`.
    #[arg(long, value_name = "STORE")]
    pub store: Option<StoreSpec>,
    /// A price list: Hetzner `server_types` JSON or an instance-type CSV.
    #[arg(long, value_name = "FILE")]
    pub catalog: Option<PathBuf>,
    /// Where the randomness of the simulated cloud begins.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The most machines that the fleet may provision for one owner at a time. Far above the
    /// policy's own default of 10, because a trace is of things that did run at once.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub nodes_per_owner: u32,
    /// Write `report.json` and `report.html` there.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Print the report as JSON instead of the summary.
    #[arg(long)]
    pub json: bool,
    /// Switch one of the two nets off.
    #[arg(long, value_name = "NET")]
    pub without: Option<Net>,
    /// End by `abort`, as a crash would, when this run made so many commits.
    #[arg(long, value_name = "COMMITS", value_parser = clap::value_parser!(u64).range(1..))]
    pub stop_after: Option<u64>,
    /// Go on from a store on which a run was ended.
    #[arg(long)]
    pub resume: bool,
}

/// One of the two nets that end what must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Net {
    /// No actor's deadline rings.
    Alarms,
    /// No sweep passes.
    Sweeps,
}

impl Net {
    /// Its name on the command line and in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alarms => "alarms",
            Self::Sweeps => "sweeps",
        }
    }
}

/// Which store to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreSpec {
    /// The embedded store in this directory.
    Embedded(PathBuf),
    /// The embedded store with sled as its index, in this directory.
    Sled(PathBuf),
    /// In memory: gone when the run ends.
    Memory,
}

impl std::str::FromStr for StoreSpec {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s.split_once(':') {
            Some(("sled", "")) => Err("`sled:` needs a directory behind it".to_owned()),
            Some(("sled", path)) => Ok(Self::Sled(path.into())),
            Some(_) | None if s == "memory" => Ok(Self::Memory),
            Some(_) | None if s.is_empty() => Err("a store needs a directory".to_owned()),
            Some(_) | None => Ok(Self::Embedded(s.into())),
        }
    }
}

impl std::fmt::Display for StoreSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Embedded(path) => write!(f, "{}", path.display()),
            Self::Sled(path) => write!(f, "sled:{}", path.display()),
            Self::Memory => f.write_str("memory"),
        }
    }
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
