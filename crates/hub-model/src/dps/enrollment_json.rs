//! Enrollments as the service's interface writes them.
//!
//! What is asked for and not served is refused by name. What only the service's own answers have (`etag`, times,
//! `registrationState`) is not looked at, so that they can be given as they are.

use drawspan_hub::text::without_mark;
use drawspan_hub::{DeviceId, HostName, RegistrationId, SymmetricKey};
use serde::Deserialize;
use serde_json::Value;

use super::enrollment::{Attestation, Enrollment, EnrollmentGroup, Terms};
use super::provisioning::is_group_name;
use crate::device::DeviceStatus;
use crate::limits::{ENROLLMENT_NAME_MAX_CHARS, INDIVIDUAL_ENROLLMENTS_MAX};
use crate::x509::{Certificate, is_thumbprint};

/// A file of enrollments: `{"enrollments": […], "enrollmentGroups": […]}`, each as in the service's interface.
#[derive(Clone, Debug, Default)]
pub struct EnrollmentFile {
    /// Enrollments of one device each.
    pub individual: Vec<Enrollment>,
    /// Enrollment groups.
    pub groups: Vec<EnrollmentGroup>,
}

/// An enrollment that is not taken. Holds no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{which}: {reason}")]
pub struct InvalidEnrollment {
    /// Its name or place in the file.
    pub which: String,
    /// What is wrong with it.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FileBody {
    #[serde(default)]
    enrollments: Vec<Body>,
    #[serde(default)]
    enrollment_groups: Vec<Body>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    registration_id: Option<String>,
    enrollment_group_id: Option<String>,
    device_id: Option<String>,
    attestation: Option<AttestationBody>,
    provisioning_status: Option<String>,
    iot_hub_host_name: Option<String>,
    iot_hubs: Option<Vec<String>>,
    allocation_policy: Option<String>,
    capabilities: Option<CapabilitiesBody>,
    custom_allocation_definition: Option<Value>,
    initial_twin: Option<Value>,
    reprovision_policy: Option<ReprovisionBody>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttestationBody {
    r#type: Option<String>,
    symmetric_key: Option<KeysBody>,
    x509: Option<X509Body>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeysBody {
    primary_key: Option<String>,
    secondary_key: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct X509Body {
    client_certificates: Option<PairBody>,
    signing_certificates: Option<PairBody>,
    ca_references: Option<Value>,
}

#[derive(Deserialize)]
struct PairBody {
    primary: Option<CertificateBody>,
    secondary: Option<CertificateBody>,
}

#[derive(Deserialize)]
struct CertificateBody {
    certificate: Option<String>,
    info: Option<InfoBody>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InfoBody {
    sha1_thumbprint: Option<String>,
    sha256_thumbprint: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CapabilitiesBody {
    #[serde(default)]
    iot_edge: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReprovisionBody {
    #[serde(default)]
    update_hub_assignment: Option<bool>,
    #[serde(default)]
    migrate_device_data: Option<bool>,
}

impl EnrollmentFile {
    /// Reads a file's text.
    ///
    /// # Errors
    /// Every enrollment that is not taken, with the reason.
    pub fn parse(text: &[u8]) -> Result<Self, Vec<InvalidEnrollment>> {
        let body: FileBody = serde_json::from_slice(without_mark(text)).map_err(|error| {
            // The library's text may show a value, which may be a key.
            let (line, column) = (error.line(), error.column());
            let what = match error.classify() {
                serde_json::error::Category::Data => "it is not what is expected",
                _ => "it is not JSON",
            };
            let reason = format!("{what}, at line {line}, column {column}");
            vec![InvalidEnrollment::new("the file", &reason)]
        })?;
        if body.enrollments.len() > INDIVIDUAL_ENROLLMENTS_MAX {
            let reason = format!("more than {INDIVIDUAL_ENROLLMENTS_MAX}");
            return Err(vec![InvalidEnrollment::new("enrollments", &reason)]);
        }
        let (mut file, mut invalid) = (Self::default(), Vec::new());
        for (at, body) in body.enrollments.into_iter().enumerate() {
            let name = body.registration_id.clone();
            match body.into_individual() {
                Ok(it) => file.individual.push(it),
                Err(reason) => invalid.push(InvalidEnrollment::at("enrollments", at, name, reason)),
            }
        }
        for (at, body) in body.enrollment_groups.into_iter().enumerate() {
            let name = body.enrollment_group_id.clone();
            match body.into_group() {
                Ok(it) => file.groups.push(it),
                Err(reason) => {
                    invalid.push(InvalidEnrollment::at("enrollmentGroups", at, name, reason));
                }
            }
        }
        match invalid.is_empty() {
            true => Ok(file),
            false => Err(invalid),
        }
    }
}

impl InvalidEnrollment {
    fn new(which: &str, reason: &str) -> Self {
        Self {
            which: which.to_owned(),
            reason: reason.to_owned(),
        }
    }

    fn at(list: &str, at: usize, name: Option<String>, reason: String) -> Self {
        let which = match name {
            Some(name) => format!("{list}[{at}], {name}"),
            None => format!("{list}[{at}]"),
        };
        Self { which, reason }
    }
}

impl Body {
    fn into_individual(self) -> Result<Enrollment, String> {
        let id = self.registration_id.as_deref();
        let id = RegistrationId::parse(id.ok_or("registrationId is missing")?);
        let device = given(&self.device_id).map(DeviceId::parse);
        Ok(Enrollment {
            id: id.map_err(|error| error.to_string())?,
            device: device.transpose().map_err(|error| error.to_string())?,
            terms: self.terms()?,
            attestation: match self.attestation()? {
                Attested::Keys(keys) => keys.into_attestation()?,
                Attested::X509(x509) => x509.into_thumbprints()?,
            },
        })
    }

    fn into_group(self) -> Result<EnrollmentGroup, String> {
        let name = self.enrollment_group_id.clone();
        let name = name.ok_or("enrollmentGroupId is missing")?;
        if !is_group_name(&name) {
            let text = "its name must have 1 to";
            return Err(format!(
                "{text} {ENROLLMENT_NAME_MAX_CHARS} letters, digits and - . _ :"
            ));
        }
        Ok(EnrollmentGroup {
            name: name.into(),
            terms: self.terms()?,
            attestation: match self.attestation()? {
                Attested::Keys(keys) => keys.into_attestation()?,
                Attested::X509(x509) => x509.into_signing()?,
            },
        })
    }

    fn terms(&self) -> Result<Terms, String> {
        let is_set = |value: &Option<Value>| value.as_ref().is_some_and(says_something);
        if is_set(&self.custom_allocation_definition) {
            return Err("customAllocationDefinition is not served".into());
        }
        if is_set(&self.initial_twin) {
            return Err("initialTwin is not served".into());
        }
        if let Some(policy) = &self.reprovision_policy
            && (policy.update_hub_assignment == Some(false)
                || policy.migrate_device_data == Some(false))
        {
            let text = "reprovisionPolicy other than the default, which moves a device with its data, is not served";
            return Err(text.into());
        }
        let status = match self.provisioning_status.as_deref() {
            None => DeviceStatus::Enabled,
            Some(word) if word.eq_ignore_ascii_case("enabled") => DeviceStatus::Enabled,
            Some(word) if word.eq_ignore_ascii_case("disabled") => DeviceStatus::Disabled,
            Some(_) => return Err("provisioningStatus is neither enabled nor disabled".into()),
        };
        Ok(Terms {
            status,
            hub: self.hub()?,
            iot_edge: self.capabilities.as_ref().is_some_and(|it| it.iot_edge),
        })
    }

    fn hub(&self) -> Result<Option<HostName>, String> {
        let policy = given(&self.allocation_policy).unwrap_or("hashed");
        let of_list = match self.iot_hubs.as_deref() {
            None | Some([]) => None,
            Some([hub]) => Some(hub.as_str()),
            Some(_) => return Err("several iotHubs of one enrollment are not served".into()),
        };
        let is_served = ["hashed", "static"].contains(&policy.to_ascii_lowercase().as_str());
        if !is_served {
            return Err(format!("allocationPolicy {policy} is not served"));
        }
        let hub = given(&self.iot_hub_host_name).or(of_list);
        if hub.is_none() && policy.eq_ignore_ascii_case("static") {
            return Err("allocationPolicy static needs iotHubHostName".into());
        }
        let hub = hub.map(HostName::parse).transpose();
        hub.map_err(|error| error.to_string())
    }

    fn attestation(self) -> Result<Attested, String> {
        let body = self.attestation.ok_or("attestation is missing")?;
        match body.r#type.as_deref() {
            Some("symmetricKey") => {
                let keys = body.symmetric_key;
                keys.map(Attested::Keys)
                    .ok_or_else(|| "attestation.symmetricKey is missing".into())
            }
            Some("x509") => {
                let x509 = body.x509.ok_or("attestation.x509 is missing")?;
                if x509.ca_references.as_ref().is_some_and(says_something) {
                    return Err(
                        "attestation.x509.caReferences is not served: give signingCertificates"
                            .into(),
                    );
                }
                Ok(Attested::X509(Box::new(x509)))
            }
            Some("tpm") => Err("attestation by tpm is not served".into()),
            _ => Err("attestation.type is none of symmetricKey, x509".into()),
        }
    }
}

enum Attested {
    Keys(KeysBody),
    X509(Box<X509Body>),
}

impl KeysBody {
    /// The service makes keys that are missing. A file is no place for the emulator to keep them.
    fn into_attestation(self) -> Result<Attestation, String> {
        let key = |text: &Option<String>, name: &str| {
            let text = given(text).ok_or_else(|| format!("symmetricKey.{name} is missing"))?;
            SymmetricKey::from_base64(text).map_err(|error| format!("symmetricKey.{name}: {error}"))
        };
        Ok(Attestation::SymmetricKey {
            primary: key(&self.primary_key, "primaryKey")?,
            secondary: key(&self.secondary_key, "secondaryKey")?,
        })
    }
}

impl X509Body {
    fn into_thumbprints(self) -> Result<Attestation, String> {
        if self.signing_certificates.is_some_and(|it| !it.is_empty()) {
            return Err("signingCertificates are for groups: give clientCertificates".into());
        }
        let certificates = self.client_certificates;
        let certificates = certificates.ok_or("x509.clientCertificates is missing")?;
        let thumbprints = certificates.map(CertificateBody::thumbprint)?;
        Ok(Attestation::Thumbprints(thumbprints))
    }

    fn into_signing(self) -> Result<Attestation, String> {
        if self.client_certificates.is_some_and(|it| !it.is_empty()) {
            return Err(
                "clientCertificates are for single devices: give signingCertificates".into(),
            );
        }
        let certificates = self.signing_certificates;
        let certificates = certificates.ok_or("x509.signingCertificates is missing")?;
        let signing = certificates.map(CertificateBody::signing)?;
        Ok(Attestation::Signing(signing))
    }
}

impl PairBody {
    const fn is_empty(&self) -> bool {
        self.primary.is_none() && self.secondary.is_none()
    }

    fn map<T>(self, read: impl Fn(CertificateBody) -> Result<T, String>) -> Result<Vec<T>, String> {
        let primary = self.primary.ok_or("the primary certificate is missing")?;
        [Some(primary), self.secondary]
            .into_iter()
            .flatten()
            .map(read)
            .collect()
    }
}

impl CertificateBody {
    /// Answers of the service have no certificate, but its thumbprints.
    fn thumbprint(self) -> Result<String, String> {
        if let Some(text) = given(&self.certificate) {
            let read = Certificate::from_text(text);
            let read = read.map_err(|error| error.to_string())?;
            return Ok(read.sha256_thumbprint());
        }
        let info = self.info.ok_or("a certificate is missing")?;
        let known = given(&info.sha256_thumbprint).or(given(&info.sha1_thumbprint));
        match known {
            Some(text) if is_thumbprint(text) => Ok(text.to_owned()),
            Some(_) => Err("a thumbprint is 40 or 64 hexadecimal digits".into()),
            None => Err("a certificate is missing".into()),
        }
    }

    fn signing(self) -> Result<Certificate, String> {
        let text = given(&self.certificate).ok_or("a certificate is missing")?;
        let read = Certificate::from_text(text).map_err(|error| error.to_string())?;
        match read.is_authority() {
            true => Ok(read),
            false => Err(format!(
                "{} is not an authority's certificate",
                read.subject()
            )),
        }
    }
}

fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

/// Whether there is a value in a value.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Object(members) => members.values().any(says_something),
        _ => true,
    }
}
