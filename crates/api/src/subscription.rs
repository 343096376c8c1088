//! `GET`, `PUT` and `DELETE` of a device's subscriptions: `twin/properties/desired/sub`, `methods/sub`, `deviceBound/sub`,
//! `connectionStatus/sub`.

use axum::extract;
use axum::http::StatusCode;
use drawspan_api_types::answers::Subscription;
use drawspan_gateway::{CallbackUrl, DeviceError, Gateway, Scope, Subscribe};
use drawspan_hub::SubscriptionType;
use tokio::time::Instant;

use super::api::{empty_response, json_of};
use super::authorization::shown;
use super::deadline::by;
use super::json_member;
use super::problem::{Kind, Problem};
use super::request::limit_of;
use super::request::{Bare, ForDevice, Full, HandlerResult, Shared, invalid_body, sentence};
use super::state::State;

/// The subscription of this kind; 404 if the device has no such subscription.
pub(super) async fn get<D: Gateway>(
    kind: SubscriptionType,
    extract::State(state): Shared<D>,
    ForDevice { device, request }: ForDevice<Bare>,
) -> HandlerResult {
    let limit = limit_of(&request);
    let scope = Scope::Device(device.clone());
    let found = by(request.deadline, state.devices.subscription(scope, kind)).await?;
    let found = found.ok_or_else(|| {
        let text = format!("The device has no subscription for {kind}.");
        Problem::new(Kind::NoSubscription, text)
    })?;
    let callback = shown(limit.as_deref(), &found.0.callback);
    let document = Subscription::new(device.as_str(), &found, callback);
    Ok(json_of(&document))
}

/// Makes or replaces it.
pub(super) async fn put<D: Gateway>(
    kind: SubscriptionType,
    extract::State(state): Shared<D>,
    ForDevice { device, request }: ForDevice<Full>,
) -> HandlerResult {
    let deadline = request.deadline;
    let body = request.json().await?;
    let subscribe = Subscribe {
        scope: Scope::Device(device.clone()),
        kind,
        callback: callback(&body)?,
        keep_connected: kind.needs_connection(),
        limited: false,
    };
    let made = state.devices.subscribe(subscribe, deadline).await?;
    let document = Subscription::new(device.as_str(), &made, made.0.callback.as_str());
    Ok(json_of(&document))
}

/// Removes the subscription; 204, even if there was none.
pub(super) async fn delete<D: Gateway>(
    kind: SubscriptionType,
    extract::State(state): Shared<D>,
    ForDevice { device, request }: ForDevice<Bare>,
) -> HandlerResult {
    remove(&state, Scope::Device(device), kind, request.deadline).await
}

/// 204, even if there was none.
pub(super) async fn remove<D: Gateway>(
    state: &State<D>,
    scope: Scope,
    kind: SubscriptionType,
    deadline: Instant,
) -> HandlerResult {
    match state.devices.unsubscribe(scope, kind, deadline).await {
        Ok(()) | Err(DeviceError::NoSubscription) => Ok(empty_response(StatusCode::NO_CONTENT)),
        Err(error) => Err(error.into()),
    }
}

/// The member `callbackUrl`.
pub(super) fn callback(body: &[u8]) -> Result<CallbackUrl, Problem> {
    let text =
        json_member::read(body, "callbackUrl").map_err(|error| invalid_body(error.to_string()))?;
    let text = text.ok_or_else(|| invalid_body("The member `callbackUrl` is required."))?;
    let url: String = serde_json::from_str(text)
        .map_err(|_| invalid_body("The member `callbackUrl` must be a string."))?;
    CallbackUrl::parse(&url).map_err(|error| invalid_body(sentence(&error.to_string())))
}
