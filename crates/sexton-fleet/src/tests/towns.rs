//! A town's alarm, what counts as active work, and whose commands it takes.
//!
//! Method: the alarm is read off the committed record, so a tick that comes too early or too
//! late by a millisecond is seen.

use sexton_core::{ErrorKind, Timestamp};

use crate::policy::Policy;
use crate::{
    AddAgent, AddRig, AgentStatus, BeadStatus, Caller, CloseBead, ConfigureTown, CreateTown,
    EndTown, Expire, Inspect, OpenBead, OpenStream, Owner, OwnerInit, RemoveAgent, RemoveRig,
    StartBead, Town,
};

use super::harness::{Fleet, HOUR, MINUTE, ada};
use super::harness_towns::{TOWN, kind};

const SECOND: i64 = 1_000;

fn after(at: Timestamp, ms: i64) -> Timestamp {
    Timestamp::from_millis(at.as_millis() + ms)
}

#[test]
fn a_town_without_rigs_has_no_alarm() {
    let mut fleet = Fleet::new();
    fleet.found();
    assert_eq!((fleet.status(TOWN).as_str(), fleet.alarm(TOWN)), ("empty", None));
    let turns = fleet.turns(TOWN);
    fleet.run(24 * HOUR);
    assert_eq!((fleet.turns(TOWN), fleet.alarm(TOWN)), (turns, None));
    fleet.add_rig("r");
    assert!(fleet.alarm(TOWN).is_some());
    fleet.command(RemoveRig { caller: ada(), rig: "r".to_owned() });
    assert_eq!((fleet.status(TOWN).as_str(), fleet.alarm(TOWN)), ("empty", None));
}

#[test]
fn a_town_without_rigs_has_no_alarm_although_an_agent_works() {
    let mut fleet = Fleet::new();
    fleet.found();
    let agent = fleet.add_agent("a");
    fleet.report(&agent, AgentStatus::Working);
    fleet.run(SECOND);
    assert!(fleet.inspect().has_work);
    assert_eq!(fleet.alarm(TOWN), None);
}

#[test]
fn a_town_without_active_work_ticks_every_five_minutes() {
    let mut fleet = Fleet::new().without_sweeps();
    fleet.settle_town();
    fleet.run(HOUR);
    let turns = fleet.turns(TOWN);
    let ticked_at = fleet.alarm(TOWN);
    fleet.run(HOUR);
    assert_eq!(fleet.turns(TOWN), turns + 12);
    assert_eq!(fleet.alarm(TOWN), Some(after(ticked_at.unwrap(), HOUR)));
}

#[test]
fn a_town_with_active_work_ticks_every_five_seconds() {
    let mut fleet = Fleet::new().without_sweeps();
    fleet.settle_town();
    fleet.open_bead("b");
    fleet.run(MINUTE);
    let turns = fleet.turns(TOWN);
    fleet.run(MINUTE);
    assert_eq!(fleet.turns(TOWN), turns + 12);
    fleet.close_bead("b");
    let turns = fleet.turns(TOWN);
    fleet.run(4 * MINUTE);
    assert_eq!(fleet.turns(TOWN), turns, "no work is left");
}

#[test]
fn an_open_and_a_running_bead_are_active_work_and_a_closed_one_is_not() {
    let mut fleet = Fleet::new();
    fleet.settle_town();
    fleet.add_agent("a");
    assert!(!fleet.inspect().has_work);
    fleet.open_bead("b");
    assert_eq!(fleet.inspect().beads, [("b".to_owned(), BeadStatus::Open)]);
    assert!(fleet.inspect().has_work);
    let (bead, agent) = ("b".to_owned(), "a".to_owned());
    fleet.command(StartBead { caller: ada(), bead, agent });
    assert_eq!(fleet.inspect().beads, [("b".to_owned(), BeadStatus::Running)]);
    assert!(fleet.inspect().has_work);
    fleet.close_bead("b");
    assert!(!fleet.inspect().has_work);
    assert_eq!((fleet.inspect().beads.len(), fleet.inspect().closed), (0, 1));
}

#[test]
fn a_working_agent_is_active_work_and_an_idle_or_done_one_is_not() {
    let mut fleet = Fleet::new();
    fleet.settle_town();
    let agent = fleet.add_agent("a");
    for (status, expected) in [
        (AgentStatus::Working, true),
        (AgentStatus::Idle, false),
        (AgentStatus::Working, true),
        (AgentStatus::Done, false),
    ] {
        fleet.report(&agent, status);
        fleet.run(1);
        assert_eq!(fleet.inspect().has_work, expected, "{status:?}");
    }
}

