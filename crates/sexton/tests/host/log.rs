//! The log: followed from a cursor, over restarts, durable events only, in order per actor.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use sexton::log::EVENTS_PER_PAGE;
use sexton::{ActorId, Cursor, ErrorKind, Event, What};

use crate::support::{AlarmAt, Counter, HeldStore, at, begin, soon, stage, stage_on, until};

/// Checks that events are those of whole lives, each in its order, and counts them.
fn in_order(lives: &mut BTreeMap<ActorId, u64>, events: &[(Cursor, Event)]) -> usize {
    for (cursor, event) in events {
        let last = lives.entry(event.actor.clone()).or_default();
        assert_eq!(event.number, *last + 1, "{} at {cursor}", event.actor);
        *last = event.number;
    }
    events.len()
}

#[tokio::test]
async fn a_follower_is_told_what_is_durable_and_nothing_else() {
    let stage = stage(|it| it).await;
    let counter = stage.host.actor::<Counter>("a").unwrap();
    let mut follower = stage.host.log().follow(Cursor::BEGINNING);
    stage.store.hold();
    let created = {
        let counter = counter.clone();
        async move { counter.create(None).await }
    };
    let mut created = Box::pin(created);
    let mut asleep = Context::from_waker(Waker::noop());
    assert!(created.as_mut().poll(&mut asleep).is_pending());
    until(async || stage.host.log().bounds().unwrap().end == Cursor(1)).await;
    assert!(stage.host.log().read(Cursor::BEGINNING, 9).unwrap().is_empty());
    {
        // Waits, and is cancelled: nothing is lost by that.
        let mut next = Box::pin(follower.next());
        assert!(matches!(next.as_mut().poll(&mut asleep), Poll::Pending));
    }
    assert_eq!(follower.cursor(), Cursor::BEGINNING);
    stage.store.let_go();
    let events = soon(follower.next()).await.unwrap();
    assert_eq!(events.len(), 1);
    assert!(matches!(events[0].1.what, What::Created { .. }));
    assert_eq!((events[0].0, follower.cursor()), (Cursor(1), Cursor(1)));
    soon(created).await.unwrap();
}

#[tokio::test]
async fn a_follower_goes_on_over_restarts_of_the_host() {
    let store: Arc<HeldStore> = Arc::default();
    let (mut lives, mut kept, mut n_events) = (BTreeMap::new(), Cursor::BEGINNING, 0);
    for round in 0..3 {
        let stage = stage_on(Arc::clone(&store), |it| it.threads(3)).await;
        let mut follower = stage.host.log().follow(kept);
        for number in 0..20 {
            let name = format!("{round}-{number}");
            let counter = stage.host.actor::<Counter>(&name).unwrap();
            soon(counter.create(None)).await.unwrap();
            soon(begin(&counter, AlarmAt { at: at(500) })).await.unwrap().unwrap();
            soon(counter.destroy("enough")).await.unwrap();
        }
        let end = stage.host.log().bounds().unwrap().durable;
        // The last round is read to its end, the others are left in the middle.
        let until = if round == 2 { end } else { Cursor(end.0 - 7) };
        while kept < until {
            let mut events = soon(follower.next()).await.unwrap();
            events.retain(|(cursor, _)| *cursor <= until);
            kept = events.last().unwrap().0;
            n_events += in_order(&mut lives, &events);
        }
        soon(stage.host.close()).await.unwrap();
    }
    assert_eq!((lives.len(), u64::try_from(n_events).unwrap()), (60, kept.0));
}

#[tokio::test]
async fn when_the_host_is_closed_a_follower_gets_the_rest_and_then_the_end() {
    let stage = stage(|it| it).await;
    for number in 0..=EVENTS_PER_PAGE {
        let counter = stage.host.actor::<Counter>(&number.to_string()).unwrap();
        soon(counter.create(None)).await.unwrap();
    }
    let mut follower = stage.host.log().follow(Cursor::BEGINNING);
    soon(stage.host.close()).await.unwrap();
    assert_eq!(soon(follower.next()).await.unwrap().len(), EVENTS_PER_PAGE);
    assert_eq!(soon(follower.next()).await.unwrap().len(), 1);
    assert_eq!(soon(follower.next()).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(soon(follower.next()).await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_follower_that_waits_hears_of_the_end_and_of_a_store_that_failed() {
    for is_failing in [false, true] {
        let stage = stage(|it| it).await;
        let mut follower = stage.host.log().follow(Cursor::BEGINNING);
        let mut next = Box::pin(follower.next());
        assert!(next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        if is_failing {
            stage.store.memory.fail_next_flush();
            let counter = stage.host.actor::<Counter>("a").unwrap();
            assert_eq!(
                soon(counter.create(None)).await.unwrap_err().kind(),
                ErrorKind::Unconfirmed
            );
        } else {
            soon(stage.host.close()).await.unwrap();
        }
        assert_eq!(soon(next).await.unwrap_err().kind(), ErrorKind::Closed);
    }
}

#[tokio::test]
async fn who_reads_what_was_trimmed_is_told_where_the_log_begins() {
    let stage = stage(|it| it).await;
    for name in ["a", "b", "c"] {
        soon(stage.host.actor::<Counter>(name).unwrap().create(None)).await.unwrap();
    }
    let log = stage.host.log();
    assert_eq!(log.trim(Cursor(4)).unwrap_err().kind(), ErrorKind::Refused);
    log.trim(Cursor(2)).unwrap();
    let error = soon(log.follow(Cursor(1)).next()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().starts_with("the log begins behind cursor 2 now"), "{error}");
    assert_eq!(log.bounds().unwrap().begin, Cursor(2));
    assert_eq!(soon(log.follow(Cursor(2)).next()).await.unwrap()[0].0, Cursor(3));
}
