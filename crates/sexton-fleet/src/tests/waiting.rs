//! Ends that wait for somebody, and ends that wait for nobody.

use crate::sim_cloud::{HostState, ScriptStep};
use crate::sweeps::Bereaved;
use crate::{
    Broken, Exited, Expire, Node, NodeRole, NodeSpec, Ready, RequestNode, Restart, Sandbox,
    SandboxExit, SandboxStatus, SessionProgress, StartTask, TaskSession, Tenure, Workspace,
    placement::Wish,
};

use super::harness::{Fleet, HOUR, MINUTE, ada, end, every_way, id, node_spec, start};
use super::sandbox_stories::{
    SECOND, assert_over, hibernate, hosts, intervals, migrate, running, spec, stop as stop_sandbox,
};
use super::stage::{create, destroy, facts, running_workspace, stop, user_owned};

/// A node `n` whose agent was ready, and on which a workspace `w` runs, before its create call
/// failed for good.
fn failed_in_use(fleet: &mut Fleet) {
    fleet.script("node/n", &ScriptStep::Expect);
    let spec = node_spec(Tenure::Managed);
    fleet.tell(RequestNode { caller: ada(), name: "n".to_owned(), spec });
    fleet.run(MINUTE);
    fleet.call::<Node, _>("node/n", Ready { epoch: 1, version: None }).unwrap();
    create(fleet, "w", "n");
    fleet.run(SECOND);
    // Its agent was first here too: no answer to its own making comes from a machine like that.
    fleet.call::<Workspace, _>("workspace/w", crate::Made { epoch: 1, run: 1 }).unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.status("workspace/w"), "running");
    fleet.script("node/n", &ScriptStep::Failed("quota".to_owned()));
    fleet.run(MINUTE);
    assert_eq!(fleet.status("node/n"), "error");
}

#[test]
fn a_node_in_error_waits_for_who_works_on_it_and_goes_when_he_does() {
    every_way(|fleet| {
        failed_in_use(fleet);
        fleet.run(40 * MINUTE);
        assert_eq!(fleet.status("node/n"), "error", "somebody works there");
        let why = "in error for long".to_owned();
        let error = fleet.call::<Node, _>("node/n", Expire { why }).unwrap_err();
        assert!(error.to_string().ends_with("still in use: 1 active workspaces"), "{error}");
        create(fleet, "v", "n");
        fleet.run(MINUTE);
        assert_eq!(fleet.status("workspace/v"), "none", "it takes nothing");
        destroy(fleet, "w");
        fleet.run(2 * HOUR);
        assert_eq!(fleet.why("node/n"), "failed: quota");
        fleet.assert_nothing_left();
    });
}

#[test]
fn a_deployment_that_fails_is_there_until_its_owner_ends_it() {
    every_way(|fleet| {
        fleet.script("node/n", &ScriptStep::Expect);
        let spec = NodeSpec { role: NodeRole::Deployment, ..node_spec(Tenure::Managed) };
        fleet.tell(RequestNode { caller: ada(), name: "n".to_owned(), spec });
        fleet.run(10 * HOUR);
        assert_eq!(fleet.status("node/n"), "error", "bounded, and not destroyed");
        fleet.script("node/n", &ScriptStep::Boot);
        let (name, why) = ("n".to_owned(), "asked".to_owned());
        fleet.tell(crate::EndNode { caller: ada(), name, why });
        fleet.run(HOUR);
        assert_eq!(fleet.why("node/n"), "asked");
        fleet.assert_nothing_left();
    });
}

#[test]
fn a_users_own_machine_does_not_follow_its_owner() {
    let mut fleet = Fleet::new();
    user_owned(&mut fleet);
    let parent = fleet.rows("node")[0].record.parent.clone().unwrap();
    let bereaved = Bereaved { parent };
    fleet.say::<Node, _>("sweep/lost_actor", "node/n", &bereaved).unwrap_err();
    assert_eq!(fleet.status("node/n"), "running");
}

#[test]
fn a_tasks_workspace_whose_session_is_silent_is_idle_after_two_hours_more() {
    let mut fleet = Fleet::new();
    let StartTask { caller, name, spec } = start("t", Tenure::Managed, Wish::default());
    let spec = crate::TaskSpec { session: TaskSession::Wanted, ..spec };
    fleet.tell(StartTask { caller, name, spec });
    fleet.run(10 * MINUTE);
    assert_eq!(fleet.status("task/t"), "in_progress");
    fleet.call::<crate::Session, _>("session/t~w1~s", SessionProgress { epoch: 1 }).unwrap();
    fleet.run(2 * HOUR + 14 * MINUTE);
    assert_eq!(fleet.status("workspace/t~w1"), "running");
    fleet.run(3 * MINUTE);
    assert_ne!(fleet.status("workspace/t~w1"), "running");
    fleet.tell(end("t", crate::TaskEnd::Cancelled));
    fleet.run(3 * HOUR);
    fleet.assert_nothing_left();
}

