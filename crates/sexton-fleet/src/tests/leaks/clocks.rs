//! Leaks 7 to 11: clocks by which somebody is judged, and what must not touch them.

use std::time::Duration;

use sexton_core::{Answer, Event, Failure, Timestamp, What};

use crate::placement::{Load, Wish};
use crate::policy::Policy;
use crate::sim_cloud::{HostState, ScriptStep};
use crate::{
    AgentStatus, AgentUp, ContainerCallback, ContainerSays, Expire, Heartbeat, Node, OpenSession,
    Progress, Ready, RequestNode, Session, SessionProgress, TaskRunner, Tenure, Worker, WorkerBeat,
    WorkerInit, WorkerTerms, Workspace,
};

use super::super::harness::{Fleet, HOUR, MINUTE, ada, every_way, id, node_spec, start};
use super::super::sandbox_stories::{self, SECOND, assert_over, migrate, running};
use super::super::stage::{create, running_node, running_workspace};
use super::hand_offs::one_of_each;

const N: &str = "node/n";
const W: &str = "workspace/w";
const T: &str = "task/t";

fn request(fleet: &mut Fleet) {
    let spec = node_spec(Tenure::Managed);
    fleet.tell(RequestNode { caller: ada(), name: "n".to_owned(), spec });
}

fn start_task(fleet: &mut Fleet, place: Wish) {
    fleet.tell(start("t", Tenure::Managed, place));
}

/// A task that comes as far as this step and no farther.
struct Stuck {
    step: &'static str,
    minutes: i64,
    reach: fn(&mut Fleet),
}

const STUCK: [Stuck; 5] = [
    Stuck {
        step: "waiting_for_capacity",
        minutes: 120,
        reach: |fleet| start_task(fleet, Wish::default()),
    },
    Stuck {
        step: "node_provisioning",
        minutes: 15,
        reach: |fleet| {
            fleet.script("node/ada~n1", &ScriptStep::Expect);
            start_task(fleet, Wish::default());
        },
    },
    Stuck {
        step: "node_agent_ready",
        minutes: 15,
        reach: |fleet| {
            fleet.script("node/ada~n1", &ScriptStep::Expect);
            fleet.script("node/ada~n1", &ScriptStep::Boot);
            start_task(fleet, Wish::default());
        },
    },
    Stuck {
        step: "workspace_creation",
        minutes: 10,
        reach: |fleet| {
            fleet.script(N, &ScriptStep::Expect);
            request(fleet);
            fleet.script(N, &ScriptStep::Boot);
            fleet.script(N, &ScriptStep::Ready);
            fleet.run(MINUTE);
            fleet.script(N, &ScriptStep::Down);
            fleet.run(MINUTE);
            start_task(fleet, Wish::on("n"));
        },
    },
    Stuck {
        step: "workspace_ready",
        minutes: 30,
        reach: |fleet| {
            fleet.script("workspace/t~w1", &ScriptStep::Expect);
            start_task(fleet, Wish::default());
            fleet.run(7 * MINUTE);
        },
    },
];

/// A fleet in which a task can be stuck at this step.
fn fleet_for(stuck: &Stuck) -> Fleet {
    let nodes_per_owner_max = if stuck.step == "waiting_for_capacity" { 0 } else { 10 };
    // The workspace's own bound is later here, so that it is the task's that is seen.
    let workspace_creating_timeout = Duration::from_secs(2 * 60 * 60);
    let policy = Policy { workspace_creating_timeout, nodes_per_owner_max, ..Policy::default() };
    Fleet::with(policy, None)
}

fn due(fleet: &Fleet) -> Timestamp {
    fleet.rows("task")[0].record.time("due").expect("it is bounded")
}

/// Every order of the first `n` numbers.
pub(super) fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for order in orders(n - 1) {
        for at in 0..n {
            let mut more = order.clone();
            more.insert(at, n - 1);
            all.push(more);
        }
    }
    all
}

