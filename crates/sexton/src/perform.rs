//! Performers: whoever does the work in the outside world that turns recorded.
//!
//! An effect is begun after the turn that recorded it is durable, and brought back to its
//! engine as an answer. A performer that panics or is dropped has answered *transient*: nobody
//! knows how far it came, and the next attempt carries the same [`EffectId`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sexton_core::{Actor, Answer, EffectId, Failure, Owed, codec};
use tokio::runtime;
use tokio::sync::Semaphore;
use tracing::Instrument;

use crate::clock::Stopwatch;
use crate::host::start;
use crate::mailbox::{Input, Mailbox};
use crate::tally::{EffectCounts, EffectTally};

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Performed<T> {
    /// It is done, or there was nothing left to do.
    Done(T),
    /// It may work later: tried again with back-off, for ever.
    Transient(Failure),
    /// It will not work: the actor is told, unless it is a release of a destroyed actor.
    Permanent(Failure),
}

/// Does in the outside world what actors of kind `A` record as effects.
///
/// Write `perform` as an `async fn`. It may be called again with the same `id` after a crash or
/// a failure, so it hands the id to its provider as the idempotency token.
pub trait Performer<A: Actor>: Send + Sync + 'static {
    /// Performs one effect. `failures` counts the attempts that failed before this one.
    ///
    /// # Cancel safety
    ///
    /// Dropped when the host closes; the effect stays owed and is performed again later.
    fn perform(
        &self,
        id: EffectId,
        effect: A::Effect,
        failures: u32,
    ) -> impl Future<Output = Performed<A::Answer>> + Send;
}

type Attempt = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A performer without its types, and how many of its attempts may run at a time.
struct Desk {
    permits: Arc<Semaphore>,
    counts: Arc<EffectCounts>,
    perform: Box<dyn Fn(Owed) -> Attempt + Send + Sync>,
}

/// All performers of a host.
#[derive(Default)]
pub(crate) struct Performers {
    desks: BTreeMap<&'static str, Desk>,
    /// Where attempts run.
    pub(crate) runtime: OnceLock<runtime::Handle>,
    /// Kinds that owe effects and have no performer, each of which was reported.
    missing: Mutex<BTreeSet<String>>,
}

impl fmt::Debug for Performers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.desks.keys()).finish()
    }
}

fn failure(class: &str, message: impl Into<String>) -> Failure {
    Failure { class: class.to_owned(), message: message.into() }
}

impl Performers {
    /// Adds the performer of a kind, or replaces it.
    pub(crate) fn add<A: Actor>(&mut self, performer: impl Performer<A>, at_a_time: usize) {
        let performer = Arc::new(performer);
        let perform = move |owed: Owed| {
            let performer = Arc::clone(&performer);
            let attempt: Attempt = Box::pin(attempt::<A, _>(performer, owed));
            attempt
        };
        let permits = Arc::new(Semaphore::new(at_a_time.clamp(1, Semaphore::MAX_PERMITS)));
        let (counts, perform) = (Arc::default(), Box::new(perform));
        self.desks.insert(A::KIND, Desk { permits, counts, perform });
    }

    /// Begins an effect; the answer goes to `mailbox`. Whether anybody performs such effects.
    pub(crate) fn begin(&self, owed: Owed, mailbox: &Arc<Mailbox>) -> bool {
        let kind = owed.id.actor.id.kind();
        let (Some(desk), Some(runtime)) = (self.desks.get(kind), self.runtime.get()) else {
            self.report_missing(kind);
            return false;
        };
        let span = tracing::debug_span!(
            target: "sexton",
            "effect",
            kind,
            id = %owed.id,
            failures = owed.failures,
            outcome = tracing::field::Empty
        );
        let (permits, mailbox) = (Arc::clone(&desk.permits), Arc::clone(mailbox));
        let (to, attempt) = (owed.id.clone(), (desk.perform)(owed));
        let counts = Arc::clone(&desk.counts);
        counts.begin();
        let task = async move {
            // Never closed; should it be, the attempt is made without a place.
            let _permit = permits.acquire_owned().await;
            let watch = Stopwatch::start();
            // A task of its own, so that a panic ends the attempt and not this task.
            let attempt = start(&runtime::Handle::current(), attempt.instrument(span.clone()));
            let answer = attempt.await.unwrap_or_else(|error| {
                let what = if error.is_panic() { "panicked" } else { "was dropped" };
                Answer::Transient(failure("performer", format!("the performer {what}")))
            });
            span.record("outcome", name(&answer));
            counts.end(&answer, watch);
            mailbox.push(Input::Answer { to, answer });
        };
        drop(start(runtime, task));
        true
    }

    /// What was counted of a kind, if it has a performer.
    pub(crate) fn tally(&self, kind: &str) -> Option<EffectTally> {
        self.desks.get(kind).map(|desk| desk.counts.read())
    }

    fn report_missing(&self, kind: &str) {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        if missing.insert(kind.to_owned()) {
            tracing::warn!(target: "sexton", kind, "effects are owed, and nobody performs them");
        }
    }
}

async fn attempt<A: Actor, P: Performer<A>>(performer: Arc<P>, owed: Owed) -> Answer {
    let effect = match codec::decode::<A::Effect>(&owed.effect) {
        Ok(effect) => effect,
        Err(error) => return Answer::Permanent(failure("unreadable", error.to_string())),
    };
    match performer.perform(owed.id, effect, owed.failures).await {
        Performed::Done(value) => match codec::encode(&value) {
            Ok(bytes) => Answer::Done(bytes),
            Err(error) => Answer::Transient(failure("unwritable", error.to_string())),
        },
        Performed::Transient(failure) => Answer::Transient(failure),
        Performed::Permanent(failure) => Answer::Permanent(failure),
    }
}

fn name(answer: &Answer) -> &'static str {
    match answer {
        Answer::Done(_) => "done",
        Answer::Transient(_) => "transient",
        Answer::Permanent(_) => "permanent",
    }
}
