//! Whoever ended a workspace opens it again, before, while and after it stops.

use crate::sim_cloud::ScriptStep;
use crate::{Caller, EndWorkspace, Reopen, Tenure, Workspace, WorkspaceEnd};

use super::harness::{Fleet, HOUR, MINUTE, ada, every_way};
use super::stage::running_workspace;

const W: &str = "workspace/w";

fn reopen(fleet: &mut Fleet) -> Result<(), sexton_core::Error> {
    let tenure = Tenure::External;
    fleet.call::<Workspace, _>(W, Reopen { caller: ada(), tenure })
}

fn stop_for(fleet: &mut Fleet, why: &str) {
    let end = WorkspaceEnd::StopFor { why: why.to_owned() };
    fleet.tell(EndWorkspace { caller: ada(), name: "w".to_owned(), end });
}

#[test]
fn what_is_not_opened_again_is_deleted_for_the_reason_of_its_end() {
    every_way(|fleet| {
        running_workspace(fleet);
        stop_for(fleet, "failed: disk");
        fleet.run(2 * HOUR);
        assert_eq!(fleet.why(W), "failed: disk");
        fleet.run(HOUR);
        fleet.assert_nothing_left();
    });
}

#[test]
fn one_that_is_opened_again_is_kept_until_whoever_opened_it_ends_it() {
    every_way(|fleet| {
        running_workspace(fleet);
        stop_for(fleet, "deleted");
        fleet.run(2 * MINUTE);
        assert_eq!(fleet.status(W), "stopped");
        reopen(fleet).unwrap();
        fleet.run(3 * HOUR);
        assert_eq!(fleet.status(W), "running", "nobody else decides");
        stop_for(fleet, "cancelled");
        fleet.run(2 * HOUR);
        assert_eq!(fleet.why(W), "cancelled");
        fleet.run(HOUR);
        fleet.assert_nothing_left();
    });
}

#[test]
fn one_that_still_stops_comes_back_when_it_has_and_an_end_takes_that_back() {
    let mut fleet = Fleet::new();
    running_workspace(&mut fleet);
    stop_for(&mut fleet, "deleted");
    fleet.run(1);
    assert_eq!(fleet.status(W), "stopping");
    reopen(&mut fleet).unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.status(W), "running");
    stop_for(&mut fleet, "deleted");
    fleet.run(1);
    reopen(&mut fleet).unwrap();
    fleet.run(1);
    assert_eq!(fleet.status(W), "stopping");
    stop_for(&mut fleet, "cancelled");
    fleet.run(HOUR);
    assert_eq!(fleet.why(W), "cancelled");
}

#[test]
fn one_that_runs_is_not_opened_again_nor_is_anybody_elses() {
    let mut fleet = Fleet::new();
    running_workspace(&mut fleet);
    reopen(&mut fleet).unwrap_err();
    stop_for(&mut fleet, "deleted");
    fleet.run(MINUTE);
    let (caller, tenure) = (Caller::owner("eve"), Tenure::External);
    fleet.call::<Workspace, _>(W, Reopen { caller, tenure }).unwrap_err();
    fleet.run(HOUR);
    assert_eq!(fleet.why(W), "deleted");
}

#[test]
fn one_whose_node_has_no_room_is_deleted_after_all() {
    let mut fleet = Fleet::new();
    running_workspace(&mut fleet);
    stop_for(&mut fleet, "deleted");
    fleet.run(MINUTE);
    fleet.script("node/n", &ScriptStep::Down);
    fleet.run(10);
    reopen(&mut fleet).unwrap();
    fleet.run(1);
    assert!(fleet.has_fact(W, "not_returned"));
    fleet.script("node/n", &ScriptStep::Up);
    fleet.run(HOUR);
    assert_eq!(fleet.why(W), "deleted");
}
