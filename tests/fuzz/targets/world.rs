//! A store full of records that nobody wrote, under an engine that goes on with it.
//!
//! Promised is that an actor that cannot be read holds up nobody, that nothing panics, that an
//! engine does not run in circles, and that a tombstone stays (G6).

use std::collections::BTreeSet;
use std::time::Duration;

use sexton::key::{self, Key, MailOrder};
use sexton::{
    ActorId, ActorRecord, Answer, Batch, Body, Cursor, Debt, Engine, Entry, Error, ErrorKind,
    Failure, Limits, Mail, Part, Query, Request, Sequence, Store, Timestamp, Turned, Write, codec,
    explain, log, plan_destroy, query,
};
use sexton_fleet::sim_cloud::{Performed, SimCloud};
use sexton_fleet::sweeps;
use sexton_store::MemoryStore;

use crate::input::{Input, says_why, sealed};
use crate::states::{KINDS, Kind};

/// Names that the records are of; few, so that they meet.
const NAMES: [&str; 3] = ["a", "b", "c/1"];
/// The most records of an input. Chosen: more than any of them need to meet.
const RECORDS_MAX: usize = 40;
/// The most that an engine does. Chosen: some milliseconds.
const TURNS_MAX: usize = 200;
/// The most turns at one moment that write nothing. Chosen: more than there are actors to be set
/// aside.
const IDLE_MAX: usize = 100;

/// Fills a store with the records that the bytes say, and lets an engine go on with it.
pub fn world(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let (mut writes, mut events, mut ids) = (Vec::new(), Vec::new(), BTreeSet::new());
    while !input.is_empty() && writes.len() + events.len() < RECORDS_MAX {
        let kind = input.pick(KINDS);
        let id = ActorId::new(kind.name, input.pick(&NAMES)).expect("a good name");
        match input.byte() % 12 {
            0 => events.push(sealed(input.piece())),
            what => writes.extend(record(what, (kind, &id), &mut input)),
        }
        ids.insert(id);
    }
    let store = MemoryStore::new();
    let fences = store.claim().expect("memory");
    let (shard, fence) = fences[0];
    let (epoch, expected, at, order) = (fence.epoch, Sequence(0), Timestamp::ZERO, 1);
    let first = Batch { shard, epoch, expected, at, order, writes, events };
    store.submit(first).expect("the owner's");
    store.flush().expect("memory");
    let buried = |store: &MemoryStore, id: &ActorId| {
        matches!(query::entry(store, id), Ok(Some(Entry::Tombstone(_))))
    };
    let tombstones: Vec<&ActorId> = ids.iter().filter(|id| buried(&store, id)).collect();
    let n_turns = go_on(&store, &ids);
    for id in tombstones {
        assert!(buried(&store, id), "the tombstone of {id} is gone");
    }
    questions(&store, &ids);
    n_turns > 0
}

/// A record of an actor, of this sort.
fn record(what: u8, of: (Kind, &ActorId), input: &mut Input<'_>) -> Option<Write> {
    let (kind, id) = of;
    let put = |key: Key, value: Vec<u8>| Some(Write { key, value: Some(value) });
    let seal = |bytes: Result<Vec<u8>, codec::CodecError>| bytes.expect("small");
    let at = Timestamp::from_millis(i64::from(input.short()));
    let order = MailOrder { at, order: input.byte().into(), from: id.shard(), index: 0 };
    match what {
        1 => put(key::actor(id), sealed(input.piece())),
        2 => put(key::actor(id), seal(codec::seal(&living(kind, at, input)))),
        3 => put(key::mail(id, order), sealed(input.piece())),
        4 => put(key::mail(id, order), seal(codec::seal(&message(kind, input)))),
        5 => put(key::debt(id, order.order), sealed(input.piece())),
        6 => put(key::debt(id, order.order), seal(codec::seal(&debt(at, input)))),
        7 => put(key::row(id, input.pick(&["running", "destroying", ""])), sealed(input.piece())),
        8 => put(key::alarm(id, at), Vec::new()),
        9 => {
            let child = ActorId::new(input.pick(KINDS).name, input.pick(&NAMES)).ok()?;
            put(key::child(id, &child), Vec::new())
        }
        10 => {
            let key = input.piece().to_vec();
            put(key, input.piece().to_vec())
        }
        // As it is: its checksum is wrong.
        _ => put(key::actor(id), input.piece().to_vec()),
    }
}

/// A life with this state, whose alarm is where its key would be.
fn living(kind: Kind, at: Timestamp, input: &mut Input<'_>) -> Entry {
    Entry::Alive(Box::new(ActorRecord {
        incarnation: 1,
        parent: None,
        created_at: Timestamp::ZERO,
        status_since: Timestamp::ZERO,
        changed_at: Timestamp::ZERO,
        turns: 1,
        effects: 1,
        events: 1,
        debts_open: 0,
        back_offs: Vec::new(),
        alarm: Some(at),
        armed_at: Timestamp::ZERO,
        stalled: None,
        destruction: None,
        state_version: kind.version,
        state: input.piece().to_vec(),
    }))
}

