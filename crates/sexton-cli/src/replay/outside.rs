//! The simulated cloud as the world outside of a virtual world.

use std::collections::{BTreeMap, VecDeque};

use sexton::{ActorId, Answer, Call, EffectId, Owed, Store, Timestamp};
use sexton_fleet::sim_cloud::{Callback, CloudError, Performed, SimCloud};
use sexton_sim::{Outside, WorldError};

/// The cloud, its answers that are under way, and its calls that are not durable yet.
#[derive(Debug)]
pub(super) struct Cloud {
    sim: SimCloud,
    /// Answers, by when they arrive.
    answers: BTreeMap<(Timestamp, EffectId), Answer>,
    /// Calls that are due and were not handed in.
    calls: VecDeque<Callback>,
    /// Calls that were handed in: acknowledged when they are durable.
    handed_in: Vec<u64>,
}

impl Cloud {
    /// A cloud of which this process has heard nothing yet.
    pub(super) fn new(sim: SimCloud) -> Self {
        let answers = BTreeMap::new();
        Self { sim, answers, calls: VecDeque::new(), handed_in: Vec::new() }
    }

    /// The cloud itself.
    pub(super) fn sim(&mut self) -> &mut SimCloud {
        &mut self.sim
    }
}

pub(super) fn outside(error: CloudError) -> WorldError {
    WorldError::Outside(Box::new(error))
}

impl Outside for Cloud {
    fn perform(
        &mut self,
        now: Timestamp,
        owed: &Owed,
        store: &dyn Store,
    ) -> Result<(), WorldError> {
        match self.sim.perform(now, owed, store).map_err(outside)? {
            Performed::At(at, answer) => {
                self.answers.insert((at, owed.id.clone()), answer);
            }
            Performed::Later => {}
        }
        Ok(())
    }

    fn take_due(&mut self, now: Timestamp) -> Result<Option<(EffectId, Answer)>, WorldError> {
        for (id, answer) in self.sim.take_due(now) {
            self.answers.insert((now, id), answer);
        }
        let is_due = self.answers.first_key_value().is_some_and(|((at, _), _)| *at <= now);
        let first = if is_due { self.answers.pop_first() } else { None };
        Ok(first.map(|((_, id), answer)| (id, answer)))
    }

    fn take_call(&mut self, now: Timestamp) -> Result<Option<(ActorId, Call)>, WorldError> {
        self.calls.extend(self.sim.callbacks_due(now));
        let Some(callback) = self.calls.pop_front() else { return Ok(None) };
        self.handed_in.push(callback.number);
        Ok(Some((callback.to.id.clone(), callback.call(Box::new(drop)))))
    }

    fn flushed(&mut self) -> Result<(), WorldError> {
        for number in std::mem::take(&mut self.handed_in) {
            self.sim.acknowledge(number).map_err(outside)?;
        }
        Ok(())
    }

    fn next_due(&self) -> Option<Timestamp> {
        let answer = self.answers.first_key_value().map(|((at, _), _)| *at);
        [answer, self.sim.next_due()].into_iter().flatten().min()
    }
}
