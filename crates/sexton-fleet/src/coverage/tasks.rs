//! A task and its attempts.

use sexton_core::coverage::Model;

use crate::asks::Waits;
use crate::caller::Tenure;
use crate::fault::Fault;
use crate::node::Node;
use crate::owner::{EndTask, Owner};
use crate::placement::{
    Granted, NotPlaced, Placed, SessionEnd, SessionEnded, SessionStarted, Vacated, Wish,
    WorkspaceReady,
};
use crate::policy::Policy;
use crate::sweeps;
use crate::task::{
    Pace, Progress, Step, TaskEnd, TaskInit, TaskRunner, TaskSession, TaskSpec, TaskTerms,
};
use crate::workspace::Workspace;

use super::{LOST, OWNER, caller, id, is_lost, kept_by_its_owner};

/// The workspaces of the first two attempts.
const ATTEMPTS: [&str; 2] = ["it~w1", "it~w2"];

/// Tries twice, and asks once where its node is to come: how often it asks leads nowhere else.
fn terms(policy: &Policy) -> TaskTerms {
    let terms = TaskTerms::of(policy);
    let never = |bound| Pace::steady(2 * bound);
    TaskTerms {
        attempts_max: 2,
        capacity_poll: never(terms.capacity),
        provisioning_poll: Pace::steady(2 * terms.provisioning / 3),
        agent_ready_poll: never(terms.agent_ready),
        dispatch_poll: never(terms.dispatch),
        workspace_poll: never(terms.workspace),
        ..terms
    }
}

/// A task that finds a place and runs a session, one that runs none, one that waits for a certain
/// node, one of external tenure, and one that was left behind.
pub fn task(policy: &Policy) -> Model<TaskRunner> {
    let terms = terms(policy);
    let init = |tenure, place, session| TaskInit {
        owner: OWNER.to_owned(),
        spec: TaskSpec { tenure, place, session },
        terms,
    };
    let (managed, any) = (Tenure::Managed, Wish::default);
    let (owner, unwanted) = (id::<Owner>(OWNER), TaskSession::Unwanted);
    let model = Model::<TaskRunner>::new()
        .holding("a place on a node")
        .birth_of("managed", owner.clone(), init(managed, any(), unwanted))
        .birth_of("with a session", owner.clone(), init(managed, any(), TaskSession::Wanted))
        .birth_of("pinned", owner.clone(), init(managed, Wish::on("n"), unwanted))
        .birth_of("external", owner, init(Tenure::External, any(), unwanted))
        .birth_of("left behind", id::<Owner>(LOST), init(managed, any(), unwanted))
        .buried(is_lost)
        .message::<Progress>(|_| vec![Progress { caller: caller() }])
        .message::<EndTask>(|seen| {
            let name = seen.me().id.name().to_owned();
            let failed = TaskEnd::Failed { class: "x".to_owned() };
            [TaskEnd::Completed, failed, TaskEnd::Cancelled]
                .map(|end| EndTask { caller: caller(), name: name.clone(), end })
                .into()
        })
        .passing(&["queued"])
        .messages_max(3)
        .remembering(policy.task_poll_capacity_max)
        .left_to(kept_by_its_owner)
        .sweeps(sweeps::all(policy))
        .both_nets()
        .every_message()
        .whole_table();
    told(model)
}

/// What it is told of its placement and its session.
fn told(model: Model<TaskRunner>) -> Model<TaskRunner> {
    let faults = || [None, Some(Fault::Capacity), Some(Fault::Network), Some(Fault::Invalid)];
    let workspaces = || ATTEMPTS.map(str::to_owned).into_iter();
    let model = model
        .message_from::<Waits>(id::<Owner>(OWNER), move |_| {
            workspaces().map(|workspace| Waits { workspace }).collect()
        })
        .message_from::<Granted>(id::<Owner>(OWNER), move |_| {
            let steps = [Step::NodeProvisioning, Step::NodeAgentReady, Step::WorkspaceCreation];
            let granted = |workspace: String| {
                steps.map(|step| {
                    let workspace = workspace.clone();
                    Granted { workspace, node: "n".to_owned(), step }
                })
            };
            workspaces().flat_map(granted).collect()
        })
        .message_from::<Placed>(id::<Node>("n"), move |_| {
            workspaces().map(|workspace| Placed { workspace, node: "n".to_owned() }).collect()
        })
        .message_from::<NotPlaced>(id::<Owner>(OWNER), move |_| {
            let why = || "no room".to_owned();
            let not = |it: String| {
                faults().map(|fault| NotPlaced { workspace: it.clone(), why: why(), fault })
            };
            workspaces().flat_map(not).collect()
        })
        .message_from::<Vacated>(id::<Owner>(OWNER), move |_| {
            let why = || "lost".to_owned();
            workspaces().map(|it| Vacated { workspace: it, why: why(), fault: None }).collect()
        });
    ATTEMPTS.into_iter().fold(model, said_by_workspace)
}

/// What the workspace of an attempt says.
fn said_by_workspace(model: Model<TaskRunner>, name: &'static str) -> Model<TaskRunner> {
    let (me, session) = (id::<Workspace>(name), format!("{name}~s"));
    let workspace = || name.to_owned();
    let ends = || {
        let (class, why) = ("x".to_owned(), "nobody knows".to_owned());
        [SessionEnd::Finished, SessionEnd::Failed { class }, SessionEnd::Lost { why }]
    };
    let begun = session.clone();
    model
        .message_from::<WorkspaceReady>(me.clone(), move |_| {
            vec![WorkspaceReady { workspace: workspace() }]
        })
        .message_from::<SessionStarted>(me.clone(), move |_| {
            vec![SessionStarted { workspace: workspace(), session: begun.clone() }]
        })
        .message_from::<SessionEnded>(me, move |_| {
            let ended =
                |end| SessionEnded { workspace: workspace(), session: session.clone(), end };
            ends().map(ended).into()
        })
}
