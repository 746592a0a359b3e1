//! A session: one run of an agent inside a workspace, whose child it is.
//!
//! ```text
//! started --> finished | failed | lost      then told to the workspace, then its tombstone
//! ```
//!
//! Signs of life stay here, and in no row: the workspace hears only when they cease and when they
//! begin again. The first end is the end; what comes later, or with another epoch, is recorded
//! and changes nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton_core::{
    Actor, ActorId, ActorRef, Deadlines, Handler, Handlers, Message, Outcome, Refusal, Row, Status,
    Timestamp, Turn,
};

use crate::caller::Caller;
use crate::due::{self, Expire};
use crate::placement::SessionEnd;
use crate::senders::{is_from_parent, only_if};
use crate::sweeps::Bereaved;
use crate::task::{Progress, TaskRunner};
use crate::workspace::{SessionNews, Workspace};

sexton_core::lifecycle! {
    /// What a session can be.
    pub enum SessionStatus {
        /// The agent runs it, or is asked to.
        Started = "started" [holds] => [Finished, Failed, Lost],
        /// It did what it was for.
        Finished = "finished" [terminal] => [],
        /// It did not.
        Failed = "failed" [terminal] => [],
        /// Nothing is known of it any more.
        Lost = "lost" [terminal] => [],
    }
}

/// What a session begins with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionInit {
    /// Whose it is.
    pub owner: String,
    /// The life of the node whose agent runs it.
    pub node: ActorRef,
    /// The life of the workspace that it is in.
    pub workspace: ActorRef,
    /// The task that it is for.
    pub task: Option<ActorId>,
    /// How long it may be silent and still count as at work.
    pub silence: Duration,
}

/// Work for the agent of the node's machine. The session's life is the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionEffect {
    /// Begin the run, or find the one that this life has already.
    Start {
        /// The node.
        node: ActorRef,
        /// The workspace.
        workspace: ActorRef,
    },
    /// End the run. No such thing is done.
    Stop {
        /// The node.
        node: ActorRef,
        /// The workspace.
        workspace: ActorRef,
    },
}

/// What the agent answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionAnswer {
    /// It runs.
    Started,
    /// It does not run.
    Stopped,
}

macro_rules! message {
    ($name:ty, $text:literal $(, is_news: $news:literal)?) => {
        impl Message for $name {
            const NAME: &'static str = $text;
            $(const IS_NEWS: bool = $news;)?
            type Reply = ();
        }
    };
}

/// From the agent: a sign of life.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SessionProgress {
    /// The session's incarnation.
    pub epoch: u32,
}
message!(SessionProgress, "session_progress");

/// From the agent: the run is over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionResult {
    /// The session's incarnation.
    pub epoch: u32,
    /// How it ended.
    pub end: SessionEnd,
}
message!(SessionResult, "session_result", is_news: true);

/// From its workspace: you are over, whatever you do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lose {
    /// Why.
    pub why: String,
}
message!(Lose, "lose");

/// From its workspace: your end is known, and you are not needed any more.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SessionTold;
message!(SessionTold, "session_told");

/// What a session's deadline means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionDue {
    /// It gave no sign of life for too long.
    Silent,
}

/// How often a talking session shows its task that it lives, within the time after which it would
/// count as silent. Chosen: one that is late does not make it so.
const SHOWN_PER_SILENCE: u32 = 3;

/// Whether its workspace thinks that it is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Voice {
    Heard,
    Silent,
}

/// A session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    init: SessionInit,
    status: SessionStatus,
    /// The last sign of life: in no row.
    alive_at: Timestamp,
    /// When its task was shown last that it lives: in no row.
    shown_at: Timestamp,
    voice: Voice,
}

impl Session {
    /// The life of the node whose agent runs it, and may say how it goes.
    pub fn node(&self) -> &ActorRef {
        &self.init.node
    }

    fn tell(&self, news: &SessionNews, turn: &mut Turn<Self>) {
        let workspace = self.init.workspace.clone();
        turn.send_to_life::<Workspace, _>(&workspace, news);
    }

    /// A task is not silent whose session talks; not every sign of life goes there.
    fn show_task(&mut self, turn: &mut Turn<Self>) {
        let due_at = self.shown_at + self.init.silence / SHOWN_PER_SILENCE;
        if let Some(task) = self.init.task.clone().filter(|_| due_at <= turn.now()) {
            self.shown_at = turn.now();
            let caller = Caller::owner(self.init.owner.as_str());
            turn.send::<TaskRunner, _>(&task, &Progress { caller });
        }
    }

    fn silent_at(&self) -> Option<Timestamp> {
        let is_at_work = self.status == SessionStatus::Started && self.voice == Voice::Heard;
        is_at_work.then(|| self.alive_at + self.init.silence)
    }

    /// Whether it is silent, and its workspace does not know it yet.
    pub(crate) fn is_newly_silent(&self, now: Timestamp) -> bool {
        self.silent_at().is_some_and(|at| at <= now)
    }

    /// Whether it is silent, and its workspace was told.
    pub(crate) fn is_silent(&self) -> bool {
        self.voice == Voice::Silent
    }

