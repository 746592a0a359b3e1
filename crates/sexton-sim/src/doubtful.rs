//! A store in memory that fails when it is told to.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use sexton::key::Key;
use sexton::log::Bounds;
use sexton::{Batch, Cursor, Error, ErrorKind, Fence, Position, Shard, Store, StoreFigures};
use sexton_store::MemoryStore;

/// No read fails.
const NEVER: u64 = u64::MAX;

/// A [`MemoryStore`] whose reads can fail, and which says how many batches no flush has covered.
pub(crate) struct Doubtful {
    inner: MemoryStore,
    /// Reads that still succeed.
    reads_left: AtomicU64,
    pending: AtomicU64,
}

impl fmt::Debug for Doubtful {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doubtful").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Doubtful {
    pub(crate) fn new() -> Self {
        Self {
            inner: MemoryStore::new(),
            reads_left: AtomicU64::new(NEVER),
            pending: AtomicU64::new(0),
        }
    }

    /// Lets the reads after the next `n` fail.
    pub(crate) fn fail_reads_after(&self, n: u64) {
        self.reads_left.store(n, Ordering::Relaxed);
    }

    /// Lets all reads succeed again.
    pub(crate) fn mend_reads(&self) {
        self.reads_left.store(NEVER, Ordering::Relaxed);
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

    fn read(&self) -> Result<(), Error> {
        let left = self.reads_left.load(Ordering::Relaxed);
        if left == NEVER {
            return Ok(());
        }
        if left == 0 {
            return Err(Error::new(ErrorKind::Closed, "the disk cannot be read, as it was told"));
        }
        self.reads_left.store(left - 1, Ordering::Relaxed);
        Ok(())
    }
}

impl Store for Doubtful {
    fn claim(&self) -> Result<Vec<(Shard, Fence)>, Error> {
        self.inner.claim()
    }

    fn submit(&self, batch: Batch) -> Result<Position, Error> {
        let position = self.inner.submit(batch)?;
        self.pending.fetch_add(1, Ordering::Relaxed);
        Ok(position)
    }

    fn flush(&self) -> Result<Position, Error> {
        let position = self.inner.flush()?;
        self.pending.store(0, Ordering::Relaxed);
        Ok(position)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.read()?;
        self.inner.get(key)
    }

    fn scan(&self, start: &[u8], end: &[u8], limit: usize) -> Result<Vec<(Key, Vec<u8>)>, Error> {
        self.read()?;
        self.inner.scan(start, end, limit)
    }

    fn log(&self) -> Result<Bounds, Error> {
        self.inner.log()
    }

    fn trim_log(&self, up_to: Cursor) -> Result<(), Error> {
        self.inner.trim_log(up_to)
    }

    fn figures(&self) -> StoreFigures {
        self.inner.figures()
    }

    fn close(&self) -> Result<(), Error> {
        self.inner.close()
    }
}
