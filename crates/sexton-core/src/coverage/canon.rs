//! What two states have in common: their bytes, with every moment told from now.
//!
//! A state that polls is never the same twice by its bytes: its moments move on. Seen from now
//! they repeat, and so two states are one here if they are equal but for where now is. A field
//! that a model ignores is left out, and moments that are long past are one moment.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::ser::{self, Serialize};

use crate::time::Timestamp;

/// How a model looks at values.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// Fields of structs that make no difference.
    pub(super) ignored: BTreeSet<&'static str>,
    /// Moments further back than this are all the same.
    pub(super) memory: Duration,
}

impl View {
    /// The bytes of a value as it is seen from `now`; they are for comparing only.
    pub(super) fn of<T: Serialize>(&self, value: &T, now: Timestamp) -> Vec<u8> {
        let mut canon = Canon { view: self, now, bytes: Vec::new(), name: None, is_moment: false };
        // A value that refuses to be written is refused by its turn, before it comes here.
        match value.serialize(&mut canon) {
            Ok(()) => canon.bytes,
            Err(Unwritable(why)) => why.into_bytes(),
        }
    }

    /// A moment as it is seen from `now`, in milliseconds.
    pub(super) fn moment(&self, at: Timestamp, now: Timestamp) -> i64 {
        if at == Timestamp::MAX {
            return i64::MAX;
        }
        let oldest = i64::try_from(self.memory.as_millis()).unwrap_or(i64::MAX);
        (at.as_millis() - now.as_millis()).max(-oldest)
    }
}

/// The name of the variant that a value is; empty for what has none.
pub(super) fn variant_of<T: Serialize>(value: &T) -> &'static str {
    let view = View::default();
    let mut canon = Canon {
        view: &view,
        now: Timestamp::ZERO,
        bytes: Vec::new(),
        name: None,
        is_moment: false,
    };
    match value.serialize(&mut canon) {
        Ok(()) => canon.name.unwrap_or(""),
        Err(Unwritable(_)) => "",
    }
}

#[derive(Debug)]
struct Unwritable(String);

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unwritable {}

impl ser::Error for Unwritable {
    fn custom<T: fmt::Display>(msg: T) -> Self {
        Self(msg.to_string())
    }
}

struct Canon<'a> {
    view: &'a View,
    now: Timestamp,
    bytes: Vec<u8>,
    /// The first variant that was met.
    name: Option<&'static str>,
    /// The next number is a moment.
    is_moment: bool,
}

#[expect(clippy::unnecessary_wraps, reason = "they are the last word of methods that return one")]
impl Canon<'_> {
    /// A part with its length in front, so that no two values run into each other.
    fn part(&mut self, part: &[u8]) -> Result<(), Unwritable> {
        self.bytes.extend_from_slice(&part.len().to_le_bytes());
        self.bytes.extend_from_slice(part);
        Ok(())
    }

    fn plain<const N: usize>(&mut self, bytes: [u8; N]) -> Result<(), Unwritable> {
        self.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    fn variant(&mut self, index: u32, name: &'static str) -> Result<(), Unwritable> {
        self.name.get_or_insert(name);
        self.plain(index.to_le_bytes())
    }

    /// How many follow is known at the end only: each element has a mark in front.
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        self.bytes.push(1);
        value.serialize(self)
    }

    fn close(&mut self) -> Result<(), Unwritable> {
        self.bytes.push(0);
        Ok(())
    }

    fn field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        if self.view.ignored.contains(name) { Ok(()) } else { value.serialize(self) }
    }
}

macro_rules! numbers {
    ($($method:ident: $type:ty),*) => {
        $( fn $method(self, v: $type) -> Result<(), Unwritable> {
            self.plain(v.to_le_bytes())
        } )*
    };
}

