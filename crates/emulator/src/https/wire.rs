//! Devices as JSON. No `Debug` here: these hold keys as text.

use drawspan_hub::{DeviceId, ErrorCode, ModuleId, SymmetricKey, UtcTime};
use drawspan_hub_model::device::{Authentication, AuthenticationSpec, DeviceSpec, DeviceStatus};
use drawspan_hub_model::module::ModuleSpec;
use drawspan_hub_model::registry::{Connection, Entry};
use drawspan_hub_model::twin::{Object, TwinError, TwinUpdate, parse_patch};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::module_wire;
use super::refusal::Refusal;

/// The hub's value for a missing time.
const NEVER: &str = "0001-01-01T00:00:00";

/// A device as a client describes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeviceBody {
    /// `id` in bulk calls.
    #[serde(alias = "id")]
    pub(super) device_id: Option<String>,
    #[serde(alias = "eTag")]
    pub(super) etag: Option<String>,
    pub(super) import_mode: Option<String>,
    /// In bulk calls: the module that is meant, instead of its device.
    pub(super) module_id: Option<String>,
    managed_by: Option<String>,
    #[serde(rename = "twinETag")]
    pub(super) twin_etag: Option<String>,
    tags: Option<Box<RawValue>>,
    properties: Option<Box<RawValue>>,
    status: Option<String>,
    status_reason: Option<String>,
    authentication: Option<AuthenticationBody>,
    capabilities: Option<Capabilities>,
    device_scope: Option<String>,
    parent_scopes: Option<Vec<String>>,
}

