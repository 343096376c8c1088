//! The running provisioning service: the model, its store and the hubs that it assigns.

mod moves;
pub mod requests;
mod transfer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use drawspan_hub::{DeviceId, ErrorCode, HostName, RegistrationId};
use drawspan_hub_model::dps::{
    Admission, Allocation, Credential, Denied, DpsThrottle, Enrollments, Group, Registration,
    Registrations, Substatus,
};
use drawspan_hub_model::event::HubEvent;
use drawspan_hub_model::registry::RegistryError;
use drawspan_hub_model::throttle::RateLimits;
use drawspan_hub_store::{Store, StoreError, Write};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::hub::{ChangeError, Hub};
use crate::observe::Events;
use crate::random::{self, NoRandomness};
pub use moves::{MOVES, MoveError, Moved, Moves};
use transfer::{ensure, leave};

/// The service's code when no hub is linked (the C client knows this number).
const NO_HUB: u32 = 400_208;
/// The service's code when too many register.
const THROTTLED: u32 = 429_001;

/// The provisioning service of an emulator. Shared by all connections; nothing here waits while it holds a lock.
#[derive(Debug)]
pub struct Dps {
    parts: Parts,
    allocation: RwLock<Allocation>,
    registrations: RwLock<Registrations>,
    throttle: Mutex<DpsThrottle>,
    counts: Counts,
}

/// The parts of a new service.
#[derive(Debug)]
pub struct Parts {
    /// The time by which it lives.
    pub clock: Clock,
    /// Destination of what happens.
    pub events: Events,
    /// Id scope that devices name.
    pub id_scope: String,
    /// Enrollment groups with symmetric keys that the emulator keeps.
    pub groups: Vec<Group>,
    /// All enrollments, those groups included.
    pub enrollments: Enrollments,
    /// Hubs to which devices can be assigned.
    pub hubs: Vec<Arc<Hub>>,
    /// Hubs to which devices were moved.
    pub moves: Moves,
    /// Seconds after which devices are to ask again.
    pub retry_after_s: u32,
    /// `None` keeps registrations in memory only.
    pub store: Option<Arc<Store>>,
}

/// How often it was asked, refused requests included, since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Observations {
    /// Requests to register.
    pub registrations: u64,
    /// Questions after an operation.
    pub polls: u64,
    /// Questions after a registration.
    pub lookups: u64,
}

#[derive(Debug, Default)]
struct Counts {
    registrations: AtomicU64,
    polls: AtomicU64,
    lookups: AtomicU64,
}

/// Requests to the service.
#[derive(Clone, Copy, Debug)]
pub enum Asked {
    /// To register.
    Register,
    /// After an operation.
    Poll,
    /// After a registration.
    LookUp,
}

/// Why a device was not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The service is asked too often; there is room after so many seconds.
    #[error("too many requests")]
    TooMany {
        /// Seconds after which to ask again.
        retry_after_s: u32,
    },
    /// No hub is left to assign the device to.
    #[error("no hub is linked")]
    NoHub,
    /// The hub's registry refuses the device.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The hub cannot store the device.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl RegisterError {
    /// The service's code for it.
    pub fn code(&self) -> u32 {
        match self {
            Self::TooMany { .. } => THROTTLED,
            Self::NoHub => NO_HUB,
            Self::Registry(error) => error.code().number(),
            Self::Change(_) => ErrorCode::SERVER_ERROR.number(),
        }
    }
}

impl Dps {
    /// A service with registrations from an earlier run, under these limits.
    pub fn new(
        parts: Parts,
        allocation: Allocation,
        registrations: Registrations,
        limits: RateLimits,
    ) -> Self {
        let throttle = DpsThrottle::new(limits, parts.clock.elapsed());
        Self {
            parts,
            allocation: RwLock::new(allocation),
            registrations: RwLock::new(registrations),
            throttle: Mutex::new(throttle),
            counts: Counts::default(),
        }
    }

    /// Its id scope.
    pub fn id_scope(&self) -> &str {
        &self.parts.id_scope
    }

    /// Its enrollment groups with symmetric keys that the emulator keeps, with their keys.
    pub fn groups(&self) -> &[Group] {
        &self.parts.groups
    }

