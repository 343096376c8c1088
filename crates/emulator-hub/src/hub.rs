//! One running hub: the model, its store and its telemetry, as the protocol heads see it.

mod authorities;
mod c2d;
mod changes;
mod failover;
mod kept;
mod methods;
mod mqtt_sessions;
mod news;
mod replacing;
mod sessions;
mod telemetry;
mod throttle;
mod uploads;

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use drawspan_hub::{DeviceConnectionString, DeviceId, HostName, HubConnectionString, ModuleId};
use drawspan_hub_model::access::{self, Denied, Grant, Principal};
use drawspan_hub_model::c2d::{CloudToDevice, Effects};
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::device::{AuthenticationSpec, Device, DeviceSpec, DeviceStatus};
use drawspan_hub_model::dps::Group;
use drawspan_hub_model::event::HubEvent;
use drawspan_hub_model::groups::ConsumerGroups;
use drawspan_hub_model::limits::Limits;
use drawspan_hub_model::module::Module;
use drawspan_hub_model::policy::{POLICIES, Policies};
use drawspan_hub_model::registry::{Change, Entry, Registry};
use drawspan_hub_model::throttle::{Now, RateLimits};
use drawspan_hub_model::token_life::Presentation;
use drawspan_hub_model::uploads::Uploads;
use drawspan_hub_model::x509::{Authorities, Presented};
use drawspan_hub_store::{MqttSession, Store, StoreError};
use drawspan_segment_log::{AuthScope, TelemetryLog};

use crate::clock::Clock;
use crate::connections::Connections;
use crate::observe::Events;
use crate::random::{self, NoRandomness};
use crate::sessions::Sessions;
use crate::storage::Storage;
pub use authorities::AuthoritySpec;
use c2d::Messages;
pub use c2d::{SendError, SettleError};
pub use failover::{FailoverError, Lost};
pub use methods::InvokeError;
use mqtt_sessions::KeptSubscriptions;
pub use replacing::Contents;
use throttle::HeldThrottle;
pub use throttle::{Room, ThrottleState};
use uploads::HeldUploads;
pub use uploads::{UploadError, UploadPlace};

/// Devices that are created together, at start.
const CREATE_GROUP: usize = 1000;

/// A hub. Shared by all connections; nothing here waits while it holds a lock.
#[derive(Debug)]
pub struct Hub {
    host: HostName,
    clock: Clock,
    events: Events,
    limits: Limits,
    created_unix_ms: u64,
    policies: Policies,
    groups: ConsumerGroups,
    authorities: RwLock<Authorities>,
    registry: RwLock<Registry>,
    messages: Messages,
    store: Option<Arc<Store>>,
    log: Arc<TelemetryLog>,
    sessions: Arc<Sessions>,
    subscriptions: KeptSubscriptions,
    uploads: HeldUploads,
    storage: Storage,
    connections: Arc<Connections>,
    is_failing_over: AtomicBool,
    /// Called when the hub begins to fail over.
    failover_begins: OnceLock<Told>,
    throttle: HeldThrottle,
    /// Called when there is feedback for services.
    feedback_waits: OnceLock<Told>,
    /// Called when there are file notifications for services.
    file_notifications_wait: OnceLock<Told>,
    /// Without a store: held during a change, until devices are notified. Taken before the registry's lock.
    telling: Mutex<()>,
}

/// A callback to notify.
struct Told(Box<dyn Fn() + Send + Sync>);

/// The parts of a new hub.
#[derive(Debug)]
pub struct Parts {
    /// Its DNS name.
    pub host: HostName,
    /// The time by which it lives.
    pub clock: Clock,
    /// Destination of what happens at it.
    pub events: Events,
    /// Its limits.
    pub limits: Limits,
    /// Its rates and its quota.
    pub rate_limits: RateLimits,
    /// When it was created, Unix milliseconds.
    pub created_unix_ms: u64,
    /// Its policies.
    pub policies: Policies,
    /// Consumer groups of its event endpoint.
    pub groups: ConsumerGroups,
    /// Authorities that issue certificates of devices.
    pub authorities: Authorities,
    /// Devices, modules and twins.
    pub registry: Registry,
    /// Messages to devices.
    pub messages: CloudToDevice,
    /// MQTT sessions that go on.
    pub mqtt_sessions: Vec<MqttSession>,
    /// File uploads.
    pub uploads: Uploads,
    /// Where uploaded files go.
    pub storage: Storage,
    /// `None` keeps the registry in memory only.
    pub store: Option<Arc<Store>>,
    /// The connections of the emulator's clients.
    pub connections: Arc<Connections>,
    /// Telemetry.
    pub log: Arc<TelemetryLog>,
}

/// Why the registry could not be changed, other than by its own rules.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The change cannot be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No names and keys can be made.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told")
    }
}

