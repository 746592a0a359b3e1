//! What a turn costs without threads and without a disk: `cargo bench -p sexton`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use serde::{Deserialize, Serialize};
use sexton::{
    Actor, ActorId, Call, Deadlines, Engine, Handler, Handlers, Kinds, Limits, Message, Part,
    Refusal, Release, Request, Store, Timestamp, Turn, Turned,
};
use sexton_store::MemoryStore;

sexton::lifecycle! {
    /// What a counter can be.
    enum Counting {
        /// It counts.
        Counting = "counting" [] => [],
    }
}

/// Counts, and rings where it is told to.
#[derive(Debug, Serialize, Deserialize)]
struct Counter {
    count: u64,
    rings_at: Option<Timestamp>,
    note: String,
}

/// Count so many more, and ring then.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Add {
    n: u64,
    rings_at: Option<Timestamp>,
}

impl Message for Add {
    const NAME: &'static str = "add";
    type Reply = u64;
}

impl Actor for Counter {
    const KIND: &'static str = "counter";
    type Init = ();
    type Status = Counting;
    type Deadline = ();
    type Effect = ();
    type Answer = ();

    fn create(_init: (), _turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        Ok(Self { count: 0, rings_at: None, note: "n".repeat(160) })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Add>();
    }

    fn status(&self) -> Counting {
        Counting::Counting
    }

    fn deadlines(&self, due: &mut Deadlines<()>) {
        if let Some(at) = self.rings_at {
            due.at(at, ());
        }
    }

    fn on_deadline(&mut self, _due: (), _turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.rings_at = None;
        self.count += 1;
        Ok(())
    }
}

impl Handler<Add> for Counter {
    fn handle(&mut self, message: Add, _turn: &mut Turn<Self>) -> Result<u64, Refusal> {
        self.count += message.n;
        self.rings_at = message.rings_at;
        Ok(self.count)
    }
}

struct Scene {
    store: MemoryStore,
    engine: Engine,
    id: ActorId,
}

impl Scene {
    fn new() -> Self {
        let kinds = Kinds::new().with::<Counter>();
        let store = MemoryStore::new();
        let fences = store.claim().expect("nobody else has it");
        let part = (Part::WHOLE, fences.as_slice());
        let engine = Engine::recover(kinds, Limits::default(), &store, part).expect("empty");
        let id = ActorId::new("counter", "c").expect("an id");
        let mut scene = Self { store, engine, id };
        scene.ask(Request::create::<Counter>(&(), Box::new(drop)).expect("it is encoded"));
        scene
    }

    fn ask(&mut self, request: Request) {
        let now = Timestamp::from_millis(1);
        let turned = self.engine.request(now, &self.store, &self.id, request).expect("it reads");
        self.take(turned);
    }

    fn take(&self, turned: Turned) {
        if let Some(batch) = turned.batch {
            self.store.submit(batch).expect("the shard is ours");
            self.store.flush().expect("it is memory");
        }
        turned.releases.into_iter().for_each(Release::leave);
    }

    fn add(&mut self, n: u64, rings_at: Option<Timestamp>) {
        self.ask(Request::Call(Call::new::<Counter, _>(Add { n, rings_at }, |it| {
            drop(black_box(it));
        })));
    }
}

fn turns(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("turn");
    let mut scene = Scene::new();
    group.bench_function("a call that changes nothing", |bencher| {
        bencher.iter(|| scene.add(0, None));
    });
    group.bench_function("a call that changes the state", |bencher| {
        bencher.iter(|| scene.add(1, None));
    });
    group.bench_function("an alarm is set and rings", |bencher| {
        let now = Timestamp::from_millis(2);
        bencher.iter(|| {
            scene.add(1, Some(now));
            let order = scene.engine.order();
            scene.engine.flushed(order);
            let rang = scene.engine.next(now, &scene.store).expect("it reads");
            scene.take(rang.expect("an alarm is due"));
        });
    });
    group.finish();
}

criterion_group!(benches, turns);
criterion_main!(benches);
