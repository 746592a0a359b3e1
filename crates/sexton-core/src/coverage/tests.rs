//! Small actors, each with one thing right or wrong.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Coverage, Flaw, Model, Net};
use crate::actor::{Actor, Handler, Handlers, Message};
use crate::deadline::Deadlines;
use crate::effect::{Failure, Outcome};
use crate::error::{Error, Refusal};
use crate::inbox::Gone;
use crate::key::ActorId;
use crate::row::{Row, RowView};
use crate::sweep::{Look, Sweep};
use crate::time::Timestamp;
use crate::turn::{Letter, Turn};

mod demands;

const MINUTE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_secs(10);

crate::lifecycle! {
    /// What a machine can be.
    enum Phase {
        /// It is being made.
        Creating = "creating" [holds] => [Running, Failed],
        /// It runs.
        Running = "running" [holds] => [Stopped],
        /// It waits for its end.
        Stopped = "stopped" [holds] => [],
        /// It could not be made.
        Failed = "failed" [holds] => [],
    }
}

/// How a machine is different from one that is right.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Habit {
    None,
    /// It polls while it runs, and has no other clock.
    Polls,
    /// It polls while it runs, and is too old some day.
    PollsUnderAClock,
    /// It polls while it runs, and looks at its age when it does.
    PollsAndLooks,
    /// It forgets that what could not be made is there all the same.
    ForgetsFailures,
    /// It never says that its create call failed.
    RefusesFailures,
    /// It panics at its end.
    Panics,
    /// It goes from running back to creating.
    GoesBack,
    /// What is due stays due.
    StaysDue,
    /// It owes nothing when it is destroyed.
    ReleasesNothing,
    /// It asks itself to stop.
    TellsItself,
    /// It has a child, and goes when the child has gone.
    HasAChild,
}

#[derive(Serialize, Deserialize)]
struct Machine {
    habit: Habit,
    phase: Phase,
    since: Timestamp,
    created_at: Timestamp,
    polled_at: Timestamp,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Due {
    Provisioning,
    Poll,
    Old,
    Grace,
}

#[derive(Serialize, Deserialize)]
enum Work {
    Create,
    Release,
}

macro_rules! message {
    ($name:ident, $text:literal) => {
        #[derive(Serialize, Deserialize)]
        struct $name;

        impl Message for $name {
            const NAME: &'static str = $text;
            type Reply = ();
        }
    };
}
message!(Stop, "stop");
message!(Expire, "expire");

impl Machine {
    fn enter(&mut self, phase: Phase, now: Timestamp) {
        (self.phase, self.since) = (phase, now);
    }

    fn dues(&self) -> Vec<(Timestamp, Due)> {
        let polls = (self.polled_at + POLL, Due::Poll);
        let old = (self.created_at + 5 * MINUTE, Due::Old);
        match (self.phase, self.habit) {
            (Phase::Running, Habit::HasAChild) | (Phase::Failed, Habit::ForgetsFailures) => {
                Vec::new()
            }
            (Phase::Creating, _) => vec![(self.since + 15 * MINUTE, Due::Provisioning)],
            (Phase::Running, Habit::Polls | Habit::PollsAndLooks) => vec![polls],
            (Phase::Running, Habit::PollsUnderAClock) => vec![polls, old],
            (Phase::Running, _) => vec![old],
            (Phase::Failed | Phase::Stopped, _) => vec![(self.since + MINUTE, Due::Grace)],
        }
    }

    fn act(&mut self, due: &Due, turn: &mut Turn<Self>) {
        let now = turn.now();
        match (due, self.habit) {
            (Due::Grace | Due::Old, Habit::StaysDue) => {}
            (Due::Grace, Habit::Panics) => panic!("what is this"),
            (Due::Old, Habit::GoesBack) => self.enter(Phase::Creating, now),
            (Due::Provisioning, _) => self.enter(Phase::Failed, now),
            (Due::Poll, Habit::PollsAndLooks) if now >= self.created_at + 5 * MINUTE => {
                self.enter(Phase::Stopped, now);
            }
            (Due::Poll, _) => self.polled_at = now,
            (Due::Old, _) => self.enter(Phase::Stopped, now),
            (Due::Grace, _) => turn.destroy("stopped long enough", "deadline"),
        }
    }
}

impl Actor for Machine {
    const KIND: &'static str = "machine";
    type Init = Habit;
    type Status = Phase;
    type Deadline = Due;
    type Effect = Work;
    type Answer = ();

