//! A run that ends by itself ends its session and its task, as it ended.
//!
//! Agents told nobody: a task on real processes went on until one of its bounds, for hours.

use rustix::process::Signal;
use serde_json::{Value, json};
use sexton::{Entry, Tombstone};
use sexton_agent::process::{SESSION_MARK, members_below};
use sexton_fleet::placement::Wish;
use sexton_fleet::{
    Owner, Session, StartTask, TaskRunner, TaskSession, TaskSpec, TaskStatus, Tenure,
};

use super::fleet::end_node;
use super::support::{Ground, Plane, caller, kill, until};

async fn start(plane: &Plane, name: &str) {
    let place = Wish::on("n-1");
    let spec = TaskSpec { tenure: Tenure::Managed, place, session: TaskSession::Wanted };
    let start = StartTask { caller: caller(), name: name.to_owned(), spec };
    plane.actor::<Owner>("alice").call(start).await.expect("he may");
}

async fn end_of(plane: &Plane, task: &str) -> Tombstone {
    plane.until_buried::<TaskRunner>(task).await;
    match plane.actor::<TaskRunner>(task).entry().await.expect("it answers") {
        Some(Entry::Tombstone(tombstone)) => tombstone,
        other => unreachable!("it has its tombstone, and not {other:?}"),
    }
}

#[tokio::test]
async fn a_task_ends_as_the_process_of_its_session_does() {
    for (script, status, why) in
        [("exit 0", "completed", "completed"), ("exit 3", "failed", "failed: exit 3")]
    {
        let ground = Ground::with_sessions(script);
        let plane = ground.plane().await;
        plane.found().await;
        plane.node("n-1").await;
        start(&plane, "t-1").await;
        let end = end_of(&plane, "t-1").await;
        assert_eq!((end.status.as_str(), end.why.as_str()), (status, why));
        end_node(&plane, "n-1").await;
        ground.check_empty();
    }
}

/// Nobody saw how it ended, so the task is not failed for it: it is tried again.
#[tokio::test]
async fn a_run_that_ended_while_no_agent_looked_is_lost_and_its_task_tries_again() {
    let script = "[ -e ../../go ] || { touch ../../go; exec sleep 600; }";
    let ground = Ground::with_sessions(script);
    let plane = ground.plane().await;
    plane.found().await;
    plane.node("n-1").await;
    let machine = plane.machine(&ground, "n-1").await;
    start(&plane, "t-1").await;
    let task = plane.actor::<TaskRunner>("t-1");
    let runs = async || task.status().await.ok() == Some(TaskStatus::InProgress);
    until("it runs", async || machine.join("disk/go").exists() && runs().await).await;
    kill(&Ground::agent(&machine));
    // What is in its workspace besides goes on.
    for process in members_below(SESSION_MARK, &ground.root()).expect("they can be listed") {
        kill(&process);
    }
    plane.machine(&ground, "n-1").await;
    let end = end_of(&plane, "t-1").await;
    assert_eq!(end.status, "completed", "by the second attempt: {end:?}");
    plane.until_buried::<Session>("t-1~w1~s").await;
    match plane.actor::<Session>("t-1~w1~s").entry().await.unwrap() {
        Some(Entry::Tombstone(first)) => assert_eq!(first.status, "lost"),
        other => unreachable!("it has its tombstone, and not {other:?}"),
    }
    end_node(&plane, "n-1").await;
    ground.check_empty();
}

#[tokio::test]
async fn an_agent_ends_no_session_of_another_node() {
    let ground = Ground::new();
    let plane = ground.plane().await;
    plane.found().await;
    plane.node("n-1").await;
    plane.node("n-2").await;
    start(&plane, "t-1").await;
    let session = plane.actor::<Session>("t-1~w1~s");
    until("it is there", async || session.status().await.is_ok()).await;
    // Its own agent must not say otherwise meanwhile.
    Ground::agent(&plane.machine(&ground, "n-1").await).signal(Signal::STOP).unwrap();
    let call = async |node: &str, body: Value| {
        let url = format!("{}/nodes/{node}/ended", ground.local("x").callbacks.unwrap());
        let token = ground.platform.for_callbacks((node, 1)).unwrap();
        let request = reqwest::Client::new().post(url).bearer_auth(token).json(&body);
        request.send().await.unwrap().status().as_u16()
    };
    let ended = |name: &str| {
        let about = json!({ "name": name, "epoch": 1 });
        json!({ "epoch": 1, "about": about, "end": { "exited": 0 } })
    };
    assert_eq!(call("n-2", ended("t-1~w1~s")).await, 403);
    assert_eq!(call("n-1", json!({ "epoch": 1 })).await, 422);
    assert_eq!(call("n-1", ended("nobody")).await, 404);
    assert!(session.status().await.is_ok());
    assert_eq!(call("n-1", ended("t-1~w1~s")).await, 204);
    assert_eq!(end_of(&plane, "t-1").await.status, "completed");
    Ground::agent(&plane.machine(&ground, "n-1").await).signal(Signal::CONT).unwrap();
    end_node(&plane, "n-1").await;
    end_node(&plane, "n-2").await;
    ground.check_empty();
}
