//! The route table: connected devices by id, for callers that only send.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use drawspan_client::{DeviceSession, HubConnection};
use drawspan_fleet::fair_limiter::Share;
use drawspan_fleet::usage::Entry;
use drawspan_fleet::{Paces, ServiceId};
use drawspan_hub::DeviceId;

use crate::limits::{REFUSAL_NEWS_INTERVAL_MS, REFUSAL_NEWS_PAUSE_MS, THROTTLE_OVER_MS};

/// Shards of the directory, each with its own lock, held for one look-up.
const STRIPES: usize = 64;

const NEVER: u64 = u64::MAX;

/// The route of a connected device.
#[derive(Debug)]
pub(super) struct Route {
    /// Its id at the hub.
    pub(super) identity: DeviceId,
    pub(super) connection: HubConnection,
    pub(super) session: DeviceSession,
    /// Distinguishes this route from earlier and later ones of the device.
    pub(super) serial: u32,
    /// Requests that wait for their turn at the hub.
    pub(super) queued: AtomicU32,
    /// Its hub.
    pub(super) hub: ServiceId,
    /// Of the hub.
    pub(super) paces: Arc<Paces>,
    /// What the device used of its share of the hub's rates.
    pub(super) share: Share,
    /// What the device used today, once it has sent.
    usage: OnceLock<Arc<Entry>>,
    last_use_ms: AtomicU64,
    /// When it was told last that the hub refuses the device's messages, in milliseconds, and in the lowest bit whether for the quota.
    refusal_told: AtomicU64,
    /// When the hub refused a message of the device last, in milliseconds.
    refused_ms: AtomicU64,
}

impl Route {
    pub(super) fn new(
        identity: DeviceId,
        connection: HubConnection,
        session: DeviceSession,
        serial: u32,
        (hub, paces): (ServiceId, Arc<Paces>),
    ) -> Self {
        Self {
            identity,
            connection,
            session,
            serial,
            queued: AtomicU32::new(0),
            hub,
            paces,
            share: Share::default(),
            usage: OnceLock::new(),
            last_use_ms: AtomicU64::new(NEVER),
            refusal_told: AtomicU64::new(NEVER),
            refused_ms: AtomicU64::new(NEVER),
        }
    }

    /// What the device used today; looked up by the first message only.
    pub(super) fn usage(&self, find: impl FnOnce() -> Arc<Entry>) -> &Arc<Entry> {
        self.usage.get_or_init(find)
    }

    pub(super) fn used(&self, now: Duration) {
        self.last_use_ms.store(millis(now), Ordering::Relaxed);
    }

    /// Whether it is to be told now that the hub refuses the device's messages, for its quota or for another reason. It counts as told.
    pub(super) fn tells_refusal(&self, for_quota: bool, now: Duration) -> bool {
        self.refused_ms.store(millis(now), Ordering::Relaxed);
        let mark = (millis(now) << 1) | u64::from(for_quota);
        let told = self.refusal_told.load(Ordering::Relaxed);
        let pause = match (told ^ mark) & 1 {
            0 => REFUSAL_NEWS_INTERVAL_MS,
            _ => REFUSAL_NEWS_PAUSE_MS,
        };
        let tells = told == NEVER || (mark >> 1).saturating_sub(told >> 1) >= pause;
        // Of two callers at once, one tells.
        let order = Ordering::Relaxed;
        tells
            && self
                .refusal_told
                .compare_exchange(told, mark, order, order)
                .is_ok()
    }

    /// Whether it is to be told now that the hub accepts the device's messages again, which were too many. It counts as told.
    pub(super) fn tells_taken(&self, now: Duration) -> bool {
        let told = self.refusal_told.load(Ordering::Relaxed);
        if told == NEVER || told & 1 == 1 {
            return false;
        }
        let refused_ms = self.refused_ms.load(Ordering::Relaxed);
        let order = Ordering::Relaxed;
        millis(now).saturating_sub(refused_ms) >= THROTTLE_OVER_MS
            && self
                .refusal_told
                .compare_exchange(told, NEVER, order, order)
                .is_ok()
    }

    /// `None` until a request has used the route. A route that exists only because of a subscription stays `None`.
    pub(super) fn last_use(&self) -> Option<Duration> {
        let ms = self.last_use_ms.load(Ordering::Relaxed);
        (ms != NEVER).then(|| Duration::from_millis(ms))
    }
}

/// Written by the controller's task, read by everybody. A route may be stale: its connection says so.
#[derive(Debug)]
pub(super) struct RouteTable {
    stripes: Vec<RwLock<HashMap<DeviceId, Arc<Route>>>>,
    hasher: std::hash::RandomState,
    /// Whether ids that differ only in case are one device.
    fold: bool,
}

impl RouteTable {
    /// `fold`: whether ids that differ only in case are one device.
    pub(super) fn new(fold: bool) -> Self {
        let stripes = (0..STRIPES).map(|_| RwLock::default()).collect();
        Self {
            stripes,
            hasher: std::hash::RandomState::new(),
            fold,
        }
    }

    pub(super) fn get(&self, device: &DeviceId) -> Option<Arc<Route>> {
        let key = self.key(device);
        let stripe = self
            .stripe(&key)?
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        stripe.get(&*key).cloned()
    }

    pub(super) fn insert(&self, device: &DeviceId, route: Arc<Route>) {
        let device = self.key(device).into_owned();
        if let Some(stripe) = self.stripe(&device) {
            stripe
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(device, route);
        }
    }

    pub(super) fn remove(&self, device: &DeviceId) {
        let device = self.key(device);
        if let Some(stripe) = self.stripe(&device) {
            stripe
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&*device);
        }
    }

    fn key<'d>(&self, device: &'d DeviceId) -> Cow<'d, DeviceId> {
        match self.fold {
            true => Cow::Owned(device.to_lower_case()),
            false => Cow::Borrowed(device),
        }
    }

    fn stripe(&self, device: &DeviceId) -> Option<&RwLock<HashMap<DeviceId, Arc<Route>>>> {
        let hash = self.hasher.hash_one(device);
        self.stripes
            .get(usize::try_from(hash % STRIPES as u64).ok()?)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
