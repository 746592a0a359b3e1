//! The fleet's lifecycles, as models for the coverage check: what may happen to one of a kind.
//!
//! [`all`] checks every kind with both nets under it. A model is a few lines; what somebody
//! outside decides about stands there as `left_to`, with his name, and nowhere else.

use sexton_core::coverage::{Check, Model, Seen};
use sexton_core::{Actor, ActorId, ActorRef, Failure, Gone, Outcome};

use crate::caller::{Caller, Tenure};
use crate::fault::Fault;
use crate::node::{
    AgentDown, AgentUp, Claim, Drain, Heartbeat, Lost, Machine, Node, NodeAnswer, NodeClass,
    NodeEffect, NodeInit, NodeRole, NodeSpec, NodeTerms, Ready, Unclaim, WorkspaceChanged,
};
use crate::owner::{
    CreateWorkspace, EndNode, EndTask, EndWorkspace, Owner, OwnerInit, Release, RequestNode, Seek,
    StartTask,
};
use crate::placement::{
    Granted, Leave, NodeNews, NotPlaced, Phase, Place, Placed, Vacated, Wish, WorkspaceReady,
};
use crate::policy::Policy;
use crate::reaper::{Found, Orphan, Reaper, ReaperAnswer, ReaperEffect, ReaperInit};
use crate::sweeps;
use crate::task::{
    Progress, Step, TaskEnd, TaskInit, TaskRunner, TaskSession, TaskSpec, TaskTerms,
};
use crate::workspace::{
    AgentAnswer, AgentEffect, End, Touch, Workspace, WorkspaceEnd, WorkspaceInit, WorkspaceSpec,
    WorkspaceTerms,
};

/// The checks of every kind of the fleet.
pub fn all(policy: &Policy) -> Vec<Box<dyn Check>> {
    vec![
        Box::new(owner(policy)),
        Box::new(node(policy)),
        Box::new(workspace(policy)),
        Box::new(task(policy)),
        Box::new(reaper(policy)),
    ]
}

const OWNER: &str = "ada";
/// A workspace of a task.
const OF_TASK: &str = "w";
/// A workspace about whose end somebody outside decides.
const KEPT: &str = "kept";

fn id<A: Actor>(name: &str) -> ActorId {
    ActorId::new(A::KIND, name).expect("the names in the models keep the rules of ids")
}

fn failure(fault: Fault) -> Failure {
    Failure { class: fault.name().to_owned(), message: "the model says so".to_owned() }
}

/// What is of external tenure: its owner decides, and nobody else.
fn kept_by_its_owner<A>(seen: &Seen<'_, A>) -> Option<String> {
    let is_external = seen.row().record.text("tenure") == Some(Tenure::External.name());
    is_external.then(|| "external tenure: whoever requested it ends it".to_owned())
}

