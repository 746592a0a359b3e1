//! Leaks 1 to 6: where one cleanup hands over to the next, and each thinks that another one acts.
//!
//! Method: a thing is brought to each status with both nets, and is then left to one of them.

use sexton_core::{ErrorKind, Status};

use crate::fault::Fault;
use crate::placement::Wish;
use crate::sim_cloud::ScriptStep;
use crate::{
    Attach, Claim, EndNode, Expire, Holding, MarkIdle, Node, NodeStatus, OpenSession, Recover,
    RequestNode, TaskEnd, Tenure, Unclaim, Workspace,
};

use super::super::harness::{
    Fleet, HOUR, MINUTE, ada, end, every_crash, every_way, id, node_spec, own_time, start,
};
use super::super::sandbox_stories;
use super::super::stage::{
    NOBODY, create, running_node, running_workspace, stop, warm_node, workspace_without_machine,
};

const W: &str = "workspace/w";
const N: &str = "node/n";

/// How something is left, and to which net alone.
type Way = (&'static str, fn(&mut Fleet));
/// A net by its name, and a fleet that has no other.
type OnlyNet = (&'static str, fn(Fleet) -> Fleet);

const NETS: [OnlyNet; 2] =
    [("sweeps", Fleet::without_alarms), ("deadlines", Fleet::without_sweeps)];

/// Brings it there with both nets, and leaves the rest to each of them alone.
fn left_to_each_net(ways: &[Way], rest: impl Fn(&mut Fleet, &str)) {
    for (name, reach) in ways {
        for (net, alone) in NETS {
            let mut fleet = Fleet::new();
            reach(&mut fleet);
            let mut fleet = alone(fleet);
            rest(&mut fleet, &format!("{name}, by {net} alone"));
        }
    }
}

fn request(fleet: &mut Fleet, tenure: Tenure) {
    let spec = node_spec(tenure);
    fleet.tell(RequestNode { caller: ada(), name: "n".to_owned(), spec });
}

fn end_node(fleet: &mut Fleet) {
    let (name, why) = ("n".to_owned(), "asked".to_owned());
    fleet.tell(EndNode { caller: ada(), name, why });
}

/// A node with a machine whose agent never says that it is ready.
fn deaf_node(fleet: &mut Fleet) {
    fleet.script(N, &ScriptStep::Expect);
    fleet.script(N, &ScriptStep::Boot);
    request(fleet, Tenure::Managed);
    fleet.run(MINUTE);
    assert_eq!(fleet.status(N), "creating");
}

fn stopped_node(fleet: &mut Fleet) {
    warm_node(fleet);
    fleet.run(31 * MINUTE);
    assert_eq!(fleet.status(N), "stopped");
}

fn node_in_error(fleet: &mut Fleet) {
    deaf_node(fleet);
    fleet.run(15 * MINUTE);
    assert_eq!(fleet.status(N), "error");
}

#[test]
fn leak_01_a_warm_machine_that_expired_is_deleted() {
    // The warm period of a machine ended, so it was set to stopped and was warm no more. The pass
    // for machines that are warm too long wanted running ones, and the pass for old machines left
    // out the stopped ones. Each was right by itself. Nobody deleted it at the provider.
    //
    // Seen to fail: no deadline for the grace of a stopped node.
    every_way(|fleet| {
        warm_node(fleet);
        fleet.run(2 * HOUR);
        assert_eq!(fleet.why(N), "warm period over");
        fleet.assert_nothing_left();
    });
    // The class: every status of a node, each of which follows another, is left to one net.
    let ways: [Way; 5] = [
        ("creating", deaf_node),
        ("running", |fleet| running_node(fleet, "n")),
        ("warm", warm_node),
        ("stopped", stopped_node),
        ("error", node_in_error),
    ];
    assert_eq!(ways.map(|(status, _)| status).as_slice(), names::<NodeStatus>());
    left_to_each_net(&ways, |fleet, how| {
        assert_eq!(fleet.cloud.machines(fleet.now).count(), 1, "{how}");
        let status = fleet.status(N);
        assert!(how.starts_with(&status), "{how}: {status}");
        fleet.run(2 * HOUR);
        assert!(fleet.tombstone(N).is_some(), "{how}: {}", fleet.status(N));
        fleet.assert_nothing_left();
        fleet.assert_sound();
    });
}

fn names<S: Status>() -> Vec<&'static str> {
    S::ALL.iter().map(|status| status.name()).collect()
}

#[test]
fn leak_02_a_stopped_machine_without_a_task_is_deleted() {
    // The pass that deletes stopped machines looked for them through the tasks that had used
    // them. Most had been used by a task. One that was made by hand, or whose task had been
    // deleted, was in no result, and cost money until somebody read the provider's bill.
    let ways: [Way; 4] = [
        ("a user's workspace", warm_node),
        ("a task that is gone", |fleet| {
            fleet.tell(start("t", Tenure::Managed, Wish::default()));
            fleet.run(10 * MINUTE);
            fleet.tell(end("t", TaskEnd::Completed));
            fleet.run(MINUTE);
            assert_eq!(fleet.statuses("node"), ["warm"]);
        }),
        ("a task that never was", |fleet| {
            running_node(fleet, "n");
            let by = id(NOBODY);
            let lease = fleet.call::<Node, _>(N, Claim { caller: ada(), by }).expect("it is free");
            fleet.call::<Node, _>(N, Unclaim { caller: ada(), lease }).expect("it is held");
            assert_eq!(fleet.status(N), "warm");
        }),
        ("nobody", |fleet| {
            running_node(fleet, "n");
            fleet.call::<Node, _>(N, MarkIdle { caller: ada() }).expect("nobody uses it");
        }),
    ];
    for (how, warm) in ways {
        for (net, alone) in NETS {
            let mut fleet = Fleet::new();
            warm(&mut fleet);
            fleet.run(31 * MINUTE);
            assert_eq!(fleet.statuses("node"), ["stopped"], "used by {how}");
            assert_eq!(fleet.statuses("task"), Vec::<String>::new(), "used by {how}");
            let node = fleet.rows("node").remove(0).id;
            let mut fleet = alone(fleet);
            fleet.run(HOUR);
            assert_eq!(fleet.why(node.as_str()), "warm period over", "{how}, by {net} alone");
            fleet.assert_nothing_left();
        }
    }
}

#[test]
fn leak_03_a_machine_in_error_is_deleted_whoever_made_it() {
    // A machine in error was cleaned up if a task had made it, and if it was older than four
    // hours. One that a person had asked for stayed in error for ever, and so did its server,
    // since the failure was often only that its agent had not come up.
    //
    // Seen to fail: no deadline for a node in error.
    let spell = |fleet: &mut Fleet, how: &str| {
        fleet.run(30 * MINUTE);
        assert_eq!(fleet.statuses("node"), Vec::<String>::new(), "{how}");
        fleet.assert_nothing_left();
    };
    left_to_each_net(&[("no agent", node_in_error)], spell);
    for (net, alone) in NETS {
        for fault in Fault::ALL {
            let mut fleet = alone(Fleet::new());
            fleet.script(N, &ScriptStep::Expect);
            request(&mut fleet, Tenure::Managed);
            fleet.run(MINUTE);
            fleet.script(N, &ScriptStep::Failed(fault.name().to_owned()));
            fleet.run(MINUTE);
            assert_eq!(fleet.status(N), "error");
            spell(&mut fleet, &format!("{}, by {net} alone", fault.name()));
            assert_eq!(fleet.why(N), format!("failed: {}", fault.name()));
        }
    }
    left_to_each_net(
        &[
            ("no machine", |fleet| {
                fleet.script(N, &ScriptStep::Expect);
                request(fleet, Tenure::Managed);
                fleet.run(16 * MINUTE);
                assert_eq!(fleet.status(N), "error");
                // The call returns late: there is a machine after all.
                fleet.script(N, &ScriptStep::Boot);
                fleet.run(1);
                assert_eq!(fleet.cloud.machines(fleet.now).count(), 1);
            }),
            ("made by a task", |fleet| {
                fleet.script("node/ada~n1", &ScriptStep::Expect);
                fleet.script("node/ada~n1", &ScriptStep::Boot);
                fleet.tell(start("t", Tenure::Managed, Wish::default()));
                fleet.run(17 * MINUTE);
                assert_eq!(fleet.statuses("node"), ["error"]);
            }),
        ],
        spell,
    );
    workspaces_in_error();
}

/// The same class: a workspace in error, whichever way it came there.
fn workspaces_in_error() {
    fn on_a_node_that_stays(fleet: &mut Fleet) {
        request(fleet, Tenure::External);
        fleet.run(10 * MINUTE);
        fleet.script(W, &ScriptStep::Expect);
        create(fleet, "w", "n");
        fleet.run(MINUTE);
    }
    let ways: [Way; 3] = [
        ("its making failed", |fleet| {
            on_a_node_that_stays(fleet);
            fleet.script(W, &ScriptStep::Failed("invalid".to_owned()));
            fleet.run(1);
        }),
        ("it was never made", |fleet| {
            on_a_node_that_stays(fleet);
            fleet.run(30 * MINUTE);
            fleet.script(W, &ScriptStep::Ended);
            fleet.run(1);
        }),
        ("it could not be repaired", |fleet| {
            workspace_without_machine(fleet);
            fleet.call::<Workspace, _>(W, Recover { caller: ada() }).expect("it runs");
            fleet.run(MINUTE);
        }),
    ];
    left_to_each_net(&ways, |fleet, how| {
        assert_eq!(fleet.status(W), "error", "{how}");
        fleet.run(2 * HOUR + 10 * MINUTE);
        assert_eq!(fleet.why(W), "error", "{how}");
        end_node(fleet);
        fleet.run(MINUTE);
        fleet.assert_nothing_left();
    });
}

/// One of every kind that holds something outside, all alive.
pub(super) fn one_of_each(fleet: &mut Fleet) -> Vec<String> {
    running_workspace(fleet);
    let disk = Holding::Volume { name: "disk".to_owned() };
    fleet.call::<Node, _>(N, Attach { caller: ada(), holding: disk }).expect("it has room");
    let session = "s".to_owned();
    fleet.call::<Workspace, _>(W, OpenSession { caller: ada(), session }).expect("it runs");
    fleet.settle_town();
    let agent = fleet.add_agent("a");
    fleet.open_bead("b");
    sandbox_stories::running(fleet, "s");
    let identity = agent.replace("agent/", "agent_identity/");
    let each = [N, W, "session/s", "town/t", "container/t/1", &agent, &identity, "sandbox/s"];
    let each = each.map(str::to_owned).to_vec();
    for who in &each {
        assert_ne!(fleet.status(who), "none", "{who}");
    }
    each
}

#[test]
fn leak_04_a_crash_in_a_destruction_goes_on_with_it() {
    // The row was set to destroying, and then the provider was called. The process died between
    // the two. No pass looked at rows that were being destroyed, because somebody was at it. The
    // machine ran on, and the row said destroying for ever.
    every_crash(
        |fleet| {
            one_of_each(fleet);
        },
        |fleet| {
            for who in [N, "town/t", "sandbox/s"] {
                fleet.destroy(who);
            }
            fleet.run(10 * MINUTE);
            for who in [N, W, "session/s", "town/t", "container/t/1", "sandbox/s"] {
                assert!(!fleet.why(who).is_empty(), "{who}");
            }
            fleet.assert_nothing_left();
            fleet.assert_no_town_left();
            sandbox_stories::assert_over(fleet, "s", "stopped");
            assert_eq!(fleet.cloud.holdings().count(), 0);
        },
    );
    // Each by itself, killed between the intent and whatever comes of it.
    let n = one_of_each(&mut Fleet::new()).len();
    for at in 0..n {
        let mut fleet = Fleet::new();
        let who = one_of_each(&mut fleet).swap_remove(at);
        fleet.destroy(&who);
        fleet.restart();
        assert_eq!(fleet.status(&who), "destroying");
        let mut fleet = if at % 2 == 0 { fleet.without_alarms() } else { fleet.without_sweeps() };
        fleet.run(10 * MINUTE);
        assert_eq!(fleet.why(&who), "asked");
        fleet.assert_sound();
    }
}

#[test]
fn leak_05_a_workspace_that_was_stopping_ends() {
    // A workspace was set to stopping, and the process died while it was stopped. The passes knew
    // running, stopped and error; nobody had thought of stopping as something that lasts. Its
    // usage record was closed by whoever set stopped, so it was metered until somebody noticed.
    //
    // Seen to fail: no deadline for `stopping`.
    // On a node that stays, so that nothing else takes the workspace along.
    fn on_a_deaf_node(fleet: &mut Fleet, start: fn(&mut Fleet)) {
        request(fleet, Tenure::External);
        fleet.run(10 * MINUTE);
        start(fleet);
        fleet.run(MINUTE);
        assert_eq!(fleet.statuses("workspace"), ["running"]);
        fleet.script(N, &ScriptStep::Down);
        fleet.run(1);
    }
    let ways: [Way; 3] = [
        ("its user", |fleet| {
            on_a_deaf_node(fleet, |fleet| create(fleet, "w", "n"));
            stop(fleet, "w");
            fleet.run(1);
        }),
        ("its idleness", |fleet| {
            on_a_deaf_node(fleet, |fleet| create(fleet, "w", "n"));
            fleet.run(2 * HOUR);
        }),
        ("the end of its task", |fleet| {
            on_a_deaf_node(fleet, |fleet| fleet.tell(start("w", Tenure::Managed, Wish::on("n"))));
            fleet.tell(end("w", TaskEnd::Completed));
            fleet.run(1);
        }),
    ];
    left_to_each_net(&ways, |fleet, how| {
        assert_eq!(fleet.statuses("workspace"), ["stopping"], "{how}");
        let workspace = fleet.rows("workspace").remove(0).id;
        let row = fleet.rows("node").remove(0);
        assert_eq!(row.record.number("active"), Some(0), "{how}: its place is free");
        fleet.restart();
        fleet.run(40 * MINUTE);
        assert_eq!(fleet.status(workspace.as_str()), "destroying", "{how}");
        fleet.script(N, &ScriptStep::Up);
        fleet.run(10 * MINUTE);
        assert_eq!(fleet.why(workspace.as_str()), "stopping", "{how}");
        end_node(fleet);
        fleet.run(MINUTE);
        fleet.assert_nothing_left();
    });
    every_crash(running_workspace, |fleet| {
        stop(fleet, "w");
        fleet.run(90 * MINUTE);
        assert_eq!(fleet.why(W), "stopped");
        fleet.assert_nothing_left();
    });
    // What is metered closes its meter in the turn that decides it, whatever the host does then.
    every_crash(
        |fleet| sandbox_stories::running(fleet, "s"),
        |fleet| {
            sandbox_stories::stop(fleet, "s");
            fleet.run(5 * MINUTE);
            sandbox_stories::assert_over(fleet, "s", "stopped");
        },
    );
}

#[test]
fn leak_06_a_sweep_keeps_to_the_actors_own_terms() {
    // A project had set its warm period to two hours. The sweep had one grace for all, 35
    // minutes, and deleted the project's machines while they waited for the next task. The other
    // way round, what was to go after a minute was kept for the sweep's half hour.
    //
    // Seen to fail: a sweep that judges by the time since the status, with a grace of its own.
    for (value, ms) in [("2h", 2 * HOUR), ("3h", 3 * HOUR), ("1m", MINUTE)] {
        for (net, alone) in NETS {
            let mut fleet = alone(Fleet::new());
            fleet.tell(own_time("warm_timeout", value));
            let place = Wish { project: Some("slow".to_owned()), ..Wish::default() };
            fleet.tell(start("t", Tenure::Managed, place));
            fleet.run(10 * MINUTE);
            fleet.tell(end("t", TaskEnd::Completed));
            fleet.run(30_000);
            let node = fleet.rows("node").remove(0).id;
            let since = fleet.rows("node")[0].record.status_since;
            let until = since.as_millis() + ms;
            // Whoever asks is refused until then.
            while fleet.now.as_millis() + 20_000 < until {
                assert_eq!(fleet.statuses("node"), ["warm"], "{value}, by {net} alone");
                let why = "it is warm for 35 minutes".to_owned();
                let asked = fleet.call::<Node, _>(node.as_str(), Expire { why });
                assert_eq!(asked.unwrap_err().kind(), ErrorKind::Refused);
                fleet.run((until - fleet.now.as_millis() - 10_000).clamp(10_000, 10 * MINUTE));
            }
            fleet.run(30 * MINUTE);
            assert_eq!(fleet.why(node.as_str()), "warm period over", "{value}, by {net} alone");
            fleet.assert_nothing_left();
        }
    }
    for (net, alone) in NETS {
        let mut fleet = alone(Fleet::new());
        fleet.tell(own_time("workspace_stopped_ttl", "40m"));
        request(&mut fleet, Tenure::External);
        fleet.run(10 * MINUTE);
        let place = Wish { project: Some("slow".to_owned()), ..Wish::on("n") };
        let spec = crate::WorkspaceSpec { tenure: Tenure::Managed, place };
        let name = "w".to_owned();
        fleet.tell(crate::CreateWorkspace { caller: ada(), name, spec });
        fleet.run(MINUTE);
        stop(&mut fleet, "w");
        fleet.run(39 * MINUTE);
        assert_eq!(fleet.status(W), "stopped", "by {net} alone");
        // A stale row is asked for after twice its own time.
        fleet.run(50 * MINUTE);
        assert_eq!(fleet.why(W), "stopped", "by {net} alone");
    }
}
