//! The end of a run: no trouble any more, time passes, and all comes to its end.

use std::collections::VecDeque;
use std::time::Duration;

use sexton::audit::{self, Broken};
use sexton::mailbox::Input;
use sexton::sweep::{self, Sweeper};
use sexton::{Error, Switch, Timestamp, query};
use tokio::sync::oneshot;

use super::part::Part;
use super::{BROKEN_MAX, ROUNDS_MAX, Sim};
use crate::run::Line;
use crate::scenario::Scene;
use crate::step::{Fate, Step};
use crate::trouble::{nobody, settled};

/// The steps of the end that a failure shows. Chosen: about a screen.
const SHOWN_MAX: usize = 40;
/// The steps that may be done at one moment. Chosen: far more than any scenario needs.
const STEPS_AT_ONCE_MAX: usize = 200_000;

/// The last steps of the end, for whoever asks why it was not a good one.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    steps: VecDeque<(usize, Timestamp, Step, String)>,
    count: usize,
    /// The present moment, and how many of the steps came before it.
    moment: (Timestamp, usize),
}

impl Ending {
    fn note(&mut self, at: Timestamp, step: Step, story: String) {
        if self.moment.0 != at {
            self.moment = (at, self.count);
        }
        self.count += 1;
        if self.steps.len() == SHOWN_MAX {
            self.steps.pop_front();
        }
        self.steps.push_back((self.count, at, step, story));
    }

    /// One line a step.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.steps.iter().map(|(number, at, step, story)| {
            Line { number: *number, at: *at, step, story }.to_string()
        })
    }
}

impl Sim<'_> {
    /// What happened after the trouble.
    pub(crate) fn ending(&self) -> &Ending {
        &self.ending
    }

    /// Does a step of the end; `false` if there was nothing to do.
    fn calmly(&mut self, step: Step) -> Result<bool, Broken> {
        let is_done = self.step(&step);
        let story = self.take_story();
        if is_done.as_ref().is_ok_and(|is_done| !is_done) {
            return Ok(false);
        }
        self.ending.note(self.now, step, story);
        if self.ending.count - self.ending.moment.1 > STEPS_AT_ONCE_MAX {
            return Err(nobody("G14", format!("the moment {} does not end", self.now)));
        }
        is_done
    }

    /// Everything at this moment, in the order of the house; `false` if there was nothing.
    fn settle(&mut self) -> Result<bool, Broken> {
        let mut is_any = false;
        for part in 0..self.count() {
            let index = usize::from(part);
            while self.calmly(Step::Take(part))? || self.calmly(Step::Turn(part))? {
                is_any = true;
                if !self.parts[index].has_input() {
                    self.calmly(Step::Hand(part))?;
                }
            }
            is_any |= self.calmly(Step::Hand(part))?;
        }
        while self.calmly(Step::Answer(0))? {
            is_any = true;
        }
        is_any |= self.calmly(Step::Flush)?;
        while self.calmly(Step::Begin(0, Fate::Done))? {
            is_any = true;
        }
        for n in 0..u64::try_from(self.sweeps.len()).unwrap_or(0) {
            is_any |= self.calmly(Step::Pass(n))?;
        }
        Ok(is_any)
    }

    /// Settles until nothing is left; a moment that never ends breaks G14.
    fn settle_all(&mut self) -> Result<(), Broken> {
        for _ in 0..ROUNDS_MAX {
            if !self.settle()? {
                return Ok(());
            }
        }
        Err(nobody("G14", format!("{ROUNDS_MAX} rounds at {}, and no end", self.now)))
    }

    /// Lets time pass to the next moment at which something is due, but not beyond `until`.
    pub(super) fn wait(&mut self, until: Option<Timestamp>) -> bool {
        let now = self.now;
        let timers = self.parts.iter().filter_map(Part::timer);
        let answers = self.answers.iter().map(|(at, ..)| *at);
        let sweeps = self.sweeps.iter().filter_map(|sweep| {
            let id = sweep::sweeper(sweep.name()).ok()?;
            let state = query::state::<Sweeper>(&*self.store, &id).ok()??;
            Some(state.due_at(now, sweep.every()))
        });
        let others = self.scenario.next_due();
        let moments = timers.chain(answers).chain(sweeps).chain(others);
        let next = moments.filter(|at| *at > now).min();
        match next.filter(|at| until.is_none_or(|until| *at <= until)) {
            Some(at) => {
                self.now = at;
                true
            }
            None => false,
        }
    }

    /// Lets so much time pass without trouble, everything at its own moment.
    fn pass_time(&mut self, time: Duration) -> Result<(), Broken> {
        let over = self.now + time;
        loop {
            self.settle_all()?;
            if !self.wait(Some(over)) {
                self.now = self.now.max(over);
                return self.settle_all();
            }
        }
    }

    /// The time of trouble is over: all comes to its end, or a promise is broken.
    pub(crate) fn heal(&mut self) -> Result<(), Broken> {
        self.slow_for = 0;
        for part in &mut self.parts {
            // Nobody waits to hear that it is done.
            part.push(Input::Alarms(Switch::On, oneshot::channel().0));
            part.push(Input::Effects(Switch::On, oneshot::channel().0));
        }
        self.settle_all()?;
        self.watch.nothing_waits(self.now, &self.begun)?;
        self.pass_time(self.scenario.calm())?;
        self.watch.nothing_is_late(self.now)?;
        let scene = Scene { now: self.now, store: &*self.store };
        for asked in self.scenario.heal(scene) {
            self.ask_at_once(asked).map_err(settled)?;
        }
        self.pass_time(self.scenario.patience())?;
        self.look()?;
        let scenario = &*self.scenario;
        self.watch.at_rest(self.now, |id| scenario.is_perpetual(id))?;
        let waiting: usize = self.parts.iter().map(|part| part.mailbox().waiting()).sum();
        if waiting > 0 {
            return Err(nobody("G14", format!("{waiting} requests were never answered")));
        }
        let scene = Scene { now: self.now, store: &*self.store };
        self.scenario.end(scene)
    }

    /// Everything that can be told from the records: checks G1 to G11 on the store as it is.
    pub(crate) fn look(&self) -> Result<(), Broken> {
        let unreadable = |error: Error| nobody("G2", error.to_string());
        self.watch.agrees(&*self.store).map_err(unreadable)??;
        let kinds = self.scenario.kinds(self.version);
        let broken = audit::audit(&*self.store, &kinds, BROKEN_MAX).map_err(unreadable)?;
        match broken.into_iter().next() {
            Some(broken) => Err(broken),
            None => Ok(()),
        }
    }
}
