//! What a trace says of the machines and workspaces that it names.

use serde::{Deserialize, Serialize};
use sexton_core::{Actor, ActorId, ActorRef, Answer, Owed, Timestamp};

use crate::node::Node;
use crate::workspace::AgentAnswer;

use super::callback::CallbackKind;
use super::machines::{Order, SOON};
use super::world::{Record, Script, SimMachine};
use super::{CloudError, Performed, REMEMBERED, SimCloud, done, failure};

/// One thing that a trace says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScriptStep {
    /// The trace names it: nothing happens to it by itself.
    Expect,
    /// The create call has returned: there is a machine.
    Boot,
    /// It can be used.
    Ready,
    /// It was never made; the class of the failure.
    Failed(String),
    /// It was taken away; the class of the loss.
    Lost(String),
    /// Its agent cannot be reached.
    Down,
    /// Its agent is reached again.
    Up,
    /// Whoever had it gave it up: a create that is still open is answered, so that the end can
    /// go on.
    Ended,
    /// It is asked for again after its end: what was said of it before holds no longer.
    Reopen,
}

impl Script {
    fn apply(&mut self, step: &ScriptStep, now: Timestamp) {
        match step {
            ScriptStep::Expect => {}
            ScriptStep::Boot => self.booted = Some(now),
            ScriptStep::Ready => self.ready = Some(now),
            ScriptStep::Failed(class) => self.failed = Some(class.clone()),
            ScriptStep::Lost(class) => self.lost = Some(class.clone()),
            ScriptStep::Down => self.is_down = true,
            ScriptStep::Up => self.is_down = false,
            ScriptStep::Ended => self.ended = Some(now),
            ScriptStep::Reopen => *self = Self::default(),
        }
        if self.failed.is_some() || self.lost.is_some() || self.ended.is_some() {
            self.over_at = Some(now);
        }
    }

    /// Whether the trace has said how a machine's create ended.
    fn has_machine_answer(&self) -> bool {
        self.booted.is_some() || self.ready.is_some() || self.is_over()
    }

    fn is_over(&self) -> bool {
        self.failed.is_some() || self.lost.is_some() || self.ended.is_some()
    }

    /// When the trace said how a machine's create ended.
    fn machine_decided_at(&self) -> Option<Timestamp> {
        [self.booted, self.ready, self.over_at].into_iter().flatten().min()
    }

    /// When the trace said how a workspace's create ended.
    fn workspace_decided_at(&self) -> Option<Timestamp> {
        [self.ready, self.over_at].into_iter().flatten().min()
    }

    /// How a workspace's create ended, if the trace has said so.
    fn workspace_answer(&self) -> Result<Option<Answer>, CloudError> {
        if let Some(class) = self.failed.as_ref().or(self.lost.as_ref()) {
            return Ok(Some(Answer::Permanent(failure(class, "so the trace says"))));
        }
        if self.ready.is_some() || self.ended.is_some() {
            return done(&AgentAnswer::Created).map(Some);
        }
        Ok(None)
    }
}

impl SimCloud {
    /// Applies what row `row` of a trace says of `actor`.
    ///
    /// A row says one thing of one actor. Rows at or below the highest that was applied are
    /// ignored, also after a restart.
    ///
    /// # Errors
    ///
    /// [`CloudError`] if the cloud's file fails: the row is then not applied.
    pub fn script(
        &mut self,
        row: u64,
        actor: &ActorId,
        step: &ScriptStep,
        now: Timestamp,
    ) -> Result<(), CloudError> {
        self.advance(now)?;
        if self.world.row.is_some_and(|applied| row <= applied) {
            return Ok(());
        }
        let mut script = self.world.scripts.get(actor).cloned().unwrap_or_default();
        script.apply(step, now);
        if let Some(at) = script.over_at {
            self.past.insert((at + REMEMBERED, actor.clone()));
        }
        let records =
            vec![Record::Row(row), Record::Script(actor.clone(), Box::new(script.clone()))];
        if actor.kind() == Node::KIND {
            self.script_node((actor, step), &script, records, now)
        } else {
            self.commit(records)?;
            self.answer_workspace(actor, now)
        }
    }

    fn script_node(
        &mut self,
        at: (&ActorId, &ScriptStep),
        script: &Script,
        mut records: Vec<Record>,
        now: Timestamp,
    ) -> Result<(), CloudError> {
        let (actor, step) = at;
        let lives = [0, u32::MAX].map(|incarnation| ActorRef { id: actor.clone(), incarnation });
        let [first, last] = lives;
        let machine = self.world.machines.range(first..=last).next_back();
        let machine = machine.map(|(_, machine)| machine.clone());
        let Some(machine) = machine else {
            self.commit(records)?;
            return self.resume_create(actor, script, now);
        };
        let owner = machine.owner.clone();
        match step {
            ScriptStep::Ready => {
                records.extend(self.call_back(now, &owner, CallbackKind::Ready));
            }
            ScriptStep::Down => {
                records.push(Record::Machine(Box::new(SimMachine { is_down: true, ..machine })));
                records.extend(self.call_back(now, &owner, CallbackKind::AgentDown));
            }
            ScriptStep::Up => {
                records.push(Record::Machine(Box::new(SimMachine { is_down: false, ..machine })));
                records.extend(self.call_back(now, &owner, CallbackKind::AgentUp));
            }
            // A machine that is there and fails is a machine that is lost.
            ScriptStep::Lost(class) | ScriptStep::Failed(class) => {
                records.extend(self.remove_machine(&owner, now));
                records.extend(self.call_back(now, &owner, CallbackKind::Lost(class.clone())));
            }
            ScriptStep::Expect | ScriptStep::Boot | ScriptStep::Ended | ScriptStep::Reopen => {}
        }
        self.commit(records)?;
        match step {
            ScriptStep::Lost(class) | ScriptStep::Failed(class) => {
                let answer = Answer::Permanent(failure(class, "its machine was taken away"));
                self.answer_on(&owner, &answer, now);
            }
            ScriptStep::Ended => self.answer_on(&owner, &done(&AgentAnswer::Created)?, now),
            ScriptStep::Expect
            | ScriptStep::Boot
            | ScriptStep::Ready
            | ScriptStep::Down
            | ScriptStep::Up
            | ScriptStep::Reopen => {}
        }
        Ok(())
    }

