//! The thin layer on threads: the actix actor around a runner, its timer, and what shards share.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, SpawnHandle, WrapFuture};
use sexton_core::{ActorId, Error, Event, Owed, Store, Timestamp, Turned, What};
use tokio::sync::broadcast;

use crate::clock::{Clock, Stopwatch, TIMER_MAX, wait_for};
use crate::committer::Committer;
use crate::log::Bell;
use crate::mailbox::{Input, Mailbox};
use crate::perform::Performers;
use crate::questions::Questions;
use crate::runner::{Around, Next, Runner, Slice};
use crate::tally::{Cause, Tallies, ThreadTally};

/// What all parts of a host have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) mailboxes: Vec<Arc<Mailbox>>,
    pub(crate) committer: Committer,
    pub(crate) events: broadcast::Sender<Arc<Event>>,
    pub(crate) bell: Bell,
    pub(crate) performers: Performers,
    pub(crate) questions: Questions,
    pub(crate) tallies: Tallies,
    pub(crate) idle_after: Duration,
}

impl Shared {
    /// The mailbox of the shard that an actor lives in.
    pub(crate) fn mailbox(&self, id: &ActorId) -> &Arc<Mailbox> {
        &self.mailboxes[self.thread(id)]
    }

    /// The number of the thread that runs an actor.
    pub(crate) fn thread(&self, id: &ActorId) -> usize {
        usize::from(id.shard().number()) % self.mailboxes.len()
    }
}

/// What surrounds a runner in a host.
struct Neighbours<'a> {
    shared: &'a Shared,
    mailbox: Arc<Mailbox>,
    tally: &'a ThreadTally,
}

impl Around for Neighbours<'_> {
    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    fn store(&self) -> &dyn Store {
        &*self.shared.store
    }

    fn submit(&mut self, turned: &mut Turned) -> Result<(), Error> {
        if let Some(batch) = turned.batch.take() {
            self.shared.store.submit(batch)?;
        }
        for (place, to) in turned.notices.drain(..) {
            self.shared.mailbox(&to).push(Input::Notice { place, to });
        }
        Ok(())
    }

    fn want_flush(&mut self) {
        self.shared.committer.want();
    }

    fn begin(&mut self, owed: Owed) -> bool {
        self.shared.performers.begin(owed, &self.mailbox)
    }

    fn tell(&mut self, event: Event) {
        trace(&event);
        self.tally.event(&event.actor, &event.what);
        // An error says that nobody listens.
        drop(self.shared.events.send(Arc::new(event)));
    }

    fn lost(&mut self, _error: &Error) {
        self.shared.mailboxes.iter().for_each(|mailbox| mailbox.fail());
    }

    fn watch(&self) -> Option<Stopwatch> {
        self.tally.watch()
    }

    fn ran(&self, turned: &Turned, cause: Cause, watch: Option<Stopwatch>) {
        self.tally.turn(turned, cause, watch);
    }
}

/// "Look into your mailbox."
struct Wake;

impl actix::Message for Wake {
    type Result = ();
}

/// Works in the thread of its arbiter.
pub(crate) struct ShardActor {
    runner: Runner,
    shared: Arc<Shared>,
    /// The number of its thread.
    index: usize,
    timer: Option<(Timestamp, SpawnHandle)>,
    /// The next slice, while it is scheduled.
    next_slice: Option<SpawnHandle>,
}

impl Actor for ShardActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let address = ctx.address();
        self.runner.mailbox().belong(move || address.do_send(Wake));
        ctx.notify(Wake);
    }
}

impl Handler<Wake> for ShardActor {
    type Result = ();

    fn handle(&mut self, _wake: Wake, ctx: &mut Self::Context) {
        self.work(ctx);
    }
}

impl Drop for ShardActor {
    fn drop(&mut self) {
        // The runner tells whoever waits for this shard.
        if std::thread::panicking() {
            self.shared.mailboxes.iter().for_each(|mailbox| mailbox.fail());
        }
    }
}

impl ShardActor {
    pub(crate) fn new(runner: Runner, shared: Arc<Shared>, index: usize) -> Self {
        Self { runner, shared, index, timer: None, next_slice: None }
    }

    /// One slice of work, then the next slice, or the timer.
    fn work(&mut self, ctx: &mut Context<Self>) {
        let mailbox = Arc::clone(self.runner.mailbox());
        let tally = self.shared.tallies.thread(self.index);
        let mut around = Neighbours { shared: &self.shared, mailbox, tally };
        match self.runner.work(Slice::HOST, &mut around) {
            Next::Again => self.schedule_slice(ctx),
            Next::Wait(due) => self.set_timer(due, ctx),
            Next::Over => {}
        }
    }

    fn schedule_slice(&mut self, ctx: &mut Context<Self>) {
        if self.next_slice.is_some() {
            return;
        }
        let others_first = tokio::task::yield_now().into_actor(self);
        self.next_slice = Some(ctx.spawn(others_first.map(|(), actor, ctx| {
            actor.next_slice = None;
            actor.work(ctx);
        })));
    }

    /// Sets the timer to what is due next, if none ends earlier; never longer than [`TIMER_MAX`],
    /// so that a wall clock that was set is noticed.
    fn set_timer(&mut self, due: Option<Timestamp>, ctx: &mut Context<Self>) {
        let now = self.shared.clock.now();
        let longest = now + TIMER_MAX;
        let at = due.map_or(longest, |due| due.min(longest));
        if let Some((armed, handle)) = self.timer {
            if armed > now && armed <= at {
                return;
            }
            ctx.cancel_future(handle);
        }
        let handle = ctx.run_later(wait_for(now, at), |actor, ctx| {
            actor.timer = None;
            actor.work(ctx);
        });
        self.timer = Some((at, handle));
    }
}

/// What operators look for first; never what an actor holds.
fn trace(event: &Event) {
    let actor = &event.actor;
    match &event.what {
        What::Destroying { .. } => {
            tracing::info!(target: "sexton", %actor, "destroy: the intent is durable");
        }
        What::Destroyed { .. } => {
            tracing::info!(target: "sexton", %actor, "destroy: the tombstone is durable");
        }
        What::Stalled { .. } => tracing::warn!(target: "sexton", %actor, "stalled"),
        What::Abandoned { number, .. } => {
            tracing::warn!(target: "sexton", %actor, number, "an effect was abandoned");
        }
        What::Created { .. }
        | What::Transition { .. }
        | What::DeadLetter { .. }
        | What::Fact { .. } => {}
    }
}
