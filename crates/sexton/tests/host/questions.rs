//! Questions through the front door: answered beside the shards, and a plan followed to the letter.

use sexton::explain::Standing;
use sexton::{ActorId, ErrorKind, Query};

use crate::support::{Add, AlarmAt, Counter, Perform, at, movable, soon, stage, until};

#[tokio::test]
async fn an_actor_is_explained_while_its_shard_waits_for_a_flush() {
    let stage = stage(|it| it).await;
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(None)).await.unwrap();
    soon(counter.call(AlarmAt { at: at(60_000) })).await.unwrap();
    soon(counter.call(Perform { what: "sing".to_owned() })).await.unwrap();
    // Nothing is flushed any more, and questions are answered all the same.
    stage.store.hold();
    let explanation = soon(movable(counter.explain(5))).await.unwrap();
    let text = explanation.to_string();
    let Standing::Living(living) = explanation.standing else { unreachable!("{text}") };
    assert_eq!(living.rings.first[0].rings_at, at(60_000));
    assert_eq!(living.debts.first[0].effect, "sing");
    assert_eq!(living.state.unwrap()["alarm_at"], 60_000);
    assert_eq!(living.awake.len(), 2, "{text}");
    let nobody = stage.host.any(ActorId::parse("tower/x").unwrap());
    assert_eq!(soon(nobody.explain(5)).await.unwrap().standing, Standing::Unknown);
    stage.store.let_go();
}

#[tokio::test]
async fn a_plan_is_followed_if_it_is_still_true_and_refused_if_it_is_not() {
    let stage = stage(|it| it).await;
    let (a, b) =
        (stage.host.actor::<Counter>("a").unwrap(), stage.host.actor::<Counter>("b").unwrap());
    soon(a.create(None)).await.unwrap();
    soon(b.create(None)).await.unwrap();
    let plan = soon(movable(a.plan_destroy())).await.unwrap();
    assert_eq!((plan.members.len(), plan.root.id.name()), (1, "a"));
    let other = soon(b.destroy_as_planned(plan.clone(), "wrong one")).await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Refused);
    assert!(other.to_string().contains("added: counter/b#1; gone: counter/a#1"), "{other}");
    assert_eq!(soon(b.call(Add { n: 1 })).await.unwrap(), 1, "it was not destroyed");
    soon(movable(a.by("ada").destroy_as_planned(plan.clone(), "reviewed"))).await.unwrap();
    let a = stage.host.actor::<Counter>("a").unwrap();
    let Standing::Buried(tombstone) = soon(a.explain(1)).await.unwrap().standing else {
        unreachable!("it was destroyed");
    };
    assert_eq!((tombstone.by.as_str(), tombstone.why.as_str()), ("ada", "reviewed"));
    assert_eq!(soon(a.plan_destroy()).await.unwrap_err().kind(), ErrorKind::Destroyed);
    soon(a.destroy_as_planned(plan, "again")).await.unwrap();
}

#[tokio::test]
async fn the_index_pages_and_counts() {
    let stage = stage(|it| it.threads(2)).await;
    for n in 0..7 {
        let counter = stage.host.actor::<Counter>(&format!("c{n}")).unwrap();
        soon(counter.create(None)).await.unwrap();
        if n < 3 {
            soon(counter.call(Add { n: 1 })).await.unwrap();
        }
    }
    let index = stage.host.index();
    let counts = soon(movable(index.count(Query::of("counter")))).await.unwrap();
    let counts: Vec<_> = counts.counts.iter().map(|it| (it.status.as_str(), it.rows)).collect();
    assert_eq!(counts, [("busy", 3), ("fresh", 4)]);
    let query = Query::of("counter").status("fresh").number("rings", 0).limit(3);
    let page = soon(movable(index.page(query.clone()))).await.unwrap();
    assert_eq!(page.rows.len(), 3);
    let rest = soon(index.page(query.after(page.next.unwrap()))).await.unwrap();
    assert_eq!((rest.rows.len(), rest.next), (1, None));
}

#[tokio::test]
async fn a_host_that_is_closed_answers_no_question() {
    let stage = stage(|it| it).await;
    let index = stage.host.index();
    let counter = stage.host.actor::<Counter>("a").unwrap();
    soon(counter.create(None)).await.unwrap();
    soon(movable(stage.host.close())).await.unwrap();
    assert_eq!(soon(index.count(Query::all())).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(soon(counter.explain(1)).await.unwrap_err().kind(), ErrorKind::Closed);
}

/// Broken once: the task took its end of the desk when it was first polled, so a host that was
/// dropped before that left whoever asked waiting for ever.
#[tokio::test]
async fn a_host_that_is_dropped_answers_no_question() {
    for _ in 0..40 {
        let stage = stage(|it| it).await;
        let index = stage.host.index();
        drop(stage.host);
        until(async || index.page(Query::all()).await.is_err()).await;
    }
}
