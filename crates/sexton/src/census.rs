//! What lies in a store, counted piece by piece: actors by kind and status, the stalled ones, debts
//! by age.
//!
//! Nobody keeps these numbers while turns run: they would have to be counted when a store is opened,
//! which must not read a million records. They are counted when somebody asks, and a
//! [`Census`] goes through the store in as many pieces as it takes, each of a bounded number of
//! records (keeps G14): rows first, then debts. What it says is as of the last time that it came to
//! the end; meanwhile the store goes on, so what moved may be counted twice or not at all.
//!
//! ```text
//! Census::default() --> Host::count --> Host::count --> .. --> whole(): as of then
//!                         rows            rows, debts    |
//!                         ^------------------------------+
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use sexton_core::index::Cursor;
use sexton_core::key::{self, Key, Parsed, Table};
use sexton_core::{Debt, Error, Query, Shard, Store, Timestamp, codec};

/// The ages by which debts are counted: older than a minute, ten minutes, an hour, a day.
///
/// Chosen: a provider that is slow, one that is down, one that nobody has noticed, a leak.
pub const AGES: [Duration; 4] = [
    Duration::from_secs(60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(60 * 60),
    Duration::from_secs(24 * 60 * 60),
];
/// Debts that are read from the store at once. Chosen.
const CHUNK: usize = 1_000;

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// When the count began, by the host's clock.
    pub began_at: Timestamp,
    /// Living actors by kind and status.
    pub actors: BTreeMap<(String, String), u64>,
    /// Those of them that make no progress, by kind.
    pub stalled: BTreeMap<String, u64>,
    /// Effects that are owed, by the kind that owes them.
    pub debts: BTreeMap<String, Debts>,
    /// Rows and debts that could not be read.
    pub unread: u64,
}

/// The debts of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Debts {
    /// All of them.
    pub total: u64,
    /// Those that are older than each of [`AGES`].
    pub older: [u64; 4],
}

/// A count that is under way, and the last one that came to its end.
#[derive(Clone, Debug, Default)]
pub struct Census {
    whole: Option<Counted>,
    counting: Option<(Counted, Place)>,
}

/// Where a count goes on.
#[derive(Clone, Debug)]
enum Place {
    /// Behind this row; `None` is before the first.
    Rows(Option<Cursor>),
    /// At this key, in the debts of this shard.
    Debts(Shard, Key),
}

impl Census {
    /// What was counted when it last came to the end.
    pub fn whole(&self) -> Option<&Counted> {
        self.whole.as_ref()
    }

    /// Goes on by at most `records_max` records, and at most to the end.
    pub(crate) fn go_on(
        mut self,
        store: &dyn Store,
        now: Timestamp,
        records_max: usize,
    ) -> Result<Self, Error> {
        let begin = || (Counted { began_at: now, ..Counted::default() }, Place::Rows(None));
        let (mut counted, mut place) = self.counting.take().unwrap_or_else(begin);
        let mut left = records_max.max(1);
        while left > 0 {
            let next = match place {
                Place::Rows(after) => counted.rows(store, after, &mut left)?,
                Place::Debts(shard, from) => {
                    counted.debts(store, (shard, from), (now, &mut left))?
                }
            };
            let Some(next) = next else {
                self.whole = Some(counted);
                return Ok(self);
            };
            place = next;
        }
        self.counting = Some((counted, place));
        Ok(self)
    }
}

impl Counted {
    fn rows(
        &mut self,
        store: &dyn Store,
        after: Option<Cursor>,
        left: &mut usize,
    ) -> Result<Option<Place>, Error> {
        let query = Query::all().limit(*left).examine_max(*left);
        let query = match after {
            Some(cursor) => query.after(cursor),
            None => query,
        };
        let page = query.page(store)?;
        *left -= page.examined.min(*left);
        self.unread += u64::try_from(page.unread).unwrap_or(0);
        for (_, row) in page.rows {
            let kind = row.id.kind();
            if row.record.stalled.is_some() {
                *self.stalled.entry(kind.to_owned()).or_default() += 1;
            }
            *self.actors.entry((kind.to_owned(), row.status)).or_default() += 1;
        }
        Ok(Some(match page.next {
            Some(cursor) => Place::Rows(Some(cursor)),
            None => first_debts(Shard::new(0)),
        }))
    }

    fn debts(
        &mut self,
        store: &dyn Store,
        at: (Shard, Key),
        bound: (Timestamp, &mut usize),
    ) -> Result<Option<Place>, Error> {
        let ((shard, from), (now, left)) = (at, bound);
        let wanted = CHUNK.min(*left);
        let end = key::end_of(&key::prefix(shard, Table::Debt));
        let page = store.scan(&from, &end, wanted)?;
        *left -= page.len();
        for (at, bytes) in &page {
            self.debt(at, bytes, now);
        }
        if let Some((last, _)) = page.last().filter(|_| page.len() == wanted) {
            return Ok(Some(Place::Debts(shard, [last.as_slice(), &[0]].concat())));
        }
        Ok(Shard::try_from(shard.number() + 1).ok().map(first_debts))
    }

    fn debt(&mut self, at: &[u8], bytes: &[u8], now: Timestamp) {
        let (Some(Parsed::Debt(id, _)), Ok(debt)) = (key::parse(at), codec::open::<Debt>(bytes))
        else {
            self.unread += 1;
            return;
        };
        let debts = self.debts.entry(id.kind().to_owned()).or_default();
        debts.total += 1;
        for (older, age) in debts.older.iter_mut().zip(AGES) {
            *older += u64::from(debt.recorded_at + age < now);
        }
    }
}

fn first_debts(shard: Shard) -> Place {
    Place::Debts(shard, key::prefix(shard, Table::Debt))
}
