//! Births: alone, twice, as children, where the name is not free.

use sexton::{ErrorKind, Limits, What};
use sexton_tests::{Do, events, is_buried, machine, state, status};

use crate::script::{Scenario, scenario};

fn beget(name: &str) -> Do {
    Do::Beget(name.to_owned())
}

fn n_births(world: &crate::script::Yard, name: &str) -> usize {
    events(world, name).iter().filter(|it| matches!(it, What::Created { .. })).count()
}

pub(crate) fn all() -> Vec<Scenario> {
    [alone(), children()].into_iter().flatten().collect()
}

fn alone() -> Vec<Scenario> {
    vec![
        scenario("a machine is made").create(0, "a").ends(|world| {
            assert_eq!(status(world, "a"), "running");
            assert_eq!(world.outside().things().machines.len(), 1);
        }),
        scenario("a machine is made twice")
            .create(0, "a")
            .create(1, "a")
            .fails(ErrorKind::Exists)
            .ends(|world| assert_eq!(n_births(world, "a"), 1)),
        scenario("a machine is made twice at once")
            .create(0, "a")
            .create(0, "a")
            .at_once()
            .fails(ErrorKind::Exists)
            .ends(|world| assert_eq!(n_births(world, "a"), 1)),
        scenario("a machine is made where one was destroyed")
            .create(0, "a")
            .destroy(1, "a")
            .create(2, "a")
            .fails(ErrorKind::Destroyed)
            .ends(|world| {
                assert!(is_buried(world, "a"));
                assert_eq!(n_births(world, "a"), 1);
                assert!(world.outside().things().machines.is_empty());
            }),
        scenario("a machine is destroyed while it is made")
            .create(0, "a")
            .destroy(0, "a")
            .at_once()
            .ends(|world| {
                assert!(is_buried(world, "a"));
                assert!(world.outside().things().machines.is_empty());
            }),
        scenario("three machines where memory holds one")
            .limits(Limits { live_actors_max: 1, ..Limits::default() })
            .create(0, "a")
            .create(0, "b")
            .at_once()
            .create(0, "c")
            .at_once()
            .tell(1, "a", Do::Count)
            .destroy(2, "b")
            .ends(|world| {
                assert_eq!((state(world, "a").count, status(world, "c").as_str()), (1, "running"));
                assert!(is_buried(world, "b"));
            }),
    ]
}

fn children() -> Vec<Scenario> {
    vec![
        scenario("a child is had").create(0, "r").tell(1, "r", beget("c")).ends(|world| {
            assert_eq!(status(world, "c"), "running");
            assert_eq!(world.outside().things().machines.len(), 2);
        }),
        scenario("a child is had and told something in one turn")
            .create(0, "r")
            .tell(1, "r", Do::BegetAndTell("c".to_owned()))
            .ends(|world| assert_eq!(state(world, "c").count, 1)),
        scenario("a child whose name is taken")
            .create(0, "x")
            .create(0, "r")
            .at_once()
            .tell(1, "r", beget("x"))
            .destroy(10, "r")
            .ends(|world| {
                assert_eq!(status(world, "x"), "running");
                assert!(is_buried(world, "r"), "a child that it never had does not hold it up");
                assert!(world.outside().things().machines.iter().all(|it| it.id == machine("x")));
            }),
        scenario("the same child twice")
            .create(0, "r")
            .tell(1, "r", beget("c"))
            .tell(2, "r", beget("c"))
            .destroy(10, "r")
            .ends(|world| {
                assert_eq!(n_births(world, "c"), 1);
                assert!(is_buried(world, "r") && is_buried(world, "c"));
            }),
        scenario("a child under the name of a tombstone")
            .create(0, "c")
            .destroy(1, "c")
            .create(2, "r")
            .tell(3, "r", beget("c"))
            .ends(|world| {
                assert_eq!(state(world, "r").buried, ["c unborn"]);
                assert_eq!(n_births(world, "c"), 1);
            }),
        scenario("a child is had and its parent goes at once")
            .create(0, "r")
            .tell(1, "r", beget("c"))
            .destroy(1, "r")
            .at_once()
            .ends(|world| {
                assert!(is_buried(world, "r") && is_buried(world, "c"));
                assert!(world.outside().things().machines.is_empty());
            }),
    ]
}
