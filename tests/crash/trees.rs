//! Destruction: of one, of families, in pages, held up, twice, as reviewed.

use sexton::{DESTROYING, ErrorKind, Limits};
use sexton_tests::{Do, FAULTY_FOR_A_WHILE, is_buried, machine, state, status, was_stalled};

use crate::script::{Scenario, Yard, fails_twice, scenario};

fn beget(name: &str) -> Do {
    Do::Beget(name.to_owned())
}

fn assert_gone(world: &mut Yard, names: &[&str]) {
    let left: Vec<&&str> = names.iter().filter(|name| !is_buried(world, name)).collect();
    assert!(left.is_empty(), "{left:?} are left");
    let things = world.outside().things();
    let running = |name: &&&str| things.machines.iter().any(|it| it.id == machine(name));
    let running: Vec<&&str> = names.iter().filter(running).collect();
    assert!(running.is_empty(), "{running:?} run outside");
}

pub(crate) fn ones() -> Vec<Scenario> {
    vec![
        scenario("a machine is destroyed")
            .create(0, "a")
            .destroy(1, "a")
            .ends(|world| assert_gone(world, &["a"])),
        scenario("a machine is destroyed twice")
            .create(0, "a")
            .destroy(1, "a")
            .destroy(2, "a")
            .ends(|world| assert_gone(world, &["a"])),
        scenario("a machine is destroyed twice at once")
            .create(0, "a")
            .destroy(1, "a")
            .destroy(1, "a")
            .at_once()
            .ends(|world| assert_gone(world, &["a"])),
        scenario("a machine is destroyed that never was")
            .destroy(1, "a")
            .fails(ErrorKind::NotFound)
            .create(2, "a")
            .ends(|world| assert_eq!(status(world, "a"), "running")),
        scenario("somebody waits for a tombstone")
            .create(0, "a")
            .destroy_and_wait(1, "a")
            .ends(|world| assert_gone(world, &["a"])),
        scenario("a machine is told something while it goes")
            .create(0, "a")
            .destroy(1, "a")
            .tell(1, "a", Do::Count)
            .at_once()
            .fails(ErrorKind::Destroyed)
            .ends(|world| assert_gone(world, &["a"])),
    ]
}

/// A parent with three children of which each has three.
pub(crate) fn tree() -> Scenario {
    let mut tree = scenario("a tree of depth three and fan-out three").create(0, "r");
    for child in ["1", "2", "3"] {
        tree = tree.tell(1, "r", beget(child));
    }
    for child in ["1", "2", "3"] {
        for leaf in ["a", "b", "c"] {
            tree = tree.tell(2, child, beget(&format!("{child}{leaf}")));
        }
    }
    tree.destroy(10, "r").ends(|world| {
        let leaves = ["1a", "1b", "1c", "2a", "2b", "2c", "3a", "3b", "3c"];
        assert_gone(world, &[&["r", "1", "2", "3"], leaves.as_slice()].concat());
    })
}

/// The family of which the first test of crashes told.
pub(crate) fn family() -> Scenario {
    scenario("a family: one child goes at its deadline, the others with their parent")
        .performed(|outside, owed| {
            if owed.failures == 0 && owed.id.actor.id == machine("c1") {
                return fails_twice(outside, owed);
            }
            crate::script::obeys(outside, owed)
        })
        .create(0, "r")
        .tell(1, "r", beget("c1"))
        .tell(1, "r", beget("c2"))
        .tell(2, "c1", beget("g"))
        .tell(3, "c2", Do::Stop)
        .tell(400, "c1", Do::Stop)
        .destroy(500, "r")
        .until(5_000)
        .ends(|world| assert_gone(world, &["r", "c1", "c2", "g"]))
}

pub(crate) fn families() -> Vec<Scenario> {
    vec![
        scenario("a chain of four")
            .create(0, "a")
            .tell(1, "a", beget("b"))
            .tell(2, "b", beget("c"))
            .tell(3, "c", beget("d"))
            .destroy(10, "a")
            .ends(|world| assert_gone(world, &["a", "b", "c", "d"])),
        scenario("a family is destroyed as it was planned")
            .create(0, "r")
            .tell(1, "r", beget("c"))
            .destroy_as_planned(10, "r")
            .ends(|world| assert_gone(world, &["r", "c"])),
        scenario("children go one after the other")
            .limits(Limits { children_in_flight_max: 1, ..Limits::default() })
            .create(0, "r")
            .tell(1, "r", beget("a"))
            .tell(1, "r", beget("b"))
            .tell(1, "r", beget("c"))
            .destroy(10, "r")
            .ends(|world| assert_gone(world, &["r", "a", "b", "c"])),
        scenario("a child goes by itself and its parent lives")
            .create(0, "r")
            .tell(1, "r", beget("c"))
            .destroy(10, "c")
            .ends(|world| {
                assert_gone(world, &["c"]);
                assert_eq!(state(world, "r").buried, ["c destroyed"]);
            }),
        scenario("a child and its parent are asked at once")
            .create(0, "r")
            .tell(1, "r", beget("c"))
            .destroy(10, "c")
            .destroy(10, "r")
            .at_once()
            .ends(|world| assert_gone(world, &["r", "c"])),
        scenario("a child is asked while its parent waits for it")
            .create(0, "r")
            .tell(1, "r", beget("c"))
            .destroy(10, "r")
            .destroy(10, "c")
            .at_once()
            .ends(|world| assert_gone(world, &["r", "c"])),
        scenario("a child goes at its deadline while its parent goes")
            .create(0, "r")
            .tell(1, "r", beget("c"))
            .tell(2, "c", Do::Stop)
            .destroy(302, "r")
            .ends(|world| assert_gone(world, &["r", "c"])),
        scenario("a child destroys itself")
            .create(0, "r")
            .tell(1, "r", beget("c"))
            .tell(2, "c", Do::Die)
            .destroy(20, "r")
            .ends(|world| assert_gone(world, &["r", "c"])),
    ]
}

pub(crate) fn held_up() -> Vec<Scenario> {
    vec![
        scenario("a child that is hard to make and to unmake holds up its parent")
            .performed(fails_twice)
            .create(0, "r")
            .tell(20, "r", beget("c"))
            .destroy(21, "r")
            .ends(|world| assert_gone(world, &["r", "c"])),
        // When a destruction that panics is tried again after a crash depends on the crash.
        scenario("a destruction that panics is tried again when it is mended")
            .create(0, "a")
            .tell(6_800, "a", Do::SetCount(FAULTY_FOR_A_WHILE))
            .destroy(6_900, "a")
            .retry(7_205, "a")
            .until(7_800)
            .ends_otherwise()
            .ends(|world| {
                assert!(was_stalled(world, "a"));
                assert_gone(world, &["a"]);
            }),
        scenario("a destruction that panics shows")
            .create(0, "r")
            .tell(1, "r", beget("c"))
            .tell(2, "c", Do::SetCount(sexton_tests::FAULTY))
            .destroy(10, "r")
            .until(30)
            .ends_otherwise()
            .ends(|world| {
                assert!(!is_buried(world, "r"), "its child holds it up");
                assert_eq!(status(world, "c"), DESTROYING);
            }),
    ]
}
