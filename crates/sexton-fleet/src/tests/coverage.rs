//! The fleet's lifecycles, and the gaps of other systems put back in: the check finds each.

use std::time::Duration;

use sexton_core::coverage::{Coverage, Flaw, Model};
use sexton_core::sweep::{Look, Sweep};
use sexton_core::{Error, Handler, Letter, Outcome, Refusal, RowView, Timestamp};

use crate::coverage::{all, node, workspace};
use crate::policy::Policy;
use crate::{AgentAnswer, AgentEffect, Expire, Node, NodeDue, Workspace, WorkspaceDue};

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

fn swept<A: sexton_core::Actor>(model: Model<A>, ours: &[&str], theirs: Vec<Theirs>) -> Coverage {
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
const TO_STOPPED: [&str; 6] = [
    "(birth) -> creating by managed",
    "creating -> running by ready",
    "running -> running by claim",
    "running -> warm by unclaim",
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
    let coverage = swept(model, &["stale_stopped"], vec![theirs]);
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
