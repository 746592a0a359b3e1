//! A workspace, and a session that runs in one.

use sexton_core::coverage::Model;
use sexton_core::{ActorId, Gone, Outcome};

use crate::asks::Ask;
use crate::caller::Tenure;
use crate::fault::Fault;
use crate::node::Node;
use crate::placement::{SessionEnd, StartSession};
use crate::policy::Policy;
use crate::session::{
    Lose, Session, SessionAnswer, SessionEffect, SessionInit, SessionProgress, SessionResult,
    SessionTold,
};
use crate::sweeps;
use crate::task::{Step, TaskRunner};
use crate::workspace::{
    AgentAnswer, AgentEffect, Broken, End, Made, NotSeated, OpenSession, Recover, Reopen, Restart,
    Seated, SessionNews, Sleep, Touch, Wake, Workspace, WorkspaceEnd, WorkspaceInit,
    WorkspaceTerms,
};

use super::{KEPT, LOST, OWNER, caller, failure, id, is_lost, kept_by_its_owner, life};

const TASK: &str = "t";
const SESSION: &str = "s";

fn ends() -> [SessionEnd; 3] {
    let (class, why) = ("x".to_owned(), "nobody knows".to_owned());
    [SessionEnd::Finished, SessionEnd::Failed { class }, SessionEnd::Lost { why }]
}

/// A workspace of a task, of one that has ended, of one of external tenure, of an owner, and one
/// of external tenure itself; it is made at most twice.
pub fn workspace(policy: &Policy) -> Model<Workspace> {
    // Longer than it looks back otherwise: when the last touch is told, all else is long ago.
    let use_every = 2 * policy.session_silence;
    let terms = WorkspaceTerms { use_every, ..WorkspaceTerms::of(policy) };
    let init = |task: Option<&str>, tenure, task_tenure| WorkspaceInit {
        owner: OWNER.to_owned(),
        node: life::<Node>("n"),
        task: task.map(id::<TaskRunner>),
        tenure,
        task_tenure,
        terms,
    };
    let (managed, external) = (Tenure::Managed, Tenure::External);
    let (node, of_none) = (id::<Node>("n"), init(None, managed, managed));
    let model = Model::<Workspace>::new()
        .holding("files on a machine")
        .birth_of("managed", node.clone(), of_none.clone())
        .birth_of("of a task", node.clone(), init(Some(TASK), managed, managed))
        .birth_of("of a task that has ended", node.clone(), init(Some(LOST), managed, managed))
        .birth_of("of a task of external tenure", node.clone(), init(Some(KEPT), managed, external))
        .birth_of("external", node, init(None, external, external))
        .birth_of("left behind", id::<Node>(LOST), of_none)
        .buried(is_lost)
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
        .remembering(policy.session_silence)
        .left_to(kept_by_its_owner)
        .left_to(|seen| {
            let is_up = ["running", "recovery"].contains(&seen.row().status.as_str());
            let of_kept = seen.row().record.text("task") == Some(KEPT);
            (is_up && of_kept).then(|| "its task is of external tenure: its owner ends it".into())
        })
        .left_to(|seen| {
            let is_up = ["running", "recovery"].contains(&seen.row().status.as_str());
            (is_up && seen.state().is_busy())
                .then(|| "its session is at work: that says itself when it is silent".to_owned())
        })
        .sweeps(sweeps::all(policy))
        .both_nets()
        .every_message()
        .whole_table();
    with_sessions(commanded(model))
}

