//! The control plane is killed, and the cloud goes on.

use crate::placement::Wish;
use crate::policy::Policy;
use crate::sim_cloud::ScriptStep;
use crate::{EndNode, RequestNode, TaskEnd, Tenure};

use super::harness::{Fleet, HOUR, MINUTE, ada, end, id, node_spec, start};

#[test]
fn a_restart_in_the_middle_changes_no_end_and_makes_no_second_machine() {
    let story = |every_ms: i64| {
        let directory = tempfile::tempdir().unwrap();
        let mut fleet = Fleet::with(Policy::default(), Some(directory.path().join("cloud")));
        let run = |fleet: &mut Fleet, mut ms: i64| {
            while ms > 0 {
                fleet.run(every_ms.min(ms));
                ms -= every_ms;
                fleet.restart();
            }
        };
        fleet.script("node/n", &ScriptStep::Expect);
        let spec = node_spec(Tenure::External);
        fleet.tell(RequestNode { caller: ada(), name: "n".to_owned(), spec });
        fleet.tell(start("a", Tenure::Managed, Wish::default()));
        fleet.tell(start("b", Tenure::External, Wish::on("n")));
        run(&mut fleet, MINUTE);
        fleet.script("node/n", &ScriptStep::Boot);
        fleet.script("node/n", &ScriptStep::Ready);
        run(&mut fleet, 9 * MINUTE);
        assert_eq!(fleet.cloud.machines(fleet.now).count(), 2);
        assert_eq!(fleet.statuses("task"), ["in_progress", "in_progress"]);
        fleet.tell(end("a", TaskEnd::Completed));
        fleet.tell(end("b", TaskEnd::Completed));
        let (name, why) = ("n".to_owned(), "deleted".to_owned());
        fleet.script("node/n", &ScriptStep::Ended);
        fleet.tell(EndNode { caller: ada(), name, why });
        run(&mut fleet, 5 * MINUTE);
        fleet.run(2 * HOUR);
        fleet.assert_nothing_left();
        fleet.cloud.billed(fleet.now)
    };
    let whole = story(100 * HOUR);
    for every_ms in [7_777, 20_000, 61_000] {
        assert_eq!(story(every_ms), whole, "restarted every {every_ms} ms");
    }
}

#[test]
fn rows_of_a_trace_that_were_applied_are_not_applied_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut fleet = Fleet::with(Policy::default(), Some(directory.path().join("cloud")));
    fleet.script("node/n", &ScriptStep::Expect);
    fleet.restart();
    let again = ScriptStep::Lost("never".to_owned());
    fleet.cloud.script(1, &id("node/n"), &again, fleet.now).unwrap();
    let spec = node_spec(Tenure::External);
    fleet.tell(RequestNode { caller: ada(), name: "n".to_owned(), spec });
    fleet.run(HOUR);
    assert_eq!(fleet.status("node/n"), "creating");
}
