//! What the tests of towns say often: commands of `ada` to her town `t`, and what is left of it.

use sexton_core::audit::audit;
use sexton_core::{
    ActorId, Batch, Entry, Error, ErrorKind, Handler, Message, Store, Timestamp, Tombstone, Write,
    codec, key, query,
};

use crate::sim_cloud::SimContainer;
use crate::{
    AddAgent, AddRig, Agent, AgentReport, AgentStatus, CloseBead, CreateTown, EndTown, Inspect,
    OpenBead, OpenStream, RemoveAgent, Town, TownReport,
};

use super::harness::{Fleet, ada, id};

/// The town of most stories.
pub(super) const TOWN: &str = "town/t";

impl Fleet {
    /// Ada founds the town `t`; it is there, and has no rigs.
    pub(super) fn found(&mut self) {
        self.tell(CreateTown { caller: ada(), name: "t".to_owned() });
        self.run(1);
    }

    /// Ada founds the town `t` with the rig `r`.
    pub(super) fn settle_town(&mut self) {
        self.found();
        self.add_rig("r");
    }

    pub(super) fn command<M: Message>(&mut self, message: M) -> M::Reply
    where
        Town: Handler<M>,
    {
        self.call::<Town, M>(TOWN, message).expect("her own town takes it")
    }

    pub(super) fn add_rig(&mut self, rig: &str) {
        self.command(AddRig { caller: ada(), rig: rig.to_owned() });
    }

    pub(super) fn open_bead(&mut self, bead: &str) {
        let (bead, rig) = (bead.to_owned(), "r".to_owned());
        self.command(OpenBead { caller: ada(), bead, rig });
    }

    pub(super) fn close_bead(&mut self, bead: &str) {
        self.command(CloseBead { caller: ada(), bead: bead.to_owned() });
    }

    /// The agent's whole name.
    pub(super) fn add_agent(&mut self, agent: &str) -> String {
        let agent = self.command(AddAgent { caller: ada(), agent: agent.to_owned() });
        self.run(1);
        agent.as_str().to_owned()
    }

    pub(super) fn remove_agent(&mut self, agent: &str) {
        self.command(RemoveAgent { caller: ada(), agent: agent.to_owned() });
    }

    pub(super) fn attach(&mut self) {
        self.command(OpenStream { caller: ada() });
    }

    pub(super) fn inspect(&mut self) -> TownReport {
        self.command(Inspect { caller: ada() })
    }

    pub(super) fn end_town(&mut self) {
        let (name, why) = ("t".to_owned(), "not needed".to_owned());
        self.tell(EndTown { caller: ada(), name, why });
    }

    /// The agent's process says what it does.
    pub(super) fn report(&mut self, agent: &str, status: AgentStatus) {
        self.call::<Agent, _>(agent, AgentReport { epoch: 1, status }).expect("it listens");
    }

    /// The alarm that is armed for an actor.
    pub(super) fn alarm(&self, who: &str) -> Option<Timestamp> {
        match query::entry(&*self.store, &id(who)).expect("readable")? {
            Entry::Alive(record) => record.alarm,
            Entry::Tombstone(_) => None,
        }
    }

    /// How many turns an actor has committed.
    pub(super) fn turns(&self, who: &str) -> u64 {
        match query::entry(&*self.store, &id(who)).expect("readable") {
            Some(Entry::Alive(record)) => record.turns,
            Some(Entry::Tombstone(tombstone)) => tombstone.turns,
            None => 0,
        }
    }

    /// The whole name of the town's container.
    pub(super) fn container(&self) -> String {
        let children = query::children(&*self.store, &id(TOWN)).expect("readable");
        let container = children.iter().find(|child| child.kind() == "container");
        container.expect("it has a container").as_str().to_owned()
    }

    /// The one container that the provider knows.
    pub(super) fn process(&self) -> SimContainer {
        let known: Vec<&SimContainer> = self.cloud.containers().collect();
        assert_eq!(known.len(), 1, "{known:?}");
        known[0].clone()
    }

    pub(super) fn owner_lists_town(&self) -> bool {
        let children = query::children(&*self.store, &id("owner/ada")).expect("readable");
        children.contains(&id(TOWN))
    }

    /// Nothing of any town lives, runs or is valid, and the store agrees with itself.
    pub(super) fn assert_no_town_left(&self) {
        for kind in ["town", "container", "agent", "agent_identity"] {
            assert_eq!(self.rows(kind), [], "at {}", self.now);
        }
        assert_eq!(self.cloud.containers().count(), 0);
        assert_eq!(self.cloud.keys().count(), 0);
        assert!(!self.owner_lists_town());
        self.assert_sound();
    }

    /// The store keeps the promises that can be read off it.
    pub(super) fn assert_sound(&self) {
        let broken = audit(&*self.store, &crate::sweeps::kinds(), 10).expect("readable");
        assert_eq!(broken, [], "at {}", self.now);
    }

    /// Writes a tombstone over a life, as nothing in the runtime would, and starts anew.
    pub(super) fn bury_by_hand(&mut self, who: &str) {
        let who = id(who);
        let Some(Entry::Alive(record)) = query::entry(&*self.store, &who).expect("readable") else {
            panic!("{who} does not live");
        };
        let tombstone = Tombstone {
            incarnation: record.incarnation,
            created_at: record.created_at,
            at: self.now,
            why: "by hand".to_owned(),
            by: "test".to_owned(),
            status: "unknown".to_owned(),
            turns: record.turns,
        };
        let value = codec::seal(&Entry::Tombstone(tombstone)).expect("small");
        let mut writes = vec![Write { key: key::actor(&who), value: Some(value) }];
        writes.extend(record.alarm.map(|at| Write { key: key::alarm(&who, at), value: None }));
        for row in self.rows(who.kind()).into_iter().filter(|row| row.id == who) {
            writes.push(Write { key: key::row(&who, &row.status), value: None });
        }
        self.write_by_hand(&who, writes);
    }

    /// Takes a child's link away, as nothing in the runtime would, and starts anew.
    pub(super) fn unlink_by_hand(&mut self, parent: &str, child: &str) {
        let parent = id(parent);
        let link = Write { key: key::child(&parent, &id(child)), value: None };
        self.write_by_hand(&parent, vec![link]);
    }

    /// Takes a life's record away without a trace, as a store restored in parts would have it.
    pub(super) fn forget_by_hand(&mut self, who: &str) {
        let who = id(who);
        let mut writes = vec![Write { key: key::actor(&who), value: None }];
        writes.extend(
            self.alarm(who.as_str()).map(|at| Write { key: key::alarm(&who, at), value: None }),
        );
        for row in self.rows(who.kind()).into_iter().filter(|row| row.id == who) {
            writes.push(Write { key: key::row(&who, &row.status), value: None });
        }
        self.write_by_hand(&who, writes);
    }

    fn write_by_hand(&mut self, who: &ActorId, writes: Vec<Write>) {
        let fences = self.store.claim().expect("memory");
        let order = fences.iter().map(|(_, fence)| fence.order).max().unwrap_or(0) + 1;
        let fence = fences.into_iter().find(|(shard, _)| *shard == who.shard());
        let fence = fence.expect("every shard has one").1;
        let batch = Batch {
            shard: who.shard(),
            epoch: fence.epoch,
            expected: fence.sequence,
            at: self.now,
            order,
            writes,
            events: Vec::new(),
        };
        self.store.submit(batch).expect("fenced by nobody");
        self.store.flush().expect("memory");
        self.restart();
    }
}

/// What kind of error it is.
pub(super) fn kind<T>(result: Result<T, Error>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}
