//! Behaviour through the front door, one chapter a noun.
//!
//! Method: the real engine on a store in memory, in virtual time, with a cloud that answers what
//! the test tells it. Every chapter names the promises that it holds the engine to, and what was
//! broken once to see the test fail.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use sexton::{Answer, Entry, ErrorKind, Limits, Request, Store, Switch, What, key, query};
use sexton_store::MemoryStore;
use sexton_tests::{
    Cloud, Cloudwork, Do, Habit, TestWorld, ask, assert_audit, call, create, destroy, failure,
    intent, is_buried, machine, open, open_with, pass, snapshot, transient,
};

fn world() -> (TestWorld, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::new());
    (open(Arc::clone(&store) as Arc<dyn Store>), store)
}

fn status(world: &TestWorld, name: &str) -> String {
    let mut status = "none".to_owned();
    query::all_rows(world.store(), |row| {
        if row.id == machine(name) {
            status = row.status;
        }
        Ok(())
    })
    .unwrap();
    status
}

fn alarm(world: &TestWorld, name: &str) -> Option<i64> {
    match query::entry(world.store(), &machine(name)).unwrap() {
        Some(Entry::Alive(record)) => record.alarm.map(sexton::Timestamp::as_millis),
        Some(Entry::Tombstone(_)) | None => None,
    }
}

fn events(world: &TestWorld, name: &str) -> Vec<What> {
    let mut found = Vec::new();
    let id = machine(name);
    let prefix = key::prefix(id.shard(), key::Table::Event);
    for (_, bytes) in world.store().scan(&prefix, &key::end_of(&prefix), 10_000).unwrap() {
        let event: sexton::Event = sexton::codec::open(&bytes).unwrap();
        if event.actor == id {
            found.push(event.what);
        }
    }
    found
}

mod birth {
    use super::*;

    #[test]
    fn an_actor_is_created_once_and_answers() {
        let (mut world, _) = world();
        assert_eq!(create(&mut world, "a").unwrap(), 1);
        assert_eq!(create(&mut world, "a").unwrap_err().kind(), ErrorKind::Exists);
        assert_eq!(call(&mut world, "a", Do::Count).unwrap(), 1);
        assert_eq!(status(&world, "a"), "running");
    }

    #[test]
    fn a_message_to_a_name_that_was_never_created_makes_nothing() {
        let (mut world, _) = world();
        assert_eq!(call(&mut world, "a", Do::Count).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(query::entry(world.store(), &machine("a")).unwrap().is_none());
    }

    #[test]
    fn a_child_whose_name_is_taken_is_reported_and_the_other_is_left_alone() {
        let (mut world, store) = world();
        create(&mut world, "a").unwrap();
        create(&mut world, "b").unwrap();
        call(&mut world, "a", Do::Beget("b".to_owned())).unwrap();
        let state: sexton_tests::Machine =
            query::state(world.store(), &machine("a")).unwrap().unwrap();
        assert_eq!(state.buried, ["b unborn"]);
        destroy(&mut world, "a").unwrap();
        assert!(!is_buried(&world, "b"));
        assert_audit(store.as_ref());
    }
}

/// G1, broken once by leaving out `slot.restore` after a refusal.
mod turn {
    use super::*;

    #[test]
    fn a_refused_turn_changes_nothing() {
        let (mut world, store) = world();
        create(&mut world, "a").unwrap();
        let before = snapshot(store.as_ref());
        for message in [Do::Refuse, Do::Panic] {
            let error = call(&mut world, "a", message).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused);
        }
        assert_eq!(snapshot(store.as_ref()), before);
        assert_eq!(call(&mut world, "a", Do::Nothing).unwrap(), 0);
    }

    #[test]
    fn a_turn_that_changes_nothing_writes_nothing() {
        let (mut world, store) = world();
        create(&mut world, "a").unwrap();
        let commits = store.figures().commits;
        call(&mut world, "a", Do::Nothing).unwrap();
        assert_eq!(store.figures().commits, commits);
    }

    #[test]
    fn a_panic_costs_its_turn_and_nothing_else() {
        let (mut world, _) = world();
        create(&mut world, "a").unwrap();
        create(&mut world, "b").unwrap();
        call(&mut world, "a", Do::Panic).unwrap_err();
        assert_eq!(call(&mut world, "a", Do::Count).unwrap(), 1);
        assert_eq!(call(&mut world, "b", Do::Count).unwrap(), 1);
    }
}

