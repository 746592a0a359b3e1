//! An agent of a town: it works in the town's container, and says what it does.
//!
//! ```text
//! idle <--> working <--> stalled      each but idle ends by a deadline: working by silence,
//!    \_________|____________/         stalled by being given up, done by being destroyed
//!              v
//!            done
//! ```
//!
//! What it says carries its epoch, and is repeated as a sign of life: liveness, which shows in
//! no row. Its town hears of every change by a durable message.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton_core::{
    Actor, Deadlines, Handler, Handlers, Message, Refusal, Row, Status, Timestamp, Turn,
};

use crate::due::{self, Expire};
use crate::policy::Policy;
use crate::pulse::Pulse;
use crate::sweeps::Bereaved;
use crate::town::{AgentNews, Town};

sexton_core::lifecycle! {
    /// What an agent can be.
    pub enum AgentStatus {
        /// It waits for work.
        Idle = "idle" [] => [Working, Stalled, Done],
        /// It works.
        Working = "working" [] => [Idle, Stalled, Done],
        /// It has work and makes no progress.
        Stalled = "stalled" [] => [Idle, Working, Done],
        /// It was taken off its town's list, or has said that it is done.
        Done = "done" [] => [],
    }
}

/// How long an agent may do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentTerms {
    /// Work in silence.
    pub silence: Duration,
    /// Be stalled.
    pub stalled: Duration,
    /// Be kept when it is done.
    pub done: Duration,
}

impl AgentTerms {
    /// The terms of a policy.
    pub fn of(policy: &Policy) -> Self {
        Self {
            silence: policy.agent_silence,
            stalled: policy.agent_stalled_timeout,
            done: policy.agent_done_ttl,
        }
    }
}

/// What an agent begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentInit {
    /// Whose it is.
    pub owner: String,
    /// What its town calls it.
    pub name: String,
    /// How long it may do what.
    pub terms: AgentTerms,
}

/// From the agent's process: what it does. The same again is a sign of life.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct AgentReport {
    /// The agent's incarnation.
    pub epoch: u32,
    /// What it does.
    pub status: AgentStatus,
}

impl Message for AgentReport {
    const NAME: &'static str = "agent_report";
    type Reply = ();
}

/// From the town: you are off the list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Dismiss {
    /// Why.
    pub why: String,
}

impl Message for Dismiss {
    const NAME: &'static str = "dismiss";
    type Reply = ();
}

/// What an agent's deadlines mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AgentDue {
    /// Nothing was heard of it while it worked.
    Silence,
    /// It was stalled long enough.
    Stalled,
    /// It was done long enough.
    Done,
}

impl AgentDue {
    fn name(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Stalled => "stalled",
            Self::Done => "done",
        }
    }
}

/// An agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Agent {
    init: AgentInit,
    status: AgentStatus,
    /// When it entered its status.
    since: Timestamp,
    /// When its process was heard: liveness, and in no row.
    pulse: Pulse,
}

impl Agent {
    /// Changes the status and tells the town.
    fn enter(&mut self, status: AgentStatus, turn: &mut Turn<Self>) {
        (self.status, self.since) = (status, turn.now());
        self.pulse = Pulse::new(turn.now());
        let town = turn.parent().filter(|parent| parent.id.kind() == Town::KIND).cloned();
        if let Some(town) = town {
            turn.send_to_life::<Town, _>(&town, &AgentNews { status, since: self.since });
        }
    }

    fn dues(&self) -> Vec<(Timestamp, AgentDue)> {
        let terms = self.init.terms;
        match self.status {
            AgentStatus::Idle => Vec::new(),
            AgentStatus::Working => vec![(self.pulse.due(terms.silence), AgentDue::Silence)],
            AgentStatus::Stalled => vec![(self.since + terms.stalled, AgentDue::Stalled)],
            AgentStatus::Done => vec![(self.since + terms.done, AgentDue::Done)],
        }
    }

    fn act(&mut self, due: AgentDue, turn: &mut Turn<Self>) {
        match due {
            AgentDue::Silence => {
                if self.pulse.is_silent(turn.now(), self.init.terms.silence) {
                    self.enter(AgentStatus::Stalled, turn);
                }
            }
            AgentDue::Stalled => {
                turn.event("given_up", format!("stalled since {}", self.since));
                self.enter(AgentStatus::Idle, turn);
            }
            AgentDue::Done => turn.destroy("done", "deadline"),
        }
    }
}

impl Actor for Agent {
    const KIND: &'static str = "agent";
    type Init = AgentInit;
    type Status = AgentStatus;
    type Deadline = AgentDue;
    type Effect = ();
    type Answer = ();

    fn create(init: Self::Init, turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        let now = turn.now();
        Ok(Self { init, status: AgentStatus::Idle, since: now, pulse: Pulse::new(now) })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<AgentReport>().message::<Dismiss>();
        on.message::<Expire>().message::<Bereaved>();
    }

    fn status(&self) -> Self::Status {
        self.status
    }

    fn row(&self) -> Row {
        let row = Row::owned_by(&self.init.owner).text("name", self.init.name.as_str());
        let next = due::earliest(&self.dues());
        due::shown(row, next.map(|(at, due)| (at, due.name())))
    }

    fn deadlines(&self, due: &mut Deadlines<Self::Deadline>) {
        for (at, what) in self.dues() {
            due.at(at, what);
        }
    }

    fn on_deadline(&mut self, due: Self::Deadline, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.act(due, turn);
        Ok(())
    }
}

impl Handler<AgentReport> for Agent {
    fn handle(&mut self, message: AgentReport, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let AgentReport { epoch, status } = message;
        if !due::is_current(epoch, turn.me()) || self.status == AgentStatus::Done {
            let (said, now) = (status.name(), self.status.name());
            turn.event("late", format!("{said} of epoch {epoch}, now {now}"));
        } else if status == self.status {
            self.pulse.beat(turn.now());
        } else {
            self.enter(status, turn);
        }
        Ok(())
    }
}

impl Handler<Dismiss> for Agent {
    fn handle(&mut self, message: Dismiss, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if turn.from() != turn.parent() {
            return Err(Refusal::new("only its town dismisses an agent"));
        }
        if self.status != AgentStatus::Done {
            turn.event("dismissed", message.why);
            self.enter(AgentStatus::Done, turn);
        }
        Ok(())
    }
}

impl Handler<Expire> for Agent {
    fn handle(&mut self, message: Expire, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let Some(due) = due::overdue(&self.dues(), turn.now()) else {
            return Err(Refusal::new(format!("nothing is due: {}", message.why)));
        };
        self.act(due, turn);
        Ok(())
    }
}
