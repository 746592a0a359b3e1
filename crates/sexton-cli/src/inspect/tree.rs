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
    #[serde(flatten)]
    standing: Standing,
}

/// What lies under a name.
#[derive(Debug, Default, Serialize)]
struct Standing {
    /// Its status, or in a word or two why it has none.
    status: String,
    /// Why it is buried, if it is.
    buried: Option<String>,
    /// Why it is being destroyed, if it is.
    destroying: Option<String>,
    /// Why it makes no progress, if it is stalled.
    stalled: Option<String>,
}

impl Standing {
    fn of(status: impl Into<String>) -> Self {
        Self { status: status.into(), ..Self::default() }
    }

    fn text(&self) -> String {
        let said = [(": ", &self.buried), (", destroying: ", &self.destroying)];
        let said = said.into_iter().chain([(", STALLED: ", &self.stalled)]);
        let said = said.filter_map(|(before, why)| Some([before, why.as_deref()?].concat()));
        std::iter::once(self.status.clone()).chain(said).collect()
    }
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
            page.line(&format!("{}{}  {}", "  ".repeat(it.depth), it.id, it.standing.text()))?;
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
        let standing = standing(source, &id, &mut tree.damaged)?;
        let mut children = Vec::new();
        scan::records(source.store(), &key::children(&id), |at, _| {
            if let Some(Parsed::Child(_, child)) = key::parse(at) {
                children.push((depth + 1, child));
            }
            true
        })?;
        tree.actors.push(Leaf { depth, id, standing });
        open.extend(children.into_iter().rev());
    }
    Ok(tree)
}

fn standing(source: &Source, id: &ActorId, damaged: &mut Vec<Damaged>) -> Result<Standing, Error> {
    let at = key::actor(id);
    let Some(bytes) = source.store().get(&at)? else {
        let is_sure = !source.is_damaged();
        let what = if is_sure { "not born yet" } else { "not among what can be read" };
        return Ok(Standing::of(what));
    };
    match codec::open::<Entry>(&bytes) {
        Ok(Entry::Tombstone(tombstone)) => {
            Ok(Standing { buried: Some(tombstone.why), ..Standing::of("buried") })
        }
        Ok(Entry::Alive(record)) => Ok(Standing {
            destroying: record.destruction.as_ref().map(|it| it.why.clone()),
            stalled: record.stalled.clone(),
            ..Standing::of(source.status(id)?)
        }),
        Err(error) => {
            damaged.push(Damaged { place: format!("the record of {id}"), why: error.to_string() });
            Ok(Standing::of("cannot be read"))
        }
    }
}
