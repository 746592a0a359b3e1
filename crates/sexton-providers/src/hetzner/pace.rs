//! How long a call goes on, and how long the API wants none: patience, and the rate limit.
//!
//! A call has patience for all of its requests together. The API says with `Retry-After` how long
//! it wants no request, and with `RateLimit-Reset` when all of an hour's requests are there
//! again: they come back one by one, so that a few seconds do where the whole hour is far away.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::DateTime;
use reqwest::header::HeaderMap;
use sexton::Timestamp;
use sexton::clock::Stopwatch;
use sexton_agent::clock::rest;

/// The longest that the API's word keeps requests back. Specified: its limit is one of an hour.
const HOLD_MAX: Duration = Duration::from_secs(60 * 60);
/// How often the pause between two requests of a call is doubled. Chosen: of one second, sixteen.
const DOUBLINGS_MAX: u32 = 4;

/// What is left of the time for a call.
#[derive(Debug)]
pub(super) struct Patience {
    began: Stopwatch,
    whole: Duration,
    /// The first pause between two requests.
    pause: Duration,
    doublings: u32,
}

impl Patience {
    pub(super) fn new(whole: Duration, pause: Duration) -> Self {
        Self { began: Stopwatch::start(), whole, pause, doublings: 0 }
    }

    pub(super) fn left(&self) -> Duration {
        self.whole.saturating_sub(self.began.elapsed())
    }

    /// The pause before the next request, longer each time.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.pause.saturating_mul(1 << self.doublings);
        self.doublings = (self.doublings + 1).min(DOUBLINGS_MAX);
        pause
    }

    /// Rests, or says at once that there is no time for it.
    pub(super) async fn rest(&self, wait: Duration) -> bool {
        let is_time = wait < self.left();
        if is_time {
            rest(wait).await;
        }
        is_time
    }
}

/// Until when no request is sent, by whichever call.
#[derive(Debug, Default)]
pub(super) struct Hold(Mutex<Option<(Stopwatch, Duration)>>);

impl Hold {
    /// How long it lasts.
    pub(super) fn left(&self) -> Duration {
        let held = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.map_or(Duration::ZERO, |(began, whole)| whole.saturating_sub(began.elapsed()))
    }

    /// Begins, or goes on for longer.
    pub(super) fn extend(&self, wait: Duration) {
        let wait = wait.min(HOLD_MAX);
        if wait > self.left() {
            let held = Some((Stopwatch::start(), wait));
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = held;
        }
    }
}

/// What the API says about its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limit {
    /// How long it wants no request.
    pub(super) retry_after: Option<Duration>,
    /// When all requests are there again.
    pub(super) reset: Option<Duration>,
}

impl Limit {
    /// What the headers say; what cannot be read was not said.
    pub(super) fn read(headers: &HeaderMap, now: Timestamp) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let until = |moment_ms: i64| Timestamp::from_millis(moment_ms).since(now);
        let retry_after = text("retry-after").and_then(|text| {
            // Seconds, or a date, as HTTP has it.
            let seconds = text.trim().parse().ok().map(Duration::from_secs);
            let date = || DateTime::parse_from_rfc2822(text).ok();
            seconds.or_else(|| date().map(|date| until(date.timestamp_millis())))
        });
        let reset = text("ratelimit-reset").and_then(|text| text.trim().parse::<i64>().ok());
        let reset = reset.map(|moment_s| until(moment_s.saturating_mul(1_000)));
        Self { retry_after, reset }
    }

    /// How long to wait after a refusal, if the call has so much time left.
    pub(super) fn wait(self, patience: &mut Patience) -> Duration {
        let reset = self.reset.filter(|reset| *reset < patience.left());
        // Never nothing: a clock that is ahead of the API's would ask again and again.
        let pause = patience.pause();
        self.retry_after.or(reset).map_or(pause, |wait| wait.max(patience.pause))
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn limit(headers: &[(&'static str, &'static str)]) -> Limit {
        let headers = headers.iter().map(|(name, value)| {
            let name = reqwest::header::HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        Limit::read(&headers.collect(), Timestamp::from_millis(784_111_770_000))
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn both_headers_are_read_in_all_their_forms() {
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(limit(&[("retry-after", "7")]).retry_after, seconds(7));
        let date = limit(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]);
        assert_eq!(date.retry_after, seconds(7));
        assert_eq!(limit(&[("ratelimit-reset", "784111790")]).reset, seconds(20));
        assert_eq!(limit(&[("ratelimit-reset", "5")]).reset, Some(Duration::ZERO));
        for odd in ["", "-1", "soon", "99999999999999999999"] {
            let header = HeaderValue::from_static(odd);
            let headers: HeaderMap = [(reqwest::header::RETRY_AFTER, header)].into_iter().collect();
            let said = Limit::read(&headers, Timestamp::ZERO);
            assert_eq!(said.retry_after, None, "{odd}");
        }
    }

    // Seen to fail when `Retry-After` is left out, when a far reset is waited for, and when a
    // moment that is over is.
    #[test]
    fn retry_after_counts_and_a_reset_where_there_is_time_for_it() {
        let patience = || Patience::new(SECOND * 60, SECOND);
        let wait = |headers: &[_]| limit(headers).wait(&mut patience());
        assert_eq!(wait(&[("retry-after", "7"), ("ratelimit-reset", "784111790")]), SECOND * 7);
        assert_eq!(wait(&[("ratelimit-reset", "784111790")]), SECOND * 20);
        assert_eq!(wait(&[("ratelimit-reset", "784115370")]), SECOND, "an hour ahead");
        assert_eq!(wait(&[("ratelimit-reset", "784111000")]), SECOND, "it is over");
        assert_eq!(wait(&[("retry-after", "900")]), SECOND * 900, "the caller says whether");
        assert_eq!(wait(&[]), SECOND);
        let mut patience = patience();
        let waits: Vec<u64> =
            (0..6).map(|_| Limit::default().wait(&mut patience).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 16]);
    }

    // Seen to fail when whatever the API says is believed.
    #[test]
    fn no_word_holds_longer_than_an_hour_and_none_shortens_another() {
        let hold = Hold::default();
        assert_eq!(hold.left(), Duration::ZERO);
        hold.extend(SECOND * 100);
        hold.extend(SECOND);
        assert!(hold.left() > SECOND * 90);
        hold.extend(Duration::from_secs(u64::MAX));
        assert!(hold.left() <= HOLD_MAX);
    }
}
