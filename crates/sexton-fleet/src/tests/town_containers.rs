//! The container of a town: when it runs, when it sleeps, and what it is told too late.

use sexton_core::{ErrorKind, Timestamp};

use crate::sim_cloud::ScriptStep;
use crate::{Care, ConfigureTown, Container, ContainerCallback, ContainerSays, Reconfigure, Tend};

use super::harness::{Fleet, HOUR, MINUTE, ada, every_way, id};
use super::harness_towns::{TOWN, kind};

const SECOND: i64 = 1_000;

fn callback(run: u64, says: ContainerSays) -> ContainerCallback {
    ContainerCallback { epoch: 1, run, says }
}

fn exited() -> ContainerSays {
    ContainerSays::Exited { why: "by itself".to_owned() }
}

/// A town whose container runs, because a rig was added just now.
fn running(fleet: &mut Fleet) -> String {
    fleet.settle_town();
    fleet.run(10 * SECOND);
    let container = fleet.container();
    assert_eq!(fleet.status(&container), "running");
    assert!(fleet.process().running_since.is_some());
    container
}

#[test]
fn a_container_is_made_when_it_is_needed_and_not_before() {
    let mut fleet = Fleet::new();
    fleet.found();
    fleet.add_agent("a");
    fleet.run(HOUR);
    assert_eq!(fleet.cloud.containers().count(), 0);
    fleet.attach();
    fleet.run(10 * SECOND);
    assert_eq!(fleet.status(&fleet.container()), "running");
}

#[test]
fn an_idle_town_pings_nobody() {
    let mut fleet = Fleet::new();
    running(&mut fleet);
    fleet.run(HOUR);
    let pings = fleet.process().pings;
    fleet.run(24 * HOUR);
    assert_eq!(fleet.process().pings, pings);
    assert!(fleet.process().running_since.is_none());
}

#[test]
fn with_active_work_the_container_is_pinged_at_every_tick() {
    let mut fleet = Fleet::new();
    running(&mut fleet);
    fleet.open_bead("b");
    fleet.run(10 * SECOND);
    let pings = fleet.process().pings;
    fleet.run(MINUTE);
    let n_pings = fleet.process().pings - pings;
    assert!((11..=13).contains(&n_pings), "{n_pings}");
}

#[test]
fn without_work_the_container_is_pinged_within_five_minutes_of_its_newest_rig_only() {
    let mut fleet = Fleet::new();
    fleet.found();
    fleet.run(MINUTE);
    fleet.add_rig("r");
    fleet.run(4 * MINUTE - SECOND);
    assert_eq!(fleet.process().pings, 0);
    fleet.run(10 * SECOND);
    assert_eq!(fleet.process().pings, 1, "the tick at 5 min, with a rig of 4 min");
    fleet.run(5 * MINUTE + 30 * SECOND);
    assert_eq!(fleet.status(&fleet.container()), "running");
    assert_eq!(fleet.process().pings, 1, "at the tick at 10 min the rig is 9 min old");
}

#[test]
fn a_rig_that_is_exactly_five_minutes_old_is_new_enough_for_a_ping() {
    let mut fleet = Fleet::new();
    fleet.found();
    fleet.add_rig("r");
    let made_at = fleet.now;
    fleet.run(5 * MINUTE);
    assert_eq!(fleet.now.since(made_at).as_secs(), 300);
    fleet.run(10 * SECOND);
    assert_eq!(fleet.process().pings, 1, "at the tick at 5 min");
}

#[test]
fn a_container_sleeps_ten_minutes_after_the_last_activity_and_pings_are_none() {
    let mut fleet = Fleet::new().without_sweeps();
    fleet.found();
    fleet.run(MINUTE);
    fleet.add_rig("r");
    let active_at = fleet.now;
    fleet.run(10 * MINUTE - 1);
    assert_eq!(fleet.process().pings, 1, "it was pinged meanwhile");
    assert_eq!(fleet.status(&fleet.container()), "running");
    fleet.run(1);
    assert_eq!(fleet.now.since(active_at).as_secs(), 600);
    assert_eq!(fleet.status(&fleet.container()), "stopping");
    fleet.run(10 * SECOND);
    assert_eq!(fleet.status(&fleet.container()), "sleeping");
    assert!(fleet.process().running_since.is_none());
}

#[test]
fn signs_of_life_of_its_process_keep_no_container_awake() {
    let mut fleet = Fleet::new();
    let container = running(&mut fleet);
    let changed_at = fleet.rows("container")[0].record.changed_at;
    for minute in 1..10 {
        fleet.run(MINUTE);
        let healthy = callback(1, ContainerSays::Healthy);
        fleet.call::<Container, _>(&container, healthy).unwrap();
        // The tick at 5 minutes pings, and what a ping waits for is a deadline.
        let is_same = fleet.rows("container")[0].record.changed_at == changed_at;
        assert!(is_same || minute > 4, "liveness is in no row");
    }
    fleet.run(MINUTE + 10 * SECOND);
    assert_eq!(fleet.status(&container), "sleeping");
}

