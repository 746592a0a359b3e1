//! Times that an owner sets, for all that is his or for one of his projects.

use sexton_core::ErrorKind;

use crate::placement::Wish;
use crate::{Caller, Owner, SetTime, TaskEnd, Tenure};

use super::harness::{Fleet, HOUR, MINUTE, ada, end, start};

fn set(project: Option<&str>, name: &str, value: &str) -> SetTime {
    let (name, value) = (name.to_owned(), value.to_owned());
    SetTime { caller: ada(), project: project.map(str::to_owned), name, value }
}

/// A task that ran for ten minutes and is over.
fn use_a_node(fleet: &mut Fleet, project: Option<&str>) {
    let place = Wish { project: project.map(str::to_owned), ..Wish::default() };
    fleet.tell(start("t", Tenure::Managed, place));
    fleet.run(10 * MINUTE);
    fleet.tell(end("t", TaskEnd::Completed));
    fleet.run(MINUTE);
    assert_eq!(fleet.statuses("node"), ["warm"]);
}

#[test]
fn a_project_has_its_own_warm_period_and_no_sweep_shortens_it() {
    let mut fleet = Fleet::new();
    fleet.tell(set(Some("slow"), "warm_timeout", "2h"));
    use_a_node(&mut fleet, Some("slow"));
    fleet.run(HOUR + 55 * MINUTE);
    assert_eq!(fleet.statuses("node"), ["warm"]);
    fleet.run(20 * MINUTE);
    fleet.assert_nothing_left();
    use_another(&mut fleet);
}

/// What is of another project keeps the time of its owner.
fn use_another(fleet: &mut Fleet) {
    fleet.tell(start("u", Tenure::Managed, Wish::default()));
    fleet.run(10 * MINUTE);
    fleet.tell(end("u", TaskEnd::Completed));
    fleet.run(32 * MINUTE);
    assert_eq!(fleet.statuses("node"), ["stopped"]);
}

#[test]
fn an_owner_sets_how_long_his_stopped_workspaces_are_kept() {
    let mut fleet = Fleet::new();
    fleet.tell(set(None, "workspace_stopped_ttl", "20m"));
    use_a_node(&mut fleet, None);
    fleet.run(18 * MINUTE);
    assert_eq!(fleet.status("workspace/t~w1"), "stopped");
    fleet.run(3 * MINUTE);
    assert_eq!(fleet.status("workspace/t~w1"), "none");
}

#[test]
fn a_time_out_of_range_or_not_his_to_set_is_refused_by_its_name() {
    let mut fleet = Fleet::new();
    let wrong = [
        ("warm_timeout", "29s", "SEXTON_WARM_TIMEOUT"),
        ("warm_timeout", "soon", "SEXTON_WARM_TIMEOUT"),
        ("workspace_idle_timeout", "29m", "SEXTON_WORKSPACE_IDLE_TIMEOUT"),
        ("task_hard", "9h", "task_hard"),
        ("nonsense", "9h", "nonsense"),
    ];
    for (name, value, says) in wrong {
        for project in [None, Some("p")] {
            let error = fleet.call::<Owner, _>("owner/ada", set(project, name, value));
            let error = error.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(format!("{error:?}").contains(says), "{error:?}");
        }
    }
}

#[test]
fn a_stranger_sets_nothing_and_learns_nothing_and_an_operator_is_recorded() {
    let mut fleet = Fleet::new();
    let by = |caller, name: &str| SetTime { caller, ..set(None, name, "1h") };
    for name in ["warm_timeout", "nonsense"] {
        let error = fleet.call::<Owner, _>("owner/ada", by(Caller::owner("eve"), name));
        assert!(format!("{:?}", error.unwrap_err()).contains("not yours"));
    }
    assert!(!fleet.has_fact("owner/ada", "operator"));
    fleet.call::<Owner, _>("owner/ada", by(Caller::operator("olga"), "warm_timeout")).unwrap();
    assert!(fleet.has_fact("owner/ada", "operator"));
}

#[test]
fn every_setting_stands_on_the_page() {
    let page = include_str!("../../../../docs/fleet.md");
    let is_there = |name: &String| page.contains(&format!("| `{name}`"));
    let missing: Vec<String> =
        crate::policy::Policy::variables().into_iter().filter(|it| !is_there(it)).collect();
    assert_eq!(missing, Vec::<String>::new());
}
