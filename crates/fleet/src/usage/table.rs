//! The usage of all devices that sent today.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drawspan_hub::DeviceId;

use super::device_usage::{DeviceUsage, Used};
use crate::ServiceId;
use crate::limits::MAX_USED_DEVICES;

/// Parts of the table, each with its own lock.
const STRIPES: usize = 64;
const DAY_S: u64 = 86_400;

/// A device that sent today.
#[derive(Debug)]
pub struct Entry {
    /// Its id at its hub.
    pub device: DeviceId,
    /// Its counts.
    pub usage: DeviceUsage,
    hub: AtomicU16,
}

/// Devices that sent today, by id. A device is looked up when it sends its first message on a connection; its sender keeps the entry.
/// Beyond [`MAX_USED_DEVICES`] the half of the devices that used least is left out, except for those that are connected; what these
/// used is still in the totals.
#[derive(Debug)]
pub struct UsageTable {
    stripes: Vec<Mutex<Stripe>>,
    hasher: std::hash::RandomState,
    most: usize,
}

#[derive(Debug, Default)]
struct Stripe {
    day: u64,
    entries: HashMap<DeviceId, Arc<Entry>>,
    /// What devices used that were left out.
    left_out: BTreeMap<ServiceId, Totals>,
}

/// The order of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Most blocks first.
    Blocks,
    /// Most messages first.
    Sends,
}

/// Sums over devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many.
    pub devices: u64,
    /// What they used.
    pub used: Used,
}

/// A device in a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The device.
    pub device: DeviceId,
    /// Its hub.
    pub hub: ServiceId,
    /// What it used.
    pub used: Used,
}

/// What was used today.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Sums of each hub.
    pub hubs: BTreeMap<ServiceId, Totals>,
    /// The devices that used most, in order.
    pub devices: Vec<Listed>,
}

/// What decides, the device, its hub, messages and blocks.
type Ranked = (u64, Reverse<DeviceId>, ServiceId, u64, u64);

impl Sort {
    const fn key(self, used: Used) -> u64 {
        match self {
            Self::Blocks => used.blocks,
            Self::Sends => used.sends,
        }
    }
}

impl Totals {
    fn add(&mut self, used: Used) {
        self.devices += 1;
        self.used += used;
    }
}

impl Entry {
    fn hub(&self) -> ServiceId {
        ServiceId::of(self.hub.load(Ordering::Relaxed))
    }
}

impl Default for UsageTable {
    fn default() -> Self {
        Self::with_most(MAX_USED_DEVICES)
    }
}

