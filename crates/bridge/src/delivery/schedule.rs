//! The schedule of retries, and which failures are retried.

use std::time::Duration;

use drawspan_fleet::Jitter;

use crate::limits::{RETRY_SPREAD_PERCENT, RETRY_STEP, RETRY_WAIT_MIN};

/// The class of a status: whether the event is delivered, refused or retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryClass {
    /// Taken.
    Taken,
    /// Another attempt may fare better.
    Retry,
    /// It will not get another answer.
    Nothing,
}

/// The meaning of an HTTP status. Redirects are not followed, so that they cannot bypass the guard.
#[must_use]
pub const fn retry_class(status: u16) -> RetryClass {
    match status {
        200..=299 => RetryClass::Taken,
        408 | 425 | 429 | 500..=599 => RetryClass::Retry,
        _ => RetryClass::Nothing,
    }
}

/// The step after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Another attempt then.
    TryAt(Duration),
    /// No other attempt before its time is up; the receiver asked to be left alone for that long.
    WaitForEnd(Duration),
    /// The result is final.
    Over,
}

/// How long to wait after so many attempts: twice as long each time and a little more, or as the receiver asks.
pub(super) fn wait(attempts: u32, retry_after: Option<Duration>, jitter: Jitter) -> Duration {
    match retry_after {
        Some(asked) => asked.max(RETRY_WAIT_MIN),
        None => {
            let doublings = attempts.saturating_sub(1).min(20);
            let least = RETRY_STEP * (1 << doublings);
            jitter.between(least, least + least * RETRY_SPREAD_PERCENT / 100)
        }
    }
}

/// The step after `attempts`, the last of which failed. `waited_for`: a caller waits for the answer.
pub(super) fn next(
    attempts: u32,
    retry_limit: u32,
    retry_after: Option<Duration>,
    deadline: Duration,
    waited_for: bool,
    now: Duration,
    jitter: Jitter,
) -> Next {
    if attempts > retry_limit || now >= deadline {
        return Next::Over;
    }
    let at = now.saturating_add(wait(attempts, retry_after, jitter));
    if at < deadline {
        Next::TryAt(at)
    } else if retry_after.is_some() && !waited_for {
        // Were it over now, the next event of its lane would disturb the receiver at once.
        Next::WaitForEnd(deadline)
    } else {
        Next::Over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn waits_double_and_receivers_may_ask() {
        let check = |attempts, asked: Option<u64>, least, most| {
            let wait = |jitter| wait(attempts, asked.map(s), Jitter(jitter));
            assert_eq!(wait(0), least);
            assert!(wait(u64::MAX) <= most, "{:?}", wait(u64::MAX));
        };
        check(1, None, s(2), Duration::from_millis(2_200));
        check(2, None, s(4), Duration::from_millis(4_400));
        check(5, None, s(32), Duration::from_millis(35_200));
        check(u32::MAX, None, s(2 << 20), s(4 << 20));
        check(1, Some(0), s(1), s(1));
        check(1, Some(7), s(7), s(7));
        check(5, Some(7), s(7), s(7));
        check(
            1,
            Some(u64::MAX),
            Duration::from_secs(u64::MAX),
            Duration::MAX,
        );
    }

    #[test]
    fn deadlines_count() {
        let check = |attempts, asked: Option<u64>, deadline, waited_for, expected| {
            let asked = asked.map(s);
            let found = next(
                attempts,
                5,
                asked,
                s(deadline),
                waited_for,
                s(10),
                Jitter(0),
            );
            assert_eq!(found, expected);
        };
        check(1, None, 100, false, Next::TryAt(s(12)));
        check(5, None, 100, false, Next::TryAt(s(42)));
        check(6, None, 100, false, Next::Over);
        check(6, Some(1), 100, false, Next::Over);
        check(1, None, 12, false, Next::Over);
        check(1, None, 10, false, Next::Over);
        check(1, Some(2), 12, false, Next::WaitForEnd(s(12)));
        check(1, Some(2), 12, true, Next::Over);
        check(1, Some(u64::MAX), 100, false, Next::WaitForEnd(s(100)));
        check(1, Some(20), 100, true, Next::TryAt(s(30)));
    }

    #[test]
    fn statuses_have_their_worth() {
        let check = |statuses: &[u16], expected| {
            for status in statuses {
                assert_eq!(retry_class(*status), expected, "{status}");
            }
        };
        check(&[200, 201, 202, 204, 299], RetryClass::Taken);
        check(&[408, 425, 429, 500, 503, 599], RetryClass::Retry);
        check(
            &[100, 199, 300, 302, 307, 400, 401, 404, 409, 410, 600],
            RetryClass::Nothing,
        );
    }
}
