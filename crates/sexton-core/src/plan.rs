//! What destroying would take along, in which order, and what would hold it up.
//!
//! A plan is computed from the store and changes nothing. It lists the actor and all its
//! descendants in the order in which they are buried, children before parents; siblings may
//! overtake each other where one pays its debts sooner. It carries a fingerprint of the tree,
//! so that somebody can review it and then ask for exactly that:
//! [`Request::DestroyPlanned`](crate::Request::DestroyPlanned) commits its intent only if the
//! tree, read in that same turn, has the same fingerprint.
//!
//! # What that guarantees
//!
//! *Guarantees:* when the intent is committed, the tree as it was read in that turn was that of
//! the plan: the same lives, linked in the same way. From then on the actor itself creates
//! nothing, so it gets no child that the plan lacks. *Caveats:* a descendant further down goes on
//! living until its own parent asks it to go. What it creates until then was not in the plan, and
//! goes as well (G7): nothing that is born below stays behind. Descendants of other shards have
//! turns of their own while the tree is read, so of what changes just then some may be seen and
//! some not; no plan is ever followed for a tree in which a life was added or gone before the
//! turn began.
//!
//! # The fingerprint
//!
//! FNV-1a with 64 bits over the members in order: the id's bytes, a zero, the incarnation in four
//! bytes, and the same for the parent. It tells an old plan from a current one. It is not
//! cryptographic: whoever can make up names can make two trees that agree.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::actor::Kinds;
use crate::destroy::{ActorRecord, Entry};
use crate::engine::{find_slot, read_debts, read_entry};
use crate::error::{Error, ErrorKind};
use crate::explain::blocks;
use crate::key::{self, ActorId, ActorRef, Parsed};
use crate::row::DESTROYING;
use crate::store::Store;

/// The most members of a plan. Chosen: more than that nobody reviews, and a turn that checks it
/// stays below a second.
pub const PLAN_MEMBERS_MAX: usize = 10_000;
/// The most names of a kind that a refusal lists. Chosen: it is read by people.
const NAMES_SHOWN_MAX: usize = 10;

/// The fingerprint of a tree of actors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlanId(u64);

/// A text that is not the fingerprint of a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a plan's fingerprint: 16 hexadecimal digits")]
pub struct NotAPlanId(String);

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for PlanId {
    type Err = NotAPlanId;

    fn from_str(text: &str) -> Result<Self, NotAPlanId> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u64::from_str_radix(text, 16).ok().filter(|_| is_hex);
        number.map(Self).ok_or_else(|| NotAPlanId(text.to_owned()))
    }
}

impl TryFrom<String> for PlanId {
    type Error = NotAPlanId;

    fn try_from(text: String) -> Result<Self, NotAPlanId> {
        text.parse()
    }
}

impl From<PlanId> for String {
    fn from(id: PlanId) -> Self {
        id.to_string()
    }
}

/// What destroying an actor would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestroyPlan {
    /// The fingerprint of the tree.
    pub id: PlanId,
    /// Which life would be destroyed.
    pub root: ActorRef,
    /// All that go, in the order in which they are buried; the root is the last.
    pub members: Vec<Member>,
}

/// An actor that goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Which life; incarnation 0 is a child whose birth is on its way.
    pub actor: ActorRef,
    /// Whose child it is.
    pub parent: Option<ActorRef>,
    /// How far below the root.
    pub depth: u32,
    /// Its status, also while it is being destroyed; "unborn" or "unreadable" if it has none.
    pub status: String,
    /// Whether it is being destroyed already.
    pub is_destroying: bool,
    /// How many effects it owes now.
    pub debts: u32,
    /// What would hold it up, in words: debts that fail, why it is stalled.
    pub blocks: Vec<String>,
}

