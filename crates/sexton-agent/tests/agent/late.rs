//! Calls that were given up by whoever made them, and are read after what came behind them.

use std::io::{Read, Write};
use std::net::TcpStream;

use reqwest::Method;
use serde_json::{Value, json};
use sexton_agent::clock::now_s;
use sexton_agent::files;
use sexton_agent::wire::{Code, Order};
use sexton_agent::workspaces::{Call, Workspaces};

use super::support::{Agent, Place, n_running, process_of, until};

/// One call of an effect of `w-1`.
async fn call(
    agent: &Agent,
    place: &Place,
    of: (Method, &str, u64),
    body: Option<Value>,
) -> (u16, Value) {
    let (method, rest, effect) = of;
    let path = format!("/workspaces/w-1{rest}");
    agent.call((method, &path), Some(&place.token_of(Some(("w-1", effect)))), body).await
}

fn order(run: u32) -> Value {
    json!({ "run": run, "command": ["sh", "-c", "exec sleep 600"] })
}

/// A call that got so far that its token was read, and the half of it that is under way still.
struct Half {
    stream: TcpStream,
    rest: String,
}

impl Half {
    fn of(agent: &Agent, token: &str, path: &str, body: &str) -> Self {
        let (first, rest) = body.split_at(body.len() / 2);
        let head = format!(
            "PUT {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: {}",
            body.len()
        );
        Self { stream: agent.sent(&format!("{head}\r\n\r\n{first}")), rest: rest.to_owned() }
    }

    /// What the agent says when the other half came.
    fn go_on(mut self) -> String {
        self.stream.write_all(self.rest.as_bytes()).expect("it is taken");
        let mut answer = [0; 4_096];
        let n_read = self.stream.read(&mut answer).expect("it is answered");
        String::from_utf8_lossy(&answer[..n_read]).into_owned()
    }
}

/// As it was found by chaos around the example: the first attempt of a making lay in a socket while
/// its agent was halted; the second was done, and so was the deletion; then the first one was
/// read, and made again what had its tombstone. Seen to fail without `Tombstones::refuse`.
#[tokio::test]
async fn a_making_that_arrives_behind_the_deletion_makes_nothing() {
    let place = Place::new();
    let mut agent = place.agent().await;
    let body = order(1).to_string();
    let token = place.token_of(Some(("w-1", 1)));
    let late = Half::of(&agent, &token, "/workspaces/w-1", &body);
    assert_eq!(call(&agent, &place, (Method::PUT, "", 1), Some(order(1))).await.0, 201);
    assert_eq!(call(&agent, &place, (Method::DELETE, "", 2), None).await.0, 204);
    let answer = late.go_on();
    assert!(answer.starts_with("HTTP/1.1 410 ") && answer.contains("gone"), "{answer}");
    // Also of an id of which nothing was ever there, and by an agent that knows it from its files.
    let other = place.token_of(Some(("w-2", 1)));
    assert_eq!(agent.delete(&place, "w-2").await, 204);
    agent.kill();
    let agent = place.agent().await;
    let (status, problem) = call(&agent, &place, (Method::PUT, "", 1), Some(order(1))).await;
    assert_eq!((status, &problem["code"]), (410, &json!("gone")));
    let made = agent.call((Method::PUT, "/workspaces/w-2"), Some(&other), Some(order(1))).await;
    assert_eq!(made.0, 410);
    assert_eq!(agent.list(&place).await, json!([]));
    assert_eq!(n_running(&place.root().join("workspaces")), 0);
    assert!(!place.files("w-1").exists() && !place.files("w-2").exists());
}

