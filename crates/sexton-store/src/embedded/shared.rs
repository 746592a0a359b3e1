//! The state of an open store, and how a batch passes through it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, RwLock};

use sexton_core::StoreFigures;
use sexton_core::key::Key;
use sexton_core::log::Bounds;
use sexton_core::{Batch, Cursor, Epoch, Error, ErrorKind, Fence, Position, Shard, Write};

use super::Sizes;
use super::worker::Job;
use crate::disk::Disk;
use crate::fault;
use crate::fences::Fences;
use crate::index::{Checkpoint, Index};
use crate::journal::{self, FRAME_HEAD_BYTES, Item, Journal, Start};
use crate::log;
use crate::overlay::{Merge, Overlay};

/// The bytes that may wait for a flush; a submit above it flushes by itself. Chosen: far more
/// than turns make between two flushes, far less than memory.
const PENDING_BYTES_MAX: usize = 16 * 1_024 * 1_024;
/// The largest batch. Chosen: some records of the largest size, and well within a frame.
const BATCH_BYTES_MAX: usize = 512 * 1_024 * 1_024;
/// The largest buffer that is kept for the next group.
const KEPT_BYTES_MAX: usize = 1_024 * 1_024;

/// Everything that the callers of a store and its thread share.
///
/// Locks are taken in the order of the fields.
#[derive(Debug)]
pub(crate) struct Shared {
    label: String,
    sizes: Sizes,
    index: Box<dyn Index>,
    /// Held while a group is written: one frame is on its way at a time.
    journal: Mutex<Journal>,
    tables: RwLock<Tables>,
    /// Up to where the index is, and who waits for it.
    applied: Mutex<u64>,
    progress: Condvar,
    worker: Mutex<Option<Sender<Job>>>,
    /// Whether a spare was asked for and is not there yet.
    is_spare_asked: AtomicBool,
    /// Why the store refuses everything.
    failure: OnceLock<String>,
}

/// What is in memory.
#[derive(Debug)]
struct Tables {
    fences: Fences,
    log: Bounds,
    /// What came since the latest freeze.
    overlay: Overlay,
    /// What is on its way into the index.
    frozen: Option<Arc<Frozen>>,
    /// The frame of the next flush, with room for its head.
    pending: Vec<u8>,
    /// The memory of the frame before it, for the one behind it.
    spare: Vec<u8>,
    n_pending: u32,
    /// The position of the last item, and of the last that is durable.
    last: u64,
    flushed: u64,
    /// The bytes of journal since the latest freeze.
    journal_bytes: u64,
    n_commits: u64,
    n_flushes: u64,
    /// What the journal took on disk at the latest flush.
    disk_bytes: u64,
}

/// Writes that no longer change, and the checkpoint that they lead to.
#[derive(Debug)]
pub(crate) struct Frozen {
    overlay: Overlay,
    checkpoint: Checkpoint,
}

/// What one flush writes.
struct Group {
    frame: Vec<u8>,
    items: u32,
    last: u64,
    /// Where the log ends behind it.
    log_end: Cursor,
    /// Goes to the index once the frame is durable.
    frozen: Option<Arc<Frozen>>,
}

impl Shared {
    /// The state of a store that was just made.
    pub(crate) fn new(
        label: String,
        sizes: Sizes,
        journal: Journal,
        index: Box<dyn Index>,
    ) -> Self {
        Self::with(label, sizes, (journal, index), Recovered::new(Checkpoint::beginning()))
    }

    /// The state of a store that exists: the checkpoint of its index, and what the journal holds
    /// behind it.
    pub(crate) fn recover(
        label: String,
        sizes: Sizes,
        disk: Arc<dyn Disk>,
        index: Box<dyn Index>,
    ) -> Result<Self, Error> {
        let checkpoint = index.checkpoint()?;
        let start = Start { position: checkpoint.position, generation: checkpoint.generation };
        let mut recovered = Recovered::new(checkpoint);
        let mut take = |position, item| {
            recovered.take(position, item);
            if recovered.overlay.bytes() > sizes.overlay_bytes {
                // Memory stays bounded however long the journal is.
                let checkpoint = recovered.checkpoint(start.generation);
                index.apply(&recovered.overlay, &checkpoint)?;
                recovered.overlay = Overlay::default();
                recovered.applied = position;
            }
            Ok(())
        };
        let (mut journal, last) = journal::replay(disk, sizes.segment_bytes, start, &mut take)?;
        recovered.last = last;
        if recovered.applied > start.position {
            journal.free(recovered.applied)?;
        }
        Ok(Self::with(label, sizes, (journal, index), recovered))
    }

