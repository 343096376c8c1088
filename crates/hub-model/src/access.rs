//! Access control: from a token or a certificate to a grant, from a grant to an answer.

use std::sync::Arc;
use std::time::Duration;

use drawspan_hub::sas::Token;
use drawspan_hub::{DeviceId, ErrorCode, HostName, ModuleId, SymmetricKey};

use super::client_id::ClientId;
use super::device::{Authentication, Device, DeviceStatus};
use super::module::Module;
use super::policy::{Policies, Policy, Right};
use super::registry::Registry;
use super::token_life::Presentation;
use super::x509::{Authorities, Presented, Validity};

/// A token whose signature and time were found good, or a certificate that is a device's or module's: what its holder may do as long as it lasts.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The owner of the token's key, or of the certificate.
    pub principal: Principal,
    proof: Proof,
    /// Until when it holds a connection, in the hub's time.
    holds_until: Duration,
}

/// How the principal proved itself.
#[derive(Clone, Debug)]
enum Proof {
    Token(Token),
    Certificate(Arc<Presented>),
}

/// The owner of the key that signed a token, or of a certificate.
#[derive(Clone, Debug)]
pub enum Principal {
    /// A policy of the hub.
    Policy(&'static Policy),
    /// A device, with its own key or certificate.
    Device(Arc<Device>),
    /// A module, with its own key or certificate.
    Module(Arc<Module>),
}

/// Why a caller may not. Holds nothing of the token or the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The token is missing.
    #[error("the request has no token")]
    NoToken,
    /// The token cannot be taken apart.
    #[error("the token is not a shared access signature")]
    Malformed,
    /// It expired, the tolerance for clocks included.
    #[error("the token has expired")]
    Expired,
    /// It is for another hub.
    #[error("the token is for another host")]
    OtherHost,
    /// It names a policy that there is not.
    #[error("the token names an unknown policy")]
    UnknownPolicy,
    /// It names no policy, and no device that there is.
    #[error("the token is for an unknown device")]
    UnknownDevice,
    /// It names no policy, and no module that there is.
    #[error("the token is for an unknown module")]
    UnknownModule,
    /// Another key signed it.
    #[error("the token is signed with another key")]
    WrongKey,
    /// The device is disabled.
    #[error("the device is disabled")]
    DeviceDisabled,
    /// The token is for something else.
    #[error("the token does not cover this resource")]
    OutOfScope,
    /// The policy does not include this.
    #[error("the token's policy does not allow this")]
    MissingRight,
    /// The device or module brought a certificate, and proves itself in another way.
    #[error("the device or module does not authenticate by certificate, and there is no token")]
    CertificateNotTaken,
    /// The certificate's time is over.
    #[error("the certificate has expired")]
    CertificateExpired,
    /// The certificate's time has not come.
    #[error("the certificate is not yet valid")]
    CertificateNotYetValid,
    /// The certificate is none of the two of the device or module.
    #[error("the certificate has neither of the thumbprints of the device or module")]
    OtherThumbprint,
    /// The certificate is another's.
    #[error("the certificate's common name is not the device id, or device/module for a module")]
    OtherCommonName,
    /// None of the hub's authorities issued the certificate.
    #[error(
        "no verified certificate authority of the hub issued the certificate, or a certificate on the way is not valid"
    )]
    UntrustedCertificate,
}

impl Denied {
    /// The hub's code for it, towards a service that uses the REST interface.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::NoToken | Self::Malformed => ErrorCode::UNAUTHORIZED,
            _ => ErrorCode::UNAUTHORIZED_ACCESS,
        }
    }
}

/// Verifies a token of any kind that is presented now.
///
/// # Errors
/// When nothing can be done with the token at this hub, whatever is tried.
pub fn verify(
    token: &str,
    host: &HostName,
    policies: &Policies,
    registry: &Registry,
    now: &Presentation,
) -> Result<Grant, Denied> {
    let token = Token::parse(token).map_err(|_| Denied::Malformed)?;
    let paths: Vec<&str> = token
        .readings()
        .filter_map(|reading| path_at(reading, host))
        .collect();
    if paths.is_empty() {
        return Err(Denied::OtherHost);
    }
    let principal = match token.policy() {
        Some(name) => {
            let policy = policies.find(name).ok_or(Denied::UnknownPolicy)?;
            signed(token.signed_by(&policies.key))?;
            Principal::Policy(policy)
        }
        None => signing_client(&token, &paths, registry)?,
    };
    if !now.takes(token.expiry_unix_s()) {
        return Err(Denied::Expired);
    }
    Ok(Grant {
        principal,
        holds_until: now.holds_until(token.expiry_unix_s()),
        proof: Proof::Token(token),
    })
}

