//! Who may say what carries no caller: the actor that says it by design, and nobody else.
//!
//! A command says who asks. What actors tell each other says only who sent it, and that the
//! runtime writes down itself: so whoever acts on it looks there first. A call from outside has no
//! sender, and is refused. The refusal says no more than that to whom a command is not his.

use sexton_core::sweep::Sweeper;
use sexton_core::{Actor, Refusal, Turn};

/// # Errors
///
/// [`Refusal`] that reveals nothing, unless the sender is the right one.
pub(crate) fn only_if(is_right: bool) -> Result<(), Refusal> {
    if is_right { Ok(()) } else { Err(Refusal::new("not yours")) }
}

/// Whether an actor of kind `S` with this name sent it.
pub(crate) fn is_from<S: Actor, A: Actor>(name: &str, turn: &Turn<A>) -> bool {
    turn.from().is_some_and(|from| from.id.kind() == S::KIND && from.id.name() == name)
}

/// Whether any actor of kind `S` sent it.
pub(crate) fn is_from_kind<S: Actor, A: Actor>(turn: &Turn<A>) -> bool {
    turn.from().is_some_and(|from| from.id.kind() == S::KIND)
}

/// Whether the parent sent it.
pub(crate) fn is_from_parent<A: Actor>(turn: &Turn<A>) -> bool {
    turn.from().is_some() && turn.from() == turn.parent()
}

/// What a sweep asks for that the receiver cannot judge alone is taken from sweeps only: it is
/// no way around whose command it would be.
///
/// # Errors
///
/// [`Refusal`] if it came from anywhere else.
pub(crate) fn only_from_sweeps<A: Actor>(turn: &Turn<A>) -> Result<(), Refusal> {
    let is_sweep = is_from_kind::<Sweeper, A>(turn);
    if is_sweep { Ok(()) } else { Err(Refusal::new("only sweeps ask this")) }
}
