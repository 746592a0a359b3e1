//! Silence proves nothing: sandboxes of a silent worker end when a second source says so.

use crate::policy::Policy;
use crate::sim_cloud::{HostState, Listing};
use crate::{
    Caller, CreateSandbox, Depth, EndWorker, HibernateSandbox, SandboxSpec, SandboxStart, Worker,
    WorkerBeat, WorkerInit, WorkerTerms,
};

use super::harness::{Fleet, MINUTE, ada, every_way};
use super::sandbox_stories::{SECOND, assert_over, create, hosts, migrate, n_facts, running, stop};

fn worker(fleet: &mut Fleet, name: &str) {
    let terms = WorkerTerms::of(&fleet.policy);
    let init = WorkerInit { owner: "platform".to_owned(), terms };
    fleet.create::<Worker>(&format!("worker/{name}"), &init);
}

fn beat(fleet: &mut Fleet, epoch: u32) {
    fleet.call::<Worker, _>("worker/here", WorkerBeat { epoch }).expect("taken");
}

fn beating(fleet: &mut Fleet, n: i64) {
    for _ in 0..n {
        beat(fleet, 1);
        fleet.run(10 * SECOND);
    }
}

fn host(fleet: &mut Fleet, state: HostState) {
    fleet.cloud.set_host("here", state).expect("in memory");
}

fn two(fleet: &mut Fleet) {
    worker(fleet, "here");
    running(fleet, "s");
    // Another one elsewhere, so that the registry is not empty.
    let spec = SandboxSpec { start: SandboxStart::Now, worker: "there".to_owned(), scale: 1 };
    fleet.tell(CreateSandbox { caller: ada(), name: "other".to_owned(), spec });
    fleet.run(10 * SECOND);
}

#[test]
fn a_worker_that_is_heard_stays_active_and_its_row_does_not_move() {
    let mut fleet = Fleet::new();
    worker(&mut fleet, "here");
    beating(&mut fleet, 3);
    let before = fleet.rows("worker");
    beating(&mut fleet, 60);
    assert_eq!(fleet.rows("worker"), before);
    assert_eq!(fleet.status("worker/here"), "active");
}

#[test]
fn thirty_seconds_of_silence_make_it_suspect_and_a_heartbeat_clears_it() {
    let mut fleet = Fleet::new();
    two(&mut fleet);
    beat(&mut fleet, 1);
    fleet.run(29 * SECOND);
    assert_eq!(fleet.status("worker/here"), "active");
    fleet.run(2 * SECOND);
    assert_eq!(fleet.status("worker/here"), "suspect");
    beat(&mut fleet, 7);
    assert_eq!(fleet.status("worker/here"), "suspect", "that was another life's");
    beat(&mut fleet, 1);
    assert_eq!(fleet.status("worker/here"), "active");
    assert_eq!(fleet.status("sandbox/s"), "running");
}

#[test]
fn silence_alone_ends_nobody() {
    let mut fleet = Fleet::new();
    two(&mut fleet);
    fleet.run(30 * MINUTE);
    assert_eq!(fleet.status("worker/here"), "suspect");
    assert_eq!(fleet.statuses("sandbox"), ["running", "running"]);
}

#[test]
fn when_the_provider_says_gone_its_sandboxes_end_as_error() {
    every_way(|fleet| {
        two(fleet);
        host(fleet, HostState::Gone);
        fleet.run(35 * MINUTE);
        assert_eq!(fleet.status("worker/here"), "gone");
        assert_eq!(fleet.status("sandbox/s"), "error");
        assert_eq!(fleet.status("sandbox/other"), "running");
        fleet.destroy("sandbox/other");
        fleet.run(10 * MINUTE);
        assert_over(fleet, "s", "error");
    });
}

#[test]
fn one_or_two_missed_scans_end_nobody_and_three_do() {
    let mut fleet = Fleet::new().without_sweeps();
    two(&mut fleet);
    host(&mut fleet, HostState::Silent);
    // Suspect after 30 s, looked at then and each minute after.
    fleet.run(MINUTE + 50 * SECOND);
    assert_eq!(fleet.status("sandbox/s"), "running");
    fleet.run(MINUTE);
    assert_eq!(fleet.status("sandbox/s"), "error");
    assert_eq!(fleet.status("worker/here"), "suspect");
    assert_eq!(fleet.status("sandbox/other"), "running");
    host(&mut fleet, HostState::Up);
    stop(&mut fleet, "other");
    fleet.run(10 * MINUTE);
    assert_over(&fleet, "s", "error");
}

#[test]
fn a_heartbeat_between_missed_scans_begins_the_count_anew() {
    let mut fleet = Fleet::new().without_sweeps();
    two(&mut fleet);
    for _ in 0..3 {
        host(&mut fleet, HostState::Silent);
        fleet.run(2 * MINUTE);
        beat(&mut fleet, 1);
    }
    assert_eq!(fleet.status("sandbox/s"), "running");
}

