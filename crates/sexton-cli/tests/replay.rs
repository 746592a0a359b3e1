//! The command as a user runs it: real processes, real stores on a real disk, really killed.
//!
//! Method: replay the shipped trace (and, where they are there, the real ones) and compare what
//! the reports say: across stores, with one of the two nets off, after any number of crashes.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

fn sexton() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sexton"));
    command.stdin(Stdio::null());
    command
}

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/shipped.csv")
}

fn replay(args: &[&str]) -> Output {
    sexton().arg("replay").arg(shipped()).args(args).output().expect("the machine can do this")
}

fn report(output: &Output) -> Value {
    let (out, err) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {err}\n{}", output.status, String::from_utf8_lossy(out));
    serde_json::from_slice(out).expect("the machine can do this")
}

fn place() -> (TempDir, String) {
    let directory = tempfile::tempdir().expect("the machine can do this");
    let store = directory.path().join("store").display().to_string();
    (directory, store)
}

fn assert_clean(report: &Value) {
    assert_eq!(report["leaks"], serde_json::json!([]));
    assert_eq!(report["audit_violations"], serde_json::json!([]));
    assert_eq!(report["resurrections"], 0);
    assert_eq!(report["effects"]["open_at_end"], 0);
}

#[test]
fn the_shipped_trace_ends_clean_with_a_report_and_its_pictures() {
    let (directory, store) = place();
    let pictures = directory.path().join("report");
    let output = replay(&["--store", &store, "--report", &pictures.display().to_string()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("0 leaks"), "{text}");
    let json: Value =
        serde_json::from_slice(&fs::read(pictures.join("report.json")).unwrap()).unwrap();
    assert_clean(&json);
    let html = fs::read_to_string(pictures.join("report.html")).unwrap();
    assert!(html.matches("<svg").count() >= 4);
}

#[test]
fn every_thing_of_the_trace_is_accounted_for() {
    let report = report(&replay(&["--store", "memory", "--json"]));
    assert_clean(&report);
    let rows = fs::read_to_string(shipped()).unwrap();
    let n = |kind: &str, events: &[&str]| {
        let is_it = |row: &&str| {
            let fields: Vec<&str> = row.split(',').collect();
            fields[1] == kind && events.contains(&fields[4])
        };
        u64::try_from(rows.lines().skip(1).filter(is_it).count()).unwrap()
    };
    let tasks = &report["tasks"];
    assert_eq!(tasks["completed"], n("task", &["finish"]));
    assert_eq!(tasks["failed"], n("task", &["failed", "timeout", "lost"]));
    let ends = report["machine_ends"].as_object().unwrap();
    let of = |prefix: &str| -> u64 {
        let of_prefix = ends.iter().filter(|(why, _)| why.starts_with(prefix));
        of_prefix.map(|(_, n)| n.as_u64().unwrap()).sum()
    };
    assert_eq!(of("deleted"), n("node", &["delete"]));
    assert_eq!(of("failed: "), n("node", &["failed"]));
    assert_eq!(of("lost: "), n("node", &["lost"]));
}

#[test]
fn the_same_trace_gives_the_same_hashes_in_every_run_and_on_every_store() {
    let (directory, store) = place();
    let sled = format!("sled:{}", directory.path().join("sled").display());
    let runs = ["memory", "memory", &store, &sled].map(|store| {
        let report = report(&replay(&["--store", store, "--json"]));
        (report["state_hash"].clone(), report["trace_hash"].clone())
    });
    assert!(runs.iter().all(|run| *run == runs[0]), "{runs:?}");
    assert!(runs[0].1.is_string());
}

#[test]
fn either_net_alone_is_enough() {
    for net in ["alarms", "sweeps"] {
        let report = report(&replay(&["--store", "memory", "--without", net, "--json"]));
        assert_clean(&report);
        assert_eq!(report["alarms_rung"] == 0, net == "alarms");
    }
}

#[test]
fn other_seeds_of_the_generator_end_clean_too() {
    let (directory, _) = place();
    for seed in 2..6 {
        let trace = directory.path().join(format!("{seed}.csv"));
        let made = sexton()
            .args(["generate", "--seed", &seed.to_string(), "--out"])
            .arg(&trace)
            .status()
            .unwrap();
        assert!(made.success());
        for without in [&[][..], &["--without", "alarms"], &["--without", "sweeps"]] {
            let output = sexton()
                .args(["replay", "--store", "memory", "--json"])
                .args(without)
                .arg(&trace)
                .output()
                .unwrap();
            assert_clean(&report(&output));
        }
    }
}

/// The promise of the whole: a run that was stopped anywhere ends as one that was not.
#[test]
fn stopped_after_any_number_of_commits_and_resumed_it_ends_the_same() {
    let whole = report(&replay(&["--store", "memory", "--json"]));
    let commits = whole["commits"].as_u64().unwrap();
    let mut stop = 1;
    while stop < commits {
        let (_directory, store) = place();
        let stopped = replay(&["--store", &store, "--stop-after", &stop.to_string()]);
        assert!(!stopped.status.success() && stopped.status.code().is_none(), "it aborts");
        let resumed = report(&replay(&["--store", &store, "--resume", "--json"]));
        assert_clean(&resumed);
        assert_eq!(resumed["state_hash"], whole["state_hash"], "stopped after {stop}");
        // Primes, so that over the sizes of steps every kind of turn is the last one once.
        stop += if stop < 60 { 13 } else { 2_003 };
    }
}

#[test]
fn stopped_again_and_again_it_ends_the_same() {
    let whole = report(&replay(&["--store", "memory", "--json"]));
    let (_directory, store) = place();
    let mut stops = 0;
    let mut output = replay(&["--store", &store, "--stop-after", "97"]);
    while output.status.code().is_none() {
        stops += 1;
        let stop = (97 + stops * 53).to_string();
        output = replay(&["--store", &store, "--resume", "--stop-after", &stop, "--json"]);
    }
    assert!(stops > 3, "it was stopped only {stops} times");
    assert_eq!(report(&output)["state_hash"], whole["state_hash"]);
}

#[test]
fn really_killed_it_goes_on() {
    let whole = report(&replay(&["--store", "memory", "--json"]));
    let (_directory, store) = place();
    let mut is_first = true;
    for wait_ms in [40, 60, 90, 130, 200] {
        let mut command = sexton();
        command.arg("replay").arg(shipped()).args(["--store", &store, "--json"]);
        if !is_first {
            command.arg("--resume");
        }
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Bounded, and on a condition: until it ends or its time to be killed has come.
        let mut poll = Command::new("sleep");
        poll.arg(format!("0.{wait_ms:03}"));
        assert!(poll.status().unwrap().success());
        drop(child.kill());
        drop(child.wait());
        is_first = !holds_store(&store);
    }
    let resume: &[&str] = if is_first { &[] } else { &["--resume"] };
    let mut args = vec!["--store", store.as_str(), "--json"];
    args.extend(resume);
    assert_eq!(report(&replay(&args))["state_hash"], whole["state_hash"]);
}

/// Whether a store was made in the directory.
fn holds_store(store: &str) -> bool {
    Path::new(store).join("sexton-store").exists()
}

/// What is wrong, what the one line must say, and that nothing else happens.
fn refuses(trace: &Path, args: &[&str], words: &[&str]) {
    let output =
        sexton().arg("replay").arg(trace).args(args).output().expect("the machine can do this");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert_eq!(err.trim_end().lines().count(), 1, "{err}");
    for word in words {
        assert!(err.contains(word), "`{word}` is not in: {err}");
    }
}

#[test]
fn bad_traces_are_refused_with_their_file_and_line() {
    let (directory, _) = place();
    let write = |name: &str, rows: &str| {
        let path = directory.path().join(name);
        fs::write(&path, format!("t_ms,kind,id,parent,event,info\n{rows}")).unwrap();
        path
    };
    let memory = ["--store", "memory"];
    refuses(&write("few.csv", "0,node,n1,,request\n"), &memory, &["few.csv", "line 2"]);
    let back = "5,node,n1,,request,\n4,node,n2,,request,\n";
    refuses(&write("back.csv", back), &memory, &["back.csv", "line 3"]);
    refuses(&write("minus.csv", "-5,node,n1,,request,\n"), &memory, &["line 2"]);
    refuses(&write("far.csv", "99999999999999,node,n1,,request,\n"), &memory, &["line 2"]);
    let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    zip.write_all(&fs::read(shipped()).unwrap()).unwrap();
    let zip = zip.finish().unwrap();
    let cut = directory.path().join("cut.csv.gz");
    fs::write(&cut, &zip[..zip.len() / 2]).unwrap();
    refuses(&cut, &memory, &["cut.csv.gz", "cut short"]);
    refuses(&directory.path().join("none.csv"), &memory, &["none.csv"]);
}

#[test]
fn bad_stores_are_refused_and_left_alone() {
    let (directory, store) = place();
    let file = directory.path().join("file");
    fs::write(&file, "mine").unwrap();
    refuses(&shipped(), &["--store", &file.display().to_string()], &["file"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    refuses(&shipped(), &["--store", &store, "--resume"], &["no store", "resume"]);
    refuses(&shipped(), &["--store", "memory", "--resume"], &["memory"]);
    replay(&["--store", &store, "--stop-after", "50"]);
    refuses(&shipped(), &["--store", &store], &["used", "--resume"]);
    let sled = format!("sled:{store}");
    refuses(&shipped(), &["--store", &sled, "--resume"], &["redb"]);
    let other_seed = ["--store", store.as_str(), "--resume", "--seed", "9"];
    refuses(&shipped(), &other_seed, &["store.cloud", "seed 1, not 9"]);
    let other_net = ["--store", store.as_str(), "--resume", "--without", "alarms"];
    refuses(&shipped(), &other_net, &["cannot go on"]);
    report(&replay(&["--store", &store, "--resume", "--json"]));
}

#[test]
fn a_full_disk_is_one_line_and_nothing_stored_is_lost() {
    let whole = report(&replay(&["--store", "memory", "--json"]));
    let (_directory, store) = place();
    // Files may have no more than so many blocks; the signal is ignored, so writes fail.
    let script = format!(
        "trap '' XFSZ; ulimit -f 2000; exec {} replay {} --store {store}",
        env!("CARGO_BIN_EXE_sexton"),
        shipped().display()
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert_eq!(err.trim_end().lines().count(), 1, "{err}");
    assert!(err.contains(&store), "{err}");
    let resume = if holds_store(&store) { &["--resume"][..] } else { &[] };
    let mut args = vec!["--store", store.as_str(), "--json"];
    args.extend(resume);
    assert_eq!(report(&replay(&args))["state_hash"], whole["state_hash"]);
}

/// Each of these once leaked, ended the run, or took what was another's.
#[test]
fn strange_traces_end_clean_in_every_mode() {
    let tildes = "~".repeat(400);
    let traces = [
        // A machine that is down for ever keeps what lies on it.
        "1,node,n,p,request,\n2,node,n,p,ready,\n3,workspace,w,n,create,\n4,workspace,w,n,ready,\n\
         5,node,n,p,down,\n7,workspace,w,n,delete,\n"
            .to_owned(),
        // A machine that was there and failed is a machine that was lost.
        "1,node,n,p,request,\n2,node,n,p,boot,\n3,node,n,p,failed,quota\n".to_owned(),
        // An id that makes no name is a row that is refused, and nothing more.
        format!("1000,workspace,{tildes},p,create,\n"),
        // Ids that look like the names that the fleet gives.
        "1000,workspace,t/w1,p,create,\n2000,task,t,p,start,\n86400000,task,t,p,finish,\n".to_owned(),
        "1,node,p/n1,q,request,\n2,node,p/n1,q,ready,\n3,task,t,p,start,\n3600000,task,t,p,finish,\n"
            .to_owned(),
    ];
    let (directory, _) = place();
    for (n, rows) in traces.iter().enumerate() {
        let trace = directory.path().join(format!("{n}.csv"));
        fs::write(&trace, format!("t_ms,kind,id,parent,event,info\n{rows}")).unwrap();
        for without in [&[][..], &["--without", "alarms"], &["--without", "sweeps"]] {
            let mut command = sexton();
            command.args(["replay", "--store", "memory", "--json"]).args(without).arg(&trace);
            let report = report(&command.output().unwrap());
            assert_eq!(report["leaks"], serde_json::json!([]), "trace {n} {without:?}");
            assert_eq!(report["events_refused"]["count"] == 1, n == 2, "trace {n}");
        }
    }
}

/// Several deadlines at one instant, and kills among them, again and again: a mark of an attempt
/// must not put a deadline off, and the run must end at the moment of one that was not killed.
#[test]
fn killed_among_deadlines_of_one_instant_it_ends_the_same() {
    let (directory, store) = place();
    let trace = directory.path().join("shared.csv");
    let all = |at: &str, event: &str| -> String {
        let rows: Vec<String> = (0..6).map(|n| format!("{at},task,t{n},p{n},{event},\n")).collect();
        rows.concat()
    };
    let rows = all("1", "start") + &all("3600000", "finish");
    fs::write(&trace, format!("t_ms,kind,id,parent,event,info\n{rows}")).unwrap();
    let run = |args: &[&str]| sexton().arg("replay").arg(&trace).args(args).output().unwrap();
    let whole = report(&run(&["--store", "memory", "--json"]));
    for stops in [["368", "11"], ["387", "15"], ["12", "51"], ["60", "7"]] {
        drop(fs::remove_dir_all(&store));
        drop(fs::remove_file(format!("{store}.cloud")));
        run(&["--store", &store, "--stop-after", stops[0]]);
        run(&["--store", &store, "--resume", "--stop-after", stops[1]]);
        let resumed = report(&run(&["--store", &store, "--resume", "--json"]));
        assert_eq!(resumed["state_hash"], whole["state_hash"], "stopped after {stops:?}");
    }
}

/// Real traces, where they are there; the large ones have their own time in `docs/traces.md`.
#[test]
fn the_small_real_trace_ends_clean() {
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/traces/spot_p3.csv.gz");
    if !real.exists() {
        println!("{} is not there: nothing is tested", real.display());
        return;
    }
    for without in [&[][..], &["--without", "alarms"], &["--without", "sweeps"]] {
        let output = sexton()
            .args(["replay", "--store", "memory", "--json"])
            .args(without)
            .arg(&real)
            .output()
            .unwrap();
        let report = report(&output);
        assert_clean(&report);
        assert_eq!(report["events_refused"]["count"], 0);
        assert_eq!(report["machine_ends"]["lost: preempted"], 167);
        assert_eq!(report["live_at_end"]["node"], 10);
    }
}
