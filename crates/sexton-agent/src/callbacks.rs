//! What the agent says by itself: that it is ready, then again and again that it lives, and that
//! a run has ended.
//!
//! Each call carries the epoch of the node's life for which the agent was started, and a token of
//! that life, read from a file each time, because it may be replaced. A call that fails is made
//! again; nothing waits for it.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Client;
use serde::Serialize;
use thiserror::Error;

use crate::VERSION;
use crate::clock;
use crate::load::Meter;
use crate::wire::{About, Ended, Load, Report, RunEnd};

/// How long one call may take. Chosen: a control plane that takes longer is asked again.
const CALL: Duration = Duration::from_secs(10);
/// The wait before `ready` is said again, doubled each time up to the heartbeat's own.
const AGAIN: Duration = Duration::from_millis(100);

/// Where and how often an agent calls back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callbacks {
    /// The control plane's address for callbacks, without a slash at its end.
    pub url: String,
    /// The file of the token.
    pub token: PathBuf,
    /// How often it says that it lives.
    pub every: Duration,
    /// Whether it measures how busy the machine is, and says so each time.
    pub is_measuring: bool,
}

/// Why a call was not taken.
#[derive(Debug, Error)]
enum CallError {
    #[error("the token cannot be read")]
    Token(#[from] std::io::Error),
    #[error("the control plane was not reached")]
    Unreached(#[from] reqwest::Error),
    #[error("the control plane answered {0}")]
    Answer(u16),
}

/// Whoever calls.
#[derive(Debug)]
pub(crate) struct Caller {
    to: Callbacks,
    client: Client,
    path: String,
    report: Report,
}

impl Caller {
    pub(crate) fn new(to: Callbacks, node: &str, epoch: u32) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .timeout(CALL)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        let path = format!("{}/nodes/{}", to.url.trim_end_matches('/'), escaped(node));
        Ok(Self {
            to,
            client,
            path,
            report: Report { epoch, version: VERSION.to_owned(), load: None },
        })
    }

    /// Calls until the task is dropped.
    #[expect(clippy::infinite_loop, reason = "it ends with its task")]
    pub(crate) async fn call(&self) -> Infallible {
        let mut wait = AGAIN;
        let mut meter = Meter::default();
        while !self.say("ready", None).await {
            clock::rest(wait.min(self.to.every)).await;
            wait = wait.saturating_mul(2);
        }
        loop {
            let load = if self.to.is_measuring { meter.read() } else { None };
            self.say("heartbeat", load).await;
            clock::rest(self.to.every).await;
        }
    }

    /// Whether it was heard.
    async fn say(&self, what: &str, load: Option<Load>) -> bool {
        match self.post(what, &Report { load, ..self.report.clone() }).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(target: "sexton", what, %error, "a callback was not taken");
                false
            }
        }
    }

    /// Says that a run has ended: whether it was heard, or is of no interest to anybody.
    pub(crate) async fn say_ended(&self, about: &About, end: RunEnd) -> bool {
        let ended = Ended { epoch: self.report.epoch, about: about.clone(), end };
        match self.post("ended", &ended).await {
            // A refusal: it has a tombstone, or a later life. Whoever it is for, nobody waits.
            Ok(()) | Err(CallError::Answer(404 | 409 | 422)) => true,
            Err(error) => {
                tracing::warn!(target: "sexton", %error, "the end of a run was not taken");
                false
            }
        }
    }

    async fn post(&self, what: &str, body: &(impl Serialize + Sync)) -> Result<(), CallError> {
        let token = std::fs::read_to_string(&self.to.token)?;
        let request = self.client.post(format!("{}/{what}", self.path));
        let answer = request.bearer_auth(token.trim()).json(body).send().await?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(CallError::Answer(status.as_u16())) }
    }
}

/// A name as one part of a path.
pub fn escaped(name: &str) -> String {
    let mut path = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.extend(format!("%{byte:02X}").chars());
        }
    }
    path
}
