//! A host: the threads that run a store's actors, and the front door to them.
//!
//! ```text
//! thread "sexton"            System of actix; sweeps, performers; opens and closes the rest
//! one arbiter a core         one actix actor each, which owns an engine for its part of the shards
//! thread "sexton-committer"  flushes
//! ```
//!
//! A host runs inside any program: it makes its own `actix::System` on a thread of its own and
//! its arbiters inside that, so it needs neither `#[actix::main]` nor a particular runtime around
//! it, and two hosts of one process do not meet. What it hands out (calls, subscriptions) are
//! plain futures, which any runtime can await.

mod supervisor;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use sexton_core::{Actor, ActorId, Error, ErrorKind, Kinds, Store, Switch, Timestamp};
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task;

use self::supervisor::{Served, Supervisor};
use crate::arbiter::Shared;
use crate::builder::{Builder, Foundation};
use crate::census::Census;
use crate::desk;
use crate::events::Events;
use crate::handle::{AnyKind, Handle};
use crate::log::Log;
use crate::mailbox::{Input, closed};
use crate::questions::Index;
use crate::sweep::Plan;
use crate::sweeps::{self, SweepDesk};
use crate::tally::Tally;

/// Runs the actors of a store. Cheap to clone; the last clone that is dropped ends it.
///
/// Dropped without [`close`](Self::close), its threads end by themselves, soon and without a
/// last flush: what was acknowledged is durable, and what was not may be gone.
#[derive(Clone, Debug)]
pub struct Host {
    inner: Arc<Inner>,
}

/// Where to say how closing went.
type Closing = desk::Reply<()>;

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    sweeps: BTreeMap<&'static str, SweepDesk>,
    control: mpsc::UnboundedSender<Closing>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// How a host stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Actors in memory.
    pub live: usize,
    /// Mail that was not taken yet.
    pub mail: usize,
    /// Alarms within the horizon.
    pub alarms: usize,
    /// Actors that owe an effect.
    pub debtors: usize,
    /// Actors and mails that could not be read and are set aside; the log names them.
    pub unreadable: usize,
    /// Requests from outside that are not answered.
    pub waiting: usize,
    /// How full the fullest mailbox is, in thousandths of its limit.
    pub fullest_permille: usize,
    /// Turns that were made durable since the host was opened.
    pub commits: u64,
    /// Flushes since the host was opened.
    pub flushes: u64,
}

impl Host {
    /// Begins a host of the kinds that `kinds` makes; it is called once a thread, and where they are
    /// looked at beside that.
    ///
    /// The kind of [`Sweeper`](crate::sweep::Sweeper) is added to them.
    pub fn builder(kinds: impl Fn() -> Kinds + Send + Sync + 'static) -> Builder {
        Builder::new(Arc::new(kinds))
    }

