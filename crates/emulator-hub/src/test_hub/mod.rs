//! A hub and a provisioning service in memory, for tests of the heads.

// Helpers of tests may fail loudly, as tests do.
#![allow(clippy::unwrap_used)]

pub mod damage;
pub mod witness;

use std::sync::Arc;

use drawspan_hub::limits::Rate;
use drawspan_hub::{DeviceId, HostName, ModuleId, SymmetricKey, sas};
use drawspan_hub_model::blobs::{Blobs, Kept};
use drawspan_hub_model::device::{DeviceSpec, Fresh};
use drawspan_hub_model::dps::{Allocation, Enrollment, Enrollments, Group, Registrations};
use drawspan_hub_model::groups::ConsumerGroups;
use drawspan_hub_model::limits::Limits;
use drawspan_hub_model::module::ModuleSpec;
use drawspan_hub_model::policy::Policies;
use drawspan_hub_model::registry::{Change, Registry};
use drawspan_hub_model::throttle::{OperationClass, RateLimits};
use drawspan_hub_model::uploads::Uploads;
use drawspan_hub_model::x509::Authorities;
use drawspan_segment_log::{LogLimits, TelemetryLog};

use crate::blobs::{self, BlobStore};
use crate::clock::Clock;
use crate::connections::Connections;
use crate::dps::{self, Dps};
use crate::hub::{Hub, Parts};
use crate::observe::{Events, Observer};
use crate::storage::Storage;

/// Name of [`hub`].
pub const HUB: &str = "hub.localtest";
/// The id scope of [`dps`].
pub const SCOPE: &str = "0ne1";

/// A key of 32 such bytes.
pub fn key(byte: u8) -> SymmetricKey {
    SymmetricKey::from_bytes(&[byte; 32]).unwrap()
}

/// A hub in memory, with one partition and these devices, all of which have key 2.
pub fn hub(devices: &[&str]) -> Arc<Hub> {
    hub_at(Clock::system(), devices)
}

/// The same, which lives by this clock.
pub fn hub_at(clock: Clock, devices: &[&str]) -> Arc<Hub> {
    hub_watched(clock, devices, Vec::new(), Limits::default())
}

/// The same with other limits, whose events go to these.
pub fn hub_watched(
    clock: Clock,
    devices: &[&str],
    observers: Vec<Arc<dyn Observer>>,
    limits: Limits,
) -> Arc<Hub> {
    let mut registry = Registry::default();
    for id in devices {
        create(&mut registry, id, "1");
    }
    let storage = storage(&clock);
    Arc::new(Hub::new(Parts {
        host: HostName::parse(HUB).unwrap(),
        events: Events::new(clock.clone(), observers),
        clock,
        limits,
        rate_limits: RateLimits::default(),
        created_unix_ms: 0,
        policies: Policies { key: key(1) },
        groups: ConsumerGroups::new(&[], &Limits::default()).unwrap(),
        authorities: Authorities::default(),
        registry,
        messages: drawspan_hub_model::c2d::CloudToDevice::default(),
        mqtt_sessions: Vec::new(),
        uploads: Uploads::default(),
        storage,
        store: None,
        connections: Connections::new(Clock::system()),
        log: Arc::new(TelemetryLog::open(None, 1, LogLimits::default()).unwrap()),
    }))
}

/// A storage without room.
pub fn storage(clock: &Clock) -> Storage {
    Storage::BuiltIn(BlobStore::new(blobs::Parts {
        host: HostName::parse(HUB).unwrap(),
        clock: clock.clone(),
        key: key(4),
        folder: std::env::temp_dir().join("drawspan-test-hub-without-files"),
        blobs: Blobs::restore(0, Kept::default()),
        store: None,
    }))
}

/// A service for that hub, whose one group has keys 5 and 6.
pub fn dps(hub: &Arc<Hub>, registrations_per_minute: Option<u32>) -> Arc<Dps> {
    dps_with(hub, registrations_per_minute, Vec::new())
}

/// The same, with enrollments of single devices.
pub fn dps_with(
    hub: &Arc<Hub>,
    registrations_per_minute: Option<u32>,
    individual: Vec<Enrollment>,
) -> Arc<Dps> {
    let clock = Clock::system();
    let limits = match registrations_per_minute {
        Some(rate) => RateLimits::default().with_rate(
            OperationClass::DpsRegistrations,
            Rate::per_minute(rate.into()),
        ),
        None => RateLimits::default(),
    };
    let group = Group {
        name: "meters".into(),
        primary: key(5),
        secondary: key(6),
    };
    let parts = dps::Parts {
        events: Events::new(clock.clone(), Vec::new()),
        clock,
        id_scope: SCOPE.into(),
        enrollments: Enrollments::new(vec![group.clone().into()], individual),
        groups: vec![group],
        hubs: vec![Arc::clone(hub)],
        moves: dps::Moves::default(),
        retry_after_s: 3,
        store: None,
    };
    Arc::new(Dps::new(
        parts,
        Allocation::Hashed,
        Registrations::default(),
        limits,
    ))
}

/// Registers a device with key 2.
pub fn create(registry: &mut Registry, id: &str, generation_id: &str) -> Change {
    let fresh = Fresh {
        generation_id: generation_id.into(),
        etag: "1".into(),
        primary: key(2),
        secondary: key(3),
    };
    let spec = DeviceSpec::new(DeviceId::parse(id).unwrap());
    Change::Put(registry.create(spec, fresh, 0).unwrap().device)
}

/// Registers a module with key 4 on a device of that hub.
pub fn create_module(
    registry: &mut Registry,
    device: &str,
    id: &str,
    generation_id: &str,
) -> Change {
    let fresh = Fresh {
        generation_id: generation_id.into(),
        etag: "1".into(),
        primary: key(4),
        secondary: key(5),
    };
    let (device, id) = (DeviceId::parse(device), ModuleId::parse(id));
    let spec = ModuleSpec::new(device.unwrap(), id.unwrap());
    Change::PutModule(registry.create_module(spec, fresh).unwrap().module)
}

/// The time, Unix seconds.
pub fn unix_s() -> u64 {
    Clock::system().unix_s()
}

/// A token of the policy iothubowner.
pub fn owner(resource: &str, life_s: u64) -> String {
    sas::sign(resource, &key(1), unix_s() + life_s, Some("iothubowner"))
}

/// A token by a device's own key.
pub fn device_token(id: &str, life_s: u64) -> String {
    let (host, id) = (HostName::parse(HUB).unwrap(), DeviceId::parse(id).unwrap());
    let resource = sas::device_resource(&host, &id, None);
    sas::sign(&resource, &key(2), unix_s() + life_s, None)
}

/// A token by a module's own key.
pub fn module_token(device: &str, id: &str, life_s: u64) -> String {
    let (host, device) = (HostName::parse(HUB), DeviceId::parse(device));
    let id = ModuleId::parse(id).unwrap();
    let resource = sas::device_resource(&host.unwrap(), &device.unwrap(), Some(&id));
    sas::sign(&resource, &key(4), unix_s() + life_s, None)
}

/// The token of a registration, by a key of its group.
pub fn registration_token(id: &str, group_key: u8, life_s: u64) -> String {
    let resource = sas::registration_resource(SCOPE, id);
    let key = key(group_key).derive(id);
    sas::sign(&resource, &key, unix_s() + life_s, Some("registration"))
}
