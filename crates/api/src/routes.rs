//! The handler of each operation. The compiler checks that all operations have one.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler as Handles;
use axum::routing::MethodRouter;
use drawspan_gateway::{DeviceGateway, Gateway};
use drawspan_hub::{Outcome, SubscriptionType};

use super::c2d_receive::TokenInPath;
use super::counted::Counted;
use super::operation::Operation;
use super::request::{Bare, ForDevice, Full, Shared};
use super::state::State;
use super::{
    batch, c2d_receive, connection_stream, dead_letter, device_list, device_status,
    fleet_subscriptions, openapi, probes, registration, subscription, telemetry, twin, usage,
};

type Routes<D> = Router<Arc<State<D>>>;
type Handler<D> = MethodRouter<Arc<State<D>>>;

/// Every operation, and the pages that describe them.
pub(super) fn all<D: Gateway>() -> Routes<D> {
    let add = |routes: Routes<D>, operation: &Operation| {
        routes.route(&operation.route(), handler(*operation))
    };
    Operation::ALL.iter().fold(openapi::routes(), add)
}

fn handler<D: Gateway>(operation: Operation) -> Handler<D> {
    use Operation as O;
    use SubscriptionType as S;
    match operation {
        O::SendMessage => on(operation, telemetry::send::<D>),
        O::SendMessages => on(operation, batch::send::<D>),
        O::GetTwin => on(operation, twin::get::<D>),
        O::UpdateReportedProperties => on(operation, twin::report::<D>),
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
        O::ListFleetSubscriptions => on(operation, fleet_subscriptions::list::<D>),
        O::GetFleetSubscription => on(operation, fleet_subscriptions::get::<D>),
        O::CreateOrUpdateFleetSubscription => on(operation, fleet_subscriptions::put::<D>),
        O::DeleteFleetSubscription => on(operation, fleet_subscriptions::delete::<D>),
        O::ReceiveMessage => on(operation, c2d_receive::receive::<D>),
        O::CompleteMessage => settle(operation, Outcome::Complete),
        O::AbandonMessage => settle(operation, Outcome::Abandon),
        O::RejectMessage => settle(operation, Outcome::Reject),
        O::ListDeadLetters => on(operation, dead_letter::list::<D>),
        O::ReplayDeadLetter => on(operation, dead_letter::replay::<D>),
        O::DeleteDeadLetter => on(operation, dead_letter::discard::<D>),
        O::ListDevices => on(operation, device_list::list::<D>),
        O::GetUsage => on(operation, usage::usage::<D>),
        O::Register => on(operation, registration::register::<D>),
        O::GetCurrentConnectionStatus => on(operation, device_status::status::<D>),
        O::StreamConnectionStatus => on(operation, connection_stream::stream::<D>),
        O::Resync => on(operation, device_status::resync::<D>),
        O::GetDiagnostics => on(operation, device_status::diagnostics::<D>),
        O::DeleteDevice => on(operation, device_status::forget::<D>),
        O::GetHealth => on(operation, probes::health),
        O::GetLiveness => on(operation, probes::live),
        O::GetReadiness => on(operation, probes::ready::<D>),
        O::GetMetrics => on(operation, probes::metrics::<D>),
    }
}

/// The operation's method, by this handler; its answers are counted.
fn on<H, T, D>(operation: Operation, handler: H) -> Handler<D>
where
    H: Handles<T, Arc<State<D>>, Future: Unpin>,
    T: 'static,
    D: DeviceGateway,
{
    let counted = Counted {
        operation: Some(operation),
        handler,
    };
    axum::routing::on(operation.filter(), counted)
}

/// A device's own subscription, by the operation's method.
fn of_device<D: Gateway>(operation: Operation, kind: SubscriptionType) -> Handler<D> {
    use subscription as of;
    match operation.method().as_str() {
        "PUT" => on(
            operation,
            move |state: Shared<D>, request: ForDevice<Full>| of::put(kind, state, request),
        ),
        "DELETE" => on(
            operation,
            move |state: Shared<D>, request: ForDevice<Bare>| of::delete(kind, state, request),
        ),
        _ => on(
            operation,
            move |state: Shared<D>, request: ForDevice<Bare>| of::get(kind, state, request),
        ),
    }
}

fn settle<D: Gateway>(operation: Operation, outcome: Outcome) -> Handler<D> {
    on(
        operation,
        move |state: Shared<D>, names: TokenInPath, request: ForDevice<Bare>| {
            c2d_receive::settle(outcome, state, names, request)
        },
    )
}
