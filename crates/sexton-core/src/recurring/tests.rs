//! Recurring deadlines by the calendar of people: gaps, folds, month ends, outages.

use proptest::prelude::*;

use super::*;

const ZONES: [&str; 6] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Kathmandu",
];

fn t(text: &str) -> Timestamp {
    let date = chrono::DateTime::parse_from_rfc3339(text).expect("a date");
    Timestamp::from_millis(date.timestamp_millis())
}

fn cron(expression: &str, zone: &str, from: &str, missed: Missed) -> Recurring {
    Recurring::cron(expression, zone, t(from), missed).expect("a good expression")
}

/// Checks which moments follow `from`, in UTC.
fn check(expression: &str, zone: &str, from: &str, expected: &[&str]) {
    let mut it = cron(expression, zone, from, Missed::Each);
    for moment in expected {
        assert_eq!(it.next().to_string(), t(moment).to_string(), "{expression} in {zone}");
        assert_eq!(it.ring(it.next()).unwrap().moments, [t(moment)]);
    }
}

/// Clocks are put on over 02:30: due at the first moment after the gap, and 02:30 again next day.
#[test]
fn a_local_time_that_does_not_exist_is_due_when_its_gap_ends() {
    let berlin = ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
    check("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", &berlin);
    let new_york = ["2026-03-07T07:30:00Z", "2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"];
    check("30 2 * * *", "America/New_York", "2026-03-07T00:00:00Z", &new_york);
    // A gap of half an hour, and one at midnight.
    let lord_howe = ["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"];
    check("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", &lord_howe);
    let santiago = ["2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"];
    check("@daily", "America/Santiago", "2026-09-05T12:00:00Z", &santiago);
    // However many lie in the gap: once; and nothing is due twice where the gap ends.
    let many = ["2026-03-28T01:45:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"];
    check("*/15 2 * * *", "Europe/Berlin", "2026-03-28T01:30:00Z", &many);
    let both = [
        "2026-03-28T02:00:00Z",
        "2026-03-28T02:30:00Z",
        "2026-03-29T01:00:00Z",
        "2026-03-29T01:30:00Z",
        "2026-03-30T00:00:00Z",
    ];
    check("0,30 2,3 * * *", "Europe/Berlin", "2026-03-28T01:30:00Z", &both);
}

#[test]
fn a_local_time_that_exists_twice_is_due_the_first_time() {
    let berlin = ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
    check("30 2 * * *", "Europe/Berlin", "2026-10-23T12:00:00Z", &berlin);
    let new_york = ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"];
    check("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", &new_york);
    let lord_howe = ["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"];
    check("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z", &lord_howe);
    // From within the second time round: the rest of the first time is over.
    check("45 2 * * *", "Europe/Berlin", "2026-10-25T01:15:00Z", &["2026-10-26T01:45:00Z"]);
}

#[test]
fn an_expression_of_every_hour_counts_hours_as_they_pass() {
    let on = ["2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"];
    check("0 * * * *", "Europe/Berlin", "2026-03-28T23:00:00Z", &on);
    let back = [
        "2026-10-25T00:00:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:00:00Z",
        "2026-10-25T01:30:00Z",
        "2026-10-25T02:00:00Z",
    ];
    check("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", &back);
    // The clocks are put back by half an hour, so quarter past is shown after 45 minutes.
    let half = ["2026-04-04T14:15:00Z", "2026-04-04T15:45:00Z"];
    check("15 * * * *", "Australia/Lord_Howe", "2026-04-04T13:30:00Z", &half);
    // The only hours of the year that it names are those of the change.
    let day = ["2026-10-24T22:00:00Z", "2026-10-24T23:00:00Z"];
    check("0 * 25 10 *", "Europe/Berlin", "2026-01-01T00:00:00Z", &day);
}

#[test]
fn month_ends_and_leap_years_are_those_of_the_calendar() {
    check(
        "0 12 31 * *",
        "UTC",
        "2026-01-31T12:00:00Z",
        &["2026-03-31T12:00:00Z", "2026-05-31T12:00:00Z"],
    );
    check("0 0 L 2 *", "UTC", "2027-03-01T00:00:00Z", &["2028-02-29T00:00:00Z"]);
    check(
        "0 0 29 2 *",
        "Asia/Kathmandu",
        "2096-03-01T00:00:00Z",
        &["2104-02-28T18:15:00Z", "2108-02-28T18:15:00Z"],
    );
    check("0 9 * * MON#1", "UTC", "2026-11-22T00:00:00Z", &["2026-12-07T09:00:00Z"]);
    check("59 59 23 31 12 *", "UTC", "2026-06-01T00:00:00Z", &["2026-12-31T23:59:59Z"]);
}

