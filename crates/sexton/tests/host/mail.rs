//! Mail between shards of different threads: each letter is taken once.

use crate::support::{Counter, Read, SpreadTo, begin, soon, stage, until};

#[tokio::test]
async fn actors_on_several_threads_send_to_each_other_exactly_once() {
    const ACTORS: usize = 40;
    const ROUNDS: i64 = 5;
    let stage = stage(|it| it.threads(3)).await;
    let counters: Vec<_> =
        (0..ACTORS).map(|n| stage.host.actor::<Counter>(&format!("c{n}")).unwrap()).collect();
    for counter in &counters {
        soon(counter.create(None)).await.unwrap();
    }
    let whom: Vec<_> = counters.iter().map(|it| it.id().clone()).collect();
    let mut calls = Vec::new();
    for _ in 0..ROUNDS {
        calls.extend(counters.iter().map(|it| begin(it, SpreadTo { whom: whom.clone() })));
    }
    for call in calls {
        soon(call).await.unwrap().unwrap();
    }
    let expected = i64::try_from(ACTORS).unwrap() * ROUNDS;
    until(async || stage.host.figures().await.unwrap().mail == 0).await;
    for counter in &counters {
        until(async || counter.call(Read {}).await.unwrap() >= expected).await;
        assert_eq!(soon(counter.call(Read {})).await.unwrap(), expected);
    }
    soon(stage.host.close()).await.unwrap();
}
