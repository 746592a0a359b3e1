//! What was deleted stays deleted: an id is of one life, and a life ends once.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::files;
use crate::token::LIFE_S_MAX;
use crate::wire::{Code, Problem};

use super::unavailable;

/// How long one is kept, in seconds. Chosen: twice the longest life of a token. Whatever call was
/// begun before the deletion is over then, also by a clock that is a little behind.
const KEPT_S: u64 = 2 * LIFE_S_MAX;
/// After how many new ones those that are over are looked for. Chosen: a look reads all of them.
const LOOK_EACH: u32 = 1_024;

/// Whether what was ended then needs no tombstone any more.
pub(super) fn is_over(ended_at_s: u64, now_s: u64) -> bool {
    ended_at_s.saturating_add(KEPT_S) < now_s
}

/// That a workspace was deleted.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Tombstone {
    /// In seconds since 1970.
    deleted_at_s: u64,
}

/// The tombstones of one machine: a file for each.
#[derive(Debug)]
pub(super) struct Tombstones {
    directory: PathBuf,
    n_new: AtomicU32,
}

impl Tombstones {
    /// Those in `root`, without those that are over.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let directory = root.join("tombstones");
        fs::create_dir_all(&directory)?;
        let tombstones = Self { directory, n_new: AtomicU32::new(0) };
        tombstones.look(clock::now_s())?;
        Ok(tombstones)
    }

    fn file(&self, id: &str) -> PathBuf {
        self.directory.join(format!("{id}.json"))
    }

    /// Removes those that are over. One that cannot be read stays: it says no all the same.
    fn look(&self, now_s: u64) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            match files::read_json::<Tombstone>(&path) {
                Ok(Some(it)) if is_over(it.deleted_at_s, now_s) => files::remove(&path)?,
                Ok(_) => {}
                Err(error) => {
                    let path = path.display();
                    tracing::warn!(target: "sexton", %path, %error, "a tombstone cannot be read");
                }
            }
        }
        Ok(())
    }

    /// Puts one, or makes the one that is there last as long as a new one.
    ///
    /// # Durability
    ///
    /// It is there before this returns.
    pub(super) fn put(&self, id: &str) -> Result<(), Problem> {
        let deleted_at_s = clock::now_s();
        let written = files::write_json(&self.file(id), &Tombstone { deleted_at_s });
        written.map_err(|error| unavailable("write a tombstone", &error))?;
        if self.n_new.fetch_add(1, Ordering::Relaxed) % LOOK_EACH == LOOK_EACH - 1
            && let Err(error) = self.look(deleted_at_s)
        {
            tracing::warn!(target: "sexton", %error, "old tombstones stay");
        }
        Ok(())
    }

    /// Refuses an id that was deleted.
    pub(super) fn refuse(&self, id: &str) -> Result<(), Problem> {
        let is_there = self.file(id).try_exists();
        if is_there.map_err(|error| unavailable("read a tombstone", &error))? {
            let why = format!("workspace {id} was deleted, and is not made again");
            return Err(Problem::new(Code::Gone, why));
        }
        Ok(())
    }
}
