//! AMQP in WebSockets: the handshake's answer (RFC 6455, 4.2), after which the connection is the AMQP head's.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use drawspan_net::WebSocket;
use drawspan_net::websocket::{PATH, SUBPROTOCOL, accept_key};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::refused::Reason;
use super::request::text;
use crate::refusals::Door;

/// The path that Event Hubs clients use.
const EVENT_HUBS_PATH: &str = "/$servicebus/websocket";
/// The name that RFC-minded clients give; whether the hub takes it is not known.
const PLAIN_SUBPROTOCOL: &str = "amqp";
const MQTT: &str = "mqtt";
const VERSION: &str = "13";

/// The result of a connection's handshake, if there was one.
#[derive(Clone, Debug, Default)]
pub(super) struct Upgraded(Arc<Mutex<Option<OnUpgrade>>>);

impl Upgraded {
    /// The WebSocket, once HTTP is done with the connection.
    pub(super) async fn stream(self) -> Option<WebSocket<TokioIo<hyper::upgrade::Upgraded>>> {
        let begun = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match begun?.await {
            Ok(stream) => Some(WebSocket::server(TokioIo::new(stream)).await),
            Err(error) => {
                tracing::debug!(%error, "a WebSocket ended before it began");
                None
            }
        }
    }
}

/// The answer to a request for a WebSocket; `None` for other requests.
pub(super) fn answer(request: &mut Request<Incoming>, upgraded: &Upgraded) -> Option<Response> {
    if !is_served_at(request.uri().path()) {
        return None;
    }
    let answer = match check(request.method(), request.headers()) {
        Ok((key, protocol)) => {
            let begun = hyper::upgrade::on(&mut *request);
            *upgraded.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(begun);
            switching(&key, &protocol)
        }
        Err((status, what)) => refused(status, what),
    };
    Some(answer)
}

fn is_served_at(path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path).replace("%24", "$");
    [PATH, EVENT_HUBS_PATH]
        .iter()
        .any(|served| served.eq_ignore_ascii_case(&path))
}

/// The client's key, and the subprotocol as it wrote it.
fn check(
    method: &Method,
    headers: &HeaderMap,
) -> Result<(HeaderValue, String), (StatusCode, &'static str)> {
    let bad = |what| (StatusCode::BAD_REQUEST, what);
    let upgrades = lists(headers, header::UPGRADE.as_str(), "websocket")
        && lists(headers, header::CONNECTION.as_str(), "upgrade");
    if *method != Method::GET || !upgrades {
        return Err((
            StatusCode::UPGRADE_REQUIRED,
            "Only WebSockets are opened here",
        ));
    }
    if text(headers, "sec-websocket-version") != Some(VERSION) {
        return Err((
            StatusCode::UPGRADE_REQUIRED,
            "Only version 13 of WebSockets is spoken here",
        ));
    }
    let key = headers
        .get("sec-websocket-key")
        .ok_or_else(|| bad("There is no Sec-WebSocket-Key"))?;
    let offered = items(headers, "sec-websocket-protocol").find(|offered| {
        [SUBPROTOCOL, PLAIN_SUBPROTOCOL]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(offered))
    });
    let mqtt = items(headers, "sec-websocket-protocol").any(|item| item.eq_ignore_ascii_case(MQTT));
    let protocol = offered.ok_or_else(|| match mqtt {
        true => bad("MQTT is not served yet, only the subprotocol AMQPWSB10; DPS is served over HTTPS alone"),
        false => bad("Only the subprotocol AMQPWSB10 is served here"),
    })?;
    Ok((key.clone(), protocol.to_owned()))
}

fn items<'h>(headers: &'h HeaderMap, name: &'static str) -> impl Iterator<Item = &'h str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

fn lists(headers: &HeaderMap, name: &'static str, wanted: &str) -> bool {
    items(headers, name).any(|item| item.eq_ignore_ascii_case(wanted))
}

fn switching(key: &HeaderValue, protocol: &str) -> Response {
    let fields = [
        (header::UPGRADE.as_str(), "websocket"),
        (header::CONNECTION.as_str(), "Upgrade"),
        ("sec-websocket-accept", &accept_key(key.as_bytes())),
        ("sec-websocket-protocol", protocol),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, fields, Body::empty()).into_response()
}

fn refused(status: StatusCode, what: &'static str) -> Response {
    let version = [("sec-websocket-version", VERSION)];
    let mut response = (status, version, what).into_response();
    response.extensions_mut().insert(Reason {
        door: Door::WebSocket,
        code: status.as_u16().into(),
        text: what.to_owned(),
    });
    response
}