/// G4 and G5; broken once by arming the latest deadline, and by not re-arming after a turn.
mod alarm {
    use super::*;

    fn stopped(habit: Habit) -> (TestWorld, Arc<MemoryStore>) {
        let (mut world, store) = world();
        create(&mut world, "a").unwrap();
        call(&mut world, "a", Do::Habit(habit)).unwrap();
        call(&mut world, "a", Do::Stop).unwrap();
        (world, store)
    }

    #[test]
    fn a_deadline_rings_at_its_time_and_not_before() {
        let (mut world, store) = stopped(Habit::Good);
        pass(&mut world, 299);
        assert_eq!(status(&world, "a"), "stopped");
        pass(&mut world, 1);
        assert!(is_buried(&world, "a"));
        assert!(world.outside().machines.is_empty());
        assert_audit(store.as_ref());
    }

    #[test]
    fn a_deadline_that_the_state_no_longer_names_is_gone() {
        let (mut world, store) = stopped(Habit::Good);
        assert_eq!(alarm(&world, "a"), Some(300_000));
        call(&mut world, "a", Do::Start).unwrap();
        assert_eq!(alarm(&world, "a"), None);
        pass(&mut world, 100_000);
        assert!(!is_buried(&world, "a"));
        assert_audit(store.as_ref());
    }

    #[test]
    fn a_failing_deadline_backs_off_is_marked_stalled_and_is_never_dropped() {
        for habit in [Habit::Refuses, Habit::Panics, Habit::Moves] {
            let (mut world, store) = stopped(habit);
            // 300 s, then 2 + 4 + 8 + 16 + 32 s: six failures at 362 s.
            pass(&mut world, 361);
            let stalls = |world: &TestWorld| {
                let is_stall = |what: &What| matches!(what, What::Stalled { .. });
                events(world, "a").iter().filter(|what| is_stall(what)).count()
            };
            assert_eq!(stalls(&world), 0, "{habit:?}");
            pass(&mut world, 1);
            assert_eq!(stalls(&world), 1, "{habit:?}");
            pass(&mut world, 24 * 3_600);
            assert_eq!(stalls(&world), 1, "{habit:?} is told once");
            assert_audit(store.as_ref());
            call(&mut world, "a", Do::Habit(Habit::Good)).unwrap();
            pass(&mut world, 300);
            assert!(is_buried(&world, "a"), "{habit:?} is tried until it works");
        }
    }

    #[test]
    fn what_a_failed_deadline_turn_changed_is_undone() {
        let (mut world, _) = stopped(Habit::Refuses);
        pass(&mut world, 400);
        assert_eq!(call(&mut world, "a", Do::Nothing).unwrap(), 0);
    }

    #[test]
    fn paused_alarms_are_late_and_not_lost() {
        let (mut world, _) = stopped(Habit::Good);
        world.engine().switch_alarms(Switch::Paused);
        pass(&mut world, 1_000);
        assert!(!is_buried(&world, "a"));
        world.engine().switch_alarms(Switch::On);
        pass(&mut world, 1);
        assert!(is_buried(&world, "a"));
    }

    #[test]
    fn an_alarm_beyond_the_horizon_lies_in_the_store_and_rings_all_the_same() {
        let store = Arc::new(MemoryStore::new());
        let limits = Limits { alarm_horizon: Duration::from_secs(10), ..Limits::default() };
        let mut world = open_with(Arc::clone(&store) as Arc<dyn Store>, limits, Cloud::default());
        create(&mut world, "a").unwrap();
        call(&mut world, "a", Do::Stop).unwrap();
        assert_eq!(world.engine().figures().alarms, 0);
        pass(&mut world, 299);
        assert!(!is_buried(&world, "a"));
        pass(&mut world, 1);
        assert!(is_buried(&world, "a"));
    }

