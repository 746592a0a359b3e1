//! What a replay came to: the record behind the summary, `report.json` and `report.html`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;

use crate::figures::counted;
use crate::html;
use crate::series::Series;
use crate::trace::Refused;

/// The most refused rows that are listed. Chosen: enough to see a pattern; all are counted.
pub const REFUSED_ROWS_MAX: usize = 1_000;

/// The most names of reborn workspaces that are listed. Chosen: as for refused rows.
pub const REBORN_MAX: usize = 1_000;

/// A count for each of some words, such as kinds or statuses.
pub type Counts = BTreeMap<String, u64>;

/// What a replay came to; as JSON, `report.json`.
///
/// Whole milliseconds, seconds and hours are of virtual time, except where a name says `wall`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The event lists, as they were given.
    pub traces: Vec<String>,
    /// The seed of the run.
    pub seed: u64,
    /// The net that was off, `alarms` or `sweeps`.
    pub without: Option<String>,
    /// Whether the run went on from a used store.
    pub resumed: bool,
    /// Rows that were read, refused ones included.
    pub events_read: u64,
    /// Rows that could not be played.
    pub events_refused: Refusals,
    /// Turns that were run.
    pub turns: u64,
    /// Batches that were committed.
    pub commits: u64,
    /// Flushes to stable storage; several batches share one.
    pub flushes: u64,
    /// Alarms that rang.
    pub alarms_rung: u64,
    /// How long after their moment alarms rang.
    pub alarm_lateness_ms: Lateness,
    /// Work in the outside world.
    pub effects: Effects,
    /// Events that were delivered to subscribers.
    pub events_published: u64,
    /// Actors that were created, by kind.
    pub created: Counts,
    /// Tombstones at the end, by kind.
    pub tombstones: Counts,
    /// Actors alive at the end, by kind.
    pub live_at_end: Counts,
    /// Tasks by their final status.
    pub tasks: Counts,
    /// Tasks that failed, by class.
    pub task_failures: Counts,
    /// Sessions by their final status: tasks that ran in a workspace of the trace.
    pub sessions: Counts,
    /// How machines ended, by class.
    pub machine_ends: Counts,
    /// What became of workspaces that the trace opened again.
    pub reopened: Reopened,
    /// The time at work of the trace's tasks: the trace's, the fleet's, and why they differ.
    pub busy: Comparison,
    /// The time that sandboxes of the trace were ready: the trace's, the meters', and why they
    /// differ.
    pub meter: Comparison,
    /// What should be gone and is not.
    pub leaks: Vec<Leak>,
    /// Turns of actors that had a tombstone.
    pub resurrections: u64,
    /// Actors that are stalled at the end.
    pub stalled: u64,
    /// Promises that the audit found broken, each as a sentence.
    pub audit_violations: Vec<String>,
    /// The most actors alive at once, by kind.
    pub peak: Counts,
    /// Machine-hours that were paid for.
    pub machine_hours: f64,
    /// Machine-hours in which a machine was used.
    pub busy_machine_hours: f64,
    /// What the machines cost.
    pub cost: Cost,
    /// From the first event to the end of the run.
    pub virtual_seconds: f64,
    /// How long the run took.
    pub wall_seconds: f64,
    /// Turns for each second of wall time.
    pub turns_per_second: f64,
    /// The store, as it can be given to `--store`.
    pub store: String,
    /// The size of the store at the end.
    pub store_bytes: u64,
    /// Over everything that there is at the end.
    pub state_hash: String,
    /// Over every turn in order; only for a run that did not resume.
    pub trace_hash: Option<String>,
    /// Where `report.json` and `report.html` are, if they were asked for.
    pub directory: Option<String>,
    /// What else a reader should know.
    pub notes: Vec<String>,
}

