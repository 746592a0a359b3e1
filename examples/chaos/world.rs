//! What chaos has started: a control plane, and through it agents and what they run.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use reqwest::{Client, Method};
use rustix::process::Signal;
use serde_json::{Value, json};
use sexton_agent::clock::rest;
use sexton_agent::process::{MARK, Process, end, members, members_below};
use sexton_agent::server::Presence;

use crate::proxy::Network;

/// The variable that marks an agent.
const MACHINE: &str = "SEXTON_MACHINE";
/// How long a call waits for its answer. Chosen: one that was paused is asked again after it.
const CALL: Duration = Duration::from_secs(15);
/// How long the control plane may take to begin or to end, in looks of 20 ms: two minutes.
const LOOKS_MAX: u32 = 6_000;
const LOOK: Duration = Duration::from_millis(20);
/// What a task does, for `sh -c`: seconds of nothing, and then it is done well or it is not.
const SESSION: &str = "n=$(($$ % 10)); echo $n > n; sleep $((n % 4)); test $n -lt 8";

/// Whose things are made.
pub(crate) const OWNERS: [&str; 2] = ["alice", "bob"];

/// All that there is.
pub(crate) struct World {
    root: PathBuf,
    is_kept: Cell<bool>,
    address: SocketAddr,
    pub(crate) network: Network,
    callbacks: SocketAddr,
    proxy: SocketAddr,
    client: Client,
    /// The control plane that was started last.
    plane: RefCell<Option<Child>>,
    tokens: RefCell<[String; 2]>,
    /// Every address at which an agent was seen.
    pub(crate) ports: RefCell<BTreeSet<SocketAddr>>,
}

impl Drop for World {
    fn drop(&mut self) {
        let place = self.root.display();
        if self.is_kept.get() {
            println!("what is left lies in {place}");
        } else if let Err(error) = fs::remove_dir_all(&self.root) {
            println!("{place} could not be removed: {error}");
        }
    }
}

/// The control plane, which lies beside this program. Where it does not, `cargo run` built this
/// one alone, and builds that one now.
fn program() -> Result<PathBuf, Box<dyn Error>> {
    let program = std::env::current_exe()?.with_file_name("control_plane");
    if let (false, Some(cargo)) = (program.exists(), std::env::var_os("CARGO")) {
        let mut build = Command::new(cargo);
        build.args(["build", "--package", "sexton-examples", "--example", "control_plane"]);
        let is_release = program.components().any(|it| it.as_os_str() == "release");
        build.args(is_release.then_some("--release")).status()?;
    }
    if program.exists() {
        return Ok(program);
    }
    Err("first: cargo build --package sexton-examples --examples".into())
}

impl World {
    pub(crate) async fn new(directory: Option<PathBuf>) -> Result<Self, Box<dyn Error>> {
        let root = match directory {
            Some(path) => {
                fs::create_dir_all(&path)?;
                path
            }
            None => tempfile::Builder::new().prefix("chaos-").tempdir()?.keep(),
        };
        let root = root.canonicalize()?;
        // Free a moment ago, and given to nobody for a while.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let network = Network::default();
        let (callbacks, proxy) = (network.relay(address).await?, network.forward().await?);
        let client = Client::builder().timeout(CALL).no_proxy().build()?;
        Ok(Self {
            root,
            is_kept: Cell::new(false),
            address,
            network,
            callbacks,
            proxy,
            client,
            plane: RefCell::default(),
            tokens: RefCell::default(),
            ports: RefCell::default(),
        })
    }

    /// Where the control plane has everything.
    pub(crate) fn directory(&self) -> PathBuf {
        self.root.join("plane")
    }

    /// Leaves the directory to whoever wants to know what went wrong.
    pub(crate) fn keep(&self) {
        self.is_kept.set(true);
    }

