//! What an owner is commanded, and what his tasks ask of him.

use serde::{Deserialize, Serialize};
use sexton_core::{Actor, ActorId, Handler, Message, Refusal, Turn};

use crate::asks::Waits;
use crate::caller::{self, Caller, Tenure};
use crate::node::{Node, NodeClass, NodeOrigin, NodeSpec};
use crate::placement::{Leave, Place, Vacated, Wish};
use crate::senders::only_if;
use crate::task::{TaskEnd, TaskInit, TaskRunner, TaskSpec, TaskTerms};
use crate::workspace::{Workspace, WorkspaceEnd, WorkspaceSpec};

use super::Owner;
use super::registry::{Held, Request};

macro_rules! command {
    ($(#[$doc:meta])* $name:ident = $text:literal { $( $(#[$field_doc:meta])* $field:ident: $type:ty, )* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        pub struct $name {
            $( $(#[$field_doc])* pub $field: $type, )*
        }

        impl Message for $name {
            const NAME: &'static str = $text;
            type Reply = ();
        }
    };
}

command! {
    /// Makes a node.
    RequestNode = "request_node" {
        /// Who asks.
        caller: Caller,
        /// Its name, never used before.
        name: String,
        /// What it shall be.
        spec: NodeSpec,
    }
}
command! {
    /// Destroys a node, also while it is in use.
    EndNode = "end_node" {
        /// Who asks.
        caller: Caller,
        /// Which.
        name: String,
        /// Why.
        why: String,
    }
}
command! {
    /// Starts a task.
    StartTask = "start_task" {
        /// Who asks.
        caller: Caller,
        /// Its name, never used before.
        name: String,
        /// What it shall be.
        spec: TaskSpec,
    }
}
command! {
    /// Ends a task, whatever its status.
    EndTask = "end_task" {
        /// Who asks.
        caller: Caller,
        /// Which.
        name: String,
        /// How.
        end: TaskEnd,
    }
}
command! {
    /// Makes a workspace that is for no task.
    CreateWorkspace = "create_workspace" {
        /// Who asks.
        caller: Caller,
        /// Its name, never used before.
        name: String,
        /// What it shall be.
        spec: WorkspaceSpec,
    }
}
command! {
    /// Ends a workspace; one that still waits for a place is not made.
    EndWorkspace = "end_workspace" {
        /// Who asks.
        caller: Caller,
        /// Which.
        name: String,
        /// How.
        end: WorkspaceEnd,
    }
}
command! {
    /// From a task: a place for this workspace.
    Seek = "seek" {
        /// The task.
        task: ActorId,
        /// The workspace, of a new name for every attempt.
        workspace: String,
        /// Where.
        place: Wish,
        /// Who decides when the task ends.
        tenure: Tenure,
        /// The workspace of the attempt before, whose place is given up.
        left: Option<String>,
        /// The node that it was on.
        held: Option<String>,
        /// How many sizes below the default one, where nobody named the size.
        smaller: u32,
    }
}
command! {
    /// From a task that goes: its place is given up.
    Release = "release" {
        /// The workspace of its last attempt.
        workspace: String,
        /// The node, if it knows it.
        node: Option<String>,
    }
}

command! {
    /// From the owner to himself: a place on a node that he has just created.
    Forward = "forward" {
        /// The node.
        node: String,
        /// The workspace.
        place: Place,
    }
}

pub(super) use command;

/// A name that will be part of an id.
pub(super) fn check<A: Actor>(name: &str) -> Result<ActorId, Refusal> {
    ActorId::new(A::KIND, name).map_err(|error| Refusal::new(error.to_string()))
}

/// A command is the owner's own or an operator's, which the log then says.
pub(super) fn authorize(
    caller: &Caller,
    what: &str,
    turn: &mut Turn<Owner>,
) -> Result<(), Refusal> {
    let owner = turn.id().name().to_owned();
    caller::authorize(caller, (&owner, what), turn)
}

impl Owner {
    /// Whether he may have one more node of this class.
    fn check_room_for(&self, class: NodeClass) -> Result<(), Refusal> {
        let policy = &self.init.policy;
        let n_managed = self.n_managed();
        let (n, max, what) = match class {
            NodeClass::Managed => (n_managed, policy.nodes_per_owner_max, "managed nodes"),
            NodeClass::UserOwned => {
                (self.nodes.len() - n_managed, policy.user_nodes_per_owner_max, "nodes of his own")
            }
        };
        if n < usize::try_from(max).unwrap_or(usize::MAX) {
            return Ok(());
        }
        Err(Refusal::new(format!("{max} {what} are allowed, and exist")))
    }

    /// The task that a workspace is for, which has a place or waits for one.
    fn task_of(&self, workspace: &str) -> Option<ActorId> {
        let seated = self.nodes.values().find_map(|held| held.seats.get(workspace));
        let waiting = || self.waiting.iter().find(|it| it.workspace == workspace);
        seated.or_else(|| waiting().map(|it| &it.task)).cloned().flatten()
    }
}

impl Handler<RequestNode> for Owner {
    fn handle(&mut self, message: RequestNode, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let RequestNode { caller, name, mut spec } = message;
        authorize(&caller, "request_node", turn)?;
        if spec.tenure == Tenure::Managed {
            let size = self.init.policy.server_type(&spec.size).to_owned();
            spec.size = size;
        }
        check::<Node>(&name)?;
        if self.nodes.contains_key(&name) {
            return Err(Refusal::new(format!("node {name} exists already")));
        }
        self.check_room_for(spec.class)?;
        self.nodes.insert(name.clone(), Held::new(&spec));
        let init = self.node_init((spec, NodeOrigin::Asked), None, turn);
        turn.create::<Node>(&name, &init);
        Ok(())
    }
}

impl Handler<EndNode> for Owner {
    fn handle(&mut self, message: EndNode, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, "end_node", turn)?;
        let node = check::<Node>(&message.name)?;
        turn.send::<Node, _>(&node, &message);
        Ok(())
    }
}

impl Handler<StartTask> for Owner {
    fn handle(&mut self, message: StartTask, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let StartTask { caller, name, spec } = message;
        authorize(&caller, "start_task", turn)?;
        check::<TaskRunner>(&name)?;
        if let Some(node) = &spec.place.node {
            check::<Node>(node)?;
        }
        let init = TaskInit {
            owner: turn.id().name().to_owned(),
            spec,
            terms: TaskTerms::of(&self.init.policy),
        };
        turn.create::<TaskRunner>(&name, &init);
        Ok(())
    }
}

impl Handler<EndTask> for Owner {
    fn handle(&mut self, message: EndTask, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, "end_task", turn)?;
        let task = check::<TaskRunner>(&message.name)?;
        turn.send::<TaskRunner, _>(&task, &message);
        Ok(())
    }
}

