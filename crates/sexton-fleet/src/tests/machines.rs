//! A node and what is outside of it: its agent, its machine, and what lies beside that.
//!
//! Leak 9: provisioning had no clock of its own. Leak 10: heartbeats wrote the column by which
//! idleness was judged. Leak 15: the delete of a disk failed after its server was gone, and the
//! retry saw no server and returned. Leak 24: a late callback moved a deleted machine to running.

use sexton_core::{Store, key};

use crate::placement::Load;
use crate::sim_cloud::{Releasing, ScriptStep};
use crate::{
    Attach, Caller, EndNode, Expire, Health, Heartbeat, Holding, Lost, Node, NodeRole, Outdated,
    Ready, RequestNode, Tenure, health, placement::Wish,
};

use super::harness::{Fleet, HOUR, MINUTE, ada, end, every_way, id, node_spec, own_time, start};
use super::stage::{
    create, destroy, facts, made_workspace, mail, node, running_node, running_workspace,
    user_owned, warm_node,
};

fn heartbeat(cpu: u8, memory: u8) -> Heartbeat {
    Heartbeat { epoch: 1, load: Some(Load { cpu, memory }), version: None }
}

fn holding(name: &str) -> Attach {
    Attach { caller: ada(), holding: Holding::Volume { name: name.to_owned() } }
}

fn end_node(fleet: &mut Fleet) {
    let (name, why) = ("n".to_owned(), "asked".to_owned());
    fleet.tell(EndNode { caller: ada(), name, why });
}

#[test]
fn an_agent_is_healthy_for_180_seconds_stale_for_360_and_then_unhealthy() {
    let mut fleet = Fleet::new();
    running_node(&mut fleet, "n");
    fleet.call::<Node, _>("node/n", heartbeat(1, 1)).unwrap();
    let heard_at = fleet.now;
    let at = |ms| heard_at + std::time::Duration::from_millis(ms);
    let of = |ms| health(&*fleet.store, &id("node/n"), at(ms)).unwrap().unwrap();
    assert_eq!([of(0), of(180_000)], [Health::Healthy; 2]);
    assert_eq!([of(180_001), of(360_000)], [Health::Stale; 2]);
    assert_eq!(of(360_001), Health::Unhealthy);
    assert_eq!(health(&*fleet.store, &id("node/none"), at(0)).unwrap(), None);
}

#[test]
fn an_agent_that_cannot_be_reached_is_unhealthy_however_lately_it_was_heard() {
    let mut fleet = Fleet::new();
    running_node(&mut fleet, "n");
    fleet.call::<Node, _>("node/n", heartbeat(1, 1)).unwrap();
    fleet.call::<Node, _>("node/n", crate::AgentDown { epoch: 1 }).unwrap();
    assert_eq!(node(&fleet, "n").health(fleet.now), Health::Unhealthy);
    fleet.call::<Node, _>("node/n", crate::AgentUp { epoch: 1 }).unwrap();
    assert_eq!(node(&fleet, "n").health(fleet.now), Health::Healthy);
}

#[test]
fn a_heartbeat_changes_no_row_and_is_no_activity() {
    let mut fleet = Fleet::new();
    running_node(&mut fleet, "n");
    let row = fleet.rows("node");
    for _ in 0..34 {
        fleet.run(MINUTE);
        fleet.call::<Node, _>("node/n", heartbeat(1, 1)).unwrap();
    }
    assert_eq!(fleet.rows("node"), row);
    fleet.run(11 * MINUTE);
    assert_eq!(fleet.why("node/n"), "idle orphan");
}

#[test]
fn a_load_is_told_when_it_differs_by_five_points_from_what_was_told() {
    let mut fleet = Fleet::new();
    running_node(&mut fleet, "n");
    let mut is_told = |cpu, memory| {
        fleet.call::<Node, _>("node/n", heartbeat(cpu, memory)).unwrap();
        let told = mail(&fleet, "owner/ada") == ["node_news"];
        fleet.run(1);
        told
    };
    assert!(is_told(20, 20), "the first");
    assert!(!is_told(24, 16), "four points");
    assert!(is_told(25, 20), "five in one figure");
    assert!(!is_told(21, 24), "by what was told, and not by what was heard");
    assert!(is_told(25, 15));
    assert!(is_told(48, 48));
    assert!(is_told(52, 48), "four points, and busy now");
    assert!(!is_told(51, 49));
    assert!(is_told(49, 49), "and not any more");
}

