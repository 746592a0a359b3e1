//! An actor and all its descendants.

use std::io;

use serde::Serialize;
use sexton::key::{self, Parsed};
use sexton::{ActorId, Entry, Error, codec};

use super::source::Source;
use super::table::Page;
use super::{Answer, Damaged, InspectError, scan};

/// The most actors of a tree that are listed. Chosen: what a terminal can still scroll.
const LISTED_MAX: usize = 10_000;

/// One actor of a tree.
#[derive(Debug, Serialize)]
struct Leaf {
    /// How far below the root.
    depth: usize,
    id: ActorId,
    /// Its status, or what else lies under its name.
    status: String,
}

/// An actor and all its descendants, each under its parent.
#[derive(Debug, Serialize)]
pub(super) struct Tree {
    actors: Vec<Leaf>,
    /// Whether there are more than are listed.
    is_cut: bool,
    #[serde(skip)]
    damaged: Vec<Damaged>,
}

impl Answer for Tree {
    fn show(&self, page: &mut Page<'_>) -> io::Result<()> {
        for it in &self.actors {
            page.line(&format!("{}{}  {}", "  ".repeat(it.depth), it.id, it.status))?;
        }
        if self.is_cut {
            page.line(&format!("... cut after {LISTED_MAX} actors"))?;
        }
        Ok(())
    }

    fn damaged(&self) -> &[Damaged] {
        &self.damaged
    }
}

/// The tree under an actor.
pub(super) fn tree(source: &Source, root: &ActorId) -> Result<Tree, InspectError> {
    source.demand(root)?;
    let mut tree = Tree { actors: Vec::new(), is_cut: false, damaged: Vec::new() };
    let mut open = vec![(0, root.clone())];
    while let Some((depth, id)) = open.pop() {
        if tree.actors.len() >= LISTED_MAX {
            tree.is_cut = true;
            break;
        }
        let status = status(source, &id, &mut tree.damaged)?;
        let mut children = Vec::new();
        scan::records(source.store(), &key::children(&id), |at, _| {
            if let Some(Parsed::Child(_, child)) = key::parse(at) {
                children.push((depth + 1, child));
            }
            true
        })?;
        tree.actors.push(Leaf { depth, id, status });
        open.extend(children.into_iter().rev());
    }
    Ok(tree)
}

/// What lies under a name, in a word or two.
fn status(source: &Source, id: &ActorId, damaged: &mut Vec<Damaged>) -> Result<String, Error> {
    let at = key::actor(id);
    let Some(bytes) = source.store().get(&at)? else {
        let is_sure = !source.is_damaged();
        let what = if is_sure { "not born yet" } else { "not among what can be read" };
        return Ok(what.to_owned());
    };
    match codec::open::<Entry>(&bytes) {
        Ok(Entry::Tombstone(tombstone)) => Ok(format!("buried: {}", tombstone.why)),
        Ok(Entry::Alive(record)) => {
            let mut status = source.status(id)?;
            if let Some(destruction) = &record.destruction {
                status = format!("{status}, destroying: {}", destruction.why);
            }
            if let Some(why) = &record.stalled {
                status = format!("{status}, STALLED: {why}");
            }
            Ok(status)
        }
        Err(error) => {
            damaged.push(Damaged { place: format!("the record of {id}"), why: error.to_string() });
            Ok("cannot be read".to_owned())
        }
    }
}
