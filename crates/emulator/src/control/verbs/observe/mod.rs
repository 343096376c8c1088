//! `observe`: what is connected now, and what has happened.

mod connections;
mod counters;
mod frames;
mod links;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::routing::on;
use drawspan_emulator_hub::connections::{Connection, Connections, Order};
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::sessions::Connected;
use drawspan_hub::{DeviceId, UtcTime};
use drawspan_hub_model::event::Protocol;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::control::operation::{Method, Operation, Parameter, Shape};
use crate::control::path::encoded;
use crate::control::verb::{Call, InvalidWords, Verb};
use crate::control::words;
use crate::https::Shared;
use crate::limits::{CONTROL_REPORT_MS, CONTROL_ROWS_MAX};
pub(crate) use counters::Counters;

pub(super) const OBSERVE: Verb = Verb {
    name: "observe",
    usages: &[
        (
            "observe connections [ID]",
            "list what is connected: client, protocol, since when, from where",
        ),
        (
            "observe links [ID]",
            "list links (AMQP) with their credit, and subscriptions (MQTT)",
        ),
        (
            "observe tokens [ID]",
            "list what clients proved themselves by, and when it expires",
        ),
        (
            "observe counters",
            "count what happened since the start, by the name of the event",
        ),
        (
            "observe frames ID",
            "list the last frames or packets of a device's connection",
        ),
    ],
    operations: &[
        Operation {
            method: Method::Get,
            path: "/emulator/connections",
            about: "Lists connections of devices and services, and the clients on each.",
            query: DEVICE,
            body: None,
            answer: Shape::of::<connections::ConnectionList>(),
            handler: |method| on(method, connections::list),
        },
        Operation {
            method: Method::Get,
            path: "/emulator/links",
            about: "Lists links (AMQP) with their credit, and subscriptions (MQTT).",
            query: DEVICE,
            body: None,
            answer: Shape::of::<links::LinkList>(),
            handler: |method| on(method, links::list),
        },
        Operation {
            method: Method::Get,
            path: "/emulator/tokens",
            about: "Lists what clients proved themselves by, never a token itself.",
            query: DEVICE,
            body: None,
            answer: Shape::of::<links::TokenList>(),
            handler: |method| on(method, links::tokens),
        },
        Operation {
            method: Method::Get,
            path: "/emulator/counters",
            about: "Counts events since the start, by their names.",
            query: &[],
            body: None,
            answer: Shape::of::<counters::CounterList>(),
            handler: |method| on(method, counters::list),
        },
        Operation {
            method: Method::Get,
            path: "/emulator/frames/{id}",
            about: "Lists the last frames or packets of a device's connection, and notes them from now on: the first answer is empty.",
            query: &[],
            body: None,
            answer: Shape::of::<frames::FrameList>(),
            handler: |method| on(method, frames::list),
        },
    ],
    parse,
};

const DEVICE: &[Parameter] = &[Parameter {
    name: "device",
    about: "A device, with its modules; without it, everybody.",
}];

fn parse(all: &[&str]) -> Result<Call, InvalidWords> {
    let (what, device) = match all {
        [what] => (*what, None),
        [what, id] if *what != "counters" => (*what, Some(words::device(id)?)),
        words => return Err(InvalidWords::unknown(words)),
    };
    let target = match &device {
        None => format!("/emulator/{what}"),
        Some(id) => format!("/emulator/{what}?device={}", encoded(id.as_str())),
    };
    match (what, device) {
        ("connections", _) => Ok(Call::new(Method::Get, target, connections::text)),
        ("links", _) => Ok(Call::new(Method::Get, target, links::links_text)),
        ("tokens", _) => Ok(Call::new(Method::Get, target, links::tokens_text)),
        ("counters", _) => Ok(Call::new(Method::Get, target, counters::text)),
        ("frames", Some(id)) => {
            let target = format!("/emulator/frames/{}", encoded(id.as_str()));
            Ok(Call::new(Method::Get, target, frames::text))
        }
        ("frames", None) => Err(InvalidWords::new("say which device")),
        _ => Err(InvalidWords::unknown(all)),
    }
}

/// A client that is connected, with its hub.
type Target = (Arc<Hub>, Connected);

/// The clients that are connected at every hub: those of a device, or all.
fn clients(shared: &Shared, device: Option<&DeviceId>) -> Vec<Target> {
    let covered = device.map(Into::into);
    let at = |hub: &Arc<Hub>| {
        let hub = Arc::clone(hub);
        let connected = hub.connected(covered.as_ref()).into_iter();
        connected.map(move |it| (Arc::clone(&hub), it))
    };
    shared.hubs.hubs().iter().flat_map(at).collect()
}

/// The connections of a device and its modules, or all.
fn connections_of(shared: &Shared, device: Option<&DeviceId>) -> Vec<Arc<Connection>> {
    let connections: &Connections = shared.control.faults.connections();
    if device.is_none() {
        return connections.list();
    }
    let mut numbers: Vec<u64> = clients(shared, device)
        .iter()
        .map(|(_, it)| it.connection)
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let found = numbers.iter().filter_map(|number| connections.get(*number));
    found.collect()
}

/// Asks connections' tasks for something, all together. Those that do not answer in time are left out.
async fn ask<T>(
    connections: Vec<Arc<Connection>>,
    order: impl Fn(oneshot::Sender<T>) -> Order,
) -> Vec<(Arc<Connection>, T)> {
    let mut asked = Vec::new();
    for connection in connections {
        let (answer, answered) = oneshot::channel();
        if connection.order(order(answer)) {
            asked.push((connection, answered));
        }
    }
    let deadline = Instant::now() + Duration::from_millis(CONTROL_REPORT_MS);
    let mut all = Vec::new();
    for (connection, answered) in asked {
        if let Ok(Ok(answer)) = tokio::time::timeout_at(deadline, answered).await {
            all.push((connection, answer));
        }
    }
    all
}

/// As many rows as an answer has, and how many there are besides.
fn bounded<T>(mut rows: Vec<T>) -> (Vec<T>, usize) {
    let more = rows.len().saturating_sub(CONTROL_ROWS_MAX);
    rows.truncate(CONTROL_ROWS_MAX);
    (rows, more)
}

/// The remark on rows that are left out.
fn with_more(mut lines: Vec<String>, more: usize, none: &str) -> String {
    if lines.is_empty() {
        return none.to_owned();
    }
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

fn time(unix_ms: u64) -> String {
    UtcTime::from_unix_ms(i64::try_from(unix_ms).unwrap_or(i64::MAX)).to_string()
}

/// A protocol as people call it.
const fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Amqps => "amqps",
        Protocol::AmqpsWebSocket => "amqps-ws",
        Protocol::Mqtts => "mqtts",
        Protocol::MqttsWebSocket => "mqtts-ws",
    }
}
