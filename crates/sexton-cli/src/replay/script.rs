//! What a row of a trace becomes: a command to the fleet, or something that the cloud does.
//!
//! Requests, starts and creates are commands, and so are the ends that somebody decided.
//! Boots, readiness, failures and losses are the cloud's.

use sexton::{ActorId, Letter, Refusal};
use sexton_fleet::placement::{SessionEnd, Wish};
use sexton_fleet::sim_cloud::ScriptStep;
use sexton_fleet::{
    Caller, CreateWorkspace, EndNode, EndTask, EndWorkspace, NodeClass, NodeRole, NodeSpec,
    OpenSession, Owner, Reopen, RequestNode, Session, SessionResult, StartTask, TaskEnd,
    TaskSession, TaskSpec, Tenure, Workspace, WorkspaceEnd, WorkspaceSpec,
};

use crate::trace::{Row, TraceEvent, TraceKind};

use super::feed::Said;
use super::lives::{Life, Part, SessionStep};
use super::sandboxes::{self, Standing};

/// What a row becomes.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// What the cloud does, in order.
    pub steps: Vec<ScriptStep>,
    /// What the fleet is commanded, in order.
    pub letters: Vec<Letter>,
    /// What is said of a sandbox, for the log.
    pub said: Option<Said>,
}

/// The row's thing, by all its names.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    /// The row.
    pub row: &'a Row,
    /// Its part in the life of its thing.
    pub part: &'a Part,
    /// The actor that plays the thing.
    pub actor: &'a ActorId,
    /// Where it must be: the present name of the node that is its parent.
    pub node: Option<String>,
    /// Whether the actor is there, stopped, and is to run again.
    pub is_asleep: bool,
    /// What happens to its session, if it is a task with one.
    pub session: Option<SessionStep>,
    /// How it stands, if it is a sandbox.
    pub standing: Standing,
}

impl Subject<'_> {
    pub(super) fn life(&self) -> &Life {
        match self.part {
            Part::Begin(life) | Part::BeginBefore(life) | Part::Middle(life) | Part::End(life) => {
                life
            }
        }
    }

    pub(super) fn name(&self) -> String {
        self.actor.name().to_owned()
    }

    pub(super) fn caller(&self) -> Caller {
        Caller::owner(&self.life().owner)
    }

    /// The class of a failure: the row's word, or else the event's.
    pub(super) fn class(&self) -> String {
        self.row.info.word().unwrap_or(self.row.event.name()).to_owned()
    }

    /// Why a workspace or a sandbox ends, if this row ends it.
    pub(super) fn why(&self) -> Option<String> {
        match self.row.event {
            TraceEvent::Failed => Some(format!("failed: {}", self.class())),
            TraceEvent::Cancelled => Some("cancelled".to_owned()),
            TraceEvent::Lost => Some(format!("lost: {}", self.class())),
            TraceEvent::Delete => Some("deleted".to_owned()),
            TraceEvent::Request
            | TraceEvent::Boot
            | TraceEvent::Ready
            | TraceEvent::Down
            | TraceEvent::Up
            | TraceEvent::Create
            | TraceEvent::Start
            | TraceEvent::Reopened
            | TraceEvent::Finish
            | TraceEvent::Timeout => None,
        }
    }

    fn wish(&self) -> Wish {
        Wish {
            node: self.node.clone(),
            size: self.row.info.value("size").map(str::to_owned),
            location: self.row.info.value("location").map(str::to_owned),
            project: None,
        }
    }

    /// The machine's size and place: as the row says, else as its name says where names are
    /// `provider/size/number` and the provider is the parent.
    fn node_spec(&self) -> NodeSpec {
        let parent = self.row.parent.as_deref().unwrap_or_default();
        let parts: Vec<&str> = self.row.id.split('/').collect();
        let named = match parts[..] {
            [provider, size, _] if provider == parent => Some(size),
            _ => None,
        };
        let size = self.row.info.value("size").or(named).unwrap_or("unknown");
        let location = self.row.info.value("location").unwrap_or(parent);
        NodeSpec {
            tenure: Tenure::External,
            class: NodeClass::Managed,
            role: NodeRole::Workspace,
            size: size.to_owned(),
            location: if location.is_empty() { "unknown" } else { location }.to_owned(),
        }
    }
}

/// Says what a row becomes.
///
/// # Errors
///
/// [`Refusal`] if a command cannot be written.
pub(super) fn script(subject: &Subject<'_>) -> Result<Script, Refusal> {
    let mut script = Script::default();
    if subject.life().is_sandbox {
        sandboxes::script(subject, &mut script)?;
        return Ok(script);
    }
    if matches!(subject.part, Part::Begin(_) | Part::BeginBefore(_)) {
        begin(subject, &mut script)?;
    }
    if !matches!(subject.part, Part::Begin(_)) {
        go_on(subject, &mut script)?;
    }
    if let Some(step) = &subject.session {
        script.letters.push(session(subject, step)?);
    }
    Ok(script)
}

