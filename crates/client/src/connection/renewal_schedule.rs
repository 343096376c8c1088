//! The schedule of token renewals and their retries.
//!
//! A token that the hub accepted is valid until it expires, regardless of the next one: a failed renewal has no effect before that.

use std::num::NonZeroU32;
use std::time::Duration;

use drawspan_hub::failure::Ending;
use drawspan_hub::{Failure, FailureKind};

use crate::limits;

/// The token that the hub took last, and the one after it.
#[derive(Debug, Default)]
pub(crate) enum Renewal {
    /// No token was taken yet.
    #[default]
    None,
    /// Times are in seconds of the connection's clock.
    Of {
        expires_at_s: u32,
        /// When the next one is due, unless it is under way.
        due_s: Option<NonZeroU32>,
        /// Renewals that failed one after the other.
        failures: u8,
    },
}

/// The next step for a token.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    Nothing,
    /// Ask for the next one, which counts as under way from here.
    Ask,
    /// It is about to expire, and the next one was not answered.
    End(Failure),
}

impl Renewal {
    /// The hub took a token that was made at `made` for `life`.
    pub(crate) fn granted(&mut self, made: Duration, life: Duration, seed: u64) {
        let is_first = matches!(self, Self::None);
        *self = Self::Of {
            expires_at_s: seconds(made + life),
            due_s: due_s(made + renewal_after(life, is_first, seed)),
            failures: 0,
        };
    }

    /// The hub did not take the next token. That is tried again while the one at hand is good.
    ///
    /// # Errors
    /// The failure, when there is none at hand, or it is about to expire.
    pub(crate) fn failed(
        &mut self,
        failure: Failure,
        now: Duration,
        life: Duration,
        seed: u64,
    ) -> Result<(), Failure> {
        let last_moment = self.last_moment(life);
        let (
            Self::Of {
                due_s: due,
                failures,
                ..
            },
            Some(last_moment),
        ) = (self, last_moment)
        else {
            return Err(failure);
        };
        *failures = failures.saturating_add(1);
        let left = last_moment.saturating_sub(now);
        let Some(pause) = retry_after((*failures).into(), left, seed) else {
            return Err(failure.with_ending(Ending::TokenRanOut));
        };
        // Rounded up, so that it is never zero.
        *due = due_s(now + pause + Duration::from_secs(1));
        Ok(())
    }

    /// The next step that is due.
    pub(crate) fn step(&mut self, now: Duration, life: Duration) -> Step {
        let last_moment = self.last_moment(life);
        let (Self::Of { due_s, .. }, Some(last_moment)) = (self, last_moment) else {
            return Step::Nothing;
        };
        if last_moment <= now {
            return Step::End(not_answered());
        }
        if due_s
            .take_if(|due| from_seconds(due.get()) <= now)
            .is_some()
        {
            return Step::Ask;
        }
        Step::Nothing
    }

    /// When something is due.
    pub(crate) fn deadline(&self, life: Duration) -> Option<Duration> {
        let Self::Of { due_s, .. } = self else {
            return None;
        };
        let due = due_s.map(|due| from_seconds(due.get()));
        [due, self.last_moment(life)].into_iter().flatten().min()
    }

    /// Up to when the token at hand is counted on: the hub's clock may be ahead of ours.
    fn last_moment(&self, life: Duration) -> Option<Duration> {
        let Self::Of { expires_at_s, .. } = self else {
            return None;
        };
        let margin = Duration::from_millis(limits::TOKEN_EXPIRY_MARGIN_MS);
        Some(from_seconds(*expires_at_s).saturating_sub(margin.min(life / 20)))
    }
}

/// How long after a token was taken the next one is due: 85 % of its life, for most a little less, so that those who came
/// together do not renew together. After the first token it is up to a quarter of its life less: a fleet that connects in seconds
/// would renew in three minutes otherwise. The same for the same seed.
fn renewal_after(life: Duration, is_first: bool, seed: u64) -> Duration {
    let latest = percent(life, limits::TOKEN_RENEWAL_PERCENT);
    let usual = limits::TOKEN_RENEWAL_PERCENT - limits::TOKEN_RENEWAL_JITTER_PERCENT;
    let usual = percent(life, usual);
    let earliest = match is_first {
        true => percent(life, limits::FIRST_RENEWAL_PERCENT)
            .max(Duration::from_secs(limits::FIRST_RENEWAL_MIN_S))
            .min(usual),
        false => usual,
    };
    let spread_ms = u64::try_from((latest - earliest).as_millis()).unwrap_or(u64::MAX);
    let part_ms = (u128::from(spread_ms) * u128::from(chance(seed))) >> 16;
    latest - Duration::from_millis(u64::try_from(part_ms).unwrap_or_default())
}

fn percent(life: Duration, percent: u64) -> Duration {
    let ms = life.as_millis() * u128::from(percent) / 100;
    Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))
}

/// The pause after so many failures with so much time left: exponential, between half and all of it at random, and at most half of
/// the time left. `None` if it is too late.
fn retry_after(failures: u32, left: Duration, seed: u64) -> Option<Duration> {
    let least = Duration::from_millis(limits::TOKEN_RETRY_MIN_MS);
    let most = Duration::from_millis(limits::TOKEN_RETRY_MAX_MS);
    if left < 3 * least {
        return None;
    }
    let growth = 1 << failures.saturating_sub(1).min(16);
    let pause = (least * growth).min(most);
    let chance = u32::try_from(chance(seed.wrapping_add(failures.into()))).unwrap_or_default();
    let jittered = pause / 2 + pause / 2 * chance / (1 << 16);
    Some(jittered.min(left / 2))
}

