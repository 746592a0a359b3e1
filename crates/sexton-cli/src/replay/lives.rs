//! Which things of the trace are open, whose they are, and which name their present life has.
//!
//! A name that has a tombstone never lives again, so what the trace begins anew after an end
//! gets a name of its own: `w17`, then `w17~2`. Which names are used up is asked of the store;
//! only what is open is kept in memory.

use std::collections::BTreeMap;

use sexton::{Actor as _, ActorId, ActorRef, Entry, Error, ErrorKind, Store, query};
use sexton_fleet::{Session, Tenure, Workspace};

use crate::trace::{Row, TraceEvent, TraceKind};

/// The owner of what has no parent.
const NOBODY: &str = "trace";

/// Something that the trace began and did not end yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Life {
    /// Whose it is.
    pub owner: String,
    /// The node that it must be on: its parent, where that is a node.
    pub node: Option<String>,
    /// The workspace that it is in: its parent, where that is a workspace.
    pub workspace: Option<String>,
}

/// What is open at the present row.
#[derive(Debug, Default)]
pub(super) struct Lives {
    open: BTreeMap<(TraceKind, String), Life>,
    /// The present life of what had more than two: where the search for its name begins.
    used_up: BTreeMap<(TraceKind, String), u64>,
}

/// What a row is in the life of its thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// It begins a life.
    Begin(Life),
    /// It begins a life whose beginning was before the trace, and is an event of it.
    BeginBefore(Life),
    /// It is an event of a life.
    Middle(Life),
    /// It ends a life.
    End(Life),
}

impl Lives {
    /// Says what a row is, and keeps up with it.
    ///
    /// # Errors
    ///
    /// Why the row cannot be played.
    pub(super) fn take(&mut self, row: &Row) -> Result<Part, String> {
        let key = (row.kind, row.id.clone());
        let is_begin = is_begin(row.event);
        match self.open.get(&key).cloned() {
            Some(_) if is_begin => Err(format!("{} {} has begun already", row.kind, row.id)),
            Some(life) if row.event.is_end() => {
                self.open.remove(&key);
                Ok(Part::End(life))
            }
            Some(life) => Ok(Part::Middle(life)),
            None if is_begin => {
                let life = self.begin(row);
                self.open.insert(key, life.clone());
                Ok(Part::Begin(life))
            }
            // What happens to an unknown thing at the first instant: it existed before.
            None if row.at_ms == 0 => {
                let life = self.begin(row);
                if !row.event.is_end() {
                    self.open.insert(key, life.clone());
                }
                Ok(Part::BeginBefore(life))
            }
            None => Err(format!("{} {} is not open: it never began, or ended", row.kind, row.id)),
        }
    }

    /// Whether the trace began it and has not ended it.
    pub(super) fn is_open(&self, kind: TraceKind, id: &str) -> bool {
        self.open.contains_key(&(kind, id.to_owned()))
    }

    fn begin(&self, row: &Row) -> Life {
        let Some(parent) = &row.parent else {
            return Life { owner: NOBODY.to_owned(), node: None, workspace: None };
        };
        let of = |kind| self.open.get(&(kind, parent.clone()));
        if let Some(node) = of(TraceKind::Node) {
            let (owner, node) = (node.owner.clone(), Some(parent.clone()));
            return Life { owner, node, workspace: None };
        }
        match of(TraceKind::Workspace) {
            Some(workspace) => Life { workspace: Some(parent.clone()), ..workspace.clone() },
            None => Life { owner: parent.clone(), node: None, workspace: None },
        }
    }
}

fn is_begin(event: TraceEvent) -> bool {
    matches!(
        event,
        TraceEvent::Request | TraceEvent::Create | TraceEvent::Start | TraceEvent::Reopened
    )
}

/// The kind of actor that plays a thing of the trace.
pub(super) fn kind_of(kind: TraceKind) -> &'static str {
    match kind {
        TraceKind::Node => "node",
        TraceKind::Workspace => "workspace",
        TraceKind::Task => "task",
    }
}

/// The name of a thing's `life`th life: its id, with every `~` written as `~0`, and from the
/// second life on `~2`, `~3` behind it. No two ids share a name.
fn name_of(id: &str, life: u64) -> String {
    let id = id.replace('~', "~0");
    if life == 1 { id } else { format!("{id}~{life}") }
}

impl Lives {
    /// What a row of a task in a workspace does to its session there, if anything: it begins one
    /// if the workspace runs and has none, and ends the one that it began.
    ///
    /// # Errors
    ///
    /// As [`present`](Self::present).
    pub(super) fn session(
        &mut self,
        store: &dyn Store,
        of: (&Part, &ActorId),
    ) -> Result<Option<SessionStep>, Error> {
        let (part, task) = of;
        match part {
            Part::Begin(Life { workspace: Some(workspace), .. }) => {
                let actor = self.present(store, TraceKind::Workspace, workspace)?;
                let state = query::state::<Workspace>(store, &actor)?;
                let is_free = state.is_some_and(|workspace| workspace.can_open_session());
                Ok(is_free.then_some(SessionStep::Open(actor)))
            }
            Part::End(Life { workspace: Some(_), .. }) => {
                let Ok(id) = ActorId::new(Session::KIND, task.name()) else { return Ok(None) };
                Ok(match query::entry(store, &id)? {
                    Some(Entry::Alive(record)) if record.destruction.is_none() => {
                        Some(SessionStep::End(ActorRef { id, incarnation: record.incarnation }))
                    }
                    Some(Entry::Alive(_) | Entry::Tombstone(_)) | None => None,
                })
            }
            Part::Begin(_) | Part::BeginBefore(_) | Part::Middle(_) | Part::End(_) => Ok(None),
        }
    }
}

