//! Bytes: the one encoding of states, messages and records, and the envelope around a record.
//!
//! Values are written with bincode 1.3's fixed layout (little-endian, 8-byte lengths): the
//! fastest that was measured (`docs/format.md`). It cannot read old bytes after a field was
//! added, so nothing that lasts is written bare: a record lies in an [`Envelope`](seal), and a
//! state carries its actor's version, which `migrate` brings up to date.
//!
//! ```text
//! record:  format:1  crc32:4  body        the checksum covers the format and the body
//! ```
//!
//! It lives in core because deciding needs it: a turn whose state encodes to the same bytes has
//! changed nothing. Nothing else in the workspace names bincode.

use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::limits::RECORD_BYTES_MAX;

/// The version of the record format that this library writes.
///
/// It reads this one and every earlier one; a later one is refused by name.
pub const FORMAT: u8 = 1;

const HEAD_BYTES: usize = 5;
/// The bytes that a value is first written to. Chosen: nearly all records, so that memory seldom
/// grows, and what allocators have at hand for each thread: growing takes a lock, which the threads
/// of a host then wait for.
const DRAFT_BYTES: usize = 1_000;

/// Why bytes could not be read, or a value not be written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CodecError {
    /// The record is shorter than its own head.
    #[error("a record of {0} bytes is shorter than the {HEAD_BYTES} bytes of its head")]
    Short(usize),
    /// The record was written by a later version of the library.
    #[error("the record has format {found}, and this version reads up to {FORMAT}")]
    Newer {
        /// The format that the record says it has.
        found: u8,
    },
    /// The checksum does not match: the bytes are not those that were written.
    #[error("the record is damaged: its checksum is {found:08x}, its bytes give {computed:08x}")]
    Damaged {
        /// The checksum in the record.
        found: u32,
        /// The checksum of the bytes that are there.
        computed: u32,
    },
    /// The bytes are whole and still do not make the value.
    #[error("the bytes are not a {what}: {why}")]
    Mismatch {
        /// The type that was asked for.
        what: &'static str,
        /// What the decoder says.
        why: String,
    },
    /// The value is larger than a record may be.
    #[error("a {what} cannot be written: {why}")]
    Unwritable {
        /// The type that was to be written.
        what: &'static str,
        /// What the encoder says.
        why: String,
    },
}

fn options() -> impl Options {
    bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .with_limit(RECORD_BYTES_MAX)
        .reject_trailing_bytes()
}

/// Appends a value bare. The limit is looked at afterwards: bincode would write everything twice to
/// know the size before.
pub(crate) fn append<T: Serialize>(value: &T, to: &mut Vec<u8>) -> Result<(), CodecError> {
    let unwritable = |why: String| CodecError::Unwritable { what: std::any::type_name::<T>(), why };
    let options = bincode::DefaultOptions::new().with_fixint_encoding();
    options.serialize_into(&mut *to, value).map_err(|error| unwritable(error.to_string()))?;
    if u64::try_from(to.len()).is_ok_and(|bytes| bytes <= RECORD_BYTES_MAX) {
        return Ok(());
    }
    Err(unwritable(format!("{} bytes are more than {RECORD_BYTES_MAX}", to.len())))
}

/// Writes a value bare, without envelope.
///
/// # Errors
///
/// [`CodecError::Unwritable`] if it is larger than [`RECORD_BYTES_MAX`] or refuses to be
/// serialized.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::with_capacity(DRAFT_BYTES);
    append(value, &mut bytes)?;
    Ok(fitting(bytes))
}

/// The same bytes in memory that has no room for more: records are kept for long.
fn fitting(bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() == bytes.capacity() { bytes } else { bytes.as_slice().to_vec() }
}

/// Reads a value that [`encode`] wrote.
///
/// # Errors
///
/// [`CodecError::Mismatch`] if the bytes are not such a value, are too few or too many.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    options().deserialize(bytes).map_err(|error| CodecError::Mismatch {
        what: std::any::type_name::<T>(),
        why: error.to_string(),
    })
}

/// Writes a record: the value in its envelope.
///
/// # Errors
///
/// As [`encode`].
pub fn seal<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut record = Vec::with_capacity(DRAFT_BYTES);
    record.push(FORMAT);
    record.extend_from_slice(&[0; 4]);
    append(value, &mut record)?;
    let checksum = checksum(FORMAT, record.get(HEAD_BYTES..).unwrap_or_default());
    if let Some(place) = record.get_mut(1..HEAD_BYTES) {
        place.copy_from_slice(&checksum.to_le_bytes());
    }
    Ok(fitting(record))
}

/// Reads a record that [`seal`] wrote.
///
/// # Errors
///
/// [`CodecError`]: too short, of a later format, damaged, or of another type. Never a value
/// that was not written.
///
/// # Example
///
/// ```
/// use sexton_core::codec::{CodecError, open, seal};
///
/// let mut record = seal(&("w-17", 5_u32)).expect("small");
/// assert_eq!(open::<(String, u32)>(&record).expect("whole"), ("w-17".to_owned(), 5));
/// *record.last_mut().expect("not empty") ^= 1;
/// assert!(matches!(open::<(String, u32)>(&record), Err(CodecError::Damaged { .. })));
/// ```
pub fn open<T: DeserializeOwned>(record: &[u8]) -> Result<T, CodecError> {
    let (head, body) =
        record.split_first_chunk::<HEAD_BYTES>().ok_or(CodecError::Short(record.len()))?;
    let [format, a, b, c, d] = *head;
    let found = u32::from_le_bytes([a, b, c, d]);
    let computed = checksum(format, body);
    if found != computed {
        return Err(CodecError::Damaged { found, computed });
    }
    if format > FORMAT {
        return Err(CodecError::Newer { found: format });
    }
    decode(body)
}

/// The body of a record, unchecked, for a look at what a check would cost too much.
pub(crate) fn body(record: &[u8]) -> Option<&[u8]> {
    record.get(HEAD_BYTES..)
}

fn checksum(format: u8, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[format]);
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_a_later_format_is_refused_by_name() {
        let mut record = seal(&1_u32).unwrap();
        record[0] = FORMAT + 1;
        let sum = checksum(FORMAT + 1, &record[HEAD_BYTES..]);
        record[1..HEAD_BYTES].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(open::<u32>(&record), Err(CodecError::Newer { found: FORMAT + 1 }));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let record = seal(&("state", 7_u64)).unwrap();
        for bit in 0..record.len() * 8 {
            let mut bent = record.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(open::<(String, u64)>(&bent).is_err(), "bit {bit} was not noticed");
        }
    }

    #[test]
    fn a_length_that_lies_does_not_allocate() {
        // Eight bytes that claim a vector of 2^60 elements.
        let bytes = (1_u64 << 60).to_le_bytes();
        assert!(decode::<Vec<u64>>(&bytes).is_err());
    }

    #[test]
    fn bytes_left_over_are_an_error() {
        assert!(decode::<u8>(&[1, 2]).is_err());
    }
}
