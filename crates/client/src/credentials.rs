//! Keys that sign tokens.
//!
//! Keys are held only here, and the authority that makes devices' certificates. Tokens are signed when they are needed, since a signature costs less than a microsecond. Keys can be
//! replaced while devices are connected; the next token is signed with the new ones.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use drawspan_hub::{
    CredentialKind, DeviceId, Failure, FailureKind, HostName, SymmetricKey, WhichKey, sas,
};
pub use drawspan_hub::{KeyPair, Keys, ListedDevice};
use drawspan_net::{ClientIdentity, DeviceAuthority, NoCertificate};
use tokio::sync::Semaphore;

use crate::limits;

/// Policy name of tokens for DPS.
const REGISTRATION_POLICY: &str = "registration";

/// Signs tokens. Shared by all connections of a fleet.
#[derive(Debug)]
pub struct Credentials {
    held: RwLock<Held>,
    kind: CredentialKind,
    /// Whether an authority makes the certificates.
    makes: bool,
    /// One per certificate that is being made.
    turns: Semaphore,
}

#[derive(Debug)]
struct Held {
    keys: Keys,
    /// Read from the keys, if they are an authority that can be used.
    authority: Option<DeviceAuthority>,
}

impl Held {
    fn new(keys: Keys) -> Self {
        let authority = match &keys {
            Keys::Authority(of) => DeviceAuthority::from_pem(&of.chain, of.key()).ok(),
            _ => None,
        };
        Self { keys, authority }
    }
}

/// The new keys are of another kind than those in use: connections were made for the latter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "credentials of another kind need a restart: a policy's keys, devices' own, certificates and a group's authority cannot be exchanged for each other"
)]
pub struct OtherKind;

impl Credentials {
    /// With these keys.
    #[must_use]
    pub fn new(keys: Keys) -> Self {
        Self {
            kind: keys.kind(),
            makes: matches!(keys, Keys::Authority(_)),
            held: RwLock::new(Held::new(keys)),
            turns: Semaphore::new(limits::CERTIFICATES_AT_ONCE),
        }
    }

    /// With one key of a policy.
    #[must_use]
    pub fn of_policy(name: String, key: SymmetricKey) -> Self {
        let keys = KeyPair::single(key);
        Self::new(Keys::Policy { name, keys })
    }

    /// Takes other keys from now on. Nothing that is connected is disturbed.
    ///
    /// # Errors
    /// When credentials of one kind would take the place of another: a policy's keys, devices' own, certificates, an authority.
    pub fn replace(&self, keys: Keys) -> Result<(), OtherKind> {
        if keys.kind() != self.kind || matches!(keys, Keys::Authority(_)) != self.makes {
            return Err(OtherKind);
        }
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Held::new(keys);
        Ok(())
    }

    /// Whether each device needs its own token; otherwise one serves a whole connection.
    #[must_use]
    pub const fn is_per_device(&self) -> bool {
        matches!(self.kind, CredentialKind::DeviceToken)
    }

    /// Whether each device has a certificate, and therefore a connection of its own.
    #[must_use]
    pub const fn is_by_certificate(&self) -> bool {
        matches!(self.kind, CredentialKind::Certificate)
    }

