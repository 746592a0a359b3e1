//! The life of a task.

use crate::placement::Wish;
use crate::{EndNode, TaskEnd, Tenure};

use super::harness::{Fleet, HOUR, MINUTE, ada, end, start};

#[test]
fn a_tombstone_carries_the_last_status_and_its_reason() {
    let ends = [
        (TaskEnd::Completed, "completed", "completed"),
        (TaskEnd::Failed { class: "invalid".to_owned() }, "failed", "failed: invalid"),
        (TaskEnd::Cancelled, "cancelled", "cancelled"),
    ];
    for (how, status, why) in ends {
        let mut fleet = Fleet::new();
        fleet.tell(start("t", Tenure::Managed, Wish::default()));
        fleet.run(10 * MINUTE);
        fleet.tell(end("t", how));
        fleet.run(MINUTE);
        let tombstone = fleet.tombstone("task/t").unwrap();
        assert_eq!((tombstone.status.as_str(), tombstone.why.as_str()), (status, why));
        fleet.run(2 * HOUR);
        fleet.assert_nothing_left();
    }
}

#[test]
fn an_end_in_the_same_moment_never_overtakes_its_beginning() {
    let mut fleet = Fleet::new();
    fleet.tell(start("t", Tenure::External, Wish::default()));
    fleet.tell(end("t", TaskEnd::Completed));
    fleet.run(MINUTE);
    assert_eq!(fleet.why("task/t"), "completed");
    fleet.run(3 * HOUR);
    fleet.assert_nothing_left();
}

#[test]
fn a_task_without_capacity_waits_and_is_served_in_order() {
    let mut fleet = Fleet::new();
    for n in 0..32 {
        fleet.tell(start(&format!("t{n:02}"), Tenure::Managed, Wish::default()));
    }
    fleet.run(20 * MINUTE);
    assert_eq!(fleet.rows("node").len(), 10);
    assert_eq!(fleet.statuses("task").iter().filter(|it| *it == "queued").count(), 2);
    assert_eq!(fleet.status("task/t30"), "queued");
    fleet.tell(end("t05", TaskEnd::Completed));
    fleet.run(MINUTE);
    assert_eq!(fleet.status("task/t30"), "in_progress");
    assert_eq!(fleet.status("task/t31"), "queued");
    fleet.tell(end("t31", TaskEnd::Cancelled));
    fleet.run(MINUTE);
    assert_eq!(fleet.why("task/t31"), "cancelled");
    fleet.run(12 * HOUR);
    fleet.assert_nothing_left();
}

#[test]
fn a_task_that_never_ends_is_ended_by_its_hard_bound() {
    let mut fleet = Fleet::new();
    fleet.tell(start("t", Tenure::Managed, Wish::default()));
    fleet.run(5 * HOUR);
    assert_eq!(fleet.why("task/t"), "failed: timeout silent");
    fleet.run(2 * HOUR);
    fleet.assert_nothing_left();
}

#[test]
fn a_managed_task_on_a_node_that_goes_fails_for_good() {
    let mut fleet = Fleet::new();
    fleet.tell(start("a", Tenure::Managed, Wish::default()));
    fleet.run(10 * MINUTE);
    fleet.tell(start("b", Tenure::Managed, Wish::on("ada~n1")));
    fleet.run(MINUTE);
    assert_eq!(fleet.status("task/b"), "in_progress");
    let (name, why) = ("ada~n1".to_owned(), "asked".to_owned());
    fleet.tell(EndNode { caller: ada(), name, why });
    fleet.run(MINUTE);
    assert_eq!(fleet.why("task/b"), "failed: node gone");
    assert_ne!(fleet.status("task/a"), "none", "it goes on elsewhere");
}