#[test]
fn callbacks_may_come_before_the_create_call_returns() {
    let mut fleet = Fleet::new();
    fleet.script("node/n", &ScriptStep::Expect);
    let spec = node_spec(Tenure::Managed);
    fleet.tell(RequestNode { caller: ada(), name: "n".to_owned(), spec });
    fleet.run(MINUTE);
    fleet.call::<Node, _>("node/n", heartbeat(1, 1)).unwrap();
    assert_eq!(fleet.status("node/n"), "creating", "a heartbeat alone is not ready");
    fleet.call::<Node, _>("node/n", Ready { epoch: 1, version: None }).unwrap();
    assert_eq!(fleet.status("node/n"), "running");
    fleet.script("node/n", &ScriptStep::Boot);
    fleet.run(MINUTE);
    assert_eq!(fleet.status("node/n"), "running");
}

#[test]
fn callbacks_of_another_epoch_change_nothing_and_are_recorded() {
    let mut fleet = Fleet::new();
    running_node(&mut fleet, "n");
    for n in 1..=3 {
        match n {
            1 => fleet.call::<Node, _>("node/n", Ready { epoch: 2, version: None }),
            2 => fleet.call::<Node, _>("node/n", Heartbeat { epoch: 0, load: None, version: None }),
            _ => fleet.call::<Node, _>("node/n", Lost { epoch: 2, class: "x".to_owned() }),
        }
        .unwrap();
        assert_eq!(facts(&fleet, "node/n", "late"), n);
    }
    assert_eq!(fleet.status("node/n"), "running");
}

#[test]
fn a_machine_that_never_comes_is_an_error_that_says_the_minutes() {
    every_way(|fleet| {
        fleet.script("node/n", &ScriptStep::Expect);
        let spec = node_spec(Tenure::Managed);
        fleet.tell(RequestNode { caller: ada(), name: "n".to_owned(), spec });
        fleet.run(50 * MINUTE);
        fleet.script("node/n", &ScriptStep::Boot);
        fleet.run(HOUR);
        assert_eq!(fleet.why("node/n"), "no machine after 15 minutes");
        fleet.assert_nothing_left();
    });
}

#[test]
fn what_lies_beside_a_machine_is_released_also_when_the_machine_is_gone() {
    every_way(|fleet| {
        running_node(fleet, "n");
        fleet.call::<Node, _>("node/n", holding("disk")).unwrap();
        let dns = Holding::Dns { name: "n.example".to_owned() };
        fleet.call::<Node, _>("node/n", Attach { caller: ada(), holding: dns }).unwrap();
        fleet.run(MINUTE);
        assert_eq!(fleet.cloud.holdings().count(), 2);
        fleet.cloud.set_releasing(Releasing::Failing);
        fleet.script("node/n", &ScriptStep::Lost("preempted".to_owned()));
        fleet.run(20 * MINUTE);
        assert_eq!(fleet.cloud.machines(fleet.now).count(), 0);
        assert_eq!(fleet.status("node/n"), "destroying", "the disk is still owed");
        assert_eq!(fleet.cloud.holdings().count(), 2);
        fleet.cloud.set_releasing(Releasing::Working);
        fleet.run(20 * MINUTE);
        assert_eq!(fleet.why("node/n"), "lost: preempted");
        assert_eq!(fleet.cloud.holdings().count(), 0);
    });
}

#[test]
fn a_disk_whose_making_was_not_confirmed_is_released_too() {
    let mut fleet = Fleet::new();
    running_node(&mut fleet, "n");
    fleet.call::<Node, _>("node/n", holding("disk")).unwrap();
    end_node(&mut fleet);
    fleet.run(MINUTE);
    assert!(fleet.tombstone("node/n").is_some());
    assert_eq!(fleet.cloud.holdings().count(), 0);
}

