//! A store in memory that fails when it is told to.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sexton::key::Key;
use sexton::log::Bounds;
use sexton::{Batch, Cursor, Error, ErrorKind, Fence, Position, Shard, Store, StoreFigures};
use sexton_store::MemoryStore;

/// No read fails.
const NEVER: u64 = u64::MAX;

/// How a writing operation of a store goes wrong, and with it the process that asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The process dies before it. What no flush covered is gone.
    DiesBefore,
    /// The process dies when it is done, before it hears of that. Everything is kept.
    DiesBehind,
    /// It fails, and was done all the same. Everything is kept.
    FailsDone,
    /// It fails, and was not done. A flush that fails so keeps nothing of what it was to cover.
    FailsUndone,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::DiesBefore, Self::DiesBehind, Self::FailsDone, Self::FailsUndone];
}

/// Where a process ends: at which operation of its store, counted from 1 for the first of that
/// process, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// At a claim, a batch or a flush.
    Write(u64, Way),
    /// At a read, which fails, as do all after it. Everything is kept.
    Read(u64),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(n, Way::DiesBefore) => write!(f, "killed before write {n}"),
            Self::Write(n, Way::DiesBehind) => write!(f, "killed behind write {n}"),
            Self::Write(n, Way::FailsDone) => write!(f, "write {n} was done and failed"),
            Self::Write(n, Way::FailsUndone) => write!(f, "write {n} failed"),
            Self::Read(n) => write!(f, "read {n} failed"),
        }
    }
}

/// What unwinds a process that dies: nothing of it runs any more, not even what handles errors.
pub(crate) struct Died;

/// What is to go wrong, and what did.
#[derive(Default)]
struct Doubts {
    stop: Option<(u64, Way)>,
    /// Set when the stop was met: how many of the batches that no flush covered survive.
    kept: Option<u64>,
    /// The records under it are read damaged.
    veil: Option<Key>,
    /// What is done to every batch.
    spoil: Option<fn(&mut Batch)>,
}

/// A [`MemoryStore`] that fails when it is told to, and which says how many batches no flush has
/// covered.
pub struct Doubtful {
    inner: MemoryStore,
    /// Reads that still succeed.
    reads_left: AtomicU64,
    /// Whether a read has failed.
    has_failed: AtomicBool,
    pending: AtomicU64,
    writes: AtomicU64,
    reads: AtomicU64,
    /// Whether anything is veiled: most reads need not ask what.
    is_veiled: AtomicBool,
    doubts: Mutex<Doubts>,
}

impl fmt::Debug for Doubtful {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doubtful").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Default for Doubtful {
    fn default() -> Self {
        Self::new()
    }
}

impl Doubtful {
    /// An empty store of which nothing fails.
    pub fn new() -> Self {
        Self::on(MemoryStore::new())
    }

    fn on(inner: MemoryStore) -> Self {
        Self {
            inner,
            reads_left: AtomicU64::new(NEVER),
            has_failed: AtomicBool::new(false),
            pending: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            is_veiled: AtomicBool::new(false),
            doubts: Mutex::default(),
        }
    }

    /// The same records in another store, of which nothing fails.
    pub(crate) fn fork(&self) -> Self {
        Self::on(self.inner.clone())
    }

    /// The store that does not fail.
    pub fn sound(&self) -> &MemoryStore {
        &self.inner
    }

    /// Lets the records under a prefix be read damaged.
    pub fn veil(&self, prefix: Key) {
        self.doubts().veil = Some(prefix);
        self.is_veiled.store(true, Ordering::Relaxed);
    }

    /// Lets everything be read as it is again.
    pub fn unveil(&self) {
        self.doubts().veil = None;
        self.is_veiled.store(false, Ordering::Relaxed);
    }

    /// Does something to every batch before it is taken, as an engine would that is broken: for
    /// controls, which show that a check can fail.
    pub fn spoil(&self, spoil: fn(&mut Batch)) {
        self.doubts().spoil = Some(spoil);
    }

    /// Lets the process end there.
    pub(crate) fn stop(&self, stop: Stop) {
        match stop {
            Stop::Write(n, way) => self.doubts().stop = Some((n, way)),
            Stop::Read(n) => self.fail_reads_after(n.saturating_sub(1)),
        }
    }

