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
        *self = Self::Of {
            expires_at_s: seconds(made + life),
            due_s: due_s(made + renewal_after(life, seed)),
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
/// together do not renew together. The same for the same seed.
fn renewal_after(life: Duration, seed: u64) -> Duration {
    let jitter = limits::TOKEN_RENEWAL_JITTER_PERCENT * 1_000 * chance(seed) / (1 << 16);
    let share = limits::TOKEN_RENEWAL_PERCENT * 1_000 - jitter;
    let ms = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
    // Divided first, so that no life is too long.
    Duration::from_millis(ms / 100_000 * share + ms % 100_000 * share / 100_000)
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
    fn tokens_are_renewed_at_80_to_85_percent_of_their_life_each_device_at_its_own_time() {
        let due: Vec<_> = (0..1_000)
            .map(|seed| renewal_after(HOUR, seed << 32))
            .collect();
        let (first, last) = (due.iter().min().unwrap(), due.iter().max().unwrap());
        assert!((2_880..2_890).contains(&first.as_secs()), "{first:?}");
        assert!((3_050..=3_060).contains(&last.as_secs()), "{last:?}");
        assert_eq!(renewal_after(HOUR, 7), renewal_after(HOUR, 7));
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
