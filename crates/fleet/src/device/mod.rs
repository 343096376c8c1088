//! The life of one device connection.
//!
//! A [`Device`] holds everything about one device: whether it is *wanted* connected, the hub it is assigned to, its [`State`], and
//! its failures so far. It does nothing itself. [`Device::handle`] takes an [`Input`], with the time and a random number, and
//! answers with [`Effects`] for the caller to carry out.
//!
//! A device is wanted *permanently* while subscriptions exist, and *temporarily* for 9 to 11 minutes after each use. When it is no
//! longer wanted, its connection is closed and it is `Idle` again.
//!
//! ```text
//!          wanted             permit, hub known                 opened
//!   Idle ─────────► Queued ──────────────────────► Connecting ─────────► Connected
//!    ▲               ▲  │ permit, hub unknown                               │
//!    │               │  └────────► Provisioning                             │
//!    │               ├─────────────────┘ assigned                           │
//!    │               │                                                      │ lost
//!    │               ├─── Waiting ◄──── failed (any of the three) ◄─────────┤
//!    │               └─── Yielded ◄──── somebody else took the device ◄─────┘
//!    │ closed
//!    └─────────── Closing ◄──── nothing wants it (Connecting, Connected)
//! ```
//!
//! | state | leaves on | to |
//! |---|---|---|
//! | `Idle` | wanted | `Queued`, asking for a permit |
//! | `Queued` | permit | `Connecting` if the hub is known, else `Provisioning` |
//! | `Provisioning` | assigned | `Queued`, for the permit of its hub |
//! | | failed | as the remedy says |
//! | `Connecting` | opened | `Connected` |
//! | | failed | as the remedy says |
//! | `Connected` | lost | as the remedy says |
//! | `Waiting` | deadline, resync, or a request (at most once per 60 s, and not before a time the hub has named) | `Queued` |
//! | `Yielded` | deadline, resync, subscription change | `Queued` |
//! | `Closing` | closed | `Idle`, or `Queued` if wanted again |
//!
//! A connection that is to be replaced goes the same way: `Closing`, then `Queued`; so does a connection to a hub that the device
//! no longer belongs to.
//!
//! When the device is no longer wanted, `Connecting` and `Connected` go to `Closing`, and `Queued`, `Waiting` and `Yielded` go to
//! `Idle`. `Provisioning` first awaits its answer, because registrations are paid for and rationed.
//!
//! **Remedies** ([`drawspan_hub::Remedy`]) become states in `remedy.rs`: mostly `Waiting`, on the schedule of `retry.rs`. An
//! unreachable hub sends its devices back to `Queued` and counts no failure against them: the governor holds the queue until the
//! hub is back.
//!
//! **Epochs.** Each attempt, from its permit to the end of its connection, has a number that every effect carries and every answer
//! repeats. An answer with another number belongs to an attempt that is over: it changes nothing, and the device gives back what it
//! brought.
//!
//! **Duties of the caller.** `Open` is answered by `Opened` or `OpenFailed`; an opened connection that ends by itself is reported
//! by one `Lost`; `Close` is always answered by `Closed`, whatever happened meanwhile; `Provision` is answered by `Assigned` or
//! `AssignFailed`, in bounded time. `Deadline` is due at [`Device::next_deadline`].

mod assignment;
mod cause;
mod demand;
mod effect;
mod input;
mod outlook;
mod public_status;
mod remedy;
mod responses;
mod retry;
mod state;

use std::time::Duration;

use drawspan_hub::{ConnectionCause, ConnectionStatus, ConnectionStatusReason, HostName};

use crate::limits::REQUEST_ATTEMPT_INTERVAL;
use crate::time::{Jitter, Now};
use demand::Demand;
use public_status::DISABLED;
use retry::{RETRYING, RetryState};

pub use assignment::Assignment;
pub use cause::{Act, Why, cause_of};
pub use effect::{Effect, Effects, Epoch, OpenOptions};
pub use input::Input;
pub use outlook::Hopeless;
pub use state::{FailureReason, State};