#[test]
fn leak_07_a_poll_refreshes_no_clock() {
    // A task that provisioned a machine was polled. Every poll wrote the step that it was in, as
    // it had been before, and with it the time of the last change. The sweep for stuck tasks
    // judged by that time. A task that was polled was never stuck, however long it took.
    //
    // Seen to fail: the bound of a step counted from the last poll.
    for stuck in &STUCK {
        let mut fleet = fleet_for(stuck);
        (stuck.reach)(&mut fleet);
        fleet.run(MINUTE / 2);
        let before = fleet.rows("task");
        assert_eq!(before[0].record.text("step"), Some(stuck.step));
        let (due, asked) = (due(&fleet), fleet.mails("ask"));
        while fleet.now + Duration::from_secs(70) < due {
            fleet.run(MINUTE);
            assert_eq!(fleet.rows("task"), before, "{}", stuck.step);
        }
        assert!(fleet.mails("ask") > asked + 3, "{} is polled", stuck.step);
        assert!(due <= before[0].record.changed_at + Duration::from_secs(7_200));
        fleet.run(70 * SECOND);
        assert!(fleet.why(T).starts_with("failed: timeout"), "{}: {}", stuck.step, fleet.why(T));
        let clock = due.since(before[0].record.changed_at).as_secs();
        let bound = u64::try_from(stuck.minutes * 60).expect("short");
        assert!(clock <= bound, "{}: {clock} s", stuck.step);
    }
    // At the very end: the deadline, a sweep and a sign of life, in every order.
    for stuck in &STUCK {
        for order in orders(3) {
            for shift_ms in [-1, 0, 1, 600_000] {
                polls_at_the_end(stuck, &order, shift_ms);
            }
        }
    }
}

fn polls_at_the_end(stuck: &Stuck, order: &[usize], shift_ms: i64) {
    let mut fleet = fleet_for(stuck).without_sweeps();
    (stuck.reach)(&mut fleet);
    fleet.run(MINUTE / 2);
    let due = due(&fleet).as_millis();
    fleet.run(due - 2 - fleet.now.as_millis());
    // Nothing has rung since: the control plane was busy.
    fleet.now = Timestamp::from_millis(due + shift_ms);
    for act in order {
        // It may be over by now.
        match act {
            0 => {
                let why = "stuck".to_owned();
                drop(fleet.call::<TaskRunner, _>(T, Expire { why }));
            }
            1 => drop(fleet.call::<TaskRunner, _>(T, Progress { caller: ada() })),
            _ => fleet.run(0),
        }
    }
    let is_over = fleet.tombstone(T).is_some() || fleet.status(T) == "destroying";
    assert_eq!(is_over, shift_ms >= 0, "{} {order:?} {shift_ms}", stuck.step);
    fleet.run(MINUTE);
    assert!(fleet.why(T).starts_with("failed: timeout"), "{} {order:?}", stuck.step);
}

fn no_key() -> Failure {
    Failure { class: "auth".to_owned(), message: "no such key".to_owned() }
}