    /// How many operations there were: claims, batches and flushes; reads.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.writes.load(Ordering::Relaxed), self.reads.load(Ordering::Relaxed))
    }

    /// Whether the stop was met; if it was, the process is ended, and what it leaves is there.
    pub(crate) fn end_if_stopped(&self) -> bool {
        let met = self.doubts().kept.take();
        let kept = met.or_else(|| self.has_failed.load(Ordering::Relaxed).then_some(NEVER));
        kept.map(|kept| self.crash(kept)).is_some()
    }

    /// Lets the reads after the next `n` fail.
    pub(crate) fn fail_reads_after(&self, n: u64) {
        self.reads_left.store(n, Ordering::Relaxed);
    }

    /// Lets all reads succeed again.
    pub(crate) fn mend_reads(&self) {
        self.reads_left.store(NEVER, Ordering::Relaxed);
        self.has_failed.store(false, Ordering::Relaxed);
    }

    /// Whether a read has failed since they were mended.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// Lets the next flush fail.
    pub(crate) fn fail_next_flush(&self) {
        self.inner.fail_next_flush();
    }

    /// Batches that no flush has covered.
    pub(crate) fn pending(&self) -> u64 {
        self.pending.load(Ordering::Relaxed)
    }

    /// Ends the process: of the batches that no flush covered the first `kept` survive.
    pub(crate) fn crash(&self, kept: u64) {
        self.inner.crash(usize::try_from(kept).unwrap_or(usize::MAX));
        self.pending.store(0, Ordering::Relaxed);
        self.mend_reads();
    }

    fn doubts(&self) -> MutexGuard<'_, Doubts> {
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> Result<(), Error> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let left = self.reads_left.load(Ordering::Relaxed);
        if left == NEVER {
            return Ok(());
        }
        if left == 0 {
            self.has_failed.store(true, Ordering::Relaxed);
            return Err(Error::new(ErrorKind::Closed, "the disk cannot be read, as it was told"));
        }
        self.reads_left.store(left - 1, Ordering::Relaxed);
        Ok(())
    }

    /// Does a writing operation, or lets it go wrong. `undone` is how many of the batches that no
    /// flush covers survive if it fails and is not done.
    fn write<R>(&self, undone: u64, run: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
        let n = self.writes.fetch_add(1, Ordering::Relaxed) + 1;
        let (way, is_over) = {
            let doubts = self.doubts();
            (doubts.stop.filter(|(at, _)| *at == n).map(|(_, way)| way), doubts.kept.is_some())
        };
        if is_over {
            return Err(Error::new(ErrorKind::Closed, "the store has failed, as it was told"));
        }
        let Some(way) = way else { return run() };
        let (is_done, kept, dies) = match way {
            Way::DiesBefore => (false, 0, true),
            Way::DiesBehind => (true, NEVER, true),
            Way::FailsDone => (true, NEVER, false),
            Way::FailsUndone => (false, undone, false),
        };
        if is_done {
            run()?;
        }
        self.doubts().kept = Some(kept);
        if dies {
            resume_unwind(Box::new(Died));
        }
        Err(Error::new(ErrorKind::Unconfirmed, "the disk failed, as it was told"))
    }

    fn seen(&self, at: &[u8], mut value: Vec<u8>) -> Vec<u8> {
        if self.is_veiled.load(Ordering::Relaxed)
            && self.doubts().veil.as_ref().is_some_and(|prefix| at.starts_with(prefix))
            && let Some(last) = value.last_mut()
        {
            *last ^= 1;
        }
        value
    }
}

impl Store for Doubtful {
    fn claim(&self) -> Result<Vec<(Shard, Fence)>, Error> {
        self.write(NEVER, || self.inner.claim())
    }

    fn submit(&self, mut batch: Batch) -> Result<Position, Error> {
        let spoil = self.doubts().spoil;
        if let Some(spoil) = spoil {
            spoil(&mut batch);
        }
        self.write(NEVER, || {
            let position = self.inner.submit(batch)?;
            self.pending.fetch_add(1, Ordering::Relaxed);
            Ok(position)
        })
    }

    fn flush(&self) -> Result<Position, Error> {
        self.write(0, || {
            let position = self.inner.flush()?;
            self.pending.store(0, Ordering::Relaxed);
            Ok(position)
        })
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.read()?;
        Ok(self.inner.get(key)?.map(|value| self.seen(key, value)))
    }

    fn scan(&self, start: &[u8], end: &[u8], limit: usize) -> Result<Vec<(Key, Vec<u8>)>, Error> {
        self.read()?;
        let mut page = self.inner.scan(start, end, limit)?;
        for (at, value) in &mut page {
            *value = self.seen(at, std::mem::take(value));
        }
        Ok(page)
    }

    fn log(&self) -> Result<Bounds, Error> {
        self.inner.log()
    }

    fn trim_log(&self, up_to: Cursor) -> Result<(), Error> {
        self.write(NEVER, || self.inner.trim_log(up_to))
    }

    fn figures(&self) -> StoreFigures {
        self.inner.figures()
    }

    fn close(&self) -> Result<(), Error> {
        self.inner.close()
    }
}