fn message(kind: Kind, input: &mut Input<'_>) -> Mail {
    let kinds = sweeps::kinds();
    let names: Vec<&str> = kinds.messages(kind.name).collect();
    let which = usize::from(input.byte());
    let bytes = input.piece().to_vec();
    let body = match which.checked_rem(names.len() + 1) {
        Some(which) if which < names.len() => {
            Body::Message { name: names[which].to_owned(), bytes }
        }
        Some(_) | None => Body::Create { init: bytes },
    };
    Mail { from: None, incarnation: None, body }
}

fn debt(at: Timestamp, input: &mut Input<'_>) -> Debt {
    Debt {
        effect: input.piece().to_vec(),
        recorded_at: Timestamp::ZERO,
        order: 1,
        failures: 0,
        next_at: at,
        why: None,
        is_release: input.byte() % 2 == 1,
    }
}

/// Lets an engine do what is due, again and again; returns how many turns there were.
fn go_on(store: &MemoryStore, ids: &BTreeSet<ActorId>) -> usize {
    let fences = store.claim().expect("memory");
    let recovered =
        Engine::recover(sweeps::kinds(), Limits::default(), store, (Part::WHOLE, &fences));
    let Some(mut engine) = readable(recovered) else { return 0 };
    let mut cloud = SimCloud::open(None, 7).expect("in memory");
    let mut now = Timestamp::from_millis(30_000);
    let (mut n_turns, mut n_idle) = (0, 0);
    for id in ids {
        let request = Request::Retry { reply: Box::new(drop) };
        // One that cannot be read is said to be.
        let turned = readable(engine.request(now, store, id, request));
        n_turns += usize::from(submit(store, &mut engine, turned));
    }
    for _ in 0..TURNS_MAX {
        let Some(next) = readable(engine.next(now, store)) else { break };
        let has_more = next.is_some();
        let is_written = submit(store, &mut engine, next);
        n_turns += usize::from(is_written);
        n_idle = if is_written { 0 } else { n_idle + 1 };
        assert!(n_idle < IDLE_MAX, "an engine turns and turns and writes nothing");
        if has_more {
            continue;
        }
        if perform(store, (&mut engine, &mut cloud), now) {
            n_turns += 1;
            continue;
        }
        let Some(wake) = engine.next_wake(now).filter(|wake| *wake < now + LATER) else { break };
        now = wake.max(now + Duration::from_millis(1));
        n_idle = 0;
    }
    n_turns
}

/// How far ahead an engine is followed. Chosen: longer than most deadlines of the fleet.
const LATER: Duration = Duration::from_secs(14 * 86_400);

/// Performs an effect that is due; false if there was none.
fn perform(store: &MemoryStore, with: (&mut Engine, &mut SimCloud), now: Timestamp) -> bool {
    let (engine, cloud) = with;
    let Some(Some(owed)) = readable(engine.next_effect(now, store)) else { return false };
    let answer = match cloud.perform(now, &owed, store) {
        Ok(Performed::At(_, answer)) => answer,
        Ok(Performed::Later) => Answer::Transient(failure("later")),
        Err(error) => {
            says_why(&error);
            Answer::Permanent(failure("unreadable"))
        }
    };
    let turned = readable(engine.answer(now, store, &owed.id, answer)).flatten();
    submit(store, engine, turned);
    true
}

fn failure(class: &str) -> Failure {
    Failure { class: class.to_owned(), message: "of a fuzzer".to_owned() }
}

/// Submits and flushes what a turn wrote; false if it wrote nothing.
fn submit(store: &MemoryStore, engine: &mut Engine, turned: Option<Turned>) -> bool {
    let Some(turned) = turned else { return false };
    for release in turned.releases {
        release.leave();
    }
    let Some(batch) = turned.batch else { return false };
    store.submit(batch).expect("an engine's next batch is taken");
    store.flush().expect("memory");
    engine.flushed(engine.order());
    true
}

/// What was read, or nothing if it cannot be: which is said, and is no other error.
fn readable<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            says_why(&error);
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            None
        }
    }
}

/// An answer, or why there is none.
fn asked<T>(result: Result<T, Error>) {
    if let Err(error) = result {
        says_why(&error);
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
}

/// Everything that can be asked of a store, asked.
fn questions(store: &MemoryStore, ids: &BTreeSet<ActorId>) {
    let kinds = sweeps::kinds();
    for id in ids {
        if let Some(explained) = readable(explain(store, &kinds, id, 8)) {
            let text = explained.to_string();
            assert!(text.starts_with(id.as_str()), "{text}");
        }
        if let Err(error) = plan_destroy(store, &kinds, id) {
            says_why(&error);
        }
        asked(query::debts(store, id));
        asked(query::children(store, id));
        asked(log::of(store, id, 4));
    }
    asked(sexton::audit::audit(store, &kinds, 8));
    asked(log::read(store, Cursor::BEGINNING, 100));
    asked(query::all_rows(store, |_| Ok(())));
    asked(query::all_entries(store, |_, _| Ok(())));
    let mut page = Query::all().limit(2).page(store).expect("rows that cannot be read are counted");
    let mut n_pages = 0;
    while let Some(cursor) = page.next.take() {
        n_pages += 1;
        assert!(n_pages <= 2 * (RECORDS_MAX + TURNS_MAX), "the pages of a query do not end");
        page = Query::all().limit(2).after(cursor).page(store).expect("as before");
    }
    drop(Query::all().count(store).expect("as before"));
}
