//! The clock of an emulator.
//!
//! There are two times. The *machine's* is that of this computer, and of every client on it. The *emulator's* begins as the
//! machine's, may run faster or slower ([`Clock::set_scale`]), skip ahead ([`Clock::advance`]) and return to the machine's
//! ([`Clock::reset`]). Which one counts:
//!
//! | what | time | scale | advance |
//! |---|---|---|---|
//! | a token's `se`, a certificate's validity, when they are presented | machine's | no | no |
//! | what is left of a token then, with the grace of live connections | emulator's | yes | yes |
//! | when a message is to expire, as its sender says, when it is sent | machine's | no | no |
//! | locks, life of messages and of feedback, uploads, days of the quota, throttles, retention, time stamps of events | emulator's | yes | yes |
//! | how long a client may be silent (MQTT keep-alive, AMQP idle time-out) | machine's, at the emulator's speed | yes | no |
//! | a method's response and connect time-outs: the caller counts them in its own time | machine's | no | no |
//! | what protects the emulator itself: handshakes, writes, heartbeats that it sends, pauses before something is tried again, windows of the log of refusals | machine's | no | no |
//!
//! [`Clock::elapsed`] only ever grows: what lasts for a while by the emulator's time (a token's rest, a throttle) counts by it, so that
//! [`Clock::reset`] gives nothing back. What has a time of day (a message's expiry) keeps it. A change wakes everything that waits.
//! A clock is not kept: an emulator that starts again, with its state or without, has the machine's time.

mod timeline;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::Instant;

pub use timeline::ClockError;
use timeline::Timeline;

/// The emulator's time, and waiting for it. Clones share one clock.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Shared>);

/// Sets a clock that was made by [`Clock::manual`].
#[derive(Debug)]
pub struct ClockHand(Clock);

/// Says when the course of a clock has changed.
#[derive(Clone, Debug)]
pub struct ClockChanges(watch::Receiver<Timeline>);

#[derive(Debug)]
struct Shared {
    started: Instant,
    day: Day,
    timeline: watch::Sender<Timeline>,
}

/// Where the machine's time of day comes from.
#[derive(Clone, Copy, Debug)]
enum Day {
    System,
    /// It was this, Unix milliseconds, when the clock was made.
    Since(u64),
    /// There is no machine: its time is the emulator's, which began at this and stands.
    Manual(u64),
}

impl Clock {
    /// The machine's clock, until it is changed.
    pub fn system() -> Self {
        Self::new(Day::System, 1.0)
    }

    /// The same on a machine whose time of day is `unix_ms` (Unix milliseconds) now, and goes on with tokio's time: for tests that
    /// pause it.
    pub fn since(unix_ms: u64) -> Self {
        Self::new(Day::Since(unix_ms), 1.0)
    }

    /// A clock that stands at `unix_ms` (Unix milliseconds) until it is set. The machine's time counts for nothing.
    pub fn manual(unix_ms: u64) -> (Self, ClockHand) {
        let clock = Self::new(Day::Manual(unix_ms), 0.0);
        (clock.clone(), ClockHand(clock))
    }

    fn new(day: Day, scale: f64) -> Self {
        Self(Arc::new(Shared {
            started: Instant::now(),
            day,
            timeline: watch::Sender::new(Timeline::new(scale)),
        }))
    }

    /// The emulator's time of day, Unix milliseconds; 0 for a clock before 1970.
    pub fn unix_ms(&self) -> u64 {
        let machine = self.machine();
        let ahead = self.timeline().ahead_ns(machine);
        unix_ms_of(self.machine_day(machine), ahead)
    }

    /// The emulator's time of day, Unix seconds.
    pub fn unix_s(&self) -> u64 {
        self.unix_ms() / 1000
    }

    /// The machine's time of day, Unix milliseconds: that of the clients, by which they sign. A manual clock's own.
    pub fn machine_unix_ms(&self) -> u64 {
        match self.0.day {
            Day::Manual(_) => self.unix_ms(),
            Day::System | Day::Since(_) => whole_ms(self.machine_day(self.machine())),
        }
    }

    /// A time of day that a client names, who has the machine's: as far ahead of the emulator's now as it is of the machine's.
    pub fn of_machine(&self, unix_ms: u64) -> u64 {
        shifted(unix_ms, self.machine_unix_ms(), self.unix_ms())
    }

    /// The reverse of [`of_machine`](Self::of_machine): a time of day of the emulator as the machine's, for clients to read.
    pub fn to_machine(&self, unix_ms: u64) -> u64 {
        shifted(unix_ms, self.unix_ms(), self.machine_unix_ms())
    }

    /// Emulated time since the clock was made. It never goes back, whatever is set.
    pub fn elapsed(&self) -> Duration {
        self.timeline().elapsed(self.machine())
    }

    /// How fast the emulator's time runs, 1 for the machine's speed. A manual clock does not change the speed of what the machine's
    /// time counts for: it says 1.
    pub fn scale(&self) -> f64 {
        match self.0.day {
            Day::Manual(_) => 1.0,
            Day::System | Day::Since(_) => self.timeline().scale(),
        }
    }

    /// Has the time run faster or slower from now on.
    ///
    /// # Errors
    /// When nothing sensible happens at that speed, or the clock is a manual one.
    pub fn set_scale(&self, scale: f64) -> Result<(), ClockError> {
        self.change(|timeline, machine| timeline.set_scale(scale, machine))
    }

    /// Skips `step`.
    ///
    /// # Errors
    /// When that is too far, or the clock is a manual one.
    pub fn advance(&self, step: Duration) -> Result<(), ClockError> {
        self.change(|timeline, machine| timeline.advance(step, machine))
    }

