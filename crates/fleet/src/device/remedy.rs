//! From a failure to the next state, by the remedy in the failure table.

use std::time::Duration;

use drawspan_hub::failure::Until;
use drawspan_hub::{Failure, FailureKind, Remedy};

use super::public_status::REFUSED;
use super::retry::RETRYING;
use super::{Device, Effects, FailureReason, State, Why};
use crate::limits::{
    ASKED_WAIT_SPREAD_PERCENT, MIDNIGHT_DOUBT, MIDNIGHT_RECHECK, MIDNIGHT_SPREAD, REFUSED_WAIT_MAX,
    REFUSED_WAIT_MIN,
};
use crate::mutation::{Mutation, planted};
use crate::time::{Jitter, Now, seconds_since_midnight, seconds_to_midnight};

impl Device {
    /// An attempt or a connection failed.
    pub(super) fn failed(&mut self, failure: &Failure, now: Now, jitter: Jitter) -> Effects {
        let why = Why::failed(failure, matches!(self.state, State::Connected { .. }));
        if !self.demand.is_wanted(now.monotonic) {
            return self.enter_idle(why);
        }
        self.retry.note(failure);
        self.retry.another_way = false;
        match failure.remedy() {
            Remedy::HubDown => {
                if planted(Mutation::DownCounted) {
                    self.retry.count(failure, now.monotonic);
                }
                if planted(Mutation::DownAsksDps) {
                    self.ask_dps();
                }
                let shown = self.show(RETRYING, why);
                shown.then(self.enter_queued(now))
            }
            Remedy::WaitUntil(until) => {
                let asks = match failure.kind {
                    FailureKind::Throttled => planted(Mutation::ThrottleAsksDps),
                    FailureKind::HubMaintenance => planted(Mutation::FailoverAsksDps),
                    FailureKind::QuotaExceeded => planted(Mutation::QuotaAsksDps),
                    _ => false,
                };
                if asks {
                    self.ask_dps();
                }
                self.wait_until(until, failure, now, jitter);
                self.show(RETRYING, why)
            }
            Remedy::Yield => {
                self.state = State::Yielded {
                    until: now.monotonic + self.retry.yield_for(jitter),
                    why: failure.into(),
                };
                self.show(RETRYING, why)
            }
            Remedy::SlowRetry => self.retry(failure, why, now, jitter),
            Remedy::OtherConnection => {
                self.options.other_connection = true;
                self.retry(failure, why, now, jitter)
            }
            Remedy::Reauthenticate if !self.retry.reauthenticated => {
                self.retry.reauthenticated = true;
                self.options.fresh_token = true;
                self.schedule(failure, now, jitter);
                self.retry.another_way = true;
                // The credentials are not blamed yet: a token may simply have expired.
                self.show(RETRYING, why)
            }
            Remedy::Reauthenticate | Remedy::Reprovision => {
                let stays = failure.kind == FailureKind::DeviceNotFound
                    && planted(Mutation::MoveLeavesBehind);
                if !stays && self.ask_dps() {
                    let effects = if self.assignment.will_ask(now.monotonic) {
                        self.retry.another_way = true;
                        self.retry(failure, why, now, jitter)
                    } else {
                        self.wait_for_dps(failure, why, now)
                    };
                    // This one has led to something.
                    self.retry.forget_refusals();
                    effects
                } else {
                    self.refused(failure, why, now, jitter)
                }
            }
        }
    }

