//! Stop at every commit: pass one counts the commits, pass two stops after each and recovers,
//! pass three stops the recovered world, too.
//!
//! Goal: whatever commit was the last, the recovered world ends in the same state as one that
//! was never stopped (G2, G7, G10, G13), and the audit holds at every stop. Broken once by
//! leaving out the child's notice to its parent that it is gone.

use std::sync::Arc;

use sexton::{Limits, Store};
use sexton_sim::{WorldError, state_hash};
use sexton_store::MemoryStore;
use sexton_tests::{Cloud, Do, TestWorld, assert_audit, intent, machine, open_with, transient};

/// A scenario that every machine of the tests takes part in, as requests at moments; each is
/// repeated until it is answered, as a client would.
fn steps() -> Vec<(u64, &'static str, Step)> {
    vec![
        (0, "r", Step::Create),
        (1, "r", Step::Do(Do::Beget("c1".to_owned()))),
        (1, "r", Step::Do(Do::Beget("c2".to_owned()))),
        (2, "c1", Step::Do(Do::Beget("g".to_owned()))),
        (3, "c2", Step::Do(Do::Stop)),
        (400, "c1", Step::Do(Do::Stop)),
        (500, "r", Step::Destroy),
    ]
}

#[derive(Clone)]
enum Step {
    Create,
    Do(Do),
    Destroy,
}

fn request(step: &Step) -> sexton::Request {
    match step {
        Step::Create => sexton::Request::create::<sexton_tests::Machine>(
            &sexton_tests::Habit::Good,
            Box::new(drop),
        )
        .expect("small"),
        Step::Do(message) => sexton::Request::Call(sexton::Call::new::<sexton_tests::Machine, Do>(
            message.clone(),
            Box::new(drop),
        )),
        Step::Destroy => {
            sexton::Request::Destroy { intent: intent(), is_waiting: false, reply: Box::new(drop) }
        }
    }
}

/// Plays the scenario from where the world stands; `done` counts the steps that are durable.
fn play(world: &mut TestWorld, done: &mut usize) -> Result<(), WorldError> {
    for (at_s, name, step) in steps().into_iter().skip(*done) {
        let at = sexton::Timestamp::from_millis(i64::try_from(at_s * 1_000).expect("small"));
        if world.now() < at {
            world.advance_to(at)?;
        }
        world.settle()?;
        world.flush()?;
        world.request(&machine(name), request(&step))?;
        world.flush()?;
        *done += 1;
    }
    world.advance_to(sexton::Timestamp::from_millis(5_000_000))?;
    world.flush()
}

fn cloud() -> Cloud {
    let mut cloud = Cloud::default();
    cloud.moods.insert("c1".to_owned(), [transient()].into());
    cloud
}

fn world(store: &Arc<MemoryStore>, cloud: Cloud) -> TestWorld {
    open_with(store, Limits::default(), cloud)
}

/// The stride of pass three over the commits of a recovered world. Counted from each first stop,
/// so that all first stops together meet every commit of the scenario.
/// Chosen: the pass takes a few seconds without optimization.
const STRIDE: usize = 7;

/// What is left when a process ends: the store, the world outside, and what the client had done.
struct Left {
    store: Arc<MemoryStore>,
    cloud: Cloud,
    done: usize,
}

impl Left {
    fn nothing() -> Self {
        Self { store: Arc::new(MemoryStore::new()), cloud: cloud(), done: 0 }
    }

    /// Goes on until the scenario ends, or until so many commits were made; says how many were.
    fn go_on(&mut self, stop: Option<u64>) -> u64 {
        let mut world = world(&self.store, std::mem::take(&mut self.cloud));
        if let Some(stop) = stop {
            world.stop_after(stop);
        }
        match play(&mut world, &mut self.done) {
            Ok(()) => assert_eq!(stop, None, "it ended before it was to be stopped"),
            Err(WorldError::Stopped) => {
                // The step during which it stopped had its one commit: it is not asked for again.
                let was_asked = steps().get(self.done).is_some_and(|(at_s, name, step)| {
                    is_done(self.store.as_ref(), *at_s, name, step)
                });
                self.done += usize::from(was_asked);
            }
            Err(error) => unreachable!("nothing fails here: {error}"),
        }
        assert_audit(self.store.as_ref());
        self.cloud = std::mem::take(world.outside());
        world.tally().commits
    }

    fn assert_ended_as(&self, expected: &str, stops: &str) {
        let hash = state_hash(self.store.as_ref()).expect("it can be read");
        assert_eq!(hash, expected, "stopped after {stops}");
        assert!(self.cloud.machines.is_empty(), "stopped after {stops}");
    }
}

/// The commits of a run that is not stopped, and the state in which it ends.
fn whole() -> (u64, String) {
    let mut whole = Left::nothing();
    let commits = whole.go_on(None);
    assert!(commits > 25, "the scenario has only {commits} commits");
    assert!(whole.cloud.machines.is_empty());
    (commits, state_hash(whole.store.as_ref()).expect("it can be read"))
}

#[test]
fn stopped_after_any_commit_it_ends_as_if_never_stopped() {
    let (commits, expected) = whole();
    for stop in 1..commits {
        let mut left = Left::nothing();
        left.go_on(Some(stop));
        left.go_on(None);
        left.assert_ended_as(&expected, &stop.to_string());
    }
}

#[test]
fn stopped_again_while_it_recovers_it_ends_as_if_never_stopped() {
    let (commits, expected) = whole();
    for first in 1..commits {
        let mut left = Left::nothing();
        left.go_on(Some(first));
        let resumed = left.go_on(None);
        for second in (1..resumed).step_by(STRIDE) {
            let mut left = Left::nothing();
            left.go_on(Some(first));
            left.go_on(Some(second));
            left.go_on(None);
            left.assert_ended_as(&expected, &format!("{first} and {second} more"));
        }
    }
}

/// Whether the effect of a step can be seen in the store.
fn is_done(store: &dyn Store, at_s: u64, name: &str, step: &Step) -> bool {
    let Some(sexton::Entry::Alive(record)) =
        sexton::query::entry(store, &machine(name)).expect("readable")
    else {
        return false;
    };
    let state: sexton_tests::Machine =
        sexton::query::state(store, &machine(name)).expect("readable").expect("it lives");
    match step {
        Step::Create => true,
        Step::Do(Do::Beget(child)) => sexton::query::children(store, &machine(name))
            .expect("readable")
            .contains(&machine(child)),
        Step::Do(Do::Stop) => state
            .stopped_at
            .is_some_and(|at| at.as_millis() == i64::try_from(at_s * 1_000).expect("readable")),
        Step::Do(_) => false,
        Step::Destroy => record.destruction.is_some(),
    }
}
