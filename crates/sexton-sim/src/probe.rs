//! Scripted actors that do whatever they are told, each turn of which is held against the model.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton::audit::Broken;
use sexton::codec::CodecError;
use sexton::key::{self, Parsed};
use sexton::{
    Actor, ActorId, Answer, Body, Deadlines, Entry, Gone, Handler, Handlers, Kinds, Mail, Message,
    Outcome, Owed, Refusal, Row, Store, Timestamp, Turn, Turned, codec, query,
};

use crate::chance::Chance;
use crate::model::{Being, End, Input, Letter, Life, Model, Phase, Wish};
use crate::scenario::{Asked, Scenario, Scene, Seen, Took};

/// Names of the actors that are asked; few, so that they meet.
const NAMES: u64 = 6;
const KIND: &str = "probe";
/// A count with which the row cannot be told.
const HIDDEN: u64 = u64::MAX;

sexton::lifecycle! {
    /// What a probe can be.
    pub enum Mood {
        /// It waits.
        Idle = "idle" [] => [Busy],
        /// It has something.
        Busy = "busy" [holds] => [Idle, Spent],
        /// It had enough.
        Spent = "spent" [terminal] => [],
    }
}

/// The most often that one fatal deadline takes the process down. Chosen: beyond those that are
/// forgiven, so that it has to back off.
const FALLS_MAX: usize = 9;
/// The falls that may follow each other at once: the first is not suspected, the next is marked,
/// and five ends of the process during a marked attempt are forgiven.
const FALLS_AT_ONCE: usize = 7;

thread_local! {
    /// The deadline whose handler took the process down, as an overflow of the stack would.
    static FELL: Cell<Option<Fatal>> = const { Cell::new(None) };
}

/// A deadline that takes the process down: its moment, and which of those that are the same.
type Fatal = (Timestamp, usize);

/// A reminder: when, how many, and whether it will be refused. That of none takes the process down.
type Reminder = (Timestamp, u64, bool);

/// The newest version of the scripted actors.
const NEWEST: u16 = 3;

/// A scripted actor, of a version of the program: upgrades happen while it lives.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Probe<const VERSION: u16> {
    count: u64,
    done: u64,
    failed: u64,
    gone: u64,
    mood: Mood,
    reminders: Vec<Reminder>,
}

/// What it is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Do {
    Add(u64),
    Tell(String, u64),
    Beget(String),
    Remind(u64, u64),
    Nag(u64),
    /// Take the process down after so many milliseconds.
    Fall(u64),
    Forget,
    Owe,
    Go(Mood),
    Refuse,
    Panic,
    /// Become something that cannot be looked at.
    Hide,
    Die,
}

impl Message for Do {
    const NAME: &'static str = "do";
    type Reply = ();
}

fn id(name: &str) -> ActorId {
    ActorId::new(KIND, name).expect("a good name")
}

impl<const VERSION: u16> Actor for Probe<VERSION> {
    const KIND: &'static str = KIND;
    const STATE_VERSION: u16 = VERSION;
    type Init = ();
    type Status = Mood;
    /// Which reminder: its moment, what it says, and which of those that are the same. None of
    /// that changes when others go, so it is the same deadline for its back-off.
    type Deadline = (Reminder, usize);
    type Effect = bool;
    type Answer = ();

    fn create(_init: (), turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        turn.effect(&true);
        let mood = Mood::Idle;
        Ok(Self { count: 0, done: 0, failed: 0, gone: 0, mood, reminders: Vec::new() })
    }

    fn migrate(_from: u16, bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes)
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Do>();
    }

    fn status(&self) -> Mood {
        self.mood
    }

    fn row(&self) -> Row {
        if self.count == HIDDEN {
            std::panic::resume_unwind(Box::new("as it was told"));
        }
        Row::owned_by("nobody").number("tens", i64::try_from(self.count / 10).unwrap_or(0))
    }

    fn deadlines(&self, due: &mut Deadlines<Self::Deadline>) {
        for (index, it) in self.reminders.iter().enumerate() {
            let same = self.reminders[..index].iter().filter(|other| *other == it).count();
            due.at(it.0, (*it, same));
        }
    }

    fn on_deadline(&mut self, due: Self::Deadline, _turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let (reminder, same) = due;
        let (at, more, refuses) = reminder;
        self.count += more;
        if refuses {
            return Err(Refusal::new("not this one"));
        }
        FELL.set((more == 0).then_some((at, same)));
        let place = self.reminders.iter().position(|it| *it == reminder);
        place.map(|place| self.reminders.remove(place));
        Ok(())
    }

    fn on_outcome(
        &mut self,
        _effect: &bool,
        outcome: Outcome<()>,
        _turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        match outcome {
            Outcome::Done(()) => self.done += 1,
            Outcome::Failed(_) => self.failed += 1,
        }
        Ok(())
    }

    fn on_destroy(&mut self, turn: &mut Turn<Self>) {
        turn.effect(&false);
    }

    fn on_child_gone(
        &mut self,
        _child: &ActorId,
        _end: &Gone,
        _turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        self.gone += 1;
        Ok(())
    }
}

