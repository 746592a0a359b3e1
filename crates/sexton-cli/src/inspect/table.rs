//! Tables and lines for people.

use std::cmp::Ordering;
use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};
use sexton::Timestamp;

use crate::figures::{counted, duration_ms, grouped};

use super::{Colour, Damaged};

/// The most damaged records that are listed; the rest is counted.
const DAMAGED_LISTED_MAX: usize = 20;

/// Where an answer is written for people.
pub(super) struct Page<'a> {
    out: &'a mut dyn Write,
    colour: Colour,
    now: Timestamp,
    /// Whether what is written is of a damaged store.
    is_damaged: bool,
}

impl<'a> Page<'a> {
    pub(super) fn new(out: &'a mut dyn Write, colour: Colour, now: Timestamp) -> Self {
        Self { out, colour, now, is_damaged: false }
    }

    /// What is written from here on is of a damaged store, or is not.
    pub(super) fn is_of_damaged(&mut self, is_damaged: bool) {
        self.is_damaged = is_damaged;
    }

    /// A line.
    pub(super) fn line(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{line}")
    }

    /// A line that is good or bad news.
    pub(super) fn verdict(&mut self, is_good: bool, line: &str) -> io::Result<()> {
        let code = if is_good { "1;32" } else { "1;31" };
        if self.colour == Colour::Yes {
            writeln!(self.out, "\x1b[{code}m{line}\x1b[0m")
        } else {
            writeln!(self.out, "{line}")
        }
    }

    /// A table, or a sentence that there is nothing in it.
    pub(super) fn table(
        &mut self,
        head: &[&str],
        rows: Vec<Vec<String>>,
        nothing: &str,
    ) -> io::Result<()> {
        if rows.is_empty() {
            let of = if self.is_damaged { " among what can be read" } else { "" };
            return self.line(&format!("{nothing}{of}"));
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(head);
        table.add_rows(rows);
        for (index, line) in table.lines().enumerate() {
            let line = line.trim_end();
            if self.colour == Colour::Yes && index == 0 {
                writeln!(self.out, "\x1b[36m{line}\x1b[0m")?;
            } else {
                writeln!(self.out, "{line}")?;
            }
        }
        Ok(())
    }

    /// As [`table`](Self::table), of so many of which it lists some: that there is none is said only if
    /// there is none.
    pub(super) fn some_of(
        &mut self,
        head: &[&str],
        rows: Vec<Vec<String>>,
        (count, nothing): (u64, &str),
    ) -> io::Result<()> {
        if rows.is_empty() && count > 0 { Ok(()) } else { self.table(head, rows, nothing) }
    }

    /// How many there are, and whether all were listed; named as one and as several.
    pub(super) fn counted(&mut self, listed: usize, all: u64, of: (&str, &str)) -> io::Result<()> {
        let shown = super::as_count(listed);
        if shown < all {
            return self.line(&format!("{} of {}", grouped(shown), counted(all, of.0, of.1)));
        }
        self.line(&counted(all, of.0, of.1))
    }

    /// What could not be read.
    pub(super) fn damaged(&mut self, damaged: &[Damaged]) -> io::Result<()> {
        if damaged.is_empty() {
            return Ok(());
        }
        let count = counted(super::as_count(damaged.len()), "place", "places");
        let what = "what can be read may be of an earlier state";
        self.verdict(false, &format!("DAMAGED in {count}; {what}:"))?;
        for it in damaged.iter().take(DAMAGED_LISTED_MAX) {
            self.line(&format!("  {}: {}", it.place, it.why))?;
        }
        let rest = damaged.len().saturating_sub(DAMAGED_LISTED_MAX);
        if rest > 0 {
            self.line(&format!("  and {rest} more"))?;
        }
        Ok(())
    }

    /// A moment, and how far it is from the store's last commit.
    pub(super) fn moment(&self, at: Timestamp) -> String {
        format!("{at} ({})", self.distance(at))
    }

    /// How far a moment is from the store's last commit.
    pub(super) fn distance(&self, at: Timestamp) -> String {
        let span = |wait: std::time::Duration| {
            duration_ms(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
        };
        match at.cmp(&self.now) {
            Ordering::Greater => format!("in {}", span(at.since(self.now))),
            Ordering::Equal => "now".to_owned(),
            Ordering::Less => format!("{} ago", span(self.now.since(at))),
        }
    }
}