/// A task in a workspace is also that workspace's session.
fn session(subject: &Subject<'_>, step: &SessionStep) -> Result<Letter, Refusal> {
    match step {
        SessionStep::Open(workspace) => {
            let open = OpenSession { caller: subject.caller(), session: subject.name() };
            Letter::new::<Workspace, _>(workspace, &open)
        }
        SessionStep::End(session) => {
            let (event, class) = (subject.row.event, subject.class());
            let end = if event == TraceEvent::Finish {
                SessionEnd::Finished
            } else if event == TraceEvent::Lost {
                SessionEnd::Lost { why: class }
            } else {
                SessionEnd::Failed { class }
            };
            let result = SessionResult { epoch: session.incarnation, end };
            Letter::new::<Session, _>(&session.id, &result)
        }
    }
}

/// The owner of the row's thing.
///
/// # Errors
///
/// [`Refusal`] if its name makes no id.
pub(super) fn owner(subject: &Subject<'_>) -> Result<ActorId, Refusal> {
    ActorId::new("owner", &subject.life().owner).map_err(|error| Refusal::new(error.to_string()))
}

fn begin(subject: &Subject<'_>, script: &mut Script) -> Result<(), Refusal> {
    let (owner, caller, name) = (owner(subject)?, subject.caller(), subject.name());
    let letter = match subject.row.kind {
        TraceKind::Node => {
            script.steps.push(ScriptStep::Expect);
            let spec = subject.node_spec();
            Letter::new::<Owner, _>(&owner, &RequestNode { caller, name, spec })?
        }
        TraceKind::Workspace if subject.is_asleep => {
            script.steps.push(ScriptStep::Reopen);
            let tenure = Tenure::External;
            Letter::new::<Workspace, _>(subject.actor, &Reopen { caller, tenure })?
        }
        TraceKind::Workspace => {
            script.steps.push(ScriptStep::Expect);
            let spec = WorkspaceSpec { tenure: Tenure::External, place: subject.wish() };
            Letter::new::<Owner, _>(&owner, &CreateWorkspace { caller, name, spec })?
        }
        TraceKind::Task => {
            let (tenure, session) = (Tenure::External, TaskSession::Unwanted);
            let spec = TaskSpec { tenure, place: subject.wish(), session };
            Letter::new::<Owner, _>(&owner, &StartTask { caller, name, spec })?
        }
    };
    script.letters.push(letter);
    Ok(())
}

/// What happens to a thing that has begun.
fn go_on(subject: &Subject<'_>, script: &mut Script) -> Result<(), Refusal> {
    let event = subject.row.event;
    match subject.row.kind {
        TraceKind::Node => node(subject, event, script),
        TraceKind::Workspace => workspace(subject, event, script),
        TraceKind::Task => task(subject, event, script),
    }
}

fn node(subject: &Subject<'_>, event: TraceEvent, script: &mut Script) -> Result<(), Refusal> {
    match event {
        TraceEvent::Boot => script.steps.push(ScriptStep::Boot),
        TraceEvent::Ready => script.steps.push(ScriptStep::Ready),
        TraceEvent::Down => script.steps.push(ScriptStep::Down),
        TraceEvent::Up => script.steps.push(ScriptStep::Up),
        TraceEvent::Failed => script.steps.push(ScriptStep::Failed(subject.class())),
        TraceEvent::Lost => script.steps.push(ScriptStep::Lost(subject.class())),
        TraceEvent::Delete => {
            script.steps.push(ScriptStep::Ended);
            let (caller, name) = (subject.caller(), subject.name());
            let end = EndNode { caller, name, why: "deleted".to_owned() };
            script.letters.push(Letter::new::<Owner, _>(&owner(subject)?, &end)?);
        }
        TraceEvent::Request
        | TraceEvent::Create
        | TraceEvent::Start
        | TraceEvent::Reopened
        | TraceEvent::Cancelled
        | TraceEvent::Finish
        | TraceEvent::Timeout => {}
    }
    Ok(())
}

fn workspace(subject: &Subject<'_>, event: TraceEvent, script: &mut Script) -> Result<(), Refusal> {
    if event == TraceEvent::Ready {
        script.steps.push(ScriptStep::Ready);
    }
    let Some(why) = subject.why() else { return Ok(()) };
    script.steps.push(ScriptStep::Ended);
    let (caller, name) = (subject.caller(), subject.name());
    let end = EndWorkspace { caller, name, end: WorkspaceEnd::StopFor { why } };
    script.letters.push(Letter::new::<Owner, _>(&owner(subject)?, &end)?);
    Ok(())
}

fn task(subject: &Subject<'_>, event: TraceEvent, script: &mut Script) -> Result<(), Refusal> {
    let end = match event {
        TraceEvent::Finish => TaskEnd::Completed,
        TraceEvent::Cancelled => TaskEnd::Cancelled,
        TraceEvent::Failed => TaskEnd::Failed { class: subject.class() },
        TraceEvent::Timeout | TraceEvent::Lost => {
            TaskEnd::Failed { class: event.name().to_owned() }
        }
        TraceEvent::Request
        | TraceEvent::Boot
        | TraceEvent::Ready
        | TraceEvent::Down
        | TraceEvent::Up
        | TraceEvent::Delete
        | TraceEvent::Create
        | TraceEvent::Start
        | TraceEvent::Reopened => return Ok(()),
    };
    let (caller, name) = (subject.caller(), subject.name());
    let end = EndTask { caller, name, end };
    script.letters.push(Letter::new::<Owner, _>(&owner(subject)?, &end)?);
    Ok(())
}
