//! The HTTPS head: the REST interface for services (registry, twins, methods, purge of queues), that for devices, the storage of
//! uploaded files, and the authority's certificate.

mod blobs;
pub(crate) mod body;
mod bulk;
mod caller;
mod certificates;
mod commands;
mod device;
mod devices;
mod dps;
mod faulted;
mod methods;
mod module_wire;
mod modules;
#[cfg(test)]
mod mutations;
mod not_served;
mod query;
mod refusal;
mod refused;
mod request;
mod statistics;
mod throttling;
mod twins;
mod websocket;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use drawspan_emulator_amqp as amqps;
use drawspan_emulator_hub::dps::Dps;
use drawspan_emulator_hub::hub_set::HubSet;
use drawspan_emulator_hub::reached::{Reached, Secured};
use drawspan_emulator_hub::refusals::Door;
use drawspan_hub::ErrorCode;
use drawspan_hub_model::x509::Presented;
use drawspan_net::Transport;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;

use crate::control::{self, Control};
use crate::limits::REQUEST_READ_MS;
use crate::mqtts;
use refusal::Refusal;
use refused::Asked;
pub(crate) use refused::Reason;
pub(crate) use request::{query, text};
use websocket::{Subprotocol, Upgraded};

/// State shared by all requests.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) hubs: HubSet,
    pub(crate) dps: Arc<Dps>,
    pub(crate) ca_pem: Arc<str>,
    pub(crate) control: Arc<Control>,
}

/// The heads that WebSockets are handed over to.
#[derive(Clone, Debug)]
pub(crate) struct Upgrades {
    pub(crate) amqps: Arc<amqps::Shared>,
    pub(crate) mqtts: Arc<mqtts::Shared>,
}

/// The client's address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// The name to which a connection was opened.
#[derive(Clone, Debug)]
struct Sni(Option<Arc<str>>);

/// The certificate of a client that presented one.
#[derive(Clone, Debug)]
struct ClientCertificate(Arc<Presented>);

/// The routes of the head.
pub(crate) fn router(shared: Shared) -> Router {
    Router::new()
        .route("/ca.pem", get(ca_pem))
        .route("/devices", get(devices::list).post(bulk::apply))
        .route("/devices/", get(devices::list).post(bulk::apply))
        .route(
            "/devices/{id}",
            get(devices::read)
                .put(devices::write)
                .delete(devices::delete)
                .post(query::run),
        )
        .route(
            "/devices/{id}/",
            get(devices::read)
                .put(devices::write)
                .delete(devices::delete)
                .post(query::run),
        )
        .route(
            "/twins/{id}",
            get(twins::read).patch(twins::write).put(twins::write),
        )
        .route("/twins/{id}/methods", post(methods::invoke))
        .merge(modules())
        .route("/devices/{id}/commands", delete(commands::purge))
        .route("/statistics/devices", get(statistics::devices))
        .route("/statistics/service", get(statistics::service))
        .merge(device::routes())
        .merge(certificates::routes())
        .merge(control::routes(&shared))
        .merge(blobs::routes())
        .merge(dps::routes())
        .merge(not_served::routes())
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(shared.clone(), faulted::pass))
        .with_state(shared)
}

fn modules() -> Router<Shared> {
    let one = get(modules::read)
        .put(modules::write)
        .delete(modules::delete);
    Router::new()
        .route("/devices/{id}/modules", get(modules::list))
        .route("/devices/{id}/modules/", get(modules::list))
        .route("/devices/{id}/modules/{module}", one.clone())
        .route("/devices/{id}/modules/{module}/", one)
        .route(
            "/twins/{id}/modules/{module}",
            get(twins::read).patch(twins::write).put(twins::write),
        )
        .route(
            "/twins/{id}/modules/{module}/methods",
            post(methods::invoke),
        )
}

/// Serves one connection until it ends, or until the emulator stops and the request under way is answered.
///
/// One that becomes a WebSocket is one of the AMQP head's, or of the MQTT head's, from then on.
pub(crate) async fn serve(connection: Secured, router: Router, upgrades: Upgrades) {
    let Secured {
        stream,
        reached,
        mut stop,
    } = connection;
    let peer = reached.peer;
    let refusals = Arc::clone(upgrades.amqps.refusals());
    let logged = Arc::clone(&refusals);
    let sni = Sni(reached.sni.clone());
    let certificate = reached.certificate.clone().map(ClientCertificate);
    let router = TowerToHyperService::new(router);
    let upgraded = Upgraded::default();
    let upgrade = upgraded.clone();
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let answer = websocket::answer(&mut request, &upgrade);
        request.extensions_mut().insert(sni.clone());
        request.extensions_mut().insert(Peer(peer));
        if let Some(certificate) = &certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        let asked = Asked::of(&request);
        let (router, refusals) = (router.clone(), Arc::clone(&logged));
        async move {
            let answer = match answer {
                Some(answer) => Ok(answer),
                None => router.call(request.map(Body::new)).await,
            };
            if let Ok(answer) = &answer {
                asked.log(answer, &refusals, peer);
            }
            answer
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(REQUEST_READ_MS))
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(serving);
    let result = tokio::select! {
        result = &mut serving => result,
        () = stop.stopped() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = result {
        if error.is_parse() {
            let reason = "what came is not HTTP: this port is for HTTPS and WebSockets, AMQP and MQTT have ports of their own";
            refusals.log(Door::Protocol, "NotHttp", peer, "", reason);
        }
        tracing::debug!(%error, "an HTTPS connection ended early");
    }
    if let Some((protocol, stream)) = upgraded.stream().await {
        let reached = Reached {
            transport: Transport::WebSocket,
            ..reached
        };
        let connection = Secured {
            stream,
            reached,
            stop,
        };
        match protocol {
            Subprotocol::Amqp => amqps::serve(connection, upgrades.amqps).await,
            Subprotocol::Mqtt => mqtts::serve(connection, upgrades.mqtts).await,
        }
    }
}

async fn ca_pem(State(shared): State<Shared>) -> Response {
    (
        [(header::CONTENT_TYPE, "application/x-pem-file")],
        shared.ca_pem.to_string(),
    )
        .into_response()
}

async fn unknown_route() -> Refusal {
    Refusal::new(
        ErrorCode::GENERIC_NOT_FOUND,
        "The resource does not exist, or this emulator does not serve it yet",
    )
}

async fn wrong_method() -> Refusal {
    Refusal::wrong_method()
}
