//! Who has a node for himself: exactly one, for as long as he holds the lease.
//!
//! Leak 30: a cleanup took a machine that a task had just claimed, because the two looked at
//! different columns. Here both are turns of the node.

use sexton_core::ErrorKind;

use crate::{Caller, Claim, Drain, Expire, MarkIdle, Node, Unclaim};

use super::harness::{Fleet, HOUR, MINUTE, ada, every_way, id};
use super::stage::{
    NOBODY, create, dead_letters, destroy, made_workspace, place, running_node, running_workspace,
    until_warm_ends, warm_node,
};

fn claim(fleet: &mut Fleet, by: &str) -> Result<u64, sexton_core::Error> {
    fleet.call::<Node, _>("node/n", Claim { caller: ada(), by: id(by) })
}

#[test]
fn exactly_one_of_two_claims_wins_and_asking_again_gets_the_same_answer() {
    let mut fleet = Fleet::new();
    warm_node(&mut fleet);
    assert_eq!(claim(&mut fleet, "task/a").unwrap(), 1);
    claim(&mut fleet, "task/b").unwrap_err();
    assert_eq!(claim(&mut fleet, "task/a").unwrap(), 1);
    assert_eq!(fleet.status("node/n"), "running", "a claim ends warm");
}

#[test]
fn on_a_claimed_node_only_the_holder_of_the_lease_is_placed() {
    let mut fleet = Fleet::new();
    running_node(&mut fleet, "n");
    let lease = claim(&mut fleet, "task/a").unwrap();
    fleet.say::<Node, _>("owner/ada", "node/n", &place("other", None, None)).unwrap();
    fleet
        .say::<Node, _>("owner/ada", "node/n", &place("wrong", Some(NOBODY), Some(lease + 1)))
        .unwrap();
    fleet.say::<Node, _>("owner/ada", "node/n", &place("mine", None, Some(lease))).unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.status("workspace/mine"), "running");
    assert_eq!(fleet.status("workspace/other"), "none");
    assert_eq!(dead_letters(&fleet, NOBODY), ["not_placed"], "of another lease");
    fleet.call::<Node, _>("node/n", Unclaim { caller: ada(), lease }).unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.status("workspace/other"), "running", "it waited");
    fleet.say::<Node, _>("owner/ada", "node/n", &place("late", Some(NOBODY), Some(lease))).unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.status("workspace/late"), "none", "its lease is over");
    assert_eq!(dead_letters(&fleet, NOBODY).len(), 2);
}

#[test]
fn what_waited_under_a_lease_is_told_when_the_lease_is_over() {
    let mut fleet = Fleet::new();
    running_node(&mut fleet, "n");
    let lease = claim(&mut fleet, "task/a").unwrap();
    for n in 0..4 {
        let workspace = format!("w{n}");
        fleet
            .say::<Node, _>("owner/ada", "node/n", &place(&workspace, Some(NOBODY), Some(lease)))
            .unwrap();
    }
    fleet.call::<Node, _>("node/n", Unclaim { caller: ada(), lease }).unwrap();
    fleet.run(MINUTE);
    let told = dead_letters(&fleet, NOBODY);
    assert_eq!(told.iter().filter(|it| *it == "not_placed").count(), 1, "{told:?}");
}

#[test]
fn giving_back_starts_a_new_warm_period() {
    let mut fleet = Fleet::new();
    warm_node(&mut fleet);
    fleet.run(20 * MINUTE);
    let lease = claim(&mut fleet, "task/a").unwrap();
    fleet.call::<Node, _>("node/n", Unclaim { caller: ada(), lease: lease + 1 }).unwrap_err();
    fleet.call::<Node, _>("node/n", Unclaim { caller: ada(), lease }).unwrap();
    fleet.call::<Node, _>("node/n", Unclaim { caller: ada(), lease }).unwrap_err();
    fleet.run(29 * MINUTE);
    assert_eq!(fleet.status("node/n"), "warm");
    fleet.run(MINUTE);
    assert_eq!(fleet.status("node/n"), "stopped");
}

#[test]
fn marking_a_warm_node_idle_restarts_its_clock() {
    let mut fleet = Fleet::new();
    warm_node(&mut fleet);
    fleet.run(20 * MINUTE);
    let eve = MarkIdle { caller: Caller::owner("eve") };
    assert_eq!(fleet.call::<Node, _>("node/n", eve).unwrap_err().kind(), ErrorKind::Refused);
    fleet.call::<Node, _>("node/n", MarkIdle { caller: ada() }).unwrap();
    fleet.run(29 * MINUTE);
    assert_eq!(fleet.status("node/n"), "warm");
    fleet.run(2 * MINUTE);
    assert_eq!(fleet.status("node/n"), "stopped");
    fleet.call::<Node, _>("node/n", MarkIdle { caller: ada() }).unwrap_err();
}