impl<const VERSION: u16> Handler<Do> for Probe<VERSION> {
    fn handle(&mut self, message: Do, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        let soon = |ms| turn.now() + Duration::from_millis(ms);
        match message {
            Do::Add(more) => self.count += more,
            Do::Tell(to, more) => turn.send::<Self, _>(&id(&to), &Do::Add(more)),
            Do::Beget(child) => {
                turn.create::<Self>(&child, &());
            }
            Do::Remind(ms, more) => self.reminders.push((soon(ms), more, false)),
            Do::Nag(ms) => self.reminders.push((soon(ms), 0, true)),
            Do::Fall(ms) => self.reminders.push((soon(ms), 0, false)),
            Do::Forget => self.reminders.clear(),
            Do::Owe => {
                turn.effect(&true);
            }
            Do::Go(mood) => self.mood = mood,
            Do::Refuse | Do::Panic => {
                self.count += 1_000;
                turn.event("never", "said");
                turn.effect(&true);
                turn.send::<Self, _>(&id("p0"), &Do::Add(1_000));
                if matches!(message, Do::Panic) {
                    // As a panic, without its lines on the terminal.
                    std::panic::resume_unwind(Box::new("as it was told"));
                }
                return Err(Refusal::new("as it was told"));
            }
            Do::Hide => self.count = HIDDEN,
            Do::Die => turn.destroy("told to", "probe"),
        }
        Ok(())
    }
}

fn phase(mood: Mood) -> Phase {
    match mood {
        Mood::Idle => Phase::Idle,
        Mood::Busy => Phase::Busy,
        Mood::Spent => Phase::Spent,
    }
}

fn wish(told: &Do) -> Wish {
    let ms = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    match told {
        Do::Add(more) => Wish::Add(*more),
        Do::Tell(to, more) => Wish::Tell(to.clone(), *more),
        Do::Beget(child) => Wish::Beget(child.clone()),
        Do::Remind(after, more) => Wish::Remind(ms(*after), *more),
        Do::Nag(after) => Wish::Nag(ms(*after)),
        Do::Fall(after) => Wish::Remind(ms(*after), 0),
        Do::Forget => Wish::Forget,
        Do::Owe => Wish::Owe,
        Do::Go(mood) => Wish::Go(phase(*mood)),
        Do::Refuse | Do::Panic | Do::Hide => Wish::Spoil,
        Do::Die => Wish::Die,
    }
}

/// Scripted actors under every fault, held against a specification of a turn.
///
/// Also the smallest example of a scenario with everything in it.
#[derive(Debug)]
pub struct Probes {
    model: Model,
    /// The model after each batch since everything was durable; the first is the durable one.
    history: Vec<Model>,
    letters: BTreeMap<Vec<u8>, Letter>,
    /// What texts of requests mean.
    wishes: BTreeMap<String, Wish>,
    /// When actors took the process down.
    falls: BTreeMap<(ActorId, Fatal), Vec<Timestamp>>,
    /// Of the program that runs.
    version: Cell<u32>,
}

impl Default for Probes {
    fn default() -> Self {
        Self::new()
    }
}

impl Probes {
    /// A new world without actors.
    pub fn new() -> Self {
        Self {
            model: Model::default(),
            history: vec![Model::default()],
            letters: BTreeMap::new(),
            wishes: BTreeMap::new(),
            falls: BTreeMap::new(),
            version: Cell::new(1),
        }
    }

    fn told(chance: &mut Chance) -> Do {
        let name = |chance: &mut Chance| format!("p{}", chance.below(NAMES));
        match chance.below(17) {
            0..3 => Do::Add(1 + chance.below(9)),
            3 | 4 => Do::Tell(name(chance), 1 + chance.below(9)),
            5 | 6 => Do::Beget(name(chance)),
            7 => Do::Remind(chance.below(100_000), 1),
            // Beyond what engines keep in memory.
            8 => Do::Remind(chance.below(4 * 3_600_000), 1),
            9 => Do::Nag(chance.below(50_000)),
            10 => Do::Forget,
            11 => Do::Owe,
            12 => Do::Go([Mood::Idle, Mood::Busy, Mood::Spent][chance.index(3)]),
            13 => [Do::Refuse, Do::Hide][chance.index(2)].clone(),
            14 => Do::Panic,
            15 if chance.is(300) => Do::Fall(chance.below(30_000)),
            _ => Do::Die,
        }
    }

