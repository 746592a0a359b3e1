//! The steps of a task: forward only, each with its clock, its bound and its polls.

use std::time::Duration;

use crate::placement::{SessionEnd, SessionEnded, SessionStarted, Wish};
use crate::policy::Policy;
use crate::sim_cloud::ScriptStep;
use crate::{Progress, RequestNode, StartTask, TaskEnd, TaskRunner, TaskSession, Tenure};

use super::harness::{Fleet, HOUR, MINUTE, ada, end, every_way, node_spec, start};

const SECOND: i64 = 1_000;

fn with_session(name: &str) -> StartTask {
    let mut start = start(name, Tenure::Managed, Wish::default());
    start.spec.session = TaskSession::Wanted;
    start
}

fn started(fleet: &mut Fleet, attempt: u32) {
    let (workspace, session) = (format!("t~w{attempt}"), format!("t~w{attempt}~s"));
    let (from, started) = (format!("workspace/{workspace}"), SessionStarted { workspace, session });
    fleet.say::<TaskRunner, _>(&from, "task/t", &started).unwrap();
}

fn ended(fleet: &mut Fleet, attempt: u32, end: SessionEnd) {
    let (workspace, session) = (format!("t~w{attempt}"), format!("t~w{attempt}~s"));
    let (from, ended) =
        (format!("workspace/{workspace}"), SessionEnded { workspace, session, end });
    fleet.say::<TaskRunner, _>(&from, "task/t", &ended).unwrap();
}

/// The same with both nets and with each of them alone.
fn each_net(policy: &Policy, story: impl Fn(&mut Fleet)) {
    let fleet = || Fleet::with(policy.clone(), None);
    story(&mut fleet());
    story(&mut fleet().without_alarms());
    story(&mut fleet().without_sweeps());
}

#[test]
fn a_task_goes_through_its_steps_in_order_and_runs_when_its_session_does() {
    let mut fleet = Fleet::new();
    fleet.tell(with_session("t"));
    let mut steps: Vec<String> = Vec::new();
    for _ in 0..600 {
        fleet.run(SECOND);
        let row = fleet.rows("task").remove(0);
        let step = row.record.text("step").unwrap().to_owned();
        if steps.last() != Some(&step) {
            steps.push(step);
        }
    }
    let expected =
        ["node_provisioning", "node_agent_ready", "workspace_ready", "agent_session", "running"];
    assert_eq!(steps, expected);
    assert_eq!(fleet.status("task/t"), "in_progress");
}

#[test]
fn a_session_that_ends_decides_how_its_task_ends() {
    let failed = SessionEnd::Failed { class: "agent".to_owned() };
    for (how, why) in [(SessionEnd::Finished, "completed"), (failed, "failed: agent")] {
        let mut fleet = Fleet::new();
        fleet.tell(with_session("t"));
        fleet.run(10 * MINUTE);
        started(&mut fleet, 1);
        ended(&mut fleet, 1, how);
        fleet.run(MINUTE);
        assert_eq!(fleet.why("task/t"), why);
        assert_eq!(fleet.statuses("node"), ["warm"]);
        fleet.run(2 * HOUR);
        fleet.assert_nothing_left();
    }
}

#[test]
fn a_lost_session_is_a_new_attempt_on_the_same_node_and_moves_nothing_back() {
    let mut fleet = Fleet::new();
    fleet.tell(with_session("t"));
    fleet.run(10 * MINUTE);
    started(&mut fleet, 1);
    ended(&mut fleet, 1, SessionEnd::Lost { why: "silent".to_owned() });
    fleet.run(10 * MINUTE);
    let row = fleet.rows("task").remove(0);
    assert_eq!((row.status.as_str(), row.record.text("step")), ("in_progress", Some("running")));
    assert_eq!(row.record.number("attempt"), Some(2));
    assert_eq!(row.record.text("node"), Some("ada~n1"));
    assert!(fleet.tombstone("workspace/t~w1").is_some(), "nobody needs it any more");
    ended(&mut fleet, 1, SessionEnd::Finished);
    assert!(fleet.has_fact("task/t", "late"));
    started(&mut fleet, 2);
    ended(&mut fleet, 2, SessionEnd::Finished);
    fleet.run(2 * HOUR);
    assert_eq!(fleet.why("task/t"), "completed");
    fleet.assert_nothing_left();
}

#[test]
fn a_session_that_never_begins_fails_its_task() {
    every_way(|fleet| {
        // As far as the task hears: what it would be told is lost.
        fleet.lose(&["session_started"]);
        fleet.tell(with_session("t"));
        fleet.run(3 * HOUR);
        assert_eq!(fleet.why("task/t"), "failed: timeout agent_session");
        fleet.assert_nothing_left();
    });
}

