//! Behaviour through the front door: what leaves a turn, effects and mail.
//!
//! Method: the real engine on a store in memory, in virtual time, with a cloud that answers what
//! the test tells it. Every chapter names the promises that it holds the engine to, and what was
//! broken once to see the test fail.

use std::collections::VecDeque;

use sexton::{
    Answer, Engine, ErrorKind, Fence, Limits, Part, Request, Shard, Store, Timestamp, What, query,
};
use sexton_store::MemoryStore;
use sexton_tests::{
    Do, Habit, Machine, answer, ask, assert_audit, call, create, destroy, done, effect_of, events,
    failure, intent, is_buried, kinds, machine, open, pass, snapshot, status, told, transient,
    was_stalled, world,
};

/// G3 and G8; broken once by settling a release debt on a permanent failure, and by lining up a
/// debt beside the one that is being performed.
mod effect {
    use super::*;

    #[test]
    fn an_effect_is_tried_with_one_id_until_it_is_done() {
        let (mut world, store) = world();
        let moods = VecDeque::from([transient(), transient(), transient()]);
        world.outside().moods.insert("a".to_owned(), moods);
        create(&mut world, "a").unwrap();
        assert_eq!(status(&world, "a"), "creating");
        pass(&mut world, 13);
        assert_eq!(status(&world, "a"), "creating");
        pass(&mut world, 1);
        assert_eq!(status(&world, "a"), "running");
        let asked = world.outside().asked.clone();
        assert_eq!(asked.len(), 4);
        assert!(asked.iter().all(|(id, _)| *id == asked[0].0));
        assert_audit(store.as_ref());
    }

    #[test]
    fn a_permanent_failure_comes_back_to_the_actor() {
        let (mut world, _) = world();
        let moods = VecDeque::from([Answer::Permanent(failure())]);
        world.outside().moods.insert("a".to_owned(), moods);
        create(&mut world, "a").unwrap();
        let tombstone = Engine::tombstone(world.store(), &machine("a")).unwrap().unwrap();
        assert_eq!((tombstone.why.as_str(), tombstone.by.as_str()), ("it rains", "cloud"));
    }

    #[test]
    fn a_refused_credential_keeps_the_debt_and_never_becomes_deleted() {
        let (mut world, store) = world();
        create(&mut world, "a").unwrap();
        let moods = std::iter::repeat_n(Answer::Permanent(failure()), 20).collect();
        world.outside().moods.insert("a".to_owned(), moods);
        let pending = destroy(&mut world, "a");
        assert_eq!(pending.unwrap_err().kind(), ErrorKind::Busy);
        pass(&mut world, 2_000);
        assert!(!is_buried(&world, "a"));
        assert_eq!(status(&world, "a"), "destroying");
        assert!(was_stalled(&world, "a"));
        assert_audit(store.as_ref());
        world.outside().moods.clear();
        ask(&mut world, &machine("a"), |reply| Request::Retry { reply }).unwrap();
        assert!(is_buried(&world, "a"));
        assert!(world.outside().machines.is_empty());
    }

    #[test]
    fn only_an_operator_gives_up_a_debt_and_that_is_an_event() {
        let (mut world, _) = world();
        create(&mut world, "a").unwrap();
        let moods = std::iter::repeat_n(Answer::Permanent(failure()), 20).collect();
        world.outside().moods.insert("a".to_owned(), moods);
        destroy(&mut world, "a").unwrap_err();
        ask(&mut world, &machine("a"), |reply| Request::Abandon {
            number: 2,
            intent: intent(),
            reply,
        })
        .unwrap();
        assert!(is_buried(&world, "a"));
        let is_abandoned = |what: &What| matches!(what, What::Abandoned { number: 2, .. });
        assert!(events(&world, "a").iter().any(is_abandoned));
    }

    #[test]
    fn an_answer_that_comes_twice_changes_nothing() {
        let (mut world, store) = world();
        create(&mut world, "a").unwrap();
        let id = world.outside().asked[0].0.clone();
        let before = snapshot(store.as_ref());
        let now = world.now();
        let answer = Answer::Permanent(failure());
        let turned = world.engine().answer(now, store.as_ref(), &id, answer).unwrap();
        assert!(turned.is_none());
        assert_eq!(snapshot(store.as_ref()), before);
    }