fn commanded(model: Model<Workspace>) -> Model<Workspace> {
    model
        .message_from::<End>(id::<Node>("n"), |_| {
            let destroy = WorkspaceEnd::Destroy { why: "deleted".to_owned() };
            let stop_for = WorkspaceEnd::StopFor { why: "completed".to_owned() };
            [WorkspaceEnd::Stop, stop_for, destroy].map(|end| End { end }).into()
        })
        .message::<Touch>(|_| vec![Touch { caller: caller() }])
        .message::<Restart>(|seen| {
            if seen.state().n_made() < 2 { vec![Restart { caller: caller() }] } else { Vec::new() }
        })
        .message::<Reopen>(|seen| {
            let tenures = [Tenure::Managed, Tenure::External];
            let of = |tenure| Reopen { caller: caller(), tenure };
            if seen.state().n_made() < 2 { tenures.map(of).into() } else { Vec::new() }
        })
        .message::<Sleep>(|_| vec![Sleep { caller: caller() }])
        .message::<Wake>(|_| vec![Wake { caller: caller() }])
        .message::<Recover>(|_| vec![Recover { caller: caller() }])
        .message::<Made>(|seen| [1, 2].map(|run| Made { epoch: seen.epoch(), run }).into())
        .message::<Broken>(|seen| {
            // At any time; where nothing else fails is where it shows.
            let broken = Broken { epoch: seen.epoch(), class: "no disk".to_owned() };
            if seen.row().status == "stopped" { vec![broken] } else { Vec::new() }
        })
        .message_from::<Seated>(id::<Node>("n"), |_| vec![Seated])
        .message_from::<NotSeated>(id::<Node>("n"), |_| {
            vec![NotSeated { why: "no room".to_owned() }]
        })
        .message::<Ask>(|_| {
            let (task, workspace) = (id::<TaskRunner>(TASK), "it".to_owned());
            vec![Ask { task, workspace, step: Step::WorkspaceReady }]
        })
}

fn with_sessions(model: Model<Workspace>) -> Model<Workspace> {
    model
        .message_from::<StartSession>(id::<TaskRunner>(TASK), |_| {
            let (session, task) = (SESSION.to_owned(), id::<TaskRunner>(TASK));
            vec![StartSession { session, task }]
        })
        .message::<OpenSession>(|_| {
            vec![OpenSession { caller: caller(), session: SESSION.to_owned() }]
        })
        .message_from::<SessionNews>(id::<Session>(SESSION), |_| {
            let ended = ends().map(SessionNews::Ended);
            let news = [SessionNews::Runs, SessionNews::Silent, SessionNews::Heard];
            news.into_iter().chain(ended).collect()
        })
        .child_ends(|_: &ActorId| {
            let why = || "gone".to_owned();
            vec![Gone::Destroyed { why: why() }, Gone::Unborn { why: why(), is_yours: false }]
        })
}

/// A session of a task, one of an owner, and one that was left behind.
pub fn session(policy: &Policy) -> Model<Session> {
    let init = |task: Option<&str>, workspace| SessionInit {
        owner: OWNER.to_owned(),
        node: life::<Node>("n"),
        workspace: life::<Workspace>(workspace),
        task: task.map(id::<TaskRunner>),
        silence: policy.session_silence,
    };
    let workspace = id::<Workspace>("w");
    Model::<Session>::new()
        .holding("a run of an agent")
        .birth_of("of a task", workspace.clone(), init(Some(TASK), "w"))
        .birth_of("of an owner", workspace.clone(), init(None, "w"))
        .birth_of("left behind", id::<Workspace>(LOST), init(None, LOST))
        .buried(is_lost)
        .message::<SessionProgress>(|seen| {
            [0, 1].map(|late| SessionProgress { epoch: seen.epoch() + late }).into()
        })
        .message::<SessionResult>(|seen| {
            ends().map(|end| SessionResult { epoch: seen.epoch(), end }).into()
        })
        .message_from::<Lose>(workspace.clone(), |_| vec![Lose { why: "stopped".to_owned() }])
        .message_from::<SessionTold>(workspace, |_| vec![SessionTold])
        .outcomes(|effect| {
            let done = match effect {
                SessionEffect::Start { .. } => SessionAnswer::Started,
                SessionEffect::Stop { .. } => SessionAnswer::Stopped,
            };
            vec![Outcome::Done(done), Outcome::Failed(failure(Fault::Network))]
        })
        .remembering(policy.session_silence)
        .left_to(|seen| {
            seen.state().is_silent().then(|| {
                "its workspace was told that it is silent, and is idle from then on".to_owned()
            })
        })
        .sweeps(sweeps::all(policy))
        .both_nets()
        .every_message()
        .whole_table()
}
