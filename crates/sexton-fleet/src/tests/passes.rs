//! The sweeps on nodes and workspaces: what each selects, whom it leaves alone, and how much it
//! asks at once.
//!
//! Leak 1: stopped with its warm mark cleared, and in no pass. Leak 2: stopped, and linked to no
//! task. Leak 3: in error, and not made by a task. Leak 6: a grace that contradicts the timeout.

use std::time::Duration;

use crate::placement::Wish;
use crate::policy::Policy;
use crate::sim_cloud::ScriptStep;
use crate::{Heartbeat, Node, OpenSession, RequestNode, TaskEnd, Tenure, Touch, Workspace};

use super::harness::{Fleet, HOUR, MINUTE, ada, end, node_spec, start};
use super::stage::{
    made_workspace, place, running_node, running_workspace, stop, user_owned, warm_node,
};

/// Only the sweeps work, and they pass once a minute.
fn swept() -> Fleet {
    Fleet::with(often(), None).without_alarms()
}

fn often() -> Policy {
    Policy { sweep_every: Duration::from_secs(60), ..Policy::default() }
}

/// A workspace `w` on `n` for a task that has ended, of which nobody ever told the workspace.
fn orphan(fleet: &mut Fleet) {
    // Of somebody outside, and on no node that there is: so it waits until it is ended.
    fleet.tell(start("t", Tenure::External, Wish::on("nowhere")));
    running_node(fleet, "n");
    fleet.say::<Node, _>("owner/ada", "node/n", &place("w", Some("task/t"), None)).unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.status("workspace/w"), "running");
}

fn end_task(fleet: &mut Fleet) {
    // Its end goes to the node that it knows of, and not to this one.
    fleet.destroy("task/t");
    fleet.run(1);
    assert!(fleet.tombstone("task/t").is_some());
}

#[test]
fn a_warm_node_is_destroyed_five_minutes_past_its_own_deadline() {
    let mut fleet = swept();
    warm_node(&mut fleet);
    fleet.run(34 * MINUTE);
    assert_eq!(fleet.status("node/n"), "warm");
    fleet.run(2 * MINUTE);
    assert_eq!(fleet.why("node/n"), "warm period over");
}

#[test]
fn a_stopped_node_is_destroyed_whoever_made_it() {
    let mut fleet = Fleet::with(often(), None);
    warm_node(&mut fleet);
    fleet.run(30 * MINUTE);
    assert_eq!(fleet.status("node/n"), "stopped");
    // No task ever used it, and no alarm rings any more.
    let mut fleet = fleet.without_alarms();
    fleet.run(9 * MINUTE);
    assert_eq!(fleet.status("node/n"), "stopped");
    fleet.run(2 * MINUTE);
    assert_eq!(fleet.why("node/n"), "warm period over");
}

#[test]
fn a_node_in_error_is_destroyed_after_ten_minutes_whoever_made_it() {
    let mut fleet = swept();
    fleet.script("node/n", &ScriptStep::Expect);
    let spec = node_spec(Tenure::Managed);
    fleet.tell(RequestNode { caller: ada(), name: "n".to_owned(), spec });
    fleet.run(MINUTE);
    fleet.script("node/n", &ScriptStep::Failed("quota".to_owned()));
    fleet.run(9 * MINUTE);
    assert_eq!(fleet.status("node/n"), "error");
    fleet.run(2 * MINUTE);
    assert_eq!(fleet.why("node/n"), "failed: quota");
}

#[test]
fn an_idle_orphan_is_destroyed_after_45_minutes() {
    let mut fleet = swept();
    running_node(&mut fleet, "n");
    fleet.run(34 * MINUTE);
    assert_eq!(fleet.status("node/n"), "running");
    fleet.run(12 * MINUTE);
    assert_eq!(fleet.why("node/n"), "idle orphan");
}

#[test]
fn an_old_node_is_destroyed_by_its_lifetime() {
    let mut fleet = swept();
    made_workspace(&mut fleet);
    let of_nobody = place("v", Some("task/unknown"), None);
    fleet.say::<Node, _>("owner/ada", "node/ada~n1", &of_nobody).unwrap();
    fleet.run(23 * HOUR);
    assert_eq!(fleet.status("node/ada~n1"), "running");
    fleet.run(HOUR);
    assert_eq!(fleet.why("node/ada~n1"), "lifetime over");
}

#[test]
fn a_workspace_whose_task_ended_ten_minutes_ago_is_stopped() {
    for mut fleet in [swept(), Fleet::with(often(), None)] {
        orphan(&mut fleet);
        end_task(&mut fleet);
        fleet.run(9 * MINUTE);
        assert_eq!(fleet.status("workspace/w"), "running");
        fleet.run(2 * MINUTE);
        assert_eq!(fleet.status("workspace/w"), "stopped");
        fleet.run(2 * HOUR);
        fleet.assert_nothing_left();
    }
}