    /// What came to the actor of this turn.
    fn input(&mut self, seen: &Seen<'_>) -> Input {
        match seen.asked {
            Some("create") => return Input::Birth,
            Some("destroy") => return Input::End,
            Some("retry") => return Input::Other,
            Some(text) if text.starts_with("abandon") => return Input::GivenUp,
            Some(text) => {
                return self.wishes.get(text).cloned().map_or(Input::Other, Input::Wish);
            }
            None => {}
        }
        if let Some((_, answer)) = seen.answered {
            return match answer {
                Answer::Done(_) => Input::Outcome(true),
                Answer::Permanent(_) => Input::Outcome(false),
                Answer::Transient(_) => Input::Other,
            };
        }
        let writes = seen.turned.batch.iter().flat_map(|batch| &batch.writes);
        let mut taken = writes.filter(|write| write.value.is_none());
        let letter = taken.find_map(|write| self.letters.get(&write.key).cloned());
        match letter {
            Some(letter) => Input::Letter(letter),
            None if seen.turned.lateness_ms.is_some() => Input::Alarm,
            None => Input::Other,
        }
    }

    /// What this turn sent, as the model says it.
    fn sent(&mut self, seen: &Seen<'_>) -> Vec<(String, Letter)> {
        let mut sent = Vec::new();
        for write in seen.turned.batch.iter().flat_map(|batch| &batch.writes) {
            let (Some(Parsed::Inbox(to, _)), Some(bytes)) = (key::parse(&write.key), &write.value)
            else {
                continue;
            };
            let Some(letter) = letter(bytes) else { continue };
            if matches!(letter, Letter::Wish(_) | Letter::Birth(_)) {
                sent.push((to.name().to_owned(), letter.clone()));
            }
            self.letters.insert(write.key.clone(), letter);
        }
        sent
    }
}

fn letter(bytes: &[u8]) -> Option<Letter> {
    let mail: Mail = codec::open(bytes).ok()?;
    let from = || mail.from.as_ref().map(|from| from.id.name().to_owned()).unwrap_or_default();
    Some(match &mail.body {
        Body::Message { bytes, .. } => Letter::Wish(wish(&codec::decode::<Do>(bytes).ok()?)),
        Body::Create { .. } => Letter::Birth(from()),
        Body::Destroy { .. } => Letter::End(from()),
        Body::Gone { .. } => Letter::Gone,
        Body::Advance => Letter::GoOn,
    })
}

/// What an actor is now, as the model says it.
fn being(store: &dyn Store, who: &ActorId) -> Result<Option<Being>, sexton::Error> {
    let record = match query::entry(store, who)? {
        None => return Ok(None),
        Some(Entry::Tombstone(_)) => return Ok(Some(Being::Buried)),
        Some(Entry::Alive(record)) => record,
    };
    let Some(probe) = query::state::<Probe<NEWEST>>(store, who)? else { return Ok(None) };
    let reminders = probe.reminders.iter();
    Ok(Some(Being::Alive(Life {
        parent: record.parent.as_ref().map(|parent| parent.id.name().to_owned()),
        count: probe.count,
        done: probe.done,
        failed: probe.failed,
        gone: probe.gone,
        phase: phase(probe.mood),
        reminders: reminders.map(|(at, more, refuses)| (at.as_millis(), *more, *refuses)).collect(),
        owes: query::debts(store, who)?.len(),
        end: match &record.destruction {
            None => End::Not,
            Some(destruction) if destruction.is_released => End::Released,
            Some(_) => End::Begun,
        },
    })))
}

/// What is asked, of an actor of this version.
fn asked<const VERSION: u16>(of: (&ActorId, u64), told: Do, chance: &mut Chance) -> Asked {
    let (who, what) = of;
    match what {
        0 | 1 => Asked::create::<Probe<VERSION>>(who, ()),
        2 => Asked::destroy(who, chance.is(500)),
        3 if chance.is(500) => Asked::retry(who),
        3 => Asked::abandon(who, chance.below(4)),
        _ => {
            let text = format!("{told:?}");
            Asked::call::<Probe<VERSION>, _>(who, told, text)
        }
    }
}

