//! The life of a node.

use sexton_core::{ErrorKind, What};

use crate::placement::Wish;
use crate::sim_cloud::ScriptStep;
use crate::{
    Caller, Claim, Expire, Node, Owner, Ready, RequestNode, TaskEnd, TaskRunner, Tenure, Unclaim,
};

use super::harness::{Fleet, HOUR, MINUTE, ada, end, id, node_spec, start};

fn request(fleet: &mut Fleet, name: &str, tenure: Tenure) {
    let spec = node_spec(tenure);
    fleet.tell(RequestNode { caller: ada(), name: name.to_owned(), spec });
}

#[test]
fn a_node_that_nobody_uses_is_destroyed_after_45_minutes() {
    let mut fleet = Fleet::new();
    request(&mut fleet, "n", Tenure::Managed);
    fleet.run(10 * MINUTE);
    assert_eq!(fleet.status("node/n"), "running");
    fleet.run(44 * MINUTE);
    assert_eq!(fleet.why("node/n"), "idle orphan");
    fleet.assert_nothing_left();
}

#[test]
fn a_used_node_goes_warm_then_stopped_then_is_destroyed() {
    let mut fleet = Fleet::new();
    fleet.tell(start("t", Tenure::Managed, Wish::default()));
    fleet.run(10 * MINUTE);
    assert_eq!(fleet.status("task/t"), "in_progress");
    fleet.tell(end("t", TaskEnd::Completed));
    fleet.run(MINUTE);
    assert_eq!(fleet.statuses("node"), ["warm"]);
    fleet.run(30 * MINUTE);
    assert_eq!(fleet.statuses("node"), ["stopped"]);
    fleet.run(11 * MINUTE);
    fleet.assert_nothing_left();
    assert_eq!(fleet.why("node/ada~n1"), "warm period over");
}

#[test]
fn a_warm_node_is_used_again_and_a_place_is_never_given_twice() {
    let mut fleet = Fleet::new();
    fleet.tell(start("a", Tenure::Managed, Wish::default()));
    fleet.run(10 * MINUTE);
    fleet.tell(end("a", TaskEnd::Completed));
    fleet.run(MINUTE);
    for name in ["b", "c", "d", "e"] {
        fleet.tell(start(name, Tenure::Managed, Wish::default()));
    }
    fleet.run(MINUTE);
    let first = fleet.rows("node").into_iter().find(|row| row.id == id("node/ada~n1"));
    assert_eq!(first.unwrap().record.number("active"), Some(3));
    assert_eq!(fleet.rows("node").len(), 2, "the fourth gets a node of its own");
    for name in ["b", "c", "d", "e"] {
        fleet.tell(end(name, TaskEnd::Cancelled));
    }
    fleet.run(2 * HOUR);
    fleet.assert_nothing_left();
}

#[test]
fn a_late_ready_callback_changes_nothing_and_is_recorded() {
    let mut fleet = Fleet::new();
    fleet.tell(start("a", Tenure::Managed, Wish::default()));
    fleet.run(10 * MINUTE);
    fleet.tell(end("a", TaskEnd::Completed));
    fleet.run(32 * MINUTE);
    assert_eq!(fleet.statuses("node"), ["stopped"]);
    fleet.call::<Node, _>("node/ada~n1", Ready { epoch: 1, version: None }).unwrap();
    assert_eq!(fleet.statuses("node"), ["stopped"]);
    assert!(fleet.has_fact("node/ada~n1", "late"));
    fleet.run(HOUR);
    let error =
        fleet.call::<Node, _>("node/ada~n1", Ready { epoch: 1, version: None }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Destroyed);
}

#[test]
fn a_machine_that_is_never_ready_is_an_error_and_then_gone() {
    let mut fleet = Fleet::new();
    fleet.script("node/n", &ScriptStep::Expect);
    request(&mut fleet, "n", Tenure::Managed);
    fleet.run(MINUTE);
    fleet.script("node/n", &ScriptStep::Boot);
    fleet.run(16 * MINUTE);
    assert_eq!(fleet.status("node/n"), "error");
    fleet.run(11 * MINUTE);
    assert_eq!(fleet.why("node/n"), "no agent after 15 minutes");
    fleet.assert_nothing_left();
}

#[test]
fn a_failed_create_of_a_managed_node_is_an_error_with_its_class() {
    let mut fleet = Fleet::new();
    fleet.script("node/n", &ScriptStep::Expect);
    request(&mut fleet, "n", Tenure::Managed);
    fleet.run(MINUTE);
    fleet.script("node/n", &ScriptStep::Failed("quota".to_owned()));
    fleet.run(MINUTE);
    assert_eq!(fleet.status("node/n"), "error");
    fleet.run(11 * MINUTE);
    assert_eq!(fleet.why("node/n"), "failed: quota");
}

