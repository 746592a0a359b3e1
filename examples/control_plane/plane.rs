//! The control plane itself: a host with its store, performers and sweeps.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sexton::{ErrorKind, Host, Store};
use sexton_agent::clock::rest;
use sexton_fleet::policy::Policy;
use sexton_fleet::{Owner, OwnerInit, Reaper, ReaperInit, sweeps};
use sexton_providers::{Agents, Commands, Local, LocalProcesses, Performers, Platform, Provider};
use sexton_store::{EmbeddedStore, Options as StoreOptions};
use sexton_telemetry::Metrics;
use uuid::Uuid;

use crate::containers::Containers;
use crate::directory::Directory;
use crate::options::{AGENT, Options};

/// The most machines. Chosen: each is a process of a few megabytes.
const MACHINES_MAX: usize = 64;
/// How often agents that died are started again. Chosen: nobody waits longer for one.
const TEND: Duration = Duration::from_secs(1);

/// The control plane.
pub(crate) struct Plane {
    /// Runs the actors.
    pub(crate) host: Arc<Host>,
    /// Signs, for agents and for owners.
    pub(crate) platform: Arc<Platform>,
    /// Reads what the host counts, for whoever watches.
    pub(crate) metrics: Metrics,
    /// Makes the machines.
    pub(crate) provider: LocalProcesses,
    /// Calls their agents.
    pub(crate) agents: Agents,
    /// By which our machines are known.
    pub(crate) installation: Uuid,
    /// For owners who begin, and for sweeps.
    pub(crate) policy: Policy,
}

/// A script as a program and its arguments.
pub(crate) fn words(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

impl Plane {
    /// Opens the store and goes on where the last control plane stopped, however that ended.
    pub(crate) async fn open(
        options: &Options,
        directory: &Directory,
        address: SocketAddr,
    ) -> Result<Arc<Self>, Box<dyn Error>> {
        let policy = options.policy.policy()?;
        let installation = directory.installation()?;
        let platform = Arc::new(Platform::open(&directory.at("keys"), "sexton")?);
        let agents = match &options.agents_through {
            Some(proxy) => Agents::through(Arc::clone(&platform), proxy)?,
            None => Agents::new(Arc::clone(&platform))?,
        };
        let local = Local {
            root: directory.at("machines"),
            installation: installation.to_string(),
            agent: vec![std::env::current_exe()?.display().to_string(), AGENT.to_owned()],
            callbacks: Some(
                options.callbacks.clone().unwrap_or(format!("http://{address}/callbacks")),
            ),
            heartbeat: options.policy.heartbeat(),
            machines_max: MACHINES_MAX,
        };
        let provider = LocalProcesses::open(local, Arc::clone(&platform))?;
        let store = EmbeddedStore::open(directory.at("store"), &StoreOptions::default())?;
        let store: Arc<dyn Store> = Arc::new(store);
        let commands =
            Commands { workspace: words(&options.workspace), session: words(&options.session) };
        let performers =
            Performers::new(provider.clone(), agents.clone(), Arc::clone(&store), commands);
        let containers = Containers::open(&directory.at("containers"), words(&options.container))?;
        let mut builder = performers.install(Host::builder(sweeps::kinds).store(store).threads(2));
        builder = containers.install(builder);
        for index in 0..sweeps::all(&policy).len() {
            let policy = policy.clone();
            builder = builder.sweep(move || sweeps::all(&policy).swap_remove(index));
        }
        let host = Arc::new(builder.open().await?);
        let metrics = Metrics::new(&host);
        let plane = Self { host, platform, metrics, provider, agents, installation, policy };
        plane.found_reaper().await?;
        Ok(Arc::new(plane))
    }

    /// Whoever looks for machines that nobody owns; there since the first start.
    async fn found_reaper(&self) -> Result<(), Box<dyn Error>> {
        let init = ReaperInit::of(self.installation, &self.policy);
        match self.host.actor::<Reaper>("main")?.create(init).await {
            Err(error) if error.kind() != ErrorKind::Exists => Err(error.into_error().into()),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// An owner, who is there afterwards, whether he was before or not.
    pub(crate) async fn found_owner(&self, name: &str) -> Result<(), sexton::Error> {
        let init = OwnerInit { installation: self.installation, policy: self.policy.clone() };
        match self.host.actor::<Owner>(name)?.create(init).await {
            Err(error) if error.kind() != ErrorKind::Exists => Err(error.into_error()),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Starts agents again that died, as the system of a real machine would; until it is dropped.
    #[expect(clippy::infinite_loop, reason = "it ends with its task")]
    pub(crate) async fn tend(self: Arc<Self>) -> Infallible {
        loop {
            rest(TEND).await;
            if let Err(error) = self.provider.tend().await {
                let installation = self.provider.installation();
                tracing::warn!(%error, installation, "the machines were not looked at");
            }
        }
    }

    /// Returns when nothing can be made durable any more.
    pub(crate) async fn broken(&self) -> sexton::Error {
        let log = self.host.log();
        let mut follower = match log.bounds() {
            Ok(bounds) => log.follow(bounds.durable),
            Err(error) => return error,
        };
        loop {
            if let Err(error) = follower.next().await {
                return error;
            }
        }
    }
}
