//! A directory for everything, and control planes over it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer};
use rustix::process::Signal;
use sexton::clock::WallClock;
use sexton::{
    Actor, ActorId, ActorRef, Cursor, Entry, ErrorKind, Event, Handle, Host, Store, What,
};
use sexton_agent::clock::{pause, rest};
use sexton_agent::files;
use sexton_agent::process::{MARK, Process, end, members_below};
use sexton_agent::server::Presence;
use sexton_fleet::placement::Wish;
use sexton_fleet::policy::Policy;
use sexton_fleet::{
    Caller, CreateWorkspace, Node, NodeClass, NodeRole, NodeSpec, NodeStatus, Owner, OwnerInit,
    RequestNode, Tenure, Workspace, WorkspaceSpec, WorkspaceStatus, sweeps,
};
use sexton_providers::{
    Agents, Commands, Local, LocalProcesses, Performers, Platform, Provider, receiver, workspace_id,
};
use sexton_store::{EmbeddedStore, Options};
use tempfile::TempDir;
use uuid::Uuid;

/// The installation of these tests.
pub(crate) const INSTALLATION: Uuid = Uuid::from_u128(7);

/// Where everything of a test lies, and what is ended with it.
pub(crate) struct Ground {
    pub(crate) directory: TempDir,
    pub(crate) platform: Arc<Platform>,
    /// The port of the control plane: its agents know it, so it is the same when it comes back.
    port: u16,
    /// What runs in a session.
    session: &'static str,
}

impl Drop for Ground {
    fn drop(&mut self) {
        // By the marks alone: directories may be gone that had something running in them.
        let root = self.root();
        for variable in ["SEXTON_MACHINE", MARK] {
            end(|| members_below(variable, &root)).expect("what a test started can be ended");
        }
    }
}

impl Ground {
    pub(crate) fn new() -> Self {
        Self::with_sessions("echo begun >> begun; exec sleep 600")
    }

    /// With this script in every session.
    pub(crate) fn with_sessions(session: &'static str) -> Self {
        let directory = tempfile::tempdir().expect("there is room");
        let keys = directory.path().join("keys");
        let platform = Arc::new(Platform::open(&keys, "sexton").expect("keys can be made"));
        // Free a moment ago, and given to nobody for a while.
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("it has one").port();
        fs::create_dir(directory.path().join("machines")).expect("there is room");
        Self { directory, platform, port, session }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("machines").canonicalize().expect("it is there")
    }

    /// The directories of machines.
    pub(crate) fn machines(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.root()).expect("it can be read");
        let paths = entries.map(|entry| entry.expect("it can be read").path());
        paths.filter(|path| path.is_dir()).collect()
    }

    pub(crate) fn local(&self, installation: &str) -> Local {
        Local {
            root: self.root(),
            installation: installation.to_owned(),
            agent: vec![env!("CARGO_BIN_EXE_sexton-local-agent").to_owned()],
            callbacks: Some(self.callbacks()),
            heartbeat: Duration::from_millis(50),
            machines_max: 4,
        }
    }

    pub(crate) fn provider(&self, installation: &str) -> LocalProcesses {
        LocalProcesses::open(self.local(installation), Arc::clone(&self.platform))
            .expect("it opens")
    }

    /// The agent of a machine, by the file that it wrote.
    pub(crate) fn agent(machine: &std::path::Path) -> Process {
        let presence = Presence::read(&machine.join("disk")).expect("it can be read");
        presence.expect("it was there").process
    }

    /// Whatever runs on the machines.
    pub(crate) fn running(&self) -> Vec<Process> {
        let root = self.root();
        let below = |variable| members_below(variable, &root).expect("processes can be listed");
        let mut running = below(MARK);
        running.extend(below("SEXTON_MACHINE"));
        running
    }

    /// Nothing is left: no directory, no process.
    pub(crate) fn check_empty(&self) {
        assert_eq!(self.running(), []);
        assert_eq!(self.machines(), Vec::<PathBuf>::new());
    }

    /// The store; the threads of a host that was dropped hold it a moment longer.
    async fn store(&self) -> Arc<dyn Store> {
        let (path, mut opened) = (self.directory.path().join("store"), None);
        until("the store opens", async || {
            match EmbeddedStore::open(&path, &Options::default()) {
                Ok(store) => opened = Some(store),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Busy, "{error}"),
            }
            opened.is_some()
        })
        .await;
        Arc::new(opened.expect("it opened"))
    }

    /// A control plane with a node and these workspaces on it, and where its machine lies.
    pub(crate) async fn plane_with(&self, workspaces: &[&str]) -> (Plane, PathBuf) {
        let plane = self.plane().await;
        plane.found().await;
        plane.node("n-1").await;
        for name in workspaces {
            plane.workspace(name, "n-1").await;
        }
        let machine = plane.machine(self, "n-1").await;
        (plane, machine)
    }

    /// A control plane over what lies here.
    pub(crate) async fn plane(&self) -> Plane {
        self.plane_over(self.provider(&INSTALLATION.to_string())).await
    }

    /// Where agents call back.
    pub(crate) fn callbacks(&self) -> String {
        format!("http://127.0.0.1:{}/callbacks", self.port)
    }

    /// A control plane whose machines are this provider's.
    pub(crate) async fn plane_over<P: Provider + Clone>(&self, provider: P) -> Plane<P> {
        let store = self.store().await;
        let commands = Commands {
            workspace: words("echo made >> made; sleep 600 & wait"),
            session: words(self.session),
        };
        let agents = Agents::new(Arc::clone(&self.platform)).expect("a client");
        let performers = Performers::new(provider.clone(), agents, Arc::clone(&store), commands);
        let builder = Host::builder(sweeps::kinds).store(store).clock(Arc::new(WallClock));
        let host = performers.install(builder.threads(1)).open().await.expect("the host opens");
        let host = Arc::new(host);
        let (server, thread) = serve(Arc::clone(&host), &self.platform, self.port);
        Plane { host, provider, server, thread: Some(thread) }
    }
}

