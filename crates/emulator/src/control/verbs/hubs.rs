//! `move` and `failover`: what happens to hubs and to devices between them.

use std::time::Duration;

use axum::extract::State;
use axum::routing::on;
use drawspan_emulator_hub::dps::{MoveError, RegisterError};
use drawspan_emulator_hub::hub::FailoverError;
use drawspan_emulator_hub::limits::FAILOVER_S;
use drawspan_hub::HostName;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::control::body::Json;
use crate::control::operation::{Method, Operation, Shape};
use crate::control::path::{self, Device, Name, encoded};
use crate::control::problem::Problem;
use crate::control::verb::{Call, InvalidWords, Verb};
use crate::control::words;
use crate::https::Shared;

pub(super) const MOVE: Verb = Verb {
    name: "move",
    usages: &[(
        "move ID HUB",
        "have a device at another hub: its twin goes along, its connection ends, and registering assigns it there",
    )],
    operations: &[Operation {
        method: Method::Post,
        path: "/emulator/devices/{id}/move",
        about: "Moves a device to another hub with its twin, as a provisioning service does that migrates data. Its connection ends, its identity leaves the old hub, and from now on it is assigned to the new one.",
        query: &[],
        body: Some(Shape::of::<MoveTo>()),
        answer: Shape::of::<Moved>(),
        handler: |method| on(method, move_device),
    }],
    parse: parse_move,
};

pub(super) const FAILOVER: Verb = Verb {
    name: "failover",
    usages: &[(
        "failover HUB [for 30s]",
        "end all connections of a hub and refuse new ones for a while; messages to devices are lost",
    )],
    operations: &[Operation {
        method: Method::Post,
        path: "/emulator/hubs/{id}/failover",
        about: "Fails a hub over to another region: its connections end, new ones are refused with 404012 until the time is over, and unread messages to devices and feedback are lost. Identities and twins stay.",
        query: &[],
        body: Some(Shape::of::<FailOver>()),
        answer: Shape::of::<FailingOver>(),
        handler: |method| on(method, fail_over),
    }],
    parse: parse_failover,
};

/// Where a device is to go.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MoveTo {
    /// Name of the hub.
    hub: String,
}

/// A device that was moved.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Moved {
    device_id: String,
    /// The hub that it left.
    from: String,
    /// The hub that has it now.
    to: String,
    /// Whether it had registered at the provisioning service.
    registered: bool,
}

/// How long a hub is away.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FailOver {
    /// Milliseconds of the emulator's time, a second at least.
    ms: u64,
}

/// A hub that fails over.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct FailingOver {
    hub: String,
    /// How long it is away, milliseconds of the emulator's time.
    ms: u64,
    /// Messages to devices that were lost.
    lost_messages: usize,
    /// Records of feedback that were lost.
    lost_feedback: usize,
}

fn parse_move(words: &[&str]) -> Result<Call, InvalidWords> {
    let [id, hub] = words else {
        return Err(InvalidWords::unknown(words));
    };
    let id = words::device(id)?;
    let target = format!("/emulator/devices/{}/move", encoded(id.as_str()));
    let text = |moved: &Moved| {
        let Moved {
            device_id,
            from,
            to,
            ..
        } = moved;
        format!("{device_id}: moved from {from} to {to}")
    };
    let hub = (*hub).to_owned();
    Ok(Call::new(Method::Post, target, text).with_body(&MoveTo { hub }))
}

fn parse_failover(words: &[&str]) -> Result<Call, InvalidWords> {
    let (hub, time) = match words {
        [hub] => (hub, Duration::from_secs(FAILOVER_S)),
        [hub, "for", time] => (hub, words::duration(time)?),
        words => return Err(InvalidWords::unknown(words)),
    };
    let target = format!("/emulator/hubs/{}/failover", encoded(hub));
    let text = |it: &FailingOver| {
        format!(
            "{}: failing over for {} s; lost {} messages and {} records of feedback",
            it.hub,
            it.ms / 1_000,
            it.lost_messages,
            it.lost_feedback
        )
    };
    let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Ok(Call::new(Method::Post, target, text).with_body(&FailOver { ms }))
}

/// `POST /emulator/devices/{id}/move`
async fn move_device(
    State(shared): State<Shared>,
    Device(id): Device,
    Json(MoveTo { hub }): Json<MoveTo>,
) -> Result<Json<Moved>, Problem> {
    let to: HostName = path::hub(&shared, &hub)?.host().clone();
    let moved = shared.dps.move_device(&id, &to).await;
    let moved = moved.map_err(|error| match error {
        MoveError::UnknownHub(_) | MoveError::UnknownDevice(_) => {
            Problem::not_found(error.to_string())
        }
        MoveError::Register(RegisterError::Change(error)) => error.into(),
        MoveError::There { .. } | MoveError::TooMany | MoveError::Register(_) => {
            Problem::conflict(error.to_string())
        }
    })?;
    Ok(Json(Moved {
        device_id: id.to_string(),
        from: moved.from.to_string(),
        to: moved.to.to_string(),
        registered: moved.is_registered,
    }))
}

/// `POST /emulator/hubs/{id}/failover`
async fn fail_over(
    State(shared): State<Shared>,
    Name(name): Name,
    Json(FailOver { ms }): Json<FailOver>,
) -> Result<Json<FailingOver>, Problem> {
    let hub = path::hub(&shared, &name)?;
    let lost = hub.fail_over(Duration::from_millis(ms)).await;
    let lost = lost.map_err(|error| match error {
        FailoverError::UnderWay => Problem::conflict(error.to_string()),
        FailoverError::Time => Problem::invalid(error.to_string()),
        FailoverError::Change(error) => error.into(),
    })?;
    Ok(Json(FailingOver {
        hub: hub.host().to_string(),
        ms,
        lost_messages: lost.messages,
        lost_feedback: lost.feedback,
    }))
}
