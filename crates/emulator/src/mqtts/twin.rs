//! Requests of a device or module about its twin, and their answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::hub_error::status_description;
use drawspan_emulator_hub::twin_refusal::TwinRefusal;
use drawspan_hub::ErrorCode;
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::registry::{Change, Registry, RegistryError};
use drawspan_hub_model::twin;
use drawspan_hub_model::twins::TwinFailure;
use drawspan_mqtt::Server;

use super::device_session::{MqttSession, Push};

/// An answer on its way.
#[derive(Debug)]
pub(super) struct Answer {
    request_id: String,
    result: Result<Done, TwinRefusal>,
}

/// What was done.
#[derive(Debug)]
enum Done {
    /// This is the twin.
    Got(Bytes),
    /// The reported properties have this version now.
    Reported(u64),
}

impl Answer {
    /// That to a request which is not served.
    pub(super) fn refused_by(request_id: String, refusal: TwinRefusal) -> Self {
        Self {
            request_id,
            result: Err(refusal),
        }
    }

    /// Sends it.
    pub(super) fn send(&self, server: &mut Server) -> Result<(), drawspan_mqtt::ServerError> {
        let id = &self.request_id;
        match &self.result {
            Ok(Done::Got(twin)) => {
                server.publish(&format!("$iothub/twin/res/200/?$rid={id}"), twin)
            }
            Ok(Done::Reported(version)) => {
                let topic = format!("$iothub/twin/res/204/?$rid={id}&$version={version}");
                server.publish(&topic, &[])
            }
            Err(TwinRefusal(code, text)) => {
                let topic = format!("$iothub/twin/res/{}/?$rid={id}", code.http_status());
                server.publish(&topic, status_description(*code, text).as_bytes())
            }
        }
    }

    /// Why it was refused, if it was.
    pub(super) fn refused(&self) -> Option<&TwinRefusal> {
        self.result.as_ref().err()
    }
}

/// A refusal for a fault that is asked for.
pub(super) fn faulted(request_id: &str, code: ErrorCode) -> Answer {
    Answer {
        request_id: request_id.to_owned(),
        result: Err(TwinRefusal(code, "a fault is asked for".to_owned())),
    }
}

/// Looks a client's twin up.
pub(super) fn get(hub: &Hub, client: &ClientId, request_id: &str) -> Answer {
    let twin = hub.registry().twin(client);
    let twin = twin.map(|twin| twin.for_device().to_string());
    if let Some(twin) = &twin {
        hub.charge([twin.len()]);
    }
    let unknown = || RegistryError::not_found(client).into();
    Answer {
        request_id: request_id.to_owned(),
        result: twin.map(|twin| Done::Got(twin.into())).ok_or_else(unknown),
    }
}

/// Changes a client's reported properties. The answer comes by way of `session` once they are stored, or is returned.
pub(super) fn report(
    hub: &Hub,
    session: &Arc<MqttSession>,
    client: &ClientId,
    request: (&str, Option<&str>),
    payload: &Bytes,
) -> Option<Answer> {
    let (request_id, version) = request;
    // There is no version 0: what cannot be a version matches none.
    let version = version.map(|version| version.parse().unwrap_or(0));
    let answer = |result| Answer {
        request_id: request_id.to_owned(),
        result,
    };
    let patch = match twin::parse_patch(payload) {
        Ok(patch) => patch,
        Err(error) => return Some(answer(Err(TwinFailure::from(error).into()))),
    };
    let reported = Arc::new(AtomicU64::new(0));
    let known = Arc::clone(&reported);
    let change =
        |registry: &mut Registry| match registry.report(client, &patch, version, hub.now_unix_ms())
        {
            Ok(twin) => {
                let version = twin.reported.version();
                reported.store(version, Ordering::Release);
                let change = Change::Twin {
                    client: client.clone(),
                    twin,
                    desired: None,
                };
                (Ok(Done::Reported(version)), vec![change])
            }
            Err(error) => (Err(error.into()), Vec::new()),
        };
    let late = (Arc::clone(session), request_id.to_owned());
    let stored = move |stored: Result<(), _>| {
        let (session, request_id) = late;
        // The change was made before it was stored.
        let version = known.load(Ordering::Acquire);
        session.push(Push::Twin(Answer {
            request_id,
            result: match stored {
                Ok(()) => Ok(Done::Reported(version)),
                Err(_) => Err(TwinRefusal::not_stored()),
            },
        }));
    };
    match hub.change_soon(change, stored) {
        Ok(Some((Ok(_), true))) => None,
        Ok(Some((result, _))) => Some(answer(result)),
        Ok(None) => {
            let text = "the hub has too much to store at the moment".to_owned();
            Some(answer(Err(TwinRefusal(
                ErrorCode::THROTTLE_BACKLOG_LIMIT_EXCEEDED,
                text,
            ))))
        }
        Err(_) => Some(answer(Err(TwinRefusal::not_stored()))),
    }
}

/// The number in a patch of desired properties that the hub made.
pub(super) fn version_of(patch: &[u8]) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        #[serde(rename = "$version")]
        version: u64,
    }
    let versioned: Versioned = serde_json::from_slice(patch).ok()?;
    Some(versioned.version)
}