/// Verifies that what a client presented in its TLS handshake is its certificate, at time `now_unix_s`.
///
/// A hub checks no more of a certificate that it knows by thumbprint than its time: who signed it does not matter, nor its
/// subject (Azure/iotedge #621). A module's common name is `device/module` where an authority vouches for it
/// (MicrosoftDocs/azure-docs #63273, #111494).
///
/// # Errors
/// When the client does not exist, its device is disabled, or it proves itself in another way.
pub fn verify_certificate(
    presented: &Arc<Presented>,
    client: &ClientId,
    authorities: &Authorities,
    registry: &Registry,
    now_unix_s: u64,
) -> Result<Grant, Denied> {
    let entry = registry.get(&client.device);
    let device = &entry.ok_or(Denied::UnknownDevice)?.device;
    let principal = match &client.module {
        None => Principal::Device(Arc::clone(device)),
        Some(id) => {
            let entry = registry.module(&client.device, id);
            Principal::Module(Arc::clone(&entry.ok_or(Denied::UnknownModule)?.module))
        }
    };
    let authentication = match &principal {
        Principal::Module(module) => &module.authentication,
        Principal::Device(_) | Principal::Policy(_) => &device.authentication,
    };
    is_certificate_of(presented, authentication, client)?;
    match presented.leaf().validity(now_unix_s) {
        Validity::Valid => {}
        Validity::NotYet => return Err(Denied::CertificateNotYetValid),
        Validity::Expired => return Err(Denied::CertificateExpired),
    }
    if matches!(authentication, Authentication::CertificateAuthority)
        && !authorities.vouch_for(presented, now_unix_s)
    {
        return Err(Denied::UntrustedCertificate);
    }
    match device.status {
        DeviceStatus::Enabled => Ok(Grant {
            principal,
            proof: Proof::Certificate(Arc::clone(presented)),
            // A certificate's time is looked at when a device connects, and its connection may outlive it (azure-iot-sdk-python #968).
            holds_until: Duration::MAX,
        }),
        DeviceStatus::Disabled => Err(Denied::DeviceDisabled),
    }
}

/// Whether a client's identity is for this certificate, its time and its issuer apart.
fn is_certificate_of(
    presented: &Presented,
    authentication: &Authentication,
    client: &ClientId,
) -> Result<(), Denied> {
    let leaf = presented.leaf();
    match authentication {
        Authentication::SelfSigned { primary, secondary } => {
            let mut known = [Some(primary), secondary.as_ref()].into_iter().flatten();
            match known.any(|thumbprint| leaf.has_thumbprint(thumbprint)) {
                true => Ok(()),
                false => Err(Denied::OtherThumbprint),
            }
        }
        Authentication::CertificateAuthority => match leaf.common_name() {
            Some(name) if name == client.to_string() => Ok(()),
            _ => Err(Denied::OtherCommonName),
        },
        Authentication::Sas { .. } | Authentication::None => Err(Denied::CertificateNotTaken),
    }
}

/// The device or module for which a token is that names no policy, registered or not.
pub fn client_named(token: &str, host: &HostName) -> Option<ClientId> {
    let token = Token::parse(token).ok()?;
    if token.policy().is_some() {
        return None;
    }
    token
        .readings()
        .filter_map(|reading| path_at(reading, host))
        .find_map(client_of)
}

impl Principal {
    /// The device or module, if it is one.
    pub fn client(&self) -> Option<ClientId> {
        match self {
            Self::Policy(_) => None,
            Self::Device(device) => Some(ClientId::from(&device.id)),
            Self::Module(module) => Some(module.client()),
        }
    }
}

impl Grant {
    /// Whether the holder may use `path` at `host` (decoded, such as `/devices/{id}/messages/events`) with `right`.
    /// Expiry is not looked at: see [`Self::expires_unix_s`].
    ///
    /// # Errors
    /// When the token is for something else, or its policy for other things.
    pub fn allows(&self, right: Right, host: &HostName, path: &str) -> Result<(), Denied> {
        let has_right = match &self.principal {
            Principal::Policy(policy) => policy.allows(right),
            Principal::Device(_) | Principal::Module(_) => {
                let of = client_of(path.trim_start_matches('/'));
                right == Right::DeviceConnect && of.is_some() && of == self.principal.client()
            }
        };
        if !has_right {
            return Err(Denied::MissingRight);
        }
        match &self.proof {
            Proof::Token(token) if !token.covers(host, path) => Err(Denied::OutOfScope),
            Proof::Token(_) | Proof::Certificate(_) => Ok(()),
        }
    }

    /// When the token says that it expires, or the certificate, in seconds since 1970.
    pub fn expires_unix_s(&self) -> u64 {
        match &self.proof {
            Proof::Token(token) => token.expiry_unix_s(),
            Proof::Certificate(presented) => {
                u64::try_from(presented.leaf().not_after_unix_s()).unwrap_or(0)
            }
        }
    }

