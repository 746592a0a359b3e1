//! The second net: towns that nobody lists, actors that outlived their parent, late deadlines.

use sexton_core::ErrorKind;

use crate::placement::Wish;
use crate::policy::Policy;
use crate::sweeps::Bereaved;
use crate::{
    AddRig, AgentStatus, CloseBead, OpenBead, RequestNode, Tenure, Town, TownInit, TownTerms,
    Unlisted,
};

use super::harness::{Fleet, HOUR, MINUTE, ada, id, node_spec, start};
use super::harness_towns::{TOWN, kind};

const SECOND: i64 = 1_000;

/// A town that was made past its owner, as an earlier version or a mended store would have it.
fn found_unlisted(fleet: &mut Fleet) {
    let init = TownInit { owner: "ada".to_owned(), terms: TownTerms::of(&Policy::default()) };
    fleet.create::<Town>("town/stray", &init);
}

#[test]
fn a_town_that_nobody_lists_is_destroyed_when_it_has_no_active_work() {
    let mut fleet = Fleet::new();
    found_unlisted(&mut fleet);
    let (rig, bead) = ("r".to_owned(), "b".to_owned());
    fleet.call::<Town, _>("town/stray", AddRig { caller: ada(), rig: rig.clone() }).unwrap();
    let open = OpenBead { caller: ada(), bead: bead.clone(), rig };
    fleet.call::<Town, _>("town/stray", open).unwrap();
    fleet.run(2 * HOUR);
    assert_eq!(fleet.status("town/stray"), "settled", "it has active work");
    fleet.call::<Town, _>("town/stray", CloseBead { caller: ada(), bead }).unwrap();
    fleet.run(6 * MINUTE);
    assert_eq!(fleet.why("town/stray"), "owner ada does not list it");
    fleet.assert_no_town_left();
}

#[test]
fn a_town_that_is_listed_is_left_alone_however_idle_it_is() {
    let mut fleet = Fleet::new();
    fleet.found();
    fleet.run(48 * HOUR);
    assert_eq!(fleet.status(TOWN), "empty");
    assert!(fleet.owner_lists_town());
}

#[test]
fn a_town_that_has_lost_its_link_is_found_too() {
    let mut fleet = Fleet::new();
    fleet.settle_town();
    fleet.run(MINUTE);
    fleet.unlink_by_hand("owner/ada", TOWN);
    fleet.run(10 * MINUTE);
    fleet.assert_no_town_left();
}

#[test]
fn a_town_looks_again_whether_it_has_work_and_whether_a_sweep_asks() {
    let mut fleet = Fleet::new().without_sweeps();
    found_unlisted(&mut fleet);
    let unlisted = Unlisted { why: "I say so".to_owned() };
    let error = fleet.call::<Town, _>("town/stray", unlisted);
    assert_eq!(kind(error), Some(ErrorKind::Refused));
    // The sweep has looked before the work came, and its letter arrives behind it.
    let (rig, bead) = ("r".to_owned(), "b".to_owned());
    fleet.call::<Town, _>("town/stray", AddRig { caller: ada(), rig: rig.clone() }).unwrap();
    let sweeper = id("sweep/orphaned_town");
    let sweeps = crate::sweeps::all(&Policy::default());
    let sweep = sweeps.iter().find(|it| it.name() == "orphaned_town").unwrap();
    let state = sexton_core::query::state(&*fleet.store, &sweeper).unwrap().unwrap();
    let plan = sexton_core::sweep::plan(sweep.as_ref(), &state, fleet.now, &*fleet.store).unwrap();
    assert_eq!(plan.asks.len(), 1);
    fleet.call::<Town, _>("town/stray", OpenBead { caller: ada(), bead, rig }).unwrap();
    let next_at = fleet.now + std::time::Duration::from_secs(300);
    let pass = sexton_core::sweep::Pass::of(plan, next_at);
    fleet.call::<sexton_core::sweep::Sweeper, _>(sweeper.as_str(), pass).unwrap();
    fleet.run(MINUTE);
    assert_eq!(fleet.status("town/stray"), "settled");
}

/// One of every kind that has a parent, all alive.
fn one_of_each(fleet: &mut Fleet) -> Vec<(&'static str, String)> {
    fleet.tell(start("task", Tenure::External, Wish::default()));
    let spec = node_spec(Tenure::External);
    fleet.tell(RequestNode { caller: ada(), name: "n".to_owned(), spec });
    fleet.settle_town();
    fleet.open_bead("b");
    fleet.add_agent("a");
    fleet.run(20 * MINUTE);
    let kinds = ["node", "workspace", "task", "town", "container", "agent", "agent_identity"];
    kinds.map(|kind| (kind, fleet.rows(kind)[0].id.as_str().to_owned())).to_vec()
}

