//! A runner without a host: its clock goes on in the middle of a slice, and it is dropped.

use std::cell::Cell;
use std::sync::Arc;

use sexton::mailbox::{Class, Input, Mailbox};
use sexton::runner::{Around, Next, Runner, Slice};
use sexton::{
    ActorId, Answer, Call, EffectId, Engine, Error, Event, Failure, Limits, Owed, Part, Request,
    Store, Timestamp, Turned, committer,
};
use sexton_store::MemoryStore;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::support::{Add, Counter, Perform, at, kinds};

/// A runner on a store in memory, whose clock goes on when it was looked at so many times.
struct Scene {
    store: MemoryStore,
    mailbox: Arc<Mailbox>,
    begun: Vec<EffectId>,
    now: Timestamp,
    later: Timestamp,
    looks_left: Cell<u32>,
}

impl Around for Scene {
    fn now(&self) -> Timestamp {
        let left = self.looks_left.get();
        self.looks_left.set(left.saturating_sub(1));
        if left > 0 { self.now } else { self.later }
    }

    fn store(&self) -> &dyn Store {
        &self.store
    }

    fn submit(&mut self, turned: &mut Turned) -> Result<(), Error> {
        turned.batch.take().map_or(Ok(()), |batch| self.store.submit(batch).map(drop))
    }

    fn want_flush(&mut self) {}

    fn begin(&mut self, owed: Owed) -> bool {
        self.begun.push(owed.id);
        true
    }

    fn tell(&mut self, _event: Event) {}

    fn lost(&mut self, error: &Error) {
        assert!(error.to_string().is_empty(), "{error}");
    }
}

impl Scene {
    /// One actor, durable.
    fn new() -> (Self, Runner) {
        let (store, mailbox) = (MemoryStore::new(), Arc::new(Mailbox::new(10)));
        let fences = store.claim().expect("nobody else has it");
        let part = (Part::WHOLE, fences.as_slice());
        let engine =
            Engine::recover(kinds(), Limits::default(), &store, part).expect("it is empty");
        let mut runner = Runner::new(engine, Arc::clone(&mailbox), sexton::IDLE_AFTER);
        let (now, begun, looks_left) = (at(1_000), Vec::new(), Cell::new(0));
        let mut scene = Self { store, mailbox, begun, now, later: now, looks_left };
        scene.ask(Request::create::<Counter>(&None, Box::new(drop)).expect("it is encoded"));
        scene.work(&mut runner);
        (scene, runner)
    }

    /// An actor whose effect failed once and is durable, and when it may be tried again.
    fn with_a_debt() -> (Self, Runner, Timestamp) {
        let (mut scene, mut runner) = Self::new();
        let perform = Perform { what: "fetch".to_owned() };
        scene.ask(Request::Call(Call::new::<Counter, _>(perform, drop)));
        scene.work(&mut runner);
        let to = scene.begun.pop().expect("the effect is begun");
        let failure = Failure { class: "network".to_owned(), message: "it rains".to_owned() };
        scene.mailbox.push(Input::Answer { to, answer: Answer::Transient(failure) });
        let due = match scene.work(&mut runner) {
            Next::Wait(due) => due.expect("it is tried again"),
            Next::Again | Next::Over => scene.now,
        };
        assert!(due > scene.now && scene.begun.is_empty());
        (scene, runner, due)
    }

    fn ask(&self, request: Request) {
        // The permit is not what this is about.
        drop(self.mailbox.admit(Class::Call));
        let (verdict, _nobody_asks) = oneshot::channel();
        let id = ActorId::new("counter", "c").expect("an id");
        self.mailbox.push(Input::Ask { id, request, verdict });
    }

    /// Slices with flushes in between, until it waits.
    fn work(&mut self, runner: &mut Runner) -> Next {
        let mut next = Next::Again;
        for _ in 0..4 {
            next = runner.work(Slice::HOST, self);
            committer::flush(&self.store, &[Arc::clone(&self.mailbox)]).expect("it is memory");
        }
        next
    }
}

/// Seen to fail where `next_due` leaves out every debt that is due.
#[test]
fn an_effect_that_comes_due_during_a_slice_is_not_slept_over() {
    for looks in 0..20 {
        let (mut scene, mut runner, due) = Scene::with_a_debt();
        (scene.now, scene.later) = (at(due.as_millis() - 1), due);
        scene.looks_left.set(looks);
        let next = runner.work(Slice::HOST, &mut scene);
        let is_soon = match next {
            Next::Again => true,
            Next::Wait(timer) => timer.is_some_and(|timer| timer <= due),
            Next::Over => false,
        };
        assert!(!scene.begun.is_empty() || is_soon, "after {looks} looks: {next:?}");
    }
}

/// Seen to fail with a runner that does not shut its mailbox when it is dropped.
#[test]
fn whoever_waits_for_a_runner_that_is_dropped_is_told_by_silence() {
    let (mut scene, mut runner) = Scene::new();
    let (reply, mut answer) = oneshot::channel();
    let add = Call::new::<Counter, _>(Add { n: 1 }, |it| drop(reply.send(it)));
    scene.ask(Request::Call(add));
    runner.work(Slice::HOST, &mut scene);
    assert_eq!(answer.try_recv().unwrap_err(), TryRecvError::Empty);
    drop(runner);
    assert_eq!(answer.try_recv().unwrap_err(), TryRecvError::Closed);
}
