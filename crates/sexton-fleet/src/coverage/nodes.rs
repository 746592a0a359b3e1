//! A node, and the reaper that finds what no node owns.

use sexton_core::coverage::{Model, Seen};
use sexton_core::{ActorRef, Outcome};

use crate::asks::{Ask, Disclaim, NotNeeded, Under};
use crate::caller::Tenure;
use crate::fault::Fault;
use crate::node::{
    AgentDown, AgentUp, Attach, Claim, Drain, Heartbeat, Holding, Lost, Machine, MarkIdle, Node,
    NodeAnswer, NodeClass, NodeDue, NodeEffect, NodeInit, NodeOrigin, NodeRole, NodeSpec,
    NodeTerms, Ready, Return, Unclaim, WorkspaceChanged, WorkspaceUse,
};
use crate::owner::{EndNode, Owner};
use crate::placement::{Leave, Place};
use crate::policy::Policy;
use crate::reaper::{Found, Orphan, Reaper, ReaperAnswer, ReaperEffect, ReaperInit};
use crate::sweeps;
use crate::task::{Step, TaskRunner};
use crate::workspace::{Workspace, WorkspaceEnd, WorkspaceTerms};

use super::{KEPT, LOST, OWNER, caller, failure, id, is_lost, kept_by_its_owner};

/// A workspace of a task.
const OF_TASK: &str = "w";

