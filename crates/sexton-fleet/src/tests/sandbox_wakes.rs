//! A sandbox that is wanted back while it is being put to sleep, and what it tells of itself.
//!
//! Method: the fleet in virtual time; nothing answers before a second has passed, so what is told
//! at one instant finds the sandbox on its way.

use crate::{Halt, Sandbox};

use super::harness::{Fleet, MINUTE, every_way};
use super::sandbox_stories::{
    SECOND, assert_buried, hibernate, intervals, running, sandbox, stop, wake,
};

#[test]
fn one_that_is_wanted_back_while_it_falls_asleep_wakes_as_soon_as_it_sleeps() {
    every_way(|fleet| {
        running(fleet, "s");
        hibernate(fleet, "s");
        wake(fleet, "s");
        fleet.run(0);
        assert_eq!(fleet.status("sandbox/s"), "running");
        fleet.run(MINUTE);
        assert_eq!(fleet.status("sandbox/s"), "running");
        assert_eq!(intervals(fleet, "s").len(), 1, "it was not billed while it slept");
        assert_eq!((fleet.cloud.sandboxes().count(), fleet.cloud.checkpoints().count()), (1, 0));
        stop(fleet, "s");
        fleet.run(MINUTE);
        assert_buried(fleet, "s", "stopped");
    });
}

#[test]
fn one_that_is_put_to_sleep_again_or_halted_on_its_way_back_stays_asleep() {
    let mut fleet = Fleet::new();
    for name in ["s", "t"] {
        running(&mut fleet, name);
        hibernate(&mut fleet, name);
        wake(&mut fleet, name);
        fleet.run(0);
        assert!(sandbox(&fleet, name).can_hibernate(), "{name} is wanted");
    }
    hibernate(&mut fleet, "s");
    fleet.say::<Sandbox, _>("credit/ada", "sandbox/t", &Halt { round: 1 }).unwrap();
    fleet.run(MINUTE);
    assert_eq!(["sandbox/s", "sandbox/t"].map(|it| fleet.status(it)), ["hibernated"; 2]);
    assert_eq!(sandbox(&fleet, "t").asleep_since(), None, "a halt keeps it from waking");
}

#[test]
fn it_tells_whether_it_is_meant_to_run_and_since_when_it_could_be_woken() {
    let mut fleet = Fleet::new();
    let told = |fleet: &Fleet| {
        let it = sandbox(fleet, "s");
        (it.can_hibernate(), it.is_given_up(), it.asleep_since().is_some())
    };
    running(&mut fleet, "s");
    assert!(!sandbox(&fleet, "s").is_pooled());
    assert_eq!((sandbox(&fleet, "s").owner(), told(&fleet)), ("ada", (true, false, false)));
    hibernate(&mut fleet, "s");
    fleet.run(0);
    assert_eq!(told(&fleet), (false, true, true), "it falls asleep");
    fleet.run(15 * SECOND);
    assert_eq!(told(&fleet), (false, true, true), "it sleeps");
    wake(&mut fleet, "s");
    fleet.run(0);
    assert_eq!(told(&fleet), (false, false, false), "it wakes");
    stop(&mut fleet, "s");
    fleet.run(MINUTE);
    assert_eq!(told(&fleet), (false, true, false), "it has ended");
}
