//! Who: the identity of an actor, its shard, and the keys under which its records lie.
//!
//! A key is bytes in the order in which a store keeps them. The truth about an actor begins
//! with the actor's shard. Two tables are of the whole store and lie above every shard: the log
//! of events, in the store's one order, and the index of rows, which can be rebuilt from the
//! truth and begins with the kind and the status that it is searched by:
//!
//! ```text
//! shard:2  'a' id                            the actor's entry: alive or a tombstone, never both
//! shard:2  'c' parent 0 child                a child's link, in the parent's shard
//! shard:2  'd' id 0 number:8                 a debt
//! shard:2  'i' id 0 at:8 order:8 from:2 index:4   a mail in an inbox
//! shard:2  'l' due:8 id                      an armed alarm
//! FFFF     'e' number:8                       an event, in the log
//! FFFF     'r' kind 0 status 0 shard:2 id    a row
//! ```
//!
//! Numbers are big-endian, times are shifted so that the order of the bytes is the order of time.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::limits::{KIND_BYTES_MAX, NAME_BYTES_MAX, SHARDS};
use crate::time::Timestamp;

/// The name of an actor: `kind/name`, unique for ever within a store.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorId(Arc<str>);

/// Why a text is not an actor's id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IdError {
    /// There is no `/` between kind and name.
    #[error("an actor's id is `kind/name`, and `{0}` has no `/`")]
    NoSlash(String),
    /// The kind is empty, too long, or has a character other than `a-z`, `0-9` and `_`.
    #[error("`{0}` is not a kind: 1 to {KIND_BYTES_MAX} of a-z, 0-9 and _")]
    BadKind(String),
    /// The name is empty, too long, or has a control character.
    #[error("`{0}` is not a name: 1 to {NAME_BYTES_MAX} bytes without control characters")]
    BadName(String),
}

impl ActorId {
    /// Makes an id of a kind and a name.
    ///
    /// # Errors
    ///
    /// [`IdError`] if either breaks the rules named there.
    ///
    /// # Example
    ///
    /// ```
    /// use sexton_core::ActorId;
    ///
    /// let id = ActorId::new("workspace", "w-17").expect("a good id");
    /// assert_eq!((id.kind(), id.name()), ("workspace", "w-17"));
    /// assert!(ActorId::new("Workspace", "w-17").is_err());
    /// ```
    pub fn new(kind: &str, name: &str) -> Result<Self, IdError> {
        let is_kind = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if kind.is_empty() || kind.len() > KIND_BYTES_MAX || !kind.bytes().all(is_kind) {
            return Err(IdError::BadKind(kind.to_owned()));
        }
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(IdError::BadName(name.chars().take(NAME_BYTES_MAX).collect()));
        }
        Ok(Self(format!("{kind}/{name}").into()))
    }

    /// Reads `kind/name`; the name may have further slashes.
    ///
    /// # Errors
    ///
    /// [`IdError`] if there is no slash or a part breaks the rules.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let (kind, name) = text.split_once('/').ok_or_else(|| IdError::NoSlash(text.to_owned()))?;
        Self::new(kind, name)
    }

    /// The part before the first slash.
    pub fn kind(&self) -> &str {
        self.0.split_once('/').map_or("", |(kind, _)| kind)
    }

    /// The part after the first slash.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }

    /// The whole id, `kind/name`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same id in memory of its own. Clones share a counter of references, and threads that
    /// clone and drop them all the time wait for each other's caches.
    pub(crate) fn apart(&self) -> Self {
        Self(Arc::from(&*self.0))
    }

    /// The shard that owns this actor, fixed by its id alone.
    ///
    /// FNV-1a with 64 bits over the id's bytes, modulo [`SHARDS`]: written down here because
    /// it may never change for a store that exists.
    pub fn shard(&self) -> Shard {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in self.0.bytes() {
            hash ^= u64::from(byte);
            hash = hash.wrapping_mul(0x0100_0000_01b3);
        }
        // The high half folded in: FNV's low bits alone differ little between short names.
        let folded = (hash ^ (hash >> 32)) % u64::from(SHARDS);
        Shard(u16::try_from(folded).unwrap_or(0))
    }
}

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ActorId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ActorId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// One life of an actor: its id and which life it is, as a Kubernetes UID tells lives apart.
///
/// What was meant for an earlier life never reaches a later one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ActorRef {
    /// The actor's name.
    pub id: ActorId,
    /// Which life: 1 for the first, one more for each life after a tombstone's retention.
    pub incarnation: u32,
}