    fn create(init: Habit, turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        turn.effect(&Work::Create);
        let now = turn.now();
        let phase = Phase::Creating;
        Ok(Self { habit: init, phase, since: now, created_at: now, polled_at: now })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Stop>().message::<Expire>();
    }

    fn status(&self) -> Phase {
        self.phase
    }

    fn row(&self) -> Row {
        let dues = self.dues();
        let polled = Some(self.polled_at).filter(|_| self.phase == Phase::Running);
        let next = dues.iter().map(|(at, _)| *at).min();
        Row::default().time("due", next).time("polled_at", polled)
    }

    fn deadlines(&self, due: &mut Deadlines<Due>) {
        for (at, what) in self.dues() {
            due.at(at, what);
        }
    }

    fn on_deadline(&mut self, due: Due, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.act(&due, turn);
        Ok(())
    }

    fn on_outcome(
        &mut self,
        _effect: &Work,
        outcome: Outcome<()>,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        let now = turn.now();
        match outcome {
            Outcome::Done(()) if self.phase == Phase::Creating => {
                self.enter(Phase::Running, now);
                self.polled_at = now;
                if self.habit == Habit::TellsItself {
                    let me = turn.id().clone();
                    turn.send::<Self, _>(&me, &Stop);
                }
                if self.habit == Habit::HasAChild {
                    turn.create::<Machine>("child", &Habit::None);
                }
            }
            Outcome::Failed(failure) if self.habit == Habit::RefusesFailures => {
                return Err(Refusal::new(failure.message));
            }
            Outcome::Failed(_) if self.phase == Phase::Creating => self.enter(Phase::Failed, now),
            Outcome::Done(()) | Outcome::Failed(_) => {}
        }
        Ok(())
    }

    fn on_destroy(&mut self, turn: &mut Turn<Self>) {
        if self.habit != Habit::ReleasesNothing {
            turn.effect(&Work::Release);
        }
    }

    fn on_child_gone(
        &mut self,
        _child: &ActorId,
        _end: &Gone,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        self.enter(Phase::Stopped, turn.now());
        Ok(())
    }
}

impl Handler<Stop> for Machine {
    fn handle(&mut self, _stop: Stop, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if self.phase != Phase::Running {
            return Err(Refusal::new("it does not run"));
        }
        self.enter(Phase::Stopped, turn.now());
        Ok(())
    }
}

impl Handler<Expire> for Machine {
    fn handle(&mut self, _expire: Expire, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let due = self.dues().into_iter().find(|(at, _)| *at <= turn.now());
        let Some((_, due)) = due else { return Err(Refusal::new("nothing is due")) };
        self.act(&due, turn);
        Ok(())
    }
}

/// Asks whoever has been over the time of `field` for `slack`.
struct Overdue {
    name: &'static str,
    scope: &'static [(&'static str, &'static str)],
    field: &'static str,
    slack: Duration,
}

impl Sweep for Overdue {
    fn name(&self) -> &'static str {
        self.name
    }

    fn limit(&self) -> usize {
        10
    }

    fn scope(&self) -> &[(&'static str, &'static str)] {
        self.scope
    }

    fn select(&self, row: &RowView, look: &Look<'_>) -> Result<Option<String>, Error> {
        let at = row.record.time(self.field);
        Ok(at.filter(|at| *at + self.slack <= look.now()).map(|at| format!("since {at}")))
    }

    fn ask(&self, row: &RowView, _why: &str) -> Result<Letter, Refusal> {
        Letter::new::<Machine, _>(&row.id, &Expire)
    }
}

const ALL: &[(&str, &str)] = &[
    ("machine", "creating"),
    ("machine", "running"),
    ("machine", "stopped"),
    ("machine", "failed"),
];
const BUT_STOPPED: &[(&str, &str)] =
    &[("machine", "creating"), ("machine", "running"), ("machine", "failed")];

fn boxed(sweep: Overdue) -> Vec<Box<dyn Sweep>> {
    vec![Box::new(sweep)]
}

