//! `drawspan config check --online`: checks DPS, hub and store with the settings in effect.
//!
//! All checks run at once, each with a time limit, so that the result comes within seconds even if there are no answers. Nothing is
//! registered or written unless a device is named, and no link of a real device is attached.

mod clock;
mod cloud;
mod store;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use drawspan_hub::{DeviceId, Failure, FailureKind};
use drawspan_settings::Config;
use tokio::time::timeout;

use super::advice;
use crate::limits::PROBE_TIMEOUT_MS;

/// A check and its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) what: &'static str,
    pub(super) seen: Seen,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// It works.
    Ok(String),
    /// It does not.
    Failed {
        /// The failure.
        what: String,
        /// Advice.
        advice: String,
    },
    /// It was not looked at, and why.
    Skipped(String),
}

/// Makes all checks. Must be called within a runtime.
pub(super) async fn look(config: &Config, device: Option<&DeviceId>) -> Vec<Line> {
    let connector = match drawspan_runtime::connector(config) {
        Ok(connector) => connector,
        Err(error) => {
            return vec![Line {
                what: "TLS",
                seen: Seen::failed(error, "Name an authority to trust with --ca FILE."),
            }];
        }
    };
    let (clock, cloud, store) = tokio::join!(
        clock::look(config, &connector),
        cloud::look(config, &connector, device),
        store::look(config),
    );
    [clock].into_iter().chain(cloud).chain([store]).collect()
}

/// The lines as a text.
pub(super) fn text(lines: &[Line]) -> String {
    lines.iter().map(Line::to_string).collect()
}

impl Seen {
    pub(super) fn failed(what: impl fmt::Display, advice: impl Into<String>) -> Self {
        Self::Failed {
            what: what.to_string(),
            advice: advice.into(),
        }
    }

    /// The answer of a peer, with advice; `refused` gives better advice on a refusal.
    fn of_failure(failure: &Failure, refused: &str) -> Self {
        let advice = match failure.kind {
            FailureKind::HubUnreachable | FailureKind::Timeout => {
                advice::for_unreachable(&failure.message)
            }
            FailureKind::ServerError | FailureKind::HubMaintenance => {
                "It answers with server errors: check the status of Azure, and try again."
            }
            FailureKind::Throttled => "It is asked too often just now: try again.",
            FailureKind::DeviceDisabled => {
                "The device is disabled: enable it where it was disabled (at the hub, or its enrollment at DPS), if it is to connect."
            }
            FailureKind::DeviceNotFound => {
                "The hub does not know the device: create it there; one that comes through DPS registers anew when it is used."
            }
            FailureKind::HubNotFound => "There is no such hub: check the host name.",
            FailureKind::HubSuspended => {
                "The hub is suspended: look at the subscription in the portal."
            }
            FailureKind::QuotaExceeded => {
                "The hub's messages of today are used up: wait until midnight UTC, or add units."
            }
            FailureKind::TokenLimit => "Other connections hold all its places: try again.",
            _ => refused,
        };
        Self::failed(failure, advice)
    }
}

/// The outcome of a look, or that it took too long.
async fn in_time<T>(
    name: &str,
    look: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let limit = Duration::from_millis(PROBE_TIMEOUT_MS);
    timeout(limit, look).await.unwrap_or_else(|_| {
        let text = format!("{name} did not answer within {} s", limit.as_secs());
        Err(Failure::local(FailureKind::Timeout, &text))
    })
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.what;
        match &self.seen {
            Seen::Ok(text) => writeln!(f, "  ok       {what:<6} {text}"),
            Seen::Skipped(text) => writeln!(f, "  skipped  {what:<6} {text}"),
            Seen::Failed { what: text, advice } => {
                writeln!(f, "  failed   {what:<6} {text}")?;
                writeln!(f, "                  {advice}")
            }
        }
    }
}
