//! The output gate: nothing leaves before the flush, and the next turn does not wait for it.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton::{ErrorKind, Handler, Message, Refusal, Turn, query};

use crate::support::{Add, Counter, Read, begin, soon, stage, until};

/// Keeps its thread until it may go.
#[derive(Serialize, Deserialize)]
struct Stall;

static IS_STALLED: AtomicBool = AtomicBool::new(false);
static MAY_GO: AtomicBool = AtomicBool::new(false);

impl Message for Stall {
    const NAME: &'static str = "stall";
    type Reply = ();
}

impl Handler<Stall> for Counter {
    fn handle(&mut self, _stall: Stall, _turn: &mut Turn<Self>) -> Result<(), Refusal> {
        IS_STALLED.store(true, Ordering::Release);
        while !MAY_GO.load(Ordering::Acquire) {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_reply_waits_for_its_flush_while_the_next_turn_runs_on() {
    let stage = stage(|it| it).await;
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(None)).await.unwrap();
    let mut events = stage.host.subscribe();
    stage.store.hold();
    let first = begin(&counter, Add { n: 1 });
    let second = begin(&counter, Add { n: 1 });
    let read = begin(&counter, Read {});
    let count = || query::state::<Counter>(&**stage.host.store(), counter.id()).unwrap().unwrap();
    until(async || count().count == 2).await;
    until(async || stage.host.figures().await.unwrap().waiting == 3).await;
    // What the next read would say is visible in the store, and nothing was said.
    assert!(!first.is_finished() && !second.is_finished() && !read.is_finished());
    assert_eq!(events.take().unwrap(), None);
    stage.store.let_go();
    assert_eq!(soon(first).await.unwrap().unwrap(), 1);
    assert_eq!(soon(second).await.unwrap().unwrap(), 2);
    assert_eq!(soon(read).await.unwrap().unwrap(), 2);
    assert!(soon(events.next()).await.is_ok());
}

#[tokio::test]
async fn calls_that_come_during_a_flush_share_the_next_one() {
    let stage = stage(|it| it).await;
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(None)).await.unwrap();
    let before = soon(stage.host.figures()).await.unwrap();
    stage.store.hold();
    let calls: Vec<_> = (0..100).map(|_| begin(&counter, Add { n: 1 })).collect();
    until(async || stage.host.figures().await.unwrap().waiting == 100).await;
    stage.store.let_go();
    for call in calls {
        soon(call).await.unwrap().unwrap();
    }
    let after = soon(stage.host.figures()).await.unwrap();
    assert_eq!(after.commits - before.commits, 100);
    assert!(after.flushes - before.flushes <= 3, "{before:?} {after:?}");
}

#[tokio::test]
async fn after_a_failed_flush_waiting_calls_are_unconfirmed_and_later_ones_refused() {
    let stage = stage(|it| it).await;
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(None)).await.unwrap();
    stage.store.memory.fail_next_flush();
    let lost = soon(counter.call(Add { n: 1 })).await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Unconfirmed);
    let late = soon(counter.call(Add { n: 1 })).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Closed);
    assert_eq!(soon(counter.status()).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(soon(stage.host.figures()).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(soon(stage.host.close()).await.unwrap_err().kind(), ErrorKind::Closed);
}

/// Seen to wait for ever where nobody catches the panic of the committer's thread.
#[tokio::test]
async fn a_flush_that_panics_is_a_flush_that_failed() {
    let stage = stage(|it| it).await;
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(None)).await.unwrap();
    stage.store.is_falling.store(true, Ordering::Release);
    let lost = soon(counter.call(Add { n: 1 })).await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Unconfirmed);
    let late = soon(counter.call(Add { n: 1 })).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Closed);
    assert_eq!(soon(stage.host.close()).await.unwrap_err().kind(), ErrorKind::Closed);
}

/// What a caller's executor may do when it is told that it can go on.
struct Falls;

impl Wake for Falls {
    fn wake(self: Arc<Self>) {
        unreachable!("this waker falls");
    }
}

/// Seen to fail where `Release::leave` lets a panic through: the others were never answered, by the
/// committer's thread with a few callers, by the shard's with many.
#[tokio::test]
async fn a_caller_whose_waker_panics_harms_nobody_else() {
    let stage = stage(|it| it).await;
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(None)).await.unwrap();
    // The first addition is a transition, whose event only the shard's thread publishes.
    soon(counter.call(Add { n: 1 })).await.unwrap();
    for n_others in [1, 20] {
        stage.store.hold();
        let mut falling = pin!(counter.call(Add { n: 1 }));
        let waker = Waker::from(Arc::new(Falls));
        assert!(falling.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let others: Vec<_> = (0..n_others).map(|_| begin(&counter, Add { n: 1 })).collect();
        let waiting = n_others + 1;
        until(async || stage.host.figures().await.unwrap().waiting == waiting).await;
        stage.store.let_go();
        for other in others {
            assert!(soon(other).await.unwrap().is_ok());
        }
        assert!(soon(falling).await.is_ok(), "his answer was there all the same");
    }
    assert_eq!(soon(counter.call(Read {})).await.unwrap(), 24);
    soon(stage.host.close()).await.unwrap();
}

/// Seen to fail with a gate that only the shard's thread opens.
#[tokio::test]
async fn an_answer_that_is_durable_does_not_wait_for_the_thread_of_its_shard() {
    let stage = stage(|it| it).await;
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(None)).await.unwrap();
    // The first addition is a transition, whose event only the shard's thread publishes.
    soon(counter.call(Add { n: 1 })).await.unwrap();
    stage.store.hold();
    let durable_soon = begin(&counter, Add { n: 1 });
    // In another slice than what stalls: a flush is asked for at the end of each.
    until(async || stage.host.figures().await.unwrap().waiting == 1).await;
    soon(stage.host.figures()).await.unwrap();
    let stalled = begin(&counter, Stall);
    until(async || IS_STALLED.load(Ordering::Acquire)).await;
    stage.store.let_go();
    assert_eq!(soon(durable_soon).await.unwrap().unwrap(), 2);
    assert!(!stalled.is_finished());
    MAY_GO.store(true, Ordering::Release);
    soon(stalled).await.unwrap().unwrap();
}
