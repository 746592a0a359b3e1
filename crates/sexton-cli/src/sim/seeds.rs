//! Many seeds on all cores, their runs given back in the order of the seeds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use sexton_sim::Run;

/// Runs seeds from `first` on, on so many threads, until `take` says that it is enough.
///
/// The order in which runs are given to `take`, and so everything that is made of them, does not
/// depend on the threads.
pub(super) fn each(
    first: u64,
    jobs: usize,
    run: impl Fn(u64) -> Run + Sync,
    mut take: impl FnMut(u64, Run) -> bool,
) {
    if jobs <= 1 {
        let mut seed = first;
        while take(seed, run(seed)) {
            seed += 1;
        }
        return;
    }
    let (next, is_over) = (AtomicU64::new(first), AtomicBool::new(false));
    let (sender, runs) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..jobs {
            let sender = sender.clone();
            let (next, is_over, run) = (&next, &is_over, &run);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed < first {
                        // There is no seed after the last.
                        return;
                    }
                    if sender.send((seed, run(seed))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let (mut waiting, mut seed) = (BTreeMap::new(), first);
        'all: for (of, result) in &runs {
            waiting.insert(of, result);
            while let Some(result) = waiting.remove(&seed) {
                if !take(seed, result) {
                    break 'all;
                }
                seed = seed.saturating_add(1);
            }
        }
        is_over.store(true, Ordering::Relaxed);
        drop(runs);
    });
}
