//! Whose token opens what: a table.

use reqwest::{Client, Method};
use serde_json::{Value, json};
use sexton_agent::clock::now_s;
use sexton_providers::Platform;

use super::support::Ground;

const PATHS: [(&str, &str); 9] = [
    ("GET", "/nodes"),
    ("GET", "/events"),
    ("GET", "/nodes/n-1"),
    ("PUT", "/nodes/n-2"),
    ("DELETE", "/nodes/n-1"),
    ("PUT", "/workspaces/w-2"),
    ("DELETE", "/workspaces/w-1"),
    ("PUT", "/tasks/t-1"),
    ("PUT", "/towns/berlin/rigs/r-1"),
];

fn claims(aud: &str, role: &str, iat: u64, life_s: u64) -> Value {
    let exp = iat + life_s;
    json!({ "iss": "sexton", "aud": aud, "sub": "alice", "role": role, "iat": iat, "exp": exp })
}

#[tokio::test]
async fn every_path_of_owners_takes_an_owners_token_and_no_other() {
    let ground = Ground::new();
    let plane = ground.start().await;
    let alice = plane.owner(&ground, "alice").await;
    let (process, _) = alice.workspace("w-1").await;
    let platform = Platform::open(&ground.root().join("plane/keys"), "sexton").unwrap();
    let stranger = Platform::open(&ground.root().join("strangers"), "sexton").unwrap();
    let sign = |claims: &Value| platform.sign(claims).unwrap();
    let now = now_s();
    let refused = [
        ("none", String::new(), 401),
        ("no token", "abc".to_owned(), 401),
        ("another's key", stranger.sign(&claims("owners", "owner", now, 60)).unwrap(), 401),
        ("over", sign(&claims("owners", "owner", now - 3_600, 60)), 401),
        ("not yet", sign(&claims("owners", "owner", now + 3_600, 60)), 401),
        ("for too long", sign(&claims("owners", "owner", now, 86_400)), 401),
        ("another audience", sign(&claims("others", "owner", now, 60)), 403),
        ("no such role", sign(&claims("owners", "king", now, 60)), 401),
        ("an operator's", ground.operator(), 403),
        ("for an agent", platform.for_agent(("alice.n-1", 1), None).unwrap(), 403),
        ("an agent's", platform.for_callbacks(("alice.n-1", 1)).unwrap(), 403),
    ];
    for (method, path) in PATHS {
        for (what, token, expected) in &refused {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let (status, answer) = plane.call((method, path), token, Some(&json!({}))).await;
            assert_eq!(status, *expected, "{what}, {path}: {answer}");
            let code = if *expected == 401 { "unauthorized" } else { "forbidden" };
            assert_eq!(answer["code"], code);
            assert!(answer["message"].is_string());
        }
    }
    for token in [&alice.token, &refused[10].1, &String::new()] {
        let body = json!({ "name": "mallory" });
        let (status, answer) = plane.call((Method::POST, "/owners"), token, Some(&body)).await;
        assert!(status == 401 || status == 403, "{answer}");
        let (status, answer) = plane.call((Method::GET, "/metrics"), token, None).await;
        assert!(status == 401 || status == 403, "{answer}");
    }
    assert!(process.is_alive());
    assert_eq!(alice.get("/nodes/n-2").await.0, 404);
    assert_eq!(
        Client::new().get(format!("{}/health", plane.url)).send().await.unwrap().status(),
        200
    );
    let log = ground.log();
    assert!(!log.contains(&alice.token) && !log.contains(&ground.operator()), "{log}");
    alice.end("/nodes/n-1").await;
    ground.check_empty().await;
}

#[tokio::test]
async fn an_owner_sees_and_commands_what_is_his_own_and_nothing_else() {
    let ground = Ground::new();
    let plane = ground.start().await;
    let alice = plane.owner(&ground, "alice").await;
    let bob = plane.owner(&ground, "bob").await;
    let (process, _) = alice.workspace("w-1").await;
    for path in ["/nodes/n-1", "/workspaces/w-1", "/tasks/t-1", "/towns/berlin"] {
        for (status, answer) in [bob.get(path).await, bob.delete(path).await] {
            assert_eq!((status, answer["code"].as_str()), (404, Some("not_found")), "{answer}");
        }
    }
    // No path that he can make up leads to her things.
    for path in
        ["/nodes/alice.n-1", "/nodes/~alice.n-1", "/nodes/.alice.n-1", "/nodes/..%2falice.n-1"]
    {
        assert_eq!(bob.get(path).await.0, 404, "{path}");
    }
    for path in ["/nodes", "/workspaces", "/events"] {
        assert_eq!(bob.get(path).await.1["items"], json!([]), "{path}");
    }
    assert_eq!(bob.put("/workspaces/w-1", json!({ "node": "alice.n-1" })).await.0, 422);
    assert_eq!(bob.get("/workspaces/w-1").await.0, 404, "no name leads to a node that is not his");
    // The same names are his own, too.
    let (theirs, _) = bob.workspace("w-2").await;
    assert_eq!(alice.get("/workspaces/w-2").await.0, 404);
    bob.end("/nodes/n-1").await;
    assert!(process.is_alive() && !theirs.is_alive());
    alice.end("/nodes/n-1").await;
    ground.check_empty().await;
}