/// Plans the destruction of an actor; destroys nothing.
///
/// What it reads is what was submitted to the store, which may not be durable yet.
///
/// # Errors
///
/// [`ErrorKind::NotFound`] and [`ErrorKind::Destroyed`] if it does not live,
/// [`ErrorKind::Refused`] if more than [`PLAN_MEMBERS_MAX`] would go, [`ErrorKind::Corrupt`] if a
/// record of the tree is damaged, and what the store says. A state that cannot be read is no
/// error: its member says so.
///
/// # Example
///
/// ```
/// use sexton_core::{ActorId, Error, Kinds, Store, plan_destroy};
///
/// fn is_harmless(store: &dyn Store, kinds: &Kinds, id: &ActorId) -> Result<bool, Error> {
///     let plan = plan_destroy(store, kinds, id)?;
///     assert_eq!(plan.members.last().map(|it| &it.actor), Some(&plan.root));
///     Ok(plan.members.len() == 1 && plan.blocked().next().is_none())
/// }
/// ```
pub fn plan_destroy(store: &dyn Store, kinds: &Kinds, id: &ActorId) -> Result<DestroyPlan, Error> {
    let record = match read_entry(store, id)? {
        Some(Entry::Alive(record)) => record,
        Some(Entry::Tombstone(_)) => {
            return Err(Error::new(ErrorKind::Destroyed, format!("{id} is destroyed")));
        }
        None => return Err(Error::new(ErrorKind::NotFound, format!("{id} was never created"))),
    };
    let root = ActorRef { id: id.clone(), incarnation: record.incarnation };
    let tree = tree(store, &root)?;
    let id = fingerprint(&tree);
    let members = tree.into_iter().map(|branch| member(store, kinds, branch));
    Ok(DestroyPlan { id, root, members: members.collect::<Result<_, _>>()? })
}

impl DestroyPlan {
    /// Members that something would hold up, and what.
    pub fn blocked(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.blocks.is_empty())
    }

    /// Whether destroying `root` now would do what this plan says; if not, a refusal that names
    /// what came and what went.
    pub(crate) fn check(&self, store: &dyn Store, root: &ActorRef) -> Result<(), Error> {
        let tree = tree(store, root)?;
        if fingerprint(&tree) == self.id {
            return Ok(());
        }
        let now: BTreeSet<&ActorRef> = tree.iter().map(|branch| &branch.actor).collect();
        let then: BTreeSet<&ActorRef> = self.members.iter().map(|it| &it.actor).collect();
        let (added, gone) = (named(now.difference(&then)), named(then.difference(&now)));
        let what = match (added, gone) {
            (None, None) => "the same lives belong together otherwise".to_owned(),
            (Some(added), None) => format!("added: {added}"),
            (None, Some(gone)) => format!("gone: {gone}"),
            (Some(added), Some(gone)) => format!("added: {added}; gone: {gone}"),
        };
        let id = self.id;
        let message = format!("{root} is not what the plan {id} says any more: {what}");
        Err(Error::new(ErrorKind::Refused, message))
    }
}

fn named<'a>(lives: impl Iterator<Item = &'a &'a ActorRef>) -> Option<String> {
    let names: Vec<String> = lives.map(ToString::to_string).collect();
    let more = names.len().saturating_sub(NAMES_SHOWN_MAX);
    let mut shown = names.get(..names.len() - more)?.join(", ");
    if more > 0 {
        shown = format!("{shown} and {more} more");
    }
    (!shown.is_empty()).then_some(shown)
}

/// A life in the tree, and where it hangs.
struct Branch {
    actor: ActorRef,
    parent: Option<ActorRef>,
    depth: u32,
    /// `None` if its birth is on its way.
    record: Option<Box<ActorRecord>>,
}