    /// Starts the control plane, and waits until it answers.
    pub(crate) async fn start(&self) -> Result<(), Box<dyn Error>> {
        let log = File::options().create(true).append(true).open(self.root.join("log"))?;
        // A write beyond the quota shall fail, and not end the process that writes.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(program()?);
        command.arg("--dir").arg(self.directory()).args(["--session", SESSION]);
        command.args(["--listen", &self.address.to_string(), "--policy", "short"]);
        command.args(["--callbacks", &format!("http://{}/callbacks", self.callbacks)]);
        command.args(["--agents-through", &format!("http://{}", self.proxy)]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        *self.plane.borrow_mut() = Some(child);
        for _ in 0..LOOKS_MAX {
            if let Some(status) = self.ended()? {
                return Err(format!("the control plane did not start: {status}").into());
            }
            if self.log_in().await {
                return Ok(());
            }
            rest(LOOK).await;
        }
        Err("the control plane did not answer for two minutes".into())
    }

    /// Gets tokens of today; whether that went well.
    async fn log_in(&self) -> bool {
        let operator = fs::read_to_string(self.directory().join("operator.token"));
        let Ok(operator) = operator else { return false };
        for (index, name) in OWNERS.iter().enumerate() {
            let request = self.client.post(format!("http://{}/owners", self.address));
            let request = request.bearer_auth(operator.trim()).json(&json!({ "name": name }));
            let Ok(answer) = request.send().await else { return false };
            let Ok(answer) = answer.json::<Value>().await else { return false };
            let Some(token) = answer["token"].as_str() else { return false };
            token.clone_into(&mut self.tokens.borrow_mut()[index]);
        }
        true
    }

    /// Calls for an owner; `None` if nobody answered.
    pub(crate) async fn call(
        &self,
        owner: usize,
        what: (Method, &str),
        body: &Value,
    ) -> Option<(u16, Value)> {
        let request = self.client.request(what.0, format!("http://{}{}", self.address, what.1));
        let token = self.tokens.borrow()[owner].clone();
        let answer = request.bearer_auth(token).json(body).send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.json().await.ok()?))
    }

    /// How the control plane ended, if it did.
    pub(crate) fn ended(&self) -> io::Result<Option<ExitStatus>> {
        let mut plane = self.plane.borrow_mut();
        let child = plane.as_mut().ok_or(io::ErrorKind::NotFound)?;
        child.try_wait()
    }

    /// The control plane, while it runs: a child that was not waited for keeps its number.
    pub(crate) fn plane(&self) -> Option<Process> {
        let plane = self.plane.borrow();
        plane.as_ref().and_then(|child| Process::of(child.id())).filter(Process::is_alive)
    }

    /// Waits until the control plane has ended; its status.
    pub(crate) async fn wait(&self) -> Result<ExitStatus, Box<dyn Error>> {
        for _ in 0..LOOKS_MAX {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            rest(LOOK).await;
        }
        Err("the control plane did not end in two minutes".into())
    }

    /// Ends the control plane as an operator does; whether it ended well.
    pub(crate) async fn close(&self) -> Result<bool, Box<dyn Error>> {
        if let Some(plane) = self.plane() {
            plane.signal(Signal::TERM)?;
        }
        Ok(self.wait().await?.success())
    }

    /// The agents that run.
    pub(crate) fn agents(&self) -> io::Result<Vec<Process>> {
        members_below(MACHINE, &self.root)
    }

    /// What runs in workspaces and containers.
    pub(crate) fn workspaces(&self) -> io::Result<Vec<Process>> {
        members_below(MARK, &self.root)
    }

    /// The directories of machines.
    pub(crate) fn machines(&self) -> Vec<PathBuf> {
        directories(&self.directory().join("machines"))
    }

    /// What there is of a workspace, its directory or a process, and on which node.
    pub(crate) fn remains(&self, actor: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for machine in self.machines() {
            let path = machine.join(format!("disk/workspaces/{actor}.1"));
            let running = members((MARK, path.as_os_str()), None);
            let n_running = running.map_or(0, |running| running.len());
            if path.exists() || n_running > 0 {
                let node = node(&machine).unwrap_or_default();
                let what = format!("{actor} had its tombstone, and on {node} was its directory");
                found.push((node, format!("{what}, or {n_running} processes")));
            }
        }
        found
    }

    /// The agents as they wrote it down, each with the name of its node.
    pub(crate) fn presences(&self) -> Vec<(String, Presence)> {
        let mut found = Vec::new();
        for machine in self.machines() {
            let presence = Presence::read(&machine.join("disk")).ok().flatten();
            found.extend(node(&machine).zip(presence));
        }
        self.ports.borrow_mut().extend(found.iter().map(|(_, it)| it.address));
        found
    }

    /// Ends everything that carries a mark of this world, and the control plane.
    pub(crate) fn end_all(&self) -> io::Result<()> {
        if let Some(child) = self.plane.borrow_mut().as_mut() {
            child.kill()?;
            child.wait()?;
        }
        for variable in [MACHINE, MARK] {
            end(|| members_below(variable, &self.root))?;
        }
        Ok(())
    }
}

/// The node that a machine is for, while it is there.
fn node(machine: &Path) -> Option<String> {
    let note = fs::read(machine.join("machine.json")).ok()?;
    let note: Value = serde_json::from_slice(&note).ok()?;
    Some(note["owner"]["id"].as_str()?.strip_prefix("node/")?.to_owned())
}

/// The directories in a directory.
pub(crate) fn directories(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}
