//! The whole fleet as a scenario: owners ask for everything, the simulated cloud does it.

use std::time::Duration;

use sexton::audit::Broken;
use sexton::sweep::Sweep;
use sexton::{
    Actor as _, ActorId, Answer, Call, EffectId, Entry, Handler, Kinds, Message, Owed, Timestamp,
    query,
};
use sexton_fleet::placement::Wish;
use sexton_fleet::policy::Policy;
use sexton_fleet::sim_cloud::{Callback, CloudError, Performed, SimCloud};
use sexton_fleet::{
    AddAgent, AddRig, Caller, CreateSandbox, CreateTown, CreateWorkspace, Depth, EndNode, EndTask,
    EndTown, EndWorkspace, HibernateSandbox, MigrateSandbox, NodeClass, NodeRole, NodeSpec,
    OpenBead, Owner, OwnerInit, Reaper, ReaperInit, RequestNode, ReserveSandbox, SandboxSpec,
    SandboxStart, StartSandbox, StartTask, StopSandbox, TaskEnd, TaskSession, TaskSpec, Tenure,
    Town, WakeSandbox, Worker, WorkerInit, WorkerTerms, WorkspaceEnd, WorkspaceSpec, sweeps,
};
use sexton_sim::{Asked, Chance, Scenario, Scene, Took};

const OWNERS: [&str; 2] = ["ada", "bob"];
const WORKERS: [&str; 2] = ["here", "there"];
/// Names of each kind of thing and owner; few, so that they are used twice.
const NAMES: u64 = 4;

/// Owners, machines, workspaces, tasks, towns and sandboxes under the sweeps.
#[derive(Debug)]
pub(super) struct Fleet {
    policy: Policy,
    installation: uuid::Uuid,
    cloud: SimCloud,
    /// When the control plane's clock was last looked at.
    looked_at: Timestamp,
    /// How far the cloud's clock is ahead: it only goes on, where the other is put back.
    ahead: Duration,
    /// Callbacks that were handed out and whose turn is not durable yet.
    handed_out: Vec<Callback>,
    again: Vec<Callback>,
}

impl Fleet {
    /// A fleet on a cloud whose delays and failures are a function of the seed.
    ///
    /// # Errors
    ///
    /// None: the cloud is in memory.
    pub(super) fn new(seed: u64) -> Result<Self, CloudError> {
        Ok(Self {
            policy: Policy::default(),
            installation: uuid::Uuid::from_u64_pair(0x7365_7874_6f6e_0000, seed),
            cloud: SimCloud::open(None, seed)?,
            looked_at: Timestamp::ZERO,
            ahead: Duration::ZERO,
            handed_out: Vec::new(),
            again: Vec::new(),
        })
    }

    /// What the cloud's clock says.
    fn tick(&mut self, now: Timestamp) -> Timestamp {
        if now < self.looked_at {
            self.ahead += self.looked_at.since(now);
        }
        self.looked_at = now;
        now + self.ahead
    }
}

fn actor(kind: &str, name: &str) -> ActorId {
    ActorId::new(kind, name).expect("a good name")
}

fn command<M>(owner: &str, message: M) -> Asked
where
    M: Message<Reply = ()>,
    Owner: Handler<M>,
{
    Asked::call::<Owner, M>(&actor(Owner::KIND, owner), message, M::NAME)
}

fn tenure(chance: &mut Chance) -> Tenure {
    if chance.is(700) { Tenure::Managed } else { Tenure::External }
}

fn node_spec(chance: &mut Chance) -> NodeSpec {
    let class = if chance.is(850) { NodeClass::Managed } else { NodeClass::UserOwned };
    let role = if chance.is(900) { NodeRole::Workspace } else { NodeRole::Deployment };
    let (size, location) = ("cx33".to_owned(), "fsn1".to_owned());
    NodeSpec { tenure: tenure(chance), class, role, size, location }
}

