//! A story under every crash: each operation of its store goes wrong in each way, then two do.
//!
//! Pass one counts what a story asks of its store: claims, batches, flushes and reads. Pass two
//! tells it once for each of these and each way in which it can go wrong: the process ends there,
//! its store is audited, and the next process tells the story again from its beginning. Pass three
//! ends that second process, too, at each operation of its recovery and of what comes after it.

use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;

use sexton::codec;
use sexton::key::{self, Parsed};
use sexton::{Debt, Destruction, Entry, Error, ErrorKind, Kinds, Store, Timestamp, audit, query};
use sexton_store::MemoryStore;

use crate::doubtful::{Died, Doubtful, Stop, Way};
use crate::hash::state_hash;
use crate::play::{Answering, Play, add_sweeps};
use crate::world::{World, WorldError};

/// The broken promises that one error names. Chosen: the first few say what is wrong.
const BROKEN_MAX: usize = 10;
/// How many pairs of crashes are tried unless a story says otherwise. Chosen: each one of a story
/// with thirty writes, in about a second.
const PAIRS_MAX: u64 = 1_000;

/// What was tried of a story.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crashed {
    /// Commits of the story when nothing goes wrong.
    pub commits: u64,
    /// Claims, batches and flushes of the story when nothing goes wrong.
    pub writes: u64,
    /// Reads of the story when nothing goes wrong.
    pub reads: u64,
    /// Tellings with one crash.
    pub singles: u64,
    /// Tellings with two.
    pub pairs: u64,
}

type Look<'a, W> = dyn Fn(&mut World<Answering<W>>) -> Result<(), WorldError> + 'a;

/// A story and how it is to crash; begin with [`every_crash`].
pub struct Crashes<'a, W, S> {
    play: &'a Play<W>,
    story: S,
    look: Box<Look<'a, W>>,
    ways: &'static [Way],
    pairs_max: Option<u64>,
    ends_alike: bool,
    only: Option<Vec<Stop>>,
}

impl<W, S> fmt::Debug for Crashes<'_, W, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crashes").field("pairs_max", &self.pairs_max).finish_non_exhaustive()
    }
}

