//! Actors, stores and waits that the chapters share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton::clock::SetClock;
use sexton::key::Key;
use sexton::log::Bounds;
use sexton::{
    Actor, ActorId, Batch, Builder, CallError, Cursor, Deadlines, Error, Events, Fence, Handle,
    Handler, Handlers, Host, Kinds, Message, Outcome, Position, Refusal, Row, Shard, Store,
    StoreFigures, Timestamp, Turn, What,
};
use sexton_store::MemoryStore;
use tokio::task::JoinHandle;

/// A number with an alarm, effects and correspondents.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Counter {
    pub(crate) count: i64,
    pub(crate) alarm_at: Option<Timestamp>,
    pub(crate) rings: u32,
    pub(crate) done: Vec<String>,
    pub(crate) release: Option<String>,
}

sexton::lifecycle! {
    /// What a counter can be.
    pub(crate) enum Counting {
        /// It has not counted.
        Fresh = "fresh" [] => [Busy],
        /// It has.
        Busy = "busy" [] => [],
    }
}

impl Actor for Counter {
    const KIND: &'static str = "counter";
    type Init = Option<String>;
    type Status = Counting;
    type Deadline = ();
    type Effect = String;
    type Answer = String;

    fn create(init: Option<String>, _turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        Ok(Self { count: 0, alarm_at: None, rings: 0, done: Vec::new(), release: init })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Add>().message::<SpreadTo>();
    }

    fn status(&self) -> Counting {
        if self.count == 0 { Counting::Fresh } else { Counting::Busy }
    }

    fn row(&self) -> Row {
        Row::default().number("rings", i64::from(self.rings))
    }

    fn deadlines(&self, due: &mut Deadlines<()>) {
        if let Some(at) = self.alarm_at {
            due.at(at, ());
        }
    }

    fn on_deadline(&mut self, _due: (), turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let at = self.alarm_at.take().ok_or_else(|| Refusal::new("no alarm is set"))?;
        assert!(turn.now() >= at, "an alarm rang early");
        self.rings += 1;
        turn.event("rang", turn.now().as_millis().to_string());
        Ok(())
    }

    fn on_outcome(
        &mut self,
        effect: &String,
        outcome: Outcome<String>,
        _turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        self.done.push(match outcome {
            Outcome::Done(answer) => answer,
            Outcome::Failed(failure) => format!("{effect} failed: {}", failure.message),
        });
        Ok(())
    }

    fn on_destroy(&mut self, turn: &mut Turn<Self>) {
        if let Some(release) = &self.release {
            turn.effect(release);
        }
    }
}

/// Declares a message of the counter and what it does.
macro_rules! message {
    ($name:ident { $($field:ident: $type:ty),* } -> $reply:ty, $run:expr) => {
        #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub(crate) struct $name { $(pub(crate) $field: $type),* }

        impl Message for $name {
            const NAME: &'static str = stringify!($name);
            type Reply = $reply;
        }

        impl Handler<$name> for Counter {
            fn handle(&mut self, message: $name, turn: &mut Turn<Self>) -> Result<$reply, Refusal> {
                let run: fn(&mut Self, $name, &mut Turn<Self>) -> Result<$reply, Refusal> = $run;
                run(self, message, turn)
            }
        }
    };
}

message!(Add { n: i64 } -> i64, |counter, add, _turn| {
    counter.count += add.n;
    Ok(counter.count)
});
message!(Read {} -> i64, |counter, _read, _turn| Ok(counter.count));
message!(Now {} -> Timestamp, |_counter, _now, turn| Ok(turn.now()));
message!(AlarmAt { at: Timestamp } -> (), |counter, alarm, _turn| {
    counter.alarm_at = Some(alarm.at);
    Ok(())
});
message!(Perform { what: String } -> u64, |_counter, perform, turn| {
    Ok(turn.effect(&perform.what))
});
message!(SpreadTo { whom: Vec<ActorId> } -> (), |_counter, spread, turn| {
    for to in spread.whom {
        turn.send::<Self, Add>(&to, &Add { n: 1 });
    }
    Ok(())
});
message!(Fall { is_hard: bool } -> (), |counter, fall, _turn| {
    counter.count = -1;
    assert!(!fall.is_hard, "the counter fell");
    Err(Refusal::new("it fell softly"))
});