    /// The certificate of a device: the one that it is listed with, or the one that the group's authority makes for the id that it
    /// registers by.
    ///
    /// # Errors
    /// [`FailureKind::Unauthorized`] when no certificate can be made or found for the device, or the authority's has expired;
    /// [`FailureKind::InvalidRequest`] for an id that does not fit into a certificate.
    pub async fn identity(
        &self,
        device: &DeviceId,
        registration: &DeviceId,
    ) -> Result<ClientIdentity, Failure> {
        let authority = self.read().authority.clone();
        let Some(authority) = authority else {
            return self.listed_identity(device).ok_or_else(no_certificate);
        };
        // The semaphore is never closed, so that this is always a permit.
        let _turn = self.turns.acquire().await.ok();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_secs());
        let name = registration.clone();
        // Signing takes milliseconds with a large key.
        let made = move || authority.certify(name.as_str(), now);
        match tokio::task::spawn_blocking(made).await {
            Ok(made) => made.map_err(|error| not_made(&error)),
            // The runtime is ending.
            Err(_) => Err(no_certificate()),
        }
    }

    fn listed_identity(&self, device: &DeviceId) -> Option<ClientIdentity> {
        let Keys::Certificates(devices) = &self.read().keys else {
            return None;
        };
        let certificate = &devices.get(device)?.certificate;
        ClientIdentity::from_pem(&certificate.chain, certificate.key()).ok()
    }

    /// Whether a second key for all devices is there to be tried.
    #[must_use]
    pub fn has_secondary(&self) -> bool {
        match &self.read().keys {
            Keys::Policy { keys, .. } | Keys::Group(keys) => keys.secondary.is_some(),
            Keys::Explicit(_) | Keys::Certificates(_) | Keys::Authority(_) => false,
        }
    }

    /// The hub of a device that is listed with one.
    #[must_use]
    pub fn listed_hub(&self, device: &DeviceId) -> Option<HostName> {
        match &self.read().keys {
            Keys::Explicit(devices) => devices.get(device).map(|listed| listed.hub.clone()),
            Keys::Certificates(devices) => devices.get(device).map(|listed| listed.hub.clone()),
            Keys::Policy { .. } | Keys::Group(_) | Keys::Authority(_) => None,
        }
    }

    /// A token that covers the whole hub; `None` unless these are a policy's keys.
    #[must_use]
    pub fn policy_token(
        &self,
        host: &HostName,
        which: WhichKey,
        expiry_unix_s: u64,
    ) -> Option<String> {
        self.policy_token_for(host.as_str(), which, expiry_unix_s)
    }

    /// A policy's token for a part of the hub, or for its event endpoint; `resource` as it shall stand in the token. `None`
    /// unless these are a policy's keys.
    #[must_use]
    pub fn policy_token_for(
        &self,
        resource: &str,
        which: WhichKey,
        expiry_unix_s: u64,
    ) -> Option<String> {
        match &self.read().keys {
            Keys::Policy { name, keys } => Some(sas::sign(
                resource,
                keys.get(which),
                expiry_unix_s,
                Some(name),
            )),
            Keys::Group(_) | Keys::Explicit(_) | Keys::Certificates(_) | Keys::Authority(_) => None,
        }
    }

    /// The name of the policy whose keys these are; `None` when they are devices' own.
    #[must_use]
    pub fn policy_name(&self) -> Option<String> {
        match &self.read().keys {
            Keys::Policy { name, .. } => Some(name.clone()),
            Keys::Group(_) | Keys::Explicit(_) | Keys::Certificates(_) | Keys::Authority(_) => None,
        }
    }

    /// A token for one device at its hub, registered under that id; `None` if there is no key for it.
    #[must_use]
    pub fn device_token(
        &self,
        host: &HostName,
        device: &DeviceId,
        registration: &DeviceId,
        which: WhichKey,
        expiry_unix_s: u64,
    ) -> Option<String> {
        let key = self.device_key(registration, which)?;
        let resource = sas::device_resource(host, device, None);
        Some(sas::sign(&resource, &key, expiry_unix_s, None))
    }

    /// A token for registering a device at DPS; `None` if there is no key for it.
    #[must_use]
    pub fn registration_token(
        &self,
        id_scope: &str,
        registration: &DeviceId,
        which: WhichKey,
        expiry_unix_s: u64,
    ) -> Option<String> {
        let key = self.device_key(registration, which)?;
        let resource = sas::registration_resource(id_scope, registration.as_str());
        Some(sas::sign(
            &resource,
            &key,
            expiry_unix_s,
            Some(REGISTRATION_POLICY),
        ))
    }

    fn device_key(&self, device: &DeviceId, which: WhichKey) -> Option<SymmetricKey> {
        match &self.read().keys {
            Keys::Policy { .. } | Keys::Certificates(_) | Keys::Authority(_) => None,
            Keys::Group(keys) => Some(keys.get(which).derive(device.as_str())),
            Keys::Explicit(devices) => {
                let listed = devices.get(device)?;
                Some(listed.keys.get(which).clone())
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_certificate() -> Failure {
    Failure::local(
        FailureKind::Unauthorized,
        "there is no certificate for this device",
    )
}

fn not_made(error: &NoCertificate) -> Failure {
    let kind = match error {
        NoCertificate::Name(_) => FailureKind::InvalidRequest,
        NoCertificate::NotYet(_) | NoCertificate::Expired(_) | NoCertificate::Unsigned(_) => {
            FailureKind::Unauthorized
        }
    };
    Failure::local(kind, &error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use drawspan_hub::sas::Token;

    const GROUP: &str =
        "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==";
    const DERIVED: &str = "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=";

    fn key(text: &str) -> SymmetricKey {
        SymmetricKey::from_base64(text).unwrap()
    }

    fn group() -> Credentials {
        Credentials::new(Keys::Group(KeyPair::single(key(GROUP))))
    }

    #[test]
    fn a_group_signs_with_the_key_derived_for_the_device() {
        let host = HostName::parse("hub.example").unwrap();
        let device = DeviceId::parse("sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6").unwrap();
        for which in [WhichKey::Primary, WhichKey::Secondary] {
            let other = DeviceId::parse("assigned").unwrap();
            let token = group().device_token(&host, &other, &device, which, 2_000_000_000);
            let token = Token::parse(&token.unwrap()).unwrap();
            assert!(token.signed_by(&key(DERIVED)));
            let token = group().registration_token("0ne000", &device, which, 2_000_000_000);
            let token = Token::parse(&token.unwrap()).unwrap();
            assert!(token.signed_by(&key(DERIVED)));
            assert_eq!(
                token.resource(),
                "0ne000/registrations/sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6"
            );
            assert_eq!(token.policy(), Some("registration"));
        }
        assert_eq!(group().policy_token(&host, WhichKey::Primary, 1), None);
    }

    #[test]
    fn replaced_keys_sign_what_comes_next_and_the_kind_stays() {
        let host = HostName::parse("hub.example").unwrap();
        let device = DeviceId::parse("a").unwrap();
        let credentials = group();
        let other = KeyPair::single(key(DERIVED));
        let listed = ListedDevice {
            hub: host.clone(),
            keys: other.clone(),
        };
        let explicit = Keys::Explicit([(device.clone(), listed)].into());
        assert_eq!(credentials.replace(explicit), Ok(()));
        let token = credentials.device_token(&host, &device, &device, WhichKey::Primary, 1);
        assert!(
            Token::parse(&token.unwrap())
                .unwrap()
                .signed_by(&key(DERIVED))
        );
        assert_eq!(credentials.listed_hub(&device), Some(host.clone()));
        let unknown = DeviceId::parse("b").unwrap();
        assert_eq!(
            credentials.device_token(&host, &unknown, &unknown, WhichKey::Primary, 1),
            None
        );
        let policy = Keys::Policy {
            name: "device".to_owned(),
            keys: other,
        };
        assert_eq!(credentials.replace(policy), Err(OtherKind));
    }
}
