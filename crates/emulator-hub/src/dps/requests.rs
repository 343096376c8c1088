//! What devices ask of the provisioning service, whatever protocol they speak, and its answers.
//!
//! Official SDKs insist on 202 for a registration, on an operation to be asked after, and on errors as JSON with a number.

use std::sync::Arc;

use drawspan_hub::text::without_mark;
use drawspan_hub::{ErrorCode, RegistrationId, UtcTime};
use drawspan_hub_model::dps::{Admission, Attestation, Credential, Denied, Registration};
use drawspan_hub_model::x509::{Certificate, Presented};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Asked, Dps, RegisterError, THROTTLED};
use crate::clock::system_unix_ms;
use crate::json_place::place_in_body;
use crate::limits::REGISTRATION_BODY_BYTES;
use crate::random;

/// The newest API version whose answers do not carry the connection profile of the assigned hub.
const LAST_WITHOUT_PROFILE: &str = "2021-10-01";

/// When a client of which too many requests wait may ask again.
const RETRY_AFTER_S: u32 = 2;

/// What the service says when it does not know the scope, the registration or the operation.
pub const NOT_FOUND: u32 = 404_201;

/// Who asks, by the names and the token of the request, or the certificate of its connection.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'c> {
    /// Id scope that the device names.
    pub id_scope: &'c str,
    /// Registration id that it names.
    pub registration: &'c str,
    /// Its token, if it brought one.
    pub token: Option<&'c str>,
    /// The certificate of its connection, if it presented one.
    pub certificate: Option<&'c Presented>,
    /// The API version that the client names. Any is accepted; answers to newer ones say more.
    pub api_version: Option<&'c str>,
}

/// An answer that is no refusal.
#[derive(Debug)]
pub struct Answer {
    /// The status, as HTTP has it.
    pub status: u16,
    /// When to ask again, if that is to be said.
    pub retry_after_s: Option<u32>,
    /// JSON.
    pub body: Value,
}

/// A request that is not done.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Its first three digits are the status.
    pub code: u32,
    /// The reason, for a person.
    pub message: String,
    /// What the log has instead of the message, which says less, or more.
    pub logged: Option<String>,
    /// Seconds after which to ask again, if that helps.
    pub retry_after_s: Option<u32>,
}

/// What a device says of itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegisterBody<'a> {
    registration_id: Option<String>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

impl Dps {
    /// Who the caller is, and what it may become.
    pub fn identify(&self, caller: Caller<'_>) -> Result<(RegistrationId, Admission), Refusal> {
        if !caller.id_scope.eq_ignore_ascii_case(self.id_scope()) {
            return Err(Refusal::new(NOT_FOUND, "The id scope does not exist"));
        }
        let id = RegistrationId::parse(caller.registration);
        let id = id.map_err(|error| Refusal::invalid(error.to_string()))?;
        let admission = self.authenticate(caller.credential(), &id)?;
        Ok((id, admission))
    }

    /// Registers the caller.
    pub async fn answer_registration(
        &self,
        caller: Caller<'_>,
        body: &[u8],
    ) -> Result<Answer, Refusal> {
        self.count(Asked::Register);
        let (id, admission) = self.identify(caller)?;
        let payload = payload(body, &id)?;
        let registration = self.register(id, admission, payload).await?;
        Ok(match self.retry_after_s() {
            0 => Answer {
                status: 202,
                retry_after_s: None,
                body: self.assigned(&registration, caller),
            },
            wait_s => Answer {
                status: 202,
                retry_after_s: Some(wait_s),
                body: json!({ "operationId": registration.operation, "status": "assigning" }),
            },
        })
    }

    /// What has become of a registration.
    pub fn answer_operation(&self, caller: Caller<'_>, operation: &str) -> Result<Answer, Refusal> {
        self.count(Asked::Poll);
        let (id, _) = self.identify(caller)?;
        self.take_in(Asked::Poll, &id)?;
        let registration = self
            .registration(&id)
            .filter(|registration| registration.operation == operation)
            .ok_or_else(|| Refusal::new(NOT_FOUND, "The operation does not exist"))?;
        Ok(Answer::ok(self.assigned(&registration, caller)))
    }

