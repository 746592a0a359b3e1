//! `sexton bench` as a user types it: what it prints and writes, never how fast it is.

use std::fs;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn bench(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sexton"));
    command.arg("bench").args(args).stdin(Stdio::null());
    command.output().expect("the machine can do this")
}

#[test]
fn every_case_is_named_with_what_it_is_held_against() {
    let output = bench(&["--list"]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(0));
    assert!(text.lines().count() >= 20, "{text}");
    assert!(text.lines().all(|line| line.contains("beside: ")), "{text}");
    let names: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    let new = ["offered-load", "overload-alarms", "opening-10m", "growth-send-1m", "replay"];
    assert!(new.iter().all(|name| names.contains(name)), "{names:?}");
    let large = text.lines().filter(|line| line.ends_with("; only if asked for")).count();
    assert_eq!(large, 8, "{text}");
}

#[test]
fn what_is_asked_together_and_cannot_be_is_told() {
    for (args, said) in [
        (&["10m"][..], "`10m` is in the names of large cases only: say `--large`"),
        (&["growth-inc-10m", "--quick"], "the case growth-inc-10m is large, and never quick"),
        (&["--large", "--quick"], "'--large' cannot be used with '--quick'"),
        (&["replay", "--trace=/no/such.csv"], "/no/such.csv"),
        (&["turn-1-256", "--trace=/no/such.csv"], "`--trace` is for the case `replay`"),
    ] {
        let output = bench(args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn cases_of_an_earlier_run_stand_beside_new_ones_if_they_are_of_their_kind() {
    let folder = tempfile::tempdir().expect("the machine can do this");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let measured = |case: &str, runs: &str, more: &[&str]| {
        let dir = format!("--dir={}", folder.path().display());
        bench(&[&[case, "--exact", "--quick", runs, &dir][..], more].concat())
    };
    let names = |file: &str| -> Vec<String> {
        let text = fs::read(path(file)).expect("written");
        let all: Value = serde_json::from_slice(&text).expect("JSON");
        let cases = all["cases"].as_array().expect("a list");
        cases.iter().filter_map(|case| case["name"].as_str().map(str::to_owned)).collect()
    };
    let (first, both) = (path("first.json"), path("both.json"));
    assert!(measured("turn-1-256", "--runs=1", &["--json", &first]).status.success());
    let merged = measured("call-1-1", "--runs=1", &["--merge", &first, "--json", &both]);
    assert!(merged.status.success(), "{}", String::from_utf8_lossy(&merged.stderr));
    let said = String::from_utf8_lossy(&merged.stdout).into_owned();
    assert!(said.contains("\n1 case in "), "only what was measured now: {said}");
    assert_eq!(names("both.json"), ["call-1-1", "turn-1-256"]);
    assert!(
        measured("call-1-1", "--runs=1", &["--merge", &both, "--json", &both]).status.success()
    );
    assert_eq!(names("both.json"), ["call-1-1", "turn-1-256"], "measured anew, and there once");
    let other = measured("call-1-1", "--runs=2", &["--merge", &first]);
    let error = String::from_utf8_lossy(&other.stderr);
    assert_eq!(other.status.code(), Some(2), "{error}");
    assert!(
        error.contains("first.json is of 1 run on") && error.contains("this is 2 runs"),
        "{error}"
    );
}

/// Seen to fail where the first case that fails ends it all.
#[test]
fn what_was_measured_before_a_case_failed_is_kept_and_no_page_says_that_it_is_all() {
    let folder = tempfile::tempdir().expect("the machine can do this");
    let (list, json) = (folder.path().join("list.csv"), folder.path().join("measured.json"));
    let text = "t_ms,kind,id,parent,event,info\n0,node,n1,,request,size=s;location=here\nx,y\n";
    fs::write(&list, text).expect("the machine can do this");
    let (dir, docs) = (folder.path().display(), folder.path().display());
    let output = bench(&[
        "call-1-1",
        "replay",
        "--exact",
        "--quick",
        "--runs=1",
        &format!("--trace={}", list.display()),
        &format!("--dir={dir}"),
        &format!("--docs={docs}"),
        &format!("--json={}", json.display()),
    ]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("list.csv"), "{error}");
    let kept: Value = serde_json::from_slice(&fs::read(json).expect("written")).expect("JSON");
    assert_eq!(kept["cases"][0]["name"], "call-1-1");
    assert!(!folder.path().join("performance.md").exists());
}

/// The cases that a quick look at these measured, as JSON.
fn quick(args: &[&str]) -> Vec<Value> {
    let output = bench(&[&["--quick", "--runs=1", "--json=-"], args].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let all: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    all["cases"].as_array().expect("a list").clone()
}

#[test]
fn one_overload_measures_what_becomes_of_calls_alarms_actors_and_memory() {
    let folder = tempfile::tempdir().expect("the machine can do this");
    let place = format!("--dir={}", folder.path().display());
    let cases = quick(&["overload-served", "overload-alarms", "overload-memory", &place]);
    let names: Vec<&str> = cases.iter().filter_map(|case| case["name"].as_str()).collect();
    assert_eq!(names, ["overload-served", "overload-alarms", "overload-memory"]);
    let rang = |case: &Value| {
        let also = case["runs"][0]["also"].as_array().expect("a list").clone();
        also.into_iter().find(|it| it["name"] == "alarms that rang").expect("told")
    };
    assert_eq!(rang(&cases[1])["value"].as_f64(), Some(3_000.0));
    assert!(cases.iter().all(|case| case["ours"].as_f64() > Some(0.0)), "{cases:?}");
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 0, "it is swept");
}

#[test]
fn latency_against_offered_load_is_written_as_figures_and_as_a_picture() {
    let folder = tempfile::tempdir().expect("the machine can do this");
    let place = format!("--dir={}", folder.path().display());
    let docs = format!("--docs={}", folder.path().display());
    let cases = quick(&["offered-load", &place, &docs]);
    let curve = cases[0]["runs"][0]["curve"].as_array().expect("a curve").clone();
    assert!(curve.len() >= 8, "{curve:?}");
    let rises = |key: &str| curve[0][key].as_f64() < curve[curve.len() - 1][key].as_f64();
    assert!(rises("load") && rises("offered"), "{curve:?}");
    let picture = fs::read_to_string(folder.path().join("overload.svg")).expect("written");
    assert!(picture.contains("offered load, as so many times"), "{picture}");
}

#[test]
fn a_replay_is_measured_with_the_list_that_is_shipped_and_with_others() {
    let folder = tempfile::tempdir().expect("the machine can do this");
    let place = format!("--dir={}", folder.path().display());
    let rows = |case: &Value| case["runs"][0]["also"][0].clone();
    let shipped = quick(&["replay", &place]);
    assert_eq!(rows(&shipped[0])["name"], "rows of shipped.csv");
    let list = folder.path().join("short.csv");
    let text = "t_ms,kind,id,parent,event,info\n0,node,n,,request,\n9,node,n,,ready,\n";
    fs::write(&list, text).expect("the machine can do this");
    let given = quick(&["replay", &place, &format!("--trace={}", list.display())]);
    assert_eq!(rows(&given[0])["name"], "rows of short.csv");
    assert_eq!(rows(&given[0])["value"].as_f64(), Some(2.0));
}

#[test]
fn a_case_that_is_none_and_a_place_that_is_none_are_told() {
    for (args, said) in [
        (["no-such-case", "--quick"], "no case has `no-such-case` in its name"),
        (["turn-1-256", "--dir=/no/such/place"], "/no/such/place"),
        (["turn-1-256", "--compare=/no/such/file"], "/no/such/file"),
    ] {
        let output = bench(&args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_case_is_measured_told_written_and_compared() {
    let folder = tempfile::tempdir().expect("the machine can do this");
    let json = folder.path().join("first.json");
    let place = format!("--dir={}", folder.path().display());
    let docs = format!("--docs={}", folder.path().display());
    let out = format!("--json={}", json.display());
    fs::write(folder.path().join("performance.md"), "# Words\n").expect("the machine can do this");
    let output = bench(&["--quick", "--runs=1", "turn-1-256", &place, &docs, &out]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 case in"), "{text}");
    let first: Value = serde_json::from_slice(&fs::read(&json).expect("written")).expect("JSON");
    let case = &first["cases"][0];
    assert_eq!((&first["part"], &case["name"]), (&20.into(), &"turn-1-256".into()));
    assert!(case["ratio"].as_f64() > Some(0.0), "{case}");
    let page = fs::read_to_string(folder.path().join("performance.md")).expect("written");
    assert!(page.starts_with("# Words\n") && page.contains("| `turn-1-256` |"), "{page}");
    let picture = fs::read_to_string(folder.path().join("performance.svg")).expect("written");
    assert!(picture.contains("turn-1-256"), "{picture}");
    let compare = format!("--compare={}", json.display());
    let output = bench(&["--quick", "--runs=1", "turn-1-256", &place, &compare]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("turn-1-256: an engine alone") && text.contains("before: "), "{text}");
}
