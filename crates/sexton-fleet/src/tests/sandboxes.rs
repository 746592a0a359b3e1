//! One sandbox at a time: what it may become, what is billed, and what is left of it.
//!
//! Method: the fleet in virtual time; the cloud is asked what really exists, and the log what was
//! said. Stories that end by themselves are told in every way there is.

use std::time::Duration;

use crate::policy::Policy;
use crate::sim_cloud::HostState;
use crate::{
    Caller, CreateSandbox, Depth, Exited, HibernateSandbox, Migrated, ReserveSandbox, Sandbox,
    SandboxStart, ScaleSandbox, Scaled, StartSandbox, StopSandbox, WakeSandbox,
};

use super::harness::{Fleet, HOUR, MINUTE, ada, every_way};
use super::sandbox_stories::{
    SECOND, assert_buried, assert_over, assert_world_is_empty, copy_for_ever, create, debts,
    hibernate, hosts, intervals, migrate, n_facts, running, scale, spec, stop, stopped, wake,
};

/// Ticks seldom, for stories that last long.
fn patient() -> Policy {
    Policy { usage_tick_every: Duration::from_secs(3_600), ..Policy::default() }
}

fn pooled(fleet: &mut Fleet, name: &str) {
    hosts(fleet);
    let spec = spec(SandboxStart::Pooled);
    fleet.tell(CreateSandbox { caller: ada(), name: name.to_owned(), spec });
    fleet.run(SECOND);
}

fn reserve(fleet: &mut Fleet, name: &str, holder: &str) {
    let (name, holder) = (name.to_owned(), holder.to_owned());
    fleet.tell(ReserveSandbox { caller: ada(), name, holder });
    fleet.run(SECOND);
}

fn start(fleet: &mut Fleet, name: &str, holder: &str) {
    let (name, holder) = (name.to_owned(), holder.to_owned());
    fleet.tell(StartSandbox { caller: ada(), name, holder });
    fleet.run(15 * SECOND);
}

#[test]
fn a_sandbox_runs_until_it_is_stopped_and_leaves_nothing() {
    every_way(|fleet| {
        running(fleet, "s");
        assert_eq!(fleet.cloud.sandboxes().count(), 1);
        fleet.run(MINUTE);
        stop(fleet, "s");
        fleet.run(MINUTE);
        assert_over(fleet, "s", "stopped");
        assert_buried(fleet, "s", "stopped");
    });
}

#[test]
fn a_stop_wins_from_hibernated_and_owes_the_checkpoint() {
    every_way(|fleet| {
        running(fleet, "s");
        hibernate(fleet, "s");
        fleet.run(15 * SECOND);
        assert_eq!(fleet.status("sandbox/s"), "hibernated");
        assert_eq!((fleet.cloud.checkpoints().count(), fleet.cloud.sandboxes().count()), (1, 0));
        stop(fleet, "s");
        fleet.run(0);
        assert_eq!(fleet.status("sandbox/s"), "stopped");
        assert_eq!(debts(fleet, "s"), 1);
        fleet.run(MINUTE);
        assert_buried(fleet, "s", "stopped");
    });
}

#[test]
fn a_stop_wins_from_migrating_and_the_completion_owes_only_the_copy() {
    every_way(|fleet| {
        running(fleet, "s");
        migrate(fleet, "s");
        fleet.run(10 * SECOND);
        assert_eq!(fleet.status("sandbox/s"), "migrating");
        assert_eq!(fleet.cloud.copies().count(), 1);
        stop(fleet, "s");
        fleet.run(10 * SECOND);
        assert_eq!(fleet.status("sandbox/s"), "stopped");
        assert_eq!((fleet.cloud.sandboxes().count(), fleet.cloud.copies().count()), (0, 1));
        fleet.run(3 * MINUTE);
        assert_eq!(fleet.status("sandbox/s"), "stopped");
        assert!(fleet.has_fact("sandbox/s", "late"));
        assert_over(fleet, "s", "stopped");
    });
}