fn overdue(scope: &'static [(&'static str, &'static str)]) -> Vec<Box<dyn Sweep>> {
    vec![Box::new(Overdue { name: "overdue", scope, field: "due", slack: MINUTE })]
}

fn failure(class: &str) -> Failure {
    Failure { class: class.to_owned(), message: "no".to_owned() }
}

fn model(habit: Habit) -> Model<Machine> {
    Model::new()
        .holding("a machine")
        .birth("", habit)
        .outcomes(|_| vec![Outcome::Done(()), Outcome::Failed(failure("quota"))])
}

fn stoppable(habit: Habit) -> Model<Machine> {
    model(habit).message::<Stop>(|_| vec![Stop])
}

/// The only error of a check, with its path.
fn only_error(coverage: &Coverage) -> (Flaw, String) {
    let errors: Vec<_> = coverage.findings.iter().filter(|it| it.is_error).collect();
    assert_eq!(errors.len(), 1, "{coverage}");
    (errors[0].flaw, errors[0].to_string())
}

#[test]
fn what_comes_to_its_end_on_every_way_is_covered() {
    let coverage = stoppable(Habit::None).whole_table().check();
    coverage.assert_covered();
    assert!(coverage.complete && coverage.findings.is_empty(), "{coverage}");
    let edges: Vec<String> = coverage.edges.iter().map(ToString::to_string).collect();
    assert_eq!(
        edges,
        [
            "(birth) -> creating",
            "creating -> failed by deadline Provisioning",
            "creating -> failed by Create failed: quota",
            "creating -> running by Create done",
            "failed -> destroyed by deadline Grace",
            "failed -> failed by Create done",
            "failed -> failed by Create failed: quota",
            "running -> stopped by stop",
            "running -> stopped by deadline Old",
            "stopped -> destroyed by deadline Grace",
        ]
    );
}

#[test]
fn a_status_that_nothing_leads_out_of_is_shown_as_a_path_from_birth() {
    let coverage = model(Habit::None).without_deadline(|due| *due == Due::Grace).check();
    let gaps: Vec<String> = coverage.found(Flaw::Gap).map(ToString::to_string).collect();
    let stopped = "gap: `stopped` holds a machine; no deadline, no debt, no sweep selects it\n    \
                   (birth) -> creating\n    creating -> running by Create done\n    \
                   running -> stopped by deadline Old";
    assert_eq!(gaps.len(), 2, "failed and stopped: {coverage}");
    assert_eq!(gaps[1], stopped);
    assert!(!coverage.is_covered());
}

#[test]
fn a_poll_without_another_clock_is_a_gap_although_it_always_moves() {
    let (flaw, text) = only_error(&model(Habit::Polls).check());
    assert_eq!(flaw, Flaw::Gap);
    assert!(text.contains("holds a machine for ever, round and round by deadline Poll"), "{text}");
}

#[test]
fn a_poll_under_a_clock_is_none_wherever_the_clock_is_looked_at() {
    for habit in [Habit::PollsUnderAClock, Habit::PollsAndLooks] {
        let coverage = model(habit).check();
        coverage.assert_covered();
        assert!(coverage.states > 30, "every poll is a state of its own: {coverage}");
    }
    let forgetful = model(Habit::PollsAndLooks).remembering(MINUTE).check();
    assert!(!forgetful.is_covered(), "it forgets how long ago its birth was");
}

#[test]
fn a_debt_of_which_one_outcome_strands_it_is_a_gap() {
    let (flaw, text) = only_error(&model(Habit::ForgetsFailures).check());
    assert_eq!(flaw, Flaw::Gap);
    assert!(text.ends_with("creating -> failed by Create failed: quota"), "{text}");
}

#[test]
fn a_debt_that_is_never_answered_moves_nothing() {
    let coverage = model(Habit::None)
        .outcomes(|_| Vec::new())
        .without_deadline(|due| *due == Due::Provisioning)
        .check();
    let (_, text) = only_error(&coverage);
    assert!(text.contains("no deadline, its debt Create is never answered, no sweep"), "{text}");
}

#[test]
fn an_outcome_that_is_refused_may_come_again_for_ever() {
    let coverage =
        model(Habit::RefusesFailures).without_deadline(|due| *due == Due::Provisioning).check();
    let (_, text) = only_error(&coverage);
    assert!(text.contains("round and round by Create failed: quota"), "{text}");
    model(Habit::RefusesFailures).check().assert_covered();
}

