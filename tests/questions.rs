//! Questions through the front door: why an actor is awake, what its end would take along, and
//! which actors there are.
//!
//! Method: the real engine on a store in memory, in virtual time, with a cloud that answers what
//! the test tells it. Every chapter names what was broken once to see the test fail.

use std::collections::VecDeque;
use std::time::Duration;

use sexton::explain::{Living, Stage, Standing};
use sexton::{
    ActorId, DestroyPlan, Error, ErrorKind, Explanation, Kinds, Limits, Request, Store, Timestamp,
    explain, plan_destroy,
};
use sexton_tests::{
    Do, FAULTY_FOR_A_WHILE, Habit, TestWorld, ask, assert_audit, call, create, destroy, end,
    intent, is_buried, kinds, machine, pass, snapshot, told, transient, world, world_with,
};

/// Lets nothing that a machine owes be paid.
fn hold_up(world: &mut TestWorld, name: &str, times: usize) {
    let moods: VecDeque<_> = std::iter::repeat_n(transient(), times).collect();
    world.outside().moods.insert(name.to_owned(), moods);
}

fn explained(store: &dyn Store, name: &str) -> Explanation {
    explain(store, &kinds(), &machine(name), 10).expect("readable")
}

fn living(store: &dyn Store, name: &str) -> Living {
    match explained(store, name).standing {
        Standing::Living(living) => *living,
        other @ (Standing::Unknown | Standing::Buried(_)) => {
            unreachable!("{name} does not live: {other:?}")
        }
    }
}

/// Broken once by taking the first events instead of the last.
mod explanations {
    use super::*;

    #[test]
    fn a_name_without_a_life_and_one_that_is_buried_say_so() {
        let (mut world, store) = world();
        let nobody = explained(&*store, "a");
        assert_eq!((nobody.standing, nobody.story.len()), (Standing::Unknown, 0));
        create(&mut world, "a").unwrap();
        destroy(&mut world, "a").unwrap();
        call(&mut world, "a", Do::Count).unwrap_err();
        let buried = explained(&*store, "a");
        let text = buried.to_string();
        let Standing::Buried(tombstone) = buried.standing else { unreachable!("{text}") };
        assert_eq!((tombstone.why.as_str(), tombstone.by.as_str()), ("asked", "test"));
        assert!(text.starts_with("machine/a#1 was destroyed at 1970-01-01"), "{text}");
        assert!(text.contains("destroyed as running: asked (asked by test)"), "{text}");
    }

    #[test]
    fn what_rings_next_is_named_with_its_back_off() {
        let (mut world, store) = world();
        create(&mut world, "a").unwrap();
        assert_eq!(living(&*store, "a").awake, Vec::<String>::new());
        assert!(explained(&*store, "a").to_string().contains("nothing is due, owed or waiting"));
        call(&mut world, "a", Do::Habit(Habit::Refuses)).unwrap();
        call(&mut world, "a", Do::Remind(400)).unwrap();
        call(&mut world, "a", Do::Stop).unwrap();
        pass(&mut world, 301);
        let it = living(&*store, "a");
        let rings: Vec<_> =
            it.rings.first.iter().map(|it| (it.what.as_str(), it.failures)).collect();
        assert_eq!(rings, [("\"delete\"", 1), ("\"remind\"", 0)]);
        let delete = &it.rings.first[0];
        assert_eq!(delete.why.as_deref(), Some("not today"));
        assert!(delete.rings_at > delete.due);
        assert_eq!(it.alarm, Some(delete.rings_at));
        assert_eq!(it.stalled, None);
        pass(&mut world, 3_600);
        let it = living(&*store, "a");
        assert_eq!(it.stalled.as_deref(), Some("a deadline fails: not today"));
        assert!(it.rings.first[0].failures >= 6, "{it:?}");
        let text = explained(&*store, "a").to_string();
        assert!(text.contains("  stalled   a deadline fails: not today"), "{text}");
        assert!(text.contains("stalled: a deadline fails"), "{text}");
    }

