//! `GET /usage`: who used which share of the hubs' sends and daily blocks today.

use axum::extract;
use drawspan_api_types::usage::Usage;
use drawspan_gateway::{Gateway, UsageOrder, UsageQuery};

use super::api::json_of;
use super::authorization::narrowed;
use super::deadline::by;
use super::device_list::limit as page_limit;
use super::problem::Problem;
use super::query::Query;
use super::request::limit_of;
use super::request::{Bare, HandlerResult, Shared};
use crate::limits::{MAX_USAGE_LIMIT, USAGE_LIMIT};

/// What counts first, by the words of the parameter `sort`.
pub(super) const ORDERS: [(&str, UsageOrder); 2] =
    [("blocks", UsageOrder::Blocks), ("sends", UsageOrder::Sends)];

/// Sums of each hub, and the devices that used most.
pub(super) async fn usage<D: Gateway>(
    extract::State(state): Shared<D>,
    request: Bare,
) -> HandlerResult {
    let limit = limit_of(&request);
    let mut query = read(request.query())?;
    query.prefix = narrowed(limit.as_deref(), query.prefix)?;
    let usage = by(request.deadline, state.devices.usage(query)).await?;
    Ok(json_of(&Usage::new(&usage)))
}

fn read(query: Query<'_>) -> Result<UsageQuery, Problem> {
    Ok(UsageQuery {
        prefix: query.prefix()?,
        order: query.word("sort", &ORDERS)?.unwrap_or(UsageOrder::Blocks),
        limit: page_limit(query, USAGE_LIMIT, MAX_USAGE_LIMIT)?,
    })
}
