//! Reading a store without loading actors: entries, rows, debts, children.

use crate::actor::Actor;
use crate::codec;
use crate::destroy::Entry;
use crate::effect::Debt;
use crate::engine::{each, each_shard, read_debts, read_entry};
use crate::error::{Error, ErrorKind};
use crate::key::{self, ActorId, Parsed, Table};
use crate::row::RowView;
use crate::store::Store;

/// What lies under a name: a life, a tombstone, or nothing.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`] if the record cannot be read, and what the store says.
pub fn entry(store: &dyn Store, id: &ActorId) -> Result<Option<Entry>, Error> {
    read_entry(store, id)
}

/// The debts of an actor, in order of their numbers.
///
/// # Errors
///
/// As [`entry`].
pub fn debts(store: &dyn Store, id: &ActorId) -> Result<Vec<(u64, Debt)>, Error> {
    Ok(read_debts(store, id)?.into_iter().collect())
}

/// Calls `visit` with every row of a kind that has `status`, in order of shard and id.
///
/// # Errors
///
/// As [`entry`], and what `visit` returns.
pub fn rows(
    store: &dyn Store,
    of: (&str, &str),
    visit: impl FnMut(RowView) -> Result<(), Error>,
) -> Result<(), Error> {
    visit_rows(store, &key::rows(of.0, of.1), visit)
}

/// Calls `visit` with every row of a kind, in order of status, shard and id.
///
/// # Errors
///
/// As [`entry`], and what `visit` returns.
pub fn rows_of_kind(
    store: &dyn Store,
    kind: &str,
    visit: impl FnMut(RowView) -> Result<(), Error>,
) -> Result<(), Error> {
    visit_rows(store, &key::rows_of_kind(kind), visit)
}

/// Calls `visit` with every row of the store, in order of kind, status, shard and id.
///
/// # Errors
///
/// As [`entry`], and what `visit` returns.
pub fn all_rows(
    store: &dyn Store,
    visit: impl FnMut(RowView) -> Result<(), Error>,
) -> Result<(), Error> {
    visit_rows(store, &key::all_rows(), visit)
}

fn visit_rows(
    store: &dyn Store,
    prefix: &[u8],
    mut visit: impl FnMut(RowView) -> Result<(), Error>,
) -> Result<(), Error> {
    each(store, prefix, |at, bytes| match read_row(at, bytes)? {
        Some(row) => visit(row),
        None => Ok(()),
    })
}

/// Calls `visit` with every entry of the store, lives and tombstones, in order of shard and id.
///
/// # Errors
///
/// As [`entry`], and what `visit` returns.
pub fn all_entries(
    store: &dyn Store,
    mut visit: impl FnMut(ActorId, Entry) -> Result<(), Error>,
) -> Result<(), Error> {
    each_shard(store, |shard| {
        each(store, &key::prefix(shard, Table::Actor), |at, bytes| {
            let Some(Parsed::Actor(id)) = key::parse(at) else { return Ok(()) };
            let entry = codec::open(bytes).map_err(|error| {
                Error::new(ErrorKind::Corrupt, format!("the record of {id} cannot be read"))
                    .with_source(error)
            })?;
            visit(id, entry)
        })
    })
}

/// The children of an actor, in order of their ids.
///
/// # Errors
///
/// As [`entry`].
pub fn children(store: &dyn Store, parent: &ActorId) -> Result<Vec<ActorId>, Error> {
    let mut children = Vec::new();
    each(store, &key::children(parent), |at, _| {
        if let Some(Parsed::Child(_, child)) = key::parse(at) {
            children.push(child);
        }
        Ok(())
    })?;
    Ok(children)
}

/// The committed state of a living actor of kind `A`, without loading it into an engine.
///
/// # Errors
///
/// As [`entry`].
pub fn state<A: Actor>(store: &dyn Store, id: &ActorId) -> Result<Option<A>, Error> {
    let Some(Entry::Alive(record)) = entry(store, id)? else { return Ok(None) };
    let state = if record.state_version == A::STATE_VERSION {
        codec::decode(&record.state)
    } else {
        A::migrate(record.state_version, &record.state)
    };
    state.map(Some).map_err(|error| {
        Error::new(ErrorKind::Corrupt, format!("the state of {id} cannot be read"))
            .with_source(error)
    })
}

/// Reads a row where it lies; `None` if that is no key of a row.
pub(crate) fn read_row(at: &[u8], bytes: &[u8]) -> Result<Option<RowView>, Error> {
    let Some(Parsed::Row(id, status)) = key::parse(at) else { return Ok(None) };
    let record = codec::open(bytes).map_err(|error| {
        Error::new(ErrorKind::Corrupt, format!("the row of {id} cannot be read")).with_source(error)
    })?;
    Ok(Some(RowView { id, status, record }))
}
