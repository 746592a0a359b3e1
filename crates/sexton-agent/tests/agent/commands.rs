//! The command line: keys and tokens by hand, and errors that say what to do.

use std::path::Path;
use std::process::{Command, Output};

use reqwest::Method;

use super::support::Place;

fn run(arguments: &[&str]) -> Output {
    run_in(".", arguments)
}

fn run_in(directory: impl AsRef<Path>, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sexton-agent"));
    command.current_dir(directory).args(arguments).output().expect("it can")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it can")
}

#[tokio::test]
async fn a_key_and_a_token_made_by_hand_open_the_door() {
    let place = Place::new();
    let agent = place.agent().await;
    let private = place.directory.path().join("private.pem").display().to_string();
    let keys = place.keys().display().to_string();
    let key = ["key", "--file", &keys, "--kid", "by-hand", "--private", &private];
    for _ in 0..2 {
        // The second time it is there, and is the same.
        assert!(run(&key).status.success());
    }
    let of = ["--node", "n-1", "--epoch", "3"];
    let token = [&["token", "--key", &private, "--kid", "by-hand"], &of[..]].concat();
    let token = run(&token);
    assert!(token.status.success(), "{}", text(&token.stderr));
    let token = text(&token.stdout);
    let call = (Method::GET, "/workspaces");
    assert_eq!(agent.call(call.clone(), Some(token.trim()), None).await.0, 200);
    assert_eq!(agent.call(call, Some(&place.token(None)), None).await.0, 200, "for a while yet");
    let of = [&of[..], &["--workspace", "w-1", "--effect", "7"]].concat();
    let token = run(&[&["token", "--key", &private, "--kid", "by-hand"], &of[..]].concat());
    let body = Some(serde_json::json!({ "run": 1, "command": ["sleep", "600"] }));
    let call = (Method::PUT, "/workspaces/w-1");
    let (status, view) = agent.call(call, Some(text(&token.stdout).trim()), body).await;
    assert_eq!((status, view["effect"].as_u64()), (201, Some(7)), "{view}");
}

/// `key` refused files without a directory in their names.
#[test]
fn keys_are_made_in_the_directory_where_one_is() {
    let place = Place::new();
    let here = place.directory.path();
    let key = ["key", "--file", "k.json", "--kid", "k1", "--private", "p.pem"];
    let made = run_in(here, &key);
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert!(here.join("k.json").exists() && here.join("p.pem").exists());
    let key = ["key", "--file", "none/k.json", "--kid", "k1", "--private", "p.pem"];
    let failed = run_in(here, &key);
    assert!(text(&failed.stderr).contains("failed to use none/k.json"));
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let place = Place::new();
    let root = place.root().display().to_string();
    let keys = place.directory.path().join("none").display().to_string();
    let serve = ["serve", "--root", &root, "--node", "n", "--keys", &keys];
    let failed = run(&serve);
    assert_eq!(failed.status.code(), Some(1));
    let said = text(&failed.stderr);
    assert!(said.contains("sexton-agent: the platform's keys cannot be used\n  because failed to"));
    assert!(said.contains("none\n  because there is no such file"), "{said}");
    let failed = run(&["serve", "--node", "n"]);
    assert_eq!(failed.status.code(), Some(2));
    assert!(text(&failed.stderr).contains("--root <ROOT>"));
    let failed = run(&[&serve[..], &["--callbacks", "http://127.0.0.1:1"]].concat());
    assert!(text(&failed.stderr).contains("--callback-token"), "{}", text(&failed.stderr));
    let failed = run(&["token", "--key", &keys, "--kid", "k", "--node", "n"]);
    assert!(text(&failed.stderr).contains("failed to read"));
    let failed = run(&["token", "--key", &keys, "--kid", "k", "--node", "n", "--workspace", "w"]);
    assert!(text(&failed.stderr).contains("--effect <EFFECT>"), "{}", text(&failed.stderr));
}
