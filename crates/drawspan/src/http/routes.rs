//! Which handler answers what. Literals in lower case: paths come canonical.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract;
use axum::http::Request;
use axum::routing::{MethodRouter, delete, get, patch, post};
use drawspan_client::Outcome;
use drawspan_hub::SubscriptionType;

use super::api::State;
use super::downlink::TokenInPath;
use super::request::IdInPath;
use super::{
    batch, connection, dead_letter, downlink, fleet, listing, probes, registration, subscription,
    telemetry, twin,
};
use crate::devices::{Bridging, Devices};

type Routes<D> = Router<Arc<State<D>>>;
type Shared<D> = extract::State<Arc<State<D>>>;

/// Everything.
pub(super) fn all<D: Bridging>() -> Routes<D> {
    probes::<D>()
        .merge(devices::<D>())
        .merge(subscriptions::<D>())
        .merge(downlinks::<D>())
        .merge(fleet::<D>())
}

/// What is measured where nothing but telemetry is.
pub(super) fn telemetry_only<D: Devices>() -> Routes<D> {
    let send = post(telemetry::send_only::<D>);
    probes::<D>().route("/devices/{id}/messages/events", send)
}

fn probes<D: Devices>() -> Routes<D> {
    Router::new()
        .route("/health", get(probes::health))
        .route("/livez", get(probes::live))
        .route("/readyz", get(probes::ready::<D>))
}

fn devices<D: Bridging>() -> Routes<D> {
    let reported = "/devices/{id}/twin/properties/reported";
    Router::new()
        .route("/devices", get(listing::list::<D>))
        .route("/devices/{id}", delete(connection::forget::<D>))
        .route("/devices/{id}/messages/events", post(telemetry::send::<D>))
        .route("/devices/{id}/twin", get(twin::get::<D>))
        .route(reported, patch(twin::report::<D>))
        .route(
            "/devices/{id}/registration",
            post(registration::register::<D>),
        )
        .route(
            "/devices/{id}/connectionstatus",
            get(connection::status::<D>),
        )
        .route("/devices/{id}/resync", post(connection::resync::<D>))
        .route(
            "/devices/{id}/diagnostics",
            get(connection::diagnostics::<D>),
        )
}

fn subscriptions<D: Bridging>() -> Routes<D> {
    let path = |kind: SubscriptionType| match kind {
        SubscriptionType::DesiredProperties => "/devices/{id}/twin/properties/desired/sub",
        SubscriptionType::Methods => "/devices/{id}/methods/sub",
        SubscriptionType::C2dMessages => "/devices/{id}/devicebound/sub",
        SubscriptionType::ConnectionStatus => "/devices/{id}/connectionstatus/sub",
    };
    SubscriptionType::ALL
        .into_iter()
        .fold(Router::new(), |routes, kind| {
            routes.route(path(kind), subscription_of::<D>(kind))
        })
}

fn subscription_of<D: Bridging>(kind: SubscriptionType) -> MethodRouter<Arc<State<D>>> {
    use subscription as of;
    get(
        move |state: Shared<D>, id: IdInPath, request: Request<Body>| {
            of::get(kind, state, id, request)
        },
    )
    .put(
        move |state: Shared<D>, id: IdInPath, request: Request<Body>| {
            of::put(kind, state, id, request)
        },
    )
    .delete(
        move |state: Shared<D>, id: IdInPath, request: Request<Body>| {
            of::delete(kind, state, id, request)
        },
    )
}

fn downlinks<D: Bridging>() -> Routes<D> {
    let message = "/devices/{id}/messages/devicebound";
    let settled = |word: &str| format!("{message}/{{token}}/{word}");
    Router::new()
        .route(message, get(downlink::receive::<D>))
        .route(&settled("complete"), settle::<D>(Outcome::Complete))
        .route(&settled("abandon"), settle::<D>(Outcome::Abandon))
        .route(&settled("reject"), settle::<D>(Outcome::Reject))
}

fn settle<D: Bridging>(outcome: Outcome) -> MethodRouter<Arc<State<D>>> {
    post(
        move |state: Shared<D>, names: TokenInPath, request: Request<Body>| {
            downlink::settle(outcome, state, names, request)
        },
    )
}

fn fleet<D: Bridging>() -> Routes<D> {
    let subscription = get(fleet::get::<D>)
        .put(fleet::put::<D>)
        .delete(fleet::delete::<D>);
    Router::new()
        .route("/messages/events", post(batch::send::<D>))
        .route("/subscriptions", get(fleet::list::<D>))
        .route("/subscriptions/{kind}", subscription)
        .route("/deadletters", get(dead_letter::list::<D>))
        .route("/deadletters/{number}", delete(dead_letter::discard::<D>))
        .route(
            "/deadletters/{number}/replay",
            post(dead_letter::replay::<D>),
        )
}
