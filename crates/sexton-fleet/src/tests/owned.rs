//! What an owner knows of his nodes: all of them by name, and which of them takes a workspace.

use crate::placement::{Load, Wish};
use crate::{
    AgentDown, AgentUp, Claim, EndWorkspace, Heartbeat, Node, NodeClass, NodeRole, NodeSpec,
    RequestNode, Sleep, TaskEnd, Tenure, Wake, Workspace, WorkspaceEnd,
};

use super::harness::{Fleet, HOUR, MINUTE, ada, end, every_way, id, node_spec, start};
use super::stage::{create, running_node, stop, user_owned};

fn node_of(fleet: &Fleet, task: &str) -> String {
    let row = fleet.rows("task").into_iter().find(|row| row.id.name() == task).unwrap();
    row.record.text("node").unwrap_or("none").to_owned()
}

fn begin(fleet: &mut Fleet, task: &str) -> String {
    fleet.tell(start(task, Tenure::Managed, Wish::default()));
    fleet.run(MINUTE);
    node_of(fleet, task)
}

#[test]
fn a_users_own_machine_with_room_is_taken_and_no_other_is_made() {
    let mut fleet = Fleet::new();
    user_owned(&mut fleet);
    fleet.run(1);
    for task in ["a", "b", "c"] {
        assert_eq!(begin(&mut fleet, task), "n");
        assert_eq!(fleet.status(&format!("task/{task}")), "in_progress");
    }
    assert_eq!(begin(&mut fleet, "d"), "ada~n1", "three are all");
    fleet.tell(end("a", TaskEnd::Completed));
    fleet.run(MINUTE);
    assert_eq!(begin(&mut fleet, "e"), "n");
    assert_eq!(fleet.status("node/n"), "running", "never warm");
}

#[test]
fn a_users_own_machine_that_never_came_is_promised_to_nobody() {
    let mut fleet = Fleet::new();
    let spec = NodeSpec { class: NodeClass::UserOwned, ..node_spec(Tenure::Managed) };
    fleet.tell(RequestNode { caller: ada(), name: "n".to_owned(), spec });
    // Nor a node of which somebody else says when it goes.
    let theirs =
        RequestNode { caller: ada(), name: "theirs".to_owned(), spec: node_spec(Tenure::External) };
    fleet.tell(theirs);
    fleet.run(10 * MINUTE);
    assert_eq!(begin(&mut fleet, "t"), "ada~n1");
}

#[test]
fn a_node_whose_agent_is_down_or_late_is_not_chosen_until_it_is_heard_again() {
    let mut fleet = Fleet::new();
    for name in ["a", "b"] {
        running_node(&mut fleet, name);
    }
    let beat = |fleet: &mut Fleet, node: &str, percent| {
        let load = Some(Load { cpu: percent, memory: percent });
        let heartbeat = Heartbeat { epoch: 1, load, version: None };
        fleet.call::<Node, _>(node, heartbeat).unwrap();
        fleet.run(1);
    };
    beat(&mut fleet, "node/a", 1);
    beat(&mut fleet, "node/b", 40);
    fleet.call::<Node, _>("node/a", AgentDown { epoch: 1 }).unwrap();
    assert_eq!(begin(&mut fleet, "down"), "b");
    fleet.call::<Node, _>("node/a", AgentUp { epoch: 1 }).unwrap();
    assert_eq!(begin(&mut fleet, "up"), "a");
    beat(&mut fleet, "node/b", 40);
    fleet.run(2 * MINUTE);
    // The last word of `a` is more than three minutes old, and nobody called it down.
    beat(&mut fleet, "node/b", 40);
    assert_eq!(begin(&mut fleet, "late"), "b");
    beat(&mut fleet, "node/a", 1);
    assert_eq!(begin(&mut fleet, "heard"), "a");
}

#[test]
fn a_node_that_becomes_busy_by_a_few_points_gets_nothing_more() {
    let mut fleet = Fleet::new();
    running_node(&mut fleet, "n");
    for percent in [48, 52] {
        let load = Some(Load { cpu: percent, memory: percent });
        let heartbeat = Heartbeat { epoch: 1, load, version: None };
        fleet.call::<Node, _>("node/n", heartbeat).unwrap();
        fleet.run(1);
    }
    assert_eq!(begin(&mut fleet, "t"), "ada~n1");
}

#[test]
fn a_place_that_a_workspace_gave_up_is_given_again() {
    let mut fleet = Fleet::new();
    running_node(&mut fleet, "n");
    for name in ["a", "b", "c"] {
        create(&mut fleet, name, "n");
    }
    fleet.run(MINUTE);
    let sleep = |fleet: &mut Fleet, name: &str| {
        fleet.call::<Workspace, _>(&format!("workspace/{name}"), Sleep { caller: ada() }).unwrap();
        fleet.run(MINUTE);
    };
    for name in ["a", "b", "c"] {
        sleep(&mut fleet, name);
    }
    assert_eq!(fleet.status("node/n"), "warm");
    assert_eq!(begin(&mut fleet, "t"), "n", "nobody is active there");
    // Who comes back counts again, and can still be ended by his name.
    for name in ["a", "b"] {
        let wake = Wake { caller: ada() };
        fleet.call::<Workspace, _>(&format!("workspace/{name}"), wake).unwrap();
        fleet.run(MINUTE);
        assert_eq!(fleet.status(&format!("workspace/{name}")), "running");
    }
    assert_eq!(begin(&mut fleet, "u"), "ada~n1");
    stop(&mut fleet, "c");
    stop(&mut fleet, "a");
    fleet.run(MINUTE);
    assert_eq!(["a", "c"].map(|it| fleet.status(&format!("workspace/{it}"))), ["stopped"; 2]);
    assert_eq!(begin(&mut fleet, "v"), "n");
}