/// Nothing goes before it is written down that it went: a deletion that is cut off leaves nothing
/// that can be made again. Seen to fail with `Tombstones::put` at the end of the deletion.
#[tokio::test]
async fn nothing_is_deleted_that_could_not_have_its_tombstone() {
    let place = Place::new();
    let agent = place.agent().await;
    let (_, made) = call(&agent, &place, (Method::PUT, "", 1), Some(order(1))).await;
    let (tombstones, aside) = (place.root().join("tombstones"), place.root().join("aside"));
    std::fs::rename(&tombstones, &aside).unwrap();
    std::fs::write(&tombstones, "in the way").unwrap();
    let (status, problem) = call(&agent, &place, (Method::DELETE, "", 2), None).await;
    assert_eq!((status, &problem["code"]), (503, &json!("unavailable")));
    let said = problem["message"].as_str().unwrap();
    assert!(said.starts_with("failed to write a tombstone: "), "{said}");
    assert_eq!(agent.list(&place).await, json!([made]), "it is as it was");
    std::fs::remove_file(&tombstones).unwrap();
    std::fs::rename(&aside, &tombstones).unwrap();
    assert_eq!(call(&agent, &place, (Method::DELETE, "", 2), None).await.0, 204);
    assert_eq!(call(&agent, &place, (Method::PUT, "", 1), Some(order(1))).await.0, 410);
}

/// Seen to fail without `fence`, and when a change does not write its effect down.
#[tokio::test]
async fn an_earlier_effect_changes_nothing_that_a_later_one_left() {
    let place = Place::new();
    let mut agent = place.agent().await;
    let post = |verb, effect| (Method::POST, verb, effect);
    assert_eq!(call(&agent, &place, (Method::PUT, "", 1), Some(order(1))).await.0, 201);
    for (verb, effect) in [("/sleep", 2), ("/wake", 3), ("/recover", 4), ("/stop", 5)] {
        let (status, view) = call(&agent, &place, post(verb, effect), None).await;
        assert_eq!((status, view["effect"].as_u64()), (200, Some(effect)), "{view}");
        let before = agent.list(&place).await;
        let late = call(&agent, &place, (Method::PUT, "", effect - 1), Some(order(1))).await;
        assert_eq!((late.0, &late.1["code"]), (409, &json!("superseded")), "{}", late.1);
        for verb in ["/sleep", "/wake", "/recover", "/stop"] {
            let late = call(&agent, &place, post(verb, effect - 1), None).await;
            assert_eq!((late.0, &late.1["code"]), (409, &json!("superseded")), "{}", late.1);
        }
        assert_eq!(agent.list(&place).await, before);
    }
    assert_eq!(call(&agent, &place, (Method::PUT, "", 6), Some(order(2))).await.0, 201);
    agent.kill();
    let agent = place.agent().await;
    let list = agent.list(&place).await;
    let (status, problem) = call(&agent, &place, post("/stop", 5), None).await;
    assert_eq!((status, &problem["code"]), (409, &json!("superseded")));
    let said = "effect 6 of workspace w-1 was here already, and this is effect 5";
    assert_eq!(problem["message"], json!(said));
    assert_eq!(agent.list(&place).await, list);
    // A later attempt at what is there finds it, and is the last that was here.
    let (status, view) = call(&agent, &place, (Method::PUT, "", 8), Some(order(2))).await;
    assert_eq!((status, &view["effect"], &view["pid"]), (200, &json!(8), &list[0]["pid"]));
    assert_eq!(call(&agent, &place, post("/stop", 7), None).await.0, 409);
    // A deletion is the last effect, whatever its number: an operator may have been here.
    assert_eq!(call(&agent, &place, (Method::DELETE, "", 1), None).await.0, 204);
    assert_eq!(n_running(&place.root().join("workspaces")), 0);
}

/// Otherwise a late attempt at a repair ends what was begun since. Seen to fail without the look at
/// the effect in `recover`.
#[tokio::test]
async fn a_repair_is_done_once_for_its_effect() {
    let place = Place::new();
    let agent = place.agent().await;
    let (_, made) = call(&agent, &place, (Method::PUT, "", 1), Some(order(1))).await;
    let (status, first) = call(&agent, &place, (Method::POST, "/recover", 2), None).await;
    assert_eq!(status, 200);
    assert_ne!(first["pid"], made["pid"]);
    let (status, again) = call(&agent, &place, (Method::POST, "/recover", 2), None).await;
    assert_eq!((status, &again["pid"]), (200, &first["pid"]));
    // What was repaired and fell is repaired: nobody was told yet that it was done.
    process_of(&again).signal(rustix::process::Signal::KILL).unwrap();
    until("it fell", async || agent.list(&place).await[0]["doing"] == json!("ended")).await;
    let (status, third) = call(&agent, &place, (Method::POST, "/recover", 2), None).await;
    assert_eq!((status, &third["doing"]), (200, &json!("running")));
}

