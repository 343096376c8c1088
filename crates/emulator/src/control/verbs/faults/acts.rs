//! What a fault does when it is caused, and when it is lifted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use drawspan_emulator_hub::connections::{Connection, Cut, CutHow, Order, Part};
use drawspan_emulator_hub::faults::{Fault, Operation, Scope};
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::sessions::Connected;
use drawspan_hub::{DeviceId, ErrorCode, HostName};
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::event::Protocol;

use super::body::{FaultList, FaultMade, How, Kind, NewFault};
use crate::control::path;
use crate::control::problem::Problem;
use crate::https::Shared;

/// Clients that are connected, each with its hub.
type Targets = Vec<(Arc<Hub>, Connected)>;

/// Causes a fault.
pub(super) fn cause(shared: &Shared, new: &NewFault) -> Result<FaultMade, Problem> {
    let scope = scope(shared, new)?;
    match new.kind {
        Kind::Drop => drop(shared, &scope, new.how.unwrap_or(How::Tcp)),
        Kind::Steal => steal(shared, &scope),
        Kind::Detach => detach(shared, &scope, new.part.as_deref().unwrap_or_default()),
        Kind::Stall => stall(shared, scope, life(new)),
        Kind::Refuse => {
            let operation = operation(new)?;
            let fault = Fault::Refuse {
                operation,
                scope,
                code: code(new, operation)?,
                share: share(new)?,
            };
            set(shared, fault, life(new))
        }
        Kind::Slow => {
            let (operation, delay) = (operation(new)?, new.delay_ms);
            if !operation.can_be_slow() {
                let text = "connects, renewals, twins and c2d cannot be slow";
                return Err(Problem::invalid(text));
            }
            let delay = delay.ok_or_else(|| Problem::invalid("delayMs is missing"))?;
            let fault = Fault::Slow {
                operation,
                scope,
                delay: Duration::from_millis(delay),
            };
            set(shared, fault, life(new))
        }
    }
}

/// Lifts faults. Stalled clients go on unless another fault stalls them.
pub(super) fn lift(shared: &Shared, number: Option<u32>) -> Result<FaultList, Problem> {
    let faults = &shared.control.faults;
    let lifted = faults.lift(number);
    if let (Some(number), true) = (number, lifted.is_empty()) {
        return Err(Problem::not_found(format!("there is no fault {number}")));
    }
    for active in &lifted {
        if let Fault::Stall(scope) = &active.fault {
            go_on(shared, scope);
        }
    }
    Ok(FaultList::of(&lifted))
}

fn set(shared: &Shared, fault: Fault, life: Option<Duration>) -> Result<FaultMade, Problem> {
    let number = shared.control.faults.set(fault, life);
    let number = number.map_err(|error| Problem::conflict(error.to_string()))?;
    Ok(FaultMade {
        number: Some(number),
        reached: 0,
    })
}

fn stall(shared: &Shared, scope: Scope, life: Option<Duration>) -> Result<FaultMade, Problem> {
    let made = set(shared, Fault::Stall(scope.clone()), life)?;
    let targets = targets(shared, &scope);
    for (connection, client) in connections_of(shared, &targets) {
        connection.order(Order::Stall(client.clone()));
    }
    if let Some(life) = life {
        let shared = shared.clone();
        tokio::spawn(async move {
            shared.control.clock.sleep(life).await;
            go_on(&shared, &scope);
        });
    }
    let reached = targets.len();
    Ok(FaultMade { reached, ..made })
}

fn go_on(shared: &Shared, scope: &Scope) {
    let faults = &shared.control.faults;
    let mut targets = targets(shared, scope);
    targets.retain(|(hub, it)| !faults.stalls(hub.host(), &it.client));
    for (connection, client) in connections_of(shared, &targets) {
        connection.order(Order::GoOn(client.clone()));
    }
}

fn drop(shared: &Shared, scope: &Scope, how: How) -> Result<FaultMade, Problem> {
    let targets = targets(shared, scope);
    if how == How::Session {
        return order(shared, scope, targets, CutHow::Session);
    }
    let all = shared.control.faults.connections().list();
    let connections: Vec<_> = match scope {
        Scope::All => all,
        Scope::Hub(hub) => all.into_iter().filter(|it| it.hub() == Some(hub)).collect(),
        Scope::Device(_) | Scope::Client(..) => {
            let numbers: BTreeSet<u64> = targets.iter().map(|(_, it)| it.connection).collect();
            let is_meant = |it: &Arc<Connection>| numbers.contains(&it.number);
            all.into_iter().filter(is_meant).collect()
        }
    };
    let reached = connections.len();
    tracing::warn!(%scope, ?how, reached, "connections are cut on request");
    for connection in &connections {
        match how {
            How::Tcp => connection.sever(),
            How::Connection | How::Session => {
                connection.order(Order::Cut(Cut {
                    client: None,
                    how: CutHow::Connection,
                }));
            }
        }
    }
    at_once(scope, reached)
}

