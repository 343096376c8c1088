//! `GET /deadLetters`, `POST /deadLetters/{id}/replay`, `DELETE /deadLetters/{id}`: events that their receivers did not take.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{self, Path};
use axum::http::{Request, Response, StatusCode};
use drawspan_api_types::answers::DeadLetters;
use drawspan_gateway::{Bridging, DeadLetter, DeadLetterQuery, DeviceError};
use drawspan_hub::DeviceId;
use drawspan_settings::Grant;
use tokio::time::Instant;

use super::access::{check_device, check_standing, limit_of, narrowed};
use super::api::{State, empty_response, json_of};
use super::listing::limit as page_limit;
use super::problem::{Kind, Problem};
use super::query::Query;
use super::request::{Arrived, by, respond};
use crate::limits::{DEAD_LETTER_LIMIT, MAX_DEAD_LETTER_LIMIT, MAX_DEAD_LETTER_NUMBER};

/// The number in the path, as the router found it.
type NumberInPath = Result<Path<String>, PathRejection>;

/// A page of the list, oldest first.
pub(super) async fn list<D: Bridging>(
    extract::State(state): extract::State<Arc<State<D>>>,
    request: Request<Body>,
) -> Response<Body> {
    respond(try_list(&state, request).await)
}

/// Sends one again; 202 when that is queued.
pub(super) async fn replay<D: Bridging>(
    extract::State(state): extract::State<Arc<State<D>>>,
    number: NumberInPath,
    request: Request<Body>,
) -> Response<Body> {
    let answer = async {
        let (id, deadline) = begun(&state, number, request).await?;
        Ok(state.devices.replay(id, deadline).await?)
    };
    respond(answer.await.map(|()| empty_response(StatusCode::ACCEPTED)))
}

/// Removes one.
pub(super) async fn discard<D: Bridging>(
    extract::State(state): extract::State<Arc<State<D>>>,
    number: NumberInPath,
    request: Request<Body>,
) -> Response<Body> {
    let answer = async {
        let (id, deadline) = begun(&state, number, request).await?;
        Ok(state.devices.discard(id, deadline).await?)
    };
    respond(
        answer
            .await
            .map(|()| empty_response(StatusCode::NO_CONTENT)),
    )
}

async fn try_list<D: Bridging>(
    state: &State<D>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    let request = Arrived::new(state, request);
    let grant = limit_of(&request);
    let read = |query: Query<'_>| read(query, grant.as_deref());
    let (mut query, request) = request.query(read).await?;
    let deadline = request.without_body().await;
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
        found = own(state, &grant, found, deadline).await?;
    }
    let continuation = last.filter(|_| more);
    Ok(json_of(&DeadLetters::new(&found, continuation)))
}

/// The conditions, within what the key is for.
fn read(query: Query<'_>, limit: Option<&Grant>) -> Result<DeadLetterQuery, Problem> {
    let device = query.device("deviceId")?;
    let asked = query.prefix()?;
    let prefix = match &device {
        // What is stored of it may have another spelling than the key's prefix.
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
async fn begun<D: Bridging>(
    state: &State<D>,
    number: NumberInPath,
    request: Request<Body>,
) -> Result<(u64, Instant), Problem> {
    let request = Arrived::new(state, request);
    let limit = limit_of(&request);
    let deadline = request.without_body().await;
    let number = number.ok().and_then(|Path(text)| text.parse().ok());
    let number: u64 = number.ok_or(DeviceError::NoDeadLetter)?;
    if let Some(grant) = limit.filter(|grant| grant.is_for_some()) {
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
    Ok((number, deadline))
}

/// Those of devices that the key is for by their id at the hub, too.
async fn own<D: Bridging>(
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
async fn is_own<D: Bridging>(
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
