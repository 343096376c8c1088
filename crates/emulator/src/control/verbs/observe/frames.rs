//! The last frames of AMQP, or packets of MQTT, of a device's connection.

use axum::extract::State;
use drawspan_emulator_hub::connections::{Frame, Order};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ask, connections_of, time, with_more};
use crate::control::body::Json;
use crate::control::path::Device;
use crate::control::problem::Problem;
use crate::https::Shared;

/// Frames of AMQP or packets of MQTT, oldest first; empty the first time, from which on they are noted.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct FrameList {
    frames: Vec<FrameLine>,
}

/// A frame or packet: what it is, never what it carries.
#[derive(Serialize, Deserialize, ToSchema)]
struct FrameLine {
    /// UTC, by the emulator's clock.
    at: String,
    /// The connection's number.
    connection: u64,
    /// `sent` or `received`, as the hub sees it.
    direction: String,
    /// The channel of AMQP; `null` over MQTT.
    channel: Option<u16>,
    bytes: usize,
    /// Its name and fields.
    frame: String,
}

/// `GET /emulator/frames/{id}`
pub(super) async fn list(
    State(shared): State<Shared>,
    Device(device): Device,
) -> Result<Json<FrameList>, Problem> {
    let connections = connections_of(&shared, Some(&device));
    if connections.is_empty() {
        return Err(Problem::conflict(format!("{device} is not connected")));
    }
    let mut frames = Vec::new();
    for (connection, noted) in ask(connections, Order::Frames).await {
        let number = connection.number;
        frames.extend(noted.into_iter().map(|frame| line(number, frame)));
    }
    Ok(Json(FrameList { frames }))
}

fn line(connection: u64, frame: Frame) -> FrameLine {
    FrameLine {
        at: time(frame.unix_ms),
        connection,
        direction: match frame.sent {
            true => "sent".to_owned(),
            false => "received".to_owned(),
        },
        channel: frame.channel,
        bytes: frame.bytes,
        frame: frame.text,
    }
}

pub(super) fn text(list: &FrameList) -> String {
    let line = |it: &FrameLine| {
        let arrow = match it.direction.as_str() {
            "sent" => "<-",
            _ => "->",
        };
        let channel = it.channel.map(|channel| format!(" [{channel}]"));
        let channel = channel.unwrap_or_default();
        format!(
            "{}  {arrow}{channel} {}  {} bytes",
            it.at, it.frame, it.bytes
        )
    };
    let lines = list.frames.iter().map(line).collect();
    with_more(lines, 0, "from now on its frames are noted: ask again")
}
