//! The life of a workspace, its ways to stop and back, and what its node owes it.
//!
//! Leak 5: one that was `stopping` when the process died was in no pass. Leak 16: its files could
//! not be deleted, and the row said deleted. Leak 17: a container was deleted under a workspace
//! that had been restarted a moment before. Leak 24: a late ready callback made it live again.

use std::time::Duration;

use sexton_core::{Entry, ErrorKind, Timestamp, query};

use crate::placement::Wish;
use crate::sim_cloud::ScriptStep;
use crate::{
    Caller, EndNode, Expire, Made, Recover, Restart, Sleep, TaskEnd, Tenure, Touch, Wake,
    Workspace, WorkspaceEnd,
};

use super::harness::{Fleet, HOUR, MINUTE, ada, end, every_way, id, own_time, start};
use super::stage::{
    create, destroy, facts, running_node, running_workspace, stop, workspace_without_machine,
};

const W: &str = "workspace/w";

fn restart(fleet: &mut Fleet) -> Result<(), sexton_core::Error> {
    fleet.call::<Workspace, _>(W, Restart { caller: ada() })
}

fn end_node(fleet: &mut Fleet) {
    let (name, why) = ("n".to_owned(), "asked".to_owned());
    fleet.tell(EndNode { caller: ada(), name, why });
}

#[test]
fn every_way_to_stop_gives_the_same_end() {
    let stops: [fn(&mut Fleet); 4] = [
        |fleet| {
            running_workspace(fleet);
            stop(fleet, "w");
        },
        |fleet| {
            running_workspace(fleet);
            fleet.run(2 * HOUR - MINUTE);
            assert_eq!(fleet.status(W), "running");
            fleet.run(MINUTE);
        },
        |fleet| {
            fleet.tell(start("w", Tenure::Managed, Wish::default()));
            fleet.run(10 * MINUTE);
            fleet.tell(end("w", TaskEnd::Completed));
        },
        |fleet| {
            fleet.tell(start("w", Tenure::Managed, Wish::default()));
            fleet.run(10 * MINUTE);
            fleet.tell(end("w", TaskEnd::Failed { class: "broken".to_owned() }));
        },
    ];
    for by in stops {
        let mut fleet = Fleet::new();
        by(&mut fleet);
        fleet.run(30_000);
        assert_eq!(fleet.statuses("workspace"), ["stopped"]);
        let row = fleet.rows("workspace").remove(0);
        let ttl = row.record.time("due").unwrap().since(row.record.status_since);
        assert_eq!(ttl, Duration::from_secs(300));
        fleet.run(5 * MINUTE + 30_000);
        assert_eq!(fleet.why(row.id.as_str()), "stopped");
    }
}

#[test]
fn a_stopped_workspace_that_is_restarted_is_not_deleted() {
    every_way(|fleet| {
        running_workspace(fleet);
        stop(fleet, "w");
        fleet.run(2 * MINUTE);
        assert_eq!(fleet.status(W), "stopped");
        restart(fleet).unwrap();
        fleet.run(10 * MINUTE);
        assert_eq!(fleet.status(W), "running");
        assert_eq!(fleet.status("node/n"), "running", "it has a place again");
        destroy(fleet, "w");
        fleet.run(90 * MINUTE);
        fleet.assert_nothing_left();
    });
}

#[test]
fn a_restart_and_the_deletion_never_both_win() {
    for past_ms in [-1, 0, 60_000] {
        for is_restart_first in [true, false] {
            let mut fleet = Fleet::new();
            running_workspace(&mut fleet);
            stop(&mut fleet, "w");
            fleet.run(30_000);
            let due = fleet.rows("workspace")[0].record.time("due").unwrap();
            fleet.run(due.as_millis() - 1 - fleet.now.as_millis());
            let late = Timestamp::from_millis(due.as_millis() + past_ms);
            let expire = Expire { why: "stopped for too long".to_owned() };
            let mut is_restarted = false;
            if is_restart_first {
                // Asked in time, and then the control plane was down for a while.
                is_restarted = restart(&mut fleet).is_ok();
            }
            fleet.now = late;
            let is_swept = fleet.call::<Workspace, _>(W, expire).is_ok();
            if !is_restart_first {
                is_restarted = restart(&mut fleet).is_ok();
            }
            fleet.run(20 * MINUTE);
            assert_eq!(is_restarted, is_restart_first || past_ms < 0, "{past_ms}");
            assert_eq!(is_swept, !is_restarted, "{past_ms}");
            let status = fleet.status(W);
            assert_eq!(status == "running", is_restarted, "{past_ms}: {status}");
            assert_eq!(fleet.tombstone(W).is_none(), is_restarted);
        }
    }
}

