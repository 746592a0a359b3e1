//! Again and again: deadlines that come back, every so often or by the calendar.
//!
//! A [`Recurring`] is a value in an actor's state. It says when it is next due, and the actor
//! names that as a deadline like any other; when it rings, the actor asks it what the ring stands
//! for, and it moves on. What passed while nobody was there is dealt with by one of three
//! policies ([`Missed`]).
//!
//! It keeps the text of its expression, the name of its zone and the next moment, and nothing
//! that was parsed, so it survives restarts, upgrades of this library and new rules of a zone.
//! The next moment is kept and not computed: the armed alarm must be what the committed state
//! says (G5), also when a later version knows other rules for the zone. Those count from the next
//! ring on.

mod calendar;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::calendar::Calendar;
use crate::error::Refusal;
use crate::time::Timestamp;

/// The most moments that one ring stands for with [`Missed::Each`]; the rest stays due and rings
/// at once, in turns of its own. Chosen: a turn stays small.
pub const MOMENTS_PER_RING_MAX: usize = 100;
/// Up to how many moments of a calendar are counted as missed; beyond, the count stays there.
/// Chosen: some milliseconds for an expression of every second.
pub const MISSED_COUNTED_MAX: u64 = 1_000;
/// How late a ring may be with [`Missed::Skip`] and still count, unless another wait is chosen.
/// Chosen: the resolution of cron.
const LATE_MAX: Duration = Duration::from_secs(60);

/// What becomes of the moments that passed while nobody was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Missed {
    /// One ring for all of them: it stands for the last one, and says how many there were before.
    Once,
    /// A ring stands for each of them, oldest first, at most [`MOMENTS_PER_RING_MAX`] at a time;
    /// the rest stays due.
    Each,
    /// None of them counts, except the last one if it is not later than
    /// [`late_max`](Recurring::late_max) allows.
    Skip,
}

/// When something recurs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Rule {
    Every { period: Duration },
    Cron { expression: String, zone: String },
}

/// What one ring of a [`Recurring`] stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    /// The moments, oldest first, none after the turn's. Empty if nothing was due, or if all that
    /// was due is skipped.
    pub moments: Vec<Timestamp>,
    /// How many further moments had passed that are not among them and never will be; of a
    /// calendar at most [`MISSED_COUNTED_MAX`] are counted.
    pub missed: u64,
}

/// Why something does not recur.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecurringError {
    /// The text is not a cron expression.
    #[error("`{expression}` is not a cron expression: {why}")]
    Expression {
        /// The text.
        expression: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no time zone of that name.
    #[error("`{zone}` is not the name of a time zone (as `Europe/Berlin` is)")]
    Zone {
        /// The name.
        zone: String,
        /// What the table of zones says.
        source: chrono_tz::ParseError,
    },
    /// No moment follows: a day that no year has, or a year that is over.
    #[error("`{expression}` names no moment after {from}")]
    Never {
        /// The expression.
        expression: String,
        /// After which moment none follows.
        from: Timestamp,
    },
}

/// In a handler, what does not recur refuses the turn.
impl From<RecurringError> for Refusal {
    fn from(error: RecurringError) -> Self {
        Self::new(error.to_string())
    }
}