    /// Has the machine's time of day and speed again.
    ///
    /// # Errors
    /// When the clock is a manual one.
    pub fn reset(&self) -> Result<(), ClockError> {
        self.change(|timeline, machine| {
            timeline.reset(machine);
            Ok(())
        })
    }

    /// Notice of changes from now on. Everything that computed a wait from this clock's scale or time has to do so again then.
    pub fn changes(&self) -> ClockChanges {
        ClockChanges(self.0.timeline.subscribe())
    }

    /// How long it takes, in the machine's time, until [`elapsed`](Self::elapsed) is `until`, unless the clock is changed. `None` when
    /// only a change brings that about.
    pub fn machine_time_until(&self, until: Duration) -> Option<Duration> {
        match until.checked_sub(self.elapsed()) {
            None | Some(Duration::ZERO) => Some(Duration::ZERO),
            Some(left) => self.timeline().machine_time(left),
        }
    }

    /// Waits until `duration` of the emulator's time has passed.
    pub async fn sleep(&self, duration: Duration) {
        let until = self.elapsed().saturating_add(duration);
        self.wait(|clock| until.saturating_sub(clock.elapsed()))
            .await;
    }

    /// Waits until a time of day of the emulator, Unix milliseconds. Should the system's clock be set meanwhile, that is not noticed
    /// before the time that it would have taken.
    pub async fn sleep_until(&self, until_unix_ms: u64) {
        self.wait(|clock| Duration::from_millis(until_unix_ms.saturating_sub(clock.unix_ms())))
            .await;
    }

    /// The result of `work`, or `None` if it takes longer than `limit` of the emulator's time.
    pub async fn timeout<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            result = work => Some(result),
            () = self.sleep(limit) => None,
        }
    }

    /// Time of the machine since the clock was made; a manual clock's own.
    pub fn machine_elapsed(&self) -> Duration {
        match self.0.day {
            Day::Manual(_) => self.elapsed(),
            Day::System | Day::Since(_) => self.machine(),
        }
    }

    /// Waits until `duration` of the machine's time has passed. No change of the clock shortens that.
    pub async fn machine_sleep(&self, duration: Duration) {
        match self.0.day {
            Day::Manual(_) => self.sleep(duration).await,
            Day::System | Day::Since(_) => tokio::time::sleep(duration).await,
        }
    }

    /// The result of `work`, or `None` if it takes longer than `limit` of the machine's time: for limits that a client counts in its own.
    pub async fn machine_timeout<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::select! {
            biased;
            result = work => Some(result),
            () = self.machine_sleep(limit) => None,
        }
    }

    /// Waits until nothing is `left`, which is emulated time.
    async fn wait(&self, left: impl Fn(&Self) -> Duration) {
        let mut changes = self.changes();
        loop {
            let left = left(self);
            if left.is_zero() {
                return;
            }
            let timer = self.timeline().machine_time(left);
            tokio::select! {
                () = changes.changed() => {}
                () = tokio::time::sleep(timer.unwrap_or_default()), if timer.is_some() => {}
            }
        }
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Timeline, Duration) -> Result<(), ClockError>,
    ) -> Result<(), ClockError> {
        if matches!(self.0.day, Day::Manual(_)) {
            return Err(ClockError::Manual);
        }
        let mut result = Ok(());
        self.0.timeline.send_if_modified(|timeline| {
            result = change(timeline, self.machine());
            result.is_ok()
        });
        result
    }

    fn timeline(&self) -> Timeline {
        *self.0.timeline.borrow()
    }

    /// Time of the machine since the clock was made; none passes beside a manual clock.
    fn machine(&self) -> Duration {
        match self.0.day {
            Day::Manual(_) => Duration::ZERO,
            Day::System | Day::Since(_) => self.0.started.elapsed(),
        }
    }

    /// The machine's time of day, since 1970.
    fn machine_day(&self, machine: Duration) -> Duration {
        match self.0.day {
            Day::System => system_day(),
            Day::Since(began) | Day::Manual(began) => Duration::from_millis(began) + machine,
        }
    }
}

impl ClockHand {
    /// Sets the time of day, Unix milliseconds.
    pub fn set(&self, unix_ms: u64) {
        let Clock(shared) = &self.0;
        let ahead = Duration::from_millis(unix_ms).as_nanos() as i128
            - self.0.machine_day(Duration::ZERO).as_nanos() as i128;
        let set = |timeline: &mut Timeline| timeline.set_ahead(ahead, Duration::ZERO);
        shared.timeline.send_modify(set);
    }

    /// Moves the time of day forward.
    pub fn advance(&self, duration: Duration) {
        self.set(self.0.unix_ms().saturating_add(whole_ms(duration)));
    }
}

impl ClockChanges {
    /// Waits for the next change. Safe to be dropped and called again.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            // The clock is gone, and with it what could change.
            std::future::pending::<()>().await;
        }
    }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// As far from `to` as `unix_ms` is from `from`.
const fn shifted(unix_ms: u64, from: u64, to: u64) -> u64 {
    if to >= from {
        unix_ms.saturating_add(to - from)
    } else {
        unix_ms.saturating_sub(from - to)
    }
}

fn unix_ms_of(day: Duration, ahead_ns: i128) -> u64 {
    let ns = i128::try_from(day.as_nanos()).unwrap_or(i128::MAX);
    let ms = ns.saturating_add(ahead_ns).max(0) / 1_000_000;
    u64::try_from(ms).unwrap_or(u64::MAX)
}

fn system_day() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// The system's time of day, Unix milliseconds. For time stamps that are for reading only, such as those in the texts of
/// refusals; everything else asks a [`Clock`].
pub fn system_unix_ms() -> u64 {
    whole_ms(system_day())
}