#[test]
fn active_work_keeps_it_awake_and_the_end_of_the_work_lets_it_sleep() {
    let mut fleet = Fleet::new();
    let container = running(&mut fleet);
    fleet.open_bead("b");
    fleet.run(25 * MINUTE);
    assert_eq!((fleet.status(&container).as_str(), fleet.process().run), ("running", 1));
    fleet.close_bead("b");
    fleet.run(9 * MINUTE + 50 * SECOND);
    assert_eq!(fleet.status(&container), "running");
    fleet.run(20 * SECOND);
    assert_eq!(fleet.status(&container), "sleeping");
    let row = &fleet.rows("container")[0].record;
    assert_eq!(row.text("due_for"), Some("sleeping"));
}

#[test]
fn work_and_users_wake_it_and_looking_does_not() {
    let mut fleet = Fleet::new();
    let container = running(&mut fleet);
    fleet.run(20 * MINUTE);
    assert_eq!(fleet.status(&container), "sleeping");
    fleet.inspect();
    fleet.command(ConfigureTown { caller: ada(), config: "new".to_owned() });
    fleet.add_agent("a");
    fleet.run(10 * MINUTE);
    assert_eq!(fleet.status(&container), "sleeping");
    fleet.open_bead("b");
    fleet.run(10 * SECOND);
    assert_eq!(fleet.status(&container), "running");
    assert_eq!((fleet.process().run, fleet.process().config.as_str()), (2, "new"));
    fleet.close_bead("b");
    fleet.run(20 * MINUTE);
    assert_eq!(fleet.status(&container), "sleeping");
    fleet.attach();
    fleet.run(10 * SECOND);
    assert_eq!((fleet.status(&container).as_str(), fleet.process().run), ("running", 3));
}

#[test]
fn whoever_comes_while_it_stops_finds_it_started_again() {
    let mut fleet = Fleet::new().without_sweeps();
    let container = running(&mut fleet);
    fleet.run(10 * MINUTE - 10 * SECOND);
    assert_eq!(fleet.status(&container), "stopping");
    fleet.run(1);
    fleet.attach();
    fleet.run(10 * SECOND);
    assert_eq!((fleet.status(&container).as_str(), fleet.process().run), ("running", 2));
}

#[test]
fn a_process_that_ends_by_itself_is_an_error_and_starts_again_for_work_only() {
    let mut fleet = Fleet::new();
    let container = running(&mut fleet);
    fleet.open_bead("b");
    fleet.run(10 * SECOND);
    let now = fleet.now;
    fleet.cloud.crash(&id(&container), now).unwrap();
    fleet.run(30 * SECOND);
    assert_eq!(fleet.status(&container), "error");
    assert_eq!(fleet.rows("container")[0].record.text("why"), Some("exited: crashed"));
    fleet.run(40 * SECOND);
    assert_eq!((fleet.status(&container).as_str(), fleet.process().run), ("running", 2));
    fleet.close_bead("b");
    let now = fleet.now;
    fleet.cloud.crash(&id(&container), now).unwrap();
    fleet.run(11 * MINUTE);
    assert_eq!(fleet.why(&container), "it was in error long enough");
    assert_eq!(fleet.cloud.containers().count(), 0);
    // The next one has another name, and the town knows it.
    fleet.attach();
    fleet.run(10 * SECOND);
    assert_ne!(fleet.container(), container);
    assert_eq!(fleet.status(&fleet.container()), "running");
}

#[test]
fn a_process_that_is_not_there_any_more_is_found_by_its_ping() {
    let mut fleet = Fleet::new();
    let container = running(&mut fleet);
    fleet.open_bead("b");
    fleet.run(10 * SECOND);
    let now = fleet.now;
    fleet.cloud.crash(&id(&container), now).unwrap();
    // Its callback is lost: nobody takes it before the restart, and nobody repeats it.
    for lost in fleet.cloud.callbacks_due(now) {
        fleet.cloud.acknowledge(lost.number).unwrap();
    }
    fleet.run(15 * SECOND);
    assert_eq!(fleet.status(&container), "error");
    assert_eq!(fleet.rows("container")[0].record.text("why"), Some("its process is gone"));
}

#[test]
fn a_container_that_does_not_start_in_five_minutes_is_an_error_and_then_gone() {
    let mut fleet = Fleet::new();
    fleet.found();
    fleet.script("container/t/1", &ScriptStep::Down);
    fleet.attach();
    fleet.run(4 * MINUTE);
    assert_eq!(fleet.status("container/t/1"), "starting");
    fleet.run(2 * MINUTE);
    assert_eq!(fleet.status("container/t/1"), "error");
    fleet.run(10 * MINUTE);
    assert_eq!(fleet.status("container/t/1"), "destroying", "the deletion is owed");
    fleet.script("container/t/1", &ScriptStep::Up);
    fleet.run(10 * MINUTE);
    assert_eq!(fleet.why("container/t/1"), "it was in error long enough");
    assert_eq!(fleet.cloud.containers().count(), 0);
}