/// What happens to the session of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SessionStep {
    /// It begins in this workspace.
    Open(ActorId),
    /// This one ends.
    End(ActorRef),
}

fn actor(kind: TraceKind, id: &str, life: u64) -> Result<ActorId, Error> {
    ActorId::new(kind_of(kind), &name_of(id, life)).map_err(|error| {
        Error::new(ErrorKind::Refused, "the id is too long for a name").with_source(error)
    })
}

/// Whether the trace has ended a workspace that is still there.
fn is_given_up(store: &dyn Store, kind: TraceKind, actor: &ActorId) -> Result<bool, Error> {
    if kind != TraceKind::Workspace {
        return Ok(false);
    }
    let workspace = query::state::<Workspace>(store, actor)?;
    Ok(workspace.is_some_and(|workspace| workspace.tenure() == Tenure::Managed))
}

/// The id in the trace of what has this name.
pub(super) fn id_of(name: &str) -> String {
    split(name).0.replace("~0", "~")
}

/// Whether this is the name of a second life or a later one.
pub(super) fn is_later_life(name: &str) -> bool {
    split(name).1
}

/// A name without the number of its life, and whether it had one.
fn split(name: &str) -> (&str, bool) {
    let is_life = |digits: &str| {
        !digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
    };
    match name.rsplit_once('~') {
        Some((id, life)) if is_life(life) => (id, true),
        Some(_) | None => (name, false),
    }
}

impl Lives {
    /// The actor of a thing's present life: the first of its names that is not used up.
    ///
    /// # Errors
    ///
    /// What the store says; [`ErrorKind::Refused`] if the id is no name.
    pub(super) fn present(
        &mut self,
        store: &dyn Store,
        kind: TraceKind,
        id: &str,
    ) -> Result<ActorId, Error> {
        Ok(self.search(store, kind, id)?.1)
    }

    fn search(
        &mut self,
        store: &dyn Store,
        kind: TraceKind,
        id: &str,
    ) -> Result<(u64, ActorId), Error> {
        // A name that is used up stays so: the search goes on where it ended.
        let known = self.used_up.get(&(kind, id.to_owned())).copied();
        let mut life = known.unwrap_or(1);
        let mut first_left = None;
        loop {
            let actor = actor(kind, id, life)?;
            let is_over = match query::entry(store, &actor)? {
                Some(Entry::Tombstone(_)) => true,
                Some(Entry::Alive(record)) => {
                    first_left.get_or_insert(life);
                    record.destruction.is_some() || is_given_up(store, kind, &actor)?
                }
                None => false,
            };
            if !is_over {
                // One that was given up may be opened again.
                let from = first_left.unwrap_or(life).min(life);
                if from > 2 {
                    self.used_up.insert((kind, id.to_owned()), from);
                }
                return Ok((life, actor));
            }
            life += 1;
        }
    }

    /// The workspace of an earlier life that is opened again: it has stopped, or does, and its
    /// node is there.
    ///
    /// # Errors
    ///
    /// As [`present`](Self::present).
    pub(super) fn asleep(
        &mut self,
        store: &dyn Store,
        id: &str,
        life: &Life,
    ) -> Result<Option<ActorId>, Error> {
        let (present, _) = self.search(store, TraceKind::Workspace, id)?;
        if present == 1 {
            return Ok(None);
        }
        let last = actor(TraceKind::Workspace, id, present - 1)?;
        let is_there = |id: &ActorId| -> Result<Option<u32>, Error> {
            Ok(match query::entry(store, id)? {
                Some(Entry::Alive(record)) if record.destruction.is_none() => {
                    Some(record.incarnation)
                }
                Some(Entry::Alive(_) | Entry::Tombstone(_)) | None => None,
            })
        };
        let Some(workspace) = query::state::<Workspace>(store, &last)? else { return Ok(None) };
        let is_same = workspace.owner() == life.owner
            && match &life.node {
                Some(node) => self.present(store, TraceKind::Node, node)? == workspace.node().id,
                None => true,
            };
        let has_node = is_there(&workspace.node().id)? == Some(workspace.node().incarnation);
        let can = is_same && has_node && workspace.can_reopen() && is_there(&last)?.is_some();
        Ok(can.then_some(last))
    }

    /// Forgets a life that could not be begun.
    pub(super) fn forget(&mut self, kind: TraceKind, id: &str) {
        self.open.remove(&(kind, id.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_life_of_every_id_has_a_name_of_its_own_that_leads_back() {
        let mut names = std::collections::BTreeSet::new();
        for id in ["w", "w~2", "w~", "w~02", "w~~2", "~0"] {
            for life in 1..12 {
                let name = name_of(id, life);
                assert_eq!(id_of(&name), id, "{name}");
                assert!(names.insert(name));
            }
        }
    }
}
