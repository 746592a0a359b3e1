//! Which node a task gets, and what becomes of it when the task does not need it any more.

use crate::placement::{Load, Wish};
use crate::sim_cloud::ScriptStep;
use crate::{
    Claim, Heartbeat, Node, NodeClass, Owner, RequestNode, StartTask, TaskEnd, Tenure, Under,
};

use super::harness::{Fleet, HOUR, MINUTE, ada, end, every_way, id, node_spec, start};
use super::stage::{place, user_owned};

fn request(fleet: &mut Fleet, name: &str) {
    let spec = node_spec(Tenure::Managed);
    fleet.tell(RequestNode { caller: ada(), name: name.to_owned(), spec });
}

fn load(fleet: &mut Fleet, node: &str, cpu: u8, memory: u8) {
    let heartbeat = Heartbeat { epoch: 1, load: Some(Load { cpu, memory }), version: None };
    fleet.call::<Node, _>(&format!("node/{node}"), heartbeat).unwrap();
    fleet.run(1);
}

fn node_of(fleet: &Fleet, task: &str) -> String {
    let row = fleet.rows("task").into_iter().find(|row| row.id.name() == task).unwrap();
    row.record.text("node").unwrap_or("none").to_owned()
}

#[test]
fn a_preferred_node_that_is_not_there_fails_the_task_at_once() {
    let mut fleet = Fleet::new();
    // Whatever else there is.
    let spec = node_spec(Tenure::External);
    fleet.tell(RequestNode { caller: ada(), name: "theirs".to_owned(), spec });
    user_owned(&mut fleet);
    fleet.tell(start("t", Tenure::Managed, Wish::on("nowhere")));
    fleet.run(1);
    assert_eq!(fleet.why("task/t"), "failed: not_found");
    assert!(fleet.has_fact("task/t", "node_gone"));
}

#[test]
fn the_least_loaded_running_node_is_taken_and_a_busy_one_is_not() {
    let mut fleet = Fleet::new();
    for name in ["a", "b"] {
        request(&mut fleet, name);
    }
    fleet.run(10 * MINUTE);
    load(&mut fleet, "a", 45, 45);
    load(&mut fleet, "b", 20, 20);
    fleet.tell(start("first", Tenure::Managed, Wish::default()));
    fleet.run(MINUTE);
    assert_eq!(node_of(&fleet, "first"), "b");
    load(&mut fleet, "b", 20, 50);
    fleet.tell(start("second", Tenure::Managed, Wish::default()));
    fleet.run(MINUTE);
    assert_eq!(node_of(&fleet, "second"), "a");
    load(&mut fleet, "a", 99, 10);
    fleet.tell(start("third", Tenure::Managed, Wish::default()));
    fleet.run(MINUTE);
    assert_eq!(node_of(&fleet, "third"), "ada~n1");
}

#[test]
fn ten_managed_nodes_are_all_and_those_of_the_user_do_not_count() {
    let mut fleet = Fleet::new();
    for n in 0..12 {
        let spec = crate::NodeSpec { class: NodeClass::UserOwned, ..node_spec(Tenure::Managed) };
        fleet.tell(RequestNode { caller: ada(), name: format!("own{n}"), spec });
    }
    for n in 0..10 {
        request(&mut fleet, &format!("n{n}"));
    }
    let spec = node_spec(Tenure::Managed);
    let more = RequestNode { caller: ada(), name: "more".to_owned(), spec };
    fleet.call::<Owner, _>("owner/ada", more).unwrap_err();
    fleet.run(MINUTE);
    assert_eq!(fleet.rows("node").len(), 22);
}

#[test]
fn a_node_that_nobody_needs_when_it_comes_is_warm_at_once() {
    every_way(|fleet| {
        fleet.tell(start("t", Tenure::Managed, Wish::default()));
        fleet.run(1);
        assert_eq!(fleet.statuses("node"), ["creating"]);
        fleet.tell(end("t", TaskEnd::Cancelled));
        fleet.run(10 * MINUTE);
        assert_eq!(fleet.statuses("node"), ["warm"]);
        fleet.run(2 * HOUR);
        fleet.assert_nothing_left();
    });
}

#[test]
fn a_claim_does_not_outlive_its_task() {
    for how in [TaskEnd::Completed, TaskEnd::Failed { class: "invalid".to_owned() }] {
        every_way(|fleet| {
            request(fleet, "n");
            fleet.run(10 * MINUTE);
            fleet.call::<Node, _>("node/n", Claim { caller: ada(), by: id("task/t") }).unwrap();
            fleet.tell(start("t", Tenure::Managed, Wish::on("n")));
            fleet.run(10 * MINUTE);
            assert_eq!(fleet.status("task/t"), "in_progress");
            fleet.tell(end("t", how.clone()));
            fleet.run(MINUTE);
            assert_eq!(fleet.status("node/n"), "warm");
            assert_eq!(fleet.status("workspace/t~w1"), "stopped");
            fleet.run(2 * HOUR);
            fleet.assert_nothing_left();
        });
    }
}

