//! A table of actors in SQLite, kept up to date from the log of events.
//!
//! Rows and cursor change in one SQL transaction, so whoever is killed, at whatever moment, the
//! table is that of its cursor, and goes on from there. An event that comes once more changes
//! nothing, because a row takes newer numbers only; and what has a tombstone stays gone.

use std::error::Error;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use sexton::{Cursor, Entry, Event, Store, What, query};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS actors (
        id          TEXT PRIMARY KEY,
        kind        TEXT NOT NULL,
        status      TEXT NOT NULL,
        owner       TEXT,
        incarnation INTEGER NOT NULL,
        sequence    INTEGER NOT NULL,
        is_gone     INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS log_cursor (
        is_only INTEGER PRIMARY KEY CHECK (is_only = 1),
        cursor  INTEGER NOT NULL
    );
    INSERT OR IGNORE INTO log_cursor VALUES (1, 0);
";

/// The life begins, unless this life or a later one is known.
const BEGIN: &str = "
    INSERT INTO actors (id, kind, status, owner, incarnation, sequence, is_gone)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)
    ON CONFLICT (id) DO UPDATE SET
        status = excluded.status, owner = excluded.owner, incarnation = excluded.incarnation,
        sequence = excluded.sequence, is_gone = 0
    WHERE excluded.incarnation > actors.incarnation";

/// The life goes on; what is gone stays gone, and an earlier event changes nothing.
const GO_ON: &str = "
    UPDATE actors SET
        status = COALESCE(?3, status), sequence = ?4, is_gone = MAX(is_gone, ?5)
    WHERE id = ?1 AND incarnation = ?2 AND sequence < ?4 AND is_gone = 0";

/// The table and its connection.
pub(crate) struct Table {
    connection: Connection,
}

/// A row: id, status, owner, sequence; status and sequence of what is gone do not matter.
pub(crate) type Shown = (String, Option<(String, Option<String>, u64)>);

impl Table {
    /// Opens the database, or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self, Box<dyn Error>> {
        let connection = Connection::open(path)?;
        // A commit that was told is on disk, also when the power goes.
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection })
    }

    /// Up to where the table has followed the log.
    pub(crate) fn cursor(&self) -> Result<Cursor, Box<dyn Error>> {
        let sql = "SELECT cursor FROM log_cursor";
        let cursor = self.connection.query_row(sql, [], |row| row.get::<_, i64>(0))?;
        Ok(Cursor(u64::try_from(cursor)?))
    }

    /// Takes events and moves the cursor behind them, in one transaction.
    pub(crate) fn apply(&mut self, events: &[(Cursor, Event)]) -> Result<(), Box<dyn Error>> {
        let transaction = self.connection.transaction()?;
        for (cursor, event) in events {
            take(&transaction, event)?;
            // A second follower of this table would move it as well: then this one gives up.
            let (after, before) = (i64::try_from(cursor.0)?, i64::try_from(cursor.0 - 1)?);
            let sql = "UPDATE log_cursor SET cursor = ?1 WHERE cursor = ?2";
            if transaction.prepare_cached(sql)?.execute(params![after, before])? != 1 {
                return Err(format!("the table is not at cursor {before} any more").into());
            }
        }
        Ok(transaction.commit()?)
    }

    /// Every row, in order of ids.
    pub(crate) fn rows(&self) -> Result<Vec<Shown>, Box<dyn Error>> {
        let sql = "SELECT id, status, owner, sequence, is_gone FROM actors ORDER BY id";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map([], |row| {
            let sequence = u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0);
            let is_gone: bool = row.get(4)?;
            Ok((row.get(0)?, (!is_gone).then_some((row.get(1)?, row.get(2)?, sequence))))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many rows have a status, for people.
    pub(crate) fn count(&self, status: &str) -> Result<u64, Box<dyn Error>> {
        let sql = "SELECT COUNT(*) FROM actors WHERE status = ?1 AND is_gone = 0";
        let count = self.connection.query_row(sql, [status], |row| row.get::<_, i64>(0));
        Ok(u64::try_from(count.optional()?.unwrap_or(0))?)
    }
}

/// Brings one event into the table.
fn take(transaction: &Transaction<'_>, event: &Event) -> Result<(), Box<dyn Error>> {
    let (id, number) = (event.actor.as_str(), i64::try_from(event.number)?);
    if number == 0 {
        // A dead letter is nobody's event.
        return Ok(());
    }
    let (status, is_gone) = match &event.what {
        What::Created { status, parent } => {
            let owner = parent.as_ref().map(|parent| parent.id.as_str());
            let row = params![id, event.actor.kind(), status, owner, event.incarnation, number];
            transaction.prepare_cached(BEGIN)?.execute(row)?;
            return Ok(());
        }
        What::Transition { to, .. } => (Some(to.as_str()), false),
        What::Destroying { .. } => (Some(sexton::DESTROYING), false),
        What::Destroyed { .. } => (None, true),
        What::Stalled { .. }
        | What::DeadLetter { .. }
        | What::Abandoned { .. }
        | What::Fact { .. } => (None, false),
    };
    let change = params![id, event.incarnation, status, number, is_gone];
    transaction.prepare_cached(GO_ON)?.execute(change)?;
    Ok(())
}

/// The same rows as the store itself has them.
pub(crate) fn rows_of(store: &dyn Store) -> Result<Vec<Shown>, Box<dyn Error>> {
    let mut rows = std::collections::BTreeMap::new();
    query::all_entries(store, |id, entry| {
        let shown = match entry {
            Entry::Alive(record) => {
                let owner = record.parent.map(|parent| parent.id.to_string());
                Some((String::new(), owner, record.events))
            }
            Entry::Tombstone(_) => None,
        };
        rows.insert(id.to_string(), shown);
        Ok(())
    })?;
    query::all_rows(store, |row| {
        if let Some(Some((status, ..))) = rows.get_mut(row.id.as_str()) {
            *status = row.status;
        }
        Ok(())
    })?;
    Ok(rows.into_iter().collect())
}
