//! The `$cbs` links: tokens go out, answers come back (claims-based security).
//!
//! Any number of tokens may be in progress. Each waits for the hub's credit, then for its answer. `token_renewal.rs` decides what an
//! answer means for the connection or a device.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use drawspan_amqp::engine::{CommandError, Connection, Credit, LinkId, LinkOptions, Outgoing};
use drawspan_amqp::engine::{DeliveryId, SessionId};
use drawspan_amqp::message::{Body, Message, MessageId, Properties};
use drawspan_amqp::performative::{DeliveryState, DeliveryTag};
use drawspan_amqp::value::{Map, Value};
use drawspan_hub::Failure;

use super::device::named;
use crate::limits;

/// Address of the node.
const NODE: &str = "$cbs";
/// The address for answers; the hub uses the link.
const REPLY_TO: &str = "cbs";
/// As every official client but the .NET one calls it.
const TOKEN_TYPE: &str = "servicebus.windows.net:sastoken";
/// Answers that may be under way.
const ANSWER_CREDIT: u32 = 50;
/// Prefix of message ids; a count follows, which is unique enough on a link of one connection.
const REQUEST: &str = "put-token-";

/// Marks the outcome of a put-token transfer, which tells nothing: the answer counts.
pub(crate) const CBS_CONTEXT: u64 = u64::MAX;

/// The subject of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// All devices of the connection.
    Policy,
    /// The device of that session.
    Device(SessionId),
}

/// The pair of links, on a separate session.
#[derive(Debug)]
pub(crate) struct Cbs {
    session: SessionId,
    sender: LinkId,
    receiver: LinkId,
    state: State,
    /// Number of the next request.
    next: u32,
    /// Wait for credit, oldest first, each until that time.
    waiting: VecDeque<(Subject, Duration)>,
    /// Wait for their answer, by ascending number.
    asked: VecDeque<Asked>,
}

#[derive(Debug)]
enum State {
    /// The hub must take both links until then.
    Attaching {
        until: Duration,
        receiver: bool,
    },
    Up,
}

#[derive(Debug)]
struct Asked {
    request: u32,
    subject: Subject,
    until: Duration,
}

impl Asked {
    /// When it was asked for.
    fn since(&self) -> Duration {
        self.until
            .saturating_sub(Duration::from_millis(limits::CBS_TIMEOUT_MS))
    }
}

/// The meaning of an answer.
#[derive(Debug, PartialEq)]
pub(crate) enum TokenResponse {
    /// To nothing that was asked, or to what was given up since.
    Stray,
    /// The hub's word on a token, and when it was asked for, if it was taken.
    To(Subject, Result<Duration, Failure>),
    /// Malformed, which is the hub's fault.
    Unreadable(String),
}

impl Cbs {
    /// Attaches both links.
    pub(crate) fn start(connection: &mut Connection, now: Duration) -> Result<Self, CommandError> {
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
        Ok(Self {
            session,
            sender,
            receiver,
            state: State::Attaching {
                until: now + Duration::from_millis(limits::CBS_TIMEOUT_MS),
                receiver: false,
            },
            next: 0,
            waiting: VecDeque::new(),
            asked: VecDeque::new(),
        })
    }

    pub(crate) fn is_session(&self, session: SessionId) -> bool {
        self.session == session
    }

    pub(crate) fn owns(&self, link: LinkId) -> bool {
        link == self.sender || link == self.receiver
    }

    /// The hub took a link.
    pub(crate) fn on_attached(&mut self, link: LinkId) {
        if let State::Attaching { receiver, .. } = &mut self.state {
            *receiver |= link == self.receiver;
        }
    }

    /// Whether tokens can go out from now on: true once.
    pub(crate) fn has_come_up(&mut self, connection: &Connection) -> bool {
        let came = matches!(self.state, State::Attaching { receiver: true, .. })
            && connection.credit(self.sender) > 0;
        if came {
            self.state = State::Up;
        }
        came
    }

    /// Queues a token.
    pub(crate) fn ask(&mut self, subject: Subject, now: Duration) {
        let until = now + Duration::from_millis(limits::CBS_TIMEOUT_MS);
        self.waiting.push_back((subject, until));
    }

    /// The next of the queue, if there is credit and room for it.
    pub(crate) fn next_to_send(
        &mut self,
        connection: &mut Connection,
    ) -> Option<(Subject, Duration)> {
        let goes = !self.waiting.is_empty()
            && connection.credit(self.sender) > 0
            && connection.has_room(self.sender);
        goes.then(|| self.waiting.pop_front())?
    }

    /// Sends a token that [`next_to_send`](Self::next_to_send) asked for.
    pub(crate) fn send(
        &mut self,
        connection: &mut Connection,
        subject: Subject,
        token: &str,
        until: Duration,
    ) -> Result<(), CommandError> {
        let request = self.next;
        let mut payload = BytesMut::new();
        request_message(token, request).encode(&mut payload);
        let message = Outgoing {
            tag: DeliveryTag::from_u32(request),
            message_format: 0,
            settled: false,
            context: CBS_CONTEXT,
            payload: &payload,
        };
        connection.send(self.sender, &message)?;
        self.next = request.wrapping_add(1);
        self.asked.push_back(Asked {
            request,
            subject,
            until,
        });
        Ok(())
    }

