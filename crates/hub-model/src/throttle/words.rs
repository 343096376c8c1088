//! Limits as words, for command lines: `S1x2`, `off`, `d2c=5/s`, `burst.d2c=2`, `quota=1000`.

use std::fmt;

use super::class::{OperationClass, UnknownClass};
use super::rate_limits::{
    ClassSetting, ConnackRefusal, OverQuota, QuotaSetting, RateLimits, RateSetting,
};
use super::setting::{InvalidSetting, rate, rate_text, time, time_text};
use drawspan_hub::limits::{HubSize, InvalidSize};

const OFF: &str = "off";
const OF_SIZE: &str = "sku";

/// A word that says nothing about limits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWord {
    /// It is neither `off`, nor a size, nor a setting.
    #[error("{0}; or off, or CLASS=RATE like d2c=5/s")]
    Size(#[from] InvalidSize),
    /// The setting does not exist.
    #[error(
        "{0}; other settings are quota, wait, retry-after, over-quota, connack, burst.CLASS and queue.CLASS"
    )]
    Class(#[from] UnknownClass),
    /// It has another value.
    #[error("{0}")]
    Setting(#[from] InvalidSetting),
}

impl RateLimits {
    /// Changes the limits as a word says:
    ///
    /// - `off`: no rates and no quota. All else is as by default.
    /// - `S1`, `S1x2`: the rates and the quota of a hub of this size. All else is as by default.
    /// - `CLASS=RATE`, `CLASS=off`, `CLASS=sku`: the rate of one class; `sku` is that of the size.
    /// - `quota=NUMBER`, `quota=off`, `quota=sku`: messages of a day.
    /// - `burst.CLASS=SECONDS`, `queue.CLASS=SECONDS`, `wait=SECONDS`: what is done with operations above a rate.
    /// - `retry-after=SECONDS`, `retry-after=off`: the header of HTTPS answers.
    /// - `over-quota=rejected|accepted`: what AMQP senders hear beyond the quota.
    /// - `connack=close|3`: how MQTT connections above the rate are refused.
    ///
    /// # Errors
    /// When it is another word. Then nothing changes.
    pub fn apply(&mut self, word: &str) -> Result<(), InvalidWord> {
        let Some((name, value)) = word.split_once('=') else {
            let size = match word {
                OFF => None,
                size => Some(size.parse::<HubSize>()?),
            };
            *self = Self {
                size,
                ..Self::default()
            };
            return Ok(());
        };
        match name {
            "quota" => self.quota = quota(value)?,
            "wait" => self.wait = time(value)?,
            "retry-after" => self.retry_after_s = retry_after(value)?,
            "over-quota" => {
                self.over_quota = choice(
                    value,
                    ("rejected", OverQuota::Rejected),
                    ("accepted", OverQuota::Accepted),
                )?;
            }
            "connack" => {
                self.connack = choice(
                    value,
                    ("close", ConnackRefusal::Close),
                    ("3", ConnackRefusal::Unavailable),
                )?;
            }
            name => self.apply_to_class(name, value)?,
        }
        Ok(())
    }

    fn apply_to_class(&mut self, name: &str, value: &str) -> Result<(), InvalidWord> {
        let (part, class) = name.split_once('.').unwrap_or(("", name));
        let class: OperationClass = match part {
            "" | "burst" | "queue" => class.parse()?,
            _ => name.parse()?,
        };
        let Some(setting) = self.classes.get_mut(class.index()) else {
            return Ok(());
        };
        match part {
            "burst" => setting.burst = Some(time(value)?),
            "queue" if class.is_of_dps() => {
                return Err(InvalidSetting::NoQueue(class.name()).into());
            }
            "queue" => setting.queue = Some(time(value)?),
            _ => {
                setting.rate = match value {
                    OFF => RateSetting::Off,
                    OF_SIZE => RateSetting::OfSize,
                    value => RateSetting::Own(rate(value)?),
                }
            }
        }
        Ok(())
    }
}

/// The words that make these limits of the default ones.
impl fmt::Display for RateLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.size {
            Some(size) => size.fmt(f)?,
            None => f.write_str(OFF)?,
        }
        for class in OperationClass::ALL {
            let ClassSetting { rate, burst, queue } = self.setting(class);
            match rate {
                RateSetting::OfSize => {}
                RateSetting::Off => write!(f, " {class}={OFF}")?,
                RateSetting::Own(rate) => write!(f, " {class}={}", rate_text(rate))?,
            }
            for (part, time) in [("burst", burst), ("queue", queue)] {
                if let Some(time) = time {
                    write!(f, " {part}.{class}={}", time_text(time))?;
                }
            }
        }
        match self.quota {
            QuotaSetting::OfSize => {}
            QuotaSetting::Off => write!(f, " quota={OFF}")?,
            QuotaSetting::Own(messages) => write!(f, " quota={messages}")?,
        }
        let usual = Self::default();
        if self.wait != usual.wait {
            write!(f, " wait={}", time_text(self.wait))?;
        }
        if let Some(seconds) = self.retry_after_s {
            write!(f, " retry-after={seconds}")?;
        }
        if self.over_quota == OverQuota::Accepted {
            f.write_str(" over-quota=accepted")?;
        }
        if self.connack == ConnackRefusal::Unavailable {
            f.write_str(" connack=3")?;
        }
        Ok(())
    }
}

