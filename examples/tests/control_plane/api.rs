//! The API: what is printed works as it is pasted, and what is wrong is answered clearly.

use std::process::Command;

use reqwest::{Client, Method};
use serde_json::json;

use super::support::{Ground, until};

/// What a reader of the terminal pastes.
fn pasted(said: &str) -> String {
    let lines = said.lines().filter_map(|line| line.strip_prefix("    "));
    lines.fold("set -e\n".to_owned(), |script, line| script + line + "\n")
}

#[tokio::test]
async fn what_is_printed_at_the_start_works_as_it_is_pasted() {
    if Command::new("curl").arg("--version").output().is_err() {
        // Nothing to paste into: what the lines do is tested by the others.
        return;
    }
    let ground = Ground::new();
    let plane = ground.start().await;
    let script = pasted(&plane.said());
    assert!(script.lines().count() > 15, "{script}");
    let done = Command::new("sh").args(["-c", &script]).output().expect("it runs");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{script}\n{said}");
    assert!(!said.contains("\"code\""), "no call was refused: {said}");
    assert!(said.contains("\"pid\": ") && said.contains("\"event\": \"destroyed\""), "{said}");
    let alice = plane.owner(&ground, "alice").await;
    alice.until_buried("/nodes/n-1").await;
    for path in ["/tasks/t-1", "/towns/berlin"] {
        alice.end(path).await;
    }
    // The task may have made a machine of its own, which the fleet keeps warm for a while.
    alice.delete("/nodes/~n1").await;
    ground.check_empty().await;
}

#[tokio::test]
async fn a_task_finds_a_machine_and_ends_as_its_process_does() {
    let ground = Ground::new();
    let plane = ground.start_with("exit 0").await;
    let alice = plane.owner(&ground, "alice").await;
    let (status, view) = alice.put("/tasks/t-1", json!({})).await;
    assert_eq!((status, view["name"].as_str()), (202, Some("t-1")), "{view}");
    let task = alice.until_buried("/tasks/t-1").await;
    assert_eq!(
        (&task["status"], &task["tombstone"]["why"]),
        (&json!("completed"), &json!("completed"))
    );
    alice.until_buried("/workspaces/t-1~w1").await;
    let nodes = alice.get("/nodes").await.1;
    assert_eq!(nodes["items"][0]["name"], "~n1", "the fleet made it: {nodes}");
    alice.end("/nodes/~n1").await;
    ground.check_empty().await;
}

#[tokio::test]
async fn what_is_wrong_is_answered_with_a_code_and_a_sentence_and_changes_nothing() {
    let ground = Ground::new();
    let plane = ground.start().await;
    let alice = plane.owner(&ground, "alice").await;
    let long = "n".repeat(49);
    for (method, path, body, status, code) in [
        ("GET", "/nodes/n-1", json!({}), 404, "not_found"),
        ("DELETE", "/nodes/n-1", json!({}), 404, "not_found"),
        ("PUT", "/machines/n-1", json!({}), 404, "not_found"),
        ("GET", "/machines", json!({}), 404, "not_found"),
        ("GET", "/", json!({}), 404, "not_found"),
        ("PUT", "/nodes/n-1/more", json!({}), 404, "not_found"),
        ("PUT", "/nodes/n.1", json!({}), 422, "invalid"),
        ("PUT", "/nodes/~n9", json!({}), 422, "invalid"),
        ("PUT", &format!("/nodes/{long}"), json!({}), 422, "invalid"),
        ("PUT", "/nodes/n-1", json!([]), 422, "invalid"),
        ("PUT", "/nodes/n-1", json!({ "colour": "red" }), 422, "invalid"),
        ("PUT", "/nodes/n-1", json!({ "size": "x".repeat(70_000) }), 413, "too_large"),
        ("GET", "/nodes?after=there", json!({}), 422, "invalid"),
        ("GET", "/nodes?before=2", json!({}), 422, "invalid"),
        ("GET", "/events?after=x", json!({}), 422, "invalid"),
        ("GET", "/events?after=999999999", json!({}), 422, "invalid"),
        ("PUT", "/workspaces/w-1", json!({ "node": "../n-1" }), 422, "invalid"),
        ("PUT", "/workspaces/w-1", json!({ "size": "small" }), 422, "invalid"),
        ("PUT", "/workspaces/w-1", json!({ "node": "none" }), 404, "not_found"),
        ("PUT", "/towns/berlin", json!({ "node": "n-1" }), 422, "invalid"),
        ("PATCH", "/nodes/n-1", json!({}), 405, "invalid"),
        ("PUT", "/towns/berlin/rigs/r-1", json!({}), 404, "not_found"),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let (said, answer) = plane.call((method, path), &alice.token, Some(&body)).await;
        assert_eq!((said, answer["code"].as_str()), (status, Some(code)), "{path}: {answer}");
        assert!(answer["message"].as_str().is_some_and(|text| !text.is_empty()), "{path}");
    }
    let request = Client::new().put(format!("{}/nodes/n-1", plane.url)).bearer_auth(&alice.token);
    assert_eq!(request.body("{").send().await.unwrap().status(), 422);
    let body = json!({ "name": "al.ice" });
    let call = plane.call((Method::POST, "/owners"), &ground.operator(), Some(&body)).await;
    assert_eq!(call.0, 422, "{}", call.1);
    assert_eq!(alice.get("/nodes").await.1["items"], json!([]));
    ground.check_empty().await;
}