fn words(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

#[expect(clippy::disallowed_methods, reason = "a server of the test's own")]
fn serve(host: Arc<Host>, platform: &Platform, port: u16) -> (ServerHandle, JoinHandle<()>) {
    let paths = receiver(host, platform.keyring());
    let (send, receive) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let app = move || App::new().configure(paths.clone());
            let server = HttpServer::new(app).workers(1).disable_signals();
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let server = server.bind(address).expect("the port is free").run();
            send.send(server.handle()).expect("it is waited for");
            server.await.expect("it serves");
        });
    });
    (receive.recv().expect("it begins"), thread)
}

/// A control plane: a host with its performers, and a server for callbacks.
pub(crate) struct Plane<P = LocalProcesses> {
    pub(crate) host: Arc<Host>,
    pub(crate) provider: P,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl<P> Drop for Plane<P> {
    /// As a crash: nothing is closed.
    fn drop(&mut self) {
        // Begins at once; the thread is what ends.
        drop(self.server.stop(false));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

pub(crate) fn caller() -> Caller {
    Caller::owner("alice")
}

/// The first life of a node.
pub(crate) fn node(name: &str) -> ActorRef {
    life("node", name)
}

fn life(kind: &str, name: &str) -> ActorRef {
    ActorRef { id: ActorId::new(kind, name).expect("a good name"), incarnation: 1 }
}

impl<P: Provider> Plane<P> {
    pub(crate) fn actor<A: Actor>(&self, name: &str) -> Handle<A> {
        self.host.actor::<A>(name).expect("a good name")
    }

    pub(crate) async fn found(&self) {
        let init = OwnerInit { installation: INSTALLATION, policy: Policy::default() };
        self.actor::<Owner>("alice").create(init).await.expect("a new owner");
    }

    /// Asks for a node of that size at that location.
    pub(crate) async fn request(&self, name: &str, size: &str, location: &str) {
        let spec = NodeSpec {
            tenure: Tenure::Managed,
            class: NodeClass::Managed,
            role: NodeRole::Workspace,
            size: size.to_owned(),
            location: location.to_owned(),
        };
        let request = RequestNode { caller: caller(), name: name.to_owned(), spec };
        self.actor::<Owner>("alice").call(request).await.expect("he may");
    }

    /// A node that its agent said is ready.
    pub(crate) async fn node(&self, name: &str) {
        self.request(name, "local", "here").await;
        self.until_runs(name).await;
    }

    pub(crate) async fn until_runs(&self, name: &str) {
        let node = self.actor::<Node>(name);
        until("the node runs", async || node.status().await.ok() == Some(NodeStatus::Running))
            .await;
    }

    /// A workspace that runs.
    pub(crate) async fn workspace(&self, name: &str, on: &str) {
        let spec = WorkspaceSpec { tenure: Tenure::Managed, place: Wish::on(on) };
        let create = CreateWorkspace { caller: caller(), name: name.to_owned(), spec };
        self.actor::<Owner>("alice").call(create).await.expect("he may");
        let workspace = self.actor::<Workspace>(name);
        let runs = async || workspace.status().await.ok() == Some(WorkspaceStatus::Running);
        until("the workspace runs", runs).await;
    }

    pub(crate) async fn until_buried<A: Actor>(&self, name: &str) {
        let actor = self.actor::<A>(name);
        let is_buried = async || matches!(actor.entry().await, Ok(Some(Entry::Tombstone(_))));
        until("it has its tombstone", is_buried).await;
    }

    /// How often the log says that an actor was destroyed.
    pub(crate) fn n_burials(&self, kind: &str, name: &str) -> usize {
        let id = life(kind, name).id;
        let all = self.host.log().read(Cursor::BEGINNING, 10_000).expect("it can be read");
        let is_burial =
            |event: &Event| event.actor == id && matches!(event.what, What::Destroyed { .. });
        all.iter().filter(|(_, event)| is_burial(event)).count()
    }
}

impl Plane {
    /// The directory of the machine of a node's first life.
    pub(crate) async fn machine(&self, ground: &Ground, name: &str) -> PathBuf {
        let made = self.provider.get(&node(name)).await.expect("it answers");
        ground.root().join(made.expect("it is there").machine.id)
    }
}

/// The first process of a workspace, as the agent wrote it down, and its directory.
pub(crate) fn on_disk(machine: &std::path::Path, workspace: &str) -> (Process, PathBuf) {
    let id = workspace_id(&life("workspace", workspace));
    let disk = machine.join("disk");
    let record: serde_json::Value = files::read_json(&disk.join(format!("records/{id}.json")))
        .expect("it can be read")
        .expect("the agent wrote it down");
    let process = serde_json::from_value(record["process"].clone()).expect("it was started");
    (process, disk.join("workspaces").join(id))
}

/// Kills a process of the test's own, and waits until it is dead: a signal is under way a while.
pub(crate) fn kill(process: &Process) {
    assert!(process.signal(Signal::KILL).expect("it is ours"));
    for _ in 0..2_000 {
        if !process.is_alive() {
            return;
        }
        pause(Duration::from_millis(5));
    }
    unreachable!("a process outlived SIGKILL by ten seconds");
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
