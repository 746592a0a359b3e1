//! Everything of a control plane that outlives its process lies in one directory.
//!
//! ```text
//! <dir>/keys/            the platform's key: signs tokens of owners, and for agents
//! <dir>/operator.token   who has it may make owners; written anew by every start
//! <dir>/installation     by which our machines are known among others'
//! <dir>/address          where agents call back, so it stays the same
//! <dir>/store/           the actors
//! <dir>/machines/        one directory a machine
//! <dir>/containers/      one directory a town's container
//! ```

use std::error::Error;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use sexton_agent::files;
use sexton_providers::Platform;
use uuid::Uuid;

use crate::tokens;

/// Where a control plane listens that nobody told otherwise.
const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 7070);

/// The directory.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Makes it if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, Box<dyn Error>> {
        // For its user alone: the store says what owners do, and the keys open everything.
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        let made = made.and_then(|()| path.canonicalize());
        let path = made.map_err(|error| format!("failed to make {}: {error}", path.display()))?;
        Ok(Self { path })
    }

    /// What has this name in it.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where to listen. Agents that run call back to where the last start listened.
    pub(crate) fn address(&self, wanted: Option<SocketAddr>) -> Result<SocketAddr, Box<dyn Error>> {
        let last: Option<SocketAddr> = self.read("address")?;
        match (wanted, last) {
            (Some(wanted), Some(last)) if wanted != last && self.has_machines()? => {
                Err(format!("machines run that call back to {last}: listen there").into())
            }
            (wanted, last) => Ok(wanted.or(last).unwrap_or(LISTEN.into())),
        }
    }

    /// Remembers where it listens.
    pub(crate) fn keep_address(&self, address: SocketAddr) -> io::Result<()> {
        let path = self.at("address");
        files::write_json(&path, &address).map_err(about(&path))
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        let path = self.at(name);
        files::read_json(&path).map_err(about(&path))
    }

    fn has_machines(&self) -> io::Result<bool> {
        match fs::read_dir(self.at("machines")) {
            Ok(mut entries) => Ok(entries.any(|it| it.is_ok_and(|it| it.path().is_dir()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The installation's id, made at the first start.
    pub(crate) fn installation(&self) -> io::Result<Uuid> {
        let path = self.at("installation");
        if let Some(known) = self.read("installation")? {
            return Ok(known);
        }
        // As random as hashes are keyed by the system: it labels, and keeps no secret.
        let random = || RandomState::new().hash_one(std::process::id());
        let made = Uuid::from_u64_pair(random(), random());
        files::write_json(&path, &made).map_err(about(&path))?;
        Ok(made)
    }

    /// Writes an operator's token, for its user alone to read, and says where.
    pub(crate) fn write_operator(&self, platform: &Platform) -> Result<PathBuf, Box<dyn Error>> {
        let path = self.at("operator.token");
        let token = format!("{}\n", tokens::operator(platform)?);
        files::write(&path, token.as_bytes()).map_err(about(&path))?;
        Ok(path)
    }
}

/// Says of an error which file it is about.
fn about(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
