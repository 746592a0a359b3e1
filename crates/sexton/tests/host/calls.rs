//! Calls: birth, messages, queries, and every answer that is not the one hoped for.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use sexton::{CallError, Entry, ErrorKind, Host, IdError};
use sexton_store::MemoryStore;

use crate::support::{Add, Counter, Counting, Fall, HeldStore, Read, begin, kinds, soon, stage};

#[tokio::test]
async fn an_actor_is_created_called_read_and_destroyed() {
    let stage = stage(|it| it).await;
    let counter = stage.host.actor::<Counter>("a").unwrap();
    assert_eq!(soon(counter.create(None)).await.unwrap(), 1);
    assert_eq!(soon(counter.status()).await.unwrap(), Counting::Fresh);
    assert_eq!(soon(counter.call(Add { n: 5 })).await.unwrap(), 5);
    assert_eq!(soon(counter.call(Add { n: 2 })).await.unwrap(), 7);
    assert_eq!(soon(counter.status()).await.unwrap(), Counting::Busy);
    assert_eq!(soon(counter.state()).await.unwrap().count, 7);
    let row = soon(counter.row()).await.unwrap();
    assert_eq!((row.status.as_str(), row.record.number("rings")), ("busy", Some(0)));
    soon(counter.clone().by("an operator").destroy("no longer needed")).await.unwrap();
    let Some(Entry::Tombstone(tombstone)) = soon(counter.entry()).await.unwrap() else {
        panic!("there is no tombstone")
    };
    assert_eq!(
        (tombstone.why.as_str(), tombstone.by.as_str()),
        ("no longer needed", "an operator")
    );
    soon(counter.destroy("twice is once")).await.unwrap();
    soon(stage.host.close()).await.unwrap();
}

/// Broken once: with inputs taken from the back of the mailbox the replies come the other way round.
#[tokio::test]
async fn calls_run_in_the_order_in_which_they_are_first_polled() {
    let stage = stage(|it| it).await;
    let handles = [0, 1].map(|_| stage.host.actor::<Counter>("a").unwrap());
    soon(handles[0].create(None)).await.unwrap();
    let mut calls: Vec<_> = (0..100).map(|n| Box::pin(handles[n % 2].call(Add { n: 1 }))).collect();
    let mut nobody = Context::from_waker(Waker::noop());
    // The last that was made is the first to be polled. Some are answered at once.
    let first: Vec<_> =
        calls.iter_mut().rev().map(|call| call.as_mut().poll(&mut nobody)).collect();
    for (n, (call, first)) in calls.into_iter().rev().zip(first).enumerate() {
        let result = match first {
            Poll::Ready(result) => result,
            Poll::Pending => soon(call).await,
        };
        assert_eq!(result.unwrap(), i64::try_from(n).unwrap() + 1);
    }
}

#[tokio::test]
async fn names_without_a_life_answer_with_their_kind_of_error() {
    let stage = stage(|it| it).await;
    let counter = stage.host.actor::<Counter>("a").unwrap();
    let nobody = soon(counter.call(Add { n: 1 })).await.unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::NotFound);
    assert_eq!(soon(counter.status()).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(soon(counter.destroy("x")).await.unwrap_err().kind(), ErrorKind::NotFound);
    soon(counter.create(None)).await.unwrap();
    assert_eq!(soon(counter.create(None)).await.unwrap_err().kind(), ErrorKind::Exists);
    soon(counter.destroy("x")).await.unwrap();
    assert_eq!(soon(counter.create(None)).await.unwrap_err().kind(), ErrorKind::Destroyed);
    let late = soon(counter.call(Add { n: 1 })).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Destroyed);
    assert_eq!(soon(counter.row()).await.unwrap_err().kind(), ErrorKind::Destroyed);
    let unnamed = stage.host.actor::<Counter>("").unwrap_err();
    assert_eq!(unnamed.kind(), ErrorKind::Refused);
    assert!(std::error::Error::source(&unnamed).unwrap().is::<IdError>());
}

#[tokio::test]
async fn a_handler_that_refuses_or_panics_costs_its_turn_only() {
    let stage = stage(|it| it).await;
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(None)).await.unwrap();
    soon(counter.call(Add { n: 3 })).await.unwrap();
    for is_hard in [false, true] {
        let error = soon(counter.call(Fall { is_hard })).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert_eq!(soon(counter.call(Read {})).await.unwrap(), 3);
    }
}

#[tokio::test]
async fn a_full_mailbox_hands_the_message_back_at_once() {
    let stage = stage(|it| it.mailbox_messages_max(2)).await;
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(None)).await.unwrap();
    stage.store.hold();
    let calls: Vec<_> = (1..=2).map(|n| begin(&counter, Add { n })).collect();
    soon(async {
        while stage.host.figures().await.unwrap().waiting < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let refused = soon(counter.call(Add { n: 42 })).await;
    let Err(CallError::Busy(message)) = refused else { panic!("{refused:?}") };
    assert_eq!(message, Add { n: 42 });
    let refused = soon(counter.create(Some("mine".to_owned()))).await;
    assert!(matches!(refused, Err(CallError::Busy(Some(mine))) if mine == "mine"));
    assert_eq!(soon(counter.retry()).await.unwrap_err().kind(), ErrorKind::Busy);
    stage.store.let_go();
    for call in calls {
        soon(call).await.unwrap().unwrap();
    }
    assert_eq!(soon(counter.call(message)).await.unwrap(), 45);
}

#[test]
fn a_host_runs_inside_an_actix_system_and_beside_another_host() {
    actix::System::new().block_on(async {
        let open = || Host::builder(kinds).store(Arc::new(MemoryStore::new())).threads(2).open();
        let (one, two) = (open().await.unwrap(), open().await.unwrap());
        for (host, n) in [(&one, 1), (&two, 2)] {
            let counter = host.actor::<Counter>("a").unwrap();
            counter.create(None).await.unwrap();
            assert_eq!(counter.call(Add { n }).await.unwrap(), n);
        }
        one.close().await.unwrap();
        two.close().await.unwrap();
    });
}

#[tokio::test]
async fn a_host_without_a_store_or_a_thread_is_refused() {
    let nowhere = Host::builder(kinds).open().await.unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::Refused);
    let store = Arc::new(HeldStore::default());
    let idle = Host::builder(kinds).store(store).threads(0).open().await.unwrap_err();
    assert_eq!(idle.kind(), ErrorKind::Refused);
}