    pub(crate) async fn open(foundation: Foundation) -> Result<Self, Error> {
        let Foundation { shared, sweeps: plans, kinds, limits, asked } = foundation;
        let (ready, is_ready) = oneshot::channel();
        let (control, controlled) = mpsc::unbounded_channel();
        let (desks, tasks) = sweeps::desks(plans);
        let shards = Arc::clone(&shared);
        let supervisor = Supervisor { shared: Arc::clone(&shared), kinds, limits };
        let desks_served = Served { sweeps: tasks, asked };
        let thread = thread("sexton", move || supervisor.run(desks_served, ready, controlled))?;
        shared.clock.on_set(Box::new({
            let shared = Arc::downgrade(&shared);
            let desks: Vec<SweepDesk> = desks.values().cloned().collect();
            move || {
                let shared = shared.upgrade();
                shared.iter().flat_map(|it| &it.mailboxes).for_each(|mailbox| mailbox.nudge());
                desks.iter().for_each(SweepDesk::nudge);
            }
        }));
        is_ready.await.unwrap_or_else(|_| Err(closed()))?;
        let thread = Mutex::new(Some(thread));
        let inner = Inner { shared: shards, sweeps: desks, control, thread };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The actor of kind `A` with this name, whether it lives or not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`] if `name` is not a name.
    pub fn actor<A: Actor>(&self, name: &str) -> Result<Handle<A>, Error> {
        let id = ActorId::new(A::KIND, name).map_err(|error| {
            let message = format!("{name:?} is not the name of an actor of kind {}", A::KIND);
            Error::new(ErrorKind::Refused, message).with_source(error)
        })?;
        Ok(Handle::new(Arc::clone(&self.inner.shared), id))
    }

    /// The actor with this id, for what can be done without knowing its kind.
    pub fn any(&self, id: ActorId) -> Handle<AnyKind> {
        Handle::new(Arc::clone(&self.inner.shared), id)
    }

    /// The store, for the questions of [`query`](crate::query).
    ///
    /// What it answers is visible and may not be durable yet.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.shared.store
    }

    /// The moment, by the clock that it was opened with.
    pub fn now(&self) -> Timestamp {
        self.inner.shared.clock.now()
    }

    /// The index of rows, for questions that do not name an actor.
    pub fn index(&self) -> Index {
        Index::new(Arc::clone(&self.inner.shared))
    }

    /// Listens to what happens from here on.
    pub fn subscribe(&self) -> Events {
        Events::new(self.inner.shared.events.subscribe())
    }

    /// The store's log of events, which can be read and followed from a cursor.
    pub fn log(&self) -> Log {
        Log::new(Arc::clone(&self.inner.shared))
    }

    /// How it stands now.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn figures(&self) -> Result<Figures, Error> {
        let shared = &self.inner.shared;
        let mut figures = Figures {
            commits: shared.committer.commits.load(Ordering::Relaxed),
            flushes: shared.committer.flushes.load(Ordering::Relaxed),
            ..Figures::default()
        };
        for mailbox in &shared.mailboxes {
            let (reply, answer) = oneshot::channel();
            mailbox.push(Input::Figures(reply));
            let part = answer.await.map_err(|_gone| closed())?;
            figures.live += part.live;
            figures.mail += part.mail;
            figures.alarms += part.alarms;
            figures.debtors += part.debtors;
            figures.unreadable += part.unreadable;
            figures.waiting += mailbox.waiting();
            figures.fullest_permille = figures.fullest_permille.max(mailbox.permille());
        }
        Ok(figures)
    }

    /// What it has counted since it was opened. Asks no thread for it, so it also answers when the
    /// host is closed or its threads are busy.
    pub fn tally(&self) -> Tally {
        let shared = &self.inner.shared;
        let committer = &shared.committer;
        let commits = committer.commits.load(Ordering::Relaxed);
        let flushes = (&committer.tally.0, &committer.tally.1);
        shared.tallies.read(commits, flushes, |kind| shared.performers.tally(kind))
    }

    /// Goes on with a count of what lies in the store, by at most `records_max` records; see
    /// [`census`](crate::census).
    ///
    /// Read off the store on a thread of its own; what it counts may not be durable yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] if many ask, [`ErrorKind::Closed`], and what the store says.
    ///
    /// # Cancel safety
    ///
    /// The count has to begin anew.
    pub async fn count(&self, census: Census, records_max: usize) -> Result<Census, Error> {
        let now = self.now();
        let read = move |store: &dyn Store, _: &Kinds| census.go_on(store, now, records_max);
        self.inner.shared.questions.ask(read).await
    }

    /// Lets alarms wait: paused means late, never lost.
    ///
    /// Returns when it is so in every shard.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`].
    ///
    /// # Cancel safety
    ///
    /// It is done all the same, once begun.
    pub async fn pause_alarms(&self) -> Result<(), Error> {
        self.tell(|done| Input::Alarms(Switch::Paused, done)).await
    }

    /// Lets alarms ring again, beginning with the oldest.
    ///
    /// Returns when it is so in every shard.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`].
    ///
    /// # Cancel safety
    ///
    /// It is done all the same, once begun.
    pub async fn resume_alarms(&self) -> Result<(), Error> {
        self.tell(|done| Input::Alarms(Switch::On, done)).await
    }

    /// Begins no further effects; those that are under way go on.
    ///
    /// Returns when it is so in every shard.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`].
    ///
    /// # Cancel safety
    ///
    /// It is done all the same, once begun.
    pub async fn pause_effects(&self) -> Result<(), Error> {
        self.tell(|done| Input::Effects(Switch::Paused, done)).await
    }

    /// Begins effects again, beginning with the oldest.
    ///
    /// Returns when it is so in every shard.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`].
    ///
    /// # Cancel safety
    ///
    /// It is done all the same, once begun.
    pub async fn resume_effects(&self) -> Result<(), Error> {
        self.tell(|done| Input::Effects(Switch::On, done)).await
    }

