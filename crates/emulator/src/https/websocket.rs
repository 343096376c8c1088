//! AMQP and MQTT in WebSockets: the handshake's answer (RFC 6455, 4.2), after which the connection is another head's.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use drawspan_emulator_hub::refusals::Door;
use drawspan_net::WebSocket;
use drawspan_net::websocket::{PATH, SUBPROTOCOL, accept_key};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::refused::Reason;
use super::request::text;

/// The path that Event Hubs clients use.
const EVENT_HUBS_PATH: &str = "/$servicebus/websocket";
/// Where the C# client of DPS looks for it.
const ROOT: &str = "";
const VERSION: &str = "13";

/// The names of subprotocols. Whether the hub takes `amqp`, which RFC-minded clients say, is not known.
const SUBPROTOCOLS: [(&str, Subprotocol); 3] = [
    (SUBPROTOCOL, Subprotocol::Amqp),
    ("amqp", Subprotocol::Amqp),
    ("mqtt", Subprotocol::Mqtt),
];

/// The protocol inside a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subprotocol {
    Amqp,
    Mqtt,
}

/// The result of a connection's handshake, if there was one.
#[derive(Clone, Debug, Default)]
pub(super) struct Upgraded(Arc<Mutex<Option<(Subprotocol, OnUpgrade)>>>);

impl Upgraded {
    /// The WebSocket, once HTTP is done with the connection, and what is spoken in it.
    pub(super) async fn stream(
        self,
    ) -> Option<(Subprotocol, WebSocket<TokioIo<hyper::upgrade::Upgraded>>)> {
        let begun = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (protocol, begun) = begun?;
        match begun.await {
            Ok(stream) => Some((protocol, WebSocket::server(TokioIo::new(stream)).await)),
            Err(error) => {
                tracing::debug!(%error, "a WebSocket ended before it began");
                None
            }
        }
    }
}

/// The answer to a request for a WebSocket; `None` for other requests.
pub(super) fn answer(request: &mut Request<Incoming>, upgraded: &Upgraded) -> Option<Response> {
    // Anything else than a WebSocket at the root is an unknown route.
    let is_upgrade = request.headers().contains_key(header::UPGRADE);
    if !is_served_at(request.uri().path()) || request.uri().path() == "/" && !is_upgrade {
        return None;
    }
    let answer = match check(request.method(), request.headers()) {
        Ok((key, protocol, name)) => {
            let begun = (protocol, hyper::upgrade::on(&mut *request));
            *upgraded.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(begun);
            switching(&key, &name)
        }
        Err((status, what)) => refused(status, what),
    };
    Some(answer)
}

fn is_served_at(path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path).replace("%24", "$");
    [PATH, EVENT_HUBS_PATH, ROOT]
        .iter()
        .any(|served| served.eq_ignore_ascii_case(&path))
}

/// The client's key, and the subprotocol with its name as the client wrote it.
fn check(
    method: &Method,
    headers: &HeaderMap,
) -> Result<(HeaderValue, Subprotocol, String), (StatusCode, &'static str)> {
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
    let mut offered = items(headers, "sec-websocket-protocol");
    let chosen = offered.find_map(|offered| {
        let mut known = SUBPROTOCOLS.iter();
        let (_, protocol) = known.find(|(name, _)| name.eq_ignore_ascii_case(offered))?;
        Some((*protocol, offered.to_owned()))
    });
    let text = "Only the subprotocols AMQPWSB10 and mqtt are served here";
    let (protocol, name) = chosen.ok_or_else(|| bad(text))?;
    Ok((key.clone(), protocol, name))
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