    fn with(
        label: String,
        sizes: Sizes,
        (journal, index): (Journal, Box<dyn Index>),
        recovered: Recovered,
    ) -> Self {
        let tables = Tables {
            fences: recovered.fences,
            log: Bounds { durable: recovered.log.end, ..recovered.log },
            overlay: recovered.overlay,
            frozen: None,
            pending: vec![0; FRAME_HEAD_BYTES],
            spare: vec![0; FRAME_HEAD_BYTES],
            n_pending: 0,
            last: recovered.last,
            flushed: recovered.last,
            journal_bytes: journal.replay_bytes(),
            n_commits: 0,
            n_flushes: 0,
            disk_bytes: journal.bytes(),
        };
        Self {
            label,
            sizes,
            index,
            journal: Mutex::new(journal),
            tables: RwLock::new(tables),
            applied: Mutex::new(recovered.applied),
            progress: Condvar::new(),
            worker: Mutex::new(None),
            is_spare_asked: AtomicBool::new(false),
            failure: OnceLock::new(),
        }
    }

    /// Keeps promise 5 of `Store`: silent after failure.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.failure.get() {
            None => Ok(()),
            Some(reason) => {
                let label = &self.label;
                let message = format!(
                    "the store {label} refuses everything until it is opened again: {reason}"
                );
                Err(Error::new(ErrorKind::Closed, message))
            }
        }
    }

    /// Notes the first failure, and wakes whoever waits.
    pub(super) fn fail(&self, error: &Error) {
        let source = std::error::Error::source(error).map(|source| format!(": {source}"));
        let reason = format!("{error}{}", source.unwrap_or_default());
        tracing::error!(store = %self.label, %reason, "the store failed");
        // The first reason stays.
        drop(self.failure.set(reason));
        drop(fault::lock(&self.applied));
        self.progress.notify_all();
    }

    pub(crate) fn claim(&self) -> Result<Vec<(Shard, Fence)>, Error> {
        self.check()?;
        let mut tables = fault::write(&self.tables);
        let epoch = Epoch(tables.fences.epoch().0 + 1);
        tables.fences.claim(epoch);
        journal::write_claim(&mut tables.pending, epoch);
        tables.n_pending += 1;
        tables.last += 1;
        let fences = tables.fences.all();
        drop(tables);
        self.flush()?;
        Ok(fences)
    }

    pub(crate) fn submit(&self, batch: Batch) -> Result<Position, Error> {
        self.check()?;
        let writes =
            batch.writes.iter().map(|it| it.key.len() + it.value.as_ref().map_or(0, Vec::len));
        let bytes = writes.sum::<usize>() + batch.events.iter().map(Vec::len).sum::<usize>();
        if bytes > BATCH_BYTES_MAX {
            let message =
                format!("a batch of {bytes} bytes is larger than the {BATCH_BYTES_MAX} allowed");
            return Err(Error::new(ErrorKind::Refused, message));
        }
        let mut tables = fault::write(&self.tables);
        tables.fences.check(&batch)?;
        journal::write_batch(&mut tables.pending, &batch).ok_or_else(|| {
            Error::new(ErrorKind::Refused, "a batch holds more writes than a frame can say")
        })?;
        tables.fences.advance(&batch);
        tables.n_pending += 1;
        tables.last += 1;
        tables.n_commits += 1;
        tables.take(batch.writes, batch.events);
        let position = Position(tables.last);
        let is_full = tables.pending.len() > PENDING_BYTES_MAX;
        drop(tables);
        if is_full {
            self.flush()?;
        }
        Ok(position)
    }

    pub(crate) fn log(&self) -> Result<Bounds, Error> {
        self.check()?;
        Ok(fault::read(&self.tables).log)
    }

    /// Trims in pages, each an item of its own, so that memory stays bounded.
    pub(crate) fn trim_log(&self, up_to: Cursor) -> Result<(), Error> {
        self.check()?;
        let mut is_done = false;
        while !is_done {
            is_done = self.trim_page(up_to)?;
            self.flush()?;
        }
        Ok(())
    }

    /// Submits the next page of a trim, if any is left; whether it was the last.
    fn trim_page(&self, up_to: Cursor) -> Result<bool, Error> {
        let tables = &mut *fault::write(&self.tables);
        let Some(next) = log::next_trim(&tables.log, up_to)? else { return Ok(true) };
        journal::write_trim(&mut tables.pending, next);
        tables.n_pending += 1;
        tables.last += 1;
        for write in log::trim(&mut tables.log, next) {
            tables.overlay.put(write);
        }
        Ok(next == up_to)
    }

    pub(crate) fn flush(&self) -> Result<Position, Error> {
        self.check()?;
        let target = fault::read(&self.tables).last;
        self.wait_for_room()?;
        let mut journal = fault::lock(&self.journal);
        self.check()?;
        // Whoever held the lock meanwhile may have flushed for this caller as well.
        let flushed = fault::read(&self.tables).flushed;
        if flushed >= target {
            return Ok(Position(flushed));
        }
        let mut group = self.take_group(journal.generation());
        let first = group.last + 1 - u64::from(group.items);
        if let Err(error) = journal.append(&mut group.frame, first, group.items) {
            self.fail(&error);
            return Err(error);
        }
        let mut tables = fault::write(&self.tables);
        tables.flushed = group.last;
        tables.log.durable = group.log_end;
        tables.n_flushes += 1;
        tables.journal_bytes += u64::try_from(group.frame.len()).unwrap_or(u64::MAX);
        tables.disk_bytes = journal.bytes();
        if group.frame.capacity() <= KEPT_BYTES_MAX {
            group.frame.truncate(FRAME_HEAD_BYTES);
            tables.spare = group.frame;
        }
        drop(tables);
        if let Some(frozen) = group.frozen {
            self.ask(Job::Apply(frozen));
        }
        if journal.wants_spare() && !self.is_spare_asked.swap(true, Ordering::Relaxed) {
            self.ask(Job::Spare);
        } else if !journal.wants_spare() {
            self.is_spare_asked.store(false, Ordering::Relaxed);
        }
        Ok(Position(group.last))
    }

    /// Takes what waits for a flush; with it all other writes, if it is time to.
    fn take_group(&self, generation: u64) -> Group {
        let mut tables = fault::write(&self.tables);
        let next = std::mem::replace(&mut tables.spare, vec![0; FRAME_HEAD_BYTES]);
        let frame = std::mem::replace(&mut tables.pending, next);
        let items = std::mem::take(&mut tables.n_pending);
        let (last, log_end) = (tables.last, tables.log.end);
        let is_due = tables.overlay.bytes() > self.sizes.overlay_bytes
            || tables.journal_bytes > self.sizes.journal_bytes;
        let is_free = tables.frozen.is_none();
        let frozen = (is_due && is_free).then(|| tables.freeze(generation));
        Group { frame, items, last, log_end, frozen }
    }

    /// Waits while the index is so far behind that memory or journal would grow without bound.
    fn wait_for_room(&self) -> Result<(), Error> {
        let tables = fault::read(&self.tables);
        let is_far_behind = tables.overlay.bytes() > 2 * self.sizes.overlay_bytes
            || tables.journal_bytes > 2 * self.sizes.journal_bytes;
        let waits_for = tables.frozen.as_ref().filter(|_| is_far_behind);
        let waits_for = waits_for.map_or(0, |frozen| frozen.checkpoint.position);
        drop(tables);
        self.wait_applied(waits_for)
    }

    /// Waits until the index has reached a position.
    fn wait_applied(&self, position: u64) -> Result<(), Error> {
        let mut applied = fault::lock(&self.applied);
        while *applied < position {
            self.check()?;
            applied = self.progress.wait(applied).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Brings what is frozen into the index; called by the store's thread.
    pub(super) fn apply(&self, frozen: &Frozen) -> Result<(), Error> {
        let position = frozen.checkpoint.position;
        let span = tracing::debug_span!("checkpoint", store = %self.label, position);
        let entered = span.enter();
        self.index.apply(&frozen.overlay, &frozen.checkpoint)?;
        let done = fault::write(&self.tables).frozen.take();
        *fault::lock(&self.applied) = position;
        self.progress.notify_all();
        // Not under the lock: freeing so many small pieces takes a while.
        drop(done);
        fault::lock(&self.journal).free(position)?;
        drop(entered);
        Ok(())
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.check()?;
        let tables = fault::read(&self.tables);
        let frozen = tables.frozen.as_ref().and_then(|frozen| frozen.overlay.get(key));
        match tables.overlay.get(key).or(frozen) {
            Some(value) => Ok(value.map(<[u8]>::to_vec)),
            None => self.index.get(key),
        }
    }

    pub(crate) fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        limit: usize,
    ) -> Result<Vec<(Key, Vec<u8>)>, Error> {
        self.check()?;
        let tables = fault::read(&self.tables);
        let mut layers = vec![tables.overlay.range(start, end)];
        if let Some(frozen) = &tables.frozen {
            layers.push(frozen.overlay.range(start, end));
        }
        Merge::new(layers, self.index.range(start, end)?).take(limit).collect()
    }

    pub(crate) fn figures(&self) -> StoreFigures {
        let tables = fault::read(&self.tables);
        StoreFigures {
            commits: tables.n_commits,
            flushes: tables.n_flushes,
            bytes: tables.disk_bytes + self.index.bytes(),
        }
    }

    pub(crate) fn close(&self) -> Result<(), Error> {
        loop {
            self.flush()?;
            let mut journal = fault::lock(&self.journal);
            let mut tables = fault::write(&self.tables);
            let waits_for = match &tables.frozen {
                Some(frozen) => frozen.checkpoint.position,
                None if tables.n_pending > 0 => continue,
                None if tables.last == *fault::lock(&self.applied) => {
                    // A segment that was begun and is not known here would hide what comes.
                    return journal.close(tables.last).inspect_err(|error| self.fail(error));
                }
                None => {
                    let frozen = tables.freeze(journal.generation());
                    self.ask(Job::Apply(frozen));
                    tables.last
                }
            };
            drop(tables);
            drop(journal);
            self.wait_applied(waits_for)?;
        }
    }

    pub(super) fn journal(&self) -> &Mutex<Journal> {
        &self.journal
    }

    pub(super) fn set_worker(&self, sender: Sender<Job>) {
        *fault::lock(&self.worker) = Some(sender);
    }

    /// Lets the store's thread end when it has done what it was asked.
    pub(super) fn stop(&self) {
        drop(fault::lock(&self.worker).take());
    }

    fn ask(&self, job: Job) {
        let is_gone = match fault::lock(&self.worker).as_ref() {
            Some(sender) => sender.send(job).is_err(),
            None => true,
        };
        if is_gone {
            self.fail(&Error::new(ErrorKind::Closed, "the store's thread is gone"));
        }
    }
}

