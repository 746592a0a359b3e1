//! The store that is looked at: opened for reading, or what can still be read of it.

use std::fs;
use std::path::{Path, PathBuf};

use sexton::explain::Standing;
use sexton::{ActorId, Error, ErrorKind, Kinds, Store, Timestamp, explain, query};
use sexton_store::{Damage, ReadOnlyStore, inspect};

use super::{Damaged, InspectError, scan};

/// A store, opened for reading.
pub(super) struct Source {
    store: ReadOnlyStore,
    kinds: Kinds,
    name: String,
    directory: PathBuf,
    now: Timestamp,
    damage: Vec<Damaged>,
    notes: Vec<String>,
}

impl Source {
    /// Opens the store in a directory; of a damaged one, what can be read. An index that is not
    /// longer than this is looked at as a whole.
    ///
    /// # Errors
    ///
    /// If there is no store, it is in use, or nothing of it can be read.
    pub(super) fn open(directory: &Path, checked_bytes_max: u64) -> Result<Self, InspectError> {
        match ReadOnlyStore::open(directory) {
            Ok(store) if store.figures().bytes <= checked_bytes_max => {
                drop(store);
                Self::survey(directory)
            }
            Ok(store) => Ok(Self::new(store, directory, Vec::new())),
            // What may not be read is refused there as well.
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Closed) => {
                Self::survey(directory)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// As [`open`](Self::open), with every byte looked at.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub(super) fn survey(directory: &Path) -> Result<Self, InspectError> {
        let found = inspect(directory)?;
        let damage: Vec<Damaged> = found.damage.iter().map(in_words).collect();
        match found.store {
            Some(store) => Ok(Self::new(store, directory, damage)),
            None => {
                Err(InspectError::Unreadable { store: directory.display().to_string(), damage })
            }
        }
    }

    fn new(store: ReadOnlyStore, directory: &Path, damage: Vec<Damaged>) -> Self {
        let now = store.fences().iter().map(|(_, fence)| fence.at).max();
        let notes = store.notes().iter().map(ToString::to_string).collect();
        Self {
            store,
            kinds: crate::replay::kinds(),
            name: directory.display().to_string(),
            directory: directory.to_owned(),
            now: now.unwrap_or_default(),
            damage,
            notes,
        }
    }

    pub(super) fn store(&self) -> &dyn Store {
        &self.store
    }

    /// The kinds whose states can be read.
    pub(super) fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// Where it lies.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// When the last turn of the store ran: what ages are counted from.
    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// The commits that were read.
    pub(super) fn commits(&self) -> u64 {
        self.store.position().0
    }

    /// The bytes of all its files.
    pub(super) fn bytes(&self) -> u64 {
        bytes(&self.directory)
    }

    /// What is damaged in its files.
    pub(super) fn damage(&self) -> &[Damaged] {
        &self.damage
    }

    /// Whether it is not the whole store that is looked at.
    pub(super) fn is_damaged(&self) -> bool {
        !self.damage.is_empty()
    }

    /// What may be damage, and may be what a crash left.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// An effect, described; for a kind that is not known, how long it is.
    pub(super) fn effect(&self, id: &ActorId, bytes: &[u8]) -> serde_json::Value {
        match self.kinds.describe_effect(id.kind(), bytes) {
            Ok(effect) => effect,
            Err(_) => format!("{} bytes", bytes.len()).into(),
        }
    }

    /// The status of a living actor, or that it cannot be told.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub(super) fn status(&self, id: &ActorId) -> Result<String, Error> {
        let status = match explain(&self.store, &self.kinds, id, 0)?.standing {
            Standing::Living(living) => living.status,
            Standing::Unknown | Standing::Buried(_) => None,
        };
        Ok(status.unwrap_or_else(|| "cannot be read".to_owned()))
    }

    /// The name in `kind/name#3`, as lives are listed, if there is such a one.
    fn without_life(&self, id: &ActorId) -> Option<ActorId> {
        let (name, life) = id.as_str().rsplit_once('#')?;
        life.parse::<u32>().ok()?;
        let name = ActorId::parse(name).ok()?;
        query::entry(&self.store, &name).ok()?.map(|_| name)
    }

    /// That a name has a life or had one.
    ///
    /// # Errors
    ///
    /// [`InspectError::Nothing`] if it has not, and what the store says.
    pub(super) fn demand(&self, id: &ActorId) -> Result<(), InspectError> {
        match query::entry(&self.store, id) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => match self.without_life(id) {
                Some(name) => Err(InspectError::Life { id: id.clone(), name }),
                None => Err(InspectError::Nothing { id: id.clone(), store: self.name.clone() }),
            },
            // That it is damaged is said with what is known of it.
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The bytes of all files below a directory, as far as they can be looked at.
fn bytes(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(it) if it.is_dir() => bytes(&entry.path()),
        Ok(it) => it.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

fn in_words(damage: &Damage) -> Damaged {
    let file = damage.file.display();
    if let Some(key) = &damage.record {
        let (record, why) = scan::damaged_record(key);
        return Damaged { place: format!("{record}, in {file}"), why: why.to_owned() };
    }
    let place = match damage.place {
        Some(at) => format!("{file}, byte {at}"),
        None => file.to_string(),
    };
    Damaged { place, why: damage.what.clone() }
}