/// Stories whose guards count: retries, back-offs, marks of deadlines, whom a sweep has asked.
const GUARDED: [fn(&mut Fleet); 5] = [
    |fleet| {
        for n in 1..=4 {
            fleet.script(&format!("node/ada~n{n}"), &ScriptStep::Expect);
            fleet.script(&format!("node/ada~n{n}"), &ScriptStep::Failed("network".to_owned()));
        }
        start_task(fleet, Wish::default());
        fleet.run(HOUR);
        assert_eq!(fleet.why(T), "failed: network");
    },
    |fleet| {
        (STUCK[1].reach)(fleet);
        fleet.run(20 * MINUTE);
        assert_eq!(fleet.why(T), "failed: timeout node_provisioning");
        fleet.script("node/ada~n1", &ScriptStep::Boot);
        fleet.run(HOUR);
        fleet.assert_nothing_left();
    },
    |fleet| {
        running_workspace(fleet);
        fleet.refuse(Some(Box::new(|_, is_release| {
            is_release.then(|| Answer::Permanent(no_key()))
        })));
        fleet.destroy(N);
        fleet.run(HOUR);
        assert!(fleet.rows("workspace")[0].record.stalled.is_some());
        fleet.refuse(None);
        fleet.run(HOUR);
        fleet.assert_nothing_left();
    },
    |fleet| {
        fleet.settle_town();
        fleet.add_agent("a");
        fleet.open_bead("b");
        fleet.run(10 * MINUTE);
        fleet.close_bead("b");
        fleet.run(30 * MINUTE);
        fleet.end_town();
        fleet.run(MINUTE);
        fleet.assert_no_town_left();
    },
    |fleet| {
        running(fleet, "s");
        migrate(fleet, "s");
        fleet.run(2 * MINUTE);
        sandbox_stories::stop(fleet, "s");
        fleet.run(2 * HOUR);
        assert_over(fleet, "s", "stopped");
    },
];

#[test]
fn leak_08_what_guards_survives_an_eviction() {
    // Somebody had seen that polls refresh the clock, and kept the time of the true beginning in
    // a field of the object in memory. The platform evicts an object that is idle, and it always
    // is between two alarms. The guard was new at each alarm, and guarded nothing.
    //
    // Seen to fail: the retries of a task left out of what is stored.
    for (n, story) in GUARDED.into_iter().enumerate() {
        let told = |mut fleet: Fleet| -> Vec<Event> {
            story(&mut fleet);
            fleet.events
        };
        let whole = told(Fleet::new());
        assert!(whole.len() > 20, "story {n}");
        // Everybody evicted behind every commit: not one event differs, nor its time.
        assert_eq!(told(Fleet::new().evicting()), whole, "story {n}");
        let deadlines = told(Fleet::new().without_sweeps());
        assert_eq!(told(Fleet::new().without_sweeps().evicting()), deadlines, "story {n}");
        let sweeps = || Fleet::new().without_alarms();
        if n == 2 {
            assert_eq!(told(sweeps().evicting()), told(sweeps()), "story {n}");
        }
    }
}

#[test]
fn leak_09_a_machine_that_stays_creating_is_given_up() {
    // A machine was asked for, and its agent did not come up. The task asked for its status every
    // ten seconds, and got the same answer. There was a bound for the task, a day, and none for
    // the machine. What was never ready was polled and paid for until then, and not deleted then.
    //
    // Seen to fail: no deadline for an agent that does not come.
    every_way(|fleet| {
        fleet.script(N, &ScriptStep::Expect);
        fleet.script(N, &ScriptStep::Boot);
        request(fleet);
        fleet.run(2 * HOUR);
        assert_eq!(fleet.why(N), "no agent after 15 minutes");
        fleet.assert_nothing_left();
    });
    // The same of everything else that is made, each way alone; then who made it, and it goes.
    for alone in [Fleet::without_alarms, Fleet::without_sweeps] {
        let mut fleet = alone(Fleet::new());
        let spec = node_spec(Tenure::External);
        fleet.tell(RequestNode { caller: ada(), name: "n".to_owned(), spec });
        fleet.run(10 * MINUTE);
        fleet.script(W, &ScriptStep::Expect);
        create(&mut fleet, "w", "n");
        fleet.run(29 * MINUTE);
        assert_eq!(fleet.status(W), "creating");
        fleet.run(7 * MINUTE);
        assert_eq!(fleet.status(W), "error");

        let mut fleet = alone(Fleet::new());
        fleet.found();
        fleet.script("container/t/1", &ScriptStep::Down);
        fleet.attach();
        fleet.run(4 * MINUTE);
        assert_eq!(fleet.status("container/t/1"), "starting");
        let mut statuses = Vec::new();
        for _ in 0..120 {
            fleet.run(10 * SECOND);
            statuses.push(fleet.status("container/t/1"));
        }
        assert!(statuses.iter().any(|it| it == "error"), "{statuses:?}");
        fleet.end_town();
        fleet.script("container/t/1", &ScriptStep::Up);
        fleet.run(10 * MINUTE);
        fleet.assert_no_town_left();

        let mut fleet = alone(Fleet::new());
        fleet.cloud.set_host("here", HostState::Silent).expect("in memory");
        sandbox_stories::create(&mut fleet, "s");
        fleet.run(9 * MINUTE);
        assert_eq!(fleet.status("sandbox/s"), "pending");
        fleet.run(7 * MINUTE);
        assert_eq!(fleet.status("sandbox/s"), "failed");
        assert_over(&fleet, "s", "failed");
    }
}

