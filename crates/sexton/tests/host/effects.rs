//! Effects: begun after the commit, tried until they are settled, one performer's limit at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sexton::{EffectId, Failure, Performed, Performer, What};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Semaphore, oneshot};

use crate::support::{Counter, HeldStore, Perform, Stage, begin, soon, stage, stage_on, until};

/// Hands each attempt to the test, which decides how it ends.
struct Scripted {
    attempts: UnboundedSender<Attempt>,
}

struct Attempt {
    id: EffectId,
    effect: String,
    failures: u32,
    end: oneshot::Sender<Performed<String>>,
}

impl Performer<Counter> for Scripted {
    async fn perform(&self, id: EffectId, effect: String, failures: u32) -> Performed<String> {
        let (end, ended) = oneshot::channel();
        self.attempts.send(Attempt { id, effect, failures, end }).expect("the test listens");
        ended.await.expect("the test tells this attempt to panic")
    }
}

fn failure() -> Failure {
    Failure { class: "cloud".to_owned(), message: "no capacity".to_owned() }
}

async fn scripted(at_a_time: usize) -> (Stage, UnboundedReceiver<Attempt>) {
    let (attempts, receiver) = unbounded_channel();
    let performer = Scripted { attempts };
    (stage(|it| it.performer::<Counter>(performer, at_a_time)).await, receiver)
}

async fn next(attempts: &mut UnboundedReceiver<Attempt>) -> Attempt {
    soon(attempts.recv()).await.expect("the performer is there")
}

#[tokio::test]
async fn an_effect_is_tried_again_after_its_back_off_until_it_is_done() {
    let (stage, mut attempts) = scripted(4).await;
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(None)).await.unwrap();
    let number = soon(counter.call(Perform { what: "boot".to_owned() })).await.unwrap();
    for failures in 0..4 {
        let attempt = next(&mut attempts).await;
        assert_eq!((attempt.id.number, attempt.failures), (number, failures));
        assert_eq!(attempt.effect, "boot");
        match failures {
            // A panicking performer has failed, and it may work later.
            1 => drop(attempt.end),
            3 => attempt.end.send(Performed::Done("booted".to_owned())).unwrap(),
            _ => attempt.end.send(Performed::Transient(failure())).unwrap(),
        }
        if failures < 3 {
            until(async || {
                let debts = counter.debts().await.unwrap();
                debts.first().is_some_and(|(_, debt)| debt.failures == failures + 1)
            })
            .await;
            assert!(attempts.try_recv().is_err(), "it was tried again at once");
            stage.clock.advance(Duration::from_secs(2 << failures));
        }
    }
    until(async || counter.state().await.unwrap().done == ["booted"]).await;
    assert_eq!(soon(counter.debts()).await.unwrap(), []);
}

#[tokio::test]
async fn an_effect_is_begun_after_the_flush_of_its_turn() {
    let (stage, mut attempts) = scripted(4).await;
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(None)).await.unwrap();
    stage.store.hold();
    let call = begin(&counter, Perform { what: "boot".to_owned() });
    until(async || stage.host.figures().await.unwrap().debtors == 1).await;
    assert!(attempts.try_recv().is_err());
    stage.store.let_go();
    soon(call).await.unwrap().unwrap();
    let attempt = next(&mut attempts).await;
    attempt.end.send(Performed::Permanent(failure())).unwrap();
    until(async || counter.state().await.unwrap().done == ["boot failed: no capacity"]).await;
}

