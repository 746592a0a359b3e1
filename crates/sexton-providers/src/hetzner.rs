//! Machines that are servers of Hetzner's cloud, by its public API.
//!
//! ```text
//! create   look by label; order, with a name that only this life has; wait for the actions
//! get      look by label
//! delete   look by label; delete; wait for the action
//! list     look by label, until nothing can be missing
//! ```
//!
//! The API is the memory: nothing is kept here. A server is its life's because of its labels, and
//! a life has one because its name can be taken once: of two orders at a time the second is
//! refused, finds whose the name is, and adopts that server or says that it is somebody else's.
//! An order whose answer was lost is owed still, and finds what it made.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//! use sexton_providers::hetzner::{Hetzner, Project, Token};
//! use sexton_providers::{Platform, Provider};
//!
//! # let directory = tempfile::tempdir().expect("there is room");
//! # let keys = directory.path();
//! let platform = Arc::new(Platform::open(keys, "sexton").expect("keys can be made"));
//! let project = Project {
//!     ssh_keys: vec!["operators".to_owned()],
//!     network: Some(4711),
//!     ..Project::new("ours", "sexton-agent-1", "https://control.example/callbacks")
//! };
//! let token = Token::new("what the console showed").map_err(|error| error.to_string());
//! assert!(token.is_err(), "it has spaces in it");
//! let token = Token::new("jEheVytlAoFl7F8MqUQ7").expect("a word");
//! let provider = Hetzner::open(project, token, platform).expect("nothing is asked yet");
//! assert_eq!(provider.installation(), "ours");
//! ```

mod token;
mod wire;
mod labels;
mod faults;
mod pace;
mod client;
mod pages;
mod boot;
mod sizes;

use std::sync::Arc;
use std::time::Duration;

use sexton::ActorRef;
use sexton::clock::{Clock, WallClock};
use sexton_agent::files;
use sexton_agent::keys::PublicKeys;
use sexton_fleet::{Fault, Machine};

pub use boot::{Boot, UserData, cloud_config};
pub use sizes::{Need, Sizes};
pub use token::Token;

use crate::platform::Platform;
use crate::provider::{Listing, Made, Order, Provider, ProviderError};
use client::{Call, Client};
use faults::Failed;
use labels::Marks;
use pace::Patience;
use pages::Listed;
use wire::{Created, Firewall, OneAction, OneServer, Page, Server};

/// The most user data, in bytes. Specified by the API.
const USER_DATA_BYTES_MAX: usize = 32 * 1024;

/// How servers of a project are made, and how its API is called.
#[derive(Clone, Debug)]
pub struct Project {
    /// The installation whose servers these are. A project may have several.
    pub installation: String,
    /// The API.
    pub endpoint: String,
    /// The image, by name or id: it has the agent, or its user data brings it.
    pub image: String,
    /// Names of keys for people. With none, the API makes a password, which nobody reads.
    pub ssh_keys: Vec<String>,
    /// Ids of firewalls.
    pub firewalls: Vec<u64>,
    /// The id of a private network: agents are reached there, and not on the internet.
    pub network: Option<u64>,
    /// What new machines are told.
    pub user_data: UserData,
    /// The agent: a program of the image, and the arguments before its own.
    pub agent: Vec<String>,
    /// Where agents listen.
    pub agent_port: u16,
    /// Where agents call back.
    pub callbacks: String,
    /// How often they say that they live.
    pub heartbeat: Duration,
    /// The types that may be ordered; without a list, the API says.
    pub sizes: Option<Sizes>,
    /// How long one call goes on, with all of its requests.
    pub patience: Duration,
    /// How long one request may take.
    pub timeout: Duration,
    /// The first pause between two requests of a call; doubled four times.
    pub pause: Duration,
}

impl Project {
    /// A project with what is usual: the public API, no keys, no network, a minute's patience.
    pub fn new(installation: &str, image: &str, callbacks: &str) -> Self {
        Self {
            installation: installation.to_owned(),
            endpoint: "https://api.hetzner.cloud/v1".to_owned(),
            image: image.to_owned(),
            ssh_keys: Vec::new(),
            firewalls: Vec::new(),
            network: None,
            user_data: UserData::default(),
            agent: vec!["/usr/local/bin/sexton-agent".to_owned()],
            agent_port: 8080,
            callbacks: callbacks.to_owned(),
            heartbeat: Duration::from_secs(30),
            sizes: None,
            patience: Duration::from_secs(60),
            timeout: Duration::from_secs(15),
            pause: Duration::from_secs(1),
        }
    }
}

/// Machines that are servers of Hetzner's cloud.
#[derive(Clone, Debug)]
pub struct Hetzner {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    project: Project,
    marks: Marks,
    client: Client,
    platform: Arc<Platform>,
}

