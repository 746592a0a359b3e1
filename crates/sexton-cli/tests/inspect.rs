//! `sexton inspect` and `sexton check` as a user runs them: real processes on a real store.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

fn sexton(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sexton"));
    command.stdin(Stdio::null()).args(args).output().expect("the machine can do this")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A store on which the shipped trace was replayed, or was being replayed when it was stopped.
fn replayed(index: &str, further: &[&str]) -> (TempDir, String) {
    let directory = tempfile::tempdir().expect("the machine can do this");
    let store = directory.path().join("store").display().to_string();
    let trace = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/shipped.csv");
    let spec = format!("{index}{store}");
    let trace = trace.display().to_string();
    let args = [&["replay", &trace, "--store", &spec, "--json"], further].concat();
    let output = sexton(&args);
    assert_eq!(output.status.success(), further.is_empty(), "{}", text(&output));
    (directory, store)
}

fn ask(store: &str, question: &[&str]) -> Value {
    let output = sexton(&[&["inspect", store, "--json"], question].concat());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{question:?}: {error}{}", text(&output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Every file below a directory with its bytes.
fn bytes(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            files.extend(bytes(&path));
        } else {
            let content = fs::read(&path).expect("readable");
            files.insert(path, content);
        }
    }
    files
}

const QUESTIONS: [&[&str]; 11] = [
    &[],
    &["actors"],
    &["show", "owner/ada"],
    &["explain", "owner/ada"],
    &["tree", "owner/ada"],
    &["plan-destroy", "owner/ada"],
    &["alarms"],
    &["debts"],
    &["stalled"],
    &["tombstones"],
    &["events"],
];

#[test]
fn every_question_is_answered_for_people_and_programs_and_changes_no_byte() {
    for index in ["", "sled:"] {
        // Stopped in the middle, so that there is something of everything.
        let (_directory, store) = replayed(index, &["--stop-after", "3000"]);
        let before = bytes(Path::new(&store));
        for question in QUESTIONS {
            assert!(ask(&store, question).is_object());
            let output = sexton(&[&["inspect", &store], question].concat());
            assert!(output.status.success() && !text(&output).is_empty(), "{question:?}");
        }
        assert_eq!(bytes(Path::new(&store)), before, "{index}");
    }
}

#[test]
fn what_it_says_agrees_with_itself() {
    let (_directory, store) = replayed("", &["--stop-after", "3000"]);
    let summary = ask(&store, &[]);
    let listed = ask(&store, &["actors", "--limit", "100000"]);
    let actors = listed["actors"].as_array().expect("a list");
    let counted: u64 = summary["actors"].as_array().expect("a list").iter().map(count).sum();
    assert_eq!(Some(counted), listed["count"].as_u64());
    assert_eq!(usize::try_from(counted).ok(), Some(actors.len()));
    for status in ["running", "warm"] {
        let some = ask(&store, &["actors", "--kind", "node", "--status", status]);
        let of = |it: &&Value| {
            it["id"].as_str().is_some_and(|id| id.starts_with("node/")) && it["status"] == status
        };
        assert_eq!(some["count"], actors.iter().filter(of).count());
    }
    // The log is read in pages that join without gap.
    let (mut from, mut read) = (0, 0);
    loop {
        let page = ask(&store, &["events", "--from", &from.to_string(), "--limit", "700"]);
        for event in page["events"].as_array().expect("a list") {
            read += 1;
            assert_eq!(event["cursor"], read);
        }
        match page["next"].as_u64() {
            Some(next) => from = next,
            None => break,
        }
    }
    assert_eq!(summary["events"], read);
    // An owner's tree is his plan turned over.
    let tree = ask(&store, &["tree", "owner/ada"]);
    let plan = ask(&store, &["plan-destroy", "owner/ada"]);
    let (tree, plan) = (tree["actors"].as_array(), plan["members"].as_array());
    assert_eq!(tree.map(Vec::len), plan.map(Vec::len));
    assert_eq!(
        plan.and_then(|plan| plan.last()).map(|it| &it["actor"]["id"]),
        Some(&"owner/ada".into())
    );
}

