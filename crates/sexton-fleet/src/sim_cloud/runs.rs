//! The agents' runs: they begin when they are asked to, and end by what a test or a trace says.

use sexton_core::{Answer, Owed, Store, Timestamp, codec};

use crate::session::{SessionAnswer, SessionEffect};

use super::agents::Host;
use super::{CloudError, Performed, SimCloud, done, failure};

impl SimCloud {
    pub(super) fn perform_session(
        &mut self,
        now: Timestamp,
        owed: &Owed,
        store: &dyn Store,
    ) -> Result<Performed, CloudError> {
        let effect = codec::decode::<SessionEffect>(&owed.effect)?;
        let (node, answer) = match &effect {
            SessionEffect::Start { node, .. } => (node, SessionAnswer::Started),
            SessionEffect::Stop { node, .. } => (node, SessionAnswer::Stopped),
        };
        let host = self.host(node, store)?;
        let (asked_at, asked) = self.asked_at(now, owed);
        self.commit(asked.into_iter().collect())?;
        let at = asked_at + self.chance(owed).between("agent", 1_000, 5_000);
        let is_start = answer == SessionAnswer::Started;
        let answer = match host {
            Host::Gone if is_start => {
                Answer::Permanent(failure("not_found", "there is no such machine"))
            }
            Host::Down => Answer::Transient(failure("network", "the agent cannot be reached")),
            Host::Gone | Host::Up => done(&answer)?,
        };
        Ok(Performed::At(at, answer))
    }
}
