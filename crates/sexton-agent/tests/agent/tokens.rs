//! The table of tokens: each that is not right is refused by every call, and changes nothing.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Method;
use serde_json::{Value, json};
use sexton_agent::clock::now_s;
use sexton_agent::keys::{OwnKey, PublicKey};
use sexton_agent::token::{CALLBACKS, Claims, Mint};

use super::support::{ISSUER, Place, claims, process_of};

/// `{"alg":"none","kid":"k1"}`, encoded.
const NONE: &str = "eyJhbGciOiJub25lIiwia2lkIjoiazEifQ";

/// Every call that must not be made with a bad token; all of them are for `w-1`, but for the last.
fn calls() -> Vec<(Method, &'static str, Option<Value>)> {
    let order = || Some(json!({ "run": 2, "command": ["sleep", "600"] }));
    vec![
        (Method::PUT, "/workspaces/w-1", order()),
        (Method::PUT, "/workspaces/w-1", Some(json!("not an order"))),
        (Method::DELETE, "/workspaces/w-1", None),
        (Method::POST, "/workspaces/w-1/stop", None),
        (Method::POST, "/workspaces/w-1/sleep", None),
        (Method::POST, "/workspaces/w-1/recover", None),
        (Method::PUT, "/workspaces/w-1/sessions/s-1", Some(json!({ "command": ["true"] }))),
        (Method::DELETE, "/workspaces/w-1/sessions/s-1", None),
        (Method::PUT, "/workspaces/w-2", order()),
        (Method::GET, "/workspaces", None),
        (Method::GET, "/nowhere", None),
    ]
}

/// Tokens that are refused whatever they are for, and with what.
fn refused(place: &Place, workspace: Option<&str>) -> Vec<(&'static str, String, u16)> {
    let bent = |bend: &dyn Fn(&mut Claims)| {
        let mut claims = claims(workspace);
        bend(&mut claims);
        place.mint.sign(&claims).expect("it signs")
    };
    let stranger = OwnKey::generate("k1").expect("a key can be made");
    let signed = |kid: &str| {
        let mint = Mint::new(ISSUER, kid, &stranger.private).expect("it signs");
        mint.sign(&claims(workspace)).expect("it signs")
    };
    let good = place.token(workspace);
    let parts: Vec<&str> = good.split('.').collect();
    let other = bent(&|it| it.exp += 60);
    let other: Vec<&str> = other.split('.').collect();
    let confused = Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::HS256) };
    let secret = EncodingKey::from_secret(place.key.public.pem.as_bytes());
    let confused = encode(&confused, &claims(workspace), &secret).expect("it signs");
    let half = &good[..good.len() / 2];
    vec![
        ("empty", String::new(), 401),
        ("no token", "word".to_owned(), 401),
        ("expired", bent(&|it| (it.iat, it.exp) = (it.iat - 3_000, it.iat - 31)), 401),
        ("not yet signed", bent(&|it| (it.iat, it.exp) = (it.iat + 40, it.iat + 60)), 401),
        ("for longer than an hour", bent(&|it| it.exp = it.iat + 3_601), 401),
        ("without an end", bent(&|it| it.exp = u64::MAX), 401),
        ("of another issuer", bent(&|it| it.iss.insert(0, 'x')), 401),
        ("for another audience", bent(&|it| CALLBACKS.clone_into(&mut it.aud)), 403),
        ("for another node", bent(&|it| it.node.push('1')), 403),
        ("for another life", bent(&|it| it.epoch += 1), 403),
        ("for another workspace", bent(&|it| it.workspace = Some("w-9".to_owned())), 403),
        ("with another key", signed("k1"), 401),
        ("with a key that nobody knows", signed("k9"), 401),
        ("without algorithm", format!("{NONE}.{}.", parts[1]), 401),
        ("without algorithm, signed", format!("{NONE}.{}.{}", parts[1], parts[2]), 401),
        ("signed with the public key", confused, 401),
        ("tampered", format!("{}.{}.{}", parts[0], other[1], parts[2]), 401),
        ("with another's signature", format!("{}.{}.{}", parts[0], parts[1], other[2]), 401),
        ("without signature", format!("{}.{}.", parts[0], parts[1]), 401),
        ("cut off", half.to_owned(), 401),
        ("endless", "a.".repeat(3_000), 401),
    ]
}