    fn fall_silent(&mut self, turn: &mut Turn<Self>) {
        self.voice = Voice::Silent;
        turn.event("silent", format!("since {}", self.alive_at));
        self.tell(&SessionNews::Silent, turn);
    }

    fn end(&mut self, end: SessionEnd, turn: &mut Turn<Self>) {
        self.status = match &end {
            SessionEnd::Finished => SessionStatus::Finished,
            SessionEnd::Failed { .. } => SessionStatus::Failed,
            SessionEnd::Lost { .. } => SessionStatus::Lost,
        };
        self.tell(&SessionNews::Ended(end), turn);
    }

    /// Whether what the agent says is of this life, and comes before its end.
    fn listens(&self, epoch: u32, what: &str, turn: &mut Turn<Self>) -> bool {
        let is_heard = self.status == SessionStatus::Started && due::is_current(epoch, turn.me());
        if !is_heard {
            turn.event("late", format!("{what} of epoch {epoch}, now {}", self.status.name()));
        }
        is_heard
    }
}

impl Actor for Session {
    const KIND: &'static str = "session";
    type Init = SessionInit;
    type Status = SessionStatus;
    type Deadline = SessionDue;
    type Effect = SessionEffect;
    type Answer = SessionAnswer;

    fn create(init: Self::Init, turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        let (node, workspace) = (init.node.clone(), init.workspace.clone());
        turn.effect(&SessionEffect::Start { node, workspace });
        let status = SessionStatus::Started;
        let now = turn.now();
        Ok(Self { init, status, alive_at: now, shown_at: now, voice: Voice::Heard })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<SessionProgress>().message::<SessionResult>();
        on.message::<Lose>().message::<SessionTold>().message::<Expire>();
        on.message::<Bereaved>();
    }

    fn status(&self) -> Self::Status {
        self.status
    }

    fn row(&self) -> Row {
        let row = Row::owned_by(&self.init.owner)
            .text("workspace", self.init.workspace.id.name())
            .watched_from(Timestamp::MAX);
        match &self.init.task {
            Some(task) => row.text("task", task.name()),
            None => row,
        }
    }

    fn deadlines(&self, due: &mut Deadlines<Self::Deadline>) {
        if let Some(at) = self.silent_at() {
            due.at(at, SessionDue::Silent);
        }
    }

    fn on_deadline(&mut self, due: Self::Deadline, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        match due {
            SessionDue::Silent => self.fall_silent(turn),
        }
        Ok(())
    }

    fn on_outcome(
        &mut self,
        effect: &Self::Effect,
        outcome: Outcome<Self::Answer>,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        if self.status != SessionStatus::Started {
            return Ok(());
        }
        match (effect, outcome) {
            (SessionEffect::Start { .. }, Outcome::Done(_)) => {
                self.tell(&SessionNews::Runs, turn);
            }
            (SessionEffect::Start { .. }, Outcome::Failed(failure)) => {
                self.end(SessionEnd::Failed { class: failure.class }, turn);
            }
            (SessionEffect::Stop { .. }, _) => {}
        }
        Ok(())
    }

    fn on_destroy(&mut self, turn: &mut Turn<Self>) {
        // Whoever is destroyed before his end is lost, and may still run.
        if self.status == SessionStatus::Started {
            self.status = SessionStatus::Lost;
        }
        if self.status == SessionStatus::Lost {
            let (node, workspace) = (self.init.node.clone(), self.init.workspace.clone());
            turn.effect(&SessionEffect::Stop { node, workspace });
        }
    }
}

impl Handler<SessionProgress> for Session {
    fn handle(&mut self, message: SessionProgress, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if self.listens(message.epoch, "progress", turn) {
            self.alive_at = turn.now();
            self.show_task(turn);
            if self.voice == Voice::Silent {
                self.voice = Voice::Heard;
                self.tell(&SessionNews::Heard, turn);
            }
        }
        Ok(())
    }
}

impl Handler<SessionResult> for Session {
    fn handle(&mut self, message: SessionResult, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if self.listens(message.epoch, "result", turn) {
            self.end(message.end, turn);
        }
        Ok(())
    }
}

impl Handler<Lose> for Session {
    /// The workspace does not wait for its end, so there is nothing to tell.
    fn handle(&mut self, message: Lose, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from_parent(turn))?;
        if self.status == SessionStatus::Started {
            self.status = SessionStatus::Lost;
        }
        turn.destroy(message.why, "workspace");
        Ok(())
    }
}

impl Handler<SessionTold> for Session {
    fn handle(&mut self, _message: SessionTold, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from_parent(turn))?;
        if self.status == SessionStatus::Started {
            return Err(Refusal::new("the session has not ended"));
        }
        turn.destroy(self.status.name(), "workspace");
        Ok(())
    }
}

impl Handler<Expire> for Session {
    fn handle(&mut self, message: Expire, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if !self.is_newly_silent(turn.now()) {
            return Err(Refusal::new(format!("it is not silent: {}", message.why)));
        }
        self.fall_silent(turn);
        Ok(())
    }
}
