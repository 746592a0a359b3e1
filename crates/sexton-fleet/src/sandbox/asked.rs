//! What whoever speaks to a sandbox may want to know of it before.

use sexton_core::{Status, Timestamp};

use super::{Course, Sandbox, SandboxStatus};

impl Sandbox {
    /// Whose it is.
    pub fn owner(&self) -> &str {
        &self.init.owner
    }

    /// Whether it is in the pool, so that somebody can reserve it.
    pub fn is_pooled(&self) -> bool {
        self.status == SandboxStatus::Pooled
    }

    /// Whether it runs and is meant to: it can be hibernated.
    pub fn can_hibernate(&self) -> bool {
        self.status == SandboxStatus::Running
            && matches!(self.course, Course::Steady | Course::Returning(_))
    }

    /// Since when it sleeps or is being put to sleep, if it could be woken: nobody does so
    /// already, and nobody halted it.
    pub fn asleep_since(&self) -> Option<Timestamp> {
        let since = match (self.status, self.course) {
            (SandboxStatus::Hibernated, Course::Steady) => Some(self.since),
            (_, Course::Hibernating(at)) => Some(at),
            (_, Course::Steady | Course::Returning(_) | Course::Waking(_)) => None,
        };
        since.filter(|_| !self.halted.is_halted)
    }

    /// Whether nobody means it to run: it sleeps, is being put to sleep, or has ended.
    pub fn is_given_up(&self) -> bool {
        self.status.is_terminal()
            || matches!(self.course, Course::Hibernating(_))
            || (self.status == SandboxStatus::Hibernated && self.course == Course::Steady)
    }
}
