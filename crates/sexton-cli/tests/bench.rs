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
