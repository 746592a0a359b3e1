//! A first actor: its state, its message, its lifecycle, its deadline, and its end.
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::{error::Error, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use sexton::clock::SetClock;
use sexton::{Actor, Deadlines, ErrorKind, Handler, Handlers, Host, Kinds, Message, Refusal};
use sexton::{Timestamp, Turn, What};
use sexton_store::MemoryStore;

sexton::lifecycle! {
    enum Phase {
        Running = "running" [holds billable] => [Stopped],
        Stopped = "stopped" [holds] => [Running],
    }
}

#[derive(Serialize, Deserialize)]
struct Workspace {
    stopped_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct Stop;

impl Message for Stop {
    const NAME: &'static str = "stop";
    type Reply = ();
}

impl Actor for Workspace {
    const KIND: &'static str = "workspace";
    type Init = ();
    type Status = Phase;
    type Deadline = ();
    type Effect = ();
    type Answer = ();

    fn create(_init: (), _turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        Ok(Self { stopped_at: None })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Stop>();
    }

    fn status(&self) -> Phase {
        if self.stopped_at.is_some() { Phase::Stopped } else { Phase::Running }
    }

    fn deadlines(&self, due: &mut Deadlines<()>) {
        if let Some(stopped_at) = self.stopped_at {
            due.at(stopped_at + Duration::from_secs(24 * 3_600), ());
        }
    }

    fn on_deadline(&mut self, _due: (), turn: &mut Turn<Self>) -> Result<(), Refusal> {
        turn.destroy("stopped for a day", "deadline");
        Ok(())
    }
}

impl Handler<Stop> for Workspace {
    fn handle(&mut self, _stop: Stop, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.stopped_at = Some(turn.now());
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let clock = Arc::new(SetClock::at(Timestamp::ZERO));
    let host = Host::builder(|| Kinds::new().with::<Workspace>())
        .store(Arc::new(MemoryStore::new()))
        .clock(Arc::<SetClock>::clone(&clock))
        .open()
        .await?;
    let workspace = host.actor::<Workspace>("w-17")?;
    workspace.create(()).await?;
    // The answer comes when the turn is durable.
    workspace.call(Stop).await?;
    assert_eq!(workspace.status().await?, Phase::Stopped);
    println!("{} is stopped; its alarm is armed, and nobody set it", workspace.id());

    let mut events = host.subscribe();
    clock.advance(Duration::from_secs(24 * 3_600));
    while !matches!(events.next().await?.what, What::Destroyed { .. }) {}
    let error = workspace.call(Stop).await.expect_err("it has a tombstone");
    assert_eq!(error.kind(), ErrorKind::Destroyed);
    println!("a day later: {error}");
    host.close().await?;
    Ok(())
}
