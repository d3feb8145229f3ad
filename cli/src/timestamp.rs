//! Milliseconds since 1970 to and from RFC 3339, in UTC. Pure; leap seconds do not exist, as in Unix time.

const DAY_MS: i64 = 86_400_000;

/// `2026-01-02T03:04:05.678Z`.
pub(crate) fn format(timestamp_ms: i64) -> String {
    let (days, ms) = (timestamp_ms.div_euclid(DAY_MS), timestamp_ms.rem_euclid(DAY_MS));
    let (year, month, day) = date_of(days);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
}

/// Reads a date, or a date and a time, with `Z`, an offset like `+02:00`, or neither (UTC).
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.splitn(3, '-');
    let (year, month, day) = (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let days = days_of(year, month, day);
    if date_of(days) != (year, month, day) {
        return None;
    }
    Some(days * DAY_MS + time.map_or(Some(0), time_ms)?)
}

fn time_ms(text: &str) -> Option<i64> {
    let (clock, offset_minutes) = match text.rfind(['Z', 'z', '+', '-']) {
        None => (text, 0),
        Some(at) => (&text[..at], offset_minutes(&text[at..])?),
    };
    let (clock, fraction_ms) = match clock.split_once('.') {
        None => (clock, 0),
        Some((clock, fraction)) => {
            let all_digits = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
            let ms: String = fraction.chars().chain("000".chars()).take(3).collect();
            (clock, digits(&ms, 3).filter(|_| all_digits)?)
        }
    };
    let mut parts = clock.splitn(3, ':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let second = parts.next().map_or(Some(0), |second| digits(second, 2))?;
    let valid = hour < 24 && minute < 60 && second < 60;
    valid.then_some(((hour * 60 + minute - offset_minutes) * 60 + second) * 1000 + fraction_ms)
}

fn offset_minutes(text: &str) -> Option<i64> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("Z" | "z", "") => return Some(0),
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hour, minute) = rest.split_once(':')?;
    Some(sign * (digits(hour, 2)? * 60 + digits(minute, 2)?))
}

/// A number of exactly `count` digits.
fn digits(text: &str, count: usize) -> Option<i64> {
    let valid = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| valid)
}

/// Days since 1970-01-01 of a date (Hinnant, "chrono-compatible low-level date algorithms": years begin in March).
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The date of a day since 1970-01-01: year, month, day.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * march_month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_again() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_767_323_045_678, "2026-01-02T03:04:05.678Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ];
        for (timestamp, text) in cases {
            assert_eq!(format(timestamp), text);
            assert_eq!(parse(text), Some(timestamp));
        }
    }

    #[test]
    fn times_may_be_shortened_or_offset() {
        let noon = parse("2026-01-02T12:00:00Z").unwrap();
        for text in ["2026-01-02 12:00", "2026-01-02T14:00:00+02:00", "2026-01-02T11:30-00:30", "2026-01-02T12:00:00.0"]
        {
            assert_eq!(parse(text), Some(noon), "{text}");
        }
        assert_eq!(parse("2026-01-02").unwrap() + DAY_MS / 2, noon);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let texts = ["", "now", "2026", "2026-13-01", "2026-02-29", "26-01-01", "2026-01-02T24:00", "2026-01-02T1:00"];
        for text in texts.into_iter().chain(["2026-01-02T12:00:00.", "2026-01-02T12:00+2", "2026-01-02T", "é-01-01"]) {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
