//! The records of a store, table by table; what cannot be read is told and passed over.

use serde::de::DeserializeOwned;
use sexton::key::{self, Key, Parsed, Table};
use sexton::{Debt, Entry, Error, Event, Mail, RowRecord, Shard, Store, codec};

use super::Damaged;

/// Records that are read at a time.
const PAGE: usize = 4_096;

/// Calls `visit` with every key and record under `prefix`, in order of keys; `false` ends it.
///
/// # Errors
///
/// What the store says.
pub(super) fn records(
    store: &dyn Store,
    prefix: &[u8],
    visit: impl FnMut(&[u8], &[u8]) -> bool,
) -> Result<(), Error> {
    between(store, (prefix.to_vec(), key::end_of(prefix)), visit)
}

/// As [`records`], from the first key on and before the second.
///
/// # Errors
///
/// What the store says.
pub(super) fn between(
    store: &dyn Store,
    keys: (Key, Key),
    mut visit: impl FnMut(&[u8], &[u8]) -> bool,
) -> Result<(), Error> {
    let (mut start, end) = keys;
    loop {
        let page = store.scan(&start, &end, PAGE)?;
        for (at, bytes) in &page {
            if !visit(at, bytes) {
                return Ok(());
            }
        }
        match page.last() {
            Some((last, _)) if page.len() == PAGE => start = [last.as_slice(), &[0]].concat(),
            Some(_) | None => return Ok(()),
        }
    }
}

/// Calls `visit` with every record of a table of every shard, decoded.
///
/// # Errors
///
/// What the store says.
pub(super) fn table<T: DeserializeOwned>(
    store: &dyn Store,
    table: Table,
    damaged: &mut Vec<Damaged>,
    mut visit: impl FnMut(Parsed, T),
) -> Result<(), Error> {
    for shard in Shard::all() {
        records(store, &key::prefix(shard, table), |at, bytes| {
            if let Some((parsed, record)) = read(at, bytes, damaged) {
                visit(parsed, record);
            }
            true
        })?;
    }
    Ok(())
}

/// A record with what its key says, unless it is damaged.
pub(super) fn read<T: DeserializeOwned>(
    at: &[u8],
    bytes: &[u8],
    damaged: &mut Vec<Damaged>,
) -> Option<(Parsed, T)> {
    let Some(parsed) = key::parse(at) else {
        let (place, why) = (hex(at), "its key is none of a store's".to_owned());
        damaged.push(Damaged { place, why });
        return None;
    };
    match codec::open(bytes) {
        Ok(record) => Some((parsed, record)),
        Err(error) => {
            damaged.push(Damaged { place: place(&parsed), why: error.to_string() });
            None
        }
    }
}

/// A key in words.
pub(super) fn place(parsed: &Parsed) -> String {
    match parsed {
        Parsed::Actor(id) => format!("the record of {id}"),
        Parsed::Child(parent, child) => format!("the link from {parent} to {child}"),
        Parsed::Debt(id, number) => format!("debt {number} of {id}"),
        Parsed::Event(number) => format!("event {number} of the log"),
        Parsed::Inbox(id, order) => format!("mail for {id} of {}", order.at),
        Parsed::Alarm(id, due) => format!("the alarm of {id} at {due}"),
        Parsed::Row(id, status) => format!("the row of {id} as {status}"),
    }
}

/// A record that is not what was written under its key: what it is by its key, and what is wrong.
pub(super) fn damaged_record(at: &[u8]) -> (String, &'static str) {
    match key::parse(at) {
        Some(parsed) if is_at_home(&parsed, at) => {
            (place(&parsed), "its checksum is wrong: it, or its key, is not what was written")
        }
        Some(parsed) => {
            (place(&parsed), "its key is damaged: of that name it would lie in another shard")
        }
        None => (hex(at), "its key is damaged: it is none of a store's"),
    }
}

/// Whether a record lies in the shard that its name says.
fn is_at_home(parsed: &Parsed, at: &[u8]) -> bool {
    let home = match parsed {
        Parsed::Actor(id) => key::actor(id),
        Parsed::Child(parent, child) => key::child(parent, child),
        Parsed::Debt(id, number) => key::debt(id, *number),
        Parsed::Inbox(id, order) => key::mail(id, *order),
        Parsed::Event(number) => key::event(*number),
        Parsed::Alarm(id, due) => key::alarm(id, *due),
        Parsed::Row(id, status) => key::row(id, status),
    };
    home == at
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().take(64).map(|byte| format!("{byte:02x}")).collect();
    format!("key {}", digits.concat())
}

/// Reads every record of the store as what its key says that it is.
///
/// # Errors
///
/// What the store says.
pub(super) fn everything(
    store: &dyn Store,
    damaged: &mut Vec<Damaged>,
    mut seen: impl FnMut(),
) -> Result<(), Error> {
    records(store, &[], |at, bytes| {
        seen();
        let parsed = key::parse(at);
        if let Some(parsed) = parsed.as_ref().filter(|it| !is_at_home(it, at)) {
            let why = format!("it lies under another key than its name says: {}", hex(at));
            damaged.push(Damaged { place: place(parsed), why });
        }
        match parsed {
            Some(Parsed::Actor(_)) => check::<Entry>(at, bytes, damaged),
            Some(Parsed::Child(..) | Parsed::Alarm(..)) => check::<()>(at, bytes, damaged),
            Some(Parsed::Debt(..)) => check::<Debt>(at, bytes, damaged),
            Some(Parsed::Event(..)) => check::<Event>(at, bytes, damaged),
            Some(Parsed::Inbox(..)) => check::<Mail>(at, bytes, damaged),
            Some(Parsed::Row(..)) => check::<RowRecord>(at, bytes, damaged),
            None => {
                let why = "its key is none of a store's".to_owned();
                damaged.push(Damaged { place: hex(at), why });
            }
        }
        true
    })
}

fn check<T: DeserializeOwned>(at: &[u8], bytes: &[u8], damaged: &mut Vec<Damaged>) {
    drop(read::<T>(at, bytes, damaged));
}
