//! An agent that was killed: what it made goes on, and the next one finds it.

use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sexton_agent::clock::rest;
use sexton_agent::files;
use sexton_agent::process::Process;

use super::support::{Agent, Place, n_running, process_of, until};

/// Kills the agent, bends the record of `w-1`, and starts another one.
async fn again(place: &Place, agent: &mut Agent, bend: impl FnOnce(&mut Value)) -> Agent {
    agent.kill();
    let path = place.root().join("records/w-1.json");
    let mut record: Value = files::read_json(&path).expect("it can").expect("it can");
    bend(&mut record);
    files::write_json(&path, &record).expect("it can");
    place.agent().await
}

#[tokio::test]
async fn a_workspace_outlives_its_agent_and_is_ended_by_the_next_one() {
    let place = Place::new();
    let mut agent = place.agent().await;
    let (_, view) = agent.put(&place, "w-1", "sleep 600 & wait").await;
    let process = process_of(&view);
    let agent = again(&place, &mut agent, |_| {}).await;
    assert!(process.is_alive());
    assert_eq!(agent.list(&place).await, json!([view]));
    let (status, same) = agent.put(&place, "w-1", "sleep 600 & wait").await;
    assert_eq!((status, &same["pid"]), (200, &view["pid"]));
    assert_eq!(agent.delete(&place, "w-1").await, 204);
    assert!(!process.is_alive());
    assert_eq!(n_running(&place.root().join("workspaces")), 0);
}

/// A stranger that is ended with its test.
struct Stranger(std::process::Child);

impl Drop for Stranger {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn a_number_that_was_given_to_somebody_else_is_never_killed() {
    let place = Place::new();
    let mut agent = place.agent().await;
    let (_, view) = agent.put(&place, "w-1", "sleep 600").await;
    let process = process_of(&view);
    // The system's clock for this ticks a hundred times a second, and no number comes back so soon.
    rest(Duration::from_millis(30)).await;
    let stranger = Stranger(Command::new("sleep").arg("600").spawn().unwrap());
    let other = Process::of(stranger.0.id()).unwrap();
    let bend = |record: &mut Value| record["process"]["pid"] = json!(other.pid);
    let agent = again(&place, &mut agent, bend).await;
    assert_eq!(agent.list(&place).await[0]["doing"], json!("ended"), "not the one we started");
    assert_eq!(agent.delete(&place, "w-1").await, 204);
    assert!(other.is_alive(), "the stranger is somebody else's");
    assert!(!process.is_alive(), "found by its mark");
}

/// The agent was killed between the start of a process and the note of it.
#[tokio::test]
async fn a_process_that_nobody_wrote_down_is_not_doubled() {
    let place = Place::new();
    let mut agent = place.agent().await;
    let (_, view) = agent.put(&place, "w-1", "exec sleep 600").await;
    let process = process_of(&view);
    let agent = again(&place, &mut agent, |record| record["process"] = Value::Null).await;
    let (status, view) = agent.put(&place, "w-1", "exec sleep 600").await;
    assert_eq!(status, 201, "{view}");
    assert!(!process.is_alive());
    assert_eq!(n_running(&place.root().join("workspaces")), 1);
}

/// What sleeps was in the session of its agent. The system ends or wakes a group that is halted
/// when the last one of its session is gone who could wake it: so with its agent every workspace
/// went that was asleep.
#[tokio::test]
async fn a_workspace_that_sleeps_sleeps_on_when_its_agent_is_killed() {
    let place = Place::new();
    let mut agent = place.agent().await;
    let (_, view) = agent.put(&place, "w-1", "exec sleep 600").await;
    let process = process_of(&view);
    let is_halted = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid));
        stat.is_ok_and(|stat| stat.contains(") T "))
    };
    let token = place.token(Some("w-1"));
    let path = "/workspaces/w-1/sleep";
    assert_eq!(agent.call((Method::POST, path), Some(&token), None).await.0, 200);
    until("it is halted", async || is_halted()).await;
    let agent = again(&place, &mut agent, |_| {}).await;
    assert_eq!(agent.list(&place).await[0]["doing"], json!("asleep"));
    assert!(process.is_alive() && is_halted(), "its own session, its own end");
    let path = "/workspaces/w-1/wake";
    assert_eq!(agent.call((Method::POST, path), Some(&token), None).await.0, 200);
    until("it goes on", async || process.is_alive() && !is_halted()).await;
}

#[tokio::test]
async fn one_agent_at_a_time_works_in_a_directory() {
    let place = Place::new();
    let mut agent = place.agent().await;
    let second = place.command().output().unwrap();
    assert!(!second.status.success());
    let text = String::from_utf8(second.stderr).unwrap();
    assert!(text.contains("sexton-agent: another agent runs in "), "{text}");
    agent.kill();
    let third = place.agent().await;
    assert_eq!(third.list(&place).await, json!([]));
}
