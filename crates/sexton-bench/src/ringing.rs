//! Alarms that ring one after the other, and how late they were.

use std::sync::Arc;
use std::time::Duration;

use sexton::clock::{Clock, WallClock};
use sexton::{Handle, Timestamp};

use crate::BenchError;
use crate::actors::{Lateness, RingAt, Subject};
use crate::load::{all, pause, real};

/// Alarms a second.
const ALARM_RATE: u64 = 1_000;
/// How often alarms are set until all are before the first rings.
const TRIES: u32 = 5;

/// How many ring in such a time.
pub(crate) fn alarms_in(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(0) * ALARM_RATE / 1_000
}

/// Subjects that ring one after the other.
pub(crate) struct Ringing {
    subjects: Arc<[Handle<Subject>]>,
    from: Timestamp,
}

impl Ringing {
    fn n(&self) -> u64 {
        u64::try_from(self.subjects.len()).unwrap_or(0)
    }

    fn due(from: Timestamp, nth: u64) -> Timestamp {
        from + Duration::from_millis(nth * 1_000 / ALARM_RATE)
    }

    /// Sets their alarms; the first rings some seconds from now, when all are set.
    pub(crate) async fn set(subjects: Arc<[Handle<Subject>]>) -> Result<Self, BenchError> {
        let n = u64::try_from(subjects.len()).unwrap_or(0);
        // Chosen: room for ten thousand a second; on a machine that is slower or has more to do,
        // they are set again with more room.
        let mut room = Duration::from_secs(1) + Duration::from_micros(100) * n32(n);
        for _ in 0..TRIES {
            let from = WallClock.now() + room;
            let asked = Arc::clone(&subjects);
            all(256, n, move |nth| {
                let subject = asked[usize::try_from(nth).unwrap_or(0)].clone();
                async move {
                    subject.call(RingAt(Self::due(from, nth))).await?;
                    Ok(())
                }
            })
            .await?;
            if WallClock.now() < from {
                return Ok(Self { subjects, from });
            }
            room *= 2;
        }
        Err(BenchError::Late { what: "alarms set", wanted: n, seconds: room.as_secs() / 2 })
    }

    /// Waits until the first is due.
    pub(crate) async fn begins(&self) {
        pause(self.from.since(WallClock.now())).await;
    }

    /// How late they rang, once all should have.
    pub(crate) async fn late(&self) -> Result<Late, BenchError> {
        let over = Self::due(self.from, self.n()) + Duration::from_secs(1);
        pause(over.since(WallClock.now())).await;
        let mut late = Late { ms: Vec::new(), rang: 0 };
        for (subject, nth) in self.subjects.iter().zip(0..) {
            let rang = subject.call(Lateness).await?;
            let since_due = WallClock.now().since(Self::due(self.from, nth)).as_millis();
            late.rang += u64::from(rang.is_some());
            late.ms.push(rang.unwrap_or_else(|| u64::try_from(since_due).unwrap_or(u64::MAX)));
        }
        late.ms.sort_unstable();
        Ok(late)
    }
}

/// How late alarms were.
pub(crate) struct Late {
    /// In milliseconds, the latest last; whoever did not ring was as late as it was then.
    pub(crate) ms: Vec<u64>,
    /// How many rang.
    pub(crate) rang: u64,
}

impl Late {
    /// What so many of a thousand did not exceed.
    pub(crate) fn at(&self, of_thousand: usize) -> f64 {
        let place = (self.ms.len() * of_thousand / 1_000).min(self.ms.len().saturating_sub(1));
        real(self.ms.get(place).copied().unwrap_or(0))
    }
}

fn n32(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