#[test]
fn a_deletion_that_is_owed_already_cannot_be_restarted_away() {
    let mut fleet = Fleet::new();
    running_workspace(&mut fleet);
    stop(&mut fleet, "w");
    fleet.run(2 * MINUTE);
    fleet.script("node/n", &ScriptStep::Down);
    fleet.run(10 * MINUTE);
    assert_eq!(fleet.status(W), "destroying", "its delete is owed");
    assert_eq!(restart(&mut fleet).unwrap_err().kind(), ErrorKind::Destroyed);
    fleet.script("node/n", &ScriptStep::Up);
    fleet.run(10 * MINUTE);
    assert!(fleet.tombstone(W).is_some());
}

#[test]
fn what_has_failed_or_sleeps_can_be_restarted_too() {
    let mut fleet = Fleet::new();
    running_workspace(&mut fleet);
    fleet.call::<Workspace, _>(W, Sleep { caller: ada() }).unwrap();
    fleet.run(HOUR / 4);
    restart(&mut fleet).unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.status(W), "running");
    restart(&mut fleet).unwrap_err();

    fleet.script("workspace/v", &ScriptStep::Expect);
    create(&mut fleet, "v", "n");
    fleet.run(31 * MINUTE);
    assert_eq!(fleet.status("workspace/v"), "error", "it took too long");
    fleet.call::<Workspace, _>("workspace/v", Restart { caller: ada() }).unwrap();
    fleet.run(1);
    assert_eq!(fleet.status("workspace/v"), "creating");
    fleet.script("workspace/v", &ScriptStep::Ready);
    fleet.run(MINUTE);
    assert_eq!(fleet.status("workspace/v"), "running");
}

#[test]
fn what_an_earlier_making_brings_after_a_restart_changes_nothing() {
    let mut fleet = Fleet::new();
    running_node(&mut fleet, "n");
    fleet.script(W, &ScriptStep::Expect);
    create(&mut fleet, "w", "n");
    fleet.run(31 * MINUTE);
    assert_eq!(fleet.status(W), "error");
    restart(&mut fleet).unwrap();
    fleet.run(1);
    fleet.call::<Workspace, _>(W, Made { epoch: 1, run: 1 }).unwrap();
    fleet.call::<Workspace, _>(W, Made { epoch: 2, run: 2 }).unwrap();
    assert_eq!(fleet.status(W), "creating");
    assert_eq!(facts(&fleet, W, "late"), 2);
    fleet.call::<Workspace, _>(W, Made { epoch: 1, run: 2 }).unwrap();
    assert_eq!(fleet.status(W), "running");
    // The create calls themselves are still open, and are answered now.
    fleet.script(W, &ScriptStep::Ready);
    fleet.run(MINUTE);
    assert_eq!(fleet.status(W), "running");
    assert_eq!(facts(&fleet, W, "late"), 3, "the first of the two is late");
}

#[test]
fn a_ready_callback_may_come_first_and_never_after_the_end() {
    let mut fleet = Fleet::new();
    running_node(&mut fleet, "n");
    fleet.script(W, &ScriptStep::Expect);
    create(&mut fleet, "w", "n");
    fleet.run(MINUTE);
    let made = Made { epoch: 1, run: 1 };
    fleet.call::<Workspace, _>(W, made.clone()).unwrap();
    assert_eq!(fleet.status(W), "running");
    fleet.script(W, &ScriptStep::Ready);
    fleet.run(MINUTE);
    assert_eq!(facts(&fleet, W, "late"), 0, "the call says the same");
    stop(&mut fleet, "w");
    fleet.run(1);
    assert_eq!(fleet.status(W), "stopping");
    fleet.call::<Workspace, _>(W, made.clone()).unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.status(W), "stopped");
    fleet.call::<Workspace, _>(W, made.clone()).unwrap();
    assert_eq!(fleet.status(W), "stopped");
    assert_eq!(facts(&fleet, W, "late"), 2);
    fleet.run(10 * MINUTE);
    let error = fleet.call::<Workspace, _>(W, made).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Destroyed);
}

