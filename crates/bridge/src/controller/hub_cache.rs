//! The hub of each device, so that after a restart the devices are known and DPS need not be asked.
//!
//! A device has an entry once DPS has assigned it or, where hubs are known without DPS, once it has connected. The whole cache is
//! in memory, since it is read for every device. Storing it is best effort: a lost entry costs one registration; without DPS, the
//! device is unknown until its next use.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use drawspan_hub::{DeviceId, HostName};

use super::action::HubChange;
use crate::limits;

/// The hubs of devices.
#[derive(Debug)]
pub struct HubCache {
    /// In order, for those who list them.
    devices: BTreeMap<DeviceId, Cached>,
    /// Each name once, however many devices belong to it.
    hubs: Vec<HostName>,
    renew_at: Duration,
}

/// The hub of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached {
    /// Its hub.
    pub hub: HostName,
    /// Its name there, if it is another one.
    pub assigned: Option<DeviceId>,
    renewed_unix_s: u64,
    /// It connected since the last renewal.
    used: bool,
}

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredHub {
    /// The device.
    pub device: DeviceId,
    /// Its hub.
    pub hub: HostName,
    /// Its name there, if it is another one.
    pub assigned: Option<DeviceId>,
    /// When the device was assigned, or last in use.
    pub renewed_unix_s: u64,
}

impl Default for HubCache {
    fn default() -> Self {
        Self {
            devices: BTreeMap::new(),
            hubs: Vec::new(),
            renew_at: limits::HUB_CACHE_RENEWAL,
        }
    }
}

impl HubCache {
    /// The hub of a device, if known.
    #[must_use]
    pub fn get(&self, device: &DeviceId) -> Option<&Cached> {
        self.devices.get(device)
    }

    /// The devices from there on, in the order of their ids.
    pub fn devices_from(&self, from: Bound<&str>) -> impl Iterator<Item = &DeviceId> + use<'_> {
        let devices = self.devices.range::<str, _>((from, Bound::Unbounded));
        devices.map(|(device, _)| device)
    }

    /// Takes in what is stored.
    pub(super) fn load(&mut self, stored: StoredHub) {
        let cached = Cached {
            hub: self.shared(stored.hub),
            assigned: stored.assigned,
            renewed_unix_s: stored.renewed_unix_s,
            used: false,
        };
        self.devices.insert(stored.device, cached);
    }

    /// A device belongs to this hub.
    pub(super) fn put(
        &mut self,
        device: &DeviceId,
        hub: HostName,
        assigned: Option<DeviceId>,
        now_unix_s: u64,
    ) -> HubChange {
        let stored = StoredHub {
            device: device.clone(),
            hub,
            assigned,
            renewed_unix_s: now_unix_s,
        };
        self.load(stored.clone());
        HubChange::Put(stored)
    }

    /// A device connected: its entry is worth keeping.
    pub(super) fn used(&mut self, device: &DeviceId) {
        if let Some(cached) = self.devices.get_mut(device) {
            cached.used = true;
        }
    }

    /// Renames a device to the id that it has at its hub.
    pub(super) fn rename(&mut self, from: &DeviceId, to: &DeviceId) -> Option<[HubChange; 2]> {
        let cached = self.devices.remove(from)?;
        let put = self.put(to, cached.hub, None, cached.renewed_unix_s);
        Some([put, HubChange::Forget(from.clone())])
    }

    pub(super) fn forget(&mut self, device: &DeviceId) {
        self.devices.remove(device);
    }

    /// When [`renew`](Self::renew) is due.
    pub(super) const fn due(&self) -> Duration {
        self.renew_at
    }

    /// Renews the entries of devices that connected, or are still in use, and drops those that were unused for a week.
    pub(super) fn renew(
        &mut self,
        now: Duration,
        now_unix_s: u64,
        in_use: impl Fn(&DeviceId) -> bool,
    ) -> HubChange {
        self.renew_at = now + limits::HUB_CACHE_RENEWAL;
        let mut renewed = Vec::new();
        for (device, cached) in &mut self.devices {
            if std::mem::take(&mut cached.used) || in_use(device) {
                cached.renewed_unix_s = now_unix_s;
                renewed.push(device.clone());
            }
        }
        let before_unix_s = now_unix_s.saturating_sub(limits::HUB_CACHE_LIFE_S);
        self.devices
            .retain(|_, cached| cached.renewed_unix_s >= before_unix_s);
        HubChange::Renew(renewed, now_unix_s)
    }

    fn shared(&mut self, hub: HostName) -> HostName {
        if let Some(known) = self.hubs.iter().find(|known| **known == hub) {
            return known.clone();
        }
        // Few hubs are usual; beyond some, names are not shared between devices, which does no harm.
        if self.hubs.len() < limits::MAX_HUBS {
            self.hubs.push(hub.clone());
        }
        hub
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const TODAY_UNIX_S: u64 = 1_800_000_000;

    fn id(text: &str) -> DeviceId {
        DeviceId::parse(text).unwrap()
    }

    fn hub(text: &str) -> HostName {
        HostName::parse(text).unwrap()
    }

    #[test]
    fn what_is_used_stays_and_the_rest_goes_after_a_week() {
        let mut cache = HubCache::default();
        for name in ["used", "connected", "once", "unused"] {
            cache.put(&id(name), hub("a.net"), None, TODAY_UNIX_S);
        }
        cache.used(&id("once"));
        assert_eq!(cache.due(), 6 * HOUR);
        let mut now = Duration::ZERO;
        while now < 9 * 24 * HOUR {
            now += HOUR;
            cache.used(&id("used"));
            if now >= cache.due() {
                let in_use = |device: &DeviceId| *device == id("connected");
                cache.renew(now, TODAY_UNIX_S + now.as_secs(), in_use);
            }
        }
        assert!(cache.get(&id("used")).is_some());
        assert!(cache.get(&id("connected")).is_some());
        assert!(cache.get(&id("once")).is_none());
        assert!(cache.get(&id("unused")).is_none());
        cache.forget(&id("used"));
        assert!(cache.get(&id("used")).is_none());
    }

    #[test]
    fn a_device_that_is_renamed_keeps_its_hub() {
        let mut cache = HubCache::default();
        cache.put(&id("A"), hub("a.net"), Some(id("a")), TODAY_UNIX_S);
        let changes = cache.rename(&id("A"), &id("a")).unwrap();
        assert_eq!(changes[1], HubChange::Forget(id("A")));
        assert_eq!(cache.get(&id("A")), None);
        let renamed = cache.get(&id("a")).unwrap();
        assert_eq!(
            (renamed.hub.clone(), &renamed.assigned),
            (hub("a.net"), &None)
        );
        assert_eq!(cache.rename(&id("b"), &id("c")), None);
    }
}
