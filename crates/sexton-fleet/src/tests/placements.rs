//! A placement is a turn of the node: it races nothing.
//!
//! Leak 29: two placements took the last slot. Leak 31: a warm machine got a workspace without
//! being claimed, and expired under it.

use crate::{Caller, EndNode, Expire, Heartbeat, Node, Restart, Workspace};

use super::harness::{Fleet, HOUR, MINUTE, ada, every_way};
use super::stage::{
    NOBODY, create, dead_letters, destroy, place, running_node, running_workspace, stop,
    until_warm_ends, warm_node,
};

#[test]
fn a_placement_ends_warm_in_the_same_turn() {
    let mut fleet = Fleet::new();
    warm_node(&mut fleet);
    fleet.say::<Node, _>("owner/ada", "node/n", &place("w2", None, None)).unwrap();
    assert_eq!(fleet.status("node/n"), "running");
    let row = fleet.rows("node").remove(0);
    assert_eq!(row.record.number("active"), Some(1));
    fleet.run(HOUR);
    assert_eq!(fleet.status("workspace/w2"), "running", "nothing expired under it");
}

#[test]
fn a_placement_and_the_end_of_the_warm_period_never_both_win() {
    for offset in [-1, 0, 1] {
        for is_placed_first in [true, false] {
            let mut fleet = Fleet::new();
            warm_node(&mut fleet);
            until_warm_ends(&mut fleet, offset);
            let expire = Expire { why: "warm for too long".to_owned() };
            let place = place("w2", Some(NOBODY), None);
            if is_placed_first {
                let _answer = fleet.say::<Node, _>("owner/ada", "node/n", &place);
                let _answer = fleet.call::<Node, _>("node/n", expire);
            } else {
                let _answer = fleet.call::<Node, _>("node/n", expire);
                let _answer = fleet.say::<Node, _>("owner/ada", "node/n", &place);
            }
            fleet.run(20 * MINUTE);
            let is_there = fleet.tombstone("node/n").is_none();
            let is_running = fleet.status("workspace/w2") == "running";
            assert_eq!(is_there, is_running, "offset {offset}, placed first: {is_placed_first}");
            assert_eq!(is_running, is_placed_first || offset < 0, "who comes first wins");
        }
    }
}

#[test]
fn a_placement_never_survives_the_deletion_of_its_node() {
    for is_placed_first in [true, false] {
        let mut fleet = Fleet::new();
        running_node(&mut fleet, "n");
        let (name, why) = ("n".to_owned(), "asked".to_owned());
        let end = EndNode { caller: ada(), name, why };
        let place = place("w", Some(NOBODY), None);
        if is_placed_first {
            fleet.say::<Node, _>("owner/ada", "node/n", &place).unwrap();
            fleet.call::<Node, _>("node/n", end).unwrap();
        } else {
            fleet.call::<Node, _>("node/n", end).unwrap();
            fleet.say::<Node, _>("owner/ada", "node/n", &place).unwrap_err();
        }
        fleet.run(MINUTE);
        let told = dead_letters(&fleet, NOBODY);
        assert_eq!(told.contains(&"not_placed".to_owned()), is_placed_first, "{told:?}");
        fleet.assert_nothing_left();
    }
}

#[test]
fn the_last_place_is_given_once_to_placements_and_returns() {
    let mut fleet = Fleet::new();
    running_workspace(&mut fleet);
    stop(&mut fleet, "w");
    fleet.run(MINUTE);
    for n in 0..3 {
        create(&mut fleet, &format!("x{n}"), "n");
    }
    fleet.run(MINUTE);
    fleet.call::<Workspace, _>("workspace/w", Restart { caller: ada() }).unwrap();
    fleet.run(1);
    assert_eq!(fleet.status("workspace/w"), "stopped", "the node is full");
    assert!(fleet.has_fact("workspace/w", "not_returned"));
    destroy(&mut fleet, "x0");
    fleet.run(1);
    fleet.call::<Workspace, _>("workspace/w", Restart { caller: ada() }).unwrap();
    create(&mut fleet, "y", "n");
    fleet.run(MINUTE);
    assert_eq!(fleet.status("workspace/w"), "running");
    assert_eq!(fleet.status("workspace/y"), "none", "it waits for a place");
    let row = fleet.rows("node").remove(0);
    assert_eq!(row.record.number("active"), Some(3));
}

#[test]
fn a_node_whose_agent_is_late_gets_nothing_until_it_is_heard_again() {
    let mut fleet = Fleet::new();
    running_node(&mut fleet, "n");
    let heartbeat = || Heartbeat { epoch: 1, load: None, version: None };
    fleet.call::<Node, _>("node/n", heartbeat()).unwrap();
    fleet.run(180_000);
    create(&mut fleet, "in_time", "n");
    fleet.run(1);
    create(&mut fleet, "late", "n");
    fleet.run(MINUTE);
    assert_eq!(fleet.status("workspace/in_time"), "running");
    assert_eq!(fleet.status("workspace/late"), "none");
    fleet.call::<Node, _>("node/n", heartbeat()).unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.status("workspace/late"), "running");
}

#[test]
fn a_stopped_or_failed_node_never_runs_again_and_takes_nothing() {
    let mut fleet = Fleet::new();
    warm_node(&mut fleet);
    fleet.run(31 * MINUTE);
    assert_eq!(fleet.status("node/n"), "stopped");
    fleet.say::<Node, _>("owner/ada", "node/n", &place("w2", Some(NOBODY), None)).unwrap();
    let heartbeat = Heartbeat { epoch: 1, load: None, version: None };
    fleet.call::<Node, _>("node/n", heartbeat).unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.status("node/n"), "stopped");
    assert_eq!(dead_letters(&fleet, NOBODY), ["not_placed"]);
    assert!(fleet.has_fact("node/n", "late"));
}

#[test]
fn a_stranger_ends_no_node() {
    let mut fleet = Fleet::new();
    running_node(&mut fleet, "n");
    let (name, why) = ("n".to_owned(), "asked".to_owned());
    let end = EndNode { caller: Caller::owner("eve"), name, why };
    let error = fleet.call::<Node, _>("node/n", end).unwrap_err();
    assert!(error.to_string().ends_with("not yours"), "{error}");
    assert_eq!(fleet.status("node/n"), "running");
}

#[test]
fn placements_that_wait_on_a_node_that_goes_are_made_again_or_given_up_in_every_way() {
    every_way(|fleet| {
        running_node(fleet, "n");
        for n in 0..4 {
            create(fleet, &format!("w{n}"), "n");
        }
        fleet.run(MINUTE);
        let (name, why) = ("n".to_owned(), "asked".to_owned());
        fleet.tell(EndNode { caller: ada(), name, why });
        fleet.run(30 * MINUTE);
        fleet.assert_nothing_left();
    });
}
