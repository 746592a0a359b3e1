//! What can be asked of the command `sexton`.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use sexton::ActorId;

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
    /// Prove that no actor of the fleet can hold something for ever: explores the reachable
    /// states of each kind and looks for those that no deadline, debt or sweep will end.
    ///
    /// Exit status: 0 if every kind is covered, 1 if not, 2 for bad usage.
    Check(CheckArgs),
    /// Look at what a store holds, without running anything and without changing a byte.
    ///
    /// Exit status: 0 if all that was looked at is sound, 1 if something is damaged or a promise
    /// is broken, 2 if there is no such store or it cannot be opened.
    Inspect(InspectArgs),
    /// Run actors under faults by chance, and look at every promise after every step: crashes, torn
    /// and failed flushes, lost and late answers, clocks that jump, processes taken for dead.
    ///
    /// Exit status: 0 if every promise was kept, 1 if not, 2 for bad usage.
    Sim(SimArgs),
    /// Measure how fast it is on this machine, each case beside a baseline of the same run: the least
    /// that must be done for it without Sexton. Takes some minutes; nothing else should run.
    ///
    /// Exit status: 0 also if a target is missed, 2 for bad usage or if a case cannot be measured.
    Bench(BenchArgs),
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
    /// Play every workspace that lies on no node of the trace as a sandbox, and not only those
    /// whose first row says `sandbox` in its info.
    #[arg(long)]
    pub sandboxes: bool,
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

/// The options of `sexton sim`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct SimArgs {
    /// What is simulated.
    #[arg(long, value_enum, default_value_t = ScenarioName::Probes)]
    pub scenario: ScenarioName,
    /// How many seeds.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// The first of them.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub from: u64,
    /// One seed and no other, as a failure names it.
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seeds", "from", "minutes"])]
    pub seed: Option<u64>,
    /// For so long instead of so many seeds.
    #[arg(long, value_name = "MINUTES", conflicts_with = "seeds", value_parser = minutes)]
    pub minutes: Option<f64>,
    /// The steps of a run until the trouble ends and all must come to its end.
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..))]
    pub steps: u32,
    /// What can go wrong.
    #[arg(long, value_enum, default_value_t = FaultSet::All)]
    pub faults: FaultSet,
    /// On how many threads; one a core, unless said otherwise. The verdict is the same.
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// If a promise breaks, write the steps that are left to this file.
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Play the steps of such a file, and no seed.
    #[arg(long, value_name = "FILE",
          conflicts_with_all = ["scenario", "seeds", "from", "seed", "minutes", "steps", "faults"])]
    pub replay: Option<PathBuf>,
    /// Print every step, one a line.
    #[arg(long, conflicts_with = "json")]
    pub trace: bool,
    /// Print the verdict as JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// The options of `sexton bench`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct BenchArgs {
    /// Only cases with one of these in their names.
    #[arg(value_name = "CASE")]
    pub only: Vec<String>,
    /// Name the cases, and measure none.
    #[arg(long)]
    pub list: bool,
    /// Only cases with one of these as their whole name.
    #[arg(long)]
    pub exact: bool,
    /// Measure in this very process, once, and print the bare figures: what `bench` starts for each
    /// run, and what a profiler wants to look at.
    #[arg(long, conflicts_with_all = ["runs", "json", "compare", "merge", "docs"])]
    pub once: bool,
    /// How often each case is measured; its figures are medians.
    #[arg(long, value_name = "N", default_value = "5")]
    pub runs: NonZeroU32,
    /// A quick look: sizes and times are a twentieth of a full run's.
    #[arg(long)]
    pub quick: bool,
    /// Also the cases of ten million actors, which take many minutes and gigabytes of the disk; one
    /// that is given by its whole name needs no such word.
    #[arg(long, conflicts_with = "quick")]
    pub large: bool,
    /// What the case `replay` plays, `.csv` or `.csv.gz`, instead of the list that is shipped; may be
    /// given several times.
    #[arg(long, value_name = "FILE")]
    pub trace: Vec<PathBuf>,
    /// Measure on the disk of this directory; without it, in the system's directory for temporary
    /// files, which may be memory.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Write all that was measured as JSON to this file, or to the standard output if it is `-`.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Hold each case against that of an earlier run, as `--json` wrote it.
    #[arg(long, value_name = "FILE")]
    pub compare: Option<PathBuf>,
    /// Take cases that are not measured now from an earlier run, as `--json` wrote it: one that was
    /// made on such a machine, as often and of the same size.
    #[arg(long, value_name = "FILE")]
    pub merge: Option<PathBuf>,
    /// Write the table into `performance.md` of this directory, and its pictures beside it.
    #[arg(long, value_name = "DIR")]
    pub docs: Option<PathBuf>,
}