#[test]
fn a_stalled_agent_is_active_work_for_thirty_minutes_and_no_longer() {
    // Without any net nobody moves the agent on: it is the moment alone that counts.
    let mut fleet = Fleet::new().without_alarms().without_sweeps();
    fleet.settle_town();
    let agent = fleet.add_agent("a");
    fleet.report(&agent, AgentStatus::Stalled);
    fleet.run(30 * MINUTE - 1);
    assert!(fleet.inspect().has_work);
    fleet.run(1);
    assert!(!fleet.inspect().has_work);
    assert_eq!(fleet.status(&agent), "stalled");
}

#[test]
fn a_tick_that_would_come_after_the_last_active_work_is_a_late_one() {
    let mut fleet = Fleet::new().without_sweeps();
    fleet.settle_town();
    let agent = fleet.add_agent("a");
    fleet.report(&agent, AgentStatus::Stalled);
    fleet.run(29 * MINUTE);
    let soon = fleet.alarm(TOWN).unwrap().since(fleet.now);
    assert!(soon.as_secs() <= 5, "{soon:?}");
    fleet.run(MINUTE);
    let late = fleet.alarm(TOWN).unwrap().since(fleet.now);
    assert!(late.as_secs() > 4 * 60, "{late:?}");
}

#[test]
fn new_work_brings_the_tick_forward() {
    let mut fleet = Fleet::new().without_sweeps();
    fleet.settle_town();
    fleet.run(MINUTE);
    let late = fleet.alarm(TOWN).unwrap();
    assert!(late.since(fleet.now).as_secs() > 3 * 60);
    fleet.open_bead("b");
    assert!(fleet.alarm(TOWN).unwrap() <= fleet.now, "the last tick was over five seconds ago");
    let began = fleet.now;
    fleet.run(1);
    assert_eq!(fleet.alarm(TOWN), Some(after(began, 5 * SECOND)));
}

#[test]
fn new_work_never_puts_the_tick_back() {
    let mut fleet = Fleet::new().without_sweeps();
    fleet.settle_town();
    let agents = ["a", "b"].map(|agent| fleet.add_agent(agent));
    let mut armed = fleet.alarm(TOWN);
    let mut check = |fleet: &mut Fleet, what: &str| {
        assert!(fleet.alarm(TOWN) <= armed, "{what} put the tick back");
        armed = fleet.alarm(TOWN);
    };
    fleet.run(MINUTE);
    fleet.open_bead("b0");
    check(&mut fleet, "a bead");
    fleet.run(1);
    // From here on the next tick is five seconds ahead: more work changes nothing of that.
    let mut armed = fleet.alarm(TOWN);
    let mut check = |fleet: &mut Fleet, what: &str| {
        assert!(fleet.alarm(TOWN) <= armed, "{what} put the tick back");
        armed = fleet.alarm(TOWN);
    };
    for n in 1..4 {
        fleet.open_bead(&format!("b{n}"));
        fleet.run(300);
        check(&mut fleet, "another bead");
    }
    for agent in &agents {
        for status in [AgentStatus::Working, AgentStatus::Stalled, AgentStatus::Working] {
            fleet.report(agent, status);
            fleet.run(300);
            check(&mut fleet, "an agent");
        }
    }
    fleet.add_rig("more");
    check(&mut fleet, "a rig");
    fleet.attach();
    check(&mut fleet, "a stream");
}

#[test]
fn a_tick_that_is_not_due_is_refused_whoever_asks() {
    let mut fleet = Fleet::new();
    fleet.settle_town();
    fleet.run(MINUTE);
    let why = "a wrong row".to_owned();
    assert_eq!(kind(fleet.call::<Town, _>(TOWN, Expire { why })), Some(ErrorKind::Refused));
}

#[test]
fn work_for_a_rig_goes_with_the_rig() {
    let mut fleet = Fleet::new();
    fleet.settle_town();
    fleet.add_rig("other");
    fleet.open_bead("b");
    fleet.command(RemoveRig { caller: ada(), rig: "r".to_owned() });
    assert!(!fleet.inspect().has_work);
    let (bead, rig) = ("c".to_owned(), "r".to_owned());
    let error = fleet.call::<Town, _>(TOWN, OpenBead { caller: ada(), bead, rig });
    assert_eq!(kind(error), Some(ErrorKind::Refused));
}

