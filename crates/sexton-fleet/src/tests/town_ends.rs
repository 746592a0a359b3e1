//! The end of a town: whoever asks, it takes everything along, and nothing comes back.

use sexton_core::{ErrorKind, What, query};

use crate::sim_cloud::ScriptStep;
use crate::{
    AddAgent, AddRig, Agent, AgentReport, AgentStatus, Caller, ConfigureTown, Container,
    ContainerCallback, ContainerSays, CreateTown, EndTown, Expire, Inspect, OpenBead, OpenStream,
    Owner, Town,
};

use super::harness::{Fleet, HOUR, MINUTE, ada, every_way, id};
use super::harness_towns::{TOWN, kind};

const SECOND: i64 = 1_000;

fn end(caller: Caller) -> EndTown {
    EndTown { caller, name: "t".to_owned(), why: "not needed".to_owned() }
}

/// A town with all that a town may have: a container that runs, an agent that works, one that is
/// off the list and still there, work that is open. Returns the agents' names.
fn live(fleet: &mut Fleet) -> [String; 2] {
    fleet.settle_town();
    let agents = ["on", "off"].map(|agent| fleet.add_agent(agent));
    fleet.open_bead("b");
    fleet.run(12 * SECOND);
    fleet.report(&agents[0], AgentStatus::Working);
    fleet.remove_agent("off");
    fleet.run(SECOND);
    agents
}

/// Every child that a town has or had, by the events of their births.
fn children(fleet: &Fleet) -> Vec<String> {
    let is_child = |what: &What| matches!(what, What::Created { parent: Some(parent), .. } if parent.id == id(TOWN));
    let born = fleet.events.iter().filter(|event| is_child(&event.what));
    born.map(|event| event.actor.as_str().to_owned()).collect()
}

fn assert_all_buried_before_the_town(fleet: &Fleet) {
    let town = fleet.tombstone(TOWN).expect("buried");
    let children = children(fleet);
    assert!(children.len() >= 5, "{children:?}");
    for child in children {
        let tombstone = fleet.tombstone(&child).unwrap_or_else(|| panic!("{child} lives"));
        assert!(tombstone.at <= town.at, "{child}");
    }
    fleet.assert_no_town_left();
}

#[test]
fn destroy_buries_container_agents_and_identities_and_then_the_town() {
    every_way(|fleet| {
        live(fleet);
        fleet.end_town();
        fleet.run(10 * MINUTE);
        assert_all_buried_before_the_town(fleet);
    });
}

#[test]
fn an_agent_that_was_taken_off_the_list_before_is_buried_too() {
    let mut fleet = Fleet::new();
    let [_, off] = live(&mut fleet);
    assert_eq!(fleet.inspect().agents, ["on"]);
    assert_eq!(fleet.status(&off), "done", "it is off the list, and lives");
    fleet.end_town();
    fleet.run(MINUTE);
    assert_eq!(fleet.why(&off), "not needed");
    fleet.assert_no_town_left();
}

