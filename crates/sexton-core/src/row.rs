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

/// Before which moment a row, as it lies in the index, may be passed over without reading it.
///
/// Looks at the first field only, which the test below ties to the encoding. Every sweep looks
/// at every row of its scope on every pass, and most have nothing due.
pub(crate) fn quiet_until(record: &[u8]) -> Option<Timestamp> {
    let first = codec::body(record)?.first_chunk::<9>()?;
    let millis = i64::from_le_bytes(*first.last_chunk::<8>()?);
    (first[0] == 1).then(|| Timestamp::from_millis(millis))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moment_of_a_row_is_read_without_the_rest() {
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
        assert_eq!(quiet_until(&watched), Some(at(500)));
        assert_eq!(quiet_until(&sealed(Row::owned_by("a"))), None);
        assert_eq!(quiet_until(b"short"), None);
    }
}