/// A device as the hub describes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeviceAnswer {
    device_id: String,
    generation_id: String,
    etag: String,
    connection_state: &'static str,
    status: &'static str,
    status_reason: Option<String>,
    connection_state_updated_time: String,
    status_updated_time: String,
    last_activity_time: String,
    cloud_to_device_message_count: usize,
    authentication: AuthenticationBody,
    capabilities: Capabilities,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuthenticationBody {
    symmetric_key: Option<Keys>,
    x509_thumbprint: Option<Thumbprints>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Keys {
    primary_key: Option<String>,
    secondary_key: Option<String>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Thumbprints {
    primary_thumbprint: Option<String>,
    secondary_thumbprint: Option<String>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Capabilities {
    #[serde(default)]
    iot_edge: bool,
}

impl DeviceBody {
    /// The change of its twin, if there is one. What devices report is theirs and left out.
    pub(super) fn twin(&self) -> Result<Option<TwinUpdate>, TwinError> {
        let mut parts = Object::new();
        for (name, part) in [("tags", &self.tags), ("properties", &self.properties)] {
            if let Some(part) = part.as_ref().filter(|part| part.get() != "null") {
                let part = parse_patch(part.get().as_bytes())?;
                parts.insert(name.to_owned(), Value::Object(part));
            }
        }
        let update = TwinUpdate::from_json(parts, false)?;
        let is_empty = |part: &Option<Object>| part.as_ref().is_none_or(Object::is_empty);
        Ok((!is_empty(&update.tags) || !is_empty(&update.desired)).then_some(update))
    }

    /// The description of device `id`, or what is wrong with it.
    pub(super) fn into_spec(self, id: DeviceId) -> Result<DeviceSpec, Refusal> {
        let scopes = self.parent_scopes.unwrap_or_default();
        if given(self.device_scope).is_some() || !scopes.is_empty() {
            let text =
                "This emulator does not serve IoT Edge: deviceScope and parentScopes cannot be set";
            return Err(Refusal::not_yet(text));
        }
        let status = match self.status.as_deref() {
            None => DeviceStatus::Enabled,
            Some(status) if status.eq_ignore_ascii_case("enabled") => DeviceStatus::Enabled,
            Some(status) if status.eq_ignore_ascii_case("disabled") => DeviceStatus::Disabled,
            Some(_) => return Err(invalid("status is neither enabled nor disabled")),
        };
        Ok(DeviceSpec {
            id,
            status,
            status_reason: self.status_reason.filter(|reason| !reason.is_empty()),
            authentication: self.authentication.unwrap_or_default().into_spec()?,
            iot_edge: self.capabilities.unwrap_or_default().iot_edge,
        })
    }

    /// The description of a module of device `device`.
    pub(super) fn into_module(self, device: DeviceId, id: ModuleId) -> Result<ModuleSpec, Refusal> {
        module_wire::spec(device, id, self.managed_by, self.authentication)
    }
}

impl AuthenticationBody {
    pub(super) fn into_spec(self) -> Result<AuthenticationSpec, Refusal> {
        let thumbprints = self.x509_thumbprint.unwrap_or_default();
        let primary = given(thumbprints.primary_thumbprint);
        // Old clients send no type; then the credentials tell.
        let fallback = if primary.is_some() {
            "selfSigned"
        } else {
            "sas"
        };
        let kind = self.kind.as_deref().unwrap_or(fallback);
        let is = |name: &str| kind.eq_ignore_ascii_case(name);
        if is("sas") {
            return self.symmetric_key.unwrap_or_default().into_spec();
        }
        if is("selfSigned") {
            let primary = primary
                .ok_or_else(|| invalid("selfSigned needs x509Thumbprint.primaryThumbprint"))?;
            let secondary = given(thumbprints.secondary_thumbprint);
            if ![Some(&primary), secondary.as_ref()]
                .into_iter()
                .flatten()
                .all(|text| is_thumbprint(text))
            {
                return Err(invalid("a thumbprint is 40 or 64 hexadecimal digits"));
            }
            return Ok(AuthenticationSpec::Other(Authentication::SelfSigned {
                primary,
                secondary,
            }));
        }
        if is("certificateAuthority") {
            return Ok(AuthenticationSpec::Other(
                Authentication::CertificateAuthority,
            ));
        }
        if is("none") {
            return Ok(AuthenticationSpec::Other(Authentication::None));
        }
        Err(invalid(
            "authentication.type is none of sas, selfSigned, certificateAuthority, none",
        ))
    }

    /// Type and thumbprints, as twins have them.
    pub(super) fn in_twin(self) -> (Option<String>, Thumbprints) {
        (self.kind, self.x509_thumbprint.unwrap_or_default())
    }

    pub(super) fn of(authentication: &Authentication) -> Self {
        let (kind, keys, thumbprints) = match authentication {
            Authentication::Sas { primary, secondary } => {
                let keys = [primary, secondary].map(|key| Some(key.to_base64()));
                ("sas", keys, [None, None])
            }
            Authentication::SelfSigned { primary, secondary } => (
                "selfSigned",
                [None, None],
                [Some(primary.clone()), secondary.clone()],
            ),
            Authentication::CertificateAuthority => {
                ("certificateAuthority", [None, None], [None, None])
            }
            Authentication::None => ("none", [None, None], [None, None]),
        };
        let [primary_key, secondary_key] = keys;
        let [primary_thumbprint, secondary_thumbprint] = thumbprints;
        Self {
            symmetric_key: Some(Keys {
                primary_key,
                secondary_key,
            }),
            x509_thumbprint: Some(Thumbprints {
                primary_thumbprint,
                secondary_thumbprint,
            }),
            kind: Some(kind.to_owned()),
        }
    }
}

impl Keys {
    /// Node sends empty texts for absent values.
    fn into_spec(self) -> Result<AuthenticationSpec, Refusal> {
        let key = |text: String| {
            SymmetricKey::from_base64(&text).map_err(|error| invalid(&error.to_string()))
        };
        match (given(self.primary_key), given(self.secondary_key)) {
            (None, None) => Ok(AuthenticationSpec::Sas(None)),
            (Some(primary), Some(secondary)) => Ok(AuthenticationSpec::Sas(Some((
                key(primary)?,
                key(secondary)?,
            )))),
            _ => Err(invalid("give both keys of a device, or none")),
        }
    }
}

impl DeviceAnswer {
    /// With the number of `messages` that wait for it.
    pub(super) fn of(entry: &Entry, messages: usize) -> Self {
        let (device, connection) = (&entry.device, entry.connection);
        Self {
            device_id: device.id.to_string(),
            generation_id: device.generation_id.to_string(),
            etag: device.etag.clone(),
            connection_state: connection_state(connection),
            status: match device.status {
                DeviceStatus::Enabled => "enabled",
                DeviceStatus::Disabled => "disabled",
            },
            status_reason: device.status_reason.clone(),
            connection_state_updated_time: time(connection.updated_unix_ms),
            status_updated_time: time(device.status_updated_unix_ms),
            last_activity_time: time(connection.last_activity_unix_ms),
            cloud_to_device_message_count: messages,
            authentication: AuthenticationBody::of(&device.authentication),
            capabilities: Capabilities {
                iot_edge: device.iot_edge,
            },
        }
    }
}

impl DeviceAnswer {
    /// The device's members in a twin.
    pub(super) fn in_twin(self) -> Value {
        let (kind, thumbprints) = self.authentication.in_twin();
        json!({
            "deviceId": self.device_id,
            "deviceEtag": self.etag,
            "status": self.status,
            "statusReason": self.status_reason,
            "statusUpdateTime": self.status_updated_time,
            "connectionState": self.connection_state,
            "lastActivityTime": self.last_activity_time,
            "cloudToDeviceMessageCount": self.cloud_to_device_message_count,
            "authenticationType": kind,
            "x509Thumbprint": thumbprints,
            "capabilities": self.capabilities,
        })
    }
}

/// A device id from a client.
pub(super) fn device_id(text: &str) -> Result<DeviceId, Refusal> {
    DeviceId::parse(text).map_err(|error| invalid(&error.to_string()))
}

pub(super) fn invalid(message: &str) -> Refusal {
    Refusal::new(ErrorCode::ARGUMENT_INVALID, message)
}

pub(super) fn connection_state(connection: Connection) -> &'static str {
    match connection.connected {
        true => "Connected",
        false => "Disconnected",
    }
}

/// A text that is there and is not empty.
pub(super) fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn is_thumbprint(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

pub(super) fn time(unix_ms: Option<u64>) -> String {
    unix_ms.map_or_else(
        || NEVER.to_owned(),
        |ms| UtcTime::from_unix_ms(ms as i64).to_string(),
    )
}
