//! Opens what `--store` names, and refuses what a run must not touch.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sexton::{Error, ErrorKind, Store};
use sexton_store::{Create, EmbeddedStore, IndexKind, MemoryStore, Options};

use crate::args::StoreSpec;

/// A store that is open, and where the simulated cloud keeps what it did.
#[derive(Debug)]
pub(super) struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    /// As it can be given to `--store` again.
    pub spec: StoreSpec,
    /// The cloud's own file; `None` is in memory.
    pub cloud: Option<PathBuf>,
}

/// Opens a store for a run from the beginning, or for one that goes on.
///
/// # Errors
///
/// What the store says; [`ErrorKind::Exists`] if it is used and the run does not resume,
/// [`ErrorKind::NotFound`] if there is nothing to resume.
pub(super) fn open(spec: Option<&StoreSpec>, resume: bool) -> Result<Opened, Error> {
    let spec = match spec {
        Some(spec) => spec.clone(),
        None => StoreSpec::Embedded(fresh()?),
    };
    match &spec {
        StoreSpec::Memory if resume => {
            let message = "a store in memory is gone with its run and cannot be resumed";
            Err(Error::new(ErrorKind::NotFound, message))
        }
        StoreSpec::Memory => Ok(Opened { store: Arc::new(MemoryStore::new()), spec, cloud: None }),
        StoreSpec::Embedded(path) => open_embedded(path, IndexKind::Redb, resume, &spec),
        StoreSpec::Sled(path) => open_embedded(path, IndexKind::Sled, resume, &spec),
    }
}

fn open_embedded(
    path: &Path,
    index: IndexKind,
    resume: bool,
    spec: &StoreSpec,
) -> Result<Opened, Error> {
    let cloud = beside(path);
    let is_used = EmbeddedStore::exists(path);
    if is_used && !resume {
        let message = format!("the store {spec} is used: go on with --resume, or name another");
        return Err(Error::new(ErrorKind::Exists, message));
    }
    if !is_used && resume && !path.is_file() {
        let message = format!("there is no store at {} to resume", path.display());
        return Err(Error::new(ErrorKind::NotFound, message));
    }
    if !is_used && cloud.exists() {
        let message = format!(
            "{} is there and its store {} is not: name another store, or move the file away",
            cloud.display(),
            path.display()
        );
        return Err(Error::new(ErrorKind::Exists, message));
    }
    let create = if resume { Create::Never } else { Create::IfMissing };
    let store = EmbeddedStore::open(path, &Options { index, create, ..Options::default() })?;
    Ok(Opened { store: Arc::new(store), spec: spec.clone(), cloud: Some(cloud) })
}

/// A fresh directory's path for a store; it stays after the run.
fn fresh() -> Result<PathBuf, Error> {
    let directory = tempfile::Builder::new().prefix("sexton-").tempdir().map_err(|error| {
        Error::new(ErrorKind::Closed, "cannot make a temporary directory").with_source(error)
    })?;
    Ok(directory.keep().join("store"))
}

/// The file of the simulated cloud, beside the store's directory and not in it.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".cloud");
    PathBuf::from(name)
}
