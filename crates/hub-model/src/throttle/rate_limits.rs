//! The limits that are in force at a hub, as one value.

use std::time::Duration;

use drawspan_hub::limits::{HubSize, Rate};

use super::class::OperationClass;
use super::shaper::Shape;
use crate::limits::{
    CONNECT_BURST, DPS_BURST, DPS_POLL_BURST, OPERATION_BURST, OPERATION_QUEUE, OPERATION_WAIT,
};

/// Which rates, which quota, and what is done beyond them. The default limits nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimits {
    pub(super) size: Option<HubSize>,
    pub(super) classes: [ClassSetting; OperationClass::COUNT],
    pub(super) quota: QuotaSetting,
    pub(super) wait: Duration,
    pub(super) retry_after_s: Option<u32>,
    pub(super) over_quota: OverQuota,
    pub(super) connack: ConnackRefusal,
}

/// What an AMQP sender hears of a message beyond the daily quota. The message is not stored in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OverQuota {
    /// `rejected` with `amqp:resource-limit-exceeded`, which clients know.
    #[default]
    Rejected,
    /// `accepted`, which was seen in the field.
    Accepted,
}

/// How an MQTT connection above the rate is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnackRefusal {
    /// It is closed without CONNACK.
    #[default]
    Close,
    /// CONNACK with return code 3 comes first.
    Unavailable,
}

/// The limit of a class of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassLimit {
    /// There is none.
    Unlimited,
    /// The tier does not have the operation at all.
    NotInTier,
    /// This rate.
    Shaped(Rate, Shape),
}

/// What is said of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ClassSetting {
    pub(super) rate: RateSetting,
    pub(super) burst: Option<Duration>,
    pub(super) queue: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum RateSetting {
    /// That of the hub's size, if it has one.
    #[default]
    OfSize,
    /// None.
    Off,
    /// This one.
    Own(Rate),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum QuotaSetting {
    /// That of the hub's size, if it has one.
    #[default]
    OfSize,
    /// None.
    Off,
    /// So many messages a day.
    Own(u64),
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            size: None,
            classes: Default::default(),
            quota: QuotaSetting::OfSize,
            wait: OPERATION_WAIT,
            retry_after_s: None,
            over_quota: OverQuota::default(),
            connack: ConnackRefusal::default(),
        }
    }
}

impl RateLimits {
    /// Those of a hub of this size.
    pub fn of(size: HubSize) -> Self {
        Self {
            size: Some(size),
            ..Self::default()
        }
    }

    /// The same with a rate for one class.
    #[must_use]
    pub fn with_rate(mut self, class: OperationClass, rate: Rate) -> Self {
        if let Some(setting) = self.classes.get_mut(class.index()) {
            setting.rate = RateSetting::Own(rate);
        }
        self
    }

    /// The hub's size, if it has one.
    pub const fn size(&self) -> Option<HubSize> {
        self.size
    }

    /// The limit of a class.
    pub fn class(&self, class: OperationClass) -> ClassLimit {
        let setting = self.setting(class);
        let lacks = |size: HubSize| class.is_standard_only() && !size.sku().has_cloud_to_device();
        let rate = match (setting.rate, self.size) {
            (_, Some(size)) if lacks(size) => return ClassLimit::NotInTier,
            (RateSetting::Own(rate), _) => rate,
            (RateSetting::OfSize, Some(size)) => class.rate_of(size),
            (RateSetting::OfSize, None) | (RateSetting::Off, _) => return ClassLimit::Unlimited,
        };
        ClassLimit::Shaped(rate, self.shape(class))
    }

    /// How operations of a class are treated that are above its rate.
    pub fn shape(&self, class: OperationClass) -> Shape {
        let setting = self.setting(class);
        let (burst, queue) = match class {
            OperationClass::Connects => (CONNECT_BURST, OPERATION_QUEUE),
            // The provisioning service says when to come again, and has nobody wait: see [`DpsThrottle`](crate::dps::DpsThrottle).
            OperationClass::DpsPolls => (DPS_POLL_BURST, Duration::ZERO),
            OperationClass::DpsRegistrations | OperationClass::DpsOperations => {
                (DPS_BURST, Duration::ZERO)
            }
            _ => (OPERATION_BURST, OPERATION_QUEUE),
        };
        Shape {
            burst: setting.burst.unwrap_or(burst),
            queue: setting
                .queue
                .filter(|_| !class.is_of_dps())
                .unwrap_or(queue),
            wait: self.wait,
        }
    }

    /// Messages of a day; `None` sets no limit.
    pub const fn quota(&self) -> Option<u64> {
        match (self.quota, self.size) {
            (QuotaSetting::Own(messages), _) => Some(messages),
            (QuotaSetting::OfSize, Some(size)) => Some(size.messages_per_day()),
            (QuotaSetting::OfSize, None) | (QuotaSetting::Off, _) => None,
        }
    }

    /// The size of data that counts as one message, in bytes.
    pub const fn meter_bytes(&self) -> usize {
        match self.size {
            Some(size) => size.sku().meter_bytes(),
            None => HubSize::S1.sku().meter_bytes(),
        }
    }

    /// Seconds in `Retry-After` of HTTPS answers with 429; `None` leaves the header out, as no documentation of a hub's shows one.
    pub const fn retry_after_s(&self) -> Option<u32> {
        self.retry_after_s
    }

    /// What an AMQP sender hears beyond the quota.
    pub const fn over_quota(&self) -> OverQuota {
        self.over_quota
    }

    /// How an MQTT connection above the rate is refused.
    pub const fn connack(&self) -> ConnackRefusal {
        self.connack
    }

    pub(super) fn setting(&self, class: OperationClass) -> ClassSetting {
        self.classes.get(class.index()).copied().unwrap_or_default()
    }
}
