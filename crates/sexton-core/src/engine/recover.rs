//! A store read back: what is owed, what lies in inboxes, what rings soon; no actor is loaded.

use std::collections::{BTreeMap, BTreeSet};

use crate::actor::Kinds;
use crate::codec;
use crate::effect::Debt;
use crate::error::Error;
use crate::key::{self, ActorId, Parsed, Shard, Table};
use crate::limits::Limits;
use crate::row::DESTROYING;
use crate::store::{Fence, Store};
use crate::time::Timestamp;

use super::aside::Aside;
use super::attempt::Buffers;
use super::live::LiveActors;
use super::slot::corrupt;
use super::waiting::Waiting;
use super::{Engine, Part, Switch};

/// The most records of a table that one page of recovery reads. Chosen: memory stays bounded.
const PAGE: usize = 10_000;

impl Engine {
    /// Takes up a part of a store where its last owner stopped.
    ///
    /// `fences` are what [`Store::claim`] returned. Reads what is pending (mail, debts, stuck
    /// destructions, the alarms of the horizon), and no actor's record: opening costs what is
    /// pending, not what is stored.
    ///
    /// # Errors
    ///
    /// What the store says. A pending record that cannot be read is no error: its actor is set
    /// aside, see [`unreadable`](Self::unreadable).
    pub fn recover(
        kinds: Kinds,
        limits: Limits,
        store: &dyn Store,
        from: (Part, &[(Shard, Fence)]),
    ) -> Result<Self, Error> {
        let (part, fences) = from;
        let order = fences.iter().map(|(_, fence)| fence.order).max().unwrap_or(0);
        let recovered_at =
            fences.iter().map(|(_, fence)| fence.at).max().unwrap_or(Timestamp::ZERO);
        let mut engine = Self {
            kinds,
            limits,
            part,
            fences: fences.iter().filter(|(shard, _)| part.has(*shard)).copied().collect(),
            order,
            durable: order,
            recovered_at,
            latest: recovered_at,
            live: LiveActors::new(),
            mail: Waiting::new(),
            alarms: BTreeSet::new(),
            marked: Vec::new(),
            marks: BTreeSet::new(),
            horizon: Timestamp::MIN,
            began_at: None,
            owed: BTreeMap::new(),
            performing: BTreeMap::new(),
            stuck: BTreeSet::new(),
            waiters: BTreeMap::new(),
            aside: Aside::default(),
            buffers: Buffers::default(),
            alarm_switch: Switch::On,
            effect_switch: Switch::On,
        };
        each_shard(store, |shard| {
            if !part.has(shard) {
                return Ok(());
            }
            engine.recover_mail(store, shard)?;
            engine.recover_debts(store, shard)
        })?;
        engine.recover_stuck(store)?;
        engine.look_ahead(recovered_at, store)?;
        Ok(engine)
    }

    fn recover_mail(&mut self, store: &dyn Store, shard: Shard) -> Result<(), Error> {
        each(store, &key::prefix(shard, Table::Inbox), |at, _| {
            if let Some(Parsed::Inbox(to, place)) = key::parse(at) {
                // New mail must not count as older than what lies there.
                self.latest = self.latest.max(place.at);
                self.mail.insert(place, to);
            }
            Ok(())
        })
    }

    /// Lines up the first debt of each actor that owes.
    fn recover_debts(&mut self, store: &dyn Store, shard: Shard) -> Result<(), Error> {
        let mut last: Option<ActorId> = None;
        each(store, &key::prefix(shard, Table::Debt), |at, bytes| {
            let Some(Parsed::Debt(id, number)) = key::parse(at) else { return Ok(()) };
            if last.as_ref() != Some(&id) {
                let debt = codec::open::<Debt>(bytes).map_err(|error| corrupt(&id, error));
                if let Some(debt) = self.spare(self.recovered_at, &id, debt)? {
                    self.owed.insert((debt.next_at, debt.order, id.clone()), number);
                }
                last = Some(id);
            }
            Ok(())
        })
    }

    /// Destructions whose `on_destroy` failed have no mail that would wake them.
    fn recover_stuck(&mut self, store: &dyn Store) -> Result<(), Error> {
        let kinds: Vec<&'static str> = self.kinds.names().collect();
        for kind in kinds {
            each(store, &key::rows(kind, DESTROYING), |at, bytes| {
                let Some(Parsed::Row(id, _)) = key::parse(at) else { return Ok(()) };
                if !self.part.has(id.shard()) {
                    return Ok(());
                }
                // A row that cannot be read may be that of a stuck destruction.
                let row = codec::open::<crate::row::RowRecord>(bytes);
                if row.is_ok_and(|row| row.stalled.is_none()) {
                    return Ok(());
                }
                self.stuck.insert((self.recovered_at, id));
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Calls `visit` for every shard in which anything lies, in order: most stores hold far fewer
/// actors than there are shards, and looking into each would be most of opening one.
pub(crate) fn each_shard(
    store: &dyn Store,
    mut visit: impl FnMut(Shard) -> Result<(), Error>,
) -> Result<(), Error> {
    let (mut from, end) = (Vec::new(), key::end_of_shards());
    while let Some((first, _)) = store.scan(&from, &end, 1)?.first() {
        let Some(shard) = key::shard_of(first) else { return Ok(()) };
        visit(shard)?;
        from = key::end_of(&key::shard(shard));
    }
    Ok(())
}

/// Calls `visit` for every record under `prefix`, page by page.
pub(crate) fn each(
    store: &dyn Store,
    prefix: &[u8],
    visit: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    each_between(store, (prefix.to_vec(), &key::end_of(prefix)), visit)
}

/// Calls `visit` for every record from the first key on and before the second, page by page.
pub(super) fn each_between(
    store: &dyn Store,
    between: (key::Key, &[u8]),
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let (mut start, end) = between;
    loop {
        let page = store.scan(&start, end, PAGE)?;
        for (at, bytes) in &page {
            visit(at, bytes)?;
        }
        match page.last() {
            Some((last, _)) if page.len() == PAGE => start = [last.as_slice(), &[0]].concat(),
            Some(_) | None => return Ok(()),
        }
    }
}
