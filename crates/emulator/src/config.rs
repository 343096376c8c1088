//! The configuration of an emulator.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use drawspan_emulator_hub::blobs::CONTAINER;
use drawspan_emulator_hub::clock::Clock;
use drawspan_emulator_hub::faults::Fault;
use drawspan_emulator_hub::observe::Observer;
use drawspan_hub::limits::Rate;
use drawspan_hub::storage::StorageAccount;
use drawspan_hub::{DeviceId, HostName, SymmetricKey};
use drawspan_hub_model::device::Authentication;
use drawspan_hub_model::dps::{InvalidProvisioning, Provisioning};
use drawspan_hub_model::groups::{ConsumerGroups, InvalidGroups};
use drawspan_hub_model::limits::{C2D_DELIVERY_COUNTS, Limits};
use drawspan_hub_model::throttle::{OperationClass, RateLimits};
use drawspan_hub_model::x509::{Authorities, AuthorityError, Certificate};
use drawspan_hub_model::{c2d, uploads};
use drawspan_mqtt::server::UNSUPPORTED_PROTOCOL_VERSION;
use drawspan_segment_log::LogLimits;
use drawspan_segment_log::limits::PARTITIONS_MAX;

use crate::limits::{HUBS_MAX, PARTITIONS};

/// Port of AMQP over TLS; official SDKs take no other.
pub const AMQPS_PORT: u16 = 5671;
/// Port of MQTT over TLS; official SDKs take no other.
pub const MQTTS_PORT: u16 = 8883;
/// Port of HTTPS; official SDKs take no other.
pub const HTTPS_PORT: u16 = 443;
/// Port of HTTPS where [`HTTPS_PORT`] is not permitted.
pub const HTTPS_PORT_UNPRIVILEGED: u16 = 8443;

/// The name of the emulator's own authority among those of its hubs.
const OWN_AUTHORITY: &str = "emulator:ca";

/// The configuration of an emulator. Made by [`Config::new`], then adjusted.
#[derive(Clone, Debug)]
pub struct Config {
    /// DNS names of the hubs, at least one.
    pub hubs: Vec<HostName>,
    /// DNS name of the provisioning service; may be a hub's. It is served at every name, this one is for the service alone.
    pub dps_name: Option<HostName>,
    /// The configuration of the provisioning service.
    pub provisioning: Provisioning,
    /// Primary key of the first enrollment group, unless the group has its own.
    pub group_key: Option<SymmetricKey>,
    /// Key of every policy of every hub; by default one of the emulator's choice, kept in the state directory.
    pub policy_key: Option<SymmetricKey>,
    /// The state directory; `None` keeps the state in memory.
    pub state: Option<PathBuf>,
    /// Whether devices, messages, telemetry and uploaded files that are there are removed first.
    pub reset: bool,
    /// Address to listen at.
    pub bind: IpAddr,
    /// Ports to listen at.
    pub ports: Ports,
    /// Devices to create on every hub, unless they are there, with keys derived from those of the first enrollment group.
    pub devices: Vec<DeviceId>,
    /// Devices with certificates to create on every hub, unless they are there.
    pub certificate_devices: Vec<(DeviceId, Authentication)>,
    /// Authorities that issue certificates of devices, taken for verified, beside the emulator's own.
    pub authorities: Vec<Certificate>,
    /// Partitions of each hub's event endpoint, 1 to 32. Cannot fall below what a state directory has.
    pub partitions: u16,
    /// Consumer groups in addition to `$Default`.
    pub consumer_groups: Vec<String>,
    /// The reason code by which clients of MQTT 5 are refused; a hub's own is not documented.
    pub mqtt_5_reason: u8,
    /// How much telemetry each hub keeps.
    pub telemetry: LogLimits,
    /// How messages to devices are treated.
    pub cloud_to_device: c2d::Settings,
    /// How file uploads are treated.
    pub uploads: uploads::Settings,
    /// The storage account that takes uploaded files, with a container that is there; `None` keeps them in the emulator.
    pub upload_account: Option<UploadAccount>,
    /// Limits of each hub.
    pub limits: Limits,
    /// Rates and daily quota of each hub, and rates of the provisioning service.
    pub rate_limits: RateLimits,
    /// The time by which it lives.
    pub clock: Clock,
    /// Observers of the events at the hubs.
    pub observers: Vec<Arc<dyn Observer>>,
    /// Faults to cause.
    pub faults: Vec<Fault>,
}

/// A container of a storage account.
#[derive(Clone, Debug)]
pub struct UploadAccount {
    /// The account.
    pub account: StorageAccount,
    /// The container's name.
    pub container: String,
}

/// Ports to listen at; 0 lets the system choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// AMQP over TLS.
    pub amqps: u16,
    /// MQTT over TLS; `None` uses 8883, unless another program has that port.
    pub mqtts: Option<u16>,
    /// HTTPS; `None` uses 443, or 8443 where 443 is not permitted.
    pub https: Option<u16>,
}

