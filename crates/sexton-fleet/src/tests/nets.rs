//! Deadlines are one net and sweeps the other: either alone brings everything to its end.

use sexton_core::{Actor, ActorRef, Answer, Failure, codec};

use crate::placement::Wish;
use crate::sim_cloud::{Listing, ScriptStep};
use crate::{Orphan, Reaper, ReaperEffect, RequestNode, TaskEnd, Tenure};

use super::harness::{Fleet, HOUR, MINUTE, ada, end, every_way, id, node_spec, start};

/// Things that are forgotten in every way there is: a task that nobody ends, one that is ended,
/// a node that nobody uses, one that never answers, one whose create fails.
fn forget_everything(fleet: &mut Fleet) {
    for name in ["dead", "failed"] {
        fleet.script(&format!("node/{name}"), &ScriptStep::Expect);
    }
    for name in ["unused", "dead", "failed"] {
        let spec = node_spec(Tenure::Managed);
        fleet.tell(RequestNode { caller: ada(), name: name.to_owned(), spec });
    }
    fleet.tell(start("forgotten", Tenure::Managed, Wish::default()));
    fleet.tell(start("ended", Tenure::External, Wish::default()));
    fleet.run(MINUTE);
    fleet.script("node/failed", &ScriptStep::Failed("quota".to_owned()));
    fleet.run(10 * MINUTE);
    fleet.tell(end("ended", TaskEnd::Completed));
    fleet.run(HOUR);
    // Only now does the cloud answer for the one that was given up: it is still owed.
    fleet.script("node/dead", &ScriptStep::Boot);
    fleet.run(30 * HOUR);
}

#[test]
fn either_net_brings_everything_to_its_end_and_both_do_wherever_the_process_is_killed() {
    every_way(|fleet| {
        forget_everything(fleet);
        fleet.assert_nothing_left();
    });
}

fn plant(fleet: &mut Fleet, owner: &str, installation: &str) {
    let owner = ActorRef { id: id(owner), incarnation: 1 };
    let now = fleet.now;
    fleet.cloud.plant(now, &owner, installation, ("cx33", "fsn1")).unwrap();
}

#[test]
fn machines_that_nobody_owns_are_deleted_five_a_pass_and_others_are_not_touched() {
    let mut fleet = Fleet::new();
    let ours = uuid::Uuid::nil().to_string();
    for n in 0..7 {
        plant(&mut fleet, &format!("node/lost{n}"), &ours);
    }
    plant(&mut fleet, "node/theirs", "another installation");
    fleet.run(59 * MINUTE);
    assert_eq!(fleet.cloud.machines(fleet.now).count(), 8, "too young");
    fleet.run(2 * MINUTE);
    assert_eq!(fleet.cloud.machines(fleet.now).count(), 3);
    fleet.run(HOUR);
    let left: Vec<&str> = fleet.cloud.machines(fleet.now).map(|it| it.owner.id.name()).collect();
    assert_eq!(left, ["theirs"]);
}

#[test]
fn an_orphan_that_cannot_be_deleted_keeps_no_other_waiting() {
    let mut fleet = Fleet::new();
    let ours = uuid::Uuid::nil().to_string();
    for n in 0..6 {
        plant(&mut fleet, &format!("node/lost{n}"), &ours);
        fleet.run(1);
    }
    let locked = Failure { class: "locked".to_owned(), message: "it is locked".to_owned() };
    fleet.refuse(Some(Box::new(move |owed, _| {
        let effect = codec::decode::<ReaperEffect>(&owed.effect).ok();
        let is_locked = |orphan: &Orphan| orphan.owner.id.name() != "lost5";
        let is_refused = owed.id.actor.id.kind() == Reaper::KIND
            && matches!(&effect, Some(ReaperEffect::DeleteOrphan { orphan, .. }) if is_locked(orphan));
        is_refused.then(|| Answer::Permanent(locked.clone()))
    })));
    fleet.run(3 * HOUR);
    let left = |fleet: &Fleet| fleet.cloud.machines(fleet.now).count();
    assert_eq!(left(&fleet), 5, "the sixth had its turn");
    fleet.refuse(None);
    fleet.run(3 * HOUR);
    assert_eq!(left(&fleet), 0, "and the others have theirs again");
}

#[test]
fn a_listing_that_fails_or_is_not_whole_deletes_nothing() {
    for listing in [Listing::Partial, Listing::Failing] {
        let mut fleet = Fleet::new();
        plant(&mut fleet, "node/lost", &uuid::Uuid::nil().to_string());
        fleet.cloud.set_listing(listing);
        fleet.run(5 * HOUR);
        assert_eq!(fleet.cloud.machines(fleet.now).count(), 1);
        fleet.cloud.set_listing(Listing::Whole);
        fleet.run(HOUR + MINUTE);
        assert_eq!(fleet.cloud.machines(fleet.now).count(), 0);
    }
}

#[test]
fn a_machine_with_a_live_owner_is_no_orphan() {
    let mut fleet = Fleet::new();
    fleet.tell(start("t", Tenure::External, Wish::default()));
    fleet.run(10 * HOUR);
    assert_eq!(fleet.cloud.machines(fleet.now).count(), 1);
    assert_eq!(fleet.status("task/t"), "in_progress");
}
