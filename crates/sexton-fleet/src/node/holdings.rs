//! What lies beside a machine: DNS names and volumes, each of them a debt of its own.
//!
//! A holding is recorded before it is made, in the turn that asks for it, and each one that is
//! recorded is released in the end, whether its making was ever confirmed or not. Deleting the
//! machine settles nothing but the machine: a volume whose server is gone is still owed.

use std::fmt;

use serde::{Deserialize, Serialize};
use sexton_core::{Handler, Message, Refusal, Turn};

use crate::caller::{Caller, authorize};

use super::{Node, NodeEffect};

/// Something at the provider that is not the machine, and does not go with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Holding {
    /// A name that leads to the machine.
    Dns {
        /// The name.
        name: String,
    },
    /// A disk that outlives the machine.
    Volume {
        /// Its name among those of this node.
        name: String,
    },
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns { name } => write!(f, "dns {name}"),
            Self::Volume { name } => write!(f, "volume {name}"),
        }
    }
}

/// The most of them on one node. Chosen: providers allow 16 disks at one machine.
const HOLDINGS_MAX: usize = 16;

/// Makes something beside the machine; asking twice is asking once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attach {
    /// Who asks.
    pub caller: Caller,
    /// What.
    pub holding: Holding,
}

impl Handler<Attach> for Node {
    fn handle(&mut self, message: Attach, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize(&message.caller, (&self.init.owner, Attach::NAME), turn)?;
        let is_new = !self.holdings.contains(&message.holding);
        if is_new && self.holdings.len() >= HOLDINGS_MAX {
            let why = format!("the node has {HOLDINGS_MAX} names and volumes, and no more");
            return Err(Refusal::new(why));
        }
        if self.holdings.insert(message.holding.clone()) {
            turn.effect(&NodeEffect::Attach { holding: message.holding });
        }
        Ok(())
    }
}

impl Node {
    /// Owes the end of everything that was recorded.
    pub(super) fn release_holdings(&self, turn: &mut Turn<Self>) {
        for holding in &self.holdings {
            turn.effect(&NodeEffect::Release { holding: holding.clone() });
        }
    }
}
