//! The end of a host, in good order or not, and what the next one finds.

use std::sync::Arc;

use sexton::{ErrorKind, Performed, query};

use crate::support::{
    Add, AlarmAt, Counter, Read, at, begin, fact, movable, soon, stage, stage_on, until,
};

#[tokio::test]
async fn close_answers_what_it_accepted_and_refuses_what_comes_later() {
    let stage = stage(|it| it.threads(2).mailbox_messages_max(50)).await;
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(None)).await.unwrap();
    stage.store.hold();
    let calls: Vec<_> = (0..50).map(|_| begin(&counter, Add { n: 1 })).collect();
    until(async || stage.host.figures().await.unwrap().waiting == 50).await;
    let host = stage.host.clone();
    let close = async {
        let (closed, ()) = tokio::join!(host.close(), async {
            until(async || {
                counter.call(Read {}).await.is_err_and(|e| e.kind() == ErrorKind::Closed)
            })
            .await;
            stage.store.let_go();
        });
        closed
    };
    soon(close).await.unwrap();
    for call in calls {
        soon(call).await.unwrap().unwrap();
    }
    let late = soon(counter.call(Add { n: 1 })).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Closed);
    assert_eq!(soon(stage.host.close()).await.unwrap_err().kind(), ErrorKind::Closed);
    let state = query::state::<Counter>(&*stage.store, counter.id()).unwrap().unwrap();
    assert_eq!(state.count, 50);
}

#[tokio::test]
async fn the_next_host_goes_on_after_close_and_after_being_dropped() {
    for is_closed in [true, false] {
        let first = stage(|it| it.threads(2)).await;
        let counter = first.host.actor::<Counter>("a").unwrap();
        soon(counter.create(None)).await.unwrap();
        soon(counter.call(Add { n: 7 })).await.unwrap();
        soon(counter.call(AlarmAt { at: at(3_000) })).await.unwrap();
        let store = Arc::clone(&first.store);
        if is_closed {
            soon(movable(first.host.close())).await.unwrap();
        }
        drop(first.host);
        // Another number of threads: shards and threads are independent.
        let next = stage_on(store, |it| it.threads(3)).await;
        let mut events = next.host.subscribe();
        let again = next.host.actor::<Counter>("a").unwrap();
        assert_eq!(soon(again.call(Read {})).await.unwrap(), 7);
        next.clock.set(at(3_000));
        assert_eq!(fact(&mut events, "rang").await.0, *again.id());
        // The handle of the first host is fenced off, whatever is left of that host.
        let late = soon(counter.call(Add { n: 1 })).await.unwrap_err();
        assert!(matches!(late.kind(), ErrorKind::Closed | ErrorKind::Unconfirmed), "{late:?}");
        assert_eq!(soon(again.call(Read {})).await.unwrap(), 7);
    }
}

#[tokio::test]
async fn a_host_that_is_dropped_during_a_flush_leaves_nobody_waiting() {
    let stage = stage(|it| it).await;
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(None)).await.unwrap();
    stage.store.hold();
    let call = begin(&counter, Add { n: 1 });
    until(async || stage.host.figures().await.unwrap().waiting == 1).await;
    drop(stage.host);
    let lost = soon(call).await.unwrap().unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Unconfirmed);
    stage.store.let_go();
}

#[tokio::test]
async fn a_host_that_is_fenced_off_says_closed() {
    let first = stage(|it| it).await;
    let counter = first.host.actor::<Counter>("a").unwrap();
    soon(counter.create(None)).await.unwrap();
    let second = stage_on(Arc::clone(&first.store), |it| it).await;
    let fenced = soon(counter.call(Add { n: 1 })).await.unwrap_err();
    assert_eq!(fenced.kind(), ErrorKind::Closed);
    let counter = second.host.actor::<Counter>("a").unwrap();
    assert_eq!(soon(counter.call(Add { n: 1 })).await.unwrap(), 1);
}

#[tokio::test]
async fn whoever_waits_for_a_tombstone_when_the_host_closes_is_told_that_it_is_not_known() {
    let stage = stage(|it| it.performer::<Counter>(Never, 1)).await;
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(Some("release".to_owned()))).await.unwrap();
    let (destroyed, closed) = tokio::join!(soon(counter.destroy("x")), async {
        until(async || !counter.debts().await.unwrap().is_empty()).await;
        soon(stage.host.close()).await
    });
    closed.unwrap();
    assert_eq!(destroyed.unwrap_err().kind(), ErrorKind::Unconfirmed);
}

struct Never;

impl sexton::Performer<Counter> for Never {
    async fn perform(&self, _: sexton::EffectId, _: String, _: u32) -> Performed<String> {
        std::future::pending().await
    }
}
