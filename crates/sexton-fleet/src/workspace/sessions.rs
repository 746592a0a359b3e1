//! The one session that a workspace can have open, and who is told of it.
//!
//! The workspace keeps no time of the session's signs of life: the session itself says when it
//! falls silent and when it is heard again, so that nothing here is written while it talks.

use serde::{Deserialize, Serialize};
use sexton_core::{Actor, ActorId, Gone, Handler, Message, Refusal, Status, Timestamp, Turn};

use crate::caller::{Caller, authorize};
use crate::placement::{SessionEnd, SessionEnded, SessionStarted, StartSession};
use crate::senders::{is_from_kind, only_if};
use crate::session::{Lose, Session, SessionInit, SessionTold};
use crate::task::TaskRunner;

use super::{Workspace, WorkspaceStatus};

/// A session that has not ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Open {
    pub(super) name: String,
    /// The task that it is for, which is told how it goes.
    task: Option<ActorId>,
    /// Since when it is silent; `None` while it gives signs of life.
    silent_since: Option<Timestamp>,
}

/// Begins a session for the user himself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OpenSession {
    /// Who asks.
    pub caller: Caller,
    /// Its name, never used before.
    pub session: String,
}

impl Message for OpenSession {
    const NAME: &'static str = "open_session";
    type Reply = ();
}

/// From a session to its workspace.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum SessionNews {
    /// The agent runs it.
    Runs,
    /// It gave no sign of life for too long.
    Silent,
    /// It gives signs of life again.
    Heard,
    /// It ended.
    Ended(SessionEnd),
}

impl Message for SessionNews {
    const NAME: &'static str = "session_news";
    type Reply = ();
}

impl Workspace {
    /// Since when nobody uses it; `None` while somebody does.
    pub(super) fn idle_since(&self) -> Option<Timestamp> {
        match &self.session {
            Some(open) => Some(open.silent_since?.max(self.active_at)),
            None => Some(self.active_at),
        }
    }

    /// Whether a session that gives signs of life is open.
    pub(crate) fn is_busy(&self) -> bool {
        self.session.as_ref().is_some_and(|open| open.silent_since.is_none())
    }

    fn why_no_session(&self, session: &str, task: Option<&ActorId>) -> Option<String> {
        if ActorId::new(Session::KIND, session).is_err() {
            return Some("that is no name for a session".to_owned());
        }
        if self.status != WorkspaceStatus::Running {
            return Some(format!("the workspace is {}", self.status.name()));
        }
        if task.is_some() && self.init.task.as_ref() != task {
            return Some("the workspace is for another".to_owned());
        }
        let open = self.session.as_ref()?;
        Some(format!("session {} is open", open.name))
    }

    fn open(&mut self, session: String, task: Option<ActorId>, turn: &mut Turn<Self>) {
        let init = SessionInit {
            owner: self.init.owner.clone(),
            node: self.init.node.clone(),
            workspace: turn.me().clone(),
            task: task.clone(),
            silence: self.init.terms.silence,
        };
        turn.create::<Session>(&session, &init);
        self.session = Some(Open { name: session, task, silent_since: None });
        self.active_at = turn.now();
        self.tell_use(turn);
    }

    /// The open session is over for the workspace, and its task is told.
    fn close(&mut self, end: SessionEnd, turn: &mut Turn<Self>) {
        let Some(open) = self.session.take() else { return };
        self.active_at = turn.now();
        if let Some(task) = &open.task {
            let workspace = turn.id().name().to_owned();
            let ended = SessionEnded { workspace, session: open.name, end };
            turn.send::<TaskRunner, _>(task, &ended);
        }
    }

    /// The workspace does not run any more: neither does its session.
    pub(super) fn lose_session(&mut self, why: &str, turn: &mut Turn<Self>) {
        let session = self.session.as_ref().map(|open| ActorId::new(Session::KIND, &open.name));
        if let Some(Ok(session)) = session {
            turn.send::<Session, _>(&session, &Lose { why: why.to_owned() });
        }
        self.forget_session(why, turn);
    }

    /// Tells the task that the open session is lost; whoever ends it is somebody else.
    pub(super) fn forget_session(&mut self, why: &str, turn: &mut Turn<Self>) {
        self.close(SessionEnd::Lost { why: why.to_owned() }, turn);
    }

    /// A session has its tombstone, or was never born.
    pub(super) fn session_gone(&mut self, child: &ActorId, end: &Gone, turn: &mut Turn<Self>) {
        if !self.is_open(child) {
            return;
        }
        match end {
            Gone::Destroyed { why } => self.forget_session(why, turn),
            Gone::Unborn { why, .. } => {
                turn.event("no_session", why);
                self.close(SessionEnd::Failed { class: "invalid".to_owned() }, turn);
            }
        }
        if self.is_active() {
            self.tell_use(turn);
        }
    }

    fn is_open(&self, session: &ActorId) -> bool {
        let open = self.session.as_ref();
        session.kind() == Session::KIND && open.is_some_and(|open| open.name == session.name())
    }
}

impl Handler<StartSession> for Workspace {
    /// A task is told that its session never began.
    fn handle(&mut self, message: StartSession, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let StartSession { session, task } = message;
        only_if(turn.from().is_some_and(|from| from.id == task))?;
        let Some(why) = self.why_no_session(&session, Some(&task)) else {
            self.open(session, Some(task), turn);
            return Ok(());
        };
        // Asked twice is asked once.
        let open = self.session.as_ref();
        if open.is_some_and(|open| open.name == session && open.task.as_ref() == Some(&task)) {
            return Ok(());
        }
        turn.event("no_session", why);
        let workspace = turn.id().name().to_owned();
        let end = SessionEnd::Failed { class: "refused".to_owned() };
        turn.send::<TaskRunner, _>(&task, &SessionEnded { workspace, session, end });
        Ok(())
    }
}

impl Handler<OpenSession> for Workspace {
    fn handle(&mut self, message: OpenSession, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, (&self.init.owner, OpenSession::NAME), turn)?;
        if let Some(why) = self.why_no_session(&message.session, None) {
            return Err(Refusal::new(why));
        }
        self.touch(turn);
        self.open(message.session, None, turn);
        Ok(())
    }
}

impl Handler<SessionNews> for Workspace {
    fn handle(&mut self, message: SessionNews, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from_kind::<Session, _>(turn))?;
        let Some(session) = turn.from().map(|from| from.id.clone()) else { return Ok(()) };
        if !self.is_open(&session) {
            turn.event("late", format!("news of {session}, which is over here"));
            return Ok(());
        }
        match message {
            SessionNews::Runs => {
                if let Some(Open { name, task: Some(task), .. }) = &self.session {
                    let (workspace, session) = (turn.id().name().to_owned(), name.clone());
                    let started = SessionStarted { workspace, session };
                    turn.send::<TaskRunner, _>(task, &started);
                }
                return Ok(());
            }
            SessionNews::Silent => self.set_silent(Some(turn.now())),
            SessionNews::Heard => {
                self.set_silent(None);
                self.active_at = turn.now();
            }
            SessionNews::Ended(end) => {
                self.close(end, turn);
                turn.send::<Session, _>(&session, &SessionTold);
            }
        }
        self.tell_use(turn);
        Ok(())
    }
}

impl Workspace {
    fn set_silent(&mut self, since: Option<Timestamp>) {
        if let Some(open) = &mut self.session {
            open.silent_since = since;
        }
    }
}
