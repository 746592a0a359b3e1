//! What a sandbox is asked to be, and what it asks of the host on which it runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::policy::Policy;

/// How a sandbox begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SandboxStart {
    /// It is started at once.
    Now,
    /// It is kept ready until somebody reserves it.
    Pooled,
}

/// What somebody wants who asks for a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxSpec {
    /// How it begins.
    pub start: SandboxStart,
    /// The worker that it shall run on.
    pub worker: String,
    /// How many units of what a sandbox has it gets; at least one.
    pub scale: u32,
}

/// How deep a sandbox sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Depth {
    /// Its checkpoint lies on its worker, and goes with it.
    Paused,
    /// Its checkpoint lies in the store of the provider; no worker has anything of it.
    Deep,
}

impl Depth {
    /// Its name in rows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Deep => "deep",
        }
    }
}

/// How long a sandbox may do what, and what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxTerms {
    /// Be in the pool.
    pub pooled: Duration,
    /// Be reserved.
    pub reserved: Duration,
    /// Take to start.
    pub pending: Duration,
    /// Run at a stretch.
    pub lifetime: Duration,
    /// Take to hibernate.
    pub hibernating: Duration,
    /// Be hibernated.
    pub hibernated: Duration,
    /// Take to wake.
    pub waking: Duration,
    /// Take to migrate.
    pub migration: Duration,
    /// Be kept after its end.
    pub retention: Duration,
    /// Run until its use is counted again.
    pub tick: Duration,
    /// What a unit of scale costs, in cents an hour.
    pub cents_per_hour: u32,
    /// The largest scale.
    pub scale_max: u32,
}

impl SandboxTerms {
    /// The terms of a policy.
    pub fn of(policy: &Policy) -> Self {
        Self {
            pooled: policy.sandbox_pooled_ttl,
            reserved: policy.sandbox_reserved_ttl,
            pending: policy.sandbox_pending_timeout,
            lifetime: policy.sandbox_lifetime,
            hibernating: policy.sandbox_hibernating_timeout,
            hibernated: policy.sandbox_hibernated_ttl,
            waking: policy.sandbox_waking_timeout,
            migration: policy.sandbox_migration_timeout,
            retention: policy.sandbox_retention,
            tick: policy.usage_tick_every,
            cents_per_hour: policy.sandbox_cents_per_hour,
            scale_max: policy.sandbox_scale_max,
        }
    }
}

/// What a sandbox begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxInit {
    /// Whose it is.
    pub owner: String,
    /// What it shall be.
    pub spec: SandboxSpec,
    /// How long it may do what, and what it costs.
    pub terms: SandboxTerms,
}

/// Work for the hosts and the store of checkpoints. The sandbox's life (`EffectId::actor`) is
/// the token: whatever was done for it already is found again and not done twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SandboxEffect {
    /// Start it; done when it runs.
    Start {
        /// Where.
        worker: String,
    },
    /// End what runs of it there. No such thing is done.
    Stop {
        /// Where.
        worker: String,
    },
    /// Write a checkpoint and end what runs; done when both is.
    Hibernate {
        /// Where it runs.
        worker: String,
        /// The checkpoint's number.
        checkpoint: u64,
        /// Where the checkpoint shall lie.
        depth: Depth,
    },
    /// Start it from a checkpoint, which stays.
    Wake {
        /// Where.
        worker: String,
        /// The checkpoint's number.
        checkpoint: u64,
    },
    /// Delete a checkpoint. No such thing is done.
    DeleteCheckpoint {
        /// Its number.
        checkpoint: u64,
    },
    /// Begin to copy it to another worker; done when that has begun. Its completion is called
    /// back as [`Migrated`](super::Migrated). A worker that cannot be reached is answered for
    /// good: the sandbox stays where it is, and whoever stops it meanwhile must not wait for that.
    Migrate {
        /// The migration's number.
        migration: u64,
        /// Where to.
        to: String,
    },
    /// Let the copy of a migration take over, and end what it was copied from. As with
    /// [`Migrate`](Self::Migrate), a worker that cannot be reached is answered for good.
    CutOver {
        /// The migration's number.
        migration: u64,
        /// Where the copy is.
        to: String,
    },
    /// Delete the copy of a migration, or see to it that none will come. No such thing is done.
    DeleteCopy {
        /// The migration's number.
        migration: u64,
    },
}
