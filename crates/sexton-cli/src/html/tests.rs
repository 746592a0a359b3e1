//! Goal: the page is whole, well formed and safe, whatever the run was.
//! Method: pages of made-up and extreme runs, looked through as text. With `SEXTON_PAGES=DIR`
//! set they are left in that directory, for a look with the eyes.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::figures::float_signed;
use crate::report::{Cost, Effects, Lateness, Leak, Reason, RefusedRow};
use crate::series::{Sample, Sampler};

const HOUR: i64 = 3_600_000;

fn counts(words: &[(&str, u64)]) -> Counts {
    words.iter().map(|&(word, count)| (word.to_owned(), count)).collect()
}

/// A run of this many hours, with a status for each word.
fn series(hours: i64, statuses: &[&str], price: f64) -> Series {
    let mut sampler = Sampler::new();
    let mut cost = 0.0;
    for quarter in 0..hours * 4 {
        let mut machines = Counts::new();
        for (index, status) in (1_i64..).zip(statuses) {
            let wave = (float_signed(quarter) / 9.0 / float_signed(index)).sin() + 1.0;
            let count = u64::try_from(quarter * 7 % (index + 2)).unwrap();
            machines.insert((*status).to_owned(), count + if wave > 1.2 { 9 } else { 4 });
        }
        let total: u64 = machines.values().sum();
        cost += price * crate::figures::float(total);
        let at_ms = quarter * HOUR / 4;
        sampler.record(Sample {
            at_ms,
            machines_by_status: &machines,
            busy_machines: total / 2,
            paid_machines: total,
            cost,
        });
        if price > 0.0 {
            for alarm in 0..quarter % 5 {
                sampler.alarm(at_ms + alarm, u64::try_from(quarter * alarm * 11 % 900).unwrap());
            }
        }
    }
    let (empty, at_ms) = (Counts::new(), hours * HOUR);
    let end =
        Sample { at_ms, machines_by_status: &empty, busy_machines: 0, paid_machines: 0, cost };
    sampler.finish(end)
}

fn report() -> Report {
    Report {
        traces: vec!["trace <1>.csv".to_owned()],
        events_read: 44_969,
        turns: 345_678,
        alarms_rung: 12_345,
        alarm_lateness_ms: Lateness { p50: 0, p99: 40, max: 800 },
        effects: Effects { performed: 5_000, retried: 20, open_at_end: 0 },
        created: counts(&[("machine", 2_648), ("task", 17_721)]),
        tombstones: counts(&[("machine", 2_648), ("task", 17_720)]),
        live_at_end: counts(&[("task", 1)]),
        tasks: counts(&[("finished", 17_574), ("failed", 2), ("lost", 142)]),
        task_failures: counts(&[("exit=1", 2)]),
        machine_ends: counts(&[("deleted", 1_986), ("capacity", 10), ("invalid", 64)]),
        machine_hours: 1_234.5,
        busy_machine_hours: 617.2,
        cost: Cost { amount: 123.456, currency: "EUR".to_owned(), unpriced: 2 },
        virtual_seconds: 7_343_352.0,
        wall_seconds: 12.3,
        turns_per_second: 28_104.0,
        store: "/var/tmp/sexton-1".to_owned(),
        store_bytes: 12_345_678,
        state_hash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
        ..Report::default()
    }
}

fn bad_report() -> Report {
    let mut report = report();
    report.leaks.push(Leak { id: "machine/<m-1>".to_owned(), reason: "no owner".to_owned() });
    report.audit_violations.push("G7: task/t-9 outlived its parent".to_owned());
    for line in 0..70 {
        let reason = "unknown kind `<script>`".to_owned();
        report.events_refused.add(RefusedRow { file: "a.csv".to_owned(), line, reason });
    }
    report
}

/// Makes a page, holds it to what every page must be, and keeps it if it was asked for.
fn check(name: &str, report: &Report, series: &Series, pictures: usize) {
    let page = page(report, series).expect("a page can always be made");
    assert_eq!(page.matches("<svg").count(), pictures, "{name}");
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count(), "{name}");
    for banned in ["<script", "http:", "https:", "url(", "@import", "NaN", "inf\"", "#0102"] {
        let page = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!page.contains(banned), "{name} has {banned}");
    }
    if let Some(directory) = std::env::var_os("SEXTON_PAGES") {
        let path = PathBuf::from(directory).join(format!("{name}.html"));
        fs::write(path, page).expect("the directory for pages is there");
    }
}

#[test]
fn the_meter_is_told_with_its_causes_in_both_directions() {
    let cause = |cause: &str, ms| Reason { cause: cause.to_owned(), ms, count: 2 };
    let causes = vec![cause("waited", 5_000), cause("stopped late", -3_000)];
    let meter = Comparison::new((60_000, 58_000), 1, causes);
    assert_eq!((meter.difference_ms, meter.unexplained_ms), (-2_000, 0));
    let page = page(&Report { meter, ..report() }, &Series::default()).unwrap();
    let told = |name: &str, ms| {
        let ms = duration_ms(ms);
        page.contains(&format!("<th>{name}</th><td>{ms}</td><td>2 sandboxes</td>"))
    };
    assert!(told("Not metered: it waited", 5_000), "{page}");
    assert!(told("Beyond the trace: it stopped late", 3_000), "{page}");
    assert!(page.contains("Nothing to compare") && page.contains("<td>1 sandbox</td>"));
}

#[test]
fn every_run_has_a_page() {
    let usual = ["running", "booting", "draining", "warm"];
    let many = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    check("usual", &report(), &series(85 * 24, &usual, 0.01), 5);
    check("eight", &report(), &series(60, &many[..8], 1.0), 5);
    check("ten", &bad_report(), &series(20, &many, 1_000.0), 5);
    check("one_status_free", &report(), &series(9, &["running"], 0.0), 2);
    check("no_machines", &report(), &series(9, &[], 0.0), 0);
    check("empty", &Report::default(), &Series::default(), 0);
}

#[test]
fn a_run_of_one_moment_has_a_page() {
    let machines = counts(&[("running", 1)]);
    let moment = Sample {
        at_ms: 5,
        machines_by_status: &machines,
        busy_machines: 1,
        paid_machines: 1,
        cost: 0.000_01,
    };
    let mut sampler = Sampler::new();
    sampler.alarm(5, 0);
    check("moment", &report(), &sampler.finish(moment), 4);
}