impl Hetzner {
    /// The servers of a project. Nothing is asked yet.
    ///
    /// # Errors
    ///
    /// [`ProviderError`] if the endpoint is neither https nor on this machine.
    pub fn open(
        project: Project,
        token: Token,
        platform: Arc<Platform>,
    ) -> Result<Self, ProviderError> {
        let client = Client::new(&project.endpoint, token, project.timeout)?;
        let marks = Marks::new(&project.installation);
        Ok(Self { shared: Arc::new(Shared { project, marks, client, platform }) })
    }
}

impl Provider for Hetzner {
    fn installation(&self) -> &str {
        self.shared.marks.installation()
    }

    async fn create(&self, order: &Order) -> Result<Made, ProviderError> {
        let shared = &self.shared;
        let server = shared.make(order, &mut shared.patience()).await?;
        Ok(shared.made(&server, order.owner.clone()))
    }

    async fn get(&self, owner: &ActorRef) -> Result<Option<Made>, ProviderError> {
        let shared = &self.shared;
        let found = shared.find(owner, &mut shared.patience()).await?;
        Ok(found.first().map(|server| shared.made(server, owner.clone())))
    }

    async fn delete(&self, owner: &ActorRef) -> Result<(), ProviderError> {
        let shared = &self.shared;
        let mut patience = shared.patience();
        for server in shared.find(owner, &mut patience).await? {
            let failed = |failed: Failed| failed.told(format!("failed to delete {}", server.name));
            let call = Call::delete(format!("/servers/{}", server.id));
            match shared.client.send::<OneAction>(&call, &mut patience).await {
                Ok(begun) => {
                    let ended = shared.client.end(begun.action, &mut patience).await;
                    ended.map_err(failed)?;
                }
                // By the API itself, about this very server.
                Err(error) if error.is("not_found") => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    /// Keeps G12 with the reaper: what may lack something, or has a server whose labels name
    /// nobody, is not complete.
    async fn list(&self) -> Result<Listing, ProviderError> {
        let shared = &self.shared;
        let listed = shared.listed(&shared.marks.all(), &mut shared.patience()).await?;
        let mut listing = Listing { complete: listed.is_whole, machines: Vec::new() };
        for server in listed.servers.values().filter(|server| shared.marks.is_ours(server)) {
            if let Some(owner) = shared.marks.owner(server) {
                listing.machines.push(shared.made(server, owner));
            } else {
                let (id, name) = (server.id, &server.name);
                tracing::warn!(target: "sexton", id, name, "a server's labels were changed");
                listing.complete = false;
            }
        }
        Ok(listing)
    }
}

impl Shared {
    fn patience(&self) -> Patience {
        Patience::new(self.project.patience, self.project.pause)
    }

    async fn listed(
        &self,
        selector: &str,
        patience: &mut Patience,
    ) -> Result<Listed, ProviderError> {
        let listed = pages::list(&self.client, selector, patience).await;
        listed.map_err(|failed| failed.told(format!("failed to list servers with {selector}")))
    }

    /// The servers of a life: one, if nobody made more by hand. The oldest is first.
    async fn find(
        &self,
        owner: &ActorRef,
        patience: &mut Patience,
    ) -> Result<Vec<Server>, ProviderError> {
        let listed = self.listed(&self.marks.one(owner), patience).await?;
        if !listed.is_whole {
            let why = format!("the servers of {owner} changed while they were listed");
            return Err(ProviderError::new(Fault::Unknown, why));
        }
        let servers = listed.servers.into_values();
        Ok(servers.filter(|server| self.marks.is_of(server, owner)).collect())
    }

    /// Finds or makes the server of a life, and waits until it can be used.
    async fn make(&self, order: &Order, patience: &mut Patience) -> Result<Server, ProviderError> {
        let name = self.marks.name(&order.owner);
        let told = |failed: Failed| failed.told(format!("failed to create {name}"));
        if let Some(server) = self.find(&order.owner, patience).await?.into_iter().next() {
            return self.settle(server, patience).await.map_err(told);
        }
        if let Some(sizes) = &self.project.sizes {
            sizes.find(&order.location, &order.size, WallClock.now())?;
        }
        let user_data = self.user_data(&order.owner)?;
        match self.order(order, (&name, &user_data), patience).await {
            Err(failed) if failed.is("uniqueness_error") => {
                let holder = self.holder(&order.owner, &name, patience).await?;
                self.settle(holder, patience).await.map_err(told)
            }
            // About the order, and nothing that could be taken for a machine.
            Err(failed) if failed.is("not_found") => {
                let what = format!("failed to create {name}");
                Err(ProviderError::because(Fault::NotFound, what, failed))
            }
            ended => ended.map_err(told),
        }
    }

    async fn order(
        &self,
        order: &Order,
        named: (&str, &str),
        patience: &mut Patience,
    ) -> Result<Server, Failed> {
        let (project, (name, user_data)) = (&self.project, named);
        let firewalls = project.firewalls.iter().map(|id| Firewall { firewall: *id });
        let body = wire::Order {
            name,
            server_type: &order.size,
            location: &order.location,
            image: &project.image,
            ssh_keys: &project.ssh_keys,
            networks: project.network.into_iter().collect(),
            firewalls: firewalls.collect(),
            labels: &self.marks.labels(&order.owner),
            user_data,
            start_after_create: true,
        };
        let body = serde_json::to_vec(&body).expect("texts and numbers can be written as JSON");
        let call = Call::post("/servers", body);
        let created: Created = self.client.send(&call, patience).await?;
        let followed = self.follow(created, patience).await;
        // There is a server. Whatever hinders a look at it, the order is not refused.
        followed.map_err(Failed::after_the_order)
    }

    /// Waits until what was ordered is there.
    async fn follow(&self, created: Created, patience: &mut Patience) -> Result<Server, Failed> {
        self.client.end(created.action, patience).await?;
        for action in created.next_actions {
            self.client.end(action, patience).await?;
        }
        let server = self.look(created.server.id, patience).await?;
        self.settle(server, patience).await
    }

    /// Whose name it is that cannot be taken.
    async fn holder(
        &self,
        owner: &ActorRef,
        name: &str,
        patience: &mut Patience,
    ) -> Result<Server, ProviderError> {
        let call = Call::get(format!("/servers?name={name}"));
        let page = self.client.send::<Page>(&call, patience).await;
        let page = page.map_err(|failed| failed.told(format!("failed to look up {name}")))?;
        let Some(holder) = page.servers.into_iter().find(|server| server.name == name) else {
            // It was there a moment ago: the order is made again.
            let why = format!("{name} is taken, and nobody has it");
            return Err(ProviderError::new(Fault::Network, why));
        };
        if self.marks.is_of(&holder, owner) {
            return Ok(holder);
        }
        let why = format!("server {} is called {name} and is not of {owner}", holder.id);
        Err(ProviderError::new(Fault::Invalid, why))
    }

    async fn look(&self, id: u64, patience: &mut Patience) -> Result<Server, Failed> {
        let call = Call::get(format!("/servers/{id}"));
        let looked = self.client.send::<OneServer>(&call, patience).await;
        match looked {
            Ok(looked) => Ok(looked.server),
            // Deleted by somebody meanwhile: the order is made again.
            Err(failed) if failed.is("not_found") => Err(Failed::Unfinished("the creation")),
            Err(failed) => Err(failed),
        }
    }

    /// Waits until a server is made and has its address.
    async fn settle(&self, mut server: Server, patience: &mut Patience) -> Result<Server, Failed> {
        while server.status == "initializing" || self.address(&server).is_none() {
            let pause = patience.pause();
            if !patience.rest(pause).await {
                return Err(Failed::Unfinished("the creation"));
            }
            server = self.look(server.id, patience).await?;
        }
        Ok(server)
    }

    fn address(&self, server: &Server) -> Option<String> {
        let ip = match self.project.network {
            Some(network) => {
                server.private_net.iter().find(|it| it.network == network).map(|it| &it.ip)
            }
            None => server.public_net.ipv4.as_ref().map(|it| &it.ip),
        };
        ip.map(|ip| format!("{ip}:{}", self.project.agent_port))
    }

    fn made(&self, server: &Server, owner: ActorRef) -> Made {
        let address = self.address(server).unwrap_or_else(|| "none".to_owned());
        let machine = Machine { id: server.id.to_string(), address };
        Made { machine, owner, created_at: server.created }
    }

    fn user_data(&self, owner: &ActorRef) -> Result<String, ProviderError> {
        let (project, platform) = (&self.project, &self.platform);
        let unread = |error| ProviderError::because(Fault::Auth, "the keys cannot be read", error);
        let keys: PublicKeys =
            files::read_json(&platform.keys()).map_err(unread)?.unwrap_or_default();
        let unsigned = |error| {
            ProviderError::because(Fault::Auth, "no token can be made for the agent", error)
        };
        let (node, epoch) = (owner.id.name(), owner.incarnation);
        let token = platform.for_callbacks((node, epoch)).map_err(unsigned)?;
        let boot = Boot {
            node: node.to_owned(),
            epoch,
            issuer: platform.issuer().to_owned(),
            keys: serde_json::to_string(&keys).expect("texts can be written as JSON"),
            token: Token::new(token)?,
            callbacks: project.callbacks.clone(),
            heartbeat: project.heartbeat,
            agent: project.agent.clone(),
            port: project.agent_port,
        };
        let text = project.user_data.make(&boot);
        if text.len() > USER_DATA_BYTES_MAX {
            let n_bytes = text.len();
            let why = format!("{n_bytes} bytes of user data: at most {USER_DATA_BYTES_MAX} may be");
            return Err(ProviderError::new(Fault::Invalid, why));
        }
        Ok(text)
    }
}
