//! Drives the engine, the sweeps and the cloud in virtual time, one thing at a time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sexton_core::sweep::{self, Pass, Sweep, Sweeper};
use sexton_core::{
    Actor, ActorId, ActorRef, Answer, Body, Call, Engine, Entry, Error, Event, Handler, Intent,
    Limits, Mail, Message, Owed, Part, Request, RowView, Store, Switch, Timestamp, Tombstone,
    Turned, What, codec, key, query,
};
use sexton_store::MemoryStore;

use crate::policy::Policy;
use crate::reaper::{Reaper, ReaperInit};
use crate::sim_cloud::{Performed, ScriptStep, SimCloud};
use crate::sweeps;
use crate::{
    Caller, EndTask, NodeClass, NodeRole, NodeSpec, Owner, OwnerInit, StartTask, TaskEnd,
    TaskSession, TaskSpec, Tenure, placement::Wish,
};

pub(super) const SEED: u64 = 11;
pub(super) const MINUTE: i64 = 60_000;
pub(super) const HOUR: i64 = 60 * MINUTE;

pub(super) struct Fleet {
    pub(super) now: Timestamp,
    pub(super) store: Arc<MemoryStore>,
    pub(super) engine: Engine,
    pub(super) cloud: SimCloud,
    pub(super) events: Vec<Event>,
    pub(super) policy: Policy,
    path: Option<PathBuf>,
    sweeps: Option<Vec<Box<dyn Sweep>>>,
    pub(super) alarms: Switch,
    answers: BTreeMap<(Timestamp, sexton_core::EffectId), Answer>,
    row: u64,
    /// When each sweep passes next.
    passes: BTreeMap<&'static str, Timestamp>,
    /// Commits so far, without those of passes that asked nobody.
    commits: u64,
    /// The control plane is killed right behind this commit.
    killed_after: Option<u64>,
    /// Messages of these names never reach an inbox.
    lost: Vec<&'static str>,
    /// Messages that did, by name.
    mails: BTreeMap<String, usize>,
    /// Whether everybody is evicted behind every commit.
    evictions: Switch,
    /// What the outside refuses to do, told the effect and whether it is a release.
    refusing: Option<Refusing>,
    /// Who the sender of the next letter of the harness is.
    pub(super) sender: Option<ActorRef>,
}

/// The answer to an effect that is not done; `None` where it is.
pub(super) type Refusing = Box<dyn Fn(&Owed, bool) -> Option<Answer>>;

/// Tells a story in every way: with both nets, with each of them alone, and with the control
/// plane killed behind every single commit. The story ends with its own assertions, which must
/// hold in each of them.
pub(super) fn every_way(story: impl Fn(&mut Fleet)) {
    every_way_with(&Policy::default(), story);
}

/// As [`every_way`], where what the story waits for takes as long as `policy` says.
pub(super) fn every_way_with(policy: &Policy, story: impl Fn(&mut Fleet)) {
    let fleet = || Fleet::with(policy.clone(), None);
    story(&mut fleet());

    story(&mut fleet().without_alarms());
    story(&mut fleet().without_sweeps());
    // Sweeps pass and tasks ask more seldom here: most of a long story finds nothing.
    let seldom = Policy {
        sweep_every: Duration::from_secs(30 * 60),
        task_poll_node_provisioning: Duration::from_secs(10 * 60),
        task_poll_node_agent_ready: Duration::from_secs(10 * 60),
        task_poll_workspace_ready: Duration::from_secs(10 * 60),
        ..policy.clone()
    };
    let mut whole = Fleet::with(seldom.clone(), None);
    story(&mut whole);
    for commit in 1..=whole.commits {
        let mut fleet = Fleet::with(seldom.clone(), None);
        fleet.killed_after = Some(commit);
        story(&mut fleet);
        assert!(fleet.killed_after.is_none(), "the story has fewer than {commit} commits now");
    }
}

