//! What a user, the agent and the node say to a workspace.
//!
//! Becoming active again is a placement, which only the node can grant: a workspace that is to be
//! restarted or woken asks it, and changes its status in the turn that takes the answer. While it
//! waits, what would have ended it is not due.

use serde::{Deserialize, Serialize};
use sexton_core::{ActorId, Handler, Message, Refusal, Status, Timestamp, Turn};

use crate::caller::{Caller, Tenure, authorize};
use crate::due;
use crate::node::{Node, Return, WorkspaceUse};
use crate::senders::{is_from_parent, only_from_sweeps, only_if};

use super::{AgentEffect, Workspace, WorkspaceStatus};

/// What a workspace asked its node for a place for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Returning {
    Restart,
    Wake,
}

macro_rules! message {
    ($(#[$doc:meta])* $name:ident = $text:literal $(is_news: $news:literal)? { $( $(#[$field_doc:meta])* $field:ident: $type:ty, )* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        pub struct $name {
            $( $(#[$field_doc])* pub $field: $type, )*
        }

        impl Message for $name {
            const NAME: &'static str = $text;
            $(const IS_NEWS: bool = $news;)?
            type Reply = ();
        }
    };
}

message! {
    /// Somebody uses it.
    Touch = "touch" {
        /// Who.
        caller: Caller,
    }
}
message! {
    /// Makes it run again that was stopped, failed or sleeps; granted if its node has a place.
    Restart = "restart" {
        /// Who asks.
        caller: Caller,
    }
}
message! {
    /// Lets it sleep: it gives up its place, and keeps what it has.
    Sleep = "sleep" {
        /// Who asks.
        caller: Caller,
    }
}
message! {
    /// Wakes it; granted if its node has a place.
    Wake = "wake" {
        /// Who asks.
        caller: Caller,
    }
}
message! {
    /// Has it repaired while it runs.
    Recover = "recover" {
        /// Who asks.
        caller: Caller,
    }
}
message! {
    /// From the machine's agent: it runs. May arrive before the create call returns.
    Made = "made" is_news: true {
        /// The workspace's incarnation.
        epoch: u32,
        /// Which making it was.
        run: u32,
    }
}
message! {
    /// From the machine's agent: it is of no use any more, whatever it was.
    Broken = "broken" is_news: true {
        /// The workspace's incarnation.
        epoch: u32,
        /// The class of what went wrong.
        class: String,
    }
}
message! {
    /// From its node: there is no place for it.
    NotSeated = "not_seated" {
        /// Why.
        why: String,
    }
}
message! {
    /// From a sweep: your task has ended, and nobody is attached.
    Orphaned = "orphaned" {
        /// The task that has ended.
        task: ActorId,
        /// Why the sweep thinks so.
        why: String,
    }
}

/// From its node: it has a place again.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Seated;

impl Message for Seated {
    const NAME: &'static str = "seated";
    type Reply = ();
}

impl Workspace {
    pub(super) fn is(&self, what: &str) -> Refusal {
        Refusal::new(format!("the workspace is {}, and cannot {what}", self.status.name()))
    }

    /// Asks the node for a place.
    pub(super) fn ask_back(&mut self, what: Returning, turn: &mut Turn<Self>) {
        self.returning = Some((what, turn.now()));
        let workspace = turn.id().name().to_owned();
        let node = self.init.node.id.clone();
        let tenure = self.wanted.unwrap_or(self.init.tenure);
        turn.send::<Node, _>(&node, &Return { workspace, tenure });
    }

    /// Somebody did something with it himself.
    pub(super) fn touch(&mut self, turn: &mut Turn<Self>) {
        self.active_at = turn.now();
        self.touched_at = Some(turn.now());
        if self.told_at + self.init.terms.use_every <= turn.now() {
            self.tell_use(turn);
        }
    }

    /// A touch that the node was not told of, and when it is.
    pub(super) fn untold(&self) -> Option<Timestamp> {
        let is_untold = self.touched_at.is_some_and(|at| at > self.told_at);
        is_untold.then(|| self.told_at + self.init.terms.use_every)
    }

    /// The last touch, which came too soon after the one before it to be told at once.
    pub(super) fn tell_last_use(&mut self, turn: &mut Turn<Self>) {
        if let Some(at) = self.touched_at {
            self.tell_use_at(at, turn);
        }
    }

    /// The node judges its age by this.
    pub(super) fn tell_use(&mut self, turn: &mut Turn<Self>) {
        self.tell_use_at(turn.now(), turn);
    }

    fn tell_use_at(&mut self, at: Timestamp, turn: &mut Turn<Self>) {
        self.told_at = turn.now();
        let (workspace, is_busy) = (turn.id().name().to_owned(), self.is_busy());
        let node = self.init.node.id.clone();
        turn.send::<Node, _>(&node, &WorkspaceUse { workspace, is_busy, at });
    }

    /// Whether it is active for a task, and nobody else is attached.
    pub(crate) fn is_orphan(&self, now: Timestamp) -> bool {
        let is_touched = self.touched_at.is_some_and(|at| now < at + self.init.terms.silence);
        let is_managed = self.init.tenure == Tenure::Managed;
        is_managed && self.is_active() && self.init.task.is_some() && !is_touched && !self.is_busy()
    }
}

impl Handler<Touch> for Workspace {
    fn handle(&mut self, message: Touch, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, (&self.init.owner, Touch::NAME), turn)?;
        if !self.is_active() {
            return Err(self.is("be used"));
        }
        self.touch(turn);
        Ok(())
    }
}

impl Handler<Restart> for Workspace {
    fn handle(&mut self, message: Restart, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, (&self.init.owner, Restart::NAME), turn)?;
        match self.status {
            WorkspaceStatus::Stopped | WorkspaceStatus::Error | WorkspaceStatus::Sleeping => {
                self.ask_back(Returning::Restart, turn);
                Ok(())
            }
            WorkspaceStatus::Creating
            | WorkspaceStatus::Running
            | WorkspaceStatus::Recovery
            | WorkspaceStatus::Stopping => Err(self.is("be restarted")),
        }
    }
}