#[test]
fn a_failed_a_partial_and_an_empty_listing_are_never_evidence() {
    for listing in [Listing::Failing, Listing::Partial] {
        let mut fleet = Fleet::new();
        two(&mut fleet);
        host(&mut fleet, HostState::Silent);
        fleet.cloud.set_listing(listing);
        fleet.run(20 * MINUTE);
        assert_eq!(fleet.status("sandbox/s"), "running", "{listing:?}");
    }
    let mut fleet = Fleet::new();
    worker(&mut fleet, "here");
    running(&mut fleet, "s");
    host(&mut fleet, HostState::Silent);
    fleet.run(20 * MINUTE);
    assert_eq!(fleet.status("sandbox/s"), "running", "a registry that lists nobody is ignorant");
    assert!(n_facts(&fleet, "worker/here", "scan_says_nothing") > 3);
}

#[test]
fn never_more_than_twenty_are_given_up_in_a_pass() {
    for fleet in [Fleet::new().without_sweeps(), Fleet::new().without_alarms(), Fleet::new()] {
        let mut fleet = fleet;
        hosts(&mut fleet);
        worker(&mut fleet, "here");
        for n in 0..45 {
            create(&mut fleet, &format!("s{n}"));
        }
        fleet.run(20 * SECOND);
        host(&mut fleet, HostState::Gone);
        let mut lost = Vec::new();
        for _ in 0..180 {
            fleet.run(10 * SECOND);
            lost.push(fleet.statuses("sandbox").iter().filter(|it| *it == "error").count());
        }
        lost.dedup();
        assert_eq!(lost, [0, 20, 40, 45]);
    }
}

#[test]
fn what_moved_away_or_sleeps_deep_is_not_lost_with_the_worker() {
    let mut fleet = Fleet::new();
    worker(&mut fleet, "here");
    running(&mut fleet, "moved");
    for name in ["deep", "paused"] {
        create(&mut fleet, name);
    }
    beating(&mut fleet, 2);
    migrate(&mut fleet, "moved");
    for (name, depth) in [("deep", Depth::Deep), ("paused", Depth::Paused)] {
        let name = name.to_owned();
        fleet.tell(HibernateSandbox { caller: ada(), name, depth });
    }
    beating(&mut fleet, 18);
    host(&mut fleet, HostState::Gone);
    fleet.run(5 * MINUTE);
    let status = ["moved", "deep", "paused"].map(|it| fleet.status(&format!("sandbox/{it}")));
    assert_eq!(status, ["running", "hibernated", "error"]);
}

#[test]
fn a_worker_that_is_gone_takes_nobody_and_a_full_one_neither() {
    let policy = Policy { sandboxes_per_worker_max: 1, ..Policy::default() };
    let mut fleet = Fleet::with(policy, None);
    hosts(&mut fleet);
    worker(&mut fleet, "here");
    create(&mut fleet, "a");
    create(&mut fleet, "b");
    beating(&mut fleet, 2);
    assert_eq!(fleet.status("sandbox/a"), "running");
    assert_eq!(fleet.status("sandbox/b"), "failed");
    host(&mut fleet, HostState::Gone);
    fleet.run(2 * MINUTE);
    beat(&mut fleet, 1);
    assert_eq!(fleet.status("worker/here"), "gone", "a late heartbeat revives nobody");
    create(&mut fleet, "c");
    fleet.run(MINUTE);
    assert_eq!(fleet.status("sandbox/c"), "failed");
    fleet.run(70 * MINUTE);
    assert!(fleet.tombstone("worker/here").is_some(), "its row was kept long enough");
    assert_over(&fleet, "b", "failed");
}

#[test]
fn a_worker_in_use_is_not_ended_and_only_by_whose_it_is() {
    let mut fleet = Fleet::new();
    two(&mut fleet);
    let command = |name: &str| EndWorker { caller: Caller::owner(name), why: "old".to_owned() };
    fleet.call::<Worker, _>("worker/here", command("ada")).unwrap_err();
    let refused = fleet.call::<Worker, _>("worker/here", command("platform")).unwrap_err();
    assert!(refused.to_string().contains("still in use"), "{refused}");
    stop(&mut fleet, "s");
    fleet.run(MINUTE);
    fleet.call::<Worker, _>("worker/here", command("platform")).unwrap();
    fleet.run(SECOND);
    assert_eq!(fleet.why("worker/here"), "old");
}

#[test]
fn a_worker_that_is_destroyed_takes_nobody_along_without_a_second_source() {
    let mut fleet = Fleet::new();
    two(&mut fleet);
    fleet.destroy("worker/here");
    fleet.run(MINUTE);
    assert!(fleet.tombstone("worker/here").is_some());
    assert_eq!(fleet.status("sandbox/s"), "running", "nobody says that it is lost");
    fleet.run(25 * 60 * MINUTE);
    assert_over(&fleet, "other", "stopped");
    let policy = Policy { worker_losses_max: 1, ..Policy::default() };
    let mut fleet = Fleet::with(policy, None);
    worker(&mut fleet, "here");
    running(&mut fleet, "s");
    create(&mut fleet, "t");
    fleet.run(10 * SECOND);
    host(&mut fleet, HostState::Gone);
    while fleet.status("worker/here") != "gone" {
        fleet.run(SECOND);
    }
    fleet.destroy("worker/here");
    fleet.run(SECOND);
    let is_error = |it: &String| it == "error";
    let n_lost = fleet.statuses("sandbox").iter().filter(|it| is_error(it)).count();
    assert!((1..=2).contains(&n_lost), "one by its pass and at most one by its end, {n_lost}");
}