    #[test]
    fn debts_children_and_mail_are_shown_and_counted() {
        let (mut world, store) = world();
        create(&mut world, "a").unwrap();
        for n in 0..15 {
            call(&mut world, "a", Do::Beget(format!("c{n:02}"))).unwrap();
        }
        hold_up(&mut world, "a", 20);
        call(&mut world, "a", Do::Owe(12)).unwrap();
        pass(&mut world, 5);
        // Sent and not yet taken.
        world.request(&machine("c00"), told(Do::Tell("a".to_owned()))).unwrap();
        let explanation = explained(&*store, "a");
        assert_eq!(explanation.mail.count, 1);
        assert_eq!(explanation.mail.first[0].from.as_ref().unwrap().id, machine("c00"));
        let it = living(&*store, "a");
        assert_eq!((it.children.count, it.children.first.len()), (15, 10));
        assert_eq!((it.debts.count, it.debts.first.len()), (12, 10));
        let debt = &it.debts.first[0];
        assert_eq!(
            (&debt.effect, debt.why.as_ref().unwrap().class.as_str()),
            (&serde_json::json!("Make"), "network")
        );
        assert!(debt.failures > 0 && debt.next_at > Timestamp::ZERO);
        assert_eq!(it.awake.len(), 2, "{:?}", it.awake);
        let text = explanation.to_string();
        assert!(text.contains("(2 more)") && text.contains("(5 more)"), "{text}");
        assert_eq!(living(&*store, "c00").parent.unwrap().id, machine("a"));
    }

    #[test]
    fn the_story_is_the_last_events_in_order() {
        let (mut world, store) = world();
        create(&mut world, "a").unwrap();
        for _ in 0..20 {
            call(&mut world, "a", Do::Stop).unwrap();
            call(&mut world, "a", Do::Start).unwrap();
        }
        let it = explained(&*store, "a");
        let numbers: Vec<u64> = it.story.iter().map(|event| event.number).collect();
        assert_eq!(numbers, (33..=42).collect::<Vec<u64>>());
        assert_eq!(it.earlier_events, 32);
        assert!(it.to_string().contains("stopped -> running by do"));
        let none = explain(&*store, &kinds(), &machine("a"), 0).unwrap();
        assert_eq!((none.story.len(), none.earlier_events), (0, 42));
    }

    #[test]
    fn a_destruction_says_how_far_it_is_and_what_blocks_it() {
        let (mut world, store) = world();
        create(&mut world, "r").unwrap();
        call(&mut world, "r", Do::Beget("c".to_owned())).unwrap();
        call(&mut world, "c", Do::SetCount(FAULTY_FOR_A_WHILE)).unwrap();
        destroy(&mut world, "r").unwrap_err();
        pass(&mut world, 600);
        let going = living(&*store, "r").going.unwrap();
        assert_eq!((going.stage, going.in_flight.first), (Stage::Children, vec![machine("c")]));
        assert!(going.blocks[0].starts_with("machine/c is stalled: its destruction fails"));
        let child = living(&*store, "c");
        assert_eq!(child.going.unwrap().stage, Stage::Release);
        assert_eq!((child.status.as_deref(), child.rings.count), (Some("destroying"), 0));
        assert!(child.awake[0].starts_with("its destruction failed"));
        // Then what it owes holds it up.
        hold_up(&mut world, "c", 1_000);
        pass(&mut world, 8_000);
        let child = living(&*store, "c").going.unwrap();
        assert_eq!(child.stage, Stage::Debts);
        assert!(child.blocks[0].contains("network: it rains"), "{child:?}");
    }

