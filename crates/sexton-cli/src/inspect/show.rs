//! One actor: all about it, why it is as it is, and what its end would take along.

use std::io;

use serde::Serialize;
use sexton::explain::Standing;
use sexton::plan::Member;
use sexton::{ActorId, ActorRef, DestroyPlan, Explanation, PlanId, explain as ask, plan_destroy};

use super::source::Source;
use super::story::{self, Logless};
use super::table::Page;
use super::{Answer, InspectError};

/// The most items of each list in an explanation.
const EXPLAINED_MAX: usize = 20;
/// The most items of each list where all is shown.
const SHOWN_MAX: usize = 100;

/// All about one actor.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    explanation: Explanation,
    /// Whether the state is written out, for people.
    #[serde(skip)]
    has_state: bool,
}

impl Answer for Shown {
    fn show(&self, page: &mut Page<'_>) -> io::Result<()> {
        // The state on one line is for logs; here it stands below, or is not asked for.
        let text = self.explanation.to_string();
        for line in text.lines().filter(|line| !line.starts_with("  state ")) {
            page.line(line)?;
        }
        if let (true, Standing::Living(living)) = (self.has_state, &self.explanation.standing)
            && let Some(state) = &living.state
        {
            page.line("  state")?;
            for line in serde_json::to_string_pretty(state).map_err(io::Error::from)?.lines() {
                page.line(&format!("    {line}"))?;
            }
        }
        Ok(())
    }

    fn is_clean(&self) -> bool {
        match &self.explanation.standing {
            Standing::Living(living) => living.unreadable.is_none(),
            Standing::Unknown | Standing::Buried(_) => true,
        }
    }
}

/// All about one actor: its state, deadlines, debts, mail, children and last events.
pub(super) fn show(source: &Source, id: &ActorId) -> Result<Shown, InspectError> {
    let explanation = explained(source, id, SHOWN_MAX)?;
    Ok(Shown { explanation, has_state: true })
}

/// Why it is awake or stalled, what rings next and for what, and its story.
pub(super) fn explain(source: &Source, id: &ActorId) -> Result<Shown, InspectError> {
    let explanation = explained(source, id, EXPLAINED_MAX)?;
    Ok(Shown { explanation, has_state: false })
}

fn explained(source: &Source, id: &ActorId, limit: usize) -> Result<Explanation, InspectError> {
    source.demand(id)?;
    if source.is_damaged() {
        // A log with gaps is refused by whoever takes it for whole.
        let mut explanation = ask(&Logless(source.store()), source.kinds(), id, limit)?;
        story::tell(source, &mut explanation, limit)?;
        return Ok(explanation);
    }
    Ok(ask(source.store(), source.kinds(), id, limit)?)
}

/// What destroying would take along.
#[derive(Debug, Serialize)]
pub(super) struct Planned {
    /// The fingerprint; a plan of what can be read of a damaged store has none.
    id: Option<PlanId>,
    root: ActorRef,
    members: Vec<Member>,
    #[serde(skip)]
    text: String,
}

impl Answer for Planned {
    fn show(&self, page: &mut Page<'_>) -> io::Result<()> {
        if self.id.is_none() {
            let what = "the store is damaged: this plan is of what can be read of it, and has no \
                        fingerprint";
            page.verdict(false, what)?;
        }
        for line in self.text.lines() {
            page.line(line)?;
        }
        Ok(())
    }
}

/// What destroying an actor would take along, in order, and what would block it.
pub(super) fn plan(source: &Source, id: &ActorId) -> Result<Planned, InspectError> {
    source.demand(id)?;
    let plan = plan_destroy(source.store(), source.kinds(), id)?;
    let text = plan.to_string();
    let DestroyPlan { id, root, members } = plan;
    if !source.is_damaged() {
        return Ok(Planned { id: Some(id), root, members, text });
    }
    let text = text.replacen(&format!("plan {id}: "), "", 1);
    Ok(Planned { id: None, root, members, text })
}
