//! The course of an emulator's time beside the machine's, as a value.

use std::time::Duration;

use crate::limits::{CLOCK_ADVANCE_MAX_S, CLOCK_AHEAD_MAX_S, CLOCK_SCALES};

/// How an emulator's time runs. Every method takes `machine`: the time that has passed on the machine since the clock was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Timeline {
    /// When the course was changed last.
    since: Duration,
    /// Emulated time that had passed then. It never goes back.
    elapsed: Duration,
    /// By how many nanoseconds the time of day was ahead of the machine's then.
    ahead_ns: i128,
    scale: f64,
}

/// A change that a clock does not take.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ClockError {
    /// A scale at which nothing sensible happens.
    #[error(
        "a clock runs at {least} to {most} times the machine's speed, not {scale}",
        least = CLOCK_SCALES.start(),
        most = CLOCK_SCALES.end()
    )]
    Scale {
        /// The scale asked for.
        scale: f64,
    },
    /// A step that is too long, or one that leads too far ahead.
    #[error(
        "a clock is advanced by at most {step} days at once, and {all} days in all",
        step = CLOCK_ADVANCE_MAX_S / 86_400,
        all = CLOCK_AHEAD_MAX_S / 86_400
    )]
    TooFar,
    /// The program that started the emulator sets its clock.
    #[error("this clock is set by the program that started the emulator")]
    Manual,
}

impl Timeline {
    /// Time that runs at `scale` and has not begun.
    pub(super) const fn new(scale: f64) -> Self {
        Self {
            since: Duration::ZERO,
            elapsed: Duration::ZERO,
            ahead_ns: 0,
            scale,
        }
    }

    /// The speed, 1 for the machine's.
    pub(super) const fn scale(&self) -> f64 {
        self.scale
    }

    /// Emulated time that has passed.
    pub(super) fn elapsed(&self, machine: Duration) -> Duration {
        self.elapsed
            .saturating_add(scaled(machine.saturating_sub(self.since), self.scale))
    }

    /// By how many nanoseconds the time of day is ahead of the machine's.
    pub(super) fn ahead_ns(&self, machine: Duration) -> i128 {
        let since = machine.saturating_sub(self.since);
        self.ahead_ns + nanos(scaled(since, self.scale)) - nanos(since)
    }

    /// How long the machine's time takes for `emulated`; `None` if the time does not run.
    pub(super) fn machine_time(&self, emulated: Duration) -> Option<Duration> {
        if self.scale == 1.0 {
            return Some(emulated);
        }
        let seconds = emulated.as_secs_f64() / self.scale;
        match Duration::try_from_secs_f64(seconds) {
            // A little too long rather than too short, so that a wait is over when its timer fires.
            Ok(time) => Some(time.saturating_add(Duration::from_micros(1))),
            Err(_) => None,
        }
    }

    /// Runs at another speed from now on.
    pub(super) fn set_scale(&mut self, scale: f64, machine: Duration) -> Result<(), ClockError> {
        if !CLOCK_SCALES.contains(&scale) {
            return Err(ClockError::Scale { scale });
        }
        self.settle(machine);
        self.scale = scale;
        Ok(())
    }

    /// Skips `step`.
    pub(super) fn advance(&mut self, step: Duration, machine: Duration) -> Result<(), ClockError> {
        let ahead = self.ahead_ns(machine) + nanos(step);
        let most = Duration::from_secs(CLOCK_AHEAD_MAX_S);
        if step.as_secs() > CLOCK_ADVANCE_MAX_S || ahead > nanos(most) {
            return Err(ClockError::TooFar);
        }
        self.skip(step, machine);
        Ok(())
    }

    /// Has the machine's time of day and speed again. What has passed has passed.
    pub(super) fn reset(&mut self, machine: Duration) {
        self.settle(machine);
        self.ahead_ns = 0;
        self.scale = 1.0;
    }

    /// Sets the time of day to so many nanoseconds before the machine's. A step back lets no time pass.
    pub(super) fn set_ahead(&mut self, ahead_ns: i128, machine: Duration) {
        let step = ahead_ns.saturating_sub(self.ahead_ns(machine));
        self.skip(
            Duration::from_nanos(u64::try_from(step.max(0)).unwrap_or(u64::MAX)),
            machine,
        );
        self.ahead_ns = ahead_ns;
    }

    fn skip(&mut self, step: Duration, machine: Duration) {
        self.settle(machine);
        self.elapsed = self.elapsed.saturating_add(step);
        self.ahead_ns += nanos(step);
    }

    /// Counts what has passed, before the course changes.
    fn settle(&mut self, machine: Duration) {
        (self.elapsed, self.ahead_ns) = (self.elapsed(machine), self.ahead_ns(machine));
        self.since = machine;
    }
}

fn scaled(time: Duration, scale: f64) -> Duration {
    if scale == 1.0 {
        return time;
    }
    Duration::try_from_secs_f64(time.as_secs_f64() * scale).unwrap_or(Duration::MAX)
}

fn nanos(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)
}
