//! Stop at every commit: pass one counts the commits, pass two stops after each and recovers.
//!
//! Goal: whatever commit was the last, the recovered world ends in the same state as one that
//! was never stopped (G2, G7, G10, G13), and the audit holds at every stop. Broken once by
//! putting the child's notice to its parent into a batch of its own.

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
    let store: Arc<dyn Store> = Arc::<MemoryStore>::clone(store);
    open_with(store, Limits::default(), cloud)
}

#[test]
fn stopped_after_any_commit_it_ends_as_if_never_stopped() {
    let store = Arc::new(MemoryStore::new());
    let mut whole = world(&store, cloud());
    play(&mut whole, &mut 0).unwrap();
    let commits = whole.tally().commits;
    let expected = state_hash(store.as_ref()).unwrap();
    assert!(commits > 25, "the scenario has only {commits} commits");
    assert!(whole.outside().machines.is_empty());
    for stop in 1..commits {
        let store = Arc::new(MemoryStore::new());
        let mut first = world(&store, cloud());
        first.stop_after(stop);
        let mut done = 0;
        assert!(matches!(play(&mut first, &mut done), Err(WorldError::Stopped)), "stop {stop}");
        assert_audit(store.as_ref());
        let outside = std::mem::take(first.outside());
        drop(first);
        // The step during which it stopped had its one commit: it is not asked for again.
        let was_asked = steps()
            .get(done)
            .is_some_and(|(at_s, name, step)| is_done(store.as_ref(), *at_s, name, step));
        done += usize::from(was_asked);
        let mut second = world(&store, outside);
        play(&mut second, &mut done).unwrap();
        assert_audit(store.as_ref());
        assert_eq!(state_hash(store.as_ref()).unwrap(), expected, "stopped after {stop}");
        assert!(second.outside().machines.is_empty(), "stopped after {stop}");
    }
}

/// Whether the effect of a step can be seen in the store.
fn is_done(store: &dyn Store, at_s: u64, name: &str, step: &Step) -> bool {
    let Some(sexton::Entry::Alive(record)) = sexton::query::entry(store, &machine(name)).expect("readable")
    else {
        return false;
    };
    let state: sexton_tests::Machine =
        sexton::query::state(store, &machine(name)).expect("readable").expect("it lives");
    match step {
        Step::Create => true,
        Step::Do(Do::Beget(child)) => {
            sexton::query::children(store, &machine(name)).expect("readable").contains(&machine(child))
        }
        Step::Do(Do::Stop) => state
            .stopped_at
            .is_some_and(|at| at.as_millis() == i64::try_from(at_s * 1_000).expect("readable")),
        Step::Do(_) => false,
        Step::Destroy => record.destruction.is_some(),
    }
}