/// Every sign of life that there is, from whoever lives.
fn signs_of_life(fleet: &mut Fleet, agent: &str) {
    let load = Some(Load { cpu: 3, memory: 3 });
    fleet.call::<Node, _>(N, Heartbeat { epoch: 1, load, version: None }).expect("it listens");
    fleet.call::<Node, _>(N, AgentUp { epoch: 1 }).expect("it listens");
    fleet.call::<Node, _>(N, Ready { epoch: 1, version: None }).expect("it listens");
    fleet.call::<Session, _>("session/s", SessionProgress { epoch: 1 }).expect("it listens");
    fleet.call::<TaskRunner, _>(T, Progress { caller: ada() }).expect("it listens");
    fleet.report(agent, AgentStatus::Working);
    let says = ContainerSays::Healthy;
    let healthy = ContainerCallback { epoch: 1, run: 1, says };
    fleet.call::<crate::Container, _>("container/t/1", healthy).expect("it listens");
    fleet.call::<Worker, _>("worker/here", WorkerBeat { epoch: 1 }).expect("it listens");
}

#[test]
fn leak_10_heartbeats_are_not_activity() {
    // A machine's agent sent a heartbeat each minute, and each wrote the row's time of the last
    // update. The sweep for idle machines looked for rows that had not been updated for long.
    // A machine without any work sends heartbeats just the same, so no idle one was ever found.
    let mut fleet = Fleet::new();
    let terms = WorkerTerms::of(&fleet.policy);
    let init = WorkerInit { owner: "platform".to_owned(), terms };
    fleet.create::<Worker>("worker/here", &init);
    start_task(&mut fleet, Wish::default());
    let each = one_of_each(&mut fleet);
    let agent = each.iter().find(|it| it.starts_with("agent/")).expect("it has one").clone();
    for _ in 0..12 {
        signs_of_life(&mut fleet, &agent);
        fleet.run(10 * SECOND);
    }
    let kinds = ["node", "workspace", "session", "task", "town", "container", "agent"];
    let kinds = || kinds.into_iter().chain(["agent_identity", "sandbox", "worker"]);
    let rows = |fleet: &Fleet| kinds().map(|kind| fleet.rows(kind)).collect::<Vec<_>>();
    // Between two signs a town that works ticks, and shows when it does next.
    for _ in 0..18 {
        fleet.run(10 * SECOND);
        let before = rows(&fleet);
        assert!(before.iter().all(|rows| !rows.is_empty()), "one of each kind");
        signs_of_life(&mut fleet, &agent);
        fleet.run(1);
        assert_eq!(rows(&fleet), before, "at {}", fleet.now);
    }
    // And what is idle goes, however alive it is: by each net alone, at every rate.
    for alone in [Fleet::without_alarms, Fleet::without_sweeps] {
        for every_ms in [10 * SECOND, MINUTE, 4 * MINUTE] {
            let mut fleet = alone(Fleet::new());
            running_node(&mut fleet, "n");
            while fleet.status(N) == "running" && fleet.now < Timestamp::from_millis(2 * HOUR) {
                let load = Some(Load { cpu: 3, memory: 3 });
                let heartbeat = Heartbeat { epoch: 1, load, version: None };
                fleet.call::<Node, _>(N, heartbeat).expect("it listens");
                fleet.run(every_ms);
            }
            fleet.run(MINUTE);
            assert_eq!(fleet.why(N), "idle orphan");
            fleet.assert_nothing_left();
        }
    }
    an_agent_that_only_lives_keeps_no_workspace();
}