impl Scenario for Probes {
    fn kinds(&self, version: u32) -> Kinds {
        self.version.set(version);
        match version {
            1 => Kinds::new().with::<Probe<1>>(),
            2 => Kinds::new().with::<Probe<2>>(),
            _ => Kinds::new().with::<Probe<NEWEST>>(),
        }
    }

    fn versions(&self) -> u32 {
        u32::from(NEWEST)
    }

    fn ask(&mut self, chance: &mut Chance, _scene: Scene<'_>) -> Option<Asked> {
        let who = id(&format!("p{}", chance.below(NAMES)));
        let told = Self::told(chance);
        let what = chance.below(10);
        if what > 3 {
            self.wishes.insert(format!("{told:?}"), wish(&told));
        }
        Some(match self.version.get() {
            1 => asked::<1>((&who, what), told, chance),
            2 => asked::<2>((&who, what), told, chance),
            _ => asked::<NEWEST>((&who, what), told, chance),
        })
    }

    fn perform(&mut self, _owed: &Owed, scene: Scene<'_>) -> Took {
        Took::At(scene.now, Answer::Done(codec::encode(&()).expect("small")))
    }

    fn saw(&mut self, seen: &Seen<'_>) -> Result<(), Broken> {
        let Some((who, _)) = seen.turned.label.clone() else { return Ok(()) };
        let input = self.input(seen);
        let sent = self.sent(seen);
        let broken = |why: String| Broken { promise: "model", id: who.clone(), why };
        let now = being(seen.scene.store, &who).map_err(|error| broken(error.to_string()))?;
        let name = who.name();
        let allowed = self.model.after(name, seen.scene.now.as_millis(), &input);
        if !allowed.contains(&(now.clone(), sent.clone())) {
            let before = self.model.get(name);
            let why =
                format!("{input:?} came to {before:?}, and then it was {now:?}, sent {sent:?}");
            return Err(broken(why));
        }
        self.model.set(name, now);
        if seen.turned.batch.is_some() {
            self.history.push(self.model.clone());
        }
        Ok(())
    }

    fn takes_down(&mut self, turned: &Turned, now: Timestamp) -> Result<bool, Broken> {
        let Some(fatal) = FELL.take() else { return Ok(false) };
        let Some((who, _)) = turned.label.clone() else { return Ok(false) };
        let back_off = self.limits().back_off_first;
        let falls = self.falls.entry((who.clone(), fatal)).or_default();
        if falls.len() == FALLS_MAX {
            falls.clear();
            return Ok(false);
        }
        // Checks G4: who takes the process down again and again backs off. A clock that was put
        // back says nothing.
        let last = falls.last().copied().filter(|last| *last <= now);
        let is_soon = last.is_some_and(|last| now.since(last) < back_off);
        if falls.len() >= FALLS_AT_ONCE && is_soon {
            let why = format!("takes the process down for the {}th time at once", falls.len() + 1);
            return Err(Broken { promise: "G4", id: who, why });
        }
        falls.push(now);
        Ok(true)
    }

    fn kept(&mut self) {
        self.history = vec![self.model.clone()];
    }

    fn lost(&mut self, n: u64) {
        let n = usize::try_from(n).unwrap_or(usize::MAX);
        if let Some(model) = self.history.get(n.min(self.history.len().saturating_sub(1))) {
            self.model = model.clone();
        }
        self.history = vec![self.model.clone()];
    }

    fn calm(&self) -> Duration {
        // Longer than the longest reminder and the longest back-off.
        Duration::from_secs(5 * 60 * 60)
    }

    fn heal(&mut self, scene: Scene<'_>) -> Vec<Asked> {
        let mut all = Vec::new();
        let listed = query::all_entries(scene.store, |who, entry| {
            if matches!(entry, Entry::Alive(_)) && who.kind() == KIND {
                all.push(who);
            }
            Ok(())
        });
        debug_assert!(listed.is_ok(), "the store is in memory");
        all.iter().flat_map(|who| [Asked::retry(who), Asked::destroy(who, false)]).collect()
    }

    fn end(&mut self, scene: Scene<'_>) -> Result<(), Broken> {
        let mut left = None;
        let listed = query::all_entries(scene.store, |who, entry| {
            if matches!(entry, Entry::Alive(_)) && who.kind() == KIND {
                left.get_or_insert(who);
            }
            Ok(())
        });
        debug_assert!(listed.is_ok(), "the store is in memory");
        match left {
            Some(id) => Err(Broken { promise: "G7", id, why: "is still there".to_owned() }),
            None => Ok(()),
        }
    }
}