/// Tells a story under every crash. Whatever goes wrong, it must end as it says, at rest, and with
/// a store of which every record agrees with every other.
///
/// A story asks and lets time pass; what must be so then says [`Crashes::ends`]. After a crash it
/// is told again from its beginning, as a client would repeat what it asked: so it goes to moments
/// ([`World::advance_to`]), asks what does no harm when it is asked twice, and passes on every
/// error of the world with `?`. What it pauses it resumes before its end.
///
/// # Example
///
/// A lamp is switched on, and its deadline switches it off. The world outside is a switchboard.
///
/// ```
/// use std::collections::BTreeMap;
/// use std::time::Duration;
///
/// use sexton::{
///     Actor, ActorId, Answer, Deadlines, Entry, Handlers, Kinds, Outcome, Refusal, Request,
///     Timestamp, Turn, codec, query,
/// };
/// use sexton_sim::{Play, every_crash};
///
/// sexton::lifecycle! {
///     /// What a lamp can be.
///     pub enum Light { /// It burns.
///         On = "on" [holds] => [] }
/// }
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Lamp {
///     off_at: Timestamp,
/// }
///
/// impl Actor for Lamp {
///     const KIND: &'static str = "lamp";
///     type Init = ();
///     type Status = Light;
///     type Deadline = ();
///     type Effect = bool;
///     type Answer = ();
///     fn create(_init: (), turn: &mut Turn<Self>) -> Result<Self, Refusal> {
///         turn.effect(&true);
///         Ok(Self { off_at: turn.now() + Duration::from_secs(60) })
///     }
///     fn handlers(_on: &mut Handlers<Self>) {}
///     fn status(&self) -> Light {
///         Light::On
///     }
///     fn deadlines(&self, due: &mut Deadlines<()>) {
///         due.at(self.off_at, ());
///     }
///     fn on_deadline(&mut self, _due: (), turn: &mut Turn<Self>) -> Result<(), Refusal> {
///         turn.destroy("a minute is over", "deadline");
///         Ok(())
///     }
///     fn on_outcome(
///         &mut self,
///         _effect: &bool,
///         _outcome: Outcome<()>,
///         _turn: &mut Turn<Self>,
///     ) -> Result<(), Refusal> {
///         Ok(())
///     }
///     fn on_destroy(&mut self, turn: &mut Turn<Self>) {
///         turn.effect(&false);
///     }
/// }
///
/// let play = Play::<BTreeMap<ActorId, bool>>::new(
///     || Kinds::new().with::<Lamp>(),
///     |board, owed| {
///         let is_on = codec::decode(&owed.effect).expect("an effect of a lamp");
///         board.insert(owed.id.actor.id.clone(), is_on);
///         Answer::Done(codec::encode(&()).expect("nothing is small"))
///     },
/// );
/// let id = ActorId::new("lamp", "hall").expect("a good name");
/// let crashed = every_crash(&play, |world| {
///     world.request(&id, Request::create::<Lamp>(&(), Box::new(drop))?)?;
///     world.advance_to(Timestamp::from_millis(120_000))
/// })
/// .ends_alike()
/// .ends(|world| {
///     assert!(matches!(query::entry(world.store(), &id)?, Some(Entry::Tombstone(_))));
///     assert_eq!(world.outside().things().get(&id), Some(&false), "it is dark");
///     Ok(())
/// })
/// .assert();
/// assert!(crashed.singles > 40 && crashed.pairs > 100, "{crashed:?}");
/// ```
pub fn every_crash<W, S>(play: &Play<W>, story: S) -> Crashes<'_, W, S>
where
    W: Default + Clone,
    S: Fn(&mut World<Answering<W>>) -> Result<(), WorldError>,
{
    Crashes {
        play,
        story,
        look: Box::new(|_| Ok(())),
        ways: &Way::ALL,
        pairs_max: Some(PAIRS_MAX),
        ends_alike: false,
        only: None,
    }
}

impl<'a, W, S> Crashes<'a, W, S>
where
    W: Default + Clone,
    S: Fn(&mut World<Answering<W>>) -> Result<(), WorldError>,
{
    /// What must be so at the end. Nothing goes wrong while it looks.
    #[must_use]
    pub fn ends(
        mut self,
        look: impl Fn(&mut World<Answering<W>>) -> Result<(), WorldError> + 'a,
    ) -> Self {
        self.look = Box::new(look);
        self
    }

    /// Tries about so many pairs of crashes at most; all of a story's pairs of writes, if they are
    /// no more.
    ///
    /// Which ones is a function of the story: of the second crash's places every n-th, from another
    /// one for each first crash, so that all first crashes together meet every place; the ways
    /// go round.
    #[must_use]
    pub fn pairs_max(mut self, pairs_max: u64) -> Self {
        self.pairs_max = Some(pairs_max);
        self
    }

    /// Says that it ends with the [`state_hash`] of the telling in which nothing goes wrong.
    #[must_use]
    pub fn ends_alike(mut self) -> Self {
        self.ends_alike = true;
        self
    }

    /// Only these crashes, one after the other: to repeat what a failure names.
    #[must_use]
    pub fn only(mut self, stops: &[Stop]) -> Self {
        self.only = Some(stops.to_vec());
        self
    }

    /// Writes go wrong in these ways only, no read fails, and there is one pair for each of them.
    #[must_use]
    pub(crate) fn only_ways(mut self, ways: &'static [Way]) -> Self {
        self.ways = ways;
        self.pairs_max = None;
        self
    }

    /// Does it, and says what was tried.
    ///
    /// # Errors
    ///
    /// What the world said, or what is wrong at a crash or at the end, with the crashes before it
    /// and how to repeat them.
    ///
    /// # Panics
    ///
    /// If the story panics, with the same.
    pub fn run(&self) -> Result<Crashed, WorldError> {
        let nothing = Left::nothing();
        let whole = self.end(&nothing, &[], None)?;
        let expected = self.ends_alike.then_some(whole.hash.as_str());
        if let Some(stops) = &self.only {
            let mut left = nothing;
            for n in 1..=stops.len() {
                left = self.crash(&left, &stops[..n])?;
            }
            self.end(&left, stops, expected)?;
            return Ok(Crashed { singles: 1, ..Crashed::default() });
        }
        let (commits, writes, reads) = (whole.commits, whole.writes, whole.reads);
        let mut crashed = Crashed { commits, writes, reads, ..Crashed::default() };
        for (n, first) in self.firsts(&whole) {
            let left = self.crash(&nothing, &[first])?;
            let resumed = self.end(&left, &[first], expected)?;
            crashed.singles += 1;
            for second in self.seconds(n, &whole, &resumed) {
                let stops = [first, second];
                let left = self.crash(&left, &stops)?;
                self.end(&left, &stops, expected)?;
                crashed.pairs += 1;
            }
        }
        Ok(crashed)
    }

    /// As [`run`](Self::run), for tests.
    ///
    /// # Panics
    ///
    /// With what went wrong.
    pub fn assert(&self) -> Crashed {
        match self.run() {
            Ok(crashed) => crashed,
            Err(error) => resume_unwind(Box::new(error.to_string())),
        }
    }

    /// The first crashes, each with the number by which its seconds are chosen.
    fn firsts(&self, whole: &Whole) -> Vec<(u64, Stop)> {
        let writes = (1..=whole.writes).flat_map(|n| {
            // Shifted by one for each write: all ways of one write together meet every place.
            (0..).zip(self.ways).map(move |(way, it)| (n * 5 + way, Stop::Write(n, *it)))
        });
        let has_reads = self.pairs_max.is_some();
        let reads = (1..=whole.reads).filter(|_| has_reads).map(|n| (n * 5, Stop::Read(n)));
        writes.chain(reads).collect()
    }

    /// The second crashes that are tried behind the first one of this number.
    fn seconds(&self, first: u64, whole: &Whole, resumed: &Whole) -> Vec<Stop> {
        let n_ways = u64::try_from(self.ways.len()).unwrap_or(u64::MAX).max(1);
        let way = |n: u64| {
            let turn = usize::try_from((first + n / n_ways) % n_ways).unwrap_or(0);
            self.ways.get(turn).copied().unwrap_or(Way::DiesBehind)
        };
        let Some(pairs_max) = self.pairs_max else {
            let n = 1 + first % resumed.writes.max(1);
            return vec![Stop::Write(n, way(n))];
        };
        if pairs_max == 0 {
            return Vec::new();
        }
        // One way of the four for each pair of places, and reads less often: they are more.
        let thinned = (whole.writes * resumed.writes).div_ceil(pairs_max).max(1);
        let every = n_ways * thinned;
        let seldom = every * (1 + whole.reads.div_ceil(whole.writes.max(1)));
        let writes = (1..=resumed.writes).filter(|n| n % every == first % every);
        let reads = (1..=resumed.reads).filter(|n| n % seldom == first % seldom);
        writes.map(|n| Stop::Write(n, way(n))).chain(reads.map(Stop::Read)).collect()
    }

    /// Tells the story until the last of these stops, of which the others lie behind.
    fn crash(&self, left: &Left<W>, stops: &[Stop]) -> Result<Left<W>, WorldError> {
        let wrap = || {
            let story = |world: &mut World<Answering<W>>| {
                add_sweeps(self.play, world)?;
                (self.story)(world)
            };
            Ok(live(self.play, left, stops.last().copied(), (story, |_: &mut _| Ok(())))?.left)
        };
        named(&Crash(stops), wrap)
    }

    /// Tells the story to its end, after these stops.
    fn end(
        &self,
        left: &Left<W>,
        stops: &[Stop],
        expected: Option<&str>,
    ) -> Result<Whole, WorldError> {
        named(&Crash(stops), || {
            let story = |world: &mut World<Answering<W>>| {
                add_sweeps(self.play, world)?;
                (self.story)(world)
            };
            let look = |world: &mut World<Answering<W>>| {
                at_rest(world)?;
                (self.look)(world)
            };
            let lived = live(self.play, left, None, (story, look))?;
            let hash = state_hash(lived.left.store.sound())?;
            if expected.is_some_and(|expected| *expected != hash) {
                return Err(wrong("it ends in another state than if nothing had gone wrong"));
            }
            let Lived { commits, writes, reads, .. } = lived;
            Ok(Whole { commits, writes, reads, hash })
        })
    }
}

/// A telling that came to its end.
struct Whole {
    commits: u64,
    writes: u64,
    reads: u64,
    hash: String,
}

/// What a process leaves behind: its store, and the world outside.
pub(crate) struct Left<W> {
    store: Arc<Doubtful>,
    things: W,
    is_first: bool,
}

impl<W: Default> Left<W> {
    /// What there is before the first process.
    pub(crate) fn nothing() -> Self {
        Self { store: Arc::new(Doubtful::new()), things: W::default(), is_first: true }
    }
}

/// A process that is over.
pub(crate) struct Lived<W> {
    left: Left<W>,
    commits: u64,
    writes: u64,
    reads: u64,
}

/// One process: takes up what an earlier one left (of which it leaves the original as it is), tells
/// the story, and ends where it is stopped, or with the story and a look at its end. Its store is
/// audited then.
pub(crate) fn live<W: Clone>(
    play: &Play<W>,
    left: &Left<W>,
    stop: Option<Stop>,
    told: (
        impl FnOnce(&mut World<Answering<W>>) -> Result<(), WorldError>,
        impl FnOnce(&mut World<Answering<W>>) -> Result<(), WorldError>,
    ),
) -> Result<Lived<W>, WorldError> {
    let (story, look) = told;
    let store = Arc::new(left.store.fork());
    if let Some(spoil) = play.spoil {
        store.spoil(spoil);
    }
    if let Some(stop) = stop {
        store.stop(stop);
    }
    let things = Rc::new(RefCell::new(left.things.clone()));
    let kinds = play.kinds_of(left.is_first);
    let process = catch_unwind(AssertUnwindSafe(|| {
        let shared: Arc<dyn Store> = Arc::<Doubtful>::clone(&store);
        let outside = Answering::new(Rc::clone(&things), play.perform);
        let mut world = World::open(shared, kinds, play.limits.clone(), outside)?;
        story(&mut world)?;
        world.flush()?;
        // Checks G6, where no name may live again.
        if world.tally().resurrections > 0 && play.limits.tombstone_retention.is_none() {
            return Err(wrong("G6: somebody with a tombstone had a turn"));
        }
        let counts = (world.tally().commits, store.counts());
        look(&mut world)?;
        Ok(counts)
    }));
    let is_stopped = store.end_if_stopped();
    let (commits, (writes, reads)) = match process {
        Err(panic) if panic.is::<Died>() => (0, (0, 0)),
        Err(panic) => resume_unwind(panic),
        Ok(Err(_)) if is_stopped => (0, (0, 0)),
        Ok(Err(error)) => return Err(error),
        // Whoever looks around may do without what cannot be read: this process ends with its story.
        Ok(Ok(_)) if is_stopped && matches!(stop, Some(Stop::Read(_))) => (0, (0, 0)),
        Ok(Ok(_)) if is_stopped => {
            return Err(wrong("its store had failed, and it went on as if it had not"));
        }
        Ok(Ok(_)) if stop.is_some() => {
            return Err(wrong("the story does less than when it was told before"));
        }
        Ok(Ok(counts)) => counts,
    };
    assert_audit(store.sound(), &play.kinds_of(left.is_first))?;
    let things = things.borrow().clone();
    let left = Left { store, things, is_first: stop.is_none() && left.is_first };
    Ok(Lived { left, commits, writes, reads })
}

fn assert_audit(store: &MemoryStore, kinds: &Kinds) -> Result<(), WorldError> {
    let broken = audit::audit(store, kinds, BROKEN_MAX)?;
    if broken.is_empty() {
        return Ok(());
    }
    let texts: Vec<String> = broken.iter().map(ToString::to_string).collect();
    Err(wrong(&texts.join("; ")))
}

/// Checks G4, G7, G8 and G10 at the end: nothing that lies in the store is due, and whoever is
/// being destroyed has something to wait for.
fn at_rest<W>(world: &mut World<Answering<W>>) -> Result<(), WorldError> {
    world.settle()?;
    world.flush()?;
    let now = world.now();
    for (at, bytes) in world.store().scan(&[], &[], usize::MAX)? {
        if let Some(what) = key::parse(&at).and_then(|parsed| undone(&parsed, &bytes, now)) {
            return Err(wrong(&what));
        }
    }
    let mut going = Vec::new();
    query::all_entries(world.store(), |id, entry| {
        if let Entry::Alive(record) = entry {
            going.extend(record.destruction.map(|it| (id, it, record.debts_open)));
        }
        Ok(())
    })?;
    for (id, destruction, debts_open) in going {
        let Destruction { in_flight, is_released, failures, .. } = *destruction;
        let mut waits = if is_released { debts_open > 0 } else { failures > 0 };
        for child in in_flight {
            waits |= matches!(query::entry(world.store(), &child)?, Some(Entry::Alive(_)));
        }
        if !waits {
            return Err(wrong(&format!("G7: {id} is being destroyed, and waits for nothing")));
        }
    }
    Ok(())
}

/// What should have been done by now.
fn undone(parsed: &Parsed, bytes: &[u8], now: Timestamp) -> Option<String> {
    match parsed {
        Parsed::Inbox(id, _) => Some(format!("G10: {id} has mail that it did not take")),
        Parsed::Alarm(id, at) if *at <= now => {
            Some(format!("G4: the alarm of {id} at {at} has not rung by {now}"))
        }
        Parsed::Debt(id, number) => {
            let debt = codec::open::<Debt>(bytes).ok().filter(|debt| debt.next_at <= now)?;
            Some(format!("G8: effect {number} of {id} is due since {}", debt.next_at))
        }
        Parsed::Actor(_)
        | Parsed::Child(..)
        | Parsed::Event(_)
        | Parsed::Alarm(..)
        | Parsed::Row(..) => None,
    }
}

fn wrong(what: &str) -> WorldError {
    Error::new(ErrorKind::Refused, what.to_owned()).into()
}

/// The crashes of a telling, as they are named and repeated.
struct Crash<'a>(&'a [Stop]);

impl fmt::Display for Crash<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("with everything");
        }
        for (n, stop) in self.0.iter().enumerate() {
            write!(f, "{}{stop}", if n > 0 { ", then " } else { "" })?;
        }
        f.write_str(" (.only(&[")?;
        for (n, stop) in self.0.iter().enumerate() {
            let comma = if n > 0 { ", " } else { "" };
            match stop {
                Stop::Write(at, way) => write!(f, "{comma}Stop::Write({at}, Way::{way:?})")?,
                Stop::Read(at) => write!(f, "{comma}Stop::Read({at})")?,
            }
        }
        f.write_str("]) repeats it)")
    }
}

/// Does it with that name in whatever goes wrong.
pub(crate) fn named<R>(
    name: &dyn fmt::Display,
    run: impl FnOnce() -> Result<R, WorldError>,
) -> Result<R, WorldError> {
    let result = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        match text {
            Some(text) => resume_unwind(Box::new(format!("{name}: {text}"))),
            None => resume_unwind(panic),
        }
    });
    result.map_err(|error| WorldError::Outside(format!("{name}: {error}").into()))
}