#[test]
fn a_workspace_of_no_use_any_more_is_an_error_also_when_it_is_stopped() {
    let mut fleet = Fleet::new();
    running_workspace(&mut fleet);
    let broken = |epoch| Broken { epoch, class: "no disk".to_owned() };
    let w = "workspace/w";
    stop(&mut fleet, "w");
    fleet.run(MINUTE);
    assert_eq!(fleet.status(w), "stopped");
    fleet.call::<Workspace, _>(w, broken(2)).unwrap();
    assert_eq!((fleet.status(w).as_str(), facts(&fleet, w, "late")), ("stopped", 1));
    fleet.call::<Workspace, _>(w, broken(1)).unwrap();
    assert_eq!(fleet.status(w), "error");
    fleet.call::<Workspace, _>(w, broken(1)).unwrap();
    assert_eq!(facts(&fleet, w, "late"), 2);
    fleet.run(HOUR);
    assert_eq!(fleet.status(w), "none", "its node went, and took it along");

    let mut fleet = Fleet::new();
    running_workspace(&mut fleet);
    fleet.call::<Workspace, _>(w, broken(1)).unwrap();
    fleet.run(MINUTE);
    fleet.call::<Workspace, _>(w, Restart { caller: ada() }).unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.status(w), "running");
}

/// A sandbox that runs, with a host `there` that nobody can reach.
fn with_a_silent_host(fleet: &mut Fleet) {
    running(fleet, "s");
    fleet.cloud.set_host("there", HostState::Silent).unwrap();
}

#[test]
fn a_stop_wins_although_the_host_that_it_moves_to_is_silent() {
    every_way(|fleet| {
        with_a_silent_host(fleet);
        migrate(fleet, "s");
        stop_sandbox(fleet, "s");
        fleet.run(2 * MINUTE);
        assert_eq!(fleet.cloud.sandboxes().count(), 0, "nothing runs on unbilled");
        fleet.run(2 * HOUR + 10 * MINUTE);
        assert_over(fleet, "s", "stopped");
        assert!(fleet.tombstone("sandbox/s").is_some());
    });
    let mut fleet = Fleet::new();
    with_a_silent_host(&mut fleet);
    migrate(&mut fleet, "s");
    fleet.run(MINUTE);
    assert_eq!(fleet.status("sandbox/s"), "running", "it stays where it is");
    // Or the host falls silent on the way.
    fleet.cloud.set_host("there", HostState::Up).unwrap();
    migrate(&mut fleet, "s");
    fleet.run(10 * SECOND);
    fleet.cloud.set_host("there", HostState::Silent).unwrap();
    fleet.run(3 * MINUTE);
    stop_sandbox(&mut fleet, "s");
    fleet.run(MINUTE);
    assert_over(&fleet, "s", "stopped");
}

/// A status, and how a sandbox `s` comes there.
type Reach = (&'static str, fn(&mut Fleet));

#[test]
fn a_sandbox_fails_and_is_lost_from_every_status_and_its_meter_is_closed() {
    let to: [Reach; 5] = [
        ("pooled", |fleet| {
            hosts(fleet);
            let (name, spec) = ("s".to_owned(), spec(crate::SandboxStart::Pooled));
            fleet.tell(crate::CreateSandbox { caller: ada(), name, spec });
            fleet.run(SECOND);
        }),
        ("running", |fleet| running(fleet, "s")),
        ("hibernated", |fleet| {
            running(fleet, "s");
            hibernate(fleet, "s");
            fleet.run(15 * SECOND);
        }),
        ("migrating", |fleet| {
            running(fleet, "s");
            migrate(fleet, "s");
            fleet.run(SECOND);
        }),
        ("reserved", |fleet| {
            hosts(fleet);
            let (name, spec) = ("s".to_owned(), spec(crate::SandboxStart::Pooled));
            fleet.tell(crate::CreateSandbox { caller: ada(), name: name.clone(), spec });
            let holder = "h".to_owned();
            fleet.tell(crate::ReserveSandbox { caller: ada(), name, holder });
            fleet.run(SECOND);
        }),
    ];
    let ends = [
        (SandboxExit::Failed { class: "oom".to_owned() }, SandboxStatus::Failed),
        (SandboxExit::Lost { why: "its host was reinstalled".to_owned() }, SandboxStatus::Error),
    ];
    for (status, reach) in to {
        for (end, last) in &ends {
            let mut fleet = Fleet::new();
            reach(&mut fleet);
            assert_eq!(fleet.status("sandbox/s"), status);
            let exited = || Exited { epoch: 1, end: end.clone() };
            fleet.call::<Sandbox, _>("sandbox/s", exited()).unwrap();
            let name = sexton_core::Status::name(*last);
            assert_eq!(fleet.status("sandbox/s"), name, "from {status}");
            fleet.call::<Sandbox, _>("sandbox/s", exited()).unwrap();
            fleet.run(15 * MINUTE);
            assert_over(&fleet, "s", name);
            let has_run = !["pooled", "reserved"].contains(&status);
            assert_eq!(!intervals(&fleet, "s").is_empty(), has_run);
            assert_eq!(id("sandbox/s").name(), "s");
        }
    }
}