    /// Begins no further passes of sweeps.
    ///
    /// Returns when it is so for every sweep.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`], and [`ErrorKind::Busy`] if many ask.
    ///
    /// # Cancel safety
    ///
    /// It is done all the same, once begun.
    pub async fn pause_sweeps(&self) -> Result<(), Error> {
        self.switch_sweeps(Switch::Paused).await
    }

    /// Lets sweeps pass again; a pass that was due meanwhile is made once.
    ///
    /// Returns when it is so for every sweep.
    ///
    /// # Errors
    ///
    /// As [`pause_sweeps`](Self::pause_sweeps).
    ///
    /// # Cancel safety
    ///
    /// It is done all the same, once begun.
    pub async fn resume_sweeps(&self) -> Result<(), Error> {
        self.switch_sweeps(Switch::On).await
    }

    async fn switch_sweeps(&self, to: Switch) -> Result<(), Error> {
        for desk in self.inner.sweeps.values() {
            desk.switch(to).await?;
        }
        Ok(())
    }

    async fn tell(&self, input: impl Fn(oneshot::Sender<()>) -> Input) -> Result<(), Error> {
        let mut waiting = Vec::new();
        for mailbox in &self.inner.shared.mailboxes {
            let (done, is_done) = oneshot::channel();
            mailbox.push(input(done));
            waiting.push(is_done);
        }
        for is_done in waiting {
            is_done.await.map_err(|_gone| closed())?;
        }
        Ok(())
    }

    /// Lists what a sweep would ask now; asks nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if the host has no such sweep, [`ErrorKind::Busy`] if many ask,
    /// and what the store says.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn plan_sweep(&self, name: &str) -> Result<Plan, Error> {
        self.sweep(name)?.plan().await
    }

    /// Makes a pass of a sweep without waiting, paused or not, and returns what it asked.
    ///
    /// # Errors
    ///
    /// As [`plan_sweep`](Self::plan_sweep), and [`ErrorKind::Refused`] before the pass is due:
    /// what a sweep may ask in a stretch of time is its limit.
    ///
    /// # Cancel safety
    ///
    /// The pass is made all the same.
    ///
    /// # Durability
    ///
    /// When it returns, every letter of the pass lies in its receiver's inbox for good.
    pub async fn sweep_now(&self, name: &str) -> Result<Plan, Error> {
        self.sweep(name)?.pass().await
    }

    /// Asks exactly what a reviewed plan says: of nobody else, and nothing else, whether or not a
    /// pass is due, and also while sweeps are paused.
    ///
    /// Who is asked decides in its own turn by what is true then; whoever was saved meanwhile
    /// refuses, and rests for the sweep's back-off.
    ///
    /// # Errors
    ///
    /// As [`plan_sweep`](Self::plan_sweep), and [`ErrorKind::Refused`] if the plan asks more than
    /// a pass of this sweep may.
    ///
    /// # Cancel safety
    ///
    /// The plan is applied all the same.
    ///
    /// # Durability
    ///
    /// When it returns, every letter of the plan lies in its receiver's inbox for good.
    pub async fn apply_sweep(&self, name: &str, plan: Plan) -> Result<(), Error> {
        self.sweep(name)?.apply(plan).await
    }

    fn sweep(&self, name: &str) -> Result<&SweepDesk, Error> {
        self.inner.sweeps.get(name).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("this host has no sweep named {name}"))
        })
    }

    /// Closes: refuses new requests, answers those that it has, flushes, and ends its threads.
    ///
    /// Effects that are under way are dropped and stay owed. Whoever waits for a tombstone that
    /// is not there yet is told `Unconfirmed`: the destruction goes on when the store is next
    /// opened.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] if it is closed already or its store failed, and what the store
    /// says on closing.
    ///
    /// # Cancel safety
    ///
    /// It closes all the same.
    ///
    /// # Durability
    ///
    /// After `Ok` every turn that ran is durable.
    pub async fn close(&self) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.inner.control.send(reply).map_err(|_gone| closed())?;
        let result = desk::told(answer, self.inner.control.closed()).await;
        let thread = self.inner.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It has said its last word; a panic after that concerns nobody.
            drop(thread.join());
        }
        result
    }
}

fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|error| {
        Error::new(ErrorKind::Closed, format!("cannot start the thread {name}")).with_source(error)
    })
}

/// Starts a task: no other module does.
pub(crate) fn start<F>(runtime: &runtime::Handle, task: F) -> task::JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    runtime.spawn(task)
}
