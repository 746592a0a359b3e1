//! A stop against everything that may happen at the same time, in every order and distance.
//!
//! Method: each race is run once for each pause between its two parts, also with the second part
//! first. Whatever comes out, the sandbox ends once, is billed exactly, and leaves nothing.

use crate::sim_cloud::HostState;
use crate::{Exited, Sandbox};

use super::harness::{Fleet, MINUTE};
use super::sandbox_stories::{
    SECOND, assert_over, create, hibernate, hosts, migrate, running, stop, wake,
};

/// Pauses in milliseconds: none, within the first answer, around it, within the copy, after all.
const PAUSES: [i64; 10] = [0, 1, 900, 2_000, 3_500, 5_000, 20_000, 45_000, 70_000, 120_000];

fn race(before: impl Fn(&mut Fleet), rival: impl Fn(&mut Fleet)) {
    for pause in PAUSES {
        for is_stop_first in [false, true] {
            let mut fleet = Fleet::new();
            before(&mut fleet);
            if is_stop_first {
                stop(&mut fleet, "s");
                fleet.run(pause);
                rival(&mut fleet);
            } else {
                rival(&mut fleet);
                fleet.run(pause);
                stop(&mut fleet, "s");
            }
            fleet.run(15 * MINUTE);
            assert_over(&fleet, "s", "stopped");
        }
    }
}

fn asleep(fleet: &mut Fleet) {
    running(fleet, "s");
    hibernate(fleet, "s");
    fleet.run(15 * SECOND);
}

#[test]
fn a_stop_and_a_wake_in_every_order() {
    race(asleep, |fleet| wake(fleet, "s"));
}

#[test]
fn a_stop_and_a_hibernation_in_every_order() {
    race(|fleet| running(fleet, "s"), |fleet| hibernate(fleet, "s"));
}

#[test]
fn a_stop_and_a_migration_in_every_order() {
    race(|fleet| running(fleet, "s"), |fleet| migrate(fleet, "s"));
}

#[test]
fn a_stop_and_the_outcome_of_the_start_in_every_order() {
    for pause in PAUSES {
        let mut fleet = Fleet::new();
        hosts(&mut fleet);
        create(&mut fleet, "s");
        fleet.run(pause);
        stop(&mut fleet, "s");
        fleet.run(15 * MINUTE);
        assert_over(&fleet, "s", "stopped");
    }
}

#[test]
fn a_stop_and_an_exit_in_every_order() {
    race(
        |fleet| running(fleet, "s"),
        |fleet| {
            fleet
                .call::<Sandbox, _>("sandbox/s", Exited { epoch: 1, end: crate::SandboxExit::Done })
                .expect("taken");
        },
    );
}

#[test]
fn a_migration_whose_host_goes_at_any_moment_leaves_it_where_it_was_or_ends_it() {
    for pause in PAUSES {
        let mut fleet = Fleet::new();
        running(&mut fleet, "s");
        migrate(&mut fleet, "s");
        fleet.run(pause);
        fleet.cloud.set_host("there", HostState::Gone).expect("in memory");
        fleet.run(15 * MINUTE);
        assert_eq!(fleet.status("sandbox/s"), "running");
        stop(&mut fleet, "s");
        fleet.run(15 * MINUTE);
        assert_over(&fleet, "s", "stopped");
    }
}
