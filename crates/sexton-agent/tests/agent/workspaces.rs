//! Workspaces: made once, bounded, and gone with everything that they started.

use std::io::Read;

use reqwest::Method;
use serde_json::{Value, json};

use super::support::{Agent, Place, n_running, process_of, until};

async fn change(agent: &Agent, place: &Place, id: &str, verb: &str) -> (u16, Value) {
    let path = format!("/workspaces/{id}/{verb}");
    agent.call((Method::POST, &path), Some(&place.token(Some(id))), None).await
}

#[tokio::test]
async fn a_workspace_is_a_process_and_a_directory_and_both_go_with_it() {
    let place = Place::new();
    let agent = place.agent().await;
    let script = "echo here > file; sleep 600 & setsid sleep 600 & wait";
    let (status, view) = agent.put(&place, "w-1", script).await;
    assert_eq!((status, &view["doing"]), (201, &json!("running")), "{view}");
    let process = process_of(&view);
    let root = place.root().join("workspaces");
    until("the shell has its children", async || n_running(&root) == 3).await;
    assert_eq!(std::fs::read_to_string(place.files("w-1").join("file")).unwrap(), "here\n");
    let again = agent.put(&place, "w-1", script).await;
    assert_eq!((again.0, &again.1["pid"]), (200, &view["pid"]), "asked twice is asked once");
    assert_eq!(agent.delete(&place, "w-1").await, 204);
    assert!(!process.is_alive());
    assert_eq!(n_running(&root), 0);
    assert!(!place.files("w-1").exists());
    assert_eq!(agent.list(&place).await, json!([]));
    assert_eq!(agent.delete(&place, "w-1").await, 204, "no such thing is done");
}

#[tokio::test]
async fn only_the_workspace_that_was_named_is_ended() {
    let place = Place::new();
    let agent = place.agent().await;
    let (_, first) = agent.put(&place, "w-1", "sleep 600").await;
    let (_, second) = agent.put(&place, "w-11", "sleep 600").await;
    assert_eq!(agent.delete(&place, "w-1").await, 204);
    assert!(process_of(&second).is_alive());
    let list = agent.list(&place).await;
    assert_eq!((list[0]["id"].as_str(), list.as_array().unwrap().len()), (Some("w-11"), 1));
    assert_ne!(first["pid"], second["pid"]);
}

#[tokio::test]
async fn a_workspace_may_be_called_like_the_record_of_another() {
    let place = Place::new();
    let agent = place.agent().await;
    let (_, first) = agent.put(&place, "w", "sleep 600").await;
    assert_eq!(agent.put(&place, "w.json", "sleep 600").await.0, 201);
    assert_eq!(agent.list(&place).await.as_array().unwrap().len(), 2);
    assert_eq!(agent.delete(&place, "w.json").await, 204);
    let list = agent.list(&place).await;
    assert_eq!((&list[0]["id"], &list[0]["pid"]), (&json!("w"), &first["pid"]));
}

#[tokio::test]
async fn a_workspace_stops_sleeps_wakes_and_is_repaired() {
    let place = Place::new();
    let agent = place.agent().await;
    let (_, made) = agent.put(&place, "w-1", "echo x >> file; sleep 600").await;
    let process = process_of(&made);
    let (status, view) = change(&agent, &place, "w-1", "sleep").await;
    assert_eq!((status, &view["doing"], &view["pid"]), (200, &json!("asleep"), &made["pid"]));
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid)).unwrap();
    assert!(stat.contains(") T "), "{stat}");
    let (status, view) = change(&agent, &place, "w-1", "wake").await;
    assert_eq!((status, &view["doing"]), (200, &json!("running")));
    let (status, view) = change(&agent, &place, "w-1", "recover").await;
    assert_eq!((status, &view["doing"]), (200, &json!("running")));
    assert_ne!(view["pid"], made["pid"]);
    assert!(!process.is_alive());
    let repaired = process_of(&view);
    let (status, view) = change(&agent, &place, "w-1", "stop").await;
    assert_eq!((status, &view["doing"]), (200, &json!("stopped")));
    assert!(!repaired.is_alive() && place.files("w-1").join("file").exists());
    assert_eq!(change(&agent, &place, "w-1", "wake").await.0, 409);
    assert_eq!(change(&agent, &place, "w-1", "fly").await.0, 404);
    assert_eq!(change(&agent, &place, "w-2", "stop").await.0, 404);
    let body = json!({ "run": 2, "command": ["sleep", "600"] });
    let call = (Method::PUT, "/workspaces/w-1");
    let (status, view) =
        agent.call(call.clone(), Some(&place.token(Some("w-1"))), Some(body)).await;
    assert_eq!((status, &view["run"], &view["doing"]), (201, &json!(2), &json!("running")));
    let body = json!({ "run": 1, "command": ["sleep", "600"] });
    let (status, problem) = agent.call(call, Some(&place.token(Some("w-1"))), Some(body)).await;
    assert_eq!((status, &problem["code"]), (409, &json!("conflict")));
}

