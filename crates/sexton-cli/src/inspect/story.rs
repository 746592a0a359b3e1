//! The story of an actor in a log that has gaps, because the store is damaged.

use std::collections::VecDeque;

use sexton::explain::Standing;
use sexton::key::{self, Key};
use sexton::log::Bounds;
use sexton::{
    Batch, Cursor, Error, Event, Explanation, Fence, Position, Shard, Store, StoreFigures,
};

use super::scan;
use super::source::Source;

/// How far back the log is searched. Chosen: as far as in a whole one.
const LOOKED_AT_MAX: u64 = 100_000;

/// A store as if nothing had been logged in it.
#[derive(Debug)]
pub(super) struct Logless<'a>(pub(super) &'a dyn Store);

impl Store for Logless<'_> {
    fn claim(&self) -> Result<Vec<(Shard, Fence)>, Error> {
        self.0.claim()
    }

    fn submit(&self, batch: Batch) -> Result<Position, Error> {
        self.0.submit(batch)
    }

    fn flush(&self) -> Result<Position, Error> {
        self.0.flush()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.0.get(key)
    }

    fn scan(&self, start: &[u8], end: &[u8], limit: usize) -> Result<Vec<(Key, Vec<u8>)>, Error> {
        self.0.scan(start, end, limit)
    }

    fn log(&self) -> Result<Bounds, Error> {
        let bounds = self.0.log()?;
        Ok(Bounds { begin: bounds.end, ..bounds })
    }

    fn trim_log(&self, up_to: Cursor) -> Result<(), Error> {
        self.0.trim_log(up_to)
    }

    fn figures(&self) -> StoreFigures {
        self.0.figures()
    }

    fn close(&self) -> Result<(), Error> {
        self.0.close()
    }
}

/// Adds the last `limit` events that can be read to an explanation that has none.
///
/// # Errors
///
/// What the store says.
pub(super) fn tell(source: &Source, of: &mut Explanation, limit: usize) -> Result<(), Error> {
    let bounds = source.store().log()?;
    let floor = bounds.begin.0.max(bounds.end.0.saturating_sub(LOOKED_AT_MAX));
    let keys = (key::event(floor.saturating_add(1)), key::end_of(&key::all_events()));
    let mut story = VecDeque::new();
    // What cannot be read is told with the store's damage.
    let mut damaged = Vec::new();
    scan::between(source.store(), keys, |at, bytes| {
        if let Some((_, event)) = scan::read::<Event>(at, bytes, &mut damaged)
            && event.actor == of.id
        {
            story.push_back(event);
            if story.len() > limit {
                drop(story.pop_front());
            }
        }
        true
    })?;
    let last_life = story.iter().map(|event| event.incarnation).max();
    let mut of_last = story.iter().filter(|event| Some(event.incarnation) == last_life);
    of.earlier_events = match (of_last.find(|event| event.number > 0), &of.standing) {
        (Some(first), _) => first.number - 1,
        (None, Standing::Living(living)) => living.events,
        (None, Standing::Unknown | Standing::Buried(_)) => 0,
    };
    of.story = story.into();
    Ok(())
}
