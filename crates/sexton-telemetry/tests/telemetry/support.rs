//! A host that has been through everything that is counted, on a store on disk.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton::clock::SetClock;
use sexton::key::Key;
use sexton::log::Bounds;
use sexton::sweep::{Look, Sweep};
use sexton::tally::{Cause, KindTally};
use sexton::{
    Actor, Batch, Cursor, Deadlines, EffectId, Error, Failure, Fence, Handle, Handler, Handlers,
    Host, Kinds, Letter, Message, Performed, Performer, Position, Refusal, RowView, Shard, Store,
    StoreFigures, Timestamp, Turn,
};
use sexton_store::{EmbeddedStore, Options};
use tempfile::TempDir;

/// What nobody but actors and performers may see: stands in states, messages, effects, answers and reasons.
pub(crate) const SECRET: &str = "hunter2-in-confidence";

/// What is sent somewhere.
#[derive(Serialize, Deserialize)]
pub(crate) struct Parcel {
    text: String,
    ring_at: Option<Timestamp>,
    is_stuck: bool,
}

sexton::lifecycle! {
    /// What a parcel can be.
    pub(crate) enum Way {
        /// Nothing is on it.
        Blank = "blank" [] => [Labelled],
        /// Something is.
        Labelled = "labelled" [] => [],
    }
}

impl Actor for Parcel {
    const KIND: &'static str = "parcel";
    type Init = String;
    type Status = Way;
    type Deadline = String;
    type Effect = String;
    type Answer = String;

    fn create(init: String, _turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        Ok(Self { text: init, ring_at: None, is_stuck: false })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Label>();
    }

    fn status(&self) -> Way {
        if self.text.is_empty() { Way::Blank } else { Way::Labelled }
    }

    fn deadlines(&self, due: &mut Deadlines<String>) {
        if let Some(at) = self.ring_at {
            due.at(at, SECRET.to_owned());
        }
    }

    fn on_deadline(&mut self, due: String, _turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if self.is_stuck {
            return Err(Refusal::new(due));
        }
        self.ring_at = None;
        Ok(())
    }
}

/// Declares a message of the parcel and what it does.
macro_rules! message {
    ($name:ident { $($field:ident: $type:ty),* } -> $reply:ty, $run:expr) => {
        #[derive(Serialize, Deserialize)]
        pub(crate) struct $name { $(pub(crate) $field: $type),* }

        impl Message for $name {
            const NAME: &'static str = stringify!($name);
            type Reply = $reply;
        }

        impl Handler<$name> for Parcel {
            fn handle(&mut self, message: $name, turn: &mut Turn<Self>) -> Result<$reply, Refusal> {
                let run: fn(&mut Self, $name, &mut Turn<Self>) -> Result<$reply, Refusal> = $run;
                run(self, message, turn)
            }
        }
    };
}

message!(Label { text: String } -> (), |parcel, label, _turn| {
    parcel.text.push_str(&label.text);
    Ok(())
});
message!(Read {} -> String, |parcel, _read, _turn| Ok(parcel.text.clone()));
message!(Refuse { why: String } -> (), |_parcel, refuse, _turn| Err(Refusal::new(refuse.why)));
message!(RingAt { at: Timestamp, is_stuck: bool } -> (), |parcel, ring, _turn| {
    parcel.ring_at = Some(ring.at);
    parcel.is_stuck = ring.is_stuck;
    Ok(())
});
message!(Ship { is_lost: bool } -> (), |_parcel, ship, turn| {
    turn.effect(&format!("{}{SECRET}", if ship.is_lost { "lost " } else { "" }));
    Ok(())
});

/// Loses what is said to be lost, each time.
#[derive(Clone, Default)]
struct Carrier {
    lost: Arc<AtomicU64>,
}