#[test]
fn a_sleeping_workspace_gives_up_its_place_and_is_woken_into_one() {
    let mut fleet = Fleet::new();
    running_workspace(&mut fleet);
    fleet.call::<Workspace, _>(W, Wake { caller: ada() }).unwrap_err();
    fleet.call::<Workspace, _>(W, Sleep { caller: ada() }).unwrap();
    fleet.run(1);
    assert_eq!(fleet.status("node/n"), "warm");
    fleet.call::<Workspace, _>(W, Touch { caller: ada() }).unwrap_err();
    fleet.run(10 * MINUTE);
    fleet.call::<Workspace, _>(W, Wake { caller: ada() }).unwrap();
    fleet.run(1);
    assert_eq!((fleet.status(W), fleet.status("node/n")), ("running".into(), "running".into()));
    fleet.run(119 * MINUTE);
    assert_eq!(fleet.status(W), "running");
    fleet.run(2 * HOUR);
    fleet.assert_nothing_left();
}

#[test]
fn a_workspace_that_is_stopped_while_it_asks_to_come_back_stays_stopped() {
    let mut fleet = Fleet::new();
    running_workspace(&mut fleet);
    fleet.call::<Workspace, _>(W, Sleep { caller: ada() }).unwrap();
    fleet.run(MINUTE);
    fleet.call::<Workspace, _>(W, Wake { caller: ada() }).unwrap();
    let end = crate::End { end: WorkspaceEnd::Stop };
    fleet.say::<Workspace, _>("node/n", W, &end).unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.status(W), "stopped");
    let row = fleet.rows("node").remove(0);
    assert_eq!(row.record.number("active"), Some(0), "the place is free again");
    fleet.run(HOUR);
    fleet.assert_nothing_left();
}

#[test]
fn a_repair_counts_as_active_and_ends_running() {
    let mut fleet = Fleet::new();
    running_workspace(&mut fleet);
    fleet.call::<Workspace, _>(W, Recover { caller: ada() }).unwrap();
    assert_eq!(fleet.status(W), "recovery");
    let row = fleet.rows("node").remove(0);
    assert_eq!(row.record.number("active"), Some(1));
    fleet.run(MINUTE);
    assert_eq!(fleet.status(W), "running");
}

#[test]
fn a_repair_that_cannot_be_made_is_an_error() {
    let mut fleet = Fleet::new();
    workspace_without_machine(&mut fleet);
    fleet.call::<Workspace, _>(W, Recover { caller: ada() }).unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.status(W), "error");
    fleet.run(3 * HOUR);
    assert_eq!(fleet.why(W), "error");
}

#[test]
fn only_its_user_commands_a_workspace() {
    let mut fleet = Fleet::new();
    running_workspace(&mut fleet);
    let eve = || Caller::owner("eve");
    let answers = [
        fleet.call::<Workspace, _>(W, Touch { caller: eve() }),
        fleet.call::<Workspace, _>(W, Restart { caller: eve() }),
        fleet.call::<Workspace, _>(W, Sleep { caller: eve() }),
        fleet.call::<Workspace, _>(W, Wake { caller: eve() }),
        fleet.call::<Workspace, _>(W, Recover { caller: eve() }),
    ];
    for answer in answers {
        let error = answer.unwrap_err();
        // The same words whatever the status: nothing is revealed beyond that.
        assert!(error.to_string().ends_with("not yours"), "{error}");
    }
    assert_eq!(fleet.status(W), "running");
}

#[test]
fn a_delete_is_owed_until_the_agent_confirms_it() {
    let mut fleet = Fleet::new();
    running_workspace(&mut fleet);
    fleet.script("node/n", &ScriptStep::Down);
    fleet.run(MINUTE);
    destroy(&mut fleet, "w");
    fleet.run(40 * MINUTE);
    assert_eq!(fleet.status(W), "destroying");
    let debts = query::debts(&*fleet.store, &id(W)).unwrap();
    assert!(debts.iter().any(|(_, debt)| debt.is_release && debt.failures > 5), "{debts:?}");
    assert!(fleet.rows("workspace")[0].record.stalled.is_some(), "and it shows");
    fleet.script("node/n", &ScriptStep::Up);
    fleet.run(6 * MINUTE);
    assert_eq!(fleet.why(W), "deleted");
}

