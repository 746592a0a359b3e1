//! The agent's server: every path, who may use it, and how long it may take.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, ResponseError};
use rustix::fs::{FlockOperation, flock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::VERSION;
use crate::authorize::Gate;
use crate::callbacks::{self, Callbacks};
use crate::files;
use crate::keys::KeyError;
use crate::process::Process;
use crate::token::Keyring;
use crate::watch;
use crate::wire::{Code, Health, Order, Problem, Run, View};
use crate::workspaces::{Call, Workspaces};

/// The longest body. Chosen: twice the longest command, as JSON.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a client may take for its head, and again for its body. Chosen: bodies are small.
const READING: Duration = Duration::from_secs(5);
/// How long a call may take. Chosen: longer than a group that does not want to end is tried for.
const WORKING: Duration = Duration::from_secs(15);
/// The most connections. Chosen: one control plane, many calls at a time.
const CONNECTIONS_MAX: usize = 256;
/// The most calls that work at a time. Chosen: changes go one by one anyway.
const WORKERS: usize = 8;
/// How long calls may go on when the agent ends, in seconds.
const SHUTDOWN_S: u64 = 5;

/// How an agent is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens; port 0 is any.
    pub listen: SocketAddr,
    /// Where its workspaces lie. One agent at a time.
    pub root: PathBuf,
    /// The name of its node.
    pub node: String,
    /// Which of the node's lives.
    pub epoch: u32,
    /// Who signs tokens.
    pub issuer: String,
    /// The file of the platform's public keys.
    pub keys: PathBuf,
    /// The most workspaces.
    pub workspaces_max: usize,
    /// Through what its workspaces' processes are started; see [`Workspaces::entered_by`].
    pub enter: Vec<OsString>,
    /// Where it calls back, if anywhere.
    pub callbacks: Option<Callbacks>,
}

/// What an agent says of itself in its directory, for whoever started it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Its process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Presence {
    /// What the agent of this directory said last.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub fn read(root: &Path) -> io::Result<Option<Self>> {
        files::read_json(&root.join("agent.json"))
    }
}

/// Why an agent cannot run.
#[derive(Debug, Error)]
pub enum AgentError {
    /// Its keys cannot be used.
    #[error("the platform's keys cannot be used")]
    Keys(#[from] KeyError),
    /// Its directory cannot be used.
    #[error("failed to use the directory {path}")]
    Root {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another agent runs there.
    #[error("another agent runs in {path}")]
    Taken {
        /// Where.
        path: PathBuf,
    },
    /// It cannot listen.
    #[error("failed to listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot call back.
    #[error("failed to set up the callbacks")]
    Callbacks(#[from] reqwest::Error),
    /// It failed while it ran.
    #[error("the server failed")]
    Server(#[source] io::Error),
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        match self.code {
            Code::Unauthorized => StatusCode::UNAUTHORIZED,
            Code::Forbidden => StatusCode::FORBIDDEN,
            Code::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::Conflict | Code::Superseded => StatusCode::CONFLICT,
            Code::Gone => StatusCode::GONE,
            Code::Full => StatusCode::INSUFFICIENT_STORAGE,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code()).json(self)
    }
}

/// What the handlers share.
#[derive(Debug)]
struct Agent {
    gate: Gate,
    workspaces: Arc<Workspaces>,
}

/// Reads a body that is JSON, whole, small and in time.
///
/// # Errors
///
/// [`Problem`] if it is not.
pub async fn body<T: DeserializeOwned>(payload: Payload) -> Result<T, Problem> {
    let late = |_| Problem::new(Code::Unavailable, "the body did not arrive in time");
    let read = tokio::time::timeout(READING, payload.to_bytes_limited(BODY_BYTES_MAX)).await;
    let long =
        |_| Problem::new(Code::TooLarge, format!("a body has at most {BODY_BYTES_MAX} bytes"));
    let bytes = read.map_err(late)?.map_err(long)?;
    let bytes = bytes.map_err(|error| Problem::new(Code::Invalid, error.to_string()))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Problem::new(Code::Invalid, format!("the body is not right: {error}")))
}

impl Agent {
    /// Does something that blocks, in a thread that may, and in time.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Workspaces) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let workspaces = Arc::clone(&self.workspaces);
        in_time(web::block(move || work(&workspaces))).await
    }
}

async fn in_time<T>(
    work: impl Future<Output = Result<Result<T, Problem>, actix_web::error::BlockingError>>,
) -> Result<T, Problem> {
    let late = |_| Problem::new(Code::Unavailable, "it took too long, and may go on");
    let ended = tokio::time::timeout(WORKING, work).await.map_err(late)?;
    ended.map_err(|error| Problem::new(Code::Unavailable, error.to_string()))?
}

async fn health() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok".to_owned(), version: VERSION.to_owned() })
}

async fn list(agent: Data<Agent>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    agent.gate.check(&request, None)?;
    let views = agent.work(Workspaces::list).await?;
    Ok(HttpResponse::Ok().json(views))
}

/// Whose token this is, first of all, and which call of his.
fn named(agent: &Agent, request: &HttpRequest, id: &str) -> Result<(String, Call), Problem> {
    let claims = agent.gate.check(request, Some(id))?;
    Ok((id.to_owned(), Call::of(&claims)))
}

