//! `POST /messages/events`: messages of many devices at once, with one result per message.

mod items;

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract;
use axum::http::Response;
use drawspan_api_types::answers::{BatchAnswer, BatchResult};
use drawspan_gateway::limits::RETRY_AFTER_S;
use drawspan_gateway::{DeviceGateway, Effect};
use drawspan_hub::{DeviceId, Telemetry};
use drawspan_settings::Grant;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::api::json_of;
use super::authorization::check_standing;
use super::counts::Counts;
use super::idempotency::{Claim, Done, replayed};
use super::problem::{Kind, Problem};
use super::request::limit_of;
use super::request::{Full, HandlerResult, Shared};
use super::state::State;
use crate::limits::{BATCH_DEVICES_AT_ONCE, MAX_BATCH_BYTES};
use items::Item;

/// The result of one message.
type ItemResult = Result<(), Problem>;

/// Messages of one device, under any spelling of its id, each with its index in the request.
type Lane = Vec<(usize, DeviceId, Telemetry)>;

/// Subject of a batch's key; no device has such an id.
const BATCH: &str = "";

/// Sends the messages of a batch. Answers 200 with a result for each.
pub(super) async fn send<D: DeviceGateway>(
    extract::State(state): Shared<D>,
    request: Full,
) -> HandlerResult {
    let limit = limit_of(&request);
    let key = request.idempotency_key(BATCH)?;
    let deadline = request.deadline;
    let body = request.json_up_to(MAX_BATCH_BYTES).await?;
    let batch = Batch::new(items::read(&body, limit.as_deref())?, limit);
    let Some(key) = key else {
        drop(body);
        let results = batch.deliver(&state, deadline).await;
        return Ok(answer(&results));
    };
    let claim = state.idempotency.claim(key, &body, deadline).await?;
    drop(body);
    once(batch, &state, &claim, deadline).await
}

/// Sends what was not accepted before, and remembers what is.
async fn once<D: DeviceGateway>(
    mut batch: Batch,
    state: &State<D>,
    claim: &Claim<'_>,
    deadline: Instant,
) -> HandlerResult {
    match claim.done {
        Some(Done::All) => {
            state.counts.replayed();
            let results = batch.accept_all();
            return Ok(replayed(answer(&results)));
        }
        Some(Done::Some) => {
            for place in 0..batch.results.len() {
                if claim.has_part(place).await? {
                    batch.accept(place);
                }
            }
        }
        None => {}
    }
    let results = batch.deliver(state, deadline).await;
    let accepted = |(place, (_, fate)): (usize, &NamedResult)| fate.is_ok().then_some(place);
    let accepted: Vec<usize> = results.iter().enumerate().filter_map(accepted).collect();
    if accepted.len() == results.len() {
        claim.remember(Done::All).await;
    } else if !accepted.is_empty() {
        claim.remember_parts(accepted).await;
        claim.remember(Done::Some).await;
    }
    Ok(answer(&results))
}

/// The device id of a message, and the message's result.
type NamedResult = (Option<String>, ItemResult);

/// Messages to be sent.
struct Batch {
    /// The state of each, in the order of the request.
    results: Vec<NamedResult>,
    /// By device, in the order of the request.
    lanes: Vec<Lane>,
    /// The limits of the caller's key.
    limit: Option<Arc<Grant>>,
}

impl Batch {
    fn new(items: Vec<Item>, limit: Option<Arc<Grant>>) -> Self {
        let mut places: HashMap<DeviceId, usize> = HashMap::new();
        let mut batch = Self {
            results: Vec::with_capacity(items.len()),
            lanes: Vec::new(),
            limit,
        };
        for (at, item) in items.into_iter().enumerate() {
            let (device, message) = match item.message {
                Ok(found) => found,
                Err(problem) => {
                    batch.results.push((item.name, Err(problem)));
                    continue;
                }
            };
            batch.results.push((item.name, Err(unfinished())));
            let lanes = &mut batch.lanes;
            // With DPS, ids that differ in case are one device; elsewhere, taking turns does no harm.
            let place = *places.entry(device.to_lower_case()).or_insert_with(|| {
                lanes.push(Vec::new());
                lanes.len() - 1
            });
            if let Some(messages) = lanes.get_mut(place) {
                messages.push((at, device, message));
            }
        }
        batch
    }

    /// This one is not to be sent: it was accepted before.
    fn accept(&mut self, at: usize) {
        self.settle(at, Ok(()));
        for messages in &mut self.lanes {
            messages.retain(|(place, ..)| *place != at);
        }
    }

    /// All messages are accepted already.
    fn accept_all(mut self) -> Vec<NamedResult> {
        self.results.iter_mut().for_each(|(_, fate)| *fate = Ok(()));
        self.results
    }

    fn settle(&mut self, at: usize, fate: ItemResult) {
        if let Some((_, known)) = self.results.get_mut(at) {
            *known = fate;
        }
    }

    /// Sends the messages: those of one device one after the other, so that their order is kept, and devices in parallel.
    async fn deliver<D: DeviceGateway>(
        mut self,
        state: &State<D>,
        deadline: Instant,
    ) -> Vec<NamedResult> {
        let mut lanes = std::mem::take(&mut self.lanes).into_iter();
        // They end with the request, when its caller is answered early.
        let mut under_way = JoinSet::new();
        loop {
            while under_way.len() < BATCH_DEVICES_AT_ONCE {
                let Some(lane) = lanes.next() else { break };
                let (devices, counts) = (state.devices.clone(), Arc::clone(&state.counts));
                let limit = self.limit.clone();
                let lane = send_lane(devices, counts, limit, lane, deadline);
                under_way.spawn(Effect::carry(lane));
            }
            match under_way.join_next().await {
                None => return self.results,
                Some(Ok(fates)) => fates
                    .into_iter()
                    .for_each(|(at, fate)| self.settle(at, fate)),
                // Its messages have the fate that they had before.
                Some(Err(_)) => {}
            }
        }
    }
}

async fn send_lane<D: DeviceGateway>(
    devices: D,
    counts: Arc<Counts>,
    limit: Option<Arc<Grant>>,
    lane: Lane,
    deadline: Instant,
) -> Vec<(usize, ItemResult)> {
    let mut results = Vec::with_capacity(lane.len());
    for (at, device, message) in lane {
        let sent = async {
            if let Some(grant) = &limit {
                check_standing(&devices, grant, &device, true, deadline).await?;
            }
            counts.send(&devices, device, message, deadline).await
        };
        results.push((at, sent.await));
    }
    results
}

/// The result of messages that were lost track of. It should never be seen.
fn unfinished() -> Problem {
    Problem::new(
        Kind::FateUnknown,
        "The bridge lost track of this message; it may or may not have reached the hub.",
    )
    .retry_after(RETRY_AFTER_S)
}

fn answer(results: &[NamedResult]) -> Response<Body> {
    json_of(&results.iter().map(result).collect::<BatchAnswer<'_>>())
}

fn result((name, fate): &NamedResult) -> BatchResult<'_> {
    let problem = fate.as_ref().err();
    let problem = problem.map(|problem| (problem.document(), problem.wait_s()));
    BatchResult::new(name.as_deref(), problem)
}
