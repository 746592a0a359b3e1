//! One step of the real engine: taken up anew, asked for one thing, and put away.

use sexton::key::Parsed;
use sexton::limits::SHARDS;
use sexton::{
    ActorRef, Answer, Call, EffectId, Engine, Error, Event, Failure, Intent, Limits, Part, Request,
    Shard, Store, Timestamp, Turned, What, codec,
};

use super::node::{BY, Beget, End, Habit, Node, Tell, WHY, Work, id, kinds};
use super::records::{EARLY, Records, fence};
use super::{
    Action, Content, DEADLINE, Fault, GRAND, LATE, NAMES, ROOT, Runtime, Said, State, WISHES, Wish,
    at,
};

/// What the engine is asked for.
type Ask<'a> = &'a dyn Fn(&mut Engine, &dyn Store) -> Result<Option<Turned>, Error>;

impl Runtime {
    /// The store with which the story begins: a root that has just been born.
    pub(super) fn first(self) -> Content {
        let empty = Content::new(Records::default(), None);
        let birth = |engine: &mut Engine, store: &dyn Store| {
            let request = Request::create::<Node>(&Habit::default(), Box::new(drop))?;
            engine.request(EARLY, store, &id(NAMES[ROOT]), request).map(Some)
        };
        self.turn(&empty, &empty.records, ROOT, &birth).expect("the root is born")
    }

    /// A turn of one actor on a store that is that of `content` but for the order of mail; `None`
    /// if it writes nothing.
    fn turn(
        self,
        content: &Content,
        store: &Records,
        actor: usize,
        ask: Ask<'_>,
    ) -> Option<Content> {
        let own = id(NAMES[actor]);
        let shard = own.shard();
        let mut engine = recovered(store, shard);
        let turned = ask(&mut engine, store).expect("the engine goes on")?;
        let batch = turned.batch?;
        assert_eq!(batch.shard, shard, "a turn writes for its own shard");
        let is_lost = |parsed: &Parsed| match (self.0, parsed) {
            (Fault::LosesLinks, Parsed::Child(..)) => true,
            (Fault::TornBatch, Parsed::Inbox(to, _)) => *to != own,
            _ => false,
        };
        let mut next = Content::new(store.after(batch, &own, is_lost), Some(content));
        for event in turned.events {
            next.hear(&event);
        }
        Some(next)
    }

    /// Something is wanted from outside, and granted.
    pub(super) fn wish(self, state: &State, wish: Wish) -> Option<Content> {
        let latest = state.latest();
        let now = state.now();
        let ask = |engine: &mut Engine, store: &dyn Store| {
            engine.request(now, store, &id(NAMES[wish.whose()]), wish.request()).map(Some)
        };
        let mut next = self.turn(latest, &latest.records, wish.whose(), &ask)?;
        next.granted |= wish.bit();
        Some(next)
    }

    pub(super) fn take(self, state: &State, actor: usize, from: usize) -> Option<Content> {
        let (latest, now) = (state.latest(), state.now());
        let first = id(NAMES[from]).shard();
        let store = latest.records.with_first(&id(NAMES[actor]), Some(first), EARLY);
        self.turn(latest, &store, actor, &|engine, store| engine.next(now, store))
    }

    /// The deadline before all mail that waits.
    pub(super) fn ring(self, state: &State, actor: usize) -> Option<Content> {
        let (latest, now) = (state.latest(), state.now());
        let behind = Timestamp::from_millis(DEADLINE.as_millis() + 1);
        let store = latest.records.with_first(&id(NAMES[actor]), None, behind);
        self.turn(latest, &store, actor, &|engine, store| engine.next(now, store))
    }

    /// The effect that the engine hands out next for an actor.
    pub(super) fn effect(state: &State, actor: usize) -> Option<(u64, Work)> {
        let store = &state.latest().records;
        let mut engine = recovered(store, id(NAMES[actor]).shard());
        let owed = engine.next_effect(state.now(), store).expect("the engine goes on")?;
        let work = codec::decode(&owed.effect).expect("work of the story");
        Some((owed.id.number, work))
    }

