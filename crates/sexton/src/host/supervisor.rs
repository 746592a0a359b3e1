//! The thread that opens and closes the others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use actix::{Actor as _, Arbiter, System};
use sexton_core::{Engine, EngineFigures, Error, Fence, Limits, Part, Shard};
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task;

use super::{Closing, thread};
use crate::arbiter::{ShardActor, Shared};
use crate::builder::{KindsFactory, with_sweeper};
use crate::clock::Stopwatch;
use crate::mailbox::{Input, Mailbox, closed};
use crate::questions::{self, Question};
use crate::runner::Runner;
use crate::sweeps;

/// Everything that the thread needs.
pub(super) struct Supervisor {
    pub(super) shared: Arc<Shared>,
    pub(super) kinds: KindsFactory,
    pub(super) limits: Limits,
}

/// The ends of the desks that tasks of this thread serve. Whoever waits at a desk hears that
/// nobody serves it any more when its end is dropped, also if the task never began.
pub(super) struct Served {
    pub(super) sweeps: Vec<sweeps::Task>,
    pub(super) asked: mpsc::Receiver<Question>,
}

impl Supervisor {
    pub(super) fn run(
        self,
        served: Served,
        ready: oneshot::Sender<Result<(), Error>>,
        control: mpsc::UnboundedReceiver<Closing>,
    ) {
        System::new().block_on(self.supervise(served, ready, control));
    }

    async fn supervise(
        self,
        served: Served,
        ready: oneshot::Sender<Result<(), Error>>,
        mut control: mpsc::UnboundedReceiver<Closing>,
    ) {
        // Before the shards open: what they recover may be due, and is begun at once.
        self.shared.performers.runtime.get_or_init(runtime::Handle::current);
        let watch = Stopwatch::start();
        let arbiters: Vec<Arbiter> = self.shared.mailboxes.iter().map(|_| Arbiter::new()).collect();
        let opened = match self.open(&arbiters).await {
            Ok(found) => self.start_committer().map(|committer| (committer, found)),
            Err(error) => Err(error),
        };
        let committer = match opened {
            Ok((committer, found)) => {
                tell_opened(arbiters.len(), found, watch);
                committer
            }
            Err(error) => {
                end(arbiters);
                // Whoever opens may have gone.
                drop(ready.send(Err(error)));
                return;
            }
        };
        let serving = self.serve(served);
        drop(ready.send(Ok(())));

        let reply = control.recv().await;
        tracing::info!(target: "sexton", "closing");
        serving.iter().for_each(task::JoinHandle::abort);
        self.shared.mailboxes.iter().for_each(|mailbox| mailbox.close());
        let drained = if reply.is_some() { self.drain().await } else { Err(closed()) };
        end(arbiters);
        self.shared.committer.end();
        let Some(reply) = reply else {
            tracing::info!(target: "sexton", "dropped without a last flush");
            return;
        };
        drop(committer.join());
        let result = drained.and_then(|()| self.shared.store.close());
        match &result {
            Ok(()) => tracing::info!(target: "sexton", "closed"),
            Err(error) => tracing::error!(target: "sexton", %error, "closed, and not in order"),
        }
        drop(self);
        drop(reply.send(result));
    }

    /// Claims the store and recovers each part in the thread that will own it. What was found.
    async fn open(&self, arbiters: &[Arbiter]) -> Result<EngineFigures, Error> {
        let fences: Arc<[(Shard, Fence)]> = self.shared.store.claim()?.into();
        let mut waiting = Vec::new();
        for (index, (arbiter, mailbox)) in arbiters.iter().zip(&self.shared.mailboxes).enumerate() {
            let (opened, is_open) = oneshot::channel();
            let count = u16::try_from(arbiters.len()).unwrap_or(u16::MAX);
            let part = Part { index: u16::try_from(index).unwrap_or(u16::MAX), count };
            let shard = Opening {
                part,
                fences: Arc::clone(&fences),
                kinds: Arc::clone(&self.kinds),
                limits: self.limits.clone(),
                shared: Arc::clone(&self.shared),
                mailbox: Arc::clone(mailbox),
            };
            arbiter.spawn_fn(move || drop(opened.send(shard.open())));
            waiting.push(is_open);
        }
        let mut found = EngineFigures::default();
        for is_open in waiting {
            let part = is_open.await.unwrap_or_else(|_| Err(closed()))?;
            found.mail += part.mail;
            found.debtors += part.debtors;
            found.unreadable += part.unreadable;
        }
        Ok(found)
    }

    fn start_committer(&self) -> Result<JoinHandle<()>, Error> {
        let shared = Arc::clone(&self.shared);
        thread("sexton-committer", move || {
            let run = || shared.committer.run(&*shared.store, &shared.mailboxes, &shared.bell);
            if catch_unwind(AssertUnwindSafe(run)).is_err() {
                shared.mailboxes.iter().for_each(|mailbox| mailbox.fail());
            }
            shared.bell.end();
        })
    }

    fn serve(&self, served: Served) -> Vec<task::JoinHandle<()>> {
        let kinds = Arc::clone(&self.kinds);
        let kinds = move || with_sweeper(kinds());
        let answering = questions::run(Arc::clone(&self.shared), kinds, served.asked);
        let sweeping = |task| task::spawn_local(sweeps::run(Arc::clone(&self.shared), task));
        let sweeping = served.sweeps.into_iter().map(sweeping);
        sweeping.chain([task::spawn_local(answering)]).collect()
    }

    async fn drain(&self) -> Result<(), Error> {
        let mut waiting = Vec::new();
        for mailbox in &self.shared.mailboxes {
            let (reply, is_drained) = oneshot::channel();
            mailbox.push(Input::Drain(reply));
            waiting.push(is_drained);
        }
        let mut result = Ok(());
        for is_drained in waiting {
            result = is_drained.await.unwrap_or_else(|_| Err(closed())).and(result);
        }
        result
    }
}

/// What a thread needs to take up its part.
struct Opening {
    part: Part,
    fences: Arc<[(Shard, Fence)]>,
    kinds: KindsFactory,
    limits: Limits,
    shared: Arc<Shared>,
    mailbox: Arc<Mailbox>,
}

impl Opening {
    fn open(self) -> Result<EngineFigures, Error> {
        let Self { part, fences, kinds, mut limits, shared, mailbox } = self;
        let kinds = with_sweeper(kinds());
        limits.live_actors_max = (limits.live_actors_max / usize::from(part.count)).max(1);
        let engine = Engine::recover(kinds, limits, &*shared.store, (part, &fences))?;
        let figures = engine.figures();
        let runner = Runner::new(engine, mailbox, shared.idle_after);
        ShardActor::new(runner, shared, usize::from(part.index)).start();
        Ok(figures)
    }
}

/// Tells operators what was recovered, and how long that took.
fn tell_opened(threads: usize, found: EngineFigures, watch: Stopwatch) {
    let duration_ms = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX);
    let EngineFigures { mail, debtors, unreadable, .. } = found;
    tracing::info!(target: "sexton", threads, mail, debtors, unreadable, duration_ms, "opened");
}

/// Stops all threads that run actors.
fn end(arbiters: Vec<Arbiter>) {
    for arbiter in arbiters {
        arbiter.stop();
        // A shard that panicked has told its callers already.
        drop(arbiter.join());
    }
}
