//! What performers make of a provider and an agent that do not do what they are asked.
//!
//! Method: a provider that answers what the test says, agents at a port where nobody listens, and
//! the store of a real host, in which the node lives, is going, or is gone.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sexton::{ActorId, ActorRef, EffectId, Performed, Performer, Timestamp};
use sexton_fleet::{
    AgentAnswer, AgentEffect, Fault, Holding, Machine, Node, NodeAnswer, NodeEffect, Orphan,
    Reaper, ReaperAnswer, ReaperEffect, Session, SessionAnswer, SessionEffect, Workspace,
};
use sexton_providers::{
    Agents, Commands, Listing, Made, Order, Performers, Provider, ProviderError,
};

use super::fleet::end_node;
use super::support::{Ground, Plane, node};

/// What the provider says to every call.
#[derive(Clone, Copy)]
enum Says {
    /// There is a machine; nobody listens there.
    Deaf,
    Nothing,
    Fails(Fault),
}

#[derive(Clone)]
struct Scripted(Arc<Mutex<Says>>);

impl Scripted {
    fn answer(&self) -> Result<Option<Made>, ProviderError> {
        let address = "127.0.0.1:1".to_owned();
        let machine = Machine { id: "m-1".to_owned(), address };
        let made = Made { machine, owner: node("gone"), created_at: Timestamp::ZERO };
        match *self.0.lock().expect("nobody panicked") {
            Says::Deaf => Ok(Some(made)),
            Says::Nothing => Ok(None),
            Says::Fails(fault) => Err(ProviderError::new(fault, "as the test says")),
        }
    }
}

impl Provider for Scripted {
    fn installation(&self) -> &'static str {
        "ours"
    }

    async fn create(&self, _order: &Order) -> Result<Made, ProviderError> {
        let made = self.answer()?;
        made.ok_or_else(|| ProviderError::new(Fault::Capacity, "there is no room"))
    }

    async fn get(&self, _owner: &ActorRef) -> Result<Option<Made>, ProviderError> {
        self.answer()
    }

    async fn delete(&self, _owner: &ActorRef) -> Result<(), ProviderError> {
        self.answer().map(drop)
    }

    async fn list(&self) -> Result<Listing, ProviderError> {
        let machines: Vec<Made> = self.answer()?.into_iter().collect();
        // Where it lists nothing it says that it may have more.
        Ok(Listing { complete: !machines.is_empty(), machines })
    }
}

struct Stage {
    performers: Performers<Scripted>,
    says: Scripted,
}

impl Stage {
    fn new(ground: &Ground, plane: &Plane) -> Self {
        let says = Scripted(Arc::new(Mutex::new(Says::Deaf)));
        let agents = Agents::new(Arc::clone(&ground.platform)).expect("a client");
        let commands = Commands { workspace: Vec::new(), session: Vec::new() };
        let store = Arc::clone(plane.host.store());
        let performers = Performers::new(says.clone(), agents, store, commands);
        Self { performers, says }
    }

    fn says(&self, what: Says) {
        *self.says.0.lock().expect("nobody panicked") = what;
    }

    async fn node(&self, effect: NodeEffect) -> String {
        let performer = &self.performers;
        told(Performer::<Node>::perform(performer, id("node", "n-1"), effect, 0).await)
    }

    async fn workspace(&self, effect: AgentEffect) -> String {
        let performer = &self.performers;
        told(Performer::<Workspace>::perform(performer, id("workspace", "w"), effect, 0).await)
    }

    async fn session(&self, effect: SessionEffect) -> String {
        let performer = &self.performers;
        told(Performer::<Session>::perform(performer, id("session", "s"), effect, 0).await)
    }

    async fn reaper(&self, effect: ReaperEffect) -> String {
        let performer = &self.performers;
        told(Performer::<Reaper>::perform(performer, id("reaper", "r"), effect, 0).await)
    }
}

fn id(kind: &str, name: &str) -> EffectId {
    let id = ActorId::new(kind, name).expect("a good name");
    EffectId { actor: ActorRef { id, incarnation: 1 }, number: 1 }
}

/// An end of an attempt in few words.
fn told<T: std::fmt::Debug>(performed: Performed<T>) -> String {
    match performed {
        Performed::Done(answer) => format!("{answer:?}"),
        Performed::Transient(failure) => format!("later: {}", failure.class),
        Performed::Permanent(failure) => format!("never: {}", failure.class),
    }
}