    pub(super) fn answer(self, state: &State, actor: usize, said: (u64, Said)) -> Option<Content> {
        let (latest, now) = (state.latest(), state.now());
        let actor_ref = ActorRef { id: id(NAMES[actor]), incarnation: 1 };
        let to = EffectId { actor: actor_ref, number: said.0 };
        self.turn(latest, &latest.records, actor, &|engine, store| {
            engine.answer(now, store, &to, said.1.answer())
        })
    }
}

/// An engine that has the shard of one actor.
fn recovered(store: &Records, shard: Shard) -> Engine {
    let part = Part { index: shard.number(), count: SHARDS };
    let limits = Limits { children_in_flight_max: 1, ..Limits::default() };
    Engine::recover(kinds(), limits, store, (part, &[(shard, fence())])).expect("a store")
}

impl Content {
    fn hear(&mut self, event: &Event) {
        if matches!(&event.what, What::Fact { name, .. } if name == "noted") {
            self.noted += 1;
        }
        if matches!(&event.what, What::DeadLetter { message, .. } if message == "note") {
            self.dead += 1;
        }
    }
}

impl Said {
    fn answer(self) -> Answer {
        let failure =
            || Failure { class: "outside".to_owned(), message: "it does not work".to_owned() };
        match self {
            Self::Done => Answer::Done(codec::encode(&()).expect("nothing")),
            Self::Transient => Answer::Transient(failure()),
            Self::Permanent => Answer::Permanent(failure()),
        }
    }
}

impl Wish {
    pub(super) fn bit(self) -> u16 {
        WISHES.iter().position(|wish| *wish == self).map_or(0, |at| 1 << at)
    }

    /// Who is asked.
    fn whose(self) -> usize {
        match self {
            Self::BegetGrand | Self::DestroyChild => at("child"),
            Self::CreateLate | Self::DestroyLate => LATE,
            Self::BegetChild
            | Self::BegetChildAgain
            | Self::BegetLate
            | Self::CreateRoot
            | Self::Note
            | Self::DestroyRoot => ROOT,
        }
    }

    fn request(self) -> Request {
        let beget = |name: &str, habit| {
            Call::new::<Node, Beget>(Beget(name.to_owned(), habit), Box::new(drop))
        };
        let birth = |habit| Request::create::<Node>(&habit, Box::new(drop)).expect("it is small");
        match self {
            Self::BegetChild | Self::BegetChildAgain => {
                Request::Call(beget("child", Habit::default()))
            }
            Self::BegetGrand => {
                let habit = Habit { makes: true, end: End::Releases, ends_at: None };
                Request::Call(beget(NAMES[GRAND], habit))
            }
            Self::BegetLate => {
                let habit = Habit { ends_at: Some(DEADLINE), ..Habit::default() };
                Request::Call(beget(NAMES[LATE], habit))
            }
            Self::CreateRoot | Self::CreateLate => birth(Habit::default()),
            Self::Note => Request::Call(Call::new::<Node, Tell>(
                Tell(NAMES[GRAND].to_owned()),
                Box::new(drop),
            )),
            Self::DestroyRoot | Self::DestroyChild | Self::DestroyLate => Request::Destroy {
                intent: Intent { why: WHY.to_owned(), by: BY.to_owned() },
                is_waiting: false,
                reply: Box::new(drop),
            },
        }
    }
}

impl State {
    /// What may be asked for: each wish until it is granted.
    pub(super) fn wishes(&self, all: &[Wish]) -> impl Iterator<Item = Action> {
        let granted = self.latest().granted;
        all.iter().copied().filter(move |wish| granted & wish.bit() == 0).map(Action::Wish)
    }
}
