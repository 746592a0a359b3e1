//! The actor of the tests: a lifecycle, two deadlines, effects, and children of its own kind.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton::{
    Actor, ActorId, ActorRef, Deadlines, Gone, Handler, Handlers, Message, Outcome, Refusal, Row,
    Timestamp, Turn,
};

use crate::machine;

sexton::lifecycle! {
    /// What a machine can be.
    pub enum Power {
        /// It is being made.
        Creating = "creating" [holds billable] => [Running],
        /// It runs.
        Running = "running" [holds billable] => [Stopped],
        /// It is off, and lies about until its deadline.
        Stopped = "stopped" [holds] => [Running, Broken],
        /// It is beyond repair.
        Broken = "broken" [holds] => [],
    }
}

/// A machine with a deletion deadline.
#[derive(Debug, Serialize, Deserialize)]
pub struct Machine {
    /// Its status.
    pub power: Power,
    /// When it was stopped.
    pub stopped_at: Option<Timestamp>,
    /// What it counted.
    pub count: u64,
    /// What its deadline does.
    pub habit: Habit,
    /// Children that it heard are gone.
    pub buried: Vec<String>,
    /// When it wants to count one.
    pub remind_at: Option<Timestamp>,
    /// What makes its state large.
    pub ballast: String,
    /// The last request of a client that numbers what it asks.
    pub last: u64,
}

/// How a machine meets its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Habit {
    /// Destroys itself, as it should.
    Good,
    /// Refuses.
    Refuses,
    /// Panics.
    Panics,
    /// Changes something, but not what is due.
    Moves,
}

/// A count with which the destruction panics for ever.
pub const FAULTY: u64 = 666;
/// A count with which the destruction panics before [`MENDED_AT`].
pub const FAULTY_FOR_A_WHILE: u64 = 667;
/// A count with which the row cannot be told.
pub const WITHOUT_ROW: u64 = 777;
/// A count with which the deadlines cannot be told.
pub const WITHOUT_DEADLINES: u64 = 778;
/// When the fault of [`FAULTY_FOR_A_WHILE`] is mended: two hours after zero.
pub const MENDED_AT: Timestamp = Timestamp::from_millis(7_200_000);

/// How long a stopped machine stays.
pub const STOPPED_TTL: Duration = Duration::from_secs(300);

/// Work outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cloudwork {
    /// Make the machine.
    Make,
    /// Unmake it.
    Unmake,
}

impl Actor for Machine {
    const KIND: &'static str = "machine";
    type Init = Habit;
    type Status = Power;
    type Deadline = String;
    type Effect = Cloudwork;
    type Answer = u64;

    fn create(init: Habit, turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        turn.effect(&Cloudwork::Make);
        Ok(Self {
            power: Power::Creating,
            stopped_at: None,
            count: 0,
            habit: init,
            buried: Vec::new(),
            remind_at: None,
            ballast: String::new(),
            last: 0,
        })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Do>().message::<Once>().message::<News>();
    }

    fn status(&self) -> Power {
        self.power
    }

    fn row(&self) -> Row {
        assert!(self.count != WITHOUT_ROW, "this row panics");
        Row::owned_by("somebody").time("stopped_at", self.stopped_at)
    }

    fn deadlines(&self, due: &mut Deadlines<String>) {
        assert!(self.count != WITHOUT_DEADLINES, "these deadlines panic");
        if let Some(stopped_at) = self.stopped_at {
            due.at(stopped_at + STOPPED_TTL, "delete".to_owned());
        }
        if let Some(remind_at) = self.remind_at {
            due.at(remind_at, "remind".to_owned());
        }
    }

    fn on_deadline(&mut self, due: String, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if due == "remind" {
            self.remind_at = None;
            self.count += 1;
            return Ok(());
        }
        match self.habit {
            Habit::Good => turn.destroy("stopped for too long", "deadline"),
            Habit::Refuses => {
                self.count += 1_000;
                return Err(Refusal::new("not today"));
            }
            Habit::Panics => {
                self.count += 1_000;
                assert!(self.count == 0, "this deadline always panics");
            }
            Habit::Moves => self.count += 1,
        }
        Ok(())
    }

    fn on_outcome(
        &mut self,
        effect: &Cloudwork,
        outcome: Outcome<u64>,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        match (effect, outcome) {
            (Cloudwork::Make, Outcome::Done(_)) if self.power == Power::Creating => {
                self.power = Power::Running;
            }
            (Cloudwork::Make | Cloudwork::Unmake, Outcome::Done(_)) => {}
            (_, Outcome::Failed(failure)) => turn.destroy(failure.message, "cloud"),
        }
        Ok(())
    }

