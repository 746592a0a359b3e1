//! What a task does about a fault: again, smaller, or not at all.

use sexton_core::What;

use crate::fault::Fault;
use crate::placement::{Vacated, Wish};
use crate::policy::Policy;
use crate::sim_cloud::ScriptStep;
use crate::{TaskRunner, TaskSession, Tenure};

use super::harness::{Fleet, HOUR, MINUTE, every_way, id, start};

const SECOND: i64 = 1_000;

fn expect(fleet: &mut Fleet, n: u32) {
    for n in 1..=n {
        fleet.script(&format!("node/ada~n{n}"), &ScriptStep::Expect);
    }
}

fn fail(fleet: &mut Fleet, n: u32, class: &str) {
    fleet.script(&format!("node/ada~n{n}"), &ScriptStep::Failed(class.to_owned()));
}

fn sizes(fleet: &Fleet) -> Vec<String> {
    let mut rows = fleet.rows("node");
    rows.sort_by(|one, other| one.id.cmp(&other.id));
    rows.iter().map(|row| row.record.text("size").unwrap().to_owned()).collect()
}

fn retries(fleet: &Fleet) -> Vec<String> {
    let of_task = fleet.events.iter().filter(|event| event.actor == id("task/t"));
    let mut texts = Vec::new();
    for event in of_task {
        if let What::Fact { name, text } = &event.what
            && name == "retry"
        {
            texts.push(text.clone());
        }
    }
    texts
}

#[test]
fn a_transient_fault_is_tried_again_after_10_20_and_40_seconds() {
    let mut fleet = Fleet::new();
    expect(&mut fleet, 4);
    fleet.tell(start("t", Tenure::Managed, Wish::default()));
    fleet.run(SECOND);
    for (n, wait) in [(1, 10), (2, 20), (3, 40)] {
        fail(&mut fleet, n, "network");
        fleet.run(wait * SECOND - 1);
        assert_eq!(fleet.status(&format!("node/ada~n{}", n + 1)), "none");
        fleet.run(1);
        assert_eq!(fleet.status(&format!("node/ada~n{}", n + 1)), "creating");
    }
    fail(&mut fleet, 4, "network");
    fleet.run(SECOND);
    assert_eq!(fleet.why("task/t"), "failed: network");
    assert_eq!(fleet.status("node/ada~n5"), "none");
}

#[test]
fn a_task_whose_every_try_fails_ends_in_every_way_and_leaves_nothing() {
    every_way(|fleet| {
        expect(fleet, 4);
        for n in 1..=4 {
            fail(fleet, n, "rate_limit");
        }
        fleet.tell(start("t", Tenure::Managed, Wish::default()));
        // With sweeps alone each try waits for a pass: the step's own clock, which no try begins
        // anew, is over before the last of them.
        fleet.run(9 * HOUR);
        let (why, slow) = (fleet.why("task/t"), "failed: timeout node_provisioning");
        assert!(["failed: rate_limit", slow].contains(&why.as_str()), "{why}");
        fleet.assert_nothing_left();
    });
}

#[test]
fn a_permanent_fault_fails_the_task_at_once() {
    for fault in Fault::ALL.into_iter().filter(|fault| !fault.is_transient()) {
        let mut fleet = Fleet::new();
        expect(&mut fleet, 1);
        fleet.tell(start("t", Tenure::Managed, Wish::default()));
        fleet.run(MINUTE);
        fail(&mut fleet, 1, fault.name());
        fleet.run(1);
        assert_eq!(fleet.why("task/t"), format!("failed: {}", fault.name()));
        assert_eq!(fleet.rows("node").len(), 1, "no second one was made");
    }
}

#[test]
fn entering_a_step_resets_the_count() {
    let mut fleet = Fleet::new();
    expect(&mut fleet, 2);
    let mut task = start("t", Tenure::Managed, Wish::default());
    task.spec.session = TaskSession::Wanted;
    fleet.tell(task);
    fleet.run(SECOND);
    for n in 1..=2 {
        fail(&mut fleet, n, "network");
        fleet.run(MINUTE);
    }
    fleet.run(10 * MINUTE);
    assert_eq!(fleet.rows("task")[0].record.text("step"), Some("running"));
    let (workspace, why) = ("t~w3".to_owned(), "gone".to_owned());
    let vacated = Vacated { workspace, why, fault: Some(Fault::Network) };
    fleet.say::<TaskRunner, _>("node/ada~n3", "task/t", &vacated).unwrap();
    let expected =
        ["number 1 in 10 s: network", "number 2 in 20 s: network", "number 1 in 10 s: network"];
    assert_eq!(retries(&fleet), expected);
}

#[test]
fn a_retry_does_not_start_the_clock_again() {
    let mut fleet = Fleet::new();
    expect(&mut fleet, 2);
    fleet.tell(start("t", Tenure::Managed, Wish::default()));
    fleet.run(14 * MINUTE);
    fail(&mut fleet, 1, "network");
    fleet.run(30 * SECOND);
    assert_eq!(fleet.status("node/ada~n2"), "creating");
    fleet.run(31 * SECOND);
    assert_eq!(fleet.why("task/t"), "failed: timeout node_provisioning");
}

#[test]
fn without_capacity_a_default_size_becomes_smaller_at_once_and_twice() {
    let policy = Policy { default_size: "large".to_owned(), ..Policy::default() };
    let mut fleet = Fleet::with(policy, None);
    expect(&mut fleet, 4);
    for n in 1..=3 {
        fail(&mut fleet, n, "capacity");
    }
    fleet.tell(start("t", Tenure::Managed, Wish::default()));
    fleet.run(3 * SECOND);
    assert_eq!(sizes(&fleet), ["cx42", "cx32", "cx22"]);
    fleet.run(10 * SECOND);
    assert_eq!(sizes(&fleet), ["cx42", "cx32", "cx22", "cx22"], "nothing is smaller");
    assert_eq!(retries(&fleet), ["number 1 in 10 s: capacity"]);
}

#[test]
fn a_size_that_somebody_named_is_never_another() {
    let mut fleet = Fleet::new();
    expect(&mut fleet, 4);
    for n in 1..=4 {
        fail(&mut fleet, n, "capacity");
    }
    let place = Wish { size: Some("large".to_owned()), ..Wish::default() };
    fleet.tell(start("t", Tenure::Managed, place));
    fleet.run(2 * MINUTE);
    assert_eq!(sizes(&fleet), ["cx42", "cx42", "cx42", "cx42"]);
    assert_eq!(fleet.why("task/t"), "failed: capacity");
}

#[test]
fn only_capacity_makes_a_size_smaller() {
    let mut fleet = Fleet::new();
    expect(&mut fleet, 2);
    fail(&mut fleet, 1, "network");
    fleet.tell(start("t", Tenure::Managed, Wish::default()));
    fleet.run(MINUTE);
    assert_eq!(sizes(&fleet), ["cx32", "cx32"]);
}