impl Hub {
    /// A hub with the contents of an earlier run.
    pub fn new(parts: Parts) -> Self {
        let Parts {
            host,
            clock,
            events,
            limits,
            rate_limits,
            created_unix_ms,
            policies,
            groups,
            authorities,
            mut registry,
            messages,
            mut mqtt_sessions,
            uploads,
            storage,
            store,
            connections,
            log,
        } = parts;
        // Initial contents are not events of the hub.
        registry.take_events();
        mqtt_sessions.retain(|session| registry.generation_id(&session.client).is_some());
        let now = Now {
            elapsed: clock.elapsed(),
            unix_ms: clock.unix_ms(),
        };
        Self {
            throttle: HeldThrottle::new(rate_limits, now),
            host,
            clock,
            events,
            limits,
            created_unix_ms,
            policies,
            groups,
            authorities: RwLock::new(authorities),
            registry: RwLock::new(registry),
            messages: Messages::new(messages),
            store,
            log,
            sessions: Arc::default(),
            subscriptions: KeptSubscriptions::from_stored(mqtt_sessions),
            uploads: HeldUploads::new(uploads),
            storage,
            connections,
            is_failing_over: AtomicBool::new(false),
            failover_begins: OnceLock::new(),
            feedback_waits: OnceLock::new(),
            file_notifications_wait: OnceLock::new(),
            telling: Mutex::default(),
        }
    }

    /// Its DNS name.
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// Its Event Hubs-compatible name: the first label of its DNS name.
    pub fn entity(&self) -> &str {
        self.host.hub_name()
    }

    /// When it was created, Unix milliseconds; without a state directory, when it was started.
    pub fn created_unix_ms(&self) -> u64 {
        self.created_unix_ms
    }

    /// Its limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The clock by which this hub lives.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Credentials that are presented now.
    fn presentation(&self) -> Presentation {
        Presentation {
            machine_unix_ms: self.clock.machine_unix_ms(),
            elapsed: self.clock.elapsed(),
            grace: self.limits.sas_grace,
        }
    }

    /// The time of day by which this hub lives, Unix milliseconds.
    pub fn now_unix_ms(&self) -> u64 {
        self.clock.unix_ms()
    }

    /// Verifies a token. What its holder may do, [`Grant::allows`] tells.
    ///
    /// # Errors
    /// When nothing can be done with the token at this hub.
    pub fn authenticate(&self, token: &str) -> Result<Grant, Denied> {
        let now = self.presentation();
        let verified = access::verify(token, &self.host, &self.policies, &self.registry(), &now);
        verified.inspect_err(|reason| {
            self.emit(HubEvent::AuthenticationFailed { reason: *reason });
        })
    }

    /// Verifies that a client's certificate is the device's or module's. What it may do, [`Grant::allows`] tells.
    ///
    /// # Errors
    /// When the client cannot connect by this certificate.
    pub fn authenticate_certificate(
        &self,
        presented: &Arc<Presented>,
        client: &ClientId,
    ) -> Result<Grant, Denied> {
        let now = self.presentation().machine_unix_s();
        let verified = {
            let (authorities, registry) = (self.authorities(), self.registry());
            access::verify_certificate(presented, client, &authorities, &registry, now)
        };
        verified.inspect_err(|reason| {
            self.emit(HubEvent::AuthenticationFailed { reason: *reason });
        })
    }

    /// A device, if it is registered.
    pub fn device(&self, id: &DeviceId) -> Option<Arc<Device>> {
        self.registry()
            .get(id)
            .map(|entry| Arc::clone(&entry.device))
    }

    /// A module, if it is registered.
    pub fn module(&self, device: &DeviceId, id: &ModuleId) -> Option<Arc<Module>> {
        self.registry()
            .module(device, id)
            .map(|entry| Arc::clone(&entry.module))
    }

    /// A device that may connect: registered and enabled.
    ///
    /// # Errors
    /// [`Denied::UnknownDevice`] or [`Denied::DeviceDisabled`].
    pub fn enabled_device(&self, id: &DeviceId) -> Result<Arc<Device>, Denied> {
        let device = self.device(id).ok_or(Denied::UnknownDevice)?;
        match device.status {
            DeviceStatus::Enabled => Ok(device),
            DeviceStatus::Disabled => Err(Denied::DeviceDisabled),
        }
    }

