//! Measures calls a second on a store in memory: with a change each, and without.
//!
//! `cargo run --release -p sexton --example throughput`

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sexton::clock::{Clock, WallClock};
use sexton::{Actor, Handle, Handler, Handlers, Host, Kinds, Message, Refusal, Turn};
use sexton_store::MemoryStore;
use tokio::task::JoinSet;

const ACTORS: usize = 1_000;
const CALLS: usize = 400_000;

sexton::lifecycle! {
    /// What a counter can be.
    pub enum Counting {
        /// It counts.
        On = "on" [] => [],
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Counter {
    count: i64,
}

/// Adds, or reads if it adds nothing.
#[derive(Debug, Serialize, Deserialize)]
struct Add(i64);

impl Message for Add {
    const NAME: &'static str = "add";
    type Reply = i64;
}

impl Actor for Counter {
    const KIND: &'static str = "counter";
    type Init = ();
    type Status = Counting;
    type Deadline = ();
    type Effect = ();
    type Answer = ();

    fn create(_init: (), _turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        Ok(Self { count: 0 })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Add>();
    }

    fn status(&self) -> Counting {
        Counting::On
    }
}

impl Handler<Add> for Counter {
    fn handle(&mut self, message: Add, _turn: &mut Turn<Self>) -> Result<i64, Refusal> {
        self.count += message.0;
        Ok(self.count)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    for threads in [1, 2] {
        let store = Arc::new(MemoryStore::new());
        let host = Host::builder(|| Kinds::new().with::<Counter>()).store(store).threads(threads);
        let host = host.open().await?;
        let mut counters = Vec::new();
        for n in 0..ACTORS {
            let counter = host.actor::<Counter>(&format!("c{n}"))?;
            counter.create(()).await?;
            counters.push(counter);
        }
        for (what, n) in [("read", 0), ("increment", 1)] {
            for callers in [1, 64, 1_000] {
                measure(&host, &counters, (threads, what, n), callers).await?;
            }
        }
        host.close().await?;
    }
    Ok(())
}

async fn measure(
    host: &Host,
    counters: &[Handle<Counter>],
    of: (usize, &str, i64),
    callers: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let (threads, what, n) = of;
    let calls = if callers == 1 { CALLS / 10 } else { CALLS };
    let (before, start) = (host.figures().await?, WallClock.now());
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let counter = counters[caller % counters.len()].clone();
        tasks.spawn(async move {
            for _ in 0..calls / callers {
                counter.call(Add(n)).await.expect("the host is open");
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done?;
    }
    let took = WallClock.now().since(start);
    let flushes = host.figures().await?.flushes - before.flushes;
    let per_second = calls * 1_000 / usize::try_from(took.as_millis())?.max(1);
    #[expect(clippy::print_stdout, reason = "this is what the example is for")]
    {
        println!(
            "{threads} threads, {callers:>5} callers: {per_second:>8} {what}s/s, {flushes} flushes"
        );
    }
    Ok(())
}