/// A session's signs of life are those of somebody at work; those of his machine are not.
fn an_agent_that_only_lives_keeps_no_workspace() {
    let mut fleet = Fleet::new();
    running_workspace(&mut fleet);
    let session = "s".to_owned();
    fleet.call::<Workspace, _>(W, OpenSession { caller: ada(), session }).expect("it runs");
    for _ in 0..(2 * 60 + 20) {
        let heartbeat = Heartbeat { epoch: 1, load: None, version: None };
        fleet.call::<Node, _>(N, heartbeat).expect("it listens");
        fleet.run(MINUTE);
    }
    assert_eq!(fleet.tombstone("session/s").expect("it was silent").status, "lost");
    assert_ne!(fleet.status(W), "running");
}

#[test]
fn leak_11_a_migration_is_stale_by_its_own_age() {
    // A cleanup gave up migrations that were stale, and judged by the age of the sandbox. The
    // first migration of an old sandbox was given up in its first seconds, in the middle of the
    // copying, and again each time. One of a young sandbox could hang for as long as it liked.
    //
    // Seen to fail: the bound of a migration counted from the birth of the sandbox.
    let patient = || {
        let usage_tick_every = Duration::from_secs(3_600);
        Policy { usage_tick_every, credit_start_cents: 100_000, ..Policy::default() }
    };
    let nets: [fn(Fleet) -> Fleet; 3] =
        [|fleet| fleet, Fleet::without_alarms, Fleet::without_sweeps];
    for alone in nets {
        let mut fleet = alone(Fleet::with(patient(), None));
        running(&mut fleet, "s");
        fleet.run(20 * HOUR);
        // Two in a row, so that the second is not judged by the first either.
        for to in ["there", "here"] {
            let (name, to_whom) = ("s".to_owned(), to.to_owned());
            fleet.tell(crate::MigrateSandbox { caller: ada(), name, to: to_whom });
            fleet.run(5 * MINUTE);
            assert_eq!(fleet.status("sandbox/s"), "running");
            let row = fleet.rows("sandbox").remove(0);
            assert_eq!(row.record.text("worker"), Some(to), "it was not given up");
            fleet.run(HOUR);
        }
        assert!(!fleet.has_fact("sandbox/s", "migration_given_up"));
        sandbox_stories::stop(&mut fleet, "s");
        fleet.run(MINUTE);
        assert_over(&fleet, "s", "stopped");
    }
    // A young one whose copy is never said to be complete; at every distance of its birth.
    for wait_ms in [0, MINUTE, 9 * MINUTE, 11 * MINUTE, HOUR] {
        for alone in nets {
            let mut fleet = alone(Fleet::with(patient(), None));
            running(&mut fleet, "s");
            fleet.run(wait_ms);
            sandbox_stories::copy_for_ever(&mut fleet);
            migrate(&mut fleet, "s");
            fleet.run(10 * MINUTE - SECOND);
            assert_eq!(fleet.status("sandbox/s"), "migrating", "after {wait_ms} ms");
            fleet.run(6 * MINUTE);
            assert_eq!(fleet.status("sandbox/s"), "running", "after {wait_ms} ms");
            let is_it = |event: &&Event| matches!(&event.what, What::Fact { name, .. } if name == "migration_given_up");
            let given_up: Vec<&Event> = fleet.events.iter().filter(is_it).collect();
            assert_eq!(given_up.len(), 1, "once");
            assert_eq!(given_up[0].actor, id("sandbox/s"));
            fleet.run(10 * MINUTE);
            sandbox_stories::stop(&mut fleet, "s");
            fleet.run(5 * MINUTE);
            assert_over(&fleet, "s", "stopped");
        }
    }
}