/// Tells a story with the control plane killed behind every single commit of its second part.
pub(super) fn every_crash(before: impl Fn(&mut Fleet), story: impl Fn(&mut Fleet)) {
    let mut whole = Fleet::new();
    before(&mut whole);
    let n_before = whole.commits;
    story(&mut whole);
    for commit in n_before + 1..=whole.commits {
        let mut fleet = Fleet::new();
        before(&mut fleet);
        fleet.killed_after = Some(commit);
        story(&mut fleet);
        assert!(fleet.killed_after.is_none(), "the story has fewer than {commit} commits now");
    }
}

pub(super) fn id(text: &str) -> ActorId {
    ActorId::parse(text).expect("an id")
}

fn engine(store: &MemoryStore, alarms: Switch) -> Engine {
    let fences = store.claim().expect("memory");
    let mut engine =
        Engine::recover(sweeps::kinds(), Limits::default(), store, (Part::WHOLE, &fences))
            .expect("readable");
    engine.switch_alarms(alarms);
    engine
}

/// Whether a commit is more than the note of a pass that asked nobody.
fn is_telling(batch: &sexton_core::Batch) -> bool {
    let parsed = batch.writes.iter().filter_map(|write| key::parse(&write.key));
    let of_sweep =
        |it: &key::Parsed| matches!(it, key::Parsed::Actor(id) if id.kind() == Sweeper::KIND);
    let is_mail = |it: &key::Parsed| matches!(it, key::Parsed::Inbox(..));
    !parsed.clone().any(|it| of_sweep(&it)) || parsed.into_iter().any(|it| is_mail(&it))
}

/// The name of the message that a write puts into an inbox.
fn mail_name(write: &sexton_core::Write) -> Option<String> {
    let is_inbox = matches!(key::parse(&write.key), Some(key::Parsed::Inbox(..)));
    let mail = write.value.as_deref().filter(|_| is_inbox)?;
    match codec::open::<Mail>(mail).expect("a mail").body {
        Body::Message { name, .. } => Some(name),
        Body::Create { .. } | Body::Destroy { .. } | Body::Advance | Body::Gone { .. } => None,
    }
}

impl Fleet {
    /// With deadlines and sweeps, one owner `ada`, and a cloud in memory.
    pub(super) fn new() -> Self {
        Self::with(Policy::default(), None)
    }

    pub(super) fn with(policy: Policy, path: Option<PathBuf>) -> Self {
        let store = Arc::new(MemoryStore::new());
        let mut fleet = Self {
            now: Timestamp::ZERO,
            engine: engine(&store, Switch::On),
            store,
            cloud: SimCloud::open(path.as_deref(), SEED).expect("a new cloud"),
            events: Vec::new(),
            sweeps: Some(sweeps::all(&policy)),
            alarms: Switch::On,
            answers: BTreeMap::new(),
            row: 0,
            passes: BTreeMap::new(),
            commits: 0,
            killed_after: None,
            lost: Vec::new(),
            mails: BTreeMap::new(),
            evictions: Switch::Paused,
            refusing: None,
            sender: None,
            path,
            policy,
        };
        let installation = uuid::Uuid::nil();
        let policy = fleet.policy.clone();
        let init = OwnerInit { installation, policy };
        fleet.create::<Owner>("owner/ada", &init);
        let init = ReaperInit::of(installation, &fleet.policy);
        fleet.create::<Reaper>(&format!("reaper/{installation}"), &init);
        let every = fleet.sweeps.iter().flatten().map(|it| (it.name(), it.back_off()));
        let every: Vec<(&str, Duration)> = every.collect();
        for (name, back_off) in every {
            fleet.create::<Sweeper>(&format!("sweep/{name}"), &(Timestamp::ZERO, back_off));
        }
        fleet
    }

    pub(super) fn without_alarms(mut self) -> Self {
        self.alarms = Switch::Paused;
        self.engine.switch_alarms(Switch::Paused);
        self
    }

    pub(super) fn without_sweeps(mut self) -> Self {
        self.sweeps = None;
        self
    }