impl fmt::Display for ActorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.id, self.incarnation)
    }
}

/// One of the [`SHARDS`] parts into which a store's actors fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u16")]
pub struct Shard(u16);

/// A number that is not a shard's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a shard's number is below {SHARDS}, not {0}")]
pub struct NotAShard(u16);

impl TryFrom<u16> for Shard {
    type Error = NotAShard;

    fn try_from(number: u16) -> Result<Self, NotAShard> {
        if number < SHARDS { Ok(Self(number)) } else { Err(NotAShard(number)) }
    }
}

impl Shard {
    /// The shard with this number.
    ///
    /// # Panics
    ///
    /// If `number` is not below [`SHARDS`]: only a bug makes such a number.
    pub fn new(number: u16) -> Self {
        assert!(number < SHARDS, "a shard's number is below {SHARDS}, not {number}");
        Self(number)
    }

    /// Its number, below [`SHARDS`].
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Every shard, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SHARDS).map(Self)
    }
}

/// The bytes under which a store keeps a record.
pub type Key = Vec<u8>;

/// The number that stands in front of what belongs to no shard, above every shard.
const INDEX: u16 = u16::MAX;
/// Ends an id inside a key; no id contains it.
const END: u8 = 0;

/// Which record of an actor a key names; the third byte of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Table {
    /// The entry: alive, or a tombstone.
    Actor = b'a',
    /// Links from a parent to its children.
    Child = b'c',
    /// Effects that are owed.
    Debt = b'd',
    /// The log of events.
    Event = b'e',
    /// Mail that was sent and not yet taken.
    Inbox = b'i',
    /// Alarms that are armed.
    Alarm = b'l',
    /// What queries see.
    Row = b'r',
}

impl Table {
    const fn byte(self) -> u8 {
        match self {
            Self::Actor => b'a',
            Self::Child => b'c',
            Self::Debt => b'd',
            Self::Event => b'e',
            Self::Inbox => b'i',
            Self::Alarm => b'l',
            Self::Row => b'r',
        }
    }
}

/// The place of a mail among all mail: oldest first, unique in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MailOrder {
    /// When the sender's turn ran.
    pub at: Timestamp,
    /// The sender's turn among the turns of its engine.
    pub order: u64,
    /// The sender's shard (its own for what a shard sends itself).
    pub from: Shard,
    /// The place among the mail of that turn.
    pub index: u32,
}

/// What every key of a shard begins with, and no other key is below.
pub(crate) fn shard(shard: Shard) -> Key {
    shard.0.to_be_bytes().to_vec()
}

/// What no key of any shard lies behind.
pub(crate) fn end_of_shards() -> Key {
    SHARDS.to_be_bytes().to_vec()
}

/// The shard that a key lies in, if it lies in one.
pub(crate) fn shard_of(key: &[u8]) -> Option<Shard> {
    let number = u16::from_be_bytes(*key.first_chunk()?);
    (number < SHARDS).then_some(Shard(number))
}

/// What a range of keys begins with.
pub fn prefix(shard: Shard, table: Table) -> Key {
    let mut key = Vec::with_capacity(64);
    key.extend_from_slice(&shard.0.to_be_bytes());
    key.push(table.byte());
    key
}

fn with_id(shard: Shard, table: Table, id: &ActorId) -> Key {
    let mut key = prefix(shard, table);
    key.extend_from_slice(id.as_str().as_bytes());
    key
}

fn with_id_ended(shard: Shard, table: Table, id: &ActorId) -> Key {
    let mut key = with_id(shard, table, id);
    key.push(END);
    key
}

/// Where an actor's entry lies: a live record or a tombstone.
pub fn actor(id: &ActorId) -> Key {
    with_id(id.shard(), Table::Actor, id)
}

/// What the links of all children of `parent` begin with.
pub fn children(parent: &ActorId) -> Key {
    with_id_ended(parent.shard(), Table::Child, parent)
}

/// Where the link from `parent` to `child` lies.
pub fn child(parent: &ActorId, child: &ActorId) -> Key {
    let mut key = children(parent);
    key.extend_from_slice(child.as_str().as_bytes());
    key
}

