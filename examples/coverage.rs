//! Coverage: a gap that no test was written for, found as a path, and closed by one deadline.
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton::coverage::{Flaw, Model};
use sexton::{Actor, Deadlines, Handler, Handlers, Message, Outcome, Refusal, Timestamp, Turn};

const HOUR: Duration = Duration::from_secs(60 * 60);

sexton::lifecycle! {
    enum Phase {
        Creating = "creating" [holds] => [Running],
        Running = "running" [holds billable] => [Stopped],
        Stopped = "stopped" [holds] => [],
    }
}

#[derive(Serialize, Deserialize)]
struct Machine {
    phase: Phase,
    since: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
enum Due {
    TooLongCreating,
    TooOld,
    StoppedLongEnough,
}

#[derive(Serialize, Deserialize)]
enum Cloud {
    Create,
    Delete,
}

#[derive(Serialize, Deserialize)]
struct Stop;

impl Message for Stop {
    const NAME: &'static str = "stop";
    type Reply = ();
}

impl Actor for Machine {
    const KIND: &'static str = "machine";
    type Init = ();
    type Status = Phase;
    type Deadline = Due;
    type Effect = Cloud;
    type Answer = ();

    fn create(_init: (), turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        turn.effect(&Cloud::Create);
        Ok(Self { phase: Phase::Creating, since: turn.now() })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Stop>();
    }

    fn status(&self) -> Phase {
        self.phase
    }

    fn deadlines(&self, due: &mut Deadlines<Due>) {
        match self.phase {
            Phase::Creating => due.at(self.since + HOUR, Due::TooLongCreating),
            Phase::Running => due.at(self.since + 4 * HOUR, Due::TooOld),
            Phase::Stopped => due.at(self.since + HOUR, Due::StoppedLongEnough),
        }
    }

    fn on_deadline(&mut self, due: Due, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        match due {
            Due::TooOld => (self.phase, self.since) = (Phase::Stopped, turn.now()),
            Due::TooLongCreating | Due::StoppedLongEnough => {
                turn.destroy(format!("{due:?}"), "deadline");
            }
        }
        Ok(())
    }

    fn on_outcome(
        &mut self,
        _effect: &Cloud,
        _outcome: Outcome<()>,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        if self.phase == Phase::Creating {
            (self.phase, self.since) = (Phase::Running, turn.now());
        }
        Ok(())
    }

    fn on_destroy(&mut self, turn: &mut Turn<Self>) {
        turn.effect(&Cloud::Delete);
    }
}

impl Handler<Stop> for Machine {
    fn handle(&mut self, _stop: Stop, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if self.phase != Phase::Running {
            return Err(Refusal::new("it does not run"));
        }
        (self.phase, self.since) = (Phase::Stopped, turn.now());
        Ok(())
    }
}

/// All that may happen to a machine.
fn model() -> Model<Machine> {
    Model::new()
        .holding("a machine")
        .birth("", ())
        .message::<Stop>(|_| vec![Stop])
        .outcomes(|_| vec![Outcome::Done(())])
}

fn main() {
    // Without the last deadline a stopped machine stays, and is paid for, for ever.
    let holey = model().without_deadline(|due| matches!(due, Due::StoppedLongEnough)).check();
    println!("{holey}\n");
    let gap = holey.found(Flaw::Gap).next().expect("nothing else deletes it");
    assert_eq!(gap.about, "stopped");
    assert_eq!(gap.why, "holds a machine; no deadline, no debt, no sweep selects it");
    let way: Vec<String> = gap.path.iter().map(ToString::to_string).collect();
    assert_eq!(
        way,
        ["(birth) -> creating", "creating -> running by Create done", "running -> stopped by stop"]
    );
    // With it every way leads out: one line in a test.
    let whole = model().whole_table().check();
    println!("{whole}\n\n{}", whole.mermaid());
    whole.assert_covered();
}
