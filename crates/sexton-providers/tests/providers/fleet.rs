//! The fleet's own actors over real processes: made, used, and there again after a crash.

use std::sync::Arc;
use std::time::Duration;

use sexton::ActorId;
use sexton_fleet::{
    EndNode, Node, NodeStatus, OpenSession, Owner, Reaper, ReaperInit, ReaperStatus, Restart, Scan,
    Session, SessionStatus, Sleep, Wake, Workspace, WorkspaceStatus,
};
use sexton_providers::{Agents, Order, Provider};

use super::support::{Ground, INSTALLATION, Plane, caller, node, on_disk, until};

pub(super) async fn end_node<P: Provider>(plane: &Plane<P>, name: &str) {
    let end = EndNode { caller: caller(), name: name.to_owned(), why: "deleted".to_owned() };
    plane.actor::<Owner>("alice").call(end).await.expect("he may");
    plane.until_buried::<Node>(name).await;
}

fn lines(path: &std::path::Path) -> usize {
    std::fs::read_to_string(path).unwrap_or_default().lines().count()
}

#[tokio::test]
async fn a_node_becomes_ready_by_the_callback_of_its_own_agent() {
    let ground = Ground::new();
    let plane = ground.plane().await;
    plane.found().await;
    plane.node("n-1").await;
    let row = plane.actor::<Node>("n-1").row().await.unwrap();
    assert_eq!(row.record.text("version"), Some(sexton_agent::VERSION));
    let agent = Ground::agent(&plane.machine(&ground, "n-1").await);
    assert_eq!(ground.running(), [agent]);
    end_node(&plane, "n-1").await;
    ground.check_empty();
}

#[tokio::test]
async fn a_workspace_sleeps_wakes_restarts_and_has_sessions_as_real_processes() {
    let ground = Ground::new();
    let (plane, machine) = ground.plane_with(&["w-1"]).await;
    let (process, files) = on_disk(&machine, "w-1");
    assert!(process.is_alive());
    let workspace = plane.actor::<Workspace>("w-1");
    let is = async |status| workspace.status().await.ok() == Some(status);
    workspace.call(OpenSession { caller: caller(), session: "s-1".to_owned() }).await.unwrap();
    until("the session runs", async || lines(&files.join("begun")) == 1).await;
    let session = plane.actor::<Session>("s-1");
    assert_eq!(session.status().await.unwrap(), SessionStatus::Started);
    let n_running = ground.running().len();
    session.destroy("not needed").await.unwrap();
    assert_eq!(ground.running().len(), n_running - 1, "its process went with it");
    assert!(process.is_alive());
    workspace.call(Sleep { caller: caller() }).await.unwrap();
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", process.pid)).unwrap();
    until("it is halted", async || state().contains(") T ")).await;
    workspace.call(Wake { caller: caller() }).await.unwrap();
    until("it goes on", async || !state().contains(") T ")).await;
    assert!(is(WorkspaceStatus::Running).await);
    workspace.call(Sleep { caller: caller() }).await.unwrap();
    workspace.call(Restart { caller: caller() }).await.unwrap();
    until("it was made again", async || lines(&files.join("made")) == 2).await;
    until("it runs", async || is(WorkspaceStatus::Running).await).await;
    assert!(!process.is_alive());
    let made = plane.provider.get(&node("n-1")).await.unwrap().expect("it is there");
    let agents = Agents::new(Arc::clone(&ground.platform)).unwrap();
    let listed = agents.list(&made.machine, &made.owner).await.unwrap();
    assert_eq!((listed[0].run, listed[0].effect), (2, 5), "made, slept, woke, slept, made");
    end_node(&plane, "n-1").await;
    ground.check_empty();
}

