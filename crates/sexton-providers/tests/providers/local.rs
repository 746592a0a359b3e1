//! `LocalProcesses` by itself: its duties, what a crash leaves, and what is not its own.

use std::sync::Arc;

use sexton::ActorRef;
use sexton_fleet::Fault;
use sexton_providers::conformance::{self, Terms};
use sexton_providers::{Agents, LocalProcesses, Made, Order, Provider, Target};

use super::support::{Ground, kill, node, until};

fn order(name: &str) -> Order {
    Order { owner: node(name), size: "local".to_owned(), location: "here".to_owned() }
}

async fn create(provider: &LocalProcesses, name: &str) -> Made {
    provider.create(&order(name)).await.expect("it is made")
}

async fn delete(provider: &LocalProcesses, owner: &ActorRef) {
    provider.delete(owner).await.expect("it is deleted");
}

#[tokio::test]
async fn local_processes_keep_the_duties_of_a_provider() {
    let ground = Ground::new();
    let terms = Terms { size: "local".to_owned(), location: "here".to_owned() };
    conformance::check(async |installation| ground.provider(installation), &terms).await;
    ground.check_empty();
}

#[tokio::test]
async fn an_agent_that_was_started_and_not_written_down_is_adopted() {
    let ground = Ground::new();
    let provider = ground.provider("ours");
    let made = create(&provider, "n-1").await;
    let machine = ground.root().join(&made.machine.id);
    let agent = Ground::agent(&machine);
    // The control plane was killed before the agent wrote down where it listens.
    let presence = std::fs::read(machine.join("disk/agent.json")).unwrap();
    std::fs::remove_file(machine.join("disk/agent.json")).unwrap();
    let provider = ground.provider("ours");
    let order = order("n-1");
    let (again, ()) = tokio::join!(provider.create(&order), async {
        sexton_agent::clock::rest(std::time::Duration::from_millis(100)).await;
        std::fs::write(machine.join("disk/agent.json"), &presence).unwrap();
    });
    assert_eq!(again.unwrap(), made);
    assert!(agent.is_alive());
    assert_eq!(ground.running().len(), 1);
    delete(&provider, &made.owner).await;
    ground.check_empty();
}

#[tokio::test]
async fn an_agent_without_any_file_is_ended_with_its_machine() {
    let ground = Ground::new();
    let provider = ground.provider("ours");
    let made = create(&provider, "n-1").await;
    let agent = Ground::agent(&ground.root().join(&made.machine.id));
    std::fs::remove_dir_all(ground.root().join(&made.machine.id)).unwrap();
    assert!(agent.is_alive());
    delete(&provider, &made.owner).await;
    assert!(!agent.is_alive());
    ground.check_empty();
}

#[tokio::test]
async fn an_agent_that_died_is_started_again_where_it_was() {
    let ground = Ground::new();
    let provider = ground.provider("ours");
    let made = create(&provider, "n-1").await;
    let machine = ground.root().join(&made.machine.id);
    let agent = Ground::agent(&machine);
    kill(&agent);
    let listed = provider.list().await.unwrap();
    assert_eq!(listed.machines, std::slice::from_ref(&made), "its disk is there, so it is");
    let again = provider.get(&made.owner).await.unwrap();
    assert_eq!(again, Some(made.clone()), "the same address, too");
    assert_ne!(Ground::agent(&machine), agent);
    delete(&provider, &made.owner).await;
    ground.check_empty();
}

/// A number that the file names and that is somebody else's by now.
#[tokio::test]
async fn a_stranger_with_the_number_of_an_agent_is_left_alone() {
    let ground = Ground::new();
    let provider = ground.provider("ours");
    let first = create(&provider, "n-1").await;
    // The system's clock for this ticks a hundred times a second, and no number comes back so soon.
    sexton_agent::clock::rest(std::time::Duration::from_millis(30)).await;
    let second = create(&provider, "n-2").await;
    let other = Ground::agent(&ground.root().join(&second.machine.id));
    let path = ground.root().join(&first.machine.id).join("disk/agent.json");
    let agent = Ground::agent(&ground.root().join(&first.machine.id));
    let text = std::fs::read_to_string(&path).unwrap();
    let of = |pid: i32| format!("\"pid\": {pid}");
    assert!(text.contains(&of(agent.pid)), "{text}");
    std::fs::write(&path, text.replace(&of(agent.pid), &of(other.pid))).unwrap();
    delete(&provider, &first.owner).await;
    assert!(other.is_alive() && !agent.is_alive());
    delete(&provider, &second.owner).await;
    ground.check_empty();
}

#[tokio::test]
async fn what_cannot_be_made_is_told_by_its_class_and_leaves_nothing_running() {
    let ground = Ground::new();
    let mut local = ground.local("ours");
    local.agent = vec!["false".to_owned()];
    let broken = LocalProcesses::open(local.clone(), Arc::clone(&ground.platform)).unwrap();
    let error = broken.create(&order("n-1")).await.unwrap_err();
    assert_eq!(error.fault, Fault::Unknown, "{error}");
    // It may have begun, so it is listed until somebody deletes it.
    assert_eq!(broken.list().await.unwrap().machines.len(), 1);
    delete(&broken, &node("n-1")).await;
    local.agent = Vec::new();
    let error = LocalProcesses::open(local, Arc::clone(&ground.platform)).unwrap_err();
    assert_eq!(error.fault, Fault::Invalid);
    let provider = ground.provider("ours");
    for name in ["a", "b", "c", "d"] {
        create(&provider, name).await;
    }
    let error = provider.create(&order("e")).await.unwrap_err();
    assert_eq!(error.fault, Fault::Capacity, "{error}");
    for name in ["a", "b", "c", "d"] {
        delete(&provider, &node(name)).await;
    }
    ground.check_empty();
}

