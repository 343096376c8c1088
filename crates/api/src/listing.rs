//! `GET /devices`: which devices are known.

use std::sync::Arc;

use axum::body::Body;
use axum::extract;
use axum::http::{Request, Response};
use drawspan_api_types::answers::Devices;
use drawspan_gateway::{Bridging, ListQuery, Prefix};

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
    Ok(json_of(&Devices::new(&page)))
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
