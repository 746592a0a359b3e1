//! Names: each owner has his own, although actors have theirs from one table.
//!
//! ```text
//! his name    actor                 made by
//! w-1         workspace/alice.w-1   alice
//! ~n1         node/alice~n1         the fleet, for her
//! t-1~w1      workspace/alice.t-1~w1   her task t-1
//! ```
//!
//! An owner's name has neither `.` nor `~` in it, so nobody can name what is another's: that
//! somebody else has something of the same name is not even to be found out.

use sexton_agent::wire::{Code, Problem};

/// The longest name of an owner, and of what is his. Chosen: names are for people.
const BYTES_MAX: usize = 48;

fn is_plain(name: &str, more: &[u8]) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || more.contains(&byte);
    !name.is_empty() && name.len() <= BYTES_MAX && name.bytes().all(is_part)
}

/// That this can be the name of an owner.
pub(crate) fn check_owner(name: &str) -> Result<(), Problem> {
    if is_plain(name, b"") {
        return Ok(());
    }
    let why = format!("an owner's name is 1 to {BYTES_MAX} letters, digits and `-`");
    Err(Problem::new(Code::Invalid, why))
}

/// The actor's name of what an owner makes under a name of his.
pub(crate) fn new(owner: &str, name: &str) -> Result<String, Problem> {
    if is_plain(name, b"_") {
        return Ok(format!("{owner}.{name}"));
    }
    let why = format!("a name is 1 to {BYTES_MAX} letters, digits, `-` and `_`");
    Err(Problem::new(Code::Invalid, why))
}

/// The actor's name of what an owner calls so, whoever made it.
pub(crate) fn full(owner: &str, name: &str) -> String {
    let is_of_fleet = name.starts_with('~');
    if is_of_fleet { format!("{owner}{name}") } else { format!("{owner}.{name}") }
}

/// The actor's name of a node that an owner names: his own, or one that the fleet made for him.
pub(crate) fn node(owner: &str, name: &str) -> Result<String, Problem> {
    new(owner, name.strip_prefix('~').unwrap_or(name))?;
    Ok(full(owner, name))
}

/// What an owner calls the actor of this name, if it is his.
pub(crate) fn local<'a>(owner: &str, full: &'a str) -> Option<&'a str> {
    let rest = full.strip_prefix(owner)?;
    rest.strip_prefix('.').or_else(|| Some(rest).filter(|rest| rest.starts_with('~')))
}
