//! The limit of logged refusals: some of each kind per window, and some of all kinds together. The others are counted.

use std::time::Duration;

use super::Door;
use crate::limits::{
    REFUSAL_KINDS_MAX, REFUSALS_LOGGED_OF_A_KIND, REFUSALS_LOGGED_OF_ALL, REFUSALS_WINDOW_MS,
};

const WINDOW: Duration = Duration::from_millis(REFUSALS_WINDOW_MS);

/// Recent refusals by kind: place and code. Neither comes from the client, so there are few kinds.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    kinds: Vec<Kind>,
    all: Window,
}

/// Refusals of one kind that were counted and not logged.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) door: Door,
    pub(super) code: Box<str>,
    pub(super) count: u64,
}

#[derive(Debug)]
struct Kind {
    door: Door,
    code: Box<str>,
    window: Window,
    left_out: u64,
}

#[derive(Debug, Default)]
struct Window {
    since: Duration,
    logged: u32,
}

impl Throttle {
    /// Whether a refusal is to be logged; if not, it is counted. Should there be too many kinds, further ones count as the first.
    pub(super) fn admit(&mut self, door: Door, code: &str, now: Duration) -> bool {
        let known = self
            .kinds
            .iter()
            .position(|kind| kind.door == door && *kind.code == *code);
        let at = match known {
            Some(at) => at,
            None if self.kinds.len() >= REFUSAL_KINDS_MAX => 0,
            None => {
                self.kinds.push(Kind {
                    door,
                    code: code.into(),
                    window: Window::default(),
                    left_out: 0,
                });
                self.kinds.len() - 1
            }
        };
        let Some(kind) = self.kinds.get_mut(at) else {
            return false;
        };
        kind.window.turn(now);
        self.all.turn(now);
        let room = kind.window.logged < REFUSALS_LOGGED_OF_A_KIND
            && self.all.logged < REFUSALS_LOGGED_OF_ALL;
        if room {
            kind.window.logged += 1;
            self.all.logged += 1;
        } else {
            kind.left_out = kind.left_out.saturating_add(1);
        }
        room
    }

    /// Returns the omitted refusals since the last call.
    pub(super) fn take_left_out(&mut self) -> Vec<LeftOut> {
        let with_some = self.kinds.iter_mut().filter(|kind| kind.left_out > 0);
        with_some
            .map(|kind| LeftOut {
                door: kind.door,
                code: kind.code.clone(),
                count: std::mem::take(&mut kind.left_out),
            })
            .collect()
    }
}

impl Window {
    /// Begins a new window when this one is over.
    fn turn(&mut self, now: Duration) {
        if now.saturating_sub(self.since) >= WINDOW {
            *self = Self {
                since: now,
                logged: 0,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `count` refusals of one kind are logged.
    fn logged(throttle: &mut Throttle, door: Door, code: &str, count: u32, at: Duration) -> u32 {
        (0..count)
            .map(|_| u32::from(throttle.admit(door, code, at)))
            .sum()
    }

    #[test]
    fn some_of_each_kind_are_logged_and_the_rest_is_counted() {
        let mut throttle = Throttle::default();
        let most = REFUSALS_LOGGED_OF_A_KIND;
        let zero = Duration::ZERO;
        assert_eq!(
            logged(&mut throttle, Door::PutToken, "401003", 1_000, zero),
            most
        );
        assert_eq!(logged(&mut throttle, Door::Attach, "401003", 2, zero), 2);
        assert_eq!(logged(&mut throttle, Door::PutToken, "401000", 2, zero), 2);
        let left_out = LeftOut {
            door: Door::PutToken,
            code: "401003".into(),
            count: u64::from(1_000 - most),
        };
        assert_eq!(throttle.take_left_out(), [left_out]);
        assert_eq!(throttle.take_left_out(), []);
        assert_eq!(
            logged(&mut throttle, Door::PutToken, "401003", 1_000, WINDOW),
            most
        );
    }

    #[test]
    fn a_flood_of_kinds_is_bounded() {
        let mut throttle = Throttle::default();
        let codes = (0..10 * REFUSAL_KINDS_MAX).map(|code| code.to_string());
        let logged: u32 = codes
            .map(|code| u32::from(throttle.admit(Door::Rest, &code, Duration::ZERO)))
            .sum();
        assert_eq!(logged, REFUSALS_LOGGED_OF_ALL);
        assert_eq!(throttle.kinds.len(), REFUSAL_KINDS_MAX);
        let counted: u64 = throttle
            .take_left_out()
            .iter()
            .map(|left_out| left_out.count)
            .sum();
        let all = 10 * REFUSAL_KINDS_MAX as u64;
        assert_eq!(counted, all - u64::from(logged));
    }
}
