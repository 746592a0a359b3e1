//! Behaviour through the front door: sweeps, the net under every alarm (G12).
//!
//! Method: the real engine on a store in memory, in virtual time; a sweep that asks whoever runs
//! to count shows who was asked and how often. Broken once by not remembering whom a pass asked,
//! and by leaving out its cap.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sexton::sweep::{Apply, Look, Plan, Sweep, Sweeper, plan, sweeper};
use sexton::{
    Batch, Call, Entry, Error, ErrorKind, Letter, Refusal, Request, RowView, Store, Timestamp,
    What, Write, key, query,
};
use sexton_store::MemoryStore;
use sexton_tests::{
    Do, Habit, Machine, TestWorld, ask, call, create, destroy, events_of, machine, n_dead_letters,
    open, pass, status, world,
};

/// Asks every running machine to count, so that the counts show who was asked how often.
struct Census {
    limit: usize,
}

impl Sweep for Census {
    fn name(&self) -> &'static str {
        "census"
    }

    fn limit(&self) -> usize {
        self.limit
    }

    fn scope(&self) -> &[(&'static str, &'static str)] {
        &[("machine", "running"), ("machine", "stopped")]
    }

    fn select(&self, row: &RowView, _look: &Look<'_>) -> Result<Option<String>, Error> {
        Ok((row.status == "running").then(|| "it runs".to_owned()))
    }

    fn ask(&self, row: &RowView, _why: &str) -> Result<Letter, Refusal> {
        if row.id == machine("m3") {
            return Err(Refusal::new("this one cannot be asked"));
        }
        Letter::new::<Machine, Do>(&row.id, &Do::Count)
    }
}

fn swept(limit: usize) -> (TestWorld, Arc<MemoryStore>) {
    let (mut world, store) = world();
    for n in 0..7 {
        create(&mut world, &format!("m{n}")).expect("the name is free");
    }
    call(&mut world, "m6", Do::Stop).expect("it runs");
    world.add_sweep(Box::new(Census { limit })).expect("the engine goes on");
    (world, store)
}

fn counts(world: &mut TestWorld) -> Vec<u64> {
    let mut count = |n| call(world, &format!("m{n}"), Do::Nothing).expect("it lives");
    (0..6).map(&mut count).collect()
}

#[test]
fn a_pass_asks_no_more_than_its_limit_and_the_next_goes_on() {
    let (mut world, _) = swept(2);
    let asked = |world: &mut TestWorld| counts(world).iter().sum::<u64>();
    for passes in 1..=2 {
        pass(&mut world, 300);
        assert_eq!(asked(&mut world), 2 * passes);
    }
    pass(&mut world, 600);
    assert_eq!(counts(&mut world), [1, 1, 1, 0, 1, 1], "each once, but the one that failed");
}

#[test]
fn who_was_asked_is_left_alone_for_its_back_off() {
    let (mut world, _) = swept(100);
    pass(&mut world, 300);
    assert_eq!(counts(&mut world), [1, 1, 1, 0, 1, 1]);
    pass(&mut world, 3_300);
    assert_eq!(counts(&mut world), [1, 1, 1, 0, 1, 1]);
    pass(&mut world, 300);
    assert_eq!(counts(&mut world), [2, 2, 2, 0, 2, 2]);
}

/// Switches machines that run off, and those that are off on.
struct Flip;

impl Sweep for Flip {
    fn name(&self) -> &'static str {
        "flip"
    }

    fn limit(&self) -> usize {
        9
    }

    fn scope(&self) -> &[(&'static str, &'static str)] {
        &[("machine", "running"), ("machine", "stopped")]
    }

    fn select(&self, row: &RowView, _look: &Look<'_>) -> Result<Option<String>, Error> {
        Ok(Some(row.status.clone()))
    }

    fn ask(&self, row: &RowView, why: &str) -> Result<Letter, Refusal> {
        let message = if why == "running" { Do::Stop } else { Do::Start };
        Letter::new::<Machine, Do>(&row.id, &message)
    }
}

#[test]
fn who_did_what_he_was_asked_does_not_rest() {
    // Seen to fail: whoever was asked rests for the back-off, whatever he did.
    let (mut world, _) = world();
    create(&mut world, "a").unwrap();
    world.add_sweep(Box::new(Flip)).unwrap();
    for expected in ["stopped", "running", "stopped"] {
        pass(&mut world, 300);
        assert_eq!(status(&world, "a"), expected);
        // Its deadline must not be what ends it here.
        call(&mut world, "a", Do::Habit(Habit::Refuses)).unwrap();
    }
}