    /// The one that is asked about is often the one that is broken.
    #[test]
    fn a_state_that_cannot_be_read_is_said_and_the_rest_is_answered() {
        let (mut world, store) = world();
        create(&mut world, "a").unwrap();
        call(&mut world, "a", Do::Habit(Habit::Refuses)).unwrap();
        call(&mut world, "a", Do::Stop).unwrap();
        pass(&mut world, 301);
        let explanation = explain(&*store, &Kinds::new(), &machine("a"), 10).unwrap();
        let text = explanation.to_string();
        let Standing::Living(it) = explanation.standing else { unreachable!("{text}") };
        assert!(it.unreadable.as_ref().is_some_and(|why| why.contains("does not know")), "{it:?}");
        assert_eq!((it.status.as_ref(), it.state.as_ref(), it.rings.count), (None, None, 1));
        assert!(it.rings.first[0].what.starts_with("a deadline of"));
        assert!(explanation.story.len() > 1);
        assert!(text.contains("is unreadable"), "{text}");
    }

    #[test]
    fn asking_changes_nothing_and_an_explanation_is_json() {
        let (mut world, store) = world();
        create(&mut world, "a").unwrap();
        call(&mut world, "a", Do::Owe(1)).unwrap();
        let before = snapshot(&*store);
        let it = explained(&*store, "a");
        assert_eq!(snapshot(&*store), before);
        let json = serde_json::to_string(&it).unwrap();
        assert_eq!(serde_json::from_str::<Explanation>(&json).unwrap(), it);
        let Standing::Living(living) = it.standing else { unreachable!("it lives") };
        assert_eq!(living.state.unwrap()["power"], "Running");
    }
}

fn planned(store: &dyn Store, name: &str) -> DestroyPlan {
    plan_destroy(store, &kinds(), &machine(name)).expect("it lives")
}

fn names(plan: &DestroyPlan) -> Vec<&str> {
    plan.members.iter().map(|member| member.actor.id.name()).collect()
}

fn follow(world: &mut TestWorld, name: &str, plan: &DestroyPlan) -> Result<(), Error> {
    let plan = Box::new(plan.clone());
    ask(world, &machine(name), |reply| Request::DestroyPlanned {
        plan,
        intent: intent(),
        is_waiting: true,
        reply,
    })
}

/// A family of three generations.
fn family(world: &mut TestWorld) {
    create(world, "r").expect("the name is free");
    for (parent, child) in [("r", "a"), ("r", "b"), ("a", "a1"), ("a", "a2"), ("b", "b1")] {
        call(world, parent, Do::Beget(child.to_owned())).expect("it lives");
    }
}

/// G7; broken once by not checking the plan, and by leaving the parent out of the fingerprint.
mod plans {
    use super::*;

    #[test]
    fn it_lists_exactly_those_that_go_in_the_order_in_which_they_are_buried() {
        let (mut world, store) = world();
        family(&mut world);
        create(&mut world, "stranger").unwrap();
        let before = snapshot(&*store);
        let plan = planned(&*store, "r");
        assert_eq!(snapshot(&*store), before, "planning changes nothing");
        assert_eq!(names(&plan), ["a1", "a2", "a", "b1", "b", "r"]);
        let depths: Vec<u32> = plan.members.iter().map(|it| it.depth).collect();
        assert_eq!(depths, [2, 2, 1, 2, 1, 0]);
        assert!(plan.members.iter().all(|it| it.status == "running" && !it.is_destroying));
        assert_eq!(names(&planned(&*store, "a")), ["a1", "a2", "a"]);
        follow(&mut world, "r", &plan).unwrap();
        assert!(plan.members.iter().all(|it| is_buried(&world, it.actor.id.name())));
        assert!(!is_buried(&world, "stranger"));
        // What was said is what was done: by the time of the burials, children before parents.
        let mut buried_at = |id: &ActorId| {
            let unmade = world.outside().asked.iter().rposition(|(it, _)| it.actor.id == *id);
            unmade.expect("it was unmade")
        };
        for member in &plan.members {
            if let Some(parent) = &member.parent {
                assert!(buried_at(&member.actor.id) < buried_at(&parent.id), "{member:?}");
            }
        }
        assert_audit(&*store);
    }