#[tokio::test]
async fn every_bad_token_is_refused_by_every_call_and_changes_nothing() {
    let place = Place::new();
    let agent = place.agent().await;
    let (status, view) = agent.put(&place, "w-1", "sleep 600").await;
    assert_eq!(status, 201, "{view}");
    let process = process_of(&view);
    let before = agent.list(&place).await;
    let mut tried = Vec::new();
    for (method, path, body) in calls() {
        let workspace = path.split('/').nth(2);
        let call = (method.clone(), path);
        let (status, problem) = agent.call(call.clone(), None, body.clone()).await;
        assert_eq!((status, problem["code"].as_str()), (401, Some("unauthorized")), "{path}");
        let mut table = refused(&place, workspace);
        let bent = match workspace {
            Some(_) => Claims { effect: None, ..claims(workspace) },
            None => Claims { effect: Some(1), ..claims(None) },
        };
        table.push(("with and without effect", place.mint.sign(&bent).unwrap(), 403));
        if let Some(workspace) = workspace {
            table.push(("for no workspace", place.token(None), 403));
            assert!(workspace.starts_with("w-"));
        }
        for (name, token, expected) in table {
            let (status, problem) = agent.call(call.clone(), Some(&token), body.clone()).await;
            assert_eq!(status, expected, "{method} {path} with a token {name}: {problem}");
            tried.push(token);
        }
    }
    assert_eq!(agent.list(&place).await, before);
    assert!(process.is_alive());
    assert!(!place.files("w-2").exists());
    // The agent logs all that it can, and none of the tokens, right or wrong.
    let log = place.log();
    tried.extend([place.token(None), place.token(Some("w-1"))]);
    for token in tried.iter().filter(|token| token.len() > 20) {
        let signature = token.rsplit('.').next().unwrap();
        assert!(!log.contains(token), "a token is in the log");
        assert!(signature.is_empty() || !log.contains(signature), "a signature is in the log");
    }
    assert!(log.contains("a workspace runs"), "{log}");
    assert!(!log.contains("eyJ"), "{log}");
}

#[tokio::test]
async fn health_needs_no_token_and_tells_nothing_of_workspaces() {
    let place = Place::new();
    let agent = place.agent().await;
    let (status, health) = agent.call((Method::GET, "/health"), None, None).await;
    assert_eq!((status, &health["status"]), (200, &json!("ok")));
    let fields: Vec<&String> = health.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["status", "version"]);
}

#[tokio::test]
async fn clocks_that_are_a_little_apart_do_no_harm() {
    let place = Place::new();
    let agent = place.agent().await;
    let bent = |iat: u64, exp: u64| place.mint.sign(&Claims { iat, exp, ..claims(None) }).unwrap();
    let now = now_s();
    for (token, expected) in [
        (bent(now - 100, now - 10), 200),
        (bent(now - 100, now - 60), 401),
        (bent(now + 20, now + 80), 200),
        (bent(now + 60, now + 120), 401),
        (bent(now - 3_000, now + 600), 200),
    ] {
        let call = (Method::GET, "/workspaces");
        assert_eq!(agent.call(call, Some(&token), None).await.0, expected);
    }
}

#[tokio::test]
async fn an_old_key_is_valid_for_a_while_after_a_new_one_came() {
    let place = Place::new();
    let agent = place.agent().await;
    let next = OwnKey::generate("k2").unwrap();
    let mint = Mint::new(ISSUER, "k2", &next.private).unwrap();
    let status = async |mint: &Mint| {
        let token = mint.sign(&claims(None)).unwrap();
        agent.call((Method::GET, "/workspaces"), Some(&token), None).await.0
    };
    assert_eq!((status(&place.mint).await, status(&mint).await), (200, 401));
    let old = |until| PublicKey { until: Some(until), ..place.key.public.clone() };
    place.publish(vec![old(now_s() + 600), next.public.clone()]);
    assert_eq!((status(&place.mint).await, status(&mint).await), (200, 200));
    place.publish(vec![old(now_s()), next.public.clone()]);
    assert_eq!((status(&place.mint).await, status(&mint).await), (401, 200));
    // A file that cannot be read changes nothing, and lets nobody in who was not.
    std::fs::write(place.keys(), "{").unwrap();
    assert_eq!((status(&place.mint).await, status(&mint).await), (401, 200));
}
