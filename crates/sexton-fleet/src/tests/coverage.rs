//! The fleet's lifecycles, and the gaps of other systems put back in: the check finds each.

use std::collections::BTreeSet;
use std::time::Duration;

use sexton_core::coverage::{Coverage, Flaw, Model, Net};
use sexton_core::sweep::{Look, Sweep, Sweeper};
use sexton_core::{Actor, Error, Handler, Letter, Outcome, Refusal, RowView, Timestamp};

use crate::coverage::{
    agent, agent_identity, all, container, credit, node, sandbox, session, town, worker, workspace,
};
use crate::policy::Policy;
use crate::sweeps;
use crate::{
    AgentAnswer, AgentDue, AgentEffect, ContainerDue, Expire, IdentityDue, Node, NodeDue,
    SandboxDue, SessionDue, WorkerDue, Workspace, WorkspaceDue,
};

/// A sweep of another system: it judges by its own idea of what should be gone.
struct Theirs {
    name: &'static str,
    scope: &'static [(&'static str, &'static str)],
    selects: fn(&RowView, Timestamp) -> bool,
    ask: fn(&RowView) -> Result<Letter, Refusal>,
}

impl Sweep for Theirs {
    fn name(&self) -> &'static str {
        self.name
    }

    fn limit(&self) -> usize {
        10
    }

    fn scope(&self) -> &[(&'static str, &'static str)] {
        self.scope
    }

    fn heeds_watch(&self) -> bool {
        false
    }

    fn select(&self, row: &RowView, look: &Look<'_>) -> Result<Option<String>, Error> {
        Ok((self.selects)(row, look.now()).then(|| "stale".to_owned()))
    }

    fn ask(&self, row: &RowView, _why: &str) -> Result<Letter, Refusal> {
        (self.ask)(row)
    }
}

fn expire<A: Handler<Expire>>(row: &RowView) -> Result<Letter, Refusal> {
    Letter::new::<A, _>(&row.id, &Expire { why: "stale".to_owned() })
}

fn is_past(row: &RowView, now: Timestamp) -> bool {
    row.record.time("due").is_some_and(|due| due <= now)
}

/// Their nodes: these deadlines do not ring, and their sweeps pass instead of ours.
fn nodes(without: fn(&NodeDue) -> bool, ours: &[&str], theirs: Vec<Theirs>) -> Coverage {
    let model = node(&Policy::default()).without_deadline(without);
    swept(model, ours, theirs)
}

fn swept<A: Actor>(model: Model<A>, ours: &[&str], theirs: Vec<Theirs>) -> Coverage {
    let model = ours.iter().fold(model, |model, name| model.without_sweep(name));
    let theirs = theirs.into_iter().map(|sweep| -> Box<dyn Sweep> { Box::new(sweep) });
    model.sweeps(theirs).check()
}

/// The way to the one gap, which is in this status and of which the report says this.
fn gap(coverage: &Coverage, status: &str, why: &str) -> Vec<String> {
    assert!(!coverage.is_covered(), "{coverage}");
    let gaps: Vec<_> = coverage.found(Flaw::Gap).collect();
    assert_eq!((gaps.len(), gaps[0].about.as_str()), (1, status), "{coverage}");
    assert!(gaps[0].why.starts_with(why), "{coverage}");
    gaps[0].path.iter().map(ToString::to_string).collect()
}

const HOLDS_A_MACHINE: &str = "holds a machine; no deadline, no debt, no sweep selects it";
/// How a managed node comes to be stopped, and its create call answered.
const TO_STOPPED: [&str; 5] = [
    "(birth) -> creating by managed",
    "creating -> running by ready",
    "running -> warm by mark_idle",
    "warm -> stopped by deadline Warm",
    "stopped -> stopped by Create done: Created",
];

#[test]
fn every_kind_is_covered_by_each_of_both_nets() {
    for check in all(&Policy::default()) {
        let coverage = check.run();
        assert_eq!(coverage.kind, check.kind());
        coverage.assert_covered();
        assert!(coverage.complete && coverage.states > 1, "{coverage}");
    }
}

#[test]
fn leak_1_a_warm_machine_expires_to_stopped_and_falls_between_two_passes() {
    let coverage = nodes(
        |due| *due == NodeDue::Grace,
        &["stopped_hand_off", "stale_warm", "max_lifetime"],
        vec![
            Theirs {
                name: "stale_warm",
                scope: &[("node", "running"), ("node", "warm")],
                selects: |row, now| row.status == "warm" && is_past(row, now),
                ask: expire::<Node>,
            },
            Theirs {
                name: "max_lifetime",
                scope: &[("node", "running"), ("node", "warm"), ("node", "stopped")],
                selects: |row, now| row.status != "stopped" && is_past(row, now),
                ask: expire::<Node>,
            },
        ],
    );
    assert_eq!(gap(&coverage, "stopped", HOLDS_A_MACHINE), TO_STOPPED);
}