/// Something that is due again and again: a value in an actor's state.
///
/// Three lines in an actor: `due.at(self.backup.next(), Due::Backup)` in
/// [`deadlines`](crate::Actor::deadlines), `let rung = self.backup.ring(turn.now())?` in
/// [`on_deadline`](crate::Actor::on_deadline), and the beginning in `create`.
///
/// # When the clocks are put on or back
///
/// What is meant by an expression is local time in its zone. A local time that does not exist,
/// because the clocks are put on over it, is due when they are: at the first moment after the
/// gap, once, however many times lie in the gap. A local time that exists twice is due the first
/// time. An expression that takes *every* hour (`*/15 * * * *`) counts hours as they pass: it is
/// due in the repeated hour as well, and not for the hour that is missing. [`every`](Self::every)
/// knows no zone: a day is 24 hours.
///
/// # Durability
///
/// A crash before the commit of a ring leaves the earlier state, whose deadline is still due: it
/// rings again, for the same moments. After the commit it never rings for them again.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use sexton_core::{Missed, Recurring, RecurringError, Timestamp};
///
/// let hour = Duration::from_secs(3_600);
/// let mut beat = Recurring::every(hour, Timestamp::ZERO, Missed::Once);
/// assert_eq!(beat.next(), Timestamp::ZERO + hour);
/// // Nobody was there for three and a half hours.
/// let rung = beat.ring(Timestamp::ZERO + 7 * hour / 2)?;
/// assert_eq!((rung.moments, rung.missed), (vec![Timestamp::ZERO + 3 * hour], 2));
/// assert_eq!(beat.next(), Timestamp::ZERO + 4 * hour);
///
/// let nightly = Recurring::cron("0 3 * * *", "Europe/Berlin", Timestamp::ZERO, Missed::Skip)?;
/// assert_eq!(nightly.next().to_string(), "1970-01-01T02:00:00.000Z");
/// let unknown = Recurring::cron("0 3 * * *", "Europe/Atlantis", Timestamp::ZERO, Missed::Skip);
/// assert!(matches!(unknown, Err(RecurringError::Zone { .. })));
/// # Ok::<(), RecurringError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recurring {
    rule: Rule,
    missed: Missed,
    late_max: Duration,
    next: Timestamp,
}

impl Recurring {
    /// Every `period`, first one period after `from`, always at the same distance from it.
    ///
    /// # Panics
    ///
    /// If `period` is below a millisecond: only a bug makes such a number.
    pub fn every(period: Duration, from: Timestamp, missed: Missed) -> Self {
        assert!(period.as_millis() > 0, "a period is at least a millisecond, not {period:?}");
        Self { rule: Rule::Every { period }, missed, late_max: LATE_MAX, next: from + period }
    }

    /// By a cron expression in a time zone, first strictly after `from`.
    ///
    /// Five fields: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday);
    /// with a sixth in front, of seconds, and a seventh behind, of years. Names (`MON`, `JAN`),
    /// ranges, lists, steps, `L` (last), `W` (nearest working day), `#` (the nth) and `@daily`
    /// and its like are understood. Where both days are restricted, either will do.
    ///
    /// # Errors
    ///
    /// [`RecurringError`], which names the expression or the zone: it cannot be read, there is
    /// none of that name, or no moment follows.
    pub fn cron(
        expression: &str,
        zone: &str,
        from: Timestamp,
        missed: Missed,
    ) -> Result<Self, RecurringError> {
        let calendar = Calendar::read(expression, zone)?;
        let never = || RecurringError::Never { expression: expression.to_owned(), from };
        let next = calendar.next_after(from).ok_or_else(never)?;
        let rule = Rule::Cron { expression: expression.to_owned(), zone: zone.to_owned() };
        Ok(Self { rule, missed, late_max: LATE_MAX, next })
    }

    /// The same, and with [`Missed::Skip`] a ring counts up to `wait` after its moment; a minute,
    /// unless another wait is chosen.
    pub fn late_max(self, wait: Duration) -> Self {
        Self { late_max: wait, ..self }
    }

    /// When it is next due: a deadline. [`Timestamp::MAX`] is never: no moment follows.
    pub fn next(&self) -> Timestamp {
        self.next
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.next <= now && self.next < Timestamp::MAX
    }