#[test]
fn a_node_has_at_most_16_names_and_volumes_and_only_its_owner_asks_for_them() {
    let mut fleet = Fleet::new();
    running_node(&mut fleet, "n");
    let by_eve = Attach { caller: Caller::owner("eve"), ..holding("hers") };
    fleet.call::<Node, _>("node/n", by_eve).unwrap_err();
    for n in 0..16 {
        fleet.call::<Node, _>("node/n", holding(&format!("disk{n}"))).unwrap();
    }
    fleet.call::<Node, _>("node/n", holding("disk16")).unwrap_err();
    fleet.call::<Node, _>("node/n", holding("disk3")).unwrap();
}

#[test]
fn nothing_hurries_the_user_of_a_machine_of_his_own() {
    let mut fleet = Fleet::new();
    let spec = crate::NodeSpec { class: crate::NodeClass::UserOwned, ..node_spec(Tenure::Managed) };
    fleet.tell(RequestNode { caller: ada(), name: "n".to_owned(), spec });
    fleet.run(100 * HOUR);
    assert_eq!(fleet.status("node/n"), "creating");
    assert_eq!(fleet.cloud.machines(fleet.now).count(), 0, "none was made for it");
}

#[test]
fn a_users_own_machine_is_never_warm_and_destroyed_by_no_rule() {
    let mut fleet = Fleet::new();
    user_owned(&mut fleet);
    create(&mut fleet, "w", "n");
    fleet.run(MINUTE);
    assert_eq!(fleet.status("workspace/w"), "running");
    destroy(&mut fleet, "w");
    fleet.run(MINUTE);
    assert_eq!(fleet.status("node/n"), "running", "never warm");
    fleet.call::<Node, _>("node/n", crate::MarkIdle { caller: ada() }).unwrap();
    fleet.run(100 * HOUR);
    assert_eq!(fleet.status("node/n"), "running");
    let why = "a wrong row".to_owned();
    fleet.call::<Node, _>("node/n", Expire { why }).unwrap_err();
    let version = Some("1".to_owned());
    fleet.call::<Node, _>("node/n", Heartbeat { epoch: 1, load: None, version }).unwrap();
    let outdated = Outdated { required: "2".to_owned() };
    fleet.say::<Node, _>("sweep/incompatible_agent", "node/n", &outdated).unwrap_err();
    fleet.call::<Node, _>("node/n", Lost { epoch: 1, class: "gone".to_owned() }).unwrap();
    fleet.run(HOUR);
    assert_eq!(fleet.status("node/n"), "running", "it is his to give up");
}

#[test]
fn unregistering_a_users_machine_deletes_what_we_made_and_not_the_machine() {
    every_way(|fleet| {
        user_owned(fleet);
        fleet.call::<Node, _>("node/n", holding("cache")).unwrap();
        create(fleet, "w", "n");
        fleet.run(MINUTE);
        end_node(fleet);
        fleet.run(5 * MINUTE);
        assert_eq!(fleet.why("node/n"), "asked");
        assert!(fleet.tombstone("workspace/w").is_some());
        assert_eq!(fleet.cloud.holdings().count(), 0);
        let left: Vec<&str> =
            fleet.cloud.machines(fleet.now).map(|it| it.installation.as_str()).collect();
        assert_eq!(left, ["the user's own"]);
    });
}

#[test]
fn a_deployment_is_exempt_from_every_rule_for_what_is_short_lived() {
    let mut fleet = Fleet::new();
    let spec = crate::NodeSpec { role: NodeRole::Deployment, ..node_spec(Tenure::Managed) };
    fleet.tell(RequestNode { caller: ada(), name: "n".to_owned(), spec });
    fleet.run(100 * HOUR);
    assert_eq!(fleet.status("node/n"), "running");
    let outdated = Outdated { required: "2".to_owned() };
    fleet.say::<Node, _>("sweep/incompatible_agent", "node/n", &outdated).unwrap_err();
}

