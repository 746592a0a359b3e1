//! Goal: the summary reads well, whatever the run came to.
//! Method: two whole runs against golden texts; `UPDATE_EXPECT=1` writes them anew.

use std::fs;
use std::path::Path;

use super::*;
use crate::report::{Cost, Effects, Lateness, Leak, RefusedRow};

fn text(report: &Report, colour: bool) -> String {
    let mut out = Vec::new();
    write_summary(report, &mut out, colour).expect("a vector takes everything");
    String::from_utf8(out).expect("the summary is text")
}

fn counts(words: &[(&str, u64)]) -> Counts {
    words.iter().map(|&(word, count)| (word.to_owned(), count)).collect()
}

fn a_run() -> Report {
    Report {
        traces: vec!["lcg2005.csv.gz".to_owned()],
        events_read: 376_082,
        turns: 2_345_678,
        commits: 1_234_567,
        flushes: 45_678,
        alarms_rung: 190_232,
        alarm_lateness_ms: Lateness { p50: 0, p99: 40, max: 61_000 },
        effects: Effects { performed: 376_100, retried: 12, open_at_end: 0 },
        events_published: 940_205,
        created: counts(&[("machine", 3_500), ("owner", 170), ("task", 188_041)]),
        tombstones: counts(&[("machine", 3_500), ("task", 188_041)]),
        live_at_end: counts(&[("owner", 170)]),
        peak: counts(&[("machine", 3_359), ("owner", 170), ("task", 3_359)]),
        tasks: counts(&[("finished", 185_850), ("timed_out", 2_191)]),
        machine_hours: 654_321.09,
        busy_machine_hours: 600_000.0,
        cost: Cost { amount: 4_321.987, currency: "EUR".to_owned(), unpriced: 0 },
        virtual_seconds: 1_123_132.0,
        wall_seconds: 93.4,
        turns_per_second: 25_114.3,
        store: "/var/tmp/sexton-1".to_owned(),
        store_bytes: 123_456_789,
        state_hash: "9f86d081884c7d65".to_owned(),
        trace_hash: Some("60303ae22b998861".to_owned()),
        directory: Some("report/".to_owned()),
        ..Report::default()
    }
}

fn a_bad_run() -> Report {
    let mut report = Report {
        without: Some("sweeps".to_owned()),
        resumed: true,
        resurrections: 1,
        stalled: 2,
        events_read: 13,
        audit_violations: vec!["G7: task/t-9 outlived its parent".to_owned()],
        task_failures: counts(&[("exit=1", 3), ("exit=137", 1)]),
        machine_ends: (0..20).map(|it| (format!("class_number_{it:02}"), it)).collect(),
        cost: Cost { amount: 0.0, currency: "USD".to_owned(), unpriced: 3 },
        store: "memory".to_owned(),
        state_hash: "0".to_owned(),
        notes: vec!["the trace ends with 3 machines alive".to_owned()],
        ..Report::default()
    };
    for line in 0..12 {
        let reason = "its machine has ended".to_owned();
        report.leaks.push(Leak { id: format!("machine/m-{line}"), reason });
        let reason = "unknown kind `planet`".to_owned();
        report.events_refused.add(RefusedRow { file: "a.csv".to_owned(), line, reason });
    }
    report
}

fn check(name: &str, report: &Report) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/summary").join(name);
    let text = text(report, false);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &text).expect("the golden text can be written");
    }
    assert_eq!(text, fs::read_to_string(&path).expect("there is a golden text"), "{name}");
}

#[test]
fn a_clean_run_and_a_bad_one_read_as_they_should() {
    check("clean.txt", &a_run());
    check("bad.txt", &a_bad_run());
}

#[test]
fn colour_changes_nothing_but_colour() {
    for report in [a_run(), a_bad_run(), Report::default()] {
        let mut plain = text(&report, true);
        for code in ["1;32", "1;31", "2", "0"] {
            plain = plain.replace(&format!("\u{1b}[{code}m"), "");
        }
        assert_eq!(plain, text(&report, false));
    }
}
