//! Handles: how a program names an actor and asks something of it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use sexton_core::{
    Actor, ActorId, ActorRecord, Call, DESTROYING, Debt, DestroyPlan, Entry, Error, ErrorKind,
    Explanation, Handler, Intent, Kinds, Message, Release, Reply, Request, Returned, RowRecord,
    RowView, Status, Store, codec, explain, key, plan_destroy, query,
};
use tokio::sync::oneshot;

use crate::arbiter::Shared;
use crate::mailbox::{Class, Input, Mailbox, Permit, Refused, Verdict, closed};

/// Names an actor of a host; cheap to clone, and does not keep the host open.
///
/// Everything asked through it is answered when what it did, or what it read, is durable.
pub struct Handle<A> {
    shared: Arc<Shared>,
    id: ActorId,
    /// Which of the host's threads runs it.
    thread: usize,
    by: Arc<str>,
    kind: PhantomData<fn() -> A>,
}

/// Stands for whichever kind an actor has, where it does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnyKind {}

/// Why a call was not answered with its reply.
#[derive(thiserror::Error)]
pub enum CallError<M> {
    /// The mailbox is full. Nothing took effect, and the message comes back: call again later.
    #[error("the mailbox is full")]
    Busy(M),
    /// See its [`kind`](Error::kind).
    #[error(transparent)]
    Failed(#[from] Error),
}

/// Without the message: what actors are told does not belong into logs.
impl<M> fmt::Debug for CallError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(_) => f.write_str("Busy"),
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}

impl<M> From<CallError<M>> for Error {
    fn from(error: CallError<M>) -> Self {
        error.into_error()
    }
}

impl<M> CallError<M> {
    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Busy(_) => ErrorKind::Busy,
            Self::Failed(error) => error.kind(),
        }
    }

    /// The same without the message.
    pub fn into_error(self) -> Error {
        match self {
            Self::Busy(_) => Error::new(ErrorKind::Busy, "the mailbox is full"),
            Self::Failed(error) => error,
        }
    }
}

impl<A> Clone for Handle<A> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            id: self.id.clone(),
            thread: self.thread,
            by: Arc::clone(&self.by),
            kind: PhantomData,
        }
    }
}

impl<A> fmt::Debug for Handle<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.id).finish()
    }
}

impl<A: Actor> Handle<A> {
    /// Creates the actor, without a parent, and returns its incarnation.
    ///
    /// # Errors
    ///
    /// [`CallError::Busy`] with `init`; [`ErrorKind::Exists`], [`ErrorKind::Destroyed`] or
    /// [`ErrorKind::Refused`] if there is no birth; [`ErrorKind::Closed`] and
    /// [`ErrorKind::Unconfirmed`].
    ///
    /// # Cancel safety
    ///
    /// Cancelled, it may or may not be created.
    ///
    /// # Durability
    ///
    /// After `Ok` it survives any crash.
    pub async fn create(&self, init: A::Init) -> Result<u32, CallError<A::Init>> {
        let permit = match self.admit(Class::Call) {
            Ok(permit) => permit,
            Err(Refused::Busy) => return Err(CallError::Busy(init)),
            Err(Refused::Closed) => return Err(closed().into()),
        };
        let (reply, answer) = reply(permit);
        let request = Request::create::<A>(&init, Box::new(reply));
        drop(init);
        Ok(self.counted(self.ask(request?, answer).await.flatten())?)
    }

    /// Sends a message and waits for the reply; at most once.
    ///
    /// # Errors
    ///
    /// [`CallError::Busy`] with the message; [`ErrorKind::NotFound`], [`ErrorKind::Destroyed`]
    /// or [`ErrorKind::Refused`] by the actor; [`ErrorKind::Closed`] and
    /// [`ErrorKind::Unconfirmed`].
    ///
    /// # Cancel safety
    ///
    /// Cancelled, the turn may run or not, and its reply goes nowhere.
    ///
    /// # Order
    ///
    /// Calls to an actor run in the order in which their futures are first polled, whichever handle
    /// they go through.
    ///
    /// # Durability
    ///
    /// The reply leaves after the flush that covers the turn: what it says is not lost.
    pub async fn call<M: Message>(&self, message: M) -> Result<M::Reply, CallError<M>>
    where
        A: Handler<M>,
    {
        let permit = match self.admit(Class::Call) {
            Ok(permit) => permit,
            Err(Refused::Busy) => return Err(CallError::Busy(message)),
            Err(Refused::Closed) => return Err(closed().into()),
        };
        let (reply, answer) = reply(permit);
        let request = Request::Call(Call::returning::<A, M>(message, reply));
        let result = self.ask(request, answer).await.and_then(Returned::open);
        Ok(self.counted(result)?)
    }

