//! Owners at work: tasks, and now and then a workspace or a town.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sexton::clock::Stopwatch;
use sexton_agent::clock::rest;

use crate::chance::Chance;
use crate::left::Left;
use crate::world::{OWNERS, World};

/// How often it looks how its things are.
const LOOK: Duration = Duration::from_millis(100);
/// How long what was begun may take to come to its end when nobody makes trouble any more.
/// Chosen: longer than any bound of the short policy that a task can run into one after another.
const SETTLE: Duration = Duration::from_secs(300);
/// What owners make beside tasks.
const OTHERS: [&str; 3] = ["workspaces", "workspaces", "towns"];

/// A thing of an owner's, by his number among the owners.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Thing {
    pub(crate) owner: usize,
    /// The word in its path.
    pub(crate) kind: String,
    pub(crate) name: String,
}

impl Thing {
    fn path(&self) -> String {
        format!("/{}/{}", self.kind, self.name)
    }

    /// The name of its actor.
    pub(crate) fn actor(&self) -> String {
        format!("{}.{}", OWNERS[self.owner], self.name)
    }
}

/// The load.
pub(crate) struct Load {
    at_a_time: usize,
    chance: RefCell<Chance>,
    is_over: Cell<bool>,
    made: Cell<u32>,
    /// Every task that was accepted, and how it ended, as far as that was said.
    tasks: RefCell<BTreeMap<Thing, Option<String>>>,
    n_others: Cell<u32>,
    /// What has to go, and is not known to have its tombstone.
    ending: RefCell<Vec<Thing>>,
    /// What was there still when it had its tombstone.
    wrong: RefCell<Vec<String>>,
}

impl Load {
    pub(crate) fn new(at_a_time: usize, chance: Chance) -> Self {
        Self {
            at_a_time,
            chance: RefCell::new(chance),
            is_over: Cell::new(false),
            made: Cell::new(0),
            tasks: RefCell::default(),
            n_others: Cell::new(0),
            ending: RefCell::default(),
            wrong: RefCell::default(),
        }
    }

    /// Begins nothing more.
    pub(crate) fn end(&self) {
        self.is_over.set(true);
    }

    /// Works until it is told to end.
    pub(crate) async fn run(self: Rc<Self>, world: Rc<World>) {
        let mut other: Option<Thing> = None;
        while !self.is_over.get() {
            if self.open().len() < self.at_a_time {
                let task = self.thing("tasks");
                if self.make(&world, &task).await {
                    self.tasks.borrow_mut().insert(task, None);
                }
            }
            // One that is there goes, one that is not comes.
            if self.chance.borrow_mut().below(3) == 0 {
                match other.take() {
                    Some(thing) => self.ending.borrow_mut().push(thing),
                    None => other = self.make_other(&world).await,
                }
            }
            self.look(&world).await;
            rest(LOOK).await;
        }
    }

    fn thing(&self, kind: &str) -> Thing {
        let number = self.made.get();
        self.made.set(number + 1);
        let owner = usize::from(self.chance.borrow_mut().below(3) == 0);
        Thing { owner, kind: kind.to_owned(), name: format!("x-{number}") }
    }

    async fn make_other(&self, world: &World) -> Option<Thing> {
        let kind = self.chance.borrow_mut().pick(&OTHERS).copied()?;
        let thing = self.thing(kind);
        if !self.make(world, &thing).await {
            return None;
        }
        if kind == "towns" {
            let rig = format!("{}/rigs/r-1", thing.path());
            drop(world.call(thing.owner, (Method::PUT, &rig), &json!({})).await);
        }
        self.n_others.set(self.n_others.get() + 1);
        Some(thing)
    }

    /// Asks until somebody answers; whether it was accepted.
    async fn make(&self, world: &World, thing: &Thing) -> bool {
        loop {
            let asked = world.call(thing.owner, (Method::PUT, &thing.path()), &json!({})).await;
            match asked {
                Some((200 | 202, _)) => return true,
                // Accepted by a call that nobody answered, and over already.
                Some((409, _)) => return thing.kind == "tasks",
                Some((503, _)) | None => rest(LOOK).await,
                Some((status, answer)) => {
                    println!("{} was refused: {status} {answer}", thing.path());
                    return false;
                }
            }
        }
    }

    /// The tasks that have not ended.
    fn open(&self) -> Vec<Thing> {
        let tasks = self.tasks.borrow();
        tasks.iter().filter(|(_, end)| end.is_none()).map(|(task, _)| task.clone()).collect()
    }

