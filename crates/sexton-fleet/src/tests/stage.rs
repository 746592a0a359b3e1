//! Props for stories about nodes, workspaces and sessions: what is there when one begins.

use sexton_core::{ActorId, ActorRef, Body, Mail, Timestamp, What, codec, key, query};

use crate::placement::{Place, Wish};
use crate::policy::Policy;
use crate::sim_cloud::ScriptStep;
use crate::workspace::WorkspaceTerms;
use crate::{
    CreateWorkspace, EndWorkspace, Node, NodeClass, NodeSpec, Ready, RequestNode, Tenure,
    WorkspaceEnd, WorkspaceSpec,
};

use super::harness::{Fleet, MINUTE, ada, id, node_spec};

/// A task that never was: what it is told becomes a dead letter, and can be counted.
pub(super) const NOBODY: &str = "task/nobody";

/// A managed node that runs, and that nobody has used yet.
pub(super) fn running_node(fleet: &mut Fleet, name: &str) {
    let spec = node_spec(Tenure::Managed);
    fleet.tell(RequestNode { caller: ada(), name: name.to_owned(), spec });
    fleet.run(10 * MINUTE);
    assert_eq!(fleet.status(&format!("node/{name}")), "running");
}

pub(super) fn create(fleet: &mut Fleet, workspace: &str, node: &str) {
    let spec = WorkspaceSpec { tenure: Tenure::Managed, place: Wish::on(node) };
    fleet.tell(CreateWorkspace { caller: ada(), name: workspace.to_owned(), spec });
}

/// A node `n` with a workspace `w` of its user's that runs.
pub(super) fn running_workspace(fleet: &mut Fleet) {
    running_node(fleet, "n");
    create(fleet, "w", "n");
    fleet.run(MINUTE);
    assert_eq!(fleet.status("workspace/w"), "running");
}

/// A node `ada~n1` that the fleet made, with a workspace `w` of its user's that runs.
pub(super) fn made_workspace(fleet: &mut Fleet) {
    let spec = WorkspaceSpec { tenure: Tenure::Managed, place: Wish::default() };
    fleet.tell(CreateWorkspace { caller: ada(), name: "w".to_owned(), spec });
    fleet.run(10 * MINUTE);
    assert_eq!(fleet.status("node/ada~n1"), "running");
    assert_eq!(fleet.status("workspace/w"), "running");
}

pub(super) fn stop(fleet: &mut Fleet, workspace: &str) {
    let name = workspace.to_owned();
    fleet.tell(EndWorkspace { caller: ada(), name, end: WorkspaceEnd::Stop });
}

pub(super) fn destroy(fleet: &mut Fleet, workspace: &str) {
    let (name, why) = (workspace.to_owned(), "deleted".to_owned());
    fleet.tell(EndWorkspace { caller: ada(), name, end: WorkspaceEnd::Destroy { why } });
}

/// So many milliseconds past the end of the warm period, of which no alarm has rung yet: the
/// control plane was busy or down.
pub(super) fn until_warm_ends(fleet: &mut Fleet, past_ms: i64) {
    let due = fleet.rows("node")[0].record.time("due").expect("it is warm");
    fleet.run(due.as_millis() - 1 - fleet.now.as_millis());
    fleet.now = Timestamp::from_millis(due.as_millis() + past_ms);
    assert_eq!(fleet.status("node/n"), "warm");
}

/// A placement as the owner would ask for it.
pub(super) fn place(workspace: &str, task: Option<&str>, lease: Option<u64>) -> Place {
    Place {
        workspace: workspace.to_owned(),
        task: task.map(id),
        tenure: Tenure::Managed,
        terms: WorkspaceTerms::of(&Policy::default()),
        lease,
    }
}

/// A user's own machine as node `n`, which nobody of ours made.
pub(super) fn user_owned(fleet: &mut Fleet) {
    let me = ActorRef { id: id("node/n"), incarnation: 1 };
    let now = fleet.now;
    fleet.cloud.plant(now, &me, "the user's own", ("desk", "home")).expect("a working cloud");
    let spec = NodeSpec { class: NodeClass::UserOwned, ..node_spec(Tenure::Managed) };
    fleet.tell(RequestNode { caller: ada(), name: "n".to_owned(), spec });
    fleet.run(MINUTE);
    assert_eq!(fleet.status("node/n"), "creating", "it waits for its agent");
    fleet.call::<Node, _>("node/n", Ready { epoch: 1, version: None }).expect("its own epoch");
}

/// A workspace `w` that runs on a node `n` whose machine is gone, which ends neither.
pub(super) fn workspace_without_machine(fleet: &mut Fleet) {
    user_owned(fleet);
    create(fleet, "w", "n");
    fleet.run(MINUTE);
    fleet.script("node/n", &ScriptStep::Lost("unplugged".to_owned()));
    fleet.run(MINUTE);
    assert_eq!(fleet.status("workspace/w"), "running");
}

/// A node `n` that is warm since this moment.
pub(super) fn warm_node(fleet: &mut Fleet) {
    running_workspace(fleet);
    destroy(fleet, "w");
    fleet.run(1);
    assert_eq!(fleet.status("node/n"), "warm");
}

/// What was sent to somebody who could not take it, by message.
pub(super) fn dead_letters(fleet: &Fleet, to: &str) -> Vec<String> {
    let mut names = Vec::new();
    for event in fleet.events.iter().filter(|event| event.actor == id(to)) {
        if let What::DeadLetter { message, .. } = &event.what {
            names.push(message.clone());
        }
    }
    names
}

/// What lies in somebody's inbox, by message.
pub(super) fn mail(fleet: &Fleet, to: &str) -> Vec<String> {
    use sexton_core::Store;

    let prefix = key::inbox(&id(to));
    let found = fleet.store.scan(&prefix, &key::end_of(&prefix), 100).expect("readable");
    let read = |bytes: &[u8]| codec::open::<Mail>(bytes).expect("a mail").body;
    found.iter().map(|(_, bytes)| Body::name(&read(bytes)).to_owned()).collect()
}

/// The node's state, for what is in no row.
pub(super) fn node(fleet: &Fleet, name: &str) -> Node {
    let id = ActorId::new("node", name).expect("a name");
    query::state::<Node>(&*fleet.store, &id).expect("readable").expect("alive")
}

/// How often a thing was recorded of somebody.
pub(super) fn facts(fleet: &Fleet, who: &str, fact: &str) -> usize {
    let is_it = |what: &What| matches!(what, What::Fact { name, .. } if name == fact);
    fleet.events.iter().filter(|event| event.actor == id(who) && is_it(&event.what)).count()
}
