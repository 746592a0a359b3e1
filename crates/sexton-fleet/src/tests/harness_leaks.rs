//! What the tests of leaks share: every message of every kind, one actor of each kind, pictures of
//! store and cloud, and every order of a few things.

use std::collections::BTreeMap;

use sexton_core::sweep::Sweeper;
use sexton_core::{
    Actor, ActorId, ActorRef, Answer, EffectId, Entry, Error, ErrorKind, Handler, Letter, Message,
    Store, Timestamp, What, key, query,
};

use crate::placement::{
    Granted, Leave, NodeNews, NotPlaced, Phase, Placed, SessionEnd, SessionEnded, SessionStarted,
    StartSession, Vacated, Wish, WorkspaceReady,
};
use crate::sweeps::Bereaved;
use crate::*;

use super::harness::{Fleet, MINUTE, ada, id, node_spec, start};
use super::harness_towns::TOWN;
use super::stage::{place, running_workspace};

type Calls = Box<dyn Fn(&mut Fleet, &ActorId, Caller) -> Result<(), Error>>;
type Letters = Box<dyn Fn(&ActorId, Caller) -> Letter>;

/// A message that a kind takes.
pub(super) struct Said {
    pub(super) kind: &'static str,
    pub(super) name: &'static str,
    /// It carries a caller.
    pub(super) is_command: bool,
    /// Says it as a call.
    pub(super) call: Calls,
    /// Says it as a durable message.
    pub(super) letter: Letters,
}

fn said<A: Handler<M>, M: Message>(make: impl Fn(Caller) -> M + Clone + 'static) -> Said {
    let again = make.clone();
    Said {
        kind: A::KIND,
        name: M::NAME,
        is_command: true,
        call: Box::new(move |fleet, to, by| fleet.call::<A, M>(to.as_str(), make(by)).map(drop)),
        letter: Box::new(move |to, by| Letter::new::<A, M>(to, &again(by)).expect("its kind")),
    }
}

/// One without a caller: from another actor, a sweep or the outside world.
fn told<A: Handler<M>, M: Message>(make: impl Fn() -> M + Clone + 'static) -> Said {
    Said { is_command: false, ..said::<A, M>(move |_| make()) }
}

fn text() -> String {
    "x".to_owned()
}

fn parent() -> ActorRef {
    ActorRef { id: id("owner/ada"), incarnation: 1 }
}

fn expire() -> Expire {
    Expire { why: text() }
}

fn bereaved() -> Bereaved {
    Bereaved { parent: parent() }
}

fn ask() -> Ask {
    Ask { task: id("task/t"), workspace: "t~w1".to_owned(), step: Step::NodeSelection }
}

/// Every message of every kind of the fleet.
pub(super) fn every_message() -> Vec<Said> {
    let mut all = Vec::new();
    all.extend(to_owners());
    all.extend(of_sandboxes::<Owner>());
    all.extend(to_nodes());
    all.extend(to_workspaces_and_sessions());
    all.extend(to_tasks());
    all.extend(to_towns());
    all.extend(to_members());
    all.extend(of_sandboxes::<Sandbox>());
    all.extend(to_sandboxes());
    all.extend(to_accounts_and_workers());
    all
}