#[test]
fn a_task_is_placed_on_the_node_that_it_claimed_and_others_go_elsewhere() {
    let mut fleet = Fleet::new();
    for name in ["a", "b"] {
        request(&mut fleet, name);
    }
    fleet.run(10 * MINUTE);
    fleet.call::<Node, _>("node/b", Claim { caller: ada(), by: id("task/t") }).unwrap();
    for task in ["s", "t", "u"] {
        fleet.tell(start(task, Tenure::Managed, Wish::default()));
    }
    fleet.run(10 * MINUTE);
    assert_eq!(["s", "t", "u"].map(|task| node_of(&fleet, task)), ["a", "b", "a"]);
    assert_eq!(fleet.statuses("task"), ["in_progress"; 3]);
    // A further attempt carries the lease too.
    fleet.destroy("workspace/t~w1");
    fleet.run(10 * MINUTE);
    assert_eq!(fleet.status("workspace/t~w2"), "running");
    assert_eq!(node_of(&fleet, "t"), "b");
}

#[test]
fn a_place_that_was_asked_for_before_the_claim_was_heard_of_is_under_it() {
    let mut fleet = Fleet::new();
    request(&mut fleet, "n");
    fleet.run(10 * MINUTE);
    let lease = fleet.call::<Node, _>("node/n", Claim { caller: ada(), by: id("task/t") }).unwrap();
    // Its owner did not know of the claim.
    fleet.say::<Node, _>("owner/ada", "node/n", &place("w", Some("task/t"), None)).unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.rows("workspace"), [], "without the lease nothing is placed");
    let workspace = "w".to_owned();
    fleet.say::<Node, _>("owner/ada", "node/n", &Under { workspace, lease }).unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.status("workspace/w"), "running");
}

#[test]
fn a_claim_that_its_task_never_used_ends_with_it() {
    let mut fleet = Fleet::new();
    fleet.tell(start("t", Tenure::External, Wish::on("nowhere")));
    request(&mut fleet, "n");
    fleet.run(10 * MINUTE);
    fleet.call::<Node, _>("node/n", Claim { caller: ada(), by: id("task/t") }).unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.status("node/n"), "running");
    fleet.destroy("task/t");
    fleet.run(MINUTE);
    assert_eq!(fleet.status("node/n"), "warm");
}

#[test]
fn nobody_gets_a_place_on_the_node_of_another() {
    let mut fleet = Fleet::new();
    fleet.add_owner("owner/bob");
    request(&mut fleet, "n");
    fleet.run(10 * MINUTE);
    let caller = crate::Caller::owner("bob");
    let spec = node_spec(Tenure::External);
    let own = RequestNode { caller: caller.clone(), name: "bobs".to_owned(), spec };
    fleet.call::<Owner, _>("owner/bob", own).unwrap();
    let StartTask { name, spec, .. } = start("t", Tenure::Managed, Wish::on("n"));
    fleet.call::<Owner, _>("owner/bob", StartTask { caller, name, spec }).unwrap();
    fleet.run(1);
    assert_eq!(fleet.why("task/t"), "failed: not_found");
    // One that somebody outside decides about waits, and that other node tells it nothing.
    let caller = crate::Caller::owner("bob");
    let StartTask { name, spec, .. } = start("u", Tenure::External, Wish::on("n"));
    fleet.call::<Owner, _>("owner/bob", StartTask { caller, name, spec }).unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.status("task/u"), "queued");
    assert_eq!(fleet.rows("workspace"), []);
}

#[test]
fn a_warm_node_of_the_size_goes_before_another() {
    let mut fleet = Fleet::new();
    for (task, size) in [("a", "small"), ("b", "large")] {
        let place = Wish { size: Some(size.to_owned()), ..Wish::default() };
        fleet.tell(start(task, Tenure::Managed, place));
    }
    fleet.run(10 * MINUTE);
    let large = node_of(&fleet, "b");
    fleet.tell(end("a", TaskEnd::Completed));
    fleet.tell(end("b", TaskEnd::Completed));
    fleet.run(MINUTE);
    assert_eq!(fleet.statuses("node"), ["warm", "warm"]);
    let place = Wish { size: Some("large".to_owned()), ..Wish::default() };
    fleet.tell(start("c", Tenure::Managed, place));
    fleet.run(MINUTE);
    assert_eq!(node_of(&fleet, "c"), large);
}

#[test]
fn a_lost_machine_is_replaced_and_its_task_keeps_what_it_shows() {
    let mut fleet = Fleet::new();
    fleet.tell(start("t", Tenure::Managed, Wish::default()));
    fleet.run(10 * MINUTE);
    fleet.script("node/ada~n1", &ScriptStep::Lost("preempted".to_owned()));
    fleet.run(1);
    let row = fleet.rows("task").remove(0);
    assert_eq!((row.status.as_str(), row.record.text("step")), ("in_progress", Some("running")));
    assert_eq!(row.record.number("attempt"), Some(2));
}
