//! What devices used of their hubs' sends and daily blocks today, and the limits of each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drawspan_fleet::usage::{DeviceLimits, Entry, Excess, Report, Sort, UsageTable};
use drawspan_fleet::{Now, ServiceId};
use drawspan_gateway::{
    DeviceError, DeviceLimit, DeviceUsage, HubUsage, Usage, UsageOrder, UsageQuery, UsageReports,
    Used,
};
use drawspan_hub::limits::{HubSize, Rate};
use drawspan_hub::{DeviceId, HostName, UtcTime};
use drawspan_metrics::{Counter, Metric, Page, Sample};
use tokio::sync::Semaphore;

use super::gateway::Gateway;
use super::operation::Operation;
use super::routes::Route;
use super::unix;
use crate::limits::USAGE_REPORTS_AT_ONCE;

const DAY_S: u64 = 86_400;

/// The use of all devices, and their limits.
#[derive(Debug)]
pub(super) struct UsageCounts {
    table: UsageTable,
    limits: DeviceLimits,
    size: Option<HubSize>,
    /// When this process started.
    started: Duration,
    over_rate: Counter,
    over_daily_blocks: Counter,
    turn: Arc<Semaphore>,
}

impl UsageCounts {
    /// `started` is the time since 1970.
    pub(super) fn new(limits: DeviceLimits, size: Option<HubSize>, started: Duration) -> Self {
        Self {
            table: UsageTable::default(),
            limits,
            size,
            started,
            over_rate: Counter::default(),
            over_daily_blocks: Counter::default(),
            turn: Arc::new(Semaphore::new(USAGE_REPORTS_AT_ONCE)),
        }
    }

    pub(super) fn tell(&self, page: &mut Page) {
        let refused = [
            ("rate", &self.over_rate),
            ("dailyBlocks", &self.over_daily_blocks),
        ];
        let refused = refused.map(|(limit, counter)| Sample::of([limit], counter.get()));
        page.add(Metric::OverDeviceLimit, refused);
    }

    fn over(&self, excess: Excess) -> DeviceError {
        let (limit, retry_in) = match excess {
            Excess::Rate { retry_in } => {
                self.over_rate.add();
                let rate = self.limits.rate.unwrap_or(Rate::per_minute(0));
                (DeviceLimit::Rate(rate), retry_in)
            }
            Excess::DailyBlocks { retry_in } => {
                self.over_daily_blocks.add();
                let blocks = self.limits.daily_blocks.unwrap_or_default();
                (DeviceLimit::DailyBlocks(blocks), retry_in)
            }
        };
        DeviceError::OverLimit {
            limit,
            // Whole seconds, so that it is not too early.
            retry_after_s: retry_in.as_secs() + u64::from(retry_in.subsec_nanos() > 0),
        }
    }

    fn limits(&self) -> Vec<DeviceLimit> {
        let rate = self.limits.rate.map(DeviceLimit::Rate);
        let blocks = self.limits.daily_blocks.map(DeviceLimit::DailyBlocks);
        [rate, blocks].into_iter().flatten().collect()
    }

    fn report(&self, query: &UsageQuery, unix_s: u64) -> Report {
        let sort = match query.order {
            UsageOrder::Blocks => Sort::Blocks,
            UsageOrder::Sends => Sort::Sends,
        };
        let is_all = query.prefix.as_str().is_empty();
        let shows = |device: &DeviceId| query.prefix.covers(device);
        self.table
            .report(shows, is_all, (sort, query.limit), unix_s)
    }
}

/// A message that was counted before it was sent. It is given back when this is dropped, unless the hub may have it.
#[derive(Debug)]
pub(super) struct Charge {
    entry: Arc<Entry>,
    blocks: u32,
    may_be_there: bool,
}

impl Charge {
    /// The message is about to be written, or its fate is known.
    pub(super) const fn may_be_there(&mut self, may_be_there: bool) {
        self.may_be_there = may_be_there;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if !self.may_be_there {
            self.entry.usage.refund(self.blocks, unix().as_secs());
        }
    }
}