#[test]
fn the_next_alarm_is_the_first_of_the_list() {
    let mut seen = 0;
    for stop in ["2000", "4000", "5000", "6000", "7000", "8000"] {
        let (_directory, store) = replayed("", &["--stop-after", stop]);
        let alarms = ask(&store, &["alarms", "--next", "3"]);
        let list = alarms["alarms"].as_array().expect("a list").iter();
        let times: Vec<i64> = list.filter_map(|it| it["at"].as_i64()).collect();
        assert!(times.is_sorted(), "{alarms}");
        let first = times.first().map_or(Value::Null, |at| (*at).into());
        assert_eq!(ask(&store, &[])["next_alarm"], first);
        seen += times.len();
    }
    assert!(seen > 0, "no alarm was ever armed where the replay was stopped");
}

fn count(line: &Value) -> u64 {
    line["actors"].as_u64().expect("a number")
}

#[test]
fn a_sound_store_is_verified() {
    let (_directory, store) = replayed("", &[]);
    let output = sexton(&["inspect", &store, "verify"]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).starts_with("sound: "), "{}", text(&output));
}

#[test]
fn a_damaged_store_is_described_and_never_a_panic() {
    let (_directory, store) = replayed("", &[]);
    let sound = bytes(Path::new(&store));
    let mut told = 0;
    for (file, content) in &sound {
        for at in [0, content.len() / 3, content.len() / 2, content.len().saturating_sub(9)] {
            let mut bent = content.clone();
            let Some(byte) = bent.get_mut(at) else { continue };
            *byte ^= 0x40;
            fs::write(file, &bent).expect("writable");
            let output = sexton(&["inspect", &store, "verify"]);
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!error.contains("panicked"), "{} byte {at}: {error}", file.display());
            let code = output.status.code();
            assert!(code.is_some_and(|code| code <= 2), "{} byte {at}: {code:?}", file.display());
            if code != Some(0) {
                told += 1;
                assert!(!text(&output).is_empty() || !error.is_empty());
            }
            fs::write(file, content).expect("writable");
        }
    }
    assert!(told >= 3, "only {told} of the damages were told");
}

#[test]
fn what_is_not_there_is_an_error_in_one_line() {
    let (directory, store) = replayed("", &[]);
    let nowhere = directory.path().join("nowhere").display().to_string();
    let cases: [(&[&str], &str); 5] = [
        (&["inspect", &nowhere], "nowhere"),
        (&["inspect", &store, "show", "node/never"], "node/never is not in"),
        (&["inspect", &store, "plan-destroy", "node/never"], "node/never is not in"),
        (&["inspect", &store, "show", "nonsense"], "nonsense"),
        (&["inspect", &store, "actors", "--older-than", "soon"], "soon"),
    ];
    for (args, says) in cases {
        let output = sexton(args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains(says), "{args:?}: {error}");
    }
}

#[test]
fn the_fleet_is_covered_and_its_diagrams_in_the_docs_are_current() {
    let directory = tempfile::tempdir().expect("the machine can do this");
    let place = directory.path().display().to_string();
    let output = sexton(&["check", "--diagram", &place]);
    assert!(output.status.success(), "{}", text(&output));
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/lifecycles");
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| -> Vec<String> {
        files.keys().filter_map(|it| Some(it.file_name()?.to_string_lossy().into_owned())).collect()
    };
    let (now, then) = (bytes(directory.path()), bytes(&docs));
    assert_eq!(names(&now), names(&then));
    for ((file, now), then) in now.iter().zip(then.values()) {
        assert!(
            now == then,
            "{} is not current: sexton check --diagram docs/lifecycles",
            file.display()
        );
    }
}

#[test]
fn a_check_answers_programs_and_knows_its_kinds() {
    let output = sexton(&["check", "node", "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(found[0]["kind"], "node");
    assert!(output.status.success());
    // The page of diagrams is of all kinds.
    let directory = tempfile::tempdir().expect("the machine can do this");
    let place = directory.path().display().to_string();
    let output = sexton(&["check", "node", "--diagram", &place]);
    assert!(output.status.success() && directory.path().join("node.svg").is_file());
    assert!(!directory.path().join("README.md").exists());
    let left = text(&output);
    assert_eq!(left.contains("left:"), left.contains(", but for what is left to others ("));
    let output = sexton(&["check", "nodes"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(error.contains("no kind `nodes`") && error.contains("workspace"), "{error}");
}
