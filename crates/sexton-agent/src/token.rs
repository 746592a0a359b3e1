//! The platform's tokens: RS256, for one node's life, and for one workspace or none.
//!
//! ```text
//! { "alg": "RS256", "kid": "k1" }
//! { "iss": "sexton", "aud": "node-management", "node": "n-1", "epoch": 1,
//!   "workspace": "w-1.1", "effect": 1, "iat": .., "exp": .. }
//! ```
//!
//! The control plane holds the private key, and its agents the public ones, in a file that they
//! read again when it changes. A key that is replaced stays valid until a time that stands there,
//! so that tokens which are under way are taken. Nothing here prints a token or a key.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::clock;
use crate::files;
use crate::keys::{KeyError, PublicKeys};

/// Who may use an agent: the audience of tokens for agents.
pub const NODE_MANAGEMENT: &str = "node-management";
/// The audience of tokens by which an agent calls back.
pub const CALLBACKS: &str = "callbacks";
/// The longest life of a token for an agent, in seconds. Specified: one hour.
pub const LIFE_S_MAX: u64 = 60 * 60;
/// The longest life of a token by which an agent calls back, in seconds. Chosen: a leap year, as
/// far as a deadline may lie ahead; it is worth nothing when its node's life is over.
pub const CALLBACK_LIFE_S_MAX: u64 = 366 * 24 * 60 * 60;
/// How far two clocks may be apart, in seconds. Chosen: machines keep time to well under a second.
pub const SKEW_S: u64 = 30;
/// The longest token that is looked at, in bytes. Chosen: one with a 4,096-bit key has 1,100.
const BYTES_MAX: usize = 4_096;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who signed it.
    pub iss: String,
    /// What it is for.
    pub aud: String,
    /// The name of the node.
    pub node: String,
    /// Which of its lives.
    pub epoch: u32,
    /// The one workspace that it is for; without it, it is for none of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub workspace: Option<String>,
    /// The number of the effect that it is for, among those of the workspace's life (of a run
    /// inside it: of the run's). It is the same over all attempts and grows from effect to effect:
    /// an attempt that was given up and arrives behind a later effect is known by it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub effect: Option<u64>,
    /// When it was signed, in seconds since 1970.
    pub iat: u64,
    /// Until when it is valid.
    pub exp: u64,
}

/// Why a token is refused. None of them says what would have been right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// There is none.
    #[error("a bearer token is required")]
    Missing,
    /// It is none of ours: its form, its algorithm, its key, its signature, its issuer.
    #[error("the token is not valid")]
    Invalid,
    /// Its time is over, has not begun, or is longer than any may be.
    #[error("the token's time is not now")]
    Time,
    /// It is ours, and for something else.
    #[error("the token is for something else")]
    Elsewhere,
}

/// Signs tokens with the platform's current key.
#[derive(Clone)]
pub struct Mint {
    issuer: String,
    kid: String,
    key: EncodingKey,
}

impl fmt::Debug for Mint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mint").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl Mint {
    /// A mint with a private key in PEM form.
    ///
    /// # Errors
    ///
    /// [`KeyError::Key`] if it is not one.
    pub fn new(issuer: &str, kid: &str, pem: &[u8]) -> Result<Self, KeyError> {
        let key = EncodingKey::from_rsa_pem(pem)
            .map_err(|source| KeyError::Key { kid: kid.to_owned(), source })?;
        Ok(Self { issuer: issuer.to_owned(), kid: kid.to_owned(), key })
    }

    /// The id of its key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// A token for an agent, and for one workspace there and an effect, or for neither; for at
    /// most an hour.
    ///
    /// # Errors
    ///
    /// [`KeyError::Key`] if the key cannot sign.
    pub fn for_agent(
        &self,
        of: (&str, u32),
        workspace: Option<(&str, u64)>,
        life: Duration,
    ) -> Result<String, KeyError> {
        let life = life.as_secs().min(LIFE_S_MAX);
        let claims = self.claims(NODE_MANAGEMENT, of, life);
        let (workspace, effect) = workspace.map(|(id, effect)| (id.to_owned(), effect)).unzip();
        self.sign(&Claims { workspace, effect, ..claims })
    }

    /// The token by which the agent of a node's life calls back.
    ///
    /// # Errors
    ///
    /// [`KeyError::Key`] if the key cannot sign.
    pub fn for_callbacks(&self, of: (&str, u32)) -> Result<String, KeyError> {
        self.sign(&self.claims(CALLBACKS, of, CALLBACK_LIFE_S_MAX))
    }

    fn claims(&self, aud: &str, of: (&str, u32), life_s: u64) -> Claims {
        let iat = clock::now_s();
        Claims {
            iss: self.issuer.clone(),
            aud: aud.to_owned(),
            node: of.0.to_owned(),
            epoch: of.1,
            workspace: None,
            effect: None,
            iat,
            exp: iat + life_s,
        }
    }

    /// Signs whatever it is given: what is valid is for the reader to say.
    ///
    /// # Errors
    ///
    /// [`KeyError::Key`] if the key cannot sign.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, KeyError> {
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::RS256) };
        jsonwebtoken::encode(&header, claims, &self.key)
            .map_err(|source| KeyError::Key { kid: self.kid.clone(), source })
    }
}

