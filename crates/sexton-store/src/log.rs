//! The log of events as a store keeps it: which number comes next, and what a change of it writes.
//!
//! Keeps G9: the number of an event is its place in the store's one order of commits, so a replay
//! that takes the same batches gives the same numbers.

use sexton_core::key;
use sexton_core::log::Bounds;
use sexton_core::{Cursor, Error, ErrorKind, Write};

/// The most events that one item of the journal trims. Chosen: some megabytes of memory.
pub(crate) const TRIM_PAGE: u64 = 16_384;

/// Gives the next numbers to the events of a batch, and returns where they are written.
pub(crate) fn number(bounds: &mut Bounds, events: Vec<Vec<u8>>) -> impl Iterator<Item = Write> {
    events.into_iter().map(|event| {
        bounds.end.0 += 1;
        Write { key: key::event(bounds.end.0), value: Some(event) }
    })
}

/// Moves the beginning of the log, and returns what is taken away by that.
pub(crate) fn trim(bounds: &mut Bounds, up_to: Cursor) -> impl Iterator<Item = Write> {
    let begin = bounds.begin;
    bounds.begin = begin.max(up_to.min(bounds.end));
    (begin.0 + 1..=bounds.begin.0).map(|number| Write { key: key::event(number), value: None })
}

/// The cursor up to which to trim next on the way to `up_to`; `None` once that is done.
pub(crate) fn next_trim(bounds: &Bounds, up_to: Cursor) -> Result<Option<Cursor>, Error> {
    if up_to > bounds.end {
        let end = bounds.end;
        let message = format!("the log ends with cursor {end}, and cannot be trimmed to {up_to}");
        return Err(Error::new(ErrorKind::Refused, message));
    }
    let next = up_to.min(Cursor(bounds.begin.0.saturating_add(TRIM_PAGE)));
    Ok((next > bounds.begin).then_some(next))
}
