//! How long a soak takes.

use std::ops::RangeInclusive;

use crate::error::{Error, Result};

/// The length of a soak in minutes.
#[derive(Clone, Copy)]
pub(super) enum Length {
    Fixed(u32),
    /// `SOAK_MINUTES` in the environment, or this when it is not set.
    Asked(u32),
}

/// Variable of the environment that sets the length of the long form.
const MINUTES: &str = "SOAK_MINUTES";
/// In less time no token would be renewed between two restarts, since no token may live shorter than a minute. In more the hub would
/// delete its oldest telemetry before it is read back.
const ALLOWED: RangeInclusive<u32> = 4..=720;

impl Length {
    pub(super) fn seconds(self) -> Result<u32> {
        let minutes = match self {
            Self::Fixed(minutes) => minutes,
            Self::Asked(usual) => match std::env::var(MINUTES) {
                Err(_) => usual,
                Ok(text) => parse(&text)?,
            },
        };
        Ok(minutes * 60)
    }
}

fn parse(text: &str) -> Result<u32> {
    let minutes = text.parse().ok();
    let wrong = || {
        let (least, most) = ALLOWED.into_inner();
        Error::Unexpected(format!(
            "{MINUTES}={text}: a number from {least} to {most} is wanted"
        ))
    };
    minutes
        .filter(|minutes| ALLOWED.contains(minutes))
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_read_strictly() {
        assert_eq!(parse("60").ok(), Some(60));
        for text in ["", "0", "3", "721", "-60", "60s", "1.5"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
