//! Sweeps: at their time, within their limit, and only when they are not paused.

use std::sync::Arc;
use std::time::Duration;

use sexton::sweep::{Look, Plan, Sweep};
use sexton::{Error, ErrorKind, Host, Letter, Refusal, RowView};
use sexton_store::MemoryStore;

use crate::support::{Add, Counter, Stage, kinds, soon, stage, until};

/// Adds one to every fresh counter.
struct Freshen;

impl Sweep for Freshen {
    fn name(&self) -> &'static str {
        "freshen"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn limit(&self) -> usize {
        2
    }

    fn scope(&self) -> &[(&'static str, &'static str)] {
        &[("counter", "fresh")]
    }

    fn select(&self, _row: &RowView, _look: &Look<'_>) -> Result<Option<String>, Error> {
        Ok(Some("it is fresh".to_owned()))
    }

    fn ask(&self, row: &RowView, _why: &str) -> Result<Letter, Refusal> {
        Letter::new::<Counter, Add>(&row.id, &Add { n: 1 })
    }
}

/// Panics at every row.
struct Broken;

impl Sweep for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn limit(&self) -> usize {
        1
    }

    fn scope(&self) -> &[(&'static str, &'static str)] {
        &[("counter", "fresh")]
    }

    fn select(&self, row: &RowView, _look: &Look<'_>) -> Result<Option<String>, Error> {
        assert!(row.status.is_empty(), "cannot look at {}", row.id);
        Ok(None)
    }

    fn ask(&self, _row: &RowView, _why: &str) -> Result<Letter, Refusal> {
        Err(Refusal::new("never"))
    }
}

async fn fresh(stage: &Stage) -> usize {
    let mut n_fresh = 0;
    for name in ["a", "b", "c"] {
        let counter = stage.host.actor::<Counter>(name).expect("a name");
        n_fresh += usize::from(soon(counter.state()).await.expect("alive").count == 0);
    }
    n_fresh
}

#[tokio::test]
async fn a_sweep_passes_at_its_time_within_its_limit_and_can_be_planned_and_paused() {
    let stage = stage(|it| it.sweep(|| Box::new(Freshen)).sweep(|| Box::new(Broken))).await;
    let passes = async || {
        let sweeper = stage.host.actor::<sexton::sweep::Sweeper>("freshen").unwrap();
        sweeper.state().await.map_or(0, |it| it.passes)
    };
    until(async || passes().await == 1).await;
    soon(stage.host.pause_sweeps()).await.unwrap();
    for name in ["a", "b", "c"] {
        soon(stage.host.actor::<Counter>(name).unwrap().create(None)).await.unwrap();
    }
    let plan = soon(stage.host.plan_sweep("freshen")).await.unwrap();
    assert_eq!((plan.asks.len(), fresh(&stage).await), (2, 3));
    let broken = soon(stage.host.plan_sweep("broken")).await.unwrap_err();
    assert_eq!(broken.kind(), ErrorKind::Refused);
    let early = soon(stage.host.sweep_now("freshen")).await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::Refused);
    let unknown = soon(stage.host.sweep_now("unknown")).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);

    stage.clock.advance(Duration::from_secs(1));
    let one = Plan { asks: plan.asks[..1].to_vec(), ..plan.clone() };
    soon(stage.host.apply_sweep("freshen", one)).await.unwrap();
    until(async || fresh(&stage).await == 2).await;

    stage.clock.advance(Duration::from_secs(59));
    assert_eq!(soon(stage.host.plan_sweep("freshen")).await.unwrap().asks.len(), 2);
    assert_eq!(passes().await, 1);
    soon(stage.host.resume_sweeps()).await.unwrap();
    until(async || passes().await == 2).await;
    until(async || fresh(&stage).await == 0).await;
}

/// Looks for counters of a status that there is not.
struct Mistyped;

impl Sweep for Mistyped {
    fn name(&self) -> &'static str {
        "mistyped"
    }

    fn limit(&self) -> usize {
        1
    }

    fn scope(&self) -> &[(&'static str, &'static str)] {
        &[("counter", "frehs")]
    }

    fn select(&self, _row: &RowView, _look: &Look<'_>) -> Result<Option<String>, Error> {
        Ok(None)
    }

    fn ask(&self, _row: &RowView, _why: &str) -> Result<Letter, Refusal> {
        Err(Refusal::new("never"))
    }
}

#[tokio::test]
async fn a_sweep_of_a_status_that_there_is_not_is_refused_when_the_host_is_opened() {
    let builder = Host::builder(kinds).store(Arc::new(MemoryStore::new()));
    let error = soon(builder.sweep(|| Box::new(Mistyped)).open()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("the status frehs of counter; known are fresh"), "{error}");
}
