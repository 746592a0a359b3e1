//! Measures: how fast, beside what it could be at best.
//!
//! Every [`Case`] measures Sexton and, in the same run on the same machine, a baseline: the least
//! that must be done for it, without Sexton (a bare actor, an append and a flush, a point read). What
//! counts is the ratio of the two: it means the same on a fast machine and on a slow one.
//!
//! ```text
//! Case --> [ours, baseline] [ours, baseline] ..   --> medians, ratio, target
//!            interleaved: both meet the same load of the machine
//! ```
//!
//! A figure of "per second" is of durable work unless the case says otherwise: whoever called has
//! been answered, and the answer waited for its flush.

mod actors;
mod bare;
mod case;
mod load;
mod place;
mod calls;
mod turns;
mod increments;
mod sends;
mod alarms;
mod stored;
mod ending;
mod memory;
mod arrivals;
mod offered;
mod overload;
mod ringing;
mod growth;

use std::io;

use sexton::{CallError, Error};

pub use self::case::{
    Case, Effort, Figure, LoadPoint, Measured, Pair, Pairs, Run, Target, Unit, cases,
};
pub use self::increments::durable_increments;
pub use self::place::{Place, Progress};

/// Why a case has no figure.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The runtime or its store.
    #[error("the runtime")]
    Runtime(#[from] Error),
    /// A file of a baseline, or a place for one.
    #[error("a file")]
    File(#[from] io::Error),
    /// The index alone.
    #[error("the bare database")]
    Database(#[from] Box<redb::Error>),
    /// A caller was not answered as it must be.
    #[error("a caller: {0}")]
    Caller(String),
    /// What was waited for did not come.
    #[error("within {seconds} s there were not {wanted} {what}")]
    Late {
        /// Of what.
        what: &'static str,
        /// How many.
        wanted: u64,
        /// For how long.
        seconds: u64,
    },
    /// There is too little room on the disk.
    #[error(
        "{path} has {} GiB free, and the store will take some {} GiB: free some, or choose another \
         disk",
        free_bytes >> 30,
        needed_bytes.div_ceil(1 << 30)
    )]
    Space {
        /// Where.
        path: String,
        /// How much is free.
        free_bytes: u64,
        /// How much it takes.
        needed_bytes: u64,
    },
    /// What is replayed.
    #[error("a replay")]
    Replay(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The machine does not say what is asked of it.
    #[error("{0} cannot be read on this machine")]
    Unknown(&'static str),
}

impl<M> From<CallError<M>> for BenchError {
    fn from(error: CallError<M>) -> Self {
        Self::Runtime(error.into_error())
    }
}
