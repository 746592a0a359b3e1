//! What an owner or a project sets for itself: the two times that are nobody else's business.
//!
//! An override is checked against the same range as the setting that it stands for, and it
//! reaches an actor as its own terms. So whatever judges by an actor's row judges by its own
//! time, and no sweep has a grace of its own that could contradict it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::node::NodeTerms;
use crate::policy::{Policy, PolicyError};
use crate::workspace::WorkspaceTerms;

/// Times that stand in for those of the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrides {
    warm_timeout: Option<Duration>,
    workspace_stopped_ttl: Option<Duration>,
}

impl Overrides {
    /// How long its nodes stay warm, and how long its stopped workspaces are kept; `None` is
    /// what the policy says.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] if a time is out of the setting's range or not in whole seconds.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// use sexton_fleet::Overrides;
    ///
    /// let two_hours = Duration::from_secs(2 * 60 * 60);
    /// assert!(Overrides::new(Some(two_hours), None).is_ok());
    /// let error = Overrides::new(Some(4 * two_hours), None).expect_err("at most 4 h");
    /// assert_eq!(error.variable, "SEXTON_WARM_TIMEOUT");
    /// ```
    pub fn new(
        warm_timeout: Option<Duration>,
        workspace_stopped_ttl: Option<Duration>,
    ) -> Result<Self, PolicyError> {
        let set = [
            ("SEXTON_WARM_TIMEOUT", warm_timeout),
            ("SEXTON_WORKSPACE_STOPPED_TTL", workspace_stopped_ttl),
        ];
        for (variable, time) in set {
            let text = time.map(|time| format!("{}s", time.as_secs_f64()));
            Policy::from_env(|name| text.clone().filter(|_| name == variable))?;
        }
        Ok(Self { warm_timeout, workspace_stopped_ttl })
    }

    /// The terms of a node that is made under them.
    pub fn of_node(&self, terms: NodeTerms) -> NodeTerms {
        NodeTerms { warm: self.warm_timeout.unwrap_or(terms.warm), ..terms }
    }

    /// The terms of a workspace that is made under them.
    pub fn of_workspace(&self, terms: WorkspaceTerms) -> WorkspaceTerms {
        WorkspaceTerms { stopped: self.workspace_stopped_ttl.unwrap_or(terms.stopped), ..terms }
    }

    /// The policy of an owner who sets them.
    pub fn of_policy(&self, policy: &Policy) -> Policy {
        Policy {
            warm_timeout: self.warm_timeout.unwrap_or(policy.warm_timeout),
            workspace_stopped_ttl: self
                .workspace_stopped_ttl
                .unwrap_or(policy.workspace_stopped_ttl),
            ..policy.clone()
        }
    }
}