#[tokio::test]
async fn after_a_crash_of_the_control_plane_everything_is_accounted_for() {
    let ground = Ground::new();
    let (plane, machine) = ground.plane_with(&["w-1", "w-2"]).await;
    let before = [on_disk(&machine, "w-1"), on_disk(&machine, "w-2")];
    let agent = Ground::agent(&machine);
    drop(plane);
    assert!(agent.is_alive(), "machines outlive the control plane");
    let plane = ground.plane().await;
    assert_eq!(plane.actor::<Node>("n-1").status().await.unwrap(), NodeStatus::Running);
    assert_eq!(plane.machine(&ground, "n-1").await, machine);
    assert_eq!(Ground::agent(&machine), agent, "found, and not started again");
    assert_eq!([on_disk(&machine, "w-1"), on_disk(&machine, "w-2")], before);
    plane.actor::<Workspace>("w-1").destroy("not needed").await.unwrap();
    assert!(!before[0].0.is_alive() && !before[0].1.exists());
    assert!(before[1].0.is_alive());
    end_node(&plane, "n-1").await;
    plane.until_buried::<Workspace>("w-2").await;
    ground.check_empty();
    assert_eq!(plane.provider.list().await.unwrap().machines, []);
    assert_eq!(plane.n_burials("node", "n-1"), 1);
}

/// The store was lost, or a create outlived its node: nobody owns the machine any more.
#[tokio::test]
async fn the_reaper_finds_what_nobody_owns_and_spares_what_somebody_does() {
    let ground = Ground::new();
    let plane = ground.plane().await;
    plane.found().await;
    plane.node("n-1").await;
    let order = |name: &str| Order {
        owner: node(name),
        size: "local".to_owned(),
        location: "here".to_owned(),
    };
    plane.provider.create(&order("lost")).await.unwrap();
    let others = ground.provider("another installation");
    others.create(&order("lost")).await.unwrap();
    let init = ReaperInit {
        installation: INSTALLATION,
        age: Duration::ZERO,
        orphans_max: 5,
        back_off: Duration::from_secs(60),
    };
    let reaper = plane.actor::<Reaper>("main");
    reaper.create(init).await.unwrap();
    reaper.call(Scan).await.unwrap();
    let is_deleted = async || reaper.row().await.unwrap().record.number("deleted") == Some(1);
    until("the orphan is deleted", is_deleted).await;
    assert_eq!(reaper.status().await.unwrap(), ReaperStatus::Idle);
    assert_eq!(plane.provider.get(&node("lost")).await.unwrap(), None);
    assert!(plane.provider.get(&node("n-1")).await.unwrap().is_some());
    assert!(others.get(&node("lost")).await.unwrap().is_some(), "not ours to delete");
    others.delete(&node("lost")).await.unwrap();
    end_node(&plane, "n-1").await;
    ground.check_empty();
}

#[tokio::test]
async fn a_machine_that_cannot_be_made_is_told_to_its_node_by_class() {
    let ground = Ground::new();
    let plane = ground.plane().await;
    plane.found().await;
    for name in ["a", "b", "c", "d"] {
        plane.node(name).await;
    }
    // The fifth is one more than this machine may have.
    let spec = sexton_fleet::NodeSpec {
        tenure: sexton_fleet::Tenure::Managed,
        class: sexton_fleet::NodeClass::Managed,
        role: sexton_fleet::NodeRole::Workspace,
        size: "local".to_owned(),
        location: "here".to_owned(),
    };
    let request = sexton_fleet::RequestNode { caller: caller(), name: "e".to_owned(), spec };
    plane.actor::<Owner>("alice").call(request).await.unwrap();
    let node = plane.actor::<Node>("e");
    until("it failed", async || node.status().await.ok() == Some(NodeStatus::Error)).await;
    assert_eq!(node.row().await.unwrap().record.text("why"), Some("failed: capacity"));
    for name in ["a", "b", "c", "d", "e"] {
        end_node(&plane, name).await;
    }
    ground.check_empty();
    let owner = ActorId::new("owner", "alice").unwrap();
    assert!(plane.host.any(owner).entry().await.unwrap().is_some());
}
