//! Lists of a few rows, replayed in every way.
//!
//! Method: each list is replayed as it is, with either net off, and stopped after every few
//! commits and gone on with; all of it must end clean, and the stopped runs as the whole one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const NETS: [&[&str]; 3] = [&[], &["--without", "alarms"], &["--without", "sweeps"]];

/// A list, and where its stores lie.
pub(crate) struct Story {
    directory: TempDir,
    trace: PathBuf,
}

impl Story {
    /// A list of these rows.
    pub(crate) fn new(rows: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("the machine can do this");
        let trace = directory.path().join("trace.csv");
        let story = Self { directory, trace };
        story.with_rows(rows);
        story
    }

    /// The same place with another list: a store of the earlier one lies where it lay.
    pub(crate) fn with_rows(&self, rows: &[&str]) {
        let text = format!("t_ms,kind,id,parent,event,info\n{}\n", rows.join("\n"));
        fs::write(&self.trace, text).expect("the machine can do this");
    }

    /// Replays it with these arguments.
    pub(crate) fn replay(&self, args: &[&str]) -> Output {
        self.replay_where(&[], &[args, &["--json"]].concat())
    }

    /// The same with these variables in its environment.
    pub(crate) fn replay_where(&self, set: &[(&str, &str)], args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sexton"));
        command.arg("replay").arg(&self.trace).args(args).stdin(Stdio::null());
        command.envs(set.iter().copied()).output().expect("the machine can do this")
    }

    /// The report of a replay that ends clean.
    pub(crate) fn report(&self, args: &[&str]) -> Value {
        clean(&self.replay(args), &self.trace)
    }

    /// Replays it in all three ways, whole and in pieces, and looks at each whole report.
    pub(crate) fn every_way(&self, look: impl Fn(&Value)) {
        self.every_way_with(&[], look);
    }

    /// The same with further arguments.
    pub(crate) fn every_way_with(&self, more: &[&str], look: impl Fn(&Value)) {
        for (way, net) in NETS.iter().enumerate() {
            let whole = self.report(&[net, more, &["--store", "memory"][..]].concat());
            look(&whole);
            let commits = whole["commits"].as_u64().expect("a count");
            let step = usize::try_from(commits / 6).expect("few") + 1;
            for (piece, stop) in (1..commits).step_by(step).enumerate() {
                let store = self.directory.path().join(format!("{way}-{piece}"));
                let store = store.display().to_string();
                let at = [net, more, &["--store", &store][..]].concat();
                let stop = stop.to_string();
                let stopped = self.replay(&[&at[..], &["--stop-after", &stop][..]].concat());
                assert!(stopped.status.code().is_none(), "it aborts after {stop}");
                let resumed = self.report(&[&at[..], &["--resume"][..]].concat());
                for name in ["state_hash", "reopened", "busy", "meter", "tasks"] {
                    assert_eq!(resumed[name], whole[name], "{name}, {net:?}, stopped after {stop}");
                }
            }
        }
    }
}

fn clean(output: &Output, trace: &Path) -> Value {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {err}\n{out}", trace.display());
    let report: Value = serde_json::from_str(&out).expect("the report is JSON");
    assert_eq!(report["leaks"], serde_json::json!([]));
    assert_eq!(report["resurrections"], 0);
    assert_eq!(report["events_refused"]["count"], 0);
    assert_eq!(report["effects"]["open_at_end"], 0);
    report
}

/// How many came back as themselves, under a new name, and not at all.
pub(crate) fn reopened(report: &Value) -> (u64, u64, u64) {
    let of = |name: &str| report["reopened"][name].as_u64().expect("a count");
    (of("woken"), of("reborn"), of("refused"))
}