/// What became of workspaces that the trace opened again after an end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reopened {
    /// Rows that say so.
    pub rows: u64,
    /// The same workspace ran again: it had been stopped, and had no tombstone yet.
    pub woken: u64,
    /// Its node had no place for it any more, so it was deleted after all.
    pub refused: u64,
    /// Nothing of an earlier life was there, not even a tombstone: it began under its own name, or
    /// not at all, because it ended before it could.
    pub anew: u64,
    /// Workspaces that began under a new name, because the old one was used up.
    pub reborn: u64,
    /// The first [`REBORN_MAX`] of those names, in the order in which they began.
    pub reborn_names: Vec<String>,
}

/// A time that the trace tells, held against the same time as the fleet tells it.
///
/// Both are counted up to the last row of the trace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// What the trace says, in milliseconds.
    pub trace_ms: u64,
    /// What the fleet says.
    pub metered_ms: u64,
    /// The fleet's less the trace's.
    pub difference_ms: i64,
    /// Things that were not seen to end: counted up to the trace's last row.
    pub open_at_end: u64,
    /// Why they differ.
    pub explained: Vec<Reason>,
    /// What no cause accounts for.
    pub unexplained_ms: i64,
}

/// A cause of a difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// What it is.
    pub cause: String,
    /// How much the trace has of it and the fleet has not, in milliseconds; below zero it is what
    /// the fleet has and the trace has not.
    pub ms: i64,
    /// Of how many things.
    pub count: u64,
}

impl Comparison {
    /// Holds the trace's time against the fleet's.
    pub fn new(times: (u64, u64), open_at_end: u64, explained: Vec<Reason>) -> Self {
        let (trace_ms, metered_ms) = times;
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        let difference_ms = signed(metered_ms).saturating_sub(signed(trace_ms));
        let known_ms: i64 = explained.iter().map(|cause| cause.ms).sum();
        let unexplained_ms = difference_ms.saturating_add(known_ms);
        Self { trace_ms, metered_ms, difference_ms, open_at_end, explained, unexplained_ms }
    }

    /// Whether there is no time to compare.
    pub const fn is_empty(&self) -> bool {
        self.trace_ms == 0 && self.metered_ms == 0
    }
}

/// Rows that could not be played.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Refusals {
    /// All of them.
    pub count: u64,
    /// The first [`REFUSED_ROWS_MAX`], in the order in which they were read.
    pub rows: Vec<RefusedRow>,
}

/// A row that could not be played.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedRow {
    /// The event list.
    pub file: String,
    /// The line in it; the header is line 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

/// How late alarms were, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lateness {
    /// Half of them were at most this late.
    pub p50: u64,
    /// 99 of 100 were at most this late.
    pub p99: u64,
    /// None was later.
    pub max: u64,
}

/// Work in the outside world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Effects {
    /// Settled, by whatever answer.
    pub performed: u64,
    /// Attempts beyond the first.
    pub retried: u64,
    /// Still owed at the end.
    pub open_at_end: u64,
}

/// Something that should be gone and is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leak {
    /// Its id at the cloud, or its actor's id.
    pub id: String,
    /// Why it should be gone.
    pub reason: String,
}

/// What machines cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// The sum over all machines that have a price.
    pub amount: f64,
    /// The currency of the price list.
    pub currency: String,
    /// Machines that the price list does not know.
    pub unpriced: u64,
}

impl Refusals {
    /// Adds a row that could not be played.
    pub fn add(&mut self, row: RefusedRow) {
        self.count += 1;
        if self.rows.len() < REFUSED_ROWS_MAX {
            self.rows.push(row);
        }
    }
}

impl From<&Refused> for RefusedRow {
    fn from(it: &Refused) -> Self {
        Self { file: it.file.to_string(), line: it.line, reason: it.reason.to_string() }
    }
}

impl Report {
    /// Whether the audit holds, nothing leaked, and nothing came back from its tombstone.
    pub const fn is_clean(&self) -> bool {
        self.leaks.is_empty() && self.resurrections == 0 && self.audit_violations.is_empty()
    }

