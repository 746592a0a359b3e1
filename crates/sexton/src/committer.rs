//! Group commit: one thread that flushes what all engines have submitted meanwhile.
//!
//! ```text
//! engines  submit submit submit submit submit
//! thread     |-- flush --||----- flush -----||-- flush
//! ```
//!
//! How far each engine has submitted is read *before* the flush, so a flush is never credited
//! with a batch that came during it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use sexton_core::{Error, Store};

use crate::clock::Stopwatch;
use crate::log::Bell;
use crate::mailbox::{Mailbox, Progress};
use crate::tally::{Buckets, FLUSH, GROUP};

/// What the committer's thread is asked for.
#[derive(Debug)]
pub(crate) struct Committer {
    is_wanted: AtomicBool,
    /// Whether the thread shall end.
    is_over: Mutex<bool>,
    news: Condvar,
    pub(crate) flushes: AtomicU64,
    pub(crate) commits: AtomicU64,
    /// How long flushes took, and how many batches each made durable.
    pub(crate) tally: (Buckets, Buckets),
}

impl Default for Committer {
    fn default() -> Self {
        Self {
            is_wanted: AtomicBool::default(),
            is_over: Mutex::default(),
            news: Condvar::default(),
            flushes: AtomicU64::default(),
            commits: AtomicU64::default(),
            tally: (Buckets::new(&FLUSH), Buckets::new(&GROUP)),
        }
    }
}

impl Committer {
    /// Asks for a flush; one that is asked for already covers this too.
    pub(crate) fn want(&self) {
        if !self.is_wanted.swap(true, Ordering::AcqRel) {
            // The lock, so that the thread cannot go to sleep between its look and the news.
            drop(self.is_over.lock().unwrap_or_else(PoisonError::into_inner));
            self.news.notify_one();
        }
    }

    /// Lets the thread end after the flush that it may be in.
    pub(crate) fn end(&self) {
        *self.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.news.notify_one();
    }

    /// Whether there is anything to flush; waits until there is, or the thread shall end.
    fn is_wanted(&self) -> bool {
        let mut is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if *is_over {
                return false;
            }
            if self.is_wanted.swap(false, Ordering::AcqRel) {
                return true;
            }
            is_over = self.news.wait(is_over).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The thread: flushes as long as anybody asks, and tells every shard how far it came.
    ///
    /// After a failed flush it ends: nobody knows what the store holds.
    pub(crate) fn run(&self, store: &dyn Store, mailboxes: &[Arc<Mailbox>], bell: &Bell) {
        while self.is_wanted() {
            let watch = Stopwatch::start();
            let span = tracing::debug_span!(
                target: "sexton",
                "flush",
                batches = tracing::field::Empty,
                duration_us = tracing::field::Empty
            );
            let _entered = span.enter();
            let result = flush(store, mailboxes);
            let time = watch.elapsed();
            let duration_us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            span.record("duration_us", duration_us);
            let Ok(batches) = result.inspect_err(|error| {
                tracing::error!(target: "sexton", %error, "the flush failed");
            }) else {
                return;
            };
            span.record("batches", batches);
            self.flushes.fetch_add(1, Ordering::Relaxed);
            self.commits.fetch_add(batches, Ordering::Relaxed);
            self.tally.0.count_time(time);
            self.tally.1.count(batches);
            if let Ok(bounds) = store.log() {
                bell.ring(bounds.durable);
            }
        }
    }
}

/// Makes durable what all engines have submitted, and tells each how far it came; how many batches
/// that were. After a failure all mailboxes are closed: nobody knows what the store holds.
///
/// # Errors
///
/// As [`Store::flush`].
pub fn flush(store: &dyn Store, mailboxes: &[Arc<Mailbox>]) -> Result<u64, Error> {
    let goals: Vec<Progress> = mailboxes.iter().map(|mailbox| mailbox.progress()).collect();
    if let Err(error) = store.flush() {
        for mailbox in mailboxes {
            mailbox.fail();
        }
        return Err(error);
    }
    let is_news = |(_, goal): &(&Arc<Mailbox>, &Progress)| goal.submitted > goal.flushed;
    for (mailbox, goal) in mailboxes.iter().zip(&goals).filter(is_news) {
        mailbox.confirm(goal.submitted);
    }
    Ok(goals.iter().map(|goal| goal.submitted - goal.flushed).sum())
}
