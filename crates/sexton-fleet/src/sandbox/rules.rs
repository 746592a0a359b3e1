//! When a sandbox must do what by itself, and what it then does.

use serde::{Deserialize, Serialize};
use sexton_core::{Handler, Refusal, Timestamp, Turn};

use crate::due::{self, Expire};

use super::{Course, Sandbox, SandboxStatus};

/// The most deadlines that one message of a sweep acts on. Chosen: more than a sandbox has.
const ACTS_MAX: usize = 8;

/// What a sandbox's deadlines mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SandboxDue {
    /// It was in the pool long enough.
    Pooled,
    /// It was reserved long enough.
    Reserved,
    /// It took too long to start.
    Pending,
    /// It ran long enough.
    Lifetime,
    /// Its use is to be counted.
    Tick,
    /// It took too long to hibernate.
    Hibernating,
    /// It was hibernated long enough.
    Hibernated,
    /// It took too long to wake.
    Waking,
    /// The migration of this number is stale, or its copy was never spoken for.
    Migration(u64),
    /// It ended, and its row was kept long enough.
    Retention,
}

impl SandboxDue {
    /// Its name in rows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pooled => "pooled",
            Self::Reserved => "reserved",
            Self::Pending => "pending",
            Self::Lifetime => "lifetime",
            Self::Tick => "tick",
            Self::Hibernating => "hibernating",
            Self::Hibernated => "hibernated",
            Self::Waking => "waking",
            Self::Migration(_) => "migration",
            Self::Retention => "retention",
        }
    }
}

impl Sandbox {
    /// Every deadline of the state.
    pub(super) fn dues(&self) -> Vec<(Timestamp, SandboxDue)> {
        let mut dues = self.bounds();
        dues.extend(self.tick_due().map(|at| (at, SandboxDue::Tick)));
        dues
    }

    /// When its use is to be counted next. Not in the row: it moves every few seconds, and a row
    /// that moves with it would tell nobody when the sandbox changed.
    pub(super) fn tick_due(&self) -> Option<Timestamp> {
        self.usage.due(self.init.terms.tick)
    }

    /// The deadlines that bound what it does: the earliest is shown in the row.
    pub(super) fn bounds(&self) -> Vec<(Timestamp, SandboxDue)> {
        let terms = &self.init.terms;
        let lifetime = (self.up_since + terms.lifetime, SandboxDue::Lifetime);
        let mut dues = match self.status {
            // From its birth: reserving it again and again keeps it no longer.
            SandboxStatus::Pooled => vec![(self.created_at + terms.pooled, SandboxDue::Pooled)],
            SandboxStatus::Reserved => vec![(self.since + terms.reserved, SandboxDue::Reserved)],
            SandboxStatus::Pending => vec![(self.since + terms.pending, SandboxDue::Pending)],
            SandboxStatus::Running | SandboxStatus::Migrating => vec![lifetime],
            SandboxStatus::Hibernated => {
                vec![(self.since + terms.hibernated, SandboxDue::Hibernated)]
            }
            SandboxStatus::Stopped | SandboxStatus::Error | SandboxStatus::Failed => {
                vec![(self.since + terms.retention, SandboxDue::Retention)]
            }
        };
        match self.course {
            Course::Steady => {}
            Course::Hibernating(at) | Course::Returning(at) => {
                dues.push((at + terms.hibernating, SandboxDue::Hibernating));
            }
            Course::Waking(at) => dues.push((at + terms.waking, SandboxDue::Waking)),
        }
        // Of their own age, and not of the sandbox's.
        let copies = self.holdings.copies.iter().filter(|(_, copy)| !copy.is_given_up);
        dues.extend(
            copies.map(|(n, copy)| (copy.begun_at + terms.migration, SandboxDue::Migration(*n))),
        );
        dues
    }

    pub(super) fn act(&mut self, due: SandboxDue, turn: &mut Turn<Self>) {
        match due {
            SandboxDue::Pooled => self.end(SandboxStatus::Stopped, "not needed", turn),
            SandboxDue::Reserved => {
                self.holder = None;
                self.enter(SandboxStatus::Pooled, turn);
            }
            SandboxDue::Pending => self.end(SandboxStatus::Failed, "not started in time", turn),
            SandboxDue::Lifetime => self.end(SandboxStatus::Stopped, "lifetime over", turn),
            SandboxDue::Tick => self.tick(turn),
            SandboxDue::Hibernating => {
                self.end(SandboxStatus::Error, "not hibernated in time", turn);
            }
            SandboxDue::Hibernated => {
                self.end(SandboxStatus::Stopped, "hibernated long enough", turn);
            }
            SandboxDue::Waking => self.end(SandboxStatus::Error, "not woken in time", turn),
            SandboxDue::Migration(migration) => self.give_up_migration(migration, "stale", turn),
            SandboxDue::Retention => {
                let why = self.why.clone().unwrap_or_else(|| "ended".to_owned());
                turn.destroy(why, "deadline");
            }
        }
    }
}

impl Handler<Expire> for Sandbox {
    /// Acts on all that is due, oldest first: a sweep comes seldom.
    fn handle(&mut self, message: Expire, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let now = turn.now();
        if due::overdue(&self.dues(), now).is_none() {
            return Err(Refusal::new(format!("nothing is due: {}", message.why)));
        }
        for _ in 0..ACTS_MAX {
            let Some(due) = due::overdue(&self.dues(), now) else { break };
            self.act(due, turn);
            if due == SandboxDue::Retention {
                break;
            }
        }
        Ok(())
    }
}