impl ser::Serializer for &mut Canon<'_> {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    numbers!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_u8: u8);
    numbers!(serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_f32: f32);
    numbers!(serialize_f64: f64);

    fn serialize_i64(self, v: i64) -> Result<(), Unwritable> {
        let is_moment = std::mem::take(&mut self.is_moment);
        let told =
            if is_moment { self.view.moment(Timestamp::from_millis(v), self.now) } else { v };
        self.plain(told.to_le_bytes())
    }

    fn serialize_bool(self, v: bool) -> Result<(), Unwritable> {
        self.plain([u8::from(v)])
    }

    fn serialize_char(self, v: char) -> Result<(), Unwritable> {
        self.plain(u32::from(v).to_le_bytes())
    }

    fn serialize_str(self, v: &str) -> Result<(), Unwritable> {
        self.part(v.as_bytes())
    }

    fn serialize_bytes(self, v: &[u8]) -> Result<(), Unwritable> {
        self.part(v)
    }

    fn serialize_none(self) -> Result<(), Unwritable> {
        self.plain([0])
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unwritable> {
        self.bytes.push(1);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Unwritable> {
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Unwritable> {
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        variant_index: u32,
        variant: &'static str,
    ) -> Result<(), Unwritable> {
        self.variant(variant_index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        self.is_moment = name == "Timestamp";
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        variant_index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        self.variant(variant_index, variant)?;
        value.serialize(self)
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Self, Unwritable> {
        Ok(self)
    }

    fn serialize_tuple(self, _len: usize) -> Result<Self, Unwritable> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Self, Unwritable> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        variant_index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Self, Unwritable> {
        self.variant(variant_index, variant)?;
        Ok(self)
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Self, Unwritable> {
        Ok(self)
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Self, Unwritable> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        variant_index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Self, Unwritable> {
        self.variant(variant_index, variant)?;
        Ok(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

macro_rules! elements {
    ($($of:ident: $method:ident),*) => {
        $( impl ser::$of for &mut Canon<'_> {
            type Ok = ();
            type Error = Unwritable;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
                self.element(value)
            }

            fn end(self) -> Result<(), Unwritable> {
                self.close()
            }
        } )*
    };
}
elements!(SerializeSeq: serialize_element, SerializeTuple: serialize_element);
elements!(SerializeTupleStruct: serialize_field, SerializeTupleVariant: serialize_field);

impl ser::SerializeMap for &mut Canon<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unwritable> {
        self.element(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Unwritable> {
        self.close()
    }
}

macro_rules! fields {
    ($($of:ident),*) => {
        $( impl ser::$of for &mut Canon<'_> {
            type Ok = ();
            type Error = Unwritable;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Unwritable> {
                self.field(key, value)
            }

            fn end(self) -> Result<(), Unwritable> {
                self.close()
            }
        } )*
    };
}
fields!(SerializeStruct, SerializeStructVariant);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize)]
    enum Poll {
        Asked { at: Timestamp, attempt: u32 },
        Never,
    }

    fn seen(value: &Poll, now: i64, ignored: &[&'static str]) -> Vec<u8> {
        let ignored = ignored.iter().copied().collect();
        let view = View { ignored, memory: Duration::from_secs(60) };
        view.of(value, Timestamp::from_millis(now))
    }

    fn asked(at: i64, attempt: u32) -> Poll {
        Poll::Asked { at: Timestamp::from_millis(at), attempt }
    }

    #[test]
    fn moments_are_told_from_now_and_numbers_are_not() {
        assert_eq!(seen(&asked(10, 1), 15, &[]), seen(&asked(110, 1), 115, &[]));
        assert_ne!(seen(&asked(10, 1), 15, &[]), seen(&asked(110, 1), 116, &[]));
        assert_ne!(seen(&asked(10, 1), 15, &[]), seen(&asked(110, 2), 115, &[]));
        assert_eq!(seen(&asked(10, 1), 15, &["attempt"]), seen(&asked(10, 2), 15, &["attempt"]));
    }

    #[test]
    fn moments_that_are_long_past_are_one() {
        assert_eq!(seen(&asked(0, 1), 60_000, &[]), seen(&asked(0, 1), 90_000, &[]));
        assert_ne!(seen(&asked(0, 1), 59_999, &[]), seen(&asked(0, 1), 60_000, &[]));
    }

    #[test]
    fn what_a_value_is_called_is_the_name_of_its_variant() {
        assert_eq!((variant_of(&asked(0, 0)), variant_of(&Poll::Never)), ("Asked", "Never"));
        assert_eq!(variant_of(&5_u32), "");
    }
}
