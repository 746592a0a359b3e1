//! Recovery: a store on disk, closed and opened again; what came due meanwhile rings.
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::{error::Error, path::Path, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use sexton::clock::SetClock;
use sexton::{Actor, Deadlines, Entry, ErrorKind, Handler, Handlers, Host, Kinds, Message};
use sexton::{Refusal, Timestamp, Turn};
use sexton_store::{EmbeddedStore, Options};

sexton::lifecycle! {
    enum Phase {
        Lent = "lent" [holds] => [],
    }
}

#[derive(Serialize, Deserialize)]
struct Loan {
    due_at: Timestamp,
    extended: u32,
}

#[derive(Serialize, Deserialize)]
struct Extend;

impl Message for Extend {
    const NAME: &'static str = "extend";
    type Reply = u32;
}

impl Actor for Loan {
    const KIND: &'static str = "loan";
    type Init = ();
    type Status = Phase;
    type Deadline = ();
    type Effect = ();
    type Answer = ();

    fn create(_init: (), turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        Ok(Self { due_at: turn.now() + WEEK, extended: 0 })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Extend>();
    }

    fn status(&self) -> Phase {
        Phase::Lent
    }

    fn deadlines(&self, due: &mut Deadlines<()>) {
        due.at(self.due_at, ());
    }

    fn on_deadline(&mut self, _due: (), turn: &mut Turn<Self>) -> Result<(), Refusal> {
        turn.destroy("overdue", "deadline");
        Ok(())
    }
}

impl Handler<Extend> for Loan {
    fn handle(&mut self, _extend: Extend, _turn: &mut Turn<Self>) -> Result<u32, Refusal> {
        self.due_at = self.due_at + WEEK;
        self.extended += 1;
        Ok(self.extended)
    }
}

const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Opens the store as a process of its own would, at a moment.
async fn open(path: &Path, weeks: u32) -> Result<Host, Box<dyn Error>> {
    let store = EmbeddedStore::open(path, &Options::default())?;
    let clock = SetClock::at(Timestamp::ZERO + weeks * WEEK);
    let host = Host::builder(|| Kinds::new().with::<Loan>());
    Ok(host.store(Arc::new(store)).clock(Arc::new(clock)).open().await?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("store");

    let host = open(&path, 0).await?;
    let loan = host.actor::<Loan>("moby-dick")?;
    loan.create(()).await?;
    assert_eq!(loan.call(Extend).await?, 1);
    host.close().await?;
    drop((host, loan));
    println!("closed; the loan is bytes on disk, and an entry in the index of alarms");

    // Nobody was there when it came due: it rings at once, without any call.
    let host = open(&path, 3).await?;
    let loan = host.actor::<Loan>("moby-dick")?;
    while matches!(loan.entry().await?, Some(Entry::Alive(_))) {}
    assert_eq!(loan.call(Extend).await.expect_err("buried").kind(), ErrorKind::Destroyed);
    println!("opened after three weeks: it was overdue, and has its tombstone");
    host.close().await?;
    Ok(())
}
