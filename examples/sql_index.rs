//! An SQL table beside the store, kept up to date from the log: stopped anywhere, it never drifts.
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

#[path = "sql_index/library.rs"]
mod library;
#[path = "sql_index/table.rs"]
mod table;

use std::{error::Error, path::Path, sync::Arc};

use sexton::{Cursor, ErrorKind, Host};
use sexton_store::{EmbeddedStore, Options, ReadOnlyStore};
use table::{Table, rows_of};

async fn open(path: &Path) -> Result<Host, Box<dyn Error>> {
    let store = Arc::new(EmbeddedStore::open(path, &Options::default())?);
    Ok(Host::builder(library::kinds).store(store).open().await?)
}

/// Follows the log from where the table stands up to a cursor.
async fn follow(host: &Host, table: &mut Table, to: Cursor) -> Result<(), Box<dyn Error>> {
    let mut follower = host.log().follow(table.cursor()?);
    while table.cursor()? < to {
        let mut events = follower.next().await?;
        events.retain(|(cursor, _)| *cursor <= to);
        table.apply(&events)?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let (store, database) = (directory.path().join("store"), directory.path().join("index.sqlite"));

    let host = open(&store).await?;
    let mut table = Table::open(&database)?;
    for number in 0..10 {
        library::day(&host, number).await?;
    }
    let end = host.log().bounds()?.durable;
    println!("{end} events, and the table follows half of them");
    follow(&host, &mut table, Cursor(end.0 / 2)).await?;

    // Both stop, the host without any order, and go on behind the cursor that lies with the rows.
    drop((host, table));
    let host = loop {
        // Its threads let go of the store a moment after its last handle.
        match open(&store).await {
            Ok(host) => break host,
            Err(error) => {
                let kind = error.downcast_ref::<sexton::Error>().map(sexton::Error::kind);
                assert_eq!(kind, Some(ErrorKind::Busy), "{error}");
            }
        }
    };
    let mut table = Table::open(&database)?;
    assert_eq!(table.cursor()?, Cursor(end.0 / 2));
    for number in 10..20 {
        library::day(&host, number).await?;
    }
    let end = host.log().bounds()?.durable;
    follow(&host, &mut table, end).await?;
    println!("after a restart of both it is at {end}: {} books are lent", table.count("lent")?);

    // An operator trims what every follower has; from before that nobody can begin any more.
    host.log().trim(end)?;
    let error = host.log().read(Cursor::BEGINNING, 1).expect_err("trimmed");
    println!("trimmed: {error}");
    host.close().await?;
    drop(host);

    // No drift: the table is what the store says, row by row.
    let rows = rows_of(&ReadOnlyStore::open(&store)?)?;
    assert_eq!(table.rows()?, rows);
    assert!(rows.iter().any(|(id, shown)| *id == library::shelf(11).as_str() && shown.is_none()));
    println!("{} rows of SQL are those of the store", rows.len());
    Ok(())
}