    /// An answer came.
    pub(crate) fn on_answer(
        &mut self,
        connection: &mut Connection,
        delivery: DeliveryId,
        settled: bool,
        payload: &Bytes,
    ) -> TokenResponse {
        if !settled {
            // An error means that the link is gone, of which an event tells.
            let _ = connection.settle(self.receiver, delivery, DeliveryState::Accepted);
        }
        let message = match Message::decode(payload) {
            Ok(message) => message,
            Err(error) => {
                return TokenResponse::Unreadable(format!(
                    "the hub's answer to put-token is unreadable: {error}"
                ));
            }
        };
        let Some(request) = request_of(&message) else {
            return TokenResponse::Stray;
        };
        let Some(at) = self.asked.iter().position(|asked| asked.request == request) else {
            return TokenResponse::Stray;
        };
        let Some(result) = word(&message) else {
            return TokenResponse::Unreadable(
                "the hub's answer to put-token has no status code".to_owned(),
            );
        };
        match self.asked.remove(at) {
            Some(asked) => TokenResponse::To(asked.subject, result.map(|()| asked.since())),
            None => TokenResponse::Stray,
        }
    }

    /// When something is overdue.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let attaching = match self.state {
            State::Attaching { until, .. } => Some(until),
            State::Up => None,
        };
        let waiting = self.waiting.front().map(|(_, until)| *until);
        let asked = self.asked.front().map(|asked| asked.until);
        [attaching, waiting, asked].into_iter().flatten().min()
    }

    /// Whether the hub failed to take the links in time.
    pub(crate) fn is_late(&self, now: Duration) -> bool {
        matches!(self.state, State::Attaching { until, .. } if until <= now)
    }

    /// A token that was not answered in time, and is given up with this.
    pub(crate) fn next_overdue(&mut self, now: Duration) -> Option<Subject> {
        if self.asked.front().is_some_and(|asked| asked.until <= now) {
            return self.asked.pop_front().map(|asked| asked.subject);
        }
        let (subject, _) = self.waiting.pop_front_if(|(_, until)| *until <= now)?;
        Some(subject)
    }

    #[cfg(test)]
    pub(crate) fn under_way(&self) -> usize {
        self.waiting.len() + self.asked.len()
    }

    /// The token is no longer needed.
    pub(crate) fn forget(&mut self, subject: Subject) {
        self.waiting.retain(|(of, _)| *of != subject);
    }
}

/// A put-token. Its `name` is the token's resource as it stands in it, as in the Node client.
fn request_message(token: &str, request: u32) -> Message {
    let text = |text: &str| Value::from(text);
    Message {
        properties: Some(Properties {
            message_id: Some(MessageId::String(format!("{REQUEST}{request}"))),
            to: Some(NODE.to_owned()),
            reply_to: Some(REPLY_TO.to_owned()),
            ..Properties::default()
        }),
        application_properties: Some(Map(vec![
            (text("operation"), text("put-token")),
            (text("type"), text(TOKEN_TYPE)),
            (text("name"), text(resource_of(token))),
        ])),
        body: Body::Value(text(token)),
        ..Message::default()
    }
}

fn resource_of(token: &str) -> &str {
    let after = token.split_once("sr=").map_or("", |(_, rest)| rest);
    after.split('&').next().unwrap_or_default()
}

fn request_of(message: &Message) -> Option<u32> {
    match message.properties.as_ref()?.correlation_id.as_ref()? {
        MessageId::String(id) => id.strip_prefix(REQUEST)?.parse().ok(),
        _ => None,
    }
}

/// The status in an answer; `None` if it has none.
fn word(message: &Message) -> Option<Result<(), Failure>> {
    let properties = message.application_properties.as_ref()?;
    let status = properties.get("status-code").and_then(Value::as_i64)?;
    let status = i32::try_from(status).ok()?;
    if (200..300).contains(&status) {
        return Some(Ok(()));
    }
    let description = properties.get("status-description");
    let description = description.and_then(Value::as_str).unwrap_or_default();
    Some(Err(Failure::from_cbs(status, description)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_token_is_its_resource_as_written() {
        let token = "SharedAccessSignature sr=h%2Fdevices%2Fa&sig=x%3D&se=1";
        assert_eq!(resource_of(token), "h%2Fdevices%2Fa");
        assert_eq!(resource_of("no token"), "");
    }

    #[test]
    fn an_answer_without_a_number_for_status_says_nothing() {
        let answer = |status: Value| Message {
            application_properties: Some(Map(vec![
                (Value::from("status-code"), status),
                (Value::from("status-description"), Value::from("said")),
            ])),
            ..Message::default()
        };
        assert_eq!(word(&answer(Value::Int(202))), Some(Ok(())));
        assert_eq!(word(&answer(Value::from("200"))), None);
        assert_eq!(word(&Message::default()), None);
        let refused = word(&answer(Value::Int(401))).unwrap().unwrap_err();
        assert_eq!(refused, Failure::from_cbs(401, "said"));
    }
}
