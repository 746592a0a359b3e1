//! The agents of a town and their credentials.

use sexton_core::{ActorRef, ErrorKind};

use crate::sim_cloud::ScriptStep;
use crate::{Agent, AgentIdentity, AgentReport, AgentStatus, BeadStatus, Dismiss, StartBead};

use super::harness::{Fleet, HOUR, MINUTE, ada, every_way, id};
use super::harness_towns::{TOWN, kind};

const DAY: i64 = 24 * HOUR;

fn identity(agent: &str) -> String {
    agent.replace("agent/", "agent_identity/")
}

/// The keys of an agent that are valid.
fn keys(fleet: &Fleet, agent: &str) -> Vec<u64> {
    let of = ActorRef { id: id(&identity(agent)), incarnation: 1 };
    fleet.cloud.keys().filter(|(owner, _)| *owner == of).map(|(_, key)| *key).collect()
}

#[test]
fn a_silent_agent_is_stalled_after_fifteen_minutes_and_given_up_after_thirty_more() {
    let mut fleet = Fleet::new().without_sweeps();
    fleet.settle_town();
    let agent = fleet.add_agent("a");
    fleet.report(&agent, AgentStatus::Working);
    fleet.run(10 * MINUTE);
    fleet.report(&agent, AgentStatus::Working);
    fleet.run(15 * MINUTE - 1);
    assert_eq!(fleet.status(&agent), "working");
    fleet.run(1);
    assert_eq!(fleet.status(&agent), "stalled");
    fleet.run(30 * MINUTE - 1);
    assert_eq!(fleet.status(&agent), "stalled");
    assert!(fleet.inspect().has_work);
    fleet.run(1);
    assert_eq!(fleet.status(&agent), "idle");
    assert!(!fleet.inspect().has_work);
    assert_eq!(fleet.alarm(&agent), None, "an idle agent has nothing to wait for");
}

#[test]
fn a_heartbeat_is_no_change_of_the_row() {
    let mut fleet = Fleet::new();
    fleet.settle_town();
    let agent = fleet.add_agent("a");
    fleet.report(&agent, AgentStatus::Working);
    let changed_at = fleet.rows("agent")[0].record.changed_at;
    for _ in 0..14 {
        fleet.run(MINUTE);
        fleet.report(&agent, AgentStatus::Working);
    }
    assert_eq!(fleet.rows("agent")[0].record.changed_at, changed_at);
    fleet.run(14 * MINUTE);
    assert_eq!(fleet.status(&agent), "working", "it was heard 14 minutes ago");
}

#[test]
fn a_report_of_another_epoch_or_after_the_end_changes_nothing_and_is_recorded() {
    let mut fleet = Fleet::new();
    fleet.settle_town();
    let agent = fleet.add_agent("a");
    let working = |epoch| AgentReport { epoch, status: AgentStatus::Working };
    fleet.call::<Agent, _>(&agent, working(7)).unwrap();
    assert_eq!(fleet.status(&agent), "idle");
    fleet.remove_agent("a");
    fleet.run(1);
    fleet.call::<Agent, _>(&agent, working(1)).unwrap();
    assert_eq!(fleet.status(&agent), "done");
    fleet.run(1);
    assert!(!fleet.inspect().has_work);
    fleet.run(2 * HOUR);
    assert!(fleet.has_fact(&agent, "late"));
    assert_eq!(kind(fleet.call::<Agent, _>(&agent, working(1))), Some(ErrorKind::Destroyed));
}

#[test]
fn an_agent_off_the_list_loses_its_credential_at_once_and_goes_after_an_hour() {
    let mut fleet = Fleet::new();
    fleet.settle_town();
    let agent = fleet.add_agent("a");
    fleet.run(MINUTE);
    assert_eq!(keys(&fleet, &agent), [1]);
    fleet.remove_agent("a");
    fleet.run(MINUTE);
    assert_eq!(fleet.inspect().agents.len(), 0);
    assert_eq!(keys(&fleet, &agent).len(), 0);
    assert!(fleet.tombstone(&identity(&agent)).is_some());
    assert_eq!(fleet.status(&agent), "done");
    fleet.run(HOUR);
    assert_eq!(fleet.why(&agent), "done");
    // Its name in the town is free again, and another actor's.
    assert_ne!(fleet.add_agent("a"), agent);
}