#[test]
fn the_users_end_of_a_tasks_workspace_reaches_it_wherever_it_lies() {
    for is_own in [true, false] {
        let mut fleet = Fleet::new();
        if is_own {
            user_owned(&mut fleet);
        } else {
            running_node(&mut fleet, "n");
        }
        fleet.tell(start("t", Tenure::Managed, Wish::on("n")));
        fleet.run(MINUTE);
        assert_eq!(fleet.status("workspace/t~w1"), "running");
        let name = "t~w1".to_owned();
        fleet.tell(EndWorkspace { caller: ada(), name, end: WorkspaceEnd::Stop });
        fleet.run(MINUTE);
        assert_eq!(fleet.status("workspace/t~w1"), "stopped");
        // Its task hears of it, and does not go on without a workspace.
        assert_eq!(fleet.rows("task")[0].record.number("attempt"), Some(2));
        assert_eq!(fleet.status("workspace/t~w2"), "running");
    }
}

#[test]
fn a_claim_on_a_node_of_any_sort_ends_with_its_task() {
    let specs = [
        NodeSpec { class: NodeClass::UserOwned, ..node_spec(Tenure::Managed) },
        NodeSpec { role: NodeRole::Deployment, ..node_spec(Tenure::Managed) },
        node_spec(Tenure::External),
    ];
    for spec in specs {
        let mut fleet = Fleet::new();
        fleet.tell(start("t", Tenure::External, Wish::on("nowhere")));
        fleet.tell(RequestNode { caller: ada(), name: "n".to_owned(), spec });
        fleet.run(10 * MINUTE);
        let ready = crate::Ready { epoch: 1, version: None };
        fleet.call::<Node, _>("node/n", ready).unwrap();
        let claim = |by| Claim { caller: ada(), by: id(by) };
        fleet.call::<Node, _>("node/n", claim("task/t")).unwrap();
        fleet.run(MINUTE);
        fleet.call::<Node, _>("node/n", claim("task/u")).unwrap_err();
        fleet.destroy("task/t");
        fleet.run(MINUTE);
        fleet.call::<Node, _>("node/n", claim("task/u")).unwrap();
    }
}

#[test]
fn a_task_on_a_users_own_machine_leaves_nothing_in_every_way() {
    every_way(|fleet| {
        user_owned(fleet);
        fleet.run(1);
        fleet.tell(start("t", Tenure::Managed, Wish::default()));
        fleet.run(5 * MINUTE);
        assert_eq!(node_of(fleet, "t"), "n");
        fleet.tell(end("t", TaskEnd::Completed));
        fleet.run(HOUR + 10 * MINUTE);
        assert_eq!(fleet.why("workspace/t~w1"), "stopped");
        assert_eq!(fleet.status("node/n"), "running");
    });
}

#[test]
fn a_preferred_node_that_is_full_is_waited_for_and_one_that_takes_nothing_is_an_error() {
    let mut fleet = Fleet::new();
    running_node(&mut fleet, "n");
    for task in ["a", "b", "c", "d"] {
        fleet.tell(start(task, Tenure::Managed, Wish::on("n")));
    }
    fleet.run(MINUTE);
    assert_eq!(fleet.status("task/d"), "delegated");
    fleet.tell(end("a", TaskEnd::Completed));
    fleet.run(MINUTE);
    assert_eq!(fleet.status("task/d"), "in_progress");
    fleet.call::<Node, _>("node/n", crate::Drain { caller: ada() }).unwrap();
    fleet.tell(start("e", Tenure::Managed, Wish::on("n")));
    fleet.run(MINUTE);
    assert_eq!(fleet.why("task/e"), "failed: node gone");
}

#[test]
fn a_task_for_a_location_gets_a_node_there_and_no_other() {
    let mut fleet = Fleet::new();
    running_node(&mut fleet, "n");
    let there = |location: &str| Wish { location: Some(location.to_owned()), ..Wish::default() };
    fleet.tell(start("a", Tenure::Managed, there("hel1")));
    fleet.tell(start("b", Tenure::Managed, there("fsn1")));
    fleet.run(10 * MINUTE);
    assert_eq!(["a", "b"].map(|task| node_of(&fleet, task)), ["ada~n1", "n"]);
    let rows = fleet.rows("node");
    let made = rows.iter().find(|row| row.id.name() == "ada~n1").unwrap();
    assert_eq!(made.record.text("location"), Some("hel1"));
    fleet.tell(start("c", Tenure::Managed, there("hel1")));
    fleet.run(MINUTE);
    assert_eq!(node_of(&fleet, "c"), "ada~n1");
}
