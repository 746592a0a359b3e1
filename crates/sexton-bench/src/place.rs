//! Where a run keeps its files, and how large it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sexton_store::{EmbeddedStore, Options};
use tempfile::TempDir;

use crate::BenchError;

/// Where runs keep their files, and how large they are.
#[derive(Debug)]
pub struct Place {
    root: PathBuf,
    own: Option<TempDir>,
    /// A full run's sizes are divided by this.
    part: u64,
}

impl Place {
    /// Below this directory; sizes of cases are divided by `part`, for a quick look.
    ///
    /// # Errors
    ///
    /// If nothing can be made there.
    pub fn new(root: &Path, part: u64) -> Result<Self, BenchError> {
        drop(TempDir::new_in(root)?);
        Ok(Self { root: root.to_owned(), own: None, part: part.max(1) })
    }

    /// A place for one run, which goes with it.
    pub(crate) fn fresh(&self) -> Result<Self, BenchError> {
        let own = TempDir::with_prefix_in("sexton-bench-", &self.root)?;
        Ok(Self { root: self.root.clone(), own: Some(own), part: self.part })
    }

    /// A path of its own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.own.as_ref().map_or(self.root.as_path(), TempDir::path).join(name)
    }

    /// The store of this name, as users have it.
    pub(crate) fn store(&self, name: &str) -> Result<Arc<EmbeddedStore>, BenchError> {
        Ok(Arc::new(EmbeddedStore::open(self.path(name), &Options::default())?))
    }

    /// A size of a full run as it is here.
    pub(crate) fn size(&self, full: u64) -> u64 {
        (full / self.part).max(1)
    }
}