/// What every token says, whatever it is for.
#[derive(Deserialize)]
struct Times {
    iat: u64,
    exp: u64,
}

struct Known {
    key: DecodingKey,
    until: Option<u64>,
}

/// What the file was when it was read last.
type Stamp = (Duration, u64, u64);

#[derive(Default)]
struct Read {
    stamp: Option<Stamp>,
    keys: BTreeMap<String, Known>,
}

/// Reads tokens with the platform's public keys.
pub struct Keyring {
    issuer: String,
    path: PathBuf,
    read: Mutex<Read>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Keyring {
    /// The keys of a file, which is read again when it changes.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it cannot be read or has a key that is none.
    pub fn open(issuer: &str, path: &Path) -> Result<Self, KeyError> {
        let read = Read { stamp: stamp(path), keys: keys(path)? };
        Ok(Self { issuer: issuer.to_owned(), path: path.to_owned(), read: Mutex::new(read) })
    }

    /// Reads a token for an agent.
    ///
    /// # Errors
    ///
    /// [`TokenError`]; nothing it says helps to make a better one.
    pub fn for_agent(&self, token: &str) -> Result<Claims, TokenError> {
        self.read(token, NODE_MANAGEMENT, LIFE_S_MAX)
    }

    /// Reads a token by which an agent calls back.
    ///
    /// # Errors
    ///
    /// As [`for_agent`](Self::for_agent).
    pub fn for_callbacks(&self, token: &str) -> Result<Claims, TokenError> {
        self.read(token, CALLBACKS, CALLBACK_LIFE_S_MAX)
    }

    /// Reads a token for an audience of one's own, which may live so many seconds; its claims
    /// are `iss`, `aud`, `iat`, `exp`, and whatever `C` has besides.
    ///
    /// # Errors
    ///
    /// As [`for_agent`](Self::for_agent).
    pub fn read<C: DeserializeOwned>(
        &self,
        token: &str,
        audience: &str,
        life_s_max: u64,
    ) -> Result<C, TokenError> {
        if token.len() > BYTES_MAX {
            return Err(TokenError::Invalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|error| refusal(&error))?;
        let kid = header.kid.filter(|_| header.alg == Algorithm::RS256);
        let kid = kid.ok_or(TokenError::Invalid)?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut read);
        let key = read.keys.get(&kid).ok_or(TokenError::Invalid)?;
        if key.until.is_some_and(|until| until <= clock::now_s()) {
            return Err(TokenError::Invalid);
        }
        let mut validation = Validation::new(Algorithm::RS256);
        validation.leeway = SKEW_S;
        validation.set_audience(&[audience]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        let claims = jsonwebtoken::decode::<Value>(token, &key.key, &validation)
            .map_err(|error| refusal(&error))?
            .claims;
        let times = Times::deserialize(&claims).ok().ok_or(TokenError::Invalid)?;
        // The library leaves alone when it was signed, and how long it shall live.
        let is_early = times.iat > clock::now_s() + SKEW_S;
        let is_long = times.exp.saturating_sub(times.iat) > life_s_max;
        if is_early || is_long {
            return Err(TokenError::Time);
        }
        C::deserialize(claims).ok().ok_or(TokenError::Invalid)
    }

    /// A file that cannot be read leaves the keys that are known; their ends hold all the same.
    fn refresh(&self, read: &mut Read) {
        let now = stamp(&self.path);
        if now.is_none() || now == read.stamp {
            return;
        }
        match keys(&self.path) {
            Ok(keys) => *read = Read { stamp: now, keys },
            Err(error) => tracing::warn!(target: "sexton", %error, "the keys were not read again"),
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    let seconds = u64::try_from(metadata.mtime()).ok()?;
    let nanos = u32::try_from(metadata.mtime_nsec()).ok()?;
    // Replaced, not written over: another file has another number.
    Some((Duration::new(seconds, nanos), metadata.len(), metadata.ino()))
}

fn keys(path: &Path) -> Result<BTreeMap<String, Known>, KeyError> {
    let file = |source| KeyError::File { path: path.to_owned(), source };
    let missing = || io::Error::new(io::ErrorKind::NotFound, "there is no such file");
    let read: PublicKeys = files::read_json(path).map_err(file)?.ok_or_else(|| file(missing()))?;
    let known = read.keys.into_iter().map(|it| {
        let key = DecodingKey::from_rsa_pem(it.pem.as_bytes())
            .map_err(|source| KeyError::Key { kid: it.kid.clone(), source })?;
        Ok((it.kid, Known { key, until: it.until }))
    });
    known.collect()
}

fn refusal(error: &jsonwebtoken::errors::Error) -> TokenError {
    use jsonwebtoken::errors::ErrorKind;
    if matches!(error.kind(), ErrorKind::ExpiredSignature | ErrorKind::ImmatureSignature) {
        TokenError::Time
    } else if matches!(error.kind(), ErrorKind::InvalidAudience) {
        TokenError::Elsewhere
    } else {
        TokenError::Invalid
    }
}