/// The lives of a tree, children before parents, siblings in the order in which they are asked.
fn tree(store: &dyn Store, root: &ActorRef) -> Result<Vec<Branch>, Error> {
    let Some(Entry::Alive(record)) = read_entry(store, &root.id)? else { return Ok(Vec::new()) };
    let mut n_found = 1;
    let first = Branch { actor: root.clone(), parent: None, depth: 0, record: Some(record) };
    // A stack and no recursion: a tree may be as deep as it has members.
    let mut open = vec![(children(store, &root.id, n_found)?, first)];
    let mut tree = Vec::new();
    while let Some((waiting, parent)) = open.last_mut() {
        let Some(child) = waiting.next() else {
            tree.extend(open.pop().map(|(_, branch)| branch));
            continue;
        };
        let record = match read_entry(store, &child)? {
            Some(Entry::Alive(it)) if it.parent.as_ref() == Some(&parent.actor) => Some(it),
            None => None,
            // The name is another's, or was: that birth is refused, and the link goes.
            Some(Entry::Alive(_) | Entry::Tombstone(_)) => continue,
        };
        n_found += 1;
        if n_found > PLAN_MEMBERS_MAX {
            return Err(too_large(&root.id));
        }
        let incarnation = record.as_ref().map_or(0, |it| it.incarnation);
        let parent = Some(parent.actor.clone());
        let depth = u32::try_from(open.len()).unwrap_or(u32::MAX);
        let actor = ActorRef { id: child, incarnation };
        let grandchildren = children(store, &actor.id, n_found)?;
        open.push((grandchildren, Branch { actor, parent, depth, record }));
    }
    Ok(tree)
}

fn too_large(root: &ActorId) -> Error {
    let message = format!("{root} would take along more than {PLAN_MEMBERS_MAX} actors");
    Error::new(ErrorKind::Refused, message)
}

/// The children of an actor, in order; refused if there are more than a plan has room for.
fn children(
    store: &dyn Store,
    parent: &ActorId,
    n_found: usize,
) -> Result<std::vec::IntoIter<ActorId>, Error> {
    let prefix = key::children(parent);
    let room = PLAN_MEMBERS_MAX - n_found;
    let links = store.scan(&prefix, &key::end_of(&prefix), room + 1)?;
    if links.len() > room {
        return Err(too_large(parent));
    }
    let child = |(at, _): (key::Key, _)| match key::parse(&at) {
        Some(Parsed::Child(_, child)) => Some(child),
        Some(_) | None => None,
    };
    Ok(links.into_iter().filter_map(child).collect::<Vec<ActorId>>().into_iter())
}

fn member(store: &dyn Store, kinds: &Kinds, branch: Branch) -> Result<Member, Error> {
    let Branch { actor, parent, depth, record } = branch;
    let mut member = Member {
        actor,
        parent,
        depth,
        status: "unborn".to_owned(),
        is_destroying: false,
        debts: 0,
        blocks: Vec::new(),
    };
    let Some(record) = record else { return Ok(member) };
    member.is_destroying = record.destruction.is_some();
    member.debts = record.debts_open;
    member.blocks = blocks(&record, read_debts(store, &member.actor.id)?.iter());
    match find_slot(store, kinds, &member.actor.id) {
        Ok(Some(slot)) => slot.view.status.clone_into(&mut member.status),
        // It went while the plan was made.
        Ok(None) => DESTROYING.clone_into(&mut member.status),
        Err(error) if error.kind() == ErrorKind::Closed => return Err(error),
        Err(error) => {
            "unreadable".clone_into(&mut member.status);
            member.blocks.push(error.to_string());
        }
    }
    Ok(member)
}

fn fingerprint(tree: &[Branch]) -> PlanId {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut take = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for branch in tree {
        for life in std::iter::once(&branch.actor).chain(&branch.parent) {
            take(life.id.as_str().as_bytes());
            take(&[0]);
            take(&life.incarnation.to_be_bytes());
        }
    }
    PlanId(hash)
}

impl fmt::Display for DestroyPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_more = self.members.len().saturating_sub(1);
        writeln!(f, "plan {}: destroys {} and {n_more} below it", self.id, self.root)?;
        for (index, member) in self.members.iter().enumerate() {
            let going = if member.is_destroying { ", is being destroyed already" } else { "" };
            let debts = match member.debts {
                0 => String::new(),
                n => format!(", owes {n}"),
            };
            let (n, it) = (index + 1, &member.actor);
            writeln!(f, "{n:>5}  {it} {}{debts}{going}", member.status)?;
            for why in &member.blocks {
                writeln!(f, "         blocked: {why}")?;
            }
        }
        Ok(())
    }
}
