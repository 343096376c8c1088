//! `GET /devices`: which devices are known.

use std::sync::Arc;

use axum::body::Body;
use axum::extract;
use axum::http::{Request, Response};
use drawspan_gateway::{Bridging, ListQuery, Listed, Prefix};
use drawspan_hub::SubscriptionType;
use serde::Serialize;

use super::access::limit_of;
use super::api::{State, json_of};
use super::problem::Problem;
use super::query::Query;
use super::request::{Arrived, by, respond};
use crate::limits::{LIST_LIMIT, MAX_LIST_LIMIT};

/// A page of the list.
pub(super) async fn list<D: Bridging>(
    extract::State(state): extract::State<Arc<State<D>>>,
    request: Request<Body>,
) -> Response<Body> {
    respond(try_list(&state, request).await)
}

async fn try_list<D: Bridging>(
    state: &State<D>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    let request = Arrived::new(state, request);
    let limit = limit_of(&request);
    let (mut query, request) = request.query(read).await?;
    query.within = limit.map(|grant| grant.prefix.clone()).unwrap_or_default();
    let deadline = request.without_body().await;
    let page = by(deadline, state.devices.list(query)).await?;
    Ok(json_of(&Page {
        devices: page.devices.iter().map(Document::new).collect(),
        continuation: page.next.as_ref().map(AsRef::as_ref),
    }))
}

fn read(query: Query<'_>) -> Result<ListQuery, Problem> {
    Ok(ListQuery {
        prefix: query.prefix()?,
        within: Prefix::default(),
        status: query.status("status")?,
        subscription: query.kind("subscription")?,
        after: query.device("after")?,
        limit: limit(query, LIST_LIMIT, MAX_LIST_LIMIT)?,
    })
}

/// The parameter `limit`.
pub(super) fn limit(query: Query<'_>, default: u64, most: u64) -> Result<usize, Problem> {
    let limit = query.number("limit", 1..=most)?.unwrap_or(default);
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

#[derive(Serialize)]
struct Page<'a> {
    devices: Vec<Document<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    continuation: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    device_id: &'a str,
    status: Option<&'static str>,
    reason: Option<&'static str>,
    hub: Option<&'a str>,
    subscriptions: Vec<&'static str>,
}

impl<'a> Document<'a> {
    fn new(listed: &'a Listed) -> Self {
        let kinds = listed.subscriptions.iter();
        Self {
            device_id: listed.device.as_str(),
            status: listed.status.map(|(status, _)| status.as_str()),
            reason: listed.status.map(|(_, reason)| reason.as_str()),
            hub: listed.hub.as_ref().map(AsRef::as_ref),
            subscriptions: kinds.copied().map(SubscriptionType::as_str).collect(),
        }
    }
}
