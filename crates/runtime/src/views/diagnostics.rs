//! The diagnostics of a device.

use std::time::Duration;

use drawspan_bridge::controller::Route as _;
use drawspan_fleet::{Device, State};
use drawspan_gateway::{DeviceState, Diagnostics, LastFailure};
use drawspan_hub::{
    ConnectionStatus, ConnectionStatusReason, DeviceId, Failure, Links, SubscriptionType, UtcTime,
};

use crate::platform::Controller;

/// The diagnostics of a device's connection; `None` if the device is not known.
pub(super) fn of(
    controller: &Controller,
    id: &DeviceId,
    per_device_tokens: bool,
) -> Option<Diagnostics> {
    let cached = controller.cache().get(id);
    let fleet = controller.fleet();
    let Some(index) = fleet.find(id) else {
        return cached.map(|cached| Diagnostics {
            hub: Some(cached.hub.clone()),
            assigned_device_id: cached.assigned.clone(),
            history: controller.history_of(id),
            ..at_rest(controller.status_of(id))
        });
    };
    let machine = fleet.machine(index)?;
    let context = fleet.context(index)?;
    let time = |at| controller.time_at(at);
    let noted = context.last_failure.as_deref();
    let place = context.place;
    Some(Diagnostics {
        state: state(machine),
        since: since(machine).map(time),
        status: controller.status_of(id),
        hub: machine.hub().cloned(),
        assigned_device_id: context.assigned.clone(),
        last_failure: over_quota(controller, index)
            .or_else(|| noted.map(|noted| last_failure(&noted.failure, utc(noted.at_unix_s)))),
        failures: machine.failures(),
        next_attempt_at: next_attempt(machine).map(time),
        permanent: machine.is_permanent(),
        wanted_until: machine
            .wanted_until()
            .map(|until| wanted_until(controller, index, until))
            .map(time),
        connection: place.map(|place| u64::from(place.connection.0)),
        token_slot: place
            .filter(|_| per_device_tokens)
            .map(|place| place.member),
        wanted: kinds(controller.wanted_links(index).links()),
        refused: kinds(
            context
                .refused
                .as_ref()
                .map_or_else(Links::default, |it| it.links),
        ),
        history: controller.history_of(id),
    })
}

fn last_failure(failure: &Failure, at: UtcTime) -> LastFailure {
    LastFailure {
        code: failure.code,
        kind: failure.kind,
        tracking_id: failure.tracking_id.clone(),
        message: failure.message.clone(),
        at,
    }
}

/// Why a connected device's messages do not go.
fn over_quota(controller: &Controller, index: u32) -> Option<LastFailure> {
    let place = controller.fleet().context(index)?.place?;
    let refusal = controller.pool(place.hub)?.paces.send_quota.refusal()?;
    let at = controller.time_at(refusal.at);
    Some(last_failure(&refusal.failure, at))
}

/// Uses are reported to the machine late; each of them counts for at least nine minutes.
fn wanted_until(controller: &Controller, index: u32, known: Duration) -> Duration {
    let context = controller.fleet().context(index);
    let last_use = context
        .and_then(|context| context.route.as_ref())
        .and_then(|route| route.last_use())
        .map(|at| at + drawspan_fleet::limits::TEMPORARY_MIN);
    last_use.map_or(known, |until| until.max(known))
}

const fn state(machine: &Device) -> DeviceState {
    match machine.state() {
        State::Idle => DeviceState::Idle,
        State::Queued => DeviceState::Queued,
        State::Provisioning => DeviceState::Provisioning,
        State::Connecting => DeviceState::Connecting,
        State::Connected { .. } => DeviceState::Connected,
        State::Waiting { .. } => DeviceState::Waiting,
        State::Yielded { .. } => DeviceState::Yielded,
        State::Closing => DeviceState::Closing,
    }
}

const fn since(machine: &Device) -> Option<Duration> {
    match machine.state() {
        State::Connected { since } => Some(since),
        _ => None,
    }
}

const fn next_attempt(machine: &Device) -> Option<Duration> {
    match machine.state() {
        State::Waiting { until, .. } | State::Yielded { until, .. } => Some(until),
        _ => None,
    }
}

fn utc(unix_s: u64) -> UtcTime {
    UtcTime::from_unix_ms(
        i64::try_from(unix_s)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000),
    )
}

/// Of a device that is not in memory.
const fn at_rest(status: Option<Words>) -> Diagnostics {
    Diagnostics {
        state: DeviceState::Remembered,
        since: None,
        status,
        hub: None,
        assigned_device_id: None,
        last_failure: None,
        failures: 0,
        next_attempt_at: None,
        permanent: false,
        wanted_until: None,
        connection: None,
        token_slot: None,
        wanted: Vec::new(),
        refused: Vec::new(),
        history: Vec::new(),
    }
}

fn kinds(links: Links) -> Vec<SubscriptionType> {
    let kinds = [
        (links.desired, SubscriptionType::DesiredProperties),
        (links.methods, SubscriptionType::Methods),
        (links.c2d, SubscriptionType::C2dMessages),
    ];
    let there = kinds.into_iter().filter(|(there, _)| *there);
    there.map(|(_, kind)| kind).collect()
}

type Words = (ConnectionStatus, ConnectionStatusReason);