    #[test]
    fn a_deadline_during_which_the_process_died_backs_off_over_restarts() {
        let (mut world, store) = stopped(Habit::Good);
        world.engine().switch_alarms(Switch::Paused);
        pass(&mut world, 400);
        call(&mut world, "a", Do::Count).unwrap();
        drop(world);
        // Twice the attempt is marked, and the process ends before its turn commits.
        for failures in [0, 1] {
            let mut world = open(Arc::clone(&store) as Arc<dyn Store>);
            world.stop_after(1);
            let to = world.now() + Duration::from_secs(60);
            world.advance_to(to).unwrap_err();
            let Some(Entry::Alive(record)) = query::entry(world.store(), &machine("a")).unwrap()
            else {
                unreachable!("it lives");
            };
            assert!(record.back_offs[0].is_open);
            assert_eq!(record.back_offs[0].failures, failures);
        }
        let mut world = open(store);
        pass(&mut world, 600);
        assert!(is_buried(&world, "a"));
    }
}

/// G8 and G9; broken once by settling a release debt on a permanent failure, and by leaving the
/// transition's event out of `absorb`.
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
        let tombstone = sexton::Engine::tombstone(world.store(), &machine("a")).unwrap().unwrap();
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
        let stalls = events(&world, "a");
        assert!(stalls.iter().any(|what| matches!(what, What::Stalled { .. })));
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
}

/// G9; broken once by leaving out the check of the table.
mod status_table {
    use super::*;

    #[test]
    fn a_transition_that_the_table_lacks_changes_nothing() {
        let (mut world, store) = world();
        create(&mut world, "a").unwrap();
        let before = snapshot(store.as_ref());
        let error = call(&mut world, "a", Do::Leap).unwrap_err();
        assert!(error.to_string().contains("running -> broken"), "{error}");
        assert_eq!(snapshot(store.as_ref()), before);
    }

    #[test]
    fn every_transition_is_published_once_in_order() {
        let (mut world, _) = world();
        create(&mut world, "a").unwrap();
        for message in [Do::Stop, Do::Stop, Do::Start, Do::Stop, Do::Leap] {
            call(&mut world, "a", message).unwrap();
        }
        assert!(call(&mut world, "a", Do::Start).is_err(), "terminal is sticky");
        let path: Vec<String> = events(&world, "a")
            .into_iter()
            .filter_map(|what| match what {
                What::Transition { from, to, .. } => Some(format!("{from}>{to}")),
                _ => None,
            })
            .collect();
        let expected = [
            "creating>running",
            "running>stopped",
            "stopped>running",
            "running>stopped",
            "stopped>broken",
        ];
        assert_eq!(path, expected);
    }
}

/// G10; broken once by leaving the mail in the inbox when it was taken.
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
        let mut world = open(store);
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
}

/// G11; broken once by touching `changed_at` in every turn.
mod row {
    use super::*;

    #[test]
    fn changed_at_moves_only_with_the_content() {
        let (mut world, _) = world();
        create(&mut world, "a").unwrap();
        let changed = |world: &TestWorld| {
            let mut at = None;
            query::rows_of_kind(world.store(), "machine", |row| {
                at = Some(row.record.changed_at.as_millis());
                Ok(())
            })
            .unwrap();
            at.unwrap()
        };
        let before = changed(&world);
        pass(&mut world, 60);
        call(&mut world, "a", Do::Count).unwrap();
        assert_eq!(changed(&world), before, "the count is not in the row");
        call(&mut world, "a", Do::Stop).unwrap();
        assert_eq!(changed(&world), before + 60_000);
    }
}

/// G6 and G7; broken once by burying without waiting for children, and by letting `be_born`
/// pass over a tombstone.
mod destruction {
    use super::*;

    #[test]
    fn after_the_tombstone_nothing_brings_it_back() {
        let (mut world, store) = world();
        create(&mut world, "a").unwrap();
        create(&mut world, "b").unwrap();
        let late = world.outside().asked[0].0.clone();
        destroy(&mut world, "a").unwrap();
        assert_eq!(call(&mut world, "a", Do::Count).unwrap_err().kind(), ErrorKind::Destroyed);
        assert_eq!(create(&mut world, "a").unwrap_err().kind(), ErrorKind::Destroyed);
        call(&mut world, "b", Do::Tell("a".to_owned())).unwrap();
        call(&mut world, "b", Do::Beget("a".to_owned())).unwrap();
        let now = world.now();
        let answer = Answer::Done(sexton::codec::encode(&1_u64).unwrap());
        assert!(world.engine().answer(now, store.as_ref(), &late, answer).unwrap().is_none());
        destroy(&mut world, "a").unwrap();
        pass(&mut world, 100_000);
        assert!(is_buried(&world, "a"));
        assert_eq!(status(&world, "a"), "none");
        assert_audit(store.as_ref());
    }