impl Gateway {
    /// Refuses a message of a device that is not connected and above its limits: connecting it would cost others a turn.
    pub(super) fn check_limits(
        &self,
        device: &DeviceId,
        operation: &Operation,
        now: Duration,
    ) -> Result<(), DeviceError> {
        let Operation::Send(_, blocks) = operation else {
            return Ok(());
        };
        let counts = &self.usage;
        if !counts.limits.any() {
            return Ok(());
        }
        let Some(entry) = counts.table.find(&self.usage_key(device)) else {
            return Ok(());
        };
        let checked = entry.usage.check(*blocks, &counts.limits, at(now));
        checked.map_err(|excess| counts.over(excess))
    }

    /// Counts a message, or refuses it because its device is above its limits.
    pub(super) fn charge(
        &self,
        device: &DeviceId,
        route: &Route,
        operation: &Operation,
        now: Duration,
    ) -> Result<Option<Charge>, DeviceError> {
        let Operation::Send(_, blocks) = operation else {
            return Ok(None);
        };
        let counts = &self.usage;
        let now = at(now);
        let entry = route.usage(|| {
            let key = self.usage_key(device);
            counts
                .table
                .of(&key, &route.identity, route.hub, now.unix_s)
        });
        let charged = entry.usage.charge(*blocks, &counts.limits, now);
        charged.map_err(|excess| counts.over(excess))?;
        Ok(Some(Charge {
            entry: Arc::clone(entry),
            blocks: *blocks,
            may_be_there: false,
        }))
    }

    fn usage_key(&self, device: &DeviceId) -> DeviceId {
        use drawspan_gateway::DeviceGateway as _;
        self.identity(device)
    }

    fn host_of(
        &self,
        hub: ServiceId,
        hosts: &mut BTreeMap<ServiceId, HostName>,
    ) -> Option<HostName> {
        if let Some(host) = hosts.get(&hub) {
            return Some(host.clone());
        }
        let host = self.health.host(hub)?;
        hosts.insert(hub, host.clone());
        Some(host)
    }
}

impl UsageReports for Gateway {
    async fn usage(&self, query: UsageQuery) -> Result<Usage, DeviceError> {
        let permit = Arc::clone(&self.usage.turn).acquire_owned().await;
        let counts = Arc::clone(&self.usage);
        let now_s = unix().as_secs();
        // It looks at every device that sent today.
        let report = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            counts.report(&query, now_s)
        });
        let report = report.await.map_err(|_| DeviceError::NotReady)?;
        let mut hosts = BTreeMap::new();
        let midnight_s = now_s - now_s % DAY_S;
        let since = self.usage.started.max(Duration::from_secs(midnight_s));
        // A basic or standard hub's; a free one counts smaller blocks.
        let size = self
            .usage
            .size
            .filter(|size| size.sku().meter_bytes() == drawspan_fleet::usage::BLOCK_BYTES);
        let mut hubs = Vec::with_capacity(report.hubs.len());
        for (hub, totals) in report.hubs {
            hubs.extend(self.host_of(hub, &mut hosts).map(|hub| HubUsage {
                hub,
                daily_blocks: size.map(HubSize::messages_per_day),
                devices: totals.devices,
                used: used(totals.used),
            }));
        }
        let mut devices = Vec::with_capacity(report.devices.len());
        for listed in report.devices {
            devices.extend(self.host_of(listed.hub, &mut hosts).map(|hub| DeviceUsage {
                device: listed.device,
                hub,
                used: used(listed.used),
            }));
        }
        Ok(Usage {
            since: utc(since),
            until: utc(Duration::from_secs(midnight_s + DAY_S)),
            hubs,
            devices,
            limits: self.usage.limits(),
        })
    }
}

fn at(monotonic: Duration) -> Now {
    Now {
        monotonic,
        unix_s: unix().as_secs(),
    }
}

const fn used(used: drawspan_fleet::usage::Used) -> Used {
    Used {
        sends: used.sends,
        blocks: used.blocks,
    }
}

fn utc(time: Duration) -> UtcTime {
    UtcTime::from_unix_ms(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}
