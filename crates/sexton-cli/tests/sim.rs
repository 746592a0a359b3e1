//! `sexton sim` as a user types it: verdicts, hashes, and what it says of bad usage.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn sim(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sexton"));
    command.arg("sim").args(args).stdin(Stdio::null());
    command.output().expect("the machine can do this")
}

fn verdict(args: &[&str]) -> Value {
    let output = sim(&[args, &["--json"]].concat());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}\n{}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).expect("the verdict is JSON")
}

#[test]
fn the_same_seeds_have_the_same_hash_in_every_build() {
    // The release build is held against the same files by `.ci/run`.
    for scenario in ["probes", "fleet"] {
        let verdict = verdict(&["--scenario", scenario, "--seeds", "5"]);
        assert_eq!((&verdict["seeds"], &verdict["failure"]), (&5.into(), &Value::Null));
        let line = format!("  \"hash\": {},\n", verdict["hash"]);
        let path = format!("{}/tests/sim/{scenario}.hash", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&path, &line).expect("the machine can do this");
        }
        let expected = fs::read_to_string(Path::new(&path)).expect("it is in the repository");
        assert_eq!(line, expected, "{scenario}; UPDATE_EXPECT=1 writes it anew");
    }
}

#[test]
fn a_trace_has_one_line_a_step_and_the_verdict_below() {
    let output = sim(&["--seed", "3", "--steps", "50", "--trace"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("text");
    let steps = text.lines().filter(|line| line.contains(" ms  "));
    assert_eq!(steps.count(), 50, "{text}");
    assert!(text.ends_with("Every promise was kept, with 1 seed.\n"), "{text}");
    assert!(text.contains("probes, seed 3, 50 steps"), "{text}");
}

#[test]
fn what_simulations_found_is_found_no_more() {
    // Each list is what was left of a seed that broke a promise; its first line says which.
    let folder = format!("{}/tests/sim", env!("CARGO_MANIFEST_DIR"));
    let files = fs::read_dir(folder).expect("it is in the repository");
    let mut lists: Vec<_> = files.map(|file| file.expect("readable").path()).collect();
    lists.retain(|path| path.extension().is_some_and(|it| it == "steps"));
    lists.sort();
    assert!(lists.len() >= 3, "{lists:?}");
    for path in lists {
        let verdict = verdict(&["--replay", path.to_str().expect("text")]);
        assert!(verdict["steps"].as_u64() > Some(0), "{}: {verdict}", path.display());
        let text = fs::read_to_string(&path).expect("readable");
        let scenario = verdict["scenario"].as_str().expect("text");
        assert!(text.contains(&format!("scenario {scenario}\n")), "{verdict}");
    }
}

#[test]
fn a_list_of_steps_that_is_none_is_told_with_its_line() {
    let folder = tempfile::tempdir().expect("the machine can do this");
    let path = folder.path().join("list");
    fs::write(&path, "scenario probes\ncrash soon\n").expect("the machine can do this");
    let output = sim(&["--replay", path.to_str().expect("text")]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("line 2: `crash soon` is no step"), "{error}");
    let output = sim(&["--replay", "nowhere"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nowhere"));
    // Before anything is run, not after it.
    for place in ["nowhere/list", folder.path().to_str().expect("text")] {
        let output = sim(&["--save", place, "--seeds", "1"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        assert!(String::from_utf8_lossy(&output.stderr).contains(place));
    }
}

#[test]
fn the_verdict_does_not_depend_on_the_threads() {
    let hash = |jobs: &str| verdict(&["--seeds", "9", "--jobs", jobs])["hash"].clone();
    assert_eq!(hash("1"), hash("3"));
}

#[test]
fn the_last_seed_has_none_after_it() {
    let last = u64::MAX.to_string();
    let verdict = verdict(&["--from", &last, "--seeds", "3", "--steps", "20"]);
    assert_eq!(verdict["seeds"], 1);
}

#[test]
fn a_moment_that_is_too_far_away_is_not_waited_for() {
    let folder = tempfile::tempdir().expect("the machine can do this");
    let path = folder.path().join("list");
    fs::write(&path, "scenario probes\nseed 1\nengines 1\njump 9223372036854775807\n")
        .expect("written");
    verdict(&["--replay", path.to_str().expect("text")]);
}

#[test]
fn without_faults_no_step_is_one() {
    let verdict = verdict(&["--seeds", "3", "--faults", "none"]);
    let done = verdict["done"].as_object().expect("counts");
    for fault in ["crash", "fail-flush", "fail-read", "jump", "begin lost", "begin twice"] {
        assert!(!done.contains_key(fault), "{fault} in {done:?}");
    }
    assert!(done["turn"].as_u64() > Some(10));
}

#[test]
fn what_cannot_be_asked_together_is_bad_usage() {
    let all = [
        &["--seed", "1", "--seeds", "2"][..],
        &["--scenario", "nobody"],
        &["--seeds", "0"],
        &["--steps", "0"],
        &["--minutes=-1"],
        &["--minutes", "nan"],
        &["--minutes", "inf"],
    ];
    for args in all {
        assert_eq!(sim(args).status.code(), Some(2), "{args:?}");
    }
}