/// Seen to fail without the look at `ceased` in `begin`.
#[tokio::test]
async fn a_run_that_was_ended_does_not_begin_when_its_beginning_arrives() {
    let place = Place::new();
    let mut agent = place.agent().await;
    assert_eq!(call(&agent, &place, (Method::PUT, "", 1), Some(order(1))).await.0, 201);
    let body = json!({ "command": ["sleep", "600"] });
    let path = "/workspaces/w-1/sessions/s-1";
    let token = place.token_of(Some(("w-1", 1)));
    let late = Half::of(&agent, &token, path, &body.to_string());
    // Ended without ever having begun: the first attempt is the one that is late.
    assert_eq!(call(&agent, &place, (Method::DELETE, "/sessions/s-1", 2), None).await.0, 204);
    let answer = late.go_on();
    assert!(answer.starts_with("HTTP/1.1 410 ") && answer.contains("gone"), "{answer}");
    agent.kill();
    let agent = place.agent().await;
    let begun = call(&agent, &place, (Method::PUT, "/sessions/s-1", 1), Some(body)).await;
    assert_eq!((begun.0, &begun.1["code"]), (410, &json!("gone")));
    assert_eq!(n_running(&place.root().join("workspaces")), 1);
}

/// A tombstone is kept for longer than any token of before is valid, and not for ever. Seen to
/// fail with an hour, and without the look at the opening.
#[tokio::test]
async fn a_tombstone_outlives_every_token_from_before_it_and_is_removed_then() {
    let place = Place::new();
    let mut agent = place.agent().await;
    for (id, ago) in [("young", 0), ("old", 3_700), ("over", 7_300)] {
        assert_eq!(agent.delete(&place, id).await, 204);
        let path = place.root().join(format!("tombstones/{id}.json"));
        let written: Value = files::read_json(&path).unwrap().expect("it is there");
        assert!(written["deleted_at_s"].as_u64().is_some_and(|at| at + 60 > now_s()), "{written}");
        files::write_json(&path, &json!({ "deleted_at_s": now_s() - ago })).unwrap();
    }
    let torn = place.root().join("tombstones/torn.json");
    std::fs::write(&torn, "{").unwrap();
    agent.kill();
    let agent = place.agent().await;
    assert!(place.log().contains("a tombstone cannot be read"));
    for (id, expected) in [("young", 410), ("old", 410), ("torn", 410), ("over", 201)] {
        assert_eq!(agent.put(&place, id, "exec sleep 600").await.0, expected, "{id}");
    }
    assert!(!place.root().join("tombstones/over.json").exists());
}

/// What waited for its turn until its token was over makes nothing: otherwise it could be made when
/// the tombstone is gone. Seen to fail without the look at the clock in `change`.
#[test]
fn a_call_whose_token_is_over_at_its_turn_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let workspaces = Workspaces::open(directory.path(), 1).unwrap();
    let until_s = now_s() - 1;
    let order = Order { run: 1, command: vec!["sleep".to_owned(), "600".to_owned()] };
    let problem = workspaces.put("w-1", Call { effect: 1, until_s }, order).unwrap_err();
    assert_eq!(problem.code, Code::Unauthorized, "{problem}");
    let problem = workspaces.delete("w-1", Call { effect: 2, until_s }).unwrap_err();
    assert_eq!(problem.code, Code::Unauthorized, "{problem}");
    assert_eq!(workspaces.list().unwrap(), []);
}
