//! Embedding: a host inside a program that has a runtime, callers and an end of its own.
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::{error::Error, sync::Arc};

use serde::{Deserialize, Serialize};
use sexton::{Actor, CallError, EffectId, ErrorKind, Handle, Handler, Handlers, Host};
use sexton::{Kinds, Message, Performed, Performer, Refusal, Turn};
use sexton_store::MemoryStore;

sexton::lifecycle! {
    enum Phase {
        Ringing = "ringing" [] => [],
    }
}

#[derive(Serialize, Deserialize)]
struct Bell {
    strokes: u32,
}

#[derive(Serialize, Deserialize)]
struct Strike;

impl Message for Strike {
    const NAME: &'static str = "strike";
    type Reply = u32;
}

impl Actor for Bell {
    const KIND: &'static str = "bell";
    type Init = ();
    type Status = Phase;
    type Deadline = ();
    type Effect = u32;
    type Answer = ();

    fn create(_init: (), _turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        Ok(Self { strokes: 0 })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Strike>();
    }

    fn status(&self) -> Phase {
        Phase::Ringing
    }

    fn on_destroy(&mut self, turn: &mut Turn<Self>) {
        turn.effect(&self.strokes);
    }
}

impl Handler<Strike> for Bell {
    fn handle(&mut self, _strike: Strike, _turn: &mut Turn<Self>) -> Result<u32, Refusal> {
        self.strokes += 1;
        Ok(self.strokes)
    }
}

/// Runs on the program's own runtime: connections and clients of the program are at hand.
struct Echo;

impl Performer<Bell> for Echo {
    async fn perform(&self, id: EffectId, effect: u32, _failures: u32) -> Performed<()> {
        println!("{id}: {effect} strokes, and the tower is empty");
        Performed::Done(())
    }
}

/// A caller of the program: a full mailbox hands the message back, so it is tried again.
async fn strike(bell: Handle<Bell>, times: u32) -> Result<(), sexton::Error> {
    for _ in 0..times {
        let mut message = Strike;
        while let Err(error) = bell.call(message).await {
            let CallError::Busy(returned) = error else { return Err(error.into_error()) };
            message = returned;
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let host = Host::builder(|| Kinds::new().with::<Bell>())
        .store(Arc::new(MemoryStore::new()))
        .threads(1)
        .mailbox_messages_max(2)
        .performer::<Bell>(Echo, 4)
        .performers_on(tokio::runtime::Handle::current())
        .open()
        .await?;
    let bell = host.actor::<Bell>("west")?;
    bell.create(()).await?;
    let caller = || strike(bell.clone(), 5);
    tokio::try_join!(caller(), caller(), caller())?;
    assert_eq!(bell.state().await?.strokes, 15);
    bell.destroy("the service is over").await?;
    assert_eq!(bell.call(Strike).await.expect_err("buried").kind(), ErrorKind::Destroyed);
    host.close().await?;
    assert_eq!(bell.call(Strike).await.expect_err("closed").kind(), ErrorKind::Closed);
    Ok(())
}