/// A node of every class and role, with two workspaces that come and go.
pub fn node(policy: &Policy) -> Model<Node> {
    // Else nothing is of another version.
    let policy = &Policy { agent_version: "2".to_owned(), ..policy.clone() };
    let terms = NodeTerms::of(policy);
    let init = |tenure, class, role| NodeInit {
        origin: NodeOrigin::Made,
        owner: OWNER.to_owned(),
        installation: "model".to_owned(),
        spec: NodeSpec { tenure, class, role, size: "s".to_owned(), location: "l".to_owned() },
        terms,
    };
    let (managed, owner) = (Tenure::Managed, id::<Owner>(OWNER));
    let ours = init(managed, NodeClass::Managed, NodeRole::Workspace);
    let asked = NodeInit { origin: NodeOrigin::Asked, ..ours.clone() };
    let deployment = init(managed, NodeClass::Managed, NodeRole::Deployment);
    let theirs = init(managed, NodeClass::UserOwned, NodeRole::Workspace);
    let kept = init(Tenure::External, NodeClass::Managed, NodeRole::Workspace);
    let model = Model::<Node>::new()
        .holding("a machine")
        .birth_of("managed", owner.clone(), ours.clone())
        .birth_of("asked for", owner.clone(), asked)
        .birth_of("deployment", owner.clone(), deployment)
        .birth_of("user-owned", owner.clone(), theirs)
        .birth_of("external", owner, kept)
        .birth_of("left behind", id::<Owner>(LOST), ours)
        .buried(is_lost)
        .message::<Ready>(|seen| {
            let ready = |late| Ready { epoch: seen.epoch() + late, version: Some("1".to_owned()) };
            [0, 1].map(ready).into()
        })
        .message::<AgentUp>(|seen| vec![AgentUp { epoch: seen.epoch() }])
        .message::<AgentDown>(|seen| vec![AgentDown { epoch: seen.epoch() }])
        .message::<Heartbeat>(|seen| {
            vec![Heartbeat { epoch: seen.epoch(), load: None, version: None }]
        })
        .message::<Lost>(|seen| vec![Lost { epoch: seen.epoch(), class: "gone".to_owned() }])
        .message::<Claim>(|_| vec![Claim { caller: caller(), by: id::<TaskRunner>("t") }])
        .message::<Unclaim>(|_| vec![Unclaim { caller: caller(), lease: 1 }])
        .message::<Drain>(|_| vec![Drain { caller: caller() }])
        .message::<EndNode>(|seen| {
            let (caller, name) = (caller(), seen.me().id.name().to_owned());
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
        // A lease's number tells who holds it, and only counts up. What the owner was told last
        // decides only whether he is told again.
        .ignoring(&["leases", "number", "told"])
        .without_deadline(|due| *due == NodeDue::Late)
        .remembering(policy.heartbeat_stale)
        .sweeps(sweeps::all(policy))
        .both_nets()
        .every_message()
        .whole_table();
    left_to_others(beside(seats(model, policy)))
}

fn seats(model: Model<Node>, policy: &Policy) -> Model<Node> {
    let terms = WorkspaceTerms::of(policy);
    let both = || [OF_TASK, KEPT].map(str::to_owned).into_iter();
    let model = model
        .message_from::<Place>(id::<Owner>(OWNER), move |_| {
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
        .message_from::<Leave>(id::<Owner>(OWNER), move |_| {
            both().map(|workspace| Leave { workspace, end: WorkspaceEnd::Stop }).collect()
        });
    let model = model.message_from::<WorkspaceUse>(id::<Workspace>(OF_TASK), |seen| {
        let workspace = || OF_TASK.to_owned();
        let at = seen.now();
        [true, false].map(|is_busy| WorkspaceUse { workspace: workspace(), is_busy, at }).into()
    });
    let seats = [(OF_TASK, Tenure::Managed), (KEPT, Tenure::External)].into_iter();
    seats.fold(model, |model, (name, tenure)| {
        let (me, workspace) = (id::<Workspace>(name), move || name.to_owned());
        model
            .message_from::<Return>(me.clone(), move |_| {
                vec![Return { workspace: workspace(), tenure }]
            })
            .message_from::<WorkspaceChanged>(me, move |_| {
                vec![WorkspaceChanged { workspace: workspace(), why: "idle".to_owned() }]
            })
    })
}

/// What its owner has made beside the machine, and what its tasks ask.
fn beside(model: Model<Node>) -> Model<Node> {
    let task = || id::<TaskRunner>("t");
    model
        .message::<MarkIdle>(|_| vec![MarkIdle { caller: caller() }])
        .message::<Attach>(|seen| {
            // At any time; where nothing else happens is where it shows what is released.
            let is_last = ["error", "stopped"].contains(&seen.row().status.as_str());
            let holding = Holding::Volume { name: "v".to_owned() };
            if is_last { vec![Attach { caller: caller(), holding }] } else { Vec::new() }
        })
        .message::<Ask>(move |_| {
            let (workspace, step) = (OF_TASK.to_owned(), Step::NodeSelection);
            vec![Ask { task: task(), workspace, step }]
        })
        .message_from::<NotNeeded>(id::<Owner>(OWNER), |_| vec![NotNeeded])
        .message_from::<Disclaim>(task(), move |_| vec![Disclaim { task: task() }])
        .message_from::<Under>(id::<Owner>(OWNER), |_| {
            vec![Under { workspace: OF_TASK.to_owned(), lease: 1 }]
        })
}

/// Whether somebody may be at work on it; also in error, which then waits for him.
fn is_up(seen: &Seen<'_, Node>) -> bool {
    ["running", "error"].contains(&seen.row().status.as_str())
}

fn left_to_others(model: Model<Node>) -> Model<Node> {
    model
        .left_to(kept_by_its_owner)
        .not_ours(|seen| seen.row().record.text("class") == Some(NodeClass::UserOwned.name()))
        .left_to(|seen| {
            let row = &seen.row().record;
            if row.text("class") == Some(NodeClass::UserOwned.name()) {
                return Some("user-owned: only its owner unregisters it".to_owned());
            }
            let is_deployment = row.text("role") == Some(NodeRole::Deployment.name());
            (is_deployment && is_up(seen))
                .then(|| "a deployment is there until its owner ends it".to_owned())
        })
        .left_to(|seen| {
            (seen.state().is_asked_and_used() && is_up(seen))
                .then(|| "a workspace is active on it: that ends by its own rules".to_owned())
        })
        .left_to(|seen| {
            (seen.state().is_kept() && is_up(seen))
                .then(|| "a workspace of external tenure is on it: its owner ends that".to_owned())
        })
        .left_to(|seen| {
            (seen.state().is_busy() && is_up(seen))
                .then(|| "somebody works on it: its workspace says when he is silent".to_owned())
        })
}

/// A reaper whose listings find one orphan, are incomplete, or fail.
pub fn reaper(policy: &Policy) -> Model<Reaper> {
    Model::<Reaper>::new()
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
        .every_message()
        .whole_table()
}