/// One device connection. See the module for its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    assignment: Assignment,
    demand: Demand,
    state: State,
    /// The current or last attempt.
    epoch: Epoch,
    /// How the next attempt shall be made.
    options: OpenOptions,
    retry: RetryState,
    /// Before that, no request cuts a wait short.
    next_request_attempt: Duration,
    status: Option<(ConnectionStatus, ConnectionStatusReason)>,
    /// Why the status is what it is.
    cause: Option<ConnectionCause>,
}

impl Device {
    /// A device that nothing wants yet.
    #[must_use]
    pub const fn new(assignment: Assignment) -> Self {
        Self {
            assignment,
            demand: Demand::NOT,
            state: State::Idle,
            epoch: Epoch::FIRST,
            options: OpenOptions::USUAL,
            retry: RetryState::NONE,
            next_request_attempt: Duration::ZERO,
            status: None,
            cause: None,
        }
    }

    /// Takes an input and says what to do about it. `jitter` must be fresh for each call.
    pub fn handle(&mut self, input: Input<'_>, now: Now, jitter: Jitter) -> Effects {
        match input {
            Input::Use { at } => self.used(at, now, jitter),
            Input::Permanent(permanent) => self.subscriptions_changed(permanent, now),
            Input::Permit { epoch } => self.permitted(epoch, now),
            Input::Assigned { epoch, hub } => self.assigned(epoch, hub, now),
            Input::AssignFailed { epoch, failure } => {
                self.assign_failed(epoch, failure, now, jitter)
            }
            Input::Opened { epoch } => self.opened(epoch, now),
            Input::OpenFailed { epoch, failure } | Input::Lost { epoch, failure } => {
                self.lost(epoch, failure, now, jitter)
            }
            Input::Closed { epoch } => self.closed(epoch, now, jitter),
            Input::Deadline => self.deadline_passed(now),
            Input::Resync => self.resync(now),
            Input::TryAgain => match self.state {
                State::Waiting { .. } => self.enter_queued(now),
                _ => Effects::NONE,
            },
            Input::AskDps { anyway } => self.ask_dps_first(anyway, now),
            Input::Registered { hub } => self.registered(hub, now),
            Input::Moved { hub } => self.moved(hub, now),
            Input::RefusedForNow => self.show_refusal(),
            Input::ClocksDiffer => self.show_clock(),
            Input::Relocate => self.relocate(Act::Replaces, now),
            Input::Release => {
                self.demand = Demand::NOT;
                self.assignment.forget();
                self.unwanted(Act::Removes)
            }
        }
    }

