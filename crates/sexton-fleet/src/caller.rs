//! Who asks, and who decides when something ends.

use serde::{Deserialize, Serialize};
use sexton_core::{Actor, Refusal, Turn};

/// Whoever requested a thing either leaves its end to the fleet or keeps it for himself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tenure {
    /// The fleet may end it: by a deadline, a timeout or a sweep.
    Managed,
    /// Whoever requested it decides when it ends: no deadline and no sweep ends it, times it out
    /// or moves it to error. It goes on command, when its creation fails, and when it is lost.
    External,
}

impl Tenure {
    /// Its name in rows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Managed => "managed",
            Self::External => "external",
        }
    }
}

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Everything with what is his.
    Owner,
    /// Everything with what is anybody's; the event says so.
    Operator,
}

/// Who asks; every command carries one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Whose he is; for an operator, his own name.
    pub owner: String,
    /// What he may do.
    pub role: Role,
}

impl Caller {
    /// The owner of that name.
    pub fn owner(name: impl Into<String>) -> Self {
        Self { owner: name.into(), role: Role::Owner }
    }

    /// An operator.
    pub fn operator(name: impl Into<String>) -> Self {
        Self { owner: name.into(), role: Role::Operator }
    }

    /// Whether he may command what belongs to `owner`; checked before anything else is done.
    ///
    /// # Errors
    ///
    /// [`Refusal`] that reveals nothing beyond that it is not his.
    pub fn may_command(&self, owner: &str) -> Result<(), Refusal> {
        match self.role {
            Role::Operator => Ok(()),
            Role::Owner if self.owner == owner => Ok(()),
            Role::Owner => Err(Refusal::new("not yours")),
        }
    }
}

/// Whether the caller may command what belongs to `owner`; checked before anything else is done.
/// That an operator did it is an event of its own.
///
/// # Errors
///
/// As [`Caller::may_command`].
pub(crate) fn authorize<A: Actor>(
    caller: &Caller,
    of: (&str, &str),
    turn: &mut Turn<A>,
) -> Result<(), Refusal> {
    let (owner, what) = of;
    caller.may_command(owner)?;
    if caller.role == Role::Operator {
        turn.event("operator", format!("{} {what}", caller.owner));
    }
    Ok(())
}

/// As [`authorize`], for what no owner decides about himself: an operator commands it.
///
/// # Errors
///
/// [`Refusal`], which tells nobody but the owner that it is there.
pub(crate) fn authorize_operator<A: Actor>(
    caller: &Caller,
    of: (&str, &str),
    turn: &mut Turn<A>,
) -> Result<(), Refusal> {
    authorize(caller, of, turn)?;
    match caller.role {
        Role::Operator => Ok(()),
        Role::Owner => Err(Refusal::new("only an operator may")),
    }
}