    #[test]
    fn who_came_or_went_since_the_review_is_named_and_nothing_is_destroyed() {
        let (mut world, store) = world();
        family(&mut world);
        let plan = planned(&*store, "r");
        call(&mut world, "b", Do::Beget("late".to_owned())).unwrap();
        destroy(&mut world, "a1").unwrap();
        let before = snapshot(&*store);
        let refused = follow(&mut world, "r", &plan).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Refused);
        let text = refused.to_string();
        assert!(text.contains("added: machine/late#1; gone: machine/a1#1"), "{text}");
        assert!(text.contains(&plan.id.to_string()), "{text}");
        assert_eq!(snapshot(&*store), before);
        // Reviewed again, it goes.
        let plan = planned(&*store, "r");
        follow(&mut world, "r", &plan).unwrap();
        assert!(is_buried(&world, "late"));
        assert_audit(&*store);
    }

    #[test]
    fn a_plan_is_for_one_root_and_for_one_life() {
        let rest = Some(Duration::from_secs(60));
        let (mut world, store) =
            world_with(Limits { tombstone_retention: rest, ..Limits::default() });
        family(&mut world);
        let (of_a, of_r) = (planned(&*store, "a"), planned(&*store, "r"));
        assert_eq!(follow(&mut world, "b", &of_a).unwrap_err().kind(), ErrorKind::Refused);
        destroy(&mut world, "r").unwrap();
        pass(&mut world, 60);
        family(&mut world);
        let other = follow(&mut world, "r", &of_r).unwrap_err();
        assert!(other.to_string().contains("added: machine/a#2"), "{other}");
        assert_ne!(planned(&*store, "r").id, of_r.id);
    }

    #[test]
    fn the_same_lives_that_belong_together_otherwise_are_another_tree() {
        // Both are buried in the order a, b, r: only the links differ.
        let trees = ["r", "b"].map(|parent_of_a| {
            let (mut world, store) = world();
            create(&mut world, "r").unwrap();
            call(&mut world, "r", Do::Beget("b".to_owned())).unwrap();
            call(&mut world, parent_of_a, Do::Beget("a".to_owned())).unwrap();
            planned(&*store, "r")
        });
        assert_eq!(names(&trees[0]), names(&trees[1]));
        assert_ne!(trees[0].id, trees[1].id);
        let (mut world, _store) = world();
        create(&mut world, "r").unwrap();
        call(&mut world, "r", Do::Beget("b".to_owned())).unwrap();
        call(&mut world, "b", Do::Beget("a".to_owned())).unwrap();
        let refused = follow(&mut world, "r", &trees[0]).unwrap_err().to_string();
        assert!(refused.contains("belong together otherwise"), "{refused}");
    }

    #[test]
    fn what_would_hold_it_up_is_in_the_plan() {
        let (mut world, store) = world();
        family(&mut world);
        hold_up(&mut world, "a2", 1_000);
        call(&mut world, "a2", Do::Owe(1)).unwrap();
        pass(&mut world, 3_600);
        world.request(&machine("b"), end()).unwrap();
        let plan = planned(&*store, "r");
        let blocked: Vec<&str> = plan.blocked().map(|it| it.actor.id.name()).collect();
        assert_eq!(blocked, ["a2"]);
        let a2 = plan.blocked().next().unwrap();
        assert_eq!(a2.debts, 1);
        assert!(a2.blocks[0].contains("network: it rains"), "{a2:?}");
        assert!(a2.blocks[1].contains("stalled"), "{a2:?}");
        let going = plan.members.iter().filter(|it| it.is_destroying);
        assert_eq!(going.map(|it| it.actor.id.name()).collect::<Vec<_>>(), ["b"]);
        let text = plan.to_string();
        assert!(
            text.starts_with(&format!("plan {}: destroys machine/r#1 and 5", plan.id)),
            "{text}"
        );
        assert!(
            text.contains("blocked: ") && text.contains("is being destroyed already"),
            "{text}"
        );
    }

    #[test]
    fn one_that_does_not_live_has_no_plan_and_one_that_goes_already_is_waited_for() {
        let (mut world, store) = world();
        let plan = |name: &str| plan_destroy(&*store, &kinds(), &machine(name));
        assert_eq!(plan("r").unwrap_err().kind(), ErrorKind::NotFound);
        family(&mut world);
        let reviewed = plan("r").unwrap();
        hold_up(&mut world, "r", 2);
        destroy(&mut world, "r").unwrap_err();
        assert_ne!(plan("r").unwrap().id, reviewed.id);
        // It waits for the end that is under way.
        assert_eq!(follow(&mut world, "r", &reviewed).unwrap_err().kind(), ErrorKind::Busy);
        pass(&mut world, 60);
        assert!(is_buried(&world, "r"));
        assert_eq!(plan("r").unwrap_err().kind(), ErrorKind::Destroyed);
        follow(&mut world, "r", &reviewed).unwrap();
    }

    /// A child whose birth is on its way goes, too; one whose name is another's does not.
    #[test]
    fn a_birth_on_its_way_is_in_the_plan() {
        let (mut world, store) = world();
        create(&mut world, "r").unwrap();
        create(&mut world, "other").unwrap();
        for child in ["c", "other"] {
            world.request(&machine("r"), told(Do::Beget(child.to_owned()))).unwrap();
        }
        let plan = planned(&*store, "r");
        assert_eq!(names(&plan), ["c", "r"]);
        assert_eq!(
            (plan.members[0].status.as_str(), plan.members[0].actor.incarnation),
            ("unborn", 0)
        );
        follow(&mut world, "r", &plan).unwrap();
        assert!(is_buried(&world, "c") && !is_buried(&world, "other"));
        assert_audit(&*store);
    }

    #[test]
    fn a_plan_travels_as_json_and_its_fingerprint_as_text() {
        let (mut world, store) = world();
        family(&mut world);
        let plan = planned(&*store, "r");
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<DestroyPlan>(&json).unwrap(), plan);
        assert_eq!(plan.id.to_string().parse(), Ok(plan.id));
        for bad in ["", "x", "00000000000000", "+000000000000000", "00000000000000000"] {
            assert!(bad.parse::<sexton::PlanId>().is_err(), "{bad}");
        }
        // Written down once: somebody may keep a plan over an upgrade.
        assert_eq!(plan.id.to_string(), "4dfe7bb782e99bd7");
    }
}