    /// DPS named no hub. One that is known is tried again, however DPS refused: it may have refused for a while only.
    pub(super) fn dps_failed(&mut self, failure: &Failure, now: Now, jitter: Jitter) -> Effects {
        let refuses = is_unknown_to_dps(failure)
            || matches!(
                failure.remedy(),
                Remedy::Reauthenticate | Remedy::Reprovision
            );
        self.retry.another_way = false;
        let why = Why::failed(failure, false);
        let tries_on =
            refuses && self.assignment.hub().is_some() && self.demand.is_wanted(now.monotonic);
        let effects = if tries_on {
            self.retry.note(failure);
            self.retry(failure, why, now, jitter)
        } else if refuses && self.demand.is_wanted(now.monotonic) {
            // Every key has been tried, and there is no hub to try instead.
            self.retry.note(failure);
            self.wait_for_dps(failure, why, now)
        } else {
            self.failed(failure, now, jitter)
        };
        // An answer of DPS is no reason to ask DPS.
        self.retry.forget_refusals();
        effects
    }

    fn retry(&mut self, failure: &Failure, why: Why, now: Now, jitter: Jitter) -> Effects {
        self.schedule(failure, now, jitter);
        self.show(self.retry.status(failure, now.monotonic), why)
    }

    /// The hub has answered, and there is no one else to ask: an early retry would give the same answer, at the cost of devices
    /// that can connect. A request tries again, within its own interval.
    fn refused(&mut self, failure: &Failure, why: Why, now: Now, jitter: Jitter) -> Effects {
        self.retry.count(failure, now.monotonic);
        let wait = jitter.between(REFUSED_WAIT_MIN, REFUSED_WAIT_MAX);
        self.wait(now.monotonic + wait, failure.into(), false);
        self.show(self.retry.status(failure, now.monotonic), why)
    }

    /// DPS was asked not long ago: until it may be asked again, only a request tries the known hub, if there is one, within its own
    /// interval.
    fn wait_for_dps(&mut self, failure: &Failure, why: Why, now: Now) -> Effects {
        self.retry.count(failure, now.monotonic);
        let until = self.assignment.remembered_until().unwrap_or(now.monotonic);
        self.wait(until, failure.into(), false);
        let words = self.retry.status(failure, now.monotonic);
        let words = if is_unknown_to_dps(failure) {
            REFUSED
        } else {
            words
        };
        self.show(words, why)
    }

    fn schedule(&mut self, failure: &Failure, now: Now, jitter: Jitter) {
        self.retry.count(failure, now.monotonic);
        if self.retry.may_have_moved(now.monotonic) {
            self.ask_dps();
        }
        let wait = self.retry.wait(now.monotonic, jitter);
        self.wait(now.monotonic + wait, failure.into(), false);
    }

    fn wait_until(&mut self, until: Until, failure: &Failure, now: Now, jitter: Jitter) {
        let (least, spread) = match until {
            Until::MidnightUtc => {
                let passed = Duration::from_secs(seconds_since_midnight(now.unix_s));
                let left = Duration::from_secs(seconds_to_midnight(now.unix_s));
                let doubtful = passed < MIDNIGHT_DOUBT;
                let wait = match doubtful {
                    _ if planted(Mutation::QuotaLeavesBehind) => 1_000 * left,
                    true => MIDNIGHT_RECHECK,
                    false => left,
                };
                (wait, MIDNIGHT_SPREAD)
            }
            Until::After { seconds } => {
                let asked = Duration::from_secs(seconds.into());
                (asked, asked * ASKED_WAIT_SPREAD_PERCENT / 100)
            }
        };
        let wait = jitter.between(least, least + spread);
        self.wait(now.monotonic + wait, failure.into(), true);
    }

    const fn wait(&mut self, until: Duration, why: FailureReason, firm: bool) {
        self.state = State::Waiting { until, why, firm };
    }

    /// False where there is no DPS: the known hub is tried on.
    const fn ask_dps(&mut self) -> bool {
        let asked = self.assignment.ask();
        if asked {
            self.retry.forget_refusals();
        }
        asked
    }
}

/// Whether DPS knows no such id scope or enrollment. What a device says of itself is as much its credentials as its key.
const fn is_unknown_to_dps(failure: &Failure) -> bool {
    matches!(failure.kind, FailureKind::NotFound | FailureKind::Forbidden)
}
