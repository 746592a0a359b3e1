//! The end of a workspace and of a node: the process, the directory, the tombstone, the event;
//! whatever happened to the agent before.

use rustix::process::Signal;
use sexton_fleet::{EndWorkspace, Node, Owner, Workspace, WorkspaceEnd};

use super::fleet::end_node;
use super::support::{Ground, Plane, caller, kill, on_disk};

async fn end_workspace(plane: &Plane, name: &str) {
    let end = WorkspaceEnd::Destroy { why: "deleted".to_owned() };
    let end = EndWorkspace { caller: caller(), name: name.to_owned(), end };
    plane.actor::<Owner>("alice").call(end).await.expect("he may");
    plane.until_buried::<Workspace>(name).await;
}

/// What an end is for: nothing runs, nothing lies there, and it is written that it ended, once.
async fn check_end(kill: impl FnOnce(&Ground, &std::path::Path)) {
    let ground = Ground::new();
    let (plane, machine) = ground.plane_with(&["w-1", "w-2"]).await;
    let (process, files) = on_disk(&machine, "w-1");
    let (other, others_files) = on_disk(&machine, "w-2");
    assert!(process.is_alive() && files.exists());
    kill(&ground, &machine);
    end_workspace(&plane, "w-1").await;
    assert!(!process.is_alive() && !files.exists());
    assert!(other.is_alive() && others_files.exists());
    assert_eq!((plane.n_burials("workspace", "w-1"), plane.n_burials("workspace", "w-2")), (1, 0));
    end_node(&plane, "n-1").await;
    assert!(!other.is_alive());
    assert_eq!((plane.n_burials("workspace", "w-2"), plane.n_burials("node", "n-1")), (1, 1));
    ground.check_empty();
}

#[tokio::test]
async fn a_workspace_that_ends_leaves_a_tombstone_and_an_event_and_nothing_else() {
    check_end(|_, _| {}).await;
}

#[tokio::test]
async fn a_workspace_ends_also_when_its_agent_was_killed_beforehand() {
    check_end(|_, machine| {
        kill(&Ground::agent(machine));
    })
    .await;
}

#[tokio::test]
async fn a_workspace_ends_also_when_its_process_was_killed_beforehand() {
    check_end(|_, machine| {
        let (process, _) = on_disk(machine, "w-1");
        kill(&process);
    })
    .await;
}

#[tokio::test]
async fn a_workspace_ends_also_when_it_is_halted() {
    check_end(|_, machine| {
        let (process, _) = on_disk(machine, "w-1");
        assert!(process.signal(Signal::STOP).expect("it is ours"));
    })
    .await;
}

#[tokio::test]
async fn a_node_ends_with_all_that_is_on_it_also_when_its_agent_was_killed_beforehand() {
    let ground = Ground::new();
    let (plane, machine) = ground.plane_with(&["w-1"]).await;
    let (process, _) = on_disk(&machine, "w-1");
    kill(&Ground::agent(&machine));
    end_node(&plane, "n-1").await;
    assert!(!process.is_alive());
    assert_eq!((plane.n_burials("workspace", "w-1"), plane.n_burials("node", "n-1")), (1, 1));
    ground.check_empty();
}

/// The effect that ends it is owed, and nobody performs it until the control plane is back.
#[tokio::test]
async fn an_end_that_a_crash_interrupts_goes_on_afterwards() {
    let ground = Ground::new();
    let (plane, machine) = ground.plane_with(&["w-1"]).await;
    let (process, files) = on_disk(&machine, "w-1");
    plane.host.pause_effects().await.unwrap();
    plane.actor::<Node>("n-1").destroy_later("deleted").await.unwrap();
    drop(plane);
    assert!(process.is_alive() && files.exists());
    kill(&Ground::agent(&machine));
    let plane = ground.plane().await;
    plane.until_buried::<Node>("n-1").await;
    assert!(!process.is_alive());
    assert_eq!((plane.n_burials("workspace", "w-1"), plane.n_burials("node", "n-1")), (1, 1));
    ground.check_empty();
}
