//! Times of the wire: UTC, ISO 8601, the round-trip format ("o") of .NET.

use std::fmt;

use thiserror::Error;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime};

use crate::limits::TIME_MAX_CHARS;

const DATE: &[BorrowedFormatItem<'_>] = format_description!(version = 2, "[year]-[month]-[day]");
const LOCAL: &[BorrowedFormatItem<'_>] = format_description!(
    version = 2,
    "[year]-[month]-[day][first [T][t]][hour]:[minute][optional [:[second][optional [.[subsecond digits:1+]]]]]"
);
const ZULU: &[BorrowedFormatItem<'_>] = format_description!(
    version = 2,
    "[year]-[month]-[day][first [T][t]][hour]:[minute][optional [:[second][optional [.[subsecond digits:1+]]]]][first [Z][z]]"
);
const OFFSET: &[BorrowedFormatItem<'_>] = format_description!(
    version = 2,
    "[year]-[month]-[day][first [T][t]][hour]:[minute][optional [:[second][optional [.[subsecond digits:1+]]]]][offset_hour sign:mandatory][optional [:[offset_minute]]]"
);
const ROUND_TRIP: &[BorrowedFormatItem<'_>] = format_description!(
    version = 2,
    "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:7]Z"
);

/// A moment in UTC, written as .NET's round-trip format: `2026-11-22T10:20:30.1234567Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UtcTime(OffsetDateTime);

/// A text that is not a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the time is not ISO 8601, like 2026-11-22T10:20:30.5Z")]
pub struct InvalidTime;

impl UtcTime {
    /// Reads ISO 8601 as .NET's `System.Text.Json` does: a date alone is its midnight, seconds and fractions are optional, and so
    /// are the minutes of an offset. Without an offset it is UTC; with one it is converted.
    ///
    /// # Errors
    /// The text is something else.
    pub fn parse(text: &str) -> Result<Self, InvalidTime> {
        if text.len() > TIME_MAX_CHARS {
            return Err(InvalidTime);
        }
        let local = PrimitiveDateTime::parse(text, LOCAL)
            .or_else(|_| PrimitiveDateTime::parse(text, ZULU))
            .or_else(|_| Date::parse(text, DATE).map(Date::midnight));
        let time = match local {
            Ok(time) => time.assume_utc(),
            Err(_) => OffsetDateTime::parse(text, OFFSET).map_err(|_| InvalidTime)?,
        };
        let time = time
            .checked_to_offset(time::UtcOffset::UTC)
            .ok_or(InvalidTime)?;
        // .NET, and with it the wire, knows the years 1 to 9999 only.
        if !(1..=9999).contains(&time.year()) {
            return Err(InvalidTime);
        }
        Ok(Self(time))
    }

    /// From milliseconds since 1970; what lies beyond the years 1 to 9999 becomes 1970.
    #[must_use]
    pub fn from_unix_ms(ms: i64) -> Self {
        let nanoseconds = i128::from(ms) * 1_000_000;
        let time = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds);
        Self(time.unwrap_or(OffsetDateTime::UNIX_EPOCH))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn unix_ms(self) -> i64 {
        // The years 1 to 9999 fit.
        (self.0.unix_timestamp_nanos() / 1_000_000) as i64
    }
}

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.format(ROUND_TRIP).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

impl fmt::Debug for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        let check = |text: &str, expected: &str| {
            let time = UtcTime::parse(text).map(|time| time.to_string());
            assert_eq!(time.as_deref(), Ok(expected), "{text}");
        };
        check(
            "2026-11-22T10:20:30.1234567Z",
            "2026-11-22T10:20:30.1234567Z",
        );
        check(
            "2026-11-22T10:20:30.123456789Z",
            "2026-11-22T10:20:30.1234567Z",
        );
        check("2026-11-22T10:20:30.5", "2026-11-22T10:20:30.5000000Z");
        check("2026-11-22T10:20:30Z", "2026-11-22T10:20:30.0000000Z");
        check("2026-11-22T10:20", "2026-11-22T10:20:00.0000000Z");
        check("2026-11-22", "2026-11-22T00:00:00.0000000Z");
        check("0001-01-01", "0001-01-01T00:00:00.0000000Z");
        check("2026-11-22T10:20Z", "2026-11-22T10:20:00.0000000Z");
        check("2026-11-22T10:20+02", "2026-11-22T08:20:00.0000000Z");
        check("2026-11-22T10:20:30-02", "2026-11-22T12:20:30.0000000Z");
        check("2026-11-22T10:20:30.5+02", "2026-11-22T08:20:30.5000000Z");
        check(
            "2026-11-22T10:20:30.1234567890123456",
            "2026-11-22T10:20:30.1234567Z",
        );
        check(
            "2026-11-22T10:20:30.9999999999999999-14:00",
            "2026-11-23T00:20:30.9999999Z",
        );
        check("2026-11-22T10:20:30+01:30", "2026-11-22T08:50:30.0000000Z");
        check(
            "2026-12-31T23:20:30.5-01:00",
            "2027-01-01T00:20:30.5000000Z",
        );
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "yesterday",
            "2026-11",
            "2026-11-22T",
            "2026-11-22T10",
            "2026-11-22Z",
            "2026-11-22 10:20:30",
            "20261122",
            " 2026-11-22",
            "2026-02-29",
            "22.11.2026",
            "2026-11-22T10:20:30+2",
            "2026-11-22T10:20:30+0200",
            "2026-13-22T10:20:30Z",
            "2026-02-29T10:20:30Z",
            "2026-11-22T25:20:30Z",
            "2026-11-22T10:20:30 Z",
            "2026-11-22T10:20:30+99:00",
            "9999-12-31T23:59:59-01:00",
            "0000-01-01T00:00:00+14:00",
            "0001-01-01T00:00:00+01:00",
            "2026-11-22T10:20:30.00000000000000000000000000000000000000000Z",
        ] {
            assert_eq!(UtcTime::parse(text), Err(InvalidTime), "{text}");
        }
    }

    #[test]
    fn counts_milliseconds() {
        let time = UtcTime::from_unix_ms(1_795_342_830_123);
        assert_eq!(time.to_string(), "2026-11-22T10:20:30.1230000Z");
        assert_eq!(time.unix_ms(), 1_795_342_830_123);
        assert_eq!(UtcTime::from_unix_ms(i64::MAX).unix_ms(), 0);
    }
}
