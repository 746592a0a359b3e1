//! The platform's keys: made, written down for agents, and replaced.

use std::fmt;
use std::io;
use std::path::PathBuf;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use pem::Pem;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Keys that cannot be used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("failed to use the keys in {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No key could be made.
    #[error("failed to make a key")]
    Make(#[from] aws_lc_rs::error::Unspecified),
    /// A private key is not in PEM form (PKCS #8).
    #[error("key {kid} is not a private RSA key in PKCS #8 form")]
    Form {
        /// Which.
        kid: String,
    },
    /// A key is no RSA key in PEM form, or no token can be signed with it.
    #[error("key {kid} is not an RSA key")]
    Key {
        /// Which.
        kid: String,
        /// Why.
        source: jsonwebtoken::errors::Error,
    },
}

/// One public key, as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// By which tokens name it.
    pub kid: String,
    /// The key, in PEM form.
    pub pem: String,
    /// Until when it is valid, in seconds since 1970; for ever if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<u64>,
}

/// The file of public keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKeys {
    /// The keys, in no order.
    pub keys: Vec<PublicKey>,
}

impl PublicKeys {
    /// Adds a key that is valid from now on; every other one ends at `until`, if it does not
    /// before.
    pub fn rotate(&mut self, key: PublicKey, until: u64) {
        self.keys.retain(|it| it.kid != key.kid);
        for old in &mut self.keys {
            old.until = Some(old.until.map_or(until, |end| end.min(until)));
        }
        self.keys.push(key);
    }
}

/// A key of the platform's own: the private half signs, the public half goes to agents.
pub struct OwnKey {
    /// The private half, in PEM form. Not for any log.
    pub private: Vec<u8>,
    /// The public half.
    pub public: PublicKey,
}

impl fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnKey").field("kid", &self.public.kid).finish_non_exhaustive()
    }
}

impl OwnKey {
    /// Makes one, with 2,048 bits.
    ///
    /// # Errors
    ///
    /// [`KeyError::Make`] if there is no randomness to be had.
    pub fn generate(kid: &str) -> Result<Self, KeyError> {
        Self::of(kid, &KeyPair::generate(KeySize::Rsa2048)?)
    }

    /// The key of a private half in PEM form (PKCS #8).
    ///
    /// # Errors
    ///
    /// [`KeyError::Form`] if it is none.
    pub fn read(kid: &str, private: &[u8]) -> Result<Self, KeyError> {
        let form = || KeyError::Form { kid: kid.to_owned() };
        let pem = pem::parse(private).ok().ok_or_else(form)?;
        Self::of(kid, &KeyPair::from_pkcs8(pem.contents()).ok().ok_or_else(form)?)
    }

    fn of(kid: &str, pair: &KeyPair) -> Result<Self, KeyError> {
        let private: Pkcs8V1Der<'_> = pair.as_der()?;
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der()?;
        let pem = pem::encode(&Pem::new("PUBLIC KEY", public.as_ref()));
        Ok(Self {
            private: pem::encode(&Pem::new("PRIVATE KEY", private.as_ref())).into_bytes(),
            public: PublicKey { kid: kid.to_owned(), pem, until: None },
        })
    }
}
