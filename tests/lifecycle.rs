//! Behaviour through the front door, one chapter a noun: an actor and its turns.
//!
//! Method: the real engine on a store in memory, in virtual time, with a cloud that answers what
//! the test tells it. Every chapter names the promises that it holds the engine to, and what was
//! broken once to see the test fail.

use std::sync::Arc;
use std::time::Duration;

use sexton::limits::PART_BYTES_MAX;
use sexton::{Entry, ErrorKind, Limits, Store, Switch, What, query};
use sexton_store::MemoryStore;
use sexton_tests::{
    Do, Habit, TestWorld, WITHOUT_DEADLINES, WITHOUT_ROW, alarm, answer, assert_audit, call,
    create, destroy, done, effect_of, end, events, is_buried, machine, n_dead_letters, open, pass,
    snapshot, state, status, was_stalled, world, world_with,
};

/// Birth by request and by a parent; broken once by taking the mail of one turn in reverse.
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
        assert_eq!(state(&world, "a").buried, ["b unborn"]);
        destroy(&mut world, "a").unwrap();
        assert!(!is_buried(&world, "b"));
        assert_audit(store.as_ref());
    }

    #[test]
    fn a_turn_may_send_to_the_child_that_it_creates() {
        let (mut world, store) = world();
        create(&mut world, "a").unwrap();
        call(&mut world, "a", Do::BegetAndTell("b".to_owned())).unwrap();
        assert_eq!(call(&mut world, "b", Do::Nothing).unwrap(), 1);
        assert_eq!(n_dead_letters(&world, "b"), 0);
        assert_audit(store.as_ref());
    }
}

/// G1; broken once by leaving out `slot.restore` after a refusal, and by reading a state without a
/// guard.
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

    /// What a state says of itself is the actor's own code: it once ran after the turn was
    /// taken, outside of every guard, and a panic in it ended the engine.
    #[test]
    fn a_state_that_cannot_be_looked_at_is_refused() {
        let (mut world, store) = world();
        create(&mut world, "a").unwrap();
        let before = snapshot(store.as_ref());
        for count in [WITHOUT_ROW, WITHOUT_DEADLINES] {
            let error = call(&mut world, "a", Do::SetCount(count)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert_eq!(snapshot(store.as_ref()), before, "{count}");
        }
        assert_eq!(call(&mut world, "a", Do::Count).unwrap(), 1);
        assert_audit(store.as_ref());
    }
}

/// G4 and G5; broken once by arming the latest deadline, and by not re-arming after a turn.
mod alarm {
    use super::*;

    fn stopped(habit: Habit) -> (TestWorld, Arc<MemoryStore>) {
        let (mut world, store) = world();
        create(&mut world, "a").expect("the name is free");
        call(&mut world, "a", Do::Habit(habit)).expect("it runs");
        call(&mut world, "a", Do::Stop).expect("it runs");
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
        let limits = Limits { alarm_horizon: Duration::from_secs(10), ..Limits::default() };
        let (mut world, _) = world_with(limits);
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
            let mut world = open(&store);
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
        let mut world = open(&store);
        pass(&mut world, 600);
        assert!(is_buried(&world, "a"));
    }

    #[test]
    fn of_two_deadlines_the_earliest_is_armed_and_each_rings_at_its_time() {
        let (mut world, store) = stopped(Habit::Good);
        call(&mut world, "a", Do::Remind(400)).unwrap();
        assert_eq!(alarm(&world, "a"), Some(300_000));
        call(&mut world, "a", Do::Remind(10)).unwrap();
        assert_eq!(alarm(&world, "a"), Some(10_000));
        pass(&mut world, 9);
        assert_eq!(state(&world, "a").count, 0);
        pass(&mut world, 1);
        assert_eq!(state(&world, "a").count, 1);
        assert_eq!(alarm(&world, "a"), Some(300_000));
        assert_audit(store.as_ref());
        pass(&mut world, 290);
        assert!(is_buried(&world, "a"));
    }

    #[test]
    fn a_deadline_that_backs_off_does_not_hold_up_another() {
        let (mut world, store) = stopped(Habit::Refuses);
        call(&mut world, "a", Do::Remind(301)).unwrap();
        pass(&mut world, 300);
        assert_eq!(alarm(&world, "a"), Some(301_000), "the other deadline, before the retry");
        pass(&mut world, 1);
        assert_eq!(state(&world, "a").count, 1);
        assert_eq!(alarm(&world, "a"), Some(302_000));
        assert_audit(store.as_ref());
    }
}