fn quota(text: &str) -> Result<QuotaSetting, InvalidSetting> {
    Ok(match text {
        OFF => QuotaSetting::Off,
        OF_SIZE => QuotaSetting::OfSize,
        text => {
            let number = text.parse();
            QuotaSetting::Own(number.map_err(|_| InvalidSetting::Number(text.to_owned()))?)
        }
    })
}

fn retry_after(text: &str) -> Result<Option<u32>, InvalidSetting> {
    match text {
        OFF => Ok(None),
        text => {
            let seconds = time(text)?.as_secs();
            Ok(Some(u32::try_from(seconds).unwrap_or(u32::MAX)))
        }
    }
}

fn choice<T>(
    text: &str,
    one: (&'static str, T),
    other: (&'static str, T),
) -> Result<T, InvalidSetting> {
    match text {
        text if text == one.0 => Ok(one.1),
        text if text == other.0 => Ok(other.1),
        text => Err(InvalidSetting::Choice(text.to_owned(), one.0, other.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_written() {
        for (words, written) in [
            ("S1x2", "S1x2"),
            ("d2c=5/s connects=120/min", "off connects=2/s d2c=5/s"),
            ("d2c=5/s S1 twin-reads=off", "S1x1 twin-reads=off"),
            ("S1 d2c=5/s queue.d2c=3 connack=3 quota=5 off", "off"),
            ("wait=3 S1 d2c=5/s", "S1x1 d2c=5/s"),
            ("s3 d2c=1/s d2c=sku", "S3x1"),
            (
                "S1 burst.d2c=2 queue.d2c=0.5s quota=7 wait=30",
                "S1x1 burst.d2c=2 queue.d2c=0.500 quota=7 wait=30",
            ),
            ("F1 quota=off", "F1x1 quota=off"),
            (
                "retry-after=10 over-quota=accepted connack=3",
                "off retry-after=10 over-quota=accepted connack=3",
            ),
            (
                "connack=3 connack=close over-quota=rejected retry-after=off",
                "off",
            ),
        ] {
            let limits = read(words);
            assert_eq!(limits.to_string(), written, "{words}");
            assert_eq!(read(written), limits);
        }
    }

    #[test]
    fn a_word_that_is_not_understood_changes_nothing() {
        for (word, told) in [
            ("S9", "like S1 or S1x2"),
            ("S1x201", "1 to 200 units"),
            ("", "not an edition"),
            ("telemetry=5/s", "the classes are connects, d2c"),
            ("burst.x=5", "the classes are"),
            ("length.d2c=5", "length.d2c"),
            ("d2c=5", "not a rate"),
            ("quota=many", "number of messages"),
            ("wait=soon", "not a time"),
            ("connack=5", "neither close nor 3"),
        ] {
            let mut limits = read("S1 d2c=5/s");
            let error = limits.apply(word).unwrap_err().to_string();
            assert!(error.contains(told), "{word}: {error}");
            assert_eq!(limits, read("S1 d2c=5/s"));
        }
    }

    fn read(words: &str) -> RateLimits {
        let mut limits = RateLimits::default();
        for word in words.split(' ') {
            limits.apply(word).unwrap();
        }
        limits
    }
}
