//! `GET /deadLetters`, `POST /deadLetters/{id}/replay`, `DELETE /deadLetters/{id}`: undelivered events.

use std::collections::HashMap;

use axum::extract::rejection::PathRejection;
use axum::extract::{self, Path};
use axum::http::StatusCode;
use drawspan_api_types::answers::DeadLetters;
use drawspan_gateway::{DeadLetter, DeadLetterQuery, DeviceError, Gateway};
use drawspan_hub::DeviceId;
use drawspan_settings::Grant;
use tokio::time::Instant;

use super::api::{empty_response, json_of};
use super::authorization::{check_device, check_standing, narrowed};
use super::deadline::by;
use super::device_list::limit as page_limit;
use super::problem::{Kind, Problem};
use super::query::Query;
use super::request::limit_of;
use super::request::{Bare, HandlerResult, Shared};
use super::state::State;
use crate::limits::{DEAD_LETTER_LIMIT, MAX_DEAD_LETTER_LIMIT, MAX_DEAD_LETTER_NUMBER};

/// The number in the path, as the router found it.
type NumberInPath = Result<Path<String>, PathRejection>;

/// A page of the list, oldest first.
pub(super) async fn list<D: Gateway>(
    extract::State(state): Shared<D>,
    request: Bare,
) -> HandlerResult {
    let grant = limit_of(&request);
    let deadline = request.deadline;
    let mut query = read(request.query(), grant.as_deref())?;
    if let (Some(grant), Some(device)) = (&grant, &query.device) {
        check_standing(&state.devices, grant, device, false, deadline).await?;
    }
    let limit = query.limit;
    // One more tells whether there are more.
    query.limit = limit + 1;
    let mut found = by(deadline, state.devices.dead_letters(query)).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().map(|letter| letter.id.to_string());
    if let Some(grant) = grant.filter(|grant| grant.is_for_some()) {
        found = own(&state, &grant, found, deadline).await?;
    }
    let continuation = last.filter(|_| more);
    Ok(json_of(&DeadLetters::new(&found, continuation)))
}

/// Sends one again; 202 when that is queued.
pub(super) async fn replay<D: Gateway>(
    extract::State(state): Shared<D>,
    number: NumberInPath,
    request: Bare,
) -> HandlerResult {
    let id = allowed(&state, number, &request).await?;
    state.devices.replay(id, request.deadline).await?;
    Ok(empty_response(StatusCode::ACCEPTED))
}

/// Removes one.
pub(super) async fn discard<D: Gateway>(
    extract::State(state): Shared<D>,
    number: NumberInPath,
    request: Bare,
) -> HandlerResult {
    let id = allowed(&state, number, &request).await?;
    state.devices.discard(id, request.deadline).await?;
    Ok(empty_response(StatusCode::NO_CONTENT))
}

/// The conditions, within what the key is for.
fn read(query: Query<'_>, limit: Option<&Grant>) -> Result<DeadLetterQuery, Problem> {
    let device = query.device("deviceId")?;
    let asked = query.prefix()?;
    let prefix = match &device {
        // The stored id may have another spelling than the key's prefix.
        Some(device) => check_device(limit, device).map(|()| asked)?,
        None => narrowed(limit, asked)?,
    };
    Ok(DeadLetterQuery {
        device,
        prefix,
        kind: query.kind("subscriptionType")?,
        after: query.number("after", 0..=MAX_DEAD_LETTER_NUMBER)?,
        limit: page_limit(query, DEAD_LETTER_LIMIT, MAX_DEAD_LETTER_LIMIT)?,
    })
}

/// The number, of a dead letter that the key is for. One of another device looks like one that is not there.
async fn allowed<D: Gateway>(
    state: &State<D>,
    number: NumberInPath,
    request: &Bare,
) -> Result<u64, Problem> {
    let deadline = request.deadline;
    let number = number.ok().and_then(|Path(text)| text.parse().ok());
    let number: u64 = number.ok_or(DeviceError::NoDeadLetter)?;
    if let Some(grant) = limit_of(request).filter(|grant| grant.is_for_some()) {
        let query = DeadLetterQuery {
            after: number.checked_sub(1),
            limit: 1,
            ..DeadLetterQuery::default()
        };
        let found = by(deadline, state.devices.dead_letters(query)).await?;
        let letter = found.first().filter(|letter| letter.id == number);
        let letter = letter.ok_or(DeviceError::NoDeadLetter)?;
        if !grant.covers(&letter.device) || !is_own(state, &grant, &letter.device, deadline).await?
        {
            return Err(DeviceError::NoDeadLetter.into());
        }
    }
    Ok(number)
}

/// Those of devices whose id at the hub is within the key's prefix, too.
async fn own<D: Gateway>(
    state: &State<D>,
    grant: &Grant,
    letters: Vec<DeadLetter>,
    deadline: Instant,
) -> Result<Vec<DeadLetter>, Problem> {
    let mut known: HashMap<DeviceId, bool> = HashMap::new();
    let mut kept = Vec::with_capacity(letters.len());
    for letter in letters {
        let is_kept = match known.get(&letter.device) {
            Some(is_kept) => *is_kept,
            None => {
                let is_kept = is_own(state, grant, &letter.device, deadline).await?;
                known.insert(letter.device.clone(), is_kept);
                is_kept
            }
        };
        if is_kept {
            kept.push(letter);
        }
    }
    Ok(kept)
}

/// Whether the key is for the device by its id at the hub, as far as that is known.
async fn is_own<D: Gateway>(
    state: &State<D>,
    grant: &Grant,
    device: &DeviceId,
    deadline: Instant,
) -> Result<bool, Problem> {
    match check_standing(&state.devices, grant, device, false, deadline).await {
        Ok(()) => Ok(true),
        Err(problem) if problem.kind() == Kind::Forbidden => Ok(false),
        Err(problem) => Err(problem),
    }
}