/// What an owner asks for by chance.
fn wish(chance: &mut Chance, owner: &str) -> Asked {
    let caller = Caller::owner(owner);
    let name = format!("{owner}{}", chance.below(NAMES));
    match chance.below(10) {
        0 => {
            let spec = node_spec(chance);
            command(owner, RequestNode { caller, name, spec })
        }
        1 => command(owner, EndNode { caller, name, why: "asked".to_owned() }),
        2 | 3 => {
            let place = Wish::default();
            let session = TaskSession::Unwanted;
            let spec = TaskSpec { tenure: tenure(chance), place, session };
            command(owner, StartTask { caller, name, spec })
        }
        4 => {
            let class = "x".to_owned();
            let ends = [TaskEnd::Completed, TaskEnd::Cancelled, TaskEnd::Failed { class }];
            let end = ends[chance.index(ends.len())].clone();
            command(owner, EndTask { caller, name, end })
        }
        5 => {
            let spec = WorkspaceSpec { tenure: tenure(chance), place: Wish::default() };
            command(owner, CreateWorkspace { caller, name: format!("w-{name}"), spec })
        }
        6 => {
            let why = || "asked".to_owned();
            let ends = [
                WorkspaceEnd::Stop,
                WorkspaceEnd::StopFor { why: why() },
                WorkspaceEnd::Destroy { why: why() },
            ];
            let end = ends[chance.index(ends.len())].clone();
            command(owner, EndWorkspace { caller, name: format!("w-{name}"), end })
        }
        7 => town(chance, (owner, name)),
        _ => sandbox(chance, (owner, name)),
    }
}

fn town(chance: &mut Chance, of: (&str, String)) -> Asked {
    let (owner, town) = of;
    let (caller, id) = (Caller::owner(owner), actor(Town::KIND, &town));
    let (rig, agent) = ("rig".to_owned(), "agent".to_owned());
    match chance.below(5) {
        0 => command(owner, CreateTown { caller, name: town }),
        1 => command(owner, EndTown { caller, name: town, why: "asked".to_owned() }),
        2 => Asked::call::<Town, _>(&id, AddRig { caller, rig }, AddRig::NAME),
        3 => Asked::call::<Town, _>(&id, AddAgent { caller, agent }, AddAgent::NAME),
        _ => {
            let bead = format!("bead{}", chance.below(NAMES));
            Asked::call::<Town, _>(&id, OpenBead { caller, bead, rig }, OpenBead::NAME)
        }
    }
}

fn sandbox(chance: &mut Chance, of: (&str, String)) -> Asked {
    let (owner, name) = of;
    let (caller, holder) = (Caller::owner(owner), "holder".to_owned());
    match chance.below(8) {
        0 | 1 => {
            let start = if chance.is(500) { SandboxStart::Now } else { SandboxStart::Pooled };
            let spec = SandboxSpec { start, worker: WORKERS[chance.index(2)].to_owned(), scale: 1 };
            command(owner, CreateSandbox { caller, name, spec })
        }
        2 => command(owner, ReserveSandbox { caller, name, holder }),
        3 => command(owner, StartSandbox { caller, name, holder }),
        4 => {
            let depth = if chance.is(500) { Depth::Deep } else { Depth::Paused };
            command(owner, HibernateSandbox { caller, name, depth })
        }
        5 => command(owner, WakeSandbox { caller, name, on: None }),
        6 => {
            let to = WORKERS[chance.index(2)].to_owned();
            command(owner, MigrateSandbox { caller, name, to })
        }
        _ => command(owner, StopSandbox { caller, name, why: "asked".to_owned() }),
    }
}

impl Scenario for Fleet {
    fn kinds(&self, _version: u32) -> Kinds {
        sweeps::kinds()
    }

    fn sweeps(&self) -> Vec<Box<dyn Sweep>> {
        sweeps::all(&self.policy)
    }

