//! The header `Date`, by the wall clock.
//!
//! hyper reuses its text until the clock has passed the second that it names, so after the clock is set back it would show the old
//! time. Here the text is reused only within that very second.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::HeaderValue;

thread_local! {
    static LAST: RefCell<Option<(u64, HeaderValue)>> = const { RefCell::new(None) };
}

/// The value for an answer at this time; `None` before 1970.
pub(super) fn value(now: SystemTime) -> Option<HeaderValue> {
    let second = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
    LAST.with_borrow_mut(|last| {
        if let Some((of, value)) = last
            && *of == second
        {
            return Some(value.clone());
        }
        let value = HeaderValue::from_str(&httpdate::fmt_http_date(now)).ok()?;
        *last = Some((second, value.clone()));
        Some(value)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_clock_may_be_set_in_either_direction() {
        let check = |second: u64, expected: &str| {
            let now = UNIX_EPOCH + Duration::from_millis(second * 1_000 + 500);
            assert_eq!(value(now).unwrap(), expected);
        };
        check(1_795_996_800, "Mon, 30 Nov 2026 00:00:00 GMT");
        check(1_795_996_800, "Mon, 30 Nov 2026 00:00:00 GMT");
        check(1_796_000_400, "Mon, 30 Nov 2026 01:00:00 GMT");
        // An hour back.
        check(1_795_996_800, "Mon, 30 Nov 2026 00:00:00 GMT");
        check(1_795_996_801, "Mon, 30 Nov 2026 00:00:01 GMT");
        assert_eq!(value(UNIX_EPOCH - Duration::from_secs(1)), None);
    }
}