    /// All its enrollments.
    pub fn enrollments(&self) -> &Enrollments {
        &self.parts.enrollments
    }

    /// How long devices are asked to wait for their assignment, in seconds.
    pub fn retry_after_s(&self) -> u32 {
        self.parts.retry_after_s
    }

    /// Spreads devices that register from now on in another way.
    pub fn set_allocation(&self, allocation: Allocation) {
        *self
            .allocation
            .write()
            .unwrap_or_else(PoisonError::into_inner) = allocation;
    }

    /// Replaces all registrations and moves. To be called by who is [alone](crate::connections::Connections::alone).
    pub fn replace(&self, registrations: Registrations, moves: Moves) {
        self.parts.moves.replace(moves);
        *self
            .registrations
            .write()
            .unwrap_or_else(PoisonError::into_inner) = registrations;
    }

    /// A registration, if there is one.
    pub fn registration(&self, id: &RegistrationId) -> Option<Arc<Registration>> {
        let registrations = self.registrations.read();
        let registrations = registrations.unwrap_or_else(PoisonError::into_inner);
        registrations.get(id).cloned()
    }

    /// How often it was asked.
    pub fn observations(&self) -> Observations {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Observations {
            registrations: read(&self.counts.registrations),
            polls: read(&self.counts.polls),
            lookups: read(&self.counts.lookups),
        }
    }

