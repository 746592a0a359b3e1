//! The control plane is killed, closed and started again: every process is accounted for.

use std::fs;

use serde_json::json;

use super::support::{Ground, kill, until, workspace};

#[tokio::test]
async fn after_sigkill_the_next_start_adopts_everything() {
    let ground = Ground::new();
    let plane = ground.start().await;
    let alice = plane.owner(&ground, "alice").await;
    let before = [alice.workspace("w-1").await, alice.workspace("w-2").await];
    alice.put("/tasks/t-1", json!({ "node": "n-1" })).await;
    alice.until("/tasks/t-1", "in_progress").await;
    alice.put("/towns/berlin", json!({})).await;
    alice.put("/towns/berlin/rigs/r-1", json!({})).await;
    // Two workspaces, that of the task with its session, a container, and an agent.
    let mut running = ground.running();
    until("everything runs", async || {
        running = ground.running();
        running.len() >= 6
    })
    .await;
    let agent = ground.agent();
    plane.kill();
    assert!(agent.is_alive() && before.iter().all(|(process, _)| process.is_alive()));
    // The task ends while nobody is there to be told.
    let disk = before[0].1.parent().expect("it has one");
    for entry in fs::read_dir(disk).unwrap() {
        fs::write(entry.unwrap().path().join("end"), "").unwrap();
    }
    let plane = ground.start().await;
    let alice = plane.owner(&ground, "alice").await;
    assert_eq!([alice.process("w-1").await, alice.process("w-2").await], before);
    assert_eq!(ground.agent(), agent, "found, and not started again");
    let task = alice.until_buried("/tasks/t-1").await;
    assert_eq!(task["status"], "completed", "its agent said it until it was heard: {task}");
    assert_eq!(alice.get("/towns/berlin").await.1["status"], "settled");
    for path in ["/towns/berlin", "/nodes/n-1"] {
        alice.end(path).await;
    }
    ground.check_empty().await;
}

#[tokio::test]
async fn a_deletion_that_sigkill_interrupts_goes_on_afterwards() {
    let ground = Ground::new();
    let plane = ground.start().await;
    let alice = plane.owner(&ground, "alice").await;
    let (process, directory) = alice.workspace("w-1").await;
    let agent = ground.agent();
    // A machine that hangs: what it owes cannot be done while this control plane is there.
    assert!(agent.signal(rustix::process::Signal::STOP).unwrap());
    assert_eq!(alice.delete(&workspace("w-1")).await.0, 202);
    plane.kill();
    assert!(process.is_alive() && directory.exists());
    assert!(agent.is_alive(), "it halts, and nothing else happened to it");
    kill(&agent);
    let plane = ground.start().await;
    let alice = plane.owner(&ground, "alice").await;
    alice.until_buried(&workspace("w-1")).await;
    assert!(!process.is_alive() && !directory.exists());
    alice.end("/nodes/n-1").await;
    assert_eq!(alice.events("destroyed").await.len(), 2, "each once");
    ground.check_empty().await;
}

#[tokio::test]
async fn an_orderly_end_leaves_the_machines_running_and_the_next_start_finds_them() {
    let ground = Ground::new();
    let plane = ground.start().await;
    let alice = plane.owner(&ground, "alice").await;
    let before = alice.workspace("w-1").await;
    let agent = ground.agent();
    assert!(plane.close().await, "{}", ground.log());
    assert!(before.0.is_alive() && agent.is_alive());
    let plane = ground.start().await;
    let alice = plane.owner(&ground, "alice").await;
    assert_eq!(alice.process("w-1").await, before);
    alice.end("/nodes/n-1").await;
    ground.check_empty().await;
}

/// Seen to fail when the address was written before the store was opened: the third start took the
/// second one's for the right one.
#[tokio::test]
async fn a_start_that_fails_leaves_everything_as_it_was() {
    let ground = Ground::new();
    let plane = ground.start().await;
    let address = ground.root().join("plane/address");
    let before = fs::read(&address).unwrap();
    let elsewhere = ground.command_at("127.0.0.1:0", "").output().unwrap();
    let said = String::from_utf8(elsewhere.stderr).unwrap();
    assert!(!elsewhere.status.success() && said.contains("in use by another process"), "{said}");
    assert_eq!(fs::read(&address).unwrap(), before);
    assert!(plane.close().await);
    fs::write(&address, "there").unwrap();
    let garbled = ground.command("").output().unwrap();
    let said = String::from_utf8(garbled.stderr).unwrap();
    assert!(!garbled.status.success() && said.contains(address.to_str().unwrap()), "{said}");
}

#[tokio::test]
async fn a_second_one_in_the_same_place_does_not_start_and_says_why() {
    let ground = Ground::new();
    let plane = ground.start().await;
    let alice = plane.owner(&ground, "alice").await;
    let before = alice.workspace("w-1").await;
    let same = ground.command("").output().unwrap();
    let said = String::from_utf8(same.stderr).unwrap();
    assert!(!same.status.success() && said.contains("failed to listen on"), "{said}");
    // Elsewhere its agents would not be heard.
    let elsewhere = ground.command_at("127.0.0.1:0", "").output().unwrap();
    let said = String::from_utf8(elsewhere.stderr).unwrap();
    assert!(!elsewhere.status.success() && said.contains("machines run that call"), "{said}");
    assert_eq!(alice.process("w-1").await, before);
    alice.end("/nodes/n-1").await;
    ground.check_empty().await;
}