#[test]
fn a_stop_wins_from_every_other_status_too() {
    let mut fleet = Fleet::new();
    pooled(&mut fleet, "p");
    pooled(&mut fleet, "r");
    reserve(&mut fleet, "r", "bob");
    create(&mut fleet, "n");
    fleet.run(0);
    let status = ["sandbox/p", "sandbox/r", "sandbox/n"].map(|it| fleet.status(it));
    assert_eq!(status, ["pooled", "reserved", "pending"]);
    for name in ["p", "r", "n"] {
        stop(&mut fleet, name);
    }
    fleet.run(MINUTE);
    for name in ["p", "r", "n"] {
        assert_over(&fleet, name, "stopped");
        assert_eq!(stopped(&fleet, name)[0].billed_ms, 0);
    }
}

#[test]
fn nothing_wakes_a_terminal_sandbox() {
    let mut fleet = Fleet::new();
    running(&mut fleet, "s");
    migrate(&mut fleet, "s");
    fleet.run(10 * SECOND);
    stop(&mut fleet, "s");
    fleet.run(5 * MINUTE);
    let n_events = n_facts(&fleet, "sandbox/s", "interval");
    let name = || "s".to_owned();
    let caller = ada;
    let wake = WakeSandbox { caller: caller(), name: name(), on: None };
    fleet.call::<Sandbox, _>("sandbox/s", wake).unwrap_err();
    let depth = Depth::Paused;
    let hibernate = HibernateSandbox { caller: caller(), name: name(), depth };
    fleet.call::<Sandbox, _>("sandbox/s", hibernate).unwrap_err();
    let start = StartSandbox { caller: caller(), name: name(), holder: "bob".to_owned() };
    fleet.call::<Sandbox, _>("sandbox/s", start).unwrap_err();
    fleet.call::<Sandbox, _>("sandbox/s", Migrated { epoch: 1, migration: 1 }).unwrap();
    fleet
        .call::<Sandbox, _>("sandbox/s", Exited { epoch: 1, end: crate::SandboxExit::Done })
        .unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.status("sandbox/s"), "stopped");
    assert_eq!(n_facts(&fleet, "sandbox/s", "interval"), n_events);
    assert_over(&fleet, "s", "stopped");
}

#[test]
fn a_late_scale_change_on_a_terminal_sandbox_is_refused_and_opens_nothing() {
    let mut fleet = Fleet::new();
    running(&mut fleet, "s");
    stop(&mut fleet, "s");
    fleet.run(MINUTE);
    let n_intervals = intervals(&fleet, "s").len();
    let change = ScaleSandbox { caller: ada(), name: "s".to_owned(), scale: 4 };
    fleet.call::<Sandbox, _>("sandbox/s", change).unwrap_err();
    fleet.call::<Sandbox, _>("sandbox/s", Scaled { epoch: 1, scale: 4 }).unwrap();
    assert!(fleet.has_fact("sandbox/s", "late"));
    let row = &fleet.rows("sandbox")[0].record;
    assert_eq!((row.time("metered_since"), row.number("scale")), (None, Some(1)));
    fleet.run(10 * MINUTE);
    assert_eq!(intervals(&fleet, "s").len(), n_intervals);
}

#[test]
fn another_scale_closes_the_interval_and_opens_the_next() {
    let mut fleet = Fleet::new();
    running(&mut fleet, "s");
    fleet.run(10 * SECOND);
    scale(&mut fleet, "s", 4);
    fleet.run(10 * SECOND);
    stop(&mut fleet, "s");
    fleet.run(MINUTE);
    let intervals = intervals(&fleet, "s");
    let scales: Vec<(u64, u32)> = intervals.iter().map(|it| (it.number, it.scale)).collect();
    assert_eq!(scales, [(1, 1), (2, 4)]);
    assert_eq!(intervals[1].ms, 10_000);
    let end = intervals[0].from_ms + i64::try_from(intervals[0].ms).unwrap();
    assert_eq!(end, intervals[1].from_ms, "no gap and no overlap");
}