/// From 0 to 65,535. Fibonacci hashing: neighbours come out far apart.
const fn chance(seed: u64) -> u64 {
    seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

fn from_seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

fn due_s(at: Duration) -> Option<NonZeroU32> {
    Some(NonZeroU32::new(seconds(at)).unwrap_or(NonZeroU32::MIN))
}

fn not_answered() -> Failure {
    let text = "the hub did not answer put-token before the last token expired";
    Failure::local(FailureKind::Timeout, text).with_ending(Ending::TokenRanOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn tokens_are_renewed_by_85_percent_of_their_life_each_device_at_its_own_time() {
        let check = |life: Duration, is_first, earliest: u64, latest: u64| {
            let due: Vec<_> = (0..1_000)
                .map(|seed| renewal_after(life, is_first, seed << 32).as_secs())
                .collect();
            let (first, last) = (*due.iter().min().unwrap(), *due.iter().max().unwrap());
            assert!(
                (earliest..earliest + 10).contains(&first),
                "{first} {life:?}"
            );
            assert!((latest - 10..=latest).contains(&last), "{last} {life:?}");
        };
        check(HOUR, false, 2_880, 3_060);
        check(HOUR, true, 2_160, 3_060);
        // Those of devices that are used once: these have left by then.
        check(HOUR / 4, true, 660, 765);
        check(HOUR / 3, true, 720, 1_020);
        check(HOUR / 12, true, 240, 255);
        assert_eq!(renewal_after(HOUR, true, 7), renewal_after(HOUR, true, 7));
    }

    /// Renewals in each second, of 100,000 devices that connected within 20 s.
    fn renewals_of_a_mass_connect() -> Vec<u32> {
        let mut of_second = vec![0; 4 * 3_600];
        for device in 0..100_000u64 {
            let seed = device << 32 | (device + 1);
            let mut at = Duration::from_micros(device * 200);
            let mut is_first = true;
            loop {
                at += renewal_after(HOUR, is_first, seed);
                is_first = false;
                match of_second.get_mut(at.as_secs() as usize) {
                    Some(count) => *count += 1,
                    None => break,
                }
            }
        }
        of_second
    }

    #[test]
    fn a_mass_connect_is_no_mass_renewal() {
        let of_second = renewals_of_a_mass_connect();
        let of_hour = |hour: usize| &of_second[hour * 3_600..][..3_600];
        let peak = |hour| *of_hour(hour).iter().max().unwrap();
        // 5,000 devices connected each second. In the long run 34 tokens are due each second.
        let mean = 100_000.0 / (0.825 * 3_600.0);
        for hour in 0..4 {
            let peak = f64::from(peak(hour));
            assert!(peak < 125.0, "{peak} per second in hour {hour}");
            assert!(peak < 4.0 * mean, "{peak} per second in hour {hour}");
        }
        let all: u32 = of_second.iter().sum();
        assert!((400_000..=500_000).contains(&all), "{all}");
    }

    #[test]
    fn pauses_grow_to_a_minute_differ_between_devices_and_end_with_the_token() {
        let check = |failures, left_s, least_ms, most_ms| {
            let left = Duration::from_secs(left_s);
            let pauses: Vec<_> = (0..100u64)
                .filter_map(|seed| retry_after(failures, left, seed << 32))
                .collect();
            assert_eq!(pauses.len(), 100);
            let (first, last) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
            assert!(first.as_millis() >= least_ms, "{failures}: {first:?}");
            assert!(last.as_millis() <= most_ms, "{failures}: {last:?}");
            assert!(first < last || most_ms == least_ms, "{failures}");
        };
        check(1, 600, 500, 1_000);
        check(2, 600, 1_000, 2_000);
        check(4, 600, 4_000, 8_000);
        check(40, 600, 30_000, 60_000);
        check(40, 20, 10_000, 10_000);
        assert_eq!(retry_after(1, Duration::from_millis(2_999), 0), None);
    }

    #[test]
    fn a_token_is_asked_for_once_at_a_time_and_ends_with_the_last_failure() {
        let failure = |text| Failure::local(FailureKind::ServerError, text);
        for life_s in [60, 900, 3_600] {
            let life = Duration::from_secs(life_s);
            let mut renewal = Renewal::default();
            let early = renewal.failed(failure("first"), Duration::ZERO, life, 3);
            assert_eq!(early, Err(failure("first")));
            renewal.granted(Duration::from_secs(100), life, 3);
            let mut asked = 0;
            let end = loop {
                let now = renewal.deadline(life).unwrap();
                assert!(now <= Duration::from_secs(100) + life);
                match renewal.step(now, life) {
                    Step::Nothing => panic!("{life_s}: nothing at {now:?}"),
                    Step::End(failure) => break failure,
                    Step::Ask => asked += 1,
                }
                assert_eq!(renewal.step(now, life), Step::Nothing);
                let answered = now + Duration::from_millis(100);
                if let Err(failure) = renewal.failed(failure("again"), answered, life, 3) {
                    break failure;
                }
            };
            assert_eq!(end, failure("again").with_ending(Ending::TokenRanOut));
            assert!((3..40).contains(&asked), "{life_s}: {asked}");
        }
    }
}
