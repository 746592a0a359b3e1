//! Which alarms ring next.

use std::io;

use serde::Serialize;
use sexton::key::{self, Parsed, Table};
use sexton::{ActorId, Error, Shard, Timestamp};

use super::source::Source;
use super::table::Page;
use super::{Answer, scan};

/// An armed alarm.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Armed {
    at: Timestamp,
    id: ActorId,
}

/// Armed alarms, earliest first.
#[derive(Debug, Serialize)]
pub(super) struct Alarms {
    count: u64,
    alarms: Vec<Armed>,
}

impl Answer for Alarms {
    fn show(&self, page: &mut Page<'_>) -> io::Result<()> {
        let rows = self.alarms.iter();
        let rows = rows.map(|it| vec![page.moment(it.at), it.id.to_string()]).collect();
        page.some_of(&["rings", "actor"], rows, (self.count, "no alarm is armed"))?;
        page.counted(self.alarms.len(), self.count, ("alarm", "alarms"))
    }
}

/// The alarms that ring next.
pub(super) fn alarms(source: &Source, next: usize) -> Result<Alarms, Error> {
    let mut count = 0;
    let mut first = std::collections::BinaryHeap::new();
    for shard in Shard::all() {
        scan::records(source.store(), &key::prefix(shard, Table::Alarm), |at, _| {
            if let Some(Parsed::Alarm(id, due)) = key::parse(at) {
                count += 1;
                first.push(Armed { at: due, id });
                if first.len() > next {
                    first.pop();
                }
            }
            true
        })?;
    }
    Ok(Alarms { count, alarms: first.into_sorted_vec() })
}

/// How many alarms are armed, and when the first of them rings.
pub(super) fn ahead(source: &Source) -> Result<(u64, Option<Timestamp>), Error> {
    let alarms = alarms(source, 1)?;
    Ok((alarms.count, alarms.alarms.first().map(|it| it.at)))
}