    /// When [`Input::Deadline`] is due, monotonic; `None` if no time matters.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let unwanted = self.demand.ends();
        match self.state {
            State::Provisioning | State::Closing => None,
            // Only to be forgotten.
            State::Idle => self.assignment.remembered_until(),
            State::Queued | State::Connecting | State::Connected { .. } => unwanted,
            State::Waiting { until, .. } | State::Yielded { until, .. } => {
                Some(unwanted.map_or(until, |unwanted| unwanted.min(until)))
            }
        }
    }

    /// The state of the device.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// The current attempt, or the last one.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Its hub, as far as known.
    #[must_use]
    pub const fn hub(&self) -> Option<&HostName> {
        self.assignment.hub()
    }

    /// Whether DPS names its hub.
    #[must_use]
    pub const fn finds_hub_by_dps(&self) -> bool {
        self.assignment.is_by_dps()
    }

    /// Whether DPS may be asked for it instead of trying the hub that is known.
    #[must_use]
    pub fn may_ask_dps(&self, anyway: bool, now: Now) -> bool {
        let tries_hub = matches!(self.state, State::Queued | State::Connecting);
        tries_hub
            && self.assignment.is_by_dps()
            && !self.assignment.must_register()
            && (anyway || self.assignment.may_register(now.monotonic))
    }

    /// Whether the attempt that is being made starts at DPS.
    #[must_use]
    pub const fn must_register(&self) -> bool {
        self.assignment.must_register()
    }

    /// Whether subscriptions want it connected.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        self.demand.permanent
    }

    /// Whether its next attempt tries what it has not tried yet: another key, or DPS.
    #[must_use]
    pub const fn has_another_way(&self) -> bool {
        self.retry.another_way
    }

    /// Whether every key was refused, or is being tried as the last one.
    #[must_use]
    pub const fn has_tried_other_key(&self) -> bool {
        self.retry.reauthenticated
    }

    /// Until when its last use keeps it wanted, monotonic.
    #[must_use]
    pub const fn wanted_until(&self) -> Option<Duration> {
        self.demand.temporary()
    }

    /// Consecutive failed attempts; 0 while it is connected.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        match self.state {
            State::Connected { .. } => 0,
            _ => self.retry.failures(),
        }
    }

    /// The last failure in an ongoing series of failures.
    #[must_use]
    pub const fn last_failure(&self) -> FailureReason {
        self.retry.last_failure()
    }

    /// The public words; `None` if it never tried to connect.
    #[must_use]
    pub const fn status(&self) -> Option<(ConnectionStatus, ConnectionStatusReason)> {
        self.status
    }

    /// Whether nothing would be lost by dropping it: it is idle, and no registration at DPS is to be remembered.
    #[must_use]
    pub fn is_forgettable(&self, now: Now) -> bool {
        self.state == State::Idle && self.assignment.is_free(now.monotonic)
    }

    // Inputs: what somebody wants.

    fn used(&mut self, at: Duration, now: Now, jitter: Jitter) -> Effects {
        self.demand.used(at, jitter);
        if !self.demand.is_wanted(now.monotonic) {
            return self.unwanted(Act::EndsUnused);
        }
        self.hurry(now);
        self.requested(now)
    }

    /// A caller waits for a device that waits for its next registration.
    fn hurry(&mut self, now: Now) {
        let State::Waiting { until, firm, .. } = self.state else {
            return;
        };
        let for_budget = self.assignment.must_wait_to_register(now.monotonic) == Some(until);
        if now.monotonic < self.next_request_attempt || (firm && !for_budget) {
            return;
        }
        self.assignment.hurry(now.monotonic);
        if firm && let State::Waiting { firm, .. } = &mut self.state {
            // Only the budget kept it from trying.
            *firm = self
                .assignment
                .must_wait_to_register(now.monotonic)
                .is_some();
        }
    }

    /// A request: it wakes an idle device, and may cut a wait short, but not for long stretches of requests.
    fn requested(&mut self, now: Now) -> Effects {
        match self.state {
            State::Idle => self.enter_queued(now),
            State::Waiting { firm: false, .. }
                if now.monotonic >= self.next_request_attempt
                    && self
                        .assignment
                        .must_wait_to_register(now.monotonic)
                        .is_none() =>
            {
                self.next_request_attempt = now.monotonic + REQUEST_ATTEMPT_INTERVAL;
                self.enter_queued(now)
            }
            _ => Effects::NONE,
        }
    }

    fn subscriptions_changed(&mut self, permanent: bool, now: Now) -> Effects {
        self.demand.permanent = permanent;
        if !self.demand.is_wanted(now.monotonic) {
            return self.unwanted(Act::EndsUnused);
        }
        match self.state {
            State::Yielded { .. } => self.enter_queued(now),
            _ => self.requested(now),
        }
    }

    fn resync(&mut self, now: Now) -> Effects {
        match self.state {
            State::Waiting { .. } | State::Yielded { .. } => {
                self.retry.start_over();
                self.assignment.forgive();
                self.enter_queued(now)
            }
            _ => Effects::NONE,
        }
    }

    fn ask_dps_first(&mut self, anyway: bool, now: Now) -> Effects {
        if !self.may_ask_dps(anyway, now) {
            return Effects::NONE;
        }
        if anyway {
            self.assignment.forgive();
        }
        self.assignment.ask();
        match self.state {
            State::Queued => self.enter_queued(now),
            // After its attempt has failed.
            _ => Effects::NONE,
        }
    }

    /// It is not connected for a moment, and says so. If its connection stood, failures before it do not count any more.
    fn relocate(&mut self, act: Act, now: Now) -> Effects {
        let State::Connected { since } = self.state else {
            return Effects::NONE;
        };
        self.retry.stood(now.monotonic.saturating_sub(since));
        self.state = State::Closing;
        let close = Effect::Close { epoch: self.epoch };
        self.show(RETRYING, Why::Act(act)).then(close.into())
    }

    /// It belongs to another hub from now on: what went wrong at the old one does not count there.
    fn moved(&mut self, hub: HostName, now: Now) -> Effects {
        if !self.assignment.fix(hub) {
            return Effects::NONE;
        }
        self.options = OpenOptions::USUAL;
        self.retry.start_over();
        match self.state {
            State::Queued | State::Waiting { .. } | State::Yielded { .. } => self.enter_queued(now),
            State::Connecting => {
                self.state = State::Closing;
                Effect::Close { epoch: self.epoch }.into()
            }
            State::Connected { .. } => self.relocate(Act::MovesAsListed, now),
            State::Idle | State::Provisioning | State::Closing => Effects::NONE,
        }
    }

    /// The device was registered at DPS meanwhile.
    fn registered(&mut self, hub: HostName, now: Now) -> Effects {
        let asks = self.assignment.asks();
        let known = self.assignment.hub();
        let (none_known, moved) = (known.is_none(), known.is_some_and(|known| *known != hub));
        if !self.assignment.registered(hub, now.monotonic) {
            return Effects::NONE;
        }
        if moved {
            // Failures at the old hub do not count there.
            self.options = OpenOptions::USUAL;
            self.retry.start_over();
        }
        match self.state {
            State::Waiting { firm, .. } if moved || none_known || asks && !firm => {
                self.enter_queued(now)
            }
            State::Yielded { .. } if moved => self.enter_queued(now),
            // It queues in the wrong place.
            State::Queued if asks || moved || none_known => self.enter_queued(now),
            _ => Effects::NONE,
        }
    }

    fn deadline_passed(&mut self, now: Now) -> Effects {
        self.assignment.forget_until(now.monotonic);
        if !self.demand.is_wanted(now.monotonic) {
            return self.unwanted(Act::EndsUnused);
        }
        match self.state {
            State::Waiting { until, .. } | State::Yielded { until, .. }
                if now.monotonic >= until =>
            {
                self.enter_queued(now)
            }
            _ => Effects::NONE,
        }
    }

    // States: what entering them takes.

    /// `act`: what the bridge does by that.
    fn unwanted(&mut self, act: Act) -> Effects {
        match self.state {
            State::Idle | State::Provisioning | State::Closing => Effects::NONE,
            State::Queued | State::Waiting { .. } | State::Yielded { .. } => {
                self.enter_idle(Why::Act(act))
            }
            State::Connecting | State::Connected { .. } => {
                self.state = State::Closing;
                let close = Effect::Close { epoch: self.epoch };
                self.show(DISABLED, Why::Act(act)).then(close.into())
            }
        }
    }

    fn enter_idle(&mut self, why: Why) -> Effects {
        self.state = State::Idle;
        self.options = OpenOptions::USUAL;
        self.retry.forget_failures();
        // A device that never tried has no status to change.
        match self.status {
            // It was said when it began to close.
            Some(DISABLED) | None => Effects::NONE,
            Some(_) => self.show(DISABLED, why),
        }
    }

    fn enter_queued(&mut self, now: Now) -> Effects {
        if let Some(until) = self.assignment.must_wait_to_register(now.monotonic) {
            self.state = State::Waiting {
                until,
                why: self.retry.last_failure(),
                firm: true,
            };
            return match self.status {
                Some((ConnectionStatus::Disabled, _)) => {
                    self.show(RETRYING, Why::Act(Act::AsksLater))
                }
                _ => Effects::NONE,
            };
        }
        self.assignment.begin(now.monotonic);
        self.epoch = self.epoch.next();
        self.state = State::Queued;
        Effect::RequestPermit { epoch: self.epoch }.into()
    }

    fn enter_connecting(&mut self) -> Effects {
        self.state = State::Connecting;
        Effect::Open {
            epoch: self.epoch,
            options: self.options,
        }
        .into()
    }

    fn enter_connected(&mut self, now: Now) -> Effects {
        self.options = OpenOptions::USUAL;
        self.assignment.accepted();
        self.state = State::Connected {
            since: now.monotonic,
        };
        let words = (
            ConnectionStatus::Connected,
            ConnectionStatusReason::ConnectionOk,
        );
        self.show(words, Why::Connected)
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