    /// Until when the grant holds the connection on which it was given, in the time of the [`Presentation`]'s `elapsed`: by a token, until
    /// some minutes after its expiry; by a certificate, for ever.
    pub const fn holds_until(&self) -> Duration {
        self.holds_until
    }

    /// Whether it still does.
    pub fn is_current(&self, elapsed: Duration) -> bool {
        elapsed < self.holds_until
    }

    /// Whether one of the keys that `device` has now signed the token, or its certificate still is the one that was presented.
    pub fn is_of(&self, device: &Device) -> bool {
        self.is_by(&device.authentication, || ClientId::from(&device.id))
    }

    /// As [`is_of`](Self::is_of), of a module.
    pub fn is_of_module(&self, module: &Module) -> bool {
        self.is_by(&module.authentication, || module.client())
    }

    fn is_by(&self, authentication: &Authentication, client: impl FnOnce() -> ClientId) -> bool {
        match &self.proof {
            Proof::Token(_) => self.is_signed_by(authentication.keys()),
            Proof::Certificate(presented) => {
                is_certificate_of(presented, authentication, &client()).is_ok()
            }
        }
    }

    /// Whether one of these keys, which its owner has now, signed the token.
    fn is_signed_by<'k>(&self, mut keys: impl Iterator<Item = &'k SymmetricKey>) -> bool {
        match &self.proof {
            Proof::Token(token) => keys.any(|key| token.signed_by(key)),
            Proof::Certificate(_) => false,
        }
    }

    /// The resource of the token, decoded; empty for a certificate.
    pub fn resource(&self) -> &str {
        match &self.proof {
            Proof::Token(token) => token.resource(),
            Proof::Certificate(_) => "",
        }
    }

    /// Whether a certificate proved it.
    pub const fn is_by_certificate(&self) -> bool {
        matches!(self.proof, Proof::Certificate(_))
    }

    /// The policy whose key signed, if one did.
    pub fn policy(&self) -> Option<&'static Policy> {
        match self.principal {
            Principal::Policy(policy) => Some(policy),
            Principal::Device(_) | Principal::Module(_) => None,
        }
    }

    /// The device whose own key signed, if one did.
    pub fn device(&self) -> Option<&Arc<Device>> {
        match &self.principal {
            Principal::Device(device) => Some(device),
            Principal::Policy(_) | Principal::Module(_) => None,
        }
    }
}

fn signed(holds: bool) -> Result<(), Denied> {
    if holds { Ok(()) } else { Err(Denied::WrongKey) }
}

/// The device or module that a token without policy is for. An id with `%` has several readings, so each is tried.
fn signing_client(token: &Token, paths: &[&str], registry: &Registry) -> Result<Principal, Denied> {
    let mut denied = Denied::UnknownDevice;
    for client in paths.iter().filter_map(|path| client_of(path)) {
        let Some(entry) = registry.get(&client.device) else {
            continue;
        };
        let module = match &client.module {
            Some(id) => match registry.module(&client.device, id) {
                Some(entry) => Some(&entry.module),
                None => {
                    denied = Denied::UnknownModule;
                    continue;
                }
            },
            None => None,
        };
        let is_signed = match module {
            Some(module) => module.keys().any(|key| token.signed_by(key)),
            None => entry.device.keys().any(|key| token.signed_by(key)),
        };
        if !is_signed {
            denied = Denied::WrongKey;
            continue;
        }
        return match (entry.device.status, module) {
            (DeviceStatus::Disabled, _) => Err(Denied::DeviceDisabled),
            (DeviceStatus::Enabled, Some(module)) => Ok(Principal::Module(Arc::clone(module))),
            (DeviceStatus::Enabled, None) => Ok(Principal::Device(Arc::clone(&entry.device))),
        };
    }
    Err(denied)
}

/// The part of a resource after the host, if the host is this one. Scheme and port do not matter.
fn path_at<'a>(resource: &'a str, host: &HostName) -> Option<&'a str> {
    let rest = resource
        .split_once("://")
        .map_or(resource, |(_, rest)| rest);
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let name = authority
        .split_once(':')
        .map_or(authority, |(name, _)| name);
    name.eq_ignore_ascii_case(host.as_str()).then_some(path)
}

/// The ids in `devices/{id}` and `devices/{id}/modules/{id}`, with whatever follows.
fn client_of(path: &str) -> Option<ClientId> {
    let mut segments = path.split('/');
    let is_device = segments.next()?.eq_ignore_ascii_case("devices");
    let id = segments.next().filter(|_| is_device)?;
    let device = DeviceId::parse(id).ok()?;
    let module = match segments.next() {
        Some(next) if next.eq_ignore_ascii_case("modules") => {
            Some(ModuleId::parse(segments.next()?).ok()?)
        }
        _ => None,
    };
    Some(ClientId { device, module })
}