impl UsageTable {
    fn with_most(most: usize) -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            hasher: std::hash::RandomState::new(),
            most: most / STRIPES,
        }
    }

    /// The entry of a device that is about to send. `key` is the same for all spellings of a device; `device` is its id at `hub`.
    #[must_use]
    pub fn of(&self, key: &DeviceId, device: &DeviceId, hub: ServiceId, unix_s: u64) -> Arc<Entry> {
        let mut stripe = self.stripe(key);
        stripe.begin_day(unix_s);
        if let Some(entry) = stripe.entries.get(key) {
            entry.hub.store(hub.number(), Ordering::Relaxed);
            return Arc::clone(entry);
        }
        if stripe.entries.len() >= self.most {
            stripe.leave_out_half(unix_s);
        }
        let entry = Arc::new(Entry {
            device: device.clone(),
            usage: DeviceUsage::default(),
            hub: AtomicU16::new(hub.number()),
        });
        stripe.entries.insert(key.clone(), Arc::clone(&entry));
        entry
    }

    /// The entry of a device, if it sent today.
    #[must_use]
    pub fn find(&self, key: &DeviceId) -> Option<Arc<Entry>> {
        self.stripe(key).entries.get(key).cloned()
    }

    /// What the devices used today of which `shows` is true, and the `limit` of them that used most.
    #[must_use]
    pub fn report(
        &self,
        shows: impl Fn(&DeviceId) -> bool,
        with_left_out: bool,
        (sort, limit): (Sort, usize),
        unix_s: u64,
    ) -> Report {
        let mut report = Report::default();
        // The one that used least is on top, to be replaced.
        let mut top: BinaryHeap<Reverse<Ranked>> = BinaryHeap::new();
        for stripe in &self.stripes {
            let mut stripe = stripe.lock().unwrap_or_else(PoisonError::into_inner);
            stripe.begin_day(unix_s);
            for entry in stripe.entries.values() {
                let used = entry.usage.today(unix_s);
                if used == Used::default() || !shows(&entry.device) {
                    continue;
                }
                report.hubs.entry(entry.hub()).or_default().add(used);
                let key = sort.key(used);
                let is_full = top.len() >= limit;
                let least = top.peek().map(|Reverse((key, ..))| *key);
                if !is_full || least.is_some_and(|least| key > least) {
                    let device = Reverse(entry.device.clone());
                    top.push(Reverse((key, device, entry.hub(), used.sends, used.blocks)));
                }
                if top.len() > limit {
                    top.pop();
                }
            }
            for (hub, left_out) in stripe.left_out.iter().filter(|_| with_left_out) {
                let totals = report.hubs.entry(*hub).or_default();
                totals.devices += left_out.devices;
                totals.used += left_out.used;
            }
        }
        let sorted = top.into_sorted_vec().into_iter();
        report.devices = sorted
            .map(|Reverse((_, Reverse(device), hub, sends, blocks))| Listed {
                device,
                hub,
                used: Used { sends, blocks },
            })
            .collect();
        report
    }

    fn stripe(&self, key: &DeviceId) -> MutexGuard<'_, Stripe> {
        let hash = self.hasher.hash_one(key) as usize;
        let stripe = &self.stripes[hash % STRIPES];
        stripe.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stripe {
    /// Devices that have not sent today are forgotten, unless their senders know them.
    fn begin_day(&mut self, unix_s: u64) {
        let day = unix_s / DAY_S;
        if std::mem::replace(&mut self.day, day) == day {
            return;
        }
        self.left_out.clear();
        self.entries.retain(|_, entry| {
            Arc::strong_count(entry) > 1 || entry.usage.today(unix_s) != Used::default()
        });
        self.entries.shrink_to_fit();
    }

    fn leave_out_half(&mut self, unix_s: u64) {
        let used = |entry: &Entry| entry.usage.today(unix_s);
        let free = self
            .entries
            .values()
            .filter(|it| Arc::strong_count(it) == 1);
        let mut blocks: Vec<u64> = free.map(|entry| used(entry).blocks).collect();
        let middle = blocks.len() / 2;
        if blocks.is_empty() {
            return;
        }
        let (_, median, _) = blocks.select_nth_unstable(middle);
        let (median, mut left) = (*median, middle + 1);
        let left_out = &mut self.left_out;
        self.entries.retain(|_, entry| {
            let used = used(entry);
            let goes = left > 0 && Arc::strong_count(entry) == 1 && used.blocks <= median;
            if goes {
                left -= 1;
                left_out.entry(entry.hub()).or_default().add(used);
            }
            !goes
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Now;
    use crate::usage::DeviceLimits;

    const NOON_S: u64 = 86_400 * 20_000 + 43_200;
    const HUB: ServiceId = ServiceId::of(1);

    fn id(text: &str) -> DeviceId {
        DeviceId::parse(text).unwrap()
    }

    fn sends(table: &UsageTable, device: &str, hub: ServiceId, sends: u32, blocks: u32) {
        let device = id(device);
        let entry = table.of(&device, &device, hub, NOON_S);
        let now = Now {
            monotonic: std::time::Duration::ZERO,
            unix_s: NOON_S,
        };
        for _ in 0..sends {
            entry
                .usage
                .charge(blocks, &DeviceLimits::default(), now)
                .unwrap();
        }
    }

    fn all(table: &UsageTable, sort: Sort, limit: usize, unix_s: u64) -> Report {
        table.report(|_| true, true, (sort, limit), unix_s)
    }

    fn ids(report: &Report) -> Vec<&str> {
        let devices = report.devices.iter();
        devices.map(|listed| listed.device.as_str()).collect()
    }

    #[test]
    fn those_who_used_most_come_first_and_all_are_in_the_sums() {
        let table = UsageTable::default();
        sends(&table, "a", HUB, 1, 30);
        sends(&table, "b", HUB, 10, 1);
        sends(&table, "c", ServiceId::of(2), 4, 2);
        sends(&table, "idle", HUB, 0, 0);
        let report = all(&table, Sort::Blocks, 2, NOON_S);
        assert_eq!(ids(&report), ["a", "b"]);
        assert_eq!(report.hubs[&HUB].devices, 2);
        assert_eq!(report.hubs[&HUB].used.blocks, 40);
        assert_eq!(report.hubs[&ServiceId::of(2)].used.sends, 4);
        assert_eq!(ids(&all(&table, Sort::Sends, 9, NOON_S)), ["b", "c", "a"]);
        let some = table.report(|id| id.as_str() > "a", false, (Sort::Sends, 9), NOON_S);
        assert_eq!(ids(&some), ["b", "c"]);
        assert_eq!(some.hubs[&HUB].used.blocks, 10);
        assert!(all(&table, Sort::Blocks, 0, NOON_S).devices.is_empty());
    }

    #[test]
    fn a_new_day_begins_with_nothing_and_forgets_those_who_left() {
        let table = UsageTable::default();
        let kept = table.of(&id("kept"), &id("kept"), HUB, NOON_S);
        sends(&table, "gone", HUB, 1, 1);
        let tomorrow = NOON_S + 86_400;
        assert_eq!(all(&table, Sort::Blocks, 9, tomorrow), Report::default());
        assert!(table.find(&id("gone")).is_none());
        let found = table.find(&id("kept")).unwrap();
        assert!(Arc::ptr_eq(&kept, &found));
    }

    #[test]
    fn beyond_the_bound_those_who_used_least_go_and_stay_in_the_sums() {
        let table = UsageTable::with_most(STRIPES * 8);
        for number in 0..STRIPES as u32 * 40 {
            sends(&table, &format!("d{number}"), HUB, 1, 1 + number % 7);
        }
        sends(&table, "heavy", HUB, 1, 1_000);
        for number in 0..STRIPES as u32 * 40 {
            sends(&table, &format!("e{number}"), HUB, 1, 1);
        }
        let report = all(&table, Sort::Blocks, 10_000, NOON_S);
        assert!(report.devices.len() <= STRIPES * 8);
        assert_eq!(report.devices[0].device.as_str(), "heavy");
        assert_eq!(report.hubs[&HUB].devices, 2 * 40 * STRIPES as u64 + 1);
        assert_eq!(report.hubs[&HUB].used.sends, 2 * 40 * STRIPES as u64 + 1);
    }
}