#[test]
fn leak_2_a_stopped_machine_that_no_task_links_to_is_selected_by_no_pass() {
    let coverage = nodes(
        |due| *due == NodeDue::Grace,
        &["stopped_hand_off"],
        vec![Theirs {
            name: "stopped_of_tasks",
            scope: &[("node", "stopped")],
            selects: |row, now| row.record.text("task").is_some() && is_past(row, now),
            ask: expire::<Node>,
        }],
    );
    assert_eq!(gap(&coverage, "stopped", HOLDS_A_MACHINE), TO_STOPPED);
    assert_eq!(coverage.found(Flaw::IdleSweep).next().unwrap().about, "stopped_of_tasks");
}

#[test]
fn leak_3_a_machine_in_error_is_selected_only_if_a_task_made_it_and_it_is_old() {
    let coverage = nodes(
        |due| *due == NodeDue::Error,
        &["error_nodes"],
        vec![Theirs {
            name: "old_errors_of_tasks",
            scope: &[("node", "error"), ("node", "creating")],
            selects: |row, now| {
                let is_old = row.record.created_at + Duration::from_secs(4 * 3_600) <= now;
                row.status == "creating" || row.record.text("task").is_some() && is_old
            },
            ask: expire::<Node>,
        }],
    );
    let path = ["(birth) -> creating by managed", "creating -> error by Create failed: quota"];
    assert_eq!(gap(&coverage, "error", HOLDS_A_MACHINE), path);
}

#[test]
fn leak_5_a_workspace_in_stopping_is_in_no_pass() {
    let model = workspace(&Policy::default())
        .without_deadline(|due| *due == WorkspaceDue::Stopping)
        // The process that was to stop it died in the middle, and nobody remembers.
        .outcomes(|effect| match effect {
            AgentEffect::Create { .. } => vec![Outcome::Done(AgentAnswer::Created)],
            AgentEffect::Stop { .. }
            | AgentEffect::Delete { .. }
            | AgentEffect::Sleep { .. }
            | AgentEffect::Wake { .. }
            | AgentEffect::Recover { .. } => Vec::new(),
        });
    let theirs = Theirs {
        name: "stale_workspaces",
        scope: &[("workspace", "running"), ("workspace", "stopped"), ("workspace", "error")],
        selects: is_past,
        ask: expire::<Workspace>,
    };
    let coverage =
        swept(model, &["overdue_workspace", "stale_stopped", "orphaned_workspace"], vec![theirs]);
    let why = "holds files on a machine; no deadline, its debt Stop is never answered, no sweep";
    let path = [
        "(birth) -> creating by managed",
        "creating -> stopping by end",
        "stopping -> stopping by Create done: Created",
    ];
    assert_eq!(gap(&coverage, "stopping", why), path);
}

#[test]
fn leak_9_a_machine_that_stays_creating_has_no_clock_of_its_own() {
    let coverage = nodes(
        |due| [NodeDue::Provisioning, NodeDue::AgentReady].contains(due),
        &["error_nodes"],
        vec![Theirs {
            name: "errors",
            scope: &[("node", "error")],
            selects: is_past,
            ask: expire::<Node>,
        }],
    );
    let path = ["(birth) -> creating by managed", "creating -> creating by Create done: Created"];
    assert_eq!(gap(&coverage, "creating", HOLDS_A_MACHINE), path);
}

/// The way to the first gap that a check finds in a status.
fn way(coverage: &Coverage, status: &str) -> Vec<String> {
    let mut gaps = coverage.found(Flaw::Gap).filter(|gap| gap.about == status);
    let gap = gaps.next().unwrap_or_else(|| panic!("{coverage}"));
    gap.path.iter().map(ToString::to_string).collect()
}

fn why(coverage: &Coverage, status: &str) -> String {
    let mut gaps = coverage.found(Flaw::Gap).filter(|gap| gap.about == status);
    gaps.next().unwrap_or_else(|| panic!("{coverage}")).why.clone()
}

