//! Callers who come whether or not those before them were answered: an open loop.
//!
//! A closed loop slows down with whom it asks, and so never sees how long the queue would be. Here
//! each call has a moment for which it is meant, and how long it took counts from that moment, also
//! when whoever makes the calls was late himself. The machine's timers know milliseconds only, so
//! calls are made in groups, and one counts as late when it is made [`WINDOW`] after its moment.
//!
//! ```text
//! meant   |  |  |  |  |  |  |  |       one every 1 / rate
//! made          |||      |||      ||   when the timer ends, or as soon as the thread can
//!               ^ counts from here     \ or from the end of the window, if that was earlier
//! ```
//!
//! Callers need the same cores as whom they call. A thread that falls [`BEHIND_MAX`] behind leaves
//! out what it cannot make, and it is told how much that was: what piles up in its own hands would
//! else be all that is seen.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use actix::Arbiter;
use hdrhistogram::Histogram;
use sexton::clock::Stopwatch;
use sexton::{CallError, Handle};
use tokio::sync::{Notify, oneshot};
use tokio::task::unconstrained;

use crate::BenchError;
use crate::actors::{Add, Subject};
use crate::load::{closed_loop, index, mixed, real};

/// How late a call may be made without counting as late. Chosen: a timer of one millisecond, which
/// ends after two at most, and the group that it begins.
const WINDOW: Duration = Duration::from_millis(3);
/// How far behind its calls a thread may be. Chosen: some slices of time of a machine with more to
/// do than cores.
const BEHIND_MAX: Duration = Duration::from_millis(50);
/// The most calls that are made before answers are looked at. Chosen: a fraction of a millisecond.
const GROUP: u64 = 128;
/// The longest time that is told apart, in microseconds or nanoseconds. Chosen: ten minutes; seven
/// seconds for how long a refusal takes itself.
const LONGEST_US: u64 = 600_000_000;
const LONGEST_NS: u64 = 7_000_000_000;

/// Whom calls go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// Everybody alike.
    Even,
    /// Every second call goes to one of them.
    HalfToOne,
}

/// What is offered.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    /// To whom.
    pub(crate) subjects: Arc<[Handle<Subject>]>,
    /// How many of the calls each of them gets.
    pub(crate) aim: Aim,
    /// Calls a second.
    pub(crate) rate: f64,
    /// For how long.
    pub(crate) time: Duration,
}

/// What became of all that was offered.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Until calls were answered after their turn, in microseconds since they were meant.
    pub(crate) served_us: Histogram<u64>,
    /// Until calls were refused, in microseconds since they were meant.
    pub(crate) refused_us: Histogram<u64>,
    /// How long the refused calls themselves took, in nanoseconds.
    pub(crate) refusals_ns: Histogram<u64>,
    /// Calls that each subject was offered, and that it served.
    pub(crate) of_each: Vec<(u64, u64)>,
    /// Calls that were meant, and that nobody had the time to make.
    pub(crate) left_out: u64,
}

impl Seen {
    fn new(subjects: usize) -> Self {
        let times = |longest| Histogram::new_with_max(longest, 3).expect("three digits are few");
        Self {
            served_us: times(LONGEST_US),
            refused_us: times(LONGEST_US),
            refusals_ns: times(LONGEST_NS),
            of_each: vec![(0, 0); subjects],
            left_out: 0,
        }
    }

    fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.served_us, &other.served_us),
            (&mut self.refused_us, &other.refused_us),
            (&mut self.refusals_ns, &other.refusals_ns),
        ] {
            sum.add(more).expect("they have the same bounds");
        }
        self.left_out += other.left_out;
        for (sum, more) in self.of_each.iter_mut().zip(&other.of_each) {
            *sum = (sum.0 + more.0, sum.1 + more.1);
        }
    }

    /// Calls that were offered.
    pub(crate) fn offered(&self) -> f64 {
        real(self.of_each.iter().map(|(offered, _)| offered).sum())
    }

    /// Calls that were answered after their turn.
    pub(crate) fn served(&self) -> f64 {
        real(self.served_us.len())
    }

    /// Calls that were refused.
    pub(crate) fn refused(&self) -> f64 {
        real(self.refused_us.len())
    }
}

/// A time of so many of a thousand, or the longest, as milliseconds.
pub(crate) fn at_ms(times: &Histogram<u64>, of_thousand: f64) -> f64 {
    real(times.value_at_quantile(of_thousand / 1_000.0)) / 1_000.0
}