/// G9; broken once by leaving out the check of the table, and by not publishing a transition.
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
        let mut path = Vec::new();
        for what in events(&world, "a") {
            if let What::Transition { from, to, .. } = what {
                path.push(format!("{from}>{to}"));
            }
        }
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

/// G14; broken once by raising the limits to `usize::MAX` in `check`.
mod limits {
    use super::*;

    #[test]
    fn a_turn_that_would_record_too_much_is_refused() {
        let (mut world, _) = world_with(Limits { records_per_turn_max: 0, ..Limits::default() });
        let error = create(&mut world, "a").unwrap_err();
        assert!(error.to_string().contains("0 are allowed"), "{error}");
    }

    #[test]
    fn only_so_many_actors_stay_in_memory() {
        let (mut world, _) = world_with(Limits { live_actors_max: 5, ..Limits::default() });
        for n in 0..50 {
            create(&mut world, &format!("m{n}")).unwrap();
        }
        assert!(world.engine().figures().live <= 5);
        assert_eq!(call(&mut world, "m0", Do::Count).unwrap(), 1);
    }

    /// Broken once by keeping the place in memory of one that did not come back from its turn.
    #[test]
    fn who_is_buried_leaves_memory() {
        let (mut world, _) = world();
        create(&mut world, "a").unwrap();
        create(&mut world, "b").unwrap();
        destroy(&mut world, "a").unwrap();
        assert_eq!(world.engine().figures().live, 1);
        create(&mut world, "c").unwrap();
        assert_eq!(world.engine().figures().live, 2);
    }

    #[test]
    fn an_actor_owes_so_much_and_no_more() {
        let (mut world, store) = world_with(Limits { debts_per_actor_max: 2, ..Limits::default() });
        world.outside().silent.insert("a".to_owned());
        create(&mut world, "a").unwrap();
        call(&mut world, "a", Do::Owe(1)).unwrap();
        let before = snapshot(store.as_ref());
        let error = call(&mut world, "a", Do::Owe(1)).unwrap_err();
        assert!(error.to_string().contains("3 effects, and 2 are allowed"), "{error}");
        assert_eq!(snapshot(store.as_ref()), before);
        assert!(answer(&mut world, store.as_ref(), &effect_of("a", 1, 1), done()));
        call(&mut world, "a", Do::Owe(1)).unwrap();
        assert_audit(store.as_ref());
    }

    /// What releases an actor's holdings needs room among its debts, too.
    #[test]
    fn an_actor_that_owes_all_it_may_goes_when_it_has_paid() {
        let (mut world, store) = world_with(Limits { debts_per_actor_max: 1, ..Limits::default() });
        world.outside().silent.insert("a".to_owned());
        create(&mut world, "a").unwrap();
        destroy(&mut world, "a").unwrap_err();
        assert!(was_stalled(&world, "a"));
        world.outside().silent.clear();
        assert!(answer(&mut world, store.as_ref(), &effect_of("a", 1, 1), done()));
        pass(&mut world, 300);
        assert!(is_buried(&world, "a"));
        assert_audit(store.as_ref());
    }

    /// A state that was larger than a record was found out when its turn was already taken, and
    /// ended the engine with all the other actors in it.
    #[test]
    fn a_state_or_a_part_above_eight_mebibytes_is_refused() {
        let (mut world, store) = world();
        create(&mut world, "a").unwrap();
        let before = snapshot(store.as_ref());
        let max = PART_BYTES_MAX;
        for message in [Do::Grow(max), Do::Grow(2 * max), Do::Grow(3 * max), Do::Say(max)] {
            let error = call(&mut world, "a", message).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused);
        }
        assert!(snapshot(store.as_ref()) == before, "something of it was written");
        call(&mut world, "a", Do::Grow(max - 1_000)).unwrap();
        assert_eq!(call(&mut world, "a", Do::Count).unwrap(), 1);
        assert_audit(store.as_ref());
    }
}

/// G3; broken once by leaving the epoch out of the store's comparison.
mod ownership {
    use super::*;

    #[test]
    fn who_claims_a_store_fences_out_who_had_it() {
        let (mut first, store) = world();
        create(&mut first, "a").unwrap();
        let mut second = open(&store);
        let now = first.now();
        let before = snapshot(store.as_ref());
        let turned = first.engine().request(now, store.as_ref(), &machine("a"), end()).unwrap();
        let error = store.submit(turned.batch.unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert_eq!(snapshot(store.as_ref()), before);
        assert_eq!(call(&mut second, "a", Do::Count).unwrap(), 1);
    }
}
