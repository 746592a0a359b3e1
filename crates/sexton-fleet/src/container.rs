//! The container of a town: the process in which its agents work.
//!
//! ```text
//! starting --> running --> stopping --> sleeping      the only end is destroy: a tombstone,
//!     ^  \________|___________|            |          and whatever the status is, the provider
//!     |           v                        |          owes the deletion first
//!     +-------- error                      |
//!     +------------------------------------+
//! ```
//!
//! Every status holds something at the provider, and every status has a deadline: a container
//! falls asleep by itself, because nobody says that there is activity, and not because somebody
//! says that there is none. A ping asks whether it lives. It is no activity.

mod spec;

use serde::{Deserialize, Serialize};
use sexton_core::{
    Actor, Deadlines, Handler, Handlers, Message, Outcome, Refusal, Row, Status, Timestamp, Turn,
};

use crate::due::{self, Expire};
use crate::pulse::Pulse;
use crate::sweeps::Bereaved;

pub use self::spec::{
    Care, ContainerAnswer, ContainerCallback, ContainerDue, ContainerEffect, ContainerHealth,
    ContainerInit, ContainerSays, ContainerTerms, Reconfigure, Tend,
};

sexton_core::lifecycle! {
    /// What a container can be.
    pub enum ContainerStatus {
        /// Its process is being started.
        Starting = "starting" [holds billable] => [Running, Error],
        /// Its process runs.
        Running = "running" [holds billable] => [Stopping, Error],
        /// Its process is being stopped.
        Stopping = "stopping" [holds billable] => [Starting, Sleeping, Error],
        /// Nothing runs; the provider keeps what the next start needs.
        Sleeping = "sleeping" [holds] => [Starting],
        /// Something failed.
        Error = "error" [holds billable] => [Starting],
    }
}

/// A container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Container {
    init: ContainerInit,
    status: ContainerStatus,
    /// When it entered its status.
    since: Timestamp,
    /// Starts so far: what an earlier one says is late.
    run: u64,
    /// When there was activity.
    activity: Pulse,
    /// Somebody needed it while it was not there for him.
    is_wanted: bool,
    /// When a ping was asked for that is not answered.
    pinged_at: Option<Timestamp>,
    /// When the process was heard: liveness, and in no row.
    heard_at: Option<Timestamp>,
    /// Why it failed last.
    why: Option<String>,
}

impl Container {
    fn enter(&mut self, status: ContainerStatus, now: Timestamp) {
        (self.status, self.since) = (status, now);
        self.pinged_at = None;
        self.is_wanted = false;
    }

    fn start(&mut self, turn: &mut Turn<Self>) {
        self.run += 1;
        self.enter(ContainerStatus::Starting, turn.now());
        let config = self.init.config.clone();
        turn.effect(&ContainerEffect::Start { run: self.run, config });
    }

    fn started(&mut self, now: Timestamp) {
        self.enter(ContainerStatus::Running, now);
        self.heard_at = Some(now);
        self.why = None;
    }

    fn fail(&mut self, why: &str, turn: &mut Turn<Self>) {
        turn.event("failed", why);
        self.why = Some(why.to_owned());
        self.enter(ContainerStatus::Error, turn.now());
    }

    /// Nothing runs any more; whoever came meanwhile has it start again at once.
    fn stopped(&mut self, turn: &mut Turn<Self>) {
        if self.is_wanted {
            self.start(turn);
        } else {
            self.enter(ContainerStatus::Sleeping, turn.now());
        }
    }

    fn dues(&self) -> Vec<(Timestamp, ContainerDue)> {
        let terms = self.init.terms;
        match self.status {
            ContainerStatus::Starting => {
                vec![(self.since + terms.starting, ContainerDue::Starting)]
            }
            ContainerStatus::Running => {
                let sleep = (self.activity.due(terms.sleep_after), ContainerDue::Sleep);
                let ping =
                    self.pinged_at.map(|at| (at + terms.unanswered, ContainerDue::Unanswered));
                ping.into_iter().chain([sleep]).collect()
            }
            ContainerStatus::Stopping => {
                vec![(self.since + terms.stopping, ContainerDue::Stopping)]
            }
            ContainerStatus::Sleeping => {
                vec![(self.since + terms.sleeping, ContainerDue::Sleeping)]
            }
            ContainerStatus::Error if self.is_wanted => {
                vec![(self.since + terms.error_wait, ContainerDue::Again)]
            }
            ContainerStatus::Error => vec![(self.since + terms.error, ContainerDue::Error)],
        }
    }

    fn act(&mut self, due: ContainerDue, turn: &mut Turn<Self>) {
        match due {
            ContainerDue::Sleep => {
                if self.activity.is_silent(turn.now(), self.init.terms.sleep_after) {
                    self.enter(ContainerStatus::Stopping, turn.now());
                    turn.effect(&ContainerEffect::Stop { run: self.run });
                }
            }
            ContainerDue::Again => self.start(turn),
            ContainerDue::Starting | ContainerDue::Stopping | ContainerDue::Unanswered => {
                self.fail(due.why(), turn);
            }
            ContainerDue::Sleeping | ContainerDue::Error => turn.destroy(due.why(), "deadline"),
        }
    }

    /// Which of its starts is the last one.
    pub(crate) fn last_run(&self) -> u64 {
        self.run
    }

    fn ping(&mut self, turn: &mut Turn<Self>) {
        if self.status == ContainerStatus::Running && self.pinged_at.is_none() {
            self.pinged_at = Some(turn.now());
            turn.effect(&ContainerEffect::Ping { run: self.run });
        }
    }

