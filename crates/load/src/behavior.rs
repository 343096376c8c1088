//! Behaviors of the built-in receiver.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thiserror::Error;

/// A receiver's behavior for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Answers 200 at once.
    Answer,
    /// Answers 200 after some time.
    Delay(Duration),
    /// Answers with this status, which is not 2xx.
    Status(u16),
    /// Never answers.
    Hang,
    /// Closes the connection instead of answering.
    Close,
}

/// `DEED[@PERCENT]`: what is done with that share of the requests; the others are answered at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behavior {
    deed: Reaction,
    percent: u8,
}

/// Not a manner.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{0}` is not one of ok, delay:MS, status:CODE, hang, close, each followed by @PERCENT if it applies to some requests only"
)]
pub struct InvalidBehavior(String);

/// A manner, and whose turn it is.
#[derive(Debug)]
pub(super) struct Turns {
    manner: Behavior,
    next: AtomicU64,
}

impl Behavior {
    /// Answers everything at once.
    pub const OK: Self = Self {
        deed: Reaction::Answer,
        percent: 100,
    };
}

impl FromStr for Behavior {
    type Err = InvalidBehavior;

    fn from_str(text: &str) -> Result<Self, InvalidBehavior> {
        let invalid = || InvalidBehavior(text.to_owned());
        let (deed, percent) = match text.split_once('@') {
            Some((deed, percent)) => (deed, percent.parse().map_err(|_| invalid())?),
            None => (text, 100),
        };
        let (word, number) = deed.split_once(':').unwrap_or((deed, ""));
        let deed = match (word, number.parse::<u16>()) {
            ("ok", Err(_)) if number.is_empty() => Reaction::Answer,
            ("hang", Err(_)) if number.is_empty() => Reaction::Hang,
            ("close", Err(_)) if number.is_empty() => Reaction::Close,
            ("delay", Ok(ms)) => Reaction::Delay(Duration::from_millis(ms.into())),
            ("status", Ok(code)) if (300..600).contains(&code) => Reaction::Status(code),
            _ => return Err(invalid()),
        };
        if percent > 100 {
            return Err(invalid());
        }
        Ok(Self { deed, percent })
    }
}

impl fmt::Display for Behavior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.deed {
            Reaction::Answer => f.write_str("ok")?,
            Reaction::Delay(time) => write!(f, "delay:{}", time.as_millis())?,
            Reaction::Status(code) => write!(f, "status:{code}")?,
            Reaction::Hang => f.write_str("hang")?,
            Reaction::Close => f.write_str("close")?,
        }
        match self.percent {
            100 => Ok(()),
            percent => write!(f, "@{percent}"),
        }
    }
}

impl Turns {
    pub(super) fn new(manner: Behavior) -> Self {
        Self {
            manner,
            next: AtomicU64::new(0),
        }
    }

    /// The behavior for the next request. The share is spread evenly, the same in each run.
    pub(super) fn next(&self) -> Reaction {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        match is_chosen(turn, self.manner.percent) {
            true => self.manner.deed,
            false => Reaction::Answer,
        }
    }
}

/// Whether number `at` is among `percent` of a hundred, spread evenly.
pub(super) fn is_chosen(at: u64, percent: u8) -> bool {
    at % 100 * u64::from(percent) % 100 + u64::from(percent) > 99
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manners_are_read_and_written() {
        for text in ["ok", "hang", "close@3", "delay:250", "status:503@10"] {
            assert_eq!(text.parse::<Behavior>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "status",
            "status:200",
            "delay:-1",
            "hang:1",
            "hang@101",
            "ok@",
        ] {
            assert!(text.parse::<Behavior>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_is_exact_and_spread() {
        for percent in [0, 1, 10, 33, 50, 99, 100] {
            let chosen =
                |from: u64, to: u64| (from..to).filter(|at| is_chosen(*at, percent)).count();
            assert_eq!(chosen(0, 1_000), 10 * usize::from(percent), "{percent}");
            let half = chosen(0, 50);
            assert!(
                half.abs_diff(usize::from(percent) / 2) <= 1,
                "{percent}: {half}"
            );
        }
        let turns = Turns::new("status:503@10".parse().unwrap());
        let failed = (0..200)
            .filter(|_| turns.next() != Reaction::Answer)
            .count();
        assert_eq!(failed, 20);
    }
}
