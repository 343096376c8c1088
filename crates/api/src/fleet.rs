//! Subscriptions for many devices: `GET /subscriptions`, and `GET`, `PUT`, `DELETE /subscriptions/{subscriptionType}?prefix=`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{self, Path};
use axum::http::{Request, Response};
use drawspan_api_types::answers::{FleetSubscription, FleetSubscriptions};
use drawspan_gateway::{Bridging, Prefix, Scope, Subscribe, Subscription};
use drawspan_hub::SubscriptionType;
use drawspan_settings::Grant;

use super::access::{limit_of, shown};
use super::api::{State, json_of};
use super::member;
use super::problem::{Kind, Problem};
use super::query::Query;
use super::request::{Arrived, by, invalid_body, respond};
use super::subscription::{callback, remove};

/// The word in the path, as the router found it.
type KindInPath = Result<Path<String>, PathRejection>;

/// All of them that lie within what the key is for.
pub(super) async fn list<D: Bridging>(
    extract::State(state): extract::State<Arc<State<D>>>,
    request: Request<Body>,
) -> Response<Body> {
    let request = Arrived::new(&*state, request);
    let limit = limit_of(&request);
    let deadline = request.without_body().await;
    let answer = by(deadline, state.devices.fleet_subscriptions()).await;
    let is_shown = |document: &FleetSubscription<'_>| match &limit {
        Some(grant) => grant.covers_all_of(document.prefix()),
        None => true,
    };
    respond(answer.map(|found| {
        let documents = found
            .iter()
            .filter_map(|found| document(found, limit.as_deref()));
        json_of(
            &documents
                .filter(is_shown)
                .collect::<FleetSubscriptions<'_>>(),
        )
    }))
}

/// The one of this kind for this prefix; 404 when there is none.
pub(super) async fn get<D: Bridging>(
    extract::State(state): extract::State<Arc<State<D>>>,
    kind: KindInPath,
    request: Request<Body>,
) -> Response<Body> {
    let answer = async {
        let (kind, prefix, request) = begun(&*state, kind, request).await?;
        let limit = limit_of(&request);
        let deadline = request.without_body().await;
        let scope = Scope::Fleet(prefix);
        let found = by(deadline, state.devices.subscription(scope, kind)).await?;
        let found = found.as_ref();
        let document = found.and_then(|(found, _)| document(found, limit.as_deref()));
        let document = document.ok_or_else(|| {
            let text = format!("There is no fleet subscription for {kind} and this prefix.");
            Problem::new(Kind::NoSubscription, text)
        })?;
        Ok(json_of(&document))
    };
    respond(answer.await)
}

/// Makes or replaces it.
pub(super) async fn put<D: Bridging>(
    extract::State(state): extract::State<Arc<State<D>>>,
    kind: KindInPath,
    request: Request<Body>,
) -> Response<Body> {
    let answer = async {
        let (kind, prefix, request) = begun(&*state, kind, request).await?;
        let limit = limit_of(&request);
        let limited = limit.as_ref().is_some_and(|grant| grant.is_for_some());
        let (deadline, body) = request.json().await?;
        let subscribe = Subscribe {
            scope: Scope::Fleet(prefix),
            kind,
            callback: callback(&body)?,
            keep_connected: keep_connected(&body)?,
            limited,
        };
        let (made, _) = state.devices.subscribe(subscribe, deadline).await?;
        Ok(json_of(&document(&made, limit.as_deref())))
    };
    respond(answer.await)
}

/// Removes it; 204, also when there was none.
pub(super) async fn delete<D: Bridging>(
    extract::State(state): extract::State<Arc<State<D>>>,
    kind: KindInPath,
    request: Request<Body>,
) -> Response<Body> {
    let answer = async {
        let (kind, prefix, request) = begun(&*state, kind, request).await?;
        let deadline = request.without_body().await;
        remove(&state, Scope::Fleet(prefix), kind, deadline).await
    };
    respond(answer.await)
}

async fn begun<D>(
    state: &State<D>,
    kind: KindInPath,
    request: Request<Body>,
) -> Result<(SubscriptionType, Prefix, Arrived), Problem> {
    let request = Arrived::new(state, request);
    let word = kind.ok().map(|Path(word)| word);
    let Some(kind) = word.as_deref().and_then(SubscriptionType::parse) else {
        let words = SubscriptionType::ALL
            .map(SubscriptionType::as_str)
            .join(", ");
        let text = format!("What can be subscribed to is {words}.");
        return Err(request.refuse(Problem::new(Kind::NotFound, text)).await);
    };
    let (prefix, request) = request.query(|query: Query<'_>| query.prefix()).await?;
    Ok((kind, prefix, request))
}

/// False when it is absent or null.
fn keep_connected(body: &[u8]) -> Result<bool, Problem> {
    let text =
        member::read(body, "keepConnected").map_err(|error| invalid_body(error.to_string()))?;
    match text {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(invalid_body(
            "The member `keepConnected` must be true or false.",
        )),
    }
}

/// A fleet subscription as the holder of a key may see it; `None` for one device's own.
fn document<'a>(
    subscription: &'a Subscription,
    limit: Option<&Grant>,
) -> Option<FleetSubscription<'a>> {
    FleetSubscription::new(subscription, shown(limit, &subscription.callback))
}