#[test]
fn what_recurs_never_is_an_error_that_names_it() {
    let from = t("2026-01-01T00:00:00Z");
    for (expression, zone, named) in [
        ("0 3 * *", "UTC", "`0 3 * *` is not a cron expression"),
        ("99 3 * * *", "UTC", "`99 3 * * *`"),
        ("", "UTC", "`` is not"),
        ("0 3 * * *", "Europe/Atlantis", "`Europe/Atlantis` is not the name"),
        ("0 3 * * *", "europe/berlin", "`europe/berlin`"),
        ("0 0 30 2 *", "UTC", "`0 0 30 2 *` names no moment after 2026-01-01"),
        ("0 0 0 1 1 * 1999", "UTC", "names no moment"),
    ] {
        let error = Recurring::cron(expression, zone, from, Missed::Once).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
        assert!(Refusal::from(error).reason.contains(named));
    }
}

#[test]
fn what_ends_with_a_year_is_due_for_the_last_time_and_then_never() {
    let mut it = cron("0 0 0 1 1 * 2027", "UTC", "2026-01-01T00:00:00Z", Missed::Each);
    assert_eq!(it.ring(Timestamp::MAX).unwrap().moments, [t("2027-01-01T00:00:00Z")]);
    assert_eq!(it.next(), Timestamp::MAX);
    assert_eq!(it.ring(Timestamp::MAX).unwrap(), Rung::default());
    assert!(it.to_string().ends_with("never again"), "{it}");
}

/// Nobody was there from Friday evening to Monday morning, over the change of the clocks.
#[test]
fn each_policy_over_a_long_outage() {
    let (from, now) = ("2026-03-27T18:00:00Z", t("2026-03-30T06:00:00Z"));
    let nights = ["2026-03-28T02:00:00Z", "2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"].map(t);
    let next = t("2026-03-31T01:00:00Z");
    for (missed, moments, n_missed) in [
        (Missed::Once, &nights[2..], 2),
        (Missed::Each, &nights[..], 0),
        (Missed::Skip, &[][..], 3),
    ] {
        let mut it = cron("0 3 * * *", "Europe/Berlin", from, missed);
        let rung = it.ring(now).unwrap();
        assert_eq!(rung, Rung { moments: moments.to_vec(), missed: n_missed }, "{missed:?}");
        assert_eq!(it.next(), next, "{missed:?}");
        assert_eq!(it.ring(now).unwrap(), Rung::default(), "it is not due again");
    }
}

#[test]
fn a_ring_that_is_a_little_late_is_not_skipped() {
    let every = |late_max| {
        Recurring::every(Duration::from_secs(600), Timestamp::ZERO, Missed::Skip).late_max(late_max)
    };
    let due = Timestamp::ZERO + Duration::from_secs(600);
    for (late, is_rung) in [(0, true), (5, true), (6, false), (599, false)] {
        let mut it = every(Duration::from_secs(5));
        let rung = it.ring(due + Duration::from_secs(late)).unwrap();
        assert_eq!(rung.moments == [due], is_rung, "{late} seconds late");
        assert_eq!(rung.missed, u64::from(!is_rung));
        assert_eq!(it.next(), due + Duration::from_secs(600));
    }
}

/// G14: a second's beat over years is neither counted to its end nor worked through at once.
#[test]
fn an_outage_of_years_costs_one_bounded_ring() {
    let now = t("2036-01-01T00:00:00Z");
    for (expression, zone) in [("* * * * * *", "Europe/Berlin"), ("* 0-22 * * *", "UTC")] {
        let mut once = cron(expression, zone, "2026-01-01T00:00:00Z", Missed::Once);
        let rung = once.ring(now + Duration::from_millis(500)).unwrap();
        assert_eq!(rung.missed, MISSED_COUNTED_MAX);
        assert!(now.since(rung.moments[0]) <= Duration::from_secs(3_660), "{rung:?}");
        let mut each = cron(expression, zone, "2026-01-01T00:00:00Z", Missed::Each);
        assert_eq!(each.ring(now).unwrap().moments.len(), MOMENTS_PER_RING_MAX);
        assert!(each.next() <= now, "the rest is still due");
    }
    let second = Duration::from_secs(1);
    let mut every = Recurring::every(second, Timestamp::ZERO, Missed::Once);
    let rung = every.ring(Timestamp::MAX - second).unwrap();
    assert_eq!((rung.moments.len(), rung.missed), (1, 253_402_300_797));
    assert_eq!(every.ring(Timestamp::MAX).unwrap().missed, 0);
    assert_eq!(every.next(), Timestamp::MAX, "which is never");
}

