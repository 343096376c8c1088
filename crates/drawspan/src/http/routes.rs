//! Which handler answers which operation. That none is forgotten the compiler sees.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract;
use axum::http::Request;
use axum::routing::{MethodRouter, on};
use drawspan_client::Outcome;
use drawspan_hub::SubscriptionType;

use super::api::State;
use super::downlink::TokenInPath;
use super::operation::Operation;
use super::request::IdInPath;
use super::{
    batch, connection, dead_letter, downlink, fleet, listing, openapi, probes, registration,
    subscription, telemetry, twin,
};
use crate::devices::{Bridging, Devices};

type Routes<D> = Router<Arc<State<D>>>;
type Handler<D> = MethodRouter<Arc<State<D>>>;
type Shared<D> = extract::State<Arc<State<D>>>;

/// Every operation, and the pages that describe them.
pub(super) fn all<D: Bridging>() -> Routes<D> {
    let add = |routes: Routes<D>, operation: &Operation| {
        routes.route(&operation.route(), handler(*operation))
    };
    Operation::ALL.iter().fold(openapi::routes(), add)
}

/// What is measured where nothing but telemetry is.
pub(super) fn telemetry_only<D: Devices>() -> Routes<D> {
    let send = axum::routing::post(telemetry::send_only::<D>);
    let probes = [
        Operation::GetHealth,
        Operation::GetLiveness,
        Operation::GetReadiness,
    ];
    let add = |routes: Routes<D>, operation: Operation| match probe(operation) {
        Some(handler) => routes.route(&operation.route(), handler),
        None => routes,
    };
    let routes = probes.into_iter().fold(Router::new(), add);
    routes.route(&Operation::SendMessage.route(), send)
}

fn probe<D: Devices>(operation: Operation) -> Option<Handler<D>> {
    let by = operation.filter();
    match operation {
        Operation::GetHealth => Some(on(by, probes::health)),
        Operation::GetLiveness => Some(on(by, probes::live)),
        Operation::GetReadiness => Some(on(by, probes::ready::<D>)),
        _ => None,
    }
}

fn handler<D: Bridging>(operation: Operation) -> Handler<D> {
    use Operation as O;
    use SubscriptionType as S;
    let by = operation.filter();
    match operation {
        O::SendMessage => on(by, telemetry::send::<D>),
        O::SendMessages => on(by, batch::send::<D>),
        O::GetTwin => on(by, twin::get::<D>),
        O::UpdateReportedProperties => on(by, twin::report::<D>),
        O::GetDesiredPropertiesSubscription
        | O::CreateOrUpdateDesiredPropertiesSubscription
        | O::DeleteDesiredPropertiesSubscription => of_device(operation, S::DesiredProperties),
        O::GetMethodsSubscription
        | O::CreateOrUpdateMethodsSubscription
        | O::DeleteMethodsSubscription => of_device(operation, S::Methods),
        O::GetC2DMessageSubscription
        | O::CreateOrUpdateC2DMessageSubscription
        | O::DeleteC2DMessageSubscription => of_device(operation, S::C2dMessages),
        O::GetConnectionStatusSubscription
        | O::CreateOrUpdateConnectionStatusSubscription
        | O::DeleteConnectionStatusSubscription => of_device(operation, S::ConnectionStatus),
        O::ListFleetSubscriptions => on(by, fleet::list::<D>),
        O::GetFleetSubscription => on(by, fleet::get::<D>),
        O::CreateOrUpdateFleetSubscription => on(by, fleet::put::<D>),
        O::DeleteFleetSubscription => on(by, fleet::delete::<D>),
        O::ReceiveMessage => on(by, downlink::receive::<D>),
        O::CompleteMessage => settle(operation, Outcome::Complete),
        O::AbandonMessage => settle(operation, Outcome::Abandon),
        O::RejectMessage => settle(operation, Outcome::Reject),
        O::ListDeadLetters => on(by, dead_letter::list::<D>),
        O::ReplayDeadLetter => on(by, dead_letter::replay::<D>),
        O::DeleteDeadLetter => on(by, dead_letter::discard::<D>),
        O::ListDevices => on(by, listing::list::<D>),
        O::Register => on(by, registration::register::<D>),
        O::GetCurrentConnectionStatus => on(by, connection::status::<D>),
        O::Resync => on(by, connection::resync::<D>),
        O::GetDiagnostics => on(by, connection::diagnostics::<D>),
        O::DeleteDevice => on(by, connection::forget::<D>),
        O::GetHealth => on(by, probes::health),
        O::GetLiveness => on(by, probes::live),
        O::GetReadiness => on(by, probes::ready::<D>),
    }
}

/// A device's own subscription, by the operation's method.
fn of_device<D: Bridging>(operation: Operation, kind: SubscriptionType) -> Handler<D> {
    use subscription as of;
    let by = operation.filter();
    match operation.method().as_str() {
        "PUT" => on(
            by,
            move |state: Shared<D>, id: IdInPath, request: Request<Body>| {
                of::put(kind, state, id, request)
            },
        ),
        "DELETE" => on(
            by,
            move |state: Shared<D>, id: IdInPath, request: Request<Body>| {
                of::delete(kind, state, id, request)
            },
        ),
        _ => on(
            by,
            move |state: Shared<D>, id: IdInPath, request: Request<Body>| {
                of::get(kind, state, id, request)
            },
        ),
    }
}

fn settle<D: Bridging>(operation: Operation, outcome: Outcome) -> Handler<D> {
    on(
        operation.filter(),
        move |state: Shared<D>, names: TokenInPath, request: Request<Body>| {
            downlink::settle(outcome, state, names, request)
        },
    )
}
