//! When: a moment as a value. Nothing here reads a clock; the host does, once, at the edge.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

/// A moment, in whole milliseconds since the Unix epoch (or since a trace began).
///
/// An integer and not a calendar date, because it is written into every record: chrono's
/// textual form costs 130 bytes and ten times the encoding time (measured, see
/// `docs/format.md`). Its bytes are those of the integer; serde is told its name all the same,
/// by which the [coverage check](crate::coverage) finds the moments inside of a state.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp(#[serde(deserialize_with = "in_range")] i64);

/// Reads milliseconds; what lies outside of all moments was never written, and is refused.
fn in_range<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let millis = i64::deserialize(deserializer)?;
    if Timestamp::from_millis(millis).0 == millis {
        return Ok(millis);
    }
    let (min, max) = (Timestamp::MIN.0, Timestamp::MAX.0);
    let message = format!("a moment of {millis} ms is not within {min} to {max}");
    Err(serde::de::Error::custom(message))
}

impl Timestamp {
    /// The moment zero.
    pub const ZERO: Self = Self(0);
    /// The latest moment that can be told: the year 9999, so that it still prints as a date.
    pub const MAX: Self = Self(253_402_300_799_999);
    /// The earliest moment that can be told: as far before zero as `MAX` is after.
    pub const MIN: Self = Self(-253_402_300_799_999);

    /// The moment `millis` milliseconds after zero, clamped to `MIN..=MAX`.
    pub const fn from_millis(millis: i64) -> Self {
        if millis > Self::MAX.0 {
            Self::MAX
        } else if millis < Self::MIN.0 {
            Self::MIN
        } else {
            Self(millis)
        }
    }

    /// Milliseconds since zero.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this moment is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The same moment as a calendar date in UTC.
    pub fn to_utc(self) -> chrono::DateTime<chrono::Utc> {
        chrono::DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }
}

/// Later by `wait`; a wait that would pass [`Timestamp::MAX`] ends there, which is never due.
impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        let wait_ms = i64::try_from(rhs.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_add(wait_ms))
    }
}

/// Earlier by `wait`, not before [`Timestamp::MIN`].
impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        let wait_ms = i64::try_from(rhs.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_sub(wait_ms))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_utc().format("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_past_the_end_of_time_is_clamped_and_not_wrapped() {
        assert_eq!(Timestamp::MAX + Duration::from_secs(1), Timestamp::MAX);
        assert_eq!(Timestamp::from_millis(i64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MIN - Duration::MAX, Timestamp::MIN);
    }

    #[test]
    fn what_is_no_moment_is_not_read_as_one() {
        for ms in [i64::MIN, Timestamp::MIN.0 - 1, Timestamp::MAX.0 + 1, i64::MAX] {
            let error = crate::codec::decode::<Timestamp>(&ms.to_le_bytes()).unwrap_err();
            assert!(error.to_string().contains(&ms.to_string()), "{error}");
            assert!(serde_json::from_str::<Timestamp>(&ms.to_string()).is_err());
        }
        let last = crate::codec::encode(&Timestamp::MAX).unwrap();
        assert_eq!(crate::codec::decode(&last), Ok(Timestamp::MAX));
    }

    #[test]
    fn a_moment_prints_as_a_date() {
        assert_eq!(Timestamp::from_millis(1_500).to_string(), "1970-01-01T00:00:01.500Z");
    }

    #[test]
    fn since_never_goes_below_zero() {
        let (early, late) = (Timestamp::from_millis(5), Timestamp::from_millis(9));
        assert_eq!(late.since(early), Duration::from_millis(4));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