    #[test]
    fn a_whole_tree_goes_children_first() {
        let (mut world, store) = world();
        create(&mut world, "r").unwrap();
        // Wider than one page of children in flight.
        for n in 0..150 {
            call(&mut world, "r", Do::Beget(format!("c{n}"))).unwrap();
        }
        call(&mut world, "c7", Do::Beget("g".to_owned())).unwrap();
        destroy(&mut world, "c9").unwrap();
        destroy(&mut world, "r").unwrap();
        assert!(is_buried(&world, "r") && is_buried(&world, "c149") && is_buried(&world, "g"));
        let asked = world.outside().asked.clone();
        let unmade = |name: &str| {
            let is_it = |(id, work): &(sexton::EffectId, Cloudwork)| {
                id.actor.id == machine(name) && *work == Cloudwork::Unmake
            };
            asked.iter().position(is_it).unwrap()
        };
        assert!(unmade("g") < unmade("c7") && unmade("c7") < unmade("r"));
        assert!(world.outside().machines.is_empty());
        assert_audit(store.as_ref());
    }

    #[test]
    fn while_it_goes_it_refuses_everything_else() {
        let (mut world, _) = world();
        create(&mut world, "a").unwrap();
        let moods = VecDeque::from([transient()]);
        world.outside().moods.insert("a".to_owned(), moods);
        destroy(&mut world, "a").unwrap_err();
        assert_eq!(call(&mut world, "a", Do::Count).unwrap_err().kind(), ErrorKind::Destroyed);
        assert_eq!(create(&mut world, "a").unwrap_err().kind(), ErrorKind::Exists);
        pass(&mut world, 2);
        assert!(is_buried(&world, "a"));
    }

    #[test]
    fn a_destruction_that_panics_shows_and_is_tried_again() {
        let (mut world, store) = world();
        create(&mut world, "a").unwrap();
        call(&mut world, "a", Do::SetCount(666)).unwrap();
        destroy(&mut world, "a").unwrap_err();
        pass(&mut world, 3_600);
        assert_eq!(status(&world, "a"), "destroying");
        assert!(events(&world, "a").iter().any(|what| matches!(what, What::Stalled { .. })));
        drop(world);
        let mut world = open(store);
        pass(&mut world, 3_600);
        assert!(!is_buried(&world, "a"), "it panics after a restart as before");
    }

    #[test]
    fn with_a_retention_a_name_lives_again_as_another_life() {
        let store = Arc::new(MemoryStore::new());
        let limits =
            Limits { tombstone_retention: Some(Duration::from_secs(60)), ..Limits::default() };
        let mut world = open_with(Arc::clone(&store) as Arc<dyn Store>, limits, Cloud::default());
        create(&mut world, "a").unwrap();
        destroy(&mut world, "a").unwrap();
        assert_eq!(create(&mut world, "a").unwrap_err().kind(), ErrorKind::Destroyed);
        pass(&mut world, 60);
        assert_eq!(create(&mut world, "a").unwrap(), 2);
        assert_audit(store.as_ref());
    }
}

/// G14; broken once by raising the limits to `usize::MAX` in `check`.
mod limits {
    use super::*;

    #[test]
    fn a_turn_that_would_owe_too_much_is_refused() {
        let store = Arc::new(MemoryStore::new());
        let limits = Limits { records_per_turn_max: 0, ..Limits::default() };
        let mut world = open_with(store, limits, Cloud::default());
        let error = create(&mut world, "a").unwrap_err();
        assert!(error.to_string().contains("0 are allowed"), "{error}");
    }

    #[test]
    fn only_so_many_actors_stay_in_memory() {
        let store = Arc::new(MemoryStore::new());
        let limits = Limits { live_actors_max: 5, ..Limits::default() };
        let mut world = open_with(store, limits, Cloud::default());
        for n in 0..50 {
            create(&mut world, &format!("m{n}")).unwrap();
        }
        assert!(world.engine().figures().live <= 5);
        assert_eq!(call(&mut world, "m0", Do::Count).unwrap(), 1);
    }
}