#[test]
fn who_waits_for_capacity_fails_after_two_hours_and_no_poll_touches_the_row() {
    let policy = Policy { nodes_per_owner_max: 0, ..Policy::default() };
    each_net(&policy, |fleet| {
        fleet.tell(start("t", Tenure::Managed, Wish::default()));
        fleet.run(MINUTE);
        let before = fleet.rows("task").remove(0);
        assert_eq!(before.record.text("step"), Some("waiting_for_capacity"));
        assert_eq!(before.status, "queued");
        fleet.run(118 * MINUTE);
        assert_eq!(fleet.rows("task"), [before]);
        fleet.run(7 * MINUTE);
        assert_eq!(fleet.why("task/t"), "failed: timeout waiting_for_capacity");
        fleet.assert_nothing_left();
    });
}

#[test]
fn polls_for_capacity_go_from_15_to_60_seconds() {
    let mut fleet = Fleet::with(Policy { nodes_per_owner_max: 0, ..Policy::default() }, None);
    fleet.tell(start("t", Tenure::Managed, Wish::default()));
    fleet.run(HOUR);
    // At 15, 45 and 105 seconds, and then every minute.
    assert_eq!(fleet.mails("ask"), 3 + 58);
}

#[test]
fn a_machine_that_does_not_come_fails_the_task_after_15_minutes() {
    each_net(&Policy::default(), |fleet| {
        fleet.script("node/ada~n1", &ScriptStep::Expect);
        fleet.tell(start("t", Tenure::Managed, Wish::default()));
        fleet.run(MINUTE);
        let before = fleet.rows("task").remove(0);
        assert_eq!(before.record.text("step"), Some("node_provisioning"));
        fleet.run(13 * MINUTE);
        assert_eq!(fleet.rows("task"), [before]);
        fleet.run(7 * MINUTE);
        assert_eq!(fleet.why("task/t"), "failed: timeout node_provisioning");
        fleet.script("node/ada~n1", &ScriptStep::Boot);
        fleet.run(2 * HOUR);
        fleet.assert_nothing_left();
    });
}

#[test]
fn an_agent_that_is_never_ready_fails_the_task_15_minutes_after_its_machine_came() {
    each_net(&Policy::default(), |fleet| {
        fleet.script("node/ada~n1", &ScriptStep::Expect);
        fleet.tell(start("t", Tenure::Managed, Wish::default()));
        fleet.run(10 * MINUTE);
        fleet.script("node/ada~n1", &ScriptStep::Boot);
        fleet.run(MINUTE);
        assert_eq!(fleet.rows("task")[0].record.text("step"), Some("node_agent_ready"));
        fleet.run(13 * MINUTE);
        assert_eq!(fleet.status("task/t"), "delegated");
        fleet.run(7 * MINUTE);
        assert_eq!(fleet.why("task/t"), "failed: timeout node_agent_ready");
        fleet.run(2 * HOUR);
        fleet.assert_nothing_left();
    });
}

/// A node whose agent was ready and is not reached any more.
fn deaf_node(fleet: &mut Fleet) {
    fleet.script("node/n", &ScriptStep::Expect);
    let spec = node_spec(Tenure::Managed);
    fleet.tell(RequestNode { caller: ada(), name: "n".to_owned(), spec });
    fleet.script("node/n", &ScriptStep::Boot);
    fleet.script("node/n", &ScriptStep::Ready);
    fleet.run(MINUTE);
    fleet.script("node/n", &ScriptStep::Down);
    fleet.run(MINUTE);
}

#[test]
fn a_node_that_does_not_take_its_task_is_asked_ever_more_seldom_for_ten_minutes() {
    each_net(&Policy::default(), |fleet| {
        deaf_node(fleet);
        fleet.tell(start("t", Tenure::Managed, Wish::on("n")));
        fleet.run(9 * MINUTE + 59 * SECOND);
        assert_eq!(fleet.rows("task")[0].record.text("step"), Some("workspace_creation"));
        // At 30, 90 and 210 seconds, and then every two minutes; without alarms never.
        assert!([0, 6].contains(&fleet.mails("ask")), "{}", fleet.mails("ask"));
        fleet.run(6 * MINUTE);
        assert_eq!(fleet.why("task/t"), "failed: timeout workspace_dispatch");
    });
}