    /// A create that waits for the trace may now be answered.
    fn resume_create(
        &mut self,
        actor: &ActorId,
        script: &Script,
        now: Timestamp,
    ) -> Result<(), CloudError> {
        if !script.has_machine_answer() {
            return Ok(());
        }
        let Some((id, _)) = self.pending.remove(actor) else { return Ok(()) };
        let order = self.orders.remove(&id.actor);
        let Some((installation, size, location)) = order else { return Ok(()) };
        let order = Order {
            owner: &id.actor,
            installation: &installation,
            size: &size,
            location: &location,
        };
        let answer = self.answer_create(&order, script, now, Vec::new())?;
        self.due.insert((now, id), answer);
        Ok(())
    }

    /// Makes what the trace says there was, and says what the create call answers.
    fn answer_create(
        &mut self,
        order: &Order<'_>,
        script: &Script,
        at: Timestamp,
        mut records: Vec<Record>,
    ) -> Result<Answer, CloudError> {
        if let Some(class) = &script.failed {
            self.commit(records)?;
            return Ok(Answer::Permanent(failure(class, "so the trace says")));
        }
        if let Some(class) = &script.lost {
            records.extend(self.call_back(at, order.owner, CallbackKind::Lost(class.clone())));
            self.commit(records)?;
            return self.created(order.owner);
        }
        records.push(self.machine(order, at));
        if script.ready.is_some() {
            records.extend(self.call_back(at, order.owner, CallbackKind::Ready));
        }
        if script.is_down {
            records.extend(self.call_back(at, order.owner, CallbackKind::AgentDown));
        }
        self.commit(records)?;
        self.created(order.owner)
    }

    pub(super) fn create_scripted(
        &mut self,
        now: Timestamp,
        owed: &Owed,
        order: &Order<'_>,
    ) -> Result<Performed, CloudError> {
        let Some(script) = self.world.scripts.get(&order.owner.id).cloned() else {
            return Ok(Performed::Later);
        };
        if !script.has_machine_answer() {
            let wanted =
                (order.installation.to_owned(), order.size.to_owned(), order.location.to_owned());
            self.orders.insert(order.owner.clone(), wanted);
            self.wait_for_trace(&owed.id, None);
            return Ok(Performed::Later);
        }
        let (at, asked) = self.answers_at(now, owed, script.machine_decided_at());
        let answer = self.answer_create(order, &script, at, asked)?;
        Ok(Performed::At(at, answer))
    }

    /// When the trace came after the effect it was answered then; else it is answered soon.
    fn answers_at(
        &mut self,
        now: Timestamp,
        owed: &Owed,
        decided_at: Option<Timestamp>,
    ) -> (Timestamp, Vec<Record>) {
        if let Some(at) = decided_at.filter(|at| *at > owed.recorded_at) {
            return (at, Vec::new());
        }
        let (asked_at, asked) = self.asked_at(now, owed);
        (asked_at + SOON, asked.into_iter().collect())
    }

    /// The create of a workspace that the trace names; `None` if it names no such.
    pub(super) fn create_scripted_workspace(
        &mut self,
        now: Timestamp,
        owed: &Owed,
        node: &ActorRef,
    ) -> Result<Option<Performed>, CloudError> {
        let Some(script) = self.world.scripts.get(&owed.id.actor.id) else { return Ok(None) };
        let (answer, decided_at) = (script.workspace_answer()?, script.workspace_decided_at());
        let Some(answer) = answer else {
            self.wait_for_trace(&owed.id, Some(node));
            return Ok(Some(Performed::Later));
        };
        let (at, mut records) = self.answers_at(now, owed, decided_at);
        if matches!(answer, Answer::Done(_)) {
            records.extend(self.move_in(node, &owed.id.actor.id, at));
        }
        self.commit(records)?;
        Ok(Some(Performed::At(at, answer)))
    }

    fn answer_workspace(&mut self, actor: &ActorId, now: Timestamp) -> Result<(), CloudError> {
        let Some(script) = self.world.scripts.get(actor) else { return Ok(()) };
        let Some(answer) = script.workspace_answer()? else { return Ok(()) };
        if let Some((id, node)) = self.pending.remove(actor) {
            let moved = match (&answer, &node) {
                (Answer::Done(_), Some(node)) => self.move_in(node, actor, now),
                (Answer::Done(_) | Answer::Transient(_) | Answer::Permanent(_), _) => None,
            };
            self.commit(moved.into_iter().collect())?;
            self.due.insert((now, id), answer);
        }
        Ok(())
    }

    /// Answers every workspace that waits for the trace on a machine that goes.
    fn answer_on(&mut self, machine: &ActorRef, answer: &Answer, now: Timestamp) {
        let on_it = self.pending.iter().filter(|(_, (_, on))| on.as_ref() == Some(machine));
        let actors: Vec<ActorId> = on_it.map(|(actor, _)| actor.clone()).collect();
        for actor in actors {
            if let Some((id, _)) = self.pending.remove(&actor) {
                self.due.insert((now, id), answer.clone());
            }
        }
    }
}
