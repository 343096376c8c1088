//! `POST /messages/events`: messages of many devices at once, each with a fate of its own.

mod items;

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract;
use axum::http::{Request, Response};
use drawspan_hub::{DeviceId, Telemetry};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::access::limit_of;
use super::api::{State, json_of};
use super::problem::{Kind, Problem};
use super::request::{Arrived, respond};
use crate::devices::Devices;
use crate::limits::{BATCH_DEVICES_AT_ONCE, MAX_BATCH_BYTES, RETRY_AFTER_S};
use items::Item;

/// What came of a message.
type Fate = Result<(), Problem>;

/// Messages of one device, each with its place in the request.
type Lane = (DeviceId, Vec<(usize, Telemetry)>);

/// Takes messages; 200 with what came of each.
pub(super) async fn send<D: Devices>(
    extract::State(state): extract::State<Arc<State<D>>>,
    request: Request<Body>,
) -> Response<Body> {
    respond(try_send(&state, request).await)
}

async fn try_send<D: Devices>(
    state: &State<D>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    let request = Arrived::new(state, request);
    let limit = limit_of(&request);
    let (deadline, body) = request.json_up_to(MAX_BATCH_BYTES).await?;
    let items = items::read(&body, limit.as_deref())?;
    drop(body);
    let mut names = Vec::with_capacity(items.len());
    let mut fates = Vec::with_capacity(items.len());
    let lanes = lanes(items, &mut names, &mut fates);
    deliver(&state.devices, lanes, deadline, &mut fates).await;
    Ok(json_of(&Answer::new(&names, &fates)))
}

/// Sorts messages by device, in the order of the request. What is no message has its fate.
fn lanes(items: Vec<Item>, names: &mut Vec<Option<String>>, fates: &mut Vec<Fate>) -> Vec<Lane> {
    let mut places: HashMap<DeviceId, usize> = HashMap::new();
    let mut lanes: Vec<Lane> = Vec::new();
    for (at, item) in items.into_iter().enumerate() {
        names.push(item.name);
        match item.message {
            Err(problem) => fates.push(Err(problem)),
            Ok((device, message)) => {
                fates.push(Err(unfinished()));
                let place = *places.entry(device.clone()).or_insert_with(|| {
                    lanes.push((device, Vec::new()));
                    lanes.len() - 1
                });
                if let Some((_, messages)) = lanes.get_mut(place) {
                    messages.push((at, message));
                }
            }
        }
    }
    lanes
}

/// Sends them: those of one device one after the other, so that their order stays whatever happens, and devices side by side.
async fn deliver<D: Devices>(devices: &D, lanes: Vec<Lane>, deadline: Instant, fates: &mut [Fate]) {
    let mut lanes = lanes.into_iter();
    // They end with the request, when its caller is answered early.
    let mut under_way = JoinSet::new();
    loop {
        while under_way.len() < BATCH_DEVICES_AT_ONCE {
            let Some(lane) = lanes.next() else { break };
            under_way.spawn(send_lane(devices.clone(), lane, deadline));
        }
        match under_way.join_next().await {
            None => return,
            Some(Ok(told)) => {
                for (at, fate) in told {
                    if let Some(known) = fates.get_mut(at) {
                        *known = fate;
                    }
                }
            }
            // It has the fate that it had before.
            Some(Err(_)) => {}
        }
    }
}

async fn send_lane<D: Devices>(
    devices: D,
    (device, messages): Lane,
    deadline: Instant,
) -> Vec<(usize, Fate)> {
    let mut told = Vec::with_capacity(messages.len());
    for (at, message) in messages {
        let sent = devices.send(device.clone(), message, deadline).await;
        told.push((at, sent.map_err(Problem::from)));
    }
    told
}

/// Of messages about which nothing was heard. Nobody should see it.
fn unfinished() -> Problem {
    Problem::new(
        Kind::FateUnknown,
        "The bridge lost sight of this message; it may or may not have reached the hub.",
    )
    .retry_after(RETRY_AFTER_S)
}

#[derive(Serialize)]
struct Answer<'a> {
    accepted: usize,
    failed: usize,
    results: Vec<Told<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    device_id: Option<&'a str>,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a Problem>,
}

impl<'a> Answer<'a> {
    fn new(names: &'a [Option<String>], fates: &'a [Fate]) -> Self {
        let accepted = fates.iter().filter(|fate| fate.is_ok()).count();
        Self {
            accepted,
            failed: fates.len() - accepted,
            results: names.iter().zip(fates).map(Told::new).collect(),
        }
    }
}

impl<'a> Told<'a> {
    fn new((name, fate): (&'a Option<String>, &'a Fate)) -> Self {
        let problem = fate.as_ref().err();
        Self {
            device_id: name.as_deref(),
            status: problem.map_or(200, |problem| problem.status().as_u16()),
            retry_after: problem.and_then(Problem::wait_s),
            problem,
        }
    }
}