#[tokio::test]
async fn a_performer_is_given_no_more_effects_at_a_time_than_its_limit() {
    struct Counting(Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<Semaphore>);
    impl Performer<Counter> for Counting {
        async fn perform(&self, _: EffectId, effect: String, _: u32) -> Performed<String> {
            let n = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            self.1.fetch_max(n, Ordering::SeqCst);
            self.2.acquire().await.expect("open").forget();
            self.0.fetch_sub(1, Ordering::SeqCst);
            Performed::Done(effect)
        }
    }
    let (running, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let steps = Arc::new(Semaphore::new(0));
    let performer = Counting(Arc::clone(&running), Arc::clone(&most), Arc::clone(&steps));
    let stage = stage(|it| it.performer::<Counter>(performer, 2)).await;
    let counters: Vec<_> =
        (0..6).map(|n| stage.host.actor::<Counter>(&format!("c{n}")).unwrap()).collect();
    for counter in &counters {
        soon(counter.create(None)).await.unwrap();
        soon(counter.call(Perform { what: "x".to_owned() })).await.unwrap();
    }
    until(async || running.load(Ordering::SeqCst) == 2).await;
    steps.add_permits(6);
    for counter in &counters {
        until(async || counter.state().await.unwrap().done == ["x"]).await;
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn paused_effects_wait_and_resumed_ones_are_performed() {
    let (stage, mut attempts) = scripted(4).await;
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(None)).await.unwrap();
    soon(stage.host.pause_effects()).await.unwrap();
    soon(counter.call(Perform { what: "boot".to_owned() })).await.unwrap();
    assert_eq!(soon(counter.debts()).await.unwrap().len(), 1);
    assert!(attempts.try_recv().is_err());
    soon(stage.host.resume_effects()).await.unwrap();
    next(&mut attempts).await.end.send(Performed::Done("booted".to_owned())).unwrap();
    until(async || counter.state().await.unwrap().done == ["booted"]).await;
}

#[tokio::test]
async fn a_destroy_waits_for_its_releases_and_an_operator_can_retry_or_abandon_them() {
    let (stage, mut attempts) = scripted(4).await;
    let mut events = stage.host.subscribe();
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(Some("delete the machine".to_owned()))).await.unwrap();
    soon(counter.destroy_later("too old")).await.unwrap();
    let attempt = next(&mut attempts).await;
    assert_eq!(attempt.effect, "delete the machine");
    attempt.end.send(Performed::Permanent(failure())).unwrap();
    until(async || counter.debts().await.unwrap().iter().any(|(_, debt)| debt.failures == 1)).await;
    assert_eq!(soon(counter.row()).await.unwrap().status, "destroying");
    let operator = stage.host.any(counter.id().clone()).by("olga");
    soon(operator.retry()).await.unwrap();
    let again = next(&mut attempts).await;
    assert_eq!(again.id, attempt.id);
    soon(operator.abandon(again.id.number, "the cloud lost it")).await.unwrap();
    soon(counter.destroy("wait for the end")).await.unwrap();
    let mut abandoned_by = None;
    while let Some(event) = events.take().unwrap() {
        if let What::Abandoned { by, .. } = &event.what {
            abandoned_by = Some(by.clone());
        }
    }
    assert_eq!(abandoned_by.as_deref(), Some("olga"));
}

#[tokio::test]
async fn without_a_performer_an_effect_stays_owed() {
    let stage = stage(|it| it).await;
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(None)).await.unwrap();
    soon(counter.call(Perform { what: "boot".to_owned() })).await.unwrap();
    stage.clock.advance(Duration::from_secs(600));
    assert_eq!(soon(counter.debts()).await.unwrap().len(), 1);
    assert_eq!(soon(stage.host.figures()).await.unwrap().debtors, 1);
}

/// A shard was open before the host knew where performers run: a debt that was due by then counted
/// as one that nobody performs, and was not looked at again until the next opening. Four shards on
/// threads of their own, opened often, met that nearly each time.
#[tokio::test]
async fn what_is_owed_when_a_host_opens_is_performed_by_that_host() {
    let store = Arc::<HeldStore>::default();
    for round in 0..10 {
        let stage = stage_on(Arc::clone(&store), |it| it.threads(4)).await;
        let counter = stage.host.actor::<Counter>(&format!("c{round}")).unwrap();
        soon(counter.create(None)).await.unwrap();
        soon(stage.host.pause_effects()).await.unwrap();
        soon(counter.call(Perform { what: "boot".to_owned() })).await.unwrap();
        soon(stage.host.close()).await.unwrap();
        let (attempts, mut receiver) = unbounded_channel();
        let performer = Scripted { attempts };
        let of = |it: sexton::Builder| it.threads(4).performer::<Counter>(performer, 4);
        let stage = stage_on(Arc::clone(&store), of).await;
        let attempt = next(&mut receiver).await;
        assert_eq!(attempt.id.actor.id, *counter.id());
        attempt.end.send(Performed::Done("booted".to_owned())).unwrap();
        let counter = stage.host.actor::<Counter>(counter.id().name()).unwrap();
        until(async || counter.debts().await.unwrap().is_empty()).await;
        soon(stage.host.close()).await.unwrap();
    }
}