#[test]
fn an_orphan_is_left_alone_while_somebody_is_attached() {
    let mut fleet = swept();
    orphan(&mut fleet);
    end_task(&mut fleet);
    for _ in 0..5 {
        fleet.call::<Workspace, _>("workspace/w", Touch { caller: ada() }).unwrap();
        fleet.run(10 * MINUTE);
    }
    let (caller, session) = (ada(), "s".to_owned());
    fleet.call::<Workspace, _>("workspace/w", OpenSession { caller, session }).unwrap();
    fleet.run(14 * MINUTE);
    assert_eq!(fleet.status("workspace/w"), "running");
    fleet.run(10 * MINUTE);
    assert_eq!(fleet.tombstone("session/s").unwrap().status, "lost");
}

#[test]
fn a_workspace_whose_task_lives_or_was_never_known_is_no_orphan() {
    let mut fleet = swept();
    orphan(&mut fleet);
    fleet.say::<Node, _>("owner/ada", "node/n", &place("v", Some("task/unknown"), None)).unwrap();
    fleet.run(20 * MINUTE);
    let why = "a wrong row".to_owned();
    assert_eq!(fleet.statuses("workspace"), ["running", "running"]);
    let error = fleet.call::<Workspace, _>("workspace/w", crate::Expire { why }).unwrap_err();
    assert_eq!(error.kind(), sexton_core::ErrorKind::Refused);
}

#[test]
fn an_orphan_ends_by_its_own_deadline_where_no_sweep_passes() {
    let mut fleet = Fleet::new().without_sweeps();
    user_owned(&mut fleet);
    fleet.say::<Node, _>("owner/ada", "node/n", &place("w", Some("task/unknown"), None)).unwrap();
    fleet.run(25 * HOUR);
    assert_eq!(fleet.status("workspace/w"), "running");
    fleet.run(2 * HOUR);
    assert_eq!(fleet.why("workspace/w"), "stopped");
    assert_eq!(fleet.status("node/n"), "running");
}

#[test]
fn a_stopped_workspace_is_destroyed_after_twice_its_own_time() {
    let mut fleet = swept();
    running_workspace(&mut fleet);
    stop(&mut fleet, "w");
    fleet.run(9 * MINUTE + 30_000);
    assert_eq!(fleet.status("workspace/w"), "stopped");
    fleet.run(2 * MINUTE);
    assert_eq!(fleet.why("workspace/w"), "stopped");
}

#[test]
fn an_idle_node_with_another_agent_than_the_required_one_is_destroyed() {
    let policy = || Policy { agent_version: "2".to_owned(), ..often() };
    for (version, is_kept) in [(Some("1"), false), (Some("2"), true), (None, true)] {
        let mut fleet = Fleet::with(policy(), None);
        running_workspace(&mut fleet);
        let version = version.map(str::to_owned);
        fleet.call::<Node, _>("node/n", Heartbeat { epoch: 1, load: None, version }).unwrap();
        fleet.run(5 * MINUTE);
        assert_eq!(fleet.status("node/n"), "running", "it is in use");
        stop(&mut fleet, "w");
        fleet.run(2 * MINUTE);
        assert_eq!(fleet.tombstone("node/n").is_none(), is_kept);
        if !is_kept {
            assert_eq!(fleet.why("node/n"), "agent 1, and 2 is required");
        }
    }
    let mut fleet = Fleet::with(often(), None);
    running_node(&mut fleet, "n");
    let version = Some("1".to_owned());
    fleet.call::<Node, _>("node/n", Heartbeat { epoch: 1, load: None, version }).unwrap();
    fleet.run(5 * MINUTE);
    assert_eq!(fleet.status("node/n"), "running", "none is required");
}

#[test]
fn a_pass_asks_no_more_than_its_limit() {
    let policy = Policy { sweep_nodes_max: 2, sweep_workspaces_max: 2, ..often() };
    let mut fleet = Fleet::with(policy, None).without_alarms();
    for n in 0..2 {
        running_node(&mut fleet, &format!("n{n}"));
    }
    for n in 0..5 {
        let (workspace, node) = (format!("w{n}"), format!("n{}", n % 2));
        super::stage::create(&mut fleet, &workspace, &node);
    }
    fleet.run(MINUTE);
    for n in 0..5 {
        stop(&mut fleet, &format!("w{n}"));
    }
    let mut counts = Vec::new();
    for _ in 0..15 {
        fleet.run(MINUTE);
        counts.push(fleet.rows("workspace").len());
    }
    counts.dedup();
    assert_eq!(counts, [5, 3, 1, 0]);
}

#[test]
fn a_managed_task_ends_with_its_workspace_by_either_net() {
    for mut fleet in [swept(), Fleet::new().without_sweeps()] {
        fleet.tell(start("t", Tenure::Managed, Wish::default()));
        fleet.run(10 * MINUTE);
        fleet.tell(end("t", TaskEnd::Completed));
        fleet.run(2 * HOUR);
        fleet.assert_nothing_left();
    }
}