#[test]
fn whoever_outlived_his_parent_is_destroyed_whatever_his_kind() {
    let mut fleet = Fleet::new();
    let each = one_of_each(&mut fleet);
    let of = |kind: &str| each.iter().find(|(it, _)| *it == kind).unwrap().1.clone();
    // The parents' tombstones are written over their lives; their children live on, and hold
    // what they hold.
    let node = fleet.rows("workspace")[0].record.text("node").unwrap().to_owned();
    let node = format!("node/{node}");
    fleet.bury_by_hand(&node);
    fleet.bury_by_hand(TOWN);
    fleet.run(MINUTE);
    for kind in ["workspace", "container", "agent", "agent_identity"] {
        assert!(fleet.tombstone(&of(kind)).is_none(), "nobody has found it yet");
    }
    assert!(fleet.process().running_since.is_some());
    fleet.run(70 * MINUTE);
    for kind in ["workspace", "container", "agent", "agent_identity"] {
        let tombstone = fleet.tombstone(&of(kind)).unwrap_or_else(|| panic!("a {kind} lives"));
        assert_eq!(tombstone.by, "sweep", "{kind}");
    }
    assert_eq!(fleet.cloud.containers().count() + fleet.cloud.keys().count(), 0);
    fleet.bury_by_hand("owner/ada");
    fleet.run(70 * MINUTE);
    for kind in ["node", "workspace", "task", "town"] {
        assert_eq!(fleet.rows(kind), [], "at {}", fleet.now);
    }
    let left = fleet.cloud.machines(fleet.now).filter(|it| it.owner.id != id(&node)).count();
    assert_eq!(left, 0);
}

#[test]
fn whoever_has_a_living_parent_is_not_asked_and_would_not_go() {
    let mut fleet = Fleet::new();
    let each = one_of_each(&mut fleet);
    fleet.run(3 * HOUR);
    for (_, name) in &each {
        assert!(fleet.tombstone(name).is_none(), "{name}");
    }
    let parent = sexton_core::ActorRef { id: id("owner/ada"), incarnation: 1 };
    let error = fleet.call::<Town, _>(TOWN, Bereaved { parent });
    assert_eq!(kind(error), Some(ErrorKind::Refused), "only sweeps ask this");
}

#[test]
fn a_parent_of_whom_nothing_is_known_is_not_taken_for_dead() {
    // G12: the parent of a life that was restored without its parent's record is unknown.
    let mut fleet = Fleet::new();
    fleet.settle_town();
    fleet.run(MINUTE);
    let container = fleet.container();
    fleet.forget_by_hand(TOWN);
    fleet.run(5 * HOUR);
    assert!(fleet.tombstone(&container).is_none());
}

#[test]
fn with_alarms_paused_a_town_with_active_work_still_ticks_late() {
    let mut fleet = Fleet::new().without_alarms();
    fleet.settle_town();
    fleet.open_bead("b");
    fleet.run(10 * MINUTE);
    let (turns, pings) = (fleet.turns(TOWN), fleet.process().pings);
    fleet.run(HOUR);
    assert!((11..=13).contains(&(fleet.turns(TOWN) - turns)), "once a pass");
    assert!(fleet.process().pings > pings);
    assert_eq!(fleet.status(&fleet.container()), "running");
}

#[test]
fn with_alarms_paused_everything_in_a_town_still_comes_to_its_end() {
    let mut fleet = Fleet::new().without_alarms();
    fleet.settle_town();
    let [working, done] = ["a", "b"].map(|agent| fleet.add_agent(agent));
    fleet.report(&working, AgentStatus::Working);
    fleet.run(10 * SECOND);
    fleet.remove_agent("b");
    fleet.run(20 * MINUTE);
    assert_eq!(fleet.status(&working), "stalled");
    fleet.run(2 * HOUR);
    assert_eq!(fleet.status(&working), "idle");
    assert!(fleet.tombstone(&done).is_some());
    assert_eq!(fleet.status(&fleet.container()), "sleeping");
    let container = fleet.container();
    fleet.run(8 * 24 * HOUR);
    assert!(fleet.tombstone(&container).is_some());
    assert_eq!(fleet.cloud.keys().map(|(_, key)| *key).collect::<Vec<_>>(), [2]);
}
