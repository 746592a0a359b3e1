//! The guide's actor: previews of a program, each with a machine outside, and with forks.
//!
//! `docs/guide.md` explains it from top to bottom. Lines between two marks are counted by
//! `tests/guide.rs`: that is all it takes, in whole lines of code.
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]
#![expect(missing_docs, reason = "the guide says what each part is, and lines are counted here")]
#![expect(missing_debug_implementations, reason = "lines are counted here")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::{error::Error, time::Duration};

use serde::{Deserialize, Serialize};
use sexton::Turn;
use sexton::clock::SetClock;
use sexton::sweep::{Look, Sweep};
use sexton::{
    Actor, ActorId, Deadlines, EffectId, Entry, Failure, Handle, Handler, Handlers, Host,
};
use sexton::{Kinds, Letter, Message, Outcome, Performed, Performer, Refusal, RowView, Timestamp};
use sexton_store::MemoryStore;

/// How long a preview stays that nobody forks.
pub const IDLE: Duration = Duration::from_secs(30 * 60);
/// How long any preview stays.
pub const LIFE: Duration = Duration::from_secs(4 * 3_600);

/// How a turn ends that answers nothing.
pub type Taken = Result<(), Refusal>;

// -- the actor begins
sexton::lifecycle! { pub enum Phase {
    Making = "making" [holds billable] => [Ready],
    Ready = "ready" [holds billable] => [],
} }

#[derive(Serialize, Deserialize)]
pub struct Preview {
    pub born_at: Timestamp,
    pub used_at: Timestamp,
    pub phase: Phase,
}

#[derive(Serialize, Deserialize)]
pub struct Fork(pub String);

impl Message for Fork {
    const NAME: &'static str = "fork";
    type Reply = Option<ActorId>;
}

impl Actor for Preview {
    const KIND: &'static str = "preview";
    type Init = ();
    type Status = Phase;
    type Deadline = String; // why it goes
    type Effect = bool; // whether there shall be a machine
    type Answer = ();

    fn create(_init: (), turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        turn.effect(&true);
        Ok(Self { born_at: turn.now(), used_at: turn.now(), phase: Phase::Making })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Fork>().message::<Expire>();
    }

    fn status(&self) -> Phase {
        self.phase
    }

    fn deadlines(&self, due: &mut Deadlines<String>) {
        due.at(self.used_at + IDLE, "idle".to_owned());
        due.at(self.born_at + LIFE, "too old".to_owned());
    }

    fn on_deadline(&mut self, due: String, turn: &mut Turn<Self>) -> Taken {
        turn.destroy(due, "deadline");
        Ok(())
    }

    fn on_outcome(&mut self, _: &bool, outcome: Outcome<()>, turn: &mut Turn<Self>) -> Taken {
        match outcome {
            Outcome::Done(()) => self.phase = Phase::Ready,
            Outcome::Failed(failure) => turn.destroy(failure.message, "provider"),
        }
        Ok(())
    }

    fn on_destroy(&mut self, turn: &mut Turn<Self>) {
        turn.effect(&false);
    }
}

impl Handler<Fork> for Preview {
    fn handle(&mut self, message: Fork, turn: &mut Turn<Self>) -> Result<Option<ActorId>, Refusal> {
        self.used_at = turn.now();
        Ok(turn.create::<Self>(&message.0, &()))
    }
}
// -- the actor ends

// -- the sweep begins
#[derive(Serialize, Deserialize)]
pub struct Expire;

impl Message for Expire {
    const NAME: &'static str = "expire";
    type Reply = ();
}

impl Handler<Expire> for Preview {
    fn handle(&mut self, _message: Expire, turn: &mut Turn<Self>) -> Taken {
        // What is too old stays too old. Where a condition may change, look at it again here.
        self.on_deadline("overdue".to_owned(), turn)
    }
}

pub struct Overdue;