impl Handler<Wake> for Workspace {
    fn handle(&mut self, message: Wake, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, (&self.init.owner, Wake::NAME), turn)?;
        if self.status != WorkspaceStatus::Sleeping {
            return Err(self.is("be woken"));
        }
        self.ask_back(Returning::Wake, turn);
        Ok(())
    }
}

impl Handler<Sleep> for Workspace {
    fn handle(&mut self, message: Sleep, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, (&self.init.owner, Sleep::NAME), turn)?;
        if self.status != WorkspaceStatus::Running {
            return Err(self.is("sleep"));
        }
        if self.init.task.is_some() || self.session.is_some() {
            return Err(Refusal::new("the workspace is at work, and cannot sleep"));
        }
        self.enter(WorkspaceStatus::Sleeping, turn.now());
        self.tell_node("sleeping", turn);
        turn.effect(&AgentEffect::Sleep { node: self.init.node.clone() });
        Ok(())
    }
}

impl Handler<Recover> for Workspace {
    fn handle(&mut self, message: Recover, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, (&self.init.owner, Recover::NAME), turn)?;
        if self.status != WorkspaceStatus::Running {
            return Err(self.is("be repaired"));
        }
        self.enter(WorkspaceStatus::Recovery, turn.now());
        self.touch(turn);
        turn.effect(&AgentEffect::Recover { node: self.init.node.clone() });
        Ok(())
    }
}

impl Handler<Made> for Workspace {
    fn handle(&mut self, message: Made, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if due::is_current(message.epoch, turn.me()) {
            self.created(message.run, turn);
        } else {
            turn.event("late", format!("made, of epoch {}", message.epoch));
        }
        Ok(())
    }
}

impl Handler<Broken> for Workspace {
    /// Whoever wants it back gets it back: what he asked for stays asked.
    fn handle(&mut self, message: Broken, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let Broken { epoch, class } = message;
        let is_known = self.status == WorkspaceStatus::Error;
        if is_known || !due::is_current(epoch, turn.me()) {
            let status = self.status.name();
            turn.event("late", format!("broken ({class}) of epoch {epoch}, now {status}"));
            return Ok(());
        }
        if self.init.tenure == Tenure::External {
            // Whoever ends it himself decides what becomes of it.
            turn.event("broken", class);
            return Ok(());
        }
        let (returning, is_stopping) = (self.returning, self.status == WorkspaceStatus::Stopping);
        self.fail(&format!("failed: {class}"), turn);
        // What failed in its sleep is not woken but made again.
        self.returning = returning.map(|(_, asked_at)| (Returning::Restart, asked_at));
        if is_stopping {
            self.come_back(turn);
        }
        Ok(())
    }
}

impl Handler<Seated> for Workspace {
    fn handle(&mut self, _message: Seated, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from_parent(turn))?;
        let node = self.init.node.clone();
        if self.returning.is_some() {
            self.why = None;
            self.init.tenure = self.wanted.take().unwrap_or(self.init.tenure);
        }
        match self.returning.take() {
            Some((Returning::Restart, _)) => {
                // Whoever asked for it before has been told that it is gone for him.
                self.init.task = None;
                self.run += 1;
                self.enter(WorkspaceStatus::Creating, turn.now());
                turn.effect(&AgentEffect::Create { node, run: self.run });
            }
            Some((Returning::Wake, _)) => {
                self.enter(WorkspaceStatus::Running, turn.now());
                turn.effect(&AgentEffect::Wake { node });
            }
            // It has been stopped since it asked.
            None => {
                self.tell_node("stopped", turn);
                return Ok(());
            }
        }
        self.active_at = turn.now();
        Ok(())
    }
}

impl Handler<NotSeated> for Workspace {
    fn handle(&mut self, message: NotSeated, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from_parent(turn))?;
        self.returning = None;
        self.wanted = None;
        turn.event("not_returned", message.why);
        Ok(())
    }
}

impl Handler<Orphaned> for Workspace {
    fn handle(&mut self, message: Orphaned, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_from_sweeps(turn)?;
        let is_its = self.init.task.as_ref() == Some(&message.task);
        if !is_its || !self.is_orphan(turn.now()) {
            return Err(Refusal::new(format!("somebody uses it: {}", message.why)));
        }
        self.tell_node("orphaned", turn);
        self.init.task = None;
        self.stop("orphaned", turn);
        Ok(())
    }
}
