//! Answers to effects of a device. Answers to a finished attempt change nothing, and what they brought is given back.

use drawspan_hub::{Failure, FailureKind, HostName};

use super::{Act, Device, Effect, Effects, Epoch, State, Why};
use crate::mutation::{Mutation, planted};
use crate::time::{Jitter, Now};

impl Device {
    pub(super) fn permitted(&mut self, epoch: Epoch, now: Now) -> Effects {
        if epoch != self.epoch || self.state != State::Queued {
            return Effect::ReturnPermit { epoch }.into();
        }
        if self.assignment.must_register() {
            self.assignment.registering(now.monotonic);
            // Earlier ones have led to this.
            self.retry.forget_refusals();
            self.state = State::Provisioning;
            return Effect::Provision { epoch }.into();
        }
        self.enter_connecting()
    }

    pub(super) fn assigned(&mut self, epoch: Epoch, hub: HostName, now: Now) -> Effects {
        if epoch != self.epoch || self.state != State::Provisioning {
            return Effects::NONE;
        }
        let has_moved = self.assignment.hub().is_some_and(|known| *known != hub);
        self.assignment.assigned(hub);
        if !self.demand.is_wanted(now.monotonic) {
            return self.enter_idle(Why::Act(Act::EndsUnused));
        }
        let shown = match self.status {
            Some(words) if has_moved => self.show(words, Why::Act(Act::MovesAsAssigned)),
            _ => Effects::NONE,
        };
        // The hub has its own pace, and may be down.
        shown.then(self.enter_queued(now))
    }

    pub(super) fn assign_failed(
        &mut self,
        epoch: Epoch,
        failure: &Failure,
        now: Now,
        jitter: Jitter,
    ) -> Effects {
        if epoch != self.epoch || self.state != State::Provisioning {
            return Effects::NONE;
        }
        self.assignment.failed(failure);
        self.dps_failed(failure, now, jitter)
    }

    pub(super) fn opened(&mut self, epoch: Epoch, now: Now) -> Effects {
        if epoch == self.epoch {
            match self.state {
                State::Connecting => return self.enter_connected(now),
                // Its `Close` is on the way already, or it was said twice.
                State::Closing | State::Connected { .. } => return Effects::NONE,
                _ => {}
            }
        }
        Effect::Close { epoch }.into()
    }

    pub(super) fn lost(
        &mut self,
        epoch: Epoch,
        failure: &Failure,
        now: Now,
        jitter: Jitter,
    ) -> Effects {
        if epoch != self.epoch {
            return Effects::NONE;
        }
        match self.state {
            State::Connecting => self.failed(failure, now, jitter),
            State::Connected { since } => {
                let stood = now.monotonic.saturating_sub(since);
                self.retry.stood(stood);
                self.assignment.stood(stood);
                self.failed(failure, now, jitter)
            }
            // In `Closing`, `Closed` will follow.
            _ => Effects::NONE,
        }
    }

    pub(super) fn closed(&mut self, epoch: Epoch, now: Now, jitter: Jitter) -> Effects {
        match self.state {
            State::Closing if epoch == self.epoch => {
                let wanted = self.demand.is_wanted(now.monotonic);
                if wanted && !planted(Mutation::WishForgotten) {
                    self.enter_queued(now)
                } else {
                    self.enter_idle(Why::Act(Act::EndsUnused))
                }
            }
            // It was not requested, but the device is gone all the same.
            State::Connecting | State::Connected { .. } => {
                let failure = Failure::own(FailureKind::ConnectionLost, "closed unasked");
                self.lost(epoch, &failure, now, jitter)
            }
            _ => Effects::NONE,
        }
    }
}