impl Sweep for Overdue {
    fn name(&self) -> &'static str {
        "overdue"
    }

    fn limit(&self) -> usize {
        100
    }

    fn scope(&self) -> &[(&'static str, &'static str)] {
        &[("preview", "making"), ("preview", "ready")]
    }

    fn select(&self, row: &RowView, look: &Look<'_>) -> Result<Option<String>, sexton::Error> {
        Ok((row.record.created_at + LIFE <= look.now()).then(|| "too old".to_owned()))
    }

    fn ask(&self, row: &RowView, _why: &str) -> Result<Letter, Refusal> {
        Letter::new::<Preview, Expire>(&row.id, &Expire)
    }
}
// -- the sweep ends

/// A provider of machines: by whose each is, with the token of the request that made it.
///
/// The first answer to every request for a machine is lost on its way.
#[derive(Clone, Default)]
pub struct Cloud(Arc<Mutex<BTreeMap<String, String>>>);

impl Cloud {
    /// How many machines there are: what is paid for.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Performer<Preview> for Cloud {
    async fn perform(&self, id: EffectId, effect: bool, failures: u32) -> Performed<()> {
        let mut machines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let owner = id.actor.to_string();
        if !effect {
            // "No such machine" is done: there is nothing left to do.
            machines.remove(&owner);
            return Performed::Done(());
        }
        // A machine that an earlier attempt made is adopted by its token, and no second is made.
        let token = machines.entry(owner).or_insert_with(|| id.to_string());
        assert_eq!(*token, id.to_string(), "every attempt carries the same token");
        if failures == 0 {
            let class = "timeout".to_owned();
            return Performed::Transient(Failure { class, message: "no answer came".to_owned() });
        }
        Performed::Done(())
    }
}

/// A host with the actor, its performer and its sweep, by a clock that is set.
///
/// # Errors
///
/// What the host says.
pub async fn open(clock: &Arc<SetClock>, cloud: &Cloud) -> Result<Host, sexton::Error> {
    Host::builder(|| Kinds::new().with::<Preview>())
        .store(Arc::new(MemoryStore::new()))
        .clock(Arc::<SetClock>::clone(clock))
        .performer::<Preview>(cloud.clone(), 8)
        .sweep(|| Box::new(Overdue))
        .open()
        .await
}

/// Waits for a tombstone and says why it was written, while the clock goes on by seconds.
async fn end(preview: &Handle<Preview>, clock: &SetClock) -> Result<String, sexton::Error> {
    loop {
        if let Some(Entry::Tombstone(tombstone)) = preview.entry().await? {
            return Ok(format!("{} (asked by {})", tombstone.why, tombstone.by));
        }
        clock.advance(Duration::from_secs(1));
    }
}

/// Shows what it does, and asserts what it shows.
///
/// # Errors
///
/// What the host says.
///
/// # Panics
///
/// If it does not do what it shows.
#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<(), Box<dyn Error>> {
    let clock = Arc::new(SetClock::at(Timestamp::ZERO));
    let cloud = Cloud::default();
    let host = open(&clock, &cloud).await?;
    let main = host.actor::<Preview>("main")?;
    main.create(()).await?;
    while main.status().await? != Phase::Ready {
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(cloud.count(), 1, "the answer was lost, the machine was adopted");
    println!("{} is ready at the second attempt, with one machine", main.id());

    // A fork is a child: it goes with its parent, and releases its own machine first.
    let fork = main.call(Fork("try-1".to_owned())).await?.expect("a good name");
    clock.advance(IDLE);
    assert_eq!(end(&main, &clock).await?, "idle (asked by deadline)");
    let Some(Entry::Tombstone(tombstone)) = host.any(fork).entry().await? else {
        unreachable!("no child outlives its parent's tombstone")
    };
    assert_eq!((tombstone.why.as_str(), cloud.count()), ("idle", 0));
    println!("nobody forked it any more: family and machines are gone");

    // The second net: alarms do not ring, and the sweep finds it all the same.
    let night = host.actor::<Preview>("night")?;
    night.create(()).await?;
    host.pause_alarms().await?;
    clock.advance(LIFE);
    assert_eq!(end(&night, &clock).await?, "overdue (asked by deadline)");
    assert_eq!(cloud.count(), 0);
    println!("with alarms paused, the sweep asked it to go");
    host.close().await?;
    Ok(())
}
