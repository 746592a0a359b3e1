//! Local time: an expression and a zone, and the moments at which they agree.
//!
//! The expression is asked for local times only; which moments these are is decided here, so
//! that a day on which the clocks are put on or back follows one rule, whatever the version of
//! the crate that reads expressions. The rules of the zones are compiled in.

use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike};
use chrono_tz::Tz;
use croner::Cron;
use std::str::FromStr;

use crate::time::Timestamp;

use super::RecurringError;

/// Farther from any moment than local time ever is from UTC. Specified: zones lie within 16 hours.
const OFFSET_HOURS_MAX: i64 = 26;
/// In which stretches a change of the clocks is looked for. Chosen: no zone changes twice a day.
const STRETCH_SECONDS: i64 = 86_400;
/// Hours of a day.
const HOURS: usize = 24;

/// A cron expression in a time zone.
pub(super) struct Calendar {
    cron: Cron,
    zone: Tz,
    /// Whether the expression takes every hour: it then counts hours as they pass.
    is_hourly: bool,
}

impl Calendar {
    pub(super) fn read(expression: &str, zone: &str) -> Result<Self, RecurringError> {
        let cron = Cron::from_str(expression).map_err(|error| RecurringError::Expression {
            expression: expression.to_owned(),
            why: error.to_string().trim_end_matches('.').to_owned(),
        })?;
        let zone = Tz::from_str(zone)
            .map_err(|error| RecurringError::Zone { zone: zone.to_owned(), source: error })?;
        let is_hourly = cron.pattern.hours.values().len() == HOURS;
        Ok(Self { cron, zone, is_hourly })
    }

    /// The first moment strictly after `at`; `None` if there is none.
    pub(super) fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        let seconds = at.as_millis().div_euclid(1_000);
        let next =
            if self.is_hourly { self.next_hourly(seconds) } else { self.next_named(seconds) };
        let next = Timestamp::from_millis(next?.checked_mul(1_000)?);
        (next < Timestamp::MAX).then_some(next)
    }

    /// The named hours: each local time once, at its first moment, or when its gap ends.
    ///
    /// Later local times never have earlier moments, so the first that is after `at` is it.
    fn next_named(&self, at: i64) -> Option<i64> {
        let mut local = self.local(at)?;
        loop {
            local = self.cron.find_next_occurrence(&local, false).ok()?;
            let moment = self.first_moment(local)?;
            if moment > at {
                return Some(moment);
            }
        }
    }

    /// Every hour: as the local clock shows it, in stretches between changes of the clocks.
    fn next_hourly(&self, at: i64) -> Option<i64> {
        let (mut from, mut is_included) = (at, false);
        loop {
            let local = self.local(from)?;
            let next = self.cron.find_next_occurrence(&local, is_included).ok()?;
            let moment = from + next.signed_duration_since(local).num_seconds();
            let Some(change) = self.first_change(from, moment) else { return Some(moment) };
            (from, is_included) = (change, true);
        }
    }

    /// What the local clock shows, in seconds.
    fn local(&self, at: i64) -> Option<NaiveDateTime> {
        let utc = DateTime::from_timestamp(at, 0)?.naive_utc();
        utc.checked_add_signed(TimeDelta::seconds(self.offset(at)?))?.with_nanosecond(0)
    }

    /// How many seconds the local clock is before UTC.
    fn offset(&self, at: i64) -> Option<i64> {
        let utc = DateTime::from_timestamp(at, 0)?.naive_utc();
        Some(self.zone.offset_from_utc_datetime(&utc).fix().local_minus_utc().into())
    }

    /// The first moment at which the local clock shows `local`, or passes over it.
    fn first_moment(&self, local: NaiveDateTime) -> Option<i64> {
        if let Some(moment) = self.zone.from_local_datetime(&local).earliest() {
            return Some(moment.timestamp());
        }
        let around = local.and_utc().timestamp();
        let margin = OFFSET_HOURS_MAX * 3_600;
        first_in(around - margin, around + margin, |at| {
            self.local(at).is_some_and(|shown| shown > local)
        })
    }

    /// The first moment after `from`, up to `to`, from which on the clocks are put otherwise.
    fn first_change(&self, from: i64, to: i64) -> Option<i64> {
        let offset = self.offset(from)?;
        let mut begin = from;
        while begin < to {
            let end = (begin + STRETCH_SECONDS).min(to);
            if self.offset(end)? != offset {
                return first_in(begin, end, |at| self.offset(at) != Some(offset));
            }
            begin = end;
        }
        None
    }
}

/// The first number in `(below, up_to]` for which `holds`, given that it holds from there on.
fn first_in(below: i64, up_to: i64, holds: impl Fn(i64) -> bool) -> Option<i64> {
    let (mut below, mut first) = (below, up_to);
    if !holds(first) {
        return None;
    }
    while first - below > 1 {
        let middle = below + (first - below) / 2;
        if holds(middle) { first = middle } else { below = middle }
    }
    Some(first)
}