#[tokio::test]
async fn a_note_that_cannot_be_read_is_no_empty_list() {
    let ground = Ground::new();
    let provider = ground.provider("ours");
    let made = create(&provider, "n-1").await;
    let path = ground.root().join(&made.machine.id).join("machine.json");
    let note = std::fs::read(&path).unwrap();
    std::fs::write(&path, "{").unwrap();
    assert!(provider.list().await.is_err());
    assert!(provider.get(&made.owner).await.is_err());
    std::fs::write(&path, note).unwrap();
    assert_eq!(provider.list().await.unwrap().machines.len(), 1);
    delete(&provider, &made.owner).await;
    ground.check_empty();
}

#[tokio::test]
async fn a_deletion_ends_what_the_agent_started_also_without_the_agent() {
    let ground = Ground::new();
    let provider = ground.provider("ours");
    let agents = Agents::new(Arc::clone(&ground.platform)).unwrap();
    let script = "sleep 600 & setsid sleep 600 & wait";
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    for is_killed in [false, true] {
        let made = create(&provider, "n-1").await;
        let order = sexton_agent::wire::Order { run: 1, command: command.clone() };
        let (machine, node) = (&made.machine, &made.owner);
        let target = Target { machine, node, workspace: "w.1", effect: 1 };
        agents.put(target, &order).await.unwrap();
        until("it all runs", async || ground.running().len() == 4).await;
        if is_killed {
            kill(&Ground::agent(&ground.root().join(&made.machine.id)));
        }
        let running = ground.running();
        delete(&provider, &made.owner).await;
        assert!(running.len() >= 3 && running.iter().all(|process| !process.is_alive()));
        ground.check_empty();
    }
}

/// A test that panics drops its guard, and only that.
#[tokio::test]
async fn what_a_test_leaves_is_ended_by_its_guard() {
    let ground = Ground::new();
    let made = create(&ground.provider("ours"), "n-1").await;
    let (root, agent) = (ground.root(), Ground::agent(&ground.root().join(&made.machine.id)));
    assert!(agent.is_alive());
    drop(ground);
    assert!(!agent.is_alive() && !root.exists());
}

/// The lock of all machines was held while one of them started: for twenty seconds nobody could
/// so much as look for another.
#[tokio::test]
async fn an_agent_that_takes_its_time_keeps_nobody_waiting_who_wants_another_machine() {
    let ground = Ground::new();
    let held = ground.directory.path().join("held");
    std::fs::write(&held, "").unwrap();
    let mut local = ground.local("ours");
    let wait = format!(
        "case \"$*\" in *slow*) while [ -e {} ]; do sleep 0.05; done;; esac",
        held.display()
    );
    let script = format!("{wait}; exec {} \"$@\"", local.agent[0]);
    local.agent = ["sh", "-c", &script, "agent"].map(str::to_owned).to_vec();
    let provider = LocalProcesses::open(local, Arc::clone(&ground.platform)).unwrap();
    let slow = order("slow");
    let (slow, ()) = tokio::join!(provider.create(&slow), async {
        let begun = async || provider.list().await.unwrap().machines.len() == 1;
        until("the slow one is begun", begun).await;
        create(&provider, "fast").await;
        delete(&provider, &node("fast")).await;
        std::fs::remove_file(&held).unwrap();
    });
    slow.unwrap();
    delete(&provider, &node("slow")).await;
    ground.check_empty();
    let left: Vec<_> =
        std::fs::read_dir(ground.root()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"], "a machine that is gone leaves no lock of its own");
}

#[tokio::test]
async fn agents_that_died_are_started_again_by_whoever_tends_the_machines() {
    let ground = Ground::new();
    let provider = ground.provider("ours");
    for name in ["a", "b"] {
        let made = create(&provider, name).await;
        kill(&Ground::agent(&ground.root().join(made.machine.id)));
    }
    assert_eq!(ground.running(), []);
    assert_eq!(provider.tend().await.unwrap(), 0);
    assert_eq!(ground.running().len(), 2);
    assert_eq!(provider.tend().await.unwrap(), 0);
    assert_eq!(ground.running().len(), 2, "one agent each");
    for name in ["a", "b"] {
        delete(&provider, &node(name)).await;
    }
    ground.check_empty();
}

/// The log of an agent that is not heard grew without bound.
#[tokio::test]
async fn the_log_of_an_agent_is_bounded() {
    let ground = Ground::new();
    let provider = ground.provider("ours");
    let made = create(&provider, "n-1").await;
    let log = ground.root().join(&made.machine.id).join("log");
    let len = || std::fs::metadata(&log).unwrap().len();
    let mut file = std::fs::File::options().append(true).open(&log).unwrap();
    std::io::Write::write_all(&mut file, &vec![b'x'; 5 << 20]).unwrap();
    provider.get(&node("n-1")).await.unwrap();
    assert!(len() < 1 << 20, "{} bytes", len());
    assert!(std::fs::metadata(log.with_extension("1")).unwrap().len() >= 5 << 20);
    // Its agent, which nobody hears, goes on with it.
    until("it says more", async || len() > 0).await;
    assert!(!std::fs::read(&log).unwrap().contains(&0), "from where it begins now");
    delete(&provider, &node("n-1")).await;
    ground.check_empty();
}
