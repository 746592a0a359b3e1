//! The whole way of a task: node, workspace, session, end; and nothing is left behind it.

use crate::placement::{SessionEnd, Wish};
use crate::{OpenSession, Session, SessionProgress, SessionResult, TaskSession, Tenure, Workspace};

use super::harness::{Fleet, HOUR, MINUTE, ada, every_way, start};

/// A task `t` whose session runs.
fn begin(fleet: &mut Fleet) {
    let mut task = start("t", Tenure::Managed, Wish::default());
    task.spec.session = TaskSession::Wanted;
    fleet.tell(task);
    fleet.run(10 * MINUTE);
}

fn running(fleet: &mut Fleet) {
    begin(fleet);
    assert_eq!(fleet.status("session/t~w1~s"), "started");
    assert_eq!(fleet.status("task/t"), "in_progress");
}

fn result(fleet: &mut Fleet, attempt: u32, end: SessionEnd) {
    let session = format!("session/t~w{attempt}~s");
    fleet.call::<Session, _>(&session, SessionResult { epoch: 1, end }).unwrap();
}

#[test]
fn a_session_that_finishes_completes_its_task_and_nothing_is_left() {
    every_way(|fleet| {
        running(fleet);
        result(fleet, 1, SessionEnd::Finished);
        fleet.run(MINUTE);
        assert_eq!(fleet.why("task/t"), "completed");
        assert_eq!(fleet.status("workspace/t~w1"), "stopped");
        assert_eq!(fleet.statuses("node"), ["warm"]);
        fleet.run(2 * HOUR);
        assert_eq!(fleet.tombstone("session/t~w1~s").unwrap().status, "finished");
        fleet.assert_nothing_left();
    });
}

#[test]
fn a_session_that_fails_fails_its_task_with_its_class_and_nothing_is_left() {
    every_way(|fleet| {
        running(fleet);
        result(fleet, 1, SessionEnd::Failed { class: "tests".to_owned() });
        fleet.run(2 * HOUR);
        assert_eq!(fleet.why("task/t"), "failed: tests");
        assert_eq!(fleet.tombstone("session/t~w1~s").unwrap().status, "failed");
        fleet.assert_nothing_left();
    });
}

#[test]
fn a_session_that_is_lost_is_begun_again_in_a_new_workspace() {
    every_way(|fleet| {
        running(fleet);
        result(fleet, 1, SessionEnd::Lost { why: "the agent forgot it".to_owned() });
        fleet.run(10 * MINUTE);
        let row = fleet.rows("task").remove(0);
        assert_eq!((row.status.as_str(), row.record.number("attempt")), ("in_progress", Some(2)));
        assert_eq!(fleet.tombstone("session/t~w1~s").unwrap().status, "lost");
        result(fleet, 2, SessionEnd::Finished);
        fleet.run(2 * HOUR);
        assert_eq!(fleet.why("task/t"), "completed");
        fleet.assert_nothing_left();
    });
}

#[test]
fn a_session_that_is_refused_fails_its_task_and_nothing_is_left() {
    let mut fleet = Fleet::new();
    // Its owner works in the workspace already when the task hears of it.
    fleet.lose(&["workspace_ready"]);
    begin(&mut fleet);
    let mine = OpenSession { caller: ada(), session: "mine".to_owned() };
    fleet.call::<Workspace, _>("workspace/t~w1", mine).unwrap();
    fleet.lose(&[]);
    fleet.run(2 * MINUTE);
    assert_eq!(fleet.why("task/t"), "failed: refused");
    assert_eq!(fleet.tombstone("session/mine").unwrap().status, "lost");
    fleet.run(2 * HOUR);
    fleet.assert_nothing_left();
}

#[test]
fn an_agent_that_falls_silent_fails_its_task_and_nothing_is_left() {
    every_way(|fleet| {
        running(fleet);
        fleet.run(7 * HOUR);
        assert_eq!(fleet.why("task/t"), "failed: timeout silent");
        assert_eq!(fleet.tombstone("session/t~w1~s").unwrap().status, "lost");
        fleet.assert_nothing_left();
    });
}

#[test]
fn a_session_that_talks_keeps_its_task_until_the_hard_bound_and_tells_it_seldom() {
    let mut fleet = Fleet::new();
    running(&mut fleet);
    let before = fleet.rows("task");
    for _ in 0..(7 * 60) {
        fleet.run(MINUTE);
        let progress = SessionProgress { epoch: 1 };
        fleet.call::<Session, _>("session/t~w1~s", progress).unwrap();
    }
    assert_eq!(fleet.rows("task"), before, "liveness is in no row");
    assert_eq!(fleet.mails("progress"), 7 * 12, "every five minutes");
    fleet.run(90 * MINUTE);
    assert!(fleet.why("task/t").starts_with("failed: timeout"));
}
