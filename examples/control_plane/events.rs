//! What happened to an owner's things, in order, from a cursor that he keeps.

use serde::{Deserialize, Serialize};
use sexton::{Cursor, ErrorKind, Event, What};
use sexton_agent::wire::{Code, Problem};

use crate::names;
use crate::plane::Plane;
use crate::views::problem;

/// The most events of an answer.
const EVENTS_MAX: usize = 100;
/// The most events of whomever that one answer looks at. Chosen: some milliseconds.
const LOOKED_AT_MAX: usize = 4_096;

/// Which events are wanted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Behind this one.
    #[serde(default)]
    after: u64,
    /// Of this name only.
    event: Option<String>,
}

/// One fact.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Told {
    cursor: u64,
    at: String,
    kind: String,
    name: String,
    life: u32,
    event: String,
    text: String,
}

/// Some facts, and from where to go on.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Page {
    items: Vec<Told>,
    next: u64,
}

/// What is said of an event, in two words and in a sentence.
fn words(what: &What) -> (&str, String) {
    match what {
        What::Created { status, .. } => ("created", status.clone()),
        What::Transition { from, to, cause } => ("changed", format!("{from} -> {to} by {cause}")),
        What::Destroying { why, by } => ("destroying", format!("{why}, by {by}")),
        What::Destroyed { why, by, status } => {
            ("destroyed", format!("{why}, by {by}, while {status}"))
        }
        What::Stalled { why } => ("stalled", why.clone()),
        What::DeadLetter { message, why, .. } => ("dead_letter", format!("{message}: {why}")),
        What::Abandoned { number, by, why } => {
            ("abandoned", format!("debt {number}, by {by}: {why}"))
        }
        What::Fact { name, text } => (name, text.clone()),
    }
}

fn told(owner: &str, cursor: Cursor, event: &Event, wanted: Option<&str>) -> Option<Told> {
    let name = names::local(owner, event.actor.name())?;
    let (word, text) = words(&event.what);
    if wanted.is_some_and(|wanted| wanted != word) {
        return None;
    }
    Some(Told {
        cursor: cursor.0,
        at: event.at.to_string(),
        kind: event.actor.kind().to_owned(),
        name: name.to_owned(),
        life: event.incarnation,
        event: word.to_owned(),
        text,
    })
}

impl Plane {
    /// The next events of an owner's things.
    pub(crate) fn events(&self, owner: &str, wanted: &Wanted) -> Result<Page, Problem> {
        let log = self.host.log();
        let begin = log.bounds().map_err(|error| problem(&error))?.begin;
        let mut next = begin.max(Cursor(wanted.after));
        let read = log.read(next, LOOKED_AT_MAX).map_err(|error| {
            // Behind the end: nobody was ever given such a cursor.
            let is_made_up = error.kind() == ErrorKind::Refused;
            if is_made_up {
                Problem::new(Code::Invalid, error.to_string())
            } else {
                problem(&error)
            }
        })?;
        let mut items = Vec::new();
        for (cursor, event) in read {
            items.extend(told(owner, cursor, &event, wanted.event.as_deref()));
            next = cursor;
            if items.len() == EVENTS_MAX {
                break;
            }
        }
        Ok(Page { items, next: next.0 })
    }
}
