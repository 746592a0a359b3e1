//! An owner: all commands for what is his come in here and go down the tree, and he alone
//! decides which node gets what.
//!
//! Because every command passes through this one actor, an end never overtakes its beginning.
//! Because every placement does, the room on a node is counted once, in order.
//!
//! The state is written anew every turn, so it holds only what placement needs: his nodes (a few,
//! limited), workspaces that lie on a node without a task, and what waits for capacity.

mod commands;
mod registry;
mod returns;
mod towns;
mod claims;
mod sandboxes;
mod answers;
mod times;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use sexton_core::{Actor, ActorId, Gone, Handler, Handlers, Refusal, Row, Turn};

use crate::asks::{Ask, Claimed, NotNeeded};
use crate::caller::Tenure;
use crate::fault::Fault;
use crate::node::{Node, NodeClass, NodeInit, NodeOrigin, NodeRole, NodeSpec, NodeTerms};
use crate::placement::{Leave, NodeNews, NotPlaced, Phase, Place, Vacated};
use crate::policy::Policy;
use crate::sandbox::Sandbox;
use crate::senders::{is_from, is_from_kind, only_if};
use crate::task::TaskRunner;
use crate::town::{EndTown, Town};
use crate::workspace::{WorkspaceEnd, WorkspaceTerms};

pub use self::commands::{
    CreateWorkspace, EndNode, EndTask, EndWorkspace, Forward, Release, RequestNode, Seek, StartTask,
};
pub use self::towns::CreateTown;

pub use self::returns::{Returned, Unseated};
pub use self::sandboxes::{
    AddCredit, CreateSandbox, HibernateSandbox, MigrateSandbox, ReserveSandbox, ScaleSandbox,
    SetPlan, StartSandbox, StopSandbox, WakeSandbox,
};

pub use self::times::SetTime;

use self::registry::{Birth, Held, Lying, Request, Want};
use self::sandboxes::Sandboxes;
use self::times::Times;

sexton_core::lifecycle! {
    /// What an owner can be.
    pub enum OwnerStatus {
        /// He is there.
        Active = "active" [] => [],
    }
}

/// What an owner begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerInit {
    /// The installation, by which all machines are labelled.
    pub installation: uuid::Uuid,
    /// Every duration and limit for what is his.
    pub policy: Policy,
}

/// An owner.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Owner {
    init: OwnerInit,
    /// His nodes by name, from their request to their tombstone.
    nodes: BTreeMap<String, Held>,
    /// Workspaces without a task, and where they lie.
    workspaces: BTreeMap<String, Lying>,
    /// What waits for capacity, oldest first.
    waiting: VecDeque<Request>,
    /// Nodes made so far: names are never used twice.
    made: u64,
    /// Towns by name, from their request to their tombstone.
    towns: BTreeSet<String>,
    sandboxes: Sandboxes,
    /// Times of his projects that are not his own.
    projects: BTreeMap<String, Times>,
}

impl Owner {
    fn node_init(
        &self,
        wanted: (NodeSpec, NodeOrigin),
        project: Option<&str>,
        turn: &Turn<Self>,
    ) -> NodeInit {
        let (spec, origin) = wanted;
        let mut terms = NodeTerms::of(&self.init.policy);
        self.times_of(project).adjust_node(&mut terms);
        NodeInit {
            owner: turn.id().name().to_owned(),
            installation: self.init.installation.to_string(),
            spec,
            origin,
            terms,
        }
    }

    /// Whether a workspace is asked for and is not over, also while it has no actor yet.
    pub fn knows(&self, workspace: &str) -> bool {
        self.workspaces.contains_key(workspace) || self.is_waiting(workspace)
    }

    fn is_waiting(&self, workspace: &str) -> bool {
        self.waiting.iter().any(|request| request.workspace == workspace)
    }

    fn has_capacity(&self) -> bool {
        let max = usize::try_from(self.init.policy.nodes_per_owner_max).unwrap_or(usize::MAX);
        self.n_managed() < max
    }

    /// His nodes whose machines the fleet pays for, whoever decides when they end.
    fn n_managed(&self) -> usize {
        self.nodes.values().filter(|held| held.is_managed()).count()
    }

