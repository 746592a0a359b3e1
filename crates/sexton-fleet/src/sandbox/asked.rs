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

    /// Whether it runs and nothing else is under way: it can be hibernated.
    pub fn can_hibernate(&self) -> bool {
        self.status == SandboxStatus::Running && self.course == Course::Steady
    }

    /// Since when it sleeps, if it could be woken: nobody does so already, and nobody halted it.
    pub fn asleep_since(&self) -> Option<Timestamp> {
        let is_asleep = self.status == SandboxStatus::Hibernated && self.course == Course::Steady;
        (is_asleep && !self.halted.is_halted).then_some(self.since)
    }

    /// Whether nobody means it to run: it sleeps, is being put to sleep, or has ended.
    pub fn is_given_up(&self) -> bool {
        let is_waking = matches!(self.course, Course::Waking(_));
        self.status.is_terminal()
            || matches!(self.course, Course::Hibernating(_))
            || (self.status == SandboxStatus::Hibernated && !is_waking)
    }
}