    /// The actor's status, also while it is being destroyed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] and [`ErrorKind::Destroyed`] if it does not live,
    /// [`ErrorKind::Busy`], [`ErrorKind::Closed`], [`ErrorKind::Corrupt`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn status(&self) -> Result<A::Status, Error> {
        Ok(self.state().await?.status())
    }

    /// A copy of the actor's state.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn state(&self) -> Result<A, Error> {
        decode(&self.id, &*self.record().await?)
    }

    /// What queries see of the actor.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn row(&self) -> Result<RowView, Error> {
        let id = self.id.clone();
        self.read(move |store| read_row::<A>(store, id)).await?
    }
}

impl<A> Handle<A> {
    pub(crate) fn new(shared: Arc<Shared>, id: ActorId) -> Self {
        let thread = shared.thread(&id);
        Self { shared, id, thread, by: Arc::from("caller"), kind: PhantomData }
    }

    /// Which actor.
    pub fn id(&self) -> &ActorId {
        &self.id
    }

    /// The same for somebody who is named in intents and events; "caller" unless named.
    pub fn by(mut self, whom: &str) -> Self {
        self.by = Arc::from(whom);
        self
    }

    /// Destroys the actor and waits for its tombstone.
    ///
    /// *Expected flow:* the intent commits; its children go, then what it holds is released,
    /// then the tombstone is written. *Guarantees:* once the intent is durable the end is
    /// reached through any crash, and the name is never live again. *Assumptions:* performers
    /// answer sooner or later. *Caveats:* this may take as long as they do; use
    /// [`destroy_later`](Self::destroy_later) where nobody can wait.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], [`ErrorKind::Busy`], [`ErrorKind::Closed`], and
    /// [`ErrorKind::Unconfirmed`] if the host ends first. Destroyed twice is destroyed once.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, the destruction goes on.
    ///
    /// # Durability
    ///
    /// After `Ok` the tombstone survives any crash.
    pub async fn destroy(&self, why: &str) -> Result<(), Error> {
        let (intent, is_waiting) = (self.intent(why), true);
        self.operate(Class::Wait, |reply| Request::Destroy { intent, is_waiting, reply }).await
    }

    /// Destroys the actor and returns when that cannot be undone any more.
    ///
    /// # Errors
    ///
    /// As [`destroy`](Self::destroy).
    ///
    /// # Cancel safety
    ///
    /// Cancelled, it may or may not be destroyed.
    ///
    /// # Durability
    ///
    /// After `Ok` the intent survives any crash, and the tombstone follows.
    pub async fn destroy_later(&self, why: &str) -> Result<(), Error> {
        let (intent, is_waiting) = (self.intent(why), false);
        self.operate(Class::Call, |reply| Request::Destroy { intent, is_waiting, reply }).await
    }

    /// Destroys the actor if that takes along exactly what was reviewed, and waits for its
    /// tombstone.
    ///
    /// *Expected flow:* as [`destroy`](Self::destroy), once the plan was found to be what the
    /// store says in the turn that commits the intent. *Guarantees:* see
    /// [`plan`](sexton_core::plan). *Caveats:* what is being destroyed already is only waited
    /// for, whatever the plan says.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`] if a life was added or is gone since the plan was made: it says
    /// which, and nothing is destroyed. Else as [`destroy`](Self::destroy).
    ///
    /// # Cancel safety
    ///
    /// Cancelled, the destruction goes on.
    ///
    /// # Durability
    ///
    /// After `Ok` the tombstone survives any crash.
    pub async fn destroy_as_planned(&self, plan: DestroyPlan, why: &str) -> Result<(), Error> {
        let (plan, intent, is_waiting) = (Box::new(plan), self.intent(why), true);
        let request = |reply| Request::DestroyPlanned { plan, intent, is_waiting, reply };
        self.operate(Class::Wait, request).await
    }

