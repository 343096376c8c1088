//! Faults as JSON.

use drawspan_emulator_hub::faults::Active;
use drawspan_hub::UtcTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A fault to cause. Which members count depends on `kind`; without `device` and `hub` everybody is meant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewFault {
    pub(super) kind: Kind,
    /// Of `refuse` and `slow`: connects, renewals, d2c, twins, c2d, methods or service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) operation: Option<String>,
    /// The device, with its modules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) device: Option<String>,
    /// The hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hub: Option<String>,
    /// Of `refuse`: the hub's code, six digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<u32>,
    /// Of `refuse`: the share of operations, in percent, 1 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) share: Option<u8>,
    /// Of `slow`: how much later operations are answered, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delay_ms: Option<u64>,
    /// Of `refuse`, `slow` and `stall`: how long it lasts, in milliseconds of the emulator's time; without it, until it is lifted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) duration_ms: Option<u64>,
    /// Of `drop`: what ends; `tcp` unless it is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) how: Option<How>,
    /// Of `detach`: telemetry, c2d, methods or twin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<String>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum Kind {
    /// Connections end.
    #[default]
    Drop,
    /// Operations are refused.
    Refuse,
    /// Operations are answered later.
    Slow,
    /// Another client seems to take the device over.
    Steal,
    /// Nothing is accepted from the device.
    Stall,
    /// AMQP links of the device are detached.
    Detach,
}

/// What ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum How {
    /// The TCP connection, without a word.
    Tcp,
    /// The connection, with code 400029 over AMQP.
    Connection,
    /// The AMQP sessions of a device.
    Session,
}

/// What a new fault did.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct FaultMade {
    /// The number of a fault that lasts; `null` for what happened at once.
    pub(super) number: Option<u32>,
    /// Connections, or clients, that it reached at once.
    pub(super) reached: usize,
}

/// Faults that last.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct FaultList {
    pub(super) faults: Vec<FaultLine>,
}

/// A fault that lasts.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FaultLine {
    pub(super) number: u32,
    /// What goes wrong, and whose.
    pub(super) fault: String,
    /// UTC, by the emulator's clock.
    pub(super) since: String,
    /// UTC, by the emulator's clock; `null` until it is lifted.
    pub(super) until: Option<String>,
    /// Operations that failed or were slow because of it.
    pub(super) hits: u64,
}

impl FaultList {
    pub(super) fn of(active: &[Active]) -> Self {
        let time = |unix_ms: u64| UtcTime::from_unix_ms(unix_ms as i64).to_string();
        let line = |active: &Active| FaultLine {
            number: active.number,
            fault: active.fault.to_string(),
            since: time(active.since_unix_ms),
            until: active.until_unix_ms.map(time),
            hits: active.hits,
        };
        Self {
            faults: active.iter().map(line).collect(),
        }
    }

    /// Lines for people, or `otherwise` if there are none.
    pub(super) fn text(&self, otherwise: &str) -> String {
        let line = |it: &FaultLine| {
            let until = it.until.as_deref().unwrap_or("it is lifted");
            let FaultLine {
                number,
                fault,
                hits,
                ..
            } = it;
            format!("{number}  {fault}, until {until}  ({hits} so far)")
        };
        let lines: Vec<String> = self.faults.iter().map(line).collect();
        match lines.is_empty() {
            true => otherwise.to_owned(),
            false => lines.join("\n"),
        }
    }
}