    fn on_destroy(&mut self, turn: &mut Turn<Self>) {
        let is_mended = turn.now() >= MENDED_AT;
        assert!(self.count != FAULTY, "this destruction panics");
        assert!(
            self.count != FAULTY_FOR_A_WHILE || is_mended,
            "this destruction panics until it is mended"
        );
        turn.effect(&Cloudwork::Unmake);
    }

    fn on_child_gone(
        &mut self,
        child: &ActorId,
        end: &Gone,
        _turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        let how = match end {
            Gone::Destroyed { .. } => "destroyed",
            Gone::Unborn { .. } => "unborn",
        };
        self.buried.push(format!("{} {how}", child.name()));
        Ok(())
    }
}

/// What a test asks of a machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Do {
    /// Nothing: a read.
    Nothing,
    /// Count one.
    Count,
    /// Stop.
    Stop,
    /// Start again.
    Start,
    /// Go where the table has no line.
    Leap,
    /// Change everything, then refuse.
    Refuse,
    /// Change everything, then panic.
    Panic,
    /// Have a child.
    Beget(String),
    /// Send a count to a child, and have it, in one turn.
    BegetAndTell(String),
    /// Send a count to another machine.
    Tell(String),
    /// Send a count to one life of another machine.
    TellLife(String, u32),
    /// Send a number to another machine, for it to count from.
    Pass(String, u64),
    /// Set what the deadline does.
    Habit(Habit),
    /// Count to a number, also to one at which something panics.
    SetCount(u64),
    /// Have another deadline, so many seconds ahead: count one.
    Remind(u64),
    /// Owe so many effects more.
    Owe(u64),
    /// Have a state of more than so many bytes.
    Grow(usize),
    /// Publish a fact of so many bytes.
    Say(usize),
    /// Go.
    Die,
}

impl Message for Do {
    const NAME: &'static str = "do";
    type Reply = u64;
}

impl Handler<Do> for Machine {
    fn handle(&mut self, message: Do, turn: &mut Turn<Self>) -> Result<u64, Refusal> {
        match message {
            Do::Nothing => {}
            Do::Count => self.count += 1,
            Do::Stop => {
                self.power = Power::Stopped;
                self.stopped_at = Some(turn.now());
            }
            Do::Start => {
                self.power = Power::Running;
                self.stopped_at = None;
            }
            Do::Leap => self.power = Power::Broken,
            Do::Refuse | Do::Panic => {
                self.count += 1_000;
                turn.event("never", "said");
                turn.effect(&Cloudwork::Unmake);
                turn.create::<Self>("never", &Habit::Good);
                assert!(matches!(message, Do::Refuse), "this message panics");
                return Err(Refusal::new("no"));
            }
            Do::Beget(name) => {
                turn.create::<Self>(&name, &Habit::Good);
            }
            Do::BegetAndTell(name) => {
                turn.send::<Self, _>(&machine(&name), &Do::Count);
                turn.create::<Self>(&name, &Habit::Good);
            }
            Do::Tell(name) => turn.send::<Self, _>(&machine(&name), &Do::Count),
            Do::TellLife(name, incarnation) => {
                let life = ActorRef { id: machine(&name), incarnation };
                turn.send_to_life::<Self, _>(&life, &Do::Count);
            }
            Do::Pass(name, count) => {
                turn.send::<Self, _>(&machine(&name), &Do::SetCount(count));
            }
            Do::Habit(habit) => self.habit = habit,
            Do::SetCount(count) => self.count = count,
            Do::Remind(seconds) => {
                self.remind_at = Some(turn.now() + Duration::from_secs(seconds));
            }
            Do::Owe(n) => {
                for _ in 0..n {
                    turn.effect(&Cloudwork::Make);
                }
            }
            Do::Grow(bytes) => self.ballast = "x".repeat(bytes),
            Do::Say(bytes) => turn.event("noise", "x".repeat(bytes)),
            Do::Die => turn.destroy("told to", "machine"),
        }
        Ok(self.count)
    }
}

/// The same from a client that numbers what it asks and repeats what was not answered: what has
/// been done already is not done again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Once(pub u64, pub Do);

impl Message for Once {
    const NAME: &'static str = "once";
    type Reply = u64;
}

impl Handler<Once> for Machine {
    fn handle(&mut self, message: Once, turn: &mut Turn<Self>) -> Result<u64, Refusal> {
        let Once(number, what) = message;
        if number <= self.last {
            return Ok(self.count);
        }
        self.last = number;
        self.handle(what, turn)
    }
}

/// News from outside: it is counted, and kept where it comes too late.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct News;

impl Message for News {
    const NAME: &'static str = "news";
    const IS_NEWS: bool = true;
    type Reply = ();
}

impl Handler<News> for Machine {
    fn handle(&mut self, _message: News, _turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.count += 1;
        Ok(())
    }
}
