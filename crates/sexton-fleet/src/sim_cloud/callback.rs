//! What the cloud calls back: to the life that a machine, a container or a copy was made for, with
//! that life's epoch.

use serde::{Deserialize, Serialize};
use sexton_core::{ActorRef, Call, Reply, Timestamp};

use crate::container::{Container, ContainerCallback, ContainerSays};
use crate::node::{AgentDown, AgentUp, Lost, Node, Ready};
use crate::sandbox::{Migrated, Sandbox};

/// One callback; repeated after a restart until it is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// Its number, by which it is acknowledged.
    pub number: u64,
    /// When it goes out.
    pub due: Timestamp,
    /// The life that it is about; its incarnation is the epoch.
    pub to: ActorRef,
    /// What it says.
    pub what: CallbackKind,
}

/// What a callback says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallbackKind {
    /// The agent is ready.
    Ready,
    /// The agent is reached again.
    AgentUp,
    /// The agent is not reached.
    AgentDown,
    /// The machine is gone, with the class of the loss.
    Lost(String),
    /// The process of a container, of this start, says something.
    Container {
        /// Which start.
        run: u64,
        /// What it says.
        says: ContainerSays,
    },
    /// The copy of this migration is complete.
    Migrated(u64),
}

impl Callback {
    /// The call that delivers it.
    pub fn call(&self, reply: Reply<()>) -> Call {
        let epoch = self.to.incarnation;
        match &self.what {
            CallbackKind::Ready => Call::new::<Node, _>(Ready { epoch, version: None }, reply),
            CallbackKind::AgentUp => Call::new::<Node, _>(AgentUp { epoch }, reply),
            CallbackKind::AgentDown => Call::new::<Node, _>(AgentDown { epoch }, reply),
            CallbackKind::Lost(class) => {
                Call::new::<Node, _>(Lost { epoch, class: class.clone() }, reply)
            }
            CallbackKind::Container { run, says } => {
                let callback = ContainerCallback { epoch, run: *run, says: says.clone() };
                Call::new::<Container, _>(callback, reply)
            }
            CallbackKind::Migrated(migration) => {
                Call::new::<Sandbox, _>(Migrated { epoch, migration: *migration }, reply)
            }
        }
    }
}
