//! Which hub DPS assigned each device to, so that a restart asks DPS nothing.
//!
//! The whole cache is in memory, since it is asked for each device that comes. The store behind it is best effort: an entry that is
//! lost costs one registration.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::time::Duration;

use drawspan_hub::{DeviceId, HostName};
use drawspan_store::CachedHub;

use crate::limits;
use crate::log_limit::{Leave, STORE_FAILURES};

#[derive(Debug, Default)]
pub(super) struct HubCache {
    /// In order, for those who list them.
    devices: BTreeMap<DeviceId, Cached>,
    /// Each name once, however many devices belong to it.
    hubs: Vec<HostName>,
    store: Option<drawspan_store::HubCache>,
    renew_at: Duration,
}

/// Where a device belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cached {
    pub(super) hub: HostName,
    /// Its name there, if it is another one.
    pub(super) assigned: Option<DeviceId>,
    renewed_unix_s: u64,
    /// It connected since the last renewal.
    used: bool,
}

impl HubCache {
    pub(super) fn new(
        store: Option<drawspan_store::HubCache>,
        known: impl IntoIterator<Item = CachedHub>,
    ) -> Self {
        let mut cache = Self {
            store,
            renew_at: Duration::from_secs(limits::HUB_CACHE_RENEWAL_S),
            ..Self::default()
        };
        for row in known {
            let cached = Cached {
                hub: cache.shared(row.hub),
                assigned: row.assigned,
                renewed_unix_s: row.renewed_unix_s,
                used: false,
            };
            cache.devices.insert(row.device, cached);
        }
        cache
    }

    pub(super) fn get(&self, device: &DeviceId) -> Option<&Cached> {
        self.devices.get(device)
    }

    /// The devices from there on, in the order of their ids.
    pub(super) fn devices_from(
        &self,
        from: Bound<&str>,
    ) -> impl Iterator<Item = &DeviceId> + use<'_> {
        let devices = self.devices.range::<str, _>((from, Bound::Unbounded));
        devices.map(|(device, _)| device)
    }

    /// DPS assigned a device.
    pub(super) fn put(
        &mut self,
        device: &DeviceId,
        hub: HostName,
        assigned: Option<DeviceId>,
        now_unix_s: u64,
    ) {
        let cached = Cached {
            hub: self.shared(hub),
            assigned,
            renewed_unix_s: now_unix_s,
            used: false,
        };
        if let Some(store) = &self.store {
            store.put(CachedHub {
                device: device.clone(),
                hub: cached.hub.clone(),
                assigned: cached.assigned.clone(),
                renewed_unix_s: now_unix_s,
            });
        }
        self.devices.insert(device.clone(), cached);
    }

    /// A device connected: its entry is worth keeping.
    pub(super) fn used(&mut self, device: &DeviceId) {
        if let Some(cached) = self.devices.get_mut(device) {
            cached.used = true;
        }
    }

    /// Renames a device to the id that it has at its hub.
    pub(super) fn rename(&mut self, from: &DeviceId, to: &DeviceId) {
        let Some(cached) = self.devices.remove(from) else {
            return;
        };
        self.put(to, cached.hub, None, cached.renewed_unix_s);
        if let Some(store) = self.store.clone() {
            let from = from.clone();
            tokio::spawn(async move {
                if let Err(error) = store.forget(from).await
                    && let Some(Leave { left_out }) = STORE_FAILURES.pass("hub cache")
                {
                    tracing::warn!(%error, left_out, "an old spelling of a device stays in the hub cache");
                }
            });
        }
    }

    pub(super) fn forget(&mut self, device: &DeviceId) {
        self.devices.remove(device);
    }

    /// When [`upkeep`](Self::upkeep) is due.
    pub(super) const fn due(&self) -> Duration {
        self.renew_at
    }

    /// Renews the entries of devices that connected, or are in use still, and drops those that nobody used for a week.
    pub(super) fn upkeep(
        &mut self,
        now: Duration,
        now_unix_s: u64,
        in_use: impl Fn(&DeviceId) -> bool,
    ) {
        if now < self.renew_at {
            return;
        }
        self.renew_at = now + Duration::from_secs(limits::HUB_CACHE_RENEWAL_S);
        let mut renewed = Vec::new();
        for (device, cached) in &mut self.devices {
            if std::mem::take(&mut cached.used) || in_use(device) {
                cached.renewed_unix_s = now_unix_s;
                renewed.push(device.clone());
            }
        }
        let before_unix_s = now_unix_s.saturating_sub(drawspan_store::limits::HUB_CACHE_LIFE_S);
        self.devices
            .retain(|_, cached| cached.renewed_unix_s >= before_unix_s);
        if let Some(store) = &self.store {
            store.renew(renewed, now_unix_s);
            let store = store.clone();
            tokio::spawn(async move {
                // What is not collected now is next time.
                if let Err(error) = store.collect(now_unix_s, HashSet::new()).await {
                    tracing::warn!(%error, "old entries stay in the hub cache");
                }
            });
        }
    }

    fn shared(&mut self, hub: HostName) -> HostName {
        if let Some(known) = self.hubs.iter().find(|known| **known == hub) {
            return known.clone();
        }
        // Few hubs are usual; beyond some, a name of its own for each device is no harm.
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

    #[tokio::test]
    async fn what_is_used_stays_and_the_rest_goes_after_a_week() {
        let mut cache = HubCache::new(None, []);
        for name in ["used", "connected", "unused"] {
            cache.put(&id(name), hub("a.net"), None, TODAY_UNIX_S);
        }
        assert_eq!(cache.due(), 6 * HOUR);
        let mut now = Duration::ZERO;
        while now < 9 * 24 * HOUR {
            now += HOUR;
            cache.used(&id("used"));
            let in_use = |device: &DeviceId| *device == id("connected");
            cache.upkeep(now, TODAY_UNIX_S + now.as_secs(), in_use);
        }
        assert!(cache.get(&id("used")).is_some());
        assert!(cache.get(&id("connected")).is_some());
        assert!(cache.get(&id("unused")).is_none());
        cache.forget(&id("used"));
        assert!(cache.get(&id("used")).is_none());
    }

    fn open(directory: &std::path::Path) -> drawspan_store::Store {
        drawspan_store::Store::open(directory, &directory.join("keyring")).unwrap()
    }

    #[tokio::test]
    async fn a_start_knows_what_was_stored() {
        let directory = tempfile::tempdir().unwrap();
        let assigned = Some(id("other-name"));
        {
            let store = open(directory.path());
            let mut cache = HubCache::new(Some(store.hub_cache()), []);
            cache.put(&id("a"), hub("a.net"), assigned.clone(), TODAY_UNIX_S);
            cache.put(&id("b"), hub("a.net"), None, TODAY_UNIX_S);
            cache.put(&id("b"), hub("b.net"), None, TODAY_UNIX_S + 1);
        }
        let store = open(directory.path());
        let known = store.hub_cache().load_all().unwrap();
        let cache = HubCache::new(Some(store.hub_cache()), known);
        let a = cache.get(&id("a")).unwrap();
        assert_eq!(
            (a.hub.clone(), a.assigned.clone()),
            (hub("a.net"), assigned)
        );
        assert_eq!(cache.get(&id("b")).unwrap().hub, hub("b.net"));
    }
}
