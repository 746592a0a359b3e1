//! Children: a family goes children first, and none of its names comes back.
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sexton::{Actor, ActorId, Entry, ErrorKind, Gone, Handler, Handlers, Host, Kinds, Message};
use sexton::{Refusal, Turn, What};
use sexton_store::MemoryStore;

sexton::lifecycle! {
    enum Phase {
        Here = "here" [] => [],
    }
}

#[derive(Serialize, Deserialize)]
struct Folder {
    lost: Vec<ActorId>,
}

#[derive(Serialize, Deserialize)]
struct Add(String);

impl Message for Add {
    const NAME: &'static str = "add";
    type Reply = Option<ActorId>;
}

impl Actor for Folder {
    const KIND: &'static str = "folder";
    type Init = ();
    type Status = Phase;
    type Deadline = ();
    type Effect = ();
    type Answer = ();

    fn create(_init: (), _turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        Ok(Self { lost: Vec::new() })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Add>();
    }

    fn status(&self) -> Phase {
        Phase::Here
    }

    /// A child is gone, or was never born because its name was taken.
    fn on_child_gone(
        &mut self,
        child: &ActorId,
        _end: &Gone,
        _turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        self.lost.push(child.clone());
        Ok(())
    }
}

impl Handler<Add> for Folder {
    fn handle(&mut self, message: Add, turn: &mut Turn<Self>) -> Result<Option<ActorId>, Refusal> {
        // The link commits with this turn, before the child exists: there is no unowned child.
        Ok(turn.create::<Self>(&message.0, &()))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let host = Host::builder(|| Kinds::new().with::<Folder>())
        .store(Arc::new(MemoryStore::new()))
        .open()
        .await?;
    let mut events = host.subscribe();
    let root = host.actor::<Folder>("root")?;
    root.create(()).await?;
    root.call(Add("photos".to_owned())).await?;
    while !matches!(&events.next().await?.what, What::Created { parent: Some(_), .. }) {}
    let photos = host.actor::<Folder>("photos")?.by("a reader");
    photos.call(Add("2025".to_owned())).await?;
    while !matches!(&events.next().await?.what, What::Created { parent: Some(_), .. }) {}

    // Answered at the tombstone of the root, which is written when all of its family have theirs.
    root.destroy("moving out").await?;
    for name in ["2025", "photos", "root"] {
        let entry = host.actor::<Folder>(name)?.entry().await?;
        let Some(Entry::Tombstone(tombstone)) = entry else { unreachable!("{name} is buried") };
        println!("{name}: {} (asked by {})", tombstone.why, tombstone.by);
    }
    root.destroy("twice").await?;
    let error = photos.create(()).await.expect_err("the name has a tombstone");
    assert_eq!(error.kind(), ErrorKind::Destroyed);
    println!("and it does not come back: {error}");
    host.close().await?;
    Ok(())
}
