//! The store that is looked at.

use std::path::Path;
use std::sync::Arc;

use sexton::{Error, Kinds, Store, Timestamp};
use sexton_store::{EmbeddedStore, Options};

/// A store, opened for reading.
pub(super) struct Source {
    store: Arc<dyn Store>,
    kinds: Kinds,
    name: String,
    now: Timestamp,
}

impl Source {
    /// Opens the store in a directory.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub(super) fn open(directory: &Path) -> Result<Self, Error> {
        let store = EmbeddedStore::open(directory, &Options::default())?;
        Ok(Self {
            store: Arc::new(store),
            kinds: crate::replay::kinds(),
            name: directory.display().to_string(),
            now: Timestamp::ZERO,
        })
    }

    pub(super) fn store(&self) -> &dyn Store {
        self.store.as_ref()
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
}
