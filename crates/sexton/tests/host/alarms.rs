//! Alarms: never early, never lost, and many at once do not block calls.

use std::sync::Arc;
use std::time::Duration;

use sexton::clock::WallClock;

use crate::support::{Add, AlarmAt, Counter, Now, at, begin, fact, soon, stage, until};

#[tokio::test]
async fn an_alarm_rings_when_the_clock_says_so_and_not_before() {
    let stage = stage(|it| it).await;
    let mut events = stage.host.subscribe();
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(None)).await.unwrap();
    soon(counter.call(AlarmAt { at: at(61_000) })).await.unwrap();
    stage.clock.set(at(60_999));
    // The turn of this call runs after whatever the clock made due.
    assert_eq!(soon(counter.call(Add { n: 1 })).await.unwrap(), 1);
    assert_eq!(soon(counter.state()).await.unwrap().rings, 0);
    stage.clock.set(at(61_000));
    assert_eq!(fact(&mut events, "rang").await, (counter.id().clone(), "61000".to_owned()));
    assert_eq!(soon(counter.state()).await.unwrap().alarm_at, None);
}

#[tokio::test]
async fn a_clock_that_jumps_neither_loses_an_alarm_nor_rings_one_early() {
    let stage = stage(|it| it).await;
    let mut events = stage.host.subscribe();
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(None)).await.unwrap();
    soon(counter.call(AlarmAt { at: at(50_000) })).await.unwrap();
    stage.clock.set(at(-3_600_000));
    soon(counter.call(Add { n: 1 })).await.unwrap();
    stage.clock.set(at(49_999));
    soon(counter.call(Add { n: 1 })).await.unwrap();
    assert_eq!(soon(counter.state()).await.unwrap().rings, 0);
    let years = Duration::from_secs(3 * 366 * 24 * 60 * 60);
    stage.clock.advance(years);
    assert_eq!(fact(&mut events, "rang").await.0, *counter.id());
    // Back again: what is set by the earlier time rings by the earlier time.
    stage.clock.set(at(60_000));
    soon(counter.call(AlarmAt { at: at(70_000) })).await.unwrap();
    soon(counter.call(Add { n: 1 })).await.unwrap();
    assert_eq!(soon(counter.state()).await.unwrap().rings, 1);
    stage.clock.set(at(70_000));
    assert_eq!(fact(&mut events, "rang").await.1, "70000");
}

#[tokio::test]
async fn on_the_machines_own_clock_an_alarm_rings_without_any_request() {
    let stage = stage(|it| it.clock(Arc::new(WallClock)).threads(2)).await;
    let mut events = stage.host.subscribe();
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(None)).await.unwrap();
    let due = soon(counter.call(Now {})).await.unwrap() + Duration::from_millis(60);
    soon(counter.call(AlarmAt { at: due })).await.unwrap();
    let (_, rang_at) = fact(&mut events, "rang").await;
    assert!(rang_at.parse::<i64>().unwrap() >= due.as_millis());
}

#[tokio::test]
async fn calls_are_answered_while_ten_thousand_alarms_are_due_at_once() {
    const ALARMS: usize = 10_000;
    let stage = stage(|it| it.events_max(4 * ALARMS)).await;
    let caller = stage.host.actor::<Counter>("caller").unwrap();
    soon(caller.create(None)).await.unwrap();
    let sleepers: Vec<_> =
        (0..ALARMS).map(|n| stage.host.actor::<Counter>(&format!("s{n}")).unwrap()).collect();
    for some in sleepers.chunks(1_000) {
        for sleeper in some {
            soon(sleeper.create(None)).await.unwrap();
        }
        let calls: Vec<_> = some.iter().map(|it| begin(it, AlarmAt { at: at(5_000) })).collect();
        for call in calls {
            soon(call).await.unwrap().unwrap();
        }
    }
    let mut events = stage.host.subscribe();
    stage.clock.set(at(5_000));
    let mut answers = 0;
    let mut rung = 0;
    while rung < ALARMS {
        assert_eq!(soon(caller.call(Add { n: 1 })).await.unwrap(), answers + 1);
        answers += 1;
        while let Some(event) = events.take().unwrap() {
            rung += usize::from(event.actor != *caller.id());
        }
    }
    assert!(answers > 10, "only {answers} calls were answered meanwhile");
    assert_eq!(rung, ALARMS);
}

#[tokio::test]
async fn paused_alarms_are_late_and_not_lost() {
    let stage = stage(|it| it).await;
    let mut events = stage.host.subscribe();
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(None)).await.unwrap();
    soon(counter.call(AlarmAt { at: at(2_000) })).await.unwrap();
    soon(stage.host.pause_alarms()).await.unwrap();
    stage.clock.set(at(9_000));
    for n in 1..=3 {
        assert_eq!(soon(counter.call(Add { n: 1 })).await.unwrap(), n);
    }
    assert_eq!(soon(counter.state()).await.unwrap().rings, 0);
    soon(stage.host.resume_alarms()).await.unwrap();
    assert_eq!(fact(&mut events, "rang").await.1, "9000");
}

#[tokio::test]
async fn an_idle_actor_is_evicted_and_comes_back_with_its_state() {
    let stage = stage(|it| it.idle_after(Duration::from_secs(60))).await;
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(None)).await.unwrap();
    soon(counter.call(Add { n: 4 })).await.unwrap();
    assert_eq!(soon(stage.host.figures()).await.unwrap().live, 1);
    stage.clock.advance(Duration::from_secs(61));
    until(async || stage.host.figures().await.unwrap().live == 0).await;
    assert_eq!(soon(counter.call(Add { n: 1 })).await.unwrap(), 5);
    assert_eq!(soon(stage.host.figures()).await.unwrap().live, 1);
}
