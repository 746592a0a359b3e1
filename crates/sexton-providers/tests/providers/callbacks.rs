//! The receiver of callbacks: who may say that a node is ready.

use serde_json::{Value, json};
use sexton_fleet::placement::Wish;
use sexton_fleet::{
    CreateWorkspace, Node, NodeStatus, Owner, Tenure, Workspace, WorkspaceSpec, WorkspaceStatus,
};
use sexton_providers::{Platform, Provider};

use super::fleet::end_node;
use super::support::{Ground, caller, node, until};

#[tokio::test]
async fn a_callback_is_taken_with_the_token_of_that_life_only() {
    let ground = Ground::new();
    let plane = ground.plane().await;
    plane.found().await;
    plane.node("n-1").await;
    let call = async |path: &str, token: &str, body: Value| {
        let url = format!("{}/nodes/{path}", ground.local("x").callbacks.unwrap());
        let request = reqwest::Client::new().post(url).bearer_auth(token).json(&body);
        request.send().await.unwrap().status().as_u16()
    };
    let platform = &ground.platform;
    let right = platform.for_callbacks(("n-1", 1)).unwrap();
    let report = |epoch: u32| json!({ "epoch": epoch, "version": "9.9.9" });
    let stranger = Platform::open(&ground.directory.path().join("other"), "sexton").unwrap();
    let refused = [
        (String::new(), 401),
        (platform.for_agent(("n-1", 1), None).unwrap(), 403),
        (platform.for_callbacks(("n-2", 1)).unwrap(), 403),
        (platform.for_callbacks(("n-1", 2)).unwrap(), 403),
        (stranger.for_callbacks(("n-1", 1)).unwrap(), 401),
    ];
    for (token, expected) in &refused {
        assert_eq!(call("n-1/heartbeat", token, report(1)).await, *expected);
    }
    assert_eq!(call("n-1/heartbeat", &right, report(2)).await, 403, "of another life");
    assert_eq!(call("n-1/heartbeat", &right, json!({ "epoch": 1 })).await, 422);
    assert_eq!(call("n-1/elsewhere", &right, report(1)).await, 404);
    let version = async || {
        let row = plane.actor::<Node>("n-1").row().await.unwrap();
        row.record.text("version").map(str::to_owned)
    };
    assert_eq!(version().await.as_deref(), Some(sexton_agent::VERSION));
    // Its agent must not say otherwise meanwhile.
    let machine = plane.machine(&ground, "n-1").await;
    Ground::agent(&machine).signal(rustix::process::Signal::STOP).unwrap();
    assert_eq!(call("n-1/heartbeat", &right, report(1)).await, 204);
    assert_eq!(version().await.as_deref(), Some("9.9.9"));
    assert_eq!(plane.actor::<Node>("n-1").status().await.unwrap(), NodeStatus::Running);
    end_node(&plane, "n-1").await;
    assert_eq!(call("n-1/heartbeat", &right, report(1)).await, 404, "it has a tombstone");
    assert_eq!(plane.provider.get(&node("n-1")).await.unwrap(), None);
    ground.check_empty();
}

#[tokio::test]
async fn a_machine_that_says_that_it_is_busy_gets_no_further_workspace() {
    let ground = Ground::new();
    let plane = ground.plane().await;
    plane.found().await;
    plane.node("n-1").await;
    let url = format!("{}/nodes/n-1/heartbeat", ground.local("x").callbacks.unwrap());
    let token = ground.platform.for_callbacks(("n-1", 1)).unwrap();
    for (workspace, cpu, on) in [("w-1", 90, "alice~n1"), ("w-2", 10, "n-1")] {
        let load = json!({ "cpu": cpu, "memory": 10 });
        let body = json!({ "epoch": 1, "version": "9.9.9", "load": load });
        let request = reqwest::Client::new().post(&url).bearer_auth(&token).json(&body);
        assert_eq!(request.send().await.unwrap().status(), 204);
        // Somewhere, wherever there is room; the busier one of two is full of others' work.
        let spec = WorkspaceSpec { tenure: Tenure::Managed, place: Wish::default() };
        let create = CreateWorkspace { caller: caller(), name: workspace.to_owned(), spec };
        plane.actor::<Owner>("alice").call(create).await.unwrap();
        let actor = plane.actor::<Workspace>(workspace);
        until("it runs", async || actor.status().await.ok() == Some(WorkspaceStatus::Running))
            .await;
        assert_eq!(actor.row().await.unwrap().record.text("node"), Some(on));
        if cpu > 50 {
            end_node(&plane, "alice~n1").await;
        }
    }
    end_node(&plane, "n-1").await;
    ground.check_empty();
}

#[tokio::test]
async fn agents_call_back_with_a_new_key_after_the_old_one_was_replaced() {
    let ground = Ground::new();
    let plane = ground.plane().await;
    plane.found().await;
    plane.node("n-1").await;
    let machine = plane.machine(&ground, "n-1").await;
    let token = || std::fs::read_to_string(machine.join("token")).unwrap();
    let before = token();
    ground.platform.rotate().unwrap();
    plane.workspace("w-1", "n-1").await;
    assert_ne!(token(), before, "whoever looks for a machine leaves it a token of today");
    assert!(ground.platform.keyring().for_callbacks(&token()).is_ok());
    end_node(&plane, "n-1").await;
    ground.check_empty();
}
