//! What somebody outside decides about ends when he says so, and not before.

use crate::placement::Wish;
use crate::sim_cloud::ScriptStep;
use crate::{
    CreateWorkspace, EndNode, EndWorkspace, RequestNode, TaskEnd, Tenure, WorkspaceEnd,
    WorkspaceSpec,
};

use super::harness::{Fleet, HOUR, MINUTE, ada, end, node_spec, start};

fn request(fleet: &mut Fleet, name: &str) {
    fleet.script(&format!("node/{name}"), &ScriptStep::Expect);
    let spec = node_spec(Tenure::External);
    fleet.tell(RequestNode { caller: ada(), name: name.to_owned(), spec });
}

fn create(fleet: &mut Fleet, name: &str, place: Wish) {
    fleet.script(&format!("workspace/{name}"), &ScriptStep::Expect);
    let spec = WorkspaceSpec { tenure: Tenure::External, place };
    fleet.tell(CreateWorkspace { caller: ada(), name: name.to_owned(), spec });
}

fn destroy(fleet: &mut Fleet, name: &str) {
    fleet.script(&format!("workspace/{name}"), &ScriptStep::Ended);
    let end = WorkspaceEnd::Destroy { why: "deleted".to_owned() };
    fleet.tell(EndWorkspace { caller: ada(), name: name.to_owned(), end });
}

fn end_node(fleet: &mut Fleet, name: &str) {
    fleet.script(&format!("node/{name}"), &ScriptStep::Ended);
    let why = "deleted".to_owned();
    fleet.tell(EndNode { caller: ada(), name: name.to_owned(), why });
}

#[test]
fn an_external_node_outlives_every_deadline_and_every_sweep() {
    let mut fleet = Fleet::new();
    request(&mut fleet, "n");
    fleet.run(3 * HOUR);
    assert_eq!(fleet.status("node/n"), "creating");
    fleet.script("node/n", &ScriptStep::Boot);
    fleet.script("node/n", &ScriptStep::Ready);
    fleet.run(100 * HOUR);
    assert_eq!(fleet.status("node/n"), "running");
    end_node(&mut fleet, "n");
    fleet.run(MINUTE);
    assert_eq!(fleet.why("node/n"), "deleted");
    fleet.assert_nothing_left();
}

#[test]
fn an_external_task_waits_for_ever_and_leaves_nothing_when_it_ends() {
    let mut fleet = Fleet::new();
    fleet.tell(start("pinned", Tenure::External, Wish::on("nowhere")));
    fleet.tell(start("free", Tenure::External, Wish::default()));
    fleet.run(50 * HOUR);
    assert_eq!(fleet.status("task/pinned"), "queued");
    assert_eq!(fleet.status("task/free"), "in_progress");
    assert_eq!(fleet.statuses("node"), ["running"], "its machine is kept with it");
    fleet.tell(end("pinned", TaskEnd::Cancelled));
    fleet.tell(end("free", TaskEnd::Failed { class: "lost".to_owned() }));
    fleet.run(2 * HOUR);
    assert_eq!(fleet.why("task/free"), "failed: lost");
    fleet.assert_nothing_left();
}

#[test]
fn a_create_that_fails_destroys_an_external_node_with_the_class() {
    let mut fleet = Fleet::new();
    request(&mut fleet, "n");
    fleet.run(MINUTE);
    fleet.tell(start("t", Tenure::External, Wish::on("n")));
    fleet.run(MINUTE);
    fleet.script("node/n", &ScriptStep::Failed("capacity".to_owned()));
    fleet.run(MINUTE);
    assert_eq!(fleet.why("node/n"), "failed: capacity");
    assert_eq!(fleet.status("task/t"), "queued");
    fleet.tell(end("t", TaskEnd::Cancelled));
    fleet.run(MINUTE);
    fleet.assert_nothing_left();
}

#[test]
fn lives_of_no_length_and_ends_before_the_first_answer_are_real() {
    let mut fleet = Fleet::new();
    request(&mut fleet, "a");
    fleet.script("node/a", &ScriptStep::Boot);
    fleet.script("node/a", &ScriptStep::Ready);
    end_node(&mut fleet, "a");
    request(&mut fleet, "b");
    fleet.run(MINUTE);
    end_node(&mut fleet, "b");
    fleet.run(MINUTE);
    assert_eq!(fleet.why("node/a"), "deleted");
    assert_eq!(fleet.why("node/b"), "deleted");
    fleet.assert_nothing_left();
}

