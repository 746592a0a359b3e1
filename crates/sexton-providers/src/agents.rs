//! Calls of agents: each with a token of its own, each with a bound in time.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde::de::DeserializeOwned;
use sexton::ActorRef;
use sexton_agent::callbacks::escaped;
use sexton_agent::wire::{Order, Problem, Run, View, is_id};
use sexton_fleet::Machine;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use thiserror::Error;

use crate::platform::{Platform, PlatformError};

/// How long a connection may take to be made. Chosen: machines are near.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a call may take. Chosen: longer than the agent itself gives a call.
const CALL: Duration = Duration::from_secs(20);
/// The longest answer that is read, in bytes. Chosen: a list of a hundred workspaces has 30 KiB.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Why an agent did not do what it was asked.
#[derive(Debug, Error)]
pub enum AgentError {
    /// Nobody answered, or not in full: it may have taken effect.
    #[error("the agent was not reached")]
    Unreached(#[from] reqwest::Error),
    /// The answer is longer than any should be: it may have taken effect.
    #[error("the agent's answer is too long, or is none")]
    Unreadable,
    /// It refused, and says why.
    #[error("the agent refused")]
    Refused(#[from] Problem),
    /// No token could be made; nothing was sent.
    #[error("no token could be made")]
    Token(#[from] PlatformError),
}

/// The id by which an agent knows a workspace or a run: of one life, and with nothing in it that
/// means something in a path.
///
/// # Example
///
/// ```
/// use sexton::{ActorId, ActorRef};
/// use sexton_providers::workspace_id;
///
/// let life = |name: &str, incarnation| ActorRef {
///     id: ActorId::new("workspace", name).expect("a good name"),
///     incarnation,
/// };
/// assert_eq!(workspace_id(&life("w-1", 2)), "w-1.2");
/// assert!(workspace_id(&life("../../etc", 1)).starts_with("x-"));
/// ```
pub fn workspace_id(life: &ActorRef) -> String {
    let name = life.id.name();
    // What begins as a digest could be one.
    let is_plain = is_id(name) && name.len() <= 64 && !name.starts_with("x-");
    if is_plain {
        return format!("{name}.{}", life.incarnation);
    }
    format!("x-{}.{}", digest(name), life.incarnation)
}

/// 128 bits of SHA-256, as text: a name of its own for whatever text.
pub(crate) fn digest(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(16).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Calls agents in the name of the platform.
#[derive(Clone, Debug)]
pub struct Agents {
    client: Client,
    platform: Arc<Platform>,
}

/// One agent, the workspace there that a call is about, and the effect that it is an attempt of.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// The life of its node.
    pub node: &'a ActorRef,
    /// The id of the workspace there; see [`workspace_id`].
    pub workspace: &'a str,
    /// The number of the effect, among those of the life that owes it. An agent refuses what is
    /// below one that was there, so an attempt that was given up changes nothing when it arrives
    /// at last.
    pub effect: u64,
}

/// Where an agent has its workspaces.
fn workspaces(machine: &Machine) -> String {
    let address = &machine.address;
    let scheme = if address.contains("://") { "" } else { "http://" };
    format!("{scheme}{address}/workspaces")
}

fn client() -> reqwest::ClientBuilder {
    let client = Client::builder().connect_timeout(CONNECT).timeout(CALL);
    client.redirect(reqwest::redirect::Policy::none())
}

impl Agents {
    /// A caller with the platform's keys.
    ///
    /// # Errors
    ///
    /// [`AgentError::Unreached`] if the client cannot be set up.
    pub fn new(platform: Arc<Platform>) -> Result<Self, AgentError> {
        Ok(Self { client: client().no_proxy().build()?, platform })
    }

    /// The same, with a proxy for HTTP between it and every agent: `http://proxy:3128`.
    ///
    /// # Errors
    ///
    /// [`AgentError::Unreached`] if that is no proxy.
    pub fn through(platform: Arc<Platform>, proxy: &str) -> Result<Self, AgentError> {
        let proxy = reqwest::Proxy::all(proxy)?;
        Ok(Self { client: client().proxy(proxy).build()?, platform })
    }

    /// `rest` is what follows the workspace in the path.
    fn request(
        &self,
        method: Method,
        to: Target<'_>,
        rest: &str,
    ) -> Result<RequestBuilder, AgentError> {
        let of = (to.node.id.name(), to.node.incarnation);
        let token = self.platform.for_agent(of, Some((to.workspace, to.effect)))?;
        let url = format!("{}/{}{rest}", workspaces(to.machine), escaped_id(to.workspace));
        Ok(self.client.request(method, url).bearer_auth(token))
    }

    /// The workspaces of a machine, in order of ids.
    ///
    /// # Errors
    ///
    /// [`AgentError`]; a list is whole or none.
    pub async fn list(&self, machine: &Machine, node: &ActorRef) -> Result<Vec<View>, AgentError> {
        let token = self.platform.for_agent((node.id.name(), node.incarnation), None)?;
        self.send(self.client.get(workspaces(machine)).bearer_auth(token)).await
    }

    async fn send<T: DeserializeOwned>(&self, call: RequestBuilder) -> Result<T, AgentError> {
        let mut answer = call.send().await?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(AgentError::Unreadable);
            }
            bytes.extend_from_slice(&chunk);
        }
        if status.is_success() {
            let text = if bytes.is_empty() { b"null".as_slice() } else { &bytes };
            return serde_json::from_slice(text).ok().ok_or(AgentError::Unreadable);
        }
        let problem = serde_json::from_slice::<Problem>(&bytes).ok();
        Err(problem.map_or(AgentError::Unreadable, AgentError::Refused))
    }

    /// Makes a workspace, or makes one run again.
    ///
    /// # Errors
    ///
    /// [`AgentError`]; asked again with the same order it is made once.
    pub async fn put(&self, to: Target<'_>, order: &Order) -> Result<View, AgentError> {
        self.send(self.request(Method::PUT, to, "")?.json(order)).await
    }

    /// Ends a workspace with all that is in it, for good. No such thing is done.
    ///
    /// # Errors
    ///
    /// [`AgentError`]; can be repeated.
    pub async fn delete(&self, to: Target<'_>) -> Result<(), AgentError> {
        self.send(self.request(Method::DELETE, to, "")?).await
    }

    /// Stops, wakes, ... what is there.
    ///
    /// # Errors
    ///
    /// [`AgentError`]; can be repeated.
    pub async fn change(&self, to: Target<'_>, verb: &str) -> Result<View, AgentError> {
        self.send(self.request(Method::POST, to, &format!("/{verb}"))?).await
    }

    /// Begins a run inside a workspace, once.
    ///
    /// # Errors
    ///
    /// [`AgentError`]; can be repeated.
    pub async fn begin(
        &self,
        to: Target<'_>,
        session: &str,
        run: &Run,
    ) -> Result<View, AgentError> {
        let rest = format!("/sessions/{}", escaped_id(session));
        self.send(self.request(Method::PUT, to, &rest)?.json(run)).await
    }

    /// Ends a run inside a workspace for good. No such thing is done.
    ///
    /// # Errors
    ///
    /// [`AgentError`]; can be repeated.
    pub async fn cease(&self, to: Target<'_>, session: &str) -> Result<(), AgentError> {
        let rest = format!("/sessions/{}", escaped_id(session));
        self.send(self.request(Method::DELETE, to, &rest)?).await
    }
}

/// Ids of ours need no escape; another's would.
fn escaped_id(id: &str) -> String {
    if is_id(id) { id.to_owned() } else { escaped(id) }
}