#[test]
fn a_sweep_closes_a_gap_of_deadlines_and_is_then_the_only_net() {
    let holey = || model(Habit::None).without_deadline(|due| *due == Due::Grace);
    let coverage = holey().sweeps(overdue(ALL)).check();
    coverage.assert_covered();
    let notes: Vec<_> = coverage.found(Flaw::GapWithOnly(Net::Deadlines)).collect();
    assert_eq!(notes.len(), 2, "{coverage}");
    assert!(notes[1].why.starts_with("without sweeps, holds a machine; no deadline, no debt"));
    assert!(!holey().sweeps(overdue(ALL)).both_nets().check().is_covered());
    model(Habit::None).sweeps(overdue(ALL)).both_nets().check().assert_covered();
}

#[test]
fn a_sweep_that_passes_over_a_status_leaves_it_to_deadlines() {
    let coverage = model(Habit::None).sweeps(overdue(BUT_STOPPED)).both_nets().check();
    let (flaw, text) = only_error(&coverage);
    assert_eq!(flaw, Flaw::GapWithOnly(Net::Sweeps));
    assert!(text.contains("without alarms, holds a machine; no debt, no sweep"), "{text}");
    assert!(!model(Habit::None).both_nets().check().is_covered(), "no sweep at all");
}

#[test]
fn a_sweep_that_judges_by_what_every_poll_rewrites_is_no_net() {
    let slack = MINUTE;
    let stuck = || Overdue { name: "stuck", scope: ALL, field: "polled_at", slack };
    let coverage = model(Habit::Polls).sweeps(boxed(stuck())).check();
    assert_eq!(coverage.found(Flaw::Gap).count(), 1, "{coverage}");
    assert!(coverage.found(Flaw::IdleSweep).next().is_none(), "without alarms it would select");
}

#[test]
fn a_sweep_that_nothing_satisfies_is_told() {
    let idle = Overdue { name: "idle", scope: ALL, field: "no such field", slack: MINUTE };
    let coverage = model(Habit::None).sweeps(boxed(idle)).check();
    assert_eq!(only_error(&coverage).0, Flaw::IdleSweep);
    assert!(
        !model(Habit::None)
            .sweeps(overdue(ALL))
            .without_sweep("overdue")
            .check()
            .findings
            .iter()
            .any(|it| it.flaw == Flaw::IdleSweep)
    );
}

#[test]
fn a_status_that_is_never_reached_is_told_unless_the_model_says_why() {
    let calm = || {
        model(Habit::None)
            .outcomes(|_| vec![Outcome::Done(())])
            .without_deadline(|due| *due == Due::Provisioning)
    };
    let coverage = calm().check();
    coverage.assert_covered();
    assert_eq!(coverage.found(Flaw::Unreached).next().unwrap().about, "failed");
    let untaken: Vec<_> = coverage.found(Flaw::Untaken).map(|it| it.why.as_str()).collect();
    assert_eq!(untaken, ["never becomes `failed`"]);
    assert!(!calm().whole_table().check().is_covered());
    calm().whole_table().unreached("failed", "this provider never fails").check().assert_covered();
    let stale = calm().whole_table().unreached("running", "nobody makes it").check();
    assert!(!stale.is_covered(), "it is reached");
}

#[test]
fn states_that_somebody_else_moves_are_listed_with_his_name() {
    let coverage = model(Habit::Polls)
        .left_to(|seen| (seen.state().phase == Phase::Running).then(|| "its owner".to_owned()))
        .check();
    coverage.assert_covered();
    assert_eq!((coverage.left[0].status.as_str(), coverage.left.len()), ("running", 1));
}

#[test]
fn what_a_handler_may_not_do_is_found_with_the_way_there() {
    let told = |habit, flaw| {
        let coverage = model(habit).check();
        coverage.found(flaw).next().unwrap_or_else(|| panic!("{coverage}")).to_string()
    };
    let text = told(Habit::Panics, Flaw::Fails);
    assert!(text.contains("panicked at deadline Grace: what is this"), "{text}");
    let text = told(Habit::GoesBack, Flaw::Lacks);
    assert!(text.ends_with("running -> creating by deadline Old"), "{text}");
    let text = told(Habit::StaysDue, Flaw::NoProgress);
    assert!(text.contains("still due after its own turn"), "{text}");
    let text = told(Habit::ReleasesNothing, Flaw::ReleasesNothing);
    assert!(text.contains("its destruction releases nothing"), "{text}");
}