/// G3; broken once by leaving the expected sequence out of the store's comparison.
mod ownership {
    use super::*;

    #[test]
    fn who_claims_a_store_fences_out_who_had_it() {
        let (mut first, store) = world();
        create(&mut first, "a").unwrap();
        let mut second = open(Arc::clone(&store) as Arc<dyn Store>);
        let now = first.now();
        let before = snapshot(store.as_ref());
        let request =
            Request::Destroy { intent: intent(), is_waiting: false, reply: Box::new(drop) };
        let turned = first.engine().request(now, store.as_ref(), &machine("a"), request).unwrap();
        let error = store.submit(turned.batch.unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert_eq!(snapshot(store.as_ref()), before);
        assert_eq!(call(&mut second, "a", Do::Count).unwrap(), 1);
    }
}

/// G12; broken once by not remembering whom a pass asked.
mod sweeping {
    use super::*;
    use sexton::sweep::{Sweep, Sweeper, sweeper};
    use sexton::{Letter, Refusal, RowView, Timestamp};
    use sexton_tests::Machine;

    /// Asks every running machine to count, so that the counts show who was asked how often.
    struct Census {
        limit: usize,
    }

    impl Sweep for Census {
        fn name(&self) -> &'static str {
            "census"
        }

        fn limit(&self) -> usize {
            self.limit
        }

        fn scope(&self) -> &[(&'static str, &'static str)] {
            &[("machine", "running"), ("machine", "stopped")]
        }

        fn select(&self, row: &RowView, _now: Timestamp) -> Option<String> {
            (row.status == "running").then(|| "it runs".to_owned())
        }

        fn ask(&self, row: &RowView, _why: &str) -> Result<Letter, Refusal> {
            if row.id == machine("m3") {
                return Err(Refusal::new("this one cannot be asked"));
            }
            Letter::new::<Machine, Do>(&row.id, &Do::Count)
        }
    }

    fn swept(limit: usize) -> (TestWorld, Arc<MemoryStore>) {
        let (mut world, store) = world();
        for n in 0..7 {
            create(&mut world, &format!("m{n}")).unwrap();
        }
        call(&mut world, "m6", Do::Stop).unwrap();
        call(&mut world, "m6", Do::SetCount(0)).unwrap();
        world.add_sweep(Box::new(Census { limit })).unwrap();
        (world, store)
    }

    fn counts(world: &mut TestWorld) -> Vec<u64> {
        (0..6).map(|n| call(world, &format!("m{n}"), Do::Nothing).unwrap()).collect()
    }

    #[test]
    fn a_pass_asks_no_more_than_its_limit_and_the_next_goes_on() {
        let (mut world, _) = swept(2);
        let asked = |world: &mut TestWorld| counts(world).iter().sum::<u64>();
        for passes in 1..=2 {
            pass(&mut world, 300);
            assert_eq!(asked(&mut world), 2 * passes);
        }
        pass(&mut world, 600);
        assert_eq!(counts(&mut world), [1, 1, 1, 0, 1, 1], "each once, but the one that failed");
    }

    #[test]
    fn who_was_asked_is_left_alone_for_its_back_off() {
        let (mut world, _) = swept(100);
        pass(&mut world, 300);
        assert_eq!(counts(&mut world), [1, 1, 1, 0, 1, 1]);
        pass(&mut world, 3_300);
        assert_eq!(counts(&mut world), [1, 1, 1, 0, 1, 1]);
        pass(&mut world, 300);
        assert_eq!(counts(&mut world), [2, 2, 2, 0, 2, 2]);
    }

    #[test]
    fn a_pass_is_made_once_also_when_the_process_ends_after_it() {
        let (mut world, store) = swept(100);
        pass(&mut world, 300);
        drop(world);
        let mut world = open(Arc::clone(&store) as Arc<dyn Store>);
        world.add_sweep(Box::new(Census { limit: 100 })).unwrap();
        pass(&mut world, 1);
        let state: Sweeper =
            query::state(world.store(), &sweeper("census").unwrap()).unwrap().unwrap();
        assert_eq!((state.passes, state.asks), (1, 5));
        assert_eq!(counts(&mut world), [1, 1, 1, 0, 1, 1]);
    }
}
