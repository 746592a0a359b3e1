//! What is deleted through the API is a process that no longer exists, a directory that is gone,
//! a tombstone, and an event; whatever was killed before.

use serde_json::json;

use super::support::{Ground, kill, until, workspace};

async fn check_end(kill: impl FnOnce(&Ground, &sexton_agent::process::Process)) {
    let ground = Ground::new();
    let plane = ground.start().await;
    let alice = plane.owner(&ground, "alice").await;
    let (process, directory) = alice.workspace("w-1").await;
    let (other, others_directory) = alice.workspace("w-2").await;
    assert!(process.is_alive() && directory.exists());
    kill(&ground, &process);
    let (status, view) = alice.delete(&workspace("w-1")).await;
    assert_eq!((status, view["status"].as_str()), (202, Some("destroying")), "{view}");
    let end = alice.until_buried(&workspace("w-1")).await;
    assert_eq!(end["tombstone"]["why"], "deleted");
    assert!(!process.is_alive() && !directory.exists());
    assert!(other.is_alive() && others_directory.exists());
    let buried = ("workspace".to_owned(), "w-1".to_owned());
    assert_eq!(alice.events("destroyed").await, [buried]);
    // Again is the same answer, and the name does not come back.
    assert_eq!(alice.delete(&workspace("w-1")).await, (200, end));
    let (status, refused) = alice.put(&workspace("w-1"), json!({ "node": "n-1" })).await;
    assert_eq!((status, refused["code"].as_str()), (409, Some("conflict")), "{refused}");
    let (status, _) = alice.delete("/nodes/n-1").await;
    assert_eq!(status, 202);
    alice.until_buried("/nodes/n-1").await;
    assert!(!other.is_alive() && !others_directory.exists());
    assert_eq!(alice.events("destroyed").await.len(), 3);
    ground.check_empty().await;
}

#[tokio::test]
async fn a_workspace_that_is_deleted_leaves_a_tombstone_and_an_event_and_nothing_else() {
    check_end(|_, _| {}).await;
}

#[tokio::test]
async fn a_workspace_is_deleted_also_when_its_agent_was_killed_beforehand() {
    check_end(|ground, _| kill(&ground.agent())).await;
}

#[tokio::test]
async fn a_workspace_is_deleted_also_when_its_process_was_killed_beforehand() {
    check_end(|_, process| kill(process)).await;
}

#[tokio::test]
async fn a_node_is_deleted_with_all_that_is_on_it_also_when_its_agent_was_killed_beforehand() {
    let ground = Ground::new();
    let plane = ground.start().await;
    let alice = plane.owner(&ground, "alice").await;
    let (process, _) = alice.workspace("w-1").await;
    kill(&ground.agent());
    alice.end("/nodes/n-1").await;
    assert!(!process.is_alive());
    assert_eq!(alice.events("destroyed").await.len(), 2);
    ground.check_empty().await;
}

#[tokio::test]
async fn the_container_of_a_town_is_a_process_that_goes_with_it() {
    let ground = Ground::new();
    let plane = ground.start().await;
    let alice = plane.owner(&ground, "alice").await;
    assert_eq!(alice.put("/towns/berlin", json!({})).await.0, 202);
    assert_eq!(ground.running(), []);
    assert_eq!(alice.put("/towns/berlin/rigs/r-1", json!({})).await.0, 202);
    until("its container runs", async || ground.running().len() == 1).await;
    let containers = async || alice.get("/containers").await.1;
    until("it says so", async || containers().await["items"][0]["status"] == "running").await;
    assert_eq!(alice.delete("/towns/berlin").await.0, 202);
    alice.until_buried("/towns/berlin").await;
    assert_eq!(ground.running(), []);
    assert_eq!(containers().await["items"], json!([]));
}