#[test]
fn a_node_in_use_or_claimed_is_not_marked_idle() {
    let mut fleet = Fleet::new();
    running_workspace(&mut fleet);
    let error = fleet.call::<Node, _>("node/n", MarkIdle { caller: ada() }).unwrap_err();
    assert!(error.to_string().contains("still in use: 1 active"), "{error}");
    claim(&mut fleet, "task/a").unwrap_err();
    destroy(&mut fleet, "w");
    fleet.run(1);
    claim(&mut fleet, "task/a").unwrap();
    fleet.call::<Node, _>("node/n", MarkIdle { caller: ada() }).unwrap_err();
}

#[test]
fn a_claim_and_the_end_of_the_warm_period_never_both_win() {
    let expire = || Expire { why: "warm for too long".to_owned() };
    for offset in [-1, 0, 1] {
        for is_claim_first in [true, false] {
            let mut fleet = Fleet::new();
            warm_node(&mut fleet);
            until_warm_ends(&mut fleet, offset);
            let mut claimed = false;
            if is_claim_first {
                claimed = claim(&mut fleet, "task/a").is_ok();
            }
            let swept = fleet.call::<Node, _>("node/n", expire()).is_ok();
            if !is_claim_first {
                claimed = claim(&mut fleet, "task/a").is_ok();
            }
            fleet.run(20 * MINUTE);
            let is_there = fleet.tombstone("node/n").is_none();
            assert_eq!(is_there, claimed, "offset {offset}, claim first: {is_claim_first}");
            assert!(!(claimed && swept));
            assert_eq!(claimed, is_claim_first || offset < 0, "who comes first wins");
            let status = fleet.status("node/n");
            assert!(!claimed || status == "running", "{status}");
        }
    }
}

#[test]
fn a_claim_that_is_never_given_back_ends_with_the_nodes_lifetime() {
    every_way(|fleet| {
        made_workspace(fleet);
        destroy(fleet, "w");
        fleet.run(MINUTE);
        fleet.call::<Node, _>("node/ada~n1", Claim { caller: ada(), by: id("task/a") }).unwrap();
        fleet.run(3 * HOUR);
        assert_eq!(fleet.status("node/ada~n1"), "running");
        fleet.run(HOUR + 30 * MINUTE);
        assert_eq!(fleet.why("node/ada~n1"), "lifetime over");
        fleet.assert_nothing_left();
    });
}

#[test]
fn a_claim_that_nobody_uses_is_over_after_four_hours_and_its_node_goes_on() {
    every_way(|fleet| {
        running_node(fleet, "n");
        claim(fleet, "task/a").unwrap();
        fleet.run(4 * HOUR - MINUTE);
        assert_eq!(fleet.status("node/n"), "running");
        assert!(!fleet.has_fact("node/n", "claim_over"));
        fleet.run(40 * MINUTE);
        assert!(fleet.has_fact("node/n", "claim_over"));
        fleet.run(2 * HOUR);
        assert_eq!(fleet.why("node/n"), "warm period over", "nobody used it after that");
        fleet.assert_nothing_left();
    });
}

#[test]
fn a_node_that_its_owner_asked_for_has_no_lifetime() {
    let mut fleet = Fleet::new();
    warm_node(&mut fleet);
    for _ in 0..120 {
        fleet.run(15 * MINUTE);
        fleet.call::<Node, _>("node/n", MarkIdle { caller: ada() }).unwrap();
    }
    assert_eq!(fleet.status("node/n"), "warm", "after thirty hours");
}

#[test]
fn a_draining_node_takes_nothing_and_only_its_owner_drains_it() {
    let mut fleet = Fleet::new();
    running_node(&mut fleet, "n");
    let eve = Drain { caller: Caller::owner("eve") };
    fleet.call::<Node, _>("node/n", eve).unwrap_err();
    fleet.call::<Node, _>("node/n", Drain { caller: ada() }).unwrap();
    create(&mut fleet, "w", "n");
    fleet.run(MINUTE);
    assert_eq!(fleet.status("workspace/w"), "none");
    assert!(fleet.has_fact("owner/ada", "not_placed"));
    claim(&mut fleet, "task/a").unwrap_err();
}

#[test]
fn a_draining_node_whose_last_workspace_leaves_is_warm_and_takes_nothing() {
    every_way(|fleet| {
        running_workspace(fleet);
        fleet.call::<Node, _>("node/n", Drain { caller: ada() }).unwrap();
        destroy(fleet, "w");
        fleet.run(MINUTE);
        assert_eq!(fleet.status("node/n"), "warm");
        create(fleet, "v", "n");
        fleet.run(MINUTE);
        assert_eq!(fleet.status("workspace/v"), "none");
        fleet.run(2 * HOUR);
        assert_eq!(fleet.why("node/n"), "warm period over");
        fleet.assert_nothing_left();
    });
}
