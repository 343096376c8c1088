//! How often the provisioning service may be asked.

use std::collections::HashMap;
use std::time::Duration;

use drawspan_hub::RegistrationId;
use drawspan_hub::limits::Rate;

use crate::limits::POLLING_DEVICES_MAX;
use crate::throttle::{Admission, ClassLimit, OperationClass, RateLimits, Shape, Shaper};

/// The rates of a provisioning service: of registrations, of all operations, and of each device's polls. It has nobody wait, and
/// says when to come again.
#[derive(Debug, Default)]
pub struct DpsThrottle {
    limits: RateLimits,
    registrations: Option<Shaper>,
    operations: Option<Shaper>,
    polls: Option<(Rate, Shape)>,
    /// Those that have polled lately.
    by_device: HashMap<RegistrationId, Shaper>,
}

impl DpsThrottle {
    /// A service under these limits, of which nothing is used.
    pub fn new(limits: RateLimits, now: Duration) -> Self {
        let mut throttle = Self::default();
        throttle.replace(limits, now);
        throttle
    }

    /// Puts other limits in force.
    pub fn replace(&mut self, limits: RateLimits, now: Duration) {
        let shaper = |class, before: Option<Shaper>| match (limits.class(class), before) {
            (ClassLimit::Shaped(rate, shape), Some(mut shaper)) => {
                shaper.replace(rate, shape, now);
                Some(shaper)
            }
            (ClassLimit::Shaped(rate, shape), None) => Some(Shaper::new(rate, shape, now)),
            (ClassLimit::Unlimited | ClassLimit::NotInTier, _) => None,
        };
        let registrations = self.registrations.take();
        self.registrations = shaper(OperationClass::DpsRegistrations, registrations);
        self.operations = shaper(OperationClass::DpsOperations, self.operations.take());
        self.polls = match limits.class(OperationClass::DpsPolls) {
            ClassLimit::Shaped(rate, shape) => Some((rate, shape)),
            ClassLimit::Unlimited | ClassLimit::NotInTier => None,
        };
        self.by_device.clear();
        self.limits = limits;
    }

    /// The limits in force.
    pub const fn limits(&self) -> &RateLimits {
        &self.limits
    }

    /// Takes a registration in.
    ///
    /// # Errors
    /// After how many seconds there will be room for one, if there is none now.
    pub fn register(&mut self, now: Duration) -> Result<(), u32> {
        self.look_up(now)?;
        take(self.registrations.as_mut(), now)
    }

    /// Takes a look-up in.
    ///
    /// # Errors
    /// As for [`register`](Self::register).
    pub fn look_up(&mut self, now: Duration) -> Result<(), u32> {
        take(self.operations.as_mut(), now)
    }

    /// Takes a device's poll in.
    ///
    /// # Errors
    /// As for [`register`](Self::register).
    pub fn poll(&mut self, id: &RegistrationId, now: Duration) -> Result<(), u32> {
        let Some((rate, shape)) = self.polls else {
            return Ok(());
        };
        if !self.by_device.contains_key(id) && self.by_device.len() >= POLLING_DEVICES_MAX {
            self.by_device.retain(|_, shaper| !shaper.is_idle(now));
            if self.by_device.len() >= POLLING_DEVICES_MAX {
                // So many at a time are no fleet: the count of all begins anew.
                self.by_device.clear();
            }
        }
        let device = self.by_device.entry(id.clone());
        take(
            Some(device.or_insert_with(|| Shaper::new(rate, shape, now))),
            now,
        )
    }
}

fn take(shaper: Option<&mut Shaper>, now: Duration) -> Result<(), u32> {
    if shaper.as_ref().is_some_and(|it| it.rate().per_minute == 0) {
        // Not even one in a minute.
        return Err(60);
    }
    match shaper.map_or(Admission::Now, |shaper| shaper.admit(1, now)) {
        Admission::Now => Ok(()),
        Admission::At(at) => Err(seconds(at.saturating_sub(now))),
        Admission::Refused(refusal) => Err(seconds(refusal.retry_after)),
    }
}

/// Rounded up, so that it is not too early to come again then.
fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn throttle(words: &str) -> DpsThrottle {
        let mut limits = RateLimits::default();
        for word in words.split(' ') {
            limits.apply(word).unwrap();
        }
        DpsThrottle::new(limits, Duration::ZERO)
    }

    #[test]
    fn registrations_and_look_ups_are_a_thousand_in_a_minute() {
        let mut dps = throttle("S1");
        for _ in 0..500 {
            assert_eq!(dps.register(at(1)), Ok(()));
            assert_eq!(dps.look_up(at(1)), Ok(()));
        }
        assert_eq!(dps.register(at(1)), Err(1));
        assert_eq!(dps.register(at(2)), Ok(()));
        let mut off = throttle("off");
        assert!((0..5_000).all(|_| off.register(at(1)).is_ok()));
    }

    #[test]
    fn a_first_time_fleet_registers_in_the_documented_time() {
        let mut dps = throttle("S1");
        let (mut now, mut left) = (0, 100_000);
        while left > 0 {
            now += 1;
            while left > 0 && dps.register(at(now)).is_ok() {
                left -= 1;
            }
        }
        // The first minute's are taken at once, in the first second.
        assert_eq!(now, 1 + 6_000 - 60);
    }

    #[test]
    fn each_device_polls_five_times_in_ten_seconds() {
        let mut dps = throttle("S1");
        let [one, other] = ["a", "b"].map(|id| RegistrationId::parse(id).unwrap());
        for _ in 0..5 {
            assert_eq!(dps.poll(&one, at(1)), Ok(()));
        }
        assert_eq!(dps.poll(&one, at(1)), Err(2));
        assert_eq!(dps.poll(&other, at(1)), Ok(()));
        assert_eq!(dps.poll(&one, at(3)), Ok(()));
        assert_eq!(dps.poll(&one, at(3)), Err(2));
    }

    #[test]
    fn a_limit_says_when_to_come_again() {
        let ms = Duration::from_millis;
        let mut dps = throttle("dps-registrations=120/min");
        assert!((0..120).all(|_| dps.register(ms(0)).is_ok()));
        assert_eq!(dps.register(ms(0)), Err(1));
        assert_eq!(dps.register(ms(499)), Err(1));
        assert_eq!(dps.register(ms(500)), Ok(()));
        assert_eq!(dps.register(ms(500)), Err(1));
        assert!((0..120).all(|_| dps.register(at(3_600)).is_ok()));
        assert_eq!(dps.register(at(3_600)), Err(1));
        let mut slow = throttle("dps-registrations=1/min");
        assert_eq!(
            (slow.register(at(0)), slow.register(at(1))),
            (Ok(()), Err(59))
        );
        let none = Rate::per_minute(0);
        let none = RateLimits::default().with_rate(OperationClass::DpsRegistrations, none);
        let mut none = DpsThrottle::new(none, Duration::ZERO);
        assert_eq!(none.register(at(1)), Err(60));
    }
}
