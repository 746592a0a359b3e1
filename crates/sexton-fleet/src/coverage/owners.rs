//! An owner, who holds nothing: what his handlers do on every state is what is checked.

use sexton_core::coverage::{Model, Seen};
use sexton_core::{Actor, Gone};

use crate::asks::{Ask, Claimed};
use crate::caller::{Caller, Tenure};
use crate::credit::Plan;
use crate::node::{Node, NodeClass, NodeRole, NodeSpec};
use crate::owner::{
    AddCredit, CreateSandbox, CreateTown, CreateWorkspace, EndNode, EndTask, EndWorkspace,
    HibernateSandbox, MigrateSandbox, Owner, OwnerInit, Release, RequestNode, ReserveSandbox,
    Returned, ScaleSandbox, Seek, SetPlan, SetTime, StartSandbox, StartTask, StopSandbox, Unseated,
    WakeSandbox,
};
use crate::placement::{NodeNews, NotPlaced, Phase, Vacated, Wish};
use crate::policy::Policy;
use crate::sandbox::{Depth, SandboxSpec, SandboxStart};
use crate::task::{Step, TaskEnd, TaskRunner, TaskSession, TaskSpec};
use crate::town::EndTown;
use crate::workspace::{WorkspaceEnd, WorkspaceSpec};

use super::{id, operator};

const WORKSPACE: &str = "w";
/// The one that he asks for, and those that are made for somebody who needs a place.
const NODES: [&str; 3] = ["n", "it~n1", "it~n2"];

/// An owner of at most one managed node; what it makes a second time stays.
pub fn owner(policy: &Policy) -> Model<Owner> {
    let policy = Policy { nodes_per_owner_max: 1, ..policy.clone() };
    let init = OwnerInit { installation: uuid::Uuid::nil(), policy };
    let model = towns_and_sandboxes(commands(Model::<Owner>::new().birth("", init)));
    NODES
        .into_iter()
        .fold(model, said_by_node)
        .message_from::<NotPlaced>(id::<Node>("n"), |_| {
            let (workspace, why) = (WORKSPACE.to_owned(), "no room".to_owned());
            vec![NotPlaced { workspace, why, fault: None }]
        })
        .message_from::<Vacated>(id::<Node>("n"), |_| {
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

/// What a node says of itself, as long as it is there.
fn said_by_node(model: Model<Owner>, name: &'static str) -> Model<Owner> {
    let (me, node) = (id::<Node>(name), move || name.to_owned());
    let is_there = move |seen: &Seen<'_, Owner>| seen.children().contains(&id::<Node>(name));
    model
        .message_from::<NodeNews>(me.clone(), move |seen| {
            let phases = [Phase::Running, Phase::Warm, Phase::Closed].into_iter();
            let news = |phase| NodeNews { node: node(), phase, load: None };
            phases.filter(|_| is_there(seen)).map(news).collect()
        })
        .message_from::<Unseated>(me.clone(), move |seen| {
            let unseated = Unseated { node: node(), workspace: WORKSPACE.to_owned() };
            if is_there(seen) { vec![unseated] } else { Vec::new() }
        })
        .message_from::<Claimed>(me, move |seen| {
            let claimed = Claimed { node: node(), lease: Some((id::<TaskRunner>("t"), 1)) };
            if is_there(seen) { vec![claimed] } else { Vec::new() }
        })
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
        .message_from::<Seek>(id::<TaskRunner>("t"), |_| {
            let (task, workspace) = (id::<TaskRunner>("t"), "t~w1".to_owned());
            let (place, tenure) = (Wish::default(), Tenure::Managed);
            vec![Seek { task, workspace, place, tenure, left: None, held: None, smaller: 0 }]
        })
        .message_from::<Release>(id::<TaskRunner>("t"), |_| {
            vec![Release { workspace: "t~w1".to_owned(), node: None }]
        })
        .message_from::<Returned>(id::<Node>("n"), |_| {
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
            vec![AddCredit { caller: operator(), cents: 1, gift: "g".to_owned() }]
        })
        .message::<SetPlan>(|_| vec![SetPlan { caller: operator(), plan: Plan::Pro }])
}