    /// Says what the ring of a turn at `now` stands for, and moves on behind it.
    ///
    /// Before [`next`](Self::next) is due it stands for nothing, and nothing changes.
    ///
    /// # Errors
    ///
    /// [`RecurringError`] if this version cannot read the expression any more, or does not know
    /// the zone; nothing changes then, and a handler that passes it on refuses its turn: the
    /// deadline stays, backs off, and shows.
    pub fn ring(&mut self, now: Timestamp) -> Result<Rung, RecurringError> {
        if !self.is_due(now) {
            return Ok(Rung::default());
        }
        let series = self.series()?;
        let mut rung = Rung::default();
        if self.missed == Missed::Each {
            // Keeps G14: what is more stays due and rings in turns of its own.
            while self.is_due(now) && rung.moments.len() < MOMENTS_PER_RING_MAX {
                rung.moments.push(self.next);
                self.next = series.next_after(self.next);
            }
            return Ok(rung);
        }
        let last = series.last_until(self.next, now);
        let earlier = series.count_before(self.next, last);
        let counts = match self.missed {
            Missed::Once | Missed::Each => true,
            Missed::Skip => now.since(last) <= self.late_max,
        };
        if counts {
            rung.moments.push(last);
        }
        rung.missed = earlier + u64::from(!counts);
        self.next = series.next_after(now.max(last));
        Ok(rung)
    }

    /// The first moment strictly after `at`; [`Timestamp::MAX`] is never.
    ///
    /// # Errors
    ///
    /// As [`ring`](Self::ring).
    pub fn after(&self, at: Timestamp) -> Result<Timestamp, RecurringError> {
        Ok(self.series()?.next_after(at))
    }

    fn series(&self) -> Result<Series, RecurringError> {
        Ok(match &self.rule {
            Rule::Every { period } => {
                let period_ms = i64::try_from(period.as_millis()).unwrap_or(i64::MAX).max(1);
                Series::Every { anchor: self.next, period_ms }
            }
            Rule::Cron { expression, zone } => {
                Series::Calendar(Box::new(Calendar::read(expression, zone)?))
            }
        })
    }
}

impl fmt::Display for Recurring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Rule::Every { period } => write!(f, "every {period:?}")?,
            Rule::Cron { expression, zone } => write!(f, "`{expression}` in {zone}")?,
        }
        if self.next == Timestamp::MAX {
            f.write_str(", never again")
        } else {
            write!(f, ", next {}", self.next)
        }
    }
}

/// A [`Rule`] that was read, with where it stands.
enum Series {
    Every { anchor: Timestamp, period_ms: i64 },
    Calendar(Box<Calendar>),
}

impl Series {
    fn next_after(&self, at: Timestamp) -> Timestamp {
        match self {
            Self::Every { anchor, period_ms } => {
                let anchor = anchor.as_millis();
                let passed = at.as_millis().saturating_sub(anchor).div_euclid(*period_ms);
                let wait = passed.saturating_add(1).saturating_mul(*period_ms);
                Timestamp::from_millis(anchor.saturating_add(wait))
            }
            Self::Calendar(calendar) => calendar.next_after(at).unwrap_or(Timestamp::MAX),
        }
    }

    /// The last moment up to `now`, given that `first` is one.
    fn last_until(&self, first: Timestamp, now: Timestamp) -> Timestamp {
        match self {
            Self::Every { period_ms, .. } => {
                let passed = now.as_millis().saturating_sub(first.as_millis()) / period_ms;
                Timestamp::from_millis(first.as_millis() + passed * period_ms)
            }
            Self::Calendar(calendar) => {
                // Exactly before the last moment there is one that follows in time.
                let follows = |ms: i64| {
                    let next = calendar.next_after(Timestamp::from_millis(ms));
                    next.filter(|next| *next <= now)
                };
                let (mut last, mut below, mut above) = (first, first.as_millis(), now.as_millis());
                while below < above {
                    let middle = below + (above - below) / 2;
                    match follows(middle) {
                        Some(next) => (last, below) = (next, next.as_millis()),
                        None => above = middle,
                    }
                }
                last
            }
        }
    }

    /// How many moments there are from `first` to before `last`.
    fn count_before(&self, first: Timestamp, last: Timestamp) -> u64 {
        match self {
            Self::Every { period_ms, .. } => {
                let passed = (last.as_millis() - first.as_millis()) / period_ms;
                u64::try_from(passed).unwrap_or(0)
            }
            Self::Calendar(_) => {
                let (mut count, mut at) = (0, first);
                while at < last && count < MISSED_COUNTED_MAX {
                    count += 1;
                    at = self.next_after(at);
                }
                count
            }
        }
    }
}

#[cfg(test)]
mod tests;