/// Threads from which calls come: as many as the machine has cores, so that they can ask for more
/// than it can do.
#[derive(Debug)]
pub(crate) struct Callers {
    threads: Vec<Arbiter>,
}

impl Callers {
    /// Starts the threads; inside a system of actix.
    pub(crate) fn start() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get);
        Self { threads: (0..cores).map(|_| Arbiter::new()).collect() }
    }

    fn n(&self) -> u64 {
        u64::try_from(self.threads.len()).unwrap_or(1)
    }

    /// Ends the threads.
    pub(crate) fn end(self) {
        for thread in self.threads {
            thread.stop();
            drop(thread.join());
        }
    }

    /// Works on each thread, and waits for all of them.
    async fn each<T, F>(&self, work: impl Fn(u64) -> F) -> Result<Vec<T>, BenchError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, BenchError>> + Send + 'static,
    {
        let mut answers = Vec::new();
        for (thread, number) in self.threads.iter().zip(0..) {
            let (reply, answer) = oneshot::channel();
            let work = work(number);
            thread.spawn(async move { drop(reply.send(work.await)) });
            answers.push(answer);
        }
        let mut all = Vec::new();
        for answer in answers {
            all.push(answer.await.map_err(|gone| BenchError::Caller(gone.to_string()))??);
        }
        Ok(all)
    }

    /// Increments a second of so many callers who wait for their answers: what can be served.
    pub(crate) async fn capacity(
        &self,
        subjects: &Arc<[Handle<Subject>]>,
        callers: u64,
        time: Duration,
    ) -> Result<f64, BenchError> {
        let callers = callers.div_ceil(self.n());
        let rates = self.each(|thread| {
            let subjects = Arc::clone(subjects);
            closed_loop(callers, time, move |caller, nth| {
                let number = thread << 48 | caller << 32 | nth;
                let subject = subjects[index(number, subjects.len())].clone();
                async move {
                    subject.call(Add(1)).await?;
                    Ok(())
                }
            })
        });
        Ok(rates.await?.into_iter().sum())
    }

    /// One caller, who waits for each answer: how long he waits, in microseconds.
    pub(crate) async fn one(
        &self,
        subjects: &Arc<[Handle<Subject>]>,
        time: Duration,
    ) -> Result<Histogram<u64>, BenchError> {
        let waits = self.each(|thread| {
            let subjects = Arc::clone(subjects);
            async move {
                let mut seen = Seen::new(0);
                let watch = Stopwatch::start();
                // The other threads rest.
                for nth in 0.. {
                    if thread > 0 || watch.elapsed() >= time {
                        break;
                    }
                    let asked = Stopwatch::start();
                    subjects[index(nth, subjects.len())].call(Add(1)).await?;
                    seen.served_us.saturating_record(micros(asked.elapsed()));
                }
                Ok(seen.served_us)
            }
        });
        let mut waits = waits.await?;
        Ok(waits.swap_remove(0))
    }

    /// Makes calls at a rate, answered or not, and waits until all have been answered or refused.
    pub(crate) async fn offer(&self, offer: &Offer) -> Result<Seen, BenchError> {
        let rate = offer.rate / real(self.n());
        let all = self.each(|thread| make(Offer { rate, ..offer.clone() }, thread)).await?;
        let mut seen = Seen::new(offer.subjects.len());
        for of_thread in &all {
            seen.add(of_thread);
        }
        Ok(seen)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

type Called = Result<u64, CallError<Add>>;
type Calling = Pin<Box<dyn Future<Output = Called> + Send>>;

/// A call that waits for its answer.
struct Waiting {
    calling: Calling,
    who: usize,
    counts_from: Duration,
}

/// The places of calls whose answers have come.
#[derive(Default)]
struct Answered {
    places: Mutex<Vec<usize>>,
    is_news: Notify,
}

impl Answered {
    fn places(&self) -> MutexGuard<'_, Vec<usize>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes for one place.
struct Bell {
    place: usize,
    answered: Arc<Answered>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut places = self.answered.places();
        places.push(self.place);
        let is_first = places.len() == 1;
        drop(places);
        if is_first {
            self.answered.is_news.notify_one();
        }
    }
}

/// The calls of one thread. It looks itself who was answered: tasks that are woken by other threads
/// come last where there is always something else to do, and would wait for ever.
struct Caller {
    offer: Offer,
    seen: Seen,
    watch: Stopwatch,
    /// By place; places are used again, and so are their wakers.
    waiting: Vec<(Option<Waiting>, Waker)>,
    free: Vec<usize>,
    answered: Arc<Answered>,
}

/// One thread's part of an offer.
async fn make(offer: Offer, thread: u64) -> Result<Seen, BenchError> {
    let mut caller = Caller {
        seen: Seen::new(offer.subjects.len()),
        offer,
        watch: Stopwatch::start(),
        waiting: Vec::new(),
        free: Vec::new(),
        answered: Arc::default(),
    };
    // Answers are looked at as they come, however many that are.
    unconstrained(async move {
        caller.offer_all(thread).await?;
        while caller.free.len() < caller.waiting.len() {
            caller.answered.is_news.notified().await;
            caller.take_answers()?;
        }
        Ok(caller.seen)
    })
    .await
}

impl Caller {
    async fn offer_all(&mut self, thread: u64) -> Result<(), BenchError> {
        let (mut nth, period) = (0_u32, Duration::from_secs_f64(1.0 / self.offer.rate.max(1.0)));
        loop {
            let now = self.watch.elapsed();
            if now >= self.offer.time {
                return Ok(());
            }
            let behind = now.saturating_sub(period * nth);
            if behind > BEHIND_MAX {
                let n = u32::try_from(behind.as_nanos() / period.as_nanos().max(1)).unwrap_or(0);
                self.seen.left_out += u64::from(n);
                nth += n;
            }
            for _ in 0..GROUP {
                let meant = period * nth;
                if meant > now {
                    break;
                }
                self.call(thread << 32 | u64::from(nth), meant)?;
                nth += 1;
            }
            self.take_answers()?;
            if period * nth > now {
                let news = self.answered.is_news.notified();
                // Whichever comes first.
                drop(tokio::time::timeout(Duration::from_millis(1), news).await);
                self.take_answers()?;
            }
        }
    }

    /// Whom the call with this number goes to.
    fn whom(&self, number: u64) -> usize {
        let is_to_one = self.offer.aim == Aim::HalfToOne && mixed(!number).is_multiple_of(2);
        if is_to_one { 0 } else { index(number, self.offer.subjects.len()) }
    }

    /// Makes a call; a refused one is answered at once.
    fn call(&mut self, number: u64, meant: Duration) -> Result<(), BenchError> {
        let (who, subjects) = (self.whom(number), Arc::clone(&self.offer.subjects));
        self.seen.of_each[who].0 += 1;
        let place = self.place();
        let made = self.watch.elapsed();
        let counts_from = made.min(meant + WINDOW);
        let calling: Calling = Box::pin(async move { subjects[who].call(Add(1)).await });
        let mut waiting = Waiting { calling, who, counts_from };
        let (slot, waker) = &mut self.waiting[place];
        match waiting.calling.as_mut().poll(&mut Context::from_waker(waker)) {
            Poll::Pending => {
                *slot = Some(waiting);
                return Ok(());
            }
            Poll::Ready(Err(CallError::Busy(_))) => {
                let now = self.watch.elapsed();
                let took = now.saturating_sub(made).as_nanos();
                self.seen.refusals_ns.saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
                self.seen.refused_us.saturating_record(micros(now.saturating_sub(counts_from)));
            }
            Poll::Ready(said) => self.served(&waiting, said)?,
        }
        self.free.push(place);
        Ok(())
    }

    /// A place where nobody waits.
    fn place(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            let place = self.waiting.len();
            let bell = Bell { place, answered: Arc::clone(&self.answered) };
            self.waiting.push((None, Waker::from(Arc::new(bell))));
            place
        })
    }

    fn take_answers(&mut self) -> Result<(), BenchError> {
        let places = std::mem::take(&mut *self.answered.places());
        for place in places {
            let (slot, waker) = &mut self.waiting[place];
            // Woken twice, it may have been answered already.
            let Some(mut waiting) = slot.take() else { continue };
            match waiting.calling.as_mut().poll(&mut Context::from_waker(waker)) {
                Poll::Pending => *slot = Some(waiting),
                Poll::Ready(said) => {
                    self.free.push(place);
                    self.served(&waiting, said)?;
                }
            }
        }
        Ok(())
    }

    fn served(&mut self, waiting: &Waiting, said: Called) -> Result<(), BenchError> {
        said?;
        let took = self.watch.elapsed().saturating_sub(waiting.counts_from);
        self.seen.served_us.saturating_record(micros(took));
        self.seen.of_each[waiting.who].1 += 1;
        Ok(())
    }
}
