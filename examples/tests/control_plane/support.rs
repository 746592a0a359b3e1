//! A directory, the program that is started in it, and calls.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Client, Method};
use rustix::process::Signal;
use serde_json::{Value, json};
use sexton_agent::clock::{pause, rest};
use sexton_agent::process::{MARK, Process, end, members_below};
use sexton_agent::server::Presence;
use tempfile::TempDir;

/// The variable that marks an agent.
const MACHINE: &str = "SEXTON_MACHINE";

/// Where everything of a test lies.
pub(crate) struct Ground {
    directory: TempDir,
    port: u16,
}

impl Drop for Ground {
    fn drop(&mut self) {
        let root = self.root();
        for variable in [MACHINE, MARK] {
            end(|| members_below(variable, &root)).expect("what a test started can be ended");
        }
    }
}

/// The program that cargo builds with these tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("it is known");
    let built = test.parent().and_then(Path::parent).expect("it lies in `deps`");
    let program = built.join("examples").join("control_plane");
    assert!(program.exists(), "first: cargo build --package sexton-examples --examples");
    program
}

impl Ground {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("there is room");
        // Free a moment ago, and given to nobody for a while.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("it has one").port();
        Self { directory, port }
    }

    /// Below here lies all that the program makes.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().canonicalize().expect("it is there")
    }

    pub(crate) fn command(&self, session: &str) -> Command {
        self.command_at(&format!("127.0.0.1:{}", self.port), session)
    }

    pub(crate) fn command_at(&self, listen: &str, session: &str) -> Command {
        let mut command = Command::new(program());
        command.arg("--dir").arg(self.root().join("plane"));
        command.args(["--listen", listen, "--session", session]);
        command
    }

    /// Starts the program, and waits until it said all that it says.
    pub(crate) async fn start(&self) -> Plane {
        self.start_with("until [ -e end ]; do sleep 0.05; done").await
    }

    /// The same, with this script in the sessions of tasks.
    pub(crate) async fn start_with(&self, session: &str) -> Plane {
        self.run(self.command(session)).await
    }

    /// The same, as this command says.
    pub(crate) async fn run(&self, mut command: Command) -> Plane {
        let said = self.root().join("said");
        let log = File::options().create(true).append(true).open(self.root().join("log"));
        command.stdout(File::create(&said).expect("there is room")).stderr(log.expect("a log"));
        let child = command.stdin(Stdio::null()).spawn().expect("it starts");
        let mut plane = Plane { child, url: format!("http://127.0.0.1:{}", self.port), said };
        until("it says what to type", async || {
            let ended = plane.child.try_wait().expect("it is ours");
            assert_eq!(ended, None, "{}", self.log());
            plane.said().contains("ctrl-c ends it in order")
        })
        .await;
        plane
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.root().join("log")).expect("it has a log")
    }

    /// An operator's token, as the program wrote it.
    pub(crate) fn operator(&self) -> String {
        let path = self.root().join("plane/operator.token");
        fs::read_to_string(path).expect("it was written").trim().to_owned()
    }

    /// The directories of machines.
    pub(crate) fn machines(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.root().join("plane/machines")).expect("it can be read");
        let paths = entries.map(|entry| entry.expect("it can be read").path());
        paths.filter(|path| path.is_dir()).collect()
    }

    /// The agents that run.
    pub(crate) fn agents(&self) -> Vec<Process> {
        members_below(MACHINE, &self.root()).expect("processes can be listed")
    }

    /// Whatever runs, agents and what they started.
    pub(crate) fn running(&self) -> Vec<Process> {
        let mut running = members_below(MARK, &self.root()).expect("processes can be listed");
        running.extend(self.agents());
        running
    }

    /// The agent of the one machine that there is.
    pub(crate) fn agent(&self) -> Process {
        let machines = self.machines();
        assert_eq!(machines.len(), 1);
        let presence = Presence::read(&machines[0].join("disk")).expect("it can be read");
        presence.expect("it was there").process
    }

    /// Nothing is left, neither a process nor a directory.
    pub(crate) async fn check_empty(&self) {
        until("nothing is left", async || self.running().is_empty() && self.machines().is_empty())
            .await;
    }
}

/// The program, which runs until it is ended, by its test or with it.
pub(crate) struct Plane {
    pub(crate) child: Child,
    pub(crate) url: String,
    said: PathBuf,
}

impl Drop for Plane {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Plane {
    /// As a crash: nothing is closed.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it ends");
    }

    /// As an operator ends it: whether it ended well.
    pub(crate) async fn close(mut self) -> bool {
        let process = Process::of(self.child.id()).expect("it runs");
        assert!(process.signal(Signal::TERM).expect("it is ours"));
        let mut ended = None;
        until("it ends", async || {
            ended = self.child.try_wait().expect("it is ours");
            ended.is_some()
        })
        .await;
        ended.is_some_and(|status| status.success())
    }