#[test]
fn a_reviewed_plan_is_applied_as_it_stands_and_not_beyond_the_limit() {
    let (mut world, _) = swept(3);
    pass(&mut world, 1);
    let state = |world: &TestWorld| {
        query::state::<Sweeper>(world.store(), &sweeper("census").unwrap()).unwrap().unwrap()
    };
    let planned = plan(&Census { limit: 3 }, &state(&world), world.now(), world.store()).unwrap();
    assert_eq!(planned.asks.len(), 3);
    let two = Plan { asks: planned.asks[1..].to_vec(), ..planned.clone() };
    create(&mut world, "a0").unwrap();
    let apply = Apply::of(two.clone(), &Census { limit: 3 }).unwrap();
    ask(&mut world, &sweeper("census").unwrap(), |reply| {
        Request::Call(Call::new::<Sweeper, Apply>(apply, reply))
    })
    .unwrap();
    assert_eq!(counts(&mut world), [0, 1, 1, 0, 0, 0], "these two, and nobody who came later");
    assert_eq!((state(&world).passes, state(&world).asks), (0, 2));
    pass(&mut world, 300);
    assert_eq!(counts(&mut world), [1, 1, 1, 0, 1, 0], "who was asked rests");
    let error = Apply::of(planned, &Census { limit: 2 }).unwrap_err();
    assert_eq!(error.to_string(), "the plan asks 3, and a pass of census asks at most 2");
}

#[test]
fn a_pass_is_made_once_also_when_the_process_ends_after_it() {
    let (mut world, store) = swept(100);
    pass(&mut world, 300);
    drop(world);
    let mut world = open(&store);
    world.add_sweep(Box::new(Census { limit: 100 })).unwrap();
    pass(&mut world, 1);
    let state: Sweeper = query::state(world.store(), &sweeper("census").unwrap()).unwrap().unwrap();
    assert_eq!((state.passes, state.asks), (1, 5));
    assert_eq!(counts(&mut world), [1, 1, 1, 0, 1, 1]);
}

/// Asks machines of a life to count; its back-off and its scope are as a test says.
struct Chosen {
    life: Option<u32>,
    back_off: Duration,
    scope: [(&'static str, &'static str); 1],
}

impl Chosen {
    fn with_back_off(back_off: Duration) -> Self {
        Self { life: None, back_off, scope: [("machine", "running")] }
    }
}

impl Sweep for Chosen {
    fn name(&self) -> &'static str {
        "chosen"
    }

    fn limit(&self) -> usize {
        9
    }

    fn back_off(&self) -> Duration {
        self.back_off
    }

    fn scope(&self) -> &[(&'static str, &'static str)] {
        &self.scope
    }

    fn select(&self, _row: &RowView, _look: &Look<'_>) -> Result<Option<String>, Error> {
        Ok(Some("it runs".to_owned()))
    }

    fn ask(&self, row: &RowView, _why: &str) -> Result<Letter, Refusal> {
        let letter = Letter::new::<Machine, Do>(&row.id, &Do::Count)?;
        Ok(Letter { incarnation: self.life, ..letter })
    }
}

#[test]
fn what_a_sweep_writes_to_one_life_reaches_no_other() {
    let (mut world, _store) = world();
    create(&mut world, "a").unwrap();
    let scope = [("machine", "running")];
    let sweep = Chosen { life: Some(99), back_off: Duration::from_secs(60), scope };
    world.add_sweep(Box::new(sweep)).unwrap();
    pass(&mut world, 301);
    assert_eq!(call(&mut world, "a", Do::Nothing).unwrap(), 0);
    assert_eq!(n_dead_letters(&world, "a"), 1);
}

#[test]
fn a_back_off_that_was_made_longer_holds_after_a_restart() {
    let (mut world, store) = world();
    create(&mut world, "a").unwrap();
    world.add_sweep(Box::new(Chosen::with_back_off(Duration::from_secs(60)))).unwrap();
    pass(&mut world, 301);
    assert_eq!(call(&mut world, "a", Do::Nothing).unwrap(), 1);
    drop(world);
    let mut world = open(&store);
    world.add_sweep(Box::new(Chosen::with_back_off(Duration::from_secs(7_200)))).unwrap();
    pass(&mut world, 1_200);
    assert_eq!(call(&mut world, "a", Do::Nothing).unwrap(), 1);
}