#[test]
fn a_lost_node_gives_its_task_a_new_attempt() {
    let mut fleet = Fleet::new();
    fleet.tell(start("t", Tenure::Managed, Wish::default()));
    fleet.run(10 * MINUTE);
    fleet.script("node/ada~n1", &ScriptStep::Lost("preempted".to_owned()));
    fleet.run(10 * MINUTE);
    assert_eq!(fleet.why("node/ada~n1"), "lost: preempted");
    assert_eq!(fleet.status("task/t"), "in_progress");
    let row = &fleet.rows("task")[0];
    assert_eq!(row.record.number("attempt"), Some(2));
    assert_eq!(row.record.text("node"), Some("ada~n2"));
    fleet.tell(end("t", TaskEnd::Completed));
    fleet.run(2 * HOUR);
    fleet.assert_nothing_left();
}

#[test]
fn what_is_in_use_is_not_destroyed_by_a_sweep() {
    let mut fleet = Fleet::new();
    fleet.tell(start("t", Tenure::Managed, Wish::default()));
    fleet.run(10 * MINUTE);
    let why = "a wrong row".to_owned();
    let error = fleet.call::<Node, _>("node/ada~n1", Expire { why }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    let why = "a wrong row".to_owned();
    fleet.call::<TaskRunner, _>("task/t", Expire { why }).unwrap_err();
    assert_eq!(fleet.statuses("node"), ["running"]);
}

#[test]
fn exactly_one_claims_a_node_and_only_the_holder_gives_it_back() {
    let mut fleet = Fleet::new();
    request(&mut fleet, "n", Tenure::Managed);
    fleet.run(10 * MINUTE);
    let mut claim = |by: &str| fleet.call::<Node, _>("node/n", Claim { caller: ada(), by: id(by) });
    assert_eq!(claim("task/a").unwrap(), 1);
    assert_eq!(claim("task/a").unwrap(), 1);
    claim("task/b").unwrap_err();
    fleet.call::<Node, _>("node/n", Unclaim { caller: ada(), lease: 2 }).unwrap_err();
    fleet.run(HOUR);
    assert_eq!(fleet.status("node/n"), "running", "claimed, so not idle");
    fleet.call::<Node, _>("node/n", Unclaim { caller: ada(), lease: 1 }).unwrap();
    assert_eq!(fleet.status("node/n"), "warm");
    fleet.run(HOUR);
    fleet.assert_nothing_left();
}

#[test]
fn a_stranger_may_command_nothing_and_an_operator_leaves_a_trace() {
    let mut fleet = Fleet::new();
    let spec = node_spec(Tenure::Managed);
    let by = |caller| RequestNode { caller, name: "n".to_owned(), spec: spec.clone() };
    let error = fleet.call::<Owner, _>("owner/ada", by(Caller::owner("eve"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(fleet.rows("node").is_empty());
    fleet.call::<Owner, _>("owner/ada", by(Caller::operator("olga"))).unwrap();
    assert!(fleet.has_fact("owner/ada", "operator"));
}

#[test]
fn the_owner_has_at_most_ten_managed_nodes() {
    let mut fleet = Fleet::new();
    for n in 0..10 {
        request(&mut fleet, &format!("n{n}"), Tenure::Managed);
    }
    let spec = node_spec(Tenure::Managed);
    let more = RequestNode { caller: ada(), name: "more".to_owned(), spec };
    fleet.call::<Owner, _>("owner/ada", more).unwrap_err();
    // Whoever decides when it ends, somebody pays for its machine.
    let spec = node_spec(Tenure::External);
    let theirs = RequestNode { caller: ada(), name: "theirs".to_owned(), spec };
    fleet.call::<Owner, _>("owner/ada", theirs).unwrap_err();
    fleet.run(MINUTE);
    assert_eq!(fleet.rows("node").len(), 10);
}

#[test]
fn destroying_the_owner_takes_everything_along() {
    let mut fleet = Fleet::new();
    for n in 0..5 {
        fleet.tell(start(&format!("t{n}"), Tenure::Managed, Wish::default()));
    }
    fleet.run(10 * MINUTE);
    fleet.destroy("owner/ada");
    fleet.run(10 * MINUTE);
    assert!(fleet.tombstone("owner/ada").is_some());
    assert_eq!(fleet.rows("node").len() + fleet.rows("workspace").len(), 0);
    assert_eq!(fleet.rows("task").len() + fleet.cloud.machines(fleet.now).count(), 0);
    let is_end = |what: &What| matches!(what, What::Destroyed { .. });
    assert_eq!(fleet.events.iter().filter(|it| is_end(&it.what)).count(), 1 + 5 + 5 + 2);
}