    fn ask(&mut self, chance: &mut Chance, scene: Scene<'_>) -> Option<Asked> {
        let reaper = actor(Reaper::KIND, &self.installation.to_string());
        if query::entry(scene.store, &reaper).ok()?.is_none() {
            let init = ReaperInit::of(self.installation, &self.policy);
            return Some(Asked::create::<Reaper>(&reaper, init));
        }
        let owner = OWNERS[chance.index(OWNERS.len())];
        let id = actor(Owner::KIND, owner);
        if query::entry(scene.store, &id).ok()?.is_none() {
            let init = OwnerInit { installation: self.installation, policy: self.policy.clone() };
            return Some(Asked::create::<Owner>(&id, init));
        }
        for worker in WORKERS {
            let id = actor(Worker::KIND, worker);
            if query::entry(scene.store, &id).ok()?.is_none() {
                let terms = WorkerTerms::of(&self.policy);
                let init = WorkerInit { owner: "platform".to_owned(), terms };
                return Some(Asked::create::<Worker>(&id, init));
            }
        }
        Some(wish(chance, owner))
    }

    fn perform(&mut self, owed: &Owed, scene: Scene<'_>) -> Took {
        let now = self.tick(scene.now);
        match self.cloud.perform(now, owed, scene.store) {
            Ok(Performed::At(at, answer)) => Took::At(at - self.ahead, answer),
            Ok(Performed::Later) => Took::Later,
            Err(error) => {
                let (class, message) = ("unknown".to_owned(), error.to_string());
                Took::At(scene.now, Answer::Transient(sexton::Failure { class, message }))
            }
        }
    }

    fn due(&mut self, now: Timestamp) -> Vec<(EffectId, Answer)> {
        let now = self.tick(now);
        self.cloud.take_due(now)
    }

    fn calls(&mut self, now: Timestamp) -> Vec<Asked> {
        let now = self.tick(now);
        let mut due = std::mem::take(&mut self.again);
        due.extend(self.cloud.callbacks_due(now));
        let asked = due.iter().map(|callback| {
            let it = callback.clone();
            let call = move |reply| -> sexton::Request {
                let call: Call = it.call(reply);
                sexton::Request::Call(call)
            };
            Asked::other(&callback.to.id, format!("{:?}", callback.what), call)
        });
        let asked = asked.collect();
        self.handed_out.extend(due);
        asked
    }

    fn next_due(&self) -> Option<Timestamp> {
        let due = if self.again.is_empty() {
            self.cloud.next_due()? - self.ahead
        } else {
            self.looked_at
        };
        Some(due)
    }

    fn kept(&mut self) {
        for callback in std::mem::take(&mut self.handed_out) {
            // In memory nothing fails.
            drop(self.cloud.acknowledge(callback.number));
        }
    }

    fn lost(&mut self, _n: u64) {
        self.again.append(&mut self.handed_out);
    }

    fn heal(&mut self, _scene: Scene<'_>) -> Vec<Asked> {
        OWNERS.iter().map(|owner| Asked::destroy(&actor(Owner::KIND, owner), false)).collect()
    }

    fn is_perpetual(&self, id: &ActorId) -> bool {
        ["sweep", Reaper::KIND, Worker::KIND].contains(&id.kind())
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(2 * 60 * 60)
    }

    fn end(&mut self, scene: Scene<'_>) -> Result<(), Broken> {
        let mut left = None;
        let listed = query::all_entries(scene.store, |id, entry| {
            let stays = self.is_perpetual(&id);
            if matches!(entry, Entry::Alive(_)) && !stays {
                left.get_or_insert(id);
            }
            Ok(())
        });
        let broken = |promise, id: ActorId, why: &str| Broken { promise, id, why: why.to_owned() };
        if let Err(error) = listed {
            return Err(broken("G2", actor("store", "all"), &error.to_string()));
        }
        if let Some(id) = left {
            return Err(broken("G7", id, "is still there, and its owner was destroyed"));
        }
        let now = self.tick(scene.now);
        if let Some(machine) = self.cloud.machines(now).next() {
            return Err(broken("G8", machine.owner.id.clone(), "is buried, and its machine runs"));
        }
        if let Some((owner, _)) = self.cloud.sandboxes().next() {
            return Err(broken("G8", owner.id.clone(), "is buried, and its instance runs"));
        }
        if let Some(container) = self.cloud.containers().find(|it| it.running_since.is_some()) {
            return Err(broken(
                "G8",
                container.owner.id.clone(),
                "is buried, and its process runs",
            ));
        }
        Ok(())
    }
}
