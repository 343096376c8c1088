//! Rates, times and numbers as they are written.

use std::time::Duration;

use drawspan_hub::limits::Rate;

use crate::limits::{RATE_PER_MINUTE_MAX, THROTTLE_TIME_MAX_S};

/// A value that is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSetting {
    /// Not a rate.
    #[error(
        "`{0}` is not a rate: a number with /s, /min or /h, which makes 1 to {RATE_PER_MINUTE_MAX} in a minute"
    )]
    Rate(String),
    /// Not a time.
    #[error("`{0}` is not a time: 0 to {THROTTLE_TIME_MAX_S} seconds")]
    Time(String),
    /// Not a number of messages.
    #[error("`{0}` is not a number of messages")]
    Number(String),
    /// The provisioning service has no queue.
    #[error("{0}: the provisioning service has nobody wait, so that there is no queue")]
    NoQueue(&'static str),
    /// Not one of a few words.
    #[error("`{0}` is neither {1} nor {2}")]
    Choice(String, &'static str, &'static str),
}

/// Reads a rate: `5/s`, `0.5/s`, `100/min`, `60/h`. It must be a whole number of operations in a minute, and not none.
pub(super) fn rate(text: &str) -> Result<Rate, InvalidSetting> {
    let invalid = || InvalidSetting::Rate(text.to_owned());
    let (number, unit) = text.split_once('/').ok_or_else(invalid)?;
    let thousandths = thousandths(number).ok_or_else(invalid)?;
    let (times, of) = match unit {
        "s" => (60, 1_000),
        "min" => (1, 1_000),
        "h" => (1, 60_000),
        _ => return Err(invalid()),
    };
    let all = thousandths.checked_mul(times).ok_or_else(invalid)?;
    let per_minute = all / of;
    match all % of == 0 && (1..=RATE_PER_MINUTE_MAX).contains(&per_minute) {
        true => Ok(Rate::per_minute(per_minute)),
        false => Err(invalid()),
    }
}

/// Writes a rate, as it can be read.
pub fn rate_text(rate: Rate) -> String {
    let per_minute = rate.per_minute;
    match per_minute.is_multiple_of(60) {
        true => format!("{}/s", per_minute / 60),
        false => format!("{per_minute}/min"),
    }
}

/// Reads seconds: `60`, `1.5`, `60s`.
pub(super) fn time(text: &str) -> Result<Duration, InvalidSetting> {
    let invalid = || InvalidSetting::Time(text.to_owned());
    let millis = thousandths(text.strip_suffix('s').unwrap_or(text)).ok_or_else(invalid)?;
    match millis <= THROTTLE_TIME_MAX_S * 1_000 {
        true => Ok(Duration::from_millis(millis)),
        false => Err(invalid()),
    }
}

/// Writes seconds, as they can be read.
pub(super) fn time_text(time: Duration) -> String {
    match time.subsec_millis() {
        0 => time.as_secs().to_string(),
        millis => format!("{}.{millis:03}", time.as_secs()),
    }
}

/// A decimal number of up to three places, in thousandths.
fn thousandths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    if !are_digits(whole) || !are_digits(part) || part.len() > 3 {
        return None;
    }
    let part: u64 = format!("{part:0<3}").parse().ok()?;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(1_000)?
        .checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_whole_numbers_in_a_minute() {
        for (text, per_minute, written) in [
            ("5/s", 300, "5/s"),
            ("0.5/s", 30, "30/min"),
            ("100/min", 100, "100/min"),
            ("120/min", 120, "2/s"),
            ("60/h", 1, "1/min"),
            ("0.05/s", 3, "3/min"),
        ] {
            let read = rate(text).unwrap();
            assert_eq!(read, Rate::per_minute(per_minute), "{text}");
            assert_eq!(rate_text(read), written);
            assert_eq!(rate(written), Ok(read));
        }
        for wrong in [
            "",
            "5",
            "/s",
            "0/s",
            "-1/s",
            "1/h",
            "0.001/s",
            "5/sec",
            "5/ s",
            "1.0000/s",
            "1e3/s",
            "18446744073709551615/s",
            "99999999999/min",
            "1./s",
            ".5/s",
        ] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_seconds() {
        for (text, millis, written) in [
            ("60", 60_000, "60"),
            ("1.5s", 1_500, "1.500"),
            ("0", 0, "0"),
        ] {
            assert_eq!(time(text), Ok(Duration::from_millis(millis)));
            assert_eq!(time_text(Duration::from_millis(millis)), written);
        }
        for wrong in ["", "s", "-1", "1m", "86401", "1.2345"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
