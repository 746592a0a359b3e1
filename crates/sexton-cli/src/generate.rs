//! Makes the small event list that the project ships: three days of an invented fleet.
//!
//! Everything follows from a seed, so the list can be made again, and another seed makes another
//! list of the same mix. It is not a model of any system. It is small enough to be read by a
//! person and holds on purpose one of everything that real lists were seen to hold:
//!
//! - machines that boot, go down, come up, are deleted, are preempted, are never deleted, never
//!   become ready, and cannot be had (capacity, quota, region, invalid, other);
//! - workspaces that fail, are cancelled, come back after their end, and are never deleted;
//! - workspaces that are sandboxes: opened again soon and late, and never ended;
//! - tasks that finish, fail, time out, are lost with their machine, and are not seen to end;
//! - parents that are in the list (machines, workspaces) and parents that nobody introduced
//!   (owners, sites, a machine of another list);
//! - lives of no length, things alive at the first instant, and many events at one instant.
//!
//! At one instant ends come before starts, children's ends first; only a life of no length ends
//! after its own start.

mod random;
mod scenes;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::trace::{HEADER, TraceEvent, TraceKind};
use random::Random;

/// The seed of the list that the project ships.
pub const SHIPPED_SEED: u64 = 1;

/// Writes the list that follows from `seed`, header first.
///
/// # Errors
///
/// Whatever `out` answers.
///
/// # Example
///
/// ```
/// let mut list = Vec::new();
/// sexton_cli::generate::write(7, &mut list).expect("a vector takes everything");
/// assert!(list.starts_with(b"t_ms,kind,id,parent,event,info\n0,"));
/// ```
pub fn write(seed: u64, out: &mut impl Write) -> io::Result<()> {
    let mut list = List { random: Random::new(seed), lines: Vec::new(), births: [0; 3] };
    scenes::play(&mut list);
    // Stable: what one scene wrote at one instant and rank stays in its order.
    list.lines.sort_by_key(|line| (line.at_ms, line.rank));
    let mut text = format!("{HEADER}\n");
    for Line { at_ms, thing, event, more, .. } in &list.lines {
        let Thing { kind, id, parent } = thing;
        writeln!(text, "{at_ms},{kind},{id},{parent},{event},{more}").map_err(io::Error::other)?;
    }
    out.write_all(text.as_bytes())
}

/// A list in the making.
struct List {
    random: Random,
    lines: Vec<Line>,
    /// How many things of each kind have been named.
    births: [u32; 3],
}

/// Something that lives in the list.
#[derive(Clone)]
struct Thing {
    kind: TraceKind,
    id: String,
    parent: String,
}

/// One row, and its rank among the rows of its instant.
struct Line {
    at_ms: u64,
    rank: Rank,
    thing: Thing,
    event: TraceEvent,
    more: String,
}

/// The order of rows at one instant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Tasks end before what they ran on.
    TaskEnd,
    /// Workspaces end before their machine.
    WorkspaceEnd,
    /// Machines end last.
    NodeEnd,
    /// Then things begin and go on.
    Start,
    /// A life of no length ends after it began.
    InstantEnd,
}

impl List {
    /// Names a new thing.
    fn thing(&mut self, kind: TraceKind, parent: &str) -> Thing {
        let (births, letter) = match kind {
            TraceKind::Node => (&mut self.births[0], 'n'),
            TraceKind::Workspace => (&mut self.births[1], 'w'),
            TraceKind::Task => (&mut self.births[2], 't'),
        };
        *births += 1;
        Thing { kind, id: format!("{letter}{births:03}"), parent: parent.to_owned() }
    }

    /// Adds a row.
    fn add(&mut self, thing: &Thing, at_ms: u64, event: TraceEvent, more: impl Into<String>) {
        let is_end = event.is_end();
        let has_just_begun = self
            .lines
            .iter()
            .any(|it| it.at_ms == at_ms && it.rank == Rank::Start && it.thing.id == thing.id);
        let rank = match thing.kind {
            _ if !is_end => Rank::Start,
            _ if has_just_begun => Rank::InstantEnd,
            TraceKind::Node => Rank::NodeEnd,
            TraceKind::Workspace => Rank::WorkspaceEnd,
            TraceKind::Task => Rank::TaskEnd,
        };
        self.lines.push(Line { at_ms, rank, thing: thing.clone(), event, more: more.into() });
    }
}