fn to_owners() -> Vec<Said> {
    let spec = || TaskSpec {
        tenure: Tenure::Managed,
        place: Wish::default(),
        session: TaskSession::Unwanted,
    };
    let place_of = || WorkspaceSpec { tenure: Tenure::Managed, place: Wish::default() };
    let sandbox = || SandboxSpec { start: SandboxStart::Now, worker: text(), scale: 1 };
    vec![
        said::<Owner, _>(|caller| RequestNode {
            caller,
            name: "n".to_owned(),
            spec: node_spec(Tenure::Managed),
        }),
        said::<Owner, _>(|caller| EndNode { caller, name: "n".to_owned(), why: text() }),
        said::<Owner, _>(move |caller| StartTask { caller, name: "t".to_owned(), spec: spec() }),
        said::<Owner, _>(|caller| {
            let end = TaskEnd::Cancelled;
            EndTask { caller, name: "t".to_owned(), end }
        }),
        said::<Owner, _>(move |caller| CreateWorkspace {
            caller,
            name: "w".to_owned(),
            spec: place_of(),
        }),
        said::<Owner, _>(|caller| {
            let end = WorkspaceEnd::Destroy { why: text() };
            EndWorkspace { caller, name: "w".to_owned(), end }
        }),
        told::<Owner, _>(|| {
            let (task, workspace, place) = (id("task/t"), "t~w9".to_owned(), Wish::default());
            let tenure = Tenure::Managed;
            Seek { task, workspace, place, tenure, left: None, held: None, smaller: 0 }
        }),
        told::<Owner, _>(|| Release { workspace: text(), node: None }),
        told::<Owner, _>(|| Forward { node: text(), place: place("w9", None, None) }),
        told::<Owner, _>(|| Returned { node: text(), workspace: text(), tenure: Tenure::Managed }),
        told::<Owner, _>(|| Unseated { node: text(), workspace: text() }),
        said::<Owner, _>(|caller| CreateTown { caller, name: "t".to_owned() }),
        said::<Owner, _>(|caller| EndTown { caller, name: "t".to_owned(), why: text() }),
        said::<Owner, _>(move |caller| CreateSandbox {
            caller,
            name: "s".to_owned(),
            spec: sandbox(),
        }),
        said::<Owner, _>(|caller| AddCredit { caller, cents: 1, gift: "g".to_owned() }),
        said::<Owner, _>(|caller| SetPlan { caller, plan: Plan::Pro }),
        told::<Owner, _>(|| Claimed { node: text(), lease: None }),
        told::<Owner, _>(|| NodeNews { node: text(), phase: Phase::Warm, load: None }),
        told::<Owner, _>(|| NotPlaced { workspace: text(), why: text(), fault: None }),
        told::<Owner, _>(|| Vacated { workspace: text(), why: text(), fault: None }),
        told::<Owner, _>(ask),
        said::<Owner, _>(|caller| {
            let (name, value) = ("warm_timeout".to_owned(), "30m".to_owned());
            SetTime { caller, project: None, name, value }
        }),
    ]
}

fn of_sandboxes<A>() -> Vec<Said>
where
    A: Handler<ReserveSandbox>
        + Handler<StartSandbox>
        + Handler<StopSandbox>
        + Handler<HibernateSandbox>
        + Handler<WakeSandbox>
        + Handler<MigrateSandbox>
        + Handler<ScaleSandbox>,
{
    let name = || "s".to_owned();
    vec![
        said::<A, _>(move |caller| ReserveSandbox { caller, name: name(), holder: text() }),
        said::<A, _>(move |caller| StartSandbox { caller, name: name(), holder: text() }),
        said::<A, _>(move |caller| StopSandbox { caller, name: name(), why: text() }),
        said::<A, _>(move |caller| HibernateSandbox { caller, name: name(), depth: Depth::Deep }),
        said::<A, _>(move |caller| WakeSandbox { caller, name: name(), on: None }),
        said::<A, _>(move |caller| MigrateSandbox { caller, name: name(), to: "there".to_owned() }),
        said::<A, _>(move |caller| ScaleSandbox { caller, name: name(), scale: 2 }),
    ]
}

fn to_nodes() -> Vec<Said> {
    vec![
        told::<Node, _>(|| Ready { epoch: 1, version: None }),
        told::<Node, _>(|| AgentUp { epoch: 1 }),
        told::<Node, _>(|| AgentDown { epoch: 1 }),
        told::<Node, _>(|| Heartbeat { epoch: 1, load: None, version: None }),
        told::<Node, _>(|| Lost { epoch: 1, class: text() }),
        told::<Node, _>(|| place("w9", None, None)),
        told::<Node, _>(|| Leave { workspace: "w".to_owned(), end: WorkspaceEnd::Stop }),
        told::<Node, _>(|| WorkspaceChanged { workspace: "w".to_owned(), why: text() }),
        said::<Node, _>(|caller| Claim { caller, by: id("task/t") }),
        said::<Node, _>(|caller| Unclaim { caller, lease: 1 }),
        said::<Node, _>(|caller| Drain { caller }),
        said::<Node, _>(|caller| MarkIdle { caller }),
        told::<Node, _>(|| Return { workspace: "w".to_owned(), tenure: Tenure::Managed }),
        told::<Node, _>(|| WorkspaceUse {
            workspace: "w".to_owned(),
            is_busy: true,
            at: Timestamp::ZERO,
        }),
        said::<Node, _>(|caller| Attach { caller, holding: Holding::Dns { name: text() } }),
        told::<Node, _>(|| Outdated { required: text() }),
        said::<Node, _>(|caller| EndNode { caller, name: "n".to_owned(), why: text() }),
        told::<Node, _>(expire),
        told::<Node, _>(bereaved),
        told::<Node, _>(ask),
        told::<Node, _>(|| NotNeeded),
        told::<Node, _>(|| Disclaim { task: id("task/t") }),
        told::<Node, _>(|| Under { workspace: text(), lease: 1 }),
    ]
}

