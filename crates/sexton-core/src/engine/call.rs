//! A call on its way: one piece of memory from its caller through a turn to its answer.

use std::fmt;
use std::marker::PhantomData;

use crate::actor::{Handler, Live, Message};
use crate::error::{Error, ErrorKind, Refusal};
use crate::turn::{Recorder, lend};

use super::{Leave, Release};

/// A call with its message and its caller, without their types.
pub struct Call {
    pub(super) name: &'static str,
    pub(super) is_news: bool,
    pub(super) run: Box<dyn AnyCall>,
}

/// What the engine does with a call: run it on the actor, then answer its caller.
pub(super) trait AnyCall: Send {
    fn run(&mut self, live: &mut dyn Live, record: &mut Recorder) -> Result<(), Refusal>;
    fn answer(self: Box<Self>, result: Result<(), Error>) -> Release;
}

/// How far a call is.
enum Stage<M: Message> {
    Asked(M),
    Ran(M::Reply),
    Answered(Result<M::Reply, Error>),
    /// Between two of them.
    Moving,
}

/// A call with its message, then with its answer: one piece of memory all the way.
struct TypedCall<A, M: Message, R> {
    stage: Stage<M>,
    reply: Option<R>,
    actor: PhantomData<fn(&A)>,
}

/// A call that has come back to whoever called, with its answer.
///
/// It is the memory that the caller gave, so that it is also given back by the caller's thread:
/// allocators serve a thread from what it gave back itself, and take locks for the rest.
pub struct Returned<T>(Box<dyn Open<T>>);

impl<T> Returned<T> {
    /// What was answered.
    ///
    /// # Errors
    ///
    /// The engine's or the actor's answer: [`ErrorKind::NotFound`], [`ErrorKind::Destroyed`] or
    /// [`ErrorKind::Refused`].
    pub fn open(mut self) -> Result<T, Error> {
        self.0.open()
    }
}

impl<T> fmt::Debug for Returned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Returned")
    }
}

/// A call without the types of its actor and its message.
trait Open<T>: Send {
    fn open(&mut self) -> Result<T, Error>;
}

impl<A, M: Message, R: Send> Open<M::Reply> for TypedCall<A, M, R> {
    fn open(&mut self) -> Result<M::Reply, Error> {
        match std::mem::replace(&mut self.stage, Stage::Moving) {
            Stage::Answered(result) => result,
            Stage::Asked(_) | Stage::Ran(_) | Stage::Moving => {
                Err(Error::new(ErrorKind::Closed, "the call was not answered"))
            }
        }
    }
}

impl<A, M, R> AnyCall for TypedCall<A, M, R>
where
    A: Handler<M>,
    M: Message,
    R: FnOnce(Returned<M::Reply>) + Send + 'static,
{
    fn run(&mut self, live: &mut dyn Live, record: &mut Recorder) -> Result<(), Refusal> {
        let actor = live.as_any().downcast_mut::<A>();
        let actor =
            actor.ok_or_else(|| Refusal::new(format!("this actor is not of kind {}", A::KIND)))?;
        if let Stage::Asked(message) = std::mem::replace(&mut self.stage, Stage::Moving) {
            self.stage = Stage::Ran(lend(record, |turn| actor.handle(message, turn))?);
        }
        Ok(())
    }

    fn answer(mut self: Box<Self>, result: Result<(), Error>) -> Release {
        self.stage = Stage::Answered(match (result, self.stage) {
            (Err(error), _) => Err(error),
            (Ok(()), Stage::Ran(value)) => Ok(value),
            (Ok(()), _) => Err(Error::new(ErrorKind::Closed, "the call never ran")),
        });
        Release(self)
    }
}

impl<A, M, R> Leave for TypedCall<A, M, R>
where
    A: 'static,
    M: Message,
    R: FnOnce(Returned<M::Reply>) + Send + 'static,
{
    fn leave(mut self: Box<Self>) {
        if let Some(reply) = self.reply.take() {
            reply(Returned(self));
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Call {
    /// A call of `message` on an actor of kind `A`.
    ///
    /// `reply` is told once, when what the turn wrote is durable, in the engine's thread or in the
    /// one that flushed, which must not be held up; it is dropped untold if the engine ends before.
    pub fn new<A: Handler<M>, M: Message>(
        message: M,
        reply: impl FnOnce(Result<M::Reply, Error>) + Send + 'static,
    ) -> Self {
        Self::returning::<A, M>(message, move |returned| reply(returned.open()))
    }

    /// As [`new`](Self::new), for callers in other threads: `reply` hands them what came back, and
    /// they [open](Returned::open) it in their own.
    pub fn returning<A: Handler<M>, M: Message>(
        message: M,
        reply: impl FnOnce(Returned<M::Reply>) + Send + 'static,
    ) -> Self {
        let (stage, reply) = (Stage::Asked(message), Some(reply));
        let call = TypedCall::<A, M, _> { stage, reply, actor: PhantomData };
        Self { name: M::NAME, is_news: M::IS_NEWS, run: Box::new(call) }
    }
}
