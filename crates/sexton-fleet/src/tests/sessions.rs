//! Sessions: one at a time, one end each, and no workspace idle under one that talks.

use sexton_core::{ErrorKind, query};

use crate::placement::{SessionEnd, StartSession};
use crate::{
    Caller, End, Node, OpenSession, Session, SessionProgress, SessionResult, Sleep, Workspace,
    WorkspaceEnd,
};

use super::harness::{Fleet, HOUR, MINUTE, ada, every_way, id};
use super::stage::{
    NOBODY, dead_letters, facts, place, running_node, running_workspace, stop,
    workspace_without_machine,
};

const W: &str = "workspace/w";
const S: &str = "session/s";

fn open(fleet: &mut Fleet, name: &str) -> Result<(), sexton_core::Error> {
    let session = name.to_owned();
    fleet.call::<Workspace, _>(W, OpenSession { caller: ada(), session })
}

fn begin(fleet: &mut Fleet) {
    running_workspace(fleet);
    open(fleet, "s").unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.status(S), "started");
}

fn progress(fleet: &mut Fleet) {
    fleet.call::<Session, _>(S, SessionProgress { epoch: 1 }).unwrap();
}

fn finish(fleet: &mut Fleet) -> Result<(), sexton_core::Error> {
    fleet.call::<Session, _>(S, SessionResult { epoch: 1, end: SessionEnd::Finished })
}

/// A workspace `w` for a task that never was, with its session `s`.
fn begin_for_a_task(fleet: &mut Fleet) {
    running_node(fleet, "n");
    fleet.say::<Node, _>("owner/ada", "node/n", &place("w", Some(NOBODY), None)).unwrap();
    fleet.run(MINUTE);
    let message = StartSession { session: "s".to_owned(), task: id(NOBODY) };
    fleet.say::<Workspace, _>(NOBODY, W, &message).unwrap();
    fleet.run(MINUTE);
}

#[test]
fn a_session_ends_once_and_its_last_status_is_on_its_tombstone() {
    let ends = [
        (SessionEnd::Finished, "finished"),
        (SessionEnd::Failed { class: "broken".to_owned() }, "failed"),
        (SessionEnd::Lost { why: "the agent forgot it".to_owned() }, "lost"),
    ];
    for (end, status) in ends {
        let mut fleet = Fleet::new();
        begin(&mut fleet);
        fleet.call::<Session, _>(S, SessionResult { epoch: 1, end }).unwrap();
        fleet.run(MINUTE);
        assert_eq!(fleet.tombstone(S).unwrap().status, status);
        let children = query::children(&*fleet.store, &id(W)).unwrap();
        assert!(children.is_empty(), "ended ones do not pile up");
    }
}

#[test]
fn there_is_one_session_at_a_time() {
    let mut fleet = Fleet::new();
    begin(&mut fleet);
    let error = open(&mut fleet, "t").unwrap_err();
    assert!(error.to_string().ends_with("session s is open"), "{error}");
    finish(&mut fleet).unwrap();
    fleet.run(MINUTE);
    open(&mut fleet, "t").unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.statuses("session"), ["started"]);
    assert_eq!(fleet.status("session/t"), "started");
}

#[test]
fn a_name_that_was_used_before_begins_nothing() {
    let mut fleet = Fleet::new();
    begin(&mut fleet);
    finish(&mut fleet).unwrap();
    fleet.run(MINUTE);
    open(&mut fleet, "s").unwrap();
    fleet.run(MINUTE);
    assert!(fleet.has_fact(W, "no_session"));
    open(&mut fleet, "t").unwrap();
}

#[test]
fn a_completion_after_the_end_or_of_another_epoch_changes_nothing_and_is_recorded() {
    let mut fleet = Fleet::new();
    begin(&mut fleet);
    let end = SessionEnd::Failed { class: "old".to_owned() };
    fleet.call::<Session, _>(S, SessionResult { epoch: 0, end: end.clone() }).unwrap();
    assert_eq!(fleet.status(S), "started");
    finish(&mut fleet).unwrap();
    fleet.call::<Session, _>(S, SessionResult { epoch: 1, end: end.clone() }).unwrap();
    progress(&mut fleet);
    assert_eq!(fleet.status(S), "finished");
    assert_eq!(facts(&fleet, S, "late"), 3);
    fleet.run(MINUTE);
    let late = fleet.call::<Session, _>(S, SessionResult { epoch: 1, end }).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Destroyed);
    assert_eq!(fleet.tombstone(S).unwrap().status, "finished");
}

#[test]
fn a_workspace_with_a_session_that_talks_is_not_idle_and_its_row_stands_still() {
    let mut fleet = Fleet::new();
    begin(&mut fleet);
    let rows = (fleet.rows("workspace"), fleet.rows("session"));
    for _ in 0..36 {
        fleet.run(10 * MINUTE);
        progress(&mut fleet);
    }
    assert_eq!((fleet.rows("workspace"), fleet.rows("session")), rows);
    assert_eq!(fleet.status(W), "running", "after six hours");
}