#[tokio::test]
async fn a_process_that_ended_by_itself_is_told_and_started_again_when_asked() {
    let place = Place::new();
    let agent = place.agent().await;
    let (_, view) = agent.put(&place, "w-1", "test -e again || exit 7; sleep 600").await;
    until("it ended", async || agent.list(&place).await[0]["doing"] == json!("ended")).await;
    std::fs::write(place.files("w-1").join("again"), "").unwrap();
    let (status, again) = agent.put(&place, "w-1", "exec sleep 600").await;
    assert_eq!((status, &again["doing"]), (201, &json!("running")));
    assert_ne!(view["pid"], again["pid"]);
}

#[tokio::test]
async fn runs_inside_a_workspace_begin_once_and_end_alone_or_with_it() {
    let place = Place::new();
    let agent = place.agent().await;
    agent.put(&place, "w-1", "exec sleep 600").await;
    let token = place.token(Some("w-1"));
    let path = "/workspaces/w-1/sessions/s-1";
    let body = || Some(json!({ "command": ["sh", "-c", "echo x >> runs; sleep 600 & wait"] }));
    let root = place.root().join("workspaces");
    for _ in 0..2 {
        let (status, view) = agent.call((Method::PUT, path), Some(&token), body()).await;
        assert_eq!((status, &view["sessions"]), (200, &json!(["s-1"])), "{view}");
    }
    until("the run has its child", async || n_running(&root) == 3).await;
    assert_eq!(std::fs::read_to_string(place.files("w-1").join("runs")).unwrap(), "x\n");
    for _ in 0..2 {
        assert_eq!(agent.call((Method::DELETE, path), Some(&token), None).await.0, 204);
        assert_eq!(n_running(&root), 1, "the workspace goes on");
    }
    let path = "/workspaces/w-1/sessions/s-2";
    agent.call((Method::PUT, path), Some(&token), body()).await;
    assert!(n_running(&root) > 1);
    assert_eq!(agent.delete(&place, "w-1").await, 204);
    assert_eq!(n_running(&root), 0);
    assert_eq!(agent.call((Method::PUT, path), Some(&token), body()).await.0, 404);
    assert_eq!(agent.call((Method::DELETE, path), Some(&token), None).await.0, 204);
}

#[tokio::test]
async fn what_is_too_much_or_wrong_is_refused_with_its_code() {
    let place = Place::new();
    let agent = place.agent().await;
    for id in ["a", "b", "c"] {
        assert_eq!(agent.put(&place, id, "sleep 600").await.0, 201);
    }
    let (status, problem) = agent.put(&place, "d", "sleep 600").await;
    assert_eq!((status, &problem["code"]), (507, &json!("full")));
    assert_eq!(agent.delete(&place, "a").await, 204);
    assert_eq!(agent.put(&place, "d", "sleep 600").await.0, 201);
    let before = agent.list(&place).await;
    let long = "x".repeat(70_000);
    for (body, expected) in [
        (json!({ "run": 2, "command": [long] }), (413, "too_large")),
        (json!({ "run": 2, "command": [] }), (422, "invalid")),
        (json!({ "run": 2, "command": [""] }), (422, "invalid")),
        (json!({ "run": 2, "command": ["a\u{0}b"] }), (422, "invalid")),
        (json!({ "run": 2, "command": ["x"], "more": 1 }), (422, "invalid")),
        (json!({ "run": -1, "command": ["x"] }), (422, "invalid")),
        (json!([]), (422, "invalid")),
    ] {
        let call = (Method::PUT, "/workspaces/b");
        let (status, problem) = agent.call(call, Some(&place.token(Some("b"))), Some(body)).await;
        assert_eq!((status, problem["code"].as_str()), (expected.0, Some(expected.1)));
    }
    let long = "x".repeat(129);
    for id in ["..x", ".json", "_", "a b", &long] {
        let path = format!("/workspaces/{}", sexton_agent::callbacks::escaped(id));
        let call = (Method::DELETE, path.as_str());
        let (status, _) = agent.call(call, Some(&place.token(Some(id))), None).await;
        assert_eq!(status, 422, "{id}");
    }
    assert_eq!(agent.list(&place).await, before);
}

#[tokio::test]
async fn a_program_that_does_not_exist_leaves_nothing_running() {
    let place = Place::new();
    let agent = place.agent().await;
    let body = json!({ "run": 1, "command": ["no-such-program"] });
    let call = (Method::PUT, "/workspaces/w-1");
    let (status, problem) = agent.call(call, Some(&place.token(Some("w-1"))), Some(body)).await;
    assert_eq!((status, &problem["code"]), (422, &json!("invalid")));
    assert_eq!(n_running(&place.root().join("workspaces")), 0);
    assert_eq!(agent.delete(&place, "w-1").await, 204);
    assert_eq!(agent.list(&place).await, json!([]));
}

#[tokio::test]
async fn a_client_that_does_not_go_on_is_let_go() {
    let place = Place::new();
    let agent = place.agent().await;
    let token = place.token(Some("w-1"));
    let head = "PUT /workspaces/w-1 HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n";
    let without_head = agent.sent(head);
    let without_body = agent.sent(&format!("{head}authorization: Bearer {token}\r\n\r\n{{"));
    for (mut stream, status) in [(without_head, "408"), (without_body, "503")] {
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, *format!("HTTP/1.1 {status}").as_bytes());
    }
    assert_eq!(agent.list(&place).await, json!([]));
}
