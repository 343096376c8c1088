//! Who used which share of the hubs' sends and daily blocks today.

use std::fmt;
use std::future::Future;

use drawspan_hub::limits::Rate;
use drawspan_hub::{DeviceId, HostName, UtcTime};

use super::{DeviceError, Prefix};

/// A limit that each device has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceLimit {
    /// The setting `device_rate`: messages in a time.
    Rate(Rate),
    /// The setting `device_daily_blocks`: blocks of 4 KB per UTC day.
    DailyBlocks(u32),
}

impl fmt::Display for DeviceLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate(rate) if rate.per_minute.is_multiple_of(60) => {
                write!(f, "{} messages per second", rate.per_minute / 60)
            }
            Self::Rate(rate) => write!(f, "{} messages per minute", rate.per_minute),
            Self::DailyBlocks(blocks) => write!(f, "{blocks} blocks of 4 KB per day"),
        }
    }
}

/// What comes first in a list of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageOrder {
    /// Most blocks of 4 KB.
    Blocks,
    /// Most messages.
    Sends,
}

/// What is asked about today's use.
#[derive(Debug, Clone, PartialEq)]
pub struct UsageQuery {
    /// Only devices whose ids at the hub begin so.
    pub prefix: Prefix,
    /// Which devices come first.
    pub order: UsageOrder,
    /// Most devices in the answer.
    pub limit: usize,
}

/// Messages of a UTC day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Messages that the hub accepted, or may have accepted.
    pub sends: u64,
    /// Blocks of 4 KB that they count as in the hub's daily quota.
    pub blocks: u64,
}

/// What a hub's devices used today.
#[derive(Debug, Clone, PartialEq)]
pub struct HubUsage {
    /// The hub.
    pub hub: HostName,
    /// Its quota of blocks per day, if its size is known.
    pub daily_blocks: Option<u64>,
    /// Devices that sent.
    pub devices: u64,
    /// What they used.
    pub used: Used,
}

/// What a device used today.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceUsage {
    /// Its id at the hub.
    pub device: DeviceId,
    /// The hub.
    pub hub: HostName,
    /// What it used.
    pub used: Used,
}

/// Today's use.
#[derive(Debug, Clone, PartialEq)]
pub struct Usage {
    /// Since when messages have been counted: 00:00 UTC, or the start of this process.
    pub since: UtcTime,
    /// When counting begins anew: the next 00:00 UTC.
    pub until: UtcTime,
    /// Sums of each hub.
    pub hubs: Vec<HubUsage>,
    /// The devices that used most.
    pub devices: Vec<DeviceUsage>,
    /// Limits that each device has.
    pub limits: Vec<DeviceLimit>,
}

/// Today's use.
pub trait UsageReports {
    /// Who used how much today.
    fn usage(&self, query: UsageQuery) -> impl Future<Output = Result<Usage, DeviceError>> + Send;
}