#[test]
fn a_delete_is_settled_when_the_node_goes_because_the_disk_goes_with_it() {
    let mut fleet = Fleet::new();
    running_workspace(&mut fleet);
    fleet.script("node/n", &ScriptStep::Down);
    fleet.run(MINUTE);
    destroy(&mut fleet, "w");
    fleet.run(10 * MINUTE);
    assert_eq!(fleet.status(W), "destroying");
    end_node(&mut fleet);
    fleet.run(10 * MINUTE);
    let at = |who| match query::entry(&*fleet.store, &id(who)).unwrap().unwrap() {
        Entry::Tombstone(tombstone) => tombstone.at,
        Entry::Alive(_) => panic!("{who} lives"),
    };
    assert!(at(W) <= at("node/n"), "no child outlives its parent");
    fleet.assert_nothing_left();
}

#[test]
fn every_status_has_a_bound() {
    // Stopping: the agent never answers.
    every_way(|fleet| {
        running_workspace(fleet);
        fleet.script("node/n", &ScriptStep::Down);
        fleet.run(1);
        stop(fleet, "w");
        fleet.run(29 * MINUTE);
        assert_eq!(fleet.status(W), "stopping");
        fleet.run(40 * MINUTE);
        // The machine goes warm, stopped and away, and takes the files along.
        assert_eq!(fleet.why(W), "stopping");
        fleet.assert_nothing_left();
    });
}

#[test]
fn a_workspace_in_error_is_kept_for_two_hours() {
    let mut fleet = Fleet::new();
    running_node(&mut fleet, "n");
    // Somebody else keeps the node in use.
    create(&mut fleet, "v", "n");
    fleet.script(W, &ScriptStep::Expect);
    create(&mut fleet, "w", "n");
    fleet.run(MINUTE);
    fleet.script(W, &ScriptStep::Failed("invalid".to_owned()));
    fleet.run(1);
    assert_eq!(fleet.status(W), "error");
    fleet.run(119 * MINUTE);
    assert_eq!(fleet.status(W), "error");
    fleet.run(2 * MINUTE);
    assert_eq!(fleet.why(W), "error");
}

#[test]
fn a_sleeping_workspace_is_kept_for_seven_days() {
    let mut fleet = Fleet::new();
    let spec = super::harness::node_spec(Tenure::External);
    fleet.tell(crate::RequestNode { caller: ada(), name: "n".to_owned(), spec });
    fleet.run(10 * MINUTE);
    create(&mut fleet, "w", "n");
    fleet.run(MINUTE);
    fleet.call::<Workspace, _>(W, Sleep { caller: ada() }).unwrap();
    fleet.run(7 * 24 * HOUR - MINUTE);
    assert_eq!(fleet.status(W), "sleeping");
    fleet.run(2 * MINUTE);
    assert_eq!(fleet.why(W), "sleeping");
}

#[test]
fn a_project_keeps_its_stopped_workspaces_as_long_as_it_says() {
    for mut fleet in [Fleet::new(), Fleet::new().without_alarms()] {
        running_node(&mut fleet, "n");
        fleet.tell(own_time("workspace_stopped_ttl", "20m"));
        let place = Wish { project: Some("slow".to_owned()), ..Wish::on("n") };
        let spec = crate::WorkspaceSpec { tenure: Tenure::Managed, place };
        let name = "w".to_owned();
        fleet.tell(crate::CreateWorkspace { caller: ada(), name, spec });
        fleet.run(MINUTE);
        stop(&mut fleet, "w");
        fleet.run(19 * MINUTE);
        assert_eq!(fleet.status(W), "stopped");
        fleet.run(26 * MINUTE);
        assert!(fleet.tombstone(W).is_some());
    }
}

#[test]
fn a_restarted_workspace_can_be_ended_again_by_its_name() {
    let mut fleet = Fleet::new();
    let spec = super::harness::node_spec(Tenure::External);
    fleet.tell(crate::RequestNode { caller: ada(), name: "n".to_owned(), spec });
    fleet.run(10 * MINUTE);
    create(&mut fleet, "w", "n");
    fleet.run(MINUTE);
    stop(&mut fleet, "w");
    fleet.run(MINUTE);
    restart(&mut fleet).unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.status(W), "running");
    destroy(&mut fleet, "w");
    fleet.run(MINUTE);
    assert_eq!(fleet.why(W), "deleted");
}
