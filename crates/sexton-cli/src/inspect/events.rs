//! The log of events, from a cursor on.

use std::io;

use serde::Serialize;
use sexton::key::{self, Parsed};
use sexton::{ActorId, Cursor, Event, Timestamp, What};

use crate::args::EventsArgs;

use super::source::Source;
use super::table::Page;
use super::{Answer, Damaged, InspectError, scan};

/// An event and where it lies in the log.
#[derive(Debug, Serialize)]
struct Logged {
    cursor: u64,
    #[serde(flatten)]
    event: Event,
}

/// Some of the log.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "its fields are named as the JSON says them")]
pub(super) struct Events {
    /// Where the log begins: what lies before was trimmed.
    begin: u64,
    /// The last event of the log.
    end: u64,
    events: Vec<Logged>,
    /// Where to go on; `None` at the end.
    next: Option<u64>,
    /// Whether there are more than are listed.
    #[serde(skip)]
    is_cut: bool,
    #[serde(skip)]
    damaged: Vec<Damaged>,
}

impl Answer for Events {
    fn show(&self, page: &mut Page<'_>) -> io::Result<()> {
        let rows = self.events.iter().map(|it| {
            vec![
                it.cursor.to_string(),
                date(it.event.at),
                format!("{}#{}", it.event.actor, it.event.incarnation),
                it.event.number.to_string(),
                said(&it.event.what),
            ]
        });
        let rows = rows.collect();
        let head = ["cursor", "at", "actor", "event", ""];
        page.some_of(&head, rows, (u64::from(self.is_cut), "no events"))?;
        if self.begin > 0 {
            page.line(&format!(
                "the log begins behind {}: what lay before was trimmed",
                self.begin
            ))?;
        }
        let further = self.next.map(|next| format!("go on with --from {next}; "));
        page.line(&format!("{}the log ends at {}", further.unwrap_or_default(), self.end))
    }

    fn damaged(&self) -> &[Damaged] {
        &self.damaged
    }
}

fn date(at: Timestamp) -> String {
    at.to_string()
}

/// What an event says, in one line.
fn said(what: &What) -> String {
    match what {
        What::Created { status, parent: Some(parent) } => {
            format!("created as {status}, of {parent}")
        }
        What::Created { status, parent: None } => format!("created as {status}"),
        What::Transition { from, to, cause } => format!("{from} -> {to} by {cause}"),
        What::Destroying { why, by } => format!("destroying: {why} (asked by {by})"),
        What::Destroyed { why, by, status } => {
            format!("destroyed: {why} (asked by {by}), last {status}")
        }
        What::Stalled { why } => format!("STALLED: {why}"),
        What::DeadLetter { message, why, .. } => format!("dead letter {message}: {why}"),
        What::Abandoned { number, by, why } => format!("debt {number} abandoned by {by}: {why}"),
        What::Fact { name, text } => format!("{name}: {text}"),
    }
}

/// The events behind a cursor.
pub(super) fn events(source: &Source, of: &EventsArgs) -> Result<Events, InspectError> {
    let bounds = source.store().log()?;
    if of.from > bounds.end.0 {
        // Whoever followed the log up to there followed another one.
        bounds.check(Cursor(of.from))?;
    }
    let Cursor(begin) = bounds.begin;
    let from = of.from.max(begin);
    let mut found = Events {
        begin,
        end: bounds.end.0,
        events: Vec::new(),
        next: None,
        is_cut: false,
        damaged: Vec::new(),
    };
    scan::between(source.store(), (key::event(from.saturating_add(1)), log_end()), |at, bytes| {
        let Some((Parsed::Event(cursor), event)) =
            scan::read::<Event>(at, bytes, &mut found.damaged)
        else {
            return true;
        };
        if is_asked(&event, of.of.as_ref()) {
            if found.events.len() >= of.limit {
                found.is_cut = true;
                found.next = found.events.last().map_or(Some(from), |it| Some(it.cursor));
                return false;
            }
            found.events.push(Logged { cursor, event });
        }
        true
    })?;
    if let Some(id) = of.of.as_ref().filter(|_| found.events.is_empty()) {
        source.demand(id)?;
    }
    Ok(found)
}

fn log_end() -> key::Key {
    key::end_of(&key::all_events())
}

fn is_asked(event: &Event, of: Option<&ActorId>) -> bool {
    of.is_none_or(|of| *of == event.actor)
}