/// Mistakes in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// No hub at all.
    #[error("there is no hub: name at least one")]
    NoHub,
    /// Too many hubs.
    #[error("{0} hubs are too many, at most {HUBS_MAX} are allowed")]
    TooManyHubs(usize),
    /// A name that is there twice.
    #[error("the hub {0} is there twice")]
    SameName(HostName),
    /// A number of partitions that no hub has.
    #[error("{0} partitions: 1 to {PARTITIONS_MAX} are allowed")]
    Partitions(u16),
    /// A number of deliveries that no hub has.
    #[error("{0} deliveries of a message: 1 to 100 are allowed")]
    DeliveryCount(u32),
    /// More than one share of renewals that fail.
    #[error("two faults set the share of renewals that fail; one is allowed")]
    TwoShares,
    /// An id scope that is the first segment of other paths.
    #[error("the id scope {CONTAINER}: uploaded files have that path; choose another one")]
    IdScope,
    /// A container's name that no account has.
    #[error(
        "the container of uploaded files: 3 to 63 lower-case letters, digits and single dashes in between are allowed"
    )]
    Container,
    /// Something about the provisioning service.
    #[error(transparent)]
    Provisioning(#[from] InvalidProvisioning),
    /// Something about the certificate authorities.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// Something about the consumer groups.
    #[error(transparent)]
    Groups(#[from] InvalidGroups),
}

impl Config {
    /// `hubs` at the default ports of the loopback address, state in memory.
    pub fn new(hubs: Vec<HostName>) -> Self {
        Self {
            hubs,
            dps_name: None,
            provisioning: Provisioning::default(),
            group_key: None,
            policy_key: None,
            state: None,
            reset: false,
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ports: Ports {
                amqps: AMQPS_PORT,
                mqtts: None,
                https: None,
            },
            devices: Vec::new(),
            certificate_devices: Vec::new(),
            authorities: Vec::new(),
            partitions: PARTITIONS,
            consumer_groups: Vec::new(),
            mqtt_5_reason: UNSUPPORTED_PROTOCOL_VERSION,
            telemetry: LogLimits::default(),
            cloud_to_device: c2d::Settings::default(),
            uploads: uploads::Settings::default(),
            upload_account: None,
            limits: Limits::default(),
            rate_limits: RateLimits::default(),
            clock: Clock::system(),
            observers: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// All mistakes.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        if self.hubs.is_empty() {
            mistakes.push(Mistake::NoHub);
        }
        if self.hubs.len() > HUBS_MAX {
            mistakes.push(Mistake::TooManyHubs(self.hubs.len()));
        }
        let mut seen = HashSet::new();
        let repeated = self.hubs.iter().filter(|name| !seen.insert(*name));
        mistakes.extend(repeated.cloned().map(Mistake::SameName));
        if !(1..=PARTITIONS_MAX).contains(&self.partitions) {
            mistakes.push(Mistake::Partitions(self.partitions));
        }
        let counts = [
            self.cloud_to_device.max_delivery_count,
            self.cloud_to_device.feedback_max_delivery_count,
        ];
        let wrong = counts
            .into_iter()
            .filter(|count| !C2D_DELIVERY_COUNTS.contains(count));
        mistakes.extend(wrong.map(Mistake::DeliveryCount));
        let shares = |fault: &&Fault| matches!(fault, Fault::Refuse { .. });
        if self.faults.iter().filter(shares).count() > 1 {
            mistakes.push(Mistake::TwoShares);
        }
        if self.provisioning.id_scope == CONTAINER {
            mistakes.push(Mistake::IdScope);
        }
        let container = self.upload_account.iter().map(|it| it.container.as_str());
        if container.clone().any(|name| !is_container(name)) {
            mistakes.push(Mistake::Container);
        }
        let provisioning = self.provisioning.mistakes(&self.hubs);
        mistakes.extend(provisioning.into_iter().map(Mistake::Provisioning));
        mistakes.extend(self.authorities(None).err().map(Mistake::Authority));
        mistakes.extend(
            ConsumerGroups::new(&self.consumer_groups, &self.limits)
                .err()
                .map(Mistake::Groups),
        );
        mistakes
    }

    /// The authorities of every hub, the emulator's own among them.
    pub(crate) fn authorities(
        &self,
        own: Option<&Certificate>,
    ) -> Result<Authorities, AuthorityError> {
        let mut authorities = Authorities::default();
        let given = self.authorities.iter().enumerate();
        let given = given.map(|(at, it)| (format!("x509-ca:{}", at + 1), it));
        let own = own.map(|own| (OWN_AUTHORITY.to_owned(), own));
        for (name, certificate) in own.into_iter().chain(given) {
            authorities.give(&name, certificate.clone(), self.clock.unix_ms())?;
        }
        Ok(authorities)
    }

    /// The rates and the quota, that of [`Provisioning::registrations_per_minute`] included.
    pub(crate) fn all_rate_limits(&self) -> RateLimits {
        let limits = self.rate_limits.clone();
        match self.provisioning.registrations_per_minute {
            Some(rate) => limits.with_rate(
                OperationClass::DpsRegistrations,
                Rate::per_minute(rate.into()),
            ),
            None => limits,
        }
    }

    /// Every name that a client may connect to, each of them once.
    pub(crate) fn names(&self) -> Vec<HostName> {
        let own = self.dps_name.iter().filter(|dps| !self.hubs.contains(dps));
        self.hubs.iter().chain(own).cloned().collect()
    }
}

/// Azure's article "Naming and referencing containers, blobs, and metadata".
fn is_container(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (3..=63).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}