    /// The caller's registration.
    pub fn answer_lookup(&self, caller: Caller<'_>) -> Result<Answer, Refusal> {
        self.count(Asked::LookUp);
        let (id, _) = self.identify(caller)?;
        self.take_in(Asked::LookUp, &id)?;
        let registration = self.registration(&id).ok_or_else(Refusal::unregistered)?;
        Ok(Answer::ok(self.state_for(caller, &registration)))
    }

    /// A registration, as its device sees it.
    pub fn state(&self, registration: &Registration) -> Value {
        let time = |unix_ms: u64| {
            let unix_ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
            UtcTime::from_unix_ms(unix_ms).to_string()
        };
        let group = Some(&*registration.group).filter(|group| !group.is_empty());
        let attested = match self.enrollments().attestation_of(registration) {
            Some(Attestation::Thumbprints(_) | Attestation::Signing(_)) => "x509",
            Some(Attestation::SymmetricKey { .. }) | None => "symmetricKey",
        };
        let mut state = json!({
            "registrationId": registration.id.as_str(),
            "createdDateTimeUtc": time(registration.created_unix_ms),
            "assignedHub": registration.hub.as_str(),
            "deviceId": registration.device.as_str(),
            "status": "assigned",
            "substatus": registration.substatus.as_str(),
            "lastUpdatedDateTimeUtc": time(registration.updated_unix_ms),
            "etag": registration.etag,
        });
        state[attested] = match group {
            Some(group) => json!({ "enrollmentGroupId": group }),
            None => json!({}),
        };
        state
    }

    /// An operation that is done.
    fn assigned(&self, registration: &Registration, caller: Caller<'_>) -> Value {
        json!({
            "operationId": registration.operation,
            "status": "assigned",
            "registrationState": self.state_for(caller, registration),
        })
    }

    /// A registration, with what its device's request adds.
    fn state_for(&self, caller: Caller<'_>, registration: &Registration) -> Value {
        let mut state = self.state(registration);
        if carries_profile(caller.api_version) {
            // A hub of the profile `mqttV5` is not served here.
            state["connectionProfile"] = "classic".into();
        }
        if let Credential::Certificate(presented) = caller.credential() {
            state["x509"]["certificateInfo"] = certificate_info(presented.leaf());
        }
        state
    }
}

/// The payload in the body of a registration.
fn payload(bytes: &[u8], id: &RegistrationId) -> Result<Option<Arc<str>>, Refusal> {
    if bytes.len() > REGISTRATION_BODY_BYTES {
        let text = format!("The body has more than {REGISTRATION_BODY_BYTES} bytes");
        return Err(Refusal::new(ErrorCode::MESSAGE_TOO_LARGE.number(), text));
    }
    let body: RegisterBody<'_> =
        serde_json::from_slice(without_mark(bytes)).map_err(|error| Refusal {
            logged: Some(place_in_body(&error)),
            ..Refusal::invalid(format!("The body is not what is expected: {error}"))
        })?;
    let names_other = |named: &String| !named.eq_ignore_ascii_case(id.as_str());
    if body.registration_id.as_ref().is_some_and(names_other) {
        let text = "registrationId in the body is not the one in the address";
        return Err(Refusal::invalid(text));
    }
    Ok(body.payload.map(|payload| payload.get().into()))
}

impl<'c> Caller<'c> {
    /// What it proves itself by. Official clients that have a certificate send no token.
    fn credential(&self) -> Credential<'c> {
        match (self.token, self.certificate) {
            (Some(token), _) => Credential::Token(token),
            (None, Some(presented)) => Credential::Certificate(presented),
            (None, None) => Credential::Nothing,
        }
    }
}