    /// Finds a place for a request; `false` if it has to wait.
    fn place(&mut self, request: &Request, turn: &mut Turn<Self>) -> bool {
        if let Some(node) = request.place.node.clone() {
            let is_missing = !self.nodes.contains_key(&node);
            // What somebody outside decides about waits as long as he says.
            if is_missing && request.tenure == Tenure::Managed {
                Self::decline(request, &format!("there is no node {node}"), turn);
            } else {
                self.seat(&node, request, turn);
            }
            return true;
        }
        let policy = &self.init.policy;
        let want = Want {
            size: self.size_of(request),
            location: request.place.location.as_ref().unwrap_or(&policy.default_location),
            wish: &request.place,
            held: request.held.as_deref(),
            task: request.task.as_ref(),
            seats_max: policy.workspaces_per_node_max,
            busy: policy.node_busy_percent,
        };
        if let Some(node) = registry::choose(&self.nodes, &want) {
            self.seat(&node, request, turn);
            return true;
        }
        if !self.has_capacity() {
            return false;
        }
        let node = self.provision(request, turn);
        self.seat(&node, request, turn);
        true
    }

    /// The provider's name of the size that a request is for.
    fn size_of<'a>(&'a self, request: &'a Request) -> &'a str {
        let policy = &self.init.policy;
        match &request.place.size {
            Some(size) => policy.server_type(size),
            None => policy.default_type(request.smaller),
        }
    }

    /// There is no such place, and there will be none.
    fn decline(request: &Request, why: &str, turn: &mut Turn<Self>) {
        let Some(task) = &request.task else {
            turn.event("not_placed", format!("{}: {why}", request.workspace));
            return;
        };
        let (workspace, why) = (request.workspace.clone(), why.to_owned());
        let not_placed = NotPlaced { workspace, why, fault: Some(Fault::NotFound) };
        turn.send::<TaskRunner, _>(task, &not_placed);
    }

    fn provision(&mut self, request: &Request, turn: &mut Turn<Self>) -> String {
        let name = loop {
            self.made += 1;
            let name = format!("{}~n{}", turn.id().name(), self.made);
            if !self.nodes.contains_key(&name) {
                break name;
            }
        };
        let policy = &self.init.policy;
        let spec = NodeSpec {
            tenure: Tenure::Managed,
            class: NodeClass::Managed,
            role: NodeRole::Workspace,
            size: self.size_of(request).to_owned(),
            location: request
                .place
                .location
                .clone()
                .unwrap_or_else(|| policy.default_location.clone()),
        };
        let (birth, origin) = (Birth::Recorded, NodeOrigin::Made);
        let init = self.node_init((spec, origin), request.place.project.as_deref(), turn);
        turn.create::<Node>(&name, &init);
        let held = Held { birth, origin, ..Held::new(&init.spec) };
        self.nodes.insert(name.clone(), held);
        name
    }

    /// Promises a place and asks the node for it.
    fn seat(&mut self, node: &str, request: &Request, turn: &mut Turn<Self>) {
        let Ok(id) = ActorId::new(Node::KIND, node) else { return };
        let (mut phase, mut birth, mut lease) = (None, Birth::Sent, None);
        if let Some(held) = self.nodes.get_mut(node) {
            lease = held.lease_of(request.task.as_ref());
            (phase, birth) = (held.known_phase(), held.birth);
            if held.phase == Phase::Warm {
                held.phase = Phase::Running;
            }
            held.seats.insert(request.workspace.clone(), request.task.clone());
        }
        if request.task.is_none() {
            let (place, tenure) = (request.place.clone(), request.tenure);
            let lying = Lying { node: node.to_owned(), place, tenure };
            self.workspaces.insert(request.workspace.clone(), lying);
        }
        let mut terms = WorkspaceTerms::of(&self.init.policy);
        self.times_of(request.place.project.as_deref()).adjust_workspace(&mut terms);
        let (workspace, task) = (request.workspace.clone(), request.task.clone());
        let place = Place { workspace, task, tenure: request.tenure, terms, lease };
        match birth {
            Birth::Sent => turn.send::<Node, _>(&id, &place),
            Birth::Recorded => {
                let me = turn.id().clone();
                turn.send::<Self, _>(&me, &Forward { node: node.to_owned(), place });
            }
        }
        // A task of somebody outside has no clock that this would start; and of a node that he
        // ends himself only that node can say how far it is.
        let is_news = |phase| phase == Phase::Coming || request.tenure == Tenure::Managed;
        if let (Some(task), Some(phase)) = (&request.task, phase.filter(|it| is_news(*it))) {
            answers::grant((task, &request.workspace), (node, phase), turn);
        }
    }