#[test]
fn an_end_by_rule_refuses_while_somebody_works_there() {
    let mut fleet = Fleet::new();
    running_workspace(&mut fleet);
    let why = "a wrong row".to_owned();
    let error = fleet.call::<Node, _>("node/n", Expire { why }).unwrap_err();
    assert!(error.to_string().ends_with("still in use: 1 active workspaces"), "{error}");
    destroy(&mut fleet, "w");
    fleet.run(45 * MINUTE);
    assert_eq!(fleet.why("node/n"), "warm period over", "and goes when it is not");
}

#[test]
fn an_old_node_goes_after_four_hours_without_and_after_24_with_silent_workspaces() {
    let mut fleet = Fleet::new();
    fleet.tell(start("t", Tenure::Managed, Wish::default()));
    fleet.run(4 * HOUR - 10 * MINUTE);
    fleet.tell(end("t", crate::TaskEnd::Completed));
    fleet.run(MINUTE);
    assert_eq!(fleet.statuses("node"), ["warm"]);
    fleet.run(10 * MINUTE);
    assert_eq!(fleet.why("node/ada~n1"), "lifetime over");

    let mut fleet = Fleet::new();
    made_workspace(&mut fleet);
    destroy(&mut fleet, "w");
    fleet.run(MINUTE);
    // Active, for a task that nobody knows, and of no use to anybody.
    let place = super::stage::place("v", Some(super::stage::NOBODY), None);
    fleet.say::<Node, _>("owner/ada", "node/ada~n1", &place).unwrap();
    fleet.run(23 * HOUR);
    assert_eq!(fleet.status("workspace/v"), "running");
    fleet.run(HOUR);
    assert_eq!(fleet.why("node/ada~n1"), "lifetime over");
    fleet.assert_nothing_left();
}

#[test]
fn a_very_old_node_is_kept_as_long_as_somebody_used_it_lately() {
    // Every 20 minutes each touch is told at once, every 9 minutes each second one: the last or not.
    for (n, minutes) in [(80, 20), (177, 9), (178, 9)] {
        let mut fleet = Fleet::new();
        made_workspace(&mut fleet);
        for _ in 0..n {
            fleet.run(minutes * MINUTE);
            let touch = crate::Touch { caller: ada() };
            fleet.call::<crate::Workspace, _>("workspace/w", touch).unwrap();
        }
        assert!(fleet.now.as_millis() > 26 * HOUR);
        fleet.run(45 * MINUTE - 1);
        assert_eq!(fleet.status("node/ada~n1"), "running", "every {minutes} minutes");
        fleet.run(MINUTE);
        assert_eq!(fleet.why("node/ada~n1"), "lifetime over");
    }
}

#[test]
fn a_project_that_keeps_its_nodes_warm_longer_is_not_contradicted_by_a_sweep() {
    // Leak 6: a warm timeout of 2 h met a sweep with a grace of 35 minutes.
    for mut fleet in [Fleet::new(), Fleet::new().without_alarms()] {
        fleet.tell(own_time("warm_timeout", "2h"));
        let place = Wish { project: Some("slow".to_owned()), ..Wish::default() };
        fleet.tell(start("t", Tenure::Managed, place));
        fleet.run(10 * MINUTE);
        fleet.tell(end("t", crate::TaskEnd::Completed));
        fleet.run(118 * MINUTE);
        assert_eq!(fleet.statuses("node"), ["warm"]);
        fleet.run(HOUR);
        fleet.assert_nothing_left();
    }
}

#[test]
fn a_destroying_node_answers_no_callback() {
    let mut fleet = Fleet::new();
    warm_node(&mut fleet);
    end_node(&mut fleet);
    fleet.run(1);
    let error = fleet.call::<Node, _>("node/n", Ready { epoch: 1, version: None }).unwrap_err();
    assert_eq!(error.kind(), sexton_core::ErrorKind::Destroyed);
    let alarms = key::prefix(id("node/n").shard(), key::Table::Alarm);
    let found = fleet.store.scan(&alarms, &key::end_of(&alarms), 100).unwrap();
    assert!(found.iter().all(|(at, _)| !key_is_of(at, "node/n")), "nothing rings again");
}

fn key_is_of(at: &[u8], who: &str) -> bool {
    matches!(key::parse(at), Some(key::Parsed::Alarm(of, _)) if of == id(who))
}
