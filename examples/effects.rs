//! Effects: work outside is a debt, with one id over all attempts, owed until it is answered.
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::sync::{Arc, Mutex};
use std::{error::Error, time::Duration};

use serde::{Deserialize, Serialize};
use sexton::clock::SetClock;
use sexton::{Actor, EffectId, Failure, Handlers, Host, Kinds, Outcome, Performed, Performer};
use sexton::{Entry, Refusal, Timestamp, Turn};
use sexton_store::MemoryStore;

sexton::lifecycle! {
    enum Phase {
        Making = "making" [holds] => [Ready],
        Ready = "ready" [holds billable] => [],
    }
}

#[derive(Serialize, Deserialize)]
struct Disk {
    serial: Option<u64>,
}

impl Actor for Disk {
    const KIND: &'static str = "disk";
    type Init = ();
    type Status = Phase;
    type Deadline = ();
    type Effect = String;
    type Answer = u64;

    fn create(_init: (), turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        turn.effect(&"make".to_owned());
        Ok(Self { serial: None })
    }

    fn handlers(_on: &mut Handlers<Self>) {}

    fn status(&self) -> Phase {
        if self.serial.is_some() { Phase::Ready } else { Phase::Making }
    }

    fn on_outcome(
        &mut self,
        effect: &String,
        outcome: Outcome<u64>,
        turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        match outcome {
            Outcome::Done(serial) if effect == "make" => self.serial = Some(serial),
            Outcome::Done(_) => {}
            Outcome::Failed(failure) => turn.destroy(failure.message, "provider"),
        }
        Ok(())
    }

    /// What it holds is released before its tombstone is written.
    fn on_destroy(&mut self, turn: &mut Turn<Self>) {
        turn.effect(&"unmake".to_owned());
    }
}

/// A provider that fails the first attempts at everything.
#[derive(Clone, Default)]
struct Provider(Arc<Mutex<Vec<String>>>);

impl Performer<Disk> for Provider {
    async fn perform(&self, id: EffectId, effect: String, failures: u32) -> Performed<u64> {
        self.0.lock().expect("nobody panics with this lock").push(format!("{id} {effect}"));
        let failure = Failure { class: "busy".to_owned(), message: "try later".to_owned() };
        if failures < 2 { Performed::Transient(failure) } else { Performed::Done(4_711) }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let clock = Arc::new(SetClock::at(Timestamp::ZERO));
    let provider = Provider::default();
    let host = Host::builder(|| Kinds::new().with::<Disk>())
        .store(Arc::new(MemoryStore::new()))
        .clock(Arc::<SetClock>::clone(&clock))
        .performer::<Disk>(provider.clone(), 8)
        .open()
        .await?;
    let disk = host.actor::<Disk>("d-1")?;
    disk.create(()).await?;
    // Two attempts fail: the debt stays, in sight, and is tried again after 2 and 4 seconds.
    while let Some((_, debt)) = disk.debts().await?.first() {
        assert!(debt.failures <= 2);
        clock.advance(Duration::from_secs(1));
    }
    println!("{} is ready after two failures", disk.id());
    assert_eq!(disk.status().await?, Phase::Ready);
    disk.destroy_later("no longer needed").await?;
    while matches!(disk.entry().await?, Some(Entry::Alive(_))) {
        clock.advance(Duration::from_secs(1));
    }
    let asked = provider.0.lock().expect("nobody panics with this lock").clone();
    let (make, unmake) = ("disk/d-1#1.1 make", "disk/d-1#1.2 unmake");
    assert_eq!(asked, [make, make, make, unmake, unmake, unmake], "one id over all attempts");
    host.close().await?;
    Ok(())
}
