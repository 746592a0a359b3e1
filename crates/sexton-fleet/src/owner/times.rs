//! Times that an owner sets for all that is his, or for one of his projects.
//!
//! They hold for nodes and workspaces that are made from then on; each carries its own to its
//! end, and its sweep goes by exactly these.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton_core::{Handler, Message, Refusal, Turn};

use crate::caller::Caller;
use crate::node::NodeTerms;
use crate::policy::Policy;
use crate::workspace::WorkspaceTerms;

use super::Owner;
use super::commands::authorize;

/// The most projects with times of their own. Chosen: the state is written anew every turn.
const PROJECTS_MAX: usize = 100;

/// Sets a time of an owner, or of one of his projects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetTime {
    /// Who asks.
    pub caller: Caller,
    /// For this project; `None` is for all that has none of its own.
    pub project: Option<String>,
    /// Which: `warm_timeout`, `workspace_stopped_ttl` or `workspace_idle_timeout`.
    pub name: String,
    /// To what, such as `90s`, `30m` or `4h`; within the range of the policy.
    pub value: String,
}

impl Message for SetTime {
    const NAME: &'static str = "set_time";
    type Reply = ();
}

/// What a project has of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Times {
    warm: Option<Duration>,
    stopped: Option<Duration>,
    idle: Option<Duration>,
}

impl Times {
    pub(super) fn adjust_node(self, terms: &mut NodeTerms) {
        terms.warm = self.warm.unwrap_or(terms.warm);
    }

    pub(super) fn adjust_workspace(self, terms: &mut WorkspaceTerms) {
        terms.stopped = self.stopped.unwrap_or(terms.stopped);
        terms.idle = self.idle.unwrap_or(terms.idle);
    }
}

impl Owner {
    pub(super) fn times_of(&self, project: Option<&str>) -> Times {
        project.and_then(|project| self.projects.get(project)).copied().unwrap_or_default()
    }
}

/// Reads one setting as the policy does, and refuses it by the same words.
fn read(name: &str, value: &str) -> Result<Policy, Refusal> {
    let asked = format!("SEXTON_{}", name.to_ascii_uppercase());
    Policy::from_env(|variable| (variable == asked).then(|| value.to_owned()))
        .map_err(|error| Refusal::new(error.to_string()))
}

impl Handler<SetTime> for Owner {
    fn handle(&mut self, message: SetTime, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let SetTime { caller, project, name, value } = message;
        authorize(&caller, "set_time", turn)?;
        let read = read(&name, &value)?;
        let mut times = self.times_of(project.as_deref());
        let own = &mut self.init.policy;
        let (own, of_project, set) = match name.as_str() {
            "warm_timeout" => (&mut own.warm_timeout, &mut times.warm, read.warm_timeout),
            "workspace_stopped_ttl" => {
                (&mut own.workspace_stopped_ttl, &mut times.stopped, read.workspace_stopped_ttl)
            }
            "workspace_idle_timeout" => {
                (&mut own.workspace_idle_timeout, &mut times.idle, read.workspace_idle_timeout)
            }
            other => return Err(Refusal::new(format!("{other} is not an owner's to set"))),
        };
        let Some(project) = project else {
            *own = set;
            return Ok(());
        };
        *of_project = Some(set);
        let n = self.projects.len();
        if n >= PROJECTS_MAX && !self.projects.contains_key(&project) {
            return Err(Refusal::new(format!("{n} of at most {PROJECTS_MAX} projects have times")));
        }
        self.projects.insert(project, times);
        Ok(())
    }
}