    /// Tries its first debt, or its stuck destruction, now.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], [`ErrorKind::Destroyed`], [`ErrorKind::Busy`],
    /// [`ErrorKind::Closed`], [`ErrorKind::Unconfirmed`].
    ///
    /// # Cancel safety
    ///
    /// Cancelled, it may be tried or not.
    pub async fn retry(&self) -> Result<(), Error> {
        self.operate(Class::Call, |reply| Request::Retry { reply }).await
    }

    /// Gives up a debt for good, by its number and with a reason: an event of its own.
    ///
    /// If it is being performed, that is not stopped: its answer is not waited for, and the next
    /// effect of the actor may begin beside it.
    ///
    /// # Errors
    ///
    /// As [`retry`](Self::retry).
    ///
    /// # Cancel safety
    ///
    /// Cancelled, it may be given up or not.
    ///
    /// # Durability
    ///
    /// After `Ok` the debt is gone, and the event says who gave it up.
    pub async fn abandon(&self, number: u64, why: &str) -> Result<(), Error> {
        let intent = self.intent(why);
        self.operate(Class::Call, |reply| Request::Abandon { number, intent, reply }).await
    }

    /// What lies under the name: a life, a tombstone, or nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`], [`ErrorKind::Closed`], [`ErrorKind::Corrupt`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn entry(&self) -> Result<Option<Entry>, Error> {
        let id = self.id.clone();
        self.read(move |store| query::entry(store, &id)).await?
    }

    /// What the actor owes, by number.
    ///
    /// # Errors
    ///
    /// As [`entry`](Self::entry).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn debts(&self) -> Result<Vec<(u64, Debt)>, Error> {
        let id = self.id.clone();
        self.read(move |store| query::debts(store, &id)).await?
    }

    /// Why it is awake or stalled, what rings next, what it owes, and what happened to it; at most
    /// `limit` items of each.
    ///
    /// Read off the store on a thread of its own; what it says may not be durable yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] if many ask, [`ErrorKind::Closed`], [`ErrorKind::Corrupt`]. A name
    /// without a life and a state that cannot be read are no errors: it says so.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn explain(&self, limit: usize) -> Result<Explanation, Error> {
        let id = self.id.clone();
        let read = move |store: &dyn Store, kinds: &Kinds| explain(store, kinds, &id, limit);
        self.shared.questions.ask(read).await
    }

    /// What destroying it would take along, in which order, and what would hold it up.
    ///
    /// Destroys nothing. Read off the store on a thread of its own; what it says may not be
    /// durable yet.
    ///
    /// # Errors
    ///
    /// As [`plan_destroy`], and [`ErrorKind::Busy`] if many ask.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn plan_destroy(&self) -> Result<DestroyPlan, Error> {
        let id = self.id.clone();
        let read = move |store: &dyn Store, kinds: &Kinds| plan_destroy(store, kinds, &id);
        self.shared.questions.ask(read).await
    }

    async fn record(&self) -> Result<Box<ActorRecord>, Error> {
        alive(&self.id, self.entry().await?)
    }

    fn intent(&self, why: &str) -> Intent {
        Intent { why: why.to_owned(), by: (*self.by).to_owned() }
    }

    fn mailbox(&self) -> &Arc<Mailbox> {
        &self.shared.mailboxes[self.thread]
    }

    fn admit(&self, class: Class) -> Result<Permit, Refused> {
        self.mailbox().admit(class).inspect_err(|refused| {
            self.refuse(match refused {
                Refused::Busy => ErrorKind::Busy,
                Refused::Closed => ErrorKind::Closed,
            });
        })
    }

    /// Counts a request that has no reply.
    fn refuse(&self, why: ErrorKind) {
        self.shared.tallies.refuse(self.id.kind(), why);
    }

    fn admit_or_error(&self, class: Class) -> Result<Permit, Error> {
        self.admit(class).map_err(|refused| match refused {
            Refused::Busy => {
                let max = self.mailbox().messages_max();
                let message = format!("{max} requests wait in the shard of {}", self.id);
                Error::new(ErrorKind::Busy, message)
            }
            Refused::Closed => closed(),
        })
    }

    async fn operate<T: Send + 'static>(
        &self,
        class: Class,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> Result<T, Error> {
        let (reply, answer) = reply(self.admit_or_error(class)?);
        self.counted(self.ask(request(Box::new(reply)), answer).await.flatten())
    }

    /// Asks, and waits for whatever comes back.
    async fn ask<T>(&self, request: Request, answer: Waiting<T>) -> Result<T, Error> {
        let (verdict, judged) = oneshot::channel();
        let input = Input::Ask { id: self.id.clone(), request, verdict };
        self.mailbox().push(input);
        match answer.await {
            Ok((answer, _)) => Ok(answer),
            Err(_) => Err(match judged.await {
                Ok(Verdict::Begun) => {
                    let message =
                        format!("whether {} keeps what it was asked is not known", self.id);
                    Error::new(ErrorKind::Unconfirmed, message)
                }
                Ok(Verdict::Failed(error)) => error,
                Err(_) => closed(),
            }),
        }
    }

    /// Counts a request that was not answered with what was asked for.
    fn counted<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.inspect_err(|error| self.refuse(error.kind()))
    }

    /// Reads in the thread of the shard; the answer waits for what was read to be durable.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Store) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = reply(self.admit_or_error(Class::Call)?);
        let read = Box::new(move |store: &dyn Store| -> Release {
            let value = read(store);
            Release::new(move || reply(Ok(value)))
        });
        self.mailbox().push(Input::Read(read));
        answer.await.map_or_else(|_| Err(closed()), |(value, _)| value)
    }
}