    /// Everybody is evicted behind every single commit: nothing is kept in memory.
    pub(super) fn evicting(mut self) -> Self {
        self.evictions = Switch::On;
        self
    }

    /// From now on the outside refuses what this says; nothing if it is `None`.
    pub(super) fn refuse(&mut self, refusing: Option<Refusing>) {
        self.refusing = refusing;
    }

    /// An operator has an actor's first debt tried again.
    pub(super) fn retry(&mut self, who: &str) {
        let reply = Box::new(|tried: Result<(), Error>| tried.expect("it lives"));
        self.request(&id(who), Request::Retry { reply });
    }

    fn refusal(&self, owed: &Owed) -> Option<Answer> {
        let refusing = self.refusing.as_ref()?;
        let debts = query::debts(&*self.store, &owed.id.actor.id).expect("readable");
        let debt = debts.into_iter().find(|(number, _)| *number == owed.id.number);
        refusing(owed, debt.is_some_and(|(_, debt)| debt.is_release))
    }

    pub(super) fn create<A: Actor>(&mut self, name: &str, init: &A::Init) {
        let request = Request::create::<A>(
            init,
            Box::new(|born| {
                born.expect("born");
            }),
        );
        self.request(&id(name), request.expect("encodable"));
    }

    /// The same, of what may be refused.
    pub(super) fn try_create<A: Actor>(
        &mut self,
        name: &str,
        init: &A::Init,
    ) -> Result<u32, Error> {
        let born = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&born);
        let reply = Box::new(move |it| *slot.lock().expect("one thread") = Some(it));
        let request = Request::create::<A>(init, reply).expect("encodable");
        self.request(&id(name), request);
        let born = born.lock().expect("one thread").take();
        born.expect("answered at once")
    }

    pub(super) fn request(&mut self, to: &ActorId, request: Request) {
        let turned = self.engine.request(self.now, &self.store, to, request).expect("readable");
        self.submit(turned);
    }

    /// Another owner, with the same policy.
    pub(super) fn add_owner(&mut self, name: &str) {
        let (installation, policy) = (uuid::Uuid::nil(), self.policy.clone());
        self.create::<Owner>(name, &OwnerInit { installation, policy });
    }

    /// How many messages of this name went into inboxes so far.
    pub(super) fn mails(&self, name: &str) -> usize {
        self.mails.get(name).copied().unwrap_or(0)
    }

    /// From now on messages of these names get lost on their way.
    pub(super) fn lose(&mut self, names: &[&'static str]) {
        self.lost = names.to_vec();
    }

    pub(super) fn submit(&mut self, turned: Turned) {
        let mut has_lost = false;
        if let Some(mut batch) = turned.batch {
            let is_telling = is_telling(&batch);
            let n = batch.writes.len();
            if let Some(sender) = self.sender.take() {
                batch
                    .writes
                    .iter_mut()
                    .for_each(|write| super::harness_says::sent_by(&sender, write));
            }
            let is_lost = |write: &sexton_core::Write| {
                mail_name(write).is_some_and(|name| self.lost.contains(&name.as_str()))
            };
            batch.writes.retain(|write| !is_lost(write));
            has_lost = batch.writes.len() < n;
            for name in batch.writes.iter().filter_map(mail_name) {
                *self.mails.entry(name).or_default() += 1;
            }
            self.store.submit(batch).expect("fenced by nobody");
            self.store.flush().expect("memory");
            self.engine.flushed(self.engine.order());
            self.commits += u64::from(is_telling);
        }
        self.events.extend(turned.events);
        for release in turned.releases {
            release.leave();
        }
        if self.evictions == Switch::On {
            self.engine.evict_idle(Timestamp::MAX);
        }
        if has_lost {
            // What the engine remembers of the mail is lost with it.
            self.restart();
        }
        if self.killed_after.is_some_and(|commit| self.commits >= commit) {
            self.killed_after = None;
            self.restart();
        }
    }

    /// Calls an actor and returns its answer.
    pub(super) fn call<A: Handler<M>, M: Message>(
        &mut self,
        to: &str,
        message: M,
    ) -> Result<M::Reply, Error> {
        let answer = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&answer);
        let call = Call::new::<A, M>(
            message,
            Box::new(move |result| {
                *slot.lock().expect("one thread") = Some(result);
            }),
        );
        self.request(&id(to), Request::Call(call));
        let result = answer.lock().expect("one thread").take();
        result.expect("answered at once")
    }

    pub(super) fn tell<M: Message<Reply = ()>>(&mut self, message: M)
    where
        Owner: Handler<M>,
    {
        self.call::<Owner, M>("owner/ada", message).expect("his own");
    }

    pub(super) fn destroy(&mut self, who: &str) {
        let intent = Intent { why: "asked".to_owned(), by: "test".to_owned() };
        let reply = Box::new(|_| {});
        self.request(&id(who), Request::Destroy { intent, is_waiting: false, reply });
    }

    /// Says something of a thing that a trace names.
    pub(super) fn script(&mut self, actor: &str, step: &ScriptStep) {
        self.row += 1;

        self.cloud.script(self.row, &id(actor), step, self.now).expect("a working cloud");
    }

    /// Everything that is due at this very moment.
    pub(super) fn settle(&mut self) {
        loop {
            let mut is_idle = true;
            while let Some(turned) = self.engine.next(self.now, &self.store).expect("readable") {
                is_idle = false;
                self.submit(turned);
            }
            while let Some(owed) = self.engine.next_effect(self.now, &self.store).expect("readable")
            {
                is_idle = false;
                if let Some(answer) = self.refusal(&owed) {
                    self.answers.insert((self.now, owed.id), answer);
                    continue;
                }
                match self.cloud.perform(self.now, &owed, &self.store).expect("a working cloud") {
                    Performed::At(at, answer) => {
                        self.answers.insert((at.max(self.now), owed.id), answer);
                    }
                    Performed::Later => {}
                }
            }
            let due = self.cloud.take_due(self.now);
            self.answers.extend(due.into_iter().map(|(id, answer)| ((self.now, id), answer)));
            while let Some(first) = self.answers.first_entry() {
                if first.key().0 > self.now {
                    break;
                }
                is_idle = false;
                let ((_, to), answer) = first.remove_entry();
                let turned = self.engine.answer(self.now, &self.store, &to, answer);
                if let Some(turned) = turned.expect("readable") {
                    self.submit(turned);
                }
            }
            for callback in self.cloud.callbacks_due(self.now) {
                is_idle = false;
                let call = callback.call(Box::new(|_| {}));
                self.request(&callback.to.id, Request::Call(call));
                self.cloud.acknowledge(callback.number).expect("a working cloud");
            }
            is_idle &= !self.sweep();
            if is_idle {
                return;
            }
        }
    }

    fn sweep(&mut self) -> bool {
        let Some(sweeps) = self.sweeps.take() else { return false };
        let mut did = false;
        for sweep in &sweeps {
            if self.passes.get(sweep.name()).is_some_and(|at| *at > self.now) {
                continue;
            }
            let sweeper = sweep::sweeper(sweep.name()).expect("a name");
            let state = query::state::<Sweeper>(&*self.store, &sweeper).expect("readable");
            let state = state.expect("created");
            let plan =
                sweep::plan(sweep.as_ref(), &state, self.now, &*self.store).expect("readable");
            let next_at = self.now + sweep.every();
            self.passes.insert(sweep.name(), next_at);
            // Most passes of a story find nothing: their notes would be most of its commits.
            if plan.asks.is_empty() && plan.cursor == state.cursor {
                continue;
            }
            did = true;
            let pass = Pass::of(plan, next_at);
            self.call::<Sweeper, _>(sweeper.as_str(), pass).expect("due");
        }
        self.sweeps = Some(sweeps);
        did
    }

    fn next_at(&self) -> Option<Timestamp> {
        let sweeps = self.sweeps.iter().flat_map(|_| self.passes.values().copied());
        let answer = self.answers.first_key_value().map(|((at, _), _)| *at);
        [self.engine.next_wake(self.now), self.cloud.next_due(), answer]
            .into_iter()
            .flatten()
            .chain(sweeps)
            .min()
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, ms: i64) {
        let end = Timestamp::from_millis(self.now.as_millis() + ms);
        self.settle();
        while let Some(at) = self.next_at().filter(|at| *at <= end) {
            let next = Timestamp::from_millis(self.now.as_millis() + 1);
            self.now = at.max(next).min(end);
            self.settle();
            if self.now == end {
                break;
            }
        }
        self.now = end;
        self.settle();
    }

    /// Kills the control plane and starts it again; the cloud's file is read again too.
    pub(super) fn restart(&mut self) {
        self.answers.clear();
        self.engine = engine(&self.store, self.alarms);
        if let Some(path) = &self.path {
            self.cloud = SimCloud::open(Some(path), SEED).expect("its own file");
        }
    }

    pub(super) fn rows(&self, kind: &str) -> Vec<RowView> {
        let mut rows = Vec::new();
        query::rows_of_kind(&*self.store, kind, |row| {
            rows.push(row);
            Ok(())
        })
        .expect("readable");
        rows
    }

    pub(super) fn statuses(&self, kind: &str) -> Vec<String> {
        self.rows(kind).into_iter().map(|row| row.status).collect()
    }

    pub(super) fn status(&self, who: &str) -> String {
        let rows = self.rows(id(who).kind());
        let row = rows.into_iter().find(|row| row.id == id(who));
        row.map_or_else(|| "none".to_owned(), |row| row.status)
    }

    pub(super) fn tombstone(&self, who: &str) -> Option<Tombstone> {
        match query::entry(&*self.store, &id(who)).expect("readable")? {
            Entry::Tombstone(tombstone) => Some(tombstone),
            Entry::Alive(_) => None,
        }
    }

    pub(super) fn why(&self, who: &str) -> String {
        self.tombstone(who).unwrap_or_else(|| panic!("{who} has no tombstone")).why
    }

    pub(super) fn has_fact(&self, who: &str, fact: &str) -> bool {
        self.events.iter().any(|event| {
            event.actor == id(who) && matches!(&event.what, What::Fact { name, .. } if name == fact)
        })
    }

    /// Nothing lives but the owner, and no machine is left.
    pub(super) fn assert_nothing_left(&self) {
        for kind in ["node", "workspace", "session", "task"] {
            assert_eq!(self.rows(kind), [], "at {}", self.now);
        }
        assert_eq!(self.cloud.machines(self.now).count(), 0);
        let owner = query::state::<Owner>(&*self.store, &id("owner/ada")).expect("readable");
        let text = format!("{:?}", owner.expect("alive"));
        assert!(text.contains("nodes: {}, workspaces: {}, waiting: []"), "{text}");
    }
}

pub(super) fn node_spec(tenure: Tenure) -> NodeSpec {
    NodeSpec {
        tenure,
        class: NodeClass::Managed,
        role: NodeRole::Workspace,
        size: "cx33".to_owned(),
        location: "fsn1".to_owned(),
    }
}

pub(super) fn ada() -> Caller {
    Caller::owner("ada")
}

pub(super) fn start(name: &str, tenure: Tenure, place: Wish) -> StartTask {
    let spec = TaskSpec { tenure, place, session: TaskSession::Unwanted };
    StartTask { caller: ada(), name: name.to_owned(), spec }
}

pub(super) fn end(name: &str, end: TaskEnd) -> EndTask {
    EndTask { caller: ada(), name: name.to_owned(), end }
}

/// Sets a time of the project `slow`.
pub(super) fn own_time(name: &str, value: &str) -> crate::SetTime {
    let (name, value) = (name.to_owned(), value.to_owned());
    crate::SetTime { caller: ada(), project: Some("slow".to_owned()), name, value }
}
