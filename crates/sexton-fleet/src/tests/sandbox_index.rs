//! Whoever follows the events knows the same, in whatever order and how often they come.

use proptest::prelude::*;
use sexton_core::Event;

use crate::{SandboxIndex, SandboxStatus};

use super::harness::{Fleet, HOUR, MINUTE, id};
use super::sandbox_stories::{create, hibernate, migrate, running, scale, stop, wake};

/// The events of five sandboxes that ended in different ways.
fn events() -> Vec<Event> {
    let mut fleet = Fleet::new();
    running(&mut fleet, "a");
    for name in ["b", "c", "d"] {
        create(&mut fleet, name);
    }
    fleet.run(MINUTE);
    scale(&mut fleet, "a", 2);
    hibernate(&mut fleet, "a");
    migrate(&mut fleet, "b");
    fleet.run(MINUTE);
    wake(&mut fleet, "a");
    stop(&mut fleet, "b");
    fleet.destroy("sandbox/c");
    fleet.run(MINUTE);
    stop(&mut fleet, "a");
    fleet.run(HOUR);
    fleet.events
}

fn index(events: impl IntoIterator<Item = Event>) -> SandboxIndex {
    let mut index = SandboxIndex::new();
    for event in events {
        index.apply(&event);
    }
    index
}

#[test]
fn the_index_says_what_the_sandboxes_are_and_were_billed() {
    let fleet_events = events();
    let index = index(fleet_events);
    let seen = |name: &str| index.get(&id(&format!("sandbox/{name}"))).expect("seen").clone();
    for name in ["a", "b", "c"] {
        let seen = seen(name);
        assert_eq!(seen.status.map(|(_, status)| status), Some(SandboxStatus::Stopped));
        let (_, stopped) = seen.stopped.clone().expect("said");
        assert_eq!(stopped.reason, "session_terminal:stopped");
        assert_eq!(stopped.billed_ms, seen.billed_ms);
        assert!(!seen.is_billed());
    }
    assert!(seen("d").is_billed());
}

/// An order with repetitions: every event at least once, some again.
fn shuffled(events: Vec<Event>) -> impl Strategy<Value = Vec<Event>> {
    let again = prop::collection::vec(0..events.len(), 0..events.len());
    again.prop_flat_map(move |again| {
        let mut all = events.clone();
        all.extend(again.into_iter().map(|n| events[n].clone()));
        Just(all).prop_shuffle()
    })
}

#[test]
fn every_order_and_every_repetition_gives_the_same_index() {
    let mut events = events();
    events.retain(|event| event.actor.kind() == "sandbox");
    let expected = index(events.clone());
    let config = ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner
        .run(&shuffled(events), |order| {
            prop_assert_eq!(&index(order), &expected);
            Ok(())
        })
        .unwrap();
}

#[test]
fn two_events_of_the_same_moment_are_told_apart_by_their_number() {
    let mut events = events();
    for event in &mut events {
        event.at = sexton_core::Timestamp::ZERO;
    }
    let reversed: Vec<Event> = events.iter().rev().cloned().collect();
    assert_eq!(index(reversed), index(events));
}
