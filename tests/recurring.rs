//! Recurring deadlines through the engine: what recurs rings like any other deadline, and what
//! passed while nobody was there is dealt with once, whatever happens in between.
//!
//! Method: the real engine on a store in memory, in virtual time. G4 and G5; broken once by letting
//! a late ring count that is to be skipped.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton::recurring::MOMENTS_PER_RING_MAX;
use sexton::{
    Actor, ActorId, Deadlines, Handlers, Kinds, Limits, Missed, Recurring, Refusal, Request, Store,
    Timestamp, Turn, query,
};
use sexton_sim::World;
use sexton_store::MemoryStore;
use sexton_tests::{Cloud, TestWorld, ask};

sexton::lifecycle! {
    /// What a backup can be.
    pub enum Phase { /** It waits for its time. */ Waiting = "waiting" [] => [] }
}

/// Copies something every night, and says for which nights.
#[derive(Debug, Serialize, Deserialize)]
struct Backup {
    nightly: Recurring,
    copied: Vec<Timestamp>,
    missed: u64,
    rings: u64,
    is_full: bool,
}

/// What a backup begins with: its schedule, and whether its disk is full.
type Init = (Recurring, bool);

impl Actor for Backup {
    const KIND: &'static str = "backup";
    type Init = Init;
    type Status = Phase;
    type Deadline = String;
    type Effect = ();
    type Answer = ();

    fn create(init: Init, _turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        let (nightly, is_full) = init;
        Ok(Self { nightly, copied: Vec::new(), missed: 0, rings: 0, is_full })
    }

    fn handlers(_on: &mut Handlers<Self>) {}

    fn status(&self) -> Phase {
        Phase::Waiting
    }

    fn deadlines(&self, due: &mut Deadlines<String>) {
        due.at(self.nightly.next(), "copy".to_owned());
    }

    fn on_deadline(&mut self, _due: String, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let rung = self.nightly.ring(turn.now())?;
        if self.is_full {
            return Err(Refusal::new("the disk is full"));
        }
        self.copied.extend(rung.moments);
        self.missed += rung.missed;
        self.rings += 1;
        Ok(())
    }
}

fn id() -> ActorId {
    ActorId::new(Backup::KIND, "b").expect("a name")
}

fn kinds() -> Kinds {
    Kinds::new().with::<Backup>()
}

fn open(store: &Arc<MemoryStore>) -> TestWorld {
    let store: Arc<dyn Store> = Arc::<MemoryStore>::clone(store);
    World::open(store, kinds(), Limits::default(), Cloud::default()).expect("it opens")
}

fn backup(store: &MemoryStore) -> Backup {
    query::state(store, &id()).expect("readable").expect("it lives")
}

fn to(world: &mut TestWorld, hours: u64) {
    let at = Timestamp::ZERO + Duration::from_secs(hours * 3_600);
    world.advance_to(at).expect("the engine goes on");
    world.flush().expect("the store goes on");
}

fn begin(missed: Missed, is_full: bool) -> (TestWorld, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::new());
    let mut world = open(&store);
    let nightly = Recurring::cron("0 3 * * *", "UTC", Timestamp::ZERO, missed).expect("good");
    let born = ask(&mut world, &id(), |reply| {
        Request::create::<Backup>(&(nightly, is_full), reply).expect("small")
    });
    assert_eq!(born.expect("the name is free"), 1);
    (world, store)
}

fn assert_audit(store: &MemoryStore) {
    let broken = sexton::audit::audit(store, &kinds(), 20).expect("readable");
    assert!(broken.is_empty(), "{broken:#?}");
}

fn nights(of: impl IntoIterator<Item = u64>) -> Vec<Timestamp> {
    let at = |night: u64| Timestamp::ZERO + Duration::from_secs((24 * night + 3) * 3_600);
    of.into_iter().map(at).collect()
}

#[test]
fn it_rings_every_night_at_its_time_and_leaves_one_alarm() {
    let (mut world, store) = begin(Missed::Each, false);
    to(&mut world, 24 * 10);
    let state = backup(&store);
    assert_eq!((state.copied, state.rings), (nights(0..10), 10));
    assert_audit(&store);
}

/// The process is away for thirty nights, and opened again by another.
#[test]
fn a_restart_after_a_month_follows_the_policy() {
    for (missed, copied, n_missed, rings) in [
        (Missed::Once, nights([0, 1, 31]), 29, 3),
        (Missed::Each, nights(0..32), 0, 3),
        (Missed::Skip, nights([0, 1]), 30, 3),
    ] {
        let (mut world, store) = begin(missed, false);
        to(&mut world, 48);
        drop(world);
        // Nothing of the month is rung while nobody is there: this process begins behind it.
        let mut world = open_at(&store, 24 * 31 + 12);
        to(&mut world, 24 * 31 + 13);
        let state = backup(&store);
        assert_eq!((state.copied, state.missed), (copied.clone(), n_missed), "{missed:?}");
        assert_eq!(state.rings, rings, "{missed:?}");
        to(&mut world, 24 * 33);
        let after: Vec<Timestamp> = copied.into_iter().chain(nights([32])).collect();
        assert_eq!(backup(&store).copied, after, "{missed:?}");
        assert_audit(&store);
    }
}

/// A world whose first moment is `hours` after zero: alarms with time paused up to there.
fn open_at(store: &Arc<MemoryStore>, hours: u64) -> TestWorld {
    let mut world = open(store);
    world.engine().switch_alarms(sexton::Switch::Paused);
    to(&mut world, hours);
    world.engine().switch_alarms(sexton::Switch::On);
    world
}

#[test]
fn a_year_of_nights_rings_in_bounded_turns() {
    let (mut world, store) = begin(Missed::Each, false);
    drop(world);
    world = open_at(&store, 24 * 365);
    to(&mut world, 24 * 365 + 1);
    let state = backup(&store);
    assert_eq!(state.copied, nights(0..365));
    assert_eq!(state.rings, 365_u64.div_ceil(u64::try_from(MOMENTS_PER_RING_MAX).unwrap()));
    assert_audit(&store);
}

#[test]
fn a_ring_that_is_refused_rings_again_for_the_same_night() {
    let (mut world, store) = begin(Missed::Once, true);
    to(&mut world, 4);
    let state = backup(&store);
    assert_eq!((state.copied, state.rings), (Vec::new(), 0));
    assert_eq!(vec![state.nightly.next()], nights([0]), "it did not move on");
    assert_audit(&store);
}