fn to_workspaces_and_sessions() -> Vec<Said> {
    vec![
        told::<Workspace, _>(|| End { end: WorkspaceEnd::Stop }),
        said::<Workspace, _>(|caller| Touch { caller }),
        told::<Workspace, _>(expire),
        told::<Workspace, _>(|| Orphaned { task: id("task/t"), why: text() }),
        told::<Workspace, _>(|| Made { epoch: 1, run: 1 }),
        told::<Workspace, _>(|| Broken { epoch: 1, class: text() }),
        told::<Workspace, _>(|| Seated),
        told::<Workspace, _>(|| NotSeated { why: text() }),
        said::<Workspace, _>(|caller| Restart { caller }),
        said::<Workspace, _>(|caller| Reopen { caller, tenure: Tenure::Managed }),
        said::<Workspace, _>(|caller| Sleep { caller }),
        said::<Workspace, _>(|caller| Wake { caller }),
        said::<Workspace, _>(|caller| Recover { caller }),
        told::<Workspace, _>(|| StartSession { session: text(), task: id("task/t") }),
        said::<Workspace, _>(|caller| OpenSession { caller, session: text() }),
        told::<Workspace, _>(|| SessionNews::Silent),
        told::<Workspace, _>(bereaved),
        told::<Workspace, _>(ask),
        told::<Session, _>(|| SessionProgress { epoch: 1 }),
        told::<Session, _>(|| SessionResult { epoch: 1, end: SessionEnd::Finished }),
        told::<Session, _>(|| Lose { why: text() }),
        told::<Session, _>(|| SessionTold),
        told::<Session, _>(expire),
        told::<Session, _>(bereaved),
    ]
}

fn to_tasks() -> Vec<Said> {
    let workspace = || "t~w1".to_owned();
    vec![
        told::<TaskRunner, _>(move || Waits { workspace: workspace() }),
        told::<TaskRunner, _>(move || {
            let (node, step) = ("n".to_owned(), Step::NodeProvisioning);
            Granted { workspace: workspace(), node, step }
        }),
        told::<TaskRunner, _>(move || Placed { workspace: workspace(), node: "n".to_owned() }),
        told::<TaskRunner, _>(move || WorkspaceReady { workspace: workspace() }),
        told::<TaskRunner, _>(move || SessionStarted { workspace: workspace(), session: text() }),
        told::<TaskRunner, _>(move || {
            let (session, end) = (text(), SessionEnd::Finished);
            SessionEnded { workspace: workspace(), session, end }
        }),
        told::<TaskRunner, _>(move || NotPlaced {
            workspace: workspace(),
            why: text(),
            fault: None,
        }),
        told::<TaskRunner, _>(move || Vacated { workspace: workspace(), why: text(), fault: None }),
        said::<TaskRunner, _>(|caller| Progress { caller }),
        said::<TaskRunner, _>(|caller| {
            let end = TaskEnd::Cancelled;
            EndTask { caller, name: "t".to_owned(), end }
        }),
        told::<TaskRunner, _>(expire),
        told::<TaskRunner, _>(bereaved),
        told::<Reaper, _>(|| Scan),
    ]
}