#[test]
fn mail_to_itself_and_the_end_of_a_child_move_it() {
    let by = |habit, without: fn(&Due) -> bool| {
        let coverage = model(habit).without_deadline(without).check();
        coverage.assert_covered();
        coverage.edges.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let edges = by(Habit::TellsItself, |due| *due == Due::Old);
    assert!(edges.contains(&"running -> stopped by stop from itself".to_owned()), "{edges:?}");
    let edges = by(Habit::HasAChild, |_| false);
    assert!(edges.contains(&"running -> stopped by machine gone".to_owned()), "{edges:?}");
    let stays = model(Habit::HasAChild).child_ends(|_| Vec::new()).check();
    assert_eq!(only_error(&stays).0, Flaw::Gap);
}

#[test]
fn an_exploration_that_is_cut_short_proves_nothing() {
    let coverage = stoppable(Habit::PollsUnderAClock).states_max(10).check();
    assert!(!coverage.complete && coverage.states == 10);
    assert_eq!(coverage.found(Flaw::CutShort).count(), 1);
    assert!(coverage.to_string().contains("cut short, nothing is proven"), "{coverage}");
}

#[test]
fn the_same_model_gives_the_same_report_and_the_same_diagram() {
    let check = || stoppable(Habit::PollsUnderAClock).sweeps(overdue(ALL)).check();
    let (first, second) = (check(), check());
    assert_eq!(first, second);
    let diagram = first.mermaid();
    assert_eq!(diagram, second.mermaid());
    let lines: Vec<&str> = diagram.lines().map(str::trim).collect();
    assert_eq!(lines[0], "stateDiagram-v2");
    assert!(lines.contains(&"[*] --> creating"), "{diagram}");
    assert!(lines.contains(&"creating --> running: Create done"), "{diagram}");
    assert!(lines.contains(&"stopped --> destroyed: deadline Grace, sweep overdue"), "{diagram}");
    assert!(lines.contains(&"class stopped holds"), "{diagram}");
}

crate::lifecycle! {
    /// What a watch can be.
    enum Watching {
        /// It looks around.
        Watching = "watching" [] => [Over],
        /// It is over, and what it had is still there.
        Over = "over" [holds terminal] => [],
    }
}

/// Looks around every ten seconds, for ever, and holds nothing.
#[derive(Serialize, Deserialize)]
struct Watch {
    looked_at: Option<Timestamp>,
    looks: u64,
}

impl Actor for Watch {
    const KIND: &'static str = "watch";
    type Init = ();
    type Status = Watching;
    type Deadline = Due;
    type Effect = ();
    type Answer = ();

    fn create(_init: (), turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        Ok(Self { looked_at: Some(turn.now()), looks: 0 })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Stop>();
    }

    fn status(&self) -> Watching {
        if self.looked_at.is_some() { Watching::Watching } else { Watching::Over }
    }

    fn deadlines(&self, due: &mut Deadlines<Due>) {
        if let Some(at) = self.looked_at {
            due.at(at + POLL, Due::Poll);
        }
    }

    fn on_deadline(&mut self, _due: Due, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.looked_at = Some(turn.now());
        self.looks += 1;
        Ok(())
    }
}

impl Handler<Stop> for Watch {
    fn handle(&mut self, _stop: Stop, _turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.looked_at = None;
        Ok(())
    }
}

#[test]
fn motion_without_work_and_a_last_status_that_holds_are_told() {
    let watch = || Model::<Watch>::new().birth("", ()).message::<Stop>(|_| vec![Stop]);
    let coverage = watch().ignoring(&["looks"]).check();
    assert_eq!(coverage.found(Flaw::Polls).next().unwrap().about, "watching");
    assert_eq!(coverage.found(Flaw::TerminalHolds).next().unwrap().about, "over");
    assert!(coverage.complete && coverage.states == 2, "{coverage}");
    let endless = watch().states_max(100).check();
    assert!(!endless.complete, "a counter makes every state a new one");
}
