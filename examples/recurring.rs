//! Recurring: a deadline that comes back every night, by the clocks of a city, over an outage.
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::{error::Error, path::Path, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use sexton::clock::SetClock;
use sexton::{Actor, Deadlines, Handle, Handlers, Host, Kinds, Missed, Recurring, Refusal};
use sexton::{Timestamp, Turn};
use sexton_store::{EmbeddedStore, Options};

const HOUR: Duration = Duration::from_secs(3_600);
/// Noon in UTC of the day before the clocks of Berlin are put on, in 2026.
const NOON: Timestamp = Timestamp::from_millis(1_774_699_200_000);

sexton::lifecycle! {
    enum Phase {
        Waiting = "waiting" [] => [],
    }
}

#[derive(Serialize, Deserialize)]
struct Archive {
    backup: Recurring,
    report: Recurring,
    backups: Vec<Timestamp>,
    reports: Vec<Timestamp>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Due {
    Backup,
    Report,
}

impl Actor for Archive {
    const KIND: &'static str = "archive";
    type Init = ();
    type Status = Phase;
    type Deadline = Due;
    type Effect = ();
    type Answer = ();

    fn create(_init: (), turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        let now = turn.now();
        // One backup is enough for all nights that were missed; of reports none may be missing.
        let backup = Recurring::cron("30 2 * * *", "Europe/Berlin", now, Missed::Once)?;
        let report = Recurring::every(6 * HOUR, now, Missed::Each);
        Ok(Self { backup, report, backups: Vec::new(), reports: Vec::new() })
    }

    fn handlers(_on: &mut Handlers<Self>) {}

    fn status(&self) -> Phase {
        Phase::Waiting
    }

    fn deadlines(&self, due: &mut Deadlines<Due>) {
        due.at(self.backup.next(), Due::Backup);
        due.at(self.report.next(), Due::Report);
    }

    fn on_deadline(&mut self, due: Due, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        match due {
            Due::Backup => self.backups.extend(self.backup.ring(turn.now())?.moments),
            Due::Report => self.reports.extend(self.report.ring(turn.now())?.moments),
        }
        Ok(())
    }
}

/// Opens the store as a process of its own would, some hours after noon.
async fn open(path: &Path, hours: u32) -> Result<Host, Box<dyn Error>> {
    let store = EmbeddedStore::open(path, &Options::default())?;
    let clock = SetClock::at(NOON + hours * HOUR);
    let host = Host::builder(|| Kinds::new().with::<Archive>());
    Ok(host.store(Arc::new(store)).clock(Arc::new(clock)).open().await?)
}

/// Waits until nothing is due any more.
async fn settled(archive: &Handle<Archive>, now: Timestamp) -> Result<Archive, Box<dyn Error>> {
    loop {
        let state = archive.state().await?;
        if state.backup.next() > now && state.report.next() > now {
            return Ok(state);
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("store");

    let host = open(&path, 0).await?;
    let archive = host.actor::<Archive>("letters")?;
    archive.create(()).await?;
    // 02:30 does not exist that night: the backup is due when the clocks are put on, at 01:00 UTC.
    assert_eq!(archive.state().await?.backup.next(), NOON + 13 * HOUR);
    println!("the next backup: {}", archive.state().await?.backup);
    host.close().await?;
    drop((host, archive));

    // Nobody was there for three nights.
    let host = open(&path, 72).await?;
    let archive = host.actor::<Archive>("letters")?;
    let state = settled(&archive, NOON + 72 * HOUR).await?;
    assert_eq!(state.backups, [NOON + 60 * HOUR + HOUR / 2], "one, for the last night");
    assert_eq!(state.reports.len(), 12, "every single one");
    println!("after three days: {} backup, {} reports", state.backups.len(), state.reports.len());
    println!("{}", archive.explain(5).await?);
    host.close().await?;
    Ok(())
}