#[tokio::test]
async fn effects_of_a_workspace_and_a_session_end_as_their_machine_stands() {
    let ground = Ground::new();
    let plane = ground.plane().await;
    plane.found().await;
    plane.node("n-1").await;
    let stage = Stage::new(&ground, &plane);
    let (of, workspace) = (|| node("n-1"), id("workspace", "w").actor);
    let create = || AgentEffect::Create { node: of(), run: 1 };
    let start = || SessionEffect::Start { node: of(), workspace: workspace.clone() };
    let stop = || SessionEffect::Stop { node: of(), workspace: workspace.clone() };
    let delete = || AgentEffect::Delete { node: of() };
    for (says, used, given_back) in [
        (Says::Deaf, "later: network", "later: network"),
        (Says::Fails(Fault::Auth), "later: auth", "later: auth"),
    ] {
        stage.says(says);
        assert_eq!(stage.workspace(create()).await, used);
        assert_eq!(stage.workspace(AgentEffect::Wake { node: of() }).await, used);
        assert_eq!(stage.session(start()).await, used);
        assert_eq!(stage.workspace(delete()).await, given_back);
        assert_eq!(stage.workspace(AgentEffect::Stop { node: of() }).await, given_back);
        assert_eq!(stage.session(stop()).await, given_back);
    }
    let (deleted, stopped) = (AgentAnswer::Deleted, SessionAnswer::Stopped);
    stage.says(Says::Nothing);
    assert_eq!(stage.workspace(create()).await, "never: not_found");
    assert_eq!(stage.session(start()).await, "never: not_found");
    assert_eq!(stage.workspace(delete()).await, format!("{deleted:?}"));
    assert_eq!(stage.session(stop()).await, format!("{stopped:?}"));
    // The node has its tombstone: its disk is gone, and nobody waits for its agent.
    end_node(&plane, "n-1").await;
    for says in [Says::Deaf, Says::Fails(Fault::Network)] {
        stage.says(says);
        assert_eq!(stage.workspace(delete()).await, format!("{deleted:?}"));
        assert_eq!(stage.session(stop()).await, format!("{stopped:?}"));
    }
    ground.check_empty();
}

#[tokio::test]
async fn effects_of_a_node_end_by_the_class_of_what_failed() {
    let ground = Ground::new();
    let plane = ground.plane().await;
    let stage = Stage::new(&ground, &plane);
    let create = |installation: &str| NodeEffect::Create {
        installation: installation.to_owned(),
        size: "local".to_owned(),
        location: "here".to_owned(),
    };
    assert!(stage.node(create("ours")).await.starts_with("Created("));
    assert_eq!(stage.node(create("theirs")).await, "never: invalid");
    let delete = || NodeEffect::Delete { machine: None };
    assert_eq!(stage.node(delete()).await, format!("{:?}", NodeAnswer::Deleted));
    // Seen to fail when `not_found` of a deletion was taken for done: it may be about a thing that
    // the provider asked for meanwhile.
    for fault in Fault::ALL {
        stage.says(Says::Fails(fault));
        let (made, gone) = match fault {
            Fault::Network => ("later: network".to_owned(), "later: network".to_owned()),
            Fault::NotFound
            | Fault::Capacity
            | Fault::Quota
            | Fault::Region
            | Fault::Invalid
            | Fault::Auth
            | Fault::RateLimit
            | Fault::Unknown => {
                (format!("never: {}", fault.name()), format!("later: {}", fault.name()))
            }
        };
        assert_eq!(stage.node(create("ours")).await, made);
        assert_eq!(stage.node(delete()).await, gone);
    }
    let holding = || Holding::Volume { name: "v".to_owned() };
    assert_eq!(stage.node(NodeEffect::Attach { holding: holding() }).await, "never: invalid");
    assert_eq!(stage.node(NodeEffect::Release { holding: holding() }).await, "Released");
}

#[tokio::test]
async fn a_listing_that_failed_or_lacks_something_leads_to_no_delete() {
    let ground = Ground::new();
    let plane = ground.plane().await;
    let stage = Stage::new(&ground, &plane);
    let find = |installation: &str| ReaperEffect::FindOrphans {
        installation: installation.to_owned(),
        age: Duration::ZERO,
    };
    let found = stage.reaper(find("ours")).await;
    assert!(found.contains("complete: true") && found.contains("m-1"), "{found}");
    assert_eq!(stage.reaper(find("theirs")).await, "never: invalid");
    let orphan = || Orphan { machine: "m-1".to_owned(), owner: node("gone") };
    let delete = |installation: &str| ReaperEffect::DeleteOrphan {
        orphan: orphan(),
        installation: installation.to_owned(),
    };
    let spared = format!("{:?}", ReaperAnswer::Spared);
    assert_eq!(stage.reaper(delete("theirs")).await, spared);
    assert_eq!(stage.reaper(delete("ours")).await, format!("{:?}", ReaperAnswer::Deleted));
    stage.says(Says::Nothing);
    let found = stage.reaper(find("ours")).await;
    assert!(found.contains("complete: false"), "{found}");
    stage.says(Says::Fails(Fault::Network));
    assert_eq!(stage.reaper(find("ours")).await, "never: network");
    assert_eq!(stage.reaper(delete("ours")).await, "never: network");
}
