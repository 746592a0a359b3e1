//! Deadlines that come back: expressions, zones, periods, and clocks that go anywhere.

use std::time::Duration;

use sexton::recurring::{MISSED_COUNTED_MAX, MOMENTS_PER_RING_MAX};
use sexton::{Missed, Recurring, RecurringError, Timestamp, codec};

use crate::input::{Input, says_why};

/// Rings of one run. Chosen: each may cost some milliseconds.
const RINGS_MAX: usize = 6;

/// Reads the bytes as a recurring deadline, and lets it ring.
pub fn recurring(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let missed = input.pick(&[Missed::Once, Missed::Each, Missed::Skip]);
    let how = input.byte() % 8;
    let from = moment(input.long());
    let made = match how {
        0 => {
            let period = Duration::from_millis(input.long().max(1));
            Ok(Recurring::every(period, from, missed))
        }
        1 => match codec::decode::<Recurring>(input.piece()) {
            Ok(recurring) => Ok(recurring),
            Err(error) => {
                says_why(&error);
                return false;
            }
        },
        _ => {
            let (expression, zone) = (input.piece(), input.piece());
            let texts = (std::str::from_utf8(expression), std::str::from_utf8(zone));
            let (Ok(expression), Ok(zone)) = texts else { return false };
            let made = Recurring::cron(expression, zone, from, missed);
            if let Err(error) = &made {
                names(error, expression, zone);
            }
            made.inspect(|it| assert!(it.next() > from, "{it} is not after {from}"))
        }
    };
    let Ok(mut recurring) = made else { return false };
    let late_max = Duration::from_millis(input.short().into());
    recurring = recurring.late_max(late_max);
    for _ in 0..RINGS_MAX {
        if input.is_empty() {
            break;
        }
        ring(&mut recurring, moment(input.long()), missed, how != 1);
    }
    true
}

/// A moment; half of them lie within some years of each other.
fn moment(number: u64) -> Timestamp {
    let ms = i64::try_from(number >> 1).unwrap_or(i64::MAX);
    match number % 4 {
        0 => Timestamp::from_millis(ms),
        1 => Timestamp::from_millis(-ms),
        _ => Timestamp::from_millis(ms % (4 * 366 * 86_400_000)),
    }
}

fn names(error: &RecurringError, expression: &str, zone: &str) {
    says_why(error);
    let text = error.to_string();
    let named = match error {
        RecurringError::Zone { .. } => zone,
        RecurringError::Expression { .. } | RecurringError::Never { .. } => expression,
    };
    assert!(text.contains(named), "{text} does not name {named}");
}

/// One ring: nothing is rung for that was not due, and what was rung for does not come again.
fn ring(recurring: &mut Recurring, now: Timestamp, missed: Missed, is_sane: bool) {
    let before = recurring.clone();
    let rung = match recurring.ring(now) {
        Ok(rung) => rung,
        Err(error) => {
            says_why(&error);
            assert_eq!(*recurring, before, "a ring that failed changed it");
            return;
        }
    };
    assert!(!recurring.to_string().is_empty());
    if before.next() > now || before.next() == Timestamp::MAX {
        assert_eq!((&*recurring, rung.moments.len()), (&before, 0), "it rang before its time");
        return;
    }
    assert!(rung.moments.len() <= MOMENTS_PER_RING_MAX);
    assert!(rung.moments.iter().all(|at| *at <= now && *at >= before.next()), "{before}: {rung:?}");
    assert!(rung.moments.is_sorted() && recurring.next() > before.next(), "{before}: {rung:?}");
    if !is_sane {
        return;
    }
    match missed {
        Missed::Each => assert!(rung.missed == 0 && !rung.moments.is_empty()),
        Missed::Once => assert_eq!(rung.moments.len(), 1),
        Missed::Skip => assert!(rung.moments.len() <= 1),
    }
    if missed != Missed::Each {
        let is_over = recurring.next() == Timestamp::MAX;
        assert!(recurring.next() > now || is_over, "{recurring} is due again at {now}");
    }
    // Each for itself says the same as all at once.
    if missed == Missed::Once && rung.missed < MISSED_COUNTED_MAX / 10 {
        let mut at = before.next();
        let mut count = 0;
        while let Ok(next) = before.after(at)
            && next <= now
            && next < Timestamp::MAX
        {
            (at, count) = (next, count + 1);
            assert!(count <= rung.missed, "{before}: more than {} were missed", rung.missed);
        }
        assert_eq!((count, rung.moments.last()), (rung.missed, Some(&at)), "{before} at {now}");
    }
}
