//! `reset`, `snapshot` and `restore`: the whole state of the emulator.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::on;
use drawspan_hub::UtcTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::control::body::Json;
use crate::control::operation::{Method, Operation, Shape};
use crate::control::path::{self, encoded};
use crate::control::problem::Problem;
use crate::control::verb::{Call, InvalidWords, Verb};
use crate::https::Shared;
use crate::snapshots::{Name, SnapshotError, Taken};

pub(super) const RESET: Verb = Verb {
    name: "reset",
    usages: &[(
        "reset",
        "remove devices, twins, messages, telemetry and uploads; devices of the command line are made again, keys stay",
    )],
    operations: &[Operation {
        method: Method::Post,
        path: "/emulator/reset",
        about: "Removes devices, twins, messages, telemetry, uploaded files and registrations, and ends all connections. Devices of the command line are made again; keys, certificates and faults stay.",
        query: &[],
        body: None,
        answer: Shape::of::<WasReset>(),
        handler: |method| on(method, reset),
    }],
    parse: |words| match words {
        [] => Ok(Call::new(Method::Post, "/emulator/reset", reset_text)),
        words => Err(InvalidWords::unknown(words)),
    },
};

pub(super) const SNAPSHOT: Verb = Verb {
    name: "snapshot",
    usages: &[
        ("snapshot", "list the snapshots"),
        (
            "snapshot NAME",
            "copy devices, twins, messages, telemetry and uploads; needs --state",
        ),
        ("snapshot remove NAME", "delete a snapshot"),
    ],
    operations: &[
        Operation {
            method: Method::Get,
            path: "/emulator/snapshots",
            about: "Lists the snapshots.",
            query: &[],
            body: None,
            answer: Shape::of::<SnapshotList>(),
            handler: |method| on(method, list),
        },
        Operation {
            method: Method::Put,
            path: "/emulator/snapshots/{name}",
            about: "Copies the state under a name; a snapshot of that name is replaced.",
            query: &[],
            body: None,
            answer: Shape::of::<SnapshotLine>(),
            handler: |method| on(method, take),
        },
        Operation {
            method: Method::Delete,
            path: "/emulator/snapshots/{name}",
            about: "Deletes a snapshot; lists those that are left.",
            query: &[],
            body: None,
            answer: Shape::of::<SnapshotList>(),
            handler: |method| on(method, remove),
        },
    ],
    parse: |words| match words {
        [] => {
            let path = "/emulator/snapshots";
            Ok(Call::new(Method::Get, path, list_text))
        }
        ["remove", name] => Ok(Call::new(Method::Delete, target(name)?, list_text)),
        [name] => Ok(Call::new(Method::Put, target(name)?, line_text)),
        words => Err(InvalidWords::unknown(words)),
    },
};

pub(super) const RESTORE: Verb = Verb {
    name: "restore",
    usages: &[(
        "restore NAME",
        "replace everything by a snapshot, and end all connections",
    )],
    operations: &[Operation {
        method: Method::Post,
        path: "/emulator/snapshots/{name}/restore",
        about: "Replaces the state by a snapshot, and ends all connections. Keys, certificates and faults stay.",
        query: &[],
        body: None,
        answer: Shape::of::<Restored>(),
        handler: |method| on(method, restore),
    }],
    parse: |words| match words {
        [name] => {
            let target = format!("{}/restore", target(name)?);
            Ok(Call::new(Method::Post, target, |it: &Restored| {
                format!("restored {}", it.restored)
            }))
        }
        words => Err(InvalidWords::unknown(words)),
    },
};

/// What a reset did.
#[derive(Serialize, Deserialize, ToSchema)]
struct WasReset {
    /// Devices of the command line that were made again, at all hubs.
    devices: usize,
}

#[derive(Serialize, Deserialize, ToSchema)]
struct Restored {
    /// The snapshot's name.
    restored: String,
}

/// Snapshots, by name.
#[derive(Serialize, Deserialize, ToSchema)]
struct SnapshotList {
    snapshots: Vec<SnapshotLine>,
}

/// A snapshot.
#[derive(Serialize, Deserialize, ToSchema)]
struct SnapshotLine {
    name: String,
    /// UTC, by the emulator's clock.
    taken: String,
    bytes: u64,
}

impl From<Taken> for SnapshotLine {
    fn from(it: Taken) -> Self {
        Self {
            name: it.name,
            taken: UtcTime::from_unix_ms(it.unix_ms as i64).to_string(),
            bytes: it.bytes,
        }
    }
}

impl From<SnapshotError> for Problem {
    fn from(error: SnapshotError) -> Self {
        let text = error.to_string();
        match error {
            SnapshotError::NotFound(_) => Self::not_found(text),
            SnapshotError::InMemory | SnapshotError::Busy | SnapshotError::TooMany => {
                Self::conflict(text)
            }
            _ => {
                tracing::error!(%error, "a request to the control API failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
        }
    }
}

fn target(name: &str) -> Result<String, InvalidWords> {
    let name: Name = name
        .parse()
        .map_err(|error| InvalidWords::new(format!("{error}")))?;
    Ok(format!(
        "/emulator/snapshots/{}",
        encoded(&name.to_string())
    ))
}

fn reset_text(it: &WasReset) -> String {
    format!(
        "everything is removed; {} devices are made again",
        it.devices
    )
}

fn line_text(it: &SnapshotLine) -> String {
    format!("{}  {}  {} bytes", it.name, it.taken, it.bytes)
}

fn list_text(list: &SnapshotList) -> String {
    let lines: Vec<String> = list.snapshots.iter().map(line_text).collect();
    match lines.is_empty() {
        true => "no snapshots".to_owned(),
        false => lines.join("\n"),
    }
}

fn named(name: &str) -> Result<Name, Problem> {
    name.parse()
        .map_err(|error| Problem::invalid(format!("{error}")))
}

/// `POST /emulator/reset`
async fn reset(State(shared): State<Shared>) -> Result<Json<WasReset>, Problem> {
    let devices = shared.control.snapshots()?.reset().await?;
    Ok(Json(WasReset { devices }))
}

/// `GET /emulator/snapshots`
async fn list(State(shared): State<Shared>) -> Result<Json<SnapshotList>, Problem> {
    let all = shared.control.snapshots()?.list()?.into_iter();
    let snapshots = all.map(SnapshotLine::from).collect();
    Ok(Json(SnapshotList { snapshots }))
}

/// `PUT /emulator/snapshots/{name}`
async fn take(
    State(shared): State<Shared>,
    path::Name(name): path::Name,
) -> Result<Json<SnapshotLine>, Problem> {
    let taken = shared.control.snapshots()?.take(named(&name)?).await?;
    Ok(Json(taken.into()))
}

/// `DELETE /emulator/snapshots/{name}`
async fn remove(
    State(shared): State<Shared>,
    path::Name(name): path::Name,
) -> Result<Json<SnapshotList>, Problem> {
    shared.control.snapshots()?.remove(&named(&name)?).await?;
    list(State(shared)).await
}

/// `POST /emulator/snapshots/{name}/restore`
async fn restore(
    State(shared): State<Shared>,
    path::Name(name): path::Name,
) -> Result<Json<Restored>, Problem> {
    shared.control.snapshots()?.restore(&named(&name)?).await?;
    Ok(Json(Restored { restored: name }))
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