#[test]
fn a_stranger_is_refused_before_anything_else_and_learns_nothing() {
    let mut fleet = Fleet::new();
    fleet.settle_town();
    fleet.run(MINUTE);
    let turns = fleet.turns(TOWN);
    let eve = || Caller::owner("eve");
    let text = String::new;
    let mut errors = Vec::new();
    let mut refused = |result: Result<(), sexton_core::Error>| {
        errors.push(result.unwrap_err().to_string());
    };
    let end = |name: &str| EndTown { caller: eve(), name: name.to_owned(), why: text() };
    refused(fleet.call::<Town, _>(TOWN, end("t")));
    refused(fleet.call::<Town, _>(TOWN, end("other")));
    // Each would be refused for another reason too: that is not said to her.
    refused(fleet.call::<Town, _>(TOWN, AddRig { caller: eve(), rig: "r".to_owned() }));
    refused(fleet.call::<Town, _>(TOWN, RemoveRig { caller: eve(), rig: text() }));
    refused(fleet.call::<Town, _>(TOWN, AddAgent { caller: eve(), agent: text() }).map(drop));
    refused(fleet.call::<Town, _>(TOWN, RemoveAgent { caller: eve(), agent: text() }));
    let open = OpenBead { caller: eve(), bead: text(), rig: text() };
    refused(fleet.call::<Town, _>(TOWN, open));
    let start = StartBead { caller: eve(), bead: text(), agent: text() };
    refused(fleet.call::<Town, _>(TOWN, start));
    refused(fleet.call::<Town, _>(TOWN, CloseBead { caller: eve(), bead: text() }));
    let config = "x".repeat(100_000);
    refused(fleet.call::<Town, _>(TOWN, ConfigureTown { caller: eve(), config }));
    refused(fleet.call::<Town, _>(TOWN, OpenStream { caller: eve() }));
    refused(fleet.call::<Town, _>(TOWN, Inspect { caller: eve() }).map(drop));
    assert_eq!(errors.len(), 12);
    assert!(errors.iter().all(|it| it.ends_with("not yours")), "{errors:?}");
    assert_eq!(fleet.turns(TOWN), turns);
}

#[test]
fn whoever_knows_a_towns_name_cannot_end_it_through_an_owner_of_his_own() {
    let mut fleet = Fleet::new();
    fleet.settle_town();
    let init = OwnerInit { installation: uuid::Uuid::nil(), policy: Policy::default() };
    fleet.create::<Owner>("owner/eve", &init);
    let end = |by: &str| EndTown {
        caller: Caller::owner(by),
        name: "t".to_owned(),
        why: "mine".to_owned(),
    };
    fleet.call::<Owner, _>("owner/eve", end("eve")).unwrap();
    assert_eq!(kind(fleet.call::<Owner, _>("owner/ada", end("eve"))), Some(ErrorKind::Refused));
    assert_eq!(kind(fleet.call::<Owner, _>("owner/eve", end("ada"))), Some(ErrorKind::Refused));
    // Nor does she get it by founding it again.
    let create = CreateTown { caller: Caller::owner("eve"), name: "t".to_owned() };
    fleet.call::<Owner, _>("owner/eve", create).unwrap();
    fleet.run(HOUR);
    assert_eq!(fleet.status(TOWN), "settled");
    assert!(fleet.owner_lists_town());
    fleet.destroy("owner/eve");
    fleet.run(MINUTE);
    assert_eq!(fleet.status(TOWN), "settled");
}

#[test]
fn an_operator_may_and_the_log_says_so() {
    let mut fleet = Fleet::new();
    fleet.settle_town();
    fleet.command(AddRig { caller: Caller::operator("olga"), rig: "s".to_owned() });
    assert!(fleet.has_fact(TOWN, "operator"));
}

#[test]
fn an_owner_has_at_most_ten_towns_and_a_town_that_is_gone_makes_room() {
    let mut fleet = Fleet::new();
    let create = |n: u32| CreateTown { caller: ada(), name: format!("t{n}") };
    for n in 0..10 {
        fleet.tell(create(n));
    }
    fleet.run(1);
    assert_eq!(kind(fleet.call::<Owner, _>("owner/ada", create(10))), Some(ErrorKind::Refused));
    fleet.tell(EndTown { caller: ada(), name: "t3".to_owned(), why: "not needed".to_owned() });
    fleet.run(MINUTE);
    assert_eq!(kind(fleet.call::<Owner, _>("owner/ada", create(4))), Some(ErrorKind::Refused));
    fleet.tell(create(10));
    fleet.run(1);
    assert_eq!(fleet.rows("town").len(), 10);
}

#[test]
fn a_town_has_as_many_rigs_agents_and_beads_as_its_owners_policy_says() {
    let policy =
        Policy { town_rigs_max: 1, town_agents_max: 1, town_beads_max: 1, ..Policy::default() };
    let mut fleet = Fleet::with(policy, None);
    fleet.settle_town();
    fleet.add_agent("a");
    fleet.open_bead("b");
    let second = || "second".to_owned();
    let rig = fleet.call::<Town, _>(TOWN, AddRig { caller: ada(), rig: second() });
    let agent = fleet.call::<Town, _>(TOWN, AddAgent { caller: ada(), agent: second() });
    let open = OpenBead { caller: ada(), bead: second(), rig: "r".to_owned() };
    let bead = fleet.call::<Town, _>(TOWN, open);
    let refused = Some(ErrorKind::Refused);
    assert_eq!([kind(rig), kind(agent), kind(bead)], [refused; 3]);
    // What was given up counts no more.
    fleet.remove_agent("a");
    fleet.close_bead("b");
    fleet.add_agent("second");
    fleet.open_bead("second");
}