    /// What it printed.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.said).expect("it can be read")
    }

    pub(crate) async fn call(
        &self,
        what: (Method, &str),
        token: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let request = Client::new().request(what.0, format!("{}{}", self.url, what.1));
        let request = request.bearer_auth(token).timeout(Duration::from_secs(60));
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.expect("it answers");
        let status = answer.status().as_u16();
        (status, answer.json().await.expect("an answer is JSON"))
    }

    /// An owner and his token.
    pub(crate) async fn owner(&self, ground: &Ground, name: &str) -> Owner<'_> {
        let body = json!({ "name": name });
        let call = (Method::POST, "/owners");
        let (status, answer) = self.call(call, &ground.operator(), Some(&body)).await;
        assert_eq!(status, 201, "{answer}");
        let token = answer["token"].as_str().expect("a token").to_owned();
        Owner { plane: self, token }
    }
}

/// Somebody who calls.
pub(crate) struct Owner<'a> {
    plane: &'a Plane,
    pub(crate) token: String,
}

impl Owner<'_> {
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.plane.call((Method::GET, path), &self.token, None).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> (u16, Value) {
        self.plane.call((Method::PUT, path), &self.token, Some(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        self.plane.call((Method::DELETE, path), &self.token, None).await
    }

    /// Waits until a thing has a status.
    pub(crate) async fn until(&self, path: &str, status: &str) -> Value {
        let mut seen = Value::Null;
        until(&format!("{path} is {status}"), async || {
            seen = self.get(path).await.1;
            seen["status"] == status
        })
        .await;
        seen
    }

    /// Waits until a thing has its tombstone.
    pub(crate) async fn until_buried(&self, path: &str) -> Value {
        let mut seen = Value::Null;
        until(&format!("{path} has its tombstone"), async || {
            seen = self.get(path).await.1;
            seen["tombstone"].is_object()
        })
        .await;
        seen
    }

    /// Ends a thing, and waits until it has its tombstone.
    pub(crate) async fn end(&self, path: &str) -> Value {
        let (status, view) = self.delete(path).await;
        assert!(status == 200 || status == 202, "{view}");
        self.until_buried(path).await
    }

    /// A node with a workspace that runs: its process, and its directory.
    pub(crate) async fn workspace(&self, name: &str) -> (Process, PathBuf) {
        self.put("/nodes/n-1", json!({})).await;
        let (status, view) = self.put(&workspace(name), json!({ "node": "n-1" })).await;
        assert_eq!(status, 202, "{view}");
        self.until(&workspace(name), "running").await;
        self.process(name).await
    }

    /// The process of a workspace, and its directory.
    pub(crate) async fn process(&self, name: &str) -> (Process, PathBuf) {
        let mut seen = Value::Null;
        until("its agent says what runs", async || {
            seen = self.get(&workspace(name)).await.1;
            seen["process"]["pid"].is_u64()
        })
        .await;
        let pid = seen["process"]["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        let directory = seen["process"]["directory"].as_str().expect("it has one");
        (Process::of(pid.expect("it runs")).expect("it is there"), PathBuf::from(directory))
    }

    /// Every event of a name, with its kind and name.
    pub(crate) async fn events(&self, event: &str) -> Vec<(String, String)> {
        let (mut after, mut found) = (0, Vec::new());
        loop {
            let path = format!("/events?after={after}&event={event}");
            let (status, page) = self.get(&path).await;
            assert_eq!(status, 200, "{page}");
            let next = page["next"].as_u64().expect("a cursor");
            if next == after {
                return found;
            }
            after = next;
            let word =
                |item: &Value, field: &str| item[field].as_str().expect("it has one").to_owned();
            let items = page["items"].as_array().expect("a list");
            found.extend(items.iter().map(|it| (word(it, "kind"), word(it, "name"))));
        }
    }
}

pub(crate) fn workspace(name: &str) -> String {
    format!("/workspaces/{name}")
}

/// Kills a process of the test's own, and waits until it is dead.
pub(crate) fn kill(process: &Process) {
    assert!(process.signal(Signal::KILL).expect("it is ours"));
    for _ in 0..12_000 {
        if !process.is_alive() {
            return;
        }
        pause(Duration::from_millis(5));
    }
    unreachable!("a process outlived SIGKILL by a minute");
}

/// Waits until something is so, for two minutes at most.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..6_000 {
        if is_so().await {
            return;
        }
        rest(Duration::from_millis(20)).await;
    }
    unreachable!("in two minutes it did not come about that {what}");
}
