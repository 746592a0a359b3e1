//! Figures as people read them: grouped digits, durations in two units, sizes, and plain floats.

/// A count as a float; above 2^53 the last digits are lost, which no plot and no rate shows.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "see its documentation")]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

/// As [`float`], for a number that may be negative.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "see its documentation")]
pub(crate) const fn float_signed(number: i64) -> f64 {
    number as f64
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(count: u64) -> String {
    group_digits(&count.to_string())
}

/// A float with `digits` after the point and grouped digits before it.
pub(crate) fn decimal(number: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", number.abs());
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), ""), |it| it);
    let sign = if number < 0.0 { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}", group_digits(whole))
}

/// Commas between groups of three digits.
fn group_digits(digits: &str) -> String {
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A length of time in the two largest units that say something.
pub(crate) fn duration(seconds: f64) -> String {
    const MINUTE: f64 = 60.0;
    const HOUR: f64 = 3_600.0;
    const DAY: f64 = 86_400.0;
    let two = |large: f64, small: f64, names: (&str, &str)| {
        let smalls = (seconds / small).round();
        let per_large = (large / small).round();
        let (whole, rest) = ((smalls / per_large).floor(), smalls % per_large);
        let larger = format!("{} {}", decimal(whole, 0), names.0);
        if rest < 1.0 { larger } else { format!("{larger} {} {}", decimal(rest, 0), names.1) }
    };
    if seconds < 1.0 {
        format!("{} ms", decimal(seconds * 1_000.0, 0))
    } else if seconds < MINUTE {
        format!("{} s", decimal(seconds, 1).trim_end_matches(".0"))
    } else if seconds < HOUR {
        two(MINUTE, 1.0, ("min", "s"))
    } else if seconds < DAY {
        two(HOUR, MINUTE, ("h", "min"))
    } else {
        two(DAY, HOUR, ("d", "h"))
    }
}

/// A length of time in milliseconds, as [`duration`].
pub(crate) fn duration_ms(millis: u64) -> String {
    duration(float(millis) / 1_000.0)
}

/// A size in binary units.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1_024 {
        return format!("{count} bytes");
    }
    let mut size = float(count) / 1_024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if size < 1_024.0 {
            break;
        }
        size /= 1_024.0;
        unit = next;
    }
    format!("{} {unit}", decimal(size, 1))
}

/// A share in percent; of nothing there is no share.
pub(crate) fn percent(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("{} %", decimal(100.0 * part / whole, 1)) } else { "-".to_owned() }
}

/// `count` of a thing, with its plural: `1 leak`, `2 leaks`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_in_threes() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")];
        for (count, expected) in cases {
            assert_eq!(grouped(count), expected);
        }
        assert_eq!(decimal(-1_234.567, 2), "-1,234.57");
        assert_eq!(decimal(1_999.9, 0), "2,000");
    }

    #[test]
    fn durations_say_their_two_largest_units() {
        let cases = [
            (0.0, "0 ms"),
            (0.25, "250 ms"),
            (1.0, "1 s"),
            (1.25, "1.2 s"),
            (61.0, "1 min 1 s"),
            (3_599.6, "60 min"),
            (3_600.0, "1 h"),
            (90_000.0, "1 d 1 h"),
            (86_399.0 + 86_400.0, "2 d"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(duration(seconds), expected);
        }
    }

    #[test]
    fn sizes_and_shares_are_short() {
        assert_eq!(bytes(1_023), "1023 bytes");
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(bytes(5 * 1_024 * 1_024 * 1_024), "5.0 GiB");
        assert_eq!(percent(1.0, 3.0), "33.3 %");
        assert_eq!(percent(0.0, 0.0), "-");
        assert_eq!(counted(1, "leak", "leaks"), "1 leak");
    }
}
