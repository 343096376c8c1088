//! The shapers and the quota of one hub.

use std::time::Duration;

use drawspan_hub::ErrorCode;
use drawspan_hub::limits::Rate;

use super::class::OperationClass;
use super::quota::Quota;
use super::rate_limits::{ClassLimit, RateLimits};
use super::shaper::{Admission, Refusal, Shaper};

/// The time, on both of a hub's clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since the clock was made, which never goes backwards. Rates go by it.
    pub elapsed: Duration,
    /// The time of day, Unix milliseconds. The quota's days go by it.
    pub unix_ms: u64,
}

/// What a hub has taken of late, under the limits in force.
#[derive(Clone, Debug)]
pub struct Throttle {
    limits: RateLimits,
    classes: [Class; OperationClass::COUNT],
    quota: Option<Quota>,
}

#[derive(Clone, Debug, Default)]
enum Class {
    #[default]
    Unlimited,
    NotInTier,
    Shaped(Box<Shaper>),
}

/// What goes on in a class that has a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassState {
    /// The class.
    pub class: OperationClass,
    /// Its rate; `None` if the tier does not have it.
    pub rate: Option<Rate>,
    /// Operations that would pass at once.
    pub free: u64,
    /// Operations that wait.
    pub waiting: u64,
}

/// What is used of the daily quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaState {
    /// Messages of a day.
    pub limit: u64,
    /// Messages of today.
    pub used: u64,
}

impl Throttle {
    /// A hub under these limits, of which nothing is used.
    pub fn new(limits: RateLimits, now: Now) -> Self {
        let mut throttle = Self {
            limits: RateLimits::default(),
            classes: Default::default(),
            quota: None,
        };
        throttle.replace(limits, now);
        throttle
    }

    /// Puts other limits in force. What waits keeps its time; today's messages stay counted while there is a quota.
    pub fn replace(&mut self, limits: RateLimits, now: Now) {
        for (class, slot) in OperationClass::ALL.into_iter().zip(&mut self.classes) {
            *slot = match (limits.class(class), std::mem::take(slot)) {
                (ClassLimit::Unlimited, _) => Class::Unlimited,
                (ClassLimit::NotInTier, _) => Class::NotInTier,
                (ClassLimit::Shaped(rate, shape), Class::Shaped(mut shaper)) => {
                    shaper.replace(rate, shape, now.elapsed);
                    Class::Shaped(shaper)
                }
                (ClassLimit::Shaped(rate, shape), _) => {
                    Class::Shaped(Box::new(Shaper::new(rate, shape, now.elapsed)))
                }
            };
        }
        let meter = limits.meter_bytes() as u64;
        self.quota = limits.quota().map(|limit| match self.quota {
            Some(quota) => quota.with_limit(limit, meter),
            None => Quota::new(limit, meter, now.unix_ms),
        });
        self.limits = limits;
    }

    /// The limits in force.
    pub const fn limits(&self) -> &RateLimits {
        &self.limits
    }

    /// Whether nothing is limited, so that nothing needs to be asked for.
    pub fn is_off(&self) -> bool {
        let mut classes = self.classes.iter();
        self.quota.is_none() && classes.all(|class| matches!(class, Class::Unlimited))
    }

    /// Whether the hub's tier has operations of a class at all.
    pub fn has(&self, class: OperationClass) -> bool {
        let slot = self.classes.get(class.index());
        !matches!(slot, Some(Class::NotInTier))
    }

    /// Takes in operations of a class that come together, if they may pass. `cost` counts for the rate; the quota goes by the
    /// `sizes` of their data in bytes, each at least one message.
    pub fn admit(
        &mut self,
        class: OperationClass,
        cost: u64,
        sizes: impl IntoIterator<Item = usize>,
        now: Now,
    ) -> Admission {
        let shaper = match self.classes.get_mut(class.index()) {
            Some(Class::NotInTier) => {
                let code = ErrorCode::OPERATION_NOT_AVAILABLE_IN_CURRENT_TIER;
                return Admission::Refused(Refusal::lasting(code));
            }
            Some(Class::Shaped(shaper)) => Some(shaper),
            Some(Class::Unlimited) | None => None,
        };
        let quota = self.quota.as_mut().filter(|_| class.is_metered());
        let messages = quota.as_ref().map_or(0, |quota| quota.blocks(sizes));
        if quota
            .as_ref()
            .is_some_and(|it| !it.has_room(messages.max(1), now.unix_ms))
        {
            return Admission::Refused(Refusal {
                code: ErrorCode::QUOTA_EXCEEDED,
                retry_after: Duration::from_millis(Quota::resets_in_ms(now.unix_ms)),
            });
        }
        let admission = shaper.map_or(Admission::Now, |shaper| shaper.admit(cost, now.elapsed));
        if let (Some(quota), Admission::Now | Admission::At(_)) = (quota, admission) {
            quota.count(messages, now.unix_ms);
        }
        admission
    }

    /// Counts data of these sizes as messages, for operations whose size was not known when they were admitted. Beyond the quota
    /// too: it is the next operation that is refused.
    pub fn charge(&mut self, sizes: impl IntoIterator<Item = usize>, now: Now) {
        if let Some(quota) = &mut self.quota {
            quota.count(quota.blocks(sizes), now.unix_ms);
        }
    }

    /// What goes on in the classes that have limits.
    pub fn classes(&self, now: Now) -> Vec<ClassState> {
        let state = |(class, slot): (OperationClass, &Class)| match slot {
            Class::Unlimited => None,
            Class::NotInTier => Some(ClassState {
                class,
                rate: None,
                free: 0,
                waiting: 0,
            }),
            Class::Shaped(shaper) => Some(ClassState {
                class,
                rate: Some(shaper.rate()),
                free: shaper.free(now.elapsed),
                waiting: shaper.waiting(now.elapsed),
            }),
        };
        let all = OperationClass::ALL.into_iter().zip(&self.classes);
        all.filter_map(state).collect()
    }

    /// What is used of the daily quota, if there is one.
    pub fn quota(&self, now: Now) -> Option<QuotaState> {
        self.quota.map(|quota| QuotaState {
            limit: quota.limit(),
            used: quota.used(now.unix_ms),
        })
    }
}