/// A node of every class and role, with two workspaces that come and go.
pub fn node(policy: &Policy) -> Model<Node> {
    let terms = NodeTerms::of(policy);
    let init = |tenure, class, role| NodeInit {
        owner: OWNER.to_owned(),
        installation: "model".to_owned(),
        spec: NodeSpec { tenure, class, role, size: "s".to_owned(), location: "l".to_owned() },
        terms,
    };
    let (managed, owner) = (Tenure::Managed, id::<Owner>(OWNER));
    let ours = init(managed, NodeClass::Managed, NodeRole::Workspace);
    let deployment = init(managed, NodeClass::Managed, NodeRole::Deployment);
    let theirs = init(managed, NodeClass::UserOwned, NodeRole::Workspace);
    let kept = init(Tenure::External, NodeClass::Managed, NodeRole::Workspace);
    let model = Model::new()
        .holding("a machine")
        .birth_of("managed", owner.clone(), ours)
        .birth_of("deployment", owner.clone(), deployment)
        .birth_of("user-owned", owner.clone(), theirs)
        .birth_of("external", owner, kept)
        .message::<Ready>(|seen| [0, 1].map(|late| Ready { epoch: seen.epoch() + late, version: None }).into())
        .message::<AgentUp>(|seen| vec![AgentUp { epoch: seen.epoch() }])
        .message::<AgentDown>(|seen| vec![AgentDown { epoch: seen.epoch() }])
        .message::<Heartbeat>(|seen| vec![Heartbeat { epoch: seen.epoch(), load: None, version: None }])
        .message::<Lost>(|seen| vec![Lost { epoch: seen.epoch(), class: "gone".to_owned() }])
        .message::<Claim>(|_| vec![Claim { by: id::<TaskRunner>("t") }])
        .message::<Unclaim>(|_| vec![Unclaim { lease: 1 }])
        .message::<Drain>(|_| vec![Drain { caller: Caller::owner(OWNER) }])
        .message::<EndNode>(|seen| {
            let (caller, name) = (Caller::owner(OWNER), seen.me().id.name().to_owned());
            vec![EndNode { caller, name, why: "not needed".to_owned() }]
        })
        .outcomes(|effect| match effect {
            NodeEffect::Create { .. } => {
                let machine = Machine { id: "m".to_owned(), address: "a".to_owned() };
                let done = Outcome::Done(NodeAnswer::Created(machine));
                vec![done, Outcome::Failed(failure(Fault::Quota))]
            }
            NodeEffect::Delete { .. } => vec![Outcome::Done(NodeAnswer::Deleted)],
            NodeEffect::Attach { .. } => vec![Outcome::Done(NodeAnswer::Attached)],
            NodeEffect::Release { .. } => vec![Outcome::Done(NodeAnswer::Released)],
        })
        // A lease's number tells who holds it, and only counts up.
        .ignoring(&["leases", "number"])
        .sweeps(sweeps::all(policy))
        .both_nets()
        .whole_table();
    left_to_owners(seats(model, policy))
}

fn seats(model: Model<Node>, policy: &Policy) -> Model<Node> {
    let terms = WorkspaceTerms::of(policy);
    let both = || [OF_TASK, KEPT].map(str::to_owned).into_iter();
    model
        .message::<Place>(move |_| {
            let task = Some(id::<TaskRunner>("t"));
            let of_task = Place {
                workspace: OF_TASK.to_owned(),
                task,
                tenure: Tenure::Managed,
                terms,
                lease: None,
            };
            let workspace = KEPT.to_owned();
            vec![
                of_task,
                Place { workspace, task: None, tenure: Tenure::External, terms, lease: None },
            ]
        })
        .message::<Leave>(move |_| {
            both().map(|workspace| Leave { workspace, end: WorkspaceEnd::Stop }).collect()
        })
        .message::<WorkspaceChanged>(move |_| {
            both().map(|workspace| WorkspaceChanged { workspace, why: "idle".to_owned() }).collect()
        })
}

fn left_to_owners(model: Model<Node>) -> Model<Node> {
    model
        .left_to(kept_by_its_owner)
        .left_to(|seen| {
            let row = &seen.row().record;
            if row.text("class") == Some(NodeClass::UserOwned.name()) {
                return Some("user-owned: only its owner unregisters it".to_owned());
            }
            let is_deployment = row.text("role") == Some(NodeRole::Deployment.name());
            (is_deployment && seen.row().status == "running")
                .then(|| "a deployment runs until its owner ends it".to_owned())
        })
        .left_to(|seen| {
            let is_used = seen.row().record.time("unused_since").is_none();
            let is_kept = seen.children().iter().any(|child| child.name() == KEPT);
            (is_used && is_kept && seen.row().status == "running")
                .then(|| "a workspace of external tenure is on it: its owner ends that".to_owned())
        })
}

