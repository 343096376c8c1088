//! `GET /devices`: the list of known devices.

use axum::extract;
use drawspan_api_types::answers::Devices;
use drawspan_gateway::{Gateway, ListQuery, Prefix};

use super::api::json_of;
use super::deadline::by;
use super::problem::Problem;
use super::query::Query;
use super::request::limit_of;
use super::request::{Bare, HandlerResult, Shared};
use crate::limits::{LIST_LIMIT, MAX_LIST_LIMIT};

/// A page of the list.
pub(super) async fn list<D: Gateway>(
    extract::State(state): Shared<D>,
    request: Bare,
) -> HandlerResult {
    let limit = limit_of(&request);
    let mut query = read(request.query())?;
    query.within = limit.map(|grant| grant.prefix.clone()).unwrap_or_default();
    let page = by(request.deadline, state.devices.list(query)).await?;
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
