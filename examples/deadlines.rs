//! Deadlines: several of one state, the earliest is the alarm, and nothing is ever cancelled.
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::{error::Error, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use sexton::clock::{Clock, SetClock};
use sexton::{Actor, Deadlines, Entry, Handler, Handlers, Host, Kinds, Message, Refusal};
use sexton::{Timestamp, Turn};
use sexton_store::MemoryStore;

const IDLE: Duration = Duration::from_secs(10 * 60);
const LIFE: Duration = Duration::from_secs(60 * 60);

sexton::lifecycle! {
    enum Phase {
        Open = "open" [holds] => [],
    }
}

#[derive(Serialize, Deserialize)]
struct Session {
    opened_at: Timestamp,
    renewed_at: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
enum Due {
    Idle,
    TooOld,
}

#[derive(Serialize, Deserialize)]
struct Renew;

impl Message for Renew {
    const NAME: &'static str = "renew";
    type Reply = Timestamp;
}

impl Actor for Session {
    const KIND: &'static str = "session";
    type Init = ();
    type Status = Phase;
    type Deadline = Due;
    type Effect = ();
    type Answer = ();

    fn create(_init: (), turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        Ok(Self { opened_at: turn.now(), renewed_at: turn.now() })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Renew>();
    }

    fn status(&self) -> Phase {
        Phase::Open
    }

    fn deadlines(&self, due: &mut Deadlines<Due>) {
        due.at(self.renewed_at + IDLE, Due::Idle);
        due.at(self.opened_at + LIFE, Due::TooOld);
    }

    fn on_deadline(&mut self, due: Due, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        turn.destroy(format!("{due:?}"), "deadline");
        Ok(())
    }
}

impl Handler<Renew> for Session {
    fn handle(&mut self, _renew: Renew, turn: &mut Turn<Self>) -> Result<Timestamp, Refusal> {
        self.renewed_at = turn.now();
        Ok(self.renewed_at + IDLE)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let clock = Arc::new(SetClock::at(Timestamp::ZERO));
    let (kinds, store) = (|| Kinds::new().with::<Session>(), Arc::new(MemoryStore::new()));
    let host =
        Host::builder(kinds).store(store).clock(Arc::<SetClock>::clone(&clock)).open().await?;
    let session = host.actor::<Session>("s-1")?;
    session.create(()).await?;
    // Renewed every nine minutes: the alarm follows the state, up to the end of its life.
    for _ in 0..6 {
        assert_eq!(session.call(Renew).await?, clock.now() + IDLE);
        clock.advance(Duration::from_secs(9 * 60));
    }
    session.call(Renew).await?;
    let Some(Entry::Alive(record)) = session.entry().await? else { unreachable!("it lives") };
    assert_eq!(record.alarm, Some(Timestamp::ZERO + LIFE));
    println!("renewed; now the end of its life is nearer than idleness");
    clock.set(Timestamp::ZERO + LIFE);
    while matches!(session.entry().await?, Some(Entry::Alive(_))) {}
    host.close().await?;
    Ok(())
}
