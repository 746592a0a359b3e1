//! What is measured with: an actor with a state of some 200 bytes that does what it is told.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton::clock::Clock;
use sexton::{
    Actor, ActorId, Deadlines, Handle, Handler, Handlers, Host, Kinds, Limits, Message, Refusal,
    Store, Timestamp, Turn,
};

use crate::BenchError;
use crate::load;

/// The text of a state beside its numbers. Chosen: a state of 200 bytes, as a node's is.
const NOTE_BYTES: usize = 168;

sexton::lifecycle! {
    /// What a subject can be.
    pub(crate) enum Being {
        /// It is there.
        There = "there" [] => [],
    }
}

/// What is called, woken and destroyed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Subject {
    count: u64,
    rings_at: Option<Timestamp>,
    late_ms: Option<u64>,
    note: String,
}

/// Count so many more; reads if that is none.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Add(pub(crate) u64);

/// Ring then, and count.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct RingAt(pub(crate) Timestamp);

/// How late it rang the last time, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Lateness;

/// Count, and pass it on to the next of so many in a ring, so many times.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Pass {
    pub(crate) at: u64,
    pub(crate) of: u64,
    pub(crate) times: u64,
}

/// Tell all of these to count.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Fan {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// Have children with these numbers.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Beget {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Message for Add {
    const NAME: &'static str = "add";
    type Reply = u64;
}

impl Message for RingAt {
    const NAME: &'static str = "ring_at";
    type Reply = ();
}

impl Message for Lateness {
    const NAME: &'static str = "lateness";
    type Reply = Option<u64>;
}

impl Message for Pass {
    const NAME: &'static str = "pass";
    type Reply = ();
}

impl Message for Fan {
    const NAME: &'static str = "fan";
    type Reply = ();
}

impl Message for Beget {
    const NAME: &'static str = "beget";
    type Reply = ();
}

/// The name of the subject with this number.
pub(crate) fn name(number: u64) -> String {
    format!("s{number}")
}

/// The subject with this number.
///
/// # Panics
///
/// Never: such a name is a good one.
pub(crate) fn subject(number: u64) -> ActorId {
    ActorId::new(Subject::KIND, &name(number)).expect("a letter and a number")
}

impl Actor for Subject {
    const KIND: &'static str = "subject";
    type Init = Option<Timestamp>;
    type Status = Being;
    type Deadline = ();
    type Effect = ();
    type Answer = ();

    fn create(init: Option<Timestamp>, _turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        Ok(Self { count: 0, rings_at: init, late_ms: None, note: "n".repeat(NOTE_BYTES) })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Add>();
        on.message::<RingAt>();
        on.message::<Lateness>();
        on.message::<Pass>();
        on.message::<Fan>();
        on.message::<Beget>();
    }

    fn status(&self) -> Being {
        Being::There
    }

    fn deadlines(&self, due: &mut Deadlines<()>) {
        if let Some(at) = self.rings_at {
            due.at(at, ());
        }
    }

    fn on_deadline(&mut self, _due: (), turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let late = self.rings_at.take().map(|at| turn.now().since(at).as_millis());
        self.late_ms = late.and_then(|late| u64::try_from(late).ok());
        self.count += 1;
        Ok(())
    }
}

impl Handler<Add> for Subject {
    fn handle(&mut self, message: Add, _turn: &mut Turn<Self>) -> Result<u64, Refusal> {
        self.count += message.0;
        Ok(self.count)
    }
}

impl Handler<RingAt> for Subject {
    fn handle(&mut self, message: RingAt, _turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.rings_at = Some(message.0);
        self.late_ms = None;
        Ok(())
    }
}

impl Handler<Lateness> for Subject {
    fn handle(&mut self, _: Lateness, _turn: &mut Turn<Self>) -> Result<Option<u64>, Refusal> {
        Ok(self.late_ms)
    }
}

impl Handler<Pass> for Subject {
    fn handle(&mut self, message: Pass, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.count += 1;
        if message.times > 0 {
            let at = (message.at + 1) % message.of.max(1);
            let next = Pass { at, times: message.times - 1, ..message };
            turn.send::<Self, _>(&subject(at), &next);
        }
        Ok(())
    }
}

impl Handler<Fan> for Subject {
    fn handle(&mut self, message: Fan, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        for number in message.from..message.to {
            turn.send::<Self, _>(&subject(number), &Add(1));
        }
        Ok(())
    }
}

impl Handler<Beget> for Subject {
    fn handle(&mut self, message: Beget, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        for number in message.from..message.to {
            turn.create::<Self>(&name(number), &None);
        }
        Ok(())
    }
}

/// What programs of users have: all kinds.
pub(crate) fn kinds() -> Kinds {
    Kinds::new().with::<Subject>()
}

/// Limits under which nobody of so many leaves the memory, and enough may be recorded at once.
pub(crate) fn limits(live: u64) -> Limits {
    let live = usize::try_from(live.max(1_024)).unwrap_or(usize::MAX);
    Limits { live_actors_max: 2 * live, records_per_turn_max: 2_048, ..Limits::default() }
}

/// Opens a host on a store that refuses nobody for want of a place.
pub(crate) async fn host(
    store: Arc<dyn Store>,
    limits: Limits,
    clock: Arc<dyn Clock>,
) -> Result<Host, BenchError> {
    // Nobody may be refused for want of a place: a case's callers are its load.
    let host = Host::builder(kinds).store(store).limits(limits).clock(clock);
    let host = host.mailbox_messages_max(1 << 20).idle_after(Duration::from_secs(86_400));
    Ok(host.open().await?)
}

/// Opens a host on a store as users have it, with the room for calls that it gives by itself.
pub(crate) async fn users_host(store: Arc<dyn Store>, limits: Limits) -> Result<Host, BenchError> {
    Ok(Host::builder(kinds).store(store).limits(limits).open().await?)
}

/// The subjects with the numbers below `n`, whether they live or not.
pub(crate) fn handles(host: &Host, n: u64) -> Result<Vec<Handle<Subject>>, BenchError> {
    let handles = (0..n).map(|number| host.actor::<Subject>(&name(number)));
    Ok(handles.collect::<Result<_, _>>()?)
}

/// Makes the subjects with the numbers below `n`; the `k`th rings at `rings_at(k)`.
pub(crate) async fn populate(
    host: &Host,
    n: u64,
    rings_at: impl Fn(u64) -> Option<Timestamp> + Clone + Send + 'static,
) -> Result<(), BenchError> {
    populate_from(host, 0..n, rings_at).await
}

/// Makes the subjects with these numbers; the `k`th of all rings at `rings_at(k)`.
pub(crate) async fn populate_from(
    host: &Host,
    numbers: Range<u64>,
    rings_at: impl Fn(u64) -> Option<Timestamp> + Clone + Send + 'static,
) -> Result<(), BenchError> {
    let (host, from) = (host.clone(), numbers.start);
    load::all(1_024, numbers.end.saturating_sub(from), move |nth| {
        let (host, rings_at, number) = (host.clone(), rings_at.clone(), from + nth);
        async move {
            let subject = host.actor::<Subject>(&name(number))?;
            subject.create(rings_at(number)).await?;
            Ok(())
        }
    })
    .await
    .map(|_took| ())
}