fn to_towns() -> Vec<Said> {
    let rig = || "r".to_owned();
    vec![
        said::<Town, _>(|caller| EndTown { caller, name: "t".to_owned(), why: text() }),
        said::<Town, _>(|caller| ConfigureTown { caller, config: text() }),
        said::<Town, _>(|caller| OpenStream { caller }),
        said::<Town, _>(|caller| Inspect { caller }),
        said::<Town, _>(|caller| AddRig { caller, rig: text() }),
        said::<Town, _>(move |caller| RemoveRig { caller, rig: rig() }),
        said::<Town, _>(|caller| AddAgent { caller, agent: text() }),
        said::<Town, _>(|caller| RemoveAgent { caller, agent: "a".to_owned() }),
        told::<Town, _>(|| AgentNews { status: AgentStatus::Working, since: Timestamp::ZERO }),
        said::<Town, _>(move |caller| OpenBead { caller, bead: text(), rig: rig() }),
        said::<Town, _>(|caller| {
            let (bead, agent) = ("b".to_owned(), "a".to_owned());
            StartBead { caller, bead, agent }
        }),
        said::<Town, _>(|caller| CloseBead { caller, bead: "b".to_owned() }),
        told::<Town, _>(expire),
        told::<Town, _>(|| Unlisted { why: text() }),
        told::<Town, _>(bereaved),
    ]
}

fn to_members() -> Vec<Said> {
    let dismiss = || Dismiss { why: text() };
    vec![
        told::<Container, _>(|| Tend { care: Care::User }),
        told::<Container, _>(|| Reconfigure { config: text() }),
        told::<Container, _>(|| ContainerCallback {
            epoch: 1,
            run: 1,
            says: ContainerSays::Started,
        }),
        told::<Container, _>(expire),
        told::<Container, _>(bereaved),
        told::<Agent, _>(|| AgentReport { epoch: 1, status: AgentStatus::Working }),
        told::<Agent, _>(dismiss),
        told::<Agent, _>(expire),
        told::<Agent, _>(bereaved),
        told::<AgentIdentity, _>(dismiss),
        told::<AgentIdentity, _>(expire),
        told::<AgentIdentity, _>(bereaved),
    ]
}

fn to_sandboxes() -> Vec<Said> {
    let worker = || "here".to_owned();
    vec![
        told::<Sandbox, _>(|| Exited { epoch: 1, end: SandboxExit::Done }),
        told::<Sandbox, _>(|| Scaled { epoch: 1, scale: 3 }),
        told::<Sandbox, _>(|| Migrated { epoch: 1, migration: 1 }),
        told::<Sandbox, _>(|| MigrationFailed { epoch: 1, migration: 1, class: text() }),
        told::<Sandbox, _>(move || TurnedAway { worker: worker(), why: text() }),
        told::<Sandbox, _>(move || WorkerLost { worker: worker(), why: text() }),
        told::<Sandbox, _>(|| Halt { round: 1 }),
        told::<Sandbox, _>(|| Resume { round: 1 }),
        told::<Sandbox, _>(expire),
        told::<Sandbox, _>(bereaved),
    ]
}

fn to_accounts_and_workers() -> Vec<Said> {
    let sandbox = || ActorRef { id: id("sandbox/s"), incarnation: 1 };
    vec![
        told::<CreditAccount, _>(bereaved),
        told::<CreditAccount, _>(|| Admit { sandbox: "s".to_owned() }),
        told::<CreditAccount, _>(|| Discharge { sandbox: "s".to_owned() }),
        told::<CreditAccount, _>(|| Metered { sandbox: "s".to_owned(), is_running: true }),
        told::<CreditAccount, _>(|| Debit { sandbox: "s".to_owned(), number: 9, units: 1 }),
        said::<CreditAccount, _>(|caller| AddCredit { caller, cents: 1, gift: "g".to_owned() }),
        said::<CreditAccount, _>(|caller| SetPlan { caller, plan: Plan::Pro }),
        told::<CreditAccount, _>(expire),
        told::<Worker, _>(|| WorkerBeat { epoch: 1 }),
        told::<Worker, _>(move || Arrive { sandbox: sandbox() }),
        told::<Worker, _>(move || Depart { sandbox: sandbox() }),
        said::<Worker, _>(|caller| EndWorker { caller, why: text() }),
        told::<Worker, _>(expire),
    ]
}

/// A kind's actor that the stories of the leaks know, by kind.
pub(super) type Each = BTreeMap<&'static str, ActorId>;