    async fn look(&self, world: &World) {
        world.presences();
        self.end_others(world).await;
        for task in self.open() {
            let seen = world.call(task.owner, (Method::GET, &task.path()), &json!({})).await;
            let Some((200, view)) = seen else { continue };
            if view["tombstone"].is_object() {
                let status = view["status"].as_str().unwrap_or_default().to_owned();
                self.tasks.borrow_mut().insert(task, Some(status));
            }
        }
    }

    /// Has what is to go deleted until it has its tombstone, and looks what is there then.
    async fn end_others(&self, world: &World) {
        let ending = self.ending.take();
        for thing in ending {
            let seen = world.call(thing.owner, (Method::DELETE, &thing.path()), &json!({})).await;
            // Not there: it waited for room, and nothing was made.
            let is_over = matches!(&seen, Some((200 | 404, _)));
            if !is_over {
                self.ending.borrow_mut().push(thing);
                continue;
            }
            for (node, what) in world.remains(&thing.actor()) {
                if !self.is_going(world, thing.owner, &node).await {
                    self.wrong.borrow_mut().push(what);
                }
            }
        }
    }

    /// Whether a machine goes: then what lies on it goes with it, and is not waited for.
    async fn is_going(&self, world: &World, owner: usize, node: &str) -> bool {
        let local = node.strip_prefix(OWNERS[owner]).unwrap_or(node);
        let path = format!("/nodes/{}", local.strip_prefix('.').unwrap_or(local));
        loop {
            let seen = world.call(owner, (Method::GET, &path), &json!({})).await;
            if let Some((200, view)) = seen {
                return view["tombstone"].is_object() || view["status"] == "destroying";
            }
            rest(LOOK).await;
        }
    }

    /// Waits until every task has ended; then ends everything that is there, as an owner would.
    pub(crate) async fn settle(&self, world: &World, left: &mut Left) {
        let clock = Stopwatch::start();
        while !self.open().is_empty() && clock.elapsed() < SETTLE {
            self.look(world).await;
            rest(LOOK).await;
        }
        for task in self.open() {
            left.add(format!("task {} has not ended", task.actor()));
        }
        self.wrong.take().into_iter().for_each(|what| left.add(what));
        let clock = Stopwatch::start();
        let mut rows = self.rows(world).await;
        while !rows.is_empty() && clock.elapsed() < SETTLE {
            for row in rows.iter().filter(|row| row.kind != "sessions" && row.kind != "containers")
            {
                drop(world.call(row.owner, (Method::DELETE, &row.path()), &json!({})).await);
            }
            rest(LOOK).await;
            rows = self.rows(world).await;
        }
        for row in rows {
            left.add(format!("{}: a row of {}", row.path(), OWNERS[row.owner]));
        }
    }

    /// All that the owners see.
    async fn rows(&self, world: &World) -> Vec<Thing> {
        let mut rows = Vec::new();
        for owner in 0..OWNERS.len() {
            for kind in ["towns", "tasks", "workspaces", "nodes", "sessions", "containers"] {
                let path = format!("/{kind}");
                let listed = world.call(owner, (Method::GET, &path), &json!({})).await;
                let Some((200, page)) = listed else {
                    // Nothing is concluded from a list that was not seen.
                    rows.push(Thing { owner, kind: kind.to_owned(), name: "unknown".to_owned() });
                    continue;
                };
                let items: &[Value] = page["items"].as_array().map_or(&[], Vec::as_slice);
                rows.extend(items.iter().filter_map(|item| {
                    let name = item["name"].as_str()?.to_owned();
                    Some(Thing { owner, kind: kind.to_owned(), name })
                }));
            }
        }
        rows
    }

    /// Every task, with how it ended.
    pub(crate) fn tasks(&self) -> BTreeMap<Thing, Option<String>> {
        self.tasks.borrow().clone()
    }

    pub(crate) fn n_completed(&self) -> usize {
        self.tasks.borrow().values().filter(|end| end.as_deref() == Some("completed")).count()
    }

    pub(crate) fn line(&self) -> String {
        let (all, open) = (self.tasks.borrow().len(), self.open().len());
        format!("{all} tasks, {open} of them under way")
    }

    /// How many tasks ended how.
    pub(crate) fn table(&self) -> String {
        let mut counts = BTreeMap::<String, u32>::new();
        for end in self.tasks.borrow().values() {
            let end = end.clone().unwrap_or_else(|| "not ended".to_owned());
            *counts.entry(format!("tasks: {end}")).or_default() += 1;
        }
        counts.insert("workspaces and towns".to_owned(), self.n_others.get());
        let lines: Vec<String> =
            counts.iter().map(|(what, n)| format!("{what:<28}{n:>6}")).collect();
        lines.join("\n")
    }
}