#[test]
fn a_workspace_that_is_never_ready_fails_its_task_after_30_minutes() {
    // The node's own bound is later here, so that it is the task's that is seen.
    let creating = Duration::from_secs(2 * 60 * 60);
    let policy = Policy { workspace_creating_timeout: creating, ..Policy::default() };
    each_net(&policy, |fleet| {
        fleet.script("workspace/t~w1", &ScriptStep::Expect);
        fleet.tell(start("t", Tenure::Managed, Wish::default()));
        fleet.run(10 * MINUTE);
        let before = fleet.rows("task").remove(0);
        assert_eq!(before.record.text("step"), Some("workspace_ready"));
        fleet.run(20 * MINUTE);
        assert_eq!(fleet.rows("task"), [before]);
        fleet.run(20 * MINUTE);
        assert_eq!(fleet.why("task/t"), "failed: timeout workspace_ready");
        fleet.script("workspace/t~w1", &ScriptStep::Ended);
        fleet.run(4 * HOUR);
        fleet.assert_nothing_left();
    });
}

#[test]
fn polls_catch_what_went_astray() {
    let lost = ["granted", "placed", "workspace_ready"];
    let mut fleet = Fleet::new().without_sweeps();
    fleet.lose(&lost);
    fleet.tell(start("t", Tenure::Managed, Wish::default()));
    fleet.run(15 * MINUTE);
    assert_eq!(fleet.status("task/t"), "queued");
    assert_eq!(fleet.status("workspace/t~w1"), "running");
    fleet.lose(&[]);
    fleet.run(MINUTE);
    assert_eq!(fleet.status("task/t"), "in_progress");
    let mut fleet = Fleet::with(Policy { nodes_per_owner_max: 0, ..Policy::default() }, None);
    fleet.lose(&["waits"]);
    fleet.tell(start("t", Tenure::Managed, Wish::default()));
    fleet.run(MINUTE);
    assert_eq!(fleet.rows("task")[0].record.text("step"), Some("node_selection"));
    fleet.lose(&[]);
    fleet.run(MINUTE);
    assert_eq!(fleet.rows("task")[0].record.text("step"), Some("waiting_for_capacity"));
}

#[test]
fn without_polls_what_went_astray_fails_by_its_clock() {
    let mut fleet = Fleet::new().without_alarms();
    fleet.lose(&["granted", "placed", "workspace_ready"]);
    fleet.tell(start("t", Tenure::Managed, Wish::default()));
    fleet.run(26 * MINUTE);
    assert_eq!(fleet.why("task/t"), "failed: timeout node_selection");
    fleet.run(2 * HOUR);
    fleet.assert_nothing_left();
}

#[test]
fn a_task_of_somebody_outside_never_asks() {
    let mut fleet = Fleet::with(Policy { nodes_per_owner_max: 0, ..Policy::default() }, None);
    fleet.tell(start("free", Tenure::External, Wish::default()));
    fleet.tell(start("pinned", Tenure::External, Wish::on("nowhere")));
    fleet.run(30 * HOUR);
    assert_eq!(fleet.mails("ask"), 0);
    assert_eq!(fleet.statuses("task"), ["queued", "queued"]);
}

#[test]
fn signs_of_life_save_a_task_from_the_soft_bound_and_not_from_the_hard_one() {
    each_net(&Policy::default(), |fleet| {
        fleet.tell(start("t", Tenure::Managed, Wish::default()));
        fleet.run(10 * MINUTE);
        let before = fleet.rows("task").remove(0);
        for _ in 0..44 {
            fleet.call::<TaskRunner, _>("task/t", Progress { caller: ada() }).unwrap();
            fleet.run(10 * MINUTE);
        }
        assert_eq!(fleet.rows("task"), [before], "liveness is in no row");
        for _ in 0..10 {
            // It may be over by now.
            drop(fleet.call::<TaskRunner, _>("task/t", Progress { caller: ada() }));
            fleet.run(10 * MINUTE);
        }
        assert_eq!(fleet.why("task/t"), "failed: timeout in_progress");
        fleet.run(2 * HOUR);
        fleet.assert_nothing_left();
    });
}

#[test]
fn nothing_is_older_than_a_day_and_what_ended_stays_ended() {
    let day = Duration::from_secs(24 * 60 * 60);
    let policy = Policy { task_soft: 3 * day, task_hard: 3 * day, ..Policy::default() };
    each_net(&policy, |fleet| {
        fleet.tell(start("t", Tenure::Managed, Wish::default()));
        fleet.run(23 * HOUR);
        assert_eq!(fleet.status("task/t"), "in_progress");
        fleet.run(2 * HOUR);
        assert_eq!(fleet.why("task/t"), "failed: timeout absolute");
        fleet.tell(end("t", TaskEnd::Completed));
        fleet.run(2 * HOUR);
        assert_eq!(fleet.tombstone("task/t").unwrap().status, "failed");
        fleet.assert_nothing_left();
    });
}