#[test]
fn hibernated_is_not_billed_and_a_woken_one_is_again() {
    every_way(|fleet| {
        running(fleet, "s");
        hibernate(fleet, "s");
        fleet.run(40 * MINUTE);
        assert_eq!(fleet.rows("sandbox")[0].record.time("metered_since"), None);
        let before = intervals(fleet, "s").last().unwrap().total_ms;
        assert!(before < 40_000, "{before}");
        wake(fleet, "s");
        fleet.run(15 * SECOND);
        assert_eq!(fleet.status("sandbox/s"), "running");
        stop(fleet, "s");
        fleet.run(MINUTE);
        assert_over(fleet, "s", "stopped");
        assert!(stopped(fleet, "s")[0].billed_ms > before);
    });
}

#[test]
fn a_migration_moves_it_and_leaves_no_copy() {
    every_way(|fleet| {
        running(fleet, "s");
        migrate(fleet, "s");
        fleet.run(4 * MINUTE);
        assert_eq!(fleet.status("sandbox/s"), "running");
        let (_, instance) = fleet.cloud.sandboxes().next().unwrap();
        assert_eq!(instance.worker, "there");
        assert_eq!(fleet.cloud.copies().count(), 0);
        stop(fleet, "s");
        fleet.run(MINUTE);
        assert_over(fleet, "s", "stopped");
    });
}

#[test]
fn a_migration_is_stale_by_its_own_age_and_not_by_the_sandboxes() {
    let mut fleet = Fleet::with(patient(), None).without_sweeps();
    running(&mut fleet, "s");
    fleet.run(5 * HOUR);
    // It begins, and is never complete.
    copy_for_ever(&mut fleet);
    migrate(&mut fleet, "s");
    fleet.run(9 * MINUTE);
    assert_eq!(fleet.status("sandbox/s"), "migrating", "it is young, the sandbox is old");
    fleet.run(2 * MINUTE);
    assert_eq!(fleet.status("sandbox/s"), "running");
    fleet.cloud.set_host("there", HostState::Gone).unwrap();
    fleet.run(20 * MINUTE);
    stop(&mut fleet, "s");
    fleet.run(10 * MINUTE);
    assert_over(&fleet, "s", "stopped");
}

#[test]
fn a_completion_of_an_earlier_migration_is_not_that_of_this_one() {
    let mut fleet = Fleet::new();
    running(&mut fleet, "s");
    migrate(&mut fleet, "s");
    fleet.run(5 * MINUTE);
    let (name, to) = ("s".to_owned(), "here".to_owned());
    fleet.tell(crate::MigrateSandbox { caller: ada(), name, to });
    fleet.run(SECOND);
    fleet.call::<Sandbox, _>("sandbox/s", Migrated { epoch: 1, migration: 1 }).unwrap();
    fleet.call::<Sandbox, _>("sandbox/s", Migrated { epoch: 2, migration: 2 }).unwrap();
    fleet.run(10 * SECOND);
    assert_eq!(fleet.status("sandbox/s"), "migrating");
    assert_eq!(n_facts(&fleet, "sandbox/s", "late"), 2);
}

#[test]
fn a_sandbox_that_cannot_be_started_fails_and_its_meter_is_closed() {
    every_way(|fleet| {
        hosts(fleet);
        fleet.cloud.set_host("here", HostState::Gone).unwrap();
        create(fleet, "s");
        fleet.run(MINUTE);
        assert_eq!(fleet.status("sandbox/s"), "failed");
        assert_buried(fleet, "s", "failed");
    });
}

#[test]
fn a_start_that_takes_too_long_fails() {
    every_way(|fleet| {
        hosts(fleet);
        fleet.cloud.set_host("here", HostState::Silent).unwrap();
        create(fleet, "s");
        fleet.run(45 * MINUTE);
        assert_eq!(fleet.status("sandbox/s"), "failed");
        fleet.cloud.set_host("here", HostState::Up).unwrap();
        // It is started after all by whoever was asked, and ended at once.
        fleet.run(10 * MINUTE);
        assert_over(fleet, "s", "failed");
    });
}

