//! What a host is made of, before it is opened.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use sexton_core::limits::SHARDS;
use sexton_core::{Actor, Error, ErrorKind, Kinds, Limits, Store};
use tokio::runtime;
use tokio::sync::{broadcast, mpsc};

use crate::arbiter::Shared;
use crate::clock::{Clock, WallClock};
use crate::committer::Committer;
use crate::host::Host;
use crate::log::Bell;
use crate::mailbox::Mailbox;
use crate::perform::{Performer, Performers};
use crate::questions::{Question, Questions};
use crate::sweep::{Sweep, Sweeper};
use crate::sweeps::SweepPlan;
use crate::tally::Tallies;

/// Makes the kinds of one thread: kinds are not shared between threads.
pub(crate) type KindsFactory = Arc<dyn Fn() -> Kinds + Send + Sync>;

/// Sweeps remember in actors, so every host knows their kind.
pub(crate) fn with_sweeper(kinds: Kinds) -> Kinds {
    let has_sweeper = kinds.names().any(|name| name == Sweeper::KIND);
    if has_sweeper { kinds } else { kinds.with::<Sweeper>() }
}

/// The most requests of one shard that wait for an answer, unless another limit is chosen.
///
/// Chosen: less than a tenth of a second of work for one thread, also under four times the load
/// (`docs/performance.md`); more would be waited for in vain.
pub const MAILBOX_MESSAGES_MAX: usize = 10_000;
/// The events that a subscriber may be behind, unless another limit is chosen. Chosen.
pub const EVENTS_MAX: usize = 4_096;
/// How long an actor without a turn stays in memory, unless another time is chosen. Chosen.
pub const IDLE_AFTER: Duration = Duration::from_secs(60);

/// What a host is made of; see [`Host::builder`].
pub struct Builder {
    kinds: KindsFactory,
    store: Option<Arc<dyn Store>>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    threads: Option<usize>,
    mailbox_messages_max: usize,
    events_max: usize,
    idle_after: Duration,
    performers: Performers,
    sweeps: Vec<SweepPlan>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("store", &self.store)
            .field("limits", &self.limits)
            .field("threads", &self.threads)
            .field("performers", &self.performers)
            .field("sweeps", &self.sweeps)
            .finish_non_exhaustive()
    }
}

/// What a host is opened with.
pub(crate) struct Foundation {
    pub(crate) shared: Arc<Shared>,
    pub(crate) sweeps: Vec<SweepPlan>,
    pub(crate) kinds: KindsFactory,
    pub(crate) limits: Limits,
    pub(crate) asked: mpsc::Receiver<Question>,
}

impl Builder {
    pub(crate) fn new(kinds: KindsFactory) -> Self {
        Self {
            kinds,
            store: None,
            clock: Arc::new(WallClock),
            limits: Limits::default(),
            threads: None,
            mailbox_messages_max: MAILBOX_MESSAGES_MAX,
            events_max: EVENTS_MAX,
            idle_after: IDLE_AFTER,
            performers: Performers::default(),
            sweeps: Vec::new(),
        }
    }

    /// Where turns become durable. There is no default: a host without a store is not opened.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Which clock rings the alarms; the machine's, unless another is given.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How many threads run actors; one a core, unless another number is given.
    pub fn threads(mut self, count: usize) -> Self {
        self.threads = Some(count);
        self
    }

    /// The bounds of the engines; `live_actors_max` is shared out among the threads.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The most calls that one thread has accepted and not answered; at the limit the next is
    /// refused at once and handed back. Waits for tombstones have a limit of their own, as high.
    pub fn mailbox_messages_max(mut self, count: usize) -> Self {
        self.mailbox_messages_max = count;
        self
    }

    /// How many events a subscriber may be behind before it misses the oldest.
    pub fn events_max(mut self, count: usize) -> Self {
        self.events_max = count;
        self
    }

    /// How long an actor without a turn stays in memory.
    pub fn idle_after(mut self, wait: Duration) -> Self {
        self.idle_after = wait;
        self
    }

    /// Who performs the effects of kind `A`, and how many of them at a time over all threads.
    ///
    /// Effects of kinds without a performer stay owed, and a warning says so once a kind.
    pub fn performer<A: Actor>(mut self, performer: impl Performer<A>, at_a_time: usize) -> Self {
        self.performers.add::<A>(performer, at_a_time);
        self
    }

    /// Where performers run; on the host's own thread, unless a runtime is given.
    ///
    /// Give one where performers compute or block: the host's own thread has sweeps to do.
    pub fn performers_on(self, runtime: runtime::Handle) -> Self {
        self.performers.runtime.get_or_init(|| runtime);
        self
    }

    /// A periodic pass; the factory is called in the thread that keeps it.
    pub fn sweep(mut self, factory: impl Fn() -> Box<dyn Sweep> + Send + Sync + 'static) -> Self {
        self.sweeps.push(SweepPlan::new(Arc::new(factory)));
        self
    }

    /// Opens the store and starts the threads.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`] without a store, with two sweeps of one name, with a sweep of a
    /// kind or a status that is not known or with a limit of zero, and what the store says. Single records that cannot be read are no error: their
    /// actors are set aside, see [`Figures::unreadable`](crate::Figures::unreadable).
    ///
    /// # Cancel safety
    ///
    /// The store may have been claimed: an earlier host of it is fenced off then.
    ///
    /// # Durability
    ///
    /// Goes on where the last owner of the store stopped, however that ended.
    pub async fn open(self) -> Result<Host, Error> {
        Host::open(self.foundation()?).await
    }

    fn foundation(self) -> Result<Foundation, Error> {
        let refuse = |message: &str| Error::new(ErrorKind::Refused, message);
        let store = self.store.ok_or_else(|| refuse("a host needs a store"))?;
        let threads = self
            .threads
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get));
        if threads == 0 || self.mailbox_messages_max == 0 || self.events_max == 0 {
            return Err(refuse("a host needs a thread, and room for a message and an event"));
        }
        let mut names: Vec<&str> = self.sweeps.iter().map(|sweep| sweep.name).collect();
        names.sort_unstable();
        let n_sweeps = names.len();
        names.dedup();
        if names.len() < n_sweeps {
            return Err(refuse("two sweeps have the same name"));
        }
        let kinds = with_sweeper((self.kinds)());
        self.sweeps.iter().try_for_each(|sweep| sweep.check(&kinds))?;
        let n_threads = threads.min(usize::from(SHARDS));
        let tallies = Tallies::new(&kinds, n_threads, self.sweeps.iter().map(|sweep| sweep.name));
        let new_mailbox = |_| Arc::new(Mailbox::new(self.mailbox_messages_max));
        let (questions, asked) = Questions::new();
        let shared = Shared {
            store,
            clock: self.clock,
            mailboxes: (0..n_threads).map(new_mailbox).collect(),
            committer: Committer::default(),
            events: broadcast::Sender::new(self.events_max),
            bell: Bell::default(),
            performers: self.performers,
            questions,
            tallies,
            idle_after: self.idle_after,
        };
        let (kinds, limits) = (self.kinds, self.limits);
        Ok(Foundation { shared: Arc::new(shared), sweeps: self.sweeps, kinds, limits, asked })
    }
}