    fn answered(&mut self, health: ContainerHealth, turn: &mut Turn<Self>) {
        self.pinged_at = None;
        match health {
            ContainerHealth::Healthy => self.heard_at = Some(turn.now()),
            ContainerHealth::Unreachable => turn.event("unreachable", "its process gave no answer"),
            ContainerHealth::Gone => self.fail("its process is gone", turn),
        }
    }
}

impl Actor for Container {
    const KIND: &'static str = "container";
    type Init = ContainerInit;
    type Status = ContainerStatus;
    type Deadline = ContainerDue;
    type Effect = ContainerEffect;
    type Answer = ContainerAnswer;

    fn create(init: Self::Init, turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        let now = turn.now();
        let mut container = Self {
            init,
            status: ContainerStatus::Starting,
            since: now,
            run: 0,
            activity: Pulse::new(now),
            is_wanted: false,
            pinged_at: None,
            heard_at: None,
            why: None,
        };
        container.start(turn);
        Ok(container)
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Tend>().message::<Reconfigure>().message::<ContainerCallback>();
        on.message::<Expire>().message::<Bereaved>();
    }

    fn status(&self) -> Self::Status {
        self.status
    }

    fn row(&self) -> Row {
        let row = Row::owned_by(&self.init.owner);
        let row = match &self.why {
            Some(why) => row.text("why", why),
            None => row,
        };
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

    fn on_outcome(
        &mut self,
        effect: &Self::Effect,
        outcome: Outcome<Self::Answer>,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        let (run, during) = match effect {
            ContainerEffect::Start { run, .. } => (*run, ContainerStatus::Starting),
            ContainerEffect::Stop { run } => (*run, ContainerStatus::Stopping),
            ContainerEffect::Ping { run } => (*run, ContainerStatus::Running),
            ContainerEffect::Delete => return Ok(()),
        };
        // What is answered later than it was waited for changes nothing: a deadline went on.
        if run != self.run || during != self.status {
            return Ok(());
        }
        match (effect, outcome) {
            (ContainerEffect::Ping { .. }, Outcome::Done(ContainerAnswer::Pong(health))) => {
                self.answered(health, turn);
            }
            (ContainerEffect::Ping { .. }, Outcome::Done(_) | Outcome::Failed(_)) => {
                self.answered(ContainerHealth::Unreachable, turn);
            }
            (_, Outcome::Failed(failure)) => {
                self.fail(&format!("failed: {}", failure.class), turn);
            }
            (ContainerEffect::Start { .. }, Outcome::Done(_)) => self.started(turn.now()),
            (ContainerEffect::Stop { .. } | ContainerEffect::Delete, Outcome::Done(_)) => {
                self.stopped(turn);
            }
        }
        Ok(())
    }

    fn on_destroy(&mut self, turn: &mut Turn<Self>) {
        // What is answered from now on is of a run that is over: it starts nothing again.
        self.run += 1;
        // Whatever the status: what was stopped before exists at the provider all the same.
        turn.effect(&ContainerEffect::Delete);
    }
}

/// Only the town looks after its container.
fn is_from_town(turn: &Turn<Container>) -> Result<(), Refusal> {
    let is_town = turn.from().is_some() && turn.from() == turn.parent();
    if is_town { Ok(()) } else { Err(Refusal::new("only its town tends a container")) }
}

impl Handler<Tend> for Container {
    fn handle(&mut self, message: Tend, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        is_from_town(turn)?;
        match message.care {
            Care::Work | Care::User => {
                self.activity.beat(turn.now());
                match self.status {
                    ContainerStatus::Sleeping => self.start(turn),
                    ContainerStatus::Stopping | ContainerStatus::Error => self.is_wanted = true,
                    ContainerStatus::Starting | ContainerStatus::Running => {}
                }
            }
            Care::Rig => {}
        }
        match message.care {
            Care::Work | Care::Rig => self.ping(turn),
            Care::User => {}
        }
        Ok(())
    }
}

impl Handler<Reconfigure> for Container {
    fn handle(&mut self, message: Reconfigure, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        is_from_town(turn)?;
        self.init.config = message.config;
        Ok(())
    }
}

impl Handler<ContainerCallback> for Container {
    fn handle(&mut self, message: ContainerCallback, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let ContainerCallback { epoch, run, says } = message;
        let is_open = match self.status {
            ContainerStatus::Starting | ContainerStatus::Running => true,
            ContainerStatus::Stopping => matches!(says, ContainerSays::Exited { .. }),
            ContainerStatus::Sleeping | ContainerStatus::Error => false,
        };
        if !is_open || !due::is_current(epoch, turn.me()) || run != self.run {
            let now = self.status.name();
            turn.event("late", format!("{} of epoch {epoch}.{run}, now {now}", says.name()));
            return Ok(());
        }
        match says {
            ContainerSays::Started if self.status == ContainerStatus::Starting => {
                self.started(turn.now());
            }
            ContainerSays::Started | ContainerSays::Healthy => self.heard_at = Some(turn.now()),
            ContainerSays::Exited { .. } if self.status == ContainerStatus::Stopping => {
                self.stopped(turn);
            }
            ContainerSays::Exited { why } => self.fail(&format!("exited: {why}"), turn),
        }
        Ok(())
    }
}

impl Handler<Expire> for Container {
    fn handle(&mut self, message: Expire, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let Some(due) = due::overdue(&self.dues(), turn.now()) else {
            return Err(Refusal::new(format!("nothing is due: {}", message.why)));
        };
        self.act(due, turn);
        Ok(())
    }
}

macro_rules! container_message {
    ($name:ty, $text:literal $(, is_news: $news:literal)?) => {
        impl Message for $name {
            const NAME: &'static str = $text;
            $(const IS_NEWS: bool = $news;)?
            type Reply = ();
        }
    };
}
container_message!(Tend, "tend");
container_message!(Reconfigure, "reconfigure");
container_message!(ContainerCallback, "container_callback", is_news: true);
