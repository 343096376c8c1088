//! Permission to register.

use std::sync::Arc;

use drawspan_hub::sas::Token;
use drawspan_hub::{DeviceId, HostName, RegistrationId, SymmetricKey};

use super::enrollment::{Attestation, EnrollmentGroup, Enrollments, Terms};
use crate::device::{Authentication, DeviceStatus};
use crate::x509::{Presented, Validity};

/// The policy name in tokens for DPS, unless they have no policy.
const POLICY: &str = "registration";

/// What a device proves itself by.
#[derive(Clone, Copy, Debug)]
pub enum Credential<'c> {
    /// A token. A device that sends one is judged by it, whatever certificate it has.
    Token(&'c str),
    /// The certificate of its TLS handshake.
    Certificate(&'c Presented),
    /// Nothing.
    Nothing,
}

/// A device that may register, and what it is to become.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The group that it belongs to; `None` if it has an enrollment of its own.
    pub group: Option<Arc<str>>,
    /// How it proves itself at its hub.
    pub authentication: Authentication,
    /// Its name at the hub, if the enrollment names one.
    pub device: Option<DeviceId>,
    /// Its hub, if the enrollment names one.
    pub hub: Option<HostName>,
    /// Whether it becomes an IoT Edge device.
    pub iot_edge: bool,
}

/// Why a device may not. Holds nothing of the token or the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// There is neither a token nor a certificate.
    #[error("the request has no token, and the connection no certificate")]
    NoToken,
    /// The token cannot be taken apart.
    #[error("the token is not a shared access signature")]
    Malformed,
    /// The token is for something else.
    #[error("the token is for another registration")]
    OtherRegistration,
    /// The token names a policy that there is not.
    #[error("the token names a policy other than registration")]
    OtherPolicy,
    /// It expired, the tolerance for clocks included.
    #[error("the token has expired")]
    Expired,
    /// No group's derived key signed it, nor that of the device's own enrollment. A group's own key counts for nothing.
    #[error("the token is signed with another key than the device's")]
    WrongKey,
    /// The device's own enrollment is for certificates.
    #[error("the device's enrollment is for a certificate, not for a token")]
    TokenNotTaken,
    /// The device's own enrollment is for keys.
    #[error("the device's enrollment is for a key, not for a certificate, and there is no token")]
    CertificateNotTaken,
    /// The certificate is for something else.
    #[error("the certificate's common name is not the registration id")]
    OtherCommonName,
    /// The certificate's time is over.
    #[error("the certificate has expired")]
    CertificateExpired,
    /// The certificate's time has not come.
    #[error("the certificate is not yet valid")]
    CertificateNotYetValid,
    /// No enrollment takes the certificate.
    #[error("no enrollment is for this certificate, or a certificate on the way is not valid")]
    NotEnrolled,
    /// The enrollment is disabled.
    #[error("the enrollment is disabled")]
    Disabled,
}

impl Enrollments {
    /// Finds the enrollment of a device, at time `now_unix_s`.
    ///
    /// # Errors
    /// When the credential proves nothing, or the enrollment is disabled.
    pub fn admit(
        &self,
        credential: Credential<'_>,
        id_scope: &str,
        id: &RegistrationId,
        now_unix_s: u64,
    ) -> Result<Admission, Denied> {
        match credential {
            Credential::Token(text) => {
                let token = token(text, id_scope, id)?;
                let admitted = self.by_token(&token, id)?;
                if !token.is_current(now_unix_s) {
                    return Err(Denied::Expired);
                }
                admitted.if_enabled()
            }
            Credential::Certificate(presented) => {
                self.by_certificate(presented, id, now_unix_s)?.if_enabled()
            }
            Credential::Nothing => Err(Denied::NoToken),
        }
    }