async fn put(
    agent: Data<Agent>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let (id, call) = named(&agent, &request, &id)?;
    let order: Order = body(payload).await?;
    let (view, is_new) = agent.work(move |all| all.put(&id, call, order)).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    tracing::info!(target: "sexton", id = view.id, run = view.run, is_new, "a workspace runs");
    Ok(HttpResponse::build(status).json(view))
}

async fn delete(
    agent: Data<Agent>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (id, call) = named(&agent, &request, &id)?;
    let of = id.clone();
    let was_there = agent.work(move |all| all.delete(&of, call)).await?;
    tracing::info!(target: "sexton", id, was_there, "a workspace is gone");
    Ok(HttpResponse::NoContent().finish())
}

async fn change(
    agent: Data<Agent>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (id, verb) = path.into_inner();
    let (id, call) = named(&agent, &request, &id)?;
    let change: fn(&Workspaces, &str, Call) -> Result<View, Problem> = match verb.as_str() {
        "stop" => Workspaces::stop,
        "sleep" => Workspaces::sleep,
        "wake" => Workspaces::wake,
        "recover" => Workspaces::recover,
        other => return Err(Problem::new(Code::NotFound, format!("nothing is called {other}"))),
    };
    let view = agent.work(move |all| change(all, &id, call)).await?;
    tracing::info!(target: "sexton", id = view.id, verb, "a workspace was changed");
    Ok(HttpResponse::Ok().json(view))
}

async fn begin(
    agent: Data<Agent>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let (id, session) = path.into_inner();
    let (id, call) = named(&agent, &request, &id)?;
    let run: Run = body(payload).await?;
    let view = agent.work(move |all| all.begin(&id, &session, (call, run))).await?;
    Ok(HttpResponse::Ok().json(view))
}

async fn cease(
    agent: Data<Agent>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (id, session) = path.into_inner();
    let (id, call) = named(&agent, &request, &id)?;
    agent.work(move |all| all.cease(&id, &session, call)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// What no path leads to: also that is told only to who may know.
async fn nothing(agent: Data<Agent>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    agent.gate.check(&request, None)?;
    Err(Problem::new(Code::NotFound, "there is no such path"))
}

fn paths(app: &mut ServiceConfig) {
    app.route("/health", web::get().to(health));
    app.route("/workspaces", web::get().to(list));
    app.route("/workspaces/{id}", web::put().to(put));
    app.route("/workspaces/{id}", web::delete().to(delete));
    app.route("/workspaces/{id}/sessions/{session}", web::put().to(begin));
    app.route("/workspaces/{id}/sessions/{session}", web::delete().to(cease));
    app.route("/workspaces/{id}/{verb}", web::post().to(change));
    app.default_service(web::to(nothing));
}

/// Takes the directory for this agent, until it is dropped or the process ends.
fn lock(root: &Path) -> Result<File, AgentError> {
    let failed = |source| AgentError::Root { path: root.to_owned(), source };
    fs::create_dir_all(root).map_err(failed)?;
    let file = File::create(root.join("lock")).map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(AgentError::Taken { path: root.to_owned() }),
        Err(error) => Err(failed(error.into())),
    }
}

/// Runs an agent until it is told to end.
///
/// # Errors
///
/// [`AgentError`] if it cannot begin, or fails.
///
/// # Durability
///
/// What it made goes on when it ends, however it ends; the next agent in the same directory
/// finds it.
pub async fn run(config: Config) -> Result<(), AgentError> {
    let _lock = lock(&config.root)?;
    let root = |source| AgentError::Root { path: config.root.clone(), source };
    let keys = Arc::new(Keyring::open(&config.issuer, &config.keys)?);
    let workspaces = Workspaces::open(&config.root, config.workspaces_max).map_err(root)?;
    let workspaces = workspaces.entered_by(config.enter);
    let gate = Gate { keys, node: config.node.clone(), epoch: config.epoch };
    let workspaces = Arc::new(workspaces);
    let watched = Arc::clone(&workspaces);
    let agent = Data::new(Agent { gate, workspaces });
    let listen = |source| AgentError::Listen { address: config.listen, source };
    let server = HttpServer::new(move || App::new().app_data(agent.clone()).configure(paths))
        .workers(1)
        .worker_max_blocking_threads(WORKERS)
        .max_connections(CONNECTIONS_MAX)
        .client_request_timeout(READING)
        .shutdown_timeout(SHUTDOWN_S)
        .bind(config.listen)
        .map_err(listen)?;
    let address = server.addrs().first().copied().unwrap_or(config.listen);
    let callbacks = match config.callbacks {
        Some(to) => Some(Arc::new(callbacks::Caller::new(to, &config.node, config.epoch)?)),
        None => None,
    };
    let server = server.run();
    let process = Process::of(std::process::id()).ok_or_else(|| {
        root(io::Error::new(io::ErrorKind::NotFound, "the process is not listed in /proc"))
    })?;
    let presence = Presence { process, address };
    files::write_json(&config.root.join("agent.json"), &presence).map_err(root)?;
    tracing::info!(target: "sexton", %address, node = config.node, epoch = config.epoch, "ready");
    let watching = actix_web::rt::spawn(watch::watch(watched, callbacks.clone()));
    let calling = callbacks.map(|it| actix_web::rt::spawn(async move { it.call().await }));
    let ended = server.await.map_err(AgentError::Server);
    watching.abort();
    if let Some(calling) = calling {
        calling.abort();
    }
    ended
}
