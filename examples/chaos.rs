//! Chaos: the example control plane under load, while everything of it is killed again and again.
//!
//! ```text
//! load ----- HTTP -----> control plane --- proxy that drops --> agents --> workspaces
//! trouble -- SIGKILL, SIGSTOP, SIGTERM, quota --^------------------^-----------^
//! ```
//!
//! At the end nothing may be left: no process, no port, no directory, no row; no tombstone came
//! back; every task has one final status. Only what this program started is ever touched, by its
//! number and start time. `cargo run --package sexton-examples --example chaos -- --minutes 10`
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "an example talks to its reader")]

#[path = "chaos/chance.rs"]
mod chance;
#[path = "chaos/left.rs"]
mod left;
#[path = "chaos/load.rs"]
mod load;
#[path = "chaos/proxy.rs"]
mod proxy;
#[path = "chaos/story.rs"]
mod story;
#[path = "chaos/trouble.rs"]
mod trouble;
#[path = "chaos/world.rs"]
mod world;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use clap::Parser;
use sexton::clock::{Clock, Stopwatch, WallClock};
use sexton_agent::clock::rest;

use self::chance::Chance;
use self::left::Left;
use self::load::Load;
use self::trouble::Troubles;
use self::world::World;

/// How often a line says how far it is.
const SAY: Duration = Duration::from_secs(10);

/// Kills a control plane and all that belongs to it, for a while, and looks what is left.
#[derive(Clone, Debug, Parser)]
#[command(name = "chaos")]
struct Options {
    /// How long trouble is made; looking after it comes on top.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// What is done to whom follows from this; by the clock if it is not given. Processes have
    /// a time of their own, so a run is not the same again, but as rough.
    #[arg(long)]
    seed: Option<u64>,
    /// How many tasks are under way at a time.
    #[arg(long, default_value_t = 6)]
    tasks: usize,
    /// Where everything lies; a directory for the moment, which stays if something is left over.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Makes trouble, then waits until all has settled, then looks.
async fn run(options: &Options, world: &Rc<World>, seed: u64) -> Result<Left, Box<dyn Error>> {
    world.start().await?;
    let load = Rc::new(Load::new(options.tasks, Chance::new(seed)));
    let loading = actix_web::rt::spawn(Rc::clone(&load).run(Rc::clone(world)));
    let mut troubles = Troubles::new(Chance::new(seed.wrapping_add(1)));
    let (clock, mut said) = (Stopwatch::start(), Duration::ZERO);
    while clock.elapsed().as_secs_f64() < options.minutes * 60.0 {
        troubles.go_on(world).await?;
        if clock.elapsed() >= said + SAY {
            said = clock.elapsed();
            println!("{:>4} s: {}, {}", said.as_secs(), load.line(), troubles.line());
        }
        rest(Duration::from_millis(50)).await;
    }
    troubles.end(world).await?;
    load.end();
    loading.await?;
    println!("no more trouble; what is left is ended as an owner would");
    let mut left = Left::default();
    load.settle(world, &mut left).await;
    left.look(world, &load);
    let is_well = world.close().await?;
    left.check(is_well, "the control plane did not end in order");
    story::check(world, &load, &mut left)?;
    left.check(load.n_completed() > 0, "no task was completed, so nothing was tried");
    println!("\n{}\n{}\n{left}", troubles.table(), load.table());
    Ok(left)
}

fn main() -> ExitCode {
    let options = Options::parse();
    let by_clock = || u64::try_from(WallClock.now().as_millis()).unwrap_or(0);
    let seed = options.seed.unwrap_or_else(by_clock);
    println!("chaos for {} min, --seed {seed}", options.minutes);
    let done = actix_web::rt::System::new().block_on(async {
        let world = Rc::new(World::new(options.dir.clone()).await?);
        let ended = run(&options, &world, seed).await;
        // Whatever came of it: what this program started does not outlive it.
        world.end_all()?;
        let left = ended.inspect_err(|_| world.keep())?;
        if !left.is_empty() {
            world.keep();
        }
        Ok::<bool, Box<dyn Error>>(left.is_empty())
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: {error}");
            ExitCode::FAILURE
        }
    }
}
