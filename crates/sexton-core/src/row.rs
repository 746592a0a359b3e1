//! What queries see: an actor's row, which changes only when its content changes.

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::key::{ActorId, ActorRef};
use crate::time::Timestamp;

/// A value in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// A moment.
    Time(Timestamp),
}

/// What an actor adds to its own row.
///
/// Liveness (a heartbeat's time) belongs into the state and not in here: a row that changes on
/// every heartbeat hides the idle machine from every sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Before this moment no sweep needs to look at it; `None` is always. First, so that a
    /// sweep can pass over the row without reading the rest.
    pub watch_from: Option<Timestamp>,
    /// Whom it belongs to.
    pub owner: Option<String>,
    /// Further fields, in the order in which they were added.
    pub fields: Vec<(String, Value)>,
}

impl Row {
    /// A row of an owner without further fields.
    pub fn owned_by(owner: impl Into<String>) -> Self {
        Self { owner: Some(owner.into()), ..Self::default() }
    }

    /// The same, and no sweep needs to look at it before `at`; [`Timestamp::MAX`] is never.
    pub fn watched_from(self, at: Timestamp) -> Self {
        Self { watch_from: Some(at), ..self }
    }

    /// The same with a text.
    pub fn text(self, name: &str, value: impl Into<String>) -> Self {
        self.with(name, Value::Text(value.into()))
    }

    /// The same with a number.
    pub fn number(self, name: &str, value: i64) -> Self {
        self.with(name, Value::Number(value))
    }

    /// The same with a yes or no.
    pub fn flag(self, name: &str, value: bool) -> Self {
        self.with(name, Value::Flag(value))
    }

    /// The same with a moment, if there is one.
    pub fn time(self, name: &str, value: Option<Timestamp>) -> Self {
        match value {
            Some(at) => self.with(name, Value::Time(at)),
            None => self,
        }
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.fields.push((name.to_owned(), value));
        self
    }
}

/// A row as it lies in the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowRecord {
    /// What the actor says.
    pub row: Row,
    /// Which life of the actor.
    pub incarnation: u32,
    /// Its parent.
    pub parent: Option<ActorRef>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it entered its status.
    pub status_since: Timestamp,
    /// When anything in this row changed last.
    pub changed_at: Timestamp,
    /// Why it makes no progress, if it is stalled.
    pub stalled: Option<String>,
}

/// Whether a row, as it lies in the index, may be passed over at `now` without reading it.
///
/// Looks at the first field only, which the test below ties to the encoding. Every sweep looks
/// at every row of its scope on every pass, and most have nothing due.
pub(crate) fn is_quiet(record: &[u8], now: Timestamp) -> bool {
    let Some(first) = codec::body(record).and_then(|body| body.first_chunk::<9>()) else {
        return false;
    };
    let (tag, millis) = (first[0], first.last_chunk::<8>());
    let watch_from = millis.map(|millis| Timestamp::from_millis(i64::from_le_bytes(*millis)));
    tag == 1 && watch_from.is_some_and(|at| at > now)
}

impl RowRecord {
    /// The text of a field.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.field(name)? {
            Value::Text(text) => Some(text),
            Value::Number(_) | Value::Flag(_) | Value::Time(_) => None,
        }
    }

    /// The number of a field.
    pub fn number(&self, name: &str) -> Option<i64> {
        match self.field(name)? {
            Value::Number(number) => Some(*number),
            Value::Text(_) | Value::Flag(_) | Value::Time(_) => None,
        }
    }

    /// Whether a field is there and says yes.
    pub fn flag(&self, name: &str) -> bool {
        self.field(name) == Some(&Value::Flag(true))
    }

    /// The moment of a field.
    pub fn time(&self, name: &str) -> Option<Timestamp> {
        match self.field(name)? {
            Value::Time(at) => Some(*at),
            Value::Text(_) | Value::Flag(_) | Value::Number(_) => None,
        }
    }

    fn field(&self, name: &str) -> Option<&Value> {
        self.row.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }
}

/// A row with whose it is and the status that it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowView {
    /// Whose row.
    pub id: ActorId,
    /// The status; [`DESTROYING`] once the intent to destroy is committed.
    pub status: String,
    /// The rest.
    pub record: RowRecord,
}

/// What the row of an actor says whose destruction was committed.
pub const DESTROYING: &str = "destroying";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_passed_over_before_its_moment_and_read_from_then_on() {
        let at = Timestamp::from_millis;
        let sealed = |row: Row| {
            let record = RowRecord {
                row,
                incarnation: 1,
                parent: None,
                created_at: at(0),
                status_since: at(0),
                changed_at: at(0),
                stalled: None,
            };
            codec::seal(&record).unwrap()
        };
        let watched = sealed(Row::owned_by("a").watched_from(at(500)));
        assert!(is_quiet(&watched, at(499)) && !is_quiet(&watched, at(500)));
        assert!(!is_quiet(&sealed(Row::owned_by("a")), at(0)));
        assert!(!is_quiet(b"short", at(0)));
    }
}
