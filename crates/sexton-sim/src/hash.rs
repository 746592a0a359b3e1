//! Hashes: of a run's turns in order, and of what a store holds at the end.

use std::fmt::Write as _;

use sexton::{ActorRecord, Entry, Error, Store, Timestamp, Turned, codec, query};
use sha2::{Digest, Sha256};

/// A running hash with lengths in front of what goes in, so that no two inputs run together.
#[derive(Clone, Debug, Default)]
pub struct Hasher {
    hash: Sha256,
}

impl Hasher {
    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
        self.hash.update(bytes);
    }

    /// Adds a turn: when, whose, what for, and all that it wrote.
    pub fn add_turn(&mut self, now: Timestamp, turned: &Turned) {
        self.add(&now.as_millis().to_le_bytes());
        if let Some((id, cause)) = &turned.label {
            self.add(id.as_str().as_bytes());
            self.add(cause.as_bytes());
        }
        for write in turned.batch.iter().flat_map(|batch| &batch.writes) {
            self.add(&write.key);
            self.add(write.value.as_deref().unwrap_or(b"-"));
        }
        for event in turned.batch.iter().flat_map(|batch| &batch.events) {
            self.add(event);
        }
    }

    /// The hash so far, as 32 hexadecimal digits: half of SHA-256, enough to tell runs apart.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for byte in self.hash.clone().finalize().iter().take(16) {
            write!(text, "{byte:02x}").expect("writing to a text cannot fail");
        }
        text
    }
}

/// The hash over what there is: every actor's state, row, children and debts, every tombstone.
///
/// Not over counts of attempts and restarts, so a run that was killed and resumed ends with the
/// hash of one that was not.
///
/// # Errors
///
/// What the store says, and [`sexton::ErrorKind::Corrupt`] for what cannot be read.
pub fn state_hash(store: &dyn Store) -> Result<String, Error> {
    let mut hasher = Hasher::default();
    query::all_entries(store, |id, entry| {
        hasher.add(id.as_str().as_bytes());
        match entry {
            Entry::Alive(record) => add_living(&mut hasher, store, &id, &record)?,
            Entry::Tombstone(tombstone) => {
                hasher.add(b"tombstone");
                hasher.add(&tombstone.at.as_millis().to_le_bytes());
                for text in [&tombstone.why, &tombstone.by, &tombstone.status] {
                    hasher.add(text.as_bytes());
                }
            }
        }
        Ok(())
    })?;
    query::all_rows(store, |row| {
        hasher.add(row.id.as_str().as_bytes());
        hasher.add(row.status.as_bytes());
        hasher.add(&row.record.changed_at.as_millis().to_le_bytes());
        hasher.add(&codec::encode(&row.record.row).unwrap_or_default());
        Ok(())
    })?;
    Ok(hasher.text())
}

fn add_living(
    hasher: &mut Hasher,
    store: &dyn Store,
    id: &sexton::ActorId,
    record: &ActorRecord,
) -> Result<(), Error> {
    hasher.add(b"alive");
    hasher.add(&record.state);
    hasher.add(&[u8::from(record.destruction.is_some())]);
    for child in query::children(store, id)? {
        hasher.add(child.as_str().as_bytes());
    }
    for (number, debt) in query::debts(store, id)? {
        hasher.add(&number.to_le_bytes());
        hasher.add(&debt.effect);
    }
    Ok(())
}
