//! The breaker of an origin: after repeated failures, only an occasional probe is sent to it.

use std::time::Duration;

use drawspan_fleet::mutation::{Mutation, planted};

use crate::limits::{ORIGIN_FAILURES, ORIGIN_PAUSE_MAX, ORIGIN_PAUSE_MIN};

/// A change of an origin's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginNews {
    /// It failed so often in a row that deliveries to it are suspended.
    LeftAlone,
    /// It answers again.
    Answers,
}

/// Whether an origin is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breaker {
    /// It is; so many attempts failed in a row.
    Closed { failures: u32 },
    /// Not before then.
    Open { until: Duration, pause: Duration },
    /// One attempt is under way to find out.
    Probing { serial: u64, pause: Duration },
}

/// The meaning of an attempt for its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// It answered, with any status.
    Answers,
    /// It does not, or says that it cannot. How long it wants to be left alone.
    Fails { retry_after: Option<Duration> },
    /// The attempt had so little time that its end says nothing.
    Nothing,
}

impl Breaker {
    pub(super) const fn is_closed(self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    /// Whether another attempt may begin, with so many under way of so many at most.
    pub(super) fn permits(self, under_way: usize, most: usize, now: Duration) -> bool {
        match self {
            Self::Closed { .. } => under_way < most,
            Self::Open { until, .. } => until <= now,
            Self::Probing { .. } => planted(Mutation::EverybodyTries),
        }
    }

    /// An attempt begins.
    pub(super) const fn begins(&mut self, serial: u64) {
        if let Self::Open { pause, .. } = *self {
            *self = Self::Probing { serial, pause };
        }
    }

    /// An attempt is over.
    pub(super) fn ends(&mut self, serial: u64, sign: Sign, now: Duration) -> Option<OriginNews> {
        let open = |pause: Duration, asked: Option<Duration>| {
            let asked = asked.unwrap_or_default().min(ORIGIN_PAUSE_MAX);
            let until = now + pause.max(asked);
            Self::Open { until, pause }
        };
        match (*self, sign) {
            (Self::Closed { .. }, Sign::Answers) => {
                *self = Self::Closed { failures: 0 };
                None
            }
            (Self::Closed { failures }, Sign::Fails { .. }) if failures + 1 < ORIGIN_FAILURES => {
                *self = Self::Closed {
                    failures: failures + 1,
                };
                None
            }
            (Self::Closed { .. }, Sign::Fails { retry_after }) => {
                *self = open(ORIGIN_PAUSE_MIN, retry_after);
                Some(OriginNews::LeftAlone)
            }
            // Even if it began before: the origin answers.
            (_, Sign::Answers) if planted(Mutation::OriginStaysAlone) => None,
            (_, Sign::Answers) => {
                *self = Self::Closed { failures: 0 };
                Some(OriginNews::Answers)
            }
            (
                Self::Probing {
                    serial: probe,
                    pause,
                },
                sign,
            ) if probe == serial => {
                *self = match sign {
                    Sign::Fails { retry_after } => {
                        open((pause * 2).min(ORIGIN_PAUSE_MAX), retry_after)
                    }
                    _ => open(pause, None),
                };
                None
            }
            // An attempt that began before proves nothing new.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILS: Sign = Sign::Fails { retry_after: None };

    const fn s(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    fn opened(at: Duration) -> Breaker {
        let mut breaker = Breaker::Closed { failures: 0 };
        for serial in 1..u64::from(ORIGIN_FAILURES) {
            assert_eq!(breaker.ends(serial, FAILS, at), None);
        }
        assert_eq!(breaker.ends(99, FAILS, at), Some(OriginNews::LeftAlone));
        breaker
    }

    #[test]
    fn opens_after_failures_in_a_row_only() {
        let mut breaker = Breaker::Closed { failures: 0 };
        for serial in 0..1_000 {
            let sign = match serial % u64::from(ORIGIN_FAILURES) {
                0 => Sign::Answers,
                _ => FAILS,
            };
            assert_eq!(breaker.ends(serial, sign, s(0)), None);
            assert_eq!(breaker.ends(serial, Sign::Nothing, s(0)), None);
        }
        assert!(breaker.permits(3, 4, s(0)) && !breaker.permits(4, 4, s(0)));
        opened(s(0));
    }

    #[test]
    fn one_probe_at_a_time_at_growing_intervals() {
        let mut breaker = opened(s(100));
        let (mut now, mut pauses) = (s(100), Vec::new());
        for serial in 1..8 {
            let Breaker::Open { until, .. } = breaker else {
                panic!("{breaker:?}");
            };
            pauses.push((until - now).as_secs());
            assert!(!breaker.permits(0, 4, until - Duration::from_millis(1)));
            assert!(breaker.permits(4, 4, until), "whatever hangs from before");
            breaker.begins(serial);
            assert!(!breaker.permits(0, 4, until + s(1_000)));
            // An attempt that was in progress before changes nothing.
            assert_eq!(breaker.ends(serial + 100, FAILS, until), None);
            now = until + s(10);
            assert_eq!(breaker.ends(serial, FAILS, now), None);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn any_answer_closes_it_and_no_sign_tries_again() {
        let mut breaker = opened(s(0));
        assert_eq!(
            breaker.ends(5, Sign::Answers, s(0)),
            Some(OriginNews::Answers)
        );
        assert_eq!(breaker, Breaker::Closed { failures: 0 });
        let mut breaker = opened(s(0));
        breaker.begins(1);
        assert_eq!(breaker.ends(1, Sign::Nothing, s(2)), None);
        assert!(!breaker.permits(0, 4, s(2)) && breaker.permits(0, 4, s(3)));
        breaker.begins(2);
        assert_eq!(
            breaker.ends(2, Sign::Answers, s(4)),
            Some(OriginNews::Answers)
        );
    }

    #[test]
    fn receivers_may_ask_for_a_longer_pause_but_not_for_any() {
        let asks = |seconds| Sign::Fails {
            retry_after: Some(s(seconds)),
        };
        let mut breaker = opened(s(0));
        breaker.begins(1);
        breaker.ends(1, asks(7), s(1));
        assert!(!breaker.permits(0, 4, s(7)) && breaker.permits(0, 4, s(8)));
        breaker.begins(2);
        breaker.ends(2, asks(100_000), s(8));
        assert!(breaker.permits(0, 4, s(8) + ORIGIN_PAUSE_MAX));
    }
}