    /// The verdict in one line.
    pub fn verdict(&self) -> String {
        let leaks = u64::try_from(self.leaks.len()).unwrap_or(u64::MAX);
        let broken = u64::try_from(self.audit_violations.len()).unwrap_or(u64::MAX);
        let audit = if broken == 0 {
            "the audit holds".to_owned()
        } else {
            format!("the audit found {}", counted(broken, "broken promise", "broken promises"))
        };
        format!(
            "{}: {}, {}, {} stalled; {audit}",
            if self.is_clean() { "Clean" } else { "Not clean" },
            counted(leaks, "leak", "leaks"),
            counted(self.resurrections, "resurrection", "resurrections"),
            crate::figures::grouped(self.stalled),
        )
    }

    /// Writes `report.json` and `report.html` into a directory, which is made if need be.
    ///
    /// # Errors
    ///
    /// Whatever the file system answers; a file may then be written in part.
    pub fn write(&self, directory: &Path, series: &Series) -> io::Result<()> {
        fs::create_dir_all(directory)?;
        let mut json = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        json.push(b'\n');
        fs::write(directory.join("report.json"), json)?;
        fs::write(directory.join("report.html"), self.to_html(series)?)
    }

    /// The page `report.html`: whole in itself, readable in light and dark.
    ///
    /// # Errors
    ///
    /// If a plot cannot be drawn; only a bug makes such a plot.
    pub fn to_html(&self, series: &Series) -> io::Result<String> {
        html::page(self, series)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_has_every_name_that_readers_rely_on() {
        let json = serde_json::to_value(Report::default()).unwrap();
        let names = "events_read events_refused turns commits flushes alarms_rung \
            alarm_lateness_ms effects events_published created tombstones live_at_end tasks \
            task_failures machine_ends sessions reopened busy meter leaks resurrections stalled peak machine_hours \
            busy_machine_hours cost virtual_seconds wall_seconds turns_per_second store_bytes \
            state_hash trace_hash notes";
        for name in names.split_whitespace() {
            assert!(json.get(name).is_some(), "{name}");
        }
        let keys = |name: &str| json[name].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys("alarm_lateness_ms"), ["max", "p50", "p99"]);
        assert_eq!(keys("effects"), ["open_at_end", "performed", "retried"]);
        assert_eq!(keys("cost"), ["amount", "currency", "unpriced"]);
    }

    #[test]
    fn refused_rows_are_all_counted_and_the_first_are_kept() {
        let mut refusals = Refusals::default();
        for line in 0..2_500 {
            refusals.add(RefusedRow { file: "t".to_owned(), line, reason: "no".to_owned() });
        }
        assert_eq!((refusals.count, refusals.rows.len()), (2_500, REFUSED_ROWS_MAX));
    }

    #[test]
    fn a_leak_a_resurrection_and_a_broken_promise_each_spoil_the_verdict() {
        let mut report = Report::default();
        let clean = "Clean: 0 leaks, 0 resurrections, 0 stalled; the audit holds";
        assert_eq!((report.verdict().as_str(), report.is_clean()), (clean, true));
        report.leaks.push(Leak { id: "m-1".to_owned(), reason: "no owner".to_owned() });
        assert!(report.verdict().starts_with("Not clean: 1 leak, ") && !report.is_clean());
        report = Report { resurrections: 1, ..Report::default() };
        assert!(!report.is_clean());
        report = Report { audit_violations: vec!["G4".to_owned()], ..Report::default() };
        assert!(report.verdict().ends_with("the audit found 1 broken promise"));
        assert!(!report.is_clean());
    }

    #[test]
    fn both_files_are_written_into_a_new_directory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        Report::default().write(&path, &Series::default()).unwrap();
        let json = fs::read_to_string(path.join("report.json")).unwrap();
        assert!(json.starts_with("{\n  \"traces\": []"));
        assert!(fs::read_to_string(path.join("report.html")).unwrap().contains("Clean: 0 leaks"));
    }
}
