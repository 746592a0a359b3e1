//! The fleet's lifecycles, as models for the coverage check: what may happen to one of a kind.
//!
//! [`all`] checks every kind with both nets under it. A model is a few lines; what somebody
//! outside decides about stands there as `left_to`, with his name, and nowhere else. Of whatever
//! a kind has a sweep for there is one that the sweep selects: so each has a birth as the child
//! of a parent that is [lost](LOST).

mod nodes;
mod workspaces;
mod tasks;
mod owners;
mod towns;
mod sandboxes;

use sexton_core::coverage::{Check, Seen};
use sexton_core::{Actor, ActorId, ActorRef, Failure};

use crate::caller::{Caller, Tenure};
use crate::fault::Fault;
use crate::policy::Policy;

pub use self::nodes::{node, reaper};
pub use self::owners::owner;
pub use self::sandboxes::{credit, sandbox, worker};
pub use self::tasks::task;
pub use self::towns::{agent, agent_identity, container, town};
pub use self::workspaces::{session, workspace};

/// The checks of every kind of the fleet.
pub fn all(policy: &Policy) -> Vec<Box<dyn Check>> {
    vec![
        Box::new(owner(policy)),
        Box::new(node(policy)),
        Box::new(workspace(policy)),
        Box::new(session(policy)),
        Box::new(task(policy)),
        Box::new(reaper(policy)),
        Box::new(town(policy)),
        Box::new(container(policy)),
        Box::new(agent(policy)),
        Box::new(agent_identity(policy)),
        Box::new(sandbox(policy)),
        Box::new(credit(policy)),
        Box::new(worker(policy)),
    ]
}

const OWNER: &str = "ada";
/// Has its tombstone: what still names it as parent or task was left behind.
const LOST: &str = "lost";
/// Something about whose end somebody outside decides.
const KEPT: &str = "kept";

fn id<A: Actor>(name: &str) -> ActorId {
    ActorId::new(A::KIND, name).expect("the names in the models keep the rules of ids")
}

fn life<A: Actor>(name: &str) -> ActorRef {
    ActorRef { id: id::<A>(name), incarnation: 1 }
}

fn is_lost(id: &ActorId) -> bool {
    id.name() == LOST
}

fn failure(fault: Fault) -> Failure {
    Failure { class: fault.name().to_owned(), message: "the model says so".to_owned() }
}

fn caller() -> Caller {
    Caller::owner(OWNER)
}

fn operator() -> Caller {
    Caller::operator("olga")
}

/// What is of external tenure: its owner decides, and nobody else.
fn kept_by_its_owner<A>(seen: &Seen<'_, A>) -> Option<String> {
    let is_external = seen.row().record.text("tenure") == Some(Tenure::External.name());
    is_external.then(|| "external tenure: whoever requested it ends it".to_owned())
}
