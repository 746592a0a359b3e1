//! The replay of an event list, beside the number of its turns at the speed of durable increments.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use sexton::clock::Stopwatch;
use sexton_bench::{BenchError, Case, Effort, Figure, Pair, Place, Run, Unit, durable_increments};

use crate::args::{ReplayArgs, StoreSpec};
use crate::figures::float;
use crate::generate;
use crate::replay::{self, Outcome};
use crate::report::Report;

/// Needs the fleet and its event lists, so it is here and not with the other cases.
pub(super) const CASE: Case = Case {
    name: "replay",
    what: "replay of event lists through the fleet's actors: the one that is shipped, or `--trace`",
    baseline: "the number of its turns at the speed of durable increments, 1,000 actors, 256 callers",
    unit: Unit::Milliseconds,
    target: None,
    effort: Effort::Usual,
    run: Run::Own(measure),
};

fn measure(place: &Place) -> Result<Pair, BenchError> {
    let traces = match place.traces() {
        [] => vec![shipped(place)?],
        given => given.to_vec(),
    };
    let names: Vec<String> = traces
        .iter()
        .map(|path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned())
        .collect();
    let report = played(place, traces)?;
    let speed = durable_increments(place, 1_000, 256)?;
    let (turns, took_ms) = (float(report.turns), 1_000.0 * report.wall_seconds);
    let figure = |name: &str, value| Figure { name: name.to_owned(), value };
    let also = vec![
        figure(&format!("rows of {}", names.join(", ")), float(report.events_read)),
        figure("turns", turns),
        figure("turns a second", report.turns_per_second),
        figure("durable increments a second", speed),
        figure("flushes", float(report.flushes)),
        figure("days that were played", report.virtual_seconds / 86_400.0),
    ];
    Ok(Pair::new(took_ms, 1_000.0 * turns / speed, also))
}

/// The list that is shipped: it follows from its seed.
fn shipped(place: &Place) -> Result<PathBuf, BenchError> {
    let path = place.path("shipped.csv");
    let mut file = BufWriter::new(File::create(&path)?);
    generate::write(generate::SHIPPED_SEED, &mut file)?;
    file.flush()?;
    Ok(path)
}

fn played(place: &Place, traces: Vec<PathBuf>) -> Result<Box<Report>, BenchError> {
    let args = ReplayArgs {
        traces,
        store: Some(StoreSpec::Embedded(place.path("replayed"))),
        catalog: None,
        seed: 1,
        nodes_per_owner: 10_000,
        sandboxes: false,
        report: None,
        // Nothing is printed; and there is no progress bar.
        json: true,
        without: None,
        stop_after: None,
        resume: false,
    };
    let watch = Stopwatch::start();
    let outcome = replay::run(&args, |_| None, || watch.elapsed().as_secs_f64());
    match outcome.map_err(|error| BenchError::Replay(Box::new(error)))? {
        Outcome::Ended(report) if report.is_clean() => Ok(report),
        Outcome::Ended(report) => Err(BenchError::Caller(report.verdict())),
        Outcome::Stopped => Err(BenchError::Caller("the replay stopped by itself".to_owned())),
    }
}
