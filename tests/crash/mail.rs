//! Mail: taken once and in order, refused, too late, to nobody; turns that change nothing.

use sexton::{ErrorKind, What};
use sexton_tests::{Do, events, is_buried, n_dead_letters, state, status};

use crate::script::{Scenario, Yard, scenario};

fn tell(name: &str) -> Do {
    Do::Tell(name.to_owned())
}

fn pass(name: &str, count: u64) -> Do {
    Do::Pass(name.to_owned(), count)
}

/// Whether nothing shows of a turn that was refused.
fn assert_untouched(world: &mut Yard) {
    let a = state(world, "a");
    assert_eq!((a.count, status(world, "a").as_str()), (0, "running"));
    assert!(!events(world, "a").iter().any(|it| matches!(it, What::Fact { .. })));
    assert_eq!(world.outside().things().machines.len(), 1);
}

pub(crate) fn all() -> Vec<Scenario> {
    [taken(), not_taken()].into_iter().flatten().collect()
}

fn taken() -> Vec<Scenario> {
    vec![
        scenario("a mail is taken once")
            .create(0, "a")
            .create(0, "b")
            .tell(1, "a", tell("b"))
            .ends(|world| assert_eq!(state(world, "b").count, 1)),
        scenario("five mails are taken once each")
            .create(0, "a")
            .create(0, "b")
            .tell(1, "a", tell("b"))
            .tell(1, "a", tell("b"))
            .at_once()
            .tell(1, "a", tell("b"))
            .at_once()
            .tell(2, "a", tell("b"))
            .tell(2, "a", tell("b"))
            .at_once()
            .ends(|world| assert_eq!(state(world, "b").count, 5)),
        scenario("mails are taken in order")
            .create(0, "a")
            .create(0, "b")
            .tell(1, "a", pass("b", 10))
            .tell(1, "a", tell("b"))
            .at_once()
            .tell(1, "a", pass("b", 20))
            .at_once()
            .tell(1, "a", tell("b"))
            .at_once()
            .ends(|world| assert_eq!(state(world, "b").count, 21)),
        scenario("a mail to oneself")
            .create(0, "a")
            .tell(1, "a", tell("a"))
            .ends(|world| assert_eq!(state(world, "a").count, 1)),
        scenario("two send to one")
            .create(0, "a")
            .create(0, "b")
            .create(0, "c")
            .tell(1, "a", tell("c"))
            .tell(1, "b", tell("c"))
            .at_once()
            .ends(|world| assert_eq!(state(world, "c").count, 2)),
        scenario("the log is trimmed meanwhile")
            .create(0, "a")
            .create(0, "b")
            .tell(1, "a", tell("b"))
            .trim(2)
            .tell(3, "a", tell("b"))
            .destroy(4, "a")
            .ends(|world| {
                assert_eq!(state(world, "b").count, 2);
                assert!(world.store().log().expect("readable").begin.0 >= 2);
            }),
    ]
}

fn not_taken() -> Vec<Scenario> {
    vec![
        scenario("a mail to a tombstone")
            .create(0, "a")
            .create(0, "b")
            .destroy(1, "b")
            .tell(2, "a", tell("b"))
            .ends(|world| {
                assert!(is_buried(world, "b"));
                assert_eq!(n_dead_letters(world, "b"), 1);
            }),
        scenario("a mail to somebody who never was")
            .create(0, "a")
            .tell(1, "a", tell("b"))
            .ends(|world| assert_eq!(n_dead_letters(world, "b"), 1)),
        // Told by a client to which nobody said that they are kept: it may say them again.
        scenario("news for a tombstone")
            .create(0, "b")
            .destroy(1, "b")
            .news(2, "b")
            .fails(ErrorKind::Destroyed)
            .ends(|world| {
                assert!(is_buried(world, "b"));
                assert!((1..=3).contains(&n_dead_letters(world, "b")));
            }),
        scenario("a mail that lies in the inbox at the burial")
            .create(0, "a")
            .create(0, "b")
            .destroy(1, "b")
            .tell(1, "a", tell("b"))
            .at_once()
            .ends(|world| {
                assert!(is_buried(world, "b"));
                assert_eq!(n_dead_letters(world, "b"), 1);
            }),
        scenario("a message is refused")
            .create(0, "a")
            .tell(1, "a", Do::Refuse)
            .fails(ErrorKind::Refused)
            .ends(assert_untouched),
        scenario("a message panics")
            .create(0, "a")
            .tell(1, "a", Do::Panic)
            .fails(ErrorKind::Refused)
            .ends(assert_untouched),
        scenario("a transition that the table lacks")
            .create(0, "a")
            .tell(1, "a", Do::Leap)
            .fails(ErrorKind::Refused)
            .ends(assert_untouched),
    ]
}