/// Seen to fail when only rows were looked at: the second `PUT` was a conflict, and the `DELETE` was
/// done and said that there was nothing.
#[tokio::test]
async fn a_workspace_that_waits_for_room_is_asked_for_and_cancelled_as_often_as_wanted() {
    let ground = Ground::new();
    let mut command = ground.command("");
    command.args(["--policy", "normal"]).env("SEXTON_NODES_PER_OWNER_MAX", "0");
    let plane = ground.run(command).await;
    let alice = plane.owner(&ground, "alice").await;
    for _ in 0..2 {
        let (status, view) = alice.put("/workspaces/w-1", json!({})).await;
        assert_eq!((status, view["status"].as_str()), (202, Some("requested")), "{view}");
    }
    assert_eq!(alice.get("/workspaces/w-1").await.1["status"], "requested");
    let (status, view) = alice.delete("/workspaces/w-1").await;
    assert_eq!((status, view["status"].as_str()), (202, Some("cancelled")), "{view}");
    assert_eq!(alice.get("/workspaces/w-1").await.0, 404);
    assert_eq!(alice.delete("/workspaces/w-1").await.0, 404);
    ground.check_empty().await;
}

#[tokio::test]
async fn a_rig_is_added_once_however_often_it_is_put() {
    let ground = Ground::new();
    let plane = ground.start().await;
    let alice = plane.owner(&ground, "alice").await;
    alice.put("/towns/berlin", json!({})).await;
    for _ in 0..2 {
        let (status, view) = alice.put("/towns/berlin/rigs/r-1", json!({})).await;
        assert_eq!((status, view["name"].as_str()), (202, Some("berlin")), "{view}");
    }
    let (status, answer) = alice.put("/towns/berlin/rigs/r.1", json!({})).await;
    assert_eq!((status, answer["code"].as_str()), (422, Some("invalid")), "{answer}");
    alice.end("/towns/berlin").await;
    ground.check_empty().await;
}

#[tokio::test]
async fn what_is_asked_for_again_is_there_once() {
    let ground = Ground::new();
    let plane = ground.start().await;
    let alice = plane.owner(&ground, "alice").await;
    let first = alice.workspace("w-1").await;
    assert_eq!(alice.put("/nodes/n-1", json!({})).await.0, 200);
    let (status, view) = alice.put("/workspaces/w-1", json!({ "node": "n-1" })).await;
    assert_eq!((status, view["life"].as_u64()), (200, Some(1)), "{view}");
    assert_eq!(alice.process("w-1").await, first);
    let again = plane.owner(&ground, "alice").await;
    assert_eq!(again.process("w-1").await, first, "a new token is for the same owner");
    assert_eq!(ground.agents().len(), 1);
    alice.delete("/nodes/n-1").await;
    alice.end("/nodes/n-1").await;
    let buried = alice.events("destroyed").await;
    until("both are said", async || alice.events("destroyed").await.len() == 2).await;
    assert!(buried.len() <= 2, "{buried:?}");
    ground.check_empty().await;
}