/// What all debts of an actor begin with.
pub fn debts(id: &ActorId) -> Key {
    with_id_ended(id.shard(), Table::Debt, id)
}

/// Where the debt with this number lies.
pub fn debt(id: &ActorId, number: u64) -> Key {
    let mut key = debts(id);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// What every event of the log begins with.
pub fn all_events() -> Key {
    let mut key = Vec::with_capacity(16);
    key.extend_from_slice(&INDEX.to_be_bytes());
    key.push(Table::Event.byte());
    key
}

/// Where the event with this number in the log of its store lies.
pub fn event(number: u64) -> Key {
    let mut key = all_events();
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// What all mail in an actor's inbox begins with.
pub fn inbox(id: &ActorId) -> Key {
    with_id_ended(id.shard(), Table::Inbox, id)
}

/// Where a mail in the inbox of `id` lies.
pub fn mail(id: &ActorId, order: MailOrder) -> Key {
    let mut key = inbox(id);
    key.extend_from_slice(&time_bytes(order.at));
    key.extend_from_slice(&order.order.to_be_bytes());
    key.extend_from_slice(&order.from.0.to_be_bytes());
    key.extend_from_slice(&order.index.to_be_bytes());
    key
}

/// Where the alarm of `id` lies when it is armed for `due`.
pub fn alarm(id: &ActorId, due: Timestamp) -> Key {
    let mut key = alarms_from(id.shard(), due);
    key.extend_from_slice(id.as_str().as_bytes());
    key
}

/// What no alarm of `shard` that is due before `due` lies behind.
pub fn alarms_from(shard: Shard, due: Timestamp) -> Key {
    let mut key = prefix(shard, Table::Alarm);
    key.extend_from_slice(&time_bytes(due));
    key
}

/// What all rows of a kind with a status begin with.
pub fn rows(kind: &str, status: &str) -> Key {
    let mut key = rows_of_kind(kind);
    key.extend_from_slice(status.as_bytes());
    key.push(END);
    key
}

/// What all rows of a kind begin with.
pub fn rows_of_kind(kind: &str) -> Key {
    let mut key = all_rows();
    key.extend_from_slice(kind.as_bytes());
    key.push(END);
    key
}

/// What every row begins with.
pub fn all_rows() -> Key {
    let mut key = Vec::with_capacity(64);
    key.extend_from_slice(&INDEX.to_be_bytes());
    key.push(Table::Row.byte());
    key
}

/// Where the row of `id` lies while it has `status`.
pub fn row(id: &ActorId, status: &str) -> Key {
    let mut key = rows(id.kind(), status);
    key.extend_from_slice(&id.shard().0.to_be_bytes());
    key.extend_from_slice(id.as_str().as_bytes());
    key
}

/// The first key behind everything that begins with `prefix`.
pub fn end_of(prefix: &[u8]) -> Key {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

/// What a key says about the record behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// An actor's entry.
    Actor(ActorId),
    /// A link from a parent to a child.
    Child(ActorId, ActorId),
    /// A debt and its number.
    Debt(ActorId, u64),
    /// An event and its number in the log.
    Event(u64),
    /// A mail in an inbox.
    Inbox(ActorId, MailOrder),
    /// An alarm and when it is due.
    Alarm(ActorId, Timestamp),
    /// A row and the status it lies under.
    Row(ActorId, String),
}

/// Reads a key back; `None` if it is none of ours.
pub fn parse(key: &[u8]) -> Option<Parsed> {
    let (shard, rest) = key.split_first_chunk::<2>()?;
    let (table, rest) = rest.split_first()?;
    match *table {
        b'a' => Some(Parsed::Actor(id_of(rest)?)),
        b'c' => {
            let (parent, child) = split_end(rest)?;
            Some(Parsed::Child(id_of(parent)?, id_of(child)?))
        }
        b'd' => {
            let (id, number) = split_end(rest)?;
            Some(Parsed::Debt(id_of(id)?, u64::from_be_bytes(number.try_into().ok()?)))
        }
        b'e' => {
            let number = u64::from_be_bytes(rest.try_into().ok()?);
            (*shard == INDEX.to_be_bytes()).then_some(Parsed::Event(number))
        }
        b'i' => {
            let (id, order) = split_end(rest)?;
            Some(Parsed::Inbox(id_of(id)?, mail_order(order)?))
        }
        b'l' => {
            let (due, id) = rest.split_first_chunk::<8>()?;
            Some(Parsed::Alarm(id_of(id)?, time_of(*due)))
        }
        b'r' => {
            let (_kind, rest) = split_end(rest)?;
            let (status, rest) = split_end(rest)?;
            let id = id_of(rest.get(2..)?)?;
            Some(Parsed::Row(id, String::from_utf8(status.to_vec()).ok()?))
        }
        _ => None,
    }
}

fn mail_order(bytes: &[u8]) -> Option<MailOrder> {
    let (at, bytes) = bytes.split_first_chunk::<8>()?;
    let (order, bytes) = bytes.split_first_chunk::<8>()?;
    let (from, bytes) = bytes.split_first_chunk::<2>()?;
    let from = u16::from_be_bytes(*from);
    let index = u32::from_be_bytes(bytes.try_into().ok()?);
    (from < SHARDS).then(|| MailOrder {
        at: time_of(*at),
        order: u64::from_be_bytes(*order),
        from: Shard(from),
        index,
    })
}

fn id_of(bytes: &[u8]) -> Option<ActorId> {
    ActorId::parse(std::str::from_utf8(bytes).ok()?).ok()
}

fn split_end(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == END)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

/// The sign bit turned over, so that earlier moments sort before later ones as bytes.
fn time_bytes(at: Timestamp) -> [u8; 8] {
    (at.as_millis() ^ i64::MIN).to_be_bytes()
}

fn time_of(bytes: [u8; 8]) -> Timestamp {
    Timestamp::from_millis(i64::from_be_bytes(bytes) ^ i64::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ActorId {
        ActorId::parse(text).unwrap()
    }

    #[test]
    fn the_shard_of_an_id_never_changes() {
        // Written down once: a store that exists depends on these numbers.
        assert_eq!(id("node/n1").shard().number(), 374);
        assert_eq!(id("workspace/w-17").shard().number(), 1_821);
    }

    #[test]
    fn keys_read_back_as_what_they_name() {
        let (parent, kid) = (id("owner/a"), id("node/a/b"));
        let order =
            MailOrder { at: Timestamp::from_millis(-7), order: 9, from: parent.shard(), index: 3 };
        let cases = [
            (actor(&kid), Parsed::Actor(kid.clone())),
            (child(&parent, &kid), Parsed::Child(parent.clone(), kid.clone())),
            (debt(&kid, 12), Parsed::Debt(kid.clone(), 12)),
            (event(1 << 40), Parsed::Event(1 << 40)),
            (mail(&kid, order), Parsed::Inbox(kid.clone(), order)),
            (alarm(&kid, order.at), Parsed::Alarm(kid.clone(), order.at)),
            (row(&kid, "warm"), Parsed::Row(kid.clone(), "warm".to_owned())),
        ];
        for (key, parsed) in cases {
            assert_eq!(parse(&key), Some(parsed));
        }
        assert_eq!(parse(b"nonsense"), None);
        assert!(end_of(&all_events()) <= all_rows(), "the log lies before the rows");
    }

    #[test]
    fn a_number_that_is_no_shards_is_not_read_as_one() {
        let read = |number: u16| crate::codec::decode::<Shard>(&number.to_le_bytes());
        assert_eq!(read(SHARDS - 1), Ok(Shard(SHARDS - 1)));
        assert_eq!(crate::codec::encode(&Shard(7)), Ok(vec![7, 0]));
        let error = read(SHARDS).unwrap_err();
        assert!(error.to_string().contains("not 4096"), "{error}");
    }

    #[test]
    fn alarms_sort_by_time_also_before_zero() {
        let node = id("node/n1");
        let times = [-5, -1, 0, 1, 1 << 40].map(|ms| alarm(&node, Timestamp::from_millis(ms)));
        assert!(times.is_sorted());
    }

    #[test]
    fn the_end_of_a_prefix_is_behind_all_that_begins_with_it() {
        assert_eq!(end_of(b"ab"), b"ac");
        assert_eq!(end_of(&[1, 255]), [2]);
        assert!(end_of(&[255]).is_empty());
    }
}