fn steal(shared: &Shared, scope: &Scope) -> Result<FaultMade, Problem> {
    let device = match scope {
        Scope::Device(device) => device.into(),
        Scope::Client(_, client) => client.clone(),
        Scope::All | Scope::Hub(_) => return Err(Problem::invalid("device is missing")),
    };
    let hubs = shared.hubs.hubs().iter();
    let hubs = hubs.filter(|hub| scope.covers(hub.host(), Some(&device)));
    let reached = hubs.filter(|hub| hub.steal(&device)).count();
    tracing::warn!(%scope, reached, "a device is taken over on request");
    at_once(scope, reached)
}

fn detach(shared: &Shared, scope: &Scope, part: &str) -> Result<FaultMade, Problem> {
    let part: Part = part
        .parse()
        .map_err(|()| Problem::invalid("part is none of telemetry, c2d, methods, twin"))?;
    if matches!(scope, Scope::All | Scope::Hub(_)) {
        return Err(Problem::invalid("device is missing"));
    }
    let targets = targets(shared, scope);
    order(shared, scope, targets, CutHow::Link(part))
}

/// Cuts sessions or links of AMQP clients.
fn order(
    shared: &Shared,
    scope: &Scope,
    mut targets: Targets,
    how: CutHow,
) -> Result<FaultMade, Problem> {
    let is_amqp =
        |it: &Connected| matches!(it.protocol, Protocol::Amqps | Protocol::AmqpsWebSocket);
    let connected = targets.len();
    targets.retain(|(_, it)| is_amqp(it));
    if targets.is_empty() && connected > 0 {
        return Err(Problem::conflict(format!(
            "{scope} speaks MQTT, which has no sessions and links: use drop"
        )));
    }
    let connections = connections_of(shared, &targets);
    let cut = |(connection, client): &(Arc<Connection>, &ClientId)| {
        let client = Some((*client).clone());
        connection.order(Order::Cut(Cut { client, how }))
    };
    let reached = connections.iter().filter(|it| cut(it)).count();
    tracing::warn!(%scope, ?how, reached, "a part of connections is cut on request");
    at_once(scope, reached)
}

fn at_once(scope: &Scope, reached: usize) -> Result<FaultMade, Problem> {
    match (scope, reached) {
        (Scope::Device(_) | Scope::Client(..), 0) => {
            Err(Problem::conflict(format!("{scope} is not connected")))
        }
        _ => Ok(FaultMade {
            number: None,
            reached,
        }),
    }
}

fn targets(shared: &Shared, scope: &Scope) -> Targets {
    let covered = match scope {
        Scope::Device(device) => Some(device.into()),
        Scope::Client(_, client) => Some(client.clone()),
        Scope::All | Scope::Hub(_) => None,
    };
    let mut targets = Vec::new();
    for hub in shared.hubs.hubs() {
        let connected = hub.connected(covered.as_ref()).into_iter();
        let meant = connected.filter(|it| scope.covers(hub.host(), Some(&it.client)));
        targets.extend(meant.map(|it| (Arc::clone(hub), it)));
    }
    targets
}

fn connections_of<'t>(
    shared: &Shared,
    targets: &'t Targets,
) -> Vec<(Arc<Connection>, &'t ClientId)> {
    let connections = shared.control.faults.connections();
    let of = |(_, it): &'t (Arc<Hub>, Connected)| {
        let connection = connections.get(it.connection)?;
        Some((connection, &it.client))
    };
    targets.iter().filter_map(of).collect()
}

fn scope(shared: &Shared, new: &NewFault) -> Result<Scope, Problem> {
    let device = new
        .device
        .as_deref()
        .map(|id| DeviceId::parse(id).map_err(|error| Problem::invalid(error.to_string())));
    let hub: Option<HostName> = match &new.hub {
        Some(name) => Some(path::hub(shared, name)?.host().clone()),
        None => None,
    };
    Ok(match (device.transpose()?, hub) {
        (None, None) => Scope::All,
        (None, Some(hub)) => Scope::Hub(hub),
        (Some(device), None) => Scope::Device(device),
        (Some(device), Some(hub)) => Scope::Client(hub, device.into()),
    })
}

fn operation(new: &NewFault) -> Result<Operation, Problem> {
    let name = new.operation.as_deref().unwrap_or_default();
    Operation::from_name(name).ok_or_else(|| {
        let names = Operation::ALL.map(Operation::name).join(", ");
        Problem::invalid(format!("operation is none of {names}"))
    })
}

fn code(new: &NewFault, operation: Operation) -> Result<ErrorCode, Problem> {
    match new.code {
        None => Ok(operation.default_code()),
        Some(number) => ErrorCode::new(number)
            .ok_or_else(|| Problem::invalid("code is no code of a hub, such as 503001")),
    }
}

fn share(new: &NewFault) -> Result<u8, Problem> {
    let share = new.share.unwrap_or(100);
    match share {
        1..=100 => Ok(share),
        _ => Err(Problem::invalid("share is not 1 to 100")),
    }
}

fn life(new: &NewFault) -> Option<Duration> {
    new.duration_ms.map(Duration::from_millis)
}