/// It lies in the states of actors: what an earlier version wrote must read back.
#[test]
fn its_bytes_never_change() {
    let it = cron("0 3 * * *", "UTC", "2026-01-01T00:00:00Z", Missed::Skip);
    let bytes = crate::codec::encode(&it).unwrap();
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = [
        "01000000",                           // by the calendar
        "0900000000000000302033202a202a202a", // `0 3 * * *`
        "0300000000000000555443",             // UTC
        "02000000",                           // skip
        "3c0000000000000000000000",           // a minute
        "80737f779b010000",                   // next
    ];
    assert_eq!(hex.concat(), expected.concat());
    assert_eq!(crate::codec::decode::<Recurring>(&bytes).unwrap(), it);
}

#[test]
fn what_a_later_version_cannot_read_refuses_and_stays_due() {
    let mut it = cron("0 3 * * *", "UTC", "2026-01-01T00:00:00Z", Missed::Once);
    let zone = "Europe/Atlantis".to_owned();
    it.rule = Rule::Cron { expression: "0 3 * * *".to_owned(), zone };
    let before = it.clone();
    assert!(matches!(it.ring(t("2026-02-01T00:00:00Z")), Err(RecurringError::Zone { .. })));
    assert_eq!(it, before);
}

fn any_recurring() -> impl Strategy<Value = Recurring> {
    let from = (0_i64..4_102_444_800_000).prop_map(Timestamp::from_millis);
    let missed = prop_oneof![Just(Missed::Once), Just(Missed::Each), Just(Missed::Skip)];
    let every = (1_u64..100_000_000).prop_map(|ms| (Some(Duration::from_millis(ms)), "", ""));
    let expression = prop::sample::select(vec![
        "0 3 * * *",
        "30 2 * * *",
        "*/7 * * * *",
        "15 0,2,23 * * SUN",
        "0 0 L * *",
        "0 */2 * * *",
        "30 1 29 2 *",
        "59 * * 3,10 *",
        "*/20 30 2 * * *",
    ]);
    let by_calendar = (expression, prop::sample::select(ZONES.to_vec()))
        .prop_map(|(expression, zone)| (None, expression, zone));
    (prop_oneof![every, by_calendar], from, missed).prop_map(
        |((period, text, zone), from, missed)| match period {
            Some(period) => Recurring::every(period, from, missed),
            None => Recurring::cron(text, zone, from, missed).expect("it recurs"),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_next_moment_is_after_now_and_none_lies_between(
        mut it in any_recurring(),
        outage_ms in 0_i64..10_000_000_000,
        probe in 0.0_f64..1.0,
    ) {
        let first = it.next();
        let now = Timestamp::from_millis(first.as_millis() + outage_ms);
        let reference = it.clone();
        let rung = it.ring(now).unwrap();
        prop_assert!(rung.moments.iter().all(|at| *at >= first && *at <= now));
        if it.missed == Missed::Each {
            // Each: what follows what, without a gap, from the first on.
            let mut expected = first;
            for moment in &rung.moments {
                prop_assert_eq!(*moment, expected);
                expected = reference.after(expected).unwrap();
            }
            prop_assert_eq!(it.next(), expected);
        } else {
            prop_assert!(it.next() > now);
            prop_assert_eq!(it.next(), reference.after(now).unwrap());
            // No moment between any other and the one that follows it.
            let between = now.since(first).mul_f64(probe);
            let at = first + between;
            let next = reference.after(at).unwrap();
            prop_assert!(next > at);
            let middle = Timestamp::from_millis(i64::midpoint(at.as_millis(), next.as_millis()));
            if middle > at && middle < next {
                prop_assert_eq!(reference.after(middle).unwrap(), next);
            }
        }
    }

    /// Once and Each tell of the same outage: as many moments, and the same last one.
    #[test]
    fn the_policies_agree_on_what_passed(mut it in any_recurring(), outage_ms in 0_i64..3_000_000_000) {
        let now = Timestamp::from_millis(it.next().as_millis() + outage_ms);
        it.missed = Missed::Each;
        let (mut each, mut all) = (it.clone(), Vec::new());
        while each.next() <= now && all.len() <= 1_000 {
            all.extend(each.ring(now).unwrap().moments);
        }
        prop_assume!(all.len() <= 1_000);
        for missed in [Missed::Once, Missed::Skip] {
            let mut other = Recurring { missed, ..it.clone() };
            let rung = other.ring(now).unwrap();
            prop_assert_eq!(rung.moments.len() + usize::try_from(rung.missed).unwrap(), all.len());
            prop_assert!(rung.moments.last().is_none_or(|last| Some(last) == all.last()));
            prop_assert_eq!(other.next(), each.next());
        }
    }
}
