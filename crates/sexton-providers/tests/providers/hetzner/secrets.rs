//! No secret stands in a log or an error: of the API, of the agent, of the machine.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use sexton_providers::Provider;
use sexton_providers::hetzner::Token;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::super::support::{Ground, node};
use super::cloud::{Cloud, TOKEN, Trouble};
use super::orders::order;
use super::world::ROOT_PASSWORD;

/// A log that is kept.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panicked").extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// An error in every form in which it may be printed.
fn shown(error: &dyn std::error::Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text} {error} {error:?} {error:#?}");
        cause = error.source();
    }
    text
}

// Seen to fail when `Token` derives `Debug`, when the API's text is repeated as it is, and when
// the body of an order is logged.
#[tokio::test]
async fn no_token_and_no_password_stands_in_any_log_or_error() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(log.clone())
        .finish();
    // Everything of this test runs on this thread, but for the stand-in.
    let guard = tracing::subscriber::set_default(subscriber);
    let (ground, cloud) = (Ground::new(), Cloud::begin(None));
    let provider = cloud.open(&ground, "ours");
    let mut text = format!("{provider:?} {provider:#?}");
    let echo = format!(
        r#"{{"error": {{"code": "unauthorized", "message": "Bearer {TOKEN} is no token"}}}}"#
    );
    for trouble in [
        Trouble::Refused(401, Vec::new(), echo.clone()),
        Trouble::Refused(500, Vec::new(), echo.clone()),
        Trouble::Refused(500, Vec::new(), format!("Authorization: Bearer {TOKEN}")),
        Trouble::Lost,
        Trouble::Half,
    ] {
        cloud.once(&["POST /servers"], trouble);
        text += &shown(&provider.create(&order("n-1")).await.unwrap_err());
        provider.delete(&node("n-1")).await.unwrap();
    }
    provider.create(&order("n-1")).await.unwrap();
    let listing = provider.list().await.unwrap();
    text = format!("{text}{listing:?}");
    cloud.every(1, Trouble::Refused(401, Vec::new(), echo));
    text += &shown(&provider.delete(&node("n-1")).await.unwrap_err());
    text += &shown(&provider.list().await.unwrap_err());
    drop(guard);
    let user_data = cloud.world().servers.values().next().unwrap().user_data.clone();
    let config: serde_json::Value =
        serde_json::from_str(user_data.strip_prefix("#cloud-config\n").unwrap()).unwrap();
    let callback = config["write_files"][1]["content"].as_str().unwrap();
    assert!(ground.platform.keyring().for_callbacks(callback).is_ok(), "it is the token");
    text += &String::from_utf8_lossy(&log.0.lock().unwrap());
    assert!(text.contains("a request failed"), "the log was kept");
    assert!(text.contains("hyper"), "that of what sends requests, too");
    for secret in [TOKEN, callback, ROOT_PASSWORD] {
        let at = text.find(secret);
        let around = at.map(|at| &text[at.saturating_sub(200)..at]);
        assert_eq!(around, None, "what stands before a secret");
    }
}

// Seen to fail when two words are taken as a token.
#[tokio::test]
async fn a_wrong_token_is_told_as_such() {
    let (ground, cloud) = (Ground::new(), Cloud::begin(None));
    let token = Token::new("another").unwrap();
    let project = cloud.project(&ground, "ours");
    let provider =
        sexton_providers::Hetzner::open(project, token, Arc::clone(&ground.platform)).unwrap();
    let error = provider.list().await.unwrap_err();
    assert_eq!(error.fault, sexton_fleet::Fault::Auth, "{error}");
    for text in ["", " \n", "two words", "\u{e9}"] {
        let error = Token::new(text).unwrap_err();
        assert_eq!(error.fault, sexton_fleet::Fault::Auth);
    }
}