/// A workspace of a task, one of an owner, and one of external tenure.
pub fn workspace(policy: &Policy) -> Model<Workspace> {
    let terms = WorkspaceTerms::of(policy);
    let node = id::<Node>("n");
    let on = ActorRef { id: node.clone(), incarnation: 1 };
    let init = |task: Option<ActorId>, tenure| WorkspaceInit {
        owner: OWNER.to_owned(),
        node: on.clone(),
        task,
        tenure,
        task_tenure: tenure,
        terms,
    };
    Model::new()
        .holding("files on a machine")
        .birth_of("managed", node.clone(), init(None, Tenure::Managed))
        .birth_of("of a task", node.clone(), init(Some(id::<TaskRunner>("t")), Tenure::Managed))
        .birth_of("external", node, init(None, Tenure::External))
        .message::<End>(|_| {
            let destroy = WorkspaceEnd::Destroy { why: "deleted".to_owned() };
            [WorkspaceEnd::Stop, destroy].map(|end| End { end }).into()
        })
        .message::<Touch>(|_| vec![Touch { caller: Caller::owner(OWNER) }])
        .outcomes(|effect| {
            let done = match effect {
                AgentEffect::Create { .. } => AgentAnswer::Created,
                AgentEffect::Stop { .. } => AgentAnswer::Stopped,
                AgentEffect::Delete { .. } => AgentAnswer::Deleted,
                AgentEffect::Sleep { .. } => AgentAnswer::Asleep,
                AgentEffect::Wake { .. } => AgentAnswer::Awake,
                AgentEffect::Recover { .. } => AgentAnswer::Recovered,
            };
            vec![Outcome::Done(done), Outcome::Failed(failure(Fault::Network))]
        })
        .left_to(kept_by_its_owner)
        .left_to(|seen| {
            let is_up = ["running", "recovery"].contains(&seen.row().status.as_str());
            (is_up && seen.row().record.text("task").is_some())
                .then(|| "in use until its task has ended".to_owned())
        })
        .sweeps(sweeps::all(policy))
        .both_nets()
}

/// A task that finds a place, one that waits for a certain node, and one of external tenure;
/// each tries twice.
pub fn task(policy: &Policy) -> Model<TaskRunner> {
    let terms = TaskTerms { attempts_max: 2, ..TaskTerms::of(policy) };
    let init = |tenure, place| TaskInit {
        owner: OWNER.to_owned(),
        spec: TaskSpec { tenure, place, session: TaskSession::Unwanted },
        terms,
    };
    let owner = id::<Owner>(OWNER);
    let workspaces = || ["it~w1", "it~w2"].map(str::to_owned).into_iter();
    Model::new()
        .holding("a place on a node")
        .birth_of("managed", owner.clone(), init(Tenure::Managed, Wish::default()))
        .birth_of("pinned", owner.clone(), init(Tenure::Managed, Wish::on("n")))
        .birth_of("external", owner, init(Tenure::External, Wish::default()))
        .message::<Granted>(move |_| {
            workspaces()
                .map(|workspace| Granted {
                    workspace,
                    node: "n".to_owned(),
                    step: Step::NodeProvisioning,
                })
                .collect()
        })
        .message::<Placed>(move |_| {
            workspaces().map(|workspace| Placed { workspace, node: "n".to_owned() }).collect()
        })
        .message::<WorkspaceReady>(move |_| {
            workspaces().map(|workspace| WorkspaceReady { workspace }).collect()
        })
        .message::<NotPlaced>(move |_| {
            let why = || "no room".to_owned();
            workspaces().map(|it| NotPlaced { workspace: it, why: why(), fault: None }).collect()
        })
        .message::<Vacated>(move |_| {
            let why = || "lost".to_owned();
            workspaces().map(|it| Vacated { workspace: it, why: why(), fault: None }).collect()
        })
        .message::<Progress>(|_| vec![Progress])
        .message::<EndTask>(|seen| {
            let (caller, name) = (Caller::owner(OWNER), seen.me().id.name().to_owned());
            let failed = TaskEnd::Failed { class: "x".to_owned() };
            [TaskEnd::Completed, failed, TaskEnd::Cancelled]
                .map(|end| EndTask { caller: caller.clone(), name: name.clone(), end })
                .into()
        })
        .left_to(kept_by_its_owner)
        .sweeps(sweeps::all(policy))
        .both_nets()
        .whole_table()
}

