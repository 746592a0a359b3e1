//! The output gate: nothing leaves before the flush, and the next turn does not wait for it.

use sexton::{ErrorKind, query};

use crate::support::{Add, Counter, Read, begin, soon, stage, until};

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