    /// Places a request, or puts it at the end of the line.
    fn place_or_wait(&mut self, request: Request, turn: &mut Turn<Self>) {
        // Nobody overtakes who waits already, except who waits for one certain node, or has one.
        let may_try = self.waiting.is_empty()
            || request.place.node.is_some()
            || self.nodes.values().any(|held| held.lease_of(request.task.as_ref()).is_some());
        if !may_try || !self.place(&request, turn) {
            self.waiting.push_back(request);
        }
    }

    /// Capacity may have become free: places whoever waits, oldest first.
    fn serve(&mut self, turn: &mut Turn<Self>) {
        while let Some(request) = self.waiting.pop_front() {
            if !self.place(&request, turn) {
                self.waiting.push_front(request);
                return;
            }
        }
    }

    /// A workspace is not needed any more, wherever its placement stands.
    fn leave(&mut self, leave: &Leave, node: Option<String>, turn: &mut Turn<Self>) {
        self.waiting.retain(|request| request.workspace != leave.workspace);
        let seated = self.vacate(&leave.workspace);
        if let Some(node) = node.or(seated)
            && let Ok(id) = ActorId::new(Node::KIND, &node)
        {
            turn.send::<Node, _>(&id, leave);
        }
        self.serve(turn);
    }

    /// Takes a promise back; the node that it was for.
    fn vacate(&mut self, workspace: &str) -> Option<String> {
        let (name, held) =
            self.nodes.iter_mut().find(|(_, held)| held.seats.contains_key(workspace))?;
        held.seats.remove(workspace);
        Some(name.clone())
    }

    fn node_gone(&mut self, node: &str, why: &str, turn: &mut Turn<Self>) {
        // Those that were made have been taken off already: these never were.
        let unborn = self.workspaces.iter().filter(|(_, lying)| lying.node == node);
        let unborn: Vec<String> = unborn.map(|(workspace, _)| workspace.clone()).collect();
        for workspace in unborn {
            self.place_again(&workspace, why, turn);
        }
        if let Some(held) = self.nodes.remove(node) {
            for (workspace, task) in held.seats {
                if let Some(task) = task {
                    let not_placed = NotPlaced { workspace, why: why.to_owned(), fault: None };
                    turn.send::<TaskRunner, _>(&task, &not_placed);
                }
            }
            self.serve(turn);
        }
    }

    /// A node that the fleet made has come, and nobody needs it any more.
    fn spare(&mut self, node: &str, turn: &mut Turn<Self>) {
        let held = self.nodes.get(node);
        let is_spare =
            held.is_some_and(|held| held.origin == NodeOrigin::Made && held.seats.is_empty());
        if let (true, Ok(id)) = (is_spare, ActorId::new(Node::KIND, node)) {
            turn.send::<Node, _>(&id, &NotNeeded);
        }
    }

    /// A workspace without a task was not made: the fleet's choice is made again, its owner's
    /// is not.
    fn place_again(&mut self, workspace: &str, why: &str, turn: &mut Turn<Self>) {
        self.vacate(workspace);
        let Some(Lying { place, tenure, .. }) = self.workspaces.remove(workspace) else { return };
        turn.event("not_placed", format!("{workspace}: {why}"));
        if place.node.is_none() {
            let (workspace, task, held) = (workspace.to_owned(), None, None);
            let request = Request { workspace, task, place, tenure, held, smaller: 0 };
            self.waiting.push_front(request);
        }
    }

    fn task_gone(&mut self, task: &ActorId, turn: &mut Turn<Self>) {
        self.disclaim(task, turn);
        let is_of = |of: &Option<ActorId>| of.as_ref() == Some(task);
        self.waiting.retain(|request| !is_of(&request.task));
        let seats = self.nodes.values().flat_map(|held| &held.seats);
        let left: Vec<String> =
            seats.filter(|(_, of)| is_of(of)).map(|(workspace, _)| workspace.clone()).collect();
        for workspace in left {
            self.leave(&Leave { workspace, end: WorkspaceEnd::Stop }, None, turn);
        }
    }
}