impl Handler<CreateWorkspace> for Owner {
    fn handle(&mut self, message: CreateWorkspace, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let CreateWorkspace { caller, name, spec } = message;
        authorize(&caller, "create_workspace", turn)?;
        check::<Workspace>(&name)?;
        if let Some(node) = &spec.place.node {
            check::<Node>(node)?;
        }
        if self.knows(&name) {
            return Err(Refusal::new(format!("workspace {name} exists already")));
        }
        let WorkspaceSpec { tenure, place } = spec;
        let (workspace, held) = (name, None);
        let request = Request { workspace, task: None, place, tenure, held, smaller: 0 };
        self.place_or_wait(request, turn);
        Ok(())
    }
}

impl Handler<EndWorkspace> for Owner {
    fn handle(&mut self, message: EndWorkspace, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, "end_workspace", turn)?;
        // Forgotten at once: what still waits on its node must not be placed again after it.
        let node = self.workspaces.remove(&message.name).map(|lying| lying.node);
        let (task, workspace) = (self.task_of(&message.name), message.name.clone());
        self.leave(&Leave { workspace: message.name, end: message.end }, node, turn);
        if let Some(task) = task {
            let vacated = Vacated { workspace, why: "ended".to_owned(), fault: None };
            turn.send::<TaskRunner, _>(&task, &vacated);
        }
        Ok(())
    }
}

impl Handler<Seek> for Owner {
    fn handle(&mut self, message: Seek, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(turn.from().is_some_and(|from| from.id == message.task))?;
        if let Some(left) = &message.left {
            self.vacate(left);
        }
        let Seek { task, workspace, place, tenure, held, smaller, .. } = message;
        let request = Request { workspace, task: Some(task.clone()), place, tenure, held, smaller };
        let workspace = request.workspace.clone();
        self.place_or_wait(request, turn);
        // What was left behind may be what somebody else waits for.
        self.serve(turn);
        if tenure == Tenure::Managed && self.is_waiting(&workspace) {
            turn.send::<TaskRunner, _>(&task, &Waits { workspace });
        }
        Ok(())
    }
}

impl Handler<Release> for Owner {
    fn handle(&mut self, message: Release, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(
            turn.from().is_some_and(|from| TaskRunner::has_workspace(&from.id, &message.workspace)),
        )?;
        let leave = Leave { workspace: message.workspace, end: WorkspaceEnd::Stop };
        // Of his own nodes the owner knows better who has a place there.
        let node = message.node.filter(|node| !self.nodes.contains_key(node));
        self.leave(&leave, node, turn);
        Ok(())
    }
}
