//! What the scenarios look at can fail: each of these spoils what the engine writes, as a bug
//! would, and is noticed.

use sexton::codec;
use sexton::key::{self, Parsed};
use sexton::{Batch, Body, Debt, Entry, Mail, Write};
use sexton_sim::{Stop, Way};
use sexton_tests::Do;

use crate::script::{Scenario, fails_twice, scenario};

fn parsed(write: &Write) -> Option<Parsed> {
    key::parse(&write.key)
}

/// Whether the actor of a batch is on its way to its tombstone.
fn is_end(batch: &Batch) -> bool {
    batch.writes.iter().filter(|it| matches!(parsed(it), Some(Parsed::Actor(_)))).any(|write| {
        match write.value.as_deref().and_then(|it| codec::open::<Entry>(it).ok()) {
            Some(Entry::Alive(record)) => record.destruction.is_some(),
            Some(Entry::Tombstone(_)) => true,
            None => false,
        }
    })
}

/// What is told of the first thing that is noticed.
fn noticed(scenario: Scenario, spoil: fn(&mut Batch)) -> String {
    let sound = scenario.crash(0);
    assert!(sound.is_ok(), "it is sound as long as nothing is spoiled: {sound:?}");
    scenario.spoiled(spoil).crash(100).expect_err("it is noticed")
}

fn going() -> Scenario {
    scenario("a child goes with its parent")
        .create(0, "r")
        .tell(1, "r", Do::Beget("c".to_owned()))
        .destroy(2, "r")
}

fn sending() -> Scenario {
    scenario("a mail").create(0, "a").create(0, "b").tell(1, "a", Do::Tell("b".to_owned()))
}

#[test]
fn a_child_that_does_not_tell_that_it_is_gone_is_noticed() {
    crate::quietly();
    let told = noticed(going(), |batch| {
        batch.writes.retain(|write| {
            let mail = write.value.as_deref().and_then(|it| codec::open::<Mail>(it).ok());
            let is_mail = matches!(parsed(write), Some(Parsed::Inbox(..)));
            !(is_mail && mail.is_some_and(|it| matches!(it.body, Body::Gone { .. })))
        });
    });
    assert!(told.contains("G7"), "{told}");
}

#[test]
fn a_debt_that_is_gone_after_its_first_attempt_is_noticed() {
    let owing = scenario("a debt").performed(fails_twice).create(0, "a");
    let told = noticed(owing, |batch| {
        for write in &mut batch.writes {
            let debt = write.value.as_deref().and_then(|it| codec::open::<Debt>(it).ok());
            let is_debt = matches!(parsed(write), Some(Parsed::Debt(..)));
            if is_debt && debt.is_some_and(|it| it.failures > 0) {
                write.value = None;
            }
        }
    });
    assert!(told.contains("G8"), "{told}");
}

#[test]
fn a_mail_that_stays_in_the_inbox_is_noticed() {
    let told = noticed(sending(), |batch| {
        batch.writes.retain(|write| {
            write.value.is_some() || !matches!(parsed(write), Some(Parsed::Inbox(..)))
        });
    });
    assert!(told.contains("G10"), "{told}");
}

#[test]
fn a_mail_that_never_arrives_is_noticed() {
    let told = noticed(
        sending().ends(|world| assert_eq!(sexton_tests::state(world, "b").count, 1)),
        |batch| {
            batch.writes.retain(|write| {
                write.value.is_none() || !matches!(parsed(write), Some(Parsed::Inbox(..)))
            });
        },
    );
    assert!(told.contains("left: 0"), "{told}");
}

#[test]
fn a_tombstone_that_leaves_an_alarm_is_noticed() {
    let dying = scenario("a deadline").create(0, "a").tell(1, "a", Do::Remind(60));
    let dying = dying.destroy(2, "a").until(30);
    let told = noticed(dying, |batch| {
        let is_end = is_end(batch);
        batch.writes.retain(|write| !(is_end && matches!(parsed(write), Some(Parsed::Alarm(..)))));
    });
    assert!(told.contains("G6"), "{told}");
}

#[test]
fn what_is_told_of_a_crash_repeats_it() {
    crate::quietly();
    // An effect that was performed is performed again if its answer was not durable.
    let hasty = scenario("a count").create(0, "a").ends(|world| {
        let n_asked = world.outside().things().asked.len();
        assert!(n_asked < 2, "asked {n_asked} times");
    });
    let told = hasty.crash(0).expect_err("somewhere it is asked twice");
    let stops = (1..20).flat_map(|n| Way::ALL.map(|way| Stop::Write(n, way)));
    let stop = stops.into_iter().find(|stop| {
        let Stop::Write(n, way) = stop else { return false };
        told.contains(&format!("Stop::Write({n}, Way::{way:?})"))
    });
    let stop = stop.expect("it names the stop");
    assert_eq!(hasty.crash_at(&[stop]), Err(told));
    assert!(hasty.crash_at(&[Stop::Write(1, Way::DiesBefore)]).is_ok());
}