#[test]
fn a_workspace_whose_session_is_silent_for_a_quarter_of_an_hour_is_idle() {
    every_way(|fleet| {
        begin(fleet);
        fleet.run(14 * MINUTE - 1);
        assert!(!fleet.has_fact(S, "silent"));
        fleet.run(2 * HOUR);
        assert_eq!(fleet.status(W), "running", "idle for less than two hours");
        fleet.run(2 * HOUR);
        assert!(fleet.has_fact(S, "silent"));
        assert_eq!(fleet.tombstone(S).unwrap().status, "lost");
        fleet.assert_nothing_left();
    });
}

#[test]
fn a_silent_session_that_is_heard_again_keeps_its_workspace() {
    let mut fleet = Fleet::new();
    begin(&mut fleet);
    fleet.run(2 * HOUR);
    assert!(fleet.has_fact(S, "silent"));
    progress(&mut fleet);
    fleet.run(14 * MINUTE);
    progress(&mut fleet);
    fleet.run(14 * MINUTE);
    assert_eq!(fleet.status(W), "running");
    progress(&mut fleet);
    assert_eq!(facts(&fleet, S, "silent"), 1);
}

#[test]
fn a_very_old_node_is_kept_while_a_session_talks() {
    let mut fleet = Fleet::new();
    super::stage::made_workspace(&mut fleet);
    open(&mut fleet, "s").unwrap();
    for _ in 0..(26 * 6) {
        fleet.run(10 * MINUTE);
        progress(&mut fleet);
    }
    assert_eq!(fleet.status("node/ada~n1"), "running");
    fleet.run(HOUR + 5 * MINUTE);
    assert_eq!(fleet.why("node/ada~n1"), "lifetime over");
    assert_eq!(fleet.tombstone(S).unwrap().status, "lost");
}

#[test]
fn a_session_whose_workspace_goes_is_lost_and_its_task_is_told() {
    let ends: [fn(&mut Fleet); 4] = [
        |fleet| {
            fleet.say::<Workspace, _>("node/n", W, &End { end: WorkspaceEnd::Stop }).unwrap();
        },
        |fleet| {
            let end = WorkspaceEnd::Destroy { why: "deleted".to_owned() };
            fleet.say::<Workspace, _>("node/n", W, &End { end }).unwrap();
        },
        |fleet| fleet.destroy("node/n"),
        |fleet| fleet.destroy(S),
    ];
    for by in ends {
        let mut fleet = Fleet::new();
        begin_for_a_task(&mut fleet);
        assert!(dead_letters(&fleet, NOBODY).contains(&"session_started".to_owned()));
        by(&mut fleet);
        fleet.run(MINUTE);
        assert_eq!(fleet.tombstone(S).unwrap().status, "lost");
        let told = dead_letters(&fleet, NOBODY);
        assert_eq!(told.iter().filter(|it| *it == "session_ended").count(), 1, "{told:?}");
    }
}

#[test]
fn a_session_that_cannot_begin_has_failed_and_another_may() {
    let mut fleet = Fleet::new();
    workspace_without_machine(&mut fleet);
    open(&mut fleet, "s").unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.tombstone(S).unwrap().status, "failed");
    open(&mut fleet, "t").unwrap();
}

#[test]
fn a_task_is_told_of_its_sessions_end() {
    let mut fleet = Fleet::new();
    begin_for_a_task(&mut fleet);
    finish(&mut fleet).unwrap();
    fleet.run(1);
    let told = dead_letters(&fleet, NOBODY);
    assert_eq!(told, ["placed", "workspace_ready", "session_started", "session_ended"]);
}

#[test]
fn a_session_is_begun_for_the_workspaces_own_task_and_nobody_elses() {
    let mut fleet = Fleet::new();
    running_workspace(&mut fleet);
    let message = StartSession { session: "s".to_owned(), task: id(NOBODY) };
    fleet.call::<Workspace, _>(W, message.clone()).unwrap_err();
    fleet.say::<Workspace, _>("task/other", W, &message).unwrap_err();
    fleet.say::<Workspace, _>(NOBODY, W, &message).unwrap();
    let eve = OpenSession { caller: Caller::owner("eve"), session: "s".to_owned() };
    let error = fleet.call::<Workspace, _>(W, eve).unwrap_err();
    assert!(error.to_string().ends_with("not yours"), "{error}");
    stop(&mut fleet, "w");
    fleet.run(1);
    open(&mut fleet, "s").unwrap_err();
    assert!(fleet.rows("session").is_empty());
}

#[test]
fn a_workspace_with_a_session_does_not_sleep() {
    let mut fleet = Fleet::new();
    begin(&mut fleet);
    fleet.call::<Workspace, _>(W, Sleep { caller: ada() }).unwrap_err();
    finish(&mut fleet).unwrap();
    fleet.run(1);
    fleet.call::<Workspace, _>(W, Sleep { caller: ada() }).unwrap();
}

#[test]
fn a_session_leaves_nothing_in_every_way_that_it_can_end() {
    every_way(|fleet| {
        begin(fleet);
        finish(fleet).unwrap();
        fleet.run(MINUTE);
        open(fleet, "t").unwrap();
        fleet.run(MINUTE);
        stop(fleet, "w");
        fleet.run(90 * MINUTE);
        assert_eq!(fleet.tombstone(S).unwrap().status, "finished");
        assert_eq!(fleet.tombstone("session/t").unwrap().status, "lost");
        fleet.assert_nothing_left();
    });
}