impl Performer<Parcel> for Carrier {
    async fn perform(&self, _: EffectId, effect: String, _: u32) -> Performed<String> {
        if effect.starts_with("lost") {
            self.lost.fetch_add(1, Ordering::SeqCst);
            let class = "road".to_owned();
            return Performed::Transient(Failure { class, message: SECRET.to_owned() });
        }
        Performed::Done(SECRET.to_owned())
    }
}

/// Asks what makes no progress to take a label.
struct Forgotten;

impl Sweep for Forgotten {
    fn name(&self) -> &'static str {
        "forgotten"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(600)
    }

    fn limit(&self) -> usize {
        10
    }

    fn scope(&self) -> &[(&'static str, &'static str)] {
        &[("parcel", "blank"), ("parcel", "labelled")]
    }

    fn select(&self, row: &RowView, _look: &Look<'_>) -> Result<Option<String>, Error> {
        Ok(row.record.stalled.as_ref().map(|_| SECRET.to_owned()))
    }

    fn ask(&self, row: &RowView, why: &str) -> Result<Letter, Refusal> {
        Letter::new::<Parcel, Label>(&row.id, &Label { text: why.to_owned() })
    }
}

/// A store on disk whose flushes wait while it is held.
#[derive(Debug)]
pub(crate) struct HeldStore {
    inner: EmbeddedStore,
    is_held: Mutex<bool>,
    news: Condvar,
}

impl HeldStore {
    pub(crate) fn hold(&self, is_held: bool) {
        *self.is_held.lock().expect("no panic") = is_held;
        self.news.notify_all();
    }
}

impl Store for HeldStore {
    fn claim(&self) -> Result<Vec<(Shard, Fence)>, Error> {
        self.inner.claim()
    }
    fn submit(&self, batch: Batch) -> Result<Position, Error> {
        self.inner.submit(batch)
    }
    fn flush(&self) -> Result<Position, Error> {
        let held = self.is_held.lock().expect("no panic");
        drop(self.news.wait_while(held, |held| *held).expect("no panic"));
        self.inner.flush()
    }
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.inner.get(key)
    }
    fn scan(&self, start: &[u8], end: &[u8], limit: usize) -> Result<Vec<(Key, Vec<u8>)>, Error> {
        self.inner.scan(start, end, limit)
    }
    fn log(&self) -> Result<Bounds, Error> {
        self.inner.log()
    }
    fn trim_log(&self, up_to: Cursor) -> Result<(), Error> {
        self.inner.trim_log(up_to)
    }
    fn figures(&self) -> StoreFigures {
        self.inner.figures()
    }
    fn close(&self) -> Result<(), Error> {
        self.inner.close()
    }
}

/// A host with its store and its clock.
pub(crate) struct Stage {
    pub(crate) host: Host,
    pub(crate) store: Arc<HeldStore>,
    pub(crate) clock: Arc<SetClock>,
    lost: Arc<AtomicU64>,
    _dir: TempDir,
}

/// The requests that a mailbox takes.
pub(crate) const MAILBOX_MAX: usize = 4;

pub(crate) async fn stage() -> Stage {
    let dir = tempfile::tempdir().expect("a directory");
    let store = EmbeddedStore::open(dir.path(), &Options::default()).expect("a new store");
    let (is_held, news) = (Mutex::new(false), Condvar::new());
    let store = Arc::new(HeldStore { inner: store, is_held, news });
    let clock = Arc::new(SetClock::at(Timestamp::from_millis(1_000_000)));
    let carrier = Carrier::default();
    let lost = Arc::clone(&carrier.lost);
    let builder = Host::builder(|| Kinds::new().with::<Parcel>())
        .store(Arc::<HeldStore>::clone(&store))
        .clock(Arc::<SetClock>::clone(&clock))
        .threads(2)
        .mailbox_messages_max(MAILBOX_MAX)
        .performer::<Parcel>(carrier, 4)
        .sweep(|| Box::new(Forgotten));
    let host = soon(builder.open()).await.expect("it opens");
    // The sweep's first pass is due at once; from here on passes are made when the test says so.
    until(async || host.tally().sweeps[0].passes == 1).await;
    soon(host.pause_sweeps()).await.expect("open");
    clock.advance(Duration::from_secs(1));
    Stage { host, store, clock, lost, _dir: dir }
}

