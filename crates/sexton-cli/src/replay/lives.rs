//! Which things of the trace are open, whose they are, and which name their present life has.
//!
//! A name that has a tombstone never lives again, so what the trace begins anew after an end
//! gets a name of its own: `w17`, then `w17~2`. Which names are used up is asked of the store;
//! only what is open is kept in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sexton::{Actor as _, ActorId, ActorRef, Entry, Error, ErrorKind, Store, Timestamp, query};
use sexton_fleet::{Sandbox, Session, Tenure, Workspace};

use crate::trace::{Row, TraceEvent, TraceKind};

use super::sandboxes;

/// The owner of what has no parent.
const NOBODY: &str = "trace";

/// Something that the trace began and did not end yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Life {
    /// Whose it is.
    pub owner: String,
    /// The node that it must be on: its parent, where that is a node.
    pub node: Option<String>,
    /// The workspace that it is in: its parent, where that is a workspace and no sandbox.
    pub workspace: Option<String>,
    /// Whether it is a workspace that a sandbox plays.
    pub is_sandbox: bool,
}

impl Life {
    fn of(owner: &str) -> Self {
        Self { owner: owner.to_owned(), node: None, workspace: None, is_sandbox: false }
    }

    /// The kind of actor that plays it.
    pub(super) fn actor_kind(&self, kind: TraceKind) -> &'static str {
        if self.is_sandbox { Sandbox::KIND } else { kind_of(kind) }
    }
}

/// Which workspaces are sandboxes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sandboxes {
    /// Those of which their first row says so.
    #[default]
    Marked,
    /// Those too that lie on no node of the trace.
    OnNoNode,
}