type WayIn = (&'static str, fn(&mut Fleet));

#[test]
fn every_way_in_is_the_one_path() {
    let ways: [WayIn; 6] = [
        ("owner", |fleet| fleet.end_town()),
        ("town", |fleet| fleet.command(end(ada()))),
        ("operator", |fleet| fleet.command(end(Caller::operator("olga")))),
        ("operator at the owner", |fleet| fleet.tell(end(Caller::operator("olga")))),
        ("runtime", |fleet| fleet.destroy(TOWN)),
        ("sweep", |fleet| {
            fleet.close_bead("b");
            let working = AgentReport { epoch: 1, status: AgentStatus::Idle };
            let agent = fleet.rows("agent").into_iter().find(|row| row.status == "working");
            let agent = agent.expect("one works").id;
            fleet.call::<Agent, _>(agent.as_str(), working).expect("it listens");
            fleet.unlink_by_hand("owner/ada", TOWN);
            fleet.run(10 * MINUTE);
        }),
    ];
    for (name, way) in ways {
        let mut fleet = Fleet::new();
        live(&mut fleet);
        way(&mut fleet);
        fleet.run(MINUTE);
        assert!(fleet.tombstone(TOWN).is_some(), "by {name}");
        assert_all_buried_before_the_town(&fleet);
        let is_town =
            |kind: &What| matches!(kind, What::Destroying { .. } | What::Destroyed { .. });
        let of_town = fleet.events.iter().filter(|it| it.actor == id(TOWN) && is_town(&it.what));
        assert_eq!(of_town.count(), 2, "by {name}: intent and tombstone, once each");
    }
}

#[test]
fn the_owners_entry_goes_in_the_commit_of_the_tombstone_and_not_before() {
    let mut fleet = Fleet::new();
    live(&mut fleet);
    fleet.script(&fleet.container(), &ScriptStep::Down);
    fleet.end_town();
    let mut was_destroying = false;
    for step in 0..200 {
        if step == 100 {
            fleet.script(&fleet.container(), &ScriptStep::Up);
        }
        fleet.run(1 + step * 17);
        assert_eq!(fleet.owner_lists_town(), fleet.tombstone(TOWN).is_none());
        was_destroying |= fleet.status(TOWN) == "destroying";
        if step % 20 == 0 {
            fleet.assert_sound();
        }
    }
    assert!(was_destroying);
    fleet.assert_no_town_left();
}

#[test]
fn a_destroy_that_fails_can_be_asked_for_again_and_is_never_said_to_be_done() {
    let mut fleet = Fleet::new();
    live(&mut fleet);
    let container = fleet.container();
    fleet.script(&container, &ScriptStep::Down);
    fleet.end_town();
    for _ in 0..5 {
        fleet.run(HOUR);
        assert!(fleet.tombstone(TOWN).is_none() && fleet.tombstone(&container).is_none());
        assert!(fleet.owner_lists_town());
        assert_eq!(fleet.cloud.containers().count(), 1);
        fleet.end_town();
    }
    let row = fleet.rows("container").remove(0);
    assert!(row.record.stalled.is_some(), "it shows");
    fleet.script(&container, &ScriptStep::Up);
    fleet.run(10 * MINUTE);
    fleet.assert_no_town_left();
}

#[test]
fn the_process_is_gone_with_the_town_also_if_it_had_stopped_before() {
    let mut fleet = Fleet::new();
    fleet.settle_town();
    fleet.run(20 * MINUTE);
    assert_eq!(fleet.status(&fleet.container()), "sleeping");
    assert_eq!(fleet.process().running_since, None, "it stopped, and the provider keeps it");
    fleet.end_town();
    fleet.run(MINUTE);
    assert!(fleet.tombstone(TOWN).is_some());
    fleet.assert_no_town_left();
}

#[test]
fn the_process_is_gone_with_the_town_whatever_the_containers_status() {
    for (status, wait_ms) in
        [("starting", 1), ("running", 10 * SECOND), ("stopping", 10 * MINUTE), ("error", MINUTE)]
    {
        let mut fleet = Fleet::new().without_sweeps();
        fleet.found();
        if status == "error" {
            let quota = ScriptStep::Failed("quota".to_owned());
            fleet.script("container/t/1", &quota);
        }
        fleet.attach();
        fleet.run(wait_ms);
        assert_eq!(fleet.status("container/t/1"), status);
        fleet.end_town();
        fleet.run(MINUTE);
        fleet.assert_no_town_left();
    }
}

#[test]
fn a_start_that_is_still_owed_starts_nothing_for_a_town_that_is_being_destroyed() {
    let mut fleet = Fleet::new();
    fleet.found();
    fleet.script("container/t/1", &ScriptStep::Down);
    fleet.attach();
    fleet.run(30 * SECOND);
    assert_eq!(fleet.status("container/t/1"), "starting");
    fleet.end_town();
    fleet.run(30 * SECOND);
    fleet.script("container/t/1", &ScriptStep::Up);
    for _ in 0..600 {
        fleet.run(SECOND);
        assert_eq!(fleet.cloud.containers().count(), 0);
    }
    fleet.assert_no_town_left();
}

#[test]
fn nothing_that_touches_a_destroyed_town_starts_anything() {
    let mut fleet = Fleet::new();
    let [on, _] = live(&mut fleet);
    let container = fleet.container();
    fleet.end_town();
    fleet.run(MINUTE);
    let n_events = fleet.events.len();
    let text = || "x".to_owned();
    let destroyed = Some(ErrorKind::Destroyed);
    let configure = ConfigureTown { caller: ada(), config: text() };
    assert_eq!(kind(fleet.call::<Town, _>(TOWN, configure)), destroyed);
    assert_eq!(kind(fleet.call::<Town, _>(TOWN, Inspect { caller: ada() })), destroyed);
    assert_eq!(kind(fleet.call::<Town, _>(TOWN, OpenStream { caller: ada() })), destroyed);
    assert_eq!(kind(fleet.call::<Town, _>(TOWN, Expire { why: text() })), destroyed);
    let rig = AddRig { caller: ada(), rig: text() };
    assert_eq!(kind(fleet.call::<Town, _>(TOWN, rig)), destroyed);
    let agent = AddAgent { caller: ada(), agent: text() };
    assert_eq!(kind(fleet.call::<Town, _>(TOWN, agent)), destroyed);
    let bead = OpenBead { caller: ada(), bead: text(), rig: text() };
    assert_eq!(kind(fleet.call::<Town, _>(TOWN, bead)), destroyed);
    let says = ContainerSays::Healthy;
    let healthy = ContainerCallback { epoch: 1, run: 1, says };
    assert_eq!(kind(fleet.call::<Container, _>(&container, healthy)), destroyed);
    let working = AgentReport { epoch: 1, status: AgentStatus::Working };
    assert_eq!(kind(fleet.call::<Agent, _>(&on, working)), destroyed);
    fleet.run(24 * HOUR);
    fleet.assert_no_town_left();
    let of_town = |event: &&sexton_core::Event| event.actor.as_str().contains('t');
    let since: Vec<_> = fleet.events[n_events..].iter().filter(of_town).collect();
    let is_pass = |what: &What| matches!(what, What::Fact { name, .. } if name == "pass");
    let is_scan = |event: &sexton_core::Event| event.actor.kind() == "reaper";
    // A callback that comes too late is kept, and is all that there is of it.
    let is_late = |what: &What| matches!(what, What::DeadLetter { from: None, .. });
    let mut others = since.iter().filter(|event| !is_pass(&event.what) && !is_scan(event));
    let stray = others.find(|event| !is_late(&event.what));
    assert_eq!(stray, None);
}

#[test]
fn a_town_of_the_same_name_is_not_founded_again() {
    let mut fleet = Fleet::new();
    live(&mut fleet);
    fleet.end_town();
    fleet.run(MINUTE);
    fleet.tell(CreateTown { caller: ada(), name: "t".to_owned() });
    fleet.run(HOUR);
    fleet.assert_no_town_left();
    // The owner has forgotten it: it takes no room from others.
    let owner = query::state::<Owner>(&*fleet.store, &id("owner/ada")).unwrap();
    assert!(format!("{owner:?}").contains("towns: {}"));
}

#[test]
fn a_tick_in_the_very_moment_of_the_end_arms_nothing() {
    for shift_ms in [0, 1] {
        let mut fleet = Fleet::new();
        live(&mut fleet);
        let due = fleet.alarm(TOWN).unwrap();
        let wait_ms = due.as_millis() - fleet.now.as_millis() - 1;
        fleet.run(wait_ms + shift_ms);
        fleet.end_town();
        fleet.run(MINUTE);
        assert_eq!(fleet.alarm(TOWN), None);
        let turns = fleet.turns(TOWN);
        fleet.run(HOUR);
        assert_eq!(fleet.turns(TOWN), turns);
        fleet.assert_no_town_left();
    }
}

#[test]
fn a_town_in_destruction_takes_no_command_and_makes_no_child() {
    let mut fleet = Fleet::new();
    live(&mut fleet);
    let container = fleet.container();
    fleet.script(&container, &ScriptStep::Down);
    fleet.end_town();
    fleet.run(SECOND);
    let n_children = children(&fleet).len();
    let attach = fleet.call::<Town, _>(TOWN, OpenStream { caller: ada() });
    let agent = AddAgent { caller: ada(), agent: "late".to_owned() };
    let agent = fleet.call::<Town, _>(TOWN, agent);
    assert_eq!([kind(attach), kind(agent)], [Some(ErrorKind::Destroyed); 2]);
    fleet.run(HOUR);
    assert_eq!((fleet.alarm(TOWN), children(&fleet).len()), (None, n_children));
    fleet.script(&container, &ScriptStep::Up);
    fleet.run(10 * MINUTE);
    fleet.assert_no_town_left();
}

#[test]
fn the_end_of_an_owner_takes_his_towns_along() {
    every_way(|fleet| {
        fleet.settle_town();
        fleet.add_agent("a");
        fleet.run(10 * SECOND);
        fleet.destroy("owner/ada");
        fleet.run(10 * MINUTE);
        assert!(fleet.tombstone("owner/ada").is_some() && fleet.tombstone(TOWN).is_some());
        fleet.assert_no_town_left();
    });
}
