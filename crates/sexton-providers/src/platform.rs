//! The platform's keys in a directory: made at the first start, replaced without a gap.
//!
//! ```text
//! <directory>/private-<kid>.pem    signs; readable by its user alone
//! <directory>/keys.json            the public halves, which agents read
//! ```
//!
//! The newest key signs. A key that is replaced is taken for as long as tokens live that it
//! signed; its private half is removed at once.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use sexton_agent::clock::now_s;
use sexton_agent::files;
use sexton_agent::keys::{KeyError, OwnKey, PublicKeys};
use sexton_agent::token::{Keyring, LIFE_S_MAX, Mint, SKEW_S};
use thiserror::Error;

/// How long tokens for one call live. Chosen: longer than any call, shorter than any mischief.
const CALL: Duration = Duration::from_secs(60);
/// How long a replaced key is taken, in seconds: as long as any token for an agent lives.
const OVERLAP_S: u64 = LIFE_S_MAX + SKEW_S;

/// Why the platform's keys cannot be used.
#[derive(Debug, Error)]
pub enum PlatformError {
    /// The directory cannot be read or written.
    #[error("failed to use the platform's keys in {path}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key cannot be made or used.
    #[error("a key of the platform cannot be used")]
    Key(#[from] KeyError),
}

/// Whoever signs tokens for agents, and for their callbacks.
pub struct Platform {
    directory: PathBuf,
    issuer: String,
    mint: Mutex<Mint>,
    keyring: Arc<Keyring>,
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platform").field("directory", &self.directory).finish_non_exhaustive()
    }
}

fn private(directory: &Path, kid: &str) -> PathBuf {
    directory.join(format!("private-{kid}.pem"))
}

impl Platform {
    /// Opens the directory, with a first key if there is none.
    ///
    /// # Errors
    ///
    /// [`PlatformError`] if it cannot be used.
    pub fn open(directory: &Path, issuer: &str) -> Result<Self, PlatformError> {
        let failed = |source| PlatformError::Directory { path: directory.to_owned(), source };
        fs::create_dir_all(directory).map_err(failed)?;
        let directory = &directory.canonicalize().map_err(failed)?;
        let keys: PublicKeys =
            files::read_json(&directory.join("keys.json")).map_err(failed)?.unwrap_or_default();
        let mint = match keys.keys.iter().rfind(|key| key.until.is_none()) {
            Some(key) => {
                let pem = fs::read(private(directory, &key.kid)).map_err(failed)?;
                Mint::new(issuer, &key.kid, &pem)?
            }
            None => Self::add(directory, issuer, keys)?,
        };
        let keyring = Arc::new(Keyring::open(issuer, &directory.join("keys.json"))?);
        let (directory, issuer) = (directory.clone(), issuer.to_owned());
        Ok(Self { directory, issuer, mint: Mutex::new(mint), keyring })
    }

    fn add(directory: &Path, issuer: &str, mut keys: PublicKeys) -> Result<Mint, PlatformError> {
        let failed = |source| PlatformError::Directory { path: directory.to_owned(), source };
        let n_keys = keys.keys.len();
        let kid = format!("{}-{n_keys}", now_s());
        let key = OwnKey::generate(&kid)?;
        // The private half first: a key that is published can sign.
        files::write(&private(directory, &kid), &key.private).map_err(failed)?;
        let mint = Mint::new(issuer, &kid, &key.private)?;
        let now = now_s();
        keys.keys.retain(|key| key.until.is_none_or(|until| until > now));
        keys.rotate(key.public, now + OVERLAP_S);
        files::write_json(&directory.join("keys.json"), &keys).map_err(failed)?;
        for old in keys.keys.iter().filter(|key| key.kid != kid) {
            files::remove(&private(directory, &old.kid)).map_err(failed)?;
        }
        Ok(mint)
    }

    /// Signs with a new key from now on; the one before it is taken for an hour and a little.
    ///
    /// # Errors
    ///
    /// [`PlatformError`] if no key can be made or written: the one before goes on.
    pub fn rotate(&self) -> Result<(), PlatformError> {
        let mut mint = self.mint.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.keys();
        let failed = |source| PlatformError::Directory { path: path.clone(), source };
        let keys = files::read_json(&path).map_err(failed)?.unwrap_or_default();
        *mint = Self::add(&self.directory, &self.issuer, keys)?;
        Ok(())
    }

    /// The file of public keys, for agents.
    pub fn keys(&self) -> PathBuf {
        self.directory.join("keys.json")
    }

    /// Whose name stands in the tokens.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The id of the key that signs.
    pub fn kid(&self) -> String {
        self.mint.lock().unwrap_or_else(PoisonError::into_inner).kid().to_owned()
    }

    /// Reads tokens by which agents call back.
    pub fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.keyring)
    }

    /// A token for one call of an agent; see [`Mint::for_agent`].
    ///
    /// # Errors
    ///
    /// [`PlatformError::Key`] if the key cannot sign.
    pub fn for_agent(
        &self,
        of: (&str, u32),
        workspace: Option<(&str, u64)>,
    ) -> Result<String, PlatformError> {
        let mint = self.mint.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(mint.for_agent(of, workspace, CALL)?)
    }

    /// A token for an audience of one's own; [`Keyring::read`] reads it. Its claims are whatever
    /// is given: `iss`, `aud`, `iat` and `exp` are needed, and the audiences of agents are not
    /// for others.
    ///
    /// # Errors
    ///
    /// [`PlatformError::Key`] if the key cannot sign.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, PlatformError> {
        let mint = self.mint.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(mint.sign(claims)?)
    }

    /// The token by which the agent of a life calls back.
    ///
    /// # Errors
    ///
    /// [`PlatformError::Key`] if the key cannot sign.
    pub fn for_callbacks(&self, of: (&str, u32)) -> Result<String, PlatformError> {
        let mint = self.mint.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(mint.for_callbacks(of)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_kept_over_a_restart_and_replaced_without_a_gap() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Platform::open(directory.path(), "sexton").unwrap();
        let platform = open();
        let first = platform.kid();
        let old = platform.for_callbacks(("n", 1)).unwrap();
        drop(platform);
        let platform = open();
        assert_eq!(platform.kid(), first);
        platform.rotate().unwrap();
        assert_ne!(platform.kid(), first);
        let new = platform.for_callbacks(("n", 1)).unwrap();
        let keyring = platform.keyring();
        assert!(keyring.for_callbacks(&old).is_ok() && keyring.for_callbacks(&new).is_ok());
        assert!(!private(&platform.directory, &first).exists());
        assert_eq!(open().kid(), platform.kid());
        assert!(!format!("{platform:?}").contains("PRIVATE"));
    }
}
