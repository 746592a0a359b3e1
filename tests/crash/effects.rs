//! Effects: that fail and are tried again, lost answers, refused credentials, operators.

use sexton::{ErrorKind, Limits, What, query};
use sexton_tests::{Cloudwork, Do, events, is_buried, machine, state, status, was_stalled};

use crate::script::{
    Scenario, fails_for_long, fails_twice, is_locked_for_a_while, loses_its_answer, makes_nothing,
    never_unmakes, scenario,
};

pub(crate) fn all() -> Vec<Scenario> {
    [answers(), operators()].into_iter().flatten().collect()
}

fn answers() -> Vec<Scenario> {
    vec![
        scenario("an effect fails twice and is done then")
            .performed(fails_twice)
            .create(0, "a")
            .ends(|world| {
                assert_eq!(status(world, "a"), "running");
                assert_eq!(world.outside().things().machines.len(), 1);
            }),
        scenario("an effect fails until its actor is stalled")
            .performed(fails_for_long)
            .create(0, "a")
            .ends(|world| {
                assert!(was_stalled(world, "a"));
                assert_eq!(status(world, "a"), "running");
            }),
        scenario("the answer of an effect gets lost")
            .performed(loses_its_answer)
            .create(0, "a")
            .ends(|world| {
                assert_eq!(status(world, "a"), "running");
                // Whoever performs it can tell: it has the same name each time.
                let asked = &world.outside().things().asked;
                assert!(asked.len() > 1 && asked.iter().all(|it| it == &asked[0]), "{asked:?}");
            }),
        scenario("an effect fails for good")
            .performed(makes_nothing)
            .create(0, "a")
            .ends(|world| assert!(is_buried(world, "a"))),
        scenario("several effects of one turn are done in order")
            .create(0, "a")
            .tell(1, "a", Do::Owe(4))
            .ends(|world| {
                let asked = world.outside().things();
                let numbers: Vec<u64> = asked.asked.iter().map(|it| it.0.number).collect();
                let mut done = 0;
                for number in &numbers {
                    // Again after a crash, and never one before those that it comes after.
                    assert!(*number <= done + 1, "{numbers:?}");
                    done = done.max(*number);
                }
                assert_eq!(done, 5);
            }),
        scenario("somebody who owes goes")
            .performed(fails_twice)
            .create(0, "a")
            .tell(20, "a", Do::Owe(2))
            .destroy(20, "a")
            .at_once()
            .ends(|world| {
                assert!(is_buried(world, "a"));
                let asked = world.outside().things().asked.clone();
                let is_unmade = matches!(asked.last(), Some((_, Cloudwork::Unmake)));
                assert!(is_unmade, "first what it owed before: {asked:?}");
            }),
        scenario("nobody owes more than allowed")
            .limits(Limits { debts_per_actor_max: 2, ..Limits::default() })
            .create(0, "a")
            .tell(1, "a", Do::Owe(3))
            .fails(ErrorKind::Refused)
            .tell(2, "a", Do::Owe(2))
            .ends(|world| {
                let last = world.outside().things().asked.iter().map(|it| it.0.number).max();
                assert_eq!(last, Some(3), "what was refused owes nothing");
            }),
    ]
}

fn operators() -> Vec<Scenario> {
    vec![
        scenario("a credential is refused until it is mended")
            .performed(is_locked_for_a_while)
            .create(0, "a")
            .destroy(1, "a")
            .ends(|world| {
                assert!(is_buried(world, "a"));
                assert!(world.outside().things().machines.is_empty(), "buried means released");
            }),
        scenario("a credential is never mended")
            .performed(never_unmakes)
            .create(0, "a")
            .destroy(1, "a")
            .until(40)
            .ends(|world| {
                assert!(!is_buried(world, "a"));
                let debts = query::debts(world.store(), &machine("a")).expect("readable");
                assert_eq!(debts.len(), 1, "it never turns into deleted");
                assert_eq!(world.outside().things().machines.len(), 1);
            }),
        scenario("a debt is given up")
            .performed(never_unmakes)
            .create(0, "a")
            .destroy(1, "a")
            .abandon(10, "a", 2)
            .ends(|world| {
                assert!(is_buried(world, "a"));
                let told = events(world, "a");
                let n = told.iter().filter(|it| matches!(it, What::Abandoned { .. })).count();
                assert_eq!(n, 1, "by name, and as an event");
            }),
        scenario("a debt is given up that is none")
            .create(0, "a")
            .abandon(1, "a", 9)
            .fails(ErrorKind::NotFound)
            .ends(|world| assert_eq!(status(world, "a"), "running")),
        // When it was tried again depends on whether the operator had to say so twice.
        scenario("a debt is tried again when an operator says so")
            .performed(fails_twice)
            .create(0, "a")
            .retry(1, "a")
            .until(120)
            .ends_otherwise()
            .ends(|world| assert_eq!(status(world, "a"), "running")),
        scenario("effects are paused for a while")
            .pause_effects(0)
            .create(0, "a")
            .tell(1, "a", Do::Count)
            .resume_effects(100)
            .ends_otherwise()
            .ends(|world| {
                assert_eq!((state(world, "a").count, status(world, "a").as_str()), (1, "running"));
            }),
    ]
}
