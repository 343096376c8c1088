//! Subscriptions for many devices: `GET /subscriptions`, and `GET`, `PUT`, `DELETE /subscriptions/{subscriptionType}?prefix=`.

use std::ops::Deref;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{self, FromRequest, FromRequestParts as _, Path};
use axum::http::Request;
use drawspan_api_types::answers::{FleetSubscription, FleetSubscriptions};
use drawspan_gateway::{Gateway, Prefix, Scope, Subscribe, Subscription};
use drawspan_hub::SubscriptionType;
use drawspan_settings::Grant;

use super::api::json_of;
use super::authorization::shown;
use super::deadline::by;
use super::json_member;
use super::problem::{Kind, Problem};
use super::request::limit_of;
use super::request::{Bare, Full, HandlerResult, Head, Shared, invalid_body};
use super::state::State;
use super::subscription::{callback, remove};

/// A request for a kind of events and a prefix of device ids.
pub(super) struct ForPrefix<R> {
    kind: SubscriptionType,
    prefix: Prefix,
    request: R,
}

impl<D: Gateway, R> FromRequest<Arc<State<D>>> for ForPrefix<R>
where
    R: FromRequest<Arc<State<D>>, Rejection = Problem> + Deref<Target = Head>,
{
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, state: &Arc<State<D>>) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let word = Path::<String>::from_request_parts(&mut parts, state).await;
        let request = R::from_request(Request::from_parts(parts, body), state).await?;
        let kind = word
            .ok()
            .and_then(|Path(word)| SubscriptionType::parse(&word));
        let kind = kind.ok_or_else(|| {
            let words = SubscriptionType::ALL
                .map(SubscriptionType::as_str)
                .join(", ");
            let text = format!("The kind of a subscription must be {words}.");
            Problem::new(Kind::NotFound, text)
        })?;
        Ok(Self {
            kind,
            prefix: request.query().prefix()?,
            request,
        })
    }
}

/// The subscriptions within the key's prefix.
pub(super) async fn list<D: Gateway>(
    extract::State(state): Shared<D>,
    request: Bare,
) -> HandlerResult {
    let limit = limit_of(&request);
    let found = by(request.deadline, state.devices.fleet_subscriptions()).await?;
    let is_shown = |document: &FleetSubscription<'_>| match &limit {
        Some(grant) => grant.covers_all_of(document.prefix()),
        None => true,
    };
    let documents = found
        .iter()
        .filter_map(|found| document(found, limit.as_deref()));
    let shown: FleetSubscriptions<'_> = documents.filter(is_shown).collect();
    Ok(json_of(&shown))
}

/// Returns the subscription of this kind and prefix, or 404 if it does not exist.
pub(super) async fn get<D: Gateway>(
    extract::State(state): Shared<D>,
    ForPrefix {
        kind,
        prefix,
        request,
    }: ForPrefix<Bare>,
) -> HandlerResult {
    let limit = limit_of(&request);
    let scope = Scope::Fleet(prefix);
    let found = by(request.deadline, state.devices.subscription(scope, kind)).await?;
    let found = found.as_ref();
    let document = found.and_then(|(found, _)| document(found, limit.as_deref()));
    let document = document.ok_or_else(|| {
        let text = format!("There is no fleet subscription for {kind} and this prefix.");
        Problem::new(Kind::NoSubscription, text)
    })?;
    Ok(json_of(&document))
}

/// Makes or replaces it.
pub(super) async fn put<D: Gateway>(
    extract::State(state): Shared<D>,
    ForPrefix {
        kind,
        prefix,
        request,
    }: ForPrefix<Full>,
) -> HandlerResult {
    let limit = limit_of(&request);
    let deadline = request.deadline;
    let body = request.json().await?;
    let subscribe = Subscribe {
        scope: Scope::Fleet(prefix),
        kind,
        callback: callback(&body)?,
        keep_connected: keep_connected(&body)?,
        limited: limit.as_ref().is_some_and(|grant| grant.is_for_some()),
    };
    let (made, _) = state.devices.subscribe(subscribe, deadline).await?;
    Ok(json_of(&document(&made, limit.as_deref())))
}

/// Removes the subscription; 204, even if there was none.
pub(super) async fn delete<D: Gateway>(
    extract::State(state): Shared<D>,
    ForPrefix {
        kind,
        prefix,
        request,
    }: ForPrefix<Bare>,
) -> HandlerResult {
    remove(&state, Scope::Fleet(prefix), kind, request.deadline).await
}

/// False when it is absent or null.
fn keep_connected(body: &[u8]) -> Result<bool, Problem> {
    let text = json_member::read(body, "keepConnected")
        .map_err(|error| invalid_body(error.to_string()))?;
    match text {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(invalid_body(
            "The member `keepConnected` must be true or false.",
        )),
    }
}

/// A fleet subscription as the holder of a key may see it; `None` for the subscription of one device.
fn document<'a>(
    subscription: &'a Subscription,
    limit: Option<&Grant>,
) -> Option<FleetSubscription<'a>> {
    FleetSubscription::new(subscription, shown(limit, &subscription.callback))
}
