//! What the store says when the control plane is closed: rows, tombstones, and the log.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use sexton::{Actor, ActorId, Cursor, Entry, Event, Store, What, log, query};
use sexton_fleet::{Container, Node, Owner, Session, TaskRunner, Town, Workspace};
use sexton_store::{EmbeddedStore, Options};

use crate::left::Left;
use crate::load::Load;
use crate::world::{OWNERS, World};

/// The events that are read at once.
const PAGE: usize = 1_024;
/// How a task may end.
const FINAL: [&str; 3] = ["completed", "failed", "cancelled"];
/// What has to be gone when everything was ended.
const GONE: [&str; 6] =
    [Node::KIND, Workspace::KIND, Session::KIND, TaskRunner::KIND, Town::KIND, Container::KIND];

/// What was written of one actor.
#[derive(Debug, Default)]
struct Life {
    births: u32,
    /// The changes to a status that is final, and the tombstones.
    ends: u32,
    tombstones: u32,
    /// What it did after its tombstone.
    after: u32,
}

/// Reads the whole store.
pub(crate) fn check(world: &World, load: &Load, left: &mut Left) -> Result<(), Box<dyn Error>> {
    let store = EmbeddedStore::open(world.directory().join("store"), &Options::default())?;
    let lives = lives(&store)?;
    for (id, life) in &lives {
        left.check(life.after == 0, &format!("{id} did something after its tombstone"));
        left.check(life.births <= 1, &format!("{id} was born {} times", life.births));
        left.check(life.tombstones <= 1, &format!("{id} has {} tombstones", life.tombstones));
    }
    let mut known = BTreeSet::new();
    query::all_entries(&store, |id, entry| {
        if GONE.contains(&id.kind()) && !matches!(entry, Entry::Tombstone(_)) {
            left.add(format!("{id} lives"));
        }
        known.insert(id);
        Ok(())
    })?;
    query::all_rows(&store, |row| {
        if GONE.contains(&row.id.kind()) {
            left.add(format!("a row of {}, {}", row.id, row.status));
        }
        Ok(())
    })?;
    for (id, life) in lives.iter().filter(|(id, _)| GONE.contains(&id.kind())) {
        left.check(known.contains(id), &format!("{id} has neither a life nor a tombstone"));
        left.check(life.tombstones == 1, &format!("{id}: no event says that it was destroyed"));
    }
    for owner in OWNERS {
        let id = ActorId::new(Owner::KIND, owner)?;
        left.check(known.contains(&id), &format!("{id} is gone"));
    }
    for (task, said) in load.tasks() {
        let id = ActorId::new(TaskRunner::KIND, &task.actor())?;
        let (entry, life) = (query::entry(&store, &id)?, lives.get(&id));
        let status = match entry {
            Some(Entry::Tombstone(tombstone)) => tombstone.status,
            Some(Entry::Alive(_)) | None => "no end".to_owned(),
        };
        left.check(FINAL.contains(&status.as_str()), &format!("{id} ended as {status}"));
        left.check(
            said.as_ref() == Some(&status),
            &format!("{id}: {said:?} was said, {status} is"),
        );
        let n_ends = life.map_or(0, |life| life.ends);
        left.check(n_ends == 1, &format!("{id} came to a final status {n_ends} times"));
    }
    Ok(())
}

fn lives(store: &dyn Store) -> Result<BTreeMap<ActorId, Life>, sexton::Error> {
    let (mut lives, mut after) = (BTreeMap::<ActorId, Life>::new(), Cursor::BEGINNING);
    loop {
        let page = log::read(store, after, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(lives) };
        after = *last;
        for (_, event) in page {
            tell(&mut lives, &event);
        }
    }
}

fn tell(lives: &mut BTreeMap<ActorId, Life>, event: &Event) {
    // What was said to nobody is no life.
    if matches!(event.what, What::DeadLetter { .. }) {
        return;
    }
    let life = lives.entry(event.actor.clone()).or_default();
    life.after += u32::from(life.tombstones > 0);
    match &event.what {
        What::Created { .. } => life.births += 1,
        What::Destroyed { .. } => life.tombstones += 1,
        What::Transition { to, .. } if FINAL.contains(&to.as_str()) => life.ends += 1,
        What::Transition { .. }
        | What::Destroying { .. }
        | What::Stalled { .. }
        | What::DeadLetter { .. }
        | What::Abandoned { .. }
        | What::Fact { .. } => {}
    }
}