#[test]
fn a_full_node_lets_further_tasks_wait_and_takes_them_in_order() {
    let mut fleet = Fleet::new();
    request(&mut fleet, "n");
    for n in 0..5 {
        fleet.tell(start(&format!("t{n}"), Tenure::External, Wish::on("n")));
    }
    fleet.script("node/n", &ScriptStep::Boot);
    fleet.script("node/n", &ScriptStep::Ready);
    fleet.run(MINUTE);
    let running =
        |fleet: &Fleet| fleet.statuses("task").iter().filter(|it| *it == "in_progress").count();
    assert_eq!(running(&fleet), 3);
    fleet.tell(end("t0", TaskEnd::Completed));
    fleet.tell(end("t4", TaskEnd::Cancelled));
    fleet.run(MINUTE);
    assert_eq!(running(&fleet), 3);
    end_node(&mut fleet, "n");
    fleet.run(MINUTE);
    assert_eq!(fleet.why("node/n"), "deleted");
    for n in 1..4 {
        assert_ne!(fleet.status(&format!("task/t{n}")), "none");
        fleet.tell(end(&format!("t{n}"), TaskEnd::Completed));
    }
    fleet.run(MINUTE);
    fleet.assert_nothing_left();
}

#[test]
fn a_workspace_of_the_trace_lives_on_a_node_of_the_fleet() {
    let mut fleet = Fleet::new();
    create(&mut fleet, "w", Wish::default());
    fleet.run(50 * HOUR);
    assert_eq!(fleet.status("workspace/w"), "creating");
    fleet.script("workspace/w", &ScriptStep::Ready);
    fleet.run(50 * HOUR);
    assert_eq!(fleet.status("workspace/w"), "running");
    destroy(&mut fleet, "w");
    fleet.run(MINUTE);
    assert_eq!(fleet.why("workspace/w"), "deleted");
    fleet.run(HOUR);
    fleet.assert_nothing_left();
}

#[test]
fn a_workspace_that_ended_before_it_had_a_place_is_never_made() {
    let mut fleet = Fleet::new();
    for n in 0..31 {
        create(&mut fleet, &format!("w{n}"), Wish::default());
    }
    fleet.run(20 * MINUTE);
    assert_eq!(fleet.rows("workspace").len(), 30);
    destroy(&mut fleet, "w30");
    for n in 0..30 {
        destroy(&mut fleet, &format!("w{n}"));
    }
    fleet.run(2 * HOUR);
    assert_eq!(fleet.tombstone("workspace/w30"), None);
    fleet.assert_nothing_left();
}

#[test]
fn a_workspace_whose_create_fails_is_gone_with_the_class() {
    let mut fleet = Fleet::new();
    create(&mut fleet, "w", Wish::default());
    fleet.run(10 * MINUTE);
    fleet.script("workspace/w", &ScriptStep::Failed("invalid".to_owned()));
    fleet.run(MINUTE);
    assert_eq!(fleet.why("workspace/w"), "failed: invalid");
    fleet.run(2 * HOUR);
    fleet.assert_nothing_left();
}

#[test]
fn a_machine_whose_agent_is_down_for_good_can_still_be_deleted() {
    let mut fleet = Fleet::new();
    request(&mut fleet, "n");
    fleet.script("node/n", &ScriptStep::Boot);
    fleet.script("node/n", &ScriptStep::Ready);
    fleet.tell(start("t", Tenure::External, Wish::on("n")));
    fleet.run(MINUTE);
    fleet.script("node/n", &ScriptStep::Down);
    fleet.run(HOUR);
    fleet.tell(end("t", TaskEnd::Completed));
    fleet.run(HOUR);
    end_node(&mut fleet, "n");
    fleet.run(HOUR);
    fleet.assert_nothing_left();
}

#[test]
fn tasks_wait_while_the_agent_is_down_and_go_on_when_it_is_up() {
    let mut fleet = Fleet::new();
    request(&mut fleet, "n");
    fleet.script("node/n", &ScriptStep::Boot);
    fleet.script("node/n", &ScriptStep::Ready);
    fleet.run(MINUTE);
    fleet.script("node/n", &ScriptStep::Down);
    fleet.run(MINUTE);
    fleet.tell(start("t", Tenure::External, Wish::on("n")));
    fleet.run(HOUR);
    assert_eq!(fleet.status("task/t"), "queued");
    fleet.script("node/n", &ScriptStep::Up);
    fleet.run(MINUTE);
    assert_eq!(fleet.status("task/t"), "in_progress");
}
