//! What is owed to the world outside.

use std::io;

use serde::Serialize;
use sexton::key::{Parsed, Table};
use sexton::{ActorId, Debt, Failure, Timestamp};

use super::source::Source;
use super::table::Page;
use super::{Answer, Damaged, InspectError, scan};

/// An effect that is not settled.
#[derive(Debug, Serialize)]
struct Owes {
    id: ActorId,
    number: u64,
    effect: serde_json::Value,
    recorded_at: Timestamp,
    failures: u32,
    next_at: Timestamp,
    why: Option<Failure>,
    is_release: bool,
}

/// Debts, oldest first.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "its fields are named as the JSON says them")]
pub(super) struct Debts {
    count: u64,
    debts: Vec<Owes>,
    #[serde(skip)]
    damaged: Vec<Damaged>,
}

impl Answer for Debts {
    fn show(&self, page: &mut Page<'_>) -> io::Result<()> {
        let rows = self.debts.iter().map(|it| {
            let why = it.why.as_ref().map(|why| format!("{}: {}", why.class, why.message));
            vec![
                it.id.to_string(),
                it.number.to_string(),
                it.effect.as_str().map_or_else(|| it.effect.to_string(), str::to_owned),
                page.distance(it.recorded_at),
                it.failures.to_string(),
                if it.failures > 0 { page.distance(it.next_at) } else { String::new() },
                if it.is_release { "release" } else { "" }.to_owned(),
                why.unwrap_or_default(),
            ]
        });
        let rows = rows.collect();
        let head = ["actor", "debt", "effect", "recorded", "failures", "next", "", "last failure"];
        page.table(&head, rows, "nothing is owed")
    }

    fn damaged(&self) -> &[Damaged] {
        &self.damaged
    }
}

/// The debts of one actor, or of all.
pub(super) fn debts(source: &Source, of: Option<&ActorId>) -> Result<Debts, InspectError> {
    let mut damaged = Vec::new();
    let mut debts = Vec::new();
    scan::table(source.store(), Table::Debt, &mut damaged, |at, debt: Debt| {
        let Parsed::Debt(id, number) = at else { return };
        if of.is_some_and(|of| *of != id) {
            return;
        }
        let effect = source.effect(&id, &debt.effect);
        let Debt { recorded_at, failures, next_at, why, is_release, .. } = debt;
        debts.push(Owes { id, number, effect, recorded_at, failures, next_at, why, is_release });
    })?;
    if let Some(id) = of.filter(|_| debts.is_empty()) {
        source.demand(id)?;
    }
    debts.sort_by(|a: &Owes, b: &Owes| {
        (a.recorded_at, &a.id, a.number).cmp(&(b.recorded_at, &b.id, b.number))
    });
    Ok(Debts { count: super::as_count(debts.len()), debts, damaged })
}