#[test]
fn a_hibernated_sandbox_that_nobody_ends_is_shown_with_how_it_fell_asleep() {
    let coverage = sandbox(&Policy::default())
        .without_deadline(|due| *due == SandboxDue::Hibernated)
        .without_sweep("overdue_sandboxes")
        .check();
    let path = [
        "(birth) -> pending",
        "pending -> pending by halt",
        "pending -> running by Start done",
        "running -> hibernated by Hibernate done",
    ];
    assert_eq!(way(&coverage, "hibernated"), path);
    assert!(why(&coverage, "hibernated").starts_with("holds a machine's share; no deadline"));
}

#[test]
fn a_halting_account_whose_retry_is_cut_waits_for_ever_for_whoever_runs() {
    let coverage = credit(&Policy::default())
        .without_deadline(|()| true)
        .without_sweep("unfinished_halts")
        .check();
    let path = ["(birth) -> halted by spent", "halted -> halting by metered"];
    assert_eq!(way(&coverage, "halting"), path);
    let kept = credit(&Policy::default()).without_deadline(|()| true).check();
    let only: Vec<_> = kept.found(Flaw::GapWithOnly(Net::Deadlines)).collect();
    assert_eq!((only.len(), only[0].about.as_str()), (1, "halting"), "{kept}");
}

#[test]
fn a_stalled_agent_without_its_bound_stays_stalled() {
    let coverage = agent(&Policy::default())
        .without_deadline(|due| *due == AgentDue::Stalled)
        .without_sweep("overdue_town")
        .check();
    let path = ["(birth) -> idle", "idle -> stalled by agent_report"];
    assert_eq!(way(&coverage, "stalled"), path);
    assert!(why(&coverage, "stalled").starts_with("must pass; no deadline, no debt, no sweep"));
}

#[test]
fn a_container_that_sleeps_without_bound_and_sweep_keeps_its_disk_for_ever() {
    let coverage = container(&Policy::default())
        .without_deadline(|due| *due == ContainerDue::Sleeping)
        .without_sweep("overdue_town")
        .check();
    let path = [
        "(birth) -> starting",
        "starting -> running by Start done: Started",
        "running -> stopping by deadline Sleep",
        "stopping -> sleeping by Stop done: Stopped",
    ];
    assert_eq!(way(&coverage, "sleeping"), path);
}

#[test]
fn a_session_that_is_silent_for_ever_is_found_before_anybody_is_told() {
    let coverage = session(&Policy::default())
        .without_deadline(|due| *due == SessionDue::Silent)
        .without_sweep("silent_session")
        .check();
    let path = ["(birth) -> started by of a task", "started -> started by Start done: Started"];
    assert_eq!(way(&coverage, "started"), path);
}

#[test]
fn a_worker_that_stays_suspect_because_nobody_looks_again() {
    let coverage = worker(&Policy::default())
        .without_deadline(|due| *due == WorkerDue::Look)
        .without_sweep("lost_workers")
        .check();
    let shown = way(&coverage, "suspect");
    assert_eq!(shown[..2], ["(birth) -> active", "active -> suspect by deadline Silent"]);
    assert!(why(&coverage, "suspect").starts_with("must keep asking (whoever runs the host"));
}

#[test]
fn a_credential_that_is_never_replaced_stays_valid_for_ever() {
    let coverage = agent_identity(&Policy::default())
        .without_deadline(|due| *due == IdentityDue::Replace)
        .without_sweep("overdue_town")
        .check();
    let path = ["(birth) -> issuing", "issuing -> valid by Issue done: Issued"];
    assert_eq!(way(&coverage, "valid"), path);
}

#[test]
fn a_town_ticks_for_ever_which_is_no_gap_and_is_listed_with_who_ends_it() {
    let coverage = town(&Policy::default()).check();
    let left: Vec<_> = coverage.left.iter().map(|it| it.status.as_str()).collect();
    assert_eq!(left, ["settled"], "{coverage}");
    assert_eq!(coverage.found(Flaw::Gap).count() + coverage.found(Flaw::Polls).count(), 0);
    let mute = town(&Policy::default()).without_deadline(|_| true).without_sweep("overdue_town");
    let path =
        ["(birth) -> empty", "empty -> settled by add_rig", "settled -> settled by container gone"];
    assert_eq!(way(&mute.check(), "settled"), path);
}

#[test]
fn every_kind_of_the_fleet_has_a_model() {
    let checked: BTreeSet<&str> = all(&Policy::default()).iter().map(|it| it.kind()).collect();
    let kinds = sweeps::kinds();
    let fleet: BTreeSet<&str> = kinds.names().filter(|kind| *kind != Sweeper::KIND).collect();
    assert_eq!(checked, fleet);
}
