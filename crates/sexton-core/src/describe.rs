//! Bytes for people: states, effects and deadlines described, without knowing their types.
//!
//! What is stored are bytes that only their kind can read. Here the kind reads them and says what
//! they are as a JSON value, which every tool can show and search. JSON and not a format of our
//! own: a serializer is three hundred lines, and the one of `serde_json` is known to be right.

use serde::Serialize;
use serde_json::Value;

use crate::actor::{Actor, Kinds};
use crate::codec::{self, CodecError};

/// The functions of a kind that describe its bytes.
pub(crate) struct Describer {
    state: fn(u16, &[u8]) -> Result<Value, CodecError>,
    effect: fn(&[u8]) -> Result<Value, CodecError>,
    deadline: fn(&[u8]) -> Result<String, CodecError>,
}

impl Describer {
    pub(crate) fn of<A: Actor>() -> Self {
        Self {
            state: |version, bytes| {
                let state: A = if version == A::STATE_VERSION {
                    codec::decode(bytes)?
                } else {
                    A::migrate(version, bytes)?
                };
                described(&state)
            },
            effect: |bytes| described(&codec::decode::<A::Effect>(bytes)?),
            deadline: |bytes| Ok(format!("{:?}", codec::decode::<A::Deadline>(bytes)?)),
        }
    }
}

fn described<T: Serialize>(value: &T) -> Result<Value, CodecError> {
    serde_json::to_value(value).map_err(|error| CodecError::Unwritable {
        what: std::any::type_name::<T>(),
        why: error.to_string(),
    })
}

impl Kinds {
    /// Describes a state that lies in a store, as [`ActorRecord`](crate::ActorRecord) holds it.
    ///
    /// Of an earlier version it is migrated first. It shows all that the state holds: what is
    /// secret there is not kept secret here.
    ///
    /// # Errors
    ///
    /// [`CodecError::Mismatch`] if the kind is not known here or cannot read the bytes, and
    /// [`CodecError::Unwritable`] if JSON has no words for it: a map whose keys are neither texts
    /// nor numbers.
    ///
    /// # Example
    ///
    /// ```
    /// use sexton_core::sweep::Sweeper;
    /// use sexton_core::{Kinds, codec};
    ///
    /// let kinds = Kinds::new().with::<Sweeper>();
    /// assert!(kinds.describe("sweep", 1, b"nonsense").is_err());
    /// assert!(kinds.describe("tower", 1, b"").unwrap_err().to_string().contains("tower"));
    /// ```
    pub fn describe(&self, kind: &str, version: u16, bytes: &[u8]) -> Result<Value, CodecError> {
        (self.describer(kind)?.state)(version, bytes)
    }

    /// Describes an effect of a kind, as a [`Debt`](crate::Debt) holds it.
    ///
    /// # Errors
    ///
    /// As [`describe`](Self::describe).
    pub fn describe_effect(&self, kind: &str, bytes: &[u8]) -> Result<Value, CodecError> {
        (self.describer(kind)?.effect)(bytes)
    }

    /// Names a deadline of a kind, as a [`BackOff`](crate::BackOff) holds it: its `Debug` text.
    ///
    /// # Errors
    ///
    /// [`CodecError::Mismatch`] if the kind is not known here or cannot read the bytes.
    pub fn name_deadline(&self, kind: &str, bytes: &[u8]) -> Result<String, CodecError> {
        (self.describer(kind)?.deadline)(bytes)
    }

    fn describer(&self, kind: &str) -> Result<&Describer, CodecError> {
        let table = self.table(kind).ok_or_else(|| CodecError::Mismatch {
            what: "state of a known kind",
            why: format!("this program does not know the kind {kind}"),
        })?;
        Ok(&table.describer)
    }
}