#[test]
fn a_scope_that_no_row_can_be_in_is_refused_with_what_is_known() {
    let (mut world, _store) = world();
    let mut refused = |scope| {
        let sweep = Chosen { life: None, back_off: Duration::from_secs(60), scope: [scope] };
        world.add_sweep(Box::new(sweep)).unwrap_err().to_string()
    };
    assert_eq!(
        refused(("machine", "runing")),
        "the sweep chosen looks at the status runing of machine; known are creating, running, \
         stopped, broken, destroying"
    );
    assert_eq!(
        refused(("machin", "running")),
        "the sweep chosen looks at the kind machin; known are machine, sweep"
    );
}

/// Asks whoever runs although its row asks to be left alone, and judges by another actor.
struct Orphans;

impl Sweep for Orphans {
    fn name(&self) -> &'static str {
        "orphans"
    }

    fn limit(&self) -> usize {
        10
    }

    fn scope(&self) -> &[(&'static str, &'static str)] {
        &[("machine", "running")]
    }

    fn heeds_watch(&self) -> bool {
        false
    }

    fn select(&self, row: &RowView, look: &Look<'_>) -> Result<Option<String>, Error> {
        if row.id == machine("m1") {
            return Err(Error::new(ErrorKind::Corrupt, "what it is judged by cannot be read"));
        }
        let is_left = match look.entry(&machine("boss"))? {
            Some(Entry::Tombstone(_)) => !look.is_child(&machine("m0"), &row.id)?,
            Some(Entry::Alive(_)) | None => false,
        };
        Ok(is_left.then(|| "its boss is gone".to_owned()))
    }

    fn ask(&self, row: &RowView, _why: &str) -> Result<Letter, Refusal> {
        Letter::new::<Machine, Do>(&row.id, &Do::Count)
    }
}

#[test]
fn a_sweep_may_judge_by_other_actors_and_what_it_cannot_judge_is_counted() {
    let (mut world, store) = world();
    for name in ["boss", "m0", "m1"] {
        create(&mut world, name).unwrap();
    }
    call(&mut world, "m0", Do::Beget("c".to_owned())).unwrap();
    let asked = |now| {
        let plan = plan(&Orphans, &fresh(now), now, store.as_ref()).unwrap();
        let ids: Vec<String> = plan.asks.iter().map(|ask| ask.id.to_string()).collect();
        (ids, plan.failed)
    };
    assert_eq!(asked(world.now()), (vec![], 1), "the boss lives");
    destroy(&mut world, "boss").unwrap();
    pass(&mut world, 1);
    assert_eq!(asked(world.now()), (vec!["machine/m0".to_owned()], 1), "but not its child");
}

#[test]
fn what_could_not_be_asked_is_told_by_its_pass() {
    let (mut world, _) = swept(100);
    pass(&mut world, 300);
    let told = events_of(&world, &sweeper("census").unwrap());
    let text = "examined 6, asked 5, failed 1".to_owned();
    assert!(told.contains(&What::Fact { name: "pass".to_owned(), text }), "{told:?}");
}

/// A sweep of which nothing is remembered yet.
fn fresh(now: Timestamp) -> Sweeper {
    let (cursor, asked) = (None, BTreeMap::new());
    Sweeper { next_at: now, back_off: Duration::ZERO, cursor, asked, passes: 0, asks: 0 }
}

/// What could not be read was once taken for a row that asks to be left alone: the passes after
/// it were not made. Broken once by leaving the unread rows out of what makes a pass quiet.
#[test]
fn a_row_that_cannot_be_read_is_counted_and_no_reason_to_rest() {
    let (mut world, store) = world();
    create(&mut world, "a").unwrap();
    let (now, id) = (world.now(), machine("a"));
    drop(world);
    let fence = store.claim().unwrap().into_iter().find(|(shard, _)| *shard == id.shard());
    let (shard, fence) = fence.expect("every shard has one");
    let (epoch, expected, order) = (fence.epoch, fence.sequence, fence.order + 1);
    let writes = vec![Write { key: key::row(&id, "running"), value: Some(b"bent".to_vec()) }];
    store
        .submit(Batch { shard, epoch, expected, at: now, order, writes, events: Vec::new() })
        .unwrap();
    let plan = plan(&Census { limit: 100 }, &fresh(now), now, store.as_ref()).unwrap();
    assert_eq!((plan.examined, plan.failed, plan.asks.len()), (1, 1, 0));
    assert_eq!(plan.quiet_until, None);
}