    /// Admits a client whose grant allows what it asks for: says by whose credentials, and which of the clients of that name it is.
    ///
    /// # Errors
    /// When it is not registered, or its device is disabled, or its own key is another one by now.
    pub fn admit(&self, grant: &Grant, client: &ClientId) -> Result<(AuthScope, Arc<str>), Denied> {
        let device = self.enabled_device(&client.device)?;
        let module = match &client.module {
            Some(id) => {
                let module = self.module(&client.device, id);
                Some(module.ok_or(Denied::UnknownModule)?)
            }
            None => None,
        };
        let scope = match (&grant.principal, &module) {
            (Principal::Policy(_), _) => AuthScope::Hub,
            (Principal::Device(_), None) if grant.is_of(&device) => AuthScope::Device,
            (Principal::Module(_), Some(module)) if grant.is_of_module(module) => AuthScope::Module,
            // Its keys or thumbprints may have changed since, or it may be another client of the same name.
            (Principal::Device(_) | Principal::Module(_), _) => return Err(Denied::WrongKey),
        };
        let generation_id = module.map_or_else(
            || device.generation_id.clone(),
            |module| module.generation_id.clone(),
        );
        Ok((scope, generation_id))
    }

    /// The consumer group of that name, as it is written; names compare without case.
    pub fn consumer_group(&self, name: &str) -> Option<&str> {
        self.groups.find(name)
    }

    /// Connection strings of the policies that clients use, owner first.
    pub fn connection_strings(&self) -> Vec<HubConnectionString> {
        POLICIES
            .iter()
            .take(3)
            .map(|policy| HubConnectionString {
                host: self.host.clone(),
                policy: policy.name.to_owned(),
                key: self.policies.key.clone(),
            })
            .collect()
    }

    /// The connection string that Event Hubs clients take. A secret.
    pub fn event_hubs_connection_string(&self) -> String {
        format!(
            "Endpoint=sb://{}/;SharedAccessKeyName=iothubowner;SharedAccessKey={};EntityPath={}",
            self.host,
            self.policies.key.to_base64(),
            self.entity()
        )
    }

    /// The connection string of a device that is registered and has keys.
    pub fn device_connection_string(&self, id: &DeviceId) -> Option<DeviceConnectionString> {
        let device = self.device(id)?;
        let key = device.keys().next()?.clone();
        Some(DeviceConnectionString {
            host: self.host.clone(),
            device_id: id.clone(),
            key,
        })
    }

    /// Creates the devices that there are not yet. With a group they get the keys that DPS would give them.
    ///
    /// # Errors
    /// When they cannot be stored.
    pub async fn ensure_devices(
        &self,
        ids: &[DeviceId],
        group: Option<&Group>,
    ) -> Result<(), ChangeError> {
        let specs = ids.iter().map(|id| {
            let mut spec = DeviceSpec::new(id.clone());
            if let Some(group) = group {
                let keys = [&group.primary, &group.secondary].map(|key| key.derive(id.as_str()));
                spec.authentication = AuthenticationSpec::Sas(Some(keys.into()));
            }
            spec
        });
        let specs: Vec<_> = specs.collect();
        self.ensure(specs.into_iter()).await
    }

    /// Creates the devices of these that there are not yet.
    ///
    /// # Errors
    /// When they cannot be stored.
    pub async fn ensure(&self, specs: impl Iterator<Item = DeviceSpec>) -> Result<(), ChangeError> {
        let mut specs = specs.peekable();
        while specs.peek().is_some() {
            let mut group = Vec::new();
            for spec in specs.by_ref().take(CREATE_GROUP) {
                group.push((spec, random::fresh(self.now_unix_ms())?));
            }
            let now = self.now_unix_ms();
            self.change(|registry| {
                // The only refusals are that a device is there already, which is what is wanted, and a full hub.
                let created = group
                    .into_iter()
                    .filter_map(|(spec, fresh)| registry.create(spec, fresh, now).ok());
                ((), created.map(|entry| Change::Put(entry.device)).collect())
            })
            .await?;
        }
        Ok(())
    }

    /// Has `tell` called when there is feedback for services. Only the first one counts.
    pub fn tell_of_feedback(&self, tell: impl Fn() + Send + Sync + 'static) {
        // The one caller calls once.
        let _ = self.feedback_waits.set(Told(Box::new(tell)));
    }

    /// Something happened at this hub.
    pub fn emit(&self, what: HubEvent) {
        self.events.emit(Some(&self.host), what);
    }

    fn tell_of_messages(&self, effects: &Effects) {
        for device in &effects.available {
            self.sessions.message_waits(device);
        }
        if let (true, Some(Told(tell))) = (effects.feedback, self.feedback_waits.get()) {
            tell();
        }
    }

    /// A device with its twin, if it is registered.
    pub fn entry(&self, id: &DeviceId) -> Option<Entry> {
        self.registry().get(id).cloned()
    }

    /// Read access to the registry. It must not be held over an `await`.
    pub fn registry(&self) -> RwLockReadGuard<'_, Registry> {
        self.registry.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn registry_mut(&self) -> RwLockWriteGuard<'_, Registry> {
        self.registry
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
