//! What stories of sandboxes begin with, and what they must leave behind.

use sexton_core::{Actor, Answer, Event, Timestamp, What, codec, query};

use crate::sim_cloud::HostState;
use crate::{
    CreateSandbox, CreditAccount, Depth, HibernateSandbox, Interval, MigrateSandbox, Sandbox,
    SandboxEffect, SandboxSpec, SandboxStart, SandboxStopped, ScaleSandbox, StopSandbox,
    WakeSandbox,
};

use super::harness::{Fleet, MINUTE, ada, id};

pub(super) const SECOND: i64 = 1_000;

/// Two hosts that work.
pub(super) fn hosts(fleet: &mut Fleet) {
    for worker in ["here", "there"] {
        fleet.cloud.set_host(worker, HostState::Up).expect("in memory");
    }
}

pub(super) fn spec(start: SandboxStart) -> SandboxSpec {
    SandboxSpec { start, worker: "here".to_owned(), scale: 1 }
}

pub(super) fn create(fleet: &mut Fleet, name: &str) {
    let spec = spec(SandboxStart::Now);
    fleet.tell(CreateSandbox { caller: ada(), name: name.to_owned(), spec });
}

/// A sandbox that runs.
pub(super) fn running(fleet: &mut Fleet, name: &str) {
    hosts(fleet);
    create(fleet, name);
    fleet.run(15 * SECOND);
    assert_eq!(fleet.status(&format!("sandbox/{name}")), "running");
}

pub(super) fn stop(fleet: &mut Fleet, name: &str) {
    let (name, why) = (name.to_owned(), "asked".to_owned());
    fleet.tell(StopSandbox { caller: ada(), name, why });
}

pub(super) fn hibernate(fleet: &mut Fleet, name: &str) {
    let (name, depth) = (name.to_owned(), Depth::Deep);
    fleet.tell(HibernateSandbox { caller: ada(), name, depth });
}

pub(super) fn wake(fleet: &mut Fleet, name: &str) {
    fleet.tell(WakeSandbox { caller: ada(), name: name.to_owned(), on: None });
}

pub(super) fn migrate(fleet: &mut Fleet, name: &str) {
    let (name, to) = (name.to_owned(), "there".to_owned());
    fleet.tell(MigrateSandbox { caller: ada(), name, to });
}

/// From now on copies are begun, and nobody ever says that one is complete.
pub(super) fn copy_for_ever(fleet: &mut Fleet) {
    fleet.refuse(Some(Box::new(|owed, _| {
        let effect = codec::decode::<SandboxEffect>(&owed.effect).ok()?;
        let is_copying = owed.id.actor.id.kind() == Sandbox::KIND
            && matches!(effect, SandboxEffect::Migrate { .. });
        is_copying.then(|| Answer::Done(codec::encode(&()).expect("encodable")))
    })));
}

pub(super) fn scale(fleet: &mut Fleet, name: &str, scale: u32) {
    fleet.tell(ScaleSandbox { caller: ada(), name: name.to_owned(), scale });
}

fn facts<'a>(fleet: &'a Fleet, who: &str, fact: &'a str) -> impl Iterator<Item = &'a String> {
    let who = id(who);
    let of_it = fleet.events.iter().filter(move |event| event.actor == who);
    of_it.filter_map(move |event| {
        if let What::Fact { name, text } = &event.what
            && name == fact
        {
            return Some(text);
        }
        None
    })
}

pub(super) fn n_facts(fleet: &Fleet, who: &str, fact: &str) -> usize {
    facts(fleet, who, fact).count()
}

pub(super) fn intervals(fleet: &Fleet, name: &str) -> Vec<Interval> {
    let who = format!("sandbox/{name}");
    facts(fleet, &who, "interval")
        .map(|text| serde_json::from_str(text).expect("an interval"))
        .collect()
}

pub(super) fn stopped(fleet: &Fleet, name: &str) -> Vec<SandboxStopped> {
    let who = format!("sandbox/{name}");
    facts(fleet, &who, "stopped")
        .map(|text| serde_json::from_str(text).expect("its last word"))
        .collect()
}

/// The stretches in a billable status, read off the transitions.
fn stretches(fleet: &Fleet, name: &str) -> u64 {
    let who = id(&format!("sandbox/{name}"));
    let is_billed = |status: &str| ["running", "migrating"].contains(&status);
    let mut since: Option<Timestamp> = None;
    let mut total = 0;
    for event in fleet.events.iter().filter(|event| event.actor == who) {
        let Event { at, what: What::Transition { to, .. }, .. } = event else { continue };
        match (since, is_billed(to)) {
            (None, true) => since = Some(*at),
            (Some(from), false) => {
                total += u64::try_from(at.since(from).as_millis()).expect("short");
                since = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
    assert_eq!(since, None, "{name} is billed for ever");
    total
}

/// The sandbox ended with this status: said once, billed to the millisecond, and nothing of it
/// is left anywhere.
pub(super) fn assert_over(fleet: &Fleet, name: &str, status: &str) {
    let said = stopped(fleet, name);
    assert_eq!(said.len(), 1, "{name} said {said:?}");
    assert_eq!(said[0].owner, "ada");
    assert_eq!(said[0].reason, format!("session_terminal:{status}"));
    let intervals = intervals(fleet, name);
    let sum: u64 = intervals.iter().map(|interval| interval.ms).sum();
    assert_eq!(said[0].billed_ms, sum);
    assert_eq!(sum, stretches(fleet, name));
    let totals: Vec<u64> = intervals.iter().map(|interval| interval.total_ms).collect();
    assert!(totals.is_sorted(), "{totals:?}");
    assert_world_is_empty(fleet);
}

pub(super) fn assert_world_is_empty(fleet: &Fleet) {
    assert_eq!(fleet.cloud.sandboxes().collect::<Vec<_>>(), []);
    assert_eq!(fleet.cloud.checkpoints().collect::<Vec<_>>(), []);
    assert_eq!(fleet.cloud.copies().collect::<Vec<_>>(), []);
}

/// Long enough for its row to go, also by sweeps alone.
pub(super) fn assert_buried(fleet: &mut Fleet, name: &str, status: &str) {
    fleet.run(130 * MINUTE);
    assert_over(fleet, name, status);
    let tombstone = fleet.tombstone(&format!("sandbox/{name}")).expect("its row was kept long");
    assert_eq!(tombstone.status, status);
    assert_eq!(tombstone.why, stopped(fleet, name)[0].why, "the tombstone says why it ended");
}

pub(super) fn debts(fleet: &Fleet, name: &str) -> usize {
    query::debts(&*fleet.store, &id(&format!("sandbox/{name}"))).expect("readable").len()
}

pub(super) fn sandbox(fleet: &Fleet, name: &str) -> Sandbox {
    let who = id(&format!("sandbox/{name}"));
    query::state(&*fleet.store, &who).expect("readable").expect("alive")
}

pub(super) fn cents(fleet: &Fleet) -> i64 {
    let rows = fleet.rows(CreditAccount::KIND);
    rows[0].record.number("cents").expect("shown")
}