    #[test]
    fn the_effects_of_one_actor_are_performed_one_at_a_time() {
        let (mut world, store) = world();
        world.outside().silent.insert("a".to_owned());
        create(&mut world, "a").unwrap();
        call(&mut world, "a", Do::Owe(2)).unwrap();
        pass(&mut world, 10_000);
        for number in 1..=3 {
            let asked = world.outside().asked.iter().map(|(id, _)| id.number);
            assert!(asked.eq(1..=number), "the next waits for the one before it");
            assert!(answer(&mut world, store.as_ref(), &effect_of("a", 1, number), done()));
            pass(&mut world, 1);
        }
        assert_eq!(world.outside().asked.len(), 3);
        assert_audit(store.as_ref());
    }

    /// Engines number their turns apart, so debts of two actors may have one moment and one
    /// order: when debts were lined up by these alone, an engine that took over the shards of
    /// two found one of the debts and forgot the other.
    #[test]
    fn the_debts_of_two_engines_are_all_found_again() {
        let store = MemoryStore::new();
        let now = Timestamp::ZERO;
        let recover = |part: Part, fences: &[(Shard, Fence)]| {
            Engine::recover(kinds(), Limits::default(), &store, (part, fences)).unwrap()
        };
        let fences = store.claim().unwrap();
        for index in 0..2 {
            let part = Part { index, count: 2 };
            let mut ids = (0..100).map(|n| machine(&format!("m{n}")));
            let id = ids.find(|id| part.has(id.shard())).unwrap();
            let request = Request::create::<Machine>(&Habit::Good, Box::new(drop)).unwrap();
            let turned = recover(part, &fences).request(now, &store, &id, request).unwrap();
            store.submit(turned.batch.unwrap()).unwrap();
        }
        store.flush().unwrap();
        let mut engine = recover(Part::WHOLE, &store.claim().unwrap());
        let mut next = || engine.next_effect(now, &store).unwrap().map(|owed| owed.id.actor.id);
        let found = [next(), next(), next()];
        assert!(found[0].is_some() && found[1].is_some() && found[0] != found[1], "{found:?}");
        assert_eq!(found[2], None);
    }
}

/// G10; broken once by leaving the mail in the inbox when it was taken, and by letting mail count
/// as sent at what the clock says, also where that was put back.
mod inbox {
    use super::*;

    #[test]
    fn a_durable_send_is_taken_once_also_after_a_restart() {
        let (mut world, store) = world();
        create(&mut world, "a").unwrap();
        create(&mut world, "b").unwrap();
        for _ in 0..10 {
            call(&mut world, "a", Do::Tell("b".to_owned())).unwrap();
        }
        assert_eq!(call(&mut world, "b", Do::Nothing).unwrap(), 10);
        drop(world);
        let mut world = open(&store);
        pass(&mut world, 1);
        assert_eq!(call(&mut world, "b", Do::Nothing).unwrap(), 10);
    }

    #[test]
    fn a_send_to_nobody_is_a_dead_letter_and_makes_nobody() {
        let (mut world, _) = world();
        create(&mut world, "a").unwrap();
        call(&mut world, "a", Do::Tell("b".to_owned())).unwrap();
        let letters = events(&world, "b");
        assert!(matches!(letters[..], [What::DeadLetter { .. }]));
        assert!(query::entry(world.store(), &machine("b")).unwrap().is_none());
    }

    #[test]
    fn mail_is_taken_in_order_also_over_a_clock_that_is_put_back() {
        let (mut world, store) = world();
        create(&mut world, "a").unwrap();
        create(&mut world, "b").unwrap();
        let engine = world.engine();
        let mut turn = |seconds: i64, count: Option<u64>| {
            let now = Timestamp::from_millis(seconds * 1_000);
            let turned = match count {
                Some(count) => {
                    let message = told(Do::Pass("b".to_owned(), count));
                    engine.request(now, store.as_ref(), &machine("a"), message).unwrap()
                }
                None => engine.next(now, store.as_ref()).unwrap().expect("mail"),
            };
            store.submit(turned.batch.unwrap()).unwrap();
        };
        for (seconds, count) in [(1_000, 1), (500, 2), (400, 3)] {
            turn(seconds, Some(count));
        }
        for count in 1..=3 {
            turn(400, None);
            let b: Machine = query::state(store.as_ref(), &machine("b")).unwrap().unwrap();
            assert_eq!(b.count, count);
        }
    }
}

