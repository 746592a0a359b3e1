//! An owner, who holds nothing: what his handlers do on every state is what is checked.

use sexton_core::coverage::Model;
use sexton_core::{Actor, ActorId, Gone};

use crate::asks::{Ask, Claimed};
use crate::caller::{Caller, Tenure};
use crate::credit::Plan;
use crate::node::{Node, NodeClass, NodeRole, NodeSpec};
use crate::owner::{
    AddCredit, CreateSandbox, CreateTown, CreateWorkspace, EndNode, EndTask, EndWorkspace,
    HibernateSandbox, MigrateSandbox, Owner, OwnerInit, Release, RequestNode, ReserveSandbox,
    Returned, ScaleSandbox, Seek, SetPlan, SetTime, StartSandbox, StartTask, StopSandbox,
    WakeSandbox,
};
use crate::placement::{NodeNews, NotPlaced, Phase, Vacated, Wish};
use crate::policy::Policy;
use crate::sandbox::{Depth, SandboxSpec, SandboxStart};
use crate::task::{Step, TaskEnd, TaskRunner, TaskSession, TaskSpec};
use crate::town::EndTown;
use crate::workspace::{WorkspaceEnd, WorkspaceSpec};

use super::id;

const WORKSPACE: &str = "w";

/// An owner of at most one managed node; what it makes a second time stays.
pub fn owner(policy: &Policy) -> Model<Owner> {
    let policy = Policy { nodes_per_owner_max: 1, ..policy.clone() };
    let init = OwnerInit { installation: uuid::Uuid::nil(), policy };
    towns_and_sandboxes(commands(Model::<Owner>::new().birth("", init)))
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
        .message::<Claimed>(|seen| {
            let nodes = seen.children().iter().filter(|child| child.kind() == Node::KIND);
            let lease = Some((id::<TaskRunner>("t"), 1));
            nodes.map(|it| Claimed { node: it.name().to_owned(), lease: lease.clone() }).collect()
        })
        .message::<NotPlaced>(|_| {
            let (workspace, why) = (WORKSPACE.to_owned(), "no room".to_owned());
            vec![NotPlaced { workspace, why, fault: None }]
        })
        .message::<Vacated>(|_| {
            let (workspace, why) = (WORKSPACE.to_owned(), "gone".to_owned());
            vec![Vacated { workspace, why, fault: None }]
        })
        .child_ends(|child| {
            // Each node that ends is replaced as long as somebody waits for one.
            let is_replaced = child.kind() != Node::KIND || child.name().ends_with("~n1");
            let end = Gone::Destroyed { why: "gone".to_owned() };
            if is_replaced { vec![end] } else { Vec::new() }
        })
        .messages_max(3)
        .both_nets()
        .every_message()
        .whole_table()
}

fn caller() -> Caller {
    Caller::owner("it")
}

fn commands(model: Model<Owner>) -> Model<Owner> {
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
            vec![CreateWorkspace { caller: caller(), name: WORKSPACE.to_owned(), spec }]
        })
        .message::<EndWorkspace>(move |_| {
            let (name, end) = (WORKSPACE.to_owned(), WorkspaceEnd::Stop);
            vec![EndWorkspace { caller: caller(), name, end }]
        })
        .message::<Seek>(|_| {
            let (task, workspace) = (id::<TaskRunner>("t"), "t~w1".to_owned());
            let (place, tenure) = (Wish::default(), Tenure::Managed);
            vec![Seek { task, workspace, place, tenure, left: None, held: None, smaller: 0 }]
        })
        .message::<Release>(|_| vec![Release { workspace: "t~w1".to_owned(), node: None }])
        .message::<Returned>(|_| {
            let (node, workspace) = ("n".to_owned(), WORKSPACE.to_owned());
            vec![Returned { node, workspace, tenure: Tenure::Managed }]
        })
        .message::<Ask>(|_| {
            let (task, workspace) = (id::<TaskRunner>("t"), "t~w1".to_owned());
            vec![Ask { task, workspace, step: Step::NodeSelection }]
        })
        .message::<EndNode>(|_| {
            vec![EndNode { caller: caller(), name: "n".to_owned(), why: "over".to_owned() }]
        })
        .message::<EndTask>(|_| {
            vec![EndTask { caller: caller(), name: "t".to_owned(), end: TaskEnd::Cancelled }]
        })
        .message::<SetTime>(|_| {
            let (name, value) = ("warm_timeout".to_owned(), "1h".to_owned());
            vec![SetTime { caller: caller(), project: Some("p".to_owned()), name, value }]
        })
}

fn towns_and_sandboxes(model: Model<Owner>) -> Model<Owner> {
    let (town, sandbox) = (|| "v".to_owned(), || "s".to_owned());
    let holder = || "h".to_owned();
    model
        .message::<CreateTown>(move |_| vec![CreateTown { caller: caller(), name: town() }])
        .message::<EndTown>(move |_| {
            vec![EndTown { caller: caller(), name: town(), why: "over".to_owned() }]
        })
        .message::<CreateSandbox>(move |_| {
            let (start, worker) = (SandboxStart::Pooled, "w".to_owned());
            let spec = SandboxSpec { start, worker, scale: 1 };
            vec![CreateSandbox { caller: caller(), name: sandbox(), spec }]
        })
        .message::<ReserveSandbox>(move |_| {
            vec![ReserveSandbox { caller: caller(), name: sandbox(), holder: holder() }]
        })
        .message::<StartSandbox>(move |_| {
            vec![StartSandbox { caller: caller(), name: sandbox(), holder: holder() }]
        })
        .message::<StopSandbox>(move |_| {
            vec![StopSandbox { caller: caller(), name: sandbox(), why: "over".to_owned() }]
        })
        .message::<HibernateSandbox>(move |_| {
            let depth = Depth::Deep;
            vec![HibernateSandbox { caller: caller(), name: sandbox(), depth }]
        })
        .message::<WakeSandbox>(move |_| {
            vec![WakeSandbox { caller: caller(), name: sandbox(), on: None }]
        })
        .message::<MigrateSandbox>(move |_| {
            vec![MigrateSandbox { caller: caller(), name: sandbox(), to: "x".to_owned() }]
        })
        .message::<ScaleSandbox>(move |_| {
            vec![ScaleSandbox { caller: caller(), name: sandbox(), scale: 2 }]
        })
        .message::<AddCredit>(|_| {
            vec![AddCredit { caller: caller(), cents: 1, gift: "g".to_owned() }]
        })
        .message::<SetPlan>(|_| vec![SetPlan { caller: caller(), plan: Plan::Pro }])
}