impl Actor for Owner {
    const KIND: &'static str = "owner";
    type Init = OwnerInit;
    type Status = OwnerStatus;
    type Deadline = ();
    type Effect = ();
    type Answer = ();

    fn create(init: Self::Init, _turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        init.policy.check_least().map_err(|error| Refusal::new(error.to_string()))?;
        Ok(Self {
            init,
            nodes: BTreeMap::new(),
            workspaces: BTreeMap::new(),
            waiting: VecDeque::new(),
            made: 0,
            towns: BTreeSet::new(),
            sandboxes: Sandboxes::default(),
            projects: BTreeMap::new(),
        })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<RequestNode>().message::<EndNode>();
        on.message::<StartTask>().message::<EndTask>();
        on.message::<CreateWorkspace>().message::<EndWorkspace>();
        on.message::<Seek>().message::<Release>().message::<Forward>();
        on.message::<Returned>().message::<Unseated>();
        on.message::<CreateTown>().message::<EndTown>();
        on.message::<CreateSandbox>().message::<ReserveSandbox>().message::<StartSandbox>();
        on.message::<StopSandbox>().message::<HibernateSandbox>().message::<WakeSandbox>();
        on.message::<MigrateSandbox>().message::<ScaleSandbox>();
        on.message::<AddCredit>().message::<SetPlan>();
        on.message::<NodeNews>().message::<NotPlaced>().message::<Vacated>();
        on.message::<Ask>().message::<SetTime>().message::<Claimed>();
    }

    fn status(&self) -> Self::Status {
        OwnerStatus::Active
    }

    fn row(&self) -> Row {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        Row::default()
            .number("managed_nodes", count(self.n_managed()))
            .number("waiting", count(self.waiting.len()))
    }

    fn on_child_gone(
        &mut self,
        child: &ActorId,
        end: &Gone,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        let why = match end {
            Gone::Destroyed { why } | Gone::Unborn { why, is_yours: false } => why,
            // It lives, and was asked for twice.
            Gone::Unborn { is_yours: true, .. } => return Ok(()),
        };
        match child.kind() {
            Node::KIND => self.node_gone(child.name(), why, turn),
            TaskRunner::KIND => self.task_gone(child, turn),
            Town::KIND => {
                self.towns.remove(child.name());
            }
            Sandbox::KIND => self.sandbox_gone(child.name(), turn),
            _ => {}
        }
        Ok(())
    }
}

impl Handler<Forward> for Owner {
    /// The node's birth is in its inbox now; what was given up meanwhile is not asked for.
    fn handle(&mut self, message: Forward, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(turn.from() == Some(turn.me()))?;
        let Some(held) = self.nodes.get_mut(&message.node) else { return Ok(()) };
        held.birth = Birth::Sent;
        if held.seats.contains_key(&message.place.workspace)
            && let Ok(id) = ActorId::new(Node::KIND, &message.node)
        {
            turn.send::<Node, _>(&id, &message.place);
        }
        Ok(())
    }
}

impl Handler<NodeNews> for Owner {
    fn handle(&mut self, message: NodeNews, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from::<Node, _>(&message.node, turn))?;
        if let Some(held) = self.nodes.get_mut(&message.node) {
            let is_new = held.phase == Phase::Coming && message.phase == Phase::Running;
            held.phase = message.phase;
            held.load = message.load.or(held.load);
            self.serve(turn);
            if is_new {
                self.spare(&message.node, turn);
            }
        }
        Ok(())
    }
}

impl Handler<NotPlaced> for Owner {
    fn handle(&mut self, message: NotPlaced, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from_kind::<Node, _>(turn))?;
        self.place_again(&message.workspace, &message.why, turn);
        self.serve(turn);
        Ok(())
    }
}

impl Handler<Vacated> for Owner {
    fn handle(&mut self, message: Vacated, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from_kind::<Node, _>(turn))?;
        self.workspaces.remove(&message.workspace);
        self.vacate(&message.workspace);
        self.serve(turn);
        Ok(())
    }
}
