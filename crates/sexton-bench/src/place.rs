//! Where a run keeps its files, how large it is, and whom it tells how far it came.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sexton_store::{EmbeddedStore, Options};
use tempfile::TempDir;

use crate::BenchError;

/// How far work came that takes minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is made.
    pub what: &'static str,
    /// How many there are.
    pub done: u64,
    /// How many there will be.
    pub total: u64,
}

/// Where runs keep their files, how large they are, and whom they tell how far they came.
#[derive(Clone)]
pub struct Place {
    root: PathBuf,
    own: Option<Arc<TempDir>>,
    /// A full run's sizes are divided by this.
    part: u64,
    traces: Vec<PathBuf>,
    listener: Option<Arc<dyn Fn(Progress)>>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { root, part, traces, .. } = self;
        f.debug_tuple("Place").field(root).field(part).field(traces).finish()
    }
}

impl Place {
    /// Below this directory; sizes of cases are divided by `part`, for a quick look.
    ///
    /// # Errors
    ///
    /// If nothing can be made there.
    pub fn new(root: &Path, part: u64) -> Result<Self, BenchError> {
        drop(TempDir::new_in(root)?);
        let (own, traces, listener) = (None, Vec::new(), None);
        Ok(Self { root: root.to_owned(), own, part: part.max(1), traces, listener })
    }

    /// The same, where these event lists are replayed.
    pub fn with_traces(self, traces: Vec<PathBuf>) -> Self {
        Self { traces, ..self }
    }

    /// The same, where somebody hears how far long work came.
    pub fn with_listener(self, listener: impl Fn(Progress) + 'static) -> Self {
        Self { listener: Some(Arc::new(listener)), ..self }
    }

    /// The event lists that are replayed.
    pub fn traces(&self) -> &[PathBuf] {
        &self.traces
    }

    /// Tells whoever listens.
    pub(crate) fn tell(&self, progress: Progress) {
        if let Some(listener) = &self.listener {
            listener(progress);
        }
    }

    /// That there is room for so many bytes.
    ///
    /// # Errors
    ///
    /// [`BenchError::Space`] if there is not.
    pub(crate) fn has_room(&self, needed_bytes: u64) -> Result<(), BenchError> {
        let disk = rustix::fs::statvfs(&self.root).map_err(std::io::Error::from)?;
        let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
        let path = self.root.display().to_string();
        let error = BenchError::Space { path, free_bytes, needed_bytes };
        if free_bytes < needed_bytes { Err(error) } else { Ok(()) }
    }

    /// A place for one run, which goes with it.
    pub(crate) fn fresh(&self) -> Result<Self, BenchError> {
        let own = TempDir::with_prefix_in("sexton-bench-", &self.root)?;
        Ok(Self { own: Some(Arc::new(own)), ..self.clone() })
    }

    /// A path of its own.
    pub fn path(&self, name: &str) -> PathBuf {
        self.own.as_ref().map_or(self.root.as_path(), |own| own.path()).join(name)
    }

    /// The store of this name, as users have it.
    pub(crate) fn store(&self, name: &str) -> Result<Arc<EmbeddedStore>, BenchError> {
        Ok(Arc::new(EmbeddedStore::open(self.path(name), &Options::default())?))
    }

    /// A time of a full run as it is here.
    pub(crate) fn time(&self, full: Duration) -> Duration {
        full / u32::try_from(self.part).unwrap_or(u32::MAX)
    }

    /// A size of a full run as it is here.
    pub(crate) fn size(&self, full: u64) -> u64 {
        (full / self.part).max(1)
    }
}