#[test]
fn destroy_without_stop_says_so_too_and_exactly_once() {
    every_way(|fleet| {
        running(fleet, "s");
        fleet.destroy("sandbox/s");
        fleet.run(2 * MINUTE);
        assert_over(fleet, "s", "stopped");
        assert_eq!(fleet.why("sandbox/s"), "asked");
    });
}

#[test]
fn destroy_in_the_middle_of_a_migration_leaves_no_copy() {
    every_way(|fleet| {
        running(fleet, "s");
        migrate(fleet, "s");
        fleet.run(10 * SECOND);
        fleet.destroy("sandbox/s");
        fleet.run(15 * MINUTE);
        assert_over(fleet, "s", "stopped");
        assert!(fleet.tombstone("sandbox/s").is_some());
    });
}

#[test]
fn an_exit_ends_it_and_a_late_one_changes_nothing() {
    let mut fleet = Fleet::new();
    running(&mut fleet, "s");
    fleet
        .call::<Sandbox, _>("sandbox/s", Exited { epoch: 9, end: crate::SandboxExit::Done })
        .unwrap();
    assert_eq!(fleet.status("sandbox/s"), "running");
    fleet
        .call::<Sandbox, _>("sandbox/s", Exited { epoch: 1, end: crate::SandboxExit::Done })
        .unwrap();
    fleet
        .call::<Sandbox, _>("sandbox/s", Exited { epoch: 1, end: crate::SandboxExit::Done })
        .unwrap();
    fleet.run(MINUTE);
    assert_over(&fleet, "s", "stopped");
    assert_eq!(n_facts(&fleet, "sandbox/s", "late"), 2);
}

#[test]
fn one_holder_wins_a_pooled_sandbox_and_only_he_can_start_it() {
    let mut fleet = Fleet::new();
    pooled(&mut fleet, "s");
    reserve(&mut fleet, "s", "bob");
    let take = |holder: &str| ReserveSandbox {
        caller: ada(),
        name: "s".to_owned(),
        holder: holder.to_owned(),
    };
    fleet.call::<Sandbox, _>("sandbox/s", take("bob")).unwrap();
    fleet.call::<Sandbox, _>("sandbox/s", take("eve")).unwrap_err();
    start(&mut fleet, "s", "eve");
    assert_eq!(fleet.status("sandbox/s"), "reserved");
    start(&mut fleet, "s", "bob");
    assert_eq!(fleet.status("sandbox/s"), "running");
}

#[test]
fn a_reservation_runs_out_and_the_pool_does_too() {
    every_way(|fleet| {
        pooled(fleet, "s");
        reserve(fleet, "s", "bob");
        fleet.run(35 * MINUTE);
        assert_eq!(fleet.status("sandbox/s"), "pooled");
        fleet.run(HOUR);
        assert_eq!(fleet.status("sandbox/s"), "stopped");
        assert_over(fleet, "s", "stopped");
    });
}

#[test]
fn a_sandbox_that_runs_or_sleeps_for_ever_is_ended_by_either_net_and_billed_exactly() {
    let story = |mut fleet: Fleet| {
        running(&mut fleet, "runs");
        create(&mut fleet, "sleeps");
        fleet.run(15 * SECOND);
        hibernate(&mut fleet, "sleeps");
        fleet.run(23 * HOUR);
        assert_eq!(fleet.status("sandbox/runs"), "running");
        fleet.run(3 * HOUR);
        assert_over_of(&fleet, "runs");
        assert_eq!(fleet.status("sandbox/sleeps"), "hibernated");
        fleet.run(7 * 24 * HOUR);
        assert_over(&fleet, "sleeps", "stopped");
        assert_over(&fleet, "runs", "stopped");
        assert!(fleet.tombstone("sandbox/sleeps").is_some());
    };
    let policy = || Policy { credit_start_cents: 100_000, ..patient() };
    story(Fleet::with(policy(), None).without_alarms());
    story(Fleet::with(policy(), None).without_sweeps());
}

fn assert_over_of(fleet: &Fleet, name: &str) {
    assert_eq!(stopped(fleet, name).len(), 1);
    assert!(stopped(fleet, name)[0].billed_ms >= 24 * 3_600_000);
}