/// G9; broken once by passing over a hole when reading.
mod log {
    use sexton::{Batch, Cursor, Event, Write, audit, codec, key, log};

    use super::*;

    /// Changes a store behind the engine's back.
    fn tamper(store: &MemoryStore, key: key::Key, value: Option<Vec<u8>>) {
        let (shard, fence) = store.claim().expect("it is the next")[0];
        let (epoch, expected, at, order) = (fence.epoch, fence.sequence, fence.at, fence.order);
        let (writes, events) = (vec![Write { key, value }], Vec::new());
        store
            .submit(Batch { shard, epoch, expected, at, order, writes, events })
            .expect("it is the next");
        store.flush().expect("it is the next");
    }

    #[test]
    fn the_log_has_the_events_of_every_life_in_order() {
        let (mut world, store) = world();
        for name in ["a", "b", "c"] {
            create(&mut world, name).unwrap();
        }
        destroy(&mut world, "b").unwrap();
        store.flush().unwrap();
        let all = log::read(store.as_ref(), Cursor::BEGINNING, usize::MAX).unwrap();
        assert!(all.iter().map(|(cursor, _)| cursor.0).eq(1..=all.len().try_into().unwrap()));
        let of_b = all.iter().filter(|(_, event)| event.actor == machine("b")).cloned();
        let of_b: Vec<(Cursor, Event)> = of_b.collect();
        assert!(of_b.iter().map(|(_, event)| event.number).eq(1..=of_b.len().try_into().unwrap()));
        assert!(matches!(of_b.last().unwrap().1.what, What::Destroyed { .. }));
        let history = log::of(store.as_ref(), &machine("b"), 100).unwrap();
        assert_eq!((&history.events, history.since), (&of_b, Cursor::BEGINNING));
        let latest = log::of(store.as_ref(), &machine("b"), 2).unwrap();
        assert_eq!(latest.events, of_b[of_b.len() - 2..]);
        assert_eq!(latest.since, Cursor(latest.events[0].0.0 - 1));
        assert_audit(store.as_ref());
        store.trim_log(of_b[0].0).unwrap();
        assert_audit(store.as_ref());
        assert_eq!(log::of(store.as_ref(), &machine("b"), 100).unwrap().events, of_b[1..]);
    }

    #[test]
    fn a_hole_in_the_log_is_told_by_readers_and_by_the_audit() {
        let (mut world, store) = world();
        create(&mut world, "a").unwrap();
        tamper(&store, key::event(1), None);
        let error = log::read(store.as_ref(), Cursor(0), 9).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(error.to_string(), "event 1 of the log is missing");
        let broken = audit::audit(store.as_ref(), &kinds(), 9).unwrap();
        assert!(!broken.is_empty() && broken.iter().all(|it| it.promise == "G9"), "{broken:?}");
    }

    #[test]
    fn an_event_that_does_not_follow_on_the_one_before_is_told_by_the_audit() {
        let (mut world, store) = world();
        create(&mut world, "a").unwrap();
        let last = store.log().unwrap().end;
        let mut event: Event =
            codec::open(&store.get(&key::event(last.0)).unwrap().unwrap()).unwrap();
        event.number += 1;
        tamper(&store, key::event(last.0), Some(codec::seal(&event).unwrap()));
        let broken = audit::audit(store.as_ref(), &kinds(), 9).unwrap();
        let texts: Vec<String> = broken.iter().map(ToString::to_string).collect();
        assert!(texts.iter().any(|it| it.contains("follows on")), "{texts:?}");
        assert!(texts.iter().any(|it| it.contains("it counts")), "{texts:?}");
    }
}