pub(crate) fn kinds() -> Kinds {
    Kinds::new().with::<Counter>()
}

/// A store in memory whose flushes wait while it is held.
#[derive(Debug, Default)]
pub(crate) struct HeldStore {
    pub(crate) memory: MemoryStore,
    is_held: Mutex<bool>,
    news: Condvar,
    pub(crate) is_falling: AtomicBool,
}

impl HeldStore {
    pub(crate) fn hold(&self) {
        *self.is_held.lock().expect("no panic") = true;
    }

    pub(crate) fn let_go(&self) {
        *self.is_held.lock().expect("no panic") = false;
        self.news.notify_all();
    }
}

impl Store for HeldStore {
    fn claim(&self) -> Result<Vec<(Shard, Fence)>, Error> {
        self.memory.claim()
    }
    fn submit(&self, batch: Batch) -> Result<Position, Error> {
        self.memory.submit(batch)
    }
    fn flush(&self) -> Result<Position, Error> {
        let held = self.is_held.lock().expect("no panic");
        drop(self.news.wait_while(held, |held| *held).expect("no panic"));
        assert!(!self.is_falling.load(Ordering::Acquire), "the store fell");
        self.memory.flush()
    }
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.memory.get(key)
    }
    fn scan(&self, start: &[u8], end: &[u8], limit: usize) -> Result<Vec<(Key, Vec<u8>)>, Error> {
        self.memory.scan(start, end, limit)
    }
    fn log(&self) -> Result<Bounds, Error> {
        self.memory.log()
    }
    fn trim_log(&self, up_to: Cursor) -> Result<(), Error> {
        self.memory.trim_log(up_to)
    }
    fn figures(&self) -> StoreFigures {
        self.memory.figures()
    }
    fn close(&self) -> Result<(), Error> {
        self.memory.close()
    }
}

/// A host with its store and its clock, which stands at one second.
pub(crate) struct Stage {
    pub(crate) host: Host,
    pub(crate) store: Arc<HeldStore>,
    pub(crate) clock: Arc<SetClock>,
}

pub(crate) async fn stage(of: impl FnOnce(Builder) -> Builder) -> Stage {
    stage_on(Arc::default(), of).await
}

pub(crate) async fn stage_on(store: Arc<HeldStore>, of: impl FnOnce(Builder) -> Builder) -> Stage {
    let clock = Arc::new(SetClock::at(at(1_000)));
    let builder = Host::builder(kinds)
        .store(Arc::<HeldStore>::clone(&store))
        .clock(Arc::<SetClock>::clone(&clock))
        .threads(1);
    let host = soon(movable(of(builder).open())).await.expect("it opens");
    Stage { host, store, clock }
}

/// Says that a future may move between the threads of a runtime.
pub(crate) fn movable<F: Future + Send>(future: F) -> F {
    future
}

pub(crate) fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// Awaits something that must come within twenty seconds.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("within twenty seconds")
}

/// Waits until a condition holds, at most twenty seconds.
pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    soon(async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Waits for the fact `name` and returns whose it is and what it says.
pub(crate) async fn fact(events: &mut Events, wanted: &str) -> (ActorId, String) {
    soon(async {
        loop {
            let event = events.next().await.expect("no event was missed");
            if let What::Fact { name, text } = &event.what
                && name == wanted
            {
                return (event.actor.clone(), text.clone());
            }
        }
    })
    .await
}

/// Calls in a task of its own, so that the test goes on.
#[expect(clippy::disallowed_methods, reason = "a test's caller is a task")]
pub(crate) fn begin<M: Message>(to: &Handle<Counter>, message: M) -> Begun<M>
where
    Counter: Handler<M>,
{
    let to = to.clone();
    tokio::spawn(async move { to.call(message).await })
}

/// A call that was begun.
pub(crate) type Begun<M> = JoinHandle<Result<<M as Message>::Reply, CallError<M>>>;
