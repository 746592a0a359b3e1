//! What the log of the fleet says of the trace's things, to be held against the trace itself.
//!
//! One pass over the log when all is over: so the numbers are of all runs, whichever of them was
//! killed, and nothing is counted while the trace is played.

use std::collections::BTreeMap;

use sexton::log::{self, Cursor};
use sexton::{ActorId, Error, Event, Store, Timestamp, What};

use crate::report::{Comparison, REBORN_MAX, Reason, Report};

use super::lives::is_later_life;
use super::metering::Metering;
use super::windows::Windows;

/// The events that are read at a time. Chosen: some hundred kilobytes.
const PAGE: usize = 1_024;

/// How far a task is.
#[derive(Clone, Copy, Debug)]
enum Course {
    /// It has no workspace that runs.
    Waiting,
    /// It is in progress since then.
    Working(Timestamp),
}

/// A task that has not ended.
#[derive(Clone, Copy, Debug)]
struct Task {
    since: Timestamp,
    course: Course,
}

/// A sum and of how many.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    ms: u64,
    count: u64,
}

impl Sum {
    /// Adds the time of one thing, if it is any.
    pub(super) fn add(&mut self, ms: u64) {
        if ms > 0 {
            self.ms += ms;
            self.count += 1;
        }
    }

    /// As what the trace has and the fleet has not.
    pub(super) fn cause(self, cause: &str) -> Reason {
        let ms = i64::try_from(self.ms).unwrap_or(i64::MAX);
        Reason { cause: cause.to_owned(), ms, count: self.count }
    }

    /// As what the fleet has and the trace has not.
    pub(super) fn beyond(self, cause: &str) -> Reason {
        let reason = self.cause(cause);
        Reason { ms: -reason.ms, ..reason }
    }
}

/// What the log says.
#[derive(Debug, Default)]
struct Reckoning {
    /// When the trace was over: what comes later it says nothing of.
    last: Timestamp,
    tasks: BTreeMap<ActorId, Task>,
    busy_ms: u64,
    waited: Sum,
    never: Sum,
    woken: u64,
    not_returned: u64,
    reborn: u64,
    reborn_names: Vec<String>,
}

/// Fills in what became of reopened workspaces, the tasks' time at work, and the meters'.
///
/// # Errors
///
/// What the store says.
pub(super) fn reckon(
    store: &dyn Store,
    of: (&Windows, Timestamp),
    report: &mut Report,
) -> Result<(), Error> {
    let (windows, last) = of;
    let mut reckoning = Reckoning { last, ..Reckoning::default() };
    let mut metering = Metering::until(last);
    let mut after = Cursor::BEGINNING;
    loop {
        let page = log::read(store, after, PAGE)?;
        let Some((reached, _)) = page.last() else { break };
        after = *reached;
        for (_, event) in &page {
            reckoning.take(event);
            if ["sandbox", "trace"].contains(&event.actor.kind()) {
                metering.take(event);
            }
        }
    }
    reckoning.finish();
    report.busy = reckoning.busy(windows.tasks(last.as_millis()));
    report.meter = metering.finish(windows.sandboxes(last.as_millis()));
    report.reopened.rows = windows.reopened();
    report.reopened.woken = reckoning.woken;
    report.reopened.refused = reckoning.not_returned;
    report.reopened.reborn = reckoning.reborn;
    report.reopened.reborn_names = reckoning.reborn_names;
    let it = &mut report.reopened;
    it.anew = it.rows.saturating_sub(it.woken + it.refused + it.reborn);
    Ok(())
}

impl Reckoning {
    fn take(&mut self, event: &Event) {
        match event.actor.kind() {
            "task" => self.take_task(event),
            "workspace" => self.take_workspace(event),
            "sandbox" => self.take_sandbox(event),
            _ => {}
        }
    }

    fn take_task(&mut self, event: &Event) {
        let at = event.at.min(self.last);
        match &event.what {
            What::Created { .. } => {
                let task = Task { since: at, course: Course::Waiting };
                self.tasks.insert(event.actor.clone(), task);
            }
            What::Transition { to, .. } if to == "in_progress" => {
                if let Some(task) = self.tasks.get_mut(&event.actor) {
                    task.course = Course::Working(at);
                }
            }
            What::Transition { to, .. }
                if ["completed", "failed", "cancelled"].contains(&to.as_str()) =>
            {
                self.end(&event.actor, at);
            }
            What::Destroyed { .. } => self.end(&event.actor, at),
            What::Transition { .. }
            | What::Destroying { .. }
            | What::Stalled { .. }
            | What::DeadLetter { .. }
            | What::Abandoned { .. }
            | What::Fact { .. } => {}
        }
    }

    fn end(&mut self, task: &ActorId, at: Timestamp) {
        if let Some(task) = self.tasks.remove(task) {
            self.add(task, at);
        }
    }

    fn add(&mut self, task: Task, at: Timestamp) {
        match task.course {
            Course::Waiting => self.never.add(millis(task.since, at)),
            Course::Working(from) => {
                self.waited.add(millis(task.since, from));
                self.busy_ms += millis(from, at);
            }
        }
    }

    fn take_workspace(&mut self, event: &Event) {
        match &event.what {
            What::Created { .. } => self.born(&event.actor),
            What::Transition { to, cause, .. } if to == "creating" && cause == "seated" => {
                self.woken += 1;
            }
            What::Fact { name, .. } if name == "not_returned" => self.not_returned += 1,
            What::Transition { .. }
            | What::Destroying { .. }
            | What::Destroyed { .. }
            | What::Stalled { .. }
            | What::DeadLetter { .. }
            | What::Abandoned { .. }
            | What::Fact { .. } => {}
        }
    }

    fn take_sandbox(&mut self, event: &Event) {
        match &event.what {
            What::Created { .. } => self.born(&event.actor),
            What::Transition { from, to, .. } if from == "hibernated" && to == "running" => {
                self.woken += 1;
            }
            What::Transition { .. }
            | What::Destroying { .. }
            | What::Destroyed { .. }
            | What::Stalled { .. }
            | What::DeadLetter { .. }
            | What::Abandoned { .. }
            | What::Fact { .. } => {}
        }
    }

    /// A workspace or a sandbox was born: again, if its name says so.
    fn born(&mut self, actor: &ActorId) {
        if !is_later_life(actor.name()) {
            return;
        }
        self.reborn += 1;
        if self.reborn_names.len() < REBORN_MAX {
            self.reborn_names.push(actor.name().to_owned());
        }
    }

    /// What is open is counted up to the end of the trace.
    fn finish(&mut self) {
        let last = self.last;
        for task in std::mem::take(&mut self.tasks).into_values() {
            self.add(task, last);
        }
    }

    fn busy(&self, of_trace: (u64, u64)) -> Comparison {
        let (trace_ms, open_at_end) = of_trace;
        let explained = vec![
            self.waited.cause("waited until its workspace ran"),
            self.never.cause("ended before its workspace ran"),
        ];
        Comparison::new((trace_ms, self.busy_ms), open_at_end, explained)
    }
}

/// The time between two moments, in milliseconds.
pub(super) fn millis(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.since(from).as_millis()).unwrap_or(u64::MAX)
}
