//! Behaviour through the front door: the stories that users tell with `every_way`.
//!
//! Method: a story of the machine of the tests in every way; then stories and performers that
//! are wrong, which must be noticed and told with the way in which they are.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sexton::plan::plan_destroy;
use sexton::{
    ActorRef, Answer, Call, Entry, Intent, Kinds, Owed, Request, Timestamp, codec, query,
};
use sexton_sim::{Answering, Play, World, WorldError, every_way};
use sexton_tests::{Cloudwork, Do, Habit, Machine, done, kinds, machine};

type Machines = BTreeSet<ActorRef>;

fn perform(machines: &mut Machines, owed: &Owed) -> Answer {
    let owner = owed.id.actor.clone();
    match codec::decode(&owed.effect).expect("an effect of a machine") {
        Cloudwork::Make => machines.insert(owner),
        Cloudwork::Unmake => machines.remove(&owner),
    };
    done()
}

fn play() -> Play<Machines> {
    Play::new(|| Kinds::new().with::<Machine>(), perform)
}

/// A machine with a child is stopped, and goes with it at its deadline.
fn story(world: &mut World<Answering<Machines>>) -> Result<(), WorldError> {
    let tell = |message| Request::Call(Call::new::<Machine, Do>(message, Box::new(drop)));
    let r = machine("r");
    world.request(&r, Request::create::<Machine>(&Habit::Good, Box::new(drop))?)?;
    world.advance_to(Timestamp::from_millis(1_000))?;
    world.request(&r, tell(Do::Beget("c".to_owned())))?;
    world.advance_to(Timestamp::from_millis(2_000))?;
    world.request(&r, tell(Do::Stop))?;
    world.advance_to(Timestamp::from_millis(1_000_000))?;
    world.flush()?;
    for name in ["r", "c"] {
        let entry = query::entry(world.store(), &machine(name))?;
        assert!(matches!(entry, Some(Entry::Tombstone(_))), "{name} is still there");
    }
    assert!(world.outside().things().is_empty(), "machines are left");
    Ok(())
}

#[test]
fn a_story_holds_killed_behind_each_of_its_commits() {
    let commits = every_way(&play(), story).expect("it holds");
    assert!(commits > 10, "the story has only {commits} commits");
}

#[test]
fn a_story_that_does_not_stand_a_crash_is_told_with_the_commit() {
    // It counts what was answered, in its own memory: a crash takes nothing of that back.
    let n_told = std::cell::Cell::new(0);
    let telling = catch_unwind(AssertUnwindSafe(|| {
        every_way(&play(), |world| {
            story(world)?;
            n_told.set(n_told.get() + 1);
            assert!(n_told.get() < 3, "told too often");
            Ok(())
        })
    }));
    let panic = telling.expect_err("the third telling ends with a panic");
    let text = panic.downcast_ref::<String>().expect("words");
    let expected = "killed behind write 1 (.only(&[Stop::Write(1, Way::DiesBehind)]) repeats it): \
                    told too often";
    assert_eq!(text, expected);
}

#[test]
fn a_plan_that_was_reviewed_is_carried_out_killed_behind_each_of_its_commits() {
    let commits = every_way(&play(), |world| {
        let r = machine("r");
        world.request(&r, Request::create::<Machine>(&Habit::Good, Box::new(drop))?)?;
        world.advance_to(Timestamp::from_millis(1_000))?;
        let tell = Do::Beget("c".to_owned());
        world.request(&r, Request::Call(Call::new::<Machine, Do>(tell, Box::new(drop))))?;
        world.advance_to(Timestamp::from_millis(2_000))?;
        if let Some(Entry::Alive(record)) = query::entry(world.store(), &r)?
            && record.destruction.is_none()
        {
            let plan = plan_destroy(world.store(), &kinds(), &r)?;
            let intent = Intent { why: "reviewed".to_owned(), by: "test".to_owned() };
            let (plan, reply) = (Box::new(plan), Box::new(drop));
            world
                .request(&r, Request::DestroyPlanned { plan, intent, is_waiting: false, reply })?;
        }
        world.advance_to(Timestamp::from_millis(1_000_000))?;
        world.flush()?;
        let entry = query::entry(world.store(), &r)?;
        let Some(Entry::Tombstone(tombstone)) = entry else { unreachable!("it is {entry:?}") };
        assert_eq!((tombstone.why.as_str(), tombstone.by.as_str()), ("reviewed", "test"));
        assert!(world.outside().things().is_empty(), "machines are left");
        Ok(())
    });
    assert!(commits.expect("it holds") > 8);
}
