//! What a task does when something failed: again, smaller, elsewhere, or not at all.
//!
//! | what happened | what follows |
//! |---|---|
//! | no machine of the default size | at once, with the next smaller size |
//! | what may work later | after a wait that doubles; three times, then the task fails |
//! | what will not work later | the task fails |
//! | nothing failed, and the placement is lost | at once, a new attempt with new clocks |

use sexton_core::Turn;

use crate::due;
use crate::fault::Fault;

use super::{Course, TaskEnd, TaskRunner};

impl TaskRunner {
    /// Whether news is of the present attempt; what is not changes nothing.
    pub(super) fn is_current(&self, workspace: &str, turn: &mut Turn<Self>) -> bool {
        let is_current = self.workspace(turn) == workspace && self.course == Course::Under;
        if !is_current {
            turn.event("late", format!("news of {workspace}, in attempt {}", self.attempt));
        }
        is_current
    }

    /// The placement is lost; whoever took it says what went wrong, if something did.
    pub(super) fn lost(&mut self, why: &str, fault: Option<Fault>, turn: &mut Turn<Self>) {
        turn.event("placement_lost", format!("attempt {}: {why}", self.attempt));
        // What ends in the same moment as the time for it took too long.
        if let Some(due) = due::overdue(&self.dues(), turn.now()) {
            self.act(due, "deadline", turn);
            return;
        }
        match fault {
            None => {
                self.entered.clear();
                if self.next_attempt("placement", turn) {
                    let left = Self::workspace_of(self.attempt - 1, turn);
                    self.seek(Some(left), turn);
                }
            }
            Some(Fault::Capacity) if self.may_take_smaller() => {
                if self.next_attempt(Fault::Capacity.name(), turn) {
                    self.smaller += 1;
                    turn.event("smaller", format!("{} below the default size", self.smaller));
                    let left = Self::workspace_of(self.attempt - 1, turn);
                    self.seek(Some(left), turn);
                }
            }
            Some(fault) if fault.is_transient() => self.rest(fault, turn),
            Some(fault) => self.strand(fault.name(), turn),
        }
    }

    /// Only where nobody named the size.
    fn may_take_smaller(&self) -> bool {
        self.init.spec.place.size.is_none() && self.smaller < self.init.terms.smaller_max
    }

    /// Whether there is another attempt.
    fn next_attempt(&mut self, class: &str, turn: &mut Turn<Self>) -> bool {
        let is_allowed = self.attempt < self.init.terms.attempts_max;
        if is_allowed {
            self.attempt += 1;
        } else {
            self.strand(class, turn);
        }
        is_allowed
    }

    /// Tries again after a wait, if it did not do so too often; the clocks go on.
    fn rest(&mut self, fault: Fault, turn: &mut Turn<Self>) {
        // Of a task of somebody outside its owner decides when it tried long enough.
        let is_over = self.retries >= self.init.terms.retries_max && !self.is_external();
        if is_over {
            self.strand(fault.name(), turn);
            return;
        }
        if self.next_attempt(fault.name(), turn) {
            self.failed_at = self.at;
            self.retries += 1;
            let wait = self.init.terms.retry.wait(self.retries);
            let (n, name) = (self.retries, fault.name());
            turn.event("retry", format!("number {n} in {} s: {name}", wait.as_secs()));
            self.course = Course::Resting(turn.now() + wait);
        }
    }

    /// No attempt is left: a managed task fails, of another its owner decides.
    pub(super) fn strand(&mut self, class: &str, turn: &mut Turn<Self>) {
        if self.is_external() {
            self.course = Course::Stranded;
        } else {
            self.end(&TaskEnd::Failed { class: class.to_owned() }, "placement", turn);
        }
    }
}