#[test]
fn a_hibernation_or_a_waking_that_takes_too_long_is_an_error() {
    let mut fleet = Fleet::new();
    running(&mut fleet, "a");
    create(&mut fleet, "b");
    fleet.run(15 * SECOND);
    hibernate(&mut fleet, "b");
    fleet.run(MINUTE);
    fleet.cloud.set_host("here", HostState::Silent).unwrap();
    hibernate(&mut fleet, "a");
    wake(&mut fleet, "b");
    fleet.run(6 * MINUTE);
    assert_eq!(fleet.statuses("sandbox"), ["error", "error"]);
    assert_eq!(fleet.cloud.sandboxes().count(), 1, "it runs still, and its end is owed");
    fleet.cloud.set_host("here", HostState::Up).unwrap();
    fleet.run(10 * MINUTE);
    assert_over(&fleet, "a", "error");
    assert_over(&fleet, "b", "error");
}

#[test]
fn who_does_not_own_it_commands_nothing() {
    let mut fleet = Fleet::new();
    running(&mut fleet, "s");
    let eve = || Caller::owner("eve");
    let (name, why) = (|| "s".to_owned(), || "mine".to_owned());
    let command = StopSandbox { caller: eve(), name: name(), why: why() };
    let refused = fleet.call::<Sandbox, _>("sandbox/s", command.clone()).unwrap_err();
    assert!(refused.to_string().ends_with("not yours"), "{refused}");
    fleet.call::<crate::Owner, _>("owner/ada", command).unwrap_err();
    let spec = spec(SandboxStart::Now);
    let create = CreateSandbox { caller: eve(), name: "t".to_owned(), spec };
    fleet.call::<crate::Owner, _>("owner/ada", create).unwrap_err();
    fleet.run(MINUTE);
    assert_eq!(fleet.statuses("sandbox"), ["running"]);
    let caller = Caller::operator("root");
    fleet.tell(StopSandbox { caller, name: name(), why: why() });
    fleet.run(MINUTE);
    assert!(fleet.has_fact("owner/ada", "operator"));
    assert_over(&fleet, "s", "stopped");
}

#[test]
fn an_owner_has_so_many_sandboxes_and_not_one_more() {
    let policy = Policy { sandboxes_per_owner_max: 2, ..Policy::default() };
    let mut fleet = Fleet::with(policy, None);
    hosts(&mut fleet);
    create(&mut fleet, "a");
    create(&mut fleet, "b");
    let spec = || spec(SandboxStart::Now);
    let third = CreateSandbox { caller: ada(), name: "c".to_owned(), spec: spec() };
    fleet.call::<crate::Owner, _>("owner/ada", third.clone()).unwrap_err();
    stop(&mut fleet, "a");
    fleet.run(70 * MINUTE);
    fleet.call::<crate::Owner, _>("owner/ada", third).unwrap();
}

#[test]
fn a_row_does_not_move_while_use_is_counted() {
    let mut fleet = Fleet::new();
    running(&mut fleet, "s");
    let before = fleet.rows("sandbox");
    fleet.run(10 * MINUTE);
    assert_eq!(fleet.rows("sandbox"), before);
}

#[test]
fn what_the_cloud_holds_of_sandboxes_outlives_its_process() {
    let directory = tempfile::tempdir().unwrap();
    let mut fleet = Fleet::with(Policy::default(), Some(directory.path().join("cloud")));
    running(&mut fleet, "s");
    migrate(&mut fleet, "s");
    fleet.run(6 * SECOND);
    create(&mut fleet, "t");
    fleet.run(15 * SECOND);
    hibernate(&mut fleet, "t");
    fleet.run(6 * SECOND);
    fleet.restart();
    let counts = (fleet.cloud.sandboxes().count(), fleet.cloud.checkpoints().count());
    assert_eq!((counts, fleet.cloud.copies().count()), ((1, 1), 1));
    fleet.run(5 * MINUTE);
    assert_eq!(fleet.status("sandbox/s"), "running");
    stop(&mut fleet, "s");
    stop(&mut fleet, "t");
    fleet.run(MINUTE);
    assert_world_is_empty(&fleet);
}