    fn by_token(&self, token: &Token, id: &RegistrationId) -> Result<Enrolled<'_>, Denied> {
        if let Some(own) = self.individual(id) {
            let Attestation::SymmetricKey { primary, secondary } = &own.attestation else {
                return Err(Denied::TokenNotTaken);
            };
            if !token.signed_by(primary) && !token.signed_by(secondary) {
                return Err(Denied::WrongKey);
            }
            let keys = (primary.clone(), secondary.clone());
            return Ok(Enrolled::individual(own, with(keys)));
        }
        let found = self.groups().iter().find_map(|group| {
            let keys = device_keys(group, id)?;
            let signed = token.signed_by(&keys.0) || token.signed_by(&keys.1);
            signed.then(|| Enrolled::of(group, with(keys)))
        });
        found.ok_or(Denied::WrongKey)
    }

    fn by_certificate(
        &self,
        presented: &Presented,
        id: &RegistrationId,
        now_unix_s: u64,
    ) -> Result<Enrolled<'_>, Denied> {
        let leaf = presented.leaf();
        let name = leaf.common_name().unwrap_or_default();
        if !name.eq_ignore_ascii_case(id.as_str()) {
            return Err(Denied::OtherCommonName);
        }
        match leaf.validity(now_unix_s) {
            Validity::Valid => {}
            Validity::NotYet => return Err(Denied::CertificateNotYetValid),
            Validity::Expired => return Err(Denied::CertificateExpired),
        }
        // The service creates the identity with the leaf as its credential, of a group's device as well (DPS article "roll X.509
        // device certificates").
        let authentication = Authentication::SelfSigned {
            primary: leaf.sha256_thumbprint(),
            secondary: None,
        };
        if let Some(own) = self.individual(id) {
            let Attestation::Thumbprints(known) = &own.attestation else {
                return Err(Denied::CertificateNotTaken);
            };
            return match known.iter().any(|it| leaf.has_thumbprint(it)) {
                true => Ok(Enrolled::individual(own, authentication)),
                false => Err(Denied::NotEnrolled),
            };
        }
        let mut groups = self.groups().iter();
        let group = groups.find(|group| match &group.attestation {
            Attestation::Signing(signing) => signing
                .iter()
                .any(|authority| presented.is_issued_by(authority, now_unix_s)),
            _ => false,
        });
        let group = group.ok_or(Denied::NotEnrolled)?;
        Ok(Enrolled::of(group, authentication))
    }
}

/// A device that proved itself, by an enrollment that may be disabled.
struct Enrolled<'e> {
    terms: &'e Terms,
    admission: Admission,
}

impl<'e> Enrolled<'e> {
    fn individual(own: &'e super::Enrollment, authentication: Authentication) -> Self {
        Self::new(&own.terms, None, own.device.clone(), authentication)
    }

    fn of(group: &'e EnrollmentGroup, authentication: Authentication) -> Self {
        let name = Arc::clone(&group.name);
        Self::new(&group.terms, Some(name), None, authentication)
    }

    fn new(
        terms: &'e Terms,
        group: Option<Arc<str>>,
        device: Option<DeviceId>,
        authentication: Authentication,
    ) -> Self {
        let admission = Admission {
            group,
            authentication,
            device,
            hub: terms.hub.clone(),
            iot_edge: terms.iot_edge,
        };
        Self { terms, admission }
    }

    fn if_enabled(self) -> Result<Admission, Denied> {
        match self.terms.status {
            DeviceStatus::Enabled => Ok(self.admission),
            DeviceStatus::Disabled => Err(Denied::Disabled),
        }
    }
}

fn with((primary, secondary): (SymmetricKey, SymmetricKey)) -> Authentication {
    Authentication::Sas { primary, secondary }
}

/// The keys of a group's device, derived from its name as its request writes it: those are what the device has.
fn device_keys(
    group: &EnrollmentGroup,
    id: &RegistrationId,
) -> Option<(SymmetricKey, SymmetricKey)> {
    match &group.attestation {
        Attestation::SymmetricKey { primary, secondary } => {
            Some((primary.derive(id.as_str()), secondary.derive(id.as_str())))
        }
        Attestation::Thumbprints(_) | Attestation::Signing(_) => None,
    }
}

/// Reads a token that is for the registration of `id`.
fn token(text: &str, id_scope: &str, id: &RegistrationId) -> Result<Token, Denied> {
    let token = Token::parse(text).map_err(|_| Denied::Malformed)?;
    if !token
        .readings()
        .any(|reading| is_for(reading, id_scope, id))
    {
        return Err(Denied::OtherRegistration);
    }
    if token.policy().is_some_and(|policy| policy != POLICY) {
        return Err(Denied::OtherPolicy);
    }
    Ok(token)
}

/// Whether a token's resource is `{id_scope}/registrations/{id}`. The service compares names without case.
fn is_for(resource: &str, id_scope: &str, id: &RegistrationId) -> bool {
    let mut parts = resource.trim_matches('/').split('/');
    let expected = [id_scope, "registrations", id.as_str()];
    let all = expected.iter().all(|expected| {
        parts
            .next()
            .is_some_and(|part| part.eq_ignore_ascii_case(expected))
    });
    all && parts.next().is_none()
}