/// Whether answers to an API version, `YYYY-MM-DD` with or without `-preview`, carry the connection profile.
fn carries_profile(api_version: Option<&str>) -> bool {
    let day = api_version.and_then(|version| version.get(..LAST_WITHOUT_PROFILE.len()));
    let is_day = |day: &str| {
        let mut pairs = day.bytes().zip(LAST_WITHOUT_PROFILE.bytes());
        let alike =
            |(byte, like): (u8, u8)| byte == like || (byte.is_ascii_digit() && like != b'-');
        pairs.all(alike)
    };
    day.is_some_and(|day| is_day(day) && day > LAST_WITHOUT_PROFILE)
}

/// A certificate as the service describes it.
fn certificate_info(certificate: &Certificate) -> Value {
    let time = |unix_s: i64| UtcTime::from_unix_ms(unix_s.saturating_mul(1_000)).to_string();
    json!({
        "subjectName": certificate.subject(),
        "sha1Thumbprint": certificate.sha1_thumbprint(),
        "sha256Thumbprint": certificate.sha256_thumbprint(),
        "issuerName": certificate.issuer(),
        "notBeforeUtc": time(certificate.not_before_unix_s()),
        "notAfterUtc": time(certificate.not_after_unix_s()),
        "serialNumber": certificate.serial(),
        "version": certificate.version(),
    })
}

impl Answer {
    const fn ok(body: Value) -> Self {
        Self {
            status: 200,
            retry_after_s: None,
            body,
        }
    }
}

impl Refusal {
    /// A refusal with this code and reason.
    pub fn new(code: u32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            logged: None,
            retry_after_s: None,
        }
    }

    /// 400: the request is not valid.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ARGUMENT_INVALID.number(), message)
    }

    /// Too many requests of one client wait.
    pub fn too_many() -> Self {
        Self {
            retry_after_s: Some(RETRY_AFTER_S),
            ..Self::new(THROTTLED, "Too many requests wait on this connection")
        }
    }

    /// 404: no such registration.
    pub fn unregistered() -> Self {
        Self::new(NOT_FOUND, "The registration does not exist")
    }

    /// The status, as HTTP has it.
    pub fn status(&self) -> u16 {
        u16::try_from(self.code / 1_000).unwrap_or(500)
    }

    /// What the log has.
    pub fn reason(&self) -> &str {
        self.logged.as_deref().unwrap_or(&self.message)
    }

    /// What the device gets.
    pub fn body(&self) -> Value {
        let now = i64::try_from(system_unix_ms()).unwrap_or(i64::MAX);
        json!({
            "errorCode": self.code,
            "trackingId": random::uuid_text().unwrap_or_default(),
            "message": self.message,
            "timestampUtc": UtcTime::from_unix_ms(now).to_string(),
            "info": {},
        })
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        // The service says no more than this; why, only the log knows.
        Self {
            logged: Some(denied.to_string()),
            ..Self::new(ErrorCode::UNAUTHORIZED_ACCESS.number(), "Unauthorized")
        }
    }
}

impl From<RegisterError> for Refusal {
    fn from(error: RegisterError) -> Self {
        let retry_after_s = match &error {
            RegisterError::TooMany { retry_after_s } => Some(*retry_after_s),
            RegisterError::Change(error) => {
                tracing::error!(%error, "a registration failed");
                None
            }
            RegisterError::NoHub | RegisterError::Registry(_) => None,
        };
        Self {
            retry_after_s,
            ..Self::new(error.code(), error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_api_versions_get_the_connection_profile() {
        for (version, expected) in [
            ("2019-03-31", false),
            ("2021-06-01", false),
            ("2021-10-01", false),
            ("2021-10-02", true),
            ("2026-11-02-preview", true),
            ("2026-11-02", true),
            ("2026", false),
            ("9999999999", false),
            ("x", false),
            ("", false),
            ("ééééééé", false),
        ] {
            assert_eq!(carries_profile(Some(version)), expected, "{version}");
        }
        assert!(!carries_profile(None));
    }
}
