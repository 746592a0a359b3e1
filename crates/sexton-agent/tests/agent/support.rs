//! A platform, its agents, and calls.

use std::fs::{self, File};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sexton_agent::clock::{now_s, rest};
use sexton_agent::files;
use sexton_agent::keys::{OwnKey, PublicKey, PublicKeys};
use sexton_agent::process::{MARK, Process, end, members_below};
use sexton_agent::server::Presence;
use sexton_agent::token::{Claims, Mint, NODE_MANAGEMENT};
use tempfile::TempDir;

/// Whom the agents of these tests trust.
pub(crate) const ISSUER: &str = "sexton";
/// The node of these tests, and its life.
pub(crate) const NODE: (&str, u32) = ("n-1", 3);

/// A directory, keys, and where the agent's workspaces lie.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
    pub(crate) key: OwnKey,
    pub(crate) mint: Mint,
    n_effects: AtomicU64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let root = self.root().join("workspaces");
        // A test that did not get so far has nothing there.
        if let Ok(root) = root.canonicalize() {
            end(|| members_below(MARK, &root)).expect("what a test started can be ended");
        }
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        let key = OwnKey::generate("k1").expect("a key can be made");
        let mint = Mint::new(ISSUER, "k1", &key.private).expect("it signs");
        let directory = tempfile::tempdir().expect("there is room");
        let place = Self { directory, key, mint, n_effects: AtomicU64::new(0) };
        place.publish(vec![place.key.public.clone()]);
        place
    }

    pub(crate) fn publish(&self, keys: Vec<PublicKey>) {
        files::write_json(&self.keys(), &PublicKeys { keys }).expect("the keys can be written");
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.directory.path().join("keys.json")
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    pub(crate) fn files(&self, id: &str) -> PathBuf {
        self.root().join("workspaces").join(id)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).expect("the agent has a log")
    }

    /// A token for the next effect of a workspace, or for none, as the platform makes it.
    pub(crate) fn token(&self, workspace: Option<&str>) -> String {
        let next = || self.n_effects.fetch_add(1, Ordering::Relaxed) + 1;
        self.token_of(workspace.map(|id| (id, next())))
    }

    /// A token for this effect of a workspace.
    pub(crate) fn token_of(&self, of: Option<(&str, u64)>) -> String {
        self.mint.for_agent(NODE, of, Duration::from_secs(60)).expect("it signs")
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sexton-agent"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--node", NODE.0, "--epoch", "3"]);
        command.args(["--workspaces-max", "3"]);
        command.arg("--root").arg(self.root()).arg("--keys").arg(self.keys());
        command.env("RUST_LOG", "trace");
        command
    }

    pub(crate) async fn agent(&self) -> Agent {
        self.agent_of(&mut self.command()).await
    }

    pub(crate) async fn agent_of(&self, command: &mut Command) -> Agent {
        let log = self.directory.path().join("log");
        let log = File::options().create(true).append(true).open(log).expect("a log");
        let child = command.stderr(log).spawn().expect("the agent starts");
        let process = Process::of(child.id());
        let mut agent = Agent { child, address: ([127, 0, 0, 1], 0).into() };
        let root = self.root();
        until("the agent listens", async || {
            let presence = Presence::read(&root).expect("its file can be read");
            let presence = presence.filter(|it| Some(&it.process) == process.as_ref());
            agent.address = presence.as_ref().map_or(agent.address, |it| it.address);
            presence.is_some()
        })
        .await;
        agent
    }
}

/// An agent that is ended with its test.
pub(crate) struct Agent {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
}

impl Agent {
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it ends");
    }

    pub(crate) async fn call(
        &self,
        what: (Method, &str),
        token: Option<&str>,
        body: Option<Value>,
    ) -> (u16, Value) {
        let request = reqwest::Client::new().request(what.0, self.url(what.1));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await.expect("the agent answers");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a whole answer");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// A connection on which this was sent, and nothing more.
    pub(crate) fn sent(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("it can be set");
        stream.write_all(text.as_bytes()).expect("it is taken");
        stream
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The list, which tells everything that a call may have changed.
    pub(crate) async fn list(&self, place: &Place) -> Value {
        let (status, list) =
            self.call((Method::GET, "/workspaces"), Some(&place.token(None)), None).await;
        assert_eq!(status, 200, "{list}");
        list
    }

    /// Makes a workspace in which `script` runs.
    pub(crate) async fn put(&self, place: &Place, id: &str, script: &str) -> (u16, Value) {
        let body = json!({ "run": 1, "command": ["sh", "-c", script] });
        let path = format!("/workspaces/{id}");
        self.call((Method::PUT, &path), Some(&place.token(Some(id))), Some(body)).await
    }

    pub(crate) async fn delete(&self, place: &Place, id: &str) -> u16 {
        let path = format!("/workspaces/{id}");
        self.call((Method::DELETE, &path), Some(&place.token(Some(id))), None).await.0
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have been killed already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Claims that are right, for tests that bend one of them.
pub(crate) fn claims(workspace: Option<&str>) -> Claims {
    Claims {
        iss: ISSUER.to_owned(),
        aud: NODE_MANAGEMENT.to_owned(),
        node: NODE.0.to_owned(),
        epoch: NODE.1,
        workspace: workspace.map(str::to_owned),
        effect: workspace.map(|_| 1),
        iat: now_s(),
        exp: now_s() + 60,
    }
}

/// The process of a workspace, which runs.
pub(crate) fn process_of(view: &Value) -> Process {
    let pid = view["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    Process::of(pid.expect("it runs")).expect("it is there")
}

/// How many processes run below a directory.
pub(crate) fn n_running(root: &Path) -> usize {
    let root = root.canonicalize().expect("it is there");
    members_below(MARK, &root).expect("processes can be listed").len()
}

/// Waits until something is so, for a minute at most.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..6_000 {
        if is_so().await {
            return;
        }
        rest(Duration::from_millis(10)).await;
    }
    unreachable!("in a minute it did not come about that {what}");
}