/// An owner of at most one managed node; what it makes a second time stays.
pub fn owner(policy: &Policy) -> Model<Owner> {
    let policy = Policy { nodes_per_owner_max: 1, ..policy.clone() };
    let init = OwnerInit { installation: uuid::Uuid::nil(), policy };
    commands(Model::new().birth("", init))
        .message::<NodeNews>(|seen| {
            let nodes = seen.children().iter().filter(|child| child.kind() == Node::KIND);
            let phases = [Phase::Running, Phase::Warm, Phase::Closed];
            let news = |node: &ActorId, phase| NodeNews {
                node: node.name().to_owned(),
                phase,
                load: None,
            };
            nodes.flat_map(|node| phases.map(|phase| news(node, phase))).collect()
        })
        .message::<NotPlaced>(|_| {
            let (workspace, why) = (OF_TASK.to_owned(), "no room".to_owned());
            vec![NotPlaced { workspace, why, fault: None }]
        })
        .message::<Vacated>(|_| {
            let (workspace, why) = (OF_TASK.to_owned(), "gone".to_owned());
            vec![Vacated { workspace, why, fault: None }]
        })
        .child_ends(|child| {
            // Each node that ends is replaced as long as somebody waits for one.
            let is_replaced = child.kind() != Node::KIND || child.name().ends_with("~n1");
            let end = Gone::Destroyed { why: "gone".to_owned() };
            if is_replaced { vec![end] } else { Vec::new() }
        })
        .messages_max(4)
        .both_nets()
        .whole_table()
}

fn commands(model: Model<Owner>) -> Model<Owner> {
    let caller = || Caller::owner("it");
    model
        .message::<RequestNode>(move |_| {
            let (class, role) = (NodeClass::Managed, NodeRole::Workspace);
            let (size, location) = ("s".to_owned(), "l".to_owned());
            let spec = NodeSpec { tenure: Tenure::Managed, class, role, size, location };
            vec![RequestNode { caller: caller(), name: "n".to_owned(), spec }]
        })
        .message::<StartTask>(move |_| {
            let spec = TaskSpec {
                tenure: Tenure::Managed,
                place: Wish::default(),
                session: TaskSession::Unwanted,
            };
            vec![StartTask { caller: caller(), name: "t".to_owned(), spec }]
        })
        .message::<CreateWorkspace>(move |_| {
            let spec = WorkspaceSpec { tenure: Tenure::Managed, place: Wish::default() };
            vec![CreateWorkspace { caller: caller(), name: OF_TASK.to_owned(), spec }]
        })
        .message::<EndWorkspace>(move |_| {
            let (name, end) = (OF_TASK.to_owned(), WorkspaceEnd::Stop);
            vec![EndWorkspace { caller: caller(), name, end }]
        })
        .message::<Seek>(|_| {
            let (task, workspace) = (id::<TaskRunner>("t"), "t~w1".to_owned());
            let (place, tenure) = (Wish::default(), Tenure::Managed);
            vec![Seek { task, workspace, place, tenure, left: None, held: None, smaller: 0 }]
        })
        .message::<Release>(|_| vec![Release { workspace: "t~w1".to_owned(), node: None }])
}

/// A reaper whose listings find one orphan, are incomplete, or fail.
pub fn reaper(policy: &Policy) -> Model<Reaper> {
    Model::new()
        .birth("", ReaperInit::of(uuid::Uuid::nil(), policy))
        .outcomes(|effect| {
            let failed = Outcome::Failed(failure(Fault::Network));
            match effect {
                ReaperEffect::FindOrphans { .. } => {
                    let owner = ActorRef { id: id::<Node>("n"), incarnation: 1 };
                    let orphans = vec![Orphan { machine: "m".to_owned(), owner }];
                    let found = |complete| {
                        let orphans = orphans.clone();
                        Outcome::Done(ReaperAnswer::Found(Found { complete, orphans }))
                    };
                    vec![found(true), found(false), failed]
                }
                ReaperEffect::DeleteOrphan { .. } => {
                    let answers = [ReaperAnswer::Deleted, ReaperAnswer::Spared];
                    answers.map(Outcome::Done).into_iter().chain([failed]).collect()
                }
            }
        })
        .ignoring(&["scans", "deleted"])
        .sweeps(sweeps::all(policy))
        .both_nets()
        .whole_table()
}