/// One actor of every kind, all alive and all of them ada's, but for the reaper.
pub(super) fn one_of_each(fleet: &mut Fleet) -> Each {
    running_workspace(fleet);
    fleet.tell(start("t", Tenure::External, Wish::on("n")));
    let (caller, session) = (ada(), "s".to_owned());
    fleet.call::<Workspace, _>("workspace/w", OpenSession { caller, session }).expect("none runs");
    fleet.settle_town();
    fleet.open_bead("b");
    fleet.add_agent("a");
    let terms = WorkerTerms::of(&fleet.policy);
    fleet.create::<Worker>("worker/here", &WorkerInit { owner: "ada".to_owned(), terms });
    super::sandbox_stories::running(fleet, "s");
    fleet.run(MINUTE);
    let mut each = Each::new();
    for kind in sweeps::kinds().names().filter(|kind| *kind != Sweeper::KIND) {
        let rows = fleet.rows(kind);
        let row = rows.first().unwrap_or_else(|| panic!("there is no {kind}"));
        each.insert(kind, row.id.clone());
    }
    each.insert("workspace", id("workspace/w"));
    each
}

impl Fleet {
    /// All that the store holds of others than sweeps: states, rows, alarms, mail, debts, links.
    pub(super) fn picture(&self) -> BTreeMap<key::Key, Vec<u8>> {
        let all = self.store.scan(&[], &[], usize::MAX).expect("readable");
        let is_shown = |at: &key::Key| match key::parse(at) {
            Some(
                key::Parsed::Actor(of)
                | key::Parsed::Child(of, _)
                | key::Parsed::Debt(of, _)
                | key::Parsed::Inbox(of, _)
                | key::Parsed::Alarm(of, _)
                | key::Parsed::Row(of, _),
            ) => of.kind() != Sweeper::KIND,
            Some(key::Parsed::Event(_)) | None => false,
        };
        all.into_iter().filter(|(at, _)| is_shown(at)).collect()
    }

    /// The state of who lives, as the store has it.
    pub(super) fn state_bytes(&self, who: &ActorId) -> Vec<u8> {
        match query::entry(&*self.store, who).expect("readable") {
            Some(Entry::Alive(record)) => record.state,
            Some(Entry::Tombstone(_)) | None => panic!("{who} does not live"),
        }
    }

    /// All that exists in the outside world, but for who was asked what when.
    pub(super) fn world(&self) -> String {
        let cloud = &self.cloud;
        let machines: Vec<_> = cloud.machines(self.now).collect();
        let containers: Vec<_> = cloud.containers().map(|it| it.running_since).collect();
        let keys: Vec<_> = cloud.keys().collect();
        let sandboxes: Vec<_> = cloud.sandboxes().collect();
        let checkpoints: Vec<_> = cloud.checkpoints().collect();
        let copies: Vec<_> = cloud.copies().collect();
        format!("{machines:?} {containers:?} {keys:?} {sandboxes:?} {checkpoints:?} {copies:?}")
    }

    /// Sends durable messages from nobody in particular, and lets them arrive.
    pub(super) fn post(&mut self, letters: Vec<Letter>) {
        self.post_as(None, letters);
        self.settle();
    }

    /// Answers a debt, as its performer might.
    pub(super) fn answer(&mut self, effect: &EffectId, answer: Answer) {
        let turned = self.engine.answer(self.now, &self.store, effect, answer).expect("readable");
        self.submit(turned.expect("it is owed"));
    }

    /// Whether anything but dead letters was ever said of an actor since so many events.
    pub(super) fn stirred(&self, who: &ActorId, since: usize) -> bool {
        let of_it = self.events[since..].iter().filter(|event| event.actor == *who);
        of_it.into_iter().any(|event| !matches!(event.what, What::DeadLetter { .. }))
    }
}

/// Every order of a few things, by their numbers.
pub(super) fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(n - 1).into_iter();
    let with_last = |order: Vec<usize>| {
        (0..n).map(move |at| {
            let mut longer = order.clone();
            longer.insert(at, n - 1);
            longer
        })
    };
    shorter.flat_map(with_last).collect()
}

/// The kind of an error, of a call that must not succeed.
pub(super) fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorKind {
    result.expect_err("it was taken").kind()
}

#[test]
fn every_message_of_every_kind_is_among_those_that_the_leaks_are_tried_with() {
    let kinds = sweeps::kinds();
    let all = every_message();
    for kind in kinds.names().filter(|kind| *kind != Sweeper::KIND) {
        let mut listed: Vec<&str> =
            all.iter().filter(|it| it.kind == kind).map(|it| it.name).collect();
        listed.sort_unstable();
        assert_eq!(listed, kinds.messages(kind).collect::<Vec<_>>(), "of {kind}");
    }
    assert_eq!(orders(4).len(), 24);
    assert_eq!(TOWN, "town/t");
}