#[test]
fn an_agent_that_is_done_is_taken_off_the_list_and_its_bead_is_open_again() {
    let mut fleet = Fleet::new();
    fleet.settle_town();
    let agent = fleet.add_agent("a");
    fleet.open_bead("b");
    let (bead, name) = ("b".to_owned(), "a".to_owned());
    fleet.command(StartBead { caller: ada(), bead, agent: name });
    fleet.report(&agent, AgentStatus::Done);
    fleet.run(MINUTE);
    assert_eq!(fleet.inspect().agents.len(), 0);
    assert_eq!(fleet.inspect().beads, [("b".to_owned(), BeadStatus::Open)]);
    assert_eq!(keys(&fleet, &agent).len(), 0);
}

#[test]
fn an_agent_and_its_credential_go_together_whichever_is_destroyed_first() {
    for destroy_agent in [true, false] {
        let mut fleet = Fleet::new();
        fleet.settle_town();
        let agent = fleet.add_agent("a");
        fleet.run(MINUTE);
        let first = if destroy_agent { agent.clone() } else { identity(&agent) };
        fleet.destroy(&first);
        fleet.run(2 * HOUR);
        assert_eq!(fleet.inspect().agents.len(), 0);
        assert!(fleet.tombstone(&agent).is_some() && fleet.tombstone(&identity(&agent)).is_some());
        assert_eq!(keys(&fleet, &agent).len(), 0);
    }
}

#[test]
fn only_its_town_dismisses_an_agent() {
    let mut fleet = Fleet::new();
    fleet.settle_town();
    let agent = fleet.add_agent("a");
    let dismiss = || Dismiss { why: "mine".to_owned() };
    let of_agent = fleet.call::<Agent, _>(&agent, dismiss());
    let of_identity = fleet.call::<AgentIdentity, _>(&identity(&agent), dismiss());
    assert_eq!([kind(of_agent), kind(of_identity)], [Some(ErrorKind::Refused); 2]);
}

#[test]
fn a_credential_is_replaced_every_week_and_the_old_key_is_revoked() {
    let mut fleet = Fleet::new();
    fleet.settle_town();
    let agent = fleet.add_agent("a");
    fleet.run(6 * DAY);
    assert_eq!(keys(&fleet, &agent), [1]);
    fleet.run(2 * DAY);
    assert_eq!(keys(&fleet, &agent), [2]);
}

#[test]
fn a_credential_that_is_refused_is_asked_for_again() {
    let mut fleet = Fleet::new();
    fleet.found();
    fleet.script("agent_identity/t/1", &ScriptStep::Failed("quota".to_owned()));
    let agent = fleet.add_agent("a");
    fleet.run(MINUTE);
    assert_eq!(fleet.status(&identity(&agent)), "refused");
    // After an hour the script is forgotten.
    fleet.run(2 * HOUR);
    assert_eq!(fleet.status(&identity(&agent)), "valid");
    assert_eq!(keys(&fleet, &agent).len(), 1);
}

#[test]
fn a_key_that_cannot_be_revoked_keeps_the_towns_tombstone_back() {
    let mut fleet = Fleet::new();
    fleet.settle_town();
    let agent = fleet.add_agent("a");
    fleet.run(MINUTE);
    fleet.script(&identity(&agent), &ScriptStep::Down);
    fleet.end_town();
    fleet.run(HOUR);
    assert_eq!(fleet.status(TOWN), "destroying");
    assert!(fleet.owner_lists_town());
    assert_eq!(keys(&fleet, &agent), [1]);
    fleet.script(&identity(&agent), &ScriptStep::Up);
    fleet.run(10 * MINUTE);
    fleet.assert_no_town_left();
}

#[test]
fn agents_come_to_rest_in_every_way() {
    every_way(|fleet| {
        fleet.settle_town();
        let agent = fleet.add_agent("a");
        fleet.report(&agent, AgentStatus::Stalled);
        fleet.run(1_000);
        fleet.remove_agent("a");
        fleet.run(80 * MINUTE);
        assert!(fleet.tombstone(&agent).is_some());
        assert!(fleet.tombstone(&identity(&agent)).is_some());
        assert_eq!(fleet.cloud.keys().count(), 0);
        fleet.assert_sound();
    });
}
