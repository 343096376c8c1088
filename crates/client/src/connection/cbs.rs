//! The token of a connection: claims-based security over the `$cbs` links.
//!
//! One exchange at a time: put-token, answer, renewal at 85 % of the token's life. Renewal happens in place and drops no
//! link.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use drawspan_amqp::engine::{CommandError, Connection, Credit, LinkId, LinkOptions, Outgoing};
use drawspan_amqp::message::{Body, Message, MessageId, Properties};
use drawspan_amqp::performative::DeliveryTag;
use drawspan_amqp::value::{Map, Value};
use drawspan_hub::{Failure, FailureKind, HostName, sas};

use super::Policy;
use super::device::named;
use crate::limits;

/// Address of the node.
const NODE: &str = "$cbs";
/// Where answers go; the hub goes by the link.
const REPLY_TO: &str = "cbs";
/// As every official client but the .NET one calls it.
const TOKEN_TYPE: &str = "servicebus.windows.net:sastoken";
/// Answers that may be under way.
const ANSWER_CREDIT: u32 = 50;

/// Where the exchange stands.
#[derive(Debug)]
pub(super) enum Cbs {
    /// Links are being attached.
    Attaching {
        sender: LinkId,
        receiver: LinkId,
        credit: bool,
        attached: bool,
    },
    /// The hub's answer is due.
    Asked {
        sender: LinkId,
        request: u64,
        until: Duration,
        renewal: bool,
    },
    /// The token counts.
    Valid {
        sender: LinkId,
        requests: u64,
        renew_at: Duration,
    },
}

/// What came of an event.
#[derive(Debug, PartialEq)]
pub(super) enum Progress {
    /// Nothing to tell.
    None,
    /// The token counts: devices may be opened.
    Ready,
    /// The hub does not take the token.
    Refused(Failure),
}

impl Cbs {
    /// Attaches the pair of links on a session of their own.
    pub(super) fn start(connection: &mut Connection) -> Result<Self, CommandError> {
        let session = connection.begin()?;
        let sender = connection.attach(
            session,
            named(LinkOptions::sender("drawspan-cbs-sender", NODE)),
        )?;
        let credit = Credit::Auto(ANSWER_CREDIT);
        let receiver = connection.attach(
            session,
            named(LinkOptions::receiver("drawspan-cbs-receiver", NODE, credit)),
        )?;
        Ok(Self::Attaching {
            sender,
            receiver,
            credit: false,
            attached: false,
        })
    }

    /// Whether a link is one of ours, as far as it still matters.
    pub(super) fn owns(&self, link: LinkId) -> bool {
        match self {
            Self::Attaching {
                sender, receiver, ..
            } => link == *sender || link == *receiver,
            Self::Asked { sender, .. } | Self::Valid { sender, .. } => link == *sender,
        }
    }

    /// The hub gave credit on the sender.
    pub(super) fn on_credit(&mut self, link: LinkId) {
        if let Self::Attaching { sender, credit, .. } = self {
            *credit |= link == *sender;
        }
    }

    /// The hub took the receiver.
    pub(super) fn on_attached(&mut self, link: LinkId) {
        if let Self::Attaching {
            receiver, attached, ..
        } = self
        {
            *attached |= link == *receiver;
        }
    }

    /// Whether a token can be sent for the first time.
    pub(super) fn is_waiting_for_token(&self) -> bool {
        matches!(
            self,
            Self::Attaching {
                credit: true,
                attached: true,
                ..
            }
        )
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match self {
            Self::Attaching { .. } => None,
            Self::Asked { until, .. } => Some(*until),
            Self::Valid { renew_at, .. } => Some(*renew_at),
        }
    }

    /// Sends a token, for the first time or again.
    pub(super) fn put_token(
        &mut self,
        connection: &mut Connection,
        host: &HostName,
        token: &str,
        now: Duration,
    ) -> Result<(), CommandError> {
        let (sender, request, renewal) = match self {
            Self::Attaching { sender, .. } => (*sender, 0, false),
            Self::Valid {
                sender, requests, ..
            } => (*sender, *requests, true),
            Self::Asked { .. } => return Ok(()),
        };
        let mut payload = BytesMut::new();
        request_message(host, token, request).encode(&mut payload);
        let tag = DeliveryTag::from_u32(u32::try_from(request).unwrap_or_default());
        connection.send(
            sender,
            &Outgoing {
                tag,
                message_format: 0,
                settled: false,
                context: CBS_CONTEXT,
                payload: &payload,
            },
        )?;
        let until = now + Duration::from_millis(limits::CBS_TIMEOUT_MS);
        *self = Self::Asked {
            sender,
            request,
            until,
            renewal,
        };
        Ok(())
    }

    /// An answer came.
    pub(super) fn on_answer(&mut self, payload: &Bytes, now: Duration) -> Progress {
        let Self::Asked {
            sender,
            request,
            renewal,
            ..
        } = *self
        else {
            return Progress::None;
        };
        let message = match Message::decode(payload) {
            Ok(message) => message,
            Err(error) => {
                return refused(&format!(
                    "the hub's answer to put-token is unreadable: {error}"
                ));
            }
        };
        let correlation = message
            .properties
            .as_ref()
            .and_then(|properties| properties.correlation_id.clone());
        if correlation != Some(MessageId::String(request_id(request))) {
            return Progress::None;
        }
        let properties = message.application_properties.unwrap_or_default();
        let status = properties.get("status-code").and_then(Value::as_i64);
        let description = properties
            .get("status-description")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let Some(status) = status.and_then(|status| i32::try_from(status).ok()) else {
            return refused("the hub's answer to put-token has no status code");
        };
        if !(200..300).contains(&status) {
            return Progress::Refused(Failure::from_cbs(status, description));
        }
        let life = Duration::from_secs(limits::TOKEN_LIFE_S * limits::TOKEN_RENEWAL_PERCENT / 100);
        *self = Self::Valid {
            sender,
            requests: request + 1,
            renew_at: now + life,
        };
        if renewal {
            Progress::None
        } else {
            Progress::Ready
        }
    }
}

/// Marks the outcome of a put-token transfer, which tells nothing: the answer counts.
pub(super) const CBS_CONTEXT: u64 = u64::MAX;

/// A token of a hub policy: it covers the whole hub.
pub(super) fn sign(host: &HostName, policy: &Policy, now_unix_s: u64) -> String {
    sas::sign(
        host.as_str(),
        &policy.key,
        now_unix_s + limits::TOKEN_LIFE_S,
        Some(&policy.name),
    )
}

fn request_message(host: &HostName, token: &str, request: u64) -> Message {
    let text = |text: &str| Value::from(text);
    Message {
        properties: Some(Properties {
            message_id: Some(MessageId::String(request_id(request))),
            to: Some(NODE.to_owned()),
            reply_to: Some(REPLY_TO.to_owned()),
            ..Properties::default()
        }),
        application_properties: Some(Map(vec![
            (text("operation"), text("put-token")),
            (text("type"), text(TOKEN_TYPE)),
            (text("name"), text(host.as_str())),
        ])),
        body: Body::Value(text(token)),
        ..Message::default()
    }
}

fn request_id(request: u64) -> String {
    format!("put-token-{request}")
}

fn refused(text: &str) -> Progress {
    Progress::Refused(Failure::local(FailureKind::Protocol, text))
}
