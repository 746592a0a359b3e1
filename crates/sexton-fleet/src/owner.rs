//! An owner: all commands for what is his come in here and go down the tree, and he alone
//! decides which node gets what.
//!
//! Because every command passes through this one actor, an end never overtakes its beginning.
//! Because every placement does, the room on a node is counted once, in order.
//!
//! The state is written anew every turn, so it holds only what placement needs: managed nodes
//! (a few, limited), workspaces that lie on a node without a task, and what waits for capacity.

mod commands;
mod registry;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use sexton_core::{Actor, ActorId, Gone, Handler, Handlers, Refusal, Row, Turn};

use crate::caller::Tenure;
use crate::node::{Node, NodeClass, NodeInit, NodeRole, NodeSpec, NodeTerms};
use crate::placement::{Granted, Leave, NodeNews, NotPlaced, Phase, Place, Vacated};
use crate::policy::Policy;
use crate::task::TaskRunner;
use crate::workspace::{WorkspaceEnd, WorkspaceTerms};

pub use self::commands::{
    CreateWorkspace, EndNode, EndTask, EndWorkspace, Forward, Release, RequestNode, Seek, StartTask,
};

use self::registry::{Birth, Held, Lying, Request};

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
    /// Managed nodes by name, from their request to their tombstone.
    nodes: BTreeMap<String, Held>,
    /// Workspaces without a task, and where they lie.
    workspaces: BTreeMap<String, Lying>,
    /// What waits for capacity, oldest first.
    waiting: VecDeque<Request>,
    /// Nodes made so far: names are never used twice.
    made: u64,
}

impl Owner {
    fn node_init(&self, spec: NodeSpec, turn: &Turn<Self>) -> NodeInit {
        NodeInit {
            owner: turn.id().name().to_owned(),
            installation: self.init.installation.to_string(),
            spec,
            terms: NodeTerms::of(&self.init.policy),
        }
    }

    fn has_capacity(&self) -> bool {
        let max = usize::try_from(self.init.policy.nodes_per_owner_max).unwrap_or(usize::MAX);
        self.nodes.len() < max
    }

    /// Finds a place for a request; `false` if it has to wait.
    fn place(&mut self, request: &Request, turn: &mut Turn<Self>) -> bool {
        if let Some(node) = request.place.node.clone() {
            self.seat(&node, request, turn);
            return true;
        }
        let max = self.init.policy.workspaces_per_node_max;
        if let Some(node) = registry::choose(&self.nodes, &request.place, max) {
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
            size: request.place.size.clone().unwrap_or_else(|| policy.default_size.clone()),
            location: request
                .place
                .location
                .clone()
                .unwrap_or_else(|| policy.default_location.clone()),
        };
        let init = self.node_init(spec, turn);
        turn.create::<Node>(&name, &init);
        let held = Held { birth: Birth::Recorded, ..Held::new(&init.spec) };
        self.nodes.insert(name.clone(), held);
        name
    }

    /// Promises a place and asks the node for it.
    fn seat(&mut self, node: &str, request: &Request, turn: &mut Turn<Self>) {
        let Ok(id) = ActorId::new(Node::KIND, node) else { return };
        let (mut phase, mut birth) = (Phase::Running, Birth::Sent);
        if let Some(held) = self.nodes.get_mut(node) {
            (phase, birth) = (held.phase, held.birth);
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
        let place = Place {
            workspace: request.workspace.clone(),
            task: request.task.clone(),
            tenure: request.tenure,
            terms: WorkspaceTerms::of(&self.init.policy),
        };
        match birth {
            Birth::Sent => turn.send::<Node, _>(&id, &place),
            Birth::Recorded => {
                let me = turn.id().clone();
                turn.send::<Self, _>(&me, &Forward { node: node.to_owned(), place });
            }
        }
        if let (Some(task), Phase::Coming) = (&request.task, phase) {
            let granted = Granted { workspace: request.workspace.clone(), node: node.to_owned() };
            turn.send::<TaskRunner, _>(task, &granted);
        }
    }

    /// Places a request, or puts it at the end of the line.
    fn place_or_wait(&mut self, request: Request, turn: &mut Turn<Self>) {
        // Nobody overtakes who waits already, except who waits for one certain node.
        let may_try = self.waiting.is_empty() || request.place.node.is_some();
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
                    let not_placed = NotPlaced { workspace, why: why.to_owned() };
                    turn.send::<TaskRunner, _>(&task, &not_placed);
                }
            }
            self.serve(turn);
        }
    }

    /// A workspace without a task was not made: the fleet's choice is made again, its owner's
    /// is not.
    fn place_again(&mut self, workspace: &str, why: &str, turn: &mut Turn<Self>) {
        self.vacate(workspace);
        let Some(Lying { place, tenure, .. }) = self.workspaces.remove(workspace) else { return };
        turn.event("not_placed", format!("{workspace}: {why}"));
        if place.node.is_none() {
            let workspace = workspace.to_owned();
            self.waiting.push_front(Request { workspace, task: None, place, tenure });
        }
    }

    fn task_gone(&mut self, task: &ActorId, turn: &mut Turn<Self>) {
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
        Ok(Self {
            init,
            nodes: BTreeMap::new(),
            workspaces: BTreeMap::new(),
            waiting: VecDeque::new(),
            made: 0,
        })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<RequestNode>().message::<EndNode>();
        on.message::<StartTask>().message::<EndTask>();
        on.message::<CreateWorkspace>().message::<EndWorkspace>();
        on.message::<Seek>().message::<Release>().message::<Forward>();
        on.message::<NodeNews>().message::<NotPlaced>().message::<Vacated>();
    }

    fn status(&self) -> Self::Status {
        OwnerStatus::Active
    }

    fn row(&self) -> Row {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        Row::default()
            .number("managed_nodes", count(self.nodes.len()))
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
            _ => {}
        }
        Ok(())
    }
}

impl Handler<Forward> for Owner {
    /// The node's birth is in its inbox now; what was given up meanwhile is not asked for.
    fn handle(&mut self, message: Forward, turn: &mut Turn<Self>) -> Result<(), Refusal> {
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
        if let Some(held) = self.nodes.get_mut(&message.node) {
            held.phase = message.phase;
            self.serve(turn);
        }
        Ok(())
    }
}

impl Handler<NotPlaced> for Owner {
    fn handle(&mut self, message: NotPlaced, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.place_again(&message.workspace, &message.why, turn);
        self.serve(turn);
        Ok(())
    }
}

impl Handler<Vacated> for Owner {
    fn handle(&mut self, message: Vacated, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.workspaces.remove(&message.workspace);
        self.vacate(&message.workspace);
        self.serve(turn);
        Ok(())
    }
}
