//! Links, subscriptions and tokens, as the connections' tasks describe them.

use axum::extract::State;
use drawspan_emulator_hub::connections::{Order, Report};
use drawspan_hub::DeviceId;
use drawspan_hub_model::client_id::ClientId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ask, bounded, connections_of, time, with_more};
use crate::control::body::Json;
use crate::control::path::OneDevice;
use crate::https::Shared;

/// Links of AMQP, and subscriptions over MQTT.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct LinkList {
    links: Vec<LinkLine>,
    /// Links that are not listed.
    more: usize,
}

#[derive(Serialize, Deserialize, ToSchema)]
struct LinkLine {
    /// The connection's number.
    connection: u64,
    /// The device or module (`DEVICE/MODULE`); `null` for links of services and of the connection.
    client: Option<String>,
    /// What goes over it.
    link: String,
    /// Messages that its receiver takes at the moment; `null` over MQTT.
    credit: Option<u32>,
}

/// What clients proved themselves by.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct TokenList {
    tokens: Vec<TokenLine>,
    /// Tokens that are not listed.
    more: usize,
}

#[derive(Serialize, Deserialize, ToSchema)]
struct TokenLine {
    /// The connection's number.
    connection: u64,
    /// The device or module (`DEVICE/MODULE`); `null` for a policy's token.
    client: Option<String>,
    /// The policy whose key signed, if one did.
    policy: Option<String>,
    /// What the token is for; empty for a certificate.
    resource: String,
    /// UTC; `null` for a certificate.
    expires: Option<String>,
}

/// `GET /emulator/links`
pub(super) async fn list(
    State(shared): State<Shared>,
    OneDevice(device): OneDevice,
) -> Json<LinkList> {
    let mut lines = Vec::new();
    for (connection, report) in reports(&shared, device.as_ref()).await {
        for it in report.links {
            if is_meant(device.as_ref(), it.client.as_ref()) {
                lines.push(LinkLine {
                    connection,
                    client: it.client.map(|client| client.to_string()),
                    link: it.kind,
                    credit: it.credit,
                });
            }
        }
    }
    let (links, more) = bounded(lines);
    Json(LinkList { links, more })
}

/// `GET /emulator/tokens`
pub(super) async fn tokens(
    State(shared): State<Shared>,
    OneDevice(device): OneDevice,
) -> Json<TokenList> {
    let mut lines = Vec::new();
    for (connection, report) in reports(&shared, device.as_ref()).await {
        for it in report.tokens {
            // A policy's token may be what a device is connected by.
            if it.client.is_none() || is_meant(device.as_ref(), it.client.as_ref()) {
                lines.push(TokenLine {
                    connection,
                    client: it.client.map(|client| client.to_string()),
                    policy: it.policy.map(str::to_owned),
                    resource: it.resource,
                    expires: it.expires_unix_s.map(|at| time(at.saturating_mul(1_000))),
                });
            }
        }
    }
    let (tokens, more) = bounded(lines);
    Json(TokenList { tokens, more })
}

async fn reports(shared: &Shared, device: Option<&DeviceId>) -> Vec<(u64, Report)> {
    let connections = connections_of(shared, device);
    let reports = ask(connections, Order::Report).await;
    let numbered = reports.into_iter().map(|(it, report)| (it.number, report));
    numbered.collect()
}

fn is_meant(device: Option<&DeviceId>, client: Option<&ClientId>) -> bool {
    device.is_none_or(|device| client.is_some_and(|client| client.device == *device))
}

pub(super) fn links_text(list: &LinkList) -> String {
    let line = |it: &LinkLine| {
        let client = it.client.as_deref().unwrap_or("-");
        let credit = it.credit.map(|credit| format!("  credit {credit}"));
        let credit = credit.unwrap_or_default();
        format!(
            "{client}  {}{credit}  connection {}",
            it.link, it.connection
        )
    };
    with_more(list.links.iter().map(line).collect(), list.more, "no links")
}

pub(super) fn tokens_text(list: &TokenList) -> String {
    let line = |it: &TokenLine| {
        let policy = it.policy.as_ref().map(|policy| format!("policy {policy}"));
        let of = [it.client.clone(), policy].into_iter().flatten();
        let of = of.collect::<Vec<_>>().join(", by ");
        let until = match &it.expires {
            Some(expires) => format!("expires {expires}  for {}", it.resource),
            None => "by certificate".to_owned(),
        };
        format!("{of}  {until}  connection {}", it.connection)
    };
    let lines = list.tokens.iter().map(line).collect();
    with_more(lines, list.more, "no tokens")
}