    /// Counts a request.
    pub fn count(&self, asked: Asked) {
        let count = match asked {
            Asked::Register => &self.counts.registrations,
            Asked::Poll => &self.counts.polls,
            Asked::LookUp => &self.counts.lookups,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// What a device that proves to be enrolled may become.
    ///
    /// # Errors
    /// When the token or the certificate proves nothing.
    pub fn authenticate(
        &self,
        credential: Credential<'_>,
        id: &RegistrationId,
    ) -> Result<Admission, Denied> {
        // Clients sign by the machine's time.
        let now_unix_s = self.parts.clock.machine_unix_ms() / 1_000;
        let enrollments = &self.parts.enrollments;
        let admitted = enrollments.admit(credential, self.id_scope(), id, now_unix_s);
        admitted.inspect_err(|_| {
            self.emit(HubEvent::RegistrationRefused {
                registration: id.clone(),
                code: ErrorCode::UNAUTHORIZED_ACCESS.number(),
            });
        })
    }

    /// Registers a device: assigns a hub, has the device there, and keeps both.
    pub async fn register(
        &self,
        id: RegistrationId,
        admission: Admission,
        payload: Option<Arc<str>>,
    ) -> Result<Arc<Registration>, RegisterError> {
        let result = self.assign(id.clone(), admission, payload).await;
        match &result {
            Ok(registration) => self.parts.events.emit(
                Some(&registration.hub),
                HubEvent::RegistrationAssigned {
                    registration: registration.id.clone(),
                    device: registration.device.clone(),
                    substatus: registration.substatus,
                },
            ),
            Err(RegisterError::TooMany { retry_after_s }) => {
                self.emit(HubEvent::RegistrationThrottled {
                    registration: id,
                    retry_after_s: *retry_after_s,
                });
            }
            Err(error) => self.emit(HubEvent::RegistrationRefused {
                registration: id,
                code: error.code(),
            }),
        }
        result
    }

    fn emit(&self, what: HubEvent) {
        self.parts.events.emit(None, what);
    }

    async fn assign(
        &self,
        id: RegistrationId,
        admission: Admission,
        payload: Option<Arc<str>>,
    ) -> Result<Arc<Registration>, RegisterError> {
        let now = self.parts.clock.unix_ms();
        let throttled = self.throttle().register(self.parts.clock.elapsed());
        throttled.map_err(|retry_after_s| RegisterError::TooMany { retry_after_s })?;
        let before = self.registration(&id);
        let moved_to = self.parts.moves.get(id.as_str());
        let hub = match moved_to.as_ref().or(admission.hub.as_ref()) {
            Some(named) => self.hub(named).cloned(),
            None => self.choose(&id),
        };
        let hub = hub.ok_or(RegisterError::NoHub)?;
        let id = before.as_ref().map_or(id, |before| before.id.clone());
        let device = match (admission.device, &before) {
            (Some(named), _) => named,
            (None, Some(before)) => before.device.clone(),
            // Every registration id is a device id.
            (None, None) => DeviceId::parse(id.as_str()).map_err(|_| RegisterError::NoHub)?,
        };
        let (authentication, iot_edge) = (admission.authentication, admission.iot_edge);
        ensure(&hub, &device, authentication, iot_edge).await?;
        if let Some(model) = payload.as_deref().and_then(model_id) {
            hub.set_model(&(&device).into(), &model);
        }
        let left = before.as_ref().map(|before| &before.hub);
        let left = left.filter(|left| *left != hub.host());
        if let Some(left) = left.and_then(|left| self.hub(left)) {
            leave(left, &hub, &device).await?;
        }
        let registration = Arc::new(Registration {
            group: admission.group.unwrap_or_default(),
            hub: hub.host().clone(),
            device,
            substatus: match left {
                Some(_) => Substatus::DeviceDataMigrated,
                None => Substatus::InitialAssignment,
            },
            created_unix_ms: before.map_or(now, |before| before.created_unix_ms),
            updated_unix_ms: now,
            etag: random::hex().map_err(ChangeError::from)?,
            operation: operation_id(&id).map_err(ChangeError::from)?,
            payload,
            id,
        });
        self.keep(&registration).await.map_err(ChangeError::from)?;
        Ok(registration)
    }

    /// The limits in force.
    pub fn rate_limits(&self) -> RateLimits {
        self.throttle().limits().clone()
    }

    /// Puts other limits in force, at once.
    pub fn set_rate_limits(&self, limits: RateLimits) {
        self.throttle().replace(limits, self.parts.clock.elapsed());
    }

    /// Takes in what a device asks for other than to register, if it is not asked too often.
    fn take_in(&self, asked: Asked, id: &RegistrationId) -> Result<(), RegisterError> {
        let now = self.parts.clock.elapsed();
        let taken = match asked {
            Asked::Poll => self.throttle().poll(id, now),
            Asked::LookUp => self.throttle().look_up(now),
            Asked::Register => Ok(()),
        };
        taken.map_err(|retry_after_s| {
            self.emit(HubEvent::RegistrationThrottled {
                registration: id.clone(),
                retry_after_s,
            });
            RegisterError::TooMany { retry_after_s }
        })
    }

    fn throttle(&self) -> MutexGuard<'_, DpsThrottle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn choose(&self, id: &RegistrationId) -> Option<Arc<Hub>> {
        let allocation = self.allocation.read();
        let allocation = allocation.unwrap_or_else(PoisonError::into_inner);
        let name = allocation.choose(id, self.parts.hubs.iter().map(|hub| hub.host()))?;
        self.hub(name).cloned()
    }

    fn hub(&self, name: &HostName) -> Option<&Arc<Hub>> {
        self.parts.hubs.iter().find(|hub| hub.host() == name)
    }

    async fn keep(&self, registration: &Arc<Registration>) -> Result<(), StoreError> {
        let put = || {
            let registrations = self.registrations.write();
            let mut registrations = registrations.unwrap_or_else(PoisonError::into_inner);
            registrations.put(Arc::clone(registration));
            registrations
        };
        let Some(store) = &self.parts.store else {
            drop(put());
            return Ok(());
        };
        let slot = store.slot().await?;
        let written = {
            // Handed over under the lock: registrations of one device are stored in the order in which they were made.
            let _registrations = put();
            let write = Write::Registration(Arc::clone(registration));
            slot.send(registration.hub.clone(), vec![write])
        };
        written.wait().await
    }
}

/// The model that a device says it follows in what it registers with: `{"modelId": "dtmi:…"}` (article "How to provision a Plug and
/// Play device").
fn model_id(payload: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Payload {
        model_id: String,
    }
    // The payload is the device's own: one of another form names no model.
    let Payload { model_id } = serde_json::from_str(payload).ok()?;
    model_id.starts_with("dtmi:").then_some(model_id)
}

/// `4.{hex}.{uuid}`, as the service writes it.
fn operation_id(id: &RegistrationId) -> Result<String, NoRandomness> {
    let name = crc32fast::hash(id.as_str().as_bytes());
    Ok(format!("4.{name:016x}.{}", random::uuid_text()?))
}
