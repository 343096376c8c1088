//! The body of `GET /usage`.

use drawspan_gateway as gateway;
use serde::Serialize;
use utoipa::ToSchema;

use crate::words::{DeviceId, Time};

/// What devices used today of their hubs' sends and daily quota.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage<'a> {
    /// Time since which messages have been counted: 00:00 UTC, or the start of the bridge if that was later. Counts do not survive a
    /// restart.
    since: Time,
    /// Time at which counting begins anew: the next 00:00 UTC.
    until: Time,
    /// Messages per second that each device may send, or fewer: the setting `device_rate`.
    #[schema(required)]
    device_rate: Option<f64>,
    /// Blocks of 4 KB that each device may send per day: the setting `device_daily_blocks`.
    #[schema(required)]
    device_daily_blocks: Option<u32>,
    /// Sums of each hub, over the devices that the key is for and the query asks for.
    hubs: Vec<HubUsage<'a>>,
    /// The devices that used most.
    devices: Vec<DeviceUsage<'a>>,
}

/// What the devices of a hub used today.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct HubUsage<'a> {
    /// Host name of the hub.
    hub: &'a str,
    /// Blocks of 4 KB that the hub accepts per day; null unless the setting `hub_size` says so.
    #[schema(required)]
    daily_blocks: Option<u64>,
    /// Number of devices that sent.
    devices: u64,
    /// Number of messages.
    sends: u64,
    /// Blocks of 4 KB that these messages count as.
    blocks: u64,
}

/// What a device used today.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeviceUsage<'a> {
    /// The device, by its id at the hub.
    #[schema(value_type = DeviceId)]
    device_id: &'a str,
    /// Host name of the hub.
    hub: &'a str,
    /// Number of messages.
    sends: u64,
    /// Blocks of 4 KB that these messages count as.
    blocks: u64,
    /// Its part of the hub's messages in `hubs`, from 0 to 1.
    sends_share: f64,
    /// Its part of the hub's blocks in `hubs`, from 0 to 1.
    blocks_share: f64,
}

impl<'a> Usage<'a> {
    /// Today's use, as the gateway returned it.
    #[must_use]
    pub fn new(usage: &'a gateway::Usage) -> Self {
        let rate = usage.limits.iter().find_map(|limit| match limit {
            gateway::DeviceLimit::Rate(rate) => Some(rate.per_minute as f64 / 60.0),
            gateway::DeviceLimit::DailyBlocks(_) => None,
        });
        let blocks = usage.limits.iter().find_map(|limit| match limit {
            gateway::DeviceLimit::DailyBlocks(blocks) => Some(*blocks),
            gateway::DeviceLimit::Rate(_) => None,
        });
        let devices = usage.devices.iter();
        Self {
            since: Time(usage.since),
            until: Time(usage.until),
            device_rate: rate,
            device_daily_blocks: blocks,
            hubs: usage.hubs.iter().map(HubUsage::new).collect(),
            devices: devices
                .map(|device| DeviceUsage::new(device, usage))
                .collect(),
        }
    }
}

impl<'a> HubUsage<'a> {
    fn new(usage: &'a gateway::HubUsage) -> Self {
        Self {
            hub: usage.hub.as_str(),
            daily_blocks: usage.daily_blocks,
            devices: usage.devices,
            sends: usage.used.sends,
            blocks: usage.used.blocks,
        }
    }
}

impl<'a> DeviceUsage<'a> {
    fn new(device: &'a gateway::DeviceUsage, all: &gateway::Usage) -> Self {
        let of_hub = all.hubs.iter().find(|hub| hub.hub == device.hub);
        let sum = of_hub.map_or(device.used, |hub| hub.used);
        Self {
            device_id: device.device.as_str(),
            hub: device.hub.as_str(),
            sends: device.used.sends,
            blocks: device.used.blocks,
            sends_share: share(device.used.sends, sum.sends),
            blocks_share: share(device.used.blocks, sum.blocks),
        }
    }
}

/// To a hundredth of a percent.
fn share(part: u64, of: u64) -> f64 {
    let share = part as f64 / of.max(1) as f64;
    (share * 10_000.0).round() / 10_000.0
}