impl Tables {
    /// Takes what a batch writes, and numbers its events.
    fn take(&mut self, writes: Vec<Write>, events: Vec<Vec<u8>>) {
        for write in writes.into_iter().chain(log::number(&mut self.log, events)) {
            self.overlay.put(write);
        }
    }

    /// Sets aside all writes so far, as they stand after the last item.
    fn freeze(&mut self, generation: u64) -> Arc<Frozen> {
        let (position, fences, log) = (self.last, self.fences.clone(), self.log);
        let checkpoint = Checkpoint { position, generation, fences, log };
        let frozen = Arc::new(Frozen { overlay: std::mem::take(&mut self.overlay), checkpoint });
        self.frozen = Some(Arc::clone(&frozen));
        self.journal_bytes = 0;
        frozen
    }
}

/// What a replay builds up.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) fences: Fences,
    pub(super) log: Bounds,
    pub(super) overlay: Overlay,
    pub(super) last: u64,
    /// Up to where the index is.
    applied: u64,
}

impl Recovered {
    pub(super) fn new(checkpoint: Checkpoint) -> Self {
        let Checkpoint { position, fences, log, .. } = checkpoint;
        Self { fences, log, overlay: Overlay::default(), last: position, applied: position }
    }

    /// Takes an item, which is the next.
    pub(super) fn take(&mut self, position: u64, item: Item) {
        match item {
            Item::Claim(epoch) => self.fences.claim(epoch),
            Item::Batch(batch) => {
                self.fences.advance(&batch);
                let events = log::number(&mut self.log, batch.events);
                for write in batch.writes.into_iter().chain(events) {
                    self.overlay.put(write);
                }
            }
            Item::Trim(up_to) => {
                for write in log::trim(&mut self.log, up_to) {
                    self.overlay.put(write);
                }
            }
        }
        self.last = position;
    }

    fn checkpoint(&self, generation: u64) -> Checkpoint {
        let (position, fences, log) = (self.last, self.fences.clone(), self.log);
        Checkpoint { position, generation, fences, log }
    }
}