/// Broken once by leaving a status when a page ends in it.
mod index {
    use super::*;
    use sexton::Query;
    use sexton::index::Cursor;
    use sexton::index::{Count, Page};

    fn rows(store: &dyn Store, query: &Query) -> Vec<String> {
        let page = query.page(store).expect("readable");
        let mut names: Vec<String> =
            page.rows.iter().map(|(_, row)| row.id.name().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn rows_are_found_by_kind_status_age_and_fields() {
        let (mut world, store) = world();
        for name in ["a", "b", "c"] {
            create(&mut world, name).unwrap();
            pass(&mut world, 100);
        }
        call(&mut world, "a", Do::Stop).unwrap();
        pass(&mut world, 100);
        call(&mut world, "b", Do::Stop).unwrap();
        let now = world.now();
        let at = |seconds| Timestamp::ZERO + Duration::from_secs(seconds);
        let seconds = Duration::from_secs;
        let machines = || Query::of("machine");
        for (query, expected) in [
            (Query::all(), "abc"),
            (Query::of("tower"), ""),
            (machines().status("stopped"), "ab"),
            (machines().status("stopped").status("running"), "abc"),
            (Query::all().status("running"), "c"),
            (machines().owner("somebody"), "abc"),
            (machines().owner("nobody"), ""),
            (machines().created_before(at(200)), "ab"),
            (machines().created_from(at(200)), "c"),
            (machines().created_from(at(100)).created_before(at(200)), "b"),
            (machines().in_status_for(seconds(100), now), "ac"),
            (machines().in_status_for(seconds(101), now), "c"),
            (machines().unchanged_for(seconds(150), now), "c"),
            (machines().time_before("stopped_at", at(301)), "a"),
            (machines().time_from("stopped_at", at(301)), "b"),
            (machines().text("stopped_at", "x"), ""),
            (machines().flag("broken", false), ""),
            (machines().number("seats", 4), ""),
            (machines().stalled(false), "abc"),
            (machines().stalled(true), ""),
        ] {
            assert_eq!(rows(&*store, &query).concat(), expected, "{query:?}");
        }
    }

    #[test]
    fn pages_show_every_row_once_and_end() {
        let (mut world, store) = world();
        for n in 0..25 {
            create(&mut world, &format!("m{n:02}")).unwrap();
        }
        for n in 0..10 {
            call(&mut world, &format!("m{n:02}"), Do::Stop).unwrap();
        }
        let of = Query::of("machine").status("stopped").status("running");
        for (limit, examine_max) in [(1, 100), (7, 100), (25, 25), (100, 3), (100, 25), (100, 100)]
        {
            let query = of.clone().limit(limit).examine_max(examine_max);
            let (mut seen, mut n_pages) = (Vec::new(), 0);
            let mut page = query.page(&*store).unwrap();
            loop {
                assert!(page.rows.len() <= limit && page.examined <= examine_max);
                seen.extend(page.rows.iter().map(|(_, row)| row.id.clone()));
                n_pages += 1;
                let Some(next) = page.next else { break };
                // As a console would: through text.
                let next: Cursor = next.to_string().parse().unwrap();
                page = query.clone().after(next).page(&*store).unwrap();
            }
            assert_eq!(seen.len(), 25, "limit {limit}, at most {examine_max}: {n_pages} pages");
            seen.sort();
            seen.dedup();
            assert_eq!(seen.len(), 25);
        }
        assert!("nonsense".parse::<Cursor>().is_err() && "00".parse::<Cursor>().is_err());
    }

    #[test]
    fn a_count_is_by_kind_and_status_and_reads_no_more_than_it_must() {
        let (mut world, store) = world();
        for n in 0..12 {
            create(&mut world, &format!("m{n}")).unwrap();
        }
        for n in 0..5 {
            call(&mut world, &format!("m{n}"), Do::Stop).unwrap();
        }
        let counts = Query::of("machine").limit(2).count(&*store).unwrap();
        let count = |status: &str, rows| Count {
            kind: "machine".to_owned(),
            status: status.to_owned(),
            rows,
        };
        assert_eq!(counts.counts, [count("running", 7), count("stopped", 5)]);
        assert_eq!((counts.total(), counts.unread), (12, 0));
        let page = Query::of("machine").status("stopped").page(&*store).unwrap();
        assert_eq!((page.examined, page.next), (5, None));
    }

    /// G12: a row that cannot be read is counted, and stops nobody.
    #[test]
    fn a_row_that_cannot_be_read_is_passed_over_and_counted() {
        let (mut world, store) = world();
        for name in ["a", "b"] {
            create(&mut world, name).unwrap();
        }
        let key = sexton::key::row(&machine("a"), "running");
        let shard = machine("a").shard();
        let fences = store.claim().unwrap();
        let (_, fence) = fences.into_iter().find(|(it, _)| *it == shard).unwrap();
        let batch = sexton::Batch {
            shard,
            epoch: fence.epoch,
            expected: fence.sequence,
            at: world.now(),
            order: fence.order + 1,
            writes: vec![sexton::Write { key, value: Some(b"bent".to_vec()) }],
            events: Vec::new(),
        };
        store.submit(batch).unwrap();
        let Page { rows, examined, unread, .. } = Query::of("machine").page(&*store).unwrap();
        assert_eq!((rows.len(), examined, unread), (1, 2, 1));
        assert_eq!(Query::of("machine").count(&*store).unwrap().unread, 1);
    }
}
