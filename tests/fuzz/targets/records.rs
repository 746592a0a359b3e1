//! Records: bare and in their envelope, as bytes and as JSON.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sexton::codec;
use sexton::limits::SHARDS;
use sexton::sweep::{Pass, Sweeper};
use sexton::{
    ActorRecord, BackOff, Batch, Body, Debt, DestroyPlan, EffectId, Entry, Event, Failure, Mail,
    Missed, Query, Recurring, Row, RowRecord, Rung, Timestamp, Tombstone,
};

use crate::Target;
use crate::input::{says_why, sealed};

/// Reads the bytes behind the first as the type that the first says.
pub fn records(bytes: &[u8]) -> bool {
    let Some((which, body)) = bytes.split_first() else { return false };
    let reads = READS[usize::from(*which) % READS.len()].1;
    reads(body)
}

/// The types by their names, in the order of the first byte.
pub const READS: &[(&str, Target)] = &[
    ("entry", read::<Entry>),
    ("living", read::<ActorRecord>),
    ("tombstone", read::<Tombstone>),
    ("debt", read::<Debt>),
    ("mail", read::<Mail>),
    ("body", read::<Body>),
    ("row", read::<RowRecord>),
    ("shown", read::<Row>),
    ("event", read::<Event>),
    ("back-off", read::<BackOff>),
    ("batch", batch),
    ("effect", read::<EffectId>),
    ("failure", read::<Failure>),
    ("plan", read::<DestroyPlan>),
    ("query", read::<Query>),
    ("recurring", read::<Recurring>),
    ("rung", read::<Rung>),
    ("missed", read::<Missed>),
    ("moment", moment),
    ("sweep", encoded::<Sweeper>),
    ("pass", encoded::<Pass>),
    ("order", read::<sexton::key::MailOrder>),
];

/// The bytes as a record's body: what is read can be written and reads back as the same.
fn read<T: Serialize + DeserializeOwned + PartialEq + Debug>(body: &[u8]) -> bool {
    if let Err(error) = codec::open::<T>(body) {
        // The bytes as an envelope: nearly always damaged, and never a panic.
        says_why(&error);
    }
    let value: T = match codec::open(&sealed(body)) {
        Ok(value) => value,
        Err(error) => {
            says_why(&error);
            assert!(codec::decode::<T>(body).is_err(), "read bare and refused in its envelope");
            return false;
        }
    };
    let again = codec::encode(&value).expect("what was read can be written");
    assert_eq!(codec::decode::<T>(&again).as_ref(), Ok(&value));
    assert_eq!(codec::seal(&value), Ok(sealed(&again)));
    let json = serde_json::to_string(&value).expect("what was read can be told");
    let told: T = serde_json::from_str(&json).expect("what was told can be read");
    assert_eq!(told, value, "from {json}");
    true
}

/// As [`read`], of a type whose values cannot be compared: its bytes are.
fn encoded<T: Serialize + DeserializeOwned>(body: &[u8]) -> bool {
    let Ok(value) = codec::decode::<T>(body) else { return false };
    let once = codec::encode(&value).expect("what was read can be written");
    let twice = codec::decode::<T>(&once).and_then(|value| codec::encode(&value));
    assert_eq!(twice, Ok(once));
    true
}

fn batch(body: &[u8]) -> bool {
    if let Ok(batch) = codec::decode::<Batch>(body) {
        let shard = batch.shard.number();
        assert!(shard < SHARDS, "a batch of shard {shard} was read");
    }
    read::<Batch>(body)
}

fn moment(body: &[u8]) -> bool {
    if let Ok(at) = codec::decode::<Timestamp>(body) {
        let ms = at.as_millis();
        assert_eq!(at, Timestamp::from_millis(ms), "a moment that nothing can make was read");
    }
    read::<Timestamp>(body)
}