/// What is told an answer, and who waits for it.
trait Answering<T>: FnOnce(T) + Send + 'static {}

impl<T, F: FnOnce(T) + Send + 'static> Answering<T> for F {}

/// Whoever waits for an answer. The permit comes back with it, used up, so that its memory is given
/// back by the thread that asked for it.
type Waiting<T> = oneshot::Receiver<(T, Permit)>;

/// A reply that gives its place back when it is answered or dropped.
fn reply<T: Send + 'static>(mut permit: Permit) -> (impl Answering<T>, Waiting<T>) {
    let (sender, receiver) = oneshot::channel();
    let reply = move |answer| {
        permit.give_back();
        // Whoever asked may have gone.
        drop(sender.send((answer, permit)));
    };
    (reply, receiver)
}

fn alive(id: &ActorId, entry: Option<Entry>) -> Result<Box<ActorRecord>, Error> {
    match entry {
        Some(Entry::Alive(record)) => Ok(record),
        Some(Entry::Tombstone(_)) => {
            Err(Error::new(ErrorKind::Destroyed, format!("{id} is destroyed")))
        }
        None => Err(Error::new(ErrorKind::NotFound, format!("{id} was never created"))),
    }
}

fn unreadable(id: &ActorId, error: codec::CodecError) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the record of {id} cannot be read")).with_source(error)
}

fn decode<A: Actor>(id: &ActorId, record: &ActorRecord) -> Result<A, Error> {
    let state = if record.state_version == A::STATE_VERSION {
        codec::decode(&record.state)
    } else {
        A::migrate(record.state_version, &record.state)
    };
    state.map_err(|error| unreadable(id, error))
}

fn read_row<A: Actor>(store: &dyn Store, id: ActorId) -> Result<RowView, Error> {
    let record = alive(&id, query::entry(store, &id)?)?;
    let status = match record.destruction {
        Some(_) => DESTROYING,
        None => decode::<A>(&id, &record)?.status().name(),
    };
    let Some(bytes) = store.get(&key::row(&id, status))? else {
        let message = format!("{id} lives and has no row");
        return Err(Error::new(ErrorKind::Corrupt, message));
    };
    let record: RowRecord = codec::open(&bytes).map_err(|error| unreadable(&id, error))?;
    Ok(RowView { id, status: status.to_owned(), record })
}
