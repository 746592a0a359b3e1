//! Requests: each with the token, a bound in time and in bytes, and again where that is right.
//!
//! What only looks or ends something is sent again when nobody answered. What makes something is
//! not: whether it was made is looked up first, by whoever owes it.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client as Http, Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use sexton::clock::{Clock, WallClock};
use sexton_fleet::Fault;

use super::faults::{Failed, Refusal};
use super::pace::{Hold, Limit, Patience};
use super::token::Token;
use super::wire::{Action, OneAction, Refused};
use crate::provider::ProviderError;

/// How long a connection may take to be made. Chosen: more than any on this planet.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes. Chosen: fifty servers have about 400 KiB.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What is asked.
#[derive(Debug)]
pub(super) struct Call {
    method: Method,
    /// What follows the endpoint.
    path: String,
    body: Option<Vec<u8>>,
}

impl Call {
    pub(super) fn get(path: String) -> Self {
        Self { method: Method::GET, path, body: None }
    }

    pub(super) fn delete(path: String) -> Self {
        Self { method: Method::DELETE, path, body: None }
    }

    pub(super) fn post(path: &str, body: Vec<u8>) -> Self {
        Self { method: Method::POST, path: path.to_owned(), body: Some(body) }
    }

    /// Whether it may be sent again after this.
    fn is_again(&self, failed: &Failed) -> bool {
        let is_for_looking = self.method != Method::POST;
        let is_repeatable = match failed {
            Failed::Unreached(_) | Failed::Unreadable { .. } => is_for_looking,
            Failed::Refused(_) => is_for_looking && failed.fault() == Fault::Network,
            Failed::Action(_) | Failed::Held(_) | Failed::Unfinished(_) => false,
        };
        is_repeatable || failed.is_turned_away()
    }
}

/// Sends requests to one project.
#[derive(Debug)]
pub(super) struct Client {
    http: Http,
    endpoint: String,
    token: Token,
    hold: Hold,
    /// How long one request may take.
    timeout: Duration,
}

impl Client {
    /// # Errors
    ///
    /// [`ProviderError`] if the token would be sent in the clear, or there is no TLS.
    pub(super) fn new(
        endpoint: &str,
        token: Token,
        timeout: Duration,
    ) -> Result<Self, ProviderError> {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let is_here = |url: &reqwest::Url| {
            // A name would be looked up, and whoever answers that could have the token.
            url.scheme() == "http"
                && url.host_str().is_some_and(|host| {
                    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
                    address.is_ok_and(|address| address.is_loopback())
                })
        };
        let url = reqwest::Url::parse(&endpoint);
        if !url.is_ok_and(|url| url.scheme() == "https" || is_here(&url)) {
            let why = format!("`{endpoint}` is not https: the token would be sent in the clear");
            return Err(ProviderError::new(Fault::Invalid, why));
        }
        let http = Http::builder()
            .connect_timeout(CONNECT)
            // The token goes where it is meant to go.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build();
        let unset =
            |error| ProviderError::because(Fault::Unknown, "no client can be set up", error);
        Ok(Self { http: http.map_err(unset)?, endpoint, token, hold: Hold::default(), timeout })
    }

    /// Sends until there is an answer, or no patience.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        call: &Call,
        patience: &mut Patience,
    ) -> Result<T, Failed> {
        loop {
            let held = self.hold.left();
            if !held.is_zero() && !patience.rest(held).await {
                return Err(Failed::Held(held));
            }
            let answer = self.once(call, patience).await;
            let answer = answer
                .and_then(|bytes| read(200, &bytes).map_err(|failed| (failed, Limit::default())));
            let (failed, limit) = match answer {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            let wait = limit.wait(patience);
            if failed.fault() == Fault::RateLimit {
                self.hold.extend(wait);
            }
            let is_again = call.is_again(&failed);
            let (method, path, fault) = (&call.method, &call.path, failed.fault().name());
            tracing::debug!(target: "sexton", %method, path, fault, is_again, "a request failed");
            if !is_again || !patience.rest(wait).await {
                return Err(failed);
            }
        }
    }

    /// One request. What failed comes with what the API says of its limit.
    async fn once(&self, call: &Call, patience: &Patience) -> Result<Vec<u8>, (Failed, Limit)> {
        let url = format!("{}{}", self.endpoint, call.path);
        let mut request = self.http.request(call.method.clone(), url);
        request = request.header(AUTHORIZATION, self.token.header());
        request = request.timeout(self.timeout.min(patience.left()));
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let unreached = |error| (Failed::Unreached(error), Limit::default());
        let mut answer = request.send().await.map_err(unreached)?;
        let (status, limit) = (answer.status(), Limit::read(answer.headers(), WallClock.now()));
        let bytes = whole(&mut answer).await;
        if status.is_success() {
            return bytes.map_err(|failed| (failed, limit));
        }
        let refused = bytes.and_then(|bytes| read::<Refused>(status.as_u16(), &bytes));
        let failed = match refused {
            Ok(refused) => {
                Failed::Refused(Refusal::new(status.as_u16(), &refused.error, &self.token))
            }
            // Sent by whatever stands before the API: the status suffices.
            Err(_) if status == StatusCode::TOO_MANY_REQUESTS => {
                Failed::Refused(Refusal::of_too_many())
            }
            Err(failed) => failed,
        };
        Err((failed, limit))
    }

    /// Waits for the end of an action.
    pub(super) async fn end(
        &self,
        mut action: Action,
        patience: &mut Patience,
    ) -> Result<(), Failed> {
        loop {
            match action.status.as_str() {
                "success" => return Ok(()),
                "error" => {
                    let unknown = || super::wire::Problem {
                        code: "action_failed".to_owned(),
                        message: String::new(),
                        details: None,
                    };
                    let problem = action.error.unwrap_or_else(unknown);
                    return Err(Failed::Action(Refusal::new(200, &problem, &self.token)));
                }
                _running => {}
            }
            let pause = patience.pause();
            if !patience.rest(pause).await {
                return Err(Failed::Unfinished("the action"));
            }
            let call = Call::get(format!("/actions/{}", action.id));
            action = self.send::<OneAction>(&call, patience).await?.action;
        }
    }
}

/// The whole body, if it is not too long.
async fn whole(answer: &mut Response) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(Failed::Unreached)? {
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            let place = format!("longer than {ANSWER_BYTES_MAX} bytes");
            return Err(Failed::Unreadable { status: answer.status().as_u16(), place });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Reads an answer; of one that is none, only the place is kept: it may have secrets in it.
fn read<T: DeserializeOwned>(status: u16, bytes: &[u8]) -> Result<T, Failed> {
    serde_json::from_slice(bytes).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Failed::Unreadable { status, place }
    })
}