impl Stage {
    pub(crate) fn parcel(&self, name: &str) -> Handle<Parcel> {
        self.host.actor::<Parcel>(name).expect("a name")
    }

    /// What was counted of parcels.
    pub(crate) fn parcels(&self) -> KindTally {
        let kinds = self.host.tally().kinds;
        kinds.into_iter().find(|it| it.kind == "parcel").expect("its kind is known")
    }

    fn rung(&self) -> u64 {
        self.parcels().turns[&Cause::Deadline].committed
    }

    /// Sets the clock forward and waits for what that makes due: an alarm, and an attempt at what is lost.
    async fn advance(&self, by: Duration) {
        let (rung, lost) = (self.rung() + 1, self.lost.load(Ordering::SeqCst) + 1);
        self.clock.advance(by);
        until(async || self.rung() == rung && self.settled(lost)).await;
    }

    /// Whether so many attempts were made at what is lost, and all that they led to is counted.
    fn settled(&self, lost: u64) -> bool {
        let parcels = self.parcels();
        let outcomes = parcels.turns[&Cause::Outcome].committed;
        let effects = parcels.effects.expect("it has a performer");
        effects.transient == lost && outcomes == effects.done + effects.transient
    }

    /// Births, a label, a question and a refusal; an alarm that rings half a minute late; work that is
    /// done, and work that fails six times and stays owed; a deadline that fails six times; an end; a
    /// sweep that asks the two that are stalled.
    pub(crate) async fn work(&self) {
        for name in ["a", "b", "c", "d"] {
            soon(self.parcel(name).create(String::new())).await.expect("a new name");
        }
        let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| self.parcel(name));
        soon(a.call(Label { text: SECRET.to_owned() })).await.expect("a label");
        assert_eq!(soon(a.call(Read {})).await.expect("an answer"), SECRET);
        soon(a.call(Refuse { why: SECRET.to_owned() })).await.expect_err("it refuses");

        let at = self.host.now() + Duration::from_secs(10);
        soon(b.call(RingAt { at, is_stuck: false })).await.expect("it is set");
        self.clock.advance(Duration::from_secs(40));
        until(async || self.rung() == 1).await;

        soon(a.call(Ship { is_lost: false })).await.expect("it is recorded");
        soon(c.call(Ship { is_lost: true })).await.expect("it is recorded");
        until(async || self.settled(1)).await;
        let at = self.host.now();
        soon(d.call(RingAt { at, is_stuck: true })).await.expect("it is set");
        until(async || self.rung() == 2).await;
        for _ in 0..5 {
            self.advance(Duration::from_secs(300)).await;
        }
        soon(b.destroy(SECRET)).await.expect("a tombstone");
        let plan = soon(self.host.sweep_now("forgotten")).await.expect("it is due");
        assert_eq!(plan.asks.len(), 2);
        until(async || self.parcels().turns[&Cause::Mail].committed == 3).await;
        // What was made durable last is counted a moment after it is said.
        until(async || self.host.tally().commits == self.committed()).await;
        until(async || {
            let figures = self.host.figures().await.expect("open");
            (figures.mail, figures.waiting) == (0, 0)
        })
        .await;
    }

    /// Turns of all kinds that committed something.
    fn committed(&self) -> u64 {
        let kinds = self.host.tally().kinds;
        kinds.iter().flat_map(|kind| kind.turns.values()).map(|turns| turns.committed).sum()
    }
}

/// Awaits something that must come within a minute, also on a machine that is busy.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("within a minute")
}

/// Waits until a condition holds, at most a minute.
pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    soon(async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The numbers of a page, by series.
pub(crate) type Series = BTreeMap<String, f64>;