/// So many minutes, of which there must be some and not for ever.
fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|error| format!("{error}"))?;
    let is_some_time = minutes.is_finite() && minutes > 0.0;
    if is_some_time { Ok(minutes) } else { Err("more than 0, and not for ever".to_owned()) }
}

/// What can be simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ScenarioName {
    /// Scripted actors, each turn of which is held against a specification.
    Probes,
    /// The whole fleet on the simulated cloud.
    Fleet,
}

impl ScenarioName {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Probes => "probes",
            Self::Fleet => "fleet",
        }
    }
}

/// What can go wrong in a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FaultSet {
    /// Everything, now and then; in each run some of it and not the rest.
    All,
    /// Nothing but the order in which things happen.
    None,
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

/// The options of `sexton check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The kinds to check; without them all of the fleet.
    #[arg(value_name = "KIND")]
    pub kinds: Vec<String>,
    /// Answer as JSON.
    #[arg(long)]
    pub json: bool,
    /// Write the diagram of each kind there: `KIND.svg`, `KIND.mmd` (Mermaid) and `README.md`.
    #[arg(long, value_name = "DIR")]
    pub diagram: Option<PathBuf>,
}

/// The options of `sexton inspect`.
#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// The directory of the store.
    #[arg(value_name = "DIR")]
    pub store: PathBuf,
    /// What to ask; without it a summary.
    #[command(subcommand)]
    pub question: Option<Question>,
    /// Answer as JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

/// What can be asked of a store. Ages count from the last turn that the store holds.
#[derive(Debug, Subcommand)]
pub enum Question {
    /// The actors that live, as their rows show them.
    Actors(ActorsArgs),
    /// All about one actor: its state, deadlines, debts, mail, children and last events.
    Show {
        /// Which, as `kind/name`.
        #[arg(value_parser = actor)]
        id: ActorId,
    },
    /// An actor and all its descendants.
    Tree {
        /// Which, as `kind/name`.
        #[arg(value_parser = actor)]
        id: ActorId,
    },
    /// The alarms that ring next.
    Alarms {
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 20)]
        next: usize,
    },
    /// The effects that are owed to the world outside, oldest first.
    Debts {
        /// Of this actor only.
        #[arg(value_parser = actor)]
        of: Option<ActorId>,
    },
    /// The actors that make no progress, and why.
    Stalled,
    /// The names that have ended, latest first.
    Tombstones {
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// The log of events.
    Events(EventsArgs),
    /// Why an actor is awake or stalled, what rings next and for what, and its story.
    Explain {
        /// Which, as `kind/name`.
        #[arg(value_parser = actor)]
        id: ActorId,
    },
    /// What destroying an actor would take along, in order, and what would block it.
    PlanDestroy {
        /// Which, as `kind/name`.
        #[arg(value_parser = actor)]
        id: ActorId,
    },
    /// Check every record, every link both ways, and every alarm against its actor's deadlines.
    Verify,
}

/// Which actors to list.
#[derive(Debug, clap::Args)]
pub struct ActorsArgs {
    /// Of this kind.
    #[arg(long)]
    pub kind: Option<String>,
    /// With this status.
    #[arg(long)]
    pub status: Option<String>,
    /// Of this owner.
    #[arg(long)]
    pub owner: Option<String>,
    /// Created at least so long ago: `90s`, `15m`, `4h`, `2d`.
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    pub older_than: Option<Duration>,
    /// Created less than so long ago.
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    pub younger_than: Option<Duration>,
    /// Whose row has this field; may be given several times.
    #[arg(long, value_name = "FIELD=VALUE", value_parser = field)]
    pub has: Vec<(String, String)>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
}

/// Which events to list.
#[derive(Debug, clap::Args)]
pub struct EventsArgs {
    /// Behind this position of the log.
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    pub from: u64,
    /// Of this actor only.
    #[arg(long, value_name = "ID", value_parser = actor)]
    pub of: Option<ActorId>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
}

fn actor(text: &str) -> Result<ActorId, sexton::IdError> {
    ActorId::parse(text)
}

fn field(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err(format!("`{text}` is not FIELD=VALUE")),
    }
}
