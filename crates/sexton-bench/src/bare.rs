//! The least that must be done, without Sexton: bare actors, a bare log, the index alone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use actix::{Actor, Addr, Arbiter, Context, Handler, Message, System};
use redb::{Database, ReadableDatabase, TableDefinition};
use sexton::clock::Stopwatch;

use crate::case::LOAD;
use crate::load::{closed_loop, index, mixed, rate};
use crate::place::Place;
use crate::{BenchError, load};

/// A bare actor: a number, and whoever asks for it.
struct Bare(u64);

struct Get;

impl Message for Get {
    type Result = u64;
}

impl Actor for Bare {
    type Context = Context<Self>;
}

impl Handler<Get> for Bare {
    type Result = u64;

    fn handle(&mut self, _get: Get, _ctx: &mut Context<Self>) -> u64 {
        self.0
    }
}

/// Where bare actors live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// In the thread of their callers: no other thread is ever woken.
    Callers,
    /// In two threads of their own, as Sexton's do: callers are elsewhere.
    Own,
}

/// Calls a second to `n` bare actors.
pub(crate) fn actix(n: u64, callers: u64, threads: Threads) -> Result<f64, BenchError> {
    let system = System::new();
    system.block_on(async move {
        let arbiters: Vec<Arbiter> = match threads {
            Threads::Callers => Vec::new(),
            Threads::Own => vec![Arbiter::new(), Arbiter::new()],
        };
        let start = |number: u64| {
            let place = usize::try_from(number).unwrap_or(0).checked_rem(arbiters.len());
            match place.and_then(|place| arbiters.get(place)) {
                Some(arbiter) => Actor::start_in_arbiter(&arbiter.handle(), |_| Bare(7)),
                None => Bare(7).start(),
            }
        };
        let actors: std::sync::Arc<[Addr<Bare>]> = (0..n).map(start).collect();
        let rate = closed_loop(callers, LOAD, move |caller, nth| {
            let actor = actors[index(caller << 32 | nth, actors.len())].clone();
            async move {
                actor.send(Get).await.map_err(|error| BenchError::Caller(error.to_string()))?;
                Ok(())
            }
        })
        .await;
        for arbiter in arbiters {
            arbiter.stop();
            drop(arbiter.join());
        }
        rate
    })
}

/// The length of the file that a bare log writes to, again and again.
const LOG_BYTES: u64 = 64 * 1_024 * 1_024;

/// Commits a second of a bare log: so many bytes each, in groups, with a checksum, one `fdatasync`
/// a group on a file that need not grow, and a map in memory that has the latest state of each of
/// so many actors.
pub(crate) fn log(place: &Place, of: (u64, u64), bytes: usize) -> Result<f64, BenchError> {
    let (actors, group) = of;
    let mut file = File::create_new(place.path("bare-log"))?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..LOG_BYTES >> 20 {
        file.write_all(&zeros)?;
    }
    file.sync_all()?;
    let mut states: BTreeMap<u64, Vec<u8>> = (0..actors).map(|n| (n, vec![0; bytes])).collect();
    let (mut offset, mut commits) = (0, 0_u64);
    let mut frame = Vec::new();
    let watch = Stopwatch::start();
    while watch.elapsed() < LOAD {
        frame.clear();
        for _ in 0..group {
            commits += 1;
            let state = commits.to_le_bytes().repeat(bytes.div_ceil(8));
            frame.extend_from_slice(&state);
            states.insert(mixed(commits) % actors.max(1), state);
        }
        frame.extend_from_slice(&crc32fast::hash(&frame).to_le_bytes());
        let length = u64::try_from(frame.len()).unwrap_or(u64::MAX);
        if offset + length > LOG_BYTES {
            offset = 0;
        }
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(&frame)?;
        file.sync_data()?;
        offset += length;
    }
    Ok(rate(commits, watch.elapsed()))
}

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");

fn failed(error: impl Into<redb::Error>) -> BenchError {
    BenchError::Database(Box::new(error.into()))
}

/// Commits a second of the index alone: a transaction for each group, durable when it ends.
pub(crate) fn database(place: &Place, of: (u64, u64), bytes: usize) -> Result<f64, BenchError> {
    let (actors, group) = of;
    let database = Database::create(place.path("bare.redb")).map_err(failed)?;
    let (mut commits, watch) = (0_u64, Stopwatch::start());
    while watch.elapsed() < LOAD {
        let transaction = database.begin_write().map_err(failed)?;
        {
            let mut table = transaction.open_table(TABLE).map_err(failed)?;
            for _ in 0..group {
                commits += 1;
                let key = (mixed(commits) % actors.max(1)).to_be_bytes();
                let state = commits.to_le_bytes().repeat(bytes.div_ceil(8));
                table.insert(key.as_slice(), state.as_slice()).map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)?;
    }
    Ok(rate(commits, watch.elapsed()))
}

/// How long the bare database takes until its first record can be read, in milliseconds.
pub(crate) fn open_database(path: &Path) -> Result<f64, BenchError> {
    let watch = Stopwatch::start();
    let database = Database::open(path).map_err(failed)?;
    drop(database.begin_read().map_err(failed)?);
    Ok(load::milliseconds(watch.elapsed()))
}
