//! What carries no caller is taken from whoever says it by design, and from nobody else.

use sexton_core::{ActorId, ErrorKind};

use crate::placement::Wish;
use crate::workspace::Orphaned;
use crate::{
    Caller, Claim, Exited, Lose, Node, Owner, Release, SandboxExit, Seek, Session, TaskRunner,
    Tenure, Workspace,
};

use super::harness::{Fleet, HOUR, MINUTE, ada, id, start};
use super::harness_leaks::{every_message, one_of_each, refused};
use super::stage::running_workspace;

/// What the outside world says, with the epoch of whom it is said to; what asks the receiver to
/// look again whether something is due; and what is answered to others than who asks.
const OPEN: [&str; 19] = [
    "ready",
    "agent_up",
    "agent_down",
    "heartbeat",
    "lost",
    "made",
    "broken",
    "session_progress",
    "session_result",
    "container_callback",
    "agent_report",
    "exited",
    "scaled",
    "migrated",
    "migration_failed",
    "worker_beat",
    "expire",
    "ask",
    "scan",
];

#[test]
fn what_carries_no_caller_is_refused_from_anybody_else() {
    let mut fleet = Fleet::new();
    let each = one_of_each(&mut fleet);
    let (before, world, since) = (fleet.picture(), fleet.world(), fleet.events.len());
    let mut n = 0;
    for said in every_message().iter().filter(|said| !said.is_command) {
        if OPEN.contains(&said.name) {
            continue;
        }
        n += 1;
        let to: &ActorId = &each[said.kind];
        let error = refused((said.call)(&mut fleet, to, ada()));
        assert_eq!(error, ErrorKind::Refused, "{} to {to}", said.name);
        // And as mail, from an actor that has nothing to do with it; sweeps may ask for an end.
        if !["bereaved", "orphaned", "outdated", "unlisted"].contains(&said.name) {
            fleet.post(vec![(said.letter)(to, ada())]);
        }
        assert_eq!((fleet.picture(), fleet.world()), (before.clone(), world.clone()), "{to}");
    }
    assert!(n >= 50, "{n}");
    for who in each.values() {
        assert!(!fleet.stirred(who, since), "{who}");
    }
}

#[test]
fn no_sweep_stops_the_workspace_of_another_task_than_the_one_that_ended() {
    let mut fleet = Fleet::new();
    fleet.tell(start("t", Tenure::Managed, Wish::default()));
    fleet.run(10 * MINUTE);
    let orphaned = |task: &str| Orphaned { task: id(task), why: "it ended".to_owned() };
    let by = "sweep/orphaned_workspace";
    fleet.say::<Workspace, _>(by, "workspace/t~w1", &orphaned("task/other")).unwrap_err();
    fleet.say::<Workspace, _>("task/t", "workspace/t~w1", &orphaned("task/t")).unwrap_err();
    fleet.call::<Workspace, _>("workspace/t~w1", orphaned("task/t")).unwrap_err();
    assert_eq!(fleet.status("workspace/t~w1"), "running");
}

#[test]
fn only_a_task_seeks_and_releases_what_is_its() {
    let mut fleet = Fleet::new();
    fleet.tell(start("t", Tenure::Managed, Wish::default()));
    fleet.run(10 * MINUTE);
    let release = || Release { workspace: "t~w1".to_owned(), node: None };
    let seek = Seek {
        task: id("task/t"),
        workspace: "t~w2".to_owned(),
        place: Wish::default(),
        tenure: Tenure::Managed,
        left: Some("t~w1".to_owned()),
        held: None,
        smaller: 0,
    };
    for from in ["task/other", "owner/ada", "node/ada~n1", "workspace/t~w1", "task/t~w"] {
        fleet.say::<Owner, _>(from, "owner/ada", &release()).unwrap_err();
        fleet.say::<Owner, _>(from, "owner/ada", &seek).unwrap_err();
    }
    fleet.run(MINUTE);
    assert_eq!(fleet.status("workspace/t~w1"), "running");
    fleet.say::<Owner, _>("task/t", "owner/ada", &release()).unwrap();
    fleet.run(MINUTE);
    assert_ne!(fleet.status("workspace/t~w1"), "running");
}

#[test]
fn a_task_of_another_owner_claims_nothing() {
    let mut fleet = Fleet::new();
    running_workspace(&mut fleet);
    let claim = Claim { caller: Caller::owner("bob"), by: id("task/bobs") };
    let error = fleet.call::<Node, _>("node/n", claim.clone()).unwrap_err().to_string();
    assert!(error.ends_with("not yours"), "{error}");
    let why = fleet.say::<Node, _>("task/bobs", "node/n", &claim).unwrap_err();
    assert_eq!(why, "not yours");
}

#[test]
fn a_sign_of_life_is_a_command_too() {
    let mut fleet = Fleet::new();
    fleet.tell(start("t", Tenure::Managed, Wish::default()));
    fleet.run(10 * MINUTE);
    for _ in 0..16 {
        fleet.run(15 * MINUTE);
        let progress = crate::Progress { caller: Caller::owner("eve") };
        drop(fleet.call::<TaskRunner, _>("task/t", progress));
    }
    fleet.run(MINUTE);
    assert_eq!(fleet.why("task/t"), "failed: timeout silent", "eve kept it from nothing");
    assert!(fleet.now.as_millis() < 5 * HOUR);
}

#[test]
fn a_session_is_lost_when_its_own_workspace_says_so() {
    let mut fleet = Fleet::new();
    let each = one_of_each(&mut fleet);
    let lose = Lose { why: "mine".to_owned() };
    fleet.say::<Session, _>("workspace/other", each["session"].as_str(), &lose).unwrap_err();
    let end = SandboxExit::Lost { why: "gone".to_owned() };
    let exited = Exited { epoch: 9, end };
    fleet.call::<crate::Sandbox, _>("sandbox/s", exited).unwrap();
    assert_eq!(fleet.status("sandbox/s"), "running", "of another epoch");
    fleet.say::<Session, _>("workspace/w", each["session"].as_str(), &lose).unwrap();
}