#[test]
fn a_container_that_does_not_stop_is_an_error_and_its_deletion_stays_owed() {
    let mut fleet = Fleet::new();
    let container = running(&mut fleet);
    fleet.script(&container, &ScriptStep::Down);
    fleet.run(16 * MINUTE);
    assert_eq!(fleet.status(&container), "error");
    fleet.run(HOUR);
    assert_eq!(fleet.status(&container), "destroying");
    assert_eq!(fleet.cloud.containers().count(), 1);
    fleet.script(&container, &ScriptStep::Up);
    fleet.run(10 * MINUTE);
    assert!(fleet.tombstone(&container).is_some());
    assert_eq!(fleet.cloud.containers().count(), 0);
}

#[test]
fn a_container_that_sleeps_for_a_week_is_deleted_and_made_anew_when_it_is_needed() {
    let mut fleet = Fleet::new();
    let container = running(&mut fleet);
    fleet.run(8 * 24 * HOUR);
    assert_eq!(fleet.why(&container), "it slept long enough");
    assert_eq!(fleet.cloud.containers().count(), 0);
    fleet.attach();
    fleet.run(10 * SECOND);
    assert!(fleet.process().running_since.is_some());
}

#[test]
fn what_an_earlier_start_or_another_life_says_changes_nothing_and_is_recorded() {
    let mut fleet = Fleet::new();
    let container = running(&mut fleet);
    let late = ContainerCallback { epoch: 2, run: 1, says: exited() };
    fleet.call::<Container, _>(&container, late).unwrap();
    assert_eq!(fleet.status(&container), "running");
    fleet.run(20 * MINUTE);
    for says in [ContainerSays::Started, ContainerSays::Healthy, exited()] {
        fleet.call::<Container, _>(&container, callback(1, says)).unwrap();
        assert_eq!(fleet.status(&container), "sleeping");
    }
    fleet.attach();
    fleet.run(10 * SECOND);
    fleet.call::<Container, _>(&container, callback(1, exited())).unwrap();
    assert_eq!(fleet.status(&container), "running");
    let n_late = fleet.events.iter().filter(
        |event| matches!(&event.what, sexton_core::What::Fact { name, .. } if name == "late"),
    );
    assert_eq!(n_late.count(), 5);
}

#[test]
fn started_may_come_before_the_start_call_returns() {
    let mut fleet = Fleet::new();
    fleet.found();
    fleet.attach();
    fleet.run(1);
    let container = fleet.container();
    assert_eq!(fleet.status(&container), "starting");
    let started = callback(1, ContainerSays::Started);
    fleet.call::<Container, _>(&container, started).unwrap();
    assert_eq!(fleet.status(&container), "running");
    fleet.run(10 * SECOND);
    assert_eq!((fleet.status(&container).as_str(), fleet.process().run), ("running", 1));
}

#[test]
fn only_its_town_tends_a_container() {
    let mut fleet = Fleet::new();
    let container = running(&mut fleet);
    let tend = fleet.call::<Container, _>(&container, Tend { care: Care::User });
    let config = Reconfigure { config: "theirs".to_owned() };
    let config = fleet.call::<Container, _>(&container, config);
    assert_eq!([kind(tend), kind(config)], [Some(ErrorKind::Refused); 2]);
}

#[test]
fn a_ping_without_answer_keeps_nothing_from_being_stopped() {
    let mut fleet = Fleet::new();
    let container = running(&mut fleet);
    fleet.open_bead("b");
    fleet.script(&container, &ScriptStep::Down);
    fleet.run(MINUTE);
    assert_eq!(fleet.status(&container), "running");
    assert!(fleet.has_fact(&container, "unreachable"));
    fleet.close_bead("b");
    fleet.script(&container, &ScriptStep::Up);
    fleet.run(11 * MINUTE);
    assert_eq!(fleet.status(&container), "sleeping");
}

#[test]
fn a_container_comes_to_rest_in_every_way() {
    every_way(|fleet| {
        fleet.settle_town();
        fleet.open_bead("b");
        fleet.run(20 * SECOND);
        fleet.close_bead("b");
        fleet.run(2 * HOUR);
        assert_eq!(fleet.status(&fleet.container()), "sleeping");
        assert!(fleet.process().running_since.is_none());
        assert_eq!(fleet.process().run, 1);
        fleet.assert_sound();
    });
}

#[test]
fn the_provider_remembers_over_a_kill_what_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cloud");
    let mut fleet = Fleet::with(crate::policy::Policy::default(), Some(path));
    running(&mut fleet);
    fleet.add_agent("a");
    fleet.run(10 * SECOND);
    let known = |fleet: &Fleet| (fleet.process(), fleet.cloud.keys().cloned().collect::<Vec<_>>());
    let before = known(&fleet);
    assert_eq!(before.1.len(), 1);
    fleet.restart();
    assert_eq!(known(&fleet), before);
    fleet.end_town();
    fleet.run(MINUTE);
    fleet.restart();
    fleet.assert_no_town_left();
    assert!(fleet.tombstone(TOWN).is_some_and(|it| it.at > Timestamp::ZERO));
}