/// What is open at the present row.
#[derive(Debug, Default)]
pub(super) struct Lives {
    open: BTreeMap<(TraceKind, String), Life>,
    /// The present life of what had more than two: where the search for its name begins.
    used_up: BTreeMap<(&'static str, String), u64>,
    which: Sandboxes,
    /// The ids of all sandboxes so far: when they are opened again they are sandboxes again. Not
    /// asked of the store, which may know already what the trace says only later.
    sandboxes: BTreeSet<String>,
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
    /// Nothing is open yet.
    pub(super) fn new(which: Sandboxes) -> Self {
        Self { which, ..Self::default() }
    }

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

    fn begin(&mut self, row: &Row) -> Life {
        let life = self.place(row);
        if row.kind != TraceKind::Workspace {
            return life;
        }
        let is_sandbox = sandboxes::is_marked(&row.info)
            || (row.event == TraceEvent::Reopened && self.sandboxes.contains(&row.id))
            || (self.which == Sandboxes::OnNoNode && life.node.is_none());
        if !is_sandbox {
            return life;
        }
        self.sandboxes.insert(row.id.clone());
        // It runs on its worker, wherever the trace says that it lies.
        Life { is_sandbox, ..Life::of(&life.owner) }
    }

    /// Whose something is that begins, and where.
    fn place(&self, row: &Row) -> Life {
        let Some(parent) = &row.parent else { return Life::of(NOBODY) };
        let of = |kind| self.open.get(&(kind, parent.clone()));
        if let Some(node) = of(TraceKind::Node) {
            return Life { node: Some(parent.clone()), ..Life::of(&node.owner) };
        }
        match of(TraceKind::Workspace) {
            Some(sandbox) if sandbox.is_sandbox => Life::of(&sandbox.owner),
            Some(workspace) => Life { workspace: Some(parent.clone()), ..workspace.clone() },
            None => Life::of(parent),
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
                let actor = self.present(store, Workspace::KIND, workspace)?;
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

fn actor(kind: &str, id: &str, life: u64) -> Result<ActorId, Error> {
    ActorId::new(kind, &name_of(id, life)).map_err(|error| {
        Error::new(ErrorKind::Refused, "the id is too long for a name").with_source(error)
    })
}

/// Whether the trace has ended a workspace or a sandbox that is still there.
fn is_given_up(store: &dyn Store, actor: &ActorId) -> Result<bool, Error> {
    Ok(match actor.kind() {
        Workspace::KIND => {
            let workspace = query::state::<Workspace>(store, actor)?;
            workspace.is_some_and(|workspace| workspace.tenure() == Tenure::Managed)
        }
        Sandbox::KIND => {
            let sandbox = query::state::<Sandbox>(store, actor)?;
            sandbox.is_some_and(|sandbox| sandbox.is_given_up())
        }
        _ => false,
    })
}

/// Whether it lives and nothing destroys it: then its incarnation.
fn is_there(store: &dyn Store, id: &ActorId) -> Result<Option<u32>, Error> {
    Ok(match query::entry(store, id)? {
        Some(Entry::Alive(record)) if record.destruction.is_none() => Some(record.incarnation),
        Some(Entry::Alive(_) | Entry::Tombstone(_)) | None => None,
    })
}

/// The id in the trace of what has this name.
pub(super) fn id_of(name: &str) -> String {
    split(name).0.replace("~0", "~")
}

/// Whether this is the name of a second life or a later one.
pub(super) fn is_later_life(name: &str) -> bool {
    split(name).1
}

/// Which life of its id has this name.
pub(super) fn life_number(name: &str) -> u64 {
    if !is_later_life(name) {
        return 1;
    }
    name.rsplit_once('~').and_then(|(_, life)| life.parse().ok()).unwrap_or(u64::MAX)
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
        kind: &'static str,
        id: &str,
    ) -> Result<ActorId, Error> {
        Ok(self.search(store, kind, id)?.1)
    }

    /// The sandbox that was begun last under an id, also if it has ended since.
    ///
    /// # Errors
    ///
    /// As [`present`](Self::present).
    pub(super) fn begun_last(&mut self, store: &dyn Store, id: &str) -> Result<ActorId, Error> {
        let (life, present) = self.search(store, Sandbox::KIND, id)?;
        if life > 1 && query::entry(store, &present)?.is_none() {
            return actor(Sandbox::KIND, id, life - 1);
        }
        Ok(present)
    }

    fn search(
        &mut self,
        store: &dyn Store,
        kind: &'static str,
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
                    record.destruction.is_some() || is_given_up(store, &actor)?
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

    /// The workspace or the sandbox of an earlier life that is opened again, if it is there and
    /// can be.
    ///
    /// # Errors
    ///
    /// As [`present`](Self::present).
    pub(super) fn asleep(
        &mut self,
        store: &dyn Store,
        of: (&str, &Life),
        kept: (Timestamp, Duration),
    ) -> Result<Option<ActorId>, Error> {
        let (id, life) = of;
        let kind = life.actor_kind(TraceKind::Workspace);
        let (present, _) = self.search(store, kind, id)?;
        if present == 1 {
            return Ok(None);
        }
        let last = actor(kind, id, present - 1)?;
        if is_there(store, &last)?.is_none() {
            return Ok(None);
        }
        let can = if life.is_sandbox {
            can_wake(store, (&last, life), kept)?
        } else {
            self.can_reopen(store, (&last, life))?
        };
        Ok(can.then_some(last))
    }

    /// Whether a workspace has stopped, or does, and its node is there.
    fn can_reopen(&mut self, store: &dyn Store, of: (&ActorId, &Life)) -> Result<bool, Error> {
        let (last, life) = of;
        let Some(workspace) = query::state::<Workspace>(store, last)? else { return Ok(false) };
        let is_same = workspace.owner() == life.owner
            && match &life.node {
                Some(node) => self.present(store, "node", node)? == workspace.node().id,
                None => true,
            };
        let node = workspace.node();
        let has_node = is_there(store, &node.id)? == Some(node.incarnation);
        Ok(is_same && has_node && workspace.can_reopen())
    }

    /// Forgets a life that could not be begun.
    pub(super) fn forget(&mut self, kind: TraceKind, id: &str) {
        self.open.remove(&(kind, id.to_owned()));
    }
}

/// Whether a sandbox sleeps, and long enough is left of the time for which it is kept.
fn can_wake(
    store: &dyn Store,
    of: (&ActorId, &Life),
    kept: (Timestamp, Duration),
) -> Result<bool, Error> {
    let ((last, life), (now, kept)) = (of, kept);
    let Some(sandbox) = query::state::<Sandbox>(store, last)? else { return Ok(false) };
    let is_soon = sandbox.asleep_since().is_some_and(|since| now < since + kept);
    Ok(is_soon && sandbox.owner() == life.owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_life_of_every_id_has_a_name_of_its_own_that_leads_back() {
        let mut names = BTreeSet::new();
        for id in ["w", "w~2", "w~", "w~02", "w~~2", "~0"] {
            for life in 1..12 {
                let name = name_of(id, life);
                assert_eq!(id_of(&name), id, "{name}");
                assert!(names.insert(name));
            }
        }
    }
}
